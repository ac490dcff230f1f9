from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import json
import os
import re
import resource
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.adapters.landing.cells import RawCells
from pipeline.adapters.landing.conforming import conform, read_cell
from pipeline.adapters.landing.fetching import _SameManners
from pipeline.adapters.landing.folder import FolderLanding
from pipeline.core.errors import PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.tables import Column, Feed

DAY = date(2013, 3, 8)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return made.getvalue()


def as_jsonl(lines: list[str]) -> bytes:
    names = lines[0].split(",")
    rows = []
    for line in lines[1:]:
        row: dict[str, Any] = dict(zip(names, line.split(","), strict=True))
        row["flight"] = int(row["flight"])
        row["delay"] = float(row["delay"]) if row["delay"] else None
        rows.append(json.dumps(row))
    return ("\n".join(rows) + "\n").encode()


def as_parquet(lines: list[str], **changes: Any) -> bytes:
    names = lines[0].split(",")
    cells = dict(zip(names, zip(*(line.split(",") for line in lines[1:]), strict=True), strict=True))
    columns = {
        "day": pa.array([date.fromisoformat(d) for d in cells["day"]]),
        "flight": pa.array([int(n) for n in cells["flight"]], pa.int32()),
        "origin": pa.array(cells["origin"]).dictionary_encode(),
        "scheduled": pa.array([datetime.fromisoformat(t) for t in cells["scheduled"]], pa.timestamp("ns", "UTC")),
        "delay": pa.array([float(d) if d else None for d in cells["delay"]]),
    } | changes
    out = io.BytesIO()
    pq.write_table(pa.table({name: c for name, c in columns.items() if c is not None}), out)
    return out.getvalue()


