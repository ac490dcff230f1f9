"""What the gates read of a history: the same evidence that the daily run reads of its score ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.candidate import HoldoutDay, Paired
from pipeline.core.evidence.paired_days import AGEING_DAYS, AGES, HEAD_TO_HEAD_DAYS, PairedDay, PairedDays
from pipeline.core.kinds import Floats
from pipeline.core.replay.history import FitKey, History


class HistoryScores:
    """Evidence about a candidate on a day of a history, made once for whoever asks again.

    Days are numbers here: places in ``history.stretch.days``. ``since`` is the number of the holdout day that promoted
    the champion, or on which its recipe took over: later days count. ``holdout`` is the number of the day that is
    judged, the last one that counts.

    Args:
        history: The history.
        first: Number of the first day that anybody was scored on.
        baseline: The baseline's recipe.
        window: How many days of paired evidence the gates read.
    """

    def __init__(self, history: History, first: int, baseline: str, window: int) -> None:
        self.history, self.first, self.baseline, self.window = history, first, baseline, window
        self._runs: dict[tuple[FitKey, str] | tuple[str, str] | tuple[str, int], _Run] = {}
        self._series: dict[tuple[str, int], tuple[PairedDays, ...]] = {}
        self._paired: dict[tuple[FitKey, str, int, int], Paired | None] = {}
        self._fresh: dict[tuple[str, str, int], Paired | None] = {}

    def head_to_head(self, champion: FitKey, recipe: str, since: int, holdout: int) -> PairedDays:
        """The champion and the recipe's fresh fits, on the days after ``since`` through ``holdout``."""
        run = self._run((champion, recipe))
        return run.paired_days(
            max(since, holdout - HEAD_TO_HEAD_DAYS) + 1,
            holdout,
            lambda day: self._pair(champion, FitKey(recipe, day), day),
        )

    def recipes_head_to_head(self, serving: str, challenger: str, since: int, holdout: int) -> PairedDays:
        """Two recipes, each by the mean of its older fits of all ages, on the days after ``since`` through ``holdout``.

        Args:
            serving: Name of the serving recipe.
            challenger: Name of the one that would take over.
            since: Number of the holdout day on which the serving recipe took over.
            holdout: Number of the holdout day.
        """
        run = self._run((serving, challenger))
        return run.paired_days(
            max(since, holdout - HEAD_TO_HEAD_DAYS) + 1, holdout, lambda day: self._served(serving, challenger, day)
        )

    def ageing(self, recipe: str, holdout: int) -> tuple[PairedDays, ...]:
        """Older fits of a recipe and its fresh ones, one run of days for each of ``AGES``, through ``holdout``."""
        key = (recipe, holdout)
        if key not in self._series:
            self._series[key] = tuple(self._aged(recipe, age, holdout) for age in AGES)
        return self._series[key]

    def _aged(self, recipe: str, age: int, holdout: int) -> PairedDays:
        run = self._run((recipe, age))
        begin = max(holdout - AGEING_DAYS, 0) + 1
        return run.paired_days(
            begin, holdout, lambda day: self._pair(FitKey(recipe, day - age), FitKey(recipe, day), day)
        )

    def _run(self, key: tuple[FitKey, str] | tuple[str, str] | tuple[str, int]) -> _Run:
        if key not in self._runs:
            self._runs[key] = _Run(self.history.stretch.days)
        return self._runs[key]

    def paired(self, champion: FitKey, recipe: str, since: int, holdout: int) -> Paired | None:
        """The labelled units of the last days that champion, fresh fits and fresh baseline all scored."""
        key = (champion, recipe, max(since, holdout - self.window), holdout)
        if key not in self._paired:
            days = range(key[2] + 1, holdout + 1)
            predicted = self.history.predicted
            sides = [
                [predicted(champion, day) for day in days],
                [predicted(FitKey(recipe, day), day) for day in days],
                [predicted(FitKey(self.baseline, day), day) for day in days],
            ]
            self._paired[key] = self._cut(days, sides)
        return self._paired[key]

    def fresh(self, recipe: str, other: str, holdout: int) -> Paired | None:
        """The fresh fits of two recipes over the whole window, ``other`` in the champion's place."""
        key = (recipe, other, holdout)
        if key not in self._fresh:
            days = range(max(holdout - self.window, self.first - 1) + 1, holdout + 1)
            other_predictions = [self.history.predicted(FitKey(other, day), day) for day in days]
            recipe_predictions = [self.history.predicted(FitKey(recipe, day), day) for day in days]
            self._fresh[key] = self._cut(days, [other_predictions, recipe_predictions, other_predictions], slices=False)
        return self._fresh[key]

    def holdout(self, champion: FitKey, recipe: str, holdout: int) -> HoldoutDay | None:
        """The scored day itself; None where the champion or the recipe has no fit for it."""
        stretch = self.history.stretch
        at = slice(int(self.history.start[holdout]), int(self.history.start[holdout + 1]))
        sides = self.history.predicted(champion, holdout), self.history.predicted(FitKey(recipe, holdout), holdout)
        if sides[0] is None or sides[1] is None:
            return None
        slices = {name: values[at] for name, values in stretch.slices.items()}
        return HoldoutDay(stretch.labels[at], stretch.blocks[at], sides[0], sides[1], slices)

    def _cut(self, days: range, sides: Sequence[Sequence[Floats | None]], slices: bool = True) -> Paired | None:
        scored = [
            n for n, day in enumerate(days) if self.history.units(day) and all(side[n] is not None for side in sides)
        ]
        if not scored:
            return None
        stretch = self.history.stretch
        rows = np.concatenate([np.arange(self.history.start[days[n]], self.history.start[days[n] + 1]) for n in scored])
        known = np.isfinite(stretch.labels[rows])
        predicted = [np.concatenate([part for n in scored if (part := side[n]) is not None])[known] for side in sides]
        at = rows[known]
        paired = Paired(
            days=stretch.days[stretch.day[at]],
            blocks=stretch.blocks[at],
            labels=stretch.labels[at],
            champion=predicted[0],
            candidate=predicted[1],
            baseline=predicted[2],
            slices={name: values[at] for name, values in stretch.slices.items()} if slices else {},
        )
        # The same numbers as from the names, which would have to be sorted.
        vars(paired)["clusters"] = self.history.clusters([days[n] for n in scored])
        return paired

    def _pair(self, reference: FitKey, candidate: FitKey, day: int) -> PairedDay | None:
        known = min(reference.day, candidate.day) >= self.first
        return self.history.pair(reference, candidate, day) if known else None

    def _served(self, serving: str, challenger: str, day: int) -> PairedDay | None:
        ages = [age for age in AGES if day - age >= self.first]
        sides = [
            [self.history.losses(FitKey(recipe, day - age), day) for recipe in (serving, challenger)] for age in ages
        ]
        # An age at which either could not be fitted yet is no age of the comparison.
        both = [side for side in sides if all(loss is not None for loss in side)]
        if not both:
            return None
        serving_losses, challenger_losses = np.mean(np.asarray(both), axis=0)
        return PairedDay.of(self.history.stretch.days[day], serving_losses, challenger_losses, self.history.sizes(day))


