"""How two contestants have fared against each other, day by day: what a decision taken every day is taken on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats.intervals import MINIMUM
from pipeline.core.stats.sequential import Steps, e_detector

#: How old the fits are, in days, beside whose fresh successors a recipe is watched: how fast it ages.
AGES = (1, 7, 21)
#: How many days of its own time as champion, or of two recipes side by side, count.
HEAD_TO_HEAD_DAYS = 90
#: For how many days back the ageing of a recipe is remembered.
AGEING_DAYS = 365


@dataclass(frozen=True, slots=True)
class PairedDay:
    """Two contestants on one day's labelled units.

    Attributes:
        day: The day, ``datetime64[D]``.
        units: Labelled units of the day, all of them scored by both.
        reference: Mean loss, over the units, of whom the candidate is compared with: the champion, or an older fit.
        candidate: Mean loss of the candidate. Both in the unit of the kind's loss.
        error: Standard error of the difference of the two means, by blocks; infinite with fewer than
            :data:`~pipeline.core.stats.intervals.MINIMUM` blocks.
    """

    day: Any
    units: int
    reference: float
    candidate: float
    error: float

    @classmethod
    def of(cls, day: Any, reference: Floats, candidate: Floats, sizes: Ints) -> Self | None:
        """From the losses of both, added up by block; None where no unit has a label.

        The standard error is the delete-a-block jackknife of the mean difference, as in
        :func:`~pipeline.core.stats.mean_interval`.

        Args:
            day: The day, ``datetime64[D]``.
            reference: Sum of losses per block.
            candidate: Sum of losses per block.
            sizes: Labelled units per block, above 0.
        """
        units, blocks = int(sizes.sum()), len(sizes)
        if not units:
            return None
        reference_mean, candidate_mean = float(reference.sum()) / units, float(candidate.sum()) / units
        error = math.inf
        if blocks >= MINIMUM:
            influence = (reference - candidate - (reference_mean - candidate_mean) * sizes) / (units - sizes)
            error = math.sqrt((blocks - 1) / blocks * float(np.dot(influence, influence)))
        return cls(day, units, reference_mean, candidate_mean, error)


@dataclass(frozen=True, eq=False)
class PairedDays:
    """Two contestants on the same labelled units, one entry per day, oldest first.

    A day on which something has no loss that is a number is kept as NaN: who reads it answers UNKNOWN.

    Attributes:
        days: ``datetime64[D]``, ascending.
        units: Labelled units that both were scored on.
        reference: Mean loss of whom it is compared with: the champion, or an older fit.
        candidate: Mean loss of the candidate.
        error: Standard error of the difference of the two means, by blocks; infinite on a day with too few blocks.
    """

    days: NDArray[np.datetime64]
    units: Ints
    reference: Floats
    candidate: Floats
    error: Floats

    @classmethod
    def of(cls, days: Iterable[PairedDay | None]) -> Self:
        """From its days, oldest first; those that nobody could be scored on are left out."""
        known = [day for day in days if day is not None]
        return cls(
            days=np.array([day.day for day in known], dtype="datetime64[D]"),
            units=np.array([day.units for day in known], dtype=np.int64),
            reference=np.array([day.reference for day in known], dtype=np.float64),
            candidate=np.array([day.candidate for day in known], dtype=np.float64),
            error=np.array([day.error for day in known], dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.days)

    @cached_property
    def gain(self) -> Floats:
        """By how much the candidate's mean loss is lower, per day."""
        return self.reference - self.candidate

    @cached_property
    def has_block_errors(self) -> bool:
        """Whether most days have blocks enough to know their own standard error; the others then tell nothing."""
        return 2 * int(np.count_nonzero(np.isfinite(self.error))) > len(self)

    @cached_property
    def steps(self) -> Steps:
        """What tells how far days differ: in standard errors, or, without blocks enough, as they are."""
        if not self.has_block_errors:
            return Steps.of(self.gain[np.isfinite(self.gain)])
        known = np.isfinite(self.error + self.gain) & (self.error > 0)
        return Steps.of(self.gain[known] / self.error[known])

    @cached_property
    def log_e_statistic(self) -> float:
        """Logarithm of the e-detector's statistic by its own noise; minus infinity where that is not known."""
        noise = Noise.of([self])
        return -math.inf if noise is None else e_detector(noise.scores(self))


@dataclass(frozen=True, slots=True)
class Noise:
    """How far one day's difference strays.

    Attributes:
        factor: By how much the variance from day to day exceeds what blocks let expect, at least 1.
        steps: How many steps from one day to the next it was learnt from.
        spread: Where days have too few blocks: the standard error of a day's difference; else None.
    """

    factor: float
    steps: int
    spread: float | None = None

    @classmethod
    def of(cls, series: Iterable[PairedDays], spells: bool = True) -> Self | None:
        """Learnt from several runs of paired days, the first of which it is for; None: not known yet.

        Args:
            series: Whose blocks are known, or not known, as the first one's.
            spells: Whether a bad day may bring the next, as :class:`Steps` tells.
        """
        first, *rest = series
        alike = [
            first,
            *(paired_days for paired_days in rest if paired_days.has_block_errors == first.has_block_errors),
        ]
        variance_and_steps = Steps.joint([paired_days.steps for paired_days in alike if len(paired_days)], spells)
        if variance_and_steps is None:
            return None
        variance, steps = variance_and_steps
        if first.has_block_errors:
            return cls(max(1.0, variance), steps)
        return cls(1.0, steps, math.sqrt(variance)) if variance > 0 else None

    def errors(self, paired_days: PairedDays) -> Floats:
        """Standard error of each day's difference."""
        if self.spread is not None:
            return np.full(len(paired_days), self.spread)
        return np.asarray(paired_days.error * math.sqrt(self.factor), dtype=np.float64)

    def scores(self, paired_days: PairedDays, by: float = 0.0, worse: bool = False) -> Floats:
        """Daily gains in standard errors, beyond the share ``by`` of the reference's loss; or the losses likewise."""
        beyond = (-paired_days.gain if worse else paired_days.gain) - by * paired_days.reference
        errors = self.errors(paired_days)
        # Models that agree on every unit differ by nothing, however sure that is; a day of unknown error tells nothing.
        known = np.isfinite(errors) & np.isfinite(beyond) & (errors > 0)
        return np.asarray(np.divide(beyond, errors, out=np.zeros(len(paired_days)), where=known), dtype=np.float64)