FORMATS: dict[str, Callable[[list[str]], bytes]] = {
    ".csv": lambda lines: ("\n".join(lines) + "\n").encode(),
    ".csv.gz": lambda lines: gzip.compress(FORMATS[".csv"](lines)),
    ".csv.zip": lambda lines: zipped(("flights.csv", FORMATS[".csv"](lines))),
    ".jsonl": as_jsonl,
    ".jsonl.gz": lambda lines: gzip.compress(as_jsonl(lines)),
    ".jsonl.zip": lambda lines: zipped(("x.jsonl", as_jsonl(lines))),
    ".parquet": as_parquet,
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_sound_file_is_read_alike_in_every_format(upstream: Any, suffix: str) -> None:
    upstream.put(upstream.csv())
    plain = upstream.landing.fetch(upstream.table(), DAY)
    upstream.put(FORMATS[suffix](upstream.lines()), suffix)
    got = upstream.landing.fetch(upstream.table(suffix), DAY)
    assert got.rows.equals(plain.rows)
    assert got.content == plain.content
    assert (got.rows.num_rows, list(got.rejects)) == (100, [])
    assert got.rows.schema.field("scheduled").type == pa.timestamp("us", "UTC")
    assert got.rows.slice(1, 1).to_pylist() == [
        {
            "day": DAY,
            "flight": 1,
            "origin": "JFK",
            "scheduled": datetime(2013, 3, 8, 1, 30, tzinfo=UTC),
            "delay": 0.25,
        }
    ]


def test_whole_numbers_that_may_be_missing_may_come_as_pandas_writes_them(upstream: Any) -> None:
    cells = [None if n % 7 == 0 else float(n) for n in range(100)]
    made = {"delay": pa.array(cells), "day": pa.array([DAY] * 100)}
    upstream.put(as_parquet(upstream.lines(), **made), ".parquet")
    columns = upstream.table().columns
    whole = tuple(dataclasses.replace(c, type="integer") if c.name == "delay" else c for c in columns)
    got = upstream.landing.fetch(upstream.table(".parquet", columns=whole), DAY)
    assert got.rows.schema.field("delay").type == pa.int64()
    assert got.rows["delay"].to_pylist() == cells
    upstream.put(as_parquet(upstream.lines(), delay=pa.array([1.5, *[2.0] * 99])), ".parquet")
    got = upstream.landing.fetch(upstream.table(".parquet", columns=whole), DAY)
    assert (got.rows.num_rows, len(got.rejects)) == (99, 1)
    never = tuple(dataclasses.replace(c, empty=False) if c.name == "delay" else c for c in whole)
    with pytest.raises(RefusedError, match="has double in the column 'delay', which is declared as integer"):
        upstream.landing.fetch(upstream.table(".parquet", columns=never), DAY)


Fault = Callable[[Any], tuple[bytes, str]]
#: Code, a piece of the sentence, and how to make the file: (upstream) -> bytes, suffix.
FAULTS: list[tuple[str, str, Fault]] = [
    ("EMPTY", "0 bytes", lambda up: (b"", ".csv")),
    ("EMPTY", "is empty", lambda up: (b" \n\n", ".csv")),
    ("EMPTY", "is empty", lambda up: (up.gz(b""), ".csv.gz")),
    ("HEADER_ONLY", "not one row", lambda up: (up.csv(up.lines(0)), ".csv")),
    ("HEADER_ONLY", "not one row", lambda up: (no_rows(as_parquet(up.lines(2))), ".parquet")),
    ("TRUNCATED", "too early", lambda up: (up.gz(up.csv())[:-20], ".csv.gz")),
    ("TRUNCATED", "too early", lambda up: (up.gz(up.csv())[:-3], ".csv.gz")),
    ("TRUNCATED", "directory is missing", lambda up: (zipped(("a.csv", up.csv()))[:-30], ".csv.zip")),
    ("TRUNCATED", "directory is missing", lambda up: (as_parquet(up.lines())[:-9], ".parquet")),
    ("TRUNCATED", "does not end", lambda up: (up.csv()[:-1], ".csv")),
    ("TRUNCATED", "2 of 5 cells", lambda up: (up.csv([*up.lines(), "2013-03-08,77"]), ".csv")),
    ("TRUNCATED", "never closed", lambda up: (up.csv([*up.lines(), bad(up, 4, '"7')]), ".csv")),
    ("TRUNCATED", "last line (101)", lambda up: (as_jsonl(up.lines()) + b'{"day": "2013-0\n', ".jsonl")),
    ("DAMAGED", "no gzip file", lambda up: (up.csv(), ".csv.gz")),
    ("DAMAGED", "gzip data break off", lambda up: (flipped(up.gz(up.csv()), 200), ".csv.gz")),
    ("DAMAGED", "gzip data break off", lambda up: (up.gz(up.csv()) + b"tail of something", ".csv.gz")),
    ("DAMAGED", "no zip file", lambda up: (up.csv(), ".csv.zip")),
    ("DAMAGED", "zip data", lambda up: (flipped(zipped(("a.csv", up.csv())), 200), ".csv.zip")),
    ("DAMAGED", "no Parquet file", lambda up: (up.csv(), ".parquet")),
    ("ENCODING", "UTF-16", lambda up: (up.csv().decode().encode("utf-16"), ".csv")),
    ("ENCODING", "zero byte", lambda up: (up.csv().decode().encode("utf-16-le"), ".csv")),
    ("ENCODING", "zero byte at byte", lambda up: (up.csv() + b"\0" * 512, ".csv")),
    ("ENCODING", "line 102", lambda up: (latin(up.csv([*up.lines(), bad(up, 2, "é")])), ".csv")),
    ("HTML", "web page", lambda up: (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>\n", ".csv")),
    ("DELIMITER", "semicolons", lambda up: (up.csv().replace(b",", b";"), ".csv")),
    ("DELIMITER", "tabs", lambda up: (up.csv().replace(b",", b"\t"), ".csv")),
    ("COLUMN_RENAMED", "'delay' and has 'dep_delay'", lambda up: (up.csv().replace(b",delay", b",dep_delay"), ".csv")),
    (
        "COLUMN_RENAMED",
        "'flight_number'",
        lambda up: (as_jsonl(up.lines()).replace(b'"flight"', b'"flight_number"'), ".jsonl"),
    ),
    (
        "COLUMN_MISSING",
        "lacks the column 'delay'",
        lambda up: (up.csv([x.rsplit(",", 1)[0] for x in up.lines()]), ".csv"),
    ),
    ("COLUMN_MISSING", "'origin'", lambda up: (as_parquet(up.lines(), origin=None), ".parquet")),
    ("COLUMN_EXTRA", "'note'", lambda up: (up.csv([up.header + ",note", *(x + ",!" for x in up.lines()[1:])]), ".csv")),
    ("COLUMN_DOUBLED", "'origin'", lambda up: (up.csv().replace(b"flight,", b"origin,", 1), ".csv")),
    ("COLUMN_TYPE", "int64 in the column 'origin'", lambda up: (as_parquet(up.lines(), origin=ints()), ".parquet")),
    ("COLUMN_TYPE", "without a time zone", lambda up: (as_parquet(up.lines(), scheduled=naive()), ".parquet")),
    ("TOO_MANY_COLUMNS", "10,000", lambda up: (up.csv([",".join(f"c{n}" for n in range(10_000)), "1"]), ".csv")),
    (
        "TYPES",
        "line 2: flight: '0x1F' is no integer",
        lambda up: (up.csv([up.header] + 5 * [bad(up, 1, "0x1F")]), ".csv"),
    ),
    ("TYPES", "no time with an offset", lambda up: (up.csv().replace(b"Z,", b","), ".csv")),
    ("TYPES", "'NaN' is no finite number", lambda up: (up.csv([up.header, bad(up, 4, "NaN")]), ".csv")),
    ("TYPES", "is empty and may not be", lambda up: (up.csv([up.header, bad(up, 2, "")]), ".csv")),
    ("TYPES", "3 cells in place of 5", lambda up: (up.csv([up.header, "a,b,c", up.line(1)]), ".csv")),
    ("TYPES", "is no integer", lambda up: (as_jsonl(up.lines()).replace(b'"flight": ', b'"flight": 0.5e'), ".jsonl")),
    ("TYPES", "no JSON object", lambda up: (b"[1]\n" + as_jsonl(up.lines(3)), ".jsonl")),
    ("KEY_CONFLICT", "lines 2 and 102", lambda up: (up.csv([*up.lines(), up.line(0).replace("EWR", "LGA")]), ".csv")),
    ("DUPLICATED", "100 of 200 rows", lambda up: (up.csv([*up.lines(), *up.lines()[1:]]), ".csv")),
    ("FUTURE", "line 102 says 2013-03-09", lambda up: (up.csv([*up.lines(), up.line(0, DAY + timedelta(1))]), ".csv")),
    ("OTHER_DAY", "100 of 100 rows", lambda up: (up.csv(up.lines(day=DAY - timedelta(1))), ".csv")),
    ("TIME", "outside 2013-03-07 00:00", lambda up: (up.csv([up.header, bad(up, 3, "2013-03-10T00:00:00Z")]), ".csv")),
    ("TIME", "outside", lambda up: (up.csv([up.header, bad(up, 3, "2013-03-06T23:59:59Z")]), ".csv")),
    ("TOO_LARGE", "10.0 times too large", lambda up: (b"x" * 2_000_000, ".csv")),
    ("TOO_LARGE", "unpacks to more than", lambda up: (up.gz(noise(300_000)), ".csv.gz")),
    ("TOO_LARGE", "unpacks to more than", lambda up: (zipped(("a.csv", noise(300_000))), ".csv.zip")),
    ("TOO_LARGE", "unpacks to more than", lambda up: (wide_parquet(), ".parquet")),
    ("BOMB", "100 times", lambda up: (up.gz(b"1" * 10_000_000), ".csv.gz")),
    ("BOMB", "100 times", lambda up: (zipped(("a.csv", b"1" * 10_000_000)), ".csv.zip")),
    ("ARCHIVE", "within an archive", lambda up: (up.gz(up.gz(up.csv())), ".csv.gz")),
    ("ARCHIVE", "within an archive", lambda up: (zipped(("a.csv", zipped(("a.csv", up.csv())))), ".csv.zip")),
    ("ARCHIVE", "no .csv file", lambda up: (zipped(("a.zip", zipped(("a.csv", up.csv())))), ".csv.zip")),
    ("ARCHIVE", "leads elsewhere", lambda up: (zipped(("../../etc/a.csv", up.csv())), ".csv.zip")),
    ("ARCHIVE", "leads elsewhere", lambda up: (zipped(("/etc/a.csv", up.csv())), ".csv.zip")),
    ("ARCHIVE", "holds 2 files", lambda up: (zipped(("a.csv", up.csv()), ("b.csv", up.csv())), ".csv.zip")),
    ("ARCHIVE", "holds 0 files", lambda up: (b"PK\5\6" + b"\0" * 18, ".csv.zip")),
    ("ARCHIVE", "encrypted", lambda up: (encrypted(zipped(("a.csv", up.csv()))), ".csv.zip")),
]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def bad(up: Any, cell: int, text: str) -> str:
    cells = up.line(1).split(",")
    cells[cell] = text
    return ",".join(cells)


def latin(data: bytes) -> bytes:
    return data.decode().encode("latin-1")


def no_rows(data: bytes) -> bytes:
    out = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(data)).slice(0, 0), out)
    return out.getvalue()


def ints() -> pa.Array:
    return pa.array(range(100))


def naive() -> pa.Array:
    return pa.array([datetime(2013, 3, 8, 9, tzinfo=None)] * 100, pa.timestamp("us"))


def noise(size: int) -> bytes:
    return np.random.default_rng(1).integers(65, 90, size, np.uint8).tobytes() + b"\n"


def wide_parquet() -> bytes:
    out = io.BytesIO()
    count = 1000
    pq.write_table(
        pa.table(
            {
                "day": pa.array([DAY] * count),
                "flight": pa.array(range(count)),
                "origin": pa.array(["x" * 90_000] * count),
                "scheduled": pa.array([datetime(2013, 3, 8, 9, tzinfo=UTC)] * count, pa.timestamp("us", "UTC")),
                "delay": pa.array([1.0] * count),
            }
        ),
        out,
    )
    return out.getvalue()


def encrypted(data: bytes) -> bytes:
    made = bytearray(data)
    made[6] |= 1
    made[data.index(b"PK\1\2") + 8] |= 1
    return bytes(made)


@pytest.mark.parametrize(
    ("code", "piece", "make"), FAULTS, ids=[f"{n}-{code}-{piece[:20]}" for n, (code, piece, _) in enumerate(FAULTS)]
)
def test_each_fault_has_its_own_code_and_a_sentence_with_file_and_way_out(
    upstream: Any, code: str, piece: str, make: Fault
) -> None:
    data, suffix = make(upstream)
    upstream.put(data, suffix)
    with pytest.raises(RefusedError) as refused:
        upstream.landing.fetch(upstream.table(suffix), DAY)
    sentence = str(refused.value)
    assert (refused.value.code, piece in sentence) == (code, True), sentence
    assert sentence.startswith(f"flights of 2013-03-08: the file 'flights/2013-03-08{suffix}' ")
    assert "; " in sentence
    assert len(sentence) < 900
    assert str(upstream.root) not in sentence


def test_a_file_that_is_not_there_may_come_later(upstream: Any) -> None:
    with pytest.raises(UnavailableError) as missing:
        upstream.landing.fetch(upstream.feed, DAY)
    assert missing.value.code == "MISSING"
    assert missing.value.retry
    assert not upstream.landing.has(upstream.feed, DAY)
    assert upstream.landing.digest(upstream.feed, DAY) is None


def test_a_demanded_manifest_that_is_not_there_may_come_later(upstream: Any) -> None:
    upstream.put(upstream.csv())
    with pytest.raises(UnavailableError) as missing:
        upstream.landing.fetch(upstream.table(manifest=True), DAY)
    assert missing.value.code == "MANIFEST_MISSING"
    upstream.put(upstream.csv(), manifest=True)
    assert upstream.landing.fetch(upstream.table(manifest=True), DAY).rows.num_rows == 100


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zip", ".jsonl", ".parquet"])
def test_a_file_cut_anywhere_or_with_one_bit_flipped_is_refused_by_its_manifest(upstream: Any, suffix: str) -> None:
    data = FORMATS[suffix](upstream.lines())
    told = upstream.manifest(data)
    draw = np.random.default_rng(7)
    damaged = [data[:n] for n in {0, 1, len(data) - 1, *draw.integers(0, len(data), 60).tolist()}]
    damaged += [data[: n + 1] for n in range(len(data)) if data[n : n + 1] == b"\n"][:-1][-20:]
    damaged += [flipped(data, int(at)) for at in draw.integers(0, len(data), 60)]
    codes = set()
    for part in damaged:
        upstream.put(part, suffix, manifest=told)
        with pytest.raises(RefusedError) as refused:
            upstream.landing.fetch(upstream.table(suffix), DAY)
        codes.add(refused.value.code)
    assert codes == {"INTEGRITY"}
    upstream.put(data, suffix, manifest=told)
    assert upstream.landing.fetch(upstream.table(suffix), DAY).rows.num_rows == 100


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zip", ".jsonl", ".parquet"])
def test_a_file_cut_within_a_line_is_refused_even_without_a_manifest(upstream: Any, suffix: str) -> None:
    data = FORMATS[suffix](upstream.lines())
    for at in np.random.default_rng(8).integers(1, len(data) - 1, 60).tolist():
        if data[at - 1 : at] == b"\n" and suffix in (".csv", ".jsonl"):
            continue  # The one cut that only a manifest tells.
        upstream.put(data[:at], suffix)
        with pytest.raises(RefusedError):
            upstream.landing.fetch(upstream.table(suffix), DAY)


def test_a_manifest_that_counts_other_rows_is_believed_over_the_file(upstream: Any) -> None:
    data = upstream.csv()
    upstream.put(data, manifest=upstream.manifest(data) | {"rows": 101})
    with pytest.raises(RefusedError, match="has 100 rows, but its manifest says 101") as refused:
        upstream.landing.fetch(upstream.feed, DAY)
    assert refused.value.code == "INTEGRITY"


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"sha256": "ab", "rows": 1, "bytes": 2}', "[" * 9000, "\0"])
def test_a_manifest_that_makes_no_sense_refuses_the_file(upstream: Any, told: str) -> None:
    upstream.put(upstream.csv(), manifest=told)
    with pytest.raises(RefusedError) as refused:
        upstream.landing.fetch(upstream.feed, DAY)
    assert refused.value.code == "MANIFEST"


