"""Digests of rows: what a table says, apart from how it was written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.ports import Rows
from pipeline.core.tables import Feed, Table


def content_of(rows: Rows) -> str:
    """SHA-256 of the columns by name and of the values in the order given. Chunks and spare bits do not matter."""
    hasher = hashlib.sha256()
    for name in sorted(rows.column_names):
        column = rows[name]
        hasher.update(f"{name}\0{column.type}\0{len(column)}\0".encode())
        for part in _canonical(column):
            hasher.update(part)
    return hasher.hexdigest()


def _canonical(column: pa.ChunkedArray) -> list[bytes]:
    column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    present = pc.is_valid(column).to_numpy(zero_copy_only=False).tobytes()
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        filled = pc.fill_null(column, "")
        lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
        return [present, lengths, "".join(filled.to_pylist()).encode()]
    if pa.types.is_floating(kind):
        # Minus zero equals zero.
        return [present, (pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False) + 0.0).astype("<f8").tobytes()]
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz))
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64())
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not pa.types.is_integer(kind):
        return [present, repr(column.to_pylist()).encode()]
    return [present, pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype("<i8").tobytes()]


def timeless(table: Table, day: date, rows: Rows) -> Rows:
    """What a delivery says apart from its date, so that a copy of an old day under a new date is recognised.

    A reference loses the column that says when it was refreshed. A feed loses its day column and every other date and
    timestamp but ``time``, which is told as the time since the day's midnight (UTC).
    """
    if not isinstance(table, Feed):
        return rows.drop_columns([table.refreshed])
    dated = [column.name for column in table.columns if column.type in ("date", "timestamp")]
    bare = rows.drop_columns([name for name in dated if name != table.time])
    if table.time is not None:
        midnight = pa.scalar(datetime(day.year, day.month, day.day, tzinfo=UTC), pa.timestamp("us", "UTC"))
        since: Any = pc.subtract(rows[table.time], midnight)
        bare = bare.set_column(bare.schema.get_field_index(table.time), table.time, since)
    return bare


def in_key_order(rows: Rows, key: Sequence[str]) -> pa.Array:
    """The positions of the rows sorted by key; equal keys stay in the order of the file."""
    return pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in key])
