"""Means over the units of one day, over blocks: of shares, and of losses."""

from __future__ import annotations

import math

import numpy as np

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM, Interval, NoInterval, t_quantile


def mean_interval(
    values: Floats,
    blocks: Ints,
    *,
    confidence: float = 0.95,
    one_sided: bool = True,
    minimum: int = MINIMUM,
    marks: bool = True,
) -> Interval | NoInterval:
    """The mean of one value per unit, units of a block failing together.

    For shares seen on one day (changed decisions minus the changes that refitting alone makes), and for losses. The
    standard error is the delete-a-block jackknife, as in :func:`relative_difference` and for its reason: the plain
    cluster-robust one is too sure with few and unequal blocks (MacKinnon, Nielsen & Webb, J. Econometrics 232, 2023).
    Student's t has as many degrees of freedom as effective blocks, less one. Where nothing changed at all that error
    is 0, which proves little about a few units; so for marks two units of doubt are added, half a unit for and half a
    unit against among them (Agresti & Min, Statistics in Medicine 24, 2005), to the error and not to the estimate.

    Args:
        values: One number per unit.
        blocks: Number of the block of each unit.
        confidence: As in :class:`Interval`.
        one_sided: As in :class:`Interval`.
        minimum: With fewer blocks than this there is no interval.
        marks: Whether the values are marks, or differences of two, from -1 to 1; else they have a unit of their own.
    """
    units = len(values)
    sizes = np.bincount(blocks) if units else np.zeros(1)
    sizes = sizes[sizes > 0].astype(np.float64)
    n = len(sizes)
    if n < minimum:
        return NoInterval(f"{units:,} units in {n} blocks, at least {minimum} blocks are needed", few=True)
    if not np.isfinite(values).all():
        return NoInterval("some units have no number", few=False)
    mean = float(values.sum()) / units
    # A block's absence moves the mean by what it has beyond its share, over what is left.
    beyond = np.bincount(blocks, values - mean)[np.bincount(blocks) > 0]
    variance = (n - 1) / n * float(np.sum((beyond / (units - sizes)) ** 2))
    if marks:
        doubt = (1 - mean) ** 2 / 2 + (1 + mean) ** 2 / 2 + mean**2
        variance += n / (n - 1) * doubt / (units + 2) ** 2
    effective = units**2 / float(np.sum(sizes**2))
    half = math.sqrt(variance) * t_quantile(confidence, one_sided, max(effective - 1, 1.0))
    return Interval(mean, mean - half, mean + half, confidence, one_sided, "block", n, blocks=n, units=units)
