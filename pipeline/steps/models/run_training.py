"""The training data of one run, what is fitted on it, and the identity of each model."""

from __future__ import annotations

import json
import time
from datetime import date
from typing import Any

import numpy as np

from pipeline.core.errors import ConflictError
from pipeline.core.ports import Units, World
from pipeline.core.records import Candidate, Validated, digest
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.windows import Days, training_days
from pipeline.steps.kept import read_kept
from pipeline.steps.models.definition import definition
from pipeline.steps.models.fitting import fitted, learnt_from


def candidate_by_identity(usecase: str, model: str, world: World) -> Candidate | None:
    """The candidate of that identity, as it was fitted on some earlier day; None where no note of it is kept."""
    note = _note(usecase, model)
    return Candidate.from_dict(read_kept(world.files, note)) if world.files.exists(note) else None


def _note(usecase: str, model: str) -> str:
    return f"models/{usecase}/{model}.json"


def asked_of(usecase: Usecase) -> tuple[str, ...]:
    """What the use case's models predict, as a note keeps it: the kind's name, the target, the classes in order."""
    return (type(usecase.kind).__name__, usecase.kind.target, *usecase.kind.classes)


class RunTraining:
    """The training data of one run, read once and cut to each recipe's window; and what is fitted on it.

    Attributes:
        usecase, world, scored: As they were given.
        without: Refused days, which nothing is learnt from.
        versions: Table's name to the pinned version that is read.
        marks: Table's name to day to what the store says of that day, as far back as any recipe's features reach.
    """

    def __init__(self, usecase: Usecase, validated: Validated, world: World, scored: date) -> None:
        """What is learnt from.

        Args:
            usecase: The use case.
            validated: The accepted data.
            world: The ports.
            scored: The scored day: recipes learn from days before it.
        """
        self.usecase, self.world, self.scored = usecase, world, scored
        self.without = {date.fromisoformat(day) for day in validated.without}
        self.versions = validated.snapshot["versions"]
        self._units: Units | None = None
        self._definitions: dict[str, str] = {}
        longest = training_days(scored, usecase.longest_window)
        self.marks = {
            table.name: world.store.marks(table.name, self.versions[table.name], longest.back(usecase.history))
            for table in usecase.tables
        }

    def units(self) -> Units:
        """All labelled units of the longest window; computed when the first recipe needs them."""
        if self._units is None:
            days = training_days(self.scored, self.usecase.longest_window)
            self._units = learnt_from(self.world.engine.units(self.usecase, self.versions, days, self.without), days)
        return self._units

    def identity(self, recipe: Recipe, days: Days) -> str:
        """What the model is: a digest of all that can change its predictions, and of nothing else.

        The recipe's definition (numbers, estimator, features and what they share), the days, the bytes of every
        delivery in its reach, the code that computes and the libraries under it.
        """
        reach = days.back(self.usecase.history)
        data = {
            table: {
                day.isoformat(): mark["sha256"]
                for day, mark in sorted(marks.items())
                if day in reach and day not in self.without
            }
            for table, marks in self.marks.items()
        }
        versions = [self.world.library_digest_of(function) for function in (recipe.build, self.usecase.features)]
        made_of = [self.usecase.name, self._definition(recipe), str(days), data, self.world.compute_digest, *versions]
        return digest(made_of)

    def _definition(self, recipe: Recipe) -> str:
        if recipe.name not in self._definitions:
            self._definitions[recipe.name] = definition(self.usecase, recipe.name, self.world)
        return self._definitions[recipe.name]

    def fit(self, recipe: Recipe) -> Candidate | str:
        """The recipe's candidate, or the reason why there is none."""
        days = training_days(self.scored, recipe.window)
        model = self.identity(recipe, days)
        note = self._note(model)
        if self.world.files.exists(note):
            return Candidate.from_dict(self._read(note))
        units = self._units_of(days)
        labelled_days = np.unique(units.days)
        if len(labelled_days) < recipe.at_least:
            return f"{len(labelled_days)} of at least {recipe.at_least} labelled days in {days}"
        return Candidate.from_dict(self._keep(note, self._fit(recipe, model, units).to_dict()))

    def resampled(self, candidate: Candidate) -> tuple[str, str]:
        """The candidate's recipe refitted with another seed on a resample of its units: its refitting noise.

        It is made when somebody asks, for it costs as much as the candidate; a resampled refit that is already there
        is not made again.

        Returns:
            Name and digest of the resampled refit's file.

        Raises:
            ConflictError: Recipe, code or data are not what the candidate was fitted from.
        """
        recipe = self.usecase.recipe(candidate.recipe)
        days = training_days(self.scored, recipe.window)
        if self.identity(recipe, days) != candidate.model:
            raise ConflictError(
                f"{self.usecase.name}: the code or the data of {recipe.name} changed after it was fitted, so its "
                "refitting noise can't be measured; run the day again from its train task"
            )
        note = self._note(f"{candidate.model}.twin")
        if self.world.files.exists(note):
            resampled_file = self._read(note)
        else:
            units = self._units_of(days)
            resample = np.random.default_rng(recipe.seed + 1).integers(0, len(units), len(units))
            estimator = fitted(recipe, recipe.seed + 1, units, resample)
            file, sha256 = self.world.models.save(self._folder, estimator)
            resampled_file = self._keep(note, {"file": file, "sha256": sha256})
        return resampled_file["file"], resampled_file["sha256"]

    @property
    def _folder(self) -> str:
        return f"models/{self.usecase.name}"

    def _note(self, model: str) -> str:
        return _note(self.usecase.name, model)

    def _read(self, note: str) -> dict[str, Any]:
        return dict(read_kept(self.world.files, note))

    def _keep(self, note: str, document: dict[str, Any]) -> dict[str, Any]:
        try:
            self.world.files.put(note, json.dumps(document, sort_keys=True).encode())
        except ConflictError:  # another try of this very task was first: what it made is as good, and is the one
            return self._read(note)
        return document

    def _units_of(self, days: Days) -> Units:
        return learnt_from(self.units(), days)

    def _fit(self, recipe: Recipe, model: str, units: Units) -> Candidate:
        began = time.perf_counter()
        estimator = fitted(recipe, recipe.seed, units)
        seconds = time.perf_counter() - began
        file, sha256 = self.world.models.save(self._folder, estimator)
        return Candidate(
            model=model,
            recipe=recipe.name,
            trained_first=str(units.days.min()),
            trained_through=str(units.days.max()),
            rows=len(units),
            file=file,
            sha256=sha256,
            seconds=round(seconds, 3),
            made_with=dict(self.world.versions),
            inputs=self.usecase.inputs,
            predicts=asked_of(self.usecase),
        )
