"""The inputs of single requests, for a program that serves the champion: by the engine that made the day's table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.adapters.engine.polars_engine import frames_of, known, typed
from pipeline.core.errors import UsageError
from pipeline.core.windows import Days

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.core.tables import Table
    from pipeline.core.usecase import Usecase


def inputs_of_request(usecase: Usecase, tables: Mapping[str, pa.Table], day: date) -> Any:
    """What the champion is asked with about the units of ``day``, made of rows that a service holds.

    Args:
        usecase: The use case.
        tables: Table name to rows: of the first feed the units that are asked about and those of the past that their
            features read, of every other table what is known by now. A column that is not there is missing in every
            row, as an outcome is before the fact; rows without a ``day`` are of ``day``. Times are UTC.
        day: The data day of the units that are asked about.

    Returns:
        A pandas frame of the inputs, in the types of the day's table; a row a unit, with the unit's name as its index.

    Raises:
        UsageError: A table is not given, or the features can't be computed of these rows.
    """
    from pipeline.adapters.engine.selecting import chosen, inputs_of

    missing = [table.name for table in usecase.tables if table.name not in tables]
    if missing:
        raise UsageError(f"a request of use case '{usecase.name}' needs rows of {', '.join(missing)}")
    rows = {table.name: typed(table, _whole(table, tables[table.name], day)) for table in usecase.tables}
    made = chosen(usecase, lambda: known(usecase, frames_of(usecase, rows)), Days(day, day))
    return inputs_of(usecase, made).set_axis(made["key"].to_pylist())


def _whole(table: Table, rows: pa.Table, day: date) -> pa.Table:
    """The rows with every column that the table declares."""
    import pyarrow as pa

    if "day" not in rows.column_names:
        rows = rows.append_column("day", pa.array([day] * len(rows), pa.date32()))
    for column in table.columns:
        if column.name not in rows.column_names:
            rows = rows.append_column(column.name, pa.nulls(len(rows)))
    return rows
