"""What the gates read beside scores, made when a gate of the use case asks for it: timings, answers, audits.

What is the same for all candidates of a day (the champion's side, the audit of the design) is made once.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.evidence.measurements import Answers, Audited, Footprint, Repeated, Shared
from pipeline.core.golden import Case
from pipeline.core.kinds import Floats, Kind
from pipeline.core.ports import Units
from pipeline.core.records import Candidate, Entry
from pipeline.core.stats import explained_by_one_column
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.steps.judging.single_requests import audit_single_requests
from pipeline.steps.judging.timing import timed
from pipeline.steps.models import champion_model
from pipeline.steps.models.frames import frame_of
from pipeline.steps.models.predictions import predictions
from pipeline.steps.models.run_training import RunTraining, candidate_by_identity

log = logging.getLogger(__name__)

#: How many days before the scored day a column alone is learnt on.
LEARNT = 7
#: How often each model is loaded.
LOADS = 6


def days_read(usecase: Usecase, scored: date) -> Days:
    """The days whose units are needed: the scored one, and those before it where a gate asks for the audit."""
    audited = any(getattr(gate, "reads", "") == "audited" for gate in usecase.gates)
    return Days(scored - timedelta(LEARNT if audited else 0), scored)


class Measurer:
    """One day's measuring: the champion, and each candidate in turn."""

    def __init__(
        self, training: RunTraining, recent: Units, head: Entry, model: Any, day: date, candidates: Iterable[Candidate]
    ) -> None:
        """What is measured with.

        Args:
            training: The day's candidates, and what they learnt from.
            recent: The units of the days that :func:`days_read` names.
            head: Who is champion.
            model: The champion; None where it can't answer any more.
            day: The data day.
            candidates: Those that are judged.
        """
        self.training, self.recent, self.head, self.champion, self.data_day = training, recent, head, model, day
        self.usecase, self.world, self.scored = training.usecase, training.world, training.scored
        self.units = recent.where(recent.days == np.datetime64(self.scored))
        self.candidates = tuple(candidates)

    def parts(self, stage: Stage, evidence: Evidence, candidate: Candidate, fresh: Any) -> dict[str, Any]:
        """What the gates of this stage read, made for one candidate; nothing else is made.

        Args:
            stage: The stage.
            evidence: The candidate's so far.
            candidate: Which one it is.
            fresh: Its fitted estimator, as loaded from its file.

        Returns:
            Field of the evidence to its value; None where it could not be measured.
        """
        parts: dict[str, Callable[[], Any]] = {
            "answers": lambda: self.answers(candidate.recipe, fresh),
            "audited": lambda: replace(self.audited, takes=columns_of_model(fresh)),
            "repeated": lambda: self.repeated(candidate, evidence, fresh),
            "shared": lambda: self.shared(candidate),
            "timing": lambda: timed(self.usecase.kind, self.champion, fresh, self.units.inputs),
            "footprint": lambda: self.footprint(candidate),
        }
        read = {getattr(gate, "reads", "") for gate in self.usecase.gates if gate.stage is stage}
        return {name: make() for name, make in parts.items() if name in read}

    def answers(self, who: str, fresh: Any) -> Answers:
        """What both say of the golden cases."""
        cases = self.usecase.golden
        return Answers(self.data_day, cases, self._golden_answers(who, fresh), self._champion_answers)

    @cached_property
    def _champion_answers(self) -> tuple[tuple[float, ...], ...]:
        if self.champion is None:
            return tuple((math.nan,) * case.predictions for case in self.usecase.golden)
        return self._golden_answers(f"version {self.head.version}", self.champion)

    def _golden_answers(self, who: str, model: Any) -> tuple[tuple[float, ...], ...]:
        together = self._answers_at_once(who, model, self.usecase.golden)
        if not any(math.isnan(one) for answer in together for one in answer):
            return together
        # Each by itself, so that one that the model fails at does not silence the others.
        return tuple(self._answers_at_once(f"{who}, '{case.name}'", model, (case,))[0] for case in self.usecase.golden)

    def _answers_at_once(self, who: str, model: Any, cases: tuple[Case, ...]) -> tuple[tuple[float, ...], ...]:
        """Answers to cases put to the model at once; NaN where their values are none that the columns can hold."""
        kind, rows = self.usecase.kind, [row for case in cases for row in case.rows]
        try:
            frame = frame_of(rows, self.units.inputs)
        except (TypeError, ValueError) as error:
            log.warning("%s can't be asked golden cases: %s", who, error)
            return tuple((math.nan,) * case.predictions for case in cases)
        predicted = predictions(kind, model, frame, f"{who}, golden cases") if rows else np.empty(0)
        answers, first = [], 0
        for case in cases:
            predicted_here = predicted[first : first + case.predictions]
            answers.append(tuple(float(one) for one in golden_prediction(kind, predicted_here, case)))
            first += case.predictions
        return tuple(answers)

    @cached_property
    def audited(self) -> Audited:
        """The audit of the design on the scored day."""
        usecase, day, recent = self.usecase, self.scored, self.recent
        tables = self.world.engine.tables(usecase, self.training.versions, Days(day, day), self.training.without)
        requests = audit_single_requests(usecase, tables, self.units, day)
        here, known = recent.days == np.datetime64(day), np.isfinite(recent.labels)
        learnt, judged = recent.where(known & ~here), recent.where(known & here)
        feed = usecase.feeds[0]
        return Audited(
            **requests._asdict(),
            alone=_alone(usecase, learnt, judged),
            judged=len(judged),
            learnt=len(learnt),
            inputs=usecase.inputs,
            outcomes=tuple(column.name for column in feed.columns if column.outcome),
        )

    def repeated(self, candidate: Candidate, evidence: Evidence, fresh: Any) -> Repeated | None:
        """The candidate asked again, and loaded anew."""
        if evidence.holdout is None:
            return None
        kind, inputs, first = self.usecase.kind, self.units.inputs, evidence.holdout.candidate
        anew = self.world.models.load(candidate.file, candidate.sha256)
        again, afresh = (predictions(kind, model, inputs, candidate.recipe) for model in (fresh, anew))
        return Repeated(len(first), _others(first, again), _others(first, afresh))

    def shared(self, candidate: Candidate) -> Shared:
        """What the scored day has in common with the days that the candidate learnt from."""
        learnt = self.training.units()
        first, last = (np.datetime64(day) for day in (candidate.trained_first, candidate.trained_through))
        return shared_with_training(self.units, learnt.where((learnt.days >= first) & (learnt.days <= last)))

    def footprint(self, candidate: Candidate) -> Footprint | None:
        """What both take to make, keep and load; None where the champion's file is gone again."""
        if self.head.model not in self._files:
            return None
        candidate_file, champion_file = self._files[candidate.model], self._files[self.head.model]
        seconds = np.empty((LOADS, 2))
        for turn in range(LOADS):
            sides = [(0, champion_file), (1, candidate_file)]
            for column, file in sides if turn % 2 == 0 else reversed(sides):
                began = time.process_time()
                self.world.models.open(file, "a timed model")
                seconds[turn, column] = time.process_time() - began
        return Footprint(
            load=seconds,
            size=(float(len(champion_file)), float(len(candidate_file))),
            memory=(self._memory[self.head.model], self._memory[candidate.model]),
            training=(self._trained, candidate.seconds),
        )

    @cached_property
    def _files(self) -> dict[str, bytes]:
        """Model to its file's bytes, each found to have its digest."""
        files = self.world.files
        files_by_model = {candidate.model: files.get(candidate.file, candidate.sha256) for candidate in self.candidates}
        champion_file = champion_model.data(self.usecase, self.head, self.world)
        return files_by_model if champion_file is None else {**files_by_model, self.head.model: champion_file}

    @cached_property
    def _memory(self) -> dict[str, float]:
        """Model to the peak memory of a process that loads it and answers the scored day; all of them at one go."""
        files = self._files
        return dict(zip(files, self.world.models.peak_memory(list(files.values()), self.units.inputs), strict=True))

    @property
    def _trained(self) -> float:
        """Seconds of the champion's fit; NaN where its note is gone."""
        fit = candidate_by_identity(self.usecase.name, self.head.model, self.world)
        return math.nan if fit is None else fit.seconds


