"""Features by DuckDB, out of core, over tables pinned in the store."""

from __future__ import annotations

import atexit
import math
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from pipeline.adapters.frames import in_pandas as frame_of
from pipeline.core.errors import RefusedError, UsageError
from pipeline.core.ports import Store, Units
from pipeline.core.tables import Column, Feed, Reference, Table, Type
from pipeline.core.windows import Days

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.core.usecase import Tables, Usecase

#: How far before the first day of history a snapshot of a reference table may lie and still be joined.
REACH = 30

# narwhals joins as of a time on DuckDB's default connection only, and a connection serves one thread at a time.
_TURN = threading.Lock()


class DuckEngine:
    """The Engine port on DuckDB.

    Features see frames with all declared columns, ``day`` and the feeds' ``known_at`` columns: whole numbers as 64-bit
    integers, dates as dates, timestamps in UTC without a zone. Of a reference table they see one copy for every day,
    the latest snapshot of that day or before.
    """

    def __init__(self, store: Store, memory: str = "2GB", threads: int = 2) -> None:
        self._store = store
        self._settings = {"memory_limit": memory, "threads": str(threads), "TimeZone": "UTC"}

    def units(self, usecase: Usecase, versions: Mapping[str, int], days: Days, without: Iterable[date] = ()) -> Units:
        """The units of ``days``, sorted by day and key; days in ``without`` are invisible throughout.

        Raises:
            RefusedError: If the features make two rows of one unit, or none (a join that multiplies or loses rows).
            UsageError: If the features lack a declared column, or a table has no pinned version.
        """
        rows = self._rows(usecase, versions, days, frozenset(without))
        with _TURN:
            connection = _connection()
            for setting, value in self._settings.items():
                connection.execute(f"SET {setting} = '{value}'")
            frames = {name: nw.from_native(connection.from_arrow(table)) for name, table in rows.items()}
            features = usecase.features(known(usecase, frames)).to_native()
            table = _selected(usecase, features, days).to_arrow_table()
        return _units(usecase, table, expected=_count(rows[usecase.feeds[0].name], days))

    def tables(self, usecase: Usecase, versions: Mapping[str, int], days: Days, without: Iterable[date] = ()) -> Tables:
        """What the features of ``days`` are computed from, as pandas-backed frames: for audits, and for one request."""
        rows = self._rows(usecase, versions, days, frozenset(without))
        return known(usecase, {name: in_pandas(table) for name, table in rows.items()})

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
                read = _typed(table, self._store.read(table.name, version, reach))
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
        snapshots = _typed(table, self._store.read(table.name, version, Days(first, reach.last)))
        parts = {day: part.drop_columns(["day"]) for day, part in _split(snapshots).items()}
        copies = [_typed(table, snapshots.slice(0, 0))]
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


def in_pandas(table: pa.Table) -> Any:
    """The table as a narwhals frame on pandas, of the same schema that features see on DuckDB."""
    return nw.from_native(frame_of(table)).lazy()


def _day_closed(frame: Any) -> Any:
    # At noon UTC of the next day, the day before has closed everywhere on Earth.
    return frame.with_columns(known_at=nw.col("day").cast(nw.Datetime("us")) + timedelta(hours=36))


@cache
def _connection() -> Any:
    import duckdb

    connection = duckdb.default_connection()
    spill = tempfile.mkdtemp(prefix="features-")
    atexit.register(shutil.rmtree, spill, ignore_errors=True)
    connection.execute(f"SET temp_directory = '{spill}'")
    return connection


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


def _typed(table: Table, rows: pa.Table) -> pa.Table:
    """The declared columns and ``day``, in the types that features are promised."""
    import pyarrow as pa

    columns = {column.name: column for column in table.columns} | {"day": Column("day", "date")}
    missing = [name for name in columns if name not in rows.column_names]
    if missing:
        raise RefusedError(f"table '{table.name}' has no column {', '.join(missing)} in the store", "SCHEMA")
    schema = pa.schema([(name, _arrow_type(column.type)) for name, column in columns.items()])
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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _words(columns: Iterable[str]) -> str:
    return f"concat_ws(' ', {', '.join(f'CAST({_quoted(column)} AS VARCHAR)' for column in columns)})"


