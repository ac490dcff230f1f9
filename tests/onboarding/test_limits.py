"""What a suite made from a history says: walls stay, growth and seasons meet no fixed number, a new word is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.adapters.checker.suites import GxChecker
from pipeline.core.verdict import Finding, Outcome
from pipeline.onboarding.declaring.limits import Expectation, expectations
from pipeline.onboarding.declaring.promise import promise_of
from pipeline.onboarding.declaring.suites import suite_of, text_of
from pipeline.onboarding.history.columns import columns_of
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import target_of
from tests.adapters.test_checker import follow
from tests.onboarding.histories import FIRST, request
from tests.onboarding.test_rows import given_

DAYS, ROWS = 120, 50
#: The warm half of a year: 1 May is the 120th day.
WARM = date(2025, 5, 1)


def business(days: range, change: Callable[[pd.DataFrame, int], pd.DataFrame] = lambda frame, n: frame) -> pd.DataFrame:
    """Warm at first and cold later; a price and a counter that grow, a count, a share, a customer's town."""
    parts = []
    for n in days:
        rng = np.random.default_rng(n)
        season = -np.cos(2 * np.pi * (n + 100) / 365)
        frame = pd.DataFrame(
            {
                "customer_id": [f"C{k:03d}" for k in range(ROWS)],
                "day": WARM + timedelta(n),
                "temp": np.round(10 + 14 * season + rng.normal(0, 3, ROWS), 1),
                "price": np.round(20 * 1.008**n * rng.uniform(0.8, 1.2, ROWS), 2),
                "mileage": np.round(1000 + 40 * n + rng.normal(0, 20, ROWS), 1),
                "calls": rng.poisson(1.5, ROWS),
                "full": np.clip(np.round(rng.normal(0.5, 0.4, ROWS), 2), 0, 1),
                "town": rng.choice(["bath", "hull", "york"], ROWS),
                "churned": rng.choice(["no", "yes"], ROWS, p=[0.7, 0.3]),
            }
        )
        parts.append(change(frame, n))
    return pd.concat(parts, ignore_index=True)


def looked_at(frame: pd.DataFrame) -> tuple[History, Any, Any, list[Any]]:
    history, notes = given_(frame)
    target = target_of(request(Path("x.csv")), history, notes)
    return history, target, columns_of(history, target, notes), notes


@pytest.fixture(scope="module")
def made() -> list[Expectation]:
    history, target, columns, _ = looked_at(business(range(DAYS)))
    return expectations(history, target, columns, np.ones(len(history.dates), dtype=bool))


def bounds(made: list[Expectation], column: str, kind: str = "values") -> dict[str, float]:
    found: dict[str, float] = {}
    for one in made:
        if one["kwargs"].get("column") == column and kind in one["type"] and "between" in one["type"]:
            found = {name: one["kwargs"][name] for name in ("min_value", "max_value") if name in one["kwargs"]}
    return found


def findings(made: list[Expectation], frame: pd.DataFrame, folder: Path) -> dict[date, list[Finding]]:
    (folder / "churn").mkdir(parents=True, exist_ok=True)
    (folder / "churn" / "churn.json").write_text(text_of("churn", made))
    rows = {day: pa.Table.from_pandas(part, preserve_index=False) for day, part in frame.groupby("day")}
    found = GxChecker(folder).check_days("churn", "churn", rows)
    return {day: [one for one in ones if one.outcome is not Outcome.PASS] for day, ones in found.items()}


def test_a_warm_history_sets_no_floor_at_zero_and_growth_no_ceiling(made: list[Expectation]) -> None:
    assert bounds(made, "temp").get("min_value", -99) < -20
    assert bounds(made, "temp", "median").get("min_value", -99) < -10
    for grows in ("price", "mileage"):
        assert "max_value" not in bounds(made, grows)
        assert "max_value" not in bounds(made, grows, "median")
    (rows,) = [one["kwargs"] for one in made if "row_count" in one["type"]]
    assert rows == {"min_value": 5}


def test_walls_of_a_column_stay(made: list[Expectation]) -> None:
    assert bounds(made, "calls")["min_value"] == 0
    assert bounds(made, "full") == {"min_value": 0, "max_value": 1}


def test_the_next_half_year_meets_no_fixed_number(made: list[Expectation], tmp_path: Path) -> None:
    later = business(range(DAYS, DAYS + 180, 20))
    assert later["temp"].min() < -5
    assert not any(findings(made, later, tmp_path).values())


@pytest.mark.parametrize(
    ("column", "how"),
    [
        ("calls", lambda v: -v),
        ("full", lambda v: 100 * v),
        ("temp", lambda v: v + 273.15),
    ],
)
def test_another_unit_or_sign_still_rings(
    made: list[Expectation], tmp_path: Path, column: str, how: Callable[[Any], Any]
) -> None:
    frame = business(range(DAYS, DAYS + 1)).astype({"calls": float})
    frame[column] = how(frame[column])
    (found,) = findings(made, frame, tmp_path).values()
    assert any(finding.required and f" {column} " in finding.name for finding in found)


def moves_to(town: str, from_day: int) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    def change(frame: pd.DataFrame, n: int) -> pd.DataFrame:
        return frame.assign(town=frame["town"].where((np.arange(ROWS) >= 4) | (n < from_day), town))

    return change


def test_a_new_word_warns_and_the_line_that_is_told_accepts_it(made: list[Expectation], tmp_path: Path) -> None:
    folder = tmp_path / "expectations"
    frame = business(range(DAYS, DAYS + 2), moves_to("nantes", 0))
    found = findings(made, frame, folder)
    for (warning,) in found.values():
        assert not warning.required
        assert "nantes (4 rows)" in warning.text
    follow(warning.change, folder)
    suite = json.loads((folder / "churn" / "churn.json").read_text())["expectations"]
    assert len(suite) == len(made)
    assert not any(findings(suite, frame, folder).values())


def test_a_word_that_comes_up_among_the_newer_days_is_taken_up(tmp_path: Path) -> None:
    history, target, columns, notes = looked_at(business(range(40), moves_to("nantes", 32)))
    suite = suite_of("churn", history, target, columns, tmp_path, notes)
    assert not suite.rang
    assert "town in set" in suite.loosened
    assert "nantes" in json.dumps(suite.expectations)


def test_words_that_come_newly_every_day_are_no_list(tmp_path: Path) -> None:
    history, target, columns, notes = looked_at(
        business(range(20), lambda frame, n: frame.assign(town=frame["town"].where(frame.index > 0, f"t{n}")))
    )
    suite = suite_of("churn", history, target, columns, tmp_path, notes)
    broken = findings(list(suite.expectations), business(range(20, 22)), tmp_path / "later")
    assert not any(broken.values())


def test_a_promise_counts_alarms_and_not_the_days_that_one_lasts() -> None:
    days = [FIRST + timedelta(n) for n in range(36)]
    quiet = promise_of(days, (), {})
    assert (quiet.asked, quiet.rang, quiet.low) == (36, 0, 0.0)
    assert 0.15 < quiet.high < 0.2, "18 alarms of two days might have been"
    lasting = promise_of(days, days[:6], {})
    apart = promise_of(days, days[::6], dict.fromkeys(days[::6], ("x",)))
    assert lasting.rang == apart.rang == 6
    assert lasting.high - lasting.low > apart.high - apart.low
    assert lasting.low < 6 / 36 < lasting.high
