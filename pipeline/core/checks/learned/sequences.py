"""What each thing says one row after the other: a sensor that is stuck, means in place of readings.

The distribution of such a column may be as ever, and so may its relation to all others: only the order tells. The thing
is named by whichever column of words has the most words and still some rows for each; its rows are taken by time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import FEW_VALUES, MOST_COMPARED, SLICE_ROWS, Measured
from pipeline.core.facts import Columns, missing
from pipeline.core.tables import Column, Feed

#: The share of rows that say what the row before did, from which on a number is none that moves from row to row.
_STAYS = 0.1
#: Between half and one and a half lie all series of one thing; what is far beyond (as a logarithm) takes turns between
#: two things, as a machine does that makes two products.
_ONE_THING = 1.0
#: So many rows a thing must have on average.
_ROWS_EACH = 4


def sequence_measures(feed: Feed, columns: Columns, numbers: Sequence[Column]) -> Measured:
    """Of each number, in what share of the rows it is that of the row before, and how large its steps are.

    Steps are the middle distance of two rows in a row, over that of a row and the next but one: 1 where order means
    nothing, 0.7 for a random walk, 0.5 for a straight line; means in place of readings are nearer to that. (Both are of
    the same place, so seasons and storms move them alike: von Neumann, Annals of Mathematical Statistics 12, 1941.)
    """
    found = _thing(feed, columns)
    if found is None or feed.time is None:
        return
    name, thing = found
    order = np.lexsort((columns[feed.time], thing))
    thing = thing[order]
    follows = np.flatnonzero(thing[1:] == thing[:-1])
    next_but_one = np.flatnonzero(thing[2:] == thing[:-2])
    for column in numbers[:MOST_COMPARED]:
        values = columns[column.name][order].astype(np.float64)
        step = np.abs(values[follows + 1] - values[follows])
        step = step[np.isfinite(step)]
        if len(step) < SLICE_ROWS:
            continue
        yield f"still|{column.name}|{name}", (float(np.mean(step == 0)), len(step))
        two = np.abs(values[next_but_one + 2] - values[next_but_one])
        two = two[np.isfinite(two)]
        # What mostly stays as it is, as a price does, has steps of its own making.
        moves = np.mean(step == 0) < _STAYS and len(np.unique(values)) > FEW_VALUES
        if moves and len(two) >= SLICE_ROWS and _middle(two) > 0 and _middle(step) > 0:
            ratio = float(np.log(_middle(step) / _middle(two)))
            if abs(ratio) <= _ONE_THING:
                yield f"step|{column.name}|{name}", (ratio, len(step))


def _middle(steps: NDArray[np.float64]) -> float:
    """The mean of the middle third: a median of whole numbers jumps from one to the next."""
    third = len(steps) // 3
    return float(np.mean(np.sort(steps)[third : len(steps) - third]))


def _thing(feed: Feed, columns: Columns) -> tuple[str, NDArray[np.int64]] | None:
    """The column that names things, and a number for each row's; None where none has things of several rows.

    On a busy day it may be another column than on a quiet one, so measures tell by which they are.
    """
    best: tuple[str, NDArray[np.int64]] | None = None
    most = 1
    for column in feed.columns:
        if column.type != "string" or column.outcome:
            continue
        there = ~missing(columns[column.name])
        names, codes = np.unique(columns[column.name][there].astype(np.str_), return_inverse=True)
        if most < len(names) and _ROWS_EACH * len(names) <= there.sum():
            things = np.full(len(there), -1, dtype=np.int64)
            things[there], most = codes, len(names)
            things[~there] = len(names) + np.arange(int((~there).sum()))  # each unnamed row is a thing of its own
            best = column.name, things
    return best