@dataclass(frozen=True, slots=True)
class DayScores:
    """:class:`~pipeline.core.evidence.assembly.Scores` of one day of a history.

    Attributes:
        scores: Those of the whole history.
        champion: The champion.
        since: Number of the holdout day that promoted it.
        recipe_since: Number of the holdout day on which its recipe took over.
        day: Number of the holdout day.
    """

    scores: HistoryScores
    champion: FitKey
    since: int
    recipe_since: int
    day: int

    def paired(self, recipe: str) -> Paired | None:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.scores.paired(self.champion, recipe, self.since, self.day)

    def fresh(self, recipe: str, other: str) -> Paired | None:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.scores.fresh(recipe, other, self.day)

    def holdout(self, recipe: str) -> HoldoutDay | None:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.scores.holdout(self.champion, recipe, self.day)

    def head_to_head(self, recipe: str) -> PairedDays:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.scores.head_to_head(self.champion, recipe, self.since, self.day)

    def recipes_head_to_head(self, recipe: str) -> PairedDays:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.scores.recipes_head_to_head(self.champion.recipe, recipe, self.recipe_since, self.day)

    def ageing(self, recipe: str) -> tuple[PairedDays, ...]:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.scores.ageing(recipe, self.day)


class _Run:
    """The days of one comparison, each worked out when it is first asked for, from which any stretch can be cut."""

    def __init__(self, days: NDArray[np.datetime64]) -> None:
        self.days = days
        self.worked_out = np.zeros(len(days), dtype=np.bool_)
        self.known = np.zeros(len(days), dtype=np.bool_)
        self.units = np.zeros(len(days), dtype=np.int64)
        self.reference, self.candidate, self.error = (np.full(len(days), np.nan) for _ in range(3))

    def paired_days(self, begin: int, last: int, make: Callable[[int], PairedDay | None]) -> PairedDays:
        """The days from ``begin`` through ``last``; those that nobody could be scored on are left out."""
        for day in (begin + np.flatnonzero(~self.worked_out[begin : last + 1])).tolist():
            self.worked_out[day] = True
            paired_day = make(day)
            if paired_day is not None:
                self.known[day], self.units[day] = True, paired_day.units
                self.reference[day], self.candidate[day], self.error[day] = (
                    paired_day.reference,
                    paired_day.candidate,
                    paired_day.error,
                )
        at: Any = slice(begin, last + 1)
        if not self.known[at].all():
            at = begin + np.flatnonzero(self.known[at])
        return PairedDays(self.days[at], self.units[at], self.reference[at], self.candidate[at], self.error[at])
