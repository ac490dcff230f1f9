"""How many times as long one thing takes as another, timed in turn on a noisy machine."""

from __future__ import annotations

import numpy as np

from pipeline.core.kinds import Floats
from pipeline.core.stats.intervals import Interval


def quantile_ratio(
    seconds: Floats,
    q: float,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    resamples: int = 1000,
    seed: int = 20130101,
) -> tuple[Interval, Interval]:
    """The ``q`` quantile of the second column over that of the first, and the second's own quantile, with intervals.

    The rows were timed in turn (A B A B), so whatever slows the machine slows both. It comes in spells, so spells are
    what is drawn anew: the circular block bootstrap of rows with a spell of the cube root of their number, and the
    percentile interval of the resampled ratios (Politis & Romano, "A circular block-resampling procedure for stationary
    data", in LePage & Billard, eds., Exploring the Limits of Bootstrap, Wiley, 1992). Same rows, same seed: same
    numbers.

    Args:
        seconds: Shape (pairs, 2), above 0: champion, candidate.
        q: Between 0 and 1, such as 0.95.
        confidence: As in :class:`Interval`.
        one_sided: As in :class:`Interval`.
        resamples: How many times the rows are drawn anew.
        seed: Of the drawing.

    Raises:
        ValueError: There are fewer than two pairs, or a timing is not above 0.
    """
    pairs = len(seconds)
    if seconds.shape != (pairs, 2) or pairs < 2 or not ((seconds > 0) & np.isfinite(seconds)).all():
        raise ValueError(f"timings are pairs of seconds above 0, at least two pairs; got an array of {seconds.shape}")
    rng = np.random.default_rng(seed)
    spell = max(1, round(pairs ** (1 / 3)))
    drawn = np.empty((resamples, 2))
    step = max(1, 4_000_000 // pairs)  # bounded memory, whatever the number of pairs
    for first in range(0, resamples, step):
        n = min(step, resamples - first)
        starts = rng.integers(0, pairs, (n, -(-pairs // spell), 1))
        rows = ((starts + np.arange(spell)) % pairs).reshape(n, -1)[:, :pairs]
        drawn[first : first + n] = np.quantile(seconds[rows], q, axis=1)
    tail = (1 - confidence) if one_sided else (1 - confidence) / 2
    champion, candidate = (float(value) for value in np.quantile(seconds, q, axis=0))

    def around(estimate: float, values: Floats) -> Interval:
        low, high = (float(end) for end in np.quantile(values, (tail, 1 - tail)))
        return Interval(estimate, low, high, confidence, one_sided, "spell", -(-pairs // spell), units=pairs)

    return around(candidate / champion, drawn[:, 1] / drawn[:, 0]), around(candidate, drawn[:, 1])
