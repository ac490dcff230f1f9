"""The history as deliveries: a Parquet file a day below the landing folder, as upstream would leave them there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pipeline.core.errors import UsageError
from pipeline.starting.history import History


def deliver(history: History, landing: Path, name: str) -> int:
    """Write one file a day into ``landing/name``; returns how many.

    Each file appears whole or not at all. The folder's own name comes last, so nobody reads half a history.

    Raises:
        UsageError: The folder is there already, or can't be written.
    """
    from pyarrow import parquet

    folder, made = landing / name, landing / f".{name}.new"
    if folder.exists():
        raise UsageError(f"there are deliveries in {folder} already; move them away first", "TAKEN")
    try:
        landing.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        for day in history.calendar:
            rows = history.of(day).combine_chunks()
            parquet.write_table(rows, made / f"{day}.parquet", compression="zstd", write_page_checksum=True)
        made.rename(folder)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise UsageError(
            f"the deliveries can't be written below {landing} ({error.strerror or error}); make room or give access",
            "LANDING",
        ) from None
    return len(history.calendar)


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
