"""Where tests keep a ledger: a SQLite file or a PostgreSQL database, and what they do there behind its back."""

from __future__ import annotations

import itertools
import os
import sqlite3
from pathlib import Path
from typing import Any, Protocol

import psycopg

from pipeline.adapters.ledger.schema import prepare
from tests.postgres import Postgres

_COUNT = itertools.count(1)


class Place(Protocol):
    """``url`` is what the pipeline is given; ``refused`` is what a database raises that guards its lines."""

    url: str
    refused: type[Exception]

    def raw(self, sql: str) -> list[Any]:
        """As whoever may do most there."""

    def unguard(self) -> None:
        """Take the triggers off, as somebody would who wants to rewrite the past."""


class SqlitePlace:
    refused = sqlite3.IntegrityError

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"sqlite:///{file}"

    def raw(self, sql: str) -> list[Any]:
        with sqlite3.connect(self.file) as connection:
            return connection.execute(sql).fetchall()

    def unguard(self) -> None:
        for (name,) in self.raw("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            self.raw(f"DROP TRIGGER {name}")


class PostgresPlace:
    """A database with a role that owns it and one that the pipeline is; nothing is prepared yet."""

    refused = psycopg.errors.RestrictViolation
    password = "s3c/ret@%"

    def __init__(self, server: Postgres, options: str = "") -> None:
        self.server = server
        number = f"{os.getpid()}_{next(_COUNT)}"
        self.database, self.owner, self.writer = f"ledger_{number}", f"owner_{number}", f"writer_{number}"
        for role in (self.owner, self.writer):
            server.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{self.password}'")
        server.sql(f"CREATE DATABASE {self.database} OWNER {self.owner} {options}")
        self.owner_url = server.url(self.database, self.owner, self.password)
        self.url = server.url(self.database, self.writer, self.password)

    def prepared(self) -> PostgresPlace:
        prepare(self.owner_url, self.writer)
        return self

    def raw(self, sql: str) -> list[Any]:
        return self.server.sql(sql, self.database)

    def as_writer(self, sql: str) -> list[Any]:
        return self.server.sql(sql, self.database, self.writer, self.password)

    def as_owner(self, sql: str) -> list[Any]:
        return self.server.sql(sql, self.database, self.owner, self.password)

    def unguard(self) -> None:
        for table in ("promotions", "outcomes"):
            self.as_owner(f"ALTER TABLE {table} DISABLE TRIGGER USER")
