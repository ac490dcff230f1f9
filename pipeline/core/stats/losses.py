"""The paired difference of two mean losses, over days and blocks."""

from __future__ import annotations

import math

import numpy as np

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM, SPREAD_ROUNDING, Clusters, Interval, NoInterval, t_quantile


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
    days that agree by chance. Days are assumed independent of each other, and their differences not too
    skewed: where most days bring a small gain and a rare one a large loss, few days promise too much.

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

    Raises:
        ValueError: The arrays differ in length.
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
    if half <= SPREAD_ROUNDING * (1 + abs(estimate)):
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
    if bottom <= 0 or not float((bottom - below).min()) > SPREAD_ROUNDING * bottom:
        return None
    without = (top - above) / (bottom - below)
    error = math.sqrt((n - 1) / n * float(np.sum((without - top / bottom) ** 2)))
    effective = bottom**2 / float(np.sum(below**2))
    return top / bottom - 1, error * t_quantile(confidence, one_sided, max(effective - 1, 1.0))
