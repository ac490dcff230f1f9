"""Small tools that the faults and the businesses share. Nothing here knows how anything is checked."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

Day = dict[str, pa.Table]
#: The tables of a day, the day, the fault's first day: the tables that it replaces.
Plant = Callable[[Day, date, date], Mapping[str, pa.Table]]

TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def array(values: Any, kind: pa.DataType, n: int | None = None) -> Any:
    """An arrow array of that type; NaN and None are absent, a single value fills the column."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, str | date | int | float) and n is not None:
        return pa.array([values] * n, kind)
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "M":
            return pa.array(values.astype("datetime64[us]"), pa.timestamp("us")).cast(kind)
        if values.dtype.kind == "f":
            if pa.types.is_integer(kind):
                values = np.round(values)
            return pa.array(values, from_pandas=True).cast(kind)
        if values.dtype.kind in "iub":
            return pa.array(values.astype(np.int64)).cast(kind)
        values = values.tolist()
    return pa.array(list(values), kind)


def build(declared: Any, **columns: Any) -> pa.Table:
    """A typed table as declared, from arrays, lists or single values."""
    n = max(len(v) for v in columns.values() if not isinstance(v, str | date | int | float))
    return pa.table({c.name: array(columns[c.name], TYPES[c.type], n) for c in declared.columns})


def put(table: pa.Table, **columns: Any) -> pa.Table:
    """The table with these columns replaced."""
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, array(values, table.schema.field(at).type, len(table)))
    return table


def number(table: pa.Table, name: str) -> Any:
    """A numeric column as floats, NaN where absent."""
    return np.array(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=float)


def words(table: pa.Table, name: str) -> Any:
    """A column as an array of objects, None where absent."""
    out = np.empty(len(table), dtype=object)
    out[:] = table[name].to_pylist()
    return out


def keep(table: pa.Table, mask: Any) -> pa.Table:
    """The rows where the mask holds."""
    return table.filter(pa.array(np.asarray(mask, dtype=bool)))


def moments(table: pa.Table, name: str) -> Any:
    """A timestamp column as naive UTC datetime64[us]."""
    return np.array(table[name].cast(pa.timestamp("us")).to_numpy(zero_copy_only=False), dtype="datetime64[us]")


def mark(text: Any) -> int:
    """A stable number of a word."""
    return zlib.crc32(str(text).encode())


def rng(seed: int, day: date | None = None) -> np.random.Generator:
    """The dice of a day."""
    return np.random.default_rng([seed, day.toordinal()] if day else [seed])


def refreshed(table: pa.Table, day: date) -> pa.Table:
    """A reference behind another date."""
    return put(table, refreshed=day)


@lru_cache(maxsize=4096)
def _offsets(day: date, zone: str) -> Any:
    """Minutes to add to local time for UTC, for each local hour of a day and the next."""
    there, found = ZoneInfo(zone), []
    for hour in range(48):
        at = datetime(day.year, day.month, day.day) + timedelta(hours=hour)
        found.append(-at.replace(tzinfo=there).utcoffset().total_seconds() / 60)
    return np.array(found)


