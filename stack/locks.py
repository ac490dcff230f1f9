"""Airflow on SQLite: whoever reads and then writes in one transaction takes the write lock first.

Imported by every process of the stack, through the `airflow_local_settings` in its home.

A savepoint opens such a transaction (making a backfill's runs is one). If another process writes between the reading
and the writing, SQLite fails the writing at once, without waiting, as *database is locked*: beside a running scheduler
a backfill of a month never got through.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection, Engine, event


@event.listens_for(Engine, "savepoint")
def lock_first(connection: Connection, _: str | None) -> None:
    """Begin a transaction that writes, waiting for its turn, where the savepoint would begin one that only reads."""
    database = connection.connection.dbapi_connection
    if isinstance(database, sqlite3.Connection) and not database.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
