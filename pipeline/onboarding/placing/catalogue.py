"""The name in ``NAMES`` of ``pipeline/usecases/__init__.py``, as a person would add it; nothing else is moved."""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

from pipeline.core.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")
_WIDTH = 120


def check_name(name: str, catalogue: str, taken: set[str]) -> None:
    """Refuse a name that the catalogue, Python or the store could not bear.

    Args:
        name: Of the use case.
        catalogue: The text of ``pipeline/usecases/__init__.py``.
        taken: Names of tables, DAGs and folders that belong to others.

    Raises:
        UsageError: The sentence says why not.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' can't name a use case: a lower case letter, then 1 to 40 lower case letters, digits and '_'",
            "NAME",
        )
    held = {node.name for node in ast.walk(ast.parse(catalogue)) if isinstance(node, ast.FunctionDef)}
    held |= {"all", "scores", "roll_back", "lift_hold", "replay", "usecase", "feed"}
    if keyword.iskeyword(name) or name in held:
        raise UsageError(f"'{name}' means something else here already; choose another name", "NAME")
    if name in taken:
        raise UsageError(
            f"the name '{name}' is taken by a use case or a table of one; choose another, or say --overwrite for a use "
            f"case that you made by this command",
            "TAKEN",
        )


def listed(catalogue: str) -> tuple[str, ...]:
    """The names in ``NAMES``."""
    return tuple(str(node.value) for node in _names(ast.parse(catalogue)).elts if isinstance(node, ast.Constant))


def with_name(catalogue: str, name: str) -> str:
    """The catalogue's text with the use case in ``NAMES``; the same text if it is there already.

    Raises:
        UsageError: The text has another shape than it should.
    """
    names = listed(catalogue)
    return catalogue if name in names else _with_names(catalogue, [*names, name])


def without_name(catalogue: str, name: str) -> str:
    """The catalogue's text without the use case in ``NAMES``; the inverse of :func:`with_name`.

    Raises:
        UsageError: The text has another shape than it should.
    """
    return _with_names(catalogue, [other for other in listed(catalogue) if other != name])


def _with_names(catalogue: str, names: list[str]) -> str:
    lines, held = catalogue.splitlines(), _names(ast.parse(catalogue))
    first, last = held.lineno - 1, (held.end_lineno or held.lineno) - 1
    head, tail = lines[first][: held.col_offset], lines[last][held.end_col_offset or 0 :]
    quoted = [f'"{name}"' for name in names]
    one = f"{head}({', '.join(quoted)}{',' if len(names) == 1 else ''}){tail}"
    there = [one] if len(one) <= _WIDTH else [f"{head}(", *(f"    {name}," for name in quoted), f"){tail}"]
    return "\n".join([*lines[:first], *there, *lines[last + 1 :]]) + "\n"


def _names(tree: ast.Module) -> ast.Tuple:
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        named = [target.id for target in node.targets if isinstance(target, ast.Name)] == ["NAMES"]
        if named and all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in node.value.elts):
            return node.value
    raise UsageError(
        "pipeline/usecases/__init__.py has no line 'NAMES = (…)' of names in quotes, so nothing was added to it; bring "
        "it back to that shape",
        "CATALOGUE",
    )


def text_of(path: Path) -> str:
    """The catalogue's text.

    Raises:
        UsageError: It can't be read, or is no Python.
    """
    try:
        text = path.read_text(encoding="utf-8")
        ast.parse(text)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read as Python ({error}); mend it first", "CATALOGUE") from None
    return text
