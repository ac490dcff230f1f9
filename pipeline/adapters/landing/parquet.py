"""Parquet to cells: the file's own types must be the declared ones, or others that hold the same values."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.adapters.landing.arrow_types import is_text, plain, storage, why_not
from pipeline.adapters.landing.cells import LONGEST_TEXT, RawCells, check_header, delivered_as
from pipeline.adapters.landing.parts import partitions_of
from pipeline.adapters.landing.refusals import Subject
from pipeline.core.tables import Table

_MAGIC = b"PAR1"


def parse_parquet(
    table: Table, data: bytes, subject: Subject, limit: int, held: Mapping[str, str] | None = None
) -> RawCells:
    """Whole columns, typed; a column of another type refuses the file, because all its rows would break.

    ``held`` are columns that are not in the file and have one value in all its rows.
    """
    if not data.startswith(_MAGIC):
        raise subject.refused("DAMAGED", "is no Parquet file although its name says so")
    if not data.endswith(_MAGIC) or len(data) < 12:
        raise subject.refused("TRUNCATED", f"is cut short: its Parquet directory is missing, after {len(data):,} bytes")
    try:
        schema = pq.read_schema(pa.BufferReader(data))
        held = {name: value for name, value in (held or {}).items() if name not in schema.names}
        types = {name: schema.field(name).type if schema.names.count(name) == 1 else None for name in schema.names}
        types |= dict.fromkeys(held, pa.string())
        there = delivered_as(table, list(types))
        wrong = {c.name: why_not(c, types[there[c.name]], table.form) for c in table.columns if c.name in there}
        faults = {name: why for name, why in wrong.items() if why}
        delivered = check_header(table, [*schema.names, *held], subject, faults)
        texts = [column.name for column in table.columns if column.type == "string"]
        file = pq.ParquetFile(
            pa.BufferReader(data),
            read_dictionary=[
                delivered[name]
                for name in texts
                if delivered[name] not in held and is_text(storage(types[delivered[name]]))
            ],
            page_checksum_verification=True,
        )
        return _read(table, file, delivered, held, subject, limit)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise subject.refused("DAMAGED", f"is damaged: its Parquet data can't be read ({first})") from None


def parse_parts(table: Table, folder: str, parts: Mapping[str, bytes], subject: Subject, limit: int) -> RawCells:
    """The parts of a folder one after the other; a column may stand in the folders' names in place of the files."""
    made: list[RawCells] = []
    begins = [0]
    for name, data in parts.items():
        held = partitions_of(Path(folder), Path(folder) / name)
        made.append(parse_parquet(table, data, subject, limit, held))
        begins.append(begins[-1] + made[-1].total)

    def locate(number: int) -> tuple[int, str]:
        at = bisect(begins, number - 1) - 1
        return number, made[at].locate(number - begins[at])[1]

    names = list(made[0].columns)
    misfits: dict[str, dict[int, str]] = {name: {} for name in names}
    for begin, raw in zip(begins, made, strict=False):
        for name in names:
            misfits[name] |= {begin + number: why for number, why in raw.misfits[name].items()}
    columns: dict[str, Any] = {}
    for name in names:
        kinds = {raw.columns[name].type for raw in made}
        if len(kinds) > 1:
            raise subject.refused("COLUMN_TYPE", f"has parts that differ in the type of the column '{name}'")
        columns[name] = pa.concat_arrays([raw.columns[name] for raw in made])
    return RawCells(columns, np.arange(1, begins[-1] + 1), begins[-1], locate, misfits)


def _read(
    table: Table,
    file: pq.ParquetFile,
    delivered: Mapping[str, str],
    held: Mapping[str, str],
    subject: Subject,
    limit: int,
) -> RawCells:
    meta = file.metadata
    headers = [header for header in delivered.values() if header not in held]
    # The directory tells sizes before anything is unpacked. A column of equal values packs to almost nothing, so rows
    # are counted too: a cell takes at least two bytes in the text that the limit is thought for.
    unpacked = sum(meta.row_group(n).total_byte_size for n in range(meta.num_row_groups))
    _check_size(max(unpacked, 2 * meta.num_rows * len(headers)), limit, subject)
    read = file.read(columns=headers, use_threads=False)
    _check_size(sum(_text_bytes(read[name]) for name in headers), limit, subject)
    for header, value in held.items():
        read = read.append_column(header, pa.chunked_array([pa.repeat(pa.scalar(value, pa.string()), read.num_rows)]))
    columns: dict[str, Any] = {}
    misfits: dict[str, dict[int, str]] = {}
    for column in table.columns:
        if column.name in delivered:
            columns[column.name], misfits[column.name] = plain(column, read[delivered[column.name]], table.form)

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
        if pa.types.is_dictionary(chunk.type) and is_text(chunk.type.value_type):
            lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
            size += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return size
