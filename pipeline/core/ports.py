"""What the steps need of the world, in our words. Each protocol has one adapter in ``pipeline/adapters``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.core.kinds import Floats
from pipeline.core.records import DayOutcome, Entry
from pipeline.core.tables import Table
from pipeline.core.usecase import Tables, Usecase
from pipeline.core.verdict import Finding
from pipeline.core.windows import Days

#: A pyarrow table. Only adapters and use cases look inside.
Rows = Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that was read in full and found sound.

    Attributes:
        rows: The typed rows, as declared.
        sha256: Digest of the file's bytes.
        content: Digest of the rows without their date of refreshing: equal content, equal digest.
        rejects: ``(line, reason, text)`` of rows that broke the declared types, at most the declared share.
        file: Where it came from.
    """

    rows: Rows
    sha256: str
    content: str
    rejects: Sequence[tuple[int, str, str]]
    file: str


class Landing(Protocol):
    """Where upstream delivers."""

    def fetch(self, table: Table, day: date) -> Delivery:
        """Read and type the file of that day; ``RefusedError`` with its own code and sentence for each fault."""

    def has(self, table: Table, day: date) -> bool:
        """Whether anything was delivered for that day."""

    def digest(self, table: Table, day: date) -> str | None:
        """SHA-256 of the delivered bytes, None if there are none, empty if they can't be read; cheaper than a fetch.

        An upstream that is too slow raises, as in a fetch.
        """


@dataclass(frozen=True, slots=True)
class Commit:
    """What a write did: the table's version after it, and whether it changed anything."""

    version: int
    changed: bool


class Store(Protocol):
    """Tables with versions, partitioned by ``day``. A write is one atomic commit; a version never changes."""

    def write_day(self, table: str, day: date, rows: Rows, sha256: str = "", content: str = "") -> Commit:
        """Replace one day by ``rows``. The same ``sha256`` already there for that day: nothing is written.

        Two writers of one day: one commits, the other sees that nothing is left to do or replaces in turn.
        """

    def version(self, table: str) -> int | None:
        """The newest version, or None if the table has none."""

    def read(self, table: str, version: int, days: Days | None = None, columns: Sequence[str] | None = None) -> Rows:
        """The rows of these days as of that version, without the store's own columns."""

    def marks(self, table: str, version: int, days: Days | None = None) -> Mapping[date, Mapping[str, Any]]:
        """Day to ``{"rows": int, "sha256": str, "content": str}``, without reading the rows."""


class Files(Protocol):
    """Immutable files by name, below one root. Names are relative, with forward slashes."""

    def put(self, name: str, data: bytes) -> str:
        """Write once, atomically; returns the SHA-256. The same bytes again are fine, others a ConflictError."""

    def get(self, name: str, sha256: str | None = None) -> bytes:
        """The bytes; ``RefusedError`` with code ``TAMPERED`` if they do not have that digest, ``MISSING`` if absent."""

    def exists(self, name: str) -> bool:
        """Whether the file is there."""


@dataclass(frozen=True, slots=True)
class Units:
    """One row per unit of some days, aligned: what recipes learn from and what is scored.

    Attributes:
        inputs: A pandas frame of the use case's inputs.
        labels: Floats; NaN where the unit has no label.
        unlabelled: Why there is no label, as a word; empty where there is one.
        days: ``datetime64[D]``.
        predicted_at: The moment of the prediction, ``datetime64[us]``, UTC.
        keys: The unit's name, one string.
        blocks: The block's name within its day.
        slices: Slice column to its value per unit, strings.
        named: Key column (:attr:`Usecase.keys`) to its value per unit, strings; empty where there is none.
    """

    inputs: Any
    labels: Floats
    unlabelled: NDArray[np.str_]
    days: NDArray[np.datetime64]
    predicted_at: NDArray[np.datetime64]
    keys: NDArray[np.str_]
    blocks: NDArray[np.str_]
    slices: Mapping[str, NDArray[np.str_]]
    named: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: NDArray[np.bool_]) -> Units:
        """The units for which ``mask`` is true, in the same order."""
        return Units(
            inputs=self.inputs[mask].reset_index(drop=True),
            labels=self.labels[mask],
            unlabelled=self.unlabelled[mask],
            days=self.days[mask],
            predicted_at=self.predicted_at[mask],
            keys=self.keys[mask],
            blocks=self.blocks[mask],
            slices={name: values[mask] for name, values in self.slices.items()},
            named={name: values[mask] for name, values in self.named.items()},
        )


class Engine(Protocol):
    """Computes features from pinned tables."""

    def units(self, usecase: Usecase, versions: Mapping[str, int], days: Days, without: Iterable[date] = ()) -> Units:
        """The units of ``days``, sorted by day and key; days in ``without`` (refused ones) are invisible throughout."""

    def tables(self, usecase: Usecase, versions: Mapping[str, int], days: Days, without: Iterable[date] = ()) -> Tables:
        """What the features of ``days`` are computed from, in memory, with the columns that say when a row is known."""


class Models(Protocol):
    """Fitted estimators as files that load without running code."""

    def save(self, folder: str, estimator: Any) -> tuple[str, str]:
        """Write ``<folder>/<sha256>.skops``; returns that name and the SHA-256 of the file."""

    def load(self, name: str, sha256: str) -> Any:
        """The estimator; refuses a file with another digest before it opens it, and any type not on the allow-list."""

    def open(self, data: bytes, what: str) -> Any:
        """The estimator of a file's bytes, whose digest was found right; ``what`` names it in a refusal."""

    def peak_memory(self, models: Sequence[bytes], inputs: Any) -> Sequence[float]:
        """Peak resident bytes of a process that loads the model and answers ``inputs``, one for each; NaN: unknown."""


