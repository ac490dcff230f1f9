"""How much of the top of a list changes hands, beyond refitting noise."""

from __future__ import annotations

import math

import numpy as np

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM, Interval, NoInterval, numbered, t_quantile


def on_top(scores: Floats, cases: float) -> Floats:
    """How much of each unit is among the ``cases`` highest scores: 1, 0, or the same part of each where they tie."""
    order = np.sort(scores)[::-1]
    edge = order[min(max(math.ceil(cases), 1), len(order)) - 1]
    above, level = scores > edge, scores == edge
    part = (cases - float(above.sum())) / float(level.sum())
    return np.where(above, 1.0, np.where(level, min(max(part, 0.0), 1.0), 0.0))


def changed_top(one: Floats, other: Floats, cases: float) -> float:
    """The share of the ``cases`` on top of one list that are not on top of the other.

    One less the overlap at that depth, the term of which rank-biased overlap is the weighted mean over all depths
    (Webber, Moffat & Zobel, ACM Trans. Inf. Syst. 28, 2010); undamped, for somebody who works through so many cases
    works through each of them. Ties are broken alike in both lists as far as they can be.
    """
    return 1.0 - float(np.minimum(on_top(one, cases), on_top(other, cases)).sum()) / cases


def top_excess(
    champion: Floats,
    candidate: Floats,
    twin: Floats,
    blocks: Ints,
    share: float,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    groups: int = 20,
    credit: float = math.inf,
) -> tuple[float, float, Interval] | NoInterval:
    """How much of the champion's top the candidate changes, beyond what a refit changes of the candidate's.

    The interval is the delete-a-group jackknife (Kott, J. Official Statistics 17, 2001) over blocks dealt into at most
    ``groups`` groups; leaving out a group at a time, not a unit, is also what makes a jackknife hold for numbers that
    hang on a quantile (Shao & Wu, Annals of Statistics 17, 1989). Two cases of doubt are added to the variance, half a
    case for and half against among them (Agresti & Min, Statistics in Medicine 24, 2005): a short list on which nothing
    changed proves little.

    Args:
        champion: Scores per unit.
        candidate: Scores per unit.
        twin: Scores per unit.
        blocks: Number of the block of each unit.
        share: Of the units that are on top.
        confidence: As in :class:`Interval`.
        one_sided: As in :class:`Interval`.
        groups: Of blocks, at most.
        credit: The most that is taken off for the refitting noise, as a share.

    Returns:
        The share changed, the share that refitting changes, and the interval of the first beyond the second; or why
        there is none.
    """
    units = len(candidate)
    n = int(np.count_nonzero(np.bincount(blocks))) if units else 0
    if n < MINIMUM:
        return NoInterval(f"{units:,} units in {n} blocks, at least {MINIMUM} blocks are needed", few=True)
    if any(float(scores.min()) == float(scores.max()) for scores in (champion, candidate)):
        return NoInterval("all scores are one, so the list has no top", few=False)
    dealt, n_groups = numbered(numbered(blocks)[0] % groups)

    def of(chosen: Ints) -> tuple[float, float]:
        cases = share * len(chosen)
        a, b, c = champion[chosen], candidate[chosen], twin[chosen]
        return changed_top(a, b, cases), changed_top(b, c, cases)

    def beyond(changed: float, again: float) -> float:
        return changed - min(again, credit)

    changed, noise = of(np.arange(units, dtype=np.int64))
    estimate = beyond(changed, noise)
    without = np.array([beyond(*of(np.flatnonzero(dealt != group))) for group in range(n_groups)])
    variance = (n_groups - 1) / n_groups * float(np.sum((without - estimate) ** 2))
    doubt = (1 - estimate) ** 2 / 2 + (1 + estimate) ** 2 / 2 + estimate**2
    variance += n_groups / (n_groups - 1) * doubt / (share * units + 2) ** 2
    half = math.sqrt(variance) * t_quantile(confidence, one_sided, n_groups - 1)
    ends = (estimate - half, estimate + half)
    return changed, noise, Interval(estimate, *ends, confidence, one_sided, "block", n_groups, blocks=n, units=units)
