"""Text to cells. Nothing is guessed: no type, no delimiter, no encoding, no end of a file."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from pipeline.adapters.landing.arrow_types import without_absent
from pipeline.adapters.landing.cells import LONGEST_TEXT, Locate, RawCells, check_header, delivered_as, own_names
from pipeline.adapters.landing.refusals import Subject, quoted
from pipeline.core.facts import MOST_EXACT
from pipeline.core.forms import PLAIN, Form
from pipeline.core.tables import Column, Table

_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_HTML = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")
_INT64 = range(-(2**63), 2**63)


def checked_text(data: bytes, subject: Subject, whole: bool) -> bytes:
    """The bytes of a text file without a byte order mark, if it is UTF-8, is data, and ends where a line ends.

    A file that was cut at the end of a line looks whole. Only a manifest can tell; ``whole`` says that one did, and
    then a missing last line's end is no sign of anything.
    """
    for mark, name in _OTHER_BOMS.items():
        if data.startswith(mark):
            raise subject.refused("ENCODING", f"is written in {name}, not in UTF-8", "ask upstream to write UTF-8")
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
    if not data.strip():
        raise subject.refused("EMPTY", f"is empty ({len(data):,} bytes)")
    if b"\0" in data:
        at = data.index(b"\0")
        raise subject.refused(
            "ENCODING",
            f"has a zero byte at byte {at:,} (line {_line_at(data, at):,}): it is no UTF-8 text, or was padded",
            "ask upstream to write UTF-8",
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise subject.refused(
            "ENCODING",
            f"is not UTF-8: byte {error.start:,} (line {_line_at(data, error.start):,}) is 0x{data[error.start]:02x}",
            "ask upstream to write UTF-8 (Latin-1 is not guessed)",
        ) from None
    if data.lstrip()[:9].lower().startswith(_HTML):
        raise subject.refused("HTML", "is a web page, not data: perhaps an error page of the upstream server")
    if not whole and data[-1:] not in (b"\n", b"\r"):
        raise subject.refused(
            "TRUNCATED",
            f"is half written: its last line ({_line_at(data, len(data)):,}) does not end",
            "ask upstream to deliver it again, whole, with a line's end or with a manifest",
        )
    return data


def _line_at(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def parse_csv(table: Table, data: bytes, subject: Subject, whole: bool) -> RawCells:
    """Separated values with a header, quoted as in RFC 4180. Lines without any value are no rows."""
    names, above = _csv_header(table, data, subject)
    # A spreadsheet that once held something in a further column goes on to write that column.
    named = len(names)
    while named and not names[named - 1]:
        named -= 1
    delivered = check_header(table, names[: named or len(names)], subject)
    places = {name: str(names.index(header)) for name, header in delivered.items()}
    nameless = [str(place) for place in range(named, len(names))] if named else []
    broken: dict[int, tuple[int, str]] = {}

    def note(row: Any) -> str:
        broken[row.number - above] = (
            row.actual_columns,
            f"{row.actual_columns} cells in place of {row.expected_columns}",
        )
        return "skip"

    every = [str(place) for place in range(len(names))]
    try:
        read = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(
                use_threads=False, block_size=max(len(data) + 1, 1 << 16), column_names=every, skip_rows=above
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=table.form.delimiter, newlines_in_values=b'"' in data, invalid_row_handler=note
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(every, pa.string()),
                include_columns=[*places.values(), *nameless],
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise subject.refused("UNREADABLE_CSV", f"can't be split into rows ({error})") from None
    total = read.num_rows + len(broken)
    records = np.setdiff1d(np.arange(1, total + 1), np.fromiter(broken, np.int64, len(broken)))
    _check_last(total, broken, data, subject, whole, len(names))
    locate = _csv_locator(data, table.form.delimiter, above)
    for place in nameless:
        if read[place].null_count < read.num_rows:
            line, _ = locate(int(records[np.flatnonzero(read[place].is_valid().to_numpy())[0]]))
            raise subject.refused(
                "COLUMN_EXTRA",
                f"has a column without a name, the {int(place) + 1}th, which says something in line {line:,}",
                "ask upstream to name it or to leave it out",
            )
    # Nor is a row of nothing but separators a row, as below the end of a sheet.
    blank = np.all([read[place].is_null().to_numpy() for place in places.values()], axis=0) if places else False
    if np.any(blank):
        read, records, total = read.filter(pa.array(~blank)), records[~blank], total - int(np.sum(blank))
    return RawCells(
        columns={name: _one_chunk(read[place]) for name, place in places.items()},
        records=records,
        total=total,
        locate=locate,
        broken={number: reason for number, (_, reason) in broken.items()},
    )


def _check_last(
    total: int, broken: dict[int, tuple[int, str]], data: bytes, subject: Subject, whole: bool, width: int
) -> None:
    cells = broken.get(total, (width, ""))[0]
    if cells < width and not whole:
        raise subject.refused("TRUNCATED", f"is half written: its last row ({total:,}) has {cells} of {width} cells")
    if data.count(b'"') % 2:
        try:
            for _ in csv.reader(io.StringIO(data.decode(), newline=""), strict=True):
                pass
        except csv.Error:
            raise subject.refused("TRUNCATED", "is half written: a quoted cell is opened and never closed") from None


def _csv_header(table: Table, data: bytes, subject: Subject) -> tuple[list[str], int]:
    """The header's names, and the lines down to it: a spreadsheet may say its separator in a line above."""
    form = table.form
    lines = [line.decode().rstrip("\r") for line in data.split(b"\n", 2)[:2]]
    above = 2 if lines[0] == f"sep={form.delimiter}" and len(lines) > 1 else 1
    first = lines[above - 1]
    try:
        names = next(csv.reader([first], strict=True, delimiter=form.delimiter), [])
    except csv.Error as error:
        raise subject.refused("UNREADABLE_CSV", f"has a header that can't be read ({error})") from None
    declared = {header for column in table.columns for header in (column.name, *column.also)}
    declared |= {delivered for delivered, _ in form.names}
    wanted = _SEPARATORS[form.delimiter]
    for sign, word in _SEPARATORS.items():
        parts = {part.strip().strip('"') for part in first.split(sign)}
        if len(names) < len(table.columns) and len(parts) > 1 and len(parts & declared) > len(set(names) & declared):
            way_out = f"ask upstream to separate by {wanted}"
            if form == PLAIN:
                way_out += f", or declare form=Form(delimiter={sign!r})"
            raise subject.refused("DELIMITER", f"is separated by {word}, not by {wanted}", way_out)
    return names, above