def _selected(usecase: Usecase, features: Any, days: Days) -> Any:
    """The features' relation cut to ``days``, sorted, with types that do not depend on what the data happen to be."""
    types = dict(zip(features.columns, map(str, features.types), strict=True))
    wanted = ("day", *usecase.unit, "predicted_at", *usecase.inputs, usecase.kind.target, "unlabelled")
    missing = [name for name in (*wanted, *usecase.block, *usecase.slices, *usecase.keys) if name not in types]
    if missing:
        raise UsageError(
            f"the features of use case '{usecase.name}' make no column {', '.join(dict.fromkeys(missing))}"
        )
    worded = bool(usecase.kind.classes) and types[usecase.kind.target] == "VARCHAR"
    columns = {
        "day": "day",
        "key": _words(usecase.unit),
        "block": _words(usecase.block),
        "label": f"CAST({_quoted(usecase.kind.target)} AS {'VARCHAR' if worded else 'DOUBLE'})",
        "unlabelled": "CAST(unlabelled AS VARCHAR)",
        "predicted at": "CAST(predicted_at AS TIMESTAMP)",
    }
    columns |= {f"slice {name}": _words([name]) for name in usecase.slices}
    columns |= {f"key {name}": _words([name]) for name in usecase.keys}
    for name in usecase.inputs:
        columns[f"input {name}"] = _quoted(name) if types[name] == "VARCHAR" else f"CAST({_quoted(name)} AS DOUBLE)"
    chosen = features.filter(f"day BETWEEN DATE '{days.first}' AND DATE '{days.last}'")
    projected = chosen.project(", ".join(f"{value} AS {_quoted(name)}" for name, value in columns.items()))
    return projected.order("day, key")


def _units(usecase: Usecase, table: pa.Table, expected: int) -> Units:
    what = f"the features of use case '{usecase.name}'"
    days = table["day"].to_numpy().astype("datetime64[D]")
    keys = _strings(table, "key")
    if len(keys) > 1:
        twice = np.flatnonzero((days[1:] == days[:-1]) & (keys[1:] == keys[:-1]))
        if len(twice):
            raise RefusedError(
                f"{what} make more than one row of {len(twice)} units, such as {keys[twice[0]]} on {days[twice[0]]}: "
                f"a join meets a key twice",
                "DUPLICATE",
            )
    if len(keys) != expected:
        raise RefusedError(f"{what} make {len(keys)} rows of {expected} units: a join or a filter loses some", "LOST")
    labels = _labels(usecase, table, keys, days)
    unlabelled = _strings(table, "unlabelled")
    silent = np.flatnonzero(np.isnan(labels) != (unlabelled != ""))
    if len(silent):
        first_silent = silent[0]
        raise RefusedError(
            f"{what} give {len(silent)} units neither a label nor a reason why not, or both, such as "
            f"{keys[first_silent]} on {days[first_silent]}",
            "LABEL",
        )
    if table["predicted at"].null_count:
        raise RefusedError(f"{what} do not say when each unit is predicted", "PREDICTED_AT")
    inputs = table.select([f"input {name}" for name in usecase.inputs]).rename_columns(list(usecase.inputs))
    return Units(
        inputs=inputs.to_pandas(),
        labels=labels,
        unlabelled=unlabelled,
        days=days,
        predicted_at=table["predicted at"].to_numpy().astype("datetime64[us]"),
        keys=keys,
        blocks=_strings(table, "block"),
        slices={name: _strings(table, f"slice {name}") for name in usecase.slices},
        named={name: _strings(table, f"key {name}") for name in usecase.keys},
    )


def _labels(usecase: Usecase, table: pa.Table, keys: Any, days: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The labels as numbers, NaN where there is none; a word is told by its place among the kind's classes."""
    import pyarrow as pa

    kind, column = usecase.kind, table["label"]
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        labels = np.asarray(column.to_numpy(), dtype=np.float64)
        stray = ~np.isnan(labels) & ~kind.possible(labels)
    else:
        numbers = {word: float(number) for number, word in enumerate(kind.classes)}
        labels = np.array([math.nan if word is None else numbers.get(word, math.nan) for word in values])
        stray = np.array([word is not None and word not in numbers for word in values], dtype=np.bool_)
    if stray.any():
        first_stray = int(np.flatnonzero(stray)[0])
        can_be = f"one of {', '.join(kind.classes)}" if kind.classes else "what its kind can have"
        raise RefusedError(
            f"the label '{kind.target}' of {int(stray.sum())} units of use case '{usecase.name}' is not {can_be}, "
            f"such as {values[first_stray]!r} of {keys[first_stray]} on {days[first_stray]}; deliver it "
            f"corrected, or declare what it can be",
            "LABEL",
        )
    return labels


def _strings(table: pa.Table, column: str) -> np.ndarray[Any, np.dtype[np.str_]]:
    values = table[column].fill_null("").to_numpy(zero_copy_only=False)
    return values.astype(np.str_) if len(values) else np.empty(0, dtype="U1")
