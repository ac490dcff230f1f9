"""Losses added up by block, one table beside the score ledger: what the daily decision looks back on for a year.

It holds every contestant of the score ledger, and beside them each recipe's fits of some days ago, which tell how the
recipe ages. They serve nobody, so their predictions are not kept, only what they lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.paired_days import AGEING_DAYS, AGES, HEAD_TO_HEAD_DAYS, PairedDay, PairedDays
from pipeline.core.kinds import Floats, Ints, Kind
from pipeline.core.ports import Rows, Units, World
from pipeline.core.stats import dense_codes
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days, evidence_days
from pipeline.steps.tables import score_ledger
from pipeline.steps.tables.score_ledger import CHAMPION, NOTHING, Scoring


def table(usecase: str) -> str:
    """Name of the use case's sums in the store."""
    return f"sums/{usecase}"


def look_back_days(through: date) -> Days:
    """The days that a decision looks back on."""
    return evidence_days(through, AGEING_DAYS)


def rows_of(day: date, kind: Kind, units: Units, data: str, scorings: Sequence[tuple[Scoring, int]]) -> Rows:
    """The rows of one day: a row per contestant and block with a labelled unit.

    Args:
        day: The scored day.
        kind: Gives the loss.
        units: The day's units.
        data: Digest of the day's data.
        scorings: The contestants, and how old their fits are on purpose: 0 for the champion and for fresh fits.

    Raises:
        AssertionError: If a contestant was trained on the scored day or later.
    """
    import pyarrow as pa

    known = np.isfinite(units.labels)
    names = np.unique(units.blocks[known])
    place, blocks = dense_codes(units.blocks[known])
    size = np.bincount(place, minlength=blocks).astype(np.int64)
    parts = []
    for scoring, age in scorings:
        if not scoring.trained_through < day:
            raise AssertionError(
                f"lineage: {scoring.contestant} ({scoring.model[:12]}) was trained through "
                f"{scoring.trained_through}, so it can't be scored on {day}"
            )
        losses = np.bincount(place, kind.loss(units.labels[known], scoring.predictions[known]), blocks)
        columns: dict[str, Any] = {
            "day": pa.array([day] * blocks, pa.date32()),
            "contestant": pa.array([scoring.contestant] * blocks, pa.string()),
            "age": pa.array([age] * blocks, pa.int64()),
            "model": pa.array([scoring.model] * blocks, pa.string()),
            "recipe": pa.array([scoring.recipe] * blocks, pa.string()),
            "definition": pa.array([scoring.definition] * blocks, pa.string()),
            "data": pa.array([data] * blocks, pa.string()),
            "block": pa.array(names.tolist(), pa.string()),
            "units": pa.array(size, pa.int64()),
            # A block in which somebody answered with no prediction has no loss, and its day is no evidence.
            "loss": pa.array(losses, pa.float64(), from_pandas=True),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def merge_kept_rows(existing: Rows, fresh: Rows) -> Rows:
    """``fresh`` plus those existing rows of the same data whose contestant was not scored again."""
    import pyarrow as pa

    if not fresh.num_rows:
        return fresh
    scored = set(zip(fresh["contestant"].to_pylist(), fresh["age"].to_pylist(), strict=True))
    data = fresh["data"][0].as_py()
    existing_rows = zip(
        existing["contestant"].to_pylist(), existing["age"].to_pylist(), existing["data"].to_pylist(), strict=True
    )
    stay = pa.array(
        [data_digest == data and (contestant, age) not in scored for contestant, age, data_digest in existing_rows],
        pa.bool_(),
    )
    staying = existing.filter(stay)
    return pa.concat_tables([fresh, staying.select(fresh.column_names)]) if staying.num_rows else fresh


def newest_block_losses(usecase: Usecase, versions: Mapping[str, int], world: World, through: date) -> BlockLosses:
    """The newest sums of the days through ``through``, of data that is still as it was."""
    version = world.store.version(table(usecase.name))
    sound = score_ledger.delivery_digests(usecase, versions, world, look_back_days(through))
    return BlockLosses.read(world.store, usecase.name, NOTHING if version is None else version, through, sound)


class _Losses(NamedTuple):
    """One contestant on one day, by block in sorted order."""

    model: str
    definition: str
    blocks: NDArray[np.str_]
    units: Ints
    losses: Floats


@dataclass(frozen=True, slots=True)
class BlockLosses:
    """The sums of the last year, through some day.

    Attributes:
        scored: (contestant, age) to day to what was lost, oldest day first.
        through: The last day.
    """

    scored: Mapping[tuple[str, int], Mapping[date, _Losses]]
    through: date

    @classmethod
    def read(cls, store: Any, usecase: str, version: int, through: date, sound: Mapping[date, str]) -> BlockLosses:
        """The days of a year through ``through``, as of a version.

        Args:
            store: The store.
            usecase: The use case's name.
            version: The table's version, or ``NOTHING``.
            through: The last day.
            sound: Day to the digest of its data now: what was scored on other data, or on days refused since, is left
                out.
        """
        if version == NOTHING:
            return cls({}, through)
        rows = store.read(table(usecase), version, look_back_days(through)).sort_by(
            [("contestant", "ascending"), ("age", "ascending"), ("day", "ascending"), ("block", "ascending")]
        )
        text = {name: rows[name].to_pylist() for name in ("contestant", "model", "definition")}
        blocks = np.asarray(rows["block"].to_pylist(), dtype=np.str_)
        data, days, ages = rows["data"].to_pylist(), rows["day"].to_pylist(), rows["age"].to_pylist()
        units = np.asarray(rows["units"].to_numpy(), dtype=np.int64)
        losses = np.asarray(rows["loss"].to_numpy(zero_copy_only=False), dtype=np.float64)
        scored: dict[tuple[str, int], dict[date, _Losses]] = {}
        for first, end in _groups(text["contestant"], ages, days):
            if sound.get(days[first]) == data[first]:
                scored.setdefault((text["contestant"][first], ages[first]), {})[days[first]] = _Losses(
                    text["model"][first],
                    text["definition"][first],
                    blocks[first:end],
                    units[first:end],
                    losses[first:end],
                )
        return cls(scored, through)

    def model_of(self, recipe: str, day: date, definition: str) -> str | None:
        """The model of the recipe's fresh fit of a day; None where none was scored, or another declaration of it."""
        scored = self._losses_of(recipe).get(day)
        return scored.model if scored is not None and scored.definition == definition else None

    def head_to_head(self, champion: str, recipe: str, definition: str, since: date) -> PairedDays:
        """The champion (a model) and the recipe's fresh fits, on the days after ``since``."""
        champions, fresh = self._losses_of(CHAMPION), self._losses_of(recipe)
        return PairedDays.of(
            _pair(day, champions[day], fresh[day])
            for day in self._days(since)
            if day in champions
            and champions[day].model == champion
            and day in fresh
            and fresh[day].definition == definition
        )

    def recipes_head_to_head(self, serving: tuple[str, str], challenger: tuple[str, str], since: date) -> PairedDays:
        """Two recipes, each by the mean of its older fits of all ages, on the days after ``since``.

        Args:
            serving: Name and definition of the serving recipe.
            challenger: The same of the one that would take over.
            since: The day on which the serving recipe took over.
        """
        return PairedDays.of(self._served(day, serving, challenger) for day in self._days(since))

    def ageing(self, recipe: str, definition: str) -> tuple[PairedDays, ...]:
        """The recipe's older fits and its fresh ones, for each age."""
        fresh = self._losses_of(recipe)

        def days(age: int) -> Iterator[PairedDay | None]:
            for day, old in self._losses_of(recipe, age).items():
                if day in fresh and old.definition == fresh[day].definition == definition:
                    yield _pair(day, old, fresh[day])

        return tuple(PairedDays.of(days(age)) for age in AGES)

    def _served(self, day: date, serving: tuple[str, str], challenger: tuple[str, str]) -> PairedDay | None:
        sides = []
        ages = [age for age in AGES if all(day in self._losses_of(name, age) for name, _ in (serving, challenger))]
        for name, definition in (serving, challenger):
            scored = [self._losses_of(name, age)[day] for age in ages]
            if not scored or any(
                fit_losses.definition != definition or not _alike(fit_losses, scored[0]) for fit_losses in scored
            ):
                return None
            sides.append(scored[0]._replace(losses=np.mean([fit_losses.losses for fit_losses in scored], axis=0)))
        return _pair(day, *sides)

    def _losses_of(self, contestant: str, age: int = 0) -> Mapping[date, _Losses]:
        return self.scored.get((contestant, age), {})

    def _days(self, since: date) -> list[date]:
        first = max(since, self.through - timedelta(HEAD_TO_HEAD_DAYS))
        return [first + timedelta(n) for n in range(1, (self.through - first).days + 1)]


def _alike(one: _Losses, other: _Losses) -> bool:
    """Whether both were scored on the same units in the same blocks.

    They did, unless the day was run again for some recipes only after the declaration's block or features had changed.
    """
    return np.array_equal(one.blocks, other.blocks) and np.array_equal(one.units, other.units)


def _pair(day: date, reference: _Losses, candidate: _Losses) -> PairedDay | None:
    """Both on one day; None where they can't be compared: such a day is no evidence until it is run again whole."""
    if not _alike(reference, candidate):
        return None
    return PairedDay.of(np.datetime64(day), reference.losses, candidate.losses, candidate.units)


def _groups(*columns: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """First and end of each run of rows that are equal in all columns."""
    start = 0
    for _, group in itertools.groupby(zip(*columns, strict=True)):
        end = start + sum(1 for _ in group)
        yield start, end
        start = end