_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _csv_locator(data: bytes, delimiter: str, above: int) -> Locate:
    line_and_text: dict[int, tuple[int, str]] = {}

    def locate(number: int) -> tuple[int, str]:
        if not line_and_text:
            text = data.decode()
            csv.field_size_limit(max(csv.field_size_limit(), len(text)))
            lines = list(io.StringIO(text, newline=""))
            reader = csv.reader(lines, delimiter=delimiter)
            begin, record = 0, 1 - above
            for cells in reader:
                if cells:
                    line_and_text[record] = (begin + 1, "".join(itertools.islice(lines, begin, reader.line_num)))
                    record += 1
                begin = reader.line_num
        line, row = line_and_text.get(number, (number + 1, ""))
        return line, row.rstrip("\r\n")[:LONGEST_TEXT]

    return locate


def parse_jsonl(table: Table, data: bytes, subject: Subject, whole: bool) -> RawCells:
    """One JSON object per line. A key that is absent is an empty cell; values must have the declared JSON type."""
    declared = {column.name: column for column in table.columns}
    lines: list[tuple[int, str]] = []
    names: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    records: list[int] = []
    broken: dict[int, str] = {}
    for number, text in _json_lines(data):
        lines.append((number, text))
        try:
            row = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
            if not isinstance(row, dict):
                raise ValueError("no JSON object")
        except (ValueError, RecursionError) as error:
            broken[len(lines)] = f"no JSON object of one line ({error})"
            continue
        keys = own_names(table, list(row))
        if len(set(keys)) < len(keys):
            broken[len(lines)] = "no JSON object of one line (a column stands there under two names)"
            continue
        row = dict(zip(keys, row.values(), strict=True))
        names.update(dict.fromkeys(row))
        rows.append(row)
        records.append(len(lines))
    if not whole and len(lines) in broken:
        raise subject.refused("TRUNCATED", f"is half written: its last line ({lines[-1][0]:,}) is no whole JSON object")
    delivered = {name: name for name in declared}
    if rows:
        # A column of nothing but empty cells may be left out by the writer.
        there = delivered_as(table, list(names))
        left_out = [name for name, column in declared.items() if column.empty and name not in there]
        there = check_header(table, [*names, *left_out], subject)
        delivered = {name: there[name] for name in declared if name in there}
    misfits: dict[str, dict[int, str]] = {name: {} for name in declared}
    columns = {
        name: _json_column(declared[name], [row.get(header) for row in rows], records, misfits[name], table.form)
        for name, header in delivered.items()
    }
    return RawCells(
        columns=columns,
        records=np.asarray(records, np.int64),
        total=len(lines),
        locate=lambda number: (lines[number - 1][0], lines[number - 1][1][:LONGEST_TEXT]),
        misfits=misfits,
        broken=broken,
    )


def _json_lines(data: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(data.decode().split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key stands there twice")
    return entries


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _json_column(
    column: Column, values: list[Any], records: list[int], misfits: dict[int, str], form: Form
) -> pa.Array:
    def fits(value: Any) -> bool:
        if column.type == "integer":
            return type(value) is int and value in _INT64
        if column.type == "number":
            # An integer beyond 2**53 would be rounded.
            return type(value) is float or (type(value) is int and value in _INT64 and int(float(value)) == value)
        return type(value) is str and _encodes(value)

    cells = []
    for record, value in zip(records, (_as_written(column, value) for value in values), strict=True):
        good = value is None or value == "" or fits(value)
        if not good:
            misfits[record] = f"{quoted(json.dumps(value))} is no {column.type}"
        cells.append(value if good and value != "" else None)
    if column.type == "number":
        return without_absent(pa.array([None if v is None else float(v) for v in cells], pa.float64()), form)
    return pa.array(cells, pa.int64() if column.type == "integer" else pa.string())


def _as_written(column: Column, value: Any) -> Any:
    """The value in the type that is declared, where the column may rightly come in another one."""
    if column.written == "truth" and type(value) is bool:
        return int(value)
    if column.written == "digits" and type(value) in (int, float, bool):
        return json.dumps(value)
    if column.written == "float" and type(value) is float and value.is_integer() and abs(value) <= MOST_EXACT:
        return int(value)
    return value


def _encodes(value: str) -> bool:
    """Whether a string is text: JSON can spell halves of characters, which are none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
