"""Shares seen on one day, over blocks."""

from __future__ import annotations

import math

import numpy as np

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM, Interval, NoInterval, t_quantile


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
