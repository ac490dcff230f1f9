"""The promotion ledger: append-only, one winner per epoch. A SQLite file by default, any SQLAlchemy address if need be.

Of two writers of one epoch the primary key admits one; on SQLite a write transaction moreover starts with the write
lock, and triggers refuse gaps, changes and deletions whoever connects. The file keeps SQLite's rollback journal: the
ledger is one file, so a copy of the file is a backup, and every line is on the disk when ``append`` returns.
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
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from pipeline.adapters.ledger_errors import address_of, secrets_of, shown, translate, undriven, unreachable
from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UnavailableError
from pipeline.core.records import DayOutcome, Entry

_META = sa.MetaData()
_PROMOTIONS = sa.Table(
    "promotions",
    _META,
    sa.Column("usecase", sa.String(80), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("model", sa.String(80), nullable=False),
    sa.Column("recipe", sa.String(80), nullable=False),
    sa.Column("trained_through", sa.String(10), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("replaced", sa.Integer),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("verdict", sa.String(64), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("held", sa.String(80), nullable=False),
    sa.Column("held_until", sa.String(10), nullable=False),
)
_OUTCOMES = sa.Table(
    "outcomes",
    _META,
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("usecase", sa.String(80), nullable=False, index=False),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
_TURNS = sa.Table(
    "turns",
    _META,
    sa.Column("usecase", sa.String(80), primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
)
_TRIGGERS = (
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for table in ("promotions", "outcomes")
        for verb in ("UPDATE", "DELETE")
    ),
    # Also keeps INSERT OR REPLACE, which fires no trigger for the row that it deletes, from rewriting a line.
    """CREATE TRIGGER IF NOT EXISTS promotions_next BEFORE INSERT ON promotions
       WHEN NEW.epoch <> (SELECT coalesce(max(epoch), 0) + 1 FROM promotions WHERE usecase = NEW.usecase)
       BEGIN SELECT RAISE(ABORT, 'not the next epoch'); END""",
    """CREATE TRIGGER IF NOT EXISTS outcomes_new BEFORE INSERT ON outcomes
       WHEN NEW.line IN (SELECT line FROM outcomes)
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    "CREATE INDEX IF NOT EXISTS outcomes_by_day ON outcomes (usecase, day, line)",
)
_BUSY_SECONDS = 30


