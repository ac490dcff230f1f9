"""A price list that has changed: other values take the place of some, each near one of them, and all else is as it was.

What tells it from a fault: a change of unit or of tax multiplies everything by one factor, rounding leaves fewer values
and fewer decimals, a default takes the place of values that lie far from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import SELDOM, Measures
from pipeline.core.facts import number_word
from pipeline.core.tables import Feed

#: How far a price is from the one whose place it takes, at most: miles are 1.6 kilometres.
_NEAR = 1.25
#: How many prices it takes to tell a price list, of which not all are multiplied by one factor; and by how much more
#: all are at once where they follow the cost of living: a sales tax is five parts in a hundred and more.
TELLS, _INDEXED = 3, 1.045
#: What part of the rows must have a value that is looked at.
_PART = 0.02
#: From so many accepted days before the change is taken what was before it, and how many there must be.
_BEFORE, _ENOUGH = 7, 4
#: What part of the rows need not match, and how many times what chance deals out differently.
_SLACK, _CHANCE = 0.05, 0.8
#: How many values may be left of so many.
FEWER = 0.7

Changed = Mapping[str, Mapping[float, float]]
"""Column to the new value to the old one that was nearest to it."""


def new_prices(feed: Feed, now: Measures, past: Sequence[Measures]) -> Changed:
    """The columns of a feed's day in which other values have taken the place of some, as on a new price list.

    Args:
        feed: The declaration; whole numbers are codes and counts, and have no prices.
        now: The day's measures.
        past: Those of the accepted days, oldest first.
    """
    names = [c.name for c in feed.columns if c.type == "number"]
    found = {name: _new(_worth(now, name), [_worth(one, name) for one in past]) for name in names}
    return {name: pairs for name, pairs in found.items() if pairs}


def _worth(measures: Measures, name: str) -> tuple[dict[float, float], int]:
    """Value to its share, and of how many; empty where the column has no few values."""
    start = f"worth|{name}="
    told = {float(key.removeprefix(start)): one for key, one in measures.items() if key.startswith(start)}
    return {value: share for value, (share, _) in told.items()}, max((n for _, n in told.values()), default=0)


def _new(now: tuple[dict[float, float], int], past: Sequence[tuple[dict[float, float], int]]) -> dict[float, float]:
    today, n = now
    known = [shares for shares, _ in past if shares]
    if not today or len(known) < _ENOUGH:
        return {}
    first_by_value = {
        value: next((place for place, one in enumerate(known) if one.get(value, 0.0) >= SELDOM), len(known))
        for value, share in today.items()
        if share >= _PART
    }
    since = min((place for place in first_by_value.values() if place >= _ENOUGH), default=None)
    if since is None:
        return {}
    before = known[max(since - _BEFORE, 0) : since]
    usual = {v: float(np.mean([one.get(v, 0.0) for one in before])) for v in set().union(*before)}
    old = {v: share for v, share in usual.items() if share >= _PART and today.get(v, 0.0) < SELDOM}
    new = {v: share for v, share in today.items() if share >= _PART and usual.get(v, 0.0) < SELDOM}
    slack = _SLACK + _CHANCE * float(np.sqrt(len(usual) / max(n, 1)))
    if len(old) < TELLS or len(new) < FEWER * len(old) or decimals(new) < decimals(old):
        return {}
    taken, pairs = _moved(old, new)
    unlike = max(sum(old.values()), sum(new.values())) - taken
    if not pairs or unlike > slack or multiplied(np.array(pairs).T):
        return {}
    return {there: was for was, there in reversed(pairs)}


def _moved(old: Mapping[float, float], new: Mapping[float, float]) -> tuple[float, list[tuple[float, float]]]:
    """How much of the rows can have gone from an old value to a new one near it, and by which pairs."""
    left, taken, pairs = dict(sorted(old.items())), 0.0, []
    for value, share in sorted(new.items()):
        free = share
        for was, there in left.items():
            part = min(there, free)
            if part > 0 and is_near(value, was):
                pairs.append((was, value))
                left[was] = there - part
                free -= part
                taken += part
    return taken, pairs


def is_near(one: float, other: float) -> bool:
    """Whether one price may have taken the place of the other."""
    return one * other > 0 and 1 / _NEAR <= one / other <= _NEAR


def multiplied(old_and_new: NDArray[np.float64]) -> bool:
    """Whether all were multiplied by one factor, and then rounded: by another one than the cost of living."""
    times = factor(old_and_new)
    return times is not None and not 1 <= times <= _INDEXED


def factor(old_and_new: NDArray[np.float64]) -> float | None:
    """The factor by which all were multiplied before they were rounded; None where it can't be told or is not one."""
    old, new = old_and_new
    if len(np.unique(old)) < TELLS:
        return None
    rounded = 0.5 * 10.0 ** -decimals(new.tolist()) * (1 + 1e-9)
    ends = np.sort([(new - rounded) / old, (new + rounded) / old], axis=0)
    least, most = float(ends[0].max()), float(ends[1].min())
    return most if least <= most else None


def decimals(values: Mapping[float, float] | Sequence[float]) -> int:
    """The most decimals that any of the values has."""
    return max(max(0, -int(Decimal(number_word(value)).normalize().as_tuple().exponent)) for value in values)
