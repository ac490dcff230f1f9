"""What is asked of ``new``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
