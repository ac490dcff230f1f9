"""Sound names for columns, and cells as the product stores them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.adapters.landing.written import in_utc
from pipeline.onboarding.notes import Note

#: Columns that features add, or the store does.
RESERVED = ("day", "predicted_at", "unlabelled", "known_at", "weekday", "hour_of_day")

# What begins with '.' or '[' reads as a path into nested columns.
_PLAIN = re.compile(r"[^\s\"'`\\{}_.\[][^\"'`\\{}\x00-\x1f\x7f]{0,62}")

#: Beyond this no number measures anything, and models that square it or take it as a short float break.
_HUGE = 1e30


def free_name(name: str, taken: Sequence[str]) -> str:
    """The name, or with a number behind it, so that no other column has it."""
    known, number, base = {one.casefold() for one in taken}, 2, name
    while name.casefold() in known:
        name, number = f"{base}_{number}", number + 1
    return name


def renamed(table: pa.Table, names: dict[str, str], notes: list[Note]) -> pa.Table:
    """The table with those columns called otherwise, and a note on each."""
    for old, new in names.items():
        text = f"is called '{new}' from here on (the name is taken, or no sound name); upstream must follow"
        notes.append(Note(old, text, review=True))
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def soundly_named(table: pa.Table, day: str, notes: list[Note]) -> tuple[pa.Table, dict[str, str]]:
    """Every column with a name that store, engine and declarations take: no two alike but for their case."""
    changed: dict[str, str] = {}
    kept: list[str] = []
    for name in table.column_names:
        reserved = name.casefold() in RESERVED and not (name == "day" and day == "day")
        sound = _PLAIN.fullmatch(name) and not reserved and name.casefold() not in {k.casefold() for k in kept}
        if sound:
            kept.append(name)
            continue
        if name == day and name.casefold() == "day":
            new = "day"
        else:
            new = re.sub(r"\W+", "_", name).strip("_")[:50] or "column"
            new = free_name(f"{new}_given" if reserved else new, [*table.column_names, *kept, *RESERVED])
        changed[name] = new
        kept.append(new)
    return renamed(table, changed, notes), {name: changed.get(name, name) for name in table.column_names}


def stored_cells(table: pa.Table, zone: str, notes: list[Note]) -> pa.Table:
    """Truths as 0 and 1; what is no number, and empty text, as missing; every moment in UTC, a bare one of ``zone``."""
    made: dict[str, Any] = {}
    for name in table.column_names:
        cells = table[name].combine_chunks()
        if pa.types.is_boolean(cells.type):
            notes.append(Note(name, "true is delivered as 1, false as 0"))
            cells = cells.cast(pa.int8()).cast(pa.int64())
        elif pa.types.is_floating(cells.type):
            told = pc.fill_null(cells, 0.0)
            lost = pc.invert(pc.less_equal(pc.abs(told), _HUGE))
            if pc.any(pc.greater(pc.abs(told), _HUGE)).as_py():
                text = f"holds infinite values or numbers beyond {_HUGE:g}, which are taken as missing"
                notes.append(Note(name, text, review=True))
            cells = pc.if_else(lost, pa.scalar(None, pa.float64()), cells)
        elif pa.types.is_string(cells.type):
            cells = pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)
            if (pc.max(pc.binary_length(cells)).as_py() or 0) > 10_000:
                notes.append(Note(name, "left out: it holds texts of more than 10,000 bytes", review=True))
                continue
        elif pa.types.is_timestamp(cells.type) and cells.type.tz is None:
            cells = in_utc(cells, zone)
            notes.append(Note(name, f"names no time zone and is taken as {zone}"))
        elif pa.types.is_timestamp(cells.type):
            cells = cells.cast(pa.timestamp("us", "UTC"))
        made[name] = cells
    return pa.table(made)
