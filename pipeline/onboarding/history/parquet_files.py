"""A history in Parquet, one file or a folder of parts as Spark writes them: typed columns, and its rows as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.adapters.landing.arrow_types import as_text, is_bytes, is_text, rounded, stored
from pipeline.adapters.landing.parts import partitions_of, parts_of
from pipeline.core.errors import UsageError
from pipeline.core.facts import MOST_EXACT
from pipeline.core.forms import Form
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.source import Source
from pipeline.onboarding.history.text_files import TOO_LONG, dated, forms_of_dates
from pipeline.onboarding.notes import Note

_BITS = {16: 2**11, 32: 2**24, 64: MOST_EXACT}


def read_parquet(path: Path, request: Request) -> Source:
    """One file."""
    from pyarrow import parquet

    with path.open("rb") as source:
        table = parquet.ParquetFile(source).read()

    def write(rows: NDArray[np.int64], place: Path) -> None:
        parquet.write_table(_taken(table, rows), place, compression="zstd", write_page_checksum=True)

    return _source(table, request, Source(pa.table({}), ".parquet", write))


def read_folder(path: Path, request: Request) -> Source:
    """A folder of parts, perhaps in folders named by a column's value."""
    from pyarrow import parquet

    parts = parts_of(path)
    if not parts:
        raise UsageError(
            f"the folder '{path}' holds no file that ends in .parquet; name a folder of Parquet parts, or one file",
            "NO_FILE",
        )
    tables: list[pa.Table] = []
    keys: list[str] = []
    for part in parts:
        with part.open("rb") as source:
            table = parquet.ParquetFile(source).read()
        for name, value in partitions_of(path, part).items():
            keys = [*keys, name] if name not in keys else keys
            if name not in table.column_names:
                table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), table.num_rows))
        tables.append(table)
    table = pa.concat_tables(tables, promote_options="permissive")

    def write(rows: NDArray[np.int64], place: Path) -> None:
        place.mkdir(parents=True)
        some = _taken(table, rows)
        where = place
        if keys:
            value = some[keys[0]][0].as_py() if len(keys) == 1 and len(pc.unique(some[keys[0]])) == 1 else None
            if value is not None:
                where, some = place / f"{keys[0]}={value}", some.drop_columns(keys)
                where.mkdir()
        parquet.write_table(some, where / "part-00000.parquet", compression="zstd", write_page_checksum=True)
        (place / "_SUCCESS").write_bytes(b"")

    partition = keys[0] if keys else ""
    return _source(table, request, Source(pa.table({}), ".parquet", write, partition=partition))


def _taken(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return table.slice(int(rows[0]), len(rows))
    return table.take(pa.array(rows))


def _source(table: pa.Table, request: Request, source: Source) -> Source:
    made: dict[str, Any] = {}
    absent: set[str] = set()
    for field, column in zip(table.schema, table.columns, strict=True):
        if field.name.startswith("__index_level_"):
            source.notes.append(Note(field.name, "left out: it is pandas' own index"))
            source.ignored.append(field.name)
            continue
        cells = _cells(field, column, request, source)
        if cells is None:
            source.ignored.append(field.name)
            continue
        if pa.types.is_floating(cells.type):
            absent |= _told_as_missing(cells)
        made[field.name] = cells
    doubled = len(made) < table.num_columns - len(source.ignored)
    source.row_bytes = table.nbytes // max(table.num_rows, 1)
    source.table = table if doubled else pa.table(made)
    dates, times = forms_of_dates(request)
    source.form = Form(absent=tuple(sorted(absent)), dates=dates, times=times)
    return source


def _told_as_missing(cells: pa.Array) -> set[str]:
    """The numbers among them that measure nothing, in the words of a form."""
    there = cells.drop_null()
    found = {"NaN"} if pc.any(pc.is_nan(there)).as_py() else set()
    for word, value in (("inf", float("inf")), ("-inf", float("-inf"))):
        found |= {word} if pc.any(pc.equal(there, value)).as_py() else set()
    return found


def _cells(field: pa.Field, column: pa.ChunkedArray, request: Request, source: Source) -> pa.Array | None:
    """The column in one of the product's types; None if it is no column of single values."""
    name, array = field.name, stored(column)
    kind = array.type
    if is_text(kind) or is_bytes(kind):
        text, misfits = as_text(array)
        if misfits:
            source.notes.append(Note(name, "left out: its cells are bytes that are no text in UTF-8", review=True))
            return None
        if pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16:
            source.notes.append(Note(name, "sixteen bytes each, which are read as UUIDs"))
        return _of_text(name, text, request)
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return _of_numbers(name, array, request, source)
    wanted: pa.DataType | None = None
    if pa.types.is_boolean(kind):
        source.written[name] = "truth"
        wanted = kind
    elif pa.types.is_date(kind):
        wanted = pa.date32()
    elif pa.types.is_timestamp(kind):
        # Finer than microseconds nothing is kept.
        wanted = pa.timestamp("us", kind.tz)
    elif pa.types.is_null(kind):
        wanted = pa.string()
    if wanted is None:
        source.notes.append(Note(name, f"left out: {kind} is no single value that can be kept", review=True))
        return None
    return array.cast(wanted, safe=not pa.types.is_timestamp(kind))


def _of_numbers(name: str, array: pa.Array, request: Request, source: Source) -> pa.Array:
    kind = array.type
    if pa.types.is_decimal(kind):
        return _of_decimals(name, array, source)
    if pa.types.is_floating(kind):
        if name in request.unit:
            _check_not_rounded(name, array)
            source.written[name] = "float"
        return array.cast(pa.float64())
    if name == request.time and request.date_formats:
        return _of_text(name, array.cast(pa.string()), request)
    return array.cast(pa.int64()) if (pc.max(array).as_py() or 0) < 2**63 else _as_digits(name, array, source)


def _of_text(name: str, cells: pa.Array, request: Request) -> pa.Array:
    return dated(name, cells, request) if name == request.time or request.date_formats else cells


def _as_digits(name: str, array: pa.Array, source: Source) -> pa.Array:
    source.notes.append(Note(name, f"taken as text: {TOO_LONG}", review=True))
    source.written[name] = "digits"
    return as_text(array)[0]


def _of_decimals(name: str, array: pa.Array, source: Source) -> pa.Array:
    """Whole numbers as such, whatever their length; fractions as the nearest floating numbers."""
    whole = array.type.scale <= 0
    if not whole:
        try:
            array.cast(pa.decimal256(76, 0))
            whole = True
        except pa.ArrowInvalid:
            pass
    if whole:
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            return _as_digits(name, array, source)
    if pc.any(rounded(array)).as_py():
        return _as_digits(name, array, source)
    source.notes.append(Note(name, f"{array.type} is taken as the nearest floating number"))
    return array.cast(pa.string()).cast(pa.float64())


def _check_not_rounded(name: str, array: pa.Array) -> None:
    most = _BITS[array.type.bit_width]
    wide = array.cast(pa.float64())
    beyond = wide.filter(pc.fill_null(pc.greater(pc.abs(wide), float(most)), False))
    if len(beyond):
        raise UsageError(
            f"'{name}' names the unit and comes as {array.type}, which can't tell {beyond[0].as_py():.0f} from its "
            f"neighbours: numbers beyond {most:,} were rounded when they were written; write whole numbers or text",
            "UNIT",
        )
