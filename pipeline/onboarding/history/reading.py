"""A history in one file: CSV, Parquet or JSON lines, to typed columns. Nothing is rounded, nothing guessed in silence.

A CSV file has no types, so they are read off its cells: a column is whole numbers, numbers, dates, times or truths if
every cell is; else it is text and stays as it is written. ``007`` is text: as a number it would lose its zeros.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.errors import UsageError
from pipeline.core.words import first_few
from pipeline.onboarding.notes import Note

FORMATS = ".csv, .parquet or .jsonl (the texts also .gz)"
_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
# A whole number of so many digits that a floating one loses some is an account's or a parcel's: text.
_NUMBER = r"^[+-]?(0|[1-9][0-9]{0,15}|(0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.)([eE][+-]?[0-9]{1,3})?$"
_DATE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_NAIVE, _ZONED = _CLOCK + "$", _CLOCK + r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_TRUTH = r"^(true|false|True|False|TRUE|FALSE)$"
#: What people write for "no value" in a column of numbers or times. In a column of text these stay words.
_ABSENT = ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "-", "?")
#: Longer text than this is no input, and a landing keeps no such cell.
LONGEST = 10_000


def read(path: Path) -> tuple[pa.Table, list[Note]]:
    """The columns as text, ``int64``, ``float64``, ``bool``, ``date32`` or ``timestamp[us]`` (with or without a zone).

    Raises:
        UsageError: The file is missing, unreadable, of another format, or holds no row.
    """
    if not path.is_file():
        raise UsageError(f"there is no file '{path}'; name the history with --from", "NO_FILE")
    reader = _reader(path)
    notes: list[Note] = []
    try:
        table = reader(path, notes)
    except (pa.ArrowException, UnicodeDecodeError, gzip.BadGzipFile, EOFError, ValueError) as error:
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UsageError(
            f"'{path}' can't be read as {path.suffix.lstrip('.')} in UTF-8 ({first}); write it anew from its source",
            "UNREADABLE",
        ) from None
    except OSError as error:
        raise UsageError(
            f"'{path}' can't be read ({error.strerror or error}); give this account access to it", "UNREADABLE"
        ) from None
    if not table.num_rows:
        raise UsageError(f"'{path}' holds no row; a history of at least 15 days is needed", "EMPTY")
    doubled = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if doubled:
        raise UsageError(f"'{path}' has the column {first_few(doubled)} more than once; rename one of them", "COLUMNS")
    return table, notes


def _reader(path: Path) -> Callable[[Path, list[Note]], pa.Table]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    inner = (suffixes[-2] if len(suffixes) > 1 else "") if packed else (suffixes[-1] if suffixes else "")
    if inner == ".csv":
        return _csv
    if inner in (".jsonl", ".ndjson"):
        return _json_lines
    if inner == ".parquet" and not packed:
        return _parquet
    raise UsageError(f"the format of '{path.name}' is not known by its name; it must end in {FORMATS}", "FORMAT")


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _csv(path: Path, notes: list[Note]) -> pa.Table:
    from pyarrow import csv

    with _opened(path) as source:
        head = source.readline(1_000_000).decode("utf-8-sig")
    if not head.strip():
        return pa.table({})
    delimiter = max(",;\t", key=head.count)
    shape = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with _opened(path) as source:
        names = csv.open_csv(source, parse_options=shape).schema.names
    texts = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
    )
    with _opened(path) as source:
        table = csv.read_csv(source, parse_options=shape, convert_options=texts)
    return pa.table([_typed(name, cells, notes, _ALL) for name, cells in zip(names, table.columns, strict=True)], names)


def _json_lines(path: Path, notes: list[Note]) -> pa.Table:
    columns: dict[str, list[Any]] = {}
    rows = 0
    with _opened(path) as source:
        for number, line in enumerate(source, start=1):
            if not line.strip():
                continue
            row = json.loads(line.decode())
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object")
            for name, value in row.items():
                columns.setdefault(name, [None] * rows).append(value)
            rows += 1
            for values in columns.values():
                if len(values) < rows:
                    values.append(None)
    made: dict[str, Any] = {}
    for name, values in columns.items():
        kinds = {type(value) for value in values if value is not None}
        if kinds & {list, dict}:
            notes.append(Note(name, "left out: its cells are lists or objects, not single values", review=True))
        elif kinds <= {str}:
            made[name] = _typed(name, pa.chunked_array([pa.array(values, pa.string())]), notes, _DATED)
        elif kinds <= {int, float} and all(-(2**63) <= v < 2**63 for v in values if type(v) is int):
            made[name] = pa.chunked_array([pa.array(values, pa.float64() if float in kinds else pa.int64())])
        elif kinds <= {bool}:
            made[name] = pa.chunked_array([pa.array(values, pa.bool_())])
        else:
            words = [None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values]
            made[name] = pa.chunked_array([pa.array(words, pa.string())])
            notes.append(Note(name, "taken as text: its cells are of several types", review=True))
    return pa.table(made)


def _parquet(path: Path, notes: list[Note]) -> pa.Table:
    from pyarrow import parquet

    with path.open("rb") as source:
        table = parquet.ParquetFile(source).read()
    made: dict[str, Any] = {}
    for field in table.schema:
        kind, column = field.type, table[field.name]
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        wanted: pa.DataType | None = None
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            wanted = pa.string()
        elif pa.types.is_integer(kind):
            fits = (pc.max(column).as_py() or 0) < 2**63
            wanted = pa.int64() if fits else pa.float64()
        elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            wanted = pa.float64()
            if pa.types.is_decimal(kind):
                notes.append(Note(field.name, f"{kind} is taken as a floating number"))
        elif pa.types.is_boolean(kind):
            wanted = kind
        elif pa.types.is_date(kind):
            wanted = pa.date32()
        elif pa.types.is_timestamp(kind):
            wanted = pa.timestamp("us", kind.tz)
        elif pa.types.is_null(kind):
            wanted = pa.string()
        if field.name.startswith("__index_level_") or wanted is None:
            reason = "it is pandas' own index" if wanted is not None else f"{kind} is no single value that can be kept"
            notes.append(Note(field.name, f"left out: {reason}", review=wanted is None))
            continue
        made[field.name] = column.cast(wanted, safe=not pa.types.is_timestamp(kind))
    return pa.table(made)


_ALL = ("truth", "integer", "number", "date", "naive", "zoned")
_DATED = ("date", "naive", "zoned")
_SHAPES: dict[str, tuple[str, pa.DataType]] = {
    "truth": (_TRUTH, pa.bool_()),
    "integer": (_INTEGER, pa.int64()),
    "number": (_NUMBER, pa.float64()),
    "date": (_DATE, pa.date32()),
    "naive": (_NAIVE, pa.timestamp("us")),
    "zoned": (_ZONED, pa.timestamp("us", "UTC")),
}


def _typed(name: str, cells: pa.ChunkedArray, notes: list[Note], kinds: tuple[str, ...]) -> pa.ChunkedArray:
    """Text to the first type that every cell has; text where there is none."""
    cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    blank = pc.is_in(cells, value_set=pa.array(_ABSENT))
    told = pc.if_else(blank, pa.scalar(None, pa.string()), cells)
    if told.null_count == len(told):
        return cells
    for kind in kinds:
        shape, target = _SHAPES[kind]
        if pc.all(pc.match_substring_regex(told, shape)).as_py():
            try:
                typed = (pc.utf8_lower(told) if kind == "truth" else told).cast(target)
            except pa.ArrowInvalid:  # such as 30 February
                continue
            absent = told.null_count - cells.null_count
            if absent:
                words = pc.unique(cells.filter(blank)).to_pylist()
                notes.append(Note(name, f"{absent:,} cells that say {first_few(words)} are taken as missing"))
            return typed
    return cells
