"""The folder that was written, tried before it is put in its place: its own code, by the product's own engine.

Its features are audited for what was not yet known, its recipes are fitted once on the older days and asked about the
newer ones. The numbers that need a model (from which probability on somebody acts) come from there.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.adapters.engine.polars_engine import PolarsEngine
from pipeline.core.errors import UsageError
from pipeline.core.ports import Units
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.verdict import Outcome
from pipeline.core.windows import Days
from pipeline.core.words import change, count, percent
from pipeline.onboarding.history.rows import OLDER, History
from pipeline.onboarding.notes import Note
from pipeline.steps.judging.point_in_time import audit
from pipeline.steps.models.predictions import predictions

#: Rows of the holdout day that are enough for a first look.
_ROWS = 20_000


@contextmanager
def loaded(name: str, folder: Path) -> Iterator[Usecase]:
    """The use case whose package lies in ``folder``, as if it stood in the catalogue; forgotten afterwards."""
    package = f"pipeline.usecases.{name}"
    before = {key: sys.modules.pop(key) for key in list(sys.modules) if f"{key}.".startswith(f"{package}.")}
    spec = importlib.util.spec_from_file_location(
        package, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise UsageError(f"{folder} holds no package that can be imported")
    module = importlib.util.module_from_spec(spec)
    importlib.invalidate_caches()
    # The folder is written again within the second, where bytecode of the first writing would pass for the second's.
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        sys.modules[package] = module
        spec.loader.exec_module(module)
        yield getattr(module, name.upper())
    finally:
        sys.dont_write_bytecode = bytecode
        for key in [key for key in sys.modules if f"{key}.".startswith(f"{package}.")]:
            del sys.modules[key]
        sys.modules.update(before)


class _Held:
    """The history as the engine reads a store: one table, no versions."""

    def __init__(self, history: History) -> None:
        rows = history.rows
        if history.day != "day":
            rows = rows.append_column("day", rows[history.day])
        self._rows, self._dates = rows, history.dates

    def read(self, table: str, version: int, days: Days | None = None, columns: Any = None) -> Any:
        if days is None:
            return self._rows
        low, high = np.searchsorted(self._dates, [np.datetime64(days.first), np.datetime64(days.last) + 1])
        return self._rows.slice(int(low), int(high - low))


@dataclass(frozen=True)
class Trial:
    """How the use case fared once.

    Attributes:
        losses: Recipe to its mean loss on the newer days, fitted on the older ones.
        holdout: The newer days' units.
        said: Recipe to its predictions of them.
        known: The older days' units, with and without a label.
        models: Recipe to its fitted estimator.
    """

    losses: dict[str, float]
    holdout: Units
    predicted: dict[str, Any]
    known: Units
    models: dict[str, Any]

    @property
    def best(self) -> str:
        """The recipe that erred least, the plain rule left out."""
        return min(list(self.losses)[1:], key=lambda name: self.losses[name])


def try_out(usecase: Usecase, history: History, notes: list[Note]) -> Trial:
    """Audit the features and fit every recipe once.

    Raises:
        UsageError: The features use what was not yet known, which is a fault of the product.
    """
    engine, versions = PolarsEngine(_Held(history)), {usecase.feeds[0].name: 0}  # type: ignore[arg-type]
    last = history.calendar[-1]
    near = engine.tables(usecase, versions, Days(last - timedelta(3), last))
    finding = audit(usecase, near, last, moments=3)
    if finding.outcome is not Outcome.PASS:
        raise UsageError(f"the features that were written are not sound: {finding.text}", "AUDIT")
    notes.append(Note("point in time", f"{finding.text}; whether upstream knew a cell in time, only you can say", True))
    mature = last - timedelta(usecase.label_delay)
    # Where labels take long, few of the newer days have theirs: the holdout day is then of the newest that do.
    judged = [day for day in history.calendar if day <= mature]
    first = min(history.split, judged[round(OLDER * len(judged))])
    known = engine.units(usecase, versions, Days(first - timedelta(usecase.longest_window), first - timedelta(1)))
    holdout = engine.units(usecase, versions, Days(first, mature))
    holdout = holdout.where(np.isfinite(holdout.labels))
    holdout = holdout.where(np.arange(len(holdout.labels)) % max(1, -(-len(holdout.labels) // _ROWS)) == 0)
    losses: dict[str, float] = {}
    predicted: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for recipe in (usecase.baseline, *usecase.recipes):
        models[recipe.name] = _fitted(recipe, known, first)
        answers = predictions(usecase.kind, models[recipe.name], holdout.inputs, recipe.name)
        predicted[recipe.name] = answers
        losses[recipe.name] = float(np.mean(usecase.kind.loss(holdout.labels, answers)))
    _told(usecase, first, losses, holdout, notes)
    return Trial(losses, holdout, predicted, known, models)


def _fitted(recipe: Recipe, known: Units, first: date) -> Any:
    inside = (known.days >= np.datetime64(first - timedelta(recipe.window))) & np.isfinite(known.labels)
    units = known.where(inside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return recipe.build(recipe.seed).fit(units.inputs, units.labels)


def _told(usecase: Usecase, first: date, losses: dict[str, float], holdout: Units, notes: list[Note]) -> None:
    rule = losses[usecase.baseline.name]
    best = min((recipe.name for recipe in usecase.recipes), key=lambda name: losses[name])
    change_ = losses[best] / rule - 1 if rule > 0 else 0.0
    text = (
        f"fitted on days before {first} and asked about the {count(len(holdout.labels), 'labelled row')} after: "
        f"{usecase.kind.loss_name} {losses[best]:.4g} by {best}, {rule:.4g} by the plain rule ({change(change_)})"
    )
    notes.append(Note("first look", text, review=not -0.9 < change_ < 0))
    if change_ <= -0.9:
        text = f"the best recipe errs {percent(-change_)} less than the plain rule, which is too good: look for a leak"
        notes.append(Note("leak", text, review=True))
    if change_ >= 0:
        text = "no recipe beats the plain rule on the newer days, so none would be promoted: are inputs missing?"
        notes.append(Note("first look", text, review=True))


def threshold(trial: Trial) -> float:
    """From which probability on as many are acted on as come true."""
    share = float(np.mean(trial.holdout.labels))
    level = float(np.quantile(trial.predicted[trial.best], 1 - share))
    return float(f"{min(max(level, 0.005), 0.95):.1g}") if level < 0.1 else round(min(level, 0.95) * 20) / 20


def changes(usecase: Usecase, trial: Trial) -> float:
    """The share of decisions in which recipes and the plain rule differ at most, and a tenth; in steps of 0.05."""
    decided = {name: usecase.kind.decision(predicted) for name, predicted in trial.predicted.items()}
    rule = decided[usecase.baseline.name]
    most = max(float(np.mean(decided[recipe.name] != rule)) for recipe in usecase.recipes)
    return float(min(0.95, max(0.30, math.ceil((most + 0.10) * 20) / 20)))
