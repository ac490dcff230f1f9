"""The history as deliveries: a file a day below the landing folder, in its own form, as upstream would leave them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.source import Source
from pipeline.onboarding.tomorrow import write_day


def deliver(source: Source, history: History, folder: Path) -> None:
    """Write one file a day into the folder."""
    for day in history.calendar:
        write_day(source, history, day, folder / f"{day}{source.suffix}")


def put_aside(path: Path, replaced: Path) -> Path | None:
    """Move a file or folder below ``replaced``, under a number that nobody has; where it went, or None."""
    if not os.path.lexists(path):
        return None
    replaced.mkdir(parents=True, exist_ok=True)
    number = 1
    while os.path.lexists(replaced / f"{path.name}.{number}"):
        number += 1
    target = replaced / f"{path.name}.{number}"
    shutil.move(path, target)
    return target


def write(path: Path, text: str) -> None:
    """Write a file as a whole: nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.new")
    made.write_text(text, encoding="utf-8")
    made.replace(path)
