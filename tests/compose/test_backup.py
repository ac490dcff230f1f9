"""A backup of the stack at work, and the way back into an empty one with other passwords."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.adapters.store.delta import DeltaStore
from stack.team import backup as backup_program
from tests.compose.moved import Homes, Moved, in_worker, rehearsed
from tests.rehearsal.client import Rehearsal

pytest_plugins = ["tests.compose.moved_once"]
pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def backup(moved: Moved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backups") / "first"
    folder.mkdir(mode=0o700)
    mine = {"TO": str(folder), "BACKUP_UID": "0", "BACKUP_GID": "0"}
    for service in ("backup-databases", "backup-files"):
        status, said = moved.stack.once(service, **mine)
        assert status == 0, said
    assert re.search(r"backed up 4 databases and \d+ files", said)
    return folder


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, homes: Homes, moved: Moved) -> Iterator[Rehearsal]:
    """Another stack, with other passwords, of which nothing has run."""
    stack, known = rehearsed(tmp_path_factory, homes)
    assert known["MLFLOW_ADMIN_PASSWORD"] != moved.known["MLFLOW_ADMIN_PASSWORD"]
    with stack:
        yield stack


def restored(stack: Rehearsal, service: str, folder: Path) -> tuple[int, str]:
    return stack.once(service, FROM=str(folder), BACKUP_UID="0", BACKUP_GID="0")


def test_a_backup_is_for_its_owner_alone_and_says_what_is_in_it(backup: Path) -> None:
    modes = {path.stat().st_mode & 0o777 for path in backup.rglob("*")}
    assert modes <= {0o600, 0o700}
    manifest = json.loads((backup / "manifest.json").read_text())
    found = {path.relative_to(backup).as_posix() for path in backup.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == found - {"manifest.json"}
    assert {name.split("/")[0] for name in found} == {"artifacts", "databases", "manifest.json", "store"}


def test_a_backup_is_never_written_over(moved: Moved, backup: Path) -> None:
    for service in ("backup-databases", "backup-files"):
        status, said = moved.stack.once(service, TO=str(backup), BACKUP_UID="0", BACKUP_GID="0")
        assert status == 2, said
        assert "a backup is there already" in said


def test_a_stack_that_holds_something_is_no_target(moved: Moved, backup: Path) -> None:
    status, said = restored(moved.stack, "restore-check", backup)
    assert status == 2
    assert "this stack is not empty (the store holds" in said


def test_a_damaged_backup_is_refused_and_a_sound_one_brings_everything_back(
    moved: Moved, backup: Path, empty: Rehearsal, tmp_path: Path
) -> None:
    for damage, told in (("change", "the backup is damaged: "), ("lose", "damaged: "), ("unfinished", "no manifest")):
        with damaged(backup, damage):
            status, said = restored(empty, "restore-check", backup)
            assert (status, told in said) == (2, True), said
    assert not list((empty.folder / "volumes" / "data").iterdir())

    for service in ("restore-check", "restore-databases", "restore-files"):
        status, said = restored(empty, service, backup)
        assert status == 0, said
    assert "admin (MLflow), pipeline (MLflow), reviewer (MLflow)" in said
    assert "AIRFLOW_FERNET_KEY is not the one" in said

    # Everything is as it was, and the new stack signs in with its own passwords.
    empty.up(services=["mlflow"])
    for query in (("days", "flight_delay"), ("history", "flight_delay")):
        before, after = in_worker(moved.stack, *query), in_worker(empty, *query)
        assert before[0] == after[0] == 0, after[1]
        assert before[1] == after[1]
    assert contents(empty.folder / "volumes") == contents(moved.stack.folder / "volumes")
    status, said = in_worker(empty, "run", "flight_delay", "--day", "2013-01-11")
    assert status == 0, said
    assert "version 1 usual" in said


def test_what_is_copied_while_days_are_written_can_be_read(tmp_path: Path) -> None:
    store, ended = DeltaStore(tmp_path / "store"), threading.Event()
    days = [date(2020, 1, 1) + timedelta(n) for n in range(35)]

    def write() -> None:
        for day in days:
            store.write_day("visits", day, pa.table({"visit": list(range(100)), "shop": [day.isoformat()] * 100}))
        ended.set()

    store.write_day("visits", date(2019, 12, 31), pa.table({"visit": [1], "shop": ["first"]}))
    writer = threading.Thread(target=write)
    writer.start()
    copies = []
    while not ended.is_set() or not copies:
        copies.append(tmp_path / f"copy-{len(copies)}")
        backup_program._copy_store(tmp_path / "store", copies[-1], lambda _: None)
    writer.join()
    versions = []
    for copy in copies:
        found = DeltaStore(copy)
        newest = found.version("visits")
        assert newest is not None
        versions.append(newest)
        for version in range(newest + 1):
            assert found.read("visits", version).num_rows == 1 + 100 * version
    assert versions == sorted(versions)


def test_a_log_that_is_read_with_a_gap_is_not_taken() -> None:
    log = [f"tables/visits/_delta_log/{version:020}.json" for version in range(4)]
    assert backup_program._torn(log) == ""
    assert backup_program._torn([*log[:2], log[3]]) == "tables/visits"


class damaged:  # noqa: N801 - reads as a word
    """The backup with something wrong, made good afterwards."""

    def __init__(self, folder: Path, how: str) -> None:
        name = (
            "manifest.json"
            if how == "unfinished"
            else next(iter(json.loads((folder / "manifest.json").read_text())["files"]))
        )
        self._path, self._how, self._data = folder / name, how, (folder / name).read_bytes()

    def __enter__(self) -> None:
        if self._how == "change":
            self._path.write_bytes(self._data[:-1] + bytes([self._data[-1] ^ 1]))
        else:
            self._path.unlink()

    def __exit__(self, *_: object) -> None:
        self._path.write_bytes(self._data)
        self._path.chmod(0o600)


def contents(volumes: Path) -> dict[str, bytes]:
    """What lies in the volumes of the store and of artifacts."""
    return {
        path.relative_to(volumes).as_posix(): path.read_bytes()
        for volume in ("data", "artifacts")
        for path in (volumes / volume).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
