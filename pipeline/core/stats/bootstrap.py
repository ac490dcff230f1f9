"""The cluster bootstrap of a ratio or a difference of means: a second opinion on the jackknife, in bounded memory.

The gates' intervals are jackknives, which need no seed. ``python -m benchmarks intervals`` holds them against this one
on the same rows, and a test holds this one against scipy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM, SPREAD_ROUNDING, Interval, NoInterval

#: Numbers drawn at a time: memory stays at tens of megabytes whatever the clusters and resamples.
_AT_ONCE = 1_000_000
#: With fewer resamples than this share that tell anything there is no interval.
_SOUND = 0.99


Method = Literal["percentile", "bca", "studentised"]


def bootstrap_difference(
    candidate: Floats,
    reference: Floats,
    cluster: Ints,
    *,
    group: Ints | None = None,
    relative: bool = True,
    method: Method = "studentised",
    resamples: int = 2000,
    confidence: float = 0.95,
    one_sided: bool = True,
    seed: int = 20130101,
    minimum: int = MINIMUM,
) -> list[Interval | NoInterval]:
    """How the candidate's mean loss differs from the reference's, by drawing whole clusters anew; for each group.

    Losses are added up by cluster and group once; a resample is then a vector of how often each cluster was drawn, the
    same for all groups, and its numbers are ratios of products of matrices: a million units are read once, not once a
    resample. The studentised interval (bootstrap-t) draws the number in its own standard errors, and so follows a skew
    that Student's t does not know of (Hall, Annals of Statistics 16, 1988); BCa as in Efron (JASA 82, 1987). All treat
    clusters as exchangeable: units of a cluster fail together, clusters do not.

    Args:
        candidate: Loss per unit.
        reference: Loss per unit of the model compared with, in the same order.
        cluster: Number of each unit's cluster, such as ``Clusters.day`` or ``Clusters.block``.
        group: Number of each unit's group, such as a slice; below 0 for none. None: all are one group.
        relative: ``mean(candidate) / mean(reference) - 1``; else ``mean(candidate) - mean(reference)``.
        method: How the ends are made of the resamples.
        resamples: How many.
        confidence: As in :class:`Interval`; of each group's by itself.
        one_sided: As in :class:`Interval`.
        seed: Of the drawing: same rows, same seed, same numbers.
        minimum: With fewer clusters than this in a group it has no interval.

    Returns:
        One for each group number from 0 on.

    Raises:
        ValueError: The arrays differ in length.
    """
    units = len(candidate)
    group = np.zeros(units, dtype=np.int64) if group is None else group
    if not units == len(reference) == len(cluster) == len(group):
        raise ValueError(f"the losses differ in length: {units}, {len(reference)} and {len(cluster)} units")
    groups = int(group.max(initial=-1)) + 1 if units else 1
    sums = _Sums.of(candidate, reference, cluster, group, groups)
    if not relative:
        # A difference of means is a ratio of totals, too: of the differences and the units.
        sums = _Sums(sums.above - sums.below, sums.sizes, sums.sizes)
    drawn, errors = _drawn(sums, resamples, np.random.default_rng(seed))
    tail = (1 - confidence) if one_sided else (1 - confidence) / 2
    less = 1.0 if relative else 0.0
    intervals: list[Interval | NoInterval] = []
    for n in range(groups):
        ends = _ends(sums.group(n), drawn[:, n], errors[:, n], method, tail, minimum)
        if isinstance(ends, tuple):
            estimate, low, high = (end - less for end in ends)
            clusters, its = int(np.count_nonzero(sums.sizes[:, n])), int(sums.sizes[:, n].sum())
            intervals.append(Interval(estimate, low, high, confidence, one_sided, "cluster", clusters, units=its))
        else:
            intervals.append(ends)
    return intervals


@dataclass(frozen=True)
class _Sums:
    """Sums by cluster and group, of what stands above and below the line of the ratio, and the units in them."""

    above: Floats
    below: Floats
    sizes: Floats

    @classmethod
    def of(cls, candidate: Floats, reference: Floats, cluster: Ints, group: Ints, groups: int) -> Self:
        known = group >= 0
        place = cluster[known] * groups + group[known]
        clusters = int(cluster.max(initial=-1)) + 1 if len(cluster) else 0

        def added(values: Floats | None) -> Floats:
            sums = np.bincount(place, None if values is None else values[known], clusters * groups)
            return np.asarray(sums, dtype=np.float64).reshape(clusters, groups)

        sums = cls(added(candidate), added(reference), added(None))
        nonempty = sums.sizes.sum(axis=1) > 0
        return cls(sums.above[nonempty], sums.below[nonempty], sums.sizes[nonempty])

    def group(self, n: int) -> _Sums:
        nonempty = self.sizes[:, n] > 0
        return _Sums(*(sums[nonempty, n : n + 1] for sums in (self.above, self.below, self.sizes)))


def _ends(
    sums: _Sums, drawn: Floats, errors: Floats, method: Method, tail: float, minimum: int
) -> tuple[float, float, float] | NoInterval:
    """The ratio of one group and the ends of its interval."""
    n, units, why = len(sums.sizes), int(sums.sizes.sum()), ""
    if n < minimum:
        return NoInterval(f"{units:,} units in {n} clusters, at least {minimum} clusters are needed", few=True)
    if not np.isfinite(sums.above + sums.below).all():
        why = "some units have a loss that is no number"
    elif not (float(sums.below.sum()) > 0 and float(sums.below.min()) >= 0):
        why = "the loss it is compared with is 0 or below"
    if why:
        return NoInterval(why, few=False)
    ratio, spread = _errors(sums, np.ones((1, n)))
    estimate, error = float(ratio[0, 0]), float(spread[0, 0])
    if not error > SPREAD_ROUNDING * (1 + abs(estimate)):
        return NoInterval("the losses differ by the same factor everywhere, which no two fitted models do", few=False)
    # Few clusters are now and then one cluster drawn over and over, which has no spread.
    sound = np.isfinite(drawn) & (errors > SPREAD_ROUNDING * error)
    if np.count_nonzero(sound) < _SOUND * len(drawn):
        return NoInterval("too many resamples have no loss to compare with, or no spread", few=True)
    drawn, errors = drawn[sound], errors[sound]
    if method == "studentised":
        far, near = np.quantile((drawn - estimate) / errors, (1 - tail, tail))
        low, high = estimate - far * error, estimate - near * error
    else:
        places = (tail, 1 - tail) if method == "percentile" else _accelerated(sums.above, sums.below, drawn, tail)
        low, high = np.quantile(drawn, places)
    return estimate, float(low), float(high)


def _drawn(sums: _Sums, resamples: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The ratio of each resample and its linearised standard error, shape (resamples, groups) each."""
    n, groups = sums.above.shape
    ratios, errors = np.full((2, resamples, groups), np.nan)
    step = max(1, _AT_ONCE // max(n, 1))
    for first in range(0, resamples if n else 0, step):
        last = min(first + step, resamples)
        places = rng.integers(0, n, (last - first, n)) + n * np.arange(last - first)[:, None]
        times = np.bincount(places.reshape(-1), minlength=n * (last - first)).reshape(places.shape).astype(np.float64)
        ratios[first:last], errors[first:last] = _errors(sums, times)
    return ratios, errors


def _errors(sums: _Sums, times: Floats) -> tuple[Floats, Floats]:
    """Ratio of totals and its Taylor standard error (Cochran, Sampling Techniques, 1977, 6.4), per row of times."""
    n, above, below = len(sums.above), sums.above, sums.below
    bottom = times @ below
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (times @ above) / bottom
        # sum of times * (above - ratio * below)**2, multiplied out, so that it stays a product of matrices.
        squares = times @ above**2 - 2 * ratio * (times @ (above * below)) + ratio**2 * (times @ below**2)
        return ratio, np.sqrt(n / max(n - 1, 1) * np.maximum(squares, 0.0)) / bottom


def _accelerated(above: Floats, below: Floats, drawn: Floats, tail: float) -> tuple[float, float]:
    """Where BCa reads the ends among the resamples."""
    from scipy.special import ndtr, ndtri

    estimate = float(above.sum() / below.sum())
    # Half of the ties count as below, as in scipy.
    under = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn <= estimate)) / (2 * len(drawn))
    bias = float(ndtri(min(max(under, 0.5 / len(drawn)), 1 - 0.5 / len(drawn))))
    without = (above.sum() - above) / (below.sum() - below)
    beyond = without.mean() - without
    spread = float(np.sum(beyond**2))
    lean = float(np.sum(beyond**3)) / (6 * spread**1.5) if spread > 0 else 0.0

    def place(z: float) -> float:
        return float(ndtr(bias + (bias + z) / (1 - lean * (bias + z))))

    z = float(ndtri(tail))
    return place(z), place(-z)
