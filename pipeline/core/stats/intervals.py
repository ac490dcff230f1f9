"""What an interval is, which units fail together, and how many standard errors an end lies away.

scipy is imported inside the function that needs it: a DAG file imports the gates, and must not pay for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.kinds import Bools, Ints

#: The fewest days (or blocks within one day) from which a variance is estimated at all.
MINIMUM = 5
#: Below this the spread of a relative difference is rounding, not evidence.
SPREAD_ROUNDING = 1e-12


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
        day, n_days = dense_codes(days)
        name, n_names = dense_codes(blocks)
        pair, n_pairs = dense_codes(day * max(n_names, 1) + name)
        return cls(day, pair, n_days, n_pairs)

    def where(self, chosen: Ints | Bools) -> Clusters:
        """The clusters of some of the units."""
        return Clusters(self.day[chosen], self.block[chosen], self.days, self.blocks)


def dense_codes(values: NDArray[Any]) -> tuple[Ints, int]:
    """Each value's place among the distinct ones in sorted order, and how many distinct ones there are."""
    distinct, places = np.unique(values, return_inverse=True)
    return places.astype(np.int64, copy=False).reshape(len(values)), len(distinct)


def t_quantile(confidence: float, one_sided: bool, df: float) -> float:
    """How many standard errors an end lies from the estimate, by Student's t with ``df`` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, confidence if one_sided else (1 + confidence) / 2))
