"""Numbers with honest intervals, each with its paper. An opinion about a number is made in the gates, not here.

scipy is imported inside the functions that need it: a DAG file imports the gates, and must not pay for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.kinds import Bools, Floats, Ints

#: The fewest days (or blocks within one day) from which a variance is estimated at all.
MINIMUM = 5
#: Below this the spread of a relative difference is rounding, not evidence.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and how far it can be trusted.

    Attributes:
        estimate: The number itself.
        low: Its lower end.
        high: Its upper end.
        confidence: Of each end by itself if ``one_sided``, else of both together.
        one_sided: Which of the two.
        clustered_by: What was taken to fail together: ``"day"``, ``"block"`` or ``"spell"``.
        clusters: How many of those there were.
        days: Days of evidence; 0 where days do not matter.
        blocks: Blocks of evidence; 0 where there are none.
        units: Units, or pairs of timings.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    one_sided: bool
    clustered_by: str
    clusters: int
    days: int = 0
    blocks: int = 0
    units: int = 0


@dataclass(frozen=True, slots=True)
class NoInterval:
    """Nothing can be said, and why: what a gate turns into UNKNOWN.

    Attributes:
        why: A clause that ends a sentence.
        few: Whether more days or units would help; False where the numbers themselves are degenerate.
    """

    why: str
    few: bool


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which units fail together: the day of each unit and its block within the day, as small integers.

    Attributes:
        day: Day number per unit, below ``days``.
        block: Number of the (day, block) pair per unit, below ``blocks``.
        days: How many day numbers there are.
        blocks: How many block numbers there are.
    """

    day: Ints
    block: Ints
    days: int
    blocks: int

    @classmethod
    def of(cls, days: NDArray[Any], blocks: NDArray[Any]) -> Self:
        """Number the days and the (day, block) pairs in sorted order, so that the order of rows does not matter."""
        day, n_days = numbered(days)
        name, n_names = numbered(blocks)
        pair, n_pairs = numbered(day * max(n_names, 1) + name)
        return cls(day, pair, n_days, n_pairs)

    def where(self, chosen: Ints | Bools) -> Clusters:
        """The clusters of some of the units."""
        return Clusters(self.day[chosen], self.block[chosen], self.days, self.blocks)


def numbered(values: NDArray[Any]) -> tuple[Ints, int]:
    """Each value's place among the distinct ones in sorted order, and how many distinct ones there are."""
    distinct, places = np.unique(values, return_inverse=True)
    return places.astype(np.int64, copy=False).reshape(len(values)), len(distinct)


