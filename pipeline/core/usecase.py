"""The declaration of one use case: a frozen value that refuses nonsense at import, in a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.core.facts import OF_ONE_COLUMN, Columns, Excuse, Fact, Fixed
from pipeline.core.golden import Case
from pipeline.core.tables import Feed, Frame, Reference, Table
from pipeline.core.waivers import Waiver, waiver_errors

if TYPE_CHECKING:
    from pipeline.core.gates import Gate
    from pipeline.core.kinds import Kind

#: Table name to frame, all columns as declared plus ``day``; references hold each day's snapshot as of that day.
Tables = Mapping[str, Frame]

_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a candidate is made: an estimator, the days it learns from, a seed.

    Attributes:
        name: Its name within the use case.
        build: Seed to an unfitted scikit-learn estimator that takes the feature columns as a pandas frame.
        window: How many days before the scored day it trains on.
        at_least: With fewer labelled days than this in the window it is not fitted.
        seed: The fixed seed.
    """

    name: str
    build: Callable[[int], Any]
    window: int
    at_least: int = 7
    seed: int = 20130101

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"recipe name '{self.name}' must be lower case letters, digits and '_'")
        if not 1 <= self.at_least <= self.window:
            raise ValueError(
                f"recipe '{self.name}': at_least must lie between 1 and the window of {self.window} days, "
                f"got {self.at_least}"
            )


