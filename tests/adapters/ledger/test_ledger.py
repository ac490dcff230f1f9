from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.adapters.ledger.sql import SqlLedger
from pipeline.core.errors import ConflictError, RefusedError, UnavailableError
from tests.adapters.ledger.ledgers import Place, PostgresPlace, SqlitePlace
from tests.adapters.ledger.lines import entry, outcome
from tests.at_once import at_once


@pytest.fixture
def ledger(database: Place) -> SqlLedger:
    return SqlLedger(database.url)


def test_lines_come_back_as_they_were_written_oldest_first(ledger: SqlLedger) -> None:
    lines = [entry(1), entry(2, held="linear", held_until="2020-02-01", action="rollback"), entry(3)]
    for line in lines:
        ledger.append(line)
    ledger.append(entry(1, usecase="other"))
    assert list(ledger.entries("small")) == lines
    assert ledger.entries("nobody") == []


def test_an_epoch_that_is_taken_or_not_the_next_is_a_conflict(ledger: SqlLedger) -> None:
    ledger.append(entry(1))
    for wrong in (entry(1, version=7), entry(3), entry(0), entry(-1)):
        with pytest.raises(ConflictError):
            ledger.append(wrong)
    assert list(ledger.entries("small")) == [entry(1)]


def test_the_same_line_again_is_a_retry_and_not_a_conflict(ledger: SqlLedger) -> None:
    ledger.append(entry(1))
    ledger.append(entry(1, at="2020-01-07T11:11:11+00:00"))
    ledger.append(entry(2))
    ledger.append(entry(1))
    assert [line.at for line in ledger.entries("small")] == [entry(1).at, entry(2).at]


def test_the_past_can_not_be_crowned(ledger: SqlLedger) -> None:
    ledger.append(entry(1))
    with pytest.raises(ConflictError) as past:
        ledger.append(entry(2, day="2020-01-04"))
    assert past.value.code == "PAST"
    ledger.append(entry(2, day="2020-01-05"))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE promotions SET version = 9",
        "DELETE FROM promotions",
        "UPDATE outcomes SET body = ''",
        "DELETE FROM outcomes",
        "INSERT INTO promotions SELECT usecase, 9, action, version, model, recipe, trained_through, sha256, replaced, "
        'day, verdict, why, "by", "at", held, held_until FROM promotions WHERE epoch = 2',
    ],
)
def test_no_line_can_be_changed_removed_or_put_elsewhere_by_anybody(
    ledger: SqlLedger, database: Place, sql: str
) -> None:
    ledger.append(entry(1))
    ledger.append(entry(2))
    ledger.conclude(outcome("2020-01-05"))
    with pytest.raises(database.refused):
        database.raw(sql)
    assert len(ledger.entries("small")) == 2
    assert ledger.outcomes("small") == [outcome("2020-01-05")]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR REPLACE INTO promotions SELECT * FROM promotions WHERE epoch = 1",
        "INSERT OR REPLACE INTO outcomes SELECT * FROM outcomes",
    ],
)
def test_no_line_of_a_file_can_be_replaced(tmp_path: Path, sql: str) -> None:
    database = SqlitePlace(tmp_path / "ledger.db")
    ledger = SqlLedger(database.url)
    ledger.append(entry(1))
    ledger.conclude(outcome("2020-01-05"))
    with pytest.raises(sqlite3.IntegrityError):
        database.raw(sql)


def test_a_ledger_with_a_line_cut_out_is_refused(ledger: SqlLedger, database: Place) -> None:
    for n in (1, 2, 3):
        ledger.append(entry(n))
    database.unguard()
    database.raw("DELETE FROM promotions WHERE epoch = 2")
    with pytest.raises(RefusedError, match="no epoch 2") as corrupt:
        ledger.entries("small")
    assert corrupt.value.code == "CORRUPT"


def test_a_file_that_is_no_ledger_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is no database at all, only text" * 100)
    with pytest.raises(RefusedError, match="restore it from a backup"):
        SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}").entries("small")


def test_a_ledger_that_stays_locked_may_be_free_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    SqlLedger(url).append(entry(1))
    monkeypatch.setattr("pipeline.adapters.ledger.connecting.BUSY_SECONDS", 0.2)
    hasty = SqlLedger(url)
    holder = sqlite3.connect(tmp_path / "ledger.db")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError):
        hasty.append(entry(2))
    holder.close()
    hasty.append(entry(2))


def test_only_the_owner_can_read_the_ledger(tmp_path: Path) -> None:
    SqlLedger(f"sqlite:///{tmp_path / 'kept' / 'ledger.db'}").append(entry(1))
    assert (tmp_path / "kept" / "ledger.db").stat().st_mode & 0o777 == 0o600


def test_the_newest_line_of_each_day_counts_and_the_same_line_again_changes_nothing(
    ledger: SqlLedger, database: Place
) -> None:
    for day in ("2020-01-07", "2020-01-05", "2020-01-06"):
        ledger.conclude(outcome(day))
    ledger.conclude(outcome("2020-01-05", reason="promoted after all"))
    ledger.conclude(outcome("2020-01-05", reason="promoted after all"))
    ledger.conclude(outcome("2020-01-09", usecase="other"))
    assert ledger.outcomes("small") == [
        outcome("2020-01-05", reason="promoted after all"),
        outcome("2020-01-06"),
        outcome("2020-01-07"),
    ]
    assert database.raw("SELECT count(*) FROM outcomes") == [(5,)]


