"""How far one distribution of scores lies from another, beyond refitting noise."""

from __future__ import annotations

import math

import numpy as np

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM, SPREAD_ROUNDING, Interval, NoInterval, dense_codes, t_quantile


def wasserstein(one: Floats, other: Floats) -> float:
    """How far scores must move, on average, to turn one distribution into the other: the area between the two CDFs.

    In the unit of the scores. Unlike Kolmogorov-Smirnov it does not ring when many scores move by next to nothing, and
    unlike the population stability index it needs no bins (Ramdas, Garcia & Cuturi, Entropy 19, 2017). NaN in, or no
    scores: NaN out.
    """
    if not len(one) or not len(other):
        return math.nan
    if len(one) == len(other):
        return float(np.abs(np.sort(one) - np.sort(other)).mean())
    one, other = np.sort(one), np.sort(other)
    everything = np.sort(np.concatenate([one, other]))
    gap = np.searchsorted(one, everything[:-1], "right") / len(one)
    gap = gap - np.searchsorted(other, everything[:-1], "right") / len(other)
    return float(np.sum(np.abs(gap) * np.diff(everything)))


def shift_excess(
    champion: Floats,
    candidate: Floats,
    resampled: Floats,
    blocks: Ints,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    groups: int = 20,
    credit: float = math.inf,
) -> tuple[float, float, Interval] | NoInterval:
    """How far the candidate's scores lie from the champion's, beyond what refitting moves them, in pooled spreads.

    Both distances are Wasserstein distances over the pooled standard deviation of champion and candidate. The
    interval of their difference is the delete-a-group jackknife (Kott, J. Official Statistics 17, 2001) over blocks
    dealt into at most ``groups`` groups.

    Args:
        champion: Scores per unit.
        candidate: Scores per unit.
        resampled: Scores per unit.
        blocks: Number of the block of each unit.
        confidence: As in :class:`Interval`.
        one_sided: As in :class:`Interval`.
        groups: Of blocks, at most.
        credit: The most that is taken off for the refitting noise, in spreads.

    Returns:
        The shift, the refitting noise, and the interval of the first beyond the second; or why there is none.
    """
    units = len(candidate)
    n = int(np.count_nonzero(np.bincount(blocks))) if units else 0
    if n < MINIMUM:
        return NoInterval(f"{units:,} units in {n} blocks, at least {MINIMUM} blocks are needed", few=True)
    spread = math.sqrt((float(np.var(champion)) + float(np.var(candidate))) / 2)
    if not (math.isfinite(spread) and spread > SPREAD_ROUNDING * (1 + float(np.abs(candidate).max()))):
        return NoInterval("the scores of both models are constant, or no numbers", few=False)
    dealt, n_groups = dense_codes(dense_codes(blocks)[0] % groups)
    ordered = [
        (scores[order], dealt[order]) for scores in (champion, candidate, resampled) for order in [np.argsort(scores)]
    ]

    def excess(left_out: int) -> tuple[float, float]:
        a, b, c = (scores[group != left_out] for scores, group in ordered)
        return float(np.abs(a - b).mean()) / spread, float(np.abs(b - c).mean()) / spread

    def beyond(moved: float, again: float) -> float:
        return moved - min(again, credit)

    shift, noise = excess(-1)
    without = [excess(group) for group in range(n_groups)]
    differences = np.array([beyond(*each) for each in without]) - beyond(shift, noise)
    error = math.sqrt((n_groups - 1) / n_groups * float(np.sum(differences**2)))
    half = error * t_quantile(confidence, one_sided, n_groups - 1)
    estimate = beyond(shift, noise)
    ends = (estimate - half, estimate + half)
    return shift, noise, Interval(estimate, *ends, confidence, one_sided, "block", n_groups, blocks=n, units=units)
