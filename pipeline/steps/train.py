"""Train: every recipe on the labelled days before the scored day, which stays unseen."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ConflictError, UsageError
from pipeline.core.ports import Units, World
from pipeline.core.records import Candidate, Trained, Validated, digest
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.windows import Days, scored_day, training_days
from pipeline.steps.models.threads import one_thread

log = logging.getLogger(__name__)


def train(usecase: Usecase, validated: Validated, world: World, recipes: Sequence[str] = ()) -> Trained:
    """Fit the recipes and the fresh baseline as of the run's day; a fit that is already there is not made again.

    Args:
        usecase: The use case.
        validated: The accepted data.
        world: The ports.
        recipes: Names of the recipes to fit; empty: all. The baseline is always fitted.

    Raises:
        UsageError: A recipe of that name does not exist.
    """
    try:
        chosen = [usecase.recipe(name) for name in recipes] or list(usecase.recipes)
    except KeyError as unknown:
        raise UsageError(str(unknown.args[0]), "RECIPE") from unknown
    scored = scored_day(date.fromisoformat(validated.snapshot["day"]), usecase.label_delay)
    lineage = Lineage(usecase, validated, world, scored)
    candidates: list[Candidate] = []
    skipped: dict[str, str] = {}
    broken: list[str] = []
    fits = [*(r for r in chosen if r.name != usecase.baseline.name), usecase.baseline]
    if nothing := _nothing_to_sit(usecase, validated, world, scored):
        skipped, fits = dict.fromkeys((recipe.name for recipe in fits), nothing), []
    with world.progress("train", len(fits)) as done:
        for recipe in fits:
            try:
                made = lineage.fit(recipe)
            except BrokenError as error:
                broken.append(recipe.name)
                skipped[recipe.name] = str(error)
                done()
                continue
            if isinstance(made, str):
                skipped[recipe.name] = made
            else:
                candidates.append(made)
            done()
    return Trained(
        validated=validated.to_dict(),
        scored=scored.isoformat(),
        candidates=tuple(candidate.to_dict() for candidate in candidates),
        skipped=skipped,
        broken=tuple(broken),
    )


def _nothing_to_sit(usecase: Usecase, validated: Validated, world: World, scored: date) -> str:
    """Why nobody is scored on a day whose labels are known by now, as on a Sunday of a shop; empty if there is one.

    The data day itself was accepted, so this is asked only where labels take days.
    """
    if not usecase.label_delay:
        return ""
    if scored.isoformat() in validated.without:
        return f"{scored}, whose labels are known by now, was refused"
    rows = usecase.feeds[0].name
    if scored not in world.store.marks(rows, validated.snapshot["versions"][rows], Days(scored, scored)):
        return f"nothing was delivered of {scored}, whose labels are known by now"
    return ""


class BrokenError(Exception):
    """A recipe's own code failed: it has no candidate, the others have theirs."""


def made(usecase: str, model: str, world: World) -> Candidate | None:
    """The candidate of that identity, as it was fitted on some earlier day; None where no note of it is kept."""
    note = _note(usecase, model)
    return Candidate.from_dict(json.loads(world.files.get(note))) if world.files.exists(note) else None


def _note(usecase: str, of: str) -> str:
    return f"models/{usecase}/{of}.json"


class Lineage:
    """The training data of one run, read once and cut to each recipe's window; and what is fitted on it."""

    def __init__(self, usecase: Usecase, validated: Validated, world: World, scored: date) -> None:
        self.usecase, self.world, self.scored = usecase, world, scored
        self.without = {date.fromisoformat(day) for day in validated.without}
        self.versions = validated.snapshot["versions"]
        self._units: Units | None = None
        longest = training_days(scored, usecase.longest_window)
        self.marks = {
            table.name: world.store.marks(table.name, self.versions[table.name], longest.back(usecase.history))
            for table in usecase.tables
        }

    def units(self) -> Units:
        """All labelled units of the longest window; computed when the first recipe needs them."""
        if self._units is None:
            days = training_days(self.scored, self.usecase.longest_window)
            units = self.world.engine.units(self.usecase, self.versions, days, self.without)
            self._units = units.where(np.isfinite(units.labels))
        return self._units

    def identity(self, recipe: Recipe, days: Days) -> str:
        """What the model is: digest of its code, recipe, days and the bytes of every delivery in its reach."""
        reach = days.back(self.usecase.history)
        data = {
            table: {
                day.isoformat(): mark["sha256"]
                for day, mark in sorted(marks.items())
                if day in reach and day not in self.without
            }
            for table, marks in self.marks.items()
        }
        made_of = [self.usecase.name, recipe.name, recipe.window, recipe.seed, str(days), data, self.world.code]
        return digest(made_of)

    def fit(self, recipe: Recipe) -> Candidate | str:
        """The recipe's candidate, or the reason why there is none."""
        days = training_days(self.scored, recipe.window)
        model = self.identity(recipe, days)
        note = self._note(model)
        if self.world.files.exists(note):
            return Candidate.from_dict(self._read(note))
        units = self._of(days)
        found = np.unique(units.days)
        if len(found) < recipe.at_least:
            return f"{len(found)} of at least {recipe.at_least} labelled days in {days}"
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
            kept = self._read(note)
        else:
            units = self._of(days)
            resample = np.random.default_rng(recipe.seed + 1).integers(0, len(units), len(units))
            made = fitted(recipe, recipe.seed + 1, units, resample)
            file, sha256 = self.world.models.save(self._folder, made)
            kept = self._keep(note, {"file": file, "sha256": sha256})
        return kept["file"], kept["sha256"]

    @property
    def _folder(self) -> str:
        return f"models/{self.usecase.name}"

    def _note(self, of: str) -> str:
        return _note(self.usecase.name, of)

    def _read(self, note: str) -> dict[str, Any]:
        return dict(json.loads(self.world.files.get(note)))

    def _keep(self, note: str, made: dict[str, Any]) -> dict[str, Any]:
        try:
            self.world.files.put(note, json.dumps(made, sort_keys=True).encode())
        except ConflictError:  # another try of this very task was first: what it made is as good, and is the one
            return self._read(note)
        return made

    def _of(self, days: Days) -> Units:
        units = self.units()
        return units.where((units.days >= np.datetime64(days.first)) & (units.days <= np.datetime64(days.last)))

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
        )


def fitted(recipe: Recipe, seed: int, units: Units, rows: NDArray[np.int64] | None = None) -> Any:
    """The recipe's estimator, fitted on the units, or on some of their rows.

    Raises:
        BrokenError: The recipe's own code failed.
    """
    inputs, labels = units.inputs, units.labels
    if rows is not None:
        inputs, labels = inputs.iloc[rows], labels[rows]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = recipe.build(seed)
            one_thread()
            estimator.fit(inputs, labels)
        except MemoryError:  # says nothing about the recipe
            raise
        except Exception as error:
            log.exception("%s can't be fitted", recipe.name)
            told = " ".join(str(error).split())[:200]
            raise BrokenError(f"its fit failed: {type(error).__name__}: {told}") from error
    # scikit-learn may say the same of forty columns; a log that nobody can read warns nobody.
    for predicted in sorted({f"{warning.category.__name__}: {warning.message}" for warning in caught})[:1]:
        log.info("%s: %d warnings while fitting, the first: %s", recipe.name, len(caught), predicted)
    return estimator
