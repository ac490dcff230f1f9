"""Slow shifts of what holds: each day is as usual beside the days before it, and a month of them is not.

What is predicted from the last days follows whatever drifts with them. So what holds (how two numbers go together, how
they are apart, where a slice stands among the others) is held once more against the older half of the remembered days,
by cumulative sums of how far it strays from there (Page, Biometrika 41, 1954). What the season does to it is in the
limit, which is learned as any other from the accepted days' own largest sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import ROWS, Measures
from pipeline.core.checks.learned.relevance import Table, floor_of, loose
from pipeline.core.checks.learned.scales import noise_of, plain, scaled
from pipeline.core.checks.learned.surprise import Surprise

SLOW = "slow"
"""The first part of the name of such a measure; the rest is the measure that shifts."""
#: Accepted days that it takes: the older half says where the measure was and how it strayed.
NEEDED = 24
#: What a day may stray without adding to the sum, in spreads, and the most that a single day adds: a fault that comes
#: at once is another question's.
_SLACK, _MOST = 0.75, 3.0
#: So many days a shift takes to be slow, and what sum of a hundred measures is nothing by chance, in units of the
#: least limit that a single day has.
_DAYS, _UNIT = 5, 2.5
#: The kinds of measures that hold.
_KINDS = ("order", "apart", "ratio", "against")
#: By how much a slice must have moved among the others, as a share of them.
_MOVED = 0.05


def slow_shifts(day: date, now: Measures, past_by_day: Mapping[date, Measures]) -> list[Surprise]:
    """The cumulative sums of all that holds, in the direction in which they are larger.

    Args:
        day: The data day.
        now: Its measures.
        past_by_day: Accepted day to its measures, oldest first.
    """
    past = list(past_by_day.values())
    names = sorted(name for name in now if name.split("|", 1)[0] in _KINDS)
    spans = [name for name in now if name.startswith("level|")]
    if len(past) < NEEDED or not names:
        return []
    values = np.array([[then.get(name, (math.nan, 0))[0] for name in (*names, *spans)] for then in (*past, now)])
    counts = np.array([now.get(name, (math.nan, 0))[1] for name in (*names, *spans)], dtype=np.float64)
    table = Table([*names, *spans], values, counts, now[ROWS][0])
    old = len(past) // 2
    on_scale = scaled(table.kinds, table.values)
    known = np.isfinite(on_scale)
    enough = (known[:old].sum(axis=0) >= old - 2) & (known[old:].mean(axis=0) >= 0.8) & known[-1]
    enough &= np.isin(table.kinds, _KINDS) & ~loose(table)
    if not enough.any():
        return []
    at = np.flatnonzero(enough)
    center, strayed = np.full(len(table.names), np.nan), np.full(len(table.names), np.nan)
    center[at] = np.nanmedian(on_scale[:old, at], axis=0)
    strayed[at] = 1.4826 * np.nanmedian(np.abs(on_scale[:old, at] - center[at]), axis=0)
    spread = np.maximum(np.maximum(strayed, noise_of(table.kinds, table.counts)), floor_of(table))
    usual = plain(table.kinds, center)
    enough &= np.isfinite(spread) & (spread > 0) & _matters(table, usual)
    found = []
    for n in np.flatnonzero(enough).tolist():
        sums = _sums((on_scale[old:, n] - center[n]) / spread[n])
        found.append(Surprise(f"{SLOW}|{table.names[n]}", float(values[-1, n]), float(usual[n]), sums, len(past)))
    return found


def _matters(table: Table, usual: NDArray[np.float64]) -> NDArray[np.bool_]:
    moved = np.abs(table.values[-1] - usual)
    return np.asarray((table.kinds != "against") | (moved * table.reach >= _MOVED * table.reach.clip(0.3)), dtype=bool)


def _sums(strays: NDArray[np.float64]) -> float:
    """The larger of the two one-sided cumulative sums at the end, with its sign; 0 while it is of too few days."""
    up = down = 0.0
    rises = falls = 0
    for stray in np.clip(strays[np.isfinite(strays)], -_MOST, _MOST).tolist():
        up, down = max(0.0, up + stray - _SLACK), max(0.0, down - stray - _SLACK)
        rises, falls = (rises + 1 if up else 0), (falls + 1 if down else 0)
    size, days = (up, rises) if up >= down else (-down, falls)
    return size / _UNIT if days >= _DAYS else 0.0
