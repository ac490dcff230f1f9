"""A use case's history as it can be played again and again: what each day's fit of each recipe said of later days.

Fits and predictions are made once, by whoever makes a history; every policy is then a matter of adding up losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.paired_days import PairedDay
from pipeline.core.kinds import Floats, Ints, Kind
from pipeline.core.stats import Clusters, dense_codes


class FitKey(NamedTuple):
    """A recipe fitted as of a day: it has learnt from the days before ``day``, which is its holdout day.

    Attributes:
        recipe: The recipe's name.
        day: Number of the day.
    """

    recipe: str
    day: int


@dataclass(frozen=True, eq=False)
class Stretch:
    """The units of a run of days, in order of the day.

    Attributes:
        days: Every calendar day of the stretch, ``datetime64[D]``; its place is its number.
        day: Number of each unit's day.
        labels: The truth per unit; NaN where there is none.
        blocks: Name of the unit's block within its day.
        slices: Slice column to its value per unit.
    """

    days: NDArray[np.datetime64]
    day: Ints
    labels: Floats
    blocks: NDArray[np.str_]
    slices: Mapping[str, NDArray[np.str_]]

    def __post_init__(self) -> None:
        if not (np.diff(self.day) >= 0).all():
            raise ValueError("the units of a history come in order of the day")


#: Predictions of a fit for the units of the days from ``first`` to before ``end``; None: it could not be fitted.
Predict = Callable[[FitKey, int, int], Floats | None]


class History:
    """The units of a stretch, and the losses of fits on them by block.

    Args:
        kind: Gives the losses.
        stretch: The units.
        recipes: Names of the recipes.
        predict: Asked for what is not there yet.
        horizon: For how many days on a fit's predictions are asked for at a time.
    """

    def __init__(
        self, kind: Kind, stretch: Stretch, recipes: Sequence[str], predict: Predict, horizon: int = 28
    ) -> None:
        self.kind, self.stretch, self.recipes, self.horizon = kind, stretch, tuple(recipes), horizon
        self._predict = predict
        count = len(stretch.days)
        self.start = np.searchsorted(stretch.day, np.arange(count + 1))
        known = np.flatnonzero(np.isfinite(stretch.labels))
        self._known_start = np.searchsorted(stretch.day[known], np.arange(count + 1))
        self._known = known
        names, kinds = dense_codes(stretch.blocks)
        pair, blocks = dense_codes(stretch.day[known] * max(kinds, 1) + names[known])
        # Pairs are numbered in order of the day, so the blocks of a day stand together.
        self._block = pair
        self._sizes = np.bincount(pair, minlength=blocks)
        day_of = np.zeros(blocks, np.int64)
        day_of[pair] = stretch.day[known]
        self._block_start = np.searchsorted(day_of, np.arange(count + 1))
        self._losses: dict[FitKey, list[tuple[int, int, Floats | None]]] = {}
        self._predicted: dict[FitKey, list[tuple[int, int, Floats | None]]] = {}
        self._pairs: dict[tuple[FitKey, FitKey, int], PairedDay | None] = {}

    def __len__(self) -> int:
        return len(self.stretch.days)

    def units(self, day: int) -> int:
        """How many units of the day have a label."""
        return int(self._known_start[day + 1] - self._known_start[day])

    def sizes(self, day: int) -> Ints:
        """Labelled units per block of the day."""
        return self._sizes[self._block_start[day] : self._block_start[day + 1]]

    def clusters(self, days: Sequence[int]) -> Clusters:
        """Days and blocks of the labelled units of some days, as :meth:`Clusters.of` numbers them; each has one."""
        first = self._block_start[np.asarray(days)]
        sizes = self._block_start[np.asarray(days) + 1] - first
        begin = np.concatenate([[0], np.cumsum(sizes)])
        parts = [self._block[self._known_start[day] : self._known_start[day + 1]] for day in days]
        block = np.concatenate([part + shift for part, shift in zip(parts, begin[:-1] - first, strict=True)])
        day = np.repeat(np.arange(len(days)), [len(part) for part in parts])
        return Clusters(day, block, len(days), int(begin[-1]))

    def put(self, fit: FitKey, first: int, end: int, predictions: Floats | None) -> None:
        """Take in what a fit said of the days from ``first`` to before ``end``; None: there is no such fit."""
        self._predicted.setdefault(fit, []).append((first, end, predictions))
        if predictions is None:
            self._losses.setdefault(fit, []).append((first, end, None))
            return
        known = slice(int(self._known_start[first]), int(self._known_start[end]))
        at = self._known[known]
        predicted = predictions[at - self.start[first]]
        with np.errstate(invalid="ignore"):
            losses = np.where(self.kind.valid(predicted), self.kind.loss(self.stretch.labels[at], predicted), np.nan)
        base, last = int(self._block_start[first]), int(self._block_start[end])
        sums = np.bincount(self._block[known] - base, losses, minlength=last - base).astype(np.float64)
        self._losses.setdefault(fit, []).append((first, end, sums))

    def _ask(self, fit: FitKey, day: int) -> None:
        # A fit that is asked for once more is made once more: each time for three times as many days.
        first, end, step = fit.day, fit.day + self.horizon, self.horizon
        while day >= end:
            step *= 3
            first, end = end, end + step
        end = min(end, len(self))
        self.put(fit, first, end, self._predict(fit, first, end))

    def predicted(self, fit: FitKey, day: int) -> Floats | None:
        """The fit's predictions for all units of the day; None where it could not be fitted.

        Raises:
            ValueError: The fit has learnt from that day.
        """
        if day < fit.day:
            raise ValueError(f"{fit.recipe} of day {fit.day} has learnt from day {day}")
        while True:
            for first, end, predictions in self._predicted.get(fit, ()):
                if first <= day < end:
                    if predictions is None:
                        return None
                    base = self.start[first]
                    return predictions[self.start[day] - base : self.start[day + 1] - base]
            self._ask(fit, day)

    def losses(self, fit: FitKey, day: int) -> Floats | None:
        """Sums of the fit's losses over the blocks of a day, one per block of :meth:`sizes`; None: no such fit.

        Raises:
            ValueError: The fit has learnt from that day.
        """
        if day < fit.day:
            raise ValueError(f"{fit.recipe} of day {fit.day} has learnt from day {day}")
        while True:
            for first, end, sums in self._losses.get(fit, ()):
                if first <= day < end:
                    if sums is None:
                        return None
                    base = self._block_start[first]
                    return sums[self._block_start[day] - base : self._block_start[day + 1] - base]
            self._ask(fit, day)

    def knows(self, fit: FitKey, day: int) -> bool:
        """Whether the fit's losses on a day are there, without making it anew."""
        return any(first <= day < end for first, end, _ in self._losses.get(fit, ()))

    def loss(self, fit: FitKey, day: int) -> float:
        """The fit's mean loss on a day, per labelled unit; NaN where it has none.

        Raises:
            ValueError: The fit has learnt from that day.
        """
        sums = self.losses(fit, day)
        units = self.units(day)
        return float(sums.sum()) / units if sums is not None and units else float("nan")

    def pair(self, reference: FitKey, candidate: FitKey, day: int) -> PairedDay | None:
        """Both on one day; None where the day has no label or either could not be fitted.

        Raises:
            ValueError: One of them has learnt from that day.
        """
        key = (reference, candidate, day)
        if key not in self._pairs:
            above, below = self.losses(reference, day), self.losses(candidate, day)
            paired_day = None
            if above is not None and below is not None:
                paired_day = PairedDay.of(self.stretch.days[day], above, below, self.sizes(day))
            self._pairs[key] = paired_day
        return self._pairs[key]