def test_with_a_true_manifest_the_last_line_need_not_end(upstream: Any) -> None:
    data = upstream.csv()[:-1]
    upstream.put(data, manifest=upstream.manifest(data))
    assert upstream.landing.fetch(upstream.feed, DAY).rows.num_rows == 100


def test_a_byte_order_mark_other_line_ends_and_reordered_columns_change_nothing(upstream: Any) -> None:
    upstream.put(upstream.csv())
    plain = upstream.landing.fetch(upstream.feed, DAY)
    turned = [",".join(reversed(line.split(","))) for line in upstream.lines()]
    for data in (
        b"\xef\xbb\xbf" + upstream.csv(),
        upstream.csv().replace(b"\n", b"\r\n"),
        upstream.csv(turned),
        upstream.csv().replace(b"\n", b"\n\n"),
        upstream.csv([upstream.lines()[0], *reversed(upstream.lines()[1:])]),
    ):
        upstream.put(data)
        got = upstream.landing.fetch(upstream.feed, DAY)
        assert got.content == plain.content
        assert got.rows.num_rows == 100
        assert got.sha256 != plain.sha256


def test_undeclared_columns_are_ignored_where_that_is_declared(upstream: Any) -> None:
    upstream.put(upstream.csv([upstream.header + ",note", *(x + ",!" for x in upstream.lines()[1:])]))
    got = upstream.landing.fetch(upstream.table(extra_columns="ignore"), DAY)
    assert got.rows.column_names == upstream.header.split(",")


