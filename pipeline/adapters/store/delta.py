"""The store: a Delta Lake table per name, partitioned by ``day``. A write is one atomic commit; versions never change.

Every commit is a compare-and-set on the table's version: whoever finds the version taken opens the table anew and
decides anew. So two writers of one day end with one of the two deliveries, never with both and never with a mixture.

What a day's commit costs hardly depends on how many days lie before it: the state is read from the last checkpoint,
which holds one short line a day (statistics are kept of the two digests only), and the library goes through those
lines, about ten microseconds each. Nothing is ever vacuumed: a version that a verdict was reached on stays readable.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from pipeline.adapters.row_digests import content_of
from pipeline.adapters.s3.bucket import Bucket
from pipeline.adapters.store.data_files import DAY, SHA256
from pipeline.adapters.store.places import Folder, OnBucket, Place
from pipeline.core.errors import UnavailableError, UsageError
from pipeline.core.ports import Commit, Rows
from pipeline.core.windows import Days

#: Beside ``SHA256`` the store's own column: the digest of the delivery's content, constant within a day.
_CONTENT = "_content"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}){0,3}")
_DIGEST_LENGTH = 64
_ATTEMPTS = 60
_CONFIGURATION = {
    # One line a day is all that is needed to answer `marks`; statistics of every column would make the state grow.
    "delta.dataSkippingStatsColumns": f"{SHA256},{_CONTENT}",
    "delta.checkpointInterval": "10",
    # Old versions are evidence: the log is never cleaned up.
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


class DeltaStore:
    """A store below one folder, which is made readable by its owner only, or on S3-compatible storage."""

    def __init__(self, root: Path | Bucket) -> None:
        self._place: Place = OnBucket(root) if isinstance(root, Bucket) else Folder(root / "tables")
        # An open table is brought up to date in about a millisecond, opened anew in about ten. One per thread,
        # because an open table moves on when it is refreshed.
        self._open = threading.local()

    def write_day(self, table: str, day: date, rows: Rows, sha256: str = "", content: str = "") -> Commit:
        """Replace one day by ``rows``; the same ``sha256`` already there: nothing is written.

        Without a ``sha256`` the digest of the rows themselves stands in. A column that the table does not have yet is
        added (older days have no value in it).

        Raises:
            UsageError: If the rows do not fit the table: another type, or another day.
            UnavailableError: If other writers were first, time and again.
        """
        mark = sha256 or content_of(rows)
        fresh = self._prepare(table, day, rows, mark, content)
        for attempt in range(_ATTEMPTS):
            delta = self._newest(table)
            if delta is not None:
                stored_mark = self._marks_of(delta, Days(day, day)).get(day)
                if (stored_mark is not None and stored_mark["sha256"] == mark) or (
                    stored_mark is None and not fresh.num_rows
                ):
                    return Commit(version=delta.version(), changed=False)
                self._check_types(table, delta, fresh)
            try:
                return self._commit(table, delta, day, fresh)
            except CommitFailedError:
                self._forget(table)
            except (DeltaError, OSError) as error:
                self._forget(table)
                if delta is not None or self._newest(table) is None:
                    raise self._place.unwritten(f"{table}: {day}", error) from error
            # Jitter only: nothing depends on it but how soon two writers stop meeting.
            time.sleep(random.uniform(0.002, 0.02) * min(attempt + 1, 10))  # noqa: S311
        raise UnavailableError(
            f"{table}: {day} could not be written because other writers were first {_ATTEMPTS} times in a row; "
            f"nothing was changed, try again when they are done",
            "BUSY",
        )

    def version(self, table: str) -> int | None:
        """The newest version, or None if the table has none."""
        delta = self._newest(table)
        return None if delta is None else int(delta.version())

    def read(self, table: str, version: int, days: Days | None = None, columns: Sequence[str] | None = None) -> Rows:
        """The rows of these days as of that version, days in order, the rows of a day as they were written.

        Raises:
            UsageError: If there is no such table, version or column.
        """
        delta = self._at(table, version)
        schema = _arrow_schema(delta)
        wanted = [name for name in schema.names if name not in (SHA256, _CONTENT)]
        if columns is not None:
            unknown = [name for name in columns if name not in wanted]
            if unknown:
                raise UsageError(
                    f"{table} has no column {', '.join(unknown)} in version {version}; it has {', '.join(wanted)}"
                )
            wanted = list(columns)
        lines = sorted(_actions(delta, days), key=lambda line: (line["partition.day"], line["path"]))
        try:
            return self._place.rows(table, lines, schema, wanted)
        except (OSError, pa.ArrowException) as error:
            raise self._place.unreadable(f"{table}: version {version}", table, error) from error

    def marks(self, table: str, version: int, days: Days | None = None) -> Mapping[date, Mapping[str, Any]]:
        """Day to ``{"rows": int, "sha256": str, "content": str}``, read from the log alone."""
        return self._marks_of(self._at(table, version), days)

    def _commit(self, table: str, delta: DeltaTable | None, day: date, fresh: pa.Table) -> Commit:
        # No retries inside the library: a taken version is told at once, and the decision is made anew above.
        options: dict[str, Any] = {
            "commit_properties": CommitProperties(max_commit_retries=0),
            "writer_properties": WriterProperties(compression="ZSTD", compression_level=1),
            "target_file_size": 2**40,
        }
        self._place.prepare(table, new=delta is None)
        if delta is None:
            where, place = self._place.where(table)
            options |= {"storage_options": place, "configuration": _CONFIGURATION}
            write_deltalake(where, fresh, mode="error", partition_by=[DAY], name=table, **options)
            created = self._newest(table)
            return Commit(version=0 if created is None else int(created.version()), changed=True)
        # Columns are matched by name, in the table's order; new ones come last.
        present = _arrow_schema(delta).names
        known = [name for name in present if name in fresh.column_names]
        fresh = fresh.select([*known, *(name for name in fresh.column_names if name not in known)])
        merge = {} if fresh.column_names == present else {"schema_mode": "merge"}
        write_deltalake(delta, fresh, mode="overwrite", predicate=f"{DAY} = '{day.isoformat()}'", **merge, **options)
        return Commit(version=int(delta.version()), changed=True)

    def _prepare(self, table: str, day: date, rows: pa.Table, sha256: str, content: str) -> pa.Table:
        _check_name(table)
        if max(len(sha256), len(content)) > _DIGEST_LENGTH:
            raise UsageError(f"{table}: a digest has at most {_DIGEST_LENGTH} characters")
        own = [name for name in rows.column_names if name.startswith("_")]
        if own:
            raise UsageError(f"{table}: columns that begin with '_' are the store's own: {', '.join(own)}")
        if DAY in rows.column_names:
            if rows.schema.field(DAY).type != pa.date32() or not pc.all(
                pc.fill_null(pc.equal(rows[DAY], pa.scalar(day, pa.date32())), False), min_count=0
            ):
                raise UsageError(f"{table}: the column '{DAY}' must hold the date {day} in every row that is written")
            rows = rows.drop_columns([DAY])
        constants = {DAY: pa.scalar(day, pa.date32()), SHA256: pa.scalar(sha256), _CONTENT: pa.scalar(content)}
        for name, value in constants.items():
            rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
        # One chunk is one file, in the order given.
        return rows.combine_chunks()

    def _check_types(self, table: str, delta: DeltaTable, fresh: pa.Table) -> None:
        """The library would cast text to numbers in silence."""
        present = _arrow_schema(delta)
        for field in fresh.schema:
            at = present.get_field_index(field.name)
            if at >= 0 and present.field(at).type != field.type:
                raise UsageError(
                    f"{table}: column '{field.name}' is {present.field(at).type} in the store and {field.type} in the "
                    f"rows to be written; a changed type needs a new table name"
                )

    def _marks_of(self, delta: DeltaTable, days: Days | None) -> dict[date, dict[str, Any]]:
        marks: dict[date, dict[str, Any]] = {}
        for line in _actions(delta, days):
            mark = marks.setdefault(
                line["partition.day"],
                {"rows": 0, "sha256": line[f"min.{SHA256}"], "content": line[f"min.{_CONTENT}"]},
            )
            mark["rows"] += line["num_records"]
        return dict(sorted(marks.items()))

    def _at(self, table: str, version: int) -> DeltaTable:
        delta = self._newest(table)
        if delta is None:
            raise UsageError(f"the store has no table '{table}'")
        newest = int(delta.version())
        if not 0 <= version <= newest:
            raise UsageError(f"{table} has no version {version}; its newest is {newest}")
        if version == newest:
            return delta
        try:
            return self._opened(table, version)
        except (DeltaError, OSError, ValueError) as error:
            raise self._place.unreadable(f"{table}: the log of version {version}", table, error) from error

    def _newest(self, table: str) -> DeltaTable | None:
        _check_name(table)
        cache: dict[str, DeltaTable] = self._open.__dict__
        try:
            has_log = self._place.has_log(table)
            if table in cache and has_log:
                cache[table].update_incremental()
            elif has_log:
                cache[table] = self._opened(table)
            elif self._place.days(table) > 1:
                # One day may be left by a first commit that was killed; several were committed once.
                raise ValueError("the folder holds days, but its _delta_log is gone")
            else:
                return None
        except TableNotFoundError:
            self._forget(table)
            return None
        except (DeltaError, OSError, ValueError) as error:
            self._forget(table)
            raise self._place.unreadable(f"the log of table '{table}'", table, error) from error
        return cache[table]

    def _opened(self, table: str, version: int | None = None) -> DeltaTable:
        where, options = self._place.where(table)
        return DeltaTable(where, version=version, storage_options=options)

    def _forget(self, table: str) -> None:
        self._open.__dict__.pop(table, None)


def _check_name(table: str) -> None:
    if not _NAME.fullmatch(table) or ".." in table:
        raise UsageError(
            f"'{table}' can't name a table: use letters, digits, '_', '-' and '.', in at most four parts divided by '/'"
        )


def _arrow_schema(delta: DeltaTable) -> pa.Schema:
    return pa.schema(delta.schema().to_arrow())


def _actions(delta: DeltaTable, days: Days | None) -> list[dict[str, Any]]:
    actions = pa.table(delta.get_add_actions(flatten=True))
    if days is not None:
        actions = actions.filter(
            pc.and_(
                pc.greater_equal(actions["partition.day"], pa.scalar(days.first, pa.date32())),
                pc.less_equal(actions["partition.day"], pa.scalar(days.last, pa.date32())),
            )
        )
    lines: list[dict[str, Any]] = actions.to_pylist()
    return lines
