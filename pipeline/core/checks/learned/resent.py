"""What was said before: the numbers of rows that a remembered day had, under other names or other moments.

A whole row sent again is one question (``sent before``). Here a part of a row is: its numbers whatever it is called,
and what came of it where it is called the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import numpy as np

from pipeline.core.checks.learned.measures import MOST_COMPARED, SLICE_ROWS, Measured
from pipeline.core.checks.learned.row_digests import digests_of
from pipeline.core.facts import Columns, missing
from pipeline.core.tables import Feed

#: At most so many rows of a day are remembered, and from so few on two days can be compared.
KEPT = 256

OF_THE_SAME = " of the same"
"""The end of what is said again where it is a single number of the same names at the same time of day."""

#: What is remembered to the lowest digests of its rows.
Remembered = Mapping[str, Sequence[int]]


def remembered_of(feed: Feed, columns: Columns, late: Sequence[str] = ()) -> dict[str, tuple[int, ...]]:
    """The digests of a day's rows, the lowest first: by their numbers, and by names, hour and outcomes."""
    there = [c for c in feed.columns if c.name not in late]
    numbers = [c for c in there if c.type in ("number", "integer") and c.name not in feed.key]
    outcomes = [c for c in there if c.outcome and c.type != "timestamp"]
    names = [c for c in there if c.type == "string" and not c.outcome]
    found: dict[str, tuple[int, ...]] = {}
    same = [columns[c.name] for c in names]
    if feed.time is not None:
        moments = columns[feed.time]
        same.append((moments - moments.astype("datetime64[D]")).astype(np.int64))
    if len(numbers) >= 2:
        found["all numbers"] = _digests([columns[c.name] for c in numbers], [])
    if outcomes:
        found["outcomes of the same"] = _digests([columns[c.name] for c in outcomes], same)
    # A part of what a station sends may be a day old, or be sent again with the rest of the row made anew.
    for column in numbers[:MOST_COMPARED] if same else ():
        found[f"{column.name}{OF_THE_SAME}"] = _digests([columns[column.name]], same)
    return found


def _digests(values: Sequence[np.ndarray], same: Sequence[np.ndarray]) -> tuple[int, ...]:
    told = np.zeros(len(values[0]), dtype=bool)
    for column in values:
        # A row of nothing but zeros and blanks is like many others.
        told |= ~missing(column) & (column != 0 if column.dtype.kind == "f" else True)
    digests = digests_of([column[told] for column in (*values, *same)])
    return tuple(np.sort(digests >> np.uint64(16)).tolist())


def resent_measures(now: Remembered, past: Sequence[Remembered]) -> Measured:
    """The largest share of a day's rows that any one remembered day had."""
    for what, digests in now.items():
        worst, n = 0.0, 0
        rows = Counter(digests)
        for before in past:
            share, compared = _share(digests, rows, before.get(what, ()))
            if compared >= SLICE_ROWS:
                worst, n = max(worst, share), max(n, compared)
        if n:
            yield f"resent|{what}", (worst, n)


def most_like(now: Sequence[int], past: Iterable[tuple[date, Sequence[int]]]) -> date | None:
    """The remembered day that has the largest share of a day's rows; None where none has any."""
    rows = Counter(now)
    shares = [(*_share(now, rows, before), day) for day, before in past]
    return max(((share, day) for share, n, day in shares if n >= SLICE_ROWS and share), default=(0.0, None))[1]


def kept(digests: Sequence[int]) -> tuple[int, ...]:
    """What is kept of them."""
    return tuple(digests[:KEPT])


def _share(now: Sequence[int], rows: Counter[int], before: Sequence[int]) -> tuple[float, int]:
    """The share of ``now`` that is in ``before``, both sorted, and of how many; ``rows`` counts each digest of now."""
    # Of what was not kept nothing is known.
    compared = bisect_right(now, before[-1]) if len(before) >= KEPT else len(now) if before else 0
    return (sum(rows[one] for one in rows.keys() & set(before)) / compared if compared else 0.0), compared