@dataclass(frozen=True, slots=True)
class Data:
    """What a run has read, by name: never the rows themselves.

    Attributes:
        name: What people call it, such as the table's name.
        digest: Tells this state of it from another one; 36 characters at most.
        role: What it was for, such as ``training`` or ``evaluation``.
        table, version: The store's table, and its version.
        profile: A few figures of it, such as its rows.
    """

    name: str
    digest: str
    role: str
    table: str
    version: int
    profile: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What a person should see of one run in the registry.

    Attributes:
        title: The run's name, such as ``2013-03-08 ‖ held``: lists cut the end off.
        key: Idempotency key: the same key is the same run.
        tags, params: Text.
        metrics: Numbers; not-a-number is left out.
        files: Name of the artifact to its bytes.
        children: Nested runs, one per recipe.
        data: What it has read.
    """

    title: str
    key: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]
    children: Sequence[Page] = ()
    data: Sequence[Data] = ()


class Registry(Protocol):
    """Runs, versions and aliases, as people see them. Every call may be repeated."""

    def record(self, usecase: str, page: Page) -> str:
        """Make or find the run of ``page.key``, bring it to this content, return its id."""

    def rename(self, run: str, title: str) -> None:
        """Give a run another title: it ended otherwise than it was recorded."""

    def chart(self, usecase: str, metric: str, lines: Mapping[str, Mapping[date, float]]) -> None:
        """Show a line per contestant, a point a day; a line that is there already is brought to these points."""

    def address(self, usecase: str, run: str, file: str = "") -> str:
        """Where a person opens the run, or a file of it, in a browser; empty where no server shows it."""

    def register(
        self,
        usecase: str,
        key: str,
        run: str,
        model: bytes,
        sha256: str,
        tags: Mapping[str, str],
        example: Any | None = None,
    ) -> int:
        """Make or find the version of ``key`` from a skops file's bytes; returns its number.

        ``example`` is a pandas frame with a few rows of inputs: what the model is asked with, and in which types.
        """

    def annotate_version(self, usecase: str, version: int, name: str, text: str) -> None:
        """Say of a version what became of it, as a tag and atop its description; nothing where that is said already."""

    def aliases(self, usecase: str) -> Mapping[str, int]:
        """Alias to version."""

    def set_alias(self, usecase: str, alias: str, version: int | None) -> None:
        """Set the alias, or remove it with None."""

    def artifact(self, usecase: str, version: int) -> tuple[bytes, Mapping[str, str]]:
        """The skops file of a version and the version's tags."""


class PromotionLedger(Protocol):
    """The promotion ledger: append-only, one winner per epoch. The truth of who is champion."""

    def entries(self, usecase: str) -> Sequence[Entry]:
        """All lines, oldest first."""

    def append(self, entry: Entry) -> None:
        """Add the line of ``entry.epoch``; ``ConflictError`` if that epoch is taken by another or not the next."""

    def outcomes(self, usecase: str) -> Sequence[DayOutcome]:
        """The newest line of each day, by day."""

    def conclude(self, outcome: DayOutcome) -> None:
        """Add a day's line; the same line again changes nothing."""

    def take_turn(self, usecase: str, holder: str, alive: Callable[[str], bool]) -> str:
        """Become the one run of this use case at work, unless the present holder is alive; returns who holds."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a suite said of a table: its findings and the pages (name to HTML bytes) for people."""

    findings: tuple[Finding, ...]
    pages: Mapping[str, bytes]


class Checker(Protocol):
    """Runs a declared suite of expectations over a table's day."""

    def check(self, usecase: str, table: str, day: date, rows: Rows) -> Checked:
        """No rows are one UNKNOWN finding.

        Raises:
            RefusedError: With code ``SUITE``: the suite is absent or says nothing.
        """

    def check_days(self, usecase: str, table: str, days: Mapping[date, Rows]) -> Mapping[date, tuple[Finding, ...]]:
        """The findings of each of many days, without pages: cheaper than as many checks."""

    def digest(self, usecase: str, tables: Iterable[str]) -> str:
        """Names the suites of these tables: a changed suite has another digest."""


class Progress(Protocol):
    """Shows how far long work has come."""

    def __call__(self, label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """A context whose value is called once for each part done."""


@contextmanager
def silent(label: str, total: int) -> Iterator[Callable[[], None]]:
    """The Progress port that shows nothing: for Airflow's tasks, whose log needs no bar."""
    del label, total
    yield lambda: None


@dataclass(frozen=True, slots=True)
class World:
    """All ports, in one hand. Built by ``adapters.world`` from the environment, or in memory by tests.

    Attributes:
        code: Digest of the product's own source, which is kept with what was judged.
        computes: Digest of the part of it that computes features and fits, and of the libraries under it: part of
            every model's identity.
        source: Digest of what a function is made of: the statements that it needs, wherever they stand; tells a recipe
            that was changed from the one that earned the evidence.
        libraries: Digest of the versions of the libraries that a function imports: part of a model's identity, but the
            evidence that a recipe has earned outlives an upgrade.
    """

    landing: Landing
    store: Store
    files: Files
    engine: Engine
    models: Models
    registry: Registry
    ledger: PromotionLedger
    checker: Checker
    progress: Progress
    code: str = ""
    compute_digest: str = ""
    source_digest_of: Callable[[Callable[..., Any]], str] = lambda _: ""
    library_digest_of: Callable[[Callable[..., Any]], str] = lambda _: ""
