"""What each column is: planted leaks and names are found, honest ones are left alone, whatever the order of rows."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.onboarding.declaring.choices import choose
from pipeline.onboarding.history.columns import Columns, columns_of
from pipeline.onboarding.history.leaks import alone
from pipeline.onboarding.history.target import Target, target_of
from pipeline.onboarding.notes import Note
from tests.onboarding.histories import FIRST, customers, request, trips
from tests.onboarding.test_rows import given_


@cache
def base() -> pd.DataFrame:
    return customers(days=25, rows=60)


def looked_at(frame: pd.DataFrame, **asked: Any) -> tuple[Columns, list[Note]]:
    history, notes = given_(frame, **asked)
    return columns_of(history, target_of(request(Path("x.csv"), **asked), history, notes), notes), notes


def roles(frame: pd.DataFrame, **asked: Any) -> dict[str, str]:
    return {field.name: field.role for field in looked_at(frame, **asked)[0].fields}


def test_names_constants_and_a_flag_that_only_those_who_left_have_are_no_inputs() -> None:
    found = roles(base())
    assert found == {
        "customer_id": "unit",
        "email": "identifier",
        "plan": "word",
        "code": "word",
        "day": "day",
        "calls": "number",
        "usage": "number",
        "channel": "constant",
        "offer": "leak",
        "churned": "target",
    }


def test_the_order_of_the_rows_changes_nothing() -> None:
    one, _ = looked_at(base())
    other, _ = looked_at(base().sample(frac=1.0, random_state=5))
    assert one == other


left = base()["churned"] == "yes"
rng = np.random.default_rng(9)


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("fee", np.where(left, 9.5, 0.0) + rng.normal(0, 0.1, len(left)), "nearly perfectly"),
        ("desk", np.where(left, "retention", rng.choice(["a", "b"], len(left))), "nearly perfectly"),
        ("closed_on", np.where(left, base()["day"] + timedelta(3), None), "lie after 'day'"),
        ("churn_score", rng.normal(size=len(left)), "called like the target"),
    ],
)
def test_a_planted_leak_is_found_and_says_why(name: str, cells: Any, said: str) -> None:
    columns, notes = looked_at(base().assign(**{name: cells}))
    (field,) = [field for field in columns.fields if field.name == name]
    assert field.role == "leak"
    assert said in field.why
    assert name not in columns.strength
    assert any(note.about == name and note.review for note in notes)


def test_what_is_missing_exactly_where_the_target_is_was_written_down_with_it() -> None:
    gone = rng.random(len(left)) < 0.05
    frame = base().assign(churned=base()["churned"].mask(gone), weight=pd.Series(rng.normal(size=len(left))).mask(gone))
    columns, _ = looked_at(frame)
    assert "missing exactly where 'churned' is" in next(f.why for f in columns.fields if f.name == "weight")


def test_of_a_number_the_rank_correlation_tells() -> None:
    frame = trips(days=25, rows=60)
    frame["seconds"] = frame["minutes"].fillna(10.0) * 60 + rng.normal(size=len(frame))
    asked = {"target": "minutes", "time": "picked_up", "unit": ("order_id",)}
    found = roles(frame, **asked)
    assert found["seconds"] == found["dropped_off"] == "leak"
    assert found["km"] == found["driver"] == "number"
    assert found["zone"] == "word"


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_noise_is_never_suspected(seed: int) -> None:
    noise = np.random.default_rng(seed)
    n = len(left)
    frame = base().assign(number=noise.normal(size=n), few=noise.integers(0, 5, n))
    frame = frame.assign(word=noise.choice(list("abcdefgh"), n), flag=np.where(noise.random(n) < 0.3, "x", None))
    found = roles(frame)
    assert [found[name] for name in ("number", "few", "word", "flag")] == ["number", "number", "word", "word"]


@pytest.mark.parametrize(
    ("cells", "role"),
    [
        (rng.permutation, "identifier"),
        (lambda n: np.arange(n) * 1000 + rng.integers(0, 900, n), "identifier"),
        (lambda n: rng.integers(0, 10**9, n), "number"),
        (lambda n: [f"{k:08x}" for k in rng.permutation(n)], "identifier"),
        (lambda n: [f"word{k % 700}" for k in range(n)], "identifier"),
        (lambda n: [f"word{k % 70}" for k in range(n)], "word"),
    ],
)
def test_numbers_and_words_that_name_rows_are_no_inputs(cells: Any, role: str) -> None:
    assert roles(base().assign(extra=cells(len(left))))["extra"] == role


@given(st.floats(0.5, 5.0), st.floats(-100, 100), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_the_strength_of_a_column_does_not_depend_on_its_unit(scale: float, shift: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    x = np.round(draw.normal(size=400), 2)
    target = Target("y", "binary", (draw.random(400) < 1 / (1 + np.exp(-x))).astype(float), (0, 1))
    older, newer = np.arange(300), np.arange(300, 400)
    one = alone(x, target, older, newer)
    assert alone(np.round(scale, 1) * x + np.round(shift), target, older, newer) == pytest.approx(one, abs=0.05)
    assert 0 <= one <= 1


@given(st.integers(15, 400), st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_windows_are_three_and_fit_the_history(days: int, rows: int) -> None:
    from pipeline.onboarding.declaring.choices import _windows
    from pipeline.onboarding.history.rows import History

    class Long(History):
        calendar = (FIRST, FIRST + timedelta(days - 1))

    short, middle, long = _windows(request(Path("x")), Long.__new__(Long), float(rows), [])
    assert 7 <= short < middle < long
    assert long <= max(14, days // 2)


def test_what_is_chosen_of_customers_is_what_a_person_would() -> None:
    history, notes = given_(base())
    target = target_of(request(Path("x.csv")), history, notes)
    columns = columns_of(history, target, notes)
    found = choose(request(Path("x.csv")), history, target, columns, notes)
    assert found.block == ("customer_id",)
    assert found.slices == ("plan",)
    assert found.rule == "plan"
    assert not found.daily
    assert found.evidence == 14
