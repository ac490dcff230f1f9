"""How upstream's files are written, declared from how the history is: so that tomorrow's file is read as it was."""

from __future__ import annotations

import dataclasses
import math

import pyarrow as pa

from pipeline.core.forms import Form, Written
from pipeline.core.words import percent
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.source import Source
from pipeline.onboarding.notes import Note

#: A day may have at most this share of rows that are left out.
_MOST_BAD = 0.2


def form_of(source: Source, history: History, request: Request) -> Form:
    """The form of the table's files."""
    gone = [name for name in source.table.column_names if name not in history.names]
    made = history.time is not None and history.day not in history.names.values()
    time = source.table[request.time].type
    # A midnight names the day of its zone.
    shortened = history.time is None and not pa.types.is_date(time) and request.zone is not None
    return dataclasses.replace(
        source.form,
        names=tuple((old, new) for old, new in history.names.items() if old != new),
        ignored=tuple(dict.fromkeys([*source.ignored, *gone])),
        zone=history.zone if history.naive or shortened else "",
        day_of=(history.time or "") if made else "",
        days=history.zone if made else "UTC",
    )


def written_of(source: Source, history: History) -> dict[str, Written]:
    """Column as declared to how its cells are written, of those that are not plainly written."""
    found = {history.names[name]: how for name, how in source.written.items() if name in history.names}
    for old, new in history.names.items():
        if pa.types.is_floating(source.table[old].type) and pa.types.is_integer(history.rows[new].type):
            found[new] = "float"
    return found


def bad_rows_of(history: History, notes: list[Note]) -> float:
    """The share of a day's rows that may go to quarantine: half as many again as were left out of the worst one."""
    if not history.lost:
        return 0.001
    share = min(_MOST_BAD, max(0.001, math.ceil(1500 * history.lost) / 1000))
    text = (
        f"up to {percent(history.lost)} of a day's rows were left out; each day {percent(share)} may go to quarantine"
    )
    notes.append(Note("rows", text, review=True))
    return share
