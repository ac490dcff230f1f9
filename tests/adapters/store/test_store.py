from __future__ import annotations

import os
import random
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

from pipeline.adapters.store.delta import DeltaStore
from pipeline.core.errors import PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.windows import Days
from tests.at_once import at_once
from tests.places import Disk, OnStorage, Where, store_at, told

Shelf = Disk | OnStorage

DAY = date(2013, 3, 8)
NEXT = DAY + timedelta(1)


def rows(value: int, count: int = 3, **more: Any) -> pa.Table:
    return pa.table({"n": pa.array(range(count), pa.int64()), "value": pa.array([value] * count, pa.int64()), **more})


@pytest.fixture
def store(shelf: Shelf) -> DeltaStore:
    return store_at(shelf.where)


def test_a_day_is_read_back_with_its_day_and_without_the_stores_own_columns(store: DeltaStore) -> None:
    assert store.version("flights") is None
    commit = store.write_day("flights", DAY, rows(1), "a" * 64, "c" * 64)
    assert (commit.version, commit.changed) == (0, True)
    assert store.read("flights", 0).to_pylist() == [{"n": n, "value": 1, "day": DAY} for n in range(3)]
    assert store.marks("flights", 0) == {DAY: {"rows": 3, "sha256": "a" * 64, "content": "c" * 64}}


def test_the_same_digest_again_writes_nothing_at_all(store: DeltaStore, shelf: Shelf) -> None:
    store.write_day("flights", DAY, rows(1), "a", "c")
    before = shelf.names()
    for again in (store, store_at(shelf.where)):
        commit = again.write_day("flights", DAY, rows(2), "a", "c")
        assert (commit.version, commit.changed) == (0, False)
    assert shelf.names() == before


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


def test_a_column_of_another_type_is_refused_and_not_cast(store: DeltaStore, shelf: Shelf) -> None:
    store.write_day("flights", DAY, rows(1), "a")
    before = shelf.names()
    with pytest.raises(UsageError, match="'value' is int64 in the store and string"):
        store.write_day("flights", NEXT, pa.table({"n": [1], "value": ["12"]}), "b")
    assert shelf.names() == before


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


def test_only_the_owner_can_reach_the_tables(tmp_path: Path) -> None:
    DeltaStore(tmp_path / "store").write_day("flights", DAY, rows(1))
    assert (tmp_path / "store" / "tables").stat().st_mode & 0o777 == 0o700


def test_versions_before_and_after_checkpoints_stay_readable(store: DeltaStore, shelf: Shelf) -> None:
    for n in range(25):
        store.write_day("flights", DAY + timedelta(n % 7), rows(n), str(n))
    assert any("checkpoint" in name for name in shelf.names())
    fresh = store_at(shelf.where)
    for version in (0, 5, 9, 10, 11, 19, 24):
        newest = {DAY + timedelta(n % 7): n for n in range(version + 1)}
        got = fresh.read("flights", version)
        assert dict(zip(got["day"].to_pylist(), got["value"].to_pylist(), strict=True)) == newest


def data_file(shelf: Shelf, day: date) -> str:
    (name,) = shelf.names(f"tables/flights/day={day}/")
    return name


def test_a_lost_data_file_is_a_refusal_with_a_way_out(store: DeltaStore, shelf: Shelf) -> None:
    store.write_day("flights", DAY, rows(1))
    name = data_file(shelf, DAY)
    shelf.remove(name)
    with pytest.raises(RefusedError, match=f"flights of {DAY}: the file '.*{Path(name).name}' .* backup") as no:
        store.read("flights", 0)
    assert no.value.code == "CORRUPT"


@pytest.mark.parametrize("count", [3, 4], ids=["same size", "another size"])
def test_a_file_exchanged_for_another_valid_one_is_refused_and_named(shelf: Shelf, count: int) -> None:
    store = store_at(shelf.where)
    store.write_day("flights", DAY, rows(1), "a" * 64)
    store.write_day("flights", NEXT, rows(2, count), "b" * 64)
    ours, theirs = data_file(shelf, DAY), data_file(shelf, NEXT)
    kept, other = shelf.read(ours), shelf.read(theirs)
    assert (len(kept) == len(other)) == (count == 3)
    shelf.write(ours, other)
    for asked in (store, store_at(shelf.where)):
        for version in (0, 1):
            with pytest.raises(
                RefusedError, match=f"flights of {DAY}: the file '{ours.removeprefix('tables/flights/')}' .* backup"
            ) as no:
                asked.read("flights", version, Days(DAY, DAY), ["n"])
            assert no.value.code == "CORRUPT"
        assert asked.read("flights", 1, Days(NEXT, NEXT))["value"].to_pylist() == [2] * count
    # The sentence says so: the delivery that was there writes nothing, and the file from the backup mends it.
    assert not store.write_day("flights", DAY, rows(1), "a" * 64).changed
    shelf.write(ours, kept)
    assert store.read("flights", 1, Days(DAY, DAY))["value"].to_pylist() == [1] * 3


