"""What a recipe or a feature function is made of, as a digest: what can change a prediction, and nothing else.

Of a function's module only what the function needs counts: itself, the names that it reads, the names that those read,
across the modules of the catalogue, and whatever a module does when it is imported. Comments, docstrings, the layout,
and parts that belong to another recipe, to a gate or to a report do not. The versions of the libraries that it imports
are a digest of their own: an upgrade may compute otherwise.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import platform
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

#: Who computes a fit and its features, whatever the recipe imports.
LIBRARIES = ("narwhals", "numpy", "pandas", "polars", "pyarrow", "scikit-learn", "scipy")
#: Who writes a model's file, and may not read one that another version wrote.
FORMAT = ("skops",)
#: The product's own code that stands between the tables and a fit.
OWN = (
    *("adapters/engine/polars_engine.py", "adapters/engine/frames.py", "adapters/engine/selecting.py"),
    *("core/windows.py", "steps/models/fitting.py", "steps/models/threads.py"),
)


def source(function: Callable[..., Any]) -> str:
    """Digest of the statements that a function is made of.

    Args:
        function: A function of a module, or one that :func:`functools.partial` or a decorator made of such.
    """
    slices, parts = _sliced(function)
    return hashlib.sha256("\n".join([*parts, *slices.text()]).encode()).hexdigest()


def libraries(function: Callable[..., Any]) -> str:
    """Digest of the versions of the libraries that a function imports."""
    slices, _ = _sliced(function)
    return hashlib.sha256(repr(_versions(tuple(sorted(slices.libraries)))).encode()).hexdigest()


def _sliced(function: Callable[..., Any]) -> tuple[_Slices, list[str]]:
    parts: list[str] = []
    while isinstance(function, functools.partial):
        parts.append(repr((function.args, sorted(function.keywords.items()))))
        function = function.func
    function = inspect.unwrap(function)
    slices = _Slices()
    # A function within a function, or one without a name, is part of what stands at the module's top.
    name = function.__qualname__.split(".")[0]
    slices.need(Path(inspect.getfile(function)), None if name == "<lambda>" else name)
    cells = getattr(function, "__closure__", None) or ()
    parts += [repr(cell.cell_contents) for cell in cells if _plain(cell.cell_contents)]
    return slices, parts


@cache
def product() -> str:
    """Digest of the product's own code that computes, and of the libraries under it."""
    root = Path(__file__).parents[1]
    parts = [ast.dump(_without_docstrings(ast.parse((root / name).read_bytes()))) for name in OWN]
    return hashlib.sha256("\n".join([*parts, repr(_versions(LIBRARIES + FORMAT))]).encode()).hexdigest()


def installed() -> dict[str, str]:
    """Library to the version that is installed here, of all that can decide whether a model opens and what it says."""
    return {"python": platform.python_version(), **dict(_versions(LIBRARIES + FORMAT))}


def _plain(value: Any) -> bool:
    """Whether a value says by its text alone what it is."""
    if isinstance(value, tuple | list | frozenset | set):
        return all(_plain(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str | bytes)


class _Slices:
    """The statements that are needed, by file."""

    def __init__(self) -> None:
        self.needed: dict[Path, dict[int, str]] = {}
        self.libraries: set[str] = set()
        self._asked: set[tuple[Path, str | None]] = set()

    def text(self) -> Iterator[str]:
        """The statements, in the order of the modules' names and of their lines."""
        for path in sorted(self.needed, key=lambda one: (one.parent.name, one.name)):
            yield f"{path.parent.name}/{path.name}"
            yield from (text for _, text in sorted(self.needed[path].items()))

    def need(self, path: Path, name: str | None) -> None:
        """Add what a module's name is made of; None: all of the module."""
        if (path, name) in self._asked:
            return
        self._asked.add((path, name))
        for at, statement in enumerate(_statements(path)):
            defined = _defined(statement)
            # What defines nothing, such as a call that sets an option, may change anything.
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self._follow(path, statement, name)
            elif name is None or not defined or name in defined:
                self._take(path, at, statement)

    def _take(self, path: Path, at: int, statement: ast.stmt) -> None:
        if at in self.needed.setdefault(path, {}):
            return
        self.needed[path][at] = ast.dump(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._follow(path, node, None)
            elif isinstance(node, ast.Name):
                self.need(path, node.id)

    def _follow(self, path: Path, node: ast.Import | ast.ImportFrom, word: str | None) -> None:
        """What an import brings: a part of the catalogue is read, of a library the version counts.

        Args:
            path: The file of the import.
            node: The import.
            word: The name that is needed; None: all of them.
        """
        aliases = [
            alias
            for alias in node.names
            if word in (None, alias.asname or alias.name.split(".")[0]) or alias.name == "*"
        ]
        if isinstance(node, ast.Import):
            wanted: list[tuple[str, str | None]] = [(alias.name, None) for alias in aliases]
        elif node.level:
            file = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in aliases:
                self._local(file, alias.name)
            return
        else:
            wanted = [(node.module or "", alias.name) for alias in aliases]
        for module, name in wanted:
            top = module.split(".")[0]
            if module.startswith("pipeline.usecases"):
                self._local(_CATALOGUE.joinpath(*module.split(".")[2:]), name)
            elif top not in sys.stdlib_module_names and top != "pipeline":  # the product has a digest of its own
                self.libraries.add(top)

    def _local(self, file: Path, name: str | None) -> None:
        """A module beside the function's, or a name of it; ``from folder import module`` names a module."""
        module = file / f"{name}.py"
        if name is not None and module.exists():
            self.need(module, None)
            return
        for place in (file.with_suffix(".py"), file / "__init__.py"):
            if place.exists():
                self.need(place, None if name == "*" else name)
                return


_CATALOGUE = Path(__file__).parents[1] / "usecases"


@cache
def _parsed(path: Path, _: int) -> tuple[ast.stmt, ...]:
    return tuple(_without_docstrings(ast.parse(path.read_bytes())).body)


def _statements(path: Path) -> tuple[ast.stmt, ...]:
    return _parsed(path, path.stat().st_mtime_ns)


def _defined(statement: ast.stmt) -> set[str]:
    """The names that a statement at a module's top gives a meaning to."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return set()


class _Docstrings(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
        return node


def _without_docstrings(tree: ast.Module) -> ast.Module:
    bare_tree = _Docstrings().visit(tree)
    assert isinstance(bare_tree, ast.Module)  # noqa: S101
    # How annotations are read is no part of what is computed.
    bare_tree.body = [
        node for node in bare_tree.body if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    return bare_tree


@cache
def _versions(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Distribution to its version, of modules or distributions by name; what is not installed has none."""
    by_module = metadata.packages_distributions()
    version_by_distribution: dict[str, str] = {}
    for name in names:
        for distribution in by_module.get(name, [name]):
            try:
                version_by_distribution[distribution.lower()] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                version_by_distribution[distribution.lower()] = ""
    return sorted(version_by_distribution.items())
