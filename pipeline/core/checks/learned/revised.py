"""What a reference table says otherwise than before, as a business changes it: prices, a closure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.prices import FEWER, TELLS, decimals, factor, is_near, multiplied
from pipeline.core.facts import Columns, exact, missing, texts
from pipeline.core.tables import Reference

#: What part of a list's rows may do as they like.
_ALL_BUT = 0.02
#: By how much whole numbers rise at least where they are prices: codes are counted on by one.
_A_RISE = 1.01
#: How large a part of a list's keys a closed branch has at most, and how many others take them at least.
_CLOSED, _TAKE = 0.25, 2


def revised(
    reference: Reference, now: Columns, previous: Columns, ended: Collection[str] = frozenset()
) -> dict[str, str]:
    """The columns of a list that were changed for many keys as a business does it, to how they were.

    A price list has changed, key by key; or what all the changed keys had is had by none any longer, as where a branch
    has closed and its customers are others', which were there before.

    Args:
        reference: The declaration.
        now: The snapshot, by column.
        previous: The last accepted one.
        ended: Words that the rows which look it up had of late and have no longer.
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
        if np.mean(missing(was) != missing(now_is)) > _ALL_BUT:
            continue  # filled in, or blank all at once
        changed = there & np.asarray(was != now_is, dtype=bool)
        if column.type in ("number", "integer") and _is_repriced(was[there], now_is[there], column.type == "integer"):
            found[column.name] = "each is near what it was, as on a new price list"
        elif column.type == "string" and 0 < changed.sum() <= _CLOSED * len(changed):
            left = set(exact(now, column.name)[~missing(exact(now, column.name))].tolist())
            gone = set(was[changed].tolist()) - left
            of_gone = np.array([word in gone for word in was[changed].tolist()])
            take = set(now_is[changed].tolist())
            # Where one word takes them all it may be a default, unless the day's rows know of the closure, too.
            taken = len(take) >= _TAKE or gone <= set(ended)
            if len(gone) == 1 and of_gone.all() and taken and take <= set(was[there].tolist()) - gone:
                found[column.name] = f"no key has {gone.pop()} any longer, and others that were there do"
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
    if len(pairs) < TELLS or fewer or coarser:
        return False
    # Prices keep their order; what was dealt out anew doesn't.
    order = np.corrcoef(np.argsort(np.argsort(pairs[:, 0])), np.argsort(np.argsort(pairs[:, 1])))[0, 1]
    return bool(order > 1 - _ALL_BUT)
