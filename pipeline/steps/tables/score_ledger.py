"""The score ledger: one row per (day, unit, contestant).

Its columns, which of its rows count as evidence, and its pairing live here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.candidate import NO_SLICE, Paired
from pipeline.core.kinds import Floats, Kind
from pipeline.core.ports import Rows, Units, World
from pipeline.core.records import digest
from pipeline.core.stats import Interval, dense_codes, mean_interval
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.steps.models.predictions import answered

#: Contestant name of whoever is champion.
CHAMPION = "champion"
#: The version of a score ledger in which nobody ever scored.
NOTHING = -1


def table(usecase: str) -> str:
    """Name of the use case's score ledger in the store."""
    return f"scores/{usecase}"


def delivery_digests(usecase: Usecase, versions: Mapping[str, int], world: World, days: Days) -> dict[date, str]:
    """Day to the digest of all its deliveries as of these versions; tells scores of data since corrected."""
    marks = {t.name: world.store.marks(t.name, versions[t.name], days) for t in usecase.tables}
    return {
        day: digest({name: table_marks[day]["sha256"] for name, table_marks in marks.items() if day in table_marks})
        for day in days
        if all(day in table_marks for table_marks in marks.values())
    }


@dataclass(frozen=True, slots=True)
class Scoring:
    """One contestant's predictions for the scored day.

    Attributes:
        contestant: ``"champion"``, or the recipe's name for a fresh fit.
        model: The model's identity.
        recipe: Its recipe.
        trained_through: The last day it was trained on.
        predictions: One per unit of the day: a number, or a row of them.
        definition: Digest of how the recipe was declared when it was fitted.
    """

    contestant: str
    model: str
    recipe: str
    trained_through: date
    predictions: Floats
    definition: str = ""


def rows_of(day: date, kind: Kind, units: Units, data: str, scorings: Sequence[Scoring]) -> Rows:
    """The ledger's rows of one day.

    Args:
        day: The scored day.
        kind: Gives the loss.
        units: The day's units.
        data: Digest of the day's data, so that rows scored on other data can be told apart.
        scorings: The contestants.

    Raises:
        AssertionError: If a contestant was trained on the scored day or later. The ledger holds no such row.
    """
    import pyarrow as pa

    parts = []
    for scoring in scorings:
        if not scoring.trained_through < day:
            raise AssertionError(
                f"lineage: {scoring.contestant} ({scoring.model[:12]}) was trained through "
                f"{scoring.trained_through}, so it can't be scored on {day}"
            )
        loss = kind.loss(units.labels, scoring.predictions)
        count = len(units)
        parts.append(
            pa.table(
                {
                    "day": pa.array([day] * count, pa.date32()),
                    "unit": pa.array(units.keys.tolist(), pa.string()),
                    "contestant": pa.array([scoring.contestant] * count, pa.string()),
                    "model": pa.array([scoring.model] * count, pa.string()),
                    "recipe": pa.array([scoring.recipe] * count, pa.string()),
                    "trained_through": pa.array([scoring.trained_through] * count, pa.date32()),
                    "prediction": _column(scoring.predictions),
                    "label": pa.array(units.labels, pa.float64(), from_pandas=True),
                    "unlabelled": pa.array(units.unlabelled.tolist(), pa.string()),
                    "loss": pa.array(loss, pa.float64(), from_pandas=True),
                    "block": pa.array(units.blocks.tolist(), pa.string()),
                    "definition": pa.array([scoring.definition] * count, pa.string()),
                    "data": pa.array([data] * count, pa.string()),
                    **{f"slice:{name}": pa.array(v.tolist(), pa.string()) for name, v in units.slices.items()},
                }
            )
        )
    return pa.concat_tables(parts)


def digest_of(rows: Rows) -> str:
    """SHA-256 of the rows' values, so that writing the same day twice writes nothing."""
    import hashlib

    hasher = hashlib.sha256()
    for name in rows.column_names:
        hasher.update(name.encode())
        hasher.update(repr(rows[name].to_pylist()).encode())
    return hasher.hexdigest()


