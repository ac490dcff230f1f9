"""A day with its store on S3-compatible storage ends as it does on disk; and a store may be carried from one there."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

from pipeline.core.ports import World
from pipeline.core.windows import Days
from tests import small
from tests.places import Disk, OnStorage
from tests.s3 import Storage

LAST = small.days(8)[-1]


def held(world: World) -> dict[str, Any]:
    """Tables, their old versions and marks, and the promotion ledger."""
    found: dict[str, Any] = {}
    for table in ("visits", "shops", "scores/small"):
        version = world.store.version(table)
        assert version is not None
        found[f"{table} marks"] = version, dict(world.store.marks(table, version))
        for one in (version, version - 1):
            found[f"{table} {one}"] = world.store.read(table, one, Days(small.FIRST, LAST))
    # The verdict's digest holds the measured latency, so it differs between two runs of the same day.
    found["promotions"] = [dataclasses.replace(entry, verdict="") for entry in world.ledger.entries("small")]
    return found


def test_a_day_on_storage_ends_as_on_disk(tmp_path: Path, storage: Storage) -> None:
    disk, shelf, registry = Disk(tmp_path / "disk/store"), OnStorage(storage), small.MemoryRegistry()
    here = small.world_in(tmp_path / "disk", registry)
    for day in small.days(8):
        small.deliver(tmp_path / "disk/landing", day)
        if day >= small.days(3)[-1] and day < LAST:
            small.run_day(small.SMALL, day, here)
    (tmp_path / "s3/store").mkdir(parents=True)
    shutil.copytree(tmp_path / "disk/landing", tmp_path / "s3/landing")
    shutil.copy(tmp_path / "disk/store/ledger.db", tmp_path / "s3/store")
    for name in disk.names("tables/") | disk.names("files/"):
        shelf.write(name, disk.read(name))
    other = small.MemoryRegistry()
    other.runs, other.versions, other.alias = dict(registry.runs), list(registry.versions), dict(registry.alias)
    there = small.world_in(tmp_path / "s3", other, where=shelf.where)
    before = shelf.names()
    ends = [small.run_day(small.SMALL, LAST, world) for world in (here, there)]
    assert [end.outcome for end in ends] == ["promoted", "promoted"]
    expected, found = held(here), held(there)
    assert expected.keys() == found.keys()
    for name in expected:
        assert found[name] == expected[name], name
    assert [one[1:3] for one in other.versions] == [one[1:3] for one in registry.versions]
    assert all(hashlib.sha256(data).hexdigest() == sha256 for _, sha256, data, _ in other.versions)
    assert other.alias == registry.alias
    models = {name for name in shelf.names("files/models/") - before if name.endswith(".skops")}
    assert models
    assert all(shelf.read(name) == disk.read(name) for name in models)
    assert {path.name for path in (tmp_path / "s3/store").iterdir()} == {"ledger.db"}