def test_rows_that_break_a_type_are_rejected_with_line_reason_and_text(upstream: Any) -> None:
    lines = upstream.lines()
    lines[10] = lines[10].replace(",9,", ',"a\nb",')  # One record on two lines.
    lines[50] = lines[50].replace("2013-03-08T", "2013-02-30T")
    upstream.put(upstream.csv(lines))
    got = upstream.landing.fetch(upstream.feed, DAY)
    assert got.rows.num_rows == 98
    assert [line for line, _, _ in got.rejects] == [11, 52]
    (_, first, text), (_, second, _) = got.rejects
    assert first == r"flight: 'a\nb' is no integer"
    assert text == lines[10]
    assert second.startswith("scheduled: '2013-02-30T01:30:00Z' is no time with an offset")
    with pytest.raises(RefusedError, match=r"has 2 of 100 rows \(2 %\) that break .* at most 1.00% may") as refused:
        upstream.landing.fetch(upstream.table(bad_rows=0.01), DAY)
    assert refused.value.code == "TYPES"


def test_a_row_that_repeats_another_exactly_is_dropped_and_counted(upstream: Any) -> None:
    upstream.put(upstream.csv([*upstream.lines(), upstream.line(3)]))
    got = upstream.landing.fetch(upstream.feed, DAY)
    assert got.rows.num_rows == 100
    assert list(got.rejects) == [(102, "repeats line 5", upstream.line(3))]


