"""A delivery as it was written: its cells by column, before anything is taken for a number or a date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.landing.refusals import Subject, quoted, several
from pipeline.core.tables import Table

#: More columns than this are refused before any is read.
MOST_COLUMNS = 500
#: A cell of more bytes than this goes to quarantine.
LONGEST_CELL = 100_000
#: How much of a rejected row's text is kept.
LONGEST_TEXT = 2_000

#: A record's number (the first after the header is 1) to its line in the file and its text.
Locate = Callable[[int], tuple[int, str]]


@dataclass(frozen=True, slots=True)
class RawCells:
    """What was read of a file.

    Attributes:
        columns: Declared column to a pyarrow array with one cell per record that could be split into cells: text, or
            already typed where the format has types. Empty cells are null.
        records: The number of each of these records.
        total: How many records the file holds, split or not.
        misfits: Column to record number to what is wrong with a cell that the array can't hold; it is null there.
        broken: Record number to the reason why a record could not be split.
        locate: Finds a record in the file; slow, for the few that are spoken of.
    """

    columns: Mapping[str, Any]
    records: NDArray[np.int64]
    total: int
    locate: Locate
    misfits: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    broken: Mapping[int, str] = field(default_factory=dict)


def own_names(table: Table, headers: Sequence[str]) -> list[str]:
    """The headers of a file, each by the name of the declared column that it stands for; others stay as they are."""
    others = {header: column.name for column in table.columns for header in column.also}
    return [others.get(header, header) for header in headers]


def check_header(table: Table, names: Sequence[str], subject: Subject) -> None:
    """Refuse a header that is not the declared one; the order of columns does not matter."""
    way_out = "ask upstream what changed, then have it delivered again or change the declared columns"
    if len(names) > MOST_COLUMNS:
        raise subject.refused("TOO_MANY_COLUMNS", f"has {len(names):,} columns and at most {MOST_COLUMNS} are read")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise subject.refused(
            "COLUMN_DOUBLED", f"has the column {several(map(quoted, doubled))} more than once", way_out
        )
    declared = [column.name for column in table.columns]
    missing = [name for name in declared if name not in names]
    unknown = [name for name in names if name not in declared]
    if missing and unknown:
        raise subject.refused(
            "COLUMN_RENAMED",
            f"lacks the column {several(map(quoted, missing))} and has {several(map(quoted, unknown))}, which is not "
            f"declared: renamed?",
            f"{way_out}: a column that has another header now is Column('{missing[0]}', …, also=('{unknown[0]}',))",
        )
    if missing:
        raise subject.refused("COLUMN_MISSING", f"lacks the column {several(map(quoted, missing))}", way_out)
    if unknown and table.extra_columns == "refuse":
        raise subject.refused(
            "COLUMN_EXTRA",
            f"has the column {several(map(quoted, unknown))}, which is not declared",
            f"{way_out}, or declare extra_columns='ignore'",
        )
