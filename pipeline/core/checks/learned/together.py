"""What columns say to each other, and rows to other rows of their day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import SLICE_ROWS, Measured, ranks_of
from pipeline.core.checks.learned.slices import Slices
from pipeline.core.facts import Columns
from pipeline.core.tables import Column


def twins(names: Sequence[str], columns: Columns) -> Measured:
    """The share of rows all of whose numbers another row of the day has too, whatever it is called."""
    if len(names) < 3:
        return
    rows = np.column_stack([np.nan_to_num(columns[name], nan=-1.23456e300) for name in names])
    _, counts = np.unique(rows.view([("", rows.dtype)] * rows.shape[1]).ravel(), return_counts=True)
    yield "single|all numbers|twins", (float(counts[counts > 1].sum() / len(rows)), len(rows))


def goes_with(titles: Sequence[Slices], numbers: Sequence[Column], columns: Columns) -> Measured:
    """How far a column of words settles what another column says: the share of its rows that say what most say."""
    for title, codes, words in titles:
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        often = (counts >= 2)[codes] & (codes >= 0)
        if often.sum() < SLICE_ROWS or len(words) < 2:
            continue
        for other, others, their_words in titles:
            if other == title or len(their_words) < 2:
                continue
            there = often & (others >= 0)
            if there.sum() >= SLICE_ROWS:
                pairs, n = np.unique(codes[there] * len(their_words) + others[there], return_counts=True)
                best = np.zeros(len(words))
                np.maximum.at(best, pairs // len(their_words), n)
                yield f"settles|{title}|{other}", (float(best.sum() / there.sum()), int(there.sum()))
        for column in numbers:
            values = columns[column.name]
            there = often & np.isfinite(values)
            if there.sum() >= SLICE_ROWS:
                ranks = ranks_of(values[there])
                ranks = ranks - ranks.mean()
                groups = codes[there]
                n = np.bincount(groups, minlength=len(words))
                sums = np.bincount(groups, weights=ranks, minlength=len(words))
                total = float((ranks**2).sum())
                if total > 0:
                    between = float((sums[n > 0] ** 2 / n[n > 0]).sum())
                    yield f"explains|{title}|{column.name}", (min(between / total, 1.0), int(there.sum()))


def pairs(names: Sequence[str], columns: Columns) -> Measured:
    """What two columns say to each other: how alike they are ordered, and by how much they differ."""
    if len(names) < 2:
        return
    ranked: list[NDArray[np.float64]] = []
    for name in names:
        values = columns[name]
        there = np.isfinite(values)
        ranks = np.zeros(len(values))
        order = ranks_of(values[there])
        ranks[there] = order - order.mean() if len(order) else order
        ranked.append(ranks)
    both = np.array(ranked)
    size = np.sqrt((both**2).sum(axis=1))
    for i, one in enumerate(names):
        for j in range(i + 1, len(names)):
            other = names[j]
            a, b = columns[one], columns[other]
            there = np.isfinite(a) & np.isfinite(b)
            n = int(there.sum())
            if n < SLICE_ROWS or not size[i] or not size[j]:
                continue
            yield f"order|{one}|{other}", (float(both[i] @ both[j] / (size[i] * size[j])), n)
            yield f"apart|{one}|{other}", (float(np.median(b[there] - a[there])), n)
            positive = there & (a > 0) & (b > 0)
            if positive.sum() >= max(SLICE_ROWS, 0.5 * n):
                yield f"ratio|{one}|{other}", (float(np.median(np.log(b[positive] / a[positive]))), int(positive.sum()))