def test_strings_are_kept_as_data_whatever_they_say(upstream: Any) -> None:
    hostile = [
        "=cmd()|' /C calc'!A0",
        "<script>alert(1)</script>",
        "NA",
        "null",
        " spaced ",
        "a,b",
        'quo"te',
        "é漢😀",
        "\x1b[31m",
    ]
    lines = upstream.lines(len(hostile))
    quoted = [f'"{text.replace(chr(34), chr(34) * 2)}"' for text in hostile]
    rows = [line.replace("JFK", q).replace("EWR", q) for line, q in zip(lines[1:], quoted, strict=True)]
    upstream.put(upstream.csv([lines[0], *rows]))
    assert upstream.landing.fetch(upstream.feed, DAY).rows["origin"].to_pylist() == hostile


def test_a_cell_of_a_megabyte_goes_to_quarantine_cut_short(upstream: Any) -> None:
    lines = upstream.lines()
    lines[7] = lines[7].replace("EWR", "x" * 1_000_000)
    upstream.put(upstream.csv(lines))
    got = upstream.landing.fetch(upstream.table(bytes=2_000_000), DAY)
    ((line, reason, text),) = got.rejects
    assert (line, reason) == (8, "origin: has 1,000,000 bytes and at most 100,000 are kept")
    assert len(text) == 2000