class SqlLedger:
    """The ledger behind an SQLAlchemy address such as ``sqlite:////data/ledger.db`` or ``postgresql+psycopg://…``."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Raises:
            UsageError: That is no such address, or its database's driver is not installed.
        """
        address = address_of(url)
        self._where, self._secrets = shown(address), secrets_of(address)
        self._sqlite = address.get_backend_name() == "sqlite"
        self._file = Path(address.database) if self._sqlite and address.database else None
        arguments = {"timeout": _BUSY_SECONDS} if self._sqlite else {}
        try:
            # No pool: a task that was forked must not share a connection with its parent.
            self._engine = sa.create_engine(address, poolclass=NullPool, connect_args=arguments)
        except (ArgumentError, ImportError) as error:
            raise undriven(self._where, error) from error
        if self._sqlite:
            sa.event.listen(self._engine, "connect", _on_connect)
            sa.event.listen(self._engine, "begin", _on_begin)
        self._ready = False

    def entries(self, usecase: str) -> Sequence[Entry]:
        """All lines, oldest first.

        Raises:
            RefusedError: With code ``CORRUPT`` if an epoch is missing: the file was tampered with or badly restored.
        """
        query = sa.select(_PROMOTIONS).where(_PROMOTIONS.c.usecase == usecase).order_by(_PROMOTIONS.c.epoch)
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
            with self._transaction(write=True) as connection:
                if not self._there(connection, entry):
                    connection.execute(sa.insert(_PROMOTIONS).values(**_values(entry)))
        except IntegrityError as error:
            # Not on SQLite, where the lock comes first: elsewhere somebody was first between the look and the line.
            with self._transaction() as connection:
                if not self._there(connection, entry):
                    raise UnavailableError(f"epoch {entry.epoch} of {entry.usecase} could not be written") from error

    def _there(self, connection: sa.Connection, entry: Entry) -> bool:
        """Whether this very line is there already; a ConflictError if it can't be added."""
        mine = _PROMOTIONS.c.usecase == entry.usecase
        taken = connection.execute(sa.select(_PROMOTIONS).where(mine, _PROMOTIONS.c.epoch == entry.epoch)).mappings()
        present = taken.one_or_none()
        if present is not None:
            if {**present, "at": ""} == {**_values(entry), "at": ""}:
                return True
            raise ConflictError(
                f"epoch {entry.epoch} of {entry.usecase} is taken: {present['action']} of version "
                f"{present['version']} ({present['recipe']}) by {present['by']}. Judge again, against that champion"
            )
        head = connection.execute(
            sa.select(_PROMOTIONS.c.epoch, _PROMOTIONS.c.day).where(mine).order_by(_PROMOTIONS.c.epoch.desc()).limit(1)
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
                f"the data of {day}; the past can't be crowned",
                "PAST",
            )
        return False

    def outcomes(self, usecase: str) -> Sequence[DayOutcome]:
        """The newest line of each day, by day.

        Raises:
            RefusedError: With code ``CORRUPT`` if a line can't be read: the file was tampered with or damaged.
        """
        newest = (
            sa.select(sa.func.max(_OUTCOMES.c.line)).where(_OUTCOMES.c.usecase == usecase).group_by(_OUTCOMES.c.day)
        )
        query = sa.select(_OUTCOMES.c.day, _OUTCOMES.c.body).where(_OUTCOMES.c.line.in_(newest))
        with self._transaction() as connection:
            lines = connection.execute(query.order_by(_OUTCOMES.c.day)).all()
        return [self._outcome(usecase, str(line.day), line.body) for line in lines]

    def _outcome(self, usecase: str, day: str, body: str) -> DayOutcome:
        try:
            found = DayOutcome.from_dict(json.loads(body))
        except (ValueError, TypeError):
            found = None
        if found is None or (found.usecase, found.day) != (usecase, day) or not isinstance(found.losses, dict):
            raise RefusedError(
                f"the promotion ledger at {self._where} holds a damaged line about {usecase} on {day}; restore it from "
                f"a backup",
                "CORRUPT",
            )
        return found

    def conclude(self, outcome: DayOutcome) -> None:
        """Add a day's line, unless the newest line of that day says the same."""
        date.fromisoformat(outcome.day)
        body = json.dumps(outcome.to_dict(), sort_keys=True, ensure_ascii=False, allow_nan=False)
        mine = (_OUTCOMES.c.usecase == outcome.usecase, _OUTCOMES.c.day == outcome.day)
        query = sa.select(_OUTCOMES.c.body).where(*mine).order_by(_OUTCOMES.c.line.desc()).limit(1)
        with self._transaction(write=True) as connection:
            if connection.scalar(query) != body:
                line = {"usecase": outcome.usecase, "day": outcome.day, "body": body}
                connection.execute(sa.insert(_OUTCOMES).values(**line))

    def take_turn(self, usecase: str, holder: str, alive: Callable[[str], bool]) -> str:
        """Become the one run of this use case at work, unless the present holder is alive; returns who holds.

        ``alive`` may be slow: no lock is held while it is asked, and the turn is taken only from the one asked about.
        """
        mine = _TURNS.c.usecase == usecase
        for _ in range(10):
            with self._transaction() as connection:
                present = connection.scalar(sa.select(_TURNS.c.holder).where(mine))
            if present is not None and (present == holder or alive(present)):
                return str(present)
            try:
                with self._transaction(write=True) as connection:
                    if present is None:
                        connection.execute(sa.insert(_TURNS).values(usecase=usecase, holder=holder))
                        return holder
                    change = sa.update(_TURNS).where(mine, _TURNS.c.holder == present).values(holder=holder)
                    if connection.execute(change).rowcount == 1:
                        return holder
            except IntegrityError:
                continue
        raise UnavailableError(f"the turn of {usecase} changes hands too fast; try again", "BUSY")

    @contextmanager
    def _transaction(self, write: bool = False) -> Iterator[sa.Connection]:
        try:
            self._prepare()
            with self._engine.connect().execution_options(ledger_write=write) as connection, connection.begin():
                yield connection
        except (PipelineError, IntegrityError):
            raise
        except DBAPIError as error:
            raise translate(self._where, error, self._secrets) from error

    def _prepare(self) -> None:
        if self._ready:
            return
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise unreachable(self._where, error) from error
        with self._engine.connect().execution_options(ledger_write=True) as connection, connection.begin():
            for table in _META.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
            if self._sqlite:
                for trigger in _TRIGGERS:
                    connection.exec_driver_sql(trigger)
        self._ready = True


def _on_connect(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: `_on_begin` says which kind.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _on_begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("ledger_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _values(entry: Entry) -> dict[str, Any]:
    return {field.name: getattr(entry, field.name) for field in fields(Entry)}
