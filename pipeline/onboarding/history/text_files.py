"""A history in a text file, CSV or JSON lines: typed columns, and its rows as they stand in it.

A CSV file has no types, so they are read off its cells: a column is whole numbers, numbers, dates, times or truths if
every cell is; else it is text and stays as it is written. ``007`` is text: as a number it would lose its zeros.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.adapters.landing.written import plain_moments
from pipeline.core.forms import PLAIN, Form, Written
from pipeline.core.words import first_few
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.signs import in_style, nearly_numbers, style_of
from pipeline.onboarding.history.source import Source
from pipeline.onboarding.notes import Note

_INTEGER = r"^-?(0|[1-9][0-9]{0,18})$"
# A whole number of so many digits that a floating one loses some is an account's or a parcel's: text.
_NUMBER = r"^[+-]?(0|[1-9][0-9]{0,14}|(0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.)([eE][+-]?[0-9]{1,3})?$"
_DATE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_NAIVE, _ZONED = _CLOCK + "$", _CLOCK + r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_TRUTH = r"^(true|false|True|False|TRUE|FALSE)$"
#: What people write for "no value" in a column of numbers or times. In a column of text these stay words.
_ABSENT = ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "-", "?", "inf", "-inf")
TOO_LONG = "it holds whole numbers that neither 64 bits nor a floating number hold, and text keeps every digit"
"""Why numbers become text."""
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


def opened(path: Path) -> Any:
    """The file's bytes, unpacked."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def read_csv(path: Path, request: Request) -> Source:
    """A file of separated values; the separator is the commonest sign of its header."""
    from pyarrow import csv as pacsv

    notes: list[Note] = []
    with opened(path) as source:
        head = source.readline(1_000_000).decode("utf-8-sig").rstrip("\r\n")
        above = 2 if len(head) == 5 and head.startswith("sep=") else 1
        head = source.readline(1_000_000).decode().rstrip("\r\n") if above == 2 else head
    if not head.strip():
        return Source(pa.table({}), ".csv", _nothing)
    delimiter = max(",;\t|", key=head.count)
    names = next(csv.reader([head], delimiter=delimiter))
    every = [str(place) for place in range(len(names))]
    shape = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    how = pacsv.ReadOptions(column_names=every, skip_rows=above)
    texts = pacsv.ConvertOptions(
        column_types=dict.fromkeys(every, pa.string()), strings_can_be_null=True, null_values=[""]
    )
    with opened(path) as source:
        table = pacsv.read_csv(source, read_options=how, parse_options=shape, convert_options=texts)
    kept = len(names)
    while kept > 1 and not names[kept - 1] and table[every[kept - 1]].null_count == table.num_rows:
        kept -= 1
    if kept < len(names):
        notes.append(Note("columns", f"{len(names) - kept} at the end have neither a name nor a value: left out"))
    blank = np.all([cells.is_null().to_numpy() for cells in table.columns], axis=0)
    if blank.any():
        notes.append(Note("rows", f"{int(blank.sum()):,} without any value left out"))
        table = table.filter(pa.array(~blank))
    _check_end(path, notes)
    original = table
    columns = [column.combine_chunks() for column in table.columns[:kept]]
    made = _Typing(request, notes)
    made.style = _style(names[:kept], columns, request, made)
    typed = [made.typed(name, cells, _ALL) for name, cells in zip(names[:kept], columns, strict=True)]

    def write(rows: NDArray[np.int64], place: Path) -> None:
        out = [original[name].take(pa.array(rows)).to_pylist() for name in every]
        with _created(place) as target:
            writer = csv.writer(target, delimiter=delimiter, lineterminator="\n")
            writer.writerow(names)
            writer.writerows(zip(*out, strict=True))

    suffix = ".csv.gz" if path.suffix.lower() == ".gz" else ".csv"
    form = dataclasses.replace(made.form, delimiter=delimiter)
    table, row_bytes = pa.table(typed, names[:kept]), 2 * original.nbytes // max(original.num_rows, 1)
    return Source(table, suffix, write, form, made.written, notes=notes, row_bytes=row_bytes)


