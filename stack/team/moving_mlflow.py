"""MLflow's rows, from an embedded installation's SQLite file into the team's PostgreSQL database.

Row by row, and not through MLflow's API, since that would give runs, versions and times of its own. Each row is set
against what the stack holds under the same key, and against what an earlier move left there, which is kept beside
MLflow's tables in the schema `moved`. So it is known which side has changed a row since: what the home changed is
brought up to date, what the stack changed stays, and where both did, or something else was there from the start, the
whole move is refused before anything is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from stack.errors import StackError
from stack.team.moving_places import Places, check, places

Row = dict[str, Any]

# The sign-in's tables, which lie in the same database of the stack; and what only a running server means anything to.
_SIGN_IN = {"users", "roles", "role_permissions", "user_role_assignments", "alembic_version_auth"}
_PASSING = {"alembic_version", "sqlite_sequence", "job_locks", "scheduler_leases"}
_IN_PIECES = {"yield_per": 2000}
_DEFAULT = 0  # MLflow's own experiment, which every database has; only what is in it is moved
_BASE = sa.Table(
    "rows",
    sa.MetaData(schema="moved"),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
)
ARTIFACTS = "artifacts"
"""The kind of what is remembered of artifact files."""
Base = dict[str, dict[str, str]]


@dataclass(slots=True)
class Rows:
    """What is to be done with one table.

    Attributes:
        home: Key to digest of every row at home, as it would be in the stack.
        kept: Keys of rows that the stack has changed or removed since; they stay as they are.
    """

    table: sa.Table
    home: dict[str, str] = field(default_factory=dict)
    inserts: list[Row] = field(default_factory=list)
    updates: list[Row] = field(default_factory=list)
    deletes: list[Row] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

    @property
    def due(self) -> int:
        """How many rows are to be written."""
        return len(self.inserts) + len(self.updates) + len(self.deletes)


class Mlflow:
    """Both sides of MLflow's tables, in one transaction of the stack's database.

    Attributes:
        ids: Number of each experiment at home to its number in the stack.
        places: Where artifacts lie.
        base: What an earlier move left in the stack.
    """

    def __init__(self, home: sa.Connection, stack: sa.Connection) -> None:
        """Read what both are.

        Raises:
            StackError: They are of different versions of MLflow, or artifacts lie outside the home.
        """
        self._home, self._stack = home, stack
        self._same_revision()
        self.tables = self._reflected()
        self.base = self._read_base()
        self._names: dict[int, str] = {}
        self.ids = self._numbers()
        self.places: Places = places(self._rows(self._table("experiments")), self.ids)

    def plan(self) -> list[Rows]:
        """What is to be done, table by table, each after those it refers to.

        Raises:
            StackError: The stack holds something else under the same key.
        """
        return [self._planned(table) for table in self.tables]

    def write(self, plan: list[Rows], artifacts: Mapping[str, str]) -> None:
        """Carry it out, and remember what was left there; the transaction is the caller's.

        Args:
            plan: What is to be done.
            artifacts: Name to digest of artifact files, remembered with the rows.
        """
        for rows in reversed(plan):
            for row in rows.deletes:
                self._stack.execute(rows.table.delete().where(*_is(rows.table, row)))
        for rows in plan:
            for some in _batches(rows.inserts):
                self._stack.execute(rows.table.insert(), some)
            for row in rows.updates:
                self._stack.execute(rows.table.update().where(*_is(rows.table, row)).values(row))
            self._continue_numbers(rows.table)
        left = {rows.table.name: {k: d for k, d in rows.home.items() if k not in rows.kept} for rows in plan}
        self._write_base({**left, ARTIFACTS: dict(artifacts)}, plan)

    def there(self, rows: Rows) -> dict[str, str]:
        """Key to digest of the home's rows that are in the stack now."""
        return {key: digest for key, digest in self._present(rows.table).items() if key in rows.home}

    def digests(self, *, home: bool) -> dict[tuple[str, int], str]:
        """Use case and version to the digest that its tag says, on one side."""
        table = self._table("model_version_tags")
        asked = sa.select(table.c.name, table.c.version, table.c.value).where(table.c.key == "sha256")
        lines = (self._home if home else self._stack).execute(asked)
        return {(str(name), int(version)): str(value) for name, version, value in lines}

    def _same_revision(self) -> None:
        asked = sa.text("SELECT version_num FROM alembic_version")
        home, stack = self._home.scalar(asked), self._stack.scalar(asked)
        if home != stack:
            raise StackError(
                f"MLflow's database at home is at revision {home}, the stack's at {stack}: bring the older one up to "
                "date first (at home: `mlflow db upgrade sqlite:///…/mlflow.db` of this version; the stack: `make up`)"
            )

    def _reflected(self) -> list[sa.Table]:
        meta = sa.MetaData()

        @sa.event.listens_for(meta, "column_reflect")
        def generic(_inspector: Any, _table: Any, column: Any) -> None:
            # Types that mean the same in both databases.
            kind = column["type"].as_generic()
            column["type"] = sa.JSON(none_as_null=True) if isinstance(kind, sa.JSON) else kind

        present = set(sa.inspect(self._home).get_table_names())
        wanted = sorted(name for name in present - _PASSING - _SIGN_IN if not name.endswith("_permissions"))
        meta.reflect(self._stack, only=lambda name, _: name in wanted)
        if absent := [name for name in wanted if name not in meta.tables]:
            raise StackError(f"the stack's MLflow has no table {', '.join(absent)}; bring it up to date with `make up`")
        return [table for table in meta.sorted_tables if table.name in wanted]

    def _table(self, name: str) -> sa.Table:
        return next(table for table in self.tables if table.name == name)

    def _rows(self, table: sa.Table) -> Iterator[Row]:
        for row in self._home.execute(sa.select(table), execution_options=_IN_PIECES).mappings():
            yield dict(row)

    def _numbers(self) -> dict[int, int]:
        """An experiment keeps its number unless another one of the stack has it."""
        table = self._table("experiments")
        there = {(r.workspace, r.name): int(r.experiment_id) for r in self._stack.execute(sa.select(table))}
        taken, found = set(there.values()), {}
        for row in sorted(self._rows(table), key=lambda one: int(one["experiment_id"])):
            number, name = int(row["experiment_id"]), (row["workspace"], row["name"])
            self._names[number] = str(row["name"])
            if number == _DEFAULT:
                found[number] = _DEFAULT
            elif name in there:
                found[number] = there[name]
            else:
                found[number] = number if number not in taken else max({*taken, *found.values()}) + 1
                taken.add(found[number])
        return found

    def _moved(self, table: sa.Table, row: Row) -> Row:
        """The row as it shall be in the stack."""
        for name, value in row.items():
            if name == "experiment_id" and value is not None:
                row[name] = self.ids.get(value, value)
            elif isinstance(value, str):
                row[name] = self.places.moved(value)
        for side in ("source", "destination", "resource"):
            if str(row.get(f"{side}_type")).lower() == "experiment" and str(row.get(f"{side}_id")).isdecimal():
                row[f"{side}_id"] = str(self.ids.get(int(row[f"{side}_id"]), row[f"{side}_id"]))
        check(table.name, row)
        return row

    def _planned(self, table: sa.Table) -> Rows:
        found, base, present = Rows(table), self.base.get(table.name, {}), self._present(table)
        for row in self._rows(table):
            if table.name == "experiments" and row["experiment_id"] == _DEFAULT:
                continue
            whose = self._whose(row)
            row = self._moved(table, row)  # noqa: PLW2901 - the row at home is not needed any more
            key, digest = _key(table, row), _digest(row)
            found.home[key] = digest
            there, before = present.get(key), base.get(key)
            if there == digest:
                continue
            if there is None and before is None:
                found.inserts.append(row)
            elif there is not None and there == before:
                found.updates.append(row)
            elif before == digest:
                found.kept.add(key)
            else:
                raise StackError(
                    f"the stack holds something else about {whose} already ({table.name} {key}); nothing was written. "
                    "Move into a stack that has not run it, or that has not gone on with it since it was moved in"
                )
        for key in base.keys() - found.home.keys():
            if present.get(key) == base[key]:
                found.deletes.append(dict(zip(_keys(table), json.loads(key), strict=True)))
        return found

    def _whose(self, row: Row) -> str:
        number = row.get("experiment_id")
        if number is not None:
            return self._names.get(int(number), f"the experiment {number}")
        return str(row.get("name") or row.get("run_uuid") or "MLflow")

    def _present(self, table: sa.Table) -> dict[str, str]:
        rows = self._stack.execute(sa.select(table), execution_options=_IN_PIECES).mappings()
        return {_key(table, dict(row)): _digest(dict(row)) for row in rows}

    def _continue_numbers(self, table: sa.Table) -> None:
        """The database's next number comes after those that were brought along."""
        for column in table.primary_key.columns:
            asked = sa.text("SELECT pg_get_serial_sequence(quote_ident(:table), :column)")
            sequence = self._stack.scalar(asked, {"table": table.name, "column": column.name})
            if sequence is not None and (last := self._stack.scalar(sa.select(sa.func.max(column)))):
                # Never backwards: numbers that were given and deleted are not given again.
                after = sa.text("SELECT setval(:sequence, greatest(:last, nextval(:sequence)))")
                self._stack.execute(after, {"sequence": sequence, "last": last})

    def _read_base(self) -> Base:
        found: Base = {}
        if self._stack.scalar(sa.text("SELECT to_regclass('moved.rows')")) is not None:
            for row in self._stack.execute(sa.select(_BASE)):
                found.setdefault(row.kind, {})[row.key] = row.digest
        return found

    def _write_base(self, left: Base, plan: list[Rows]) -> None:
        self._stack.execute(sa.text("CREATE SCHEMA IF NOT EXISTS moved"))
        _BASE.create(self._stack, checkfirst=True)
        for rows in plan:
            for row in rows.deletes:
                gone = (_BASE.c.kind == rows.table.name, _BASE.c.key == _key(rows.table, row))
                self._stack.execute(_BASE.delete().where(*gone))
        fresh = [
            {"kind": kind, "key": key, "digest": digest}
            for kind, digests in left.items()
            for key, digest in digests.items()
            if self.base.get(kind, {}).get(key) != digest
        ]
        put = sa.text(
            "INSERT INTO moved.rows VALUES (:kind, :key, :digest) "
            "ON CONFLICT (kind, key) DO UPDATE SET digest = excluded.digest"
        )
        for some in _batches(fresh):
            self._stack.execute(put, some)


def _batches(rows: Sequence[Row], size: int = 1000) -> Iterator[list[Row]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def _keys(table: sa.Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _key(table: sa.Table, row: Mapping[str, Any]) -> str:
    return json.dumps([row[name] for name in _keys(table)], default=str)


def _is(table: sa.Table, row: Row) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == row[name] for name in _keys(table)]


def _digest(row: Mapping[str, Any]) -> str:
    text = json.dumps({name: row[name] for name in sorted(row)}, default=_text, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _text(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)
