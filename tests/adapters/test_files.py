from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.adapters.files.bucket import BucketFiles
from pipeline.adapters.files.local import LocalFiles
from pipeline.core.errors import ConflictError, RefusedError, UnavailableError, UsageError
from tests.at_once import at_once
from tests.places import Disk, OnStorage, Where, files_at


@pytest.fixture
def files(shelf: Disk | OnStorage) -> LocalFiles | BucketFiles:
    return files_at(shelf.where)


def test_a_file_is_written_once_and_read_back_by_its_digest(
    files: LocalFiles | BucketFiles, shelf: Disk | OnStorage
) -> None:
    digest = files.put("models/a/b.skops", b"model")
    assert files.put("models/a/b.skops", b"model") == digest
    assert files.get("models/a/b.skops", digest) == b"model"
    assert files.exists("models/a/b.skops")
    assert not files.exists("models/a")
    assert not files.exists("models/a/b.skop")
    assert shelf.names() == {"files/models/a/b.skops"}
    assert shelf.read("files/models/a/b.skops") == b"model"


def test_a_name_taken_by_other_bytes_is_a_conflict_and_the_first_bytes_stay(files: LocalFiles | BucketFiles) -> None:
    files.put("verdict.json", b"hold")
    with pytest.raises(ConflictError) as taken:
        files.put("verdict.json", b"promote")
    assert taken.value.code == "EXISTS"
    assert files.get("verdict.json") == b"hold"


def test_a_file_that_was_changed_or_is_gone_is_refused(
    files: LocalFiles | BucketFiles, shelf: Disk | OnStorage
) -> None:
    digest = files.put("model.skops", b"good")
    shelf.write("files/model.skops", b"evil")
    with pytest.raises(RefusedError) as tampered:
        files.get("model.skops", digest)
    with pytest.raises(RefusedError) as missing:
        files.get("other.skops", digest)
    assert (tampered.value.code, missing.value.code) == ("TAMPERED", "MISSING")


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".part-x", "a/.b", "a\\b", "a\0b", "a\nb", "a" * 200]
)
def test_a_name_that_could_lead_out_of_the_store_is_refused(files: LocalFiles | BucketFiles, name: str) -> None:
    for call in (files.get, files.exists, lambda n: files.put(n, b"")):
        with pytest.raises(UsageError):
            call(name)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "out").symlink_to(tmp_path)
    with pytest.raises(UsageError):
        LocalFiles(tmp_path / "files").put("out/x", b"")


def test_only_the_owner_can_read_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        LocalFiles(tmp_path / "files").put("a/b/c.json", b"x")
    finally:
        os.umask(old)
    found = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert found == {"files": 0o700, "files/a": 0o700, "files/a/b": 0o700, "files/a/b/c.json": 0o600}


def test_a_full_disk_leaves_no_file_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    files = LocalFiles(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UnavailableError, match="make room"):
            files.put("a/model.skops", b"x")
    assert not files.exists("a/model.skops")
    assert list((tmp_path / "a").iterdir()) == []
    files.put("a/model.skops", b"x")


def test_a_writer_that_is_overtaken_after_its_look_does_not_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFiles(tmp_path)
    real = os.fsync

    def overtaken(handle: int) -> None:
        real(handle)
        if not files.exists("verdict.json"):
            (tmp_path / "verdict.json").write_bytes(b"hold")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", overtaken)
        with pytest.raises(ConflictError):
            files.put("verdict.json", b"promote")
    assert files.get("verdict.json") == b"hold"


def _put(where: Where, number: int) -> bool:
    try:
        files_at(where).put("same", str(number).encode() * 10_000)
    except ConflictError:
        return False
    return True


def test_of_many_writers_of_one_name_exactly_one_wins(shelf: Disk | OnStorage) -> None:
    won = at_once([(_put, (shelf.where, n)) for n in range(8)], processes=4)
    assert won.count(True) == 1
    assert files_at(shelf.where).get("same") == str(won.index(True)).encode() * 10_000
