"""What a recipe or a feature function is made of, as a digest: other code is another model."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

_CATALOGUE = Path(__file__).parents[1] / "usecases"


def source(function: Callable[..., Any]) -> str:
    """Digest of the Python files in the folder of a function's file, and in those of the catalogue they import from.

    Two use cases may share parts: whoever changes those changes both.
    """
    first = Path(inspect.getfile(inspect.unwrap(function))).parent
    found, todo = set[Path](), [first]
    while todo:
        folder = todo.pop()
        if folder not in found:
            found.add(folder)
            todo += [other for path in folder.glob("*.py") for other in _imported(path)]
    made = hashlib.sha256()
    for folder in (first, *sorted(found - {first})):
        for path in sorted(folder.glob("*.py")):
            made.update(path.name.encode())
            made.update(path.read_bytes())
    return made.hexdigest()


def _imported(path: Path) -> Iterator[Path]:
    """Folders of the catalogue that a file imports from."""
    for name in _names(path.read_bytes()):
        folder = _CATALOGUE / name.removeprefix("pipeline.usecases.").split(".")[0]
        if name.startswith("pipeline.usecases.") and folder.is_dir():
            yield folder


@lru_cache(maxsize=1024)
def _names(text: bytes) -> tuple[str, ...]:
    """What a file's text imports. Remembered: a day asks a dozen times, and reading a catalogue takes a while."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tuple(names)
