"""What a replayed policy came to: what was served, what was changed, and which changes did harm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.kinds import Floats
from pipeline.core.replay.cost import Yardstick
from pipeline.core.replay.history import FitKey, History
from pipeline.core.replay.player import Replacement, Timeline
from pipeline.core.stats import Clusters, Interval, NoInterval, relative_difference

#: Over so many days a change is held against what it replaced.
AFTER = 7
#: Into about so many stretches of whole weeks the days are cut, of which one is taken to know nothing of the next.
STRETCHES = 8


@dataclass(frozen=True, eq=False)
class PolicyFigures:
    """One policy's figures over the counted days.

    Attributes:
        loss: Mean loss of what was served, per labelled unit.
        daily: Mean loss per counted day; NaN where no unit had a label.
        promotions: How many there were.
        harmful: How many of them had a higher loss than what they replaced, over the next seven days.
        harm_days: Days served by those.
        churn: Share of a day's decisions that a promotion changed, added up over all: 1.0 is every decision once.
        age: Mean age in days of what was served; a fit on its holdout day has the age 0.
        oldest: Its highest age.
        fits: Fits that were paid for.
        cost: Total cost in days of loss (:mod:`~pipeline.core.replay.cost`); NaN where nothing measures it.
    """

    loss: float
    daily: Floats
    promotions: int
    harmful: int
    harm_days: int
    churn: float
    age: float
    oldest: int
    fits: int
    cost: float = float("nan")


def policy_figures(
    timeline: Timeline,
    history: History,
    begin: int | None = None,
    end: int | None = None,
    yardstick: Yardstick | None = None,
) -> PolicyFigures:
    """The figures of one replayed policy, over its days or some of them.

    Args:
        timeline: What the policy did.
        history: What it was replayed on.
        begin: Number of the first day; None: the first that is counted.
        end: Number of the day after the last; None: after the last that is counted. A change is counted by the day on
            which it began to serve.
        yardstick: Of the same days; without it no cost is told.
    """
    first = timeline.first if begin is None else begin
    last = timeline.first + len(timeline.served) if end is None else end
    days = range(first, last)
    served = [timeline.served[day - timeline.first] for day in days]
    changes = [change for change in timeline.changes if first <= change.serves < last]
    daily = np.array([history.loss(fit, day) for fit, day in zip(served, days, strict=True)])
    units = np.array([history.units(day) for day in days])
    scored = units > 0
    ages = np.array([day - fit.day for fit, day in zip(served, days, strict=True)])
    harmful = [change for change in changes if harm_absolute(change, history) > 0]
    return PolicyFigures(
        loss=float(np.average(daily[scored], weights=units[scored])) if scored.any() else float("nan"),
        daily=daily,
        promotions=len(changes),
        harmful=len(harmful),
        harm_days=sum(_reign(change, timeline) for change in harmful),
        churn=float(sum(churned(change, history) for change in changes)),
        age=float(ages.mean()) if len(ages) else float("nan"),
        oldest=int(ages.max()) if len(ages) else 0,
        fits=timeline.fits,
        cost=yardstick.cost(timeline, history) if yardstick is not None else float("nan"),
    )


def harm_absolute(change: Replacement, history: History, after: int = AFTER) -> float:
    """By how much the winner's mean loss lies above the replaced model's over the next days, in the loss's own unit.

    Args:
        change: The promotion.
        history: What it was replayed on.
        after: Over how many days from the first that the winner serves.

    Returns:
        Above 0: the promotion did harm. NaN where none of these days has a label.
    """
    days = [day for day in range(change.serves, min(change.serves + after, len(history))) if history.units(day)]
    if not days:
        return float("nan")
    units = [history.units(day) for day in days]

    def mean(fit: FitKey) -> float:
        return float(np.average([history.loss(fit, day) for day in days], weights=units))

    return mean(change.winner) - mean(change.replaced)


def _reign(change: Replacement, timeline: Timeline) -> int:
    """Days that a change's winner served."""
    later = [other.serves for other in timeline.changes if other.serves > change.serves]
    return min([*later, timeline.first + len(timeline.served)]) - change.serves


def churned(change: Replacement, history: History) -> float:
    """The share of decisions that a change changed, on the first day it served."""
    if change.serves >= len(history):
        return 0.0
    winner, replaced = (history.predicted(fit, change.serves) for fit in (change.winner, change.replaced))
    if winner is None or replaced is None or not len(winner):
        return 0.0
    return float(np.mean(history.kind.decision(winner) != history.kind.decision(replaced)))


def loss_difference(
    one: Timeline, other: Timeline, history: History, begin: int | None = None
) -> Interval | NoInterval:
    """The served loss of one policy relative to the other's, with its two-sided 95 % interval.

    Days lean on each other: the same champion serves for weeks. So weeks are tried as what fails together, and longer
    stretches of whole weeks, eight or a few more of them (few and long ones, for one must know little of the next:
    Schmeiser, Operations Research 30, 1982); the wider interval is returned. What two models differ by for as long as
    the whole history lasts is no noise to it: the interval is about these models, on days like these.

    Args:
        one: What the policy did.
        other: What it is held against did.
        history: What they were replayed on.
        begin: Number of the first day; None: the first that is counted.
    """
    days = range(one.first if begin is None else begin, one.first + min(len(one.served), len(other.served)))
    scored = [day for day in days if history.units(day)]

    def totals(timeline: Timeline) -> Floats:
        return np.array([history.loss(timeline.served[day - one.first], day) * history.units(day) for day in scored])

    week = np.array([(day - days.start) // 7 for day in scored], dtype=np.int64)
    stretch = week // max(1, len(days) // 7 // STRETCHES)
    return relative_difference(totals(one), totals(other), Clusters.of(stretch, week), one_sided=False)


def ageing(history: History, recipe: str, first: int) -> list[float]:
    """The mean loss of a recipe's fits by age, relative to the fresh fits of the same days; the age is the place.

    Fits of every day of the history take part, so no single fit's luck is in it.

    Args:
        history: The history.
        recipe: The recipe's name.
        first: Number of the first day on which fits were scored.

    Returns:
        For each age in days below the history's horizon a share: 0.02 is two per cent more; NaN where nothing is known.
    """
    found = [0.0]
    for age in range(1, history.horizon):
        sums = np.zeros(2)
        for day in range(first + age, len(history)):
            pair = history.pair(FitKey(recipe, day - age), FitKey(recipe, day), day)
            if pair is not None:
                sums += pair.units * np.array([pair.reference, pair.candidate])
        found.append(float(sums[0] / sums[1] - 1) if sums[1] > 0 else float("nan"))
    return found
