"""Cells to declared types, and the laws a delivery must keep: keys, day, time. Nothing is coerced in silence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.adapters.landing.cells import LONGEST_CELL, RawCells
from pipeline.adapters.landing.refusals import Subject, quoted, several, share
from pipeline.adapters.landing.written import MIDNIGHT, in_utc, is_naive, plainly
from pipeline.adapters.row_digests import in_key_order
from pipeline.core.facts import MOST_EXACT
from pipeline.core.forms import Form
from pipeline.core.tables import Column, Feed, Table, Type

_INTEGER = r"^-?[0-9]{1,19}$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_DATE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_TIMESTAMP = (
    r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
)
_SHAPES: dict[Type, str] = {"integer": _INTEGER, "number": _NUMBER, "date": _DATE, "timestamp": _TIMESTAMP}
_TARGETS = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
_WANTED: dict[Type, str] = {
    "integer": "no integer",
    "number": "no finite number",
    "date": "no date such as 2013-03-08",
    "timestamp": "no time with an offset such as 2013-03-08T09:00:00Z",
    "string": "no text",
}
#: How far from noon (UTC) of its day an event may lie: a local day anywhere on earth fits in.
_REACH = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class Typed:
    """The sound rows of a delivery, and the others.

    Attributes:
        rows: A pyarrow table with the declared columns, in the order of the file.
        records: The record number of each row.
        rejects: Record number to the reason.
    """

    rows: Any
    records: NDArray[np.int64]
    rejects: dict[int, str]


def conform(table: Table, raw: RawCells) -> Typed:
    """Give every column its declared type; a row with a cell that does not fit is rejected, with the first reason."""
    rejects = dict(raw.broken)
    typed: dict[str, pa.Array] = {}
    bad = np.zeros(len(raw.records), dtype=bool)
    form = table.form
    for column in table.columns:
        if column.name not in raw.columns:
            continue  # the day, which is made of a moment
        cells = raw.columns[column.name]
        typed[column.name], reasons = _convert(column, cells, form)
        for row, reason in reasons.items():
            rejects.setdefault(int(raw.records[row]), f"{column.name}: {reason}")
        for record, reason in raw.misfits.get(column.name, {}).items():
            # Said of the cell itself, so it replaces "is empty", which is what the typed column sees.
            examples = rejects.get(record, "")
            if not examples or examples == f"{column.name}: {_EMPTY}":
                rejects[record] = f"{column.name}: {reason}"
    if isinstance(table, Feed) and table.day not in typed:
        typed = _with_day(table, typed)
    if rejects:
        bad = np.isin(raw.records, np.fromiter(rejects, np.int64, len(rejects)))
    rows = pa.table(typed)
    return Typed(rows.filter(pa.array(~bad)) if bad.any() else rows, raw.records[~bad], rejects)


_EMPTY = "is empty and may not be"


def _with_day(table: Feed, typed: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """The columns in their order, the day made of the moment that the form names."""
    local = pc.local_timestamp(typed[table.form.day_of].cast(pa.timestamp("us", table.form.days)))
    day = pc.floor_temporal(local, unit="day").cast(pa.date32())
    return {column.name: typed.get(column.name, day) for column in table.columns}


def _convert(column: Column, cells: pa.Array, form: Form) -> tuple[pa.Array, dict[int, str]]:
    reasons: dict[int, str] = {}
    target = _TARGETS[column.type]
    array = cells
    if column.type == "string":
        lengths = pc.binary_length(cells)
        if (pc.max(lengths).as_py() or 0) > LONGEST_CELL:
            for row in _where(pc.greater(lengths, LONGEST_CELL)):
                reasons[row] = f"has {lengths[row].as_py():,} bytes and at most {LONGEST_CELL:,} are kept"
    elif cells.type != target:
        array, reasons, cells = _read_text(column, cells, target, form)
    if column.type == "number" and not pc.all(pc.is_finite(array)).as_py() and array.null_count < len(array):
        for row in _where(pc.invert(pc.is_finite(array))):
            reasons.setdefault(row, f"{quoted(cells[row].as_py())} is {_WANTED['number']}")
    if not column.empty and cells.null_count:
        for row in _where(pc.is_null(cells)):
            reasons.setdefault(row, _EMPTY)
    return array, reasons


def _read_text(
    column: Column, cells: pa.Array, target: pa.DataType, form: Form
) -> tuple[pa.Array, dict[int, str], pa.Array]:
    """The values, what is wrong with which row, and the cells without the words that mean an empty one."""
    plain, unfit = plainly(column, cells, form)
    zone = form.zone if column.type == "timestamp" else ""
    if not pc.any(unfit).as_py():
        quick = _read_quickly(column.type, plain, target, zone)
        if quick is not None:
            return quick, {}, plain
    values: list[Any] = []
    reasons: dict[int, str] = {}
    rows = zip(plain.to_pylist(), unfit.to_pylist(), strict=True)
    for row, (text, no_fit) in enumerate(rows):
        value = None if text is None or no_fit else read_cell(column.type, text, zone)
        if text is not None and value is None:
            rounded = column.type == "number" and not no_fit and _is_rounded(text)
            wrong = "a whole number that is rounded as a floating one" if rounded else _wanted(column.type, form)
            reasons[row] = f"{quoted(cells[row].as_py())} is {wrong}"
        values.append(value)
    return pa.array(values, target), reasons, plain


def _wanted(kind: Type, form: Form) -> str:
    written = {"date": form.dates, "timestamp": form.times}.get(kind, "")
    signs = "".join(filter(None, (form.thousands, form.decimal))) if kind in ("integer", "number") else ""
    if written:
        return f"{_WANTED[kind]} or {written}"
    return _WANTED[kind] if signs in ("", ".") else f"{_WANTED[kind]} as the declared form writes them ({signs})"


def _read_quickly(kind: Type, cells: pa.Array, target: pa.DataType, zone: str) -> pa.Array | None:
    """A whole column at once; None if there is a cell that has to be looked at by itself."""
    naive = is_naive(cells) if zone else None
    shaped = pc.match_substring_regex(cells, _SHAPES[kind])
    if naive is not None:
        shaped = pc.or_(pc.fill_null(shaped, True), naive)
    if pc.all(shaped).as_py() is False:
        return None
    try:
        if naive is not None and pc.any(naive).as_py():
            nothing = pa.scalar(None, pa.string())
            ours = in_utc(pc.if_else(naive, cells, nothing).cast(pa.timestamp("us")), zone)
            return pc.coalesce(ours, pc.if_else(naive, nothing, cells).cast(target))
        array = cells.cast(target)
    except pa.ArrowInvalid:
        return None  # Such as 30 February.
    if kind == "number" and pc.any(pc.greater_equal(pc.abs(array), float(MOST_EXACT))).as_py():
        return None  # Perhaps a whole number that a floating one can't hold.
    return array


def _is_rounded(text: str) -> bool:
    """Whether a whole number, written as one, would become another as a floating number."""
    return bool(re.fullmatch(r"[+-]?[0-9]{1,400}", text)) and _beyond(text)


def _beyond(text: str) -> bool:
    return not math.isinf(float(text)) and int(float(text)) != int(text)


def read_cell(kind: Type, text: str, zone: str = "") -> Any:
    """One cell, or None if it is not of that type. The slow way of the conversion of whole columns."""
    if kind == "string":
        return text
    if zone and is_naive(pa.array([text]))[0].as_py():
        try:
            return in_utc(pa.array([text]).cast(pa.timestamp("us")), zone)[0].as_py()
        except pa.ArrowInvalid:
            return None
    if kind == "date":
        text = re.sub(MIDNIGHT, r"\1", text)
    if not re.fullmatch(_SHAPES[kind], text, flags=re.ASCII) or text.endswith("\n"):
        return None
    try:
        return _READERS[kind](text)
    except (ValueError, OverflowError):
        return None


def _integer(text: str) -> int | None:
    return int(text) if -(2**63) <= int(text) < 2**63 else None


def _number(text: str) -> float | None:
    return float(text) if math.isfinite(float(text)) and not _is_rounded(text) else None


_READERS: dict[Type, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "date": date.fromisoformat,
    "timestamp": lambda text: datetime.fromisoformat(text).astimezone(UTC),
}


def _where(mask: pa.Array) -> list[int]:
    rows: list[int] = np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist()
    return rows


def check_keys(table: Table, typed: Typed, raw: RawCells, subject: Subject) -> Typed:
    """Two rows of one key that differ refuse the file; a row that repeats another exactly is rejected."""
    order = in_key_order(typed.rows, table.key)
    if len(order) < 2:
        return typed
    ordered = typed.rows.take(order)
    same_key = _same_as_before(ordered, table.key)
    if not same_key.any():
        return typed
    same_row = _same_as_before(ordered, ordered.column_names)
    places = order.to_numpy()
    conflicts = np.flatnonzero(same_key & ~same_row)
    if len(conflicts):
        # The later of two rows that are neighbours in key order stands one further on.
        shown_pairs = [_pair(table, typed, raw, ordered, places, int(at)) for at in conflicts[:5]]
        more = f" and {len(conflicts) - 5:,} more" if len(conflicts) > 5 else ""
        raise subject.refused(
            "KEY_CONFLICT",
            f"has {share(len(conflicts), raw.total)} with the key ({', '.join(table.key)}) of another row but other "
            f"values: {'; '.join(shown_pairs)}{more}",
            "ask upstream which of them is right",
        )
    rejects = dict(typed.rejects)
    for at in np.flatnonzero(same_row):
        first, again = (int(typed.records[places[at + n]]) for n in (0, 1))
        rejects[again] = f"repeats line {raw.locate(first)[0]}"
    if len(rejects) - len(typed.rejects) > table.bad_rows * raw.total:
        raise subject.refused(
            "DUPLICATED",
            f"holds {share(len(rejects) - len(typed.rejects), raw.total)} a second time, and at most "
            f"{table.bad_rows:.2%} may go to quarantine: was it written twice?",
        )
    keep = ~np.isin(typed.records, np.fromiter(rejects, np.int64, len(rejects)))
    return Typed(typed.rows.filter(pa.array(keep)), typed.records[keep], rejects)


def _same_as_before(rows: pa.Table, names: Sequence[str]) -> NDArray[np.bool_]:
    """For each row but the first: whether it equals the one before it, an empty cell equal to an empty cell."""
    same = np.ones(rows.num_rows - 1, dtype=bool)
    for name in names:
        column = rows[name].combine_chunks()
        here, before = column.slice(1), column.slice(0, len(column) - 1)
        equal = pc.fill_null(pc.equal(here, before), False)
        both_empty = pc.and_(pc.is_null(here), pc.is_null(before))
        same &= pc.or_(equal, both_empty).to_numpy(zero_copy_only=False)
    return same


def _pair(table: Table, typed: Typed, raw: RawCells, ordered: pa.Table, places: NDArray[np.int64], at: int) -> str:
    lines = sorted(raw.locate(int(typed.records[places[at + n]]))[0] for n in (0, 1))
    key = ", ".join(str(ordered[name][at].as_py()) for name in table.key)
    return f"lines {lines[0]:,} and {lines[1]:,} ({key[:80]})"


def check_days(table: Table, day: date, typed: Typed, raw: RawCells, subject: Subject) -> None:
    """Refuse rows of another day than the file's, and events that can't have happened on it."""
    if not isinstance(table, Feed):
        _check_refreshed(table.refreshed, day, typed, raw, subject)
        return
    days = typed.rows[table.day].combine_chunks()
    other = _where(pc.not_equal(days, pa.scalar(day, pa.date32())))
    if other:
        late = _where(pc.greater(days, pa.scalar(day, pa.date32())))
        examples = _examples(typed, raw, late or other, lambda row: str(days[row].as_py()))
        if late:
            what = f"has {share(len(late), raw.total)} dated later than {day} in '{table.day}': {examples}"
            raise subject.refused("FUTURE", f"{what}. What has not happened yet can't be known")
        raise subject.refused(
            "OTHER_DAY", f"has {share(len(other), raw.total)} of another day than {day} in '{table.day}': {examples}"
        )
    if table.time is None:
        return
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    low, high = noon - _REACH, noon + _REACH
    times = typed.rows[table.time].combine_chunks()
    early = pc.less(times, pa.scalar(low, pa.timestamp("us", "UTC")))
    late_ = pc.greater_equal(times, pa.scalar(high, pa.timestamp("us", "UTC")))
    out = _where(pc.or_kleene(early, late_))
    if out:
        examples = _examples(typed, raw, out, lambda row: f"{times[row].as_py():%Y-%m-%d %H:%M}")
        raise subject.refused(
            "TIME",
            f"has {share(len(out), raw.total)} whose '{table.time}' lies outside {low:%Y-%m-%d %H:%M} to "
            f"{high:%Y-%m-%d %H:%M} UTC: {examples}",
            "ask upstream whether its clock or its unit of time changed",
        )


def _check_refreshed(column: str, day: date, typed: Typed, raw: RawCells, subject: Subject) -> None:
    dates = typed.rows[column].combine_chunks()
    if not pa.types.is_date32(dates.type):
        dates = dates.cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
    late = _where(pc.greater(dates, pa.scalar(day, pa.date32())))
    if late:
        examples = _examples(typed, raw, late, lambda row: str(dates[row].as_py()))
        raise subject.refused(
            "FUTURE",
            f"says of {share(len(late), raw.total)} that it was refreshed ('{column}') later than {day}: {examples}. "
            f"What has not happened yet can't be known",
        )


def _examples(typed: Typed, raw: RawCells, rows: Sequence[int], value: Any) -> str:
    shown = [f"line {raw.locate(int(typed.records[row]))[0]:,} says {value(row)}" for row in rows[:5]]
    return several(shown) + (f" and {len(rows) - 5:,} more" if len(rows) > 5 else "")