def _check_end(path: Path, notes: list[Note]) -> None:
    """Say if the last line does not end: of a day's file nobody could tell whether it was cut there."""
    last = b""
    with opened(path) as source:
        while chunk := source.read(1 << 20):
            last = chunk[-1:]
    if last not in (b"\n", b"\r"):
        text = "the last line of the file does not end; a day's file that ends so looks half written and is refused"
        notes.append(Note("upstream", f"{text}: have its last line end, or a manifest beside it", review=True))


def _nothing(rows: NDArray[np.int64], place: Path) -> None:
    """There is nothing to write."""


def _created(place: Path) -> Any:
    if place.suffix == ".gz":
        return gzip.open(place, "wt", encoding="utf-8", newline="")
    return place.open("w", encoding="utf-8", newline="")


def _style(names: Iterable[str], columns: Iterable[pa.Array], request: Request, typing: _Typing) -> tuple[str, str]:
    """One style of numbers for the file, from the columns that are nothing else."""
    asked: dict[str, pa.Array] = {}
    for name, cells in zip(names, columns, strict=True):
        told = typing.told(cells)
        others = (_TRUTH, _DATE, _NAIVE, _ZONED)
        if name != request.time and not any(pc.all(pc.match_substring_regex(told, one)).as_py() for one in others):
            asked[name] = told
    return style_of(asked, request.decimal, typing.notes)


class _Typing:
    """Gives columns of text their types, and remembers how they were written."""

    def __init__(self, request: Request, notes: list[Note]) -> None:
        self.request, self.notes = request, notes
        self.style = (".", "")
        self.written: dict[str, Written] = {}
        self._absent: set[str] = set()
        self._formats: set[str] = set()

    @property
    def form(self) -> Form:
        """What the columns that were typed are written with."""
        decimal, thousands = self.style
        dates, times = forms_of_dates(self.request)
        absent = tuple(sorted(self._absent))
        return dataclasses.replace(PLAIN, decimal=decimal, thousands=thousands, absent=absent, dates=dates, times=times)

    def takes_as_missing(self, words: set[str]) -> None:
        """Remember words, or what numbers are called, that stand for no value."""
        self._absent |= words

    def told(self, cells: pa.Array) -> pa.Array:
        """The cells, empty where they say a word for it."""
        return pc.if_else(pc.is_in(cells, value_set=pa.array(_ABSENT)), pa.scalar(None, pa.string()), cells)

    def typed(self, name: str, cells: pa.Array, kinds: tuple[str, ...]) -> pa.Array:
        """Text to the first type that every cell has; text where there is none."""
        told = self.told(cells)
        if told.null_count == len(told):
            return cells
        made = self.of_formats(name, told)
        if made is None:
            made = self._of_shapes(name, told, kinds)
        if made is None:
            if "number" in kinds and in_style(told, self.style) is not None and pc.any(_long(told)).as_py():
                self.notes.append(Note(name, f"taken as text: {TOO_LONG}", review=True))
            elif "number" in kinds:
                nearly_numbers(name, told, self.notes)
            return cells
        if told.null_count > cells.null_count:
            words = pc.unique(cells.filter(pc.is_in(cells, value_set=pa.array(_ABSENT)))).to_pylist()
            self.takes_as_missing(set(words))
            absent = told.null_count - cells.null_count
            self.notes.append(Note(name, f"{absent:,} cells that say {first_few(words)} are taken as missing"))
        return made

    def of_formats(self, name: str, told: pa.Array) -> pa.Array | None:
        """Dates or moments in one of the formats that were asked for; None if it is none of them."""
        for written in self.request.date_formats:
            # Digits without a sign between them are dates where that is said, and numbers elsewhere.
            if name != self.request.time and written.replace("%", "").isalnum():
                continue
            made = plain_moments(told, written)
            if made.null_count == told.null_count:
                try:
                    return made.cast(pa.timestamp("us") if _has_clock(written) else pa.date32())
                except pa.ArrowInvalid:  # such as the 13th month, where days and months were exchanged
                    continue
        return None

    def _of_shapes(self, name: str, told: pa.Array, kinds: tuple[str, ...]) -> pa.Array | None:
        numbers = in_style(told, self.style) if "number" in kinds else None
        # Finer than microseconds nothing is kept.
        moments = pc.replace_substring_regex(told, r"(:[0-9]{2}\.[0-9]{6})[0-9]{1,3}", r"\1")
        for kind in kinds:
            shape, target = _SHAPES[kind]
            cells = numbers if kind in ("integer", "number") else moments
            if cells is None or not pc.all(pc.match_substring_regex(cells, shape)).as_py():
                continue
            try:
                made = (pc.utf8_lower(cells) if kind == "truth" else cells).cast(target)
            except pa.ArrowInvalid:  # such as 30 February, or more than 64 bits hold
                continue
            if kind == "truth":
                self.written[name] = "truth"
            return made
        return None