def test_a_bomb_is_refused_quickly_and_in_little_memory(upstream: Any) -> None:
    bomb = gzip.compress(b"1" * 400_000_000, compresslevel=1)
    upstream.put(bomb, ".csv.gz")
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(RefusedError) as refused:
        upstream.landing.fetch(upstream.table(".csv.gz", bytes=10**9), DAY)
    assert refused.value.code == "BOMB"
    assert time.perf_counter() - begun < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_zip_directory_that_lies_about_the_size_is_not_read_beyond_it(upstream: Any) -> None:
    data = bytearray(zipped(("a.csv", b"1" * 150_000), method=zipfile.ZIP_STORED))
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = (1000).to_bytes(4, "little")
    upstream.put(bytes(data), ".csv.zip")
    with pytest.raises(RefusedError) as refused:
        upstream.landing.fetch(upstream.table(".csv.zip"), DAY)
    assert refused.value.code == "DAMAGED"


def test_a_link_that_leaves_the_landing_folder_is_not_followed(upstream: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(upstream.csv())
    link = upstream.root / "flights/2013-03-08.csv"
    link.parent.mkdir(parents=True)
    link.symlink_to(secret)
    with pytest.raises(RefusedError) as refused:
        upstream.landing.fetch(upstream.feed, DAY)
    assert refused.value.code == "LINK"
    assert "secret" not in str(refused.value)
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(RefusedError):
        upstream.landing.fetch(upstream.feed, DAY)


def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused_and_not_waited_for(upstream: Any) -> None:
    place = upstream.root / "flights/2013-03-08.csv"
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    with pytest.raises(RefusedError) as refused:
        upstream.landing.fetch(upstream.feed, DAY)
    assert refused.value.code == "NOT_A_FILE"
    place.unlink()
    place.mkdir()
    with pytest.raises(RefusedError):
        upstream.landing.fetch(upstream.feed, DAY)


def test_a_file_that_changes_while_it_is_read_may_be_whole_later(upstream: Any, monkeypatch: Any) -> None:
    upstream.put(upstream.csv())
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda n: os.stat_result([*real(n)[:6], real(n).st_size + 5, *real(n)[7:]]))
    with pytest.raises(UnavailableError) as growing:
        upstream.landing.fetch(upstream.feed, DAY)
    assert growing.value.code == "GROWING"


@pytest.mark.parametrize(
    "path",
    [
        "../{day}.csv",
        "/etc/{day}.csv",
        "a/../../{day}.csv",
        "a\\{day}.csv",
        "ftp://x/{day}.csv",
        "file:///{day}.csv",
        "x/{day}.txt",
        "x/{day}",
    ],
)
def test_a_path_that_leads_elsewhere_is_a_mistake_in_the_declaration(upstream: Any, path: str) -> None:
    with pytest.raises(UsageError):
        upstream.landing.fetch(dataclasses.replace(upstream.feed, path=path), DAY)


def test_the_day_may_be_written_in_any_way(upstream: Any) -> None:
    file = upstream.root / "2013/03/f_20130308.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(upstream.csv())
    table = dataclasses.replace(upstream.feed, path="{day:%Y}/{day:%m}/f_{day:%Y%m%d}.csv")
    assert upstream.landing.has(table, DAY)
    assert upstream.landing.fetch(table, DAY).file == "2013/03/f_20130308.csv"


