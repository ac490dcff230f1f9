"""Whole numbers that a floating one can't hold: exact from the file to the key, or refused with column and line."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.adapters.checker.suites import GxChecker
from pipeline.adapters.engine.polars_engine import PolarsEngine
from pipeline.adapters.frames import in_pandas
from pipeline.adapters.landing.folder import FolderLanding
from pipeline.core.checks.profiles import feed_profile, reference_profile
from pipeline.core.errors import PipelineError, RefusedError
from pipeline.core.facts import exact, number_word, texts
from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.verdict import Bound
from pipeline.core.windows import Days
from pipeline.steps.tables.columns import columns_of
from tests import small

DAY = date(2020, 1, 20)
BIG = 2**53 + 1
MOST = 2**63 - 1
FEED = Feed(
    name="sales",
    path="sales/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("customer", "integer"),
        Column("amount", "number", empty=True),
        Column("account", "integer", empty=True),
    ),
    key=("day", "customer"),
    day="day",
    bad_rows=0.2,
)


def landed(root: Path, suffix: str, table: Feed = FEED, rows: int = 20, **cells: Any) -> Any:
    """The rows as they come out of the landing, from a file with these cells."""
    file = root / f"sales/{DAY}{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    made = {
        "day": [DAY] * rows,
        "customer": [BIG + 2 * n for n in range(rows)],
        "amount": [n / 4 for n in range(rows)],
        "account": [None, *range(1, rows)],
        **cells,
    }
    if suffix == ".parquet":
        pq.write_table(pa.table(made), file)
    else:
        records = [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]
        if suffix == ".csv":
            lines = [",".join(made), *(",".join("" if v is None else str(v) for v in one.values()) for one in records)]
        else:
            lines = [json.dumps({k: str(v) if k == "day" else v for k, v in one.items()}) for one in records]
        file.write_text("\n".join(lines) + "\n")
    return FolderLanding(root).fetch(replace(table, path=f"sales/{{day}}{suffix}"), DAY)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("value", [BIG, MOST, -MOST - 1, 2**62 + 1])
def test_a_whole_number_of_64_bits_is_kept_to_the_last_digit(tmp_path: Path, suffix: str, value: int) -> None:
    cells = [value, None, *[0] * 18]
    if suffix == ".parquet":
        cells = pa.array(cells, pa.int64())
    got = landed(tmp_path, suffix, account=cells)
    assert got.rows["account"].to_pylist()[:2] == [value, None]
    assert got.rows["customer"].to_pylist() == [BIG + 2 * n for n in range(20)]
    assert not got.rejects


@pytest.mark.parametrize(
    ("suffix", "cells"),
    [
        (".csv", [MOST, *[1.5] * 19]),
        (".csv", [BIG, *[1.5] * 19]),
        (".jsonl", [BIG, *[1.5] * 19]),
        (".parquet", pa.array([BIG, *[1] * 19], pa.int64())),
        (".parquet", pa.array([2**64 - 1, *[1] * 19], pa.uint64())),
        (".parquet", pa.array([Decimal(10**22 + 1), *[Decimal(1)] * 19], pa.decimal128(30, 0))),
        (".parquet", pa.array([Decimal(10**22 + 1), *[Decimal("1.25")] * 19], pa.decimal128(30, 2))),
    ],
)
def test_a_number_that_would_be_rounded_is_refused_by_column_and_line_and_as_it_is(
    tmp_path: Path, suffix: str, cells: Any
) -> None:
    first = cells[0].as_py() if isinstance(cells, pa.Array) else cells[0]
    got = landed(tmp_path, suffix, amount=cells)
    ((line, reason, text),) = got.rejects
    assert line == (2 if suffix == ".csv" else 1)
    assert reason.startswith(f"amount: '{str(first).removesuffix('.00')}") or f"'{first}'" in reason
    assert str(BIG) in text
    with pytest.raises(RefusedError, match=rf"line {line}: amount: '{first}"):
        landed(tmp_path, suffix, replace(FEED, bad_rows=0.0), amount=cells)


@pytest.mark.parametrize("value", [2**64 - 1, MOST + 1, 10**25])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_more_than_64_bits_refuse_the_row_of_an_integer_and_are_kept_by_their_digits_in_text(
    tmp_path: Path, suffix: str, value: int
) -> None:
    cells: Any = [value, *range(19)]
    if suffix == ".parquet":
        wide = value >= 2**64
        cells = pa.array([Decimal(v) for v in cells], pa.decimal128(30, 0)) if wide else pa.array(cells, pa.uint64())
    got = landed(tmp_path, suffix, account=cells)
    ((_, reason, _),) = got.rejects
    assert reason.startswith(f"account: '{value}' is no integer")
    digits = tuple(Column("account", "string", written="digits") if c.name == "account" else c for c in FEED.columns)
    got = landed(tmp_path, suffix, replace(FEED, columns=digits), account=cells)
    assert got.rows["account"].to_pylist() == [str(value), *(str(n) for n in range(19))]


@pytest.mark.parametrize(
    ("kind", "held", "lost"),
    [(pa.float64(), 2**53, 2**53 + 2), (pa.float32(), 2**24, 2**24 + 2), (pa.float16(), 2**11, 2**11 + 2)],
)
def test_a_floating_number_that_has_lost_its_neighbours_names_nobody(
    tmp_path: Path, kind: pa.DataType, held: int, lost: int
) -> None:
    cells = pa.array(np.array([held, lost, *[0] * 18], kind.to_pandas_dtype()), kind)
    got = landed(tmp_path, ".parquet", account=cells)
    assert got.rows["account"].to_pylist()[0] == held
    ((line, reason, _),) = got.rejects
    assert (line, reason) == (
        2,
        f"account: '{lost}' is a floating number, which can't tell it from its neighbours",
    )


def test_decimals_are_the_nearest_floating_numbers_and_whole_ones_the_same(tmp_path: Path) -> None:
    cells = pa.array([Decimal("0.1"), Decimal("1234567890.123456789"), *[Decimal(1)] * 18], pa.decimal128(38, 18))
    keys = pa.array([Decimal(BIG + 2 * n) for n in range(20)], pa.decimal128(20, 0))
    got = landed(tmp_path, ".parquet", amount=cells, customer=keys)
    assert got.rows["amount"].to_pylist()[:2] == [0.1, 1234567890.123456789]
    assert got.rows["customer"].to_pylist() == [BIG + 2 * n for n in range(20)]


def test_two_keys_that_are_one_floating_number_are_two_keys_and_a_conflict_names_the_right_one(tmp_path: Path) -> None:
    got = landed(tmp_path, ".parquet", customer=[BIG + n for n in range(20)])
    assert len(set(got.rows["customer"].to_pylist())) == 20
    with pytest.raises(RefusedError, match=rf"lines 1 and 2 \({DAY}, {BIG}\)"):
        landed(tmp_path, ".parquet", customer=[BIG, BIG, *range(18)])


def columns(**cells: Any) -> Any:
    got = pa.table({"day": [DAY] * 4, "amount": [0.5] * 4, "account": pa.array([None] * 4, pa.int64()), **cells})
    return columns_of(FEED, got)


def test_what_is_calculated_with_is_floating_and_what_is_named_is_exact() -> None:
    made = columns(customer=pa.array([BIG, BIG + 1, MOST, 7]), account=pa.array([MOST, None, -MOST - 1, 1]))
    assert made["customer"].dtype == made["account"].dtype == np.float64
    assert exact(made, "customer").tolist() == [BIG, BIG + 1, MOST, 7]
    assert texts(made, ("customer",)).tolist() == [str(BIG), str(BIG + 1), str(MOST), "7"]
    assert texts(made, ("account",)).tolist() == [str(MOST), None, str(-MOST - 1), "1"]
    assert exact(made, "amount") is made["amount"]


def test_a_profile_counts_and_names_what_is_there_and_nothing_else() -> None:
    found = feed_profile(FEED, columns(customer=[BIG, BIG + 1, BIG + 2, 1234567890123]), ())
    assert set(found.values["customer"]) == {str(BIG), str(BIG + 1), str(BIG + 2), "1234567890123"}
    assert found.distinct["customer"] == 4
    assert found.repeated == 0.0, "rows that differ in the key alone are no copies of each other"


def test_the_keys_of_a_reference_are_told_apart_from_thirteen_digits_on() -> None:
    reference = Reference(
        name="customers",
        path="customers/{day}.csv",
        columns=(Column("customer", "integer"), Column("refreshed", "date")),
        key=("customer",),
        refreshed="refreshed",
        max_age=1,
        max_unchanged=None,
        joined_by=("sales", ("customer",)),
        matched=Bound(0, 1),
    )
    for start in (10**12, 1234567890123, BIG):
        there = columns_of(reference, pa.table({"customer": [start, start + 1], "refreshed": [DAY] * 2}))
        found, keys = reference_profile(reference, DAY, there, columns(customer=[start + n for n in range(4)]), None)
        assert (found.units, found.hits) == (4, 2)
        assert set(keys.known) == {str(start + n) for n in range(4)}


@pytest.mark.parametrize(
    ("value", "word"),
    [(1e12, "1000000000000"), (1234567890123.0, "1234567890123"), (0.1, "0.1"), (float(2**53), str(2**53)), (5.0, "5")],
)
def test_a_whole_number_is_told_with_all_its_digits(value: float, word: str) -> None:
    assert number_word(value) == word


def test_a_frame_keeps_whole_numbers_of_which_some_are_missing() -> None:
    frame = in_pandas(pa.table({"big": pa.array([BIG, None]), "few": pa.array([5, None]), "all": [BIG, MOST]}))
    assert frame["big"].tolist()[0] == BIG
    assert frame["big"].isna().tolist() == [False, True]
    assert (str(frame["few"].dtype), str(frame["all"].dtype)) == ("float64", "int64")


def test_a_broken_expectation_names_the_number_that_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "sale").mkdir()
    wanted = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "account", "value_set": [BIG + 2]}}
    (tmp_path / "sale/sales.json").write_text(json.dumps({"expectations": [wanted]}))
    rows = pa.table({"account": pa.array([BIG, None, BIG + 2])})
    checked = GxChecker(tmp_path).check("sale", "sales", DAY, rows)
    (broken,) = checked.findings
    assert f"{BIG} (1 row)" in broken.text
    assert str(BIG) in checked.pages["sales.html"].decode()
    assert str(BIG - 1) not in checked.pages["sales.html"].decode()


def test_a_page_is_whole_where_such_numbers_are_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "sale").mkdir()
    wanted = [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "account", "mostly": 0.9}},
        {"type": "expect_column_median_to_be_between", "kwargs": {"column": "account", "min_value": 1}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "account", "min_value": BIG + 1}},
    ]
    (tmp_path / "sale/sales.json").write_text(json.dumps({"expectations": wanted}))
    rows = pa.table({"account": pa.array([BIG, None, BIG + 2, None])})
    checked = GxChecker(tmp_path).check("sale", "sales", DAY, rows)
    assert [finding.name for finding in checked.findings] == ["sales: account not be null", "sales: account between"]
    assert f"{BIG}" in checked.findings[1].text
    assert "unexpected Exception" not in caplog.text


def test_the_next_night_with_its_sound_file_goes_on_and_every_key_is_in_the_file(tmp_path: Path) -> None:
    """A sentinel in one night's file and identifiers beyond 2**53 in all of them, through every step."""
    feed = replace(small.VISITS, columns=(*small.VISITS.columns, Column("referrer", "integer", empty=True)))
    usecase = replace(small.SMALL, feeds=(feed,))
    world = small.world_in(tmp_path)
    shown: set[str] = set()
    for n in range(8):
        day = small.FIRST + timedelta(n)
        small.deliver(tmp_path / "landing", day)
        file = tmp_path / f"landing/visits/{day}.csv"
        frame = pd.read_csv(file)
        frame["visit"] += BIG
        frame["referrer"] = pd.array([None, MOST if n == 4 else BIG, *range(28)], dtype="Int64")
        frame.to_csv(file, index=False)
        shown |= {f"{day} {visit}" for visit in frame["visit"]}
    for n in (4, 5, 6, 7):
        line = small.run_day(usecase, small.FIRST + timedelta(n), world)
        assert line.outcome in ("started", "held", "promoted"), line.reason
    units = PolarsEngine(world.store).units(
        usecase,
        {name: world.store.version(name) or 0 for name in ("visits", "shops")},
        Days(small.FIRST + timedelta(4), small.FIRST + timedelta(7)),
    )
    assert len(units) == 120
    assert set(units.keys.tolist()) <= shown
    ledger = world.store.read("scores/small", world.store.version("scores/small") or 0)
    assert set(ledger["unit"].to_pylist()) <= shown


@pytest.mark.parametrize(
    "night", [{"customer": [str(2**70)] * 20}, {"account": ["1e400"] * 20}, {"amount": ["1e400"] * 20}]
)
def test_no_number_whatever_its_length_is_an_unexpected_error(tmp_path: Path, night: dict[str, list[str]]) -> None:
    for suffix in (".csv", ".jsonl"):
        with pytest.raises(PipelineError):
            landed(tmp_path, suffix, **night)
