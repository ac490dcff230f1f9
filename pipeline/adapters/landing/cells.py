"""A delivery as it was written: its cells by column, before anything is taken for a number or a date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.landing.refusals import Subject, quoted, several
from pipeline.core.tables import Feed, Table

#: More columns than this, and than twice the declared ones, are refused before any is read.
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


def check_header(
    table: Table, names: Sequence[str], subject: Subject, kinds: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Refuse a header that is not the declared one, with all that is wrong; the order of columns does not matter.

    Args:
        table: The declaration.
        names: The header as delivered.
        subject: Whose file it is, for the refusal.
        kinds: Where the format has types: declared column to what is wrong with its type.

    Returns:
        Declared column to its name in the file; the day is not among them if the form makes it of a moment.
    """
    declared = [column.name for column in table.columns]
    most = max(MOST_COLUMNS, 2 * len(declared))
    if len(names) > most:
        raise subject.refused("TOO_MANY_COLUMNS", f"has {len(names):,} columns and at most {most} are read")
    own = own_names(table, names)
    doubled = sorted({name for name in own if own.count(name) > 1})
    if doubled:
        raise subject.refused(
            "COLUMN_DOUBLED", f"has the column {several(map(quoted, doubled))} more than once", _WAY_OUT
        )
    delivered = delivered_as(table, names)
    made = {table.day} if isinstance(table, Feed) and table.form.day_of else set()
    missing = [name for name in declared if name not in delivered and name not in made]
    strange = [name for name in names if name not in delivered.values() and name not in table.form.ignored]
    unknown = strange if table.extra_columns == "refuse" or missing else []
    faults = []
    if missing and unknown:
        told = f"lacks the column {_all(missing)} and has {_all(unknown)}, which is not declared: renamed?"
        renamed = f"Column('{missing[0]}', …, also=('{unknown[0]}',))"
        faults.append(("COLUMN_RENAMED", f"{told} (a column that has another header now is {renamed})"))
    elif missing:
        faults.append(("COLUMN_MISSING", f"lacks the column {_all(missing)}"))
    elif unknown:
        faults.append(("COLUMN_EXTRA", f"has the column {_all(unknown)}, which is not declared"))
    wrong = [what for name, what in (kinds or {}).items() if name in delivered]
    if wrong:
        faults.append(("COLUMN_TYPE", f"has {_joined(wrong)}"))
    if faults:
        code, _ = faults[0]
        way_out = f"{_WAY_OUT}, or declare extra_columns='ignore'" if code == "COLUMN_EXTRA" else _WAY_OUT
        raise subject.refused(code, "; it ".join(what for _, what in faults), way_out)
    return delivered


_WAY_OUT = "ask upstream what changed, then have it delivered again or change the declared columns"
#: Of so many columns each is named: who mends a file wants to know all of it at once.
_NAMED = 40


def _all(names: Sequence[str]) -> str:
    return several(map(quoted, names), _NAMED)


def _joined(parts: Sequence[str]) -> str:
    return several(parts, _NAMED)


def delivered_as(table: Table, names: Sequence[str]) -> dict[str, str]:
    """Declared column to its name in the file, of those that are there; form and column may know it by another."""
    others = {header: column.name for column in table.columns for header in column.also}
    known = {delivered: name for delivered, name in (*others.items(), *table.form.names) if delivered in names}
    declared = {column.name for column in table.columns}
    found: dict[str, str] = {}
    for name in names:
        # A file that has the declared name as well means that one, and another column by the other name.
        other = known.get(name)
        if other is not None and other in declared and other not in names:
            found[other] = name
        elif name in declared:
            found[name] = name
    return found
