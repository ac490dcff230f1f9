"""What only storage can do wrong: it is away, lets nobody in, loses answers, or overwrites what it should not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.adapters import world
from pipeline.adapters.files.bucket import BucketFiles
from pipeline.adapters.s3 import bucket as s3
from pipeline.adapters.s3.address import Address, address_of
from pipeline.adapters.s3.bucket import Bucket
from pipeline.adapters.store.delta import DeltaStore
from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.windows import Days
from tests.places import OnStorage
from tests.s3 import KEY, SECRET, Storage

DAY = date(2013, 3, 8)


def rows(value: int) -> pa.Table:
    return pa.table({"n": pa.array(range(3), pa.int64()), "value": pa.array([value] * 3, pa.int64())})


def calls(address: Address) -> dict[str, Callable[[], Any]]:
    """Everything that may be asked of a store and of files there, each by who was never asked before."""
    return {
        "version": lambda: DeltaStore(Bucket(address)).version("flights"),
        "read": lambda: DeltaStore(Bucket(address)).read("flights", 1),
        "read an old one": lambda: DeltaStore(Bucket(address)).read("flights", 0),
        "marks": lambda: DeltaStore(Bucket(address)).marks("flights", 1),
        "write": lambda: DeltaStore(Bucket(address)).write_day("flights", DAY, rows(9)),
        "write a new table": lambda: DeltaStore(Bucket(address)).write_day("planes", DAY, rows(9)),
        "put": lambda: BucketFiles(Bucket(address)).put("new.json", b"new"),
        "get": lambda: BucketFiles(Bucket(address)).get("old.json"),
        "exists": lambda: BucketFiles(Bucket(address)).exists("old.json"),
    }


@pytest.fixture
def filled(storage: Storage) -> OnStorage:
    """Two days in two versions, and a file."""
    shelf = OnStorage(storage)
    store = DeltaStore(Bucket(shelf.where))
    for n in range(2):
        store.write_day("flights", DAY + timedelta(n), rows(n), str(n))
    BucketFiles(Bucket(shelf.where)).put("old.json", b"old")
    storage.calls.clear()
    return shelf


def sentence(call: Callable[[], Any]) -> PipelineError:
    with pytest.raises(PipelineError) as told:
        call()
    text = str(told.value)
    assert KEY not in text
    assert SECRET not in text
    assert "\n" not in text
    assert "; " in text
    return told.value


def elsewhere(address: Address, **changes: Any) -> Address:
    return Address(**{name: getattr(address, name) for name in Address.__slots__} | changes)


@pytest.mark.parametrize("call", calls(None))  # type: ignore[arg-type]
def test_storage_that_is_not_there_is_a_sentence_with_the_way_out(
    filled: OnStorage, free_ports: tuple[int, int], call: str
) -> None:
    told = {}
    for name, change in {
        "down": {"endpoint": f"http://127.0.0.1:{free_ports[0]}"},
        "bucket": {"bucket": "never-made"},
        "key": {"key": "somebody-elses-1"},
    }.items():
        told[name] = sentence(calls(elsewhere(filled.where, **change))[call])
    assert isinstance(told["down"], UnavailableError)
    assert f"http://127.0.0.1:{free_ports[0]} does not answer" in str(told["down"])
    assert isinstance(told["bucket"], UsageError)
    assert "there is no bucket 'never-made' at " in str(told["bucket"])
    assert "correct PIPELINE_STORE" in str(told["bucket"])
    assert isinstance(told["key"], UsageError)
    assert "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(told["key"])
    assert "somebody" not in str(told["key"])


@pytest.mark.parametrize("call", ["version", "write", "get", "put"])
def test_storage_that_only_says_that_it_is_busy_is_tried_a_few_times(
    filled: OnStorage, storage: Storage, call: str
) -> None:
    before = filled.names()
    storage.calls.clear()
    storage.fault = lambda *_: (503, "SlowDown")
    busy = sentence(calls(filled.where)[call])
    assert isinstance(busy, UnavailableError)
    assert "SlowDown" in str(busy)
    assert 1 < len(storage.calls) <= 3
    storage.mend()
    assert filled.names() == before


@pytest.mark.parametrize("call", ["version", "get", "put"])
def test_storage_that_takes_a_call_and_never_answers_is_given_up(
    filled: OnStorage, storage: Storage, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(s3, "_ANSWER_SECONDS", 0.05)

    def hang(*_: Any) -> None:
        time.sleep(0.3)

    storage.fault = hang
    silent = sentence(calls(filled.where)[call])
    assert "does not answer (ReadTimeoutError)" in str(silent)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "RequestTimeTooSkewed", "this machine's clock"),
        (400, "AuthorizationHeaderMalformed", "correct AWS_REGION"),
        (507, "XMinioStorageFull", "has room"),
    ],
)
def test_what_storage_answers_is_told_with_its_own_way_out(
    filled: OnStorage, storage: Storage, status: int, code: str, said: str
) -> None:
    storage.fault = lambda *_: (status, code)
    assert said in str(sentence(calls(filled.where)["get"]))


def commits(method: str, path: str) -> bool:
    return method == "PUT" and "/_delta_log/" in path


def data(method: str, path: str) -> bool:
    return path.endswith(".parquet")


@pytest.mark.parametrize(
    ("where", "status", "code"),
    [(commits, 503, "SlowDown"), (commits, 403, "AccessDenied"), (data, 507, "XMinioStorageFull")],
)
@pytest.mark.parametrize("call", ["write", "write a new table"])
def test_a_write_that_fails_half_way_changes_nothing_and_can_be_made_again(
    filled: OnStorage, storage: Storage, where: Callable[[str, str], bool], status: int, code: str, call: str
) -> None:
    before = filled.names("tables/flights/_delta_log")
    storage.fault = lambda method, path: (status, code) if method == "PUT" and where(method, path) else None
    failed = sentence(calls(filled.where)[call])
    assert isinstance(failed, UsageError if status == 403 else UnavailableError)
    assert code in str(failed)
    assert len(storage.calls) < 60
    storage.mend()
    assert filled.names("tables/flights/_delta_log") == before
    assert not filled.names("tables/planes/_delta_log")
    assert DeltaStore(Bucket(filled.where)).read("flights", 1)["value"].to_pylist() == [0] * 3 + [1] * 3
    assert calls(filled.where)[call]().changed


def losing(which: Callable[[str, str], bool], times: int) -> Callable[[str, str], bool]:
    """So many answers are lost, and then no more."""
    left = [times]

    def lost(method: str, path: str) -> bool:
        if not which(method, path) or not left[0]:
            return False
        left[0] -= 1
        return True

    return lost


@pytest.mark.parametrize("times", [1, 9], ids=["once", "always"])
@pytest.mark.parametrize("call", ["write", "write a new table"])
def test_a_commit_whose_answer_is_lost_is_found_and_not_made_twice(
    filled: OnStorage, storage: Storage, call: str, times: int
) -> None:
    storage.lost = losing(commits, times)
    if times > 1 and call == "write":
        assert isinstance(sentence(calls(filled.where)[call]), UnavailableError)
    else:
        calls(filled.where)[call]()
    storage.mend()
    assert not calls(filled.where)[call]().changed
    store = DeltaStore(Bucket(filled.where))
    table, version = ("flights", 2) if call == "write" else ("planes", 0)
    assert store.version(table) == version
    assert store.read(table, version, Days(DAY, DAY))["value"].to_pylist() == [9] * 3


@pytest.mark.parametrize("times", [1, 9], ids=["once", "always"])
def test_a_file_whose_answer_is_lost_is_found_to_be_there(filled: OnStorage, storage: Storage, times: int) -> None:
    storage.lost = losing(lambda method, path: method == "PUT" and path.endswith("new.json"), times)
    files = BucketFiles(Bucket(filled.where))
    if times > 1:
        assert isinstance(sentence(lambda: files.put("new.json", b"new")), UnavailableError)
    else:
        files.put("new.json", b"new")
    storage.mend()
    files.put("new.json", b"new")
    with pytest.raises(ConflictError):
        files.put("new.json", b"other")


@pytest.mark.parametrize("what", ["/_delta_log/", ".parquet"])
@pytest.mark.parametrize("call", ["read", "read an old one"])
def test_what_can_not_be_fetched_now_is_no_data_that_is_corrupt(
    filled: OnStorage, storage: Storage, what: str, call: str
) -> None:
    storage.fault = lambda method, path: (503, "SlowDown") if method == "GET" and what in path else None
    assert isinstance(sentence(calls(filled.where)[call]), UnavailableError)


def test_what_storage_has_not_is_corrupt_and_its_words_name_no_key(filled: OnStorage, storage: Storage) -> None:
    storage.fault = lambda method, path: (404, "NoSuchKey") if path.endswith(f"{0:020}.json") else None
    gone = sentence(calls(filled.where)["read an old one"])
    assert (type(gone), gone.code) == (RefusedError, "CORRUPT")
    assert f"restore the table 'flights' at {filled.where} from a backup" in str(gone)
    assert Bucket(filled.where).hide(f"{SECRET} and {KEY}") == "… and …"


@pytest.mark.parametrize("call", ["write", "write a new table", "put"])
@pytest.mark.parametrize("refuses", [False, True], ids=["ignores", "knows not"])
def test_storage_that_does_not_heed_conditions_is_refused_before_anything_is_written(
    storage: Storage, call: str, refuses: bool
) -> None:
    shelf = OnStorage(storage)
    if refuses:
        storage.fault = lambda method, _: (501, "NotImplemented") if method == "PUT" else None
    storage.heeds = False
    for _ in range(2):
        told = sentence(calls(shelf.where)[call])
        assert (type(told), told.code) == (UsageError, "CONDITIONS")
        assert "conditional writes, or name a folder in PIPELINE_STORE" in str(told)
    assert not shelf.names()


def test_without_that_refusal_a_writer_would_be_overwritten(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = OnStorage(storage)
    storage.heeds = False
    monkeypatch.setattr(Bucket, "demand_conditions", lambda _: None)
    files = BucketFiles(Bucket(shelf.where))
    files.put("verdict.json", b"hold")
    files.put("verdict.json", b"promote")
    assert files.get("verdict.json") == b"promote"


def test_the_storage_is_asked_once_whether_it_heeds_conditions(storage: Storage) -> None:
    shelf = OnStorage(storage)
    bucket = Bucket(shelf.where)
    store, files = DeltaStore(bucket), BucketFiles(bucket)
    for n in range(3):
        store.write_day("flights", DAY, rows(n))
        files.put(f"{n}", b"x")

    def probes() -> int:
        return sum(path.endswith(".conditional-put") for _, path in storage.calls)

    assert probes() == 2
    BucketFiles(Bucket(shelf.where)).put("more", b"x")
    assert probes() == 3


def test_variables_of_the_environment_do_not_switch_the_conditions_off(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    monkeypatch.setenv("AWS_S3_ALLOW_UNSAFE_RENAME", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    shelf = OnStorage(storage)
    conditions = []
    real = storage._app

    def look(environ: dict[str, Any], start: Any) -> Any:
        if commits(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            conditions.append(environ.get("HTTP_IF_NONE_MATCH"))
        return real(environ, start)

    monkeypatch.setattr(storage, "_app", look)
    store = DeltaStore(Bucket(shelf.where))
    for n in range(2):
        store.write_day("flights", DAY + timedelta(n), rows(n))
    assert conditions == ["*", "*"]


def test_a_window_costs_a_request_a_day_and_a_few(storage: Storage) -> None:
    shelf = OnStorage(storage)
    store = DeltaStore(Bucket(shelf.where))
    for n in range(12):
        store.write_day("flights", DAY + timedelta(n), rows(n))
    storage.calls.clear()
    store.read("flights", 11, Days(DAY, DAY + timedelta(8)), ["value"])
    assert sum(data(*call) for call in storage.calls) == 9
    assert len(storage.calls) <= 9 + 4
    assert {method for method, _ in storage.calls} == {"GET"}


# Settings

KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def test_the_settings_are_the_standard_ones() -> None:
    told = address_of("s3://models/team/a/", KEYS | {"AWS_ENDPOINT_URL": "http://minio:9000/", "AWS_REGION": "eu"})
    assert told == Address("models", "team/a/", "http://minio:9000", KEY, SECRET, "", "eu")
    assert address_of("s3://models", KEYS | {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": ""}) == Address(
        "models", "", "https://s3.eu-west-1.amazonaws.com", KEY, SECRET, "", "eu-west-1"
    )
    assert SECRET not in repr(told)
    assert str(told) == "s3://models/team/a"


@pytest.mark.parametrize(
    ("place", "settings"),
    [
        ("s3://", {}),
        ("s3:/bucket/x", {}),
        ("s3:bucket", {}),
        (f"s3://{KEY}:{SECRET}@bucket/x", {}),
        ("s3://bucket/../x", {}),
        ("s3://bucket/./x", {}),
        ("s3://bucket//x", {}),
        ("s3://bucket/x y", {}),
        ("s3://Bucket", {}),
        ("gs://bucket", {}),
        ("file:///data", {}),
        ("s3://bucket", {"AWS_SECRET_ACCESS_KEY": ""}),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "minio:9000"}),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://"}),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://minio:x"}),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://minio/path"}),
        ("s3://bucket", {"AWS_ENDPOINT_URL": f"http://{KEY}:{SECRET}@minio"}),
    ],
)
def test_settings_that_make_no_sense_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, place: str, settings: dict[str, str]
) -> None:
    for name, value in (KEYS | settings | {"PIPELINE_STORE": place}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"PIPELINE_STORE|AWS_ENDPOINT_URL") as told:
        world.store()
    assert KEY not in str(told.value)
    assert SECRET not in str(told.value)


def test_what_needs_a_file_system_stays_in_the_home(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = storage.address()
    settings = KEYS | {
        "PIPELINE_HOME": str(tmp_path),
        "PIPELINE_STORE": str(address),
        "AWS_ENDPOINT_URL": storage.url,
        "AWS_SESSION_TOKEN": "",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    built = world.world()
    built.files.put("a.json", b"x")
    built.store.write_day("flights", DAY, rows(1))
    assert built.ledger.entries("small") == []
    with world.alone("small"):
        pass
    assert "AWS_SESSION_TOKEN" not in os.environ
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"store/ledger.db", "store/.small.lock"}
    assert BucketFiles(Bucket(address)).exists("a.json")
    assert DeltaStore(Bucket(address)).version("flights") == 0


def test_another_folder_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    assert world.store() == tmp_path / "home/store"
    monkeypatch.setenv("PIPELINE_STORE", str(tmp_path / "other"))
    world.world().files.put("a.json", b"x")
    assert (tmp_path / "other/files/a.json").exists()
