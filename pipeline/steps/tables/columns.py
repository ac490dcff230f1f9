"""Days of the store's tables as plain numpy columns, which is what the core looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.facts import MOST_EXACT, Columns, DayColumns
from pipeline.core.ports import Rows, Store
from pipeline.core.tables import Column, Table
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days


class DayTables:
    """The rows of a run's tables: many days read in one go, and no more of them held than are needed."""

    def __init__(self, usecase: Usecase, versions: Mapping[str, int], store: Store, known: Days) -> None:
        self.versions, self.store = versions, store
        self.marks: dict[str, Mapping[date, Mapping[str, Any]]] = {}
        for table in usecase.tables:
            is_stored = store.version(table.name) is not None
            self.marks[table.name] = store.marks(table.name, versions[table.name], known) if is_stored else {}
        self._rows: dict[tuple[str, date], Rows] = {}
        self._columns: dict[str, dict[date, Columns]] = {}

    def load(self, table: Table, days: Sequence[date]) -> None:
        """Read these days, and what lies between them, at once."""
        rows = self.store.read(table.name, self.versions[table.name], Days(days[0], days[-1]))
        for day, part in by_day(rows, self.marks[table.name], days).items():
            self._rows[table.name, day] = part

    def forget(self) -> None:
        """Let go of the rows that were read."""
        self._rows.clear()

    def rows(self, table: Table, day: date) -> Rows:
        """The rows of one day."""
        if (table.name, day) not in self._rows:
            self.load(table, [day])
        return self._rows[table.name, day]

    def columns(self, table: Table, day: date) -> Columns:
        """The columns of one day; the last two days asked for are kept, today and the one it is compared with."""
        cached = self._columns.setdefault(table.name, {})
        day_columns = cached.pop(day, None)
        cached[day] = columns_of(table, self.rows(table, day)) if day_columns is None else day_columns
        for longest_unused in list(cached)[:-2]:
            del cached[longest_unused]
        return cached[day]


def columns_of(table: Table, rows: Rows) -> Columns:
    """The declared columns, in the form that :data:`~pipeline.core.facts.Columns` describes."""
    whole = {
        column.name: np.array([*rows[column.name].to_pylist(), None], dtype=object)[:-1]
        for column in table.columns
        if column.type == "integer" and _beyond_floats(rows[column.name])
    }
    return DayColumns({column.name: _values(column, rows[column.name]) for column in table.columns}, whole)


def _beyond_floats(values: Any) -> bool:
    import pyarrow.compute as pc

    ends = pc.min_max(values).as_py()
    return ends["min"] is not None and max(-ends["min"], ends["max"]) > MOST_EXACT


def by_day(rows: Rows, marks: Mapping[date, Mapping[str, Any]], days: Sequence[date]) -> dict[date, Rows]:
    """Cut a run of days into days; the store returns them in order, ``marks`` says how many rows each has."""
    parts: dict[date, Rows] = {}
    start = 0
    for day in (day for day in sorted(marks) if days[0] <= day <= days[-1]):
        parts[day] = rows.slice(start, marks[day]["rows"])
        start += marks[day]["rows"]
    if start != rows.num_rows:
        raise ValueError(
            f"the store's marks count {start} rows from {days[0]} to {days[-1]}, but it has {rows.num_rows}"
        )
    return parts


def _values(column: Column, values: Any) -> NDArray[Any]:
    import pyarrow as pa

    if column.type == "string":
        return np.array([*values.to_pylist(), None], dtype=object)[:-1]
    if column.type == "date":
        return np.asarray(values.cast(pa.date32()).to_numpy(), dtype="datetime64[D]")
    if column.type == "timestamp":
        return np.asarray(values.cast(pa.timestamp("us", values.type.tz)).to_numpy(), dtype="datetime64[us]")
    # Whole numbers beyond a float's reach are rounded here, for calculating; `whole` holds them as they are.
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
