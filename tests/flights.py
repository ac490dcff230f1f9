"""Real flights in a store in memory, for the tests of the engine and of the use cases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from demo.upstream import tables_for
from pipeline.adapters.engine.polars_engine import PolarsEngine
from pipeline.core.ports import Units
from pipeline.core.tables import Table
from pipeline.core.usecase import Recipe
from pipeline.core.windows import Days
from pipeline.usecases import find
from tests.fakes import MemoryStore

FIRST, LAST = date(2013, 1, 1), date(2013, 2, 3)
TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def typed(table: Table, rows: Any) -> Any:
    """The rows of a delivery as ingest would type them."""
    columns = {}
    for column in table.columns:
        values = rows[column.name]
        if column.type == "timestamp":
            values = pc.assume_timezone(pc.strptime(values, format="%Y-%m-%dT%H:%M:%SZ", unit="us"), "UTC")
        columns[column.name] = values.cast(TYPES[column.type])
    return pa.table(columns)


def put(store: MemoryStore, table: Table, day: date, rows: Any) -> None:
    """Write typed rows, with the day that the store adds."""
    if "day" not in rows.column_names:
        rows = rows.append_column("day", pa.array([day] * len(rows), pa.date32()))
    store.write_day(table.name, day, rows)


@cache
def _whole() -> MemoryStore:
    store = MemoryStore()
    for day in Days(FIRST, LAST):
        tables = tables_for(day)
        for table in find("flight_delay").tables:
            put(store, table, day, typed(table, tables[table.name]))
    return store


def flights() -> MemoryStore:
    """The first five weeks of 2013; each caller may write to its own."""
    return _whole().copy()


def newest(store: MemoryStore) -> Mapping[str, int]:
    return {name: len(versions) - 1 for name, versions in store.tables.items()}


@cache
def units(usecase: str, first: date = FIRST, last: date = LAST) -> Units:
    """All units of these days; shared between tests, so not to be changed."""
    store = _whole()
    return PolarsEngine(store).units(find(usecase), newest(store), Days(first, last))


def labelled(usecase: str, first: date, last: date) -> Units:
    """The labelled units of these days."""
    found = units(usecase)
    inside = (found.days >= np.datetime64(first)) & (found.days <= np.datetime64(last))
    return found.where(inside & np.isfinite(found.labels))


def fitted(recipe: Recipe, found: Units, threads: int = 1) -> Any:
    """The recipe's estimator, fitted; on a crowded machine more threads than cores make it ten times slower."""
    with threadpool_limits(threads):
        return recipe.build(recipe.seed).fit(found.inputs, found.labels)


def assert_same(one: Units, other: Units) -> None:
    """Row for row and bit for bit."""
    for part in ("keys", "days", "blocks", "unlabelled"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
    np.testing.assert_array_equal(one.labels, other.labels)
    for name in one.slices:
        np.testing.assert_array_equal(one.slices[name], other.slices[name])
    assert list(one.inputs.columns) == list(other.inputs.columns)
    for name in one.inputs.columns:
        left, right = one.inputs[name], other.inputs[name]
        assert left.dtype == right.dtype, name
        differs = ~((left == right) | (left.isna() & right.isna()))
        assert not differs.any(), f"{name} differs in {differs.sum()} rows"
