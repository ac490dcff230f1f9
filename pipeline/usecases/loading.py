"""Loads each use case by itself: another one's slip takes neither its nights nor its rollback away."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.core.usecase import Usecase

#: What the declarations are written with; a Python without it is not the project's.
_NEEDED = ("narwhals", "numpy", "pandas", "pyarrow", "scipy", "sklearn")
_ROOT = Path(__file__).resolve().parents[2]


def load(names: Iterable[str], package: str = "pipeline.usecases") -> tuple[tuple[Usecase, ...], Mapping[str, str]]:
    """Import the folder of each name and take its declaration, the constant of that name in capitals.

    Args:
        names: Folders of ``package``.
        package: Where they lie.

    Returns:
        The use cases whose declaration holds; and for each other name a sentence: what is wrong, in which file and
        line, and what to do.
    """
    usecases: list[Usecase] = []
    broken: dict[str, str] = {}
    for name in names:
        try:
            usecase = getattr(importlib.import_module(f"{package}.{name}"), name.upper())
            if not isinstance(usecase, Usecase) or usecase.name != name:
                raise TypeError(f"{name.upper()} must be a Usecase with name='{name}'")
            if name in [other.name for other in usecases]:
                raise ValueError(f"'{name}' stands twice in NAMES")
        except Exception as error:  # noqa: BLE001 - a declaration is a person's code, and any slip of it is its own
            broken[name] = _sentence(name, error)
        else:
            usecases.append(usecase)
    return tuple(usecases), broken


def _sentence(name: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _NEEDED:
        return (
            f"use case '{name}' can't be loaded: this Python ({sys.executable}) has no '{error.name}', which the "
            "project needs; run it with .venv/bin/python in the project's folder, which 'make environment' makes"
        )
    return (
        f"use case '{name}' can't be loaded: {type(error).__name__}: {' '.join(str(error).split())} ({_place(error)}); "
        f"mend its declaration, or take its name out of NAMES in pipeline/usecases/__init__.py; the others go on"
    )


def _place(error: Exception) -> str:
    """File and line of the slip: the innermost line that is a use case's, or else the last one."""
    if isinstance(error, SyntaxError) and error.filename:
        return _shown(error.filename, error.lineno)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "usecases" in Path(frame.filename).parts and frame.filename != __file__]
    frame = (own or list(frames))[-1]
    return "its catalogue entry" if frame.filename == __file__ else _shown(frame.filename, frame.lineno)


def _shown(file: str, line: int | None) -> str:
    path = Path(file)
    shown = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path
    return f"{shown}, line {line}"
