"""How much one column alone says of the label, whatever the kind: a rule of some days, judged on a later one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.kinds import Floats

#: Into how many groups of about equal size a column of numbers is cut.
GROUPS = 20
#: A group of fewer rows than this is thrown together with all other small ones.
SMALL = 20


def explained_by_one_column(
    learnt: tuple[NDArray[Any], Floats],
    judged: tuple[NDArray[Any], Floats],
    loss: Callable[[Floats, Any], Floats],
    constant: Callable[[Floats], Any],
) -> float:
    """The share of the best constant's loss that a constant for each group of the column's values removes.

    The groups' constants are learnt on earlier days. What they are held against knows how the judged day went as a
    whole, so that only what tells its units apart counts.

    Numbers are cut at their quantiles, words stand for themselves; what is missing is a group of its own. A group's
    constant is drawn towards the whole's by one row, so that no group of a few rows is certain of anything.

    Args:
        learnt: The column and the labels of earlier days; floats, or words with None for what is missing.
        judged: The same of the day that is judged.
        loss: Labels and predictions to the loss per row.
        constant: Labels to the best single prediction for them.

    Returns:
        At most 1; 0 or less where the column says nothing; NaN where a constant loses nothing or there are no rows.
    """
    (column, labels), (judged_column, truth) = learnt, judged
    if not len(labels) or not len(truth):
        return float("nan")
    learnt_groups, judged_groups = _groups(column, judged_column)
    whole = np.asarray(constant(labels), dtype=np.float64)
    group_constants = np.broadcast_to(
        whole, (int(max(learnt_groups.max(), judged_groups.max())) + 1, *whole.shape)
    ).copy()
    order = np.argsort(learnt_groups, kind="stable")
    ends = np.cumsum(np.bincount(learnt_groups))
    for group, rows in enumerate(np.split(order, ends[:-1])):
        if len(rows):
            group_constants[group] = (len(rows) * np.asarray(constant(labels[rows])) + whole) / (len(rows) + 1)
    best = np.asarray(constant(truth), dtype=np.float64)
    plain = float(np.mean(loss(truth, np.broadcast_to(best, (len(truth), *best.shape)))))
    return 1 - float(np.mean(loss(truth, group_constants[judged_groups]))) / plain if plain > 0 else float("nan")


def _groups(column: NDArray[Any], judged_column: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The group of each row of both; group 0 holds what is missing, never seen, or too rare."""
    if column.dtype.kind == "f":
        known = column[np.isfinite(column)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, GROUPS + 1))) if len(known) else np.empty(0)
        # On both sides of an edge, and on it: a heap of equal values stands alone.
        places = [
            np.where(np.isfinite(v), 1 + np.searchsorted(edges, v, "left") + np.searchsorted(edges, v, "right"), 0)
            for v in (column, judged_column)
        ]
    else:
        words = [
            np.array([str(one) if isinstance(one, str) else "" for one in v], dtype=np.str_)
            for v in (column, judged_column)
        ]
        names = np.unique(words[0])
        at = [np.minimum(np.searchsorted(names, v), len(names) - 1) for v in words]
        places = [np.where((names[i] == v) & (v != ""), i + 1, 0) for i, v in zip(at, words, strict=True)]
    learnt_groups, judged_groups = (place.astype(np.int64) for place in places)
    sizes = np.bincount(learnt_groups, minlength=int(max(learnt_groups.max(), judged_groups.max())) + 1)
    common = sizes >= SMALL
    return np.where(common[learnt_groups], learnt_groups, 0), np.where(common[judged_groups], judged_groups, 0)


def binomial_upper_tail(found: int, of: int, share: float) -> float:
    """The probability that ``found`` or more of ``of`` have what a ``share`` of all have (binomial)."""
    from scipy.special import bdtrc

    return 1.0 if found <= 0 else float(bdtrc(found - 1, of, min(share, 1.0)))
