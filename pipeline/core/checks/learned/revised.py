"""What a reference table says otherwise than before, as a business changes it: prices, a closure, a timetable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import MOST_COMPARED, ranks_of
from pipeline.core.checks.learned.prices import FEWER, TELLS, decimals, factor, is_near, multiplied
from pipeline.core.checks.learned.slices import TIME_OF_DAY, time_of_day
from pipeline.core.facts import Columns, exact, missing, texts
from pipeline.core.tables import Feed, Reference

#: What part of a list's rows may do as they like.
_ALL_BUT = 0.02
#: By how much whole numbers rise at least where they are prices: codes are counted on by one.
_A_RISE = 1.01
#: From so many keys on a feed can confirm a change; how far it must go with it, and by how many standard errors further
#: than with what was said before.
_CONFIRMING, _GOES, _FAR = 10, 0.5, 3.0


def revised(reference: Reference, now: Columns, previous: Columns) -> dict[str, str]:
    """The columns of a list that were changed for many keys as a business does it, to how they were.

    A price list has changed, key by key; or what all the changed keys had is had by none any longer, as where a branch
    has closed and its customers are others', which were there before.
    """
    places = [
        {key: n for n, key in enumerate(texts(one, reference.key).tolist()) if key is not None}
        for one in (previous, now)
    ]
    common = [key for key in places[0] if key in places[1]]
    old_rows, new_rows = (np.array([place[key] for key in common], dtype=np.int64) for place in places)
    found = {}
    for column in reference.columns:
        if column.name in (*reference.key, reference.refreshed) or not common:
            continue
        was, now_is = exact(previous, column.name)[old_rows], exact(now, column.name)[new_rows]
        there = ~missing(was) & ~missing(now_is)
        changed = there & np.asarray(was != now_is, dtype=bool)
        if column.type in ("number", "integer") and _is_repriced(was[there], now_is[there], column.type == "integer"):
            found[column.name] = "each is near what it was, as on a new price list"
        elif column.type == "string" and changed.any():
            gone = set(was[changed].tolist()) - set(exact(now, column.name)[~missing(exact(now, column.name))].tolist())
            from_gone = np.array([word in gone for word in was[changed].tolist()])
            known = set(was[there].tolist()) - gone
            if from_gone.mean() >= 1 - _ALL_BUT and set(now_is[changed].tolist()) <= known:
                found[column.name] = f"no key has {', '.join(sorted(gone))} any longer, and others that were there do"
    return found


def confirmed(reference: Reference, now: Columns, previous: Columns, feed: Feed, units: Columns) -> dict[str, str]:
    """The columns of a list whose changes the feed confirms: a timetable, that the day's own moments go with.

    Over the keys whose value has changed, by the order of what the list says and of what the feed says of them: what it
    says now must go together with a column of the feed, and by more than chance further than what it said before.
    (Rank correlations, compared by Fisher's z.)
    """
    places = [
        {key: n for n, key in enumerate(texts(one, reference.key).tolist()) if key is not None}
        for one in (previous, now)
    ]
    by_key = _levels_by_key(texts(units, reference.joined_by[1]), feed, units)
    found: dict[str, str] = {}
    for column in reference.columns:
        if column.name in (*reference.key, reference.refreshed):
            continue
        was, is_now = exact(previous, column.name), exact(now, column.name)
        pairs = [(key, was[places[0][key]], is_now[n]) for key, n in places[1].items() if key in places[0]]
        moved = [(key, old, new) for key, old, new in pairs if old is not None and new is not None and old != new]
        for name, levels in by_key.items():
            known = [(levels[key], old, new) for key, old, new in moved if key in levels]
            if len(known) < _CONFIRMING:
                continue
            level, old, new = (_ranks(one) for one in zip(*known, strict=True))
            if min(np.ptp(level), np.ptp(old), np.ptp(new)) == 0:
                continue
            before, after = (abs(float(np.corrcoef(level, one)[0, 1])) for one in (old, new))
            far = np.arctanh(min(after, 0.9995)) - np.arctanh(min(before, 0.9995))
            if after >= _GOES and far > _FAR * np.sqrt(2 / (len(known) - 3)):
                found[column.name] = f"{name} of {feed.name} goes with it, and went less with what it said before"
    return found


def _ranks(values: Sequence[Any]) -> NDArray[np.float64]:
    """Ranks of numbers, or of texts by their order, such as clock times."""
    places: NDArray[np.float64] = np.unique(np.array(values), return_inverse=True)[1].astype(np.float64)
    return ranks_of(places)


def _levels_by_key(keys: NDArray[np.object_], feed: Feed, units: Columns) -> dict[str, dict[str, float]]:
    """What each number of the feed, and its moment, is in the middle of the rows of each key."""
    names = [c.name for c in feed.columns if c.type in ("number", "integer") and c.name not in feed.key]
    told = {f"'{name}'": units[name].astype(np.float64) for name in names[:MOST_COMPARED]}
    if feed.time is not None:
        told[TIME_OF_DAY] = time_of_day(units[feed.time])
    found: dict[str, dict[str, float]] = {}
    for name, values in told.items():
        there = np.isfinite(values) & np.array([key is not None for key in keys])
        words, codes = np.unique(keys[there].astype(np.str_), return_inverse=True)
        sums = np.bincount(codes, weights=values[there], minlength=len(words))
        means = sums / np.maximum(np.bincount(codes, minlength=len(words)), 1)
        found[name] = dict(zip(words.tolist(), means.tolist(), strict=True))
    return found


def _is_repriced(was: NDArray[Any], now_is: NDArray[Any], whole: bool) -> bool:
    """Whether numbers have moved as prices do; whole ones, which may be codes, by the cost of living alone."""
    old, new = was.astype(np.float64), now_is.astype(np.float64)
    moved = old != new
    if not moved.any():
        return False
    near = np.array([is_near(a, b) for a, b in zip(new[moved].tolist(), old[moved].tolist(), strict=True)])
    moved_near = np.array([old[moved][near], new[moved][near]])
    if near.mean() < 1 - _ALL_BUT or multiplied(moved_near) or (whole and (factor(moved_near) or 0) < _A_RISE):
        return False
    pairs = np.unique(np.column_stack([old[moved], new[moved]]), axis=0)
    fewer = len(np.unique(new[moved])) < FEWER * len(np.unique(old[moved]))
    coarser = decimals(new[moved].tolist()) < decimals(old[moved].tolist())
    # Prices keep their order; what was dealt out anew doesn't.
    order = np.corrcoef(np.argsort(np.argsort(pairs[:, 0])), np.argsort(np.argsort(pairs[:, 1])))[0, 1]
    return not fewer and not coarser and (len(pairs) < TELLS or bool(order > 1 - _ALL_BUT))
