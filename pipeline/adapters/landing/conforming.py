"""Cells to declared types, and the laws a delivery must keep: keys, day, time. Nothing is coerced in silence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.adapters.landing.cells import LONGEST_CELL, RawCells
from pipeline.adapters.landing.refusals import Subject, quoted, several, share
from pipeline.adapters.row_digests import in_key_order
from pipeline.core.tables import Column, Feed, Table, Type

_INTEGER = r"^-?[0-9]{1,19}$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_DATE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_TIMESTAMP = (
    r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
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
    for column in table.columns:
        cells = raw.columns[column.name]
        typed[column.name], reasons = _convert(column, cells)
        for row, reason in reasons.items():
            rejects.setdefault(int(raw.records[row]), f"{column.name}: {reason}")
        for record, reason in raw.misfits.get(column.name, {}).items():
            # Said of the cell itself, so it replaces "is empty", which is what the typed column sees.
            examples = rejects.get(record, "")
            if not examples or examples == f"{column.name}: {_EMPTY}":
                rejects[record] = f"{column.name}: {reason}"
    if rejects:
        bad = np.isin(raw.records, np.fromiter(rejects, np.int64, len(rejects)))
    rows = pa.table(typed)
    return Typed(rows.filter(pa.array(~bad)) if bad.any() else rows, raw.records[~bad], rejects)


_EMPTY = "is empty and may not be"


def _convert(column: Column, cells: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    reasons: dict[int, str] = {}
    target = _TARGETS[column.type]
    array = cells
    if column.type == "string":
        lengths = pc.binary_length(cells)
        if (pc.max(lengths).as_py() or 0) > LONGEST_CELL:
            for row in _where(pc.greater(lengths, LONGEST_CELL)):
                reasons[row] = f"has {lengths[row].as_py():,} bytes and at most {LONGEST_CELL:,} are kept"
    elif cells.type != target:
        array, reasons = _read_text(column, cells, target)
    if column.type == "number" and not pc.all(pc.is_finite(array)).as_py() and array.null_count < len(array):
        for row in _where(pc.invert(pc.is_finite(array))):
            reasons.setdefault(row, f"{quoted(cells[row].as_py())} is {_WANTED['number']}")
    if not column.empty and cells.null_count:
        for row in _where(pc.is_null(cells)):
            reasons.setdefault(row, _EMPTY)
    return array, reasons


def _read_text(column: Column, cells: pa.Array, target: pa.DataType) -> tuple[pa.Array, dict[int, str]]:
    shaped = pc.match_substring_regex(cells, _SHAPES[column.type])
    if pc.all(shaped).as_py() is not False:
        try:
            return cells.cast(target), {}
        except pa.ArrowInvalid:
            pass  # Such as 30 February: looked at one by one below.
    values: list[Any] = []
    reasons: dict[int, str] = {}
    for row, text in enumerate(cells.to_pylist()):
        value = None if text is None else read_cell(column.type, text)
        if text is not None and value is None:
            reasons[row] = f"{quoted(text)} is {_WANTED[column.type]}"
        values.append(value)
    return pa.array(values, target), reasons


def read_cell(kind: Type, text: str) -> Any:
    """One cell, or None if it is not of that type. The slow way of the conversion of whole columns."""
    if kind == "string":
        return text
    if not re.fullmatch(_SHAPES[kind], text, flags=re.ASCII) or text.endswith("\n"):
        return None
    try:
        return _READERS[kind](text)
    except (ValueError, OverflowError):
        return None


def _integer(text: str) -> int | None:
    return int(text) if -(2**63) <= int(text) < 2**63 else None


def _number(text: str) -> float | None:
    return float(text) if math.isfinite(float(text)) else None


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