def _long(cells: pa.Array) -> pa.Array:
    return pc.match_substring_regex(cells, "[0-9]{16,}")


def dated(name: str, cells: pa.Array, request: Request) -> pa.Array:
    """Text as dates or moments in one of the formats that were asked for, if it is that; else as it is."""
    made = _Typing(request, []).of_formats(name, cells)
    return cells if made is None or cells.null_count == len(cells) else made


def forms_of_dates(request: Request) -> tuple[str, str]:
    """The formats of dates and of moments that were asked for; empty where none was."""
    dates = next((f for f in request.date_formats if not _has_clock(f)), "")
    return dates, next((f for f in request.date_formats if _has_clock(f)), "")


def _has_clock(written: str) -> bool:
    return any(code in written for code in ("%H", "%M", "%S", "%f"))


def read_json_lines(path: Path, request: Request) -> Source:
    """A file with a JSON object in each line."""
    notes: list[Note] = []
    made = _Typing(request, notes)
    columns: dict[str, list[Any]] = {}
    lines: list[str] = []
    with opened(path) as source:
        for number, line in enumerate(source, start=1):
            if not line.strip():
                continue
            row = json.loads(line.decode())
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no JSON object")
            for name, value in row.items():
                columns.setdefault(name, [None] * len(lines)).append(value)
            lines.append(line.decode().strip())
            for values in columns.values():
                if len(values) < len(lines):
                    values.append(None)
    _check_end(path, notes)
    found: dict[str, Any] = {}
    ignored: list[str] = []
    for name, values in columns.items():
        cells = _json_cells(name, values, made, notes)
        if cells is None:
            ignored.append(name)
        else:
            found[name] = cells

    def write(rows: NDArray[np.int64], place: Path) -> None:
        with _created(place) as target:
            target.writelines(f"{lines[row]}\n" for row in rows.tolist())

    packed = path.suffix.lower() == ".gz"
    suffix = Path(path.stem if packed else path.name).suffix.lower() + (".gz" if packed else "")
    row_bytes = 2 * sum(map(len, lines)) // max(len(lines), 1)
    return Source(pa.table(found), suffix, write, made.form, made.written, ignored, notes, row_bytes=row_bytes)


def _json_cells(name: str, values: list[Any], typing: _Typing, notes: list[Note]) -> pa.Array | None:
    kinds = {type(value) for value in values if value is not None}
    if kinds & {list, dict}:
        notes.append(Note(name, "left out: its cells are lists or objects, not single values", review=True))
        return None
    if kinds <= {str}:
        return typing.typed(name, pa.array(values, pa.string()), _DATED)
    if kinds <= {bool}:
        typing.written[name] = "truth"
        return pa.array(values, pa.bool_())
    if kinds <= {int} and all(-(2**63) <= v < 2**63 for v in values if v is not None):
        digits = pa.array(None if v is None else str(v) for v in values)
        dated = typing.typed(name, digits, ()) if name == typing.request.time else digits
        return dated if dated.type != pa.string() else pa.array(values, pa.int64())
    if kinds <= {int, float} and float in kinds and all(int(float(v)) == v for v in values if type(v) is int):
        floats = [None if v is None else float(v) for v in values]
        typing.takes_as_missing({str(v) for v in floats if v is not None and math.isinf(v)})
        return pa.array(floats, pa.float64())
    typing.written[name] = "digits"
    why = "its cells are of several types"
    if kinds <= {int, float}:
        why = TOO_LONG
    notes.append(Note(name, f"taken as text: {why}", review=True))
    words = [None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values]
    return pa.array(words, pa.string())
