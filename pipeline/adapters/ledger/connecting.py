"""How the promotion ledger connects, and who waits for whom there. Part of the ledger adapter.

A transaction that writes names what it is about to lock, as the execution option ``ledger_lock``; one that only reads
names nothing. On SQLite any such name means the file's one write lock. On PostgreSQL it is an advisory lock, held until
the transaction ends: writers of one use case come one after the other, so "look, then write" is as serial as on SQLite.

There, no transaction of ours can fail to be serialised: it reads what is committed, statement by statement, which is
right because the lock comes before the first look. Nor can two of them wait for each other: a writer takes one lock,
then touches one table; who makes the tables takes another lock, which no writer asks for while it holds its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from pipeline.adapters.ledger.errors import shown, undriven

BUSY_SECONDS = 30
# Longest silence of a server before a connection to it is given up: 30 s + 3 times 10 s.
_POSTGRES = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "application_name": "promotion ledger",
    "client_encoding": "utf8",
}
# For this transaction only, so that a pooler between us and the server may share its connections. A worker that was
# stopped in a transaction loses it, and the lock with it. A line counts as written when it is on the disk; a server
# that promises more (`remote_apply`) keeps its promise.
_SETTINGS = sa.text(
    """SELECT set_config('lock_timeout', :busy, true), set_config('statement_timeout', :long, true),
              set_config('idle_in_transaction_session_timeout', :long, true),
              set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                         WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)"""
)


def opened(address: sa.URL) -> sa.Engine:
    """An engine that has connected to nothing yet.

    Raises:
        UsageError: No driver is installed for such an address.
    """
    # No pool: a task that was forked must not share a connection with its parent.
    options: dict[str, Any] = {"poolclass": NullPool}
    backend = address.get_backend_name()
    if backend == "sqlite":
        options["connect_args"] = {"timeout": BUSY_SECONDS}
    elif backend == "postgresql":
        # What the address says goes before what we think.
        arguments: dict[str, Any] = {name: value for name, value in _POSTGRES.items() if name not in address.query}
        if address.get_driver_name() == "psycopg":
            arguments["prepare_threshold"] = None  # poolers know no prepared statements, and each connection is young
        # Stated, since a database may have been given another default, under which a look before the lock is kept.
        options |= {"connect_args": arguments, "isolation_level": "READ COMMITTED"}
    try:
        engine = sa.create_engine(address, **options)
    except (ArgumentError, ImportError) as error:
        raise undriven(shown(address), error) from error
    if backend == "sqlite":
        sa.event.listen(engine, "connect", _on_sqlite_connect)
        sa.event.listen(engine, "begin", _on_sqlite_begin)
    elif backend == "postgresql":
        sa.event.listen(engine, "begin", _on_postgres_begin)
    return engine


def only_read(address: sa.URL) -> sa.URL:
    """The address of a SQLite file that is opened so that nothing can be written to it; others are as they are."""
    if address.get_backend_name() != "sqlite" or not address.database:
        return address
    file = quote(str(Path(address.database).resolve()))
    return address.set(database=f"file:{file}", query={"mode": "ro", "uri": "true"})


@contextmanager
def transaction(engine: sa.Engine, lock: str = "") -> Iterator[sa.Connection]:
    """A transaction, over when the block ends; with a ``lock`` one that may write, after others with the same name."""
    with engine.connect().execution_options(ledger_lock=lock) as connection, connection.begin():
        yield connection


def _lock_of(connection: sa.Connection) -> str:
    return str(connection.get_execution_options().get("ledger_lock", ""))


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: `_on_sqlite_begin` says which kind.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _on_sqlite_begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _lock_of(connection) else "BEGIN")


def _on_postgres_begin(connection: sa.Connection) -> None:
    connection.execute(_SETTINGS, {"busy": f"{BUSY_SECONDS}s", "long": f"{2 * BUSY_SECONDS}s"})
    if lock := _lock_of(connection):
        # A statement of its own: what is asked after it sees what was committed while it waited.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key(lock)})


def _key(lock: str) -> int:
    """64 bits, so that other programs' locks in the same database, mostly small numbers, are not ours."""
    return int.from_bytes(hashlib.sha256(f"promotion ledger: {lock}".encode()).digest()[:8], "big", signed=True)
