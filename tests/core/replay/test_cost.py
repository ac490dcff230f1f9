"""What a policy costs, and that no schedule of the same fits is cheaper than the one found in hindsight."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pipeline.core.replay.cost import Hindsight, Yardstick, hindsight
from pipeline.core.replay.history import FitKey
from pipeline.core.replay.player import Replacement, Timeline
from pipeline.core.replay.policy import Policy

START = FitKey("a", 0)


class Losses:
    """As much of a history as costs need: the loss of each fit on each day, and the units of each day."""

    horizon = 28

    def __init__(self, losses: dict[FitKey, Any], units: Any) -> None:
        self._losses, self._units = losses, units

    def __len__(self) -> int:
        return len(self._units)

    def units(self, day: int) -> int:
        return int(self._units[day])

    def knows(self, fit: FitKey, day: int) -> bool:
        return fit in self._losses and fit.day <= day

    def loss(self, fit: FitKey, day: int) -> float:
        return float(self._losses[fit][day]) if self.units(day) and fit in self._losses else math.nan


def drawn(seed: int, days: int = 6) -> Losses:
    rng = np.random.default_rng(seed)
    losses = {FitKey(recipe, day): rng.uniform(0.3, 0.9, days) for recipe in "ab" for day in range(days)}
    return Losses(losses, rng.integers(0, 3, days) * 50 + 50 * (np.arange(days) % 4 != 2))


def schedule(*served: FitKey) -> Timeline:
    """A timeline that serves these, a day each."""
    changes = [Replacement(n, n + 1, new, old) for n, (old, new) in enumerate(itertools.pairwise(served)) if new != old]
    return Timeline(Policy("one", "never", ("a",)), 0, served, tuple(changes), 0)


def daily(days: int) -> Timeline:
    return schedule(*(FitKey("a", day) for day in range(days)))


def every_schedule(days: int, delay: int) -> Iterator[tuple[FitKey, ...]]:
    may = [[FitKey(recipe, at) for recipe in "ab" for at in range(day - delay + 1)] for day in range(1, days)]
    for chosen in itertools.product(*([*fits, START] for fits in may)):
        yield (START, *chosen)


def yardstick(history: Losses, price: float, **ends: int) -> Yardstick:
    made = Yardstick.of(daily(len(history)), history, price, **ends)  # type: ignore[arg-type]
    assert made is not None
    return made


def best(history: Losses, rule: Yardstick, delay: int = 0) -> Hindsight:
    found = hindsight(history, rule, ("a", "b"), START, delay)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize("price", [0.0, 0.08, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_hindsight_is_the_cheapest_of_all_schedules(seed: int, price: float, delay: int) -> None:
    history = drawn(seed, 5)
    rule = yardstick(history, price)
    found = best(history, rule, delay)
    costs = [rule.cost(schedule(*served), history) for served in every_schedule(5, delay)]  # type: ignore[arg-type]
    assert found.cost == pytest.approx(min(costs))
    assert rule.cost(schedule(*found.served), history) == pytest.approx(found.cost)  # type: ignore[arg-type]
    assert found.promotions == len(schedule(*found.served).changes)


def test_the_daily_refit_costs_its_promotions_alone_and_a_dearer_loss_costs_days() -> None:
    days = 10
    losses = {FitKey("a", day): np.full(days, 0.5) for day in range(days)} | {FitKey("b", 0): np.full(days, 0.6)}
    history = Losses(losses, np.full(days, 100))
    rule = yardstick(history, 0.08)
    assert rule.cost(daily(days), history) == pytest.approx(0.08 * 9)  # type: ignore[arg-type]
    stale = schedule(*[FitKey("b", 0)] * days)
    assert rule.cost(stale, history) == pytest.approx(days * 0.2)  # type: ignore[arg-type]


def test_a_part_of_the_days_counts_its_own_losses_and_changes() -> None:
    history = drawn(1, 8)
    whole = yardstick(history, 0.3)
    parts = [yardstick(history, 0.3, begin=0, end=4), yardstick(history, 0.3, begin=4, end=8)]
    timeline = schedule(*[START] * 3, *[FitKey("b", 3)] * 2, *[FitKey("a", 5)] * 3)
    costs = [part.cost(timeline, history) for part in parts]  # type: ignore[arg-type]
    assert [sum(change.serves in days for change in timeline.changes) for days in (range(4), range(4, 8))] == [1, 1]
    assert all(math.isfinite(cost) for cost in costs)
    assert whole.cost(timeline, history) != pytest.approx(sum(costs)), "each part has its own daily loss"


def test_a_day_without_labels_costs_nothing_and_a_loss_that_is_no_number_is_never_chosen() -> None:
    losses = {FitKey("a", day): np.full(4, 0.5) for day in range(4)}
    losses[FitKey("b", 1)] = np.array([0.5, 0.1, math.nan, 0.1])
    assert best(Losses(losses, [100, 100, 100, 100]), yardstick(Losses(losses, [100] * 4), 0.0)).cost == pytest.approx(
        -0.8 * 2
    ), "it served before and after the day on which it said nothing"
    unlabelled = Losses(losses, [100, 100, 0, 100])
    found = best(unlabelled, yardstick(unlabelled, 0.1))
    assert found.promotions == 1
    assert found.cost == pytest.approx(0.1 - 0.8 * 2)


def test_where_a_daily_refit_lost_nothing_or_nothing_known_there_is_no_yardstick() -> None:
    for lost in (0.0, math.nan):
        losses = {FitKey("a", day): np.full(3, lost) for day in range(3)}
        assert Yardstick.of(daily(3), Losses(losses, [9, 9, 9]), 0.08) is None  # type: ignore[arg-type]
    losses = {FitKey("a", day): np.full(3, 0.4) for day in range(1, 3)} | {START: np.array([math.nan, 0.4, 0.4])}
    history = Losses(losses, [9, 9, 9])
    rule = Yardstick(0, np.ones(3), np.full(3, 0.4), 0.1)
    assert hindsight(history, rule, ("a",), START) is None  # type: ignore[arg-type]