def golden_prediction(kind: Kind, predicted: NDArray[np.float64], case: Case) -> Floats:
    """The one number per row that a golden case means: of a prediction of several, its class's."""
    if predicted.ndim == 1:
        return predicted if not case.label else np.full(len(predicted), np.nan)
    classes = [str(name) for name in getattr(kind, "classes", ())]
    return predicted[:, classes.index(case.label)] if case.label in classes else np.full(len(predicted), np.nan)


def columns_of_model(model: Any) -> tuple[str, ...] | None:
    """The columns that a fitted estimator takes, by its own word; None where it does not say."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def _alone(usecase: Usecase, learnt: Units, judged: Units) -> dict[str, float]:
    kind = usecase.kind
    return {
        name: explained_by_one_column(
            (_column(learnt, name), learnt.labels), (_column(judged, name), judged.labels), kind.loss, kind.constant
        )
        for name in usecase.inputs
    }


def _column(units: Units, name: str) -> NDArray[Any]:
    values = units.inputs[name]
    return np.asarray(values.to_numpy(dtype=np.float64 if values.dtype.kind == "f" else object))


def _others(first: Floats, second: Floats) -> int:
    """Rows that differ in some bit."""
    first_bits, second_bits = (
        np.ascontiguousarray(predicted).reshape(len(predicted), -1).view(np.int64) for predicted in (first, second)
    )
    return (
        int(np.count_nonzero((first_bits != second_bits).any(axis=1)))
        if first_bits.shape == second_bits.shape
        else len(first)
    )


def shared_with_training(scored: Units, learnt: Units) -> Shared:
    """Units of the scored day that training has too: by name and moment, and by all inputs and the label."""
    learnt_moments = set(zip(learnt.keys.tolist(), learnt.predicted_at.tolist(), strict=True))
    keys = sum(one in learnt_moments for one in zip(scored.keys.tolist(), scored.predicted_at.tolist(), strict=True))
    labelled = scored.where(np.isfinite(scored.labels))
    rows, days = _digests(learnt), learnt.days
    seen: dict[int, Any] = {}
    for row, day in zip(rows.tolist(), days.tolist(), strict=True):
        seen[row] = day if seen.get(row, day) == day else None  # None: on more days than one
    repeats_across_days = np.array([seen[row] is None for row in rows.tolist()], dtype=np.bool_)
    usual = tuple((int(np.sum(days == day)), int(np.sum(repeats_across_days[days == day]))) for day in np.unique(days))
    alike = sum(row in seen for row in _digests(labelled).tolist())
    return Shared(units=len(scored), keys=keys, rows=alike, labelled=len(labelled), usual=usual)


def _digests(units: Units) -> NDArray[np.uint64]:
    """A number for each row's inputs and label: equal rows, equal numbers; others, other ones but for 1 in 2 to the 64.

    The multiplier is odd, so that no bit of an earlier column is lost.
    """
    digests = np.ascontiguousarray(units.labels).view(np.uint64).copy()
    for name in units.inputs.columns:
        values = _column(units, name)
        if values.dtype.kind == "f":
            number = np.ascontiguousarray(np.where(np.isnan(values), np.nan, values + 0.0)).view(np.uint64)
        else:
            distinct = {word if isinstance(word, str) else "" for word in values}
            digest = {word: _word_digest(word) for word in distinct}
            number = np.array([digest[word if isinstance(word, str) else ""] for word in values], dtype=np.uint64)
        digests = (digests ^ number) * np.uint64(0x9E3779B97F4A7C15)
        digests ^= digests >> np.uint64(29)
    return digests


def _word_digest(word: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