def test_a_file_of_the_right_size_that_tells_no_digest_is_refused(store: DeltaStore, shelf: Shelf) -> None:
    import pyarrow.parquet as pq

    store.write_day("flights", DAY, rows(1), "a" * 64)
    name = data_file(shelf, DAY)
    size = len(shelf.read(name))

    def padded(pad: int) -> bytes:
        out = pa.BufferOutputStream()
        pq.write_table(pa.table({"n": [7]}).replace_schema_metadata({"k": "x" * pad}), out)
        return out.getvalue().to_pybytes()

    # A footer's own text fills it up.
    data = next(made for pad in range(size) if len(made := padded(pad)) >= size)
    shelf.write(name, data)
    (log,) = shelf.names("tables/flights/_delta_log/")
    shelf.write(log, shelf.read(log).replace(f'"size":{size}'.encode(), f'"size":{len(data)}'.encode()))
    with pytest.raises(RefusedError, match="holds the delivery unknown, and the log says aaaaaaaaaaaa…"):
        store_at(shelf.where).read("flights", 0)


def test_a_writer_that_loses_every_race_gives_up_in_the_end(store: DeltaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from deltalake.exceptions import CommitFailedError

    from pipeline.adapters.store import delta as module

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
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, theirs: str, changed: bool
) -> None:
    from pipeline.adapters.store import delta as module

    store, other = store_at(shelf.where), store_at(shelf.where)
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


def _write(where: Where, writer: int, one_day: bool) -> list[bool]:
    store = store_at(where)
    return [
        store.write_day("flights", DAY if one_day else DAY + timedelta(n), rows(writer, 50), f"{writer}-{n}").changed
        for n in range(6)
    ]


def test_writers_of_the_same_day_at_once_end_with_one_whole_delivery(shelf: Shelf) -> None:
    at_once([(_write, (shelf.where, n, True)) for n in range(3)], processes=3)
    store = store_at(shelf.where)
    version = store.version("flights")
    assert version == 17
    for past in range(version + 1):
        assert set(
            map(
                len, (store.read("flights", past, columns=["n"]), set(store.read("flights", past)["value"].to_pylist()))
            )
        ) == {50, 1}


def _same(where: Where, _: int) -> int:
    store = store_at(where)
    return sum(store.write_day("flights", DAY + timedelta(n), rows(n, 50), str(n)).changed for n in range(6))


def test_two_pipelines_that_take_in_the_same_files_at_once_write_each_day_once(shelf: Shelf) -> None:
    assert sum(at_once([(_same, (shelf.where, n)) for n in range(3)], processes=3)) == 6
    store = store_at(shelf.where)
    assert store.version("flights") == 5
    assert {day: mark["rows"] for day, mark in store.marks("flights", 5).items()} == {
        DAY + timedelta(n): 50 for n in range(6)
    }


ENDLESS = textwrap.dedent(
    """
    import sys
    from datetime import timedelta
    from tests.adapters.store.test_store import DAY, rows
    from tests.places import store_at, where_of

    store = store_at(where_of(sys.argv[1]))
    n = 0
    while True:
        store.write_day("flights", DAY + timedelta(n % 5), rows(n, 200), f"{sys.argv[2]}-{n}")
        n += 1
    """
)


def test_a_writer_killed_at_any_moment_leaves_whole_days_only(shelf: Shelf) -> None:
    draw = random.Random(3)
    versions = []
    for n in range(4):
        command = [sys.executable, "-c", ENDLESS, told(shelf.where), str(n)]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[3])
        before = store_at(shelf.where).version("flights") or 0
        end = time.monotonic() + 8
        while (store_at(shelf.where).version("flights") or 0) < before + 5 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.06))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        store = store_at(shelf.where)
        version = store.version("flights")
        assert version is not None
        versions.append(version)
        assert {mark["rows"] for mark in store.marks("flights", version).values()} == {200}
        got = store.read("flights", version)
        assert got.num_rows == 200 * len(set(got["day"].to_pylist()))
        assert len(set(zip(got["day"].to_pylist(), got["value"].to_pylist(), strict=True))) == got.num_rows // 200
    assert versions == sorted(set(versions))


def test_errors_of_the_store_are_of_this_house(store: DeltaStore, shelf: Shelf) -> None:
    store.write_day("flights", DAY, rows(1), "a")
    shelf.write(f"tables/flights/_delta_log/{0:020}.json", b"not json")
    with pytest.raises(PipelineError) as no:
        store_at(shelf.where).read("flights", 0)
    assert no.value.code == "CORRUPT"


@pytest.mark.parametrize("opened", [False, True], ids=["anew", "open"])
def test_a_table_whose_log_is_gone_is_refused_and_nothing_is_written_over_it(shelf: Shelf, opened: bool) -> None:
    store = store_at(shelf.where)
    for day in (DAY, NEXT):
        store.write_day("flights", day, rows(1), f"{day}")
    for name in shelf.names("tables/flights/_delta_log/"):
        shelf.remove(name)
    before = shelf.names()
    lost = store if opened else store_at(shelf.where)
    for ask in (
        lambda: lost.version("flights"),
        lambda: lost.read("flights", 1),
        lambda: lost.marks("flights", 1),
        lambda: lost.write_day("flights", NEXT + timedelta(1), rows(2), "c"),
    ):
        with pytest.raises(
            RefusedError, match=r"_delta_log is gone; restore the (folder|table) 'flights' .* backup"
        ) as corrupt:
            ask()
        assert corrupt.value.code == "CORRUPT"
    assert shelf.names() == before


def test_a_first_commit_that_was_killed_before_its_log_can_be_made_again(store: DeltaStore, shelf: Shelf) -> None:
    shelf.write(f"tables/flights/day={DAY}/part-0.parquet", b"half")
    assert store.version("flights") is None
    assert store.write_day("flights", NEXT, rows(1), "a").version == 0