def test_a_turn_is_taken_only_from_a_run_that_is_not_alive(ledger: SqlLedger) -> None:
    asked: list[str] = []

    def alive(holder: str) -> bool:
        asked.append(holder)
        return holder == "second"

    assert ledger.take_turn("small", "first", alive) == "first"
    assert ledger.take_turn("small", "first", alive) == "first"
    assert asked == []
    assert ledger.take_turn("small", "second", alive) == "second"
    assert ledger.take_turn("small", "third", alive) == "second"
    assert asked == ["first", "second"]
    assert ledger.take_turn("other", "third", alive) == "third"


def test_a_turn_that_changed_hands_while_its_holder_was_looked_at_is_asked_about_anew(ledger: SqlLedger) -> None:
    ledger.take_turn("small", "dead", lambda _: True)

    def alive(holder: str) -> bool:
        if holder == "dead":
            ledger.take_turn("small", "quicker", lambda _: False)
        return holder == "quicker"

    assert ledger.take_turn("small", "slower", alive) == "quicker"


def test_of_many_who_found_the_turn_free_or_its_holder_dead_one_gets_it(database: Place) -> None:
    """All look before any takes; those who lose look again, and find the winner at work."""
    names = [f"run {n}" for n in range(6)]
    for usecase in ("never taken", "left by the dead"):
        if usecase == "left by the dead":
            SqlLedger(database.url).take_turn(usecase, "dead", lambda _: False)
        looked = threading.Barrier(len(names))

        def take(name: str, usecase: str = usecase, looked: threading.Barrier = looked) -> str:
            def alive(holder: str) -> bool:
                if holder == "dead":
                    looked.wait(60)
                return holder != "dead"

            ledger = SqlLedger(database.url)
            ledger.outcomes(usecase)
            if usecase == "never taken":
                looked.wait(60)
            return ledger.take_turn(usecase, name, alive)

        with ThreadPoolExecutor(len(names)) as pool:
            got = list(pool.map(take, names))
        assert len(set(got)) == 1
        assert got[0] in names
        assert SqlLedger(database.url).take_turn(usecase, "late", lambda _: True) == got[0]


WRITER = textwrap.dedent(
    """
    import sys
    from tests.adapters.ledger.lines import entry
    from pipeline.adapters.ledger.sql import SqlLedger
    from pipeline.core.errors import ConflictError, UnavailableError

    ledger, me = SqlLedger(sys.argv[1]), sys.argv[2]
    while True:
        try:
            epoch = len(ledger.entries("small")) + 1
        except UnavailableError:
            continue
        while True:
            try:
                ledger.append(entry(epoch, by=me))
            except ConflictError:
                break
            except UnavailableError:
                continue  # the very same line again, for it may be there
            print(epoch, flush=True)
            break
    """
)


class Race:
    """Writers that race for epochs, and are killed. No two may be told of the same epoch."""

    def __init__(self, url: str, writers: int) -> None:
        self.url, self.started = url, 0
        self.told: dict[int, str] = {}
        self.running: list[tuple[str, subprocess.Popen[str]]] = []
        for _ in range(writers):
            self.start()

    def start(self) -> None:
        name = f"writer {self.started}"
        self.started += 1
        command = [sys.executable, "-c", WRITER, self.url, name]
        root = Path(__file__).parents[3]
        self.running.append((name, subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)))

    def kill(self, after: float = 0.0) -> None:
        """The oldest, so long after it was first told of a line, wherever it is then; and hear what it was told."""
        name, process = self.running.pop(0)
        assert process.stdout is not None
        out = process.stdout.readline()
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)
        out += process.communicate()[0]
        assert process.returncode == -signal.SIGKILL, "it had ended by itself"
        for epoch in map(int, [line for line in out.split("\n")[:-1] if line]):
            assert epoch not in self.told, f"epoch {epoch} was won by {self.told[epoch]} and by {name}"
            self.told[epoch] = name

    def end(self) -> None:
        """Kill them all."""
        while self.running:
            self.kill()

    def check(self) -> None:
        entries = SqlLedger(self.url).entries("small")
        assert [line.epoch for line in entries] == list(range(1, len(entries) + 1))
        assert {epoch: entries[epoch - 1].by for epoch in self.told} == self.told


def test_killed_and_racing_writers_make_no_fork_and_lose_no_line_they_were_told_is_kept(database: Place) -> None:
    race = Race(database.url, 3 if isinstance(database, SqlitePlace) else 6)
    draw, end = random.Random(1), time.monotonic() + 6
    while time.monotonic() < end or race.started < 12:
        race.kill(after=draw.uniform(0.1, 0.5))
        race.start()
    race.end()
    race.check()


def _conclude(url: str, number: int) -> None:
    ledger = SqlLedger(url)
    for day in range(1, 10):
        ledger.conclude(outcome(f"2020-01-0{day}", reason=f"by {number}"))


def test_a_ledger_made_by_many_at_once_is_one_ledger(database: Place) -> None:
    url = database.url if isinstance(database, SqlitePlace) else PostgresPlace(database.server).owner_url  # type: ignore[attr-defined]
    at_once([(_conclude, (url, n)) for n in range(4)], processes=4)
    assert len(SqlLedger(url).outcomes("small")) == 9
