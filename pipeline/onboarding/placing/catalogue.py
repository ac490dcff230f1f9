"""The name in ``ALL`` of ``pipeline/usecases/__init__.py``, as a person would add it: two lines, nothing else moved."""

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
    """The constants in ``ALL``."""
    return tuple(node.id for node in _all(ast.parse(catalogue)).elts if isinstance(node, ast.Name))


def with_name(catalogue: str, name: str) -> str:
    """The catalogue's text with the use case imported and in ``ALL``; the same text if it is there already.

    Raises:
        UsageError: The text has another shape than it should.
    """
    constant = name.upper()
    tree = ast.parse(catalogue)
    found = _all(tree)
    if constant in listed(catalogue):
        return catalogue
    lines = _with_all(catalogue.splitlines(), found, [*listed(catalogue), constant])
    line = f"from pipeline.usecases.{name} import {constant}"
    ours = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline")
    ]
    if not ours or any(node.lineno > found.lineno for node in ours):
        raise _odd()
    before = [node for node in ours if in_order(node.module or "") < in_order(f"pipeline.usecases.{name}")]
    at = (before[-1].end_lineno or before[-1].lineno) if before else ours[0].lineno - 1
    lines.insert(at, line)
    made = "\n".join(lines) + "\n"
    if constant not in listed(made):
        raise _odd()
    return made


def without_name(catalogue: str, name: str) -> str:
    """The catalogue's text with the use case neither imported nor in ``ALL``; the inverse of :func:`with_name`.

    Raises:
        UsageError: Its import is no line of its own.
    """
    constant, tree = name.upper(), ast.parse(catalogue)
    ours = [node for node in tree.body if isinstance(node, ast.ImportFrom) and _imports(node, name)]
    if len(ours) != 1 or [alias.name for alias in ours[0].names] != [constant]:
        raise _odd()
    names = [one for one in listed(catalogue) if one != constant]
    lines = _with_all(catalogue.splitlines(), _all(tree), names)
    del lines[ours[0].lineno - 1 : ours[0].end_lineno]
    return "\n".join(lines) + "\n"


def _with_all(lines: list[str], found: ast.Tuple, names: list[str]) -> list[str]:
    """The lines with these names in ``ALL``, which stands after the imports."""
    first, last = found.lineno - 1, (found.end_lineno or found.lineno) - 1
    head, tail = lines[first][: found.col_offset], lines[last][found.end_col_offset or 0 :]
    one = f"{head}({', '.join(names)}{',' if len(names) == 1 else ''}){tail}"
    there = [one] if len(one) <= _WIDTH else [f"{head}(", *(f"    {name}," for name in names), f"){tail}"]
    return [*lines[:first], *there, *lines[last + 1 :]]


def _imports(node: ast.ImportFrom, name: str) -> bool:
    return node.module == f"pipeline.usecases.{name}"


def in_order(module: str) -> list[tuple[int, str]]:
    """What imports are sorted by: numbers in names by their value, as the linter wants it."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", module)]


def _all(tree: ast.Module) -> ast.Tuple:
    for node in tree.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.value, ast.Tuple):
            continue
        named = isinstance(node.target, ast.Name) and node.target.id == "ALL"
        if named and all(isinstance(one, ast.Name) for one in node.value.elts):
            return node.value
    raise _odd()


def _odd() -> UsageError:
    return UsageError(
        "pipeline/usecases/__init__.py has no line 'ALL: tuple[Usecase, ...] = (…)' of plain names after its imports, "
        "so nothing was added to it; bring it back to that shape",
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
