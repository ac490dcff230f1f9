"""The history as the product will be given it: each row of a day, one row a day for a unit, sound names and cells."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.words import count, percent, some
from pipeline.onboarding.notes import Note

KindName = Literal["binary", "multiclass", "regression"]

#: Days without which neither a model nor a suite could be checked on data it has not seen.
FEWEST = 15
#: The share of the days, the oldest, that suites and choices are made from; the newer rest checks them.
OLDER = 0.7
#: The share of the rows that may lack the time or the unit, and are left out.
_LOST = 0.01
#: Columns that features add, or the store does.
RESERVED = ("day", "predicted_at", "unlabelled", "known_at", "weekday", "hour_of_day")
# What begins with '.' or '[' reads as a path into nested columns.
_PLAIN = re.compile(r"[^\s\"'`\\{}_.\[][^\"'`\\{}\x00-\x1f\x7f]{0,62}")
#: Beyond this no number measures anything, and models that square it or take it as a short float break.
_HUGE = 1e30


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


@dataclass(frozen=True)
class History:
    """The rows, sorted by day and unit.

    Attributes:
        rows: Columns of text, ``int64``, ``float64``, ``date32`` or ``timestamp[us, UTC]``.
        day: The date column.
        time: The timestamp column of the event, if the time is more than a date.
        unit: The unit's columns.
        target: The target's column.
        zone: IANA name of the days.
    """

    rows: pa.Table
    day: str
    time: str | None
    unit: tuple[str, ...]
    target: str
    zone: str

    @cached_property
    def dates(self) -> NDArray[np.datetime64]:
        """The day of each row."""
        return np.asarray(self.rows[self.day].to_numpy(), dtype="datetime64[D]")

    @cached_property
    def calendar(self) -> tuple[date, ...]:
        """The days that have rows, oldest first."""
        days: list[date] = np.unique(self.dates).tolist()
        return tuple(days)

    @cached_property
    def split(self) -> date:
        """The first of the newer days."""
        return self.calendar[round(OLDER * len(self.calendar))]

    @cached_property
    def newer(self) -> NDArray[np.bool_]:
        """Which rows are of the newer days."""
        return np.asarray(self.dates >= np.datetime64(self.split), dtype=np.bool_)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The number of each row's day in the calendar."""
        return np.unique(self.dates, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each day of the calendar."""
        return np.unique(self.dates, return_counts=True)[1].astype(np.int64)

    def of(self, day: date) -> pa.Table:
        """The rows of one day."""
        low, high = np.searchsorted(self.dates, [np.datetime64(day), np.datetime64(day + timedelta(1))])
        return self.rows.slice(int(low), int(high - low))


def column(table: pa.Table, name: str, what: str) -> pa.Array:
    """The column of that name.

    Raises:
        UsageError: There is none; the nearest names are told.
    """
    if name in table.column_names:
        return table[name].combine_chunks()
    by_case = {known.casefold(): known for known in table.column_names}
    near = [by_case[n] for n in difflib.get_close_matches(name.casefold(), by_case, 3, 0.5)]
    hint = f"the nearest: {', '.join(near)}" if near else f"it has {some(table.column_names, 8)}"
    raise UsageError(f"the history has no column '{name}' for --{what}; {hint}", "COLUMN")


def assemble(request: Request, table: pa.Table, notes: list[Note]) -> History:
    """Give every row its day and every column a sound name; what can't be used is refused, or left out and said.

    Raises:
        UsageError: The file cannot serve; the sentence says what would help.
    """
    for what, names in (("target", (request.target,)), ("time", (request.time,)), ("unit", request.unit)):
        for name in names:
            column(table, name, what)
    if request.target == request.time:
        raise UsageError(
            f"'{request.target}' can't be the target and the time at once; name another column with --target", "COLUMN"
        )
    unit = tuple(dict.fromkeys(name for name in request.unit if name != request.time))
    if not unit or request.target in (*unit, request.time):
        raise UsageError(
            f"--unit names what a prediction is about, by columns other than the time and the target; "
            f"got {', '.join(request.unit)}",
            "UNIT",
        )
    times, zone = _times(table[request.time].combine_chunks(), request, notes)
    table = table.set_column(table.column_names.index(request.time), request.time, times)
    table = _with_unit(_with_time(table, request.time, notes), unit, notes)
    table, unit = _integer_units(table, unit)
    table, day, time = _dated(table, request.time, zone, notes)
    table, known_as = _named(table, day, notes)
    day, time = known_as[day], known_as[time] if time else None
    unit = tuple(known_as[name] for name in unit)
    table = _cells(table, notes)
    target = known_as[request.target]
    table = _sorted(table, (day, *unit), target, request, notes)
    history = History(table, day, time, unit, target, zone)
    _check_length(history, request)
    return history


def _times(cells: pa.Array, request: Request, notes: list[Note]) -> tuple[pa.Array, str]:
    """The time column as dates, or as moments in UTC; and the zone of the days."""
    name, zone = request.time, request.zone
    try:
        ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"there is no time zone '{zone}'; name one such as Europe/Berlin", "ZONE") from None
    if pa.types.is_date(cells.type):
        return cells, zone or "UTC"
    if pa.types.is_string(cells.type):
        cells = _told(cells, name)
        if pa.types.is_date(cells.type):
            return cells, zone or "UTC"
    if not pa.types.is_timestamp(cells.type):
        shown = next((str(value) for value in cells.to_pylist() if value is not None), "nothing")
        raise UsageError(
            f"'{name}' can't be read as a time, it says {shown[:40]!r}; write dates as 2013-03-08 and times as "
            f"2013-03-08T09:00:00Z",
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


def _told(cells: pa.Array, name: str) -> pa.Array:
    """Text as dates or moments, where it is that."""
    for target in (pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return cells.cast(target)
        except pa.ArrowInvalid:
            continue
    return cells


def _with_time(table: pa.Table, name: str, notes: list[Note]) -> pa.Table:
    lost = table[name].null_count
    if lost > _LOST * table.num_rows:
        raise UsageError(
            f"{percent(lost / table.num_rows)} of the rows have no '{name}', and a row without a time belongs to no "
            f"day; fill it in, or name another column with --time",
            "TIME",
        )
    if lost:
        notes.append(Note(name, f"{count(lost, 'row')} without a time left out", review=True))
    return table.filter(pc.is_valid(table[name])) if lost else table


def _with_unit(table: pa.Table, unit: Sequence[str], notes: list[Note]) -> pa.Table:
    for name in unit:
        cells = table[name]
        there = pc.is_valid(cells)
        if pa.types.is_string(cells.type):
            there = pc.and_(there, pc.not_equal(pc.fill_null(cells, ""), ""))
        lost = table.num_rows - (pc.sum(there).as_py() or 0)
        if lost > _LOST * table.num_rows:
            raise UsageError(
                f"{percent(lost / table.num_rows)} of the rows have no '{name}', which names the unit; fill it in, or "
                f"name other columns with --unit",
                "UNIT",
            )
        if lost:
            notes.append(Note(name, f"{count(lost, 'row')} without it left out", review=True))
            table = table.filter(there)
    return table


def _integer_units(table: pa.Table, unit: tuple[str, ...]) -> tuple[pa.Table, tuple[str, ...]]:
    """A number names a unit only if it is whole."""
    for name in unit:
        if pa.types.is_floating(table[name].type):
            try:
                table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.int64()))
            except pa.ArrowInvalid:
                raise UsageError(
                    f"'{name}' holds fractions and so names no unit; name a column of words or whole numbers", "UNIT"
                ) from None
    return table, unit


def _dated(table: pa.Table, name: str, zone: str, notes: list[Note]) -> tuple[pa.Table, str, str | None]:
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
        table = _renamed(table, {"day": _free("day_given", table.column_names)}, notes)
    notes.append(Note("day", f"added: the date of '{name}' in {zone}; upstream must deliver it from now on", True))
    return table.add_column(0, "day", days), "day", name


def _free(name: str, taken: Sequence[str]) -> str:
    known, number, base = {one.casefold() for one in taken}, 2, name
    while name.casefold() in known:
        name, number = f"{base}_{number}", number + 1
    return name


def _renamed(table: pa.Table, names: dict[str, str], notes: list[Note]) -> pa.Table:
    for old, new in names.items():
        text = f"is called '{new}' from here on (the name is taken, or no sound name); upstream must follow"
        notes.append(Note(old, text, review=True))
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def _named(table: pa.Table, day: str, notes: list[Note]) -> tuple[pa.Table, dict[str, str]]:
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
            new = _free(f"{new}_given" if reserved else new, [*table.column_names, *kept, *RESERVED])
        changed[name] = new
        kept.append(new)
    return _renamed(table, changed, notes), {name: changed.get(name, name) for name in table.column_names}


def _cells(table: pa.Table, notes: list[Note]) -> pa.Table:
    """Truths as 0 and 1; what is no number, and empty text, as missing; every moment in UTC."""
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
            cells = cells.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
            notes.append(Note(name, "names no time zone and is taken as UTC"))
        elif pa.types.is_timestamp(cells.type):
            cells = cells.cast(pa.timestamp("us", "UTC"))
        made[name] = cells
    return pa.table(made)


def _sorted(table: pa.Table, key: tuple[str, ...], target: str, request: Request, notes: list[Note]) -> pa.Table:
    """Sorted by key; rows that repeat another in every cell are left out, two that differ are refused."""
    table = table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in key]))
    twice = _same_as_before(table, key)
    if twice.any():
        again = twice & _same_as_before(table, tuple(table.column_names))
        if again.any():
            notes.append(Note("rows", f"{count(int(again.sum()), 'row')} that repeat another left out", review=True))
            table = table.filter(pa.array(~again))
            twice = _same_as_before(table, key)
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        told = ", ".join(f"{name} {table[name][at].as_py()}" for name in key[1:])
        way = _unique_with(table, key, target)
        names = shlex.quote(",".join((*request.unit, way or "order_id")))
        hint = (
            f"name the unit by more columns, as in --unit {names}"
            if way
            else f"add a column to it, as in --unit {names}"
        )
        raise UsageError(
            f"{count(int(twice.sum()), 'row')} are about a unit that the day already has, such as {told} on "
            f"{table[key[0]][at].as_py()}; {hint}, or keep one row a day for each",
            "TWICE",
        )
    return table


def _same_as_before(table: pa.Table, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """For each row: whether it equals the one before it in these columns."""
    same = np.ones(table.num_rows, dtype=bool)
    same[:1] = False
    for name in names:
        cells = table[name].combine_chunks()
        here, before = cells.slice(1), cells.slice(0, max(len(cells) - 1, 0))
        equal = pc.fill_null(pc.equal(here, before), False)
        both = pc.and_(pc.is_null(here), pc.is_null(before))
        same[1:] &= pc.or_(equal, both).to_numpy(zero_copy_only=False)
    return same


def _unique_with(table: pa.Table, key: tuple[str, ...], target: str) -> str | None:
    """One more column, or two, that would make the key unique."""
    others = [
        name
        for name in table.column_names
        if name not in (*key, target) and not table[name].null_count and not _measures(table[name].type)
    ]
    others.sort(key=lambda name: not name.casefold().endswith(("id", "no", "number", "key")))
    for some_ in (*((name,) for name in others), *combinations(others[:12], 2)):
        if table.group_by([*key, *some_]).aggregate([]).num_rows == table.num_rows:
            return ",".join(some_)
    return None


def _measures(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_temporal(kind))


def _check_length(history: History, request: Request) -> None:
    days = history.calendar
    if len(days) == 1:
        raise UsageError(
            f"all rows are of one day, {days[0]}, by '{request.time}': nothing can be learnt of days before and "
            f"checked on days after; name the column that tells days apart with --time",
            "DAYS",
        )
    if len(days) < FEWEST:
        raise UsageError(
            f"the history has rows of {len(days)} days, {days[0]} to {days[-1]}, and at least {FEWEST} are needed; "
            f"collect more of it",
            "DAYS",
        )
    if not 1900 <= days[0].year <= days[-1].year <= 2200:
        raise UsageError(f"'{request.time}' reaches from {days[0]} to {days[-1]}, which can't be; mend it", "TIME")