def utc(day: date, minutes: Any, zone: str) -> Any:
    """Local minutes of a day (0 to 2879, fractions allowed) as naive UTC datetime64[us], whole seconds."""
    minutes = np.asarray(minutes, dtype=float)
    off = _offsets(day, zone)[np.clip((minutes // 60).astype(int), 0, 47)]
    seconds = np.round((minutes + off) * 60).astype("int64")
    return np.datetime64(day, "us") + seconds.astype("timedelta64[s]")


def local_minutes(table: pa.Table, name: str, zone: str) -> Any:
    """Local minute of the day of a timestamp column."""
    import pyarrow.compute as pc

    there = pc.local_timestamp(table[name].cast(pa.timestamp("us", zone)))
    return np.array(pc.hour(there).to_numpy()) * 60 + np.array(pc.minute(there).to_numpy())


def easter(year: int) -> date:
    """Easter Sunday."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    m = (a + 11 * h) // 319
    j, k = c // 4, c % 4
    n = (2 * e + 2 * j - k - h + m + 32) % 7
    month = (h - m + n + 90) // 25
    return date(year, month, (h - m + n + month + 19) % 32)


def missing_values(dice: np.random.Generator, values: Any, rate: float) -> Any:
    """Absent at a steady rate."""
    gone = dice.random(len(values)) < rate
    if values.dtype == object:
        return np.where(gone, None, values)
    return np.where(gone, np.nan, values.astype(float))


def no_rows(declared: Any) -> pa.Table:
    return pa.table({c.name: pa.array([], TYPES[c.type]) for c in declared.columns})


def columns(told: str) -> tuple[Any, ...]:
    """Columns told in short: ``day date, weight number?, lost integer?!``; ``?`` may be absent, ``!`` is an outcome."""
    from pipeline.core.tables import Column

    pairs = [one.split() for one in told.split(",")]
    return tuple(Column(name, kind.rstrip("?!"), empty="?" in kind, outcome="!" in kind) for name, kind in pairs)  # type: ignore[arg-type]


def ref(
    name: str, columns: tuple[Any, ...], key: tuple[str, ...], joined: tuple[str, tuple[str, ...]], **more: Any
) -> Any:
    """A reference table as somebody declares it who sets no limit by hand."""
    from pipeline.core.tables import Column, Reference
    from pipeline.core.verdict import Bound

    return Reference(
        name=name,
        path=f"{name}/{{day}}.csv.gz",
        columns=(*columns, Column("refreshed", "date")),
        key=key,
        refreshed="refreshed",
        max_age=1,
        max_unchanged=None,
        joined_by=joined,
        matched=Bound(0.9, 1.0),
        **more,
    )


def listed(name: str, told: str, feed: str, keys: int = 1) -> Any:
    """Such a reference table, told in short; its first columns are its key and have the same names in the feed."""
    told_columns = columns(told)
    key = tuple(column.name for column in told_columns[:keys])
    return ref(name, told_columns, key, (feed, key))


# Plants that fit any business -----------------------------------------------------------------------------------------

Where = Callable[[pa.Table], Any]


def _all(rows: pa.Table) -> Any:
    return np.ones(len(rows), dtype=bool)


def change(table: str, column: str, how: Callable[[Any], Any], where: Where = _all) -> Plant:
    """Replace a numeric column where the mask holds."""

    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables[table]
        old = number(rows, column)
        with np.errstate(all="ignore"):
            return {table: put(rows, **{column: np.where(where(rows), how(old), old)})}

    return plant


def recode(table: str, column: str, codes: Mapping[Any, Any] | Callable[[Any], Any], where: Where = _all) -> Plant:
    """Replace words; what has no code stays."""

    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables[table]
        mask, old = where(rows), words(rows, column)
        new = [
            (codes(w) if callable(codes) else codes.get(w, w)) if there and w is not None else w
            for w, there in zip(old, mask, strict=True)
        ]
        return {table: put(rows, **{column: new})}

    return plant


def blank(table: str, columns: Sequence[str], where: Where) -> Plant:
    """Take values away where the mask holds."""

    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables[table]
        mask = where(rows)
        new = {c: [None if gone else v for v, gone in zip(rows[c].to_pylist(), mask, strict=True)] for c in columns}
        return {table: put(rows, **new)}

    return plant


def drop(table: str, gone: Where) -> Plant:
    """Take rows away where the mask holds."""
    return lambda tables, _, __: {table: keep(tables[table], ~np.asarray(gone(tables[table]), dtype=bool))}


def moved(table: str, column: str, minutes: float, where: Where = _all) -> Plant:
    """Another clock where the mask holds."""

    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables[table]
        step = np.timedelta64(int(minutes * 60), "s")
        at = moments(rows, column)
        return {table: put(rows, **{column: np.where(where(rows), at + step, at)})}

    return plant


def by_row(
    of: Callable[[date], Day], table: str, columns: Sequence[str], back: int, where: Where = _all, by: str | None = None
) -> Plant:
    """These columns are another day's: row after row in the file's order (or by the key ``by``)."""

    def plant(tables: Day, day: date, _: date) -> Day:
        rows, other = tables[table], of(day - timedelta(back))[table]
        if not len(other):
            return {}
        if by is None:
            at = np.arange(len(rows)) % len(other)
        else:
            found = {key: n for n, key in enumerate(other[by].to_pylist())}
            at = np.array([found.get(key, -1) for key in rows[by].to_pylist()])
        mask = np.asarray(where(rows), dtype=bool) & (at >= 0)
        new = {}
        for c in columns:
            theirs, ours = other[c].to_pylist(), rows[c].to_pylist()
            new[c] = [theirs[i] if m else o for i, m, o in zip(at, mask, ours, strict=True)]
        return {table: put(rows, **new)}

    return plant


def next_row(table: str, columns: Sequence[str], among: Where = _all) -> Plant:
    """These columns belong to the row after, among the rows where the mask holds."""

    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables[table]
        at = np.arange(len(rows))
        some = np.flatnonzero(among(rows))
        at[some] = np.roll(some, -1)
        return {table: put(rows, **{c: rows[c].take(pa.array(at)) for c in columns})}

    return plant


def lagging(of: Callable[[date], Day], table: str, days: int) -> Plant:
    """A reference whose content is that of some days ago, behind today's date."""
    return lambda _, day, __: {table: refreshed(of(day - timedelta(days))[table], day)}


def two_replicas(of: Callable[[date], Day], table: str, days: int) -> Plant:
    """Every second day the reference comes from a copy that stopped some days before the fault began."""

    def plant(tables: Day, day: date, first: date) -> Day:
        if (day - first).days % 2:
            return {}
        return {table: refreshed(of(first - timedelta(days))[table], day)}

    return plant


def sorted_alone(table: str, *columns: str) -> Plant:
    """These columns were sorted without the rest of the row."""

    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables[table]
        new = {}
        for c in columns:
            values = rows[c].to_pylist()
            there = sorted(v for v in values if v is not None)
            rest = iter(there)
            new[c] = [None if v is None else next(rest) for v in values]
        return {table: put(rows, **new)}

    return plant


def is_(column: str, *values: Any) -> Where:
    """Rows that hold one of these."""
    return lambda rows: np.array([v in values for v in rows[column].to_pylist()], dtype=bool)


def over(column: str, low: float = -np.inf, high: float = np.inf) -> Where:
    """Rows with a value between (low exclusive, high inclusive)."""

    def mask(rows: pa.Table) -> Any:
        values = number(rows, column)
        with np.errstate(all="ignore"):
            return (values > low) & (values <= high)

    return mask


# How much a fault touches ---------------------------------------------------------------------------------------------


def _rows(table: pa.Table, key: Sequence[str], leave: Sequence[str] = ()) -> dict[Any, Any]:
    names = [n for n in table.column_names if n not in leave]
    columns = [table[n].to_pylist() for n in names]
    keys = list(zip(*(table[k].to_pylist() for k in key), strict=True))
    return dict(zip(keys, zip(*columns, strict=True), strict=True))


def share(tables: Sequence[Any], clean: Day, faulty: Mapping[str, pa.Table]) -> float:
    """The largest share, over the feeds, of rows changed, gone, added, or joined to a reference row that changed."""
    from pipeline.core.tables import Feed

    best = 0.0
    for feed in (t for t in tables if isinstance(t, Feed) and t.name in clean):
        old, new = clean[feed.name], faulty.get(feed.name, clean[feed.name])
        before, after = _rows(old, feed.key), _rows(new, feed.key)
        hit = {k for k in before if after.get(k) != before[k]}
        added = sum(k not in before for k in after)
        for ref in (t for t in tables if not isinstance(t, Feed) and t.joined_by[0] == feed.name):
            if ref.name not in faulty:
                continue
            was = _rows(clean[ref.name], ref.key, (ref.refreshed,))
            now = _rows(faulty[ref.name], ref.key, (ref.refreshed,))
            changed = {k for k in was.keys() | now.keys() if was.get(k) != now.get(k)}
            joins = zip(*(old[c].to_pylist() for c in ref.joined_by[1]), strict=True)
            hit |= {k for k, j in zip(before, joins, strict=True) if j in changed}
        best = max(best, (len(hit) + added) / max(len(before), 1))
    return best
