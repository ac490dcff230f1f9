"""The promotion ledger: append-only, one winner per epoch. A SQLite file by default, PostgreSQL for a team.

Writers of one use case come one after the other (`connecting.py`), the primary key admits one line per epoch,
and triggers refuse gaps, changes and deletions whoever connects (`schema.py`). The file keeps SQLite's rollback
journal: the ledger is one file, so a copy of the file is a backup. Every line is on the disk when ``append`` returns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from pipeline.adapters.ledger.connecting import only_read, opened, transaction
from pipeline.adapters.ledger.errors import address_of, secrets_of, shown, translate, unreachable
from pipeline.adapters.ledger.schema import ensure
from pipeline.adapters.ledger.tables import OUTCOMES, PROMOTIONS, TURNS
from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UnavailableError
from pipeline.core.records import DayOutcome, Entry


class SqlLedger:
    """The ledger behind an SQLAlchemy address such as ``sqlite:////data/ledger.db`` or ``postgresql+psycopg://…``."""

    def __init__(self, url: str, reading: bool = False) -> None:
        """Connect to nothing yet.

        Args:
            url: The address.
            reading: Whether nothing is to be written, not even a file that is missing.

        Raises:
            UsageError: That is no such address, or its database's driver is not installed.
        """
        address = address_of(url)
        self._where, self._secrets = shown(address), secrets_of(address)
        sqlite = address.get_backend_name() == "sqlite"
        self._file = Path(address.database) if sqlite and address.database else None
        self._engine = opened(only_read(address) if reading else address)
        self._ready = reading  # what is not there is not made

    def entries(self, usecase: str) -> Sequence[Entry]:
        """All lines, oldest first.

        Raises:
            RefusedError: With code ``CORRUPT`` if an epoch is missing: the file was tampered with or badly restored.
        """
        query = sa.select(PROMOTIONS).where(PROMOTIONS.c.usecase == usecase).order_by(PROMOTIONS.c.epoch)
        with self._transaction() as connection:
            entries = [Entry(**row) for row in connection.execute(query).mappings()]
        for expected, entry in enumerate(entries, start=1):
            if entry.epoch != expected:
                raise RefusedError(
                    f"the promotion ledger at {self._where} has no epoch {expected} of {usecase}, yet it has epoch "
                    f"{entry.epoch}: lines were removed; restore it from a backup",
                    "CORRUPT",
                )
        return entries

    def append(self, entry: Entry) -> None:
        """Add the line of ``entry.epoch``. The same line again (whenever it was written) is fine: a retry.

        Raises:
            ConflictError: If that epoch is taken by another, is not the next, or its day is earlier than the last.
        """
        try:
            with self._transaction(entry.usecase) as connection:
                if not self._is_written(connection, entry):
                    connection.execute(sa.insert(PROMOTIONS).values(**_values(entry)))
        except IntegrityError as error:
            # Somebody wrote between the look and the line who did not ask for the lock: no ledger of ours.
            with self._transaction() as connection:
                if not self._is_written(connection, entry):
                    raise UnavailableError(f"epoch {entry.epoch} of {entry.usecase} could not be written") from error

    def _is_written(self, connection: sa.Connection, entry: Entry) -> bool:
        """Whether this very line is there already; a ConflictError if it can't be added."""
        of_usecase = PROMOTIONS.c.usecase == entry.usecase
        taken = connection.execute(
            sa.select(PROMOTIONS).where(of_usecase, PROMOTIONS.c.epoch == entry.epoch)
        ).mappings()
        present = taken.one_or_none()
        if present is not None:
            if {**present, "at": ""} == {**_values(entry), "at": ""}:
                return True
            raise ConflictError(
                f"epoch {entry.epoch} of {entry.usecase} is taken: {present['action']} of version "
                f"{present['version']} ({present['recipe']}) by {present['by']}. Judge again, against that champion"
            )
        head = connection.execute(
            sa.select(PROMOTIONS.c.epoch, PROMOTIONS.c.day)
            .where(of_usecase)
            .order_by(PROMOTIONS.c.epoch.desc())
            .limit(1)
        ).one_or_none()
        epoch, day = (0, "") if head is None else (int(head.epoch), str(head.day))
        if entry.epoch != epoch + 1:
            raise ConflictError(
                f"epoch {entry.epoch} of {entry.usecase} is not the next: the ledger stands at {epoch}. Judge again, "
                f"against the champion of epoch {epoch}"
            )
        if entry.day < day:
            raise ConflictError(
                f"epoch {entry.epoch} of {entry.usecase} speaks of {entry.day}, but the champion was decided on with "
                f"the data of {day}; the past can't be promoted",
                "PAST",
            )
        return False

    def outcomes(self, usecase: str) -> Sequence[DayOutcome]:
        """The newest line of each day, by day.

        Raises:
            RefusedError: With code ``CORRUPT`` if a line can't be read: the file was tampered with or damaged.
        """
        newest = sa.select(sa.func.max(OUTCOMES.c.line)).where(OUTCOMES.c.usecase == usecase).group_by(OUTCOMES.c.day)
        query = sa.select(OUTCOMES.c.day, OUTCOMES.c.body).where(OUTCOMES.c.line.in_(newest))
        with self._transaction() as connection:
            lines = connection.execute(query.order_by(OUTCOMES.c.day)).all()
        return [self._outcome(usecase, str(line.day), line.body) for line in lines]

    def _outcome(self, usecase: str, day: str, body: str) -> DayOutcome:
        try:
            outcome = DayOutcome.from_dict(json.loads(body))
        except (ValueError, TypeError):
            outcome = None
        if outcome is None or (outcome.usecase, outcome.day) != (usecase, day) or not isinstance(outcome.losses, dict):
            raise RefusedError(
                f"the promotion ledger at {self._where} holds a damaged line about {usecase} on {day}; restore it from "
                f"a backup",
                "CORRUPT",
            )
        return outcome

    def conclude(self, outcome: DayOutcome) -> None:
        """Add a day's line, unless the newest line of that day says the same."""
        date.fromisoformat(outcome.day)
        body = json.dumps(outcome.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)
        of_the_day = (OUTCOMES.c.usecase == outcome.usecase, OUTCOMES.c.day == outcome.day)
        query = sa.select(OUTCOMES.c.body).where(*of_the_day).order_by(OUTCOMES.c.line.desc()).limit(1)
        try:
            with self._transaction(outcome.usecase) as connection:
                if connection.scalar(query) != body:
                    line = {"usecase": outcome.usecase, "day": outcome.day, "body": body}
                    connection.execute(sa.insert(OUTCOMES).values(**line))
        except IntegrityError as error:  # a restored database whose sequence stands below its lines
            raise translate(self._where, error, self._secrets) from error

    def take_turn(self, usecase: str, holder: str, alive: Callable[[str], bool]) -> str:
        """Become the one run of this use case at work, unless the present holder is alive; returns who holds.

        ``alive`` may be slow: no lock is held while it is asked, and the turn is taken only from the one asked about.
        """
        of_usecase = TURNS.c.usecase == usecase
        for _ in range(10):
            with self._transaction() as connection:
                present = connection.scalar(sa.select(TURNS.c.holder).where(of_usecase))
            if present is not None and (present == holder or alive(present)):
                return str(present)
            try:
                with self._transaction(usecase) as connection:
                    if present is None:
                        connection.execute(sa.insert(TURNS).values(usecase=usecase, holder=holder))
                        return holder
                    change = sa.update(TURNS).where(of_usecase, TURNS.c.holder == present).values(holder=holder)
                    if connection.execute(change).rowcount == 1:
                        return holder
            except IntegrityError:
                continue
        raise UnavailableError(f"the turn of {usecase} changes hands too fast; try again", "BUSY")

    @contextmanager
    def _transaction(self, writes: str = "") -> Iterator[sa.Connection]:
        """One transaction; with the name of a use case one that writes about it, after all others that do."""
        try:
            if not self._ready:
                self._prepare()
            with transaction(self._engine, writes and f"use case {writes}") as connection:
                yield connection
        except (PipelineError, IntegrityError):
            raise
        except DBAPIError as error:
            raise translate(self._where, error, self._secrets) from error

    def _prepare(self) -> None:
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise unreachable(self._where, error) from error
        ensure(self._engine, self._where)
        self._ready = True


def _values(entry: Entry) -> dict[str, Any]:
    return {field.name: getattr(entry, field.name) for field in fields(Entry)}
