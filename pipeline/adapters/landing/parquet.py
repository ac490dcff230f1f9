"""Parquet to cells: the file's own types must be the declared ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.adapters.landing.cells import LONGEST_TEXT, RawCells, check_header, own_names
from pipeline.adapters.landing.refusals import Subject, quoted
from pipeline.core.tables import Column, Table, Type

_MAGIC = b"PAR1"


def parse_parquet(table: Table, data: bytes, subject: Subject, limit: int) -> RawCells:
    """Whole columns, typed; a column of another type refuses the file, because all its rows would break."""
    if not data.startswith(_MAGIC):
        raise subject.refused("DAMAGED", "is no Parquet file although its name says so")
    if not data.endswith(_MAGIC) or len(data) < 12:
        raise subject.refused("TRUNCATED", f"is cut short: its Parquet directory is missing, after {len(data):,} bytes")
    try:
        schema = pq.read_schema(pa.BufferReader(data))
        names = own_names(table, schema.names)
        check_header(table, names, subject)
        header_of = dict(zip(names, schema.names, strict=True))
        for column in table.columns:
            _check_type(column, schema.field(header_of[column.name]).type, subject)
        file = pq.ParquetFile(
            pa.BufferReader(data),
            read_dictionary=[header_of[column.name] for column in table.columns if column.type == "string"],
            page_checksum_verification=True,
        )
        return _read(table, file, subject, limit, header_of)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise subject.refused("DAMAGED", f"is damaged: its Parquet data can't be read ({first})") from None


def _read(table: Table, file: pq.ParquetFile, subject: Subject, limit: int, header_of: Mapping[str, str]) -> RawCells:
    meta = file.metadata
    declared = [column.name for column in table.columns]
    # The directory tells sizes before anything is unpacked. A column of equal values packs to almost nothing, so rows
    # are counted too: a cell takes at least two bytes in the text that the limit is thought for.
    unpacked = sum(meta.row_group(n).total_byte_size for n in range(meta.num_row_groups))
    _check_size(max(unpacked, 2 * meta.num_rows * len(declared)), limit, subject)
    read = file.read(columns=[header_of[name] for name in declared], use_threads=False)
    own = {header: name for name, header in header_of.items()}
    read = read.rename_columns([own[header] for header in read.column_names])
    _check_size(sum(_text_bytes(read[name]) for name in declared), limit, subject)
    columns: dict[str, Any] = {}
    misfits: dict[str, dict[int, str]] = {}
    for column in table.columns:
        columns[column.name], misfits[column.name] = _plain(column, read[column.name])

    def locate(number: int) -> tuple[int, str]:
        row = read.slice(number - 1, 1).to_pylist()[0]
        return number, json.dumps(row, default=str, ensure_ascii=False)[:LONGEST_TEXT]

    return RawCells(columns, np.arange(1, read.num_rows + 1), read.num_rows, locate, misfits)


def _check_size(size: int, limit: int, subject: Subject) -> None:
    if size > limit:
        raise subject.refused(
            "TOO_LARGE",
            f"unpacks to more than the {limit:,} bytes that are opened",
            "ask upstream what happened, or declare a larger 'bytes' for this table",
        )


def _text_bytes(column: pa.ChunkedArray) -> int:
    """What a column of text takes once each row has its own copy; a dictionary can hide terabytes."""
    size = 0
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
            size += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return size


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_type(column: Column, kind: pa.DataType, subject: Subject) -> None:
    integer = pa.types.is_integer(kind)
    floating = pa.types.is_float32(kind) or pa.types.is_float64(kind)
    good: dict[Type, bool] = {
        "string": _is_text(kind),
        # pandas and others have no integer that can be missing, and write whole numbers as floating ones.
        "integer": integer or (column.empty and floating),
        "number": integer or floating,
        "date": pa.types.is_date32(kind),
        "timestamp": pa.types.is_timestamp(kind) and kind.tz is not None,
    }
    if not (good[column.type] or pa.types.is_null(kind)):
        hint = " without a time zone" if pa.types.is_timestamp(kind) and kind.tz is None else ""
        raise subject.refused(
            "COLUMN_TYPE",
            f"has {kind}{hint} in the column '{column.name}', which is declared as {column.type}",
            "ask upstream what changed, then have it delivered again or change the declared columns",
        )


_TARGET = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def _plain(column: Column, cells: pa.ChunkedArray) -> tuple[pa.Array, dict[int, str]]:
    """The column in the declared type; cells that can't be held there without loss are null and named."""
    target = _TARGET[column.type]
    if column.type == "string":
        text = cells.cast(pa.string()).combine_chunks()
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), {}
    array = cells.combine_chunks()
    try:
        return array.cast(target), {}
    except pa.ArrowInvalid:
        misfits: dict[int, str] = {}
        values: list[Any] = []
        for number, value in enumerate(array, start=1):
            try:
                values.append(value.cast(target).as_py())
            except pa.ArrowInvalid:
                values.append(None)
                misfits[number] = f"{quoted(value)} is no {column.type} that can be kept without loss"
        return pa.array(values, target), misfits
