"""Features by Polars over tables pinned in the store: of a day, of a training window, of one request."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import narwhals as nw

from pipeline.core.errors import RefusedError, UsageError
from pipeline.core.ports import Store, Units
from pipeline.core.tables import Column, Feed, Reference, Table, Type
from pipeline.core.windows import Days

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.core.usecase import Tables, Usecase

log = logging.getLogger(__name__)

#: How far before the first day of history a snapshot of a reference table may lie and still be joined.
REACH = 30


class PolarsEngine:
    """The Engine port on Polars.

    Features see frames with all declared columns, ``day`` and the feeds' ``known_at`` columns: whole numbers as 64-bit
    integers, dates as dates, timestamps in UTC without a zone, rows in the order of day and key. Of a reference table
    they see one copy for every day, the latest snapshot of that day or before. What they compute is bit for bit the
    same on any number of threads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, usecase: Usecase) -> None:
        """Try the features on tables without rows: what they can be refused for is known before any file is read.

        Raises:
            UsageError: Whatever the rows are, they can't be computed, lack a declared column, or make an input that is
                neither a number nor a word.
        """
        import pyarrow as pa

        from pipeline.adapters.engine.frames import LOOKED
        from pipeline.adapters.engine.selecting import declared

        LOOKED.set(False)
        rows = {table.name: pa.schema(_schema(table)).empty_table() for table in usecase.tables}
        try:
            declared(usecase, lambda: known(usecase, frames_of(usecase, rows)), Days(date.min, date.max))
        except Exception as error:
            # Features that look at their rows may want some: what a library says of them then is no answer yet.
            if isinstance(error, UsageError) and not (LOOKED.get() and error.__cause__):
                raise
            log.info("%s: the features can't be tried without rows: %s", usecase.name, error)

    def units(self, usecase: Usecase, versions: Mapping[str, int], days: Days, without: Iterable[date] = ()) -> Units:
        """The units of ``days``, sorted by day and key; days in ``without`` are invisible throughout.

        Raises:
            RefusedError: If the features make two rows of one unit, or none (a join that multiplies or loses rows),
                or a value of them can't be computed.
            UsageError: If the features can't be computed, lack a declared column or make an input that is neither a
                number nor a word; or if a table has no pinned version.
        """
        from pipeline.adapters.engine.selecting import chosen, units_of

        rows = self._rows(usecase, versions, days, frozenset(without))
        table = chosen(usecase, lambda: known(usecase, frames_of(usecase, rows)), days)
        return units_of(usecase, table, expected=_count(rows[usecase.feeds[0].name], days))

    def tables(self, usecase: Usecase, versions: Mapping[str, int], days: Days, without: Iterable[date] = ()) -> Tables:
        """What the features of ``days`` are computed from, by the same engine: for audits, and for one request."""
        return known(usecase, frames_of(usecase, self._rows(usecase, versions, days, frozenset(without))))

    def _rows(
        self, usecase: Usecase, versions: Mapping[str, int], days: Days, without: frozenset[date]
    ) -> dict[str, pa.Table]:
        missing = [table.name for table in usecase.tables if table.name not in versions]
        if missing:
            raise UsageError(f"the snapshot of use case '{usecase.name}' pins no version of {', '.join(missing)}")
        reach = days.back(usecase.history)
        rows: dict[str, pa.Table] = {}
        for table in usecase.tables:
            version = versions[table.name]
            if isinstance(table, Feed):
                read = typed(table, self._store.read(table.name, version, reach))
                rows[table.name] = _without(read, without)
            else:
                rows[table.name] = self._as_of(table, version, reach, without)
        return rows

    def _as_of(self, table: Reference, version: int, reach: Days, without: frozenset[date]) -> pa.Table:
        """The table once for every day of ``reach``: the latest snapshot of that day or before."""
        import pyarrow as pa

        far = reach.back(REACH)
        taken = sorted(day for day in self._store.marks(table.name, version, far) if day not in without)
        first = max((day for day in taken if day <= reach.first), default=reach.first)
        snapshots = typed(table, self._store.read(table.name, version, Days(first, reach.last)))
        parts = {day: part.drop_columns(["day"]) for day, part in _split(snapshots).items()}
        copies = [typed(table, snapshots.slice(0, 0))]
        for day in reach:
            snapshot_day = max((before for before in taken if before <= day), default=None)
            # A snapshot without rows is a snapshot: nothing is known on such a day.
            if snapshot_day in parts:
                part = parts[snapshot_day]
                copies.append(
                    part.append_column("day", pa.array([day] * len(part), pa.date32())).select(copies[0].column_names)
                )
        return pa.concat_tables(copies)


def known(usecase: Usecase, frames: Mapping[str, Any]) -> Tables:
    """Add to the feeds' frames the columns that say from when on a row is known."""
    feeds = {feed.name: (feed.known_at or _day_closed)(frames[feed.name]) for feed in usecase.feeds}
    return {**frames, **feeds}


def frames_of(usecase: Usecase, rows: Mapping[str, pa.Table]) -> dict[str, Any]:
    """The tables as features see them, in an order of their own: not that in which the store happens to hand them."""
    import polars as pl

    from pipeline.adapters.engine.frames import lazy

    frames: dict[str, Any] = {}
    for table in usecase.tables:
        frame = pl.from_arrow(rows[table.name])
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - of a table it makes nothing else
        if len(frame):  # without rows nothing is computed at all, not even by a fork, which has no threads to do it
            frame = frame.sort(*dict.fromkeys(("day", *table.key)), maintain_order=True)
        frames[table.name] = lazy(frame.lazy())
    return frames


def _day_closed(frame: Any) -> Any:
    # At noon UTC of the next day, the day before has closed everywhere on Earth.
    return frame.with_columns(known_at=nw.col("day").cast(nw.Datetime("us")) + timedelta(hours=36))


def _arrow_type(kind: Type) -> pa.DataType:
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }
    return types[kind]


def _schema(table: Table) -> list[tuple[str, pa.DataType]]:
    columns = {column.name: column for column in table.columns} | {"day": Column("day", "date")}
    return [(name, _arrow_type(column.type)) for name, column in columns.items()]


def typed(table: Table, rows: pa.Table) -> pa.Table:
    """The declared columns and ``day``, in the types that features are promised."""
    import pyarrow as pa

    schema = pa.schema(_schema(table))
    missing = [name for name in schema.names if name not in rows.column_names]
    if missing:
        raise RefusedError(f"table '{table.name}' has no column {', '.join(missing)} in the store", "SCHEMA")
    return rows.select(schema.names).cast(schema)


def _without(rows: pa.Table, days: frozenset[date]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    return rows.filter(pc.invert(pc.is_in(rows["day"], pa.array(sorted(days), pa.date32())))) if days else rows


def _split(rows: pa.Table) -> dict[date, pa.Table]:
    import pyarrow as pa
    import pyarrow.compute as pc

    days = pc.unique(rows["day"]).to_pylist()
    return {day: rows.filter(pc.equal(rows["day"], pa.scalar(day, pa.date32()))) for day in days}


def _count(rows: pa.Table, days: Days) -> int:
    return sum(len(part) for day, part in _split(rows).items() if day in days)