def test_an_old_day_under_a_new_date_has_the_same_content(upstream: Any) -> None:
    later = DAY + timedelta(5)
    upstream.put(upstream.csv())
    upstream.put(upstream.csv(upstream.lines(day=later)), day=later)
    upstream.put(
        upstream.csv([*upstream.lines(99, DAY + timedelta(6)), upstream.line(500, DAY + timedelta(6))]),
        day=DAY + timedelta(6),
    )
    here, there, other = (upstream.landing.fetch(upstream.feed, DAY + timedelta(n)) for n in (0, 5, 6))
    assert here.sha256 != there.sha256
    assert here.content == there.content != other.content


def test_a_frozen_reference_behind_a_moving_date_has_the_same_content(upstream: Any) -> None:
    contents = []
    for n, seats in ((0, 100), (1, 100), (2, 101)):
        day = DAY + timedelta(n)
        file = upstream.root / f"planes/{day}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"tailnum,seats,refreshed\nN1,{seats},{day}\nN2,,{day}\n")
        contents.append(upstream.landing.fetch(upstream.reference, day).content)
    assert contents[0] == contents[1] != contents[2]


def test_a_reference_refreshed_tomorrow_is_refused(upstream: Any) -> None:
    file = upstream.root / f"planes/{DAY}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"tailnum,seats,refreshed\nN1,1,{DAY}\nN2,,{DAY + timedelta(1)}\n")
    with pytest.raises(RefusedError) as refused:
        upstream.landing.fetch(upstream.reference, DAY)
    assert refused.value.code == "FUTURE"


# The quick conversion of a column against the slow one of its cells: two programs that must never disagree.

CELLS = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.dates().map(str),
    st.datetimes().map(lambda t: f"{t.isoformat()}Z"),
    st.from_regex(r"\A-?[0-9]{17,20}\Z"),
    st.from_regex(
        r"\A[12][0-9]{3}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,7})?)?"
        r"(Z|[+-][0-3][0-9]:?[0-7][0-9])?\Z"
    ),
)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(["integer", "number", "date", "timestamp"]), text=CELLS)
@example("integer", "0x1F")
@example("integer", "9223372036854775808")
@example("integer", "5\n")
@example("integer", "٥")
@example("number", "1e999")
@example("number", "1_0")
@example("date", "2013-02-30")
@example("timestamp", "2013-02-30T10:00:00Z")
@example("timestamp", "2013-03-08T10:00:00+24:00")
@example("timestamp", "2013-03-08T10:00:00.1Z")
@example("timestamp", "2013-03-08T10:00")
@example("timestamp", "1000-01-01T00:00:00+09:00")
def test_the_quick_reading_of_a_column_says_what_the_slow_reading_of_each_cell_says(kind: Any, text: str) -> None:
    if not text:
        return
    table = Feed("t", "{day}.csv", (Column("d", "date"), Column("x", kind)), ("d",), "d")
    raw = RawCells({"d": pa.array([DAY]), "x": pa.array([text])}, np.array([1]), 1, lambda n: (n, ""))
    typed = conform(table, raw)
    slow = read_cell(kind, text)
    assert (typed.rows["x"].to_pylist() or [None]) == [slow]
    assert bool(typed.rejects) == (slow is None)


def test_a_day_of_a_thousand_rows_takes_milliseconds(upstream: Any) -> None:
    # Not a benchmark: a bound that only a conversion cell by cell in Python would break many times over.
    upstream.put(upstream.csv(upstream.lines(5000)))
    table = upstream.table(bytes=10**7)
    upstream.landing.fetch(table, DAY)
    begun = time.process_time()
    upstream.landing.fetch(table, DAY)
    assert time.process_time() - begun < 1


# Over HTTP, from a server on this machine.


@contextlib.contextmanager
def serving(answers: dict[str, Callable[[BaseHTTPRequestHandler], None]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path in answers:
                answers[path](self)
            else:
                self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sends(data: bytes, told: int | None = None, status: int = 200, **headers: str) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data) if told is None else told))
        handler.end_headers()
        if handler.command == "GET":
            with contextlib.suppress(OSError):
                handler.wfile.write(data)

    return answer


def endless(handler: Any) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"x" * 65_536)


def drips(piece: bytes, pause: float) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000000 // len(piece)):
                handler.wfile.write(piece)
                time.sleep(pause)

    return answer


def silent(handler: Any) -> None:
    time.sleep(1.5)


