"""What a way of replacing models costs who pays for it: days of loss above a daily refit, and a price for each change.

Served loss within so much *and* few promotions cannot both be had where a day of age costs much, and both are free
where nothing ages. What is paid is their sum, in days of loss: 1.0 is what all mistakes of one day cost. Beside it
stands the least that any schedule of the same fits could have cost, known only in hindsight.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.kinds import Floats
from pipeline.core.replay.history import FitKey, History
from pipeline.core.replay.player import Timeline


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What costs are measured with on some days of a history; all of its numbers are in days of loss.

    Attributes:
        first: Number of the first day.
        weights: Per day, what a unit of mean loss on it costs: its labelled units over those of a mean day, over the
            mean loss of the daily refit. 0 on a day without labels.
        daily: Per day, what the daily refit lost; it adds up to the number of days that have labels.
        price: Of one promotion.
    """

    first: int
    weights: Floats
    daily: Floats
    price: float

    @classmethod
    def of(
        cls, daily: Timeline, history: History, price: float, begin: int | None = None, end: int | None = None
    ) -> Yardstick | None:
        """Made of what the daily refit served; None where it lost nothing, or nothing that is a number.

        Args:
            daily: What shipping a fresh fit every day did.
            history: What it was replayed on.
            price: Of one promotion, in days of loss.
            begin: Number of the first day; None: the first that is counted.
            end: Number of the day after the last; None: after the last that is counted.
        """
        first = daily.first if begin is None else begin
        days = range(first, daily.first + len(daily.served) if end is None else end)
        units = np.array([history.units(day) for day in days], dtype=np.float64)
        lost = np.array([_lost(history, daily.served[day - daily.first], day) for day in days])
        total = float(np.dot(units, lost))
        if not (math.isfinite(total) and total > 0):
            return None
        weights = units * (np.count_nonzero(units) / total)
        return cls(first, weights, weights * lost, price)

    def lost(self, history: History, fit: FitKey, day: int) -> float:
        """What a fit lost on a day; infinite where it is not known of a day that has labels."""
        weight = float(self.weights[day - self.first])
        lost = weight * history.loss(fit, day) if weight else 0.0
        return lost if math.isfinite(lost) else math.inf

    def cost(self, timeline: Timeline, history: History) -> float:
        """What a policy cost over these days: its loss above the daily refit's, and its promotions' price.

        Below 0 where it served better than a daily refit by more than its promotions cost.
        """
        days = range(self.first, self.first + len(self.weights))
        served = sum(self.lost(history, timeline.served[day - timeline.first], day) for day in days)
        promotions = sum(change.serves in days for change in timeline.changes)
        return served - float(self.daily.sum()) + self.price * promotions


@dataclass(frozen=True, slots=True)
class Hindsight:
    """The cheapest schedule there was.

    Attributes:
        cost: What it cost, in days of loss above the daily refit.
        served: Whose predictions it served, per day.
        promotions: How often it changed.
    """

    cost: float
    served: tuple[FitKey, ...]
    promotions: int


def hindsight(
    history: History, yardstick: Yardstick, recipes: Sequence[str], start: FitKey, delay: int = 0
) -> Hindsight | None:
    """The cheapest schedule of fits, by dynamic programming over fit day and served day.

    A fit may be shipped while it is younger than the history's horizon, and kept for as long as its predictions are
    known without making it anew: of those that some policy kept longer, all are. So no policy that was replayed before
    is cheaper, and a cheaper one that keeps another fit for longer than that may be missed.

    Args:
        history: Fits and what they said.
        yardstick: The days, and what things cost.
        recipes: The recipes whose fits may serve.
        start: Who serves on the first day, for nothing.
        delay: After how many days labels are known: no fit of fewer days of age can serve.

    Returns:
        None where the first model's loss is not known.
    """
    costs, came = {start: yardstick.lost(history, start, yardstick.first)}, list[dict[FitKey, FitKey]]()
    if not math.isfinite(costs[start]):
        return None
    for day in range(yardstick.first + 1, yardstick.first + len(yardstick.weights)):
        cheapest = min(costs, key=lambda fit: costs[fit])
        entry = costs[cheapest] + yardstick.price
        oldest = max(yardstick.first, day - history.horizon + 1)
        fits = {FitKey(recipe, at): None for recipe in recipes for at in range(oldest, day - delay + 1)}
        fits |= {fit: None for fit, cost in costs.items() if cost < entry and history.knows(fit, day)}
        now, before = dict[FitKey, float](), dict[FitKey, FitKey]()
        for fit in fits:
            kept = costs.get(fit, math.inf)
            now[fit] = min(kept, entry) + yardstick.lost(history, fit, day)
            before[fit] = fit if kept <= entry else cheapest
        costs = {fit: cost for fit, cost in now.items() if math.isfinite(cost)}
        came.append(before)
        if not costs:
            return None
    last = min(costs, key=lambda fit: costs[fit])
    served = [last]
    for before in reversed(came):
        served.append(before[served[-1]])
    changes = sum(one != other for one, other in itertools.pairwise(served))
    return Hindsight(costs[last] - float(yardstick.daily.sum()), tuple(reversed(served)), changes)


def _lost(history: History, fit: FitKey, day: int) -> float:
    return history.loss(fit, day) if history.units(day) else 0.0
