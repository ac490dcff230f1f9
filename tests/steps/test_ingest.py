from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pytest

from pipeline.adapters.landing.folder import FolderLanding
from pipeline.adapters.store.delta import DeltaStore
from pipeline.core.errors import RefusedError, UnavailableError, UsageError
from pipeline.core.headlines import day_headline
from pipeline.core.ports import World
from pipeline.core.records import Snapshot
from pipeline.core.tables import Frame
from pipeline.core.usecase import Tables, Usecase
from pipeline.core.windows import Days
from pipeline.steps.ingest import ingest
from tests.at_once import at_once
from tests.small import FIRST, SMALL, VISITS, days, deliver, world_in

LENIENT: Usecase = dataclasses.replace(SMALL, feeds=(dataclasses.replace(VISITS, bad_rows=0.1),), lookback=4)
#: Reaches back four days only, so that it can be killed at every write within seconds.
TINY: Usecase = dataclasses.replace(
    LENIENT,
    recipes=tuple(dataclasses.replace(recipe, window=3) for recipe in SMALL.recipes),
    baseline=dataclasses.replace(SMALL.baseline, window=3),
    lookback=2,
)
DAY = FIRST + timedelta(12)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def world(home: Path) -> World:
    return world_in(home)


def visits(home: Path, day: date) -> Path:
    return home / "landing" / "visits" / f"{day}.csv"


