"""A small declared table of each sort, and a landing folder to deliver into."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.landing.folder import FolderLanding
from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.verdict import Bound
from tests.adapters.ledger.ledgers import Place, PostgresPlace, SqlitePlace
from tests.places import Disk, OnStorage
from tests.postgres import Postgres, running

DAY = date(2013, 3, 8)

FEED = Feed(
    name="flights",
    path="flights/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("flight", "integer"),
        Column("origin", "string"),
        Column("scheduled", "timestamp"),
        Column("delay", "number", empty=True),
    ),
    key=("flight", "scheduled"),
    day="day",
    time="scheduled",
    bytes=200_000,
    bad_rows=0.02,
)
REFERENCE = Reference(
    name="planes",
    path="planes/{day}.csv",
    columns=(Column("tailnum", "string"), Column("seats", "integer", empty=True), Column("refreshed", "date")),
    key=("tailnum",),
    refreshed="refreshed",
    max_age=1,
    max_unchanged=None,
    joined_by=("flights", ("origin",)),
    matched=Bound(0.9, 1.0),
)
HEADER = "day,flight,origin,scheduled,delay"


class Upstream:
    """Writes deliveries, good and bad."""

    day = DAY
    feed = FEED
    reference = REFERENCE
    header = HEADER

    def __init__(self, root: Path) -> None:
        self.root = root
        self.landing = FolderLanding(root)

    def lines(self, count: int = 100, day: date = DAY) -> list[str]:
        """A header and sound rows."""
        return [HEADER, *(self.line(n, day) for n in range(count))]

    def line(self, n: int, day: date = DAY) -> str:
        return f"{day},{n},{'JFK' if n % 2 else 'EWR'},{day}T{n % 24:02}:30:00Z,{n / 4 if n % 7 else ''}"

    def csv(self, lines: Sequence[str] | None = None) -> bytes:
        return ("\n".join(self.lines() if lines is None else lines) + "\n").encode()

    def table(self, suffix: str = ".csv", **changes: Any) -> Feed:
        return dataclasses.replace(FEED, path=f"flights/{{day}}{suffix}", **changes)

    def put(self, data: bytes, suffix: str = ".csv", day: date = DAY, manifest: Any = None) -> Path:
        """Deliver these bytes; ``manifest`` is True for a true one, or what it says."""
        file = self.root / f"flights/{day}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if manifest is not None:
            told = self.manifest(data) if manifest is True else manifest
            file.with_name(file.name + ".manifest.json").write_text(told if isinstance(told, str) else json.dumps(told))
        return file

    def manifest(self, data: bytes, rows: int = 100) -> dict[str, Any]:
        return {"sha256": hashlib.sha256(data).hexdigest(), "rows": rows, "bytes": len(data)}

    def gz(self, data: bytes) -> bytes:
        return gzip.compress(data, mtime=0)


@pytest.fixture(params=["disk", "s3"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Disk | OnStorage:
    """A place for a store, on disk and on S3-compatible storage in turn."""
    if request.param == "disk":
        return Disk(tmp_path / "store")
    return OnStorage(request.getfixturevalue("storage"))


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "landing")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of a session."""
    with running() as server:
        yield server


@pytest.fixture
def prepared(postgres: Postgres) -> PostgresPlace:
    """A ledger in a database of its own, made by its owner for the pipeline's role."""
    return PostgresPlace(postgres).prepared()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.live)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a ledger may be, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        return SqlitePlace(tmp_path / "kept" / "ledger.db")
    return request.getfixturevalue("prepared")
