"""Ports in memory, for tests and benchmarks that need no disk: the same promises, kept in dictionaries."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.adapters.row_digests import content_of, timeless
from pipeline.core.errors import ConflictError, RefusedError
from pipeline.core.ports import Checked, Commit, World, silent
from pipeline.core.tables import Table
from pipeline.core.verdict import Finding, Outcome
from pipeline.core.windows import Days

_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


class MemoryStore:
    """A store whose versions are dictionaries of days; a copy shares the rows and goes its own way."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[date, tuple[Any, str, str]]]] = {}
        self.reads = 0

    def copy(self) -> MemoryStore:
        other = MemoryStore()
        other.tables = {name: list(versions) for name, versions in self.tables.items()}
        return other

    def write_day(self, table: str, day: date, rows: Any, sha256: str = "", content: str = "") -> Commit:
        versions = self.tables.setdefault(table, [])
        newest = versions[-1] if versions else {}
        mark = sha256 or content_of(rows)
        if day in newest and newest[day][1] == mark:
            return Commit(len(versions) - 1, changed=False)
        versions.append({**newest, day: (rows, mark, content)})
        return Commit(len(versions) - 1, changed=True)

    def version(self, table: str) -> int | None:
        return len(self.tables[table]) - 1 if table in self.tables else None

    def read(self, table: str, version: int, days: Days | None = None, columns: Sequence[str] | None = None) -> Any:
        self.reads += 1
        kept = self.tables[table][version]
        parts = [kept[day][0] for day in sorted(kept) if days is None or day in days]
        rows = pa.concat_tables(parts) if parts else next(iter(kept.values()))[0].slice(0, 0)
        return rows.select(list(columns)) if columns else rows

    def marks(self, table: str, version: int, days: Days | None = None) -> Mapping[date, Mapping[str, Any]]:
        kept = self.tables[table][version]
        return {
            day: {"rows": kept[day][0].num_rows, "sha256": kept[day][1], "content": kept[day][2]}
            for day in sorted(kept)
            if days is None or day in days
        }


class MemoryFiles:
    """Immutable files in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def copy(self) -> MemoryFiles:
        other = MemoryFiles()
        other.kept = copy.copy(self.kept)
        return other

    def put(self, name: str, data: bytes) -> str:
        if self.kept.setdefault(name, data) != data:
            raise ConflictError(f"the file '{name}' is there already with other content", "EXISTS")
        return hashlib.sha256(data).hexdigest()

    def get(self, name: str, sha256: str | None = None) -> bytes:
        if name not in self.kept:
            raise RefusedError(f"the file '{name}' is not in the file store", "MISSING")
        data = self.kept[name]
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise RefusedError(f"the file '{name}' was changed after it was written", "TAMPERED")
        return data

    def exists(self, name: str) -> bool:
        return name in self.kept


class FakeChecker:
    """Says PASS of every table, unless it is told otherwise; counts what it was asked."""

    def __init__(self, suites: str = "v1") -> None:
        self.suites = suites
        self.bad: set[tuple[str, date]] = set()
        self.asked: list[tuple[str, date]] = []
        self.batches = 0

    def check(self, usecase: str, table: str, day: date, rows: Any) -> Checked:
        return Checked(self._findings(table, day, rows), {f"{table}.html": f"<p>{usecase} {table} {day}".encode()})

    def check_days(self, usecase: str, table: str, days: Mapping[date, Any]) -> Mapping[date, tuple[Finding, ...]]:
        self.batches += 1
        return {day: self._findings(table, day, rows) for day, rows in days.items()}

    def digest(self, usecase: str, tables: Any) -> str:
        return f"{self.suites} of {usecase}: {', '.join(tables)}"

    def _findings(self, table: str, day: date, rows: Any) -> tuple[Finding, ...]:
        self.asked.append((table, day))
        good = rows.num_rows and (table, day) not in self.bad
        outcome = Outcome.PASS if good else Outcome.FAIL
        return (Finding(f"{table}: expectations", outcome, "as the test says", about=table),)


def world(store: Any = None, files: Any = None, checker: Any = None, code: str = "test", **ports: Any) -> World:
    """A world of ports in memory; a port that is not given must not be used."""
    nothing = dict.fromkeys(("landing", "engine", "models", "registry", "ledger"))
    return World(
        **{**nothing, **ports},
        store=store or MemoryStore(),
        files=files or MemoryFiles(),
        checker=checker or FakeChecker(),
        progress=silent,
        code=code,
    )


def typed(table: Table, rows: Any) -> Any:
    """Rows as upstream has them (dates and timestamps as text), typed as declared, as ingest would."""
    columns = {}
    for column in table.columns:
        values = rows[column.name]
        if column.type == "timestamp" and pa.types.is_string(values.type):
            values = pc.assume_timezone(pc.strptime(values, format="%Y-%m-%dT%H:%M:%SZ", unit="us"), "UTC")
        columns[column.name] = values.cast(_TYPES[column.type])
    return pa.table(columns)


def deliver(store: Any, table: Table, day: date, rows: Any, sha256: str = "") -> None:
    """Write a day's typed rows with their digests, as ingest would."""
    store.write_day(table.name, day, rows, sha256 or content_of(rows), content_of(timeless(table, day, rows)))
