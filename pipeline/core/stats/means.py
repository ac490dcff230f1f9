"""Means over days and blocks, their differences, and numbers that are no means; each with an honest interval."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pipeline.core.kinds import Bools, Floats, Ints
from pipeline.core.stats.intervals import (
    MINIMUM,
    SPREAD_ROUNDING,
    Clusters,
    Interval,
    NoInterval,
    dense_codes,
    t_quantile,
)


def mean_difference(
    values: Floats,
    less: Floats | None,
    clusters: Clusters,
    *,
    of: Bools | None = None,
    against: Bools | None = None,
    marks: bool = False,
    confidence: float = 0.95,
    one_sided: bool = True,
    minimum: int = MINIMUM,
) -> Interval | NoInterval:
    """``mean(values) - mean(less)``, in the unit of the values, over days and blocks within days.

    For what can be negative or nothing (money, a bias), where the ratio of :func:`relative_difference` has no meaning.
    As there and for its reasons: the variance is the delete-a-cluster jackknife (MacKinnon, Nielsen & Webb, J.
    Econometrics 232, 2023: "CV3"), of a difference of two ratios of cluster totals; Student's t has one degree of
    freedom less than there are effective clusters (Carter, Schnepel & Steigerwald, Rev. Econ. Stat. 99, 2017), by their
    numbers of units; days and blocks are both tried, and the wider interval is returned. Days are assumed independent
    of each other, and their means not too skewed.

    Args:
        values: One number per unit.
        less: One number per unit of what is compared with, in the same order; None: the mean of ``values`` itself.
        clusters: Day and block of each unit, in the same order.
        of: The units over which the mean of ``values`` is taken; None: all.
        against: The units over which the mean of ``less`` is taken; None: all.
        marks: Whether the numbers are marks from 0 to 1 (or differences of such): then two units of doubt are
            added to the variance, as in :func:`mean_interval`, so that nothing among few is no proof of nothing.
        confidence: Of each end if ``one_sided``, else of the two together.
        one_sided: See :class:`Interval`.
        minimum: With fewer days than this (among the units of either mean) there is no interval.

    Returns:
        The interval; or why there is none: too few days, values that are no numbers, no spread at all although the
        difference is not nothing. Values that are equal on every unit are a difference of 0 +- 0.

    Raises:
        ValueError: The arrays differ in length.
    """
    units = len(values)
    if units != len(clusters.day) or (less is not None and len(less) != units):
        raise ValueError(f"the values differ in length: {units} values, {len(clusters.day)} units")
    over = np.ones(units, dtype=np.bool_) if of is None else of
    parts: list[tuple[Floats, Bools]] = [(values, over)]
    if less is not None:
        parts.append((less, np.ones(units, dtype=np.bool_) if against is None else against))
    used = np.logical_or.reduce([chosen for _, chosen in parts])
    bad = sum(int(np.count_nonzero(~np.isfinite(part[chosen]))) for part, chosen in parts)
    if bad:
        return NoInterval(f"{bad:,} of {int(used.sum()):,} units have no number", few=False)
    days = min(_present(clusters.day[chosen], clusters.days) for _, chosen in parts)
    if days < minimum:
        return NoInterval(
            f"{days} day{'s' * (days != 1)} of evidence, at least {minimum} are needed: {minimum - days} more", few=True
        )
    blocks = _present(clusters.block[used], clusters.blocks)
    counts = {"days": days, "blocks": blocks, "units": int(used.sum())}
    if less is not None and np.array_equal(over, parts[1][1]) and np.array_equal(values[over], less[over]):
        return Interval(0.0, 0.0, 0.0, confidence, one_sided, "day", days, **counts)
    by_day = _jackknife(parts, clusters.day, clusters.days, marks, confidence, one_sided)
    by_block = _jackknife(parts, clusters.block, clusters.blocks, marks, confidence, one_sided)
    if by_day is None or by_block is None:
        return NoInterval("all units lie on one day, or in one block", few=True)
    estimate, half, by, n = *by_day, "day", days
    if by_block[1] > half:
        half, by, n = by_block[1], "block", blocks
    size = max(float(np.abs(part[chosen]).max()) for part, chosen in parts)
    if half <= SPREAD_ROUNDING * (1 + size):
        return NoInterval("the numbers are the same on every day and in every block, which proves nothing", few=False)
    return Interval(estimate, estimate - half, estimate + half, confidence, one_sided, by, n, **counts)


def _present(cluster: Ints, clusters: int) -> int:
    return int(np.count_nonzero(np.bincount(cluster, minlength=clusters)))


def _jackknife(
    parts: list[tuple[Floats, Bools]], cluster: Ints, clusters: int, marks: bool, confidence: float, one_sided: bool
) -> tuple[float, float] | None:
    """The difference of means and the half-width of its interval; None where one cluster holds all of a mean."""
    in_use = np.zeros(clusters, dtype=np.bool_)
    means, without, effective, doubt = [], [], [], 0.0
    for values, chosen in parts:
        size = np.bincount(cluster[chosen], minlength=clusters).astype(np.float64)
        total = np.bincount(cluster[chosen], values[chosen], clusters)
        n, left = float(size.sum()), float(size.sum()) - size
        if not left.min() > 0:
            return None
        in_use |= size > 0
        mean = float(total.sum()) / n
        means.append(mean)
        without.append((float(total.sum()) - total) / left)
        effective.append(n**2 / float(np.sum(size**2)))
        # Two units of doubt, half a unit for and half against among them (Agresti & Min, Stat. Med. 24, 2005).
        doubt += ((1 - mean) ** 2 / 2 + (1 + mean) ** 2 / 2 + mean**2) / (n + 2) ** 2
    signs = (1.0, -1.0)[: len(parts)]
    estimate = float(sum(sign * mean for sign, mean in zip(signs, means, strict=True)))
    moved = sum(sign * each for sign, each in zip(signs, without, strict=True)) - estimate
    n_in_use = int(in_use.sum())
    variance = (n_in_use - 1) / n_in_use * float(np.sum(np.asarray(moved)[in_use] ** 2))
    if marks:
        variance += n_in_use / max(n_in_use - 1, 1) * doubt
    return estimate, math.sqrt(variance) * t_quantile(confidence, one_sided, max(min(effective) - 1, 1.0))


def statistic_interval(
    statistic: Callable[[Ints], float],
    clusters: Clusters,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    minimum: int = MINIMUM,
    groups: int = 40,
) -> Interval | NoInterval:
    """A number of many units that is no mean, such as the area under a curve, over days and blocks within days.

    The delete-a-day jackknife and the delete-a-group jackknife over blocks (Kott, J. Official Statistics 17, 2001); the
    wider one is returned. For a smooth function of the units' distribution, which the area under the ROC curve and
    average precision are, the first is the clustered analogue of DeLong's components (Obuchowski, Biometrics 53, 1997).

    Args:
        statistic: Numbers of the chosen units to the number; NaN where they do not allow it.
        clusters: Day and block of each unit.
        confidence: Of each end if ``one_sided``, else of the two together.
        one_sided: See :class:`Interval`.
        minimum: With fewer days than this there is no interval.
        groups: Of blocks, at most.
    """
    every = np.arange(len(clusters.day), dtype=np.int64)
    days = _present(clusters.day, clusters.days)
    if days < minimum:
        return NoInterval(
            f"{days} day{'s' * (days != 1)} of evidence, at least {minimum} are needed: {minimum - days} more", few=True
        )
    estimate = statistic(every)
    blocks = _present(clusters.block, clusters.blocks)
    # Neighbours in the order of blocks are of one day: dealt like cards, a group holds blocks of all days.
    dealt = dense_codes(clusters.block)[0] % groups
    errors_and_df = [_left_out(statistic, estimate, cluster) for cluster in (clusters.day, dealt)]
    if not (math.isfinite(estimate) and all(math.isfinite(error) for error, _ in errors_and_df)):
        return NoInterval("the labels of some days alone do not allow the number: all are one", few=True)
    halves = [error * t_quantile(confidence, one_sided, max(df, 1.0)) for error, df in errors_and_df]
    if max(halves) <= SPREAD_ROUNDING * (1 + abs(estimate)):
        return NoInterval("the number is the same whatever day is left out, which proves nothing", few=False)
    half, by = max(zip(halves, ("day", "block"), strict=True))
    n = days if by == "day" else blocks
    counts = {"days": days, "blocks": blocks, "units": len(every)}
    return Interval(estimate, estimate - half, estimate + half, confidence, one_sided, by, n, **counts)


def _left_out(statistic: Callable[[Ints], float], estimate: float, cluster: Ints) -> tuple[float, float]:
    """The jackknife's standard error and its degrees of freedom."""
    names, place = np.unique(cluster, return_inverse=True)
    n = len(names)
    if n < 2:
        return math.nan, 0.0
    without = np.array([statistic(np.flatnonzero(place != name)) for name in range(n)])
    sizes = np.bincount(place).astype(np.float64)
    error = math.sqrt((n - 1) / n * float(np.sum((without - estimate) ** 2)))
    return error, float(sizes.sum() ** 2 / np.sum(sizes**2)) - 1