def state(home: Path) -> dict[str, Any]:
    """Everything that ingest leaves behind: versions, marks and rows of each table, and the quarantine's bytes."""
    store = DeltaStore(home / "store")
    left: dict[str, Any] = {}
    for table in ("visits", "shops"):
        version = store.version(table)
        if version is not None:
            rows = store.read(table, version).to_pylist()
            left[table] = (version, dict(store.marks(table, version)), rows)
    kept = home / "store" / "files"
    left["files"] = {path.relative_to(kept).as_posix(): path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    return left


def test_the_first_run_takes_in_what_windows_and_features_reach_and_no_later_day(home: Path, world: World) -> None:
    for day in days(20):
        deliver(home / "landing", day)
    snapshot = ingest(SMALL, DAY, world)
    reach = SMALL.longest_window + SMALL.history
    assert reach == 10
    marks = world.store.marks("visits", snapshot.versions["visits"])
    # The lookback of fourteen days reaches further back than windows and features.
    assert list(marks) == list(Days(FIRST, DAY))
    assert "taken in 12 days of 2020-01-01 to 2020-01-12" in snapshot.note
    assert Snapshot.from_dict(snapshot.to_dict()) == snapshot


def test_with_a_short_lookback_the_first_run_still_fills_the_window(home: Path, world: World) -> None:
    for day in days(20):
        deliver(home / "landing", day)
    snapshot = ingest(LENIENT, DAY, world)
    assert list(world.store.marks("visits", snapshot.versions["visits"])) == list(Days(DAY - timedelta(10), DAY))


def test_a_second_run_of_the_day_changes_nothing(home: Path, world: World) -> None:
    for day in days(13):
        deliver(home / "landing", day)
    first = ingest(SMALL, DAY, world)
    before = state(home)
    again = ingest(SMALL, DAY, world_in(home))
    assert (again.versions, again.digest, again.note) == (first.versions, first.digest, "")
    assert state(home) == before


def test_files_that_did_not_change_are_not_parsed_again(
    home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in days(13):
        deliver(home / "landing", day)
    ingest(SMALL, DAY, world)
    monkeypatch.setattr(FolderLanding, "fetch", lambda *_: pytest.fail("parsed again"))
    ingest(SMALL, DAY, world)


def test_a_corrected_file_of_a_past_day_replaces_that_day_and_old_snapshots_read_the_old_bytes(
    home: Path, world: World
) -> None:
    for day in days(13):
        deliver(home / "landing", day)
    old = ingest(SMALL, DAY, world)
    past = DAY - timedelta(2)
    was = world.store.read("visits", old.versions["visits"], Days(past, past))
    deliver(home / "landing", past, flip=True)
    deliver(home / "landing", DAY + timedelta(1))
    new = ingest(SMALL, DAY + timedelta(1), world)
    assert f"visits of {past}: replaced by a corrected delivery" in new.note
    assert world.store.read("visits", old.versions["visits"], Days(past, past)).equals(was)
    now = world.store.read("visits", new.versions["visits"], Days(past, past))
    assert now["bought"].to_pylist() == [1 - n for n in was["bought"].to_pylist()]
    assert new.versions["visits"] == old.versions["visits"] + 2


def test_a_late_file_of_a_past_day_is_taken_in_by_the_next_run(home: Path, world: World) -> None:
    late = DAY - timedelta(2)
    for day in days(14):
        if day != late:
            deliver(home / "landing", day)
    early = ingest(SMALL, DAY, world)
    assert late not in world.store.marks("visits", early.versions["visits"])
    deliver(home / "landing", late)
    snapshot = ingest(SMALL, DAY + timedelta(1), world)
    assert late in world.store.marks("visits", snapshot.versions["visits"])
    assert f"visits: taken in {late}, which the store did not have yet" in snapshot.note


def test_a_bad_file_of_a_past_day_is_named_and_stops_nothing(home: Path, world: World) -> None:
    for day in days(14):
        deliver(home / "landing", day)
    old = ingest(SMALL, DAY, world)
    past = DAY - timedelta(3)
    visits(home, past).write_text("day;visit;shop;size;bought\n")
    visits(home, past).with_name(f"{past - timedelta(1)}.csv").unlink()
    snapshot = ingest(SMALL, DAY + timedelta(1), world)
    assert f"left as it was: visits of {past}: the file 'visits/{past}.csv' is separated by semicolons" in snapshot.note
    for version in (old.versions["visits"], snapshot.versions["visits"]):
        assert world.store.read("visits", version, Days(past - timedelta(1), past)).num_rows == 60


class Slow(FolderLanding):
    """Hands out one day of the visits too slowly, and counts how often it was asked."""

    def __init__(self, root: Path, slow: date) -> None:
        super().__init__(root)
        self.slow, self.asked = slow, 0

    def fetch(self, table: Any, day: date) -> Any:
        self.asked += table.name == "visits" and day >= self.slow
        if (table.name, day) == ("visits", self.slow):
            raise UnavailableError(f"visits of {day}: came too slowly", "SLOW")
        return super().fetch(table, day)


@pytest.mark.parametrize("back", [0, 2, 6])
def test_an_upstream_that_is_too_slow_is_asked_once_in_a_try_and_what_came_before_is_kept(
    home: Path, world: World, back: int
) -> None:
    for day in days(14):
        deliver(home / "landing", day)
    slow = Slow(home / "landing", DAY - timedelta(back))
    with pytest.raises(UnavailableError, match="came too slowly") as given_up:
        ingest(SMALL, DAY, dataclasses.replace(world, landing=slow))
    assert (given_up.value.code, slow.asked) == ("SLOW", 1)
    kept = world.store.version("visits")
    assert kept is not None
    assert max(world.store.marks("visits", kept)) == slow.slow - timedelta(1)
    # The next try goes on where this one stopped: no day is lost.
    version = ingest(SMALL, DAY, world).versions["visits"]
    assert sorted(world.store.marks("visits", version)) == days(13)


def test_a_refused_table_stays_as_it_was_and_the_sound_ones_are_kept(home: Path, world: World) -> None:
    for day in days(14):
        deliver(home / "landing", day)
    before = ingest(SMALL, DAY, world).versions
    today = DAY + timedelta(1)
    visits(home, today).write_bytes(visits(home, today).read_bytes()[:-5])
    with pytest.raises(RefusedError, match=f"visits of {today}: .* half written") as refused:
        ingest(SMALL, today, world)
    assert refused.value.code == "TRUNCATED"
    assert [(f.about, f.outcome, f.name) for f in refused.value.findings] == [("visits", "FAIL", "visits: delivery")]
    headline = day_headline("refused", str(refused.value), findings=refused.value.findings)
    assert headline.startswith(f"refused: visits: '{today}.csv' ")
    assert "half written" in headline
    assert world.store.version("visits") == before["visits"]
    assert world.store.version("shops") == before["shops"] + 1
    deliver(home / "landing", today)
    after = ingest(SMALL, today, world)
    assert after.versions == {"visits": before["visits"] + 1, "shops": before["shops"] + 1}


def test_all_refusals_of_the_day_are_listed_together(home: Path, world: World) -> None:
    deliver(home / "landing", DAY)
    visits(home, DAY).write_bytes(b"")
    (home / "landing" / "shops" / f"{DAY}.csv").unlink()
    with pytest.raises(
        RefusedError, match=r"2 of 2 files can't be used: \(1\) visits .*; \(2\) shops .* is not there"
    ) as both:
        ingest(SMALL, DAY, world)
    assert both.value.code == "SEVERAL"
    assert [str(f.outcome) for f in both.value.findings] == ["FAIL", "UNKNOWN"]
    headline = day_headline("refused", str(both.value), findings=both.value.findings)
    assert headline == f"refused: visits: '{DAY}.csv' is empty; 2 files can't be used"
    visits(home, DAY).unlink()
    with pytest.raises(UnavailableError) as missing:
        ingest(SMALL, DAY, world)
    assert (missing.value.code, missing.value.retry) == ("MISSING", True)
    assert state(home) == {"files": {}}


def test_what_upstream_cleared_away_stays_in_the_store(home: Path, world: World) -> None:
    for day in days(13):
        deliver(home / "landing", day)
    first = ingest(SMALL, DAY, world)
    for file in (home / "landing").rglob("*.csv"):
        file.unlink()
    assert ingest(SMALL, DAY, world).versions == first.versions


def test_rejected_rows_go_to_quarantine_with_file_line_reason_and_text(home: Path, world: World) -> None:
    deliver(home / "landing", DAY)
    lines = visits(home, DAY).read_text().splitlines()
    lines[5] = f'{DAY},4,north,"=cmd()\u2028<b>",1'
    visits(home, DAY).write_text("\n".join(lines) + "\n")
    snapshot = ingest(LENIENT, DAY, world)
    mark = world.store.marks("visits", snapshot.versions["visits"])[DAY]
    name = f"quarantine/visits/{DAY}/{mark['sha256']}.jsonl"
    assert f"visits of {DAY}: 1 rows went to quarantine, see {name}" in snapshot.note
    (line,) = world.files.get(name).decode("ascii").splitlines()
    assert json.loads(line) == {
        "file": f"visits/{DAY}.csv",
        "delivery": mark["sha256"],
        "line": 6,
        "reason": "size: '=cmd()\\u2028<b>' is no finite number",
        "row": lines[5],
    }
    assert mark["rows"] == 29


def test_progress_is_shown_table_by_table(home: Path, world: World) -> None:
    import contextlib

    told: list[Any] = []

    @contextlib.contextmanager
    def progress(label: str, total: int) -> Any:
        told.append((label, total))
        yield lambda: told.append("done")

    deliver(home / "landing", DAY)
    ingest(SMALL, DAY, dataclasses.replace(world, progress=progress))
    assert told == [(f"ingest small {DAY}", 2), "done", "done"]


# Killed anywhere and run again, the store is the same.


class KilledError(BaseException):
    """Stands for a kill: nothing may catch it."""


def _dying(world: World, at: int, before: bool) -> tuple[World, Callable[[], int]]:
    """A world that dies at its ``at``-th write, before or after it."""
    count = 0

    def wrap(write: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == at and before:
                raise KilledError
            made = write(*args, **named)
            if count == at:
                raise KilledError
            return made

        return dying

    store, files = copy.copy(world.store), copy.copy(world.files)
    store.write_day = wrap(store.write_day)  # type: ignore[method-assign]
    files.put = wrap(files.put)  # type: ignore[method-assign]
    return dataclasses.replace(world, store=store, files=files), lambda: count


def _upstream(home: Path) -> None:
    for day in days(6, DAY - timedelta(4)):
        deliver(home / "landing", day)
    for day in (DAY, DAY - timedelta(1), DAY - timedelta(4)):
        visits(home, day).write_text(visits(home, day).read_text().replace(f"{day},7,", f"{day},seven,"))


def test_a_run_killed_at_any_write_and_run_again_ends_with_the_same_store(tmp_path: Path) -> None:
    _upstream(tmp_path / "whole")
    ingest(TINY, DAY, world_in(tmp_path / "whole"))
    ingest(TINY, DAY + timedelta(1), world_in(tmp_path / "whole"))
    whole = state(tmp_path / "whole")
    assert len(whole["files"]) == 3
    at, finished = 0, False
    while not finished:
        at += 1
        for before in (True, False):
            home = tmp_path / f"{at}-{before}"
            _upstream(home)
            world, writes = _dying(world_in(home), at, before)
            try:
                ingest(TINY, DAY, world)
                finished = True
            except KilledError:
                assert writes() == at
            ingest(TINY, DAY, world_in(home))
            ingest(TINY, DAY + timedelta(1), world_in(home))
            assert state(home) == whole, (at, before)
    assert at > 12


def _ingest(home: Path, name: str) -> dict[str, int]:
    usecase = dataclasses.replace(SMALL, name=name)
    made: dict[str, int] = {}
    for day in days(6):
        made = dict(ingest(usecase, day, world_in(home)).versions)
    return made


def test_two_use_cases_that_share_their_tables_can_ingest_at_the_same_time(home: Path) -> None:
    for day in days(6):
        deliver(home / "landing", day)
    made = at_once([(_ingest, (home, "one")), (_ingest, (home, "two"))], processes=2)
    assert made == [{"visits": 5, "shops": 5}] * 2
    left = state(home)
    assert [mark["rows"] for mark in left["visits"][1].values()] == [30] * 6
    assert len({(row["day"], row["visit"]) for row in left["visits"][2]}) == len(left["visits"][2]) == 180


def test_a_landing_folder_that_is_not_there_is_a_missing_file(tmp_path: Path, world: World) -> None:
    nowhere = dataclasses.replace(world, landing=FolderLanding(tmp_path / "nowhere"))
    with pytest.raises(UnavailableError):
        ingest(SMALL, DAY, nowhere)


def test_features_that_no_rows_could_mend_are_refused_before_a_file_is_read(home: Path, world: World) -> None:
    def dated(tables: Tables) -> Frame:
        return SMALL.features(tables).with_columns(size=nw.col("day"))

    deliver(home / "landing", DAY)
    with pytest.raises(UsageError, match="the input 'size' of use case 'small' is a Date"):
        ingest(dataclasses.replace(SMALL, features=dated), DAY, world)
    assert world.store.version("visits") is None
    ingest(SMALL, DAY, world)
