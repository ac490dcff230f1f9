"""The time column: dates, or moments in UTC, and the day that each row belongs to."""

from __future__ import annotations

import shlex
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.adapters.landing.written import plain_moments
from pipeline.core.errors import UsageError
from pipeline.core.words import count, percent
from pipeline.onboarding.history.cells import free_name, renamed
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.units import LOST
from pipeline.onboarding.notes import Note


def as_moments(cells: pa.Array, request: Request, notes: list[Note]) -> tuple[pa.Array, str]:
    """The time column as dates, or as moments in UTC; and the zone of the days."""
    name, zone = request.time, request.zone
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"there is no time zone '{zone}'; name one such as Europe/Berlin", "ZONE") from None
    if pa.types.is_date(cells.type):
        return cells, zone or "UTC"
    if pa.types.is_string(cells.type):
        cells = _parsed(cells, name)
        if pa.types.is_date(cells.type):
            return cells, zone or "UTC"
    if not pa.types.is_timestamp(cells.type):
        shown = next((str(value) for value in cells.to_pylist() if value is not None), "nothing")
        formats = _formats(cells)
        asked = " or ".join(f"--date-format {shlex.quote(one)}" for one in formats)
        since = pa.types.is_integer(cells.type) and not formats and (pc.max(cells).as_py() or 0) > 10**8
        way_out = f"; say {asked}" if formats else ", perhaps counted from 1970 on" if since else ""
        if request.date_formats:
            odd = next((v for v in cells.to_pylist() if v is not None and not _fits(str(v), request)), shown)
            shown = str(odd)
        raise UsageError(
            f"'{name}' can't be read as a time, it says {shown[:40]!r}{way_out}, or write dates as 2013-03-08 and "
            f"times as 2013-03-08T09:00:00Z",
            "TIME",
        )
    if cells.type.tz is None:
        if zone is None:
            notes.append(Note("time zone", f"'{name}' names no time zone and is taken as UTC; else say --zone", True))
        naive = pc.assume_timezone(cells, zone or "UTC", ambiguous="earliest", nonexistent="earliest")
        return naive.cast(pa.timestamp("us", "UTC")), zone or "UTC"
    told = cells.type.tz if "/" in cells.type.tz else "UTC"
    if zone is None:
        notes.append(Note("time zone", f"days begin at midnight in {told}, as '{name}' says; else say --zone", True))
    return cells.cast(pa.timestamp("us", "UTC")), zone or told


#: How dates are often written; those whose day and month could be exchanged stand beside each other.
_USUAL = ("%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d", "%d.%m.%y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %H:%M:%S.%f")


def _formats(cells: pa.Array) -> list[str]:
    """The usual formats that every cell has."""
    texts = cells.cast(pa.string()).drop_null()
    found: list[str] = []
    for written in (f"{day}{clock}" for day in _USUAL for clock in _CLOCKS):
        made = plain_moments(texts, written)
        if not len(made) or made.null_count:
            continue
        try:
            made.cast(pa.timestamp("us") if "%H" in written else pa.date32())
        except pa.ArrowInvalid:  # such as the 13th month
            continue
        found.append(written)
    return found


def _fits(text: str, request: Request) -> bool:
    return any(plain_moments(pa.array([text]), one).null_count == 0 for one in request.date_formats)


def days_of(moments: pa.Array, zone: str) -> NDArray[np.datetime64]:
    """The day of each row; NaT where it has no time."""
    if not pa.types.is_date(moments.type):
        local = pc.local_timestamp(moments.cast(pa.timestamp("us", zone)))
        moments = pc.floor_temporal(local, unit="day").cast(pa.date32())
    return np.asarray(moments.to_numpy(zero_copy_only=False), dtype="datetime64[D]")


def _parsed(cells: pa.Array, name: str) -> pa.Array:
    """Text as dates or moments, where it is that."""
    for target in (pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return cells.cast(target)
        except pa.ArrowInvalid:
            continue
    return cells


def rows_with_a_time(table: pa.Table, name: str, notes: list[Note]) -> pa.Table:
    """The rows that have one; a few that lack it are left out with a note, many are refused."""
    lost = table[name].null_count
    if lost > LOST * table.num_rows:
        raise UsageError(
            f"{percent(lost / table.num_rows)} of the rows have no '{name}', and a row without a time belongs to no "
            f"day; fill it in, or name another column with --time",
            "TIME",
        )
    if lost:
        notes.append(Note(name, f"{count(lost, 'row')} without a time left out", review=True))
    return table.filter(pc.is_valid(table[name])) if lost else table


def with_day(table: pa.Table, name: str, zone: str, notes: list[Note]) -> tuple[pa.Table, str, str | None]:
    """The table with a date column, its name, and the name of the moment's column if the time is more than a date."""
    moments = table[name].combine_chunks()
    if pa.types.is_date(moments.type):
        return table, name, None
    local = pc.local_timestamp(moments.cast(pa.timestamp("us", zone)))
    days = pc.floor_temporal(local, unit="day").cast(pa.date32())
    at = table.column_names.index(name)
    if pc.all(pc.equal(local, days.cast(pa.timestamp("us")))).as_py():
        notes.append(Note(name, "is midnight in every row, so it is delivered as a date"))
        return table.set_column(at, name, days), name, None
    held = table["day"].combine_chunks() if "day" in table.column_names else None
    if held is not None and pa.types.is_date(held.type) and held.equals(days):
        return table, "day", name
    if held is not None:
        table = renamed(table, {"day": free_name("day_given", table.column_names)}, notes)
    notes.append(Note("day", f"added: the date of '{name}' in {zone}; upstream must deliver it from now on", True))
    return table.add_column(0, "day", days), "day", name
