"""What the steps need of the world, in our words: a protocol for each door.

Each has one adapter in ``pipeline/adapters``; :class:`Files` has two, a folder and an S3 bucket; :class:`Progress` has
one in ``report/progress.py`` for terminals and one in ``dags/loop/run.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, Protocol

from pipeline.core.ports.values import Checked, Commit, Delivery, Page, Rows, Units
from pipeline.core.records import DayOutcome, Entry
from pipeline.core.tables import Table
from pipeline.core.usecase import Tables, Usecase
from pipeline.core.verdict import Finding
from pipeline.core.windows import Days


class Landing(Protocol):
    """Where upstream delivers."""

    def fetch(self, table: Table, day: date) -> Delivery:
        """Read and type the file of that day.

        Raises:
            RefusedError: The file is there and can't be used; a code and a sentence of its own for each fault.
            UnavailableError: It is not there, or can't be read now: code ``MISSING``, ``SLOW`` or another.
        """

    def has(self, table: Table, day: date) -> bool:
        """Whether anything was delivered for that day."""

    def digest(self, table: Table, day: date) -> str | None:
        """SHA-256 of the delivered bytes, None if there are none, empty if they can't be read; cheaper than a fetch.

        An upstream that is too slow raises, as in a fetch.
        """


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
        """Write once, atomically; returns the SHA-256 in hex. The same bytes again change nothing.

        Raises:
            ConflictError: The file is there with other bytes.
        """

    def get(self, name: str, sha256: str | None = None) -> bytes:
        """The bytes.

        Raises:
            RefusedError: With code ``TAMPERED``: they do not have the digest ``sha256``; ``MISSING``: there is no such
                file.
        """

    def exists(self, name: str) -> bool:
        """Whether the file is there."""


class Engine(Protocol):
    """Computes features from pinned tables."""

    def check(self, usecase: Usecase) -> None:
        """Try the features without rows.

        Raises:
            UsageError: They can't be computed whatever the rows are, or make an input that is no number and no word.
        """

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
        """The most memory that each model needs to be loaded and to answer ``inputs``.

        Args:
            models: The bytes of each model's skops file.
            inputs: A pandas frame of a day's inputs.

        Returns:
            Peak resident bytes of a process of its own, libraries included, one number per model; NaN: unknown.
        """


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
        """Make a version of a model, or find the one that an earlier call made.

        Args:
            usecase: The use case's name, under which its versions are counted.
            key: Idempotency key, a digest of use case and model: the same key is the same version.
            run: The registry's run that judged the model, as :meth:`record` returned it.
            model: The bytes of the model's skops file.
            sha256: Digest of those bytes in hex; kept with the version.
            tags: Text that people and programs read on the version's page.
            example: A pandas frame with a few rows of inputs: what the model is asked with, and in which types. None:
                the version gets no example.

        Returns:
            The version's number, from 1 on.
        """

    def annotate_version(self, usecase: str, version: int, name: str, text: str) -> None:
        """Say of a version what became of it, as a tag and atop its description; nothing where that is said already.

        Args:
            usecase: The use case's name.
            version: The version's number.
            name: The tag, such as ``rolled_back``.
            text: What became of it, for people.
        """

    def aliases(self, usecase: str) -> Mapping[str, int]:
        """Alias to version."""

    def digests(self, usecase: str, versions: Collection[int]) -> Mapping[int, str]:
        """Of these versions those that are there, each with the SHA-256 it was registered with, in hex.

        A version's number is no identity: it is given anew after the registered model was deleted. Empty text: the
        version was made by somebody else, or its digest was taken away.
        """

    def use_up(self, usecase: str, version: int) -> None:
        """Leave a number unused, so that the next version gets the one after it; nothing where it is used already."""

    def set_alias(self, usecase: str, alias: str, version: int | None) -> None:
        """Let the alias name that version; None removes it."""

    def artifact(self, usecase: str, version: int) -> tuple[bytes, Mapping[str, str]]:
        """The skops file of a version and the version's tags."""

    def restore(self, usecase: str, version: int, model: bytes) -> None:
        """Put a version's skops file back in place of what lies there."""


class PromotionLedger(Protocol):
    """The promotion ledger: append-only, one winner per epoch. The truth of who is champion."""

    def entries(self, usecase: str) -> Sequence[Entry]:
        """All lines, oldest first."""

    def append(self, entry: Entry) -> None:
        """Add the line of ``entry.epoch``; the same line again changes nothing.

        Raises:
            ConflictError: That epoch is taken by another line or is not the next one, or the day goes back.
        """

    def outcomes(self, usecase: str) -> Sequence[DayOutcome]:
        """The newest line of each day, by day."""

    def conclude(self, outcome: DayOutcome) -> None:
        """Add a day's line; the same line again changes nothing."""

    def take_turn(self, usecase: str, holder: str, alive: Callable[[str], bool]) -> str:
        """Become the one run of this use case at work, unless the present holder is alive; returns who holds."""


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