@dataclass(frozen=True, slots=True)
class Promotion:
    """How a winner becomes champion.

    Attributes:
        approval: ``"auto"``, or ``"person"``: somebody must say yes in Airflow.
        approvers: Airflow user names who may answer; empty: whoever Airflow lets answer (on the team's stack the roles
            Approver and Admin). Name two: nobody answers for another.
        deadline_hours: How long a person has. Nobody answers: the champion stays, the run says so.
        ship: ``"refit"``: the winner's recipe fitted once more with the scored day among what it learns from, if that
            changes no more than refitting does; ``"scored"``: the very fit that was scored.
    """

    approval: Literal["auto", "person"] = "auto"
    approvers: tuple[str, ...] = ()
    deadline_hours: float = 20.0
    ship: Literal["scored", "refit"] = "refit"

    def __post_init__(self) -> None:
        if self.approval not in ("auto", "person"):
            raise ValueError(f"approval is 'auto' or 'person', got '{self.approval}'")
        if self.ship not in ("scored", "refit"):
            raise ValueError(f"what is shipped is 'scored' or 'refit', got '{self.ship}'")
        if isinstance(self.approvers, str) or not all(
            isinstance(name, str) and name.strip() for name in self.approvers
        ):
            raise ValueError(f'approvers are names, as in ("ada", "grace"), got {self.approvers!r}')
        if not 0 < self.deadline_hours <= 24 * 14:
            raise ValueError(
                f"the approval deadline must be above 0 and at most two weeks, got {self.deadline_hours} h"
            )


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the daily run starts.

    Attributes:
        cron: Five cron fields, in ``timezone``; each firing handles the data day that closed before it.
        timezone: IANA name.
        first: The first data day, or None: from now on.
        last: The last data day; after it the schedule is quiet. None: for ever.
    """

    cron: str = "0 6 * * *"
    timezone: str = "UTC"
    first: date | None = None
    last: date | None = None


@runtime_checkable
class _Particular(Protocol):
    """A gate that not every kind can be asked."""

    def unfit(self, kind: Kind) -> str: ...


@dataclass(frozen=True, slots=True)
class _OneOf:
    """Whether each word of a column is one of these; rows without a word are left out."""

    column: str
    words: tuple[str, ...]

    def __call__(self, columns: Columns) -> NDArray[np.bool_]:
        is_allowed = [value in self.words for value in columns[self.column].tolist() if value is not None]
        return np.array(is_allowed, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Usecase:
    """One model in production: its question, its data, its recipes, its gates.

    Attributes:
        name: Its name in Airflow, MLflow and the store.
        question: The question a prediction answers.
        kind: What a prediction is and what being wrong costs.
        unit: The columns that name one unit of prediction; a subset of the first feed's key or all of it.
        feeds: Daily tables; the first one holds the units, a row each.
        references: Reference tables.
        features: Tables to one row per unit, with the columns ``day``, the unit's, ``predicted_at`` (timestamp, UTC),
            the inputs, the target (a number; for a kind with classes the word, or its number), ``unlabelled`` (a word
            why a unit has no label, else null), the block's, the slices' and the keys.
        inputs: The feature columns that reach the estimator, in order.
        history: How many days before a unit's own day the features look back.
        recipes: The candidates' recipes; at least one. In the order of their simplicity, the simplest first: what
            :class:`~pipeline.core.gates.simplicity.SimplerPreferred` means by simpler.
        baseline: A plain rule, as a team had before it had a model; it is the first champion.
        block: Columns that name the units that fail together within a day; the resampling unit of intervals.
        slices: Columns whose every value with enough rows must hold up by itself.
        keys: Columns of the first feed (words or whole numbers) that the features hand on and whose values come and go,
            such as an aircraft's number: units whose value no day of the longest training window had are a slice of
            their own, ``new_<column>=yes``.
        gates: The questions a candidate must pass.
        promotion: How a winner becomes champion.
        schedule: When the daily run starts.
        label_delay: After how many days a unit's label is known.
        evidence: How many days of the score ledger the gates read.
        lookback: For how many past days ingest looks for late and corrected deliveries.
        facts: Identities between columns that sound data never breaks.
        excuses: Real changes that a person has named, so that they stop no day.
        golden: Reviewed cases that any model must get right: ``cases(text, inputs)`` of a file beside the declaration.
        waivers: Gates that somebody answers for, each until a day.
    """

    name: str
    question: str
    kind: Kind
    unit: tuple[str, ...]
    feeds: tuple[Feed, ...]
    references: tuple[Reference, ...]
    features: Callable[[Tables], Frame]
    inputs: tuple[str, ...]
    history: int
    recipes: tuple[Recipe, ...]
    baseline: Recipe
    block: tuple[str, ...]
    slices: tuple[str, ...]
    gates: tuple[Gate, ...]
    promotion: Promotion = field(default_factory=Promotion)
    schedule: Schedule = field(default_factory=Schedule)
    label_delay: int = 0
    evidence: int = 14
    lookback: int = 14
    facts: tuple[Fact | Fixed, ...] = ()
    keys: tuple[str, ...] = ()
    excuses: tuple[Excuse, ...] = ()
    golden: tuple[Case, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    def __post_init__(self) -> None:
        def refuse(why: str) -> None:
            raise ValueError(f"use case '{self.name}' {why}")

        if not _NAME.fullmatch(self.name):
            refuse("must be named by lower case letters, digits and '_'")
        if not self.gates:
            refuse("declares no gate; a model with no gate cannot ship: add one from pipeline.core.gates")
        if not self.recipes:
            refuse("declares no recipe; there is nothing to retrain")
        if not self.feeds:
            refuse("declares no feed; its first feed holds the units")
        names = [recipe.name for recipe in (*self.recipes, self.baseline)]
        if len(set(names)) < len(names) or "champion" in names:
            refuse(f"needs distinct recipe names other than 'champion', got {', '.join(names)}")
        tables = [table.name for table in self.tables]
        if len(set(tables)) < len(tables):
            refuse(f"needs distinct table names, got {', '.join(tables)}")
        if not self.inputs or self.kind.target in self.inputs:
            refuse(f"needs inputs, and its target '{self.kind.target}' can't be one of them")
        units = {column.name: column for column in self.feeds[0].columns}
        leaking = [name for name in self.inputs if name in units and units[name].outcome]
        if leaking:
            refuse(f"feeds {', '.join(leaking)} to the model, which is known only after the fact")
        if not set(self.unit) <= set(units):
            refuse(f"names its units by {self.unit}, which feed '{self.feeds[0].name}' does not have")
        if min(self.label_delay, self.history, self.lookback) < 0 or self.evidence < 2:
            refuse("needs label_delay, history and lookback of at least 0 and evidence of at least 2 days")
        checked = (self._wrong_keys(), self._unfit_gates(), self._alien_cases(), self._wrong_waivers())
        for why in chain(*checked, self._vain_excuses()):
            refuse(why)
        strays = [fact.name for fact in self.facts if fact.about not in tables]
        if strays:
            refuse(f"declares facts about tables that it does not read: {', '.join(strays)}")

    def _wrong_keys(self) -> Iterator[str]:
        feed = self.feeds[0]
        types = {column.name: column.type for column in feed.columns}
        strange = [name for name in self.keys if types.get(name) not in ("string", "integer")]
        if strange:
            yield f"names keys that are no words or whole numbers of feed '{feed.name}': {', '.join(strange)}"
        twice = [name for name in self.slices if name in {f"new_{key}" for key in self.keys}]
        if twice:
            yield f"declares the slice {', '.join(twice)}, which its keys make by themselves"

    def _unfit_gates(self) -> Iterator[str]:
        for gate in self.gates:
            why = gate.unfit(self.kind) if isinstance(gate, _Particular) else ""
            if why:
                yield f"declares the gate '{gate.name}', but its kind {why}"
            # Nothing is fewer than NaN, so a gate that needs so many would never say that there are too few.
            numbers: list[Any] = (
                [(one.name, getattr(gate, one.name)) for one in fields(gate)] if is_dataclass(gate) else []
            )
            for name, value in numbers:
                if isinstance(value, float) and math.isnan(value):
                    yield f"declares the gate '{gate.name}', whose {name} is no number"

    def _alien_cases(self) -> Iterator[str]:
        alien = [case.name for case in self.golden if not case.has_columns(self.inputs)]
        if alien:
            yield f"has golden cases of other inputs than its own, such as '{alien[0]}'; read them by cases()"

    def _vain_excuses(self) -> Iterator[str]:
        """Slips of the pen that would cover nothing, and be noticed on the first day that is refused all the same."""
        columns = {table.name: [column.name for column in table.columns] for table in self.tables}
        for excuse in self.excuses:
            table = excuse.finding.partition(": ")[0]
            if not excuse.question or table not in columns:
                yield f"has an excuse for '{excuse.finding}', which is of none of its tables: {', '.join(columns)}"
            elif excuse.column and excuse.question in OF_ONE_COLUMN and excuse.column not in columns[table]:
                yield f"has an excuse for '{excuse.finding}' of a column that '{table}' lacks: '{excuse.column}'"

    def _wrong_waivers(self) -> Iterator[str]:
        if self.waivers:
            yield from waiver_errors(
                self.waivers, [gate.name for gate in self.gates], [one.name for one in self.recipes]
            )

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, feeds first."""
        return (*self.feeds, *self.references)

    def recipe(self, name: str) -> Recipe:
        """The recipe (or baseline) of that name; ``KeyError`` with a sentence if there is none."""
        for recipe in (*self.recipes, self.baseline):
            if recipe.name == name:
                return recipe
        known = ", ".join(recipe.name for recipe in self.recipes)
        raise KeyError(f"use case '{self.name}' has no recipe '{name}'; it has {known}")

    @property
    def all_facts(self) -> tuple[Fact | Fixed, ...]:
        """The declared facts, and what follows from a label that arrives as a word: it is one of the classes."""
        feed, classes = self.feeds[0], self.kind.classes
        if not any(column.name == self.kind.target and column.type == "string" for column in feed.columns if classes):
            return self.facts
        name = f"'{self.kind.target}' is one of {', '.join(classes)}"
        why = "correct the delivery, or add the word to the kind's classes"
        return (*self.facts, Fact(name, feed.name, _OneOf(self.kind.target, classes), why))

    @property
    def longest_window(self) -> int:
        """The most days any recipe trains on."""
        return max(recipe.window for recipe in (*self.recipes, self.baseline))
