"""A file becomes typed columns: nothing rounded, nothing lost, nothing guessed in silence."""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.onboarding.history.reading import read

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
CELLS = {
    "integer": st.integers(-(10**17), 10**17),
    "number": st.floats(allow_nan=False, allow_infinity=False, min_value=-1e90, max_value=1e90).map(lambda x: x + 0.0),
    "word": WORDS,
    "date": st.dates(date(1900, 1, 1), date(2200, 1, 1)),
}


@st.composite
def columns(draw: Any) -> dict[str, list[Any]]:
    rows = draw(st.integers(1, 12))
    return {
        name: [None if draw(st.integers(0, 4)) == 0 else draw(cell) for _ in range(rows)]
        for name, cell in CELLS.items()
    }


def as_csv(found: dict[str, list[Any]], folder: str) -> Path:
    path = Path(folder) / "history.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["row", *found])
        for n, row in enumerate(zip(*found.values(), strict=True)):
            writer.writerow([n, *("" if v is None else repr(v) if isinstance(v, float) else v for v in row)])
    return path


@given(columns())
@settings(max_examples=60, deadline=None)
def test_what_was_written_as_csv_is_read_to_the_last_bit(found: dict[str, list[Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, _ = read(as_csv(found, folder))
    for name in ("integer", "number", "date"):
        if any(value is not None for value in found[name]):
            assert table[name].to_pylist() == found[name], name
    # A column of words that all look like numbers is one of numbers: a CSV file can't say otherwise.
    if pa.types.is_string(table["word"].type):
        assert table["word"].to_pylist() == found["word"]


@given(columns())
@settings(max_examples=40, deadline=None)
def test_json_lines_keep_words_as_words_whatever_they_look_like(found: dict[str, list[Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
        path.write_text("".join(json.dumps({"n": n, **row}, default=str) + "\n" for n, row in enumerate(rows)))
        table, _ = read(path)
    for name, values in found.items():
        if any(value is not None for value in values):
            # Words that are all dates are dates.
            told = [str(v) if name == "word" and v is not None else v for v in table[name].to_pylist()]
            assert told == values, name


def typed(tmp_path: Path, *cells: str) -> pa.ChunkedArray:
    path = tmp_path / "one.csv"
    path.write_text("n,cell\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
    return read(path)[0]["cell"]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (("007", "12"), pa.string(), ["007", "12"]),
        (("7", "", "12"), pa.int64(), [7, None, 12]),
        (("7", "NA", "1.5"), pa.float64(), [7.0, None, 1.5]),
        (("DE", "NA"), pa.string(), ["DE", "NA"]),
        (("true", "False"), pa.bool_(), [True, False]),
        (("2026-01-02", "2026-02-30"), pa.string(), ["2026-01-02", "2026-02-30"]),
        (("9" * 19,), pa.string(), ["9" * 19]),
        (("1" + "0" * 20 + ".5", ".5", "-3."), pa.float64(), [1e20, 0.5, -3.0]),
        (("1e5", "2"), pa.float64(), [1e5, 2.0]),
    ],
)
def test_a_csv_column_has_the_type_that_every_cell_has(
    tmp_path: Path, cells: tuple[str, ...], kind: pa.DataType, values: list[Any]
) -> None:
    found = typed(tmp_path, *cells)
    assert found.type == kind
    assert found.to_pylist() == values


def test_times_with_an_offset_are_told_from_times_without(tmp_path: Path) -> None:
    assert typed(tmp_path, "2026-01-02T03:04:05").type == pa.timestamp("us")
    zoned = typed(tmp_path, "2026-01-02T03:04:05+02:00", "2026-01-02 03:04Z")
    assert zoned.type == pa.timestamp("us", "UTC")
    assert [moment.hour for moment in zoned.to_pylist()] == [1, 3]


def test_what_was_taken_as_missing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("income\n5\nNA\n7\n")
    _, notes = read(path)
    assert [(note.about, note.text) for note in notes] == [("income", "1 cells that say NA are taken as missing")]


def test_packed_texts_other_separators_and_a_mark_at_the_beginning_are_read(tmp_path: Path) -> None:
    path = tmp_path / "history.csv.gz"
    path.write_bytes(gzip.compress("\ufeffday;amount\n2026-01-02;5\n".encode()))
    table, _ = read(path)
    assert table.column_names == ["day", "amount"]
    assert table["amount"].to_pylist() == [5]


def test_parquet_keeps_its_own_types_and_lists_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "history.parquet"
    pq.write_table(pa.table({"code": ["007"], "few": pa.array([1], pa.int8()), "many": [[1, 2]]}), path)
    table, notes = read(path)
    assert table.to_pydict() == {"code": ["007"], "few": [1]}
    assert notes[0].about == "many"
    assert notes[0].review


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("gone.csv", None, "there is no file"),
        ("history.xlsx", b"x", "must end in .csv, .parquet or .jsonl"),
        ("history.csv", b"", "holds no row"),
        ("history.csv", b"a,b\n", "holds no row"),
        ("history.csv", b"a,b\n1,2\n3\n", "can't be read as csv"),
        ("history.csv", b"a,b\n1,\xff\n", "can't be read as csv in UTF-8"),
        ("history.csv", b"a,a\n1,2\n", "column a more than once"),
        ("history.parquet", b"PAR1 not really", "can't be read as parquet"),
        ("history.jsonl", b'{"a": 1}\n{"a": \n', "can't be read as jsonl"),
        ("history.jsonl", b"[1]\n", "line 1 is no JSON object"),
    ],
)
def test_a_file_that_can_not_serve_gets_a_sentence(tmp_path: Path, name: str, data: bytes | None, said: str) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
