"""How much of the top of a list changes hands, beyond refitting noise."""

from __future__ import annotations

import math

import numpy as np

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM, Interval, NoInterval, t_quantile


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
    resampled: Floats,
    blocks: Ints,
    share: float,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    credit: float = math.inf,
) -> tuple[float, float, Interval] | NoInterval:
    """How much of the champion's top the candidate changes, beyond what a refit changes of the candidate's.

    Where the top ends is itself estimated, so leaving out one block moves the end of all lists, and a plain jackknife
    takes that for noise twice over. The variance is that of the linearised number instead (Deville, Survey Methodology
    25, 1999, who does so for rates below an estimated quantile): a unit counts by whether it is on top of both lists,
    less what it moves their ends by; units of a block are summed up, and Student's t has as many degrees of freedom as
    effective blocks, less one. Two cases of doubt are added, half a case for and half against among them (Agresti &
    Min, Statistics in Medicine 24, 2005): a short list on which nothing changed proves little.

    Args:
        champion: Scores per unit.
        candidate: Scores per unit.
        resampled: Scores per unit.
        blocks: Number of the block of each unit.
        share: Of the units that are on top.
        confidence: As in :class:`Interval`.
        one_sided: As in :class:`Interval`.
        credit: The most that is taken off for the refitting noise, as a share.

    Returns:
        The share changed, the share that refitting changes, and the interval of the first beyond the second; or why
        there is none.
    """
    units = len(candidate)
    sizes = np.bincount(blocks) if units else np.zeros(1)
    present = sizes > 0
    n = int(np.count_nonzero(present))
    if n < MINIMUM:
        return NoInterval(f"{units:,} units in {n} blocks, at least {MINIMUM} blocks are needed", few=True)
    if any(float(scores.min()) == float(scores.max()) for scores in (champion, candidate)):
        return NoInterval("all scores are one, so the list has no top", few=False)
    cases = share * units
    changed, noise = changed_top(champion, candidate, cases), changed_top(candidate, resampled, cases)
    marks = -_marks(champion, candidate, cases)
    if noise <= credit:
        marks = marks + _marks(candidate, resampled, cases)
    estimate = changed - min(noise, credit)
    beyond = np.bincount(blocks, marks - float(marks.mean()))[present]
    variance = (n - 1) / n * float(np.sum((beyond / (units - sizes[present])) ** 2))
    doubt = (1 - estimate) ** 2 / 2 + (1 + estimate) ** 2 / 2 + estimate**2
    variance += n / (n - 1) * doubt / (cases + 2) ** 2
    effective = units**2 / float(np.sum(sizes.astype(np.float64) ** 2))
    half = math.sqrt(variance) * t_quantile(confidence, one_sided, max(effective - 1, 1.0))
    ends = (estimate - half, estimate + half)
    return changed, noise, Interval(estimate, *ends, confidence, one_sided, "block", n, blocks=n, units=units)


def _marks(one: Floats, other: Floats, cases: float) -> Floats:
    """What each unit adds to the share of the top that both lists have, their ends being estimated."""
    top, others = on_top(one, cases), on_top(other, cases)
    share = cases / len(one)
    moved = _at_the_end(one, others, cases) * (top - share) + _at_the_end(other, top, cases) * (others - share)
    return np.asarray((np.minimum(top, others) - moved) / share, dtype=np.float64)


def _at_the_end(scores: Floats, marks: Floats, cases: float) -> float:
    """The mean mark of the units next to the end of the top, as many to either side as the root of its length."""
    order, near = np.sort(scores)[::-1], max(2, round(math.sqrt(cases)))
    end = min(max(round(cases), 1), len(order))
    highest, lowest = order[max(end - near, 0)], order[min(end + near, len(order)) - 1]
    return float(marks[(scores <= highest) & (scores >= lowest)].mean())
