"""A history as its file has it: what was read of it, how it is written, and any of its rows written so again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.forms import PLAIN, Form, Written
from pipeline.onboarding.notes import Note

#: Rows by number, and the file or folder that is to hold them.
Write = Callable[[NDArray[np.int64], Path], None]


@dataclass
class Source:
    """What was read of a file, and how to write more of the same.

    Attributes:
        table: The columns under their own names, typed.
        suffix: What the name of a day's file ends with; empty for a folder of Parquet files.
        write: Writes some of its rows as they stand in the file.
        form: Its signs and words.
        written: Column to how its cells are written, where that is not as its type says.
        ignored: Columns that are not kept, and may come.
        notes: What was assumed.
        partition: The column whose value is the name of a folder; empty if there is none.
        row_bytes: What a row takes in its file, unpacked.
    """

    table: pa.Table
    suffix: str
    write: Write
    form: Form = PLAIN
    written: dict[str, Written] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    partition: str = ""
    row_bytes: int = 0