def t_quantile(confidence: float, one_sided: bool, df: float) -> float:
    """How many standard errors an end lies from the estimate, by Student's t with ``df`` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, confidence if one_sided else (1 + confidence) / 2))


def relative_difference(
    candidate: Floats,
    reference: Floats,
    clusters: Clusters,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    minimum: int = MINIMUM,
) -> Interval | NoInterval:
    """By how much the candidate's mean loss differs from the reference's: ``mean(candidate) / mean(reference) - 1``.

    The two losses stand on the same units, so what is hard for both cancels. The variance is the delete-a-cluster
    jackknife of the ratio, which to first order is the linearised (Taylor) variance of a ratio of cluster totals
    (Cochran, Sampling Techniques, 1977, 6.4) and keeps its promise with few and unequal clusters where that one
    promises too much (MacKinnon, Nielsen & Webb, J. Econometrics 232, 2023: "CV3"). Student's t has one degree of
    freedom less than there are *effective* clusters, ``total**2 / sum(squares)`` of the reference's loss (after Carter,
    Schnepel & Steigerwald, Rev. Econ. Stat. 99, 2017): fourteen days of which one holds half of all loss are not
    fourteen. Both the days and the blocks within days are tried as clusters, and the wider interval is returned: a
    storm is shared by all blocks of its day, so days are the honest unit, and the blocks guard against a handful of
    days that agree by chance. Days are assumed independent of each other.

    Args:
        candidate: Loss per unit, at least 0.
        reference: Loss per unit of the model compared with, in the same order.
        clusters: Day and block of each unit, in the same order.
        confidence: Of each end if ``one_sided``, else of the two together.
        one_sided: See :class:`Interval`.
        minimum: With fewer days than this there is no interval.

    Returns:
        The interval; or why there is none: too few days, losses that are no numbers or below 0, a reference whose
        loss is 0, no spread at all although the two differ. Losses equal on every unit are a difference of 0 +- 0.
    """
    units = len(candidate)
    if not units == len(reference) == len(clusters.day):
        raise ValueError(f"the losses differ in length: {units}, {len(reference)} and {len(clusters.day)} units")
    bad = units - int(np.count_nonzero((candidate >= 0) & (reference >= 0) & np.isfinite(candidate + reference)))
    if bad:
        return NoInterval(f"{bad:,} of {units:,} units have a loss that is no number", few=False)
    per_day = np.bincount(clusters.day, minlength=clusters.days)
    days = int(np.count_nonzero(per_day))
    if days < minimum:
        return NoInterval(
            f"{days} day{'s' * (days != 1)} of evidence, at least {minimum} are needed: {minimum - days} more", few=True
        )
    blocks = int(np.count_nonzero(np.bincount(clusters.block, minlength=clusters.blocks)))
    counts = {"days": days, "blocks": blocks, "units": units}
    if np.array_equal(candidate, reference):
        return Interval(0.0, 0.0, 0.0, confidence, one_sided, "day", days, **counts)
    by_day = _jackknife(candidate, reference, clusters.day, clusters.days, confidence, one_sided)
    by_block = _jackknife(candidate, reference, clusters.block, clusters.blocks, confidence, one_sided)
    if by_day is None or by_block is None:
        return NoInterval("the loss it is compared with is 0, or 0 on all days but one", few=False)
    estimate, half, by, n = *by_day, "day", days
    if by_block[1] > half:
        half, by, n = by_block[1], "block", blocks
    if half <= _ROUNDING * (1 + abs(estimate)):
        return NoInterval("the losses differ by the same factor everywhere, which no two fitted models do", few=False)
    return Interval(estimate, estimate - half, estimate + half, confidence, one_sided, by, n, **counts)


def _jackknife(
    candidate: Floats, reference: Floats, cluster: Ints, clusters: int, confidence: float, one_sided: bool
) -> tuple[float, float] | None:
    """The ratio minus 1 and the half-width of its interval; None where the reference has no loss to speak of."""
    present = np.bincount(cluster, minlength=clusters) > 0
    above = np.bincount(cluster, candidate, clusters)[present]
    below = np.bincount(cluster, reference, clusters)[present]
    n, top, bottom = len(above), float(above.sum()), float(below.sum())
    if bottom <= 0 or not float((bottom - below).min()) > _ROUNDING * bottom:
        return None
    without = (top - above) / (bottom - below)
    error = math.sqrt((n - 1) / n * float(np.sum((without - top / bottom) ** 2)))
    effective = bottom**2 / float(np.sum(below**2))
    return top / bottom - 1, error * t_quantile(confidence, one_sided, max(effective - 1, 1.0))


def mean_interval(
    values: Floats, blocks: Ints, *, confidence: float = 0.95, one_sided: bool = True, minimum: int = MINIMUM
) -> Interval | NoInterval:
    """The mean of a difference of two marks per unit (each between 0 and 1), units of a block failing together.

    For shares seen on one day: changed decisions minus the changes that refitting alone makes. The standard error is
    the cluster-robust one of a mean (Liang & Zeger, Biometrika 73, 1986) with as many degrees of freedom as effective
    blocks, less one. Where nothing changed at all that error is 0, which proves little about a few units; so two
    units of doubt are added, half a unit for and half a unit against among them (Agresti & Min, Statistics in Medicine
    24, 2005), to the error and not to the estimate.

    Args:
        values: One number from -1 to 1 per unit.
        blocks: Number of the block of each unit.
        confidence: As in :class:`Interval`.
        one_sided: As in :class:`Interval`.
        minimum: With fewer blocks than this there is no interval.
    """
    units = len(values)
    sizes = np.bincount(blocks) if units else np.zeros(1)
    n = int(np.count_nonzero(sizes))
    if n < minimum:
        return NoInterval(f"{units:,} units in {n} blocks, at least {minimum} blocks are needed", few=True)
    if not np.isfinite(values).all():
        return NoInterval("some units have no number", few=False)
    mean = float(values.sum()) / units
    spread = np.bincount(blocks, values - mean)
    doubt = (1 - mean) ** 2 / 2 + (1 + mean) ** 2 / 2 + mean**2
    error = math.sqrt(n / (n - 1) * (float(np.sum(spread**2)) + doubt)) / (units + 2)
    effective = units**2 / float(np.sum(sizes.astype(np.float64) ** 2))
    half = error * t_quantile(confidence, one_sided, max(effective - 1, 1.0))
    return Interval(mean, mean - half, mean + half, confidence, one_sided, "block", n, blocks=n, units=units)


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
    what is drawn anew: the circular block bootstrap (Politis & Romano, 1992) of rows with a spell of the cube root
    of their number, and the percentile interval of the resampled ratios. Same rows, same seed: same numbers.

    Args:
        seconds: Shape (pairs, 2), above 0: champion, candidate.
        q: Between 0 and 1, such as 0.95.
        confidence: As in :class:`Interval`.
        one_sided: As in :class:`Interval`.
        resamples: How many times the rows are drawn anew.
        seed: Of the drawing.
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
    twin: Floats,
    blocks: Ints,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    groups: int = 20,
) -> tuple[float, float, Interval] | NoInterval:
    """How far the candidate's scores lie from the champion's, beyond what refitting moves them, in pooled spreads.

    Both distances are Wasserstein distances over the pooled standard deviation of champion and candidate. The
    interval of their difference is the delete-a-group jackknife (Kott, J. Official Statistics 17, 2001) over blocks
    dealt into at most ``groups`` groups.

    Returns:
        The shift, the refitting noise, and the interval of the first minus the second; or why there is none.
    """
    units = len(candidate)
    n = int(np.count_nonzero(np.bincount(blocks))) if units else 0
    if n < MINIMUM:
        return NoInterval(f"{units:,} units in {n} blocks, at least {MINIMUM} blocks are needed", few=True)
    spread = math.sqrt((float(np.var(champion)) + float(np.var(candidate))) / 2)
    if not (math.isfinite(spread) and spread > _ROUNDING * (1 + float(np.abs(candidate).max()))):
        return NoInterval("the scores of both models are constant, or no numbers", few=False)
    dealt, n_groups = numbered(numbered(blocks)[0] % groups)
    ordered = [
        (scores[order], dealt[order]) for scores in (champion, candidate, twin) for order in [np.argsort(scores)]
    ]

    def excess(left_out: int) -> tuple[float, float]:
        a, b, c = (scores[group != left_out] for scores, group in ordered)
        return float(np.abs(a - b).mean()) / spread, float(np.abs(b - c).mean()) / spread

    shift, noise = excess(-1)
    without = [excess(group) for group in range(n_groups)]
    differences = np.array([s - z for s, z in without]) - (shift - noise)
    error = math.sqrt((n_groups - 1) / n_groups * float(np.sum(differences**2)))
    half = error * t_quantile(confidence, one_sided, n_groups - 1)
    estimate = shift - noise
    ends = (estimate - half, estimate + half)
    return shift, noise, Interval(estimate, *ends, confidence, one_sided, "block", n_groups, blocks=n, units=units)
