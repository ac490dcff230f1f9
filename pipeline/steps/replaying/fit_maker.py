"""Makes one fit, and what it predicts; and names by digest what both are made from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.core.kinds import Floats, Kind
from pipeline.core.ports import Units
from pipeline.core.records import digest
from pipeline.core.replay.history import FitKey
from pipeline.core.usecase import Recipe
from pipeline.steps.models.fitting import BrokenError, fitted
from pipeline.steps.models.predictions import predictions
from pipeline.steps.models.threads import one_thread


@dataclass(frozen=True, eq=False)
class FitMaker:
    """What fits are made from.

    Attributes:
        kind: Asks a model.
        recipes: Those to fit, the baseline among them.
        units: All units of the stretch, in order of the day, unlabelled ones too.
        day: Number of each unit's day.
    """

    kind: Kind
    recipes: tuple[Recipe, ...]
    units: Units
    day: Any

    def fit(self, fit: FitKey) -> Any | None:
        """The fitted estimator; None where it has too few days, or its own code fails."""
        recipe = next(recipe for recipe in self.recipes if recipe.name == fit.recipe)
        first, end = np.searchsorted(self.day, (fit.day - recipe.window, fit.day))
        rows = np.arange(first, end)[np.isfinite(self.units.labels[first:end])]
        if len(np.unique(self.day[rows])) < recipe.at_least:
            return None
        try:
            return fitted(recipe, recipe.seed, self.units, rows)
        except BrokenError:
            return None

    def predict(self, fit: FitKey, first: int, end: int) -> Floats | None:
        """What the fit says of the units of the days from ``first`` to before ``end``."""
        one_thread()
        model = self.fit(fit)
        if model is None:
            return None
        # Day by day, as the daily run asks: with other rows beside it a sum may differ in its last bit.
        edges = np.searchsorted(self.day, np.arange(first, end + 1))
        inputs_by_day = [self.units.inputs.iloc[begin:stop] for begin, stop in pairwise(edges) if stop > begin]
        predicted = [predictions(self.kind, model, inputs, fit.recipe) for inputs in inputs_by_day]
        nothing = np.empty((0, self.kind.width) if self.kind.width else 0)
        return np.concatenate(predicted) if predicted else nothing

    def contents(self, days: int) -> list[str]:
        """Digest of what there is to learn from and to predict on each day; empty where there is no unit."""
        import pyarrow as pa

        table = pa.Table.from_pandas(self.units.inputs, preserve_index=False)
        edges = np.searchsorted(self.day, np.arange(days + 1))
        digests = []
        for begin, end in pairwise(edges.tolist()):
            hasher = hashlib.sha256(self.units.labels[begin:end].tobytes())
            for column in table.slice(begin, end - begin).columns:
                values = column.combine_chunks()
                # The words of all days stand in one dictionary; a day is named by its own.
                plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
                hasher.update(repr(plain.type).encode())
                hasher.update(pa.record_batch([plain], ["values"]).serialize())
            digests.append(hasher.hexdigest() if end > begin else "")
        return digests

    def made_of(self, definitions: Mapping[str, str]) -> dict[str, str]:
        """Recipe to the digest of what its fits depend on beside the units: declaration, source, numbers, versions."""
        versions = [version(package) for package in ("scikit-learn", "numpy")]
        return {
            recipe.name: digest([definitions[recipe.name], recipe.at_least, _numbers(recipe), versions])
            for recipe in self.recipes
        }

    def slim(self) -> FitMaker:
        """What a worker needs of it."""
        nothing = self.units.where(np.zeros(len(self.units), dtype=np.bool_))
        return replace(self, units=replace(nothing, inputs=self.units.inputs, labels=self.units.labels))


def _numbers(recipe: Recipe) -> str:
    """What the recipe's estimator is made with: code that it shares with others may have set it."""
    estimator = recipe.build(recipe.seed)
    get_params = getattr(estimator, "get_params", None)
    parameters = repr(sorted(get_params().items(), key=str)) if get_params is not None else type(estimator).__qualname__
    return re.sub(r" at 0x[0-9a-f]+", "", parameters)  # where an object lies in memory is no part of it