def merge_kept_rows(existing: Rows, fresh: Rows) -> Rows:
    """``fresh`` plus those existing rows of the same data whose contestant was not scored again.

    A run that was asked for some recipes only must not lose what the others scored on that day.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    scored = pa.array(sorted(set(fresh["contestant"].to_pylist())), pa.string())
    stay = pc.and_(
        pc.equal(existing["data"], fresh["data"][0]), pc.invert(pc.is_in(existing["contestant"], value_set=scored))
    )
    staying = existing.filter(stay)
    # A slice that was declared since has no value in the rows that stay.
    staying = staying.select([name for name in fresh.column_names if name in staying.column_names])
    return pa.concat_tables([fresh, staying], promote_options="default") if staying.num_rows else fresh


def _text(rows: Rows, column: str) -> NDArray[np.str_]:
    # Rows from before a slice was declared are in none of it.
    return np.asarray([NO_SLICE if value is None else value for value in rows[column].to_pylist()], dtype=np.str_)


def _column(predictions: Floats) -> Any:
    """Predictions as a column: numbers, or lists where a prediction is a row of numbers."""
    import pyarrow as pa

    kind = pa.list_(pa.float64()) if predictions.ndim == 2 else pa.float64()
    return pa.array(list(predictions), kind)


def _predictions(rows: Rows) -> Floats:
    import pyarrow as pa

    if not pa.types.is_list(rows["prediction"].type) or not rows.num_rows:
        return np.empty(0) if not rows.num_rows else _floats(rows, "prediction")
    return np.array(rows["prediction"].to_pylist(), dtype=np.float64)


def _of_width(rows: Rows, width: int) -> Rows:
    """The rows whose prediction is one number (0), or a row of so many."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_list(rows["prediction"].type):
        return rows if not width else rows.slice(0, 0)
    return rows.filter(pc.equal(pc.list_value_length(rows["prediction"]), width))


