from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.adapters.store import DeltaStore
from pipeline.core.errors import PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.windows import Days

DAY = date(2013, 3, 8)
NEXT = DAY + timedelta(1)


def rows(value: int, count: int = 3, **more: Any) -> pa.Table:
    return pa.table({"n": pa.array(range(count), pa.int64()), "value": pa.array([value] * count, pa.int64()), **more})


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    return DeltaStore(tmp_path / "store")


def files_of(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_a_day_is_read_back_with_its_day_and_without_the_stores_own_columns(store: DeltaStore) -> None:
    assert store.version("flights") is None
    commit = store.write_day("flights", DAY, rows(1), "a" * 64, "c" * 64)
    assert (commit.version, commit.changed) == (0, True)
    assert store.read("flights", 0).to_pylist() == [{"n": n, "value": 1, "day": DAY} for n in range(3)]
    assert store.marks("flights", 0) == {DAY: {"rows": 3, "sha256": "a" * 64, "content": "c" * 64}}


def test_the_same_digest_again_writes_nothing_at_all(store: DeltaStore, tmp_path: Path) -> None:
    store.write_day("flights", DAY, rows(1), "a", "c")
    before = files_of(tmp_path)
    for again in (store, DeltaStore(tmp_path / "store")):
        commit = again.write_day("flights", DAY, rows(2), "a", "c")
        assert (commit.version, commit.changed) == (0, False)
    assert files_of(tmp_path) == before


def test_without_a_digest_the_rows_themselves_are_the_digest(store: DeltaStore) -> None:
    assert store.write_day("scores/small", DAY, rows(1)).changed
    assert not store.write_day("scores/small", DAY, rows(1)).changed
    assert store.write_day("scores/small", DAY, rows(2)).changed
    empty_or_none = pa.table({"s": pa.array(["", None])}), pa.table({"s": pa.array([None, ""])})
    assert store.write_day("s", DAY, empty_or_none[0]).changed
    assert store.write_day("s", DAY, empty_or_none[1]).changed


def test_a_corrected_day_replaces_that_day_only_and_old_versions_read_the_old_bytes(store: DeltaStore) -> None:
    store.write_day("flights", DAY, rows(1), "a")
    store.write_day("flights", NEXT, rows(2), "b")
    commit = store.write_day("flights", DAY, rows(3, count=5), "a2")
    assert (commit.version, commit.changed) == (2, True)
    now = store.read("flights", 2)
    assert now["value"].to_pylist() == [3] * 5 + [2] * 3
    assert store.read("flights", 1)["value"].to_pylist() == [1] * 3 + [2] * 3
    assert store.read("flights", 0)["value"].to_pylist() == [1] * 3
    assert store.marks("flights", 1)[DAY]["sha256"] == "a"


def test_days_and_columns_are_pruned_and_rows_stay_in_order(store: DeltaStore) -> None:
    count = 20_000
    shuffled = random.Random(1).sample(range(count), count)
    for n in (2, 0, 1):
        table = pa.table({"n": pa.array(shuffled), "at": pa.array([datetime(2013, 1, 1, tzinfo=UTC)] * count)})
        chunks = pa.concat_tables([table.slice(k, 1000) for k in range(0, count, 1000)])
        store.write_day("flights", DAY + timedelta(n), chunks, str(n))
    got = store.read("flights", 2, Days(DAY, NEXT), ["day", "n"])
    assert got.column_names == ["day", "n"]
    assert got["n"].to_pylist() == shuffled * 2
    assert got["day"].to_pylist() == [DAY] * count + [NEXT] * count
    assert set(store.marks("flights", 2, Days(NEXT, NEXT))) == {NEXT}
    nothing = store.read("flights", 2, Days(date(1999, 1, 1), date(1999, 1, 2)))
    assert (nothing.num_rows, nothing.column_names) == (0, ["n", "at", "day"])
    with pytest.raises(UsageError):
        store.read("flights", 2, columns=["_sha256"])


def test_a_new_column_is_empty_in_older_days_and_an_absent_one_in_newer(store: DeltaStore) -> None:
    store.write_day("flights", DAY, rows(1), "a")
    store.write_day("flights", NEXT, rows(1, extra=pa.array(["x"] * 3)), "b")
    store.write_day("flights", NEXT + timedelta(1), rows(1), "c")
    assert store.read("flights", 2)["extra"].to_pylist() == [None] * 3 + ["x"] * 3 + [None] * 3
    assert "extra" not in store.read("flights", 0).column_names


def test_columns_are_matched_by_name_whatever_their_order(store: DeltaStore) -> None:
    store.write_day("flights", DAY, rows(7), "a")
    store.write_day("flights", NEXT, rows(7).select(["value", "n"]), "b")
    assert store.read("flights", 1)["value"].to_pylist() == [7] * 6


def test_a_column_of_another_type_is_refused_and_not_cast(store: DeltaStore, tmp_path: Path) -> None:
    store.write_day("flights", DAY, rows(1), "a")
    before = files_of(tmp_path)
    with pytest.raises(UsageError, match="'value' is int64 in the store and string"):
        store.write_day("flights", NEXT, pa.table({"n": [1], "value": ["12"]}), "b")
    assert files_of(tmp_path) == before


def test_rows_of_another_day_are_refused(store: DeltaStore) -> None:
    for days in (pa.array([DAY, NEXT, DAY]), pa.array([DAY, None, DAY]), pa.array([1, 1, 1])):
        with pytest.raises(UsageError):
            store.write_day("flights", DAY, rows(1, day=days))
    store.write_day("flights", DAY, rows(1, day=pa.array([DAY] * 3)))


@pytest.mark.parametrize(
    "name", ["", "../x", "/etc", "a//b", "a/../b", "a\\b", "_delta_log", "a/_delta_log", "day=1", "a\0"]
)
def test_a_table_name_that_could_lead_elsewhere_is_refused(store: DeltaStore, name: str) -> None:
    with pytest.raises(UsageError):
        store.write_day(name, DAY, rows(1))


def test_a_version_that_is_not_there_is_said_so(store: DeltaStore) -> None:
    with pytest.raises(UsageError, match="no table"):
        store.read("flights", 0)
    store.write_day("flights", DAY, rows(1))
    with pytest.raises(UsageError, match="no version 1"):
        store.read("flights", 1)


def test_only_the_owner_can_reach_the_tables(store: DeltaStore, tmp_path: Path) -> None:
    store.write_day("flights", DAY, rows(1))
    assert (tmp_path / "store" / "tables").stat().st_mode & 0o777 == 0o700


def test_versions_before_and_after_checkpoints_stay_readable(store: DeltaStore, tmp_path: Path) -> None:
    for n in range(25):
        store.write_day("flights", DAY + timedelta(n % 7), rows(n), str(n))
    assert any("checkpoint" in name for name in files_of(tmp_path))
    fresh = DeltaStore(tmp_path / "store")
    for version in (0, 5, 9, 10, 11, 19, 24):
        newest = {DAY + timedelta(n % 7): n for n in range(version + 1)}
        got = fresh.read("flights", version)
        assert dict(zip(got["day"].to_pylist(), got["value"].to_pylist(), strict=True)) == newest


def test_a_lost_data_file_is_a_refusal_with_a_way_out(store: DeltaStore, tmp_path: Path) -> None:
    store.write_day("flights", DAY, rows(1))
    (data,) = (tmp_path / "store/tables/flights").glob("day=*/*.parquet")
    data.unlink()
    with pytest.raises(RefusedError, match=f"flights of {DAY}: the file '.*{data.name}' .* backup"):
        store.read("flights", 0)


def exchanged(root: Path, day: date) -> Path:
    (file,) = (root / "tables/flights").glob(f"day={day}/*.parquet")
    return file


@pytest.mark.parametrize("count", [3, 4], ids=["same size", "another size"])
def test_a_file_exchanged_for_another_valid_one_is_refused_and_named(tmp_path: Path, count: int) -> None:
    store = DeltaStore(tmp_path)
    store.write_day("flights", DAY, rows(1), "a" * 64)
    store.write_day("flights", NEXT, rows(2, count), "b" * 64)
    ours, theirs = exchanged(tmp_path, DAY), exchanged(tmp_path, NEXT)
    assert (ours.stat().st_size == theirs.stat().st_size) == (count == 3)
    kept = ours.read_bytes()
    ours.write_bytes(theirs.read_bytes())
    for asked in (store, DeltaStore(tmp_path)):
        for version in (0, 1):
            with pytest.raises(
                RefusedError, match=f"flights of {DAY}: the file 'day={DAY}/{ours.name}' .* backup"
            ) as no:
                asked.read("flights", version, Days(DAY, DAY), ["n"])
            assert no.value.code == "CORRUPT"
        assert asked.read("flights", 1, Days(NEXT, NEXT))["value"].to_pylist() == [2] * count
    # The sentence says so: the delivery that was there writes nothing, and the file from the backup mends it.
    assert not store.write_day("flights", DAY, rows(1), "a" * 64).changed
    ours.write_bytes(kept)
    assert store.read("flights", 1, Days(DAY, DAY))["value"].to_pylist() == [1] * 3


def test_a_file_of_the_right_size_that_tells_no_digest_is_refused(store: DeltaStore, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store.write_day("flights", DAY, rows(1), "a" * 64)
    file = exchanged(tmp_path / "store", DAY)
    size = file.stat().st_size
    pq.write_table(pa.table({"n": [7]}), file)
    short = size - file.stat().st_size
    # A footer's own text fills it up.
    for pad in range(short):
        pq.write_table(pa.table({"n": [7]}).replace_schema_metadata({"k": "x" * pad}), file)
        if file.stat().st_size >= size:
            break
    log = next((tmp_path / "store/tables/flights/_delta_log").glob("*.json"))
    log.write_text(log.read_text().replace(f'"size":{size}', f'"size":{file.stat().st_size}'))
    with pytest.raises(RefusedError, match="holds the delivery unknown, and the log says aaaaaaaaaaaa…"):
        DeltaStore(tmp_path / "store").read("flights", 0)


def test_a_writer_that_loses_every_race_gives_up_in_the_end(store: DeltaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from deltalake.exceptions import CommitFailedError

    from pipeline.adapters import store as module

    store.write_day("flights", DAY, rows(1), "a")

    def lose(*_: Any, **__: Any) -> None:
        raise CommitFailedError("taken")

    monkeypatch.setattr(module, "write_deltalake", lose)
    monkeypatch.setattr(module, "_ATTEMPTS", 3)
    with pytest.raises(UnavailableError, match="nothing was changed") as busy:
        store.write_day("flights", NEXT, rows(1), "b")
    assert (busy.value.code, busy.value.retry) == ("BUSY", True)


@pytest.mark.parametrize(("theirs", "changed"), [("mine", False), ("theirs", True)])
def test_a_writer_that_is_overtaken_looks_again_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str, changed: bool
) -> None:
    from pipeline.adapters import store as module

    store, other = DeltaStore(tmp_path), DeltaStore(tmp_path)
    store.write_day("flights", DAY, rows(1), "a")
    real = module.write_deltalake
    overtaken = []

    def slow(*args: Any, **named: Any) -> None:
        if not overtaken:
            overtaken.append(True)
            other.write_day("flights", NEXT, rows(2), theirs)
        real(*args, **named)

    monkeypatch.setattr(module, "write_deltalake", slow)
    commit = store.write_day("flights", NEXT, rows(3), "mine")
    assert (commit.version, commit.changed) == (2 if changed else 1, changed)
    assert store.read("flights", commit.version, Days(NEXT, NEXT))["value"].to_pylist() == [3 if changed else 2] * 3


def _write(root: Path, writer: int, one_day: bool) -> list[bool]:
    store = DeltaStore(root)
    return [
        store.write_day("flights", DAY if one_day else DAY + timedelta(n), rows(writer, 50), f"{writer}-{n}").changed
        for n in range(6)
    ]


def test_writers_of_the_same_day_at_once_end_with_one_whole_delivery(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(_write, [(tmp_path, n, True) for n in range(3)])
    store = DeltaStore(tmp_path)
    version = store.version("flights")
    assert version == 17
    for past in range(version + 1):
        assert set(
            map(
                len, (store.read("flights", past, columns=["n"]), set(store.read("flights", past)["value"].to_pylist()))
            )
        ) == {50, 1}


def _same(root: Path, _: int) -> int:
    store = DeltaStore(root)
    return sum(store.write_day("flights", DAY + timedelta(n), rows(n, 50), str(n)).changed for n in range(6))


def test_two_pipelines_that_take_in_the_same_files_at_once_write_each_day_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert sum(pool.starmap(_same, [(tmp_path, n) for n in range(3)])) == 6
    store = DeltaStore(tmp_path)
    assert store.version("flights") == 5
    assert {day: mark["rows"] for day, mark in store.marks("flights", 5).items()} == {
        DAY + timedelta(n): 50 for n in range(6)
    }


ENDLESS = textwrap.dedent(
    """
    import sys
    from datetime import timedelta
    from pathlib import Path
    from tests.adapters.test_store import DAY, rows
    from pipeline.adapters.store import DeltaStore

    store = DeltaStore(Path(sys.argv[1]))
    n = 0
    while True:
        store.write_day("flights", DAY + timedelta(n % 5), rows(n, 200), f"{sys.argv[2]}-{n}")
        n += 1
    """
)


def test_a_writer_killed_at_any_moment_leaves_whole_days_only(tmp_path: Path) -> None:
    draw = random.Random(3)
    versions = []
    for n in range(4):
        command = [sys.executable, "-c", ENDLESS, str(tmp_path), str(n)]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        before = DeltaStore(tmp_path).version("flights") or 0
        end = time.monotonic() + 8
        while (DeltaStore(tmp_path).version("flights") or 0) < before + 5 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.06))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        store = DeltaStore(tmp_path)
        version = store.version("flights")
        assert version is not None
        versions.append(version)
        assert {mark["rows"] for mark in store.marks("flights", version).values()} == {200}
        got = store.read("flights", version)
        assert got.num_rows == 200 * len(set(got["day"].to_pylist()))
        assert len(set(zip(got["day"].to_pylist(), got["value"].to_pylist(), strict=True))) == got.num_rows // 200
    assert versions == sorted(set(versions))


def test_errors_of_the_store_are_of_this_house(store: DeltaStore, tmp_path: Path) -> None:
    store.write_day("flights", DAY, rows(1), "a")
    log = tmp_path / "store/tables/flights/_delta_log"
    (log / f"{0:020}.json").write_text("not json")
    with pytest.raises(PipelineError):
        DeltaStore(tmp_path / "store").read("flights", 0)


@pytest.mark.parametrize("opened", [False, True], ids=["anew", "open"])
def test_a_table_whose_log_is_gone_is_refused_and_nothing_is_written_over_it(tmp_path: Path, opened: bool) -> None:
    store = DeltaStore(tmp_path)
    for day in (DAY, NEXT):
        store.write_day("flights", day, rows(1), f"{day}")
    shutil.rmtree(tmp_path / "tables/flights/_delta_log")
    before = files_of(tmp_path)
    lost = store if opened else DeltaStore(tmp_path)
    for ask in (
        lambda: lost.version("flights"),
        lambda: lost.read("flights", 1),
        lambda: lost.marks("flights", 1),
        lambda: lost.write_day("flights", NEXT + timedelta(1), rows(2), "c"),
    ):
        with pytest.raises(
            RefusedError, match=r"_delta_log is gone; restore the folder 'flights' .* backup"
        ) as corrupt:
            ask()
        assert corrupt.value.code == "CORRUPT"
    assert files_of(tmp_path) == before


def test_a_first_commit_that_was_killed_before_its_log_can_be_made_again(store: DeltaStore, tmp_path: Path) -> None:
    left = tmp_path / f"store/tables/flights/day={DAY}/part-0.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert store.version("flights") is None
    assert store.write_day("flights", NEXT, rows(1), "a").version == 0
