"""What is asked of ``new``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.core.errors import UsageError
from pipeline.core.forms import unreadable_format

KindName = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        name: Of the use case.
        file: The history.
        target, time: Columns.
        unit: The columns that name what a prediction is about.
        kind: ``binary``, ``multiclass`` or ``regression``; None: as the target looks.
        label_delay: After how many days a label is known; None: as the end of the history looks.
        zone: IANA name; None: UTC, or what the file says.
        window: Days of the longest window; None: as the history's length allows.
        overwrite: Whether a use case of that name is put aside and made anew.
        drop: Columns that are left out.
        date_formats: How dates and moments are written as text, in the words of ``strptime``; one of each at most.
        decimal: The sign before the fraction of a number that is written as text; None: as the file looks.
    """

    name: str
    file: Path
    target: str
    time: str
    unit: tuple[str, ...]
    kind: KindName | None = None
    label_delay: int | None = None
    zone: str | None = None
    window: int | None = None
    overwrite: bool = False
    drop: tuple[str, ...] = ()
    date_formats: tuple[str, ...] = ()
    decimal: str | None = None

    def __post_init__(self) -> None:
        clocks = [any(code in written for code in ("%H", "%M", "%S", "%f")) for written in self.date_formats]
        for written in self.date_formats:
            why = unreadable_format(written)
            if why:
                raise UsageError(f"--date-format {written}: {why}", "DATE_FORMAT")
        if clocks.count(True) > 1 or clocks.count(False) > 1:
            raise UsageError(
                "--date-format: one way to write dates and one way to write times are read in a file, not more",
                "DATE_FORMAT",
            )