def _floats(rows: Rows, column: str) -> Floats:
    return np.asarray(rows[column].to_numpy(zero_copy_only=False), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ScoreLedger:
    """The ledger's rows of some days, as arrays.

    Attributes:
        days, units, contestants, definitions, models, blocks: Text or days, one per row.
        predictions: One per row: a number, or a row of them.
        labels: One number per row.
        slices: Slice column to its value per row.
        corrected: Days whose rows were left out because their data was corrected since, ISO format.
    """

    days: NDArray[np.datetime64]
    units: NDArray[np.str_]
    contestants: NDArray[np.str_]
    definitions: NDArray[np.str_]
    models: NDArray[np.str_]
    blocks: NDArray[np.str_]
    predictions: Floats
    labels: Floats
    slices: Mapping[str, NDArray[np.str_]]
    corrected: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        store: Any,
        usecase: str,
        version: int,
        days: Days,
        sound: Mapping[date, str] | None = None,
        width: int | None = None,
    ) -> ScoreLedger:
        """Read the rows of ``days`` as of ``version``.

        Args:
            store: The store.
            usecase: The use case's name.
            version: The ledger's version.
            days: The days wanted.
            sound: Day to the digest of its data now. Rows scored on other data (it was corrected since), and days that
                are not named (they were refused since), are left out. None: all rows.
            width: Numbers in a row of predictions, as :attr:`Kind.width`. Rows of another width are from before a class
                was added to the declaration or taken out of it, and are left out. None: all rows.
        """
        if version == NOTHING:
            return cls.empty()
        rows = store.read(table(usecase), version, days)
        corrected: set[date] = set()
        if sound is not None:
            import pyarrow as pa

            pairs = list(zip(rows["day"].to_pylist(), rows["data"].to_pylist(), strict=True))
            rows = rows.filter(pa.array([sound.get(day) == data for day, data in pairs], pa.bool_()))
            corrected = {day for day, _ in pairs if day in sound} - set(rows["day"].to_pylist())
        if width is not None:
            rows = _of_width(rows, width)
        sliced = [name for name in rows.column_names if name.startswith("slice:")]
        return cls(
            days=np.asarray(rows["day"].to_pylist(), dtype="datetime64[D]"),
            units=_text(rows, "unit"),
            contestants=_text(rows, "contestant"),
            definitions=_text(rows, "definition"),
            models=_text(rows, "model"),
            blocks=_text(rows, "block"),
            predictions=_predictions(rows),
            labels=_floats(rows, "label"),
            slices={name.removeprefix("slice:"): _text(rows, name) for name in sliced},
            corrected=tuple(day.isoformat() for day in sorted(corrected)),
        )

    @classmethod
    def empty(cls) -> ScoreLedger:
        """No rows at all."""
        days, words, floats = np.empty(0, "datetime64[D]"), np.empty(0, np.str_), np.empty(0)
        return cls(days, words, words, words, words, words, floats, floats, {})

    def with_slices(self, names: Collection[str]) -> ScoreLedger:
        """The same rows in these slices alone: what is no longer declared a slice stops nobody."""
        return replace(self, slices={name: values for name, values in self.slices.items() if name in names})

    def _index(self, mask: NDArray[np.bool_]) -> dict[tuple[np.datetime64, str], int]:
        return {(self.days[i], str(self.units[i])): int(i) for i in np.flatnonzero(mask & np.isfinite(self.labels))}

    def pair(self, champion: str, since: date, recipe: str, definition: str, baseline: str) -> Paired:
        """The labelled units that the champion, the recipe's fresh fits and the fresh baseline were all scored on.

        Args:
            champion: The champion's model identity.
            since: The day on which it was promoted. Only later days count: those before chose it, or chose what was
                rolled back, and on the day itself it is its own recipe's fresh fit.
            recipe: The recipe that is compared with it.
            definition: Digest of the recipe's declaration now; fits of another declaration are no evidence for it.
            baseline: The baseline's recipe name.
        """
        later = self.days > np.datetime64(since)
        champion_rows = self._index((self.contestants == CHAMPION) & (self.models == champion) & later)
        candidate_rows = self._index((self.contestants == recipe) & (self.definitions == definition) & later)
        baseline_rows = self._index(self.contestants == baseline)
        common = sorted(champion_rows.keys() & candidate_rows.keys() & baseline_rows.keys())
        at = np.array([candidate_rows[key] for key in common], dtype=np.int64)
        return Paired(
            days=self.days[at],
            blocks=self.blocks[at],
            labels=self.labels[at],
            champion=self.predictions[[champion_rows[key] for key in common]],
            candidate=self.predictions[at],
            baseline=self.predictions[[baseline_rows[key] for key in common]],
            slices={name: values[at] for name, values in self.slices.items()},
        )

    def fresh(self, recipe: str, definition: str, other: str, other_definition: str) -> Paired:
        """The labelled units that the fresh fits of two recipes were both scored on.

        ``other`` stands where the champion and the baseline stand.
        Units to which ``other`` had no answer are left out: what breaks it now and then must not stop its rivals.
        """
        recipe_rows = self._index((self.contestants == recipe) & (self.definitions == definition))
        other_rows = self._index(
            (self.contestants == other) & (self.definitions == other_definition) & answered(self.predictions)
        )
        common = sorted(recipe_rows.keys() & other_rows.keys())
        at = np.array([recipe_rows[key] for key in common], dtype=np.int64)
        rival = self.predictions[np.array([other_rows[key] for key in common], dtype=np.int64)]
        return Paired(self.days[at], self.blocks[at], self.labels[at], rival, self.predictions[at], rival, {})

    def intervals(self, kind: Kind, day: date) -> dict[str, tuple[float, float]]:
        """Contestant to the ends of the two-sided 95 % interval of its mean loss on one day, clustered by block."""
        losses = kind.loss(self.labels, self.predictions)
        ends_by_contestant: dict[str, tuple[float, float]] = {}
        for contestant in np.unique(self.contestants):
            in_group = (self.contestants == contestant) & (self.days == np.datetime64(day)) & np.isfinite(losses)
            interval = mean_interval(
                losses[in_group], dense_codes(self.blocks[in_group])[0], one_sided=False, marks=False
            )
            if isinstance(interval, Interval):
                ends_by_contestant[str(contestant)] = (interval.low, interval.high)
        return ends_by_contestant

    def daily_losses(self, kind: Kind) -> dict[str, dict[str, float]]:
        """Contestant to ISO day to its mean loss over that day's labelled units."""
        losses = kind.loss(self.labels, self.predictions)
        daily_by_contestant: dict[str, dict[str, float]] = {}
        for contestant in np.unique(self.contestants):
            for day in np.unique(self.days):
                in_group = (self.contestants == contestant) & (self.days == day) & np.isfinite(losses)
                if in_group.any():
                    daily_by_contestant.setdefault(str(contestant), {})[str(day)] = float(losses[in_group].mean())
        return daily_by_contestant
