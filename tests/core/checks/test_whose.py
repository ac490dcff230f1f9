"""A refusal names whose rows are off, says since when, and one cause keeps one name from day to day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.learned.surprise import Surprise
from pipeline.core.checks.learned.whose import whose_rows
from pipeline.core.verdict import Finding, stopping
from tests.core.checks.visits import VISITS, Past, Tables, day_of

Plant = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def month() -> Past:
    past = Past()
    for _ in range(30):
        past.accept(day_of(past.day))
    return past


def with_fault(past: Past, plant: Plant) -> Tables:
    tables = day_of(past.day)
    plant(tables["visits"])
    return tables


def refusals(past: Past, tables: Tables) -> list[Finding]:
    return stopping(past.copy().judge(tables))


def in_grams(visits: dict[str, Any]) -> None:
    there = visits["town"] == "bath"
    visits["warmth"] = np.where(there, visits["warmth"] * 1000, visits["warmth"])


def without_outcomes(visits: dict[str, Any]) -> None:
    visits["spent"] = np.where(visits["town"] == "york", np.nan, visits["spent"])


def all_in_grams(visits: dict[str, Any]) -> None:
    visits["warmth"] = visits["warmth"] * 1000


@pytest.mark.parametrize(
    ("plant", "question", "names"),
    [
        (in_grams, "visits: levels", "have 'town' bath)"),
        (without_outcomes, "visits: outcomes", "have 'town' york)"),
    ],
)
def test_the_rows_that_are_off_are_named(month: Past, plant: Plant, question: str, names: str) -> None:
    told = {finding.name: finding.text for finding in refusals(month, with_fault(month, plant))}
    assert names in told[question]


def test_where_all_rows_are_off_nobody_is_named(month: Past) -> None:
    told = {finding.name: finding.text for finding in refusals(month, with_fault(month, all_in_grams))}
    assert "visits: levels" in told
    assert "of the rows that are off have" not in told["visits: levels"]


@pytest.mark.parametrize(
    ("measure", "value", "usual"),
    [
        ("single|net|zero", 0.3, 0.0),
        ("filled|net", 0.7, 1.0),
        ("worth|net=0.5", 0.3, 0.0),
        ("happened|any outcome", 0.7, 1),
    ],
)
def test_whoever_shares_a_word_is_found_whatever_is_measured(measure: str, value: float, usual: float) -> None:
    rng = np.random.default_rng(1)
    town = rng.choice(["bath", "york", "hull"], 200)
    off = town == "york"
    planted = {"single": 0.0, "filled": np.nan, "worth": 0.5, "happened": 7.0}[measure.split("|", maxsplit=1)[0]]
    columns = {
        **day_of(Past().day)["visits"],
        "town": town.astype(object),
        "net": np.where(off, planted, 7.0),
        "spent": np.where(off, np.nan, 9.0),
    }
    one = Surprise(measure, value, usual, 50.0, 42)
    assert whose_rows(VISITS, columns, one) == " (100% of the rows that are off have 'town' york)"
    away = {**columns, "town": rng.choice(["bath", "york", "hull"], 200).astype(object)}
    assert whose_rows(VISITS, away, one) == ""


def test_a_fault_that_lasts_says_since_when_and_keeps_the_name_of_its_first_day(month: Past) -> None:
    past, first = month.copy(), month.day
    names = []
    for n in range(3):
        finding = stopping(past.refuse(with_fault(past, in_grams)))[0]
        names.append(finding.name)
        assert (f"so since {first}" in finding.text) is (n > 0), finding.text
    assert len(set(names)) == 1, names
