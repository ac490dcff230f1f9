"""A shift that no two days show is found by its sum; what strays to and fro, comes at once or never held is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.learned.measures import ROWS, Measures
from pipeline.core.checks.learned.question import check_usual
from pipeline.core.checks.learned.slow import NEEDED, slow_shifts
from pipeline.core.verdict import Outcome

FIRST = date(2024, 1, 1)
Shift = Callable[[int], float]


def day(n: int, shift: float = 0.0, at_once: float = 0.0) -> Measures:
    """Minutes a mile hold within a hundredth; the two numbers go together."""
    rng = np.random.default_rng([7, n])
    return {
        ROWS: (800.0 + rng.normal(0, 5), 800),
        "order|miles|minutes": (0.98 + rng.normal(0, 0.002), 800),
        "ratio|miles|minutes": (0.15 + rng.normal(0, 0.01) + shift + at_once, 800),
        "order|miles|price": (0.3 + rng.normal(0, 0.02), 800),
        "ratio|miles|price": (1.0 + rng.normal(0, 0.01) + shift, 800),
        "level|miles|lower tenth": (200.0, 800),
        "level|miles|upper tenth": (2000.0, 800),
    }


def found_after(shift: Shift, days: int, sound: int = 60) -> int:
    """On its how manyeth day a shift is told by the question of slow shifts, which stops nothing; 0: on none."""
    past: dict[date, Measures] = {}
    surprise: list[dict[str, float]] = []
    odd: dict[str, Any] = {}
    for n in range(sound + days):
        now = day(n, shift(n - sound + 1) if n >= sound else 0.0)
        learned = check_usual("trips", FIRST + timedelta(n), now, past, surprise[-42:], odd)
        refused = [f.name for f in learned.findings if f.required and f.outcome is Outcome.FAIL]
        assert n >= sound or not refused, (n, refused)
        told = [f for f in learned.findings if f.name == "trips: slow shifts" and f.outcome is Outcome.FAIL]
        assert not [f for f in told if f.required]
        if told:
            return n - sound + 1
        odd = dict(learned.odd)
        if not refused:
            past[FIRST + timedelta(n)] = now
            past = dict(list(past.items())[-42:])
            surprise.append(dict(learned.surprise))
    return 0


def test_a_clock_that_drifts_is_found_though_no_day_is_unlike_the_one_before() -> None:
    assert 5 <= found_after(lambda n: 0.004 * n, 30) <= 16


@pytest.mark.parametrize(
    ("shift", "what"),
    [(lambda n: 0.0, "nothing"), (lambda n: 0.02 * (-1) ** n, "to and fro"), (lambda n: 0.03 * (n == 1), "one day")],
    ids=["nothing", "to and fro", "one day"],
)
def test_what_does_not_go_on_is_no_slow_shift(shift: Shift, what: str) -> None:
    assert found_after(shift, 20) == 0, what


def test_what_never_held_may_drift() -> None:
    past = {FIRST + timedelta(n): day(n) for n in range(42)}
    asked = {one.measure for one in slow_shifts(FIRST + timedelta(42), day(42), past)}
    assert asked == {"slow|order|miles|minutes", "slow|ratio|miles|minutes"}


def test_too_few_days_and_too_few_that_shift_say_nothing() -> None:
    past = {FIRST + timedelta(n): day(n) for n in range(NEEDED - 1)}
    assert slow_shifts(FIRST + timedelta(NEEDED), day(NEEDED), past) == []
    past = {FIRST + timedelta(n): day(n) for n in range(40)}
    (ratio,) = [s for s in slow_shifts(FIRST + timedelta(40), day(40, 0.3), past) if "ratio" in s.measure]
    assert ratio.size == 0.0