def test_a_file_that_drips_in_does_not_hold_a_worker_for_as_long_as_it_likes(upstream: Any) -> None:
    """Each piece comes in time; all of them would take five hours, or a minute."""
    landing = FolderLanding(upstream.root, timeout=0.2)
    for piece, most in ((1, 50), (400, 400_000)):  # what ten times that patience would have let in: 100
        with serving({"/2013-03-08.csv": drips(b"x" * piece, 0.02)}) as base:
            feed = dataclasses.replace(upstream.feed, path=f"{base}/{{day}}.csv", bytes=2_000_000)
            for ask in (landing.fetch, landing.digest):
                with pytest.raises(UnavailableError, match="came too slowly") as slow:
                    ask(feed, DAY)
                assert (slow.value.code, slow.value.retry) == ("SLOW", True)
                assert int(re.search(r"([\d,]+) bytes", str(slow.value))[1].replace(",", "")) <= most


@pytest.mark.parametrize(("old", "new"), [("https", "http"), ("http", "ftp"), ("http", "file"), ("https", "gopher")])
def test_a_redirect_to_a_lesser_or_other_kind_of_address_is_not_followed(old: str, new: str) -> None:
    request = urllib.request.Request(f"{old}://a.example/x.csv")
    with pytest.raises(urllib.error.URLError, match="not followed"):
        _SameManners().redirect_request(request, io.BytesIO(), 302, "", {}, f"{new}://a.example/x.csv")


def test_files_come_over_http_within_limits_and_without_their_secrets_in_the_sentence(upstream: Any) -> None:
    data = upstream.csv()
    short = FolderLanding(upstream.root, timeout=0.5)
    answers = {
        "/2013-03-08.csv": sends(data),
        "/2013-03-08.csv.manifest.json": sends(json.dumps(upstream.manifest(data)).encode()),
        "/cut/2013-03-08.csv": sends(data[:500], told=len(data)),
        "/big/2013-03-08.csv": sends(b"", told=10**9),
        "/endless/2013-03-08.csv": endless,
        "/silent/2013-03-08.csv": silent,
        "/error/2013-03-08.csv": sends(b"", status=503),
        "/moved/2013-03-08.csv": sends(b"", status=302, Location="/2013-03-08.csv"),
        "/local/2013-03-08.csv": sends(b"", status=302, Location="file:///etc/hostname"),
        "/ftp/2013-03-08.csv": sends(b"", status=302, Location="ftp://127.0.0.1/x"),
        "/signed/2013-03-08.csv": lambda up: sends(
            data if up.headers.get("Authorization") == "Basic bWU6c2VjcmV0" else b"<html>sign in</html>"
        )(up),
        "/html/2013-03-08.csv": sends(b"<html>sign in</html>"),
    }
    with serving(answers) as base:

        def table(path: str) -> Feed:
            return dataclasses.replace(upstream.feed, path=f"{base.replace('//', '//me:secret@')}{path}?token=secret")

        upstream.put(data)
        good = short.fetch(table("/{day}.csv"), DAY)
        assert good.rows.equals(upstream.landing.fetch(upstream.feed, DAY).rows)
        assert short.fetch(table("/moved/{day}.csv"), DAY).sha256 == good.sha256
        assert short.fetch(table("/signed/{day}.csv"), DAY).sha256 == good.sha256
        assert short.digest(table("/{day}.csv"), DAY) == good.sha256
        assert short.has(table("/{day}.csv"), DAY)
        assert not short.has(table("/none/{day}.csv"), DAY)
        assert short.digest(table("/none/{day}.csv"), DAY) is None
        assert short.digest(table("/error/{day}.csv"), DAY) == ""
        for path, code in (
            ("none", "MISSING"),
            ("cut", "INTERRUPTED"),
            ("big", "TOO_LARGE"),
            ("endless", "TOO_LARGE"),
            ("silent", "SLOW"),
            ("error", "HTTP"),
            ("local", "HTTP"),
            ("ftp", "HTTP"),
            ("html", "HTML"),
        ):
            with pytest.raises(PipelineError) as refused:
                short.fetch(table(f"/{path}/{{day}}.csv"), DAY)
            assert (path, refused.value.code) == (path, code), str(refused.value)
            assert "secret" not in str(refused.value)
    with pytest.raises(UnavailableError) as gone:
        short.fetch(dataclasses.replace(upstream.feed, path=f"{base}/{{day}}.csv"), DAY)
    assert gone.value.code == "HTTP"
