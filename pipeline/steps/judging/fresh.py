"""A day's evidence as it is made: the models are asked, and what can't be read again later is written down."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.core.errors import ConflictError
from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Stage
from pipeline.core.kinds import Floats
from pipeline.core.ports import Units, World
from pipeline.core.records import Candidate, Entry, Scored, Trained, Validated
from pipeline.core.usecase import Usecase
from pipeline.steps.judging.cause import causes
from pipeline.steps.judging.measurements import Measurer, days_read
from pipeline.steps.judging.recorded import Recording, ScoredRows, packed, same
from pipeline.steps.judging.source import Refit
from pipeline.steps.models import able, champion_model
from pipeline.steps.models.definition import definition
from pipeline.steps.models.fitting import BrokenError
from pipeline.steps.models.predictions import answered, no_predictions, predictions
from pipeline.steps.models.run_training import RunTraining
from pipeline.steps.models.threads import one_thread
from pipeline.steps.tables import score_ledger
from pipeline.steps.tables.new_keys import with_new_keys


class FreshEvidence:
    """A day's evidence made now: :class:`~pipeline.steps.judging.source.EvidenceSource` with the models."""

    def __init__(self, usecase: Usecase, trained: Trained, scored: Scored, world: World, head: Entry | None) -> None:
        """Read the day's units; no model is asked before a gate needs it.

        Args:
            usecase: The use case.
            trained: Who was fitted, and on which data.
            scored: The day in the score ledger, and the epoch that it was scored at.
            world: The ports.
            head: The champion's line of the promotion ledger; None before the first champion.
        """
        self.usecase, self.trained, self.world, self.head = usecase, trained, world, head
        self.day, self.data_day = date.fromisoformat(trained.scored), date.fromisoformat(trained.day)
        validated = self._validated = Validated.from_dict(trained.validated)
        versions: Mapping[str, int] = validated.snapshot["versions"]
        without = {date.fromisoformat(day) for day in validated.without}
        self.training = RunTraining(usecase, validated, world, self.day)
        self.recent: Units = world.engine.units(usecase, versions, days_read(usecase, self.day), without)
        units = self.recent.where(self.recent.days == np.datetime64(self.day))
        self.units: Units = with_new_keys(usecase, units, self.day, versions, without, world.store)
        self.entries: Sequence[Entry] = tuple(world.ledger.entries(usecase.name)[: scored.epoch])
        self.newest = champion_model.newest_judged(usecase, world)
        self.code = world.code
        names = [recipe.name for recipe in (*usecase.recipes, usecase.baseline)]
        words = Counter(str(word) for word in self.units.unlabelled if word)
        self.counts: Mapping[str, int] = {
            "units": len(self.units),
            "labelled": int(np.isfinite(self.units.labels).sum()),
            **dict(sorted(words.items())),
        }
        self._recording = Recording(
            scored=replace(scored, repairs=()).to_dict(),  # who mended what is no evidence
            code=world.code,
            newest=None if self.newest is None else self.newest.isoformat(),
            definitions={name: definition(usecase, name, world) for name in names},
            counts=dict(self.counts),
            order=packed(np.argsort(np.argsort(self.units.keys, kind="stable"), kind="stable")),
            slices=list(self.units.slices),
            causes=[],
        )
        self._fresh: tuple[str, Any] = ("", None)
        self._resampled_fits: dict[str, Floats] = {}

    def kept(self) -> bytes:
        """The file of what can't be read again."""
        return self._recording.to_bytes()

    @property
    def slices(self) -> Collection[str]:
        """The declared slice columns, and those that keys make."""
        return self.units.slices.keys()

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`kept`."""
        return hashlib.sha256(self.kept()).hexdigest()

    def definition(self, recipe: str) -> str:
        """Digest of a recipe's declaration."""
        return self._recording.definitions[recipe]

    @cached_property
    def _champion(self) -> Any:
        assert self.head is not None  # noqa: S101 - nobody is judged before the first champion
        model = None
        if not self._recording.scored["unable"]:  # it is asked nothing then, and stands for nobody
            loaded = champion_model.load(self.usecase, self.head, self.world)
            model = able.for_inputs(self.usecase, self.head, loaded, self.world)
        one_thread()
        return model

    @property
    def _champion_predictions(self) -> Floats:
        """What the champion says of the scored day; NaN where it can't answer any more."""
        kind, units = self.usecase.kind, len(self.units)
        if self._champion is None:
            return no_predictions(kind, units)
        return kind.predict(self._champion, self.units.inputs)

    @cached_property
    def _measuring(self) -> Measurer:
        assert self.head is not None  # noqa: S101
        contenders = [c for c in self.trained.models if c.recipe != self.usecase.baseline.name]
        return Measurer(self.training, self.recent, self.head, self._champion, self.data_day, contenders)

    def _model(self, candidate: Candidate) -> Any:
        """The candidate's fit; only the newest one asked for stays in memory."""
        if self._fresh[0] != candidate.model:
            self._fresh = (candidate.model, self.world.models.load(candidate.file, candidate.sha256))
        return self._fresh[1]

    def holdout(self, candidate: Candidate, ledger: score_ledger.ScoreLedger) -> HoldoutDay:
        """The scored day as both answer it now; what is not as in the score ledger is kept."""
        usecase, units, head = self.usecase, self.units, self.head
        assert head is not None  # noqa: S101
        holdout = HoldoutDay(
            labels=units.labels,
            blocks=units.blocks,
            champion=self._champion_predictions,
            candidate=predictions(usecase.kind, self._model(candidate), units.inputs, candidate.recipe),
            slices=units.slices,
        )
        by_name = np.argsort(units.keys, kind="stable")
        sides = [("champion", score_ledger.CHAMPION, head.model), ("candidate", candidate.recipe, candidate.model)]
        for side, who, model in sides[1:] if self._champion is None else sides:
            rows, predicted = ScoredRows.of(ledger, self.day, who, model), getattr(holdout, side)
            if rows is None or not same(rows.predictions, predicted[by_name]):
                self._recording.predicted.setdefault(candidate.recipe, {})[side] = packed(predicted)
        return holdout

    def resampled(self, candidate: Candidate) -> Floats:
        """What the resampled refit says of the scored day's units; it is fitted once."""
        if candidate.recipe not in self._resampled_fits:
            model = self.world.models.load(*self.training.resampled(candidate))
            predicted = predictions(self.usecase.kind, model, self.units.inputs, f"{candidate.recipe} refitted")
            self._resampled_fits[candidate.recipe] = predicted
            self._recording.resampled_fits[candidate.recipe] = packed(predicted)
        return self._resampled_fits[candidate.recipe]

    def measured(self, stage: Stage, evidence: Evidence, candidate: Candidate) -> Evidence:
        """The evidence with all that gates of this stage read beside scores."""
        measurements = self._measuring.parts(stage, evidence, candidate, self._model(candidate))
        for name, value in measurements.items():
            self._recording.part(candidate.recipe, name, value)
        return replace(evidence, **measurements)

    def causes(self, losses: Mapping[str, float], usual: float) -> Sequence[str]:
        """Why the champion lost far more than it usually does, looked for now."""
        assert self.head is not None  # noqa: S101
        found = causes(self.usecase, self.trained, self.world, self.head, self.units, losses, usual)
        self._recording.causes = found
        return found

    def refit(self, winner: Candidate) -> Refit | str:
        """The winner fitted once more, or why there is no such fit."""
        try:
            refit_or_reason = self._refit(winner)
        except (BrokenError, ConflictError) as none:
            refit_or_reason = str(none)
        self._recording.refit[winner.recipe] = (
            refit_or_reason
            if isinstance(refit_or_reason, str)
            else {"fresher": refit_or_reason.candidate.to_dict(), "again": packed(refit_or_reason.predictions)}
        )
        return refit_or_reason

    def _refit(self, winner: Candidate) -> Refit | str:
        tomorrow = RunTraining(self.usecase, self._validated, self.world, self.day + timedelta(1))
        refit = tomorrow.fit(self.usecase.recipe(winner.recipe))
        if isinstance(refit, str):
            return refit
        kind, who = self.usecase.kind, f"{winner.recipe} refitted through {refit.trained_through}"
        refit_predictions = predictions(kind, self.world.models.load(refit.file, refit.sha256), self.units.inputs, who)
        if not answered(refit_predictions).all():
            return "its refit leaves units unanswered"
        self.resampled(winner)  # may be refused, and then nothing tells what refitting changes
        return Refit(refit, refit_predictions)
