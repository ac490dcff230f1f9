"""What the gates read: champion and candidate on the same units. Arrays only; no gate sees a model or a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.measurements import Answers, Audited, Footprint, Repeated, Shared, Timing
from pipeline.core.evidence.paired_days import PairedDays
from pipeline.core.kinds import Bools, Floats, Ints, Kind
from pipeline.core.stats import Clusters, dense_codes


def _floats(what: str, values: Any, units: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (units,):
        raise ValueError(f"{what} must hold one number for each of the {units:,} units, got the shape {array.shape}")
    return array


def _predictions(what: str, values: Any, units: int, like: Floats | None) -> Floats:
    """One number, or a row of as many as ``like`` has, for each unit."""
    array = np.asarray(values, dtype=np.float64)
    fits = array.shape == like.shape if like is not None else array.ndim in (1, 2) and len(array) == units
    if not fits:
        wanted = f"a row of {like.shape[1]} numbers" if like is not None and like.ndim == 2 else "one number"
        raise ValueError(f"{what} must hold {wanted} for each of the {units:,} units, got the shape {array.shape}")
    return array


def _words(what: str, values: Any, units: int) -> NDArray[np.str_]:
    array = np.asarray(values)
    if array.dtype.kind != "U":
        array = array.astype(np.str_)
    if array.shape != (units,):
        raise ValueError(f"{what} must hold one word for each of the {units:,} units, got the shape {array.shape}")
    return array


#: A slice column's value for units that are in none of its slices; every other value, the empty one too, is a slice.
NO_SLICE = "(in no slice)"


class Stage(IntEnum):
    """What must be made before a gate can judge. A candidate that a stage stops never pays for a later one.

    The audit is made whatever stands above it: it is of the day's design, and cheap for each further candidate.
    """

    #: The score ledger and the candidate's own predictions, which are there already.
    SCORES = 1
    #: A few of the day's units computed again as requests, one column at a time, and the golden cases.
    AUDIT = 2
    #: One more fit of the candidate's recipe, for the refitting noise; all rows of training; the same questions again.
    REFIT = 3
    #: Seconds of timing, champion and candidate in turn.
    TIMING = 4


@dataclass(frozen=True, eq=False)
class Paired:
    """The score ledger's last days, restricted to units that are labelled and were scored by both contestants.

    The candidate's predictions of a day come from the fit of its recipe that had not seen that day. A number that
    should be there and is not (NaN) is kept: the gates answer UNKNOWN to it. Arrays that do not line up are refused.

    Attributes:
        days: ``datetime64[D]`` per unit.
        blocks: Name of the block within its day, per unit.
        labels: The truth per unit.
        champion, candidate, baseline: Predictions per unit: one number each, or a row of them (:attr:`Kind.width`).
        slices: Slice column to its value per unit.
    """

    days: NDArray[np.datetime64]
    blocks: NDArray[np.str_]
    labels: Floats
    champion: Floats
    candidate: Floats
    baseline: Floats
    slices: Mapping[str, NDArray[np.str_]]

    def __post_init__(self) -> None:
        days = np.asarray(self.days, dtype="datetime64[D]")
        if days.ndim != 1 or np.isnat(days).any():
            raise ValueError("paired evidence needs one day per unit; some are missing")
        put = object.__setattr__
        put(self, "days", days)
        put(self, "blocks", _words("blocks", self.blocks, len(days)))
        put(self, "labels", _floats("paired labels", self.labels, len(days)))
        like = None
        for name in ("champion", "candidate", "baseline"):
            put(self, name, _predictions(f"paired {name}", getattr(self, name), len(days), like))
            like = self.champion
        slices = {name: _words(f"slice '{name}'", values, len(days)) for name, values in self.slices.items()}
        put(self, "slices", slices)

    def __len__(self) -> int:
        return len(self.days)

    @cached_property
    def clusters(self) -> Clusters:
        """Which units fail together; worked out once for all gates."""
        return Clusters.of(self.days, self.blocks)


@dataclass(frozen=True, eq=False)
class HoldoutDay:
    """The scored day with the very artifacts that would serve.

    Attributes:
        labels: The truth per unit; NaN where there is none.
        blocks: Name of the unit's block.
        champion, candidate: Predictions per unit, as in :class:`Paired`.
        slices: Slice column to its value per unit.
        resampled: Predictions of the candidate's recipe refitted with another seed on a resample: the refitting noise.
            None: not refitted.
    """

    labels: Floats
    blocks: NDArray[np.str_]
    champion: Floats
    candidate: Floats
    slices: Mapping[str, NDArray[np.str_]]
    resampled: Floats | None = None

    def __post_init__(self) -> None:
        units = len(self.labels)
        put = object.__setattr__
        put(self, "blocks", _words("blocks", self.blocks, units))
        put(self, "labels", _floats("holdout labels", self.labels, units))
        like = None
        for name in ("champion", "candidate", *(("resampled",) if self.resampled is not None else ())):
            put(self, name, _predictions(f"holdout {name}", getattr(self, name), units, like))
            like = self.champion
        slices = {name: _words(f"slice '{name}'", values, units) for name, values in self.slices.items()}
        put(self, "slices", slices)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def clusters(self) -> Ints:
        """Number of each unit's block."""
        return dense_codes(self.blocks)[0]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything the gates may know about one candidate. A part that is None makes the gates that need it UNKNOWN.

    Attributes:
        kind: What a prediction is and costs.
        champion, candidate: Names for people, such as ``"version 12"`` and ``"boosting_60"``.
        paired: The ledger's last days.
        plain: The candidate's fresh fits beside the baseline's over the whole window, whoever was champion: in it,
            ``champion`` is the baseline.
        holdout: The scored day with the fresh artifacts.
        timing: How long both take.
        head_to_head: The two sides of the decision, day by day. For a refresh the champion and the fresh fits of its
            recipe since it was promoted; for a switch fits of both recipes as old as those that serve, since the
            champion's recipe took over.
        ageing: For a refresh: older fits of the recipe and its fresh ones, by age; how the recipe ages.
        refresh: Whether the candidate is a fresh fit of the champion's own recipe.
        champion_is_recipe: Whether the champion's recipe is among the candidates'; False while a plain rule serves.
        candidates: How many candidates are judged side by side today; each gets its part of the error allowed.
        window: How many days of evidence were asked for.
        simpler: Recipe that is declared before the candidate's, and could ship today, to both recipes' fresh fits on
            the same days: in it, ``champion`` is the simpler one. Empty: there is none. None: nobody looked.
        footprint: What both take to make, keep and load.
        repeated: The same questions asked again.
        answers: What both say of the golden cases.
        audited: How the inputs come about.
        shared: What the scored day and training have in common.
    """

    kind: Kind
    champion: str
    candidate: str
    paired: Paired | None = None
    plain: Paired | None = None
    holdout: HoldoutDay | None = None
    timing: Timing | None = None
    head_to_head: PairedDays | None = None
    ageing: tuple[PairedDays, ...] = ()
    refresh: bool = True
    champion_is_recipe: bool = True
    candidates: int = 1
    window: int = 14
    simpler: Mapping[str, Paired] | None = None
    footprint: Footprint | None = None
    repeated: Repeated | None = None
    answers: Answers | None = None
    audited: Audited | None = None
    shared: Shared | None = None

    def __post_init__(self) -> None:
        for part in (self.paired, self.plain, self.holdout, *(self.simpler or {}).values()):
            shape = part.candidate.shape[1:] if part is not None and len(part) else None
            if shape is not None and shape != ((self.kind.width,) if self.kind.width else ()):
                wanted = f"a row of {self.kind.width} numbers" if self.kind.width else "one number"
                raise ValueError(f"a prediction of '{self.kind.target}' is {wanted}, got rows of the shape {shape}")
        if self.candidates < 1 or self.window < 1:
            raise ValueError(
                f"evidence is about at least one candidate and one day, got {self.candidates} and {self.window}"
            )

    def valid(self, predictions: Floats) -> Bools:
        """Whether each unit's prediction is one that this kind can have."""
        return self.kind.valid(predictions)

    def answered(
        self, *sides: Literal["champion", "candidate"], of: Literal["paired", "plain"] = "paired"
    ) -> Paired | str:
        """The paired (or plain) units, if these sides have a valid prediction for each of them; else why not."""
        paired: Paired | None = getattr(self, of)
        if paired is None or not len(paired):
            return "no unit of the last days was scored by both"
        for side in sides:
            bad = len(paired) - int(np.count_nonzero(self.valid(getattr(paired, side))))
            if bad:
                return f"{bad:,} of {len(paired):,} predictions of the {side} are not valid"
        return paired

    def loss(self, labels: Floats, predictions: Floats) -> Floats:
        """Loss per unit; NaN where label or prediction is not one that can be."""
        # A kind may clip what it is given; a prediction that cannot be has no loss, whatever the clipping makes of it.
        with np.errstate(invalid="ignore"):
            return np.where(self.valid(predictions), self.kind.loss(labels, predictions), np.nan)

    def _loss(self, side: str) -> Floats:
        return np.empty(0) if self.paired is None else self.loss(self.paired.labels, getattr(self.paired, side))

    @cached_property
    def candidate_loss(self) -> Floats:
        """Loss per paired unit; NaN where label or prediction is not a number that can be."""
        return self._loss("candidate")

    @cached_property
    def champion_loss(self) -> Floats:
        """Loss per paired unit; NaN as above."""
        return self._loss("champion")
