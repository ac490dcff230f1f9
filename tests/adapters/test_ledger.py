from __future__ import annotations

import dataclasses
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pipeline.adapters.ledger import SqlLedger
from pipeline.core.errors import ConflictError, RefusedError, UnavailableError
from pipeline.core.records import DayOutcome, Entry


def entry(epoch: int, by: str = "the gates", **changes: object) -> Entry:
    made = Entry(
        usecase="small",
        epoch=epoch,
        action="promote" if epoch > 1 else "start",
        version=epoch,
        model=f"m{epoch}",
        recipe="linear",
        trained_through="2020-01-04",
        sha256="ab" * 32,
        replaced=epoch - 1 or None,
        day="2020-01-05",
        verdict="cd" * 32,
        why="better",
        by=by,
        at="2020-01-06T00:00:00+00:00",
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def outcome(day: str, reason: str = "held", **changes: object) -> DayOutcome:
    made = DayOutcome("small", day, "held", 1, "linear", {"champion": 0.3, "baseline": None}, reason)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> SqlLedger:
    return SqlLedger(f"sqlite:///{tmp_path / 'kept' / 'ledger.db'}")


def raw(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "kept" / "ledger.db")


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
        "INSERT OR REPLACE INTO promotions SELECT * FROM promotions WHERE epoch = 1",
        "UPDATE outcomes SET body = ''",
        "DELETE FROM outcomes",
        "INSERT OR REPLACE INTO outcomes SELECT * FROM outcomes",
    ],
)
def test_no_line_can_be_changed_removed_or_replaced_by_anybody(ledger: SqlLedger, tmp_path: Path, sql: str) -> None:
    ledger.append(entry(1))
    ledger.append(entry(2))
    ledger.conclude(outcome("2020-01-05"))
    with raw(tmp_path) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(sql)
    assert len(ledger.entries("small")) == 2
    assert ledger.outcomes("small") == [outcome("2020-01-05")]


def test_a_ledger_with_a_line_cut_out_is_refused(ledger: SqlLedger, tmp_path: Path) -> None:
    for n in (1, 2, 3):
        ledger.append(entry(n))
    with raw(tmp_path) as connection:
        connection.execute("DROP TRIGGER promotions_DELETE")
        connection.execute("DELETE FROM promotions WHERE epoch = 2")
    with pytest.raises(RefusedError, match="no epoch 2") as corrupt:
        ledger.entries("small")
    assert corrupt.value.code == "CORRUPT"


def test_a_file_that_is_no_ledger_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is no database at all, only text" * 100)
    with pytest.raises(RefusedError, match="restore it from a backup"):
        SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}").entries("small")


def test_a_ledger_that_stays_locked_may_be_free_later(
    ledger: SqlLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(entry(1))
    monkeypatch.setattr("pipeline.adapters.ledger._BUSY_SECONDS", 0.2)
    hasty = SqlLedger(f"sqlite:///{tmp_path / 'kept' / 'ledger.db'}")
    holder = raw(tmp_path)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError):
        hasty.append(entry(2))
    holder.close()
    hasty.append(entry(2))


def test_only_the_owner_can_read_the_ledger(ledger: SqlLedger, tmp_path: Path) -> None:
    ledger.append(entry(1))
    assert (tmp_path / "kept" / "ledger.db").stat().st_mode & 0o777 == 0o600


def test_the_newest_line_of_each_day_counts_and_the_same_line_again_changes_nothing(
    ledger: SqlLedger, tmp_path: Path
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
    with raw(tmp_path) as connection:
        assert connection.execute("SELECT count(*) FROM outcomes").fetchone() == (5,)


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


WRITER = textwrap.dedent(
    """
    import sys
    from tests.adapters.test_ledger import entry
    from pipeline.adapters.ledger import SqlLedger
    from pipeline.core.errors import ConflictError

    ledger, me = SqlLedger(sys.argv[1]), sys.argv[2]
    while True:
        epoch = len(ledger.entries("small")) + 1
        try:
            ledger.append(entry(epoch, by=me))
        except ConflictError:
            continue
        print(epoch, flush=True)
    """
)


def test_killed_and_racing_writers_make_no_fork_and_lose_no_line_they_were_told_is_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    draw = random.Random(1)
    running: list[tuple[str, subprocess.Popen[str]]] = []
    told: dict[int, str] = {}
    started = 0

    def start() -> None:
        nonlocal started
        name = f"writer {started}"
        started += 1
        command = [sys.executable, "-c", WRITER, url, name]
        running.append(
            (name, subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]))
        )

    def reap(name: str, process: subprocess.Popen[str]) -> None:
        out, _ = process.communicate()
        for epoch in map(int, [line for line in out.split("\n")[:-1] if line]):
            assert epoch not in told, f"epoch {epoch} was won by {told[epoch]} and by {name}"
            told[epoch] = name

    for _ in range(3):
        start()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        time.sleep(draw.uniform(0.3, 0.9))
        name, process = running.pop(0)
        os.kill(process.pid, signal.SIGKILL)
        reap(name, process)
        start()
    for name, process in running:
        process.kill()
        reap(name, process)
    entries = SqlLedger(url).entries("small")
    assert [line.epoch for line in entries] == list(range(1, len(entries) + 1))
    assert {epoch: entries[epoch - 1].by for epoch in told} == told
    assert len(told) > 20
    assert started > 6


def _conclude(url: str, number: int) -> None:
    ledger = SqlLedger(url)
    for day in range(1, 10):
        ledger.conclude(outcome(f"2020-01-0{day}", reason=f"by {number}"))


def test_a_ledger_made_by_many_at_once_is_one_ledger(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(_conclude, [(url, n) for n in range(4)])
    assert len(SqlLedger(url).outcomes("small")) == 9
