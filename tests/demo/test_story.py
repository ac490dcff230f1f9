"""The demonstration's script: upstream keeps ahead, mends what was refused, and the ending is truthful."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

import demo.__main__ as main
from demo.story import Story, Upstream
from demo.upstream import Fault
from pipeline.core.records import DayOutcome
from stack.settings import Settings

STORY = Story(
    date(2013, 1, 1), date(2013, 1, 4), date(2013, 1, 9), Fault("stale_planes", date(2013, 1, 5), date(2013, 1, 6))
)


def line(day: int, outcome: str, usecase: str = "flight_delay") -> DayOutcome:
    return DayOutcome(usecase, f"2013-01-{day:02}", outcome, 1, "usual", {}, "because")


def as_promised() -> dict[str, list[DayOutcome]]:
    ends = ["started", "held", "refused", "held", "promoted", "held"]
    return {name: [line(4 + n, end, name) for n, end in enumerate(ends)] for name in ("flight_delay", "flight_minutes")}


def test_an_ending_as_promised_misses_nothing() -> None:
    assert STORY.missing(as_promised()) == []


@pytest.mark.parametrize(
    ("day", "outcome", "said"),
    [(6, "held", "did not refuse"), (9, "refused", "upstream was sound"), (8, "held", None)],
)
def test_an_ending_that_is_not_as_promised_says_what_is_missing(day: int, outcome: str, said: str | None) -> None:
    outcomes = as_promised()
    outcomes["flight_delay"][day - 4] = line(day, outcome)
    missing = STORY.missing(outcomes)
    if said is None:
        assert missing == [], "one use case's promotion is enough"
    else:
        assert any(said in sentence for sentence in missing)


def test_without_any_promotion_or_with_a_day_less_the_ending_is_not_as_promised() -> None:
    outcomes = as_promised()
    for lines in outcomes.values():
        lines[4] = line(8, "held", lines[4].usecase)
    assert any("promoted" in sentence for sentence in STORY.missing(outcomes))
    outcomes["flight_delay"].pop()
    assert any("5 of 6 days" in sentence for sentence in STORY.missing(outcomes))


def planes(landing: Path, day: str) -> str:
    return gzip.decompress((landing / "planes" / f"{day}.csv.gz").read_bytes()).decode()


def eventually(holds: object, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_upstream_keeps_a_few_days_ahead_and_mends_its_fault_once_it_is_refused(tmp_path: Path) -> None:
    outcomes: dict[str, Sequence[DayOutcome]] = {"flight_delay": [], "flight_minutes": []}
    upstream = Upstream(tmp_path, STORY, lambda: outcomes, ahead=2)
    upstream.start()
    assert eventually(lambda: upstream.delivered == date(2013, 1, 6))
    time.sleep(0.5)
    assert upstream.delivered == date(2013, 1, 6), "it does not run away from the runs"
    assert "2013-01-06" not in planes(tmp_path, "2013-01-06"), "the fault: the old date is sent again"
    for name in outcomes:
        outcomes[name] = [line(4, "started", name), line(5, "held", name), line(6, "refused", name)]
    assert eventually(lambda: upstream.delivered == date(2013, 1, 9))
    assert eventually(lambda: "2013-01-06" in planes(tmp_path, "2013-01-06"))
    upstream.join(10)
    assert not upstream.is_alive()
    assert upstream.error is None


def test_upstream_keeps_ahead_of_the_use_case_that_is_furthest(tmp_path: Path) -> None:
    """One that runs out of files tries again, and then refuses a sound day."""
    outcomes = {"flight_delay": [], "flight_minutes": [line(4, "started", "flight_minutes"), line(5, "refused")]}
    upstream = Upstream(tmp_path, STORY, lambda: outcomes, ahead=2)
    upstream.start()
    assert eventually(lambda: upstream.delivered == date(2013, 1, 8))
    time.sleep(0.5)
    assert upstream.delivered == date(2013, 1, 8), "it does not run away from the runs"
    upstream.stopping.set()
    upstream.join(10)


class StillStack:
    """In the stack's place: nothing is started, and nothing happens."""

    airflow_url, mlflow_url = "http://127.0.0.1:8080", "http://127.0.0.1:5000"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @contextmanager
    def running(self, **_: object) -> Iterator[None]:
        yield

    def password(self, _: str) -> str:
        return "p" * 20

    def mlflow_pages(self) -> list[str]:
        return [f"{self.mlflow_url}/#/experiments"]

    def watch_once(self) -> list[str]:
        return []


class StillUpstream:
    def __init__(self, *_: object) -> None:
        self.stopping, self.error = threading.Event(), None

    def start(self) -> None:
        pass


@pytest.mark.parametrize("already", [True, False])
def test_a_demonstration_with_nothing_left_to_do_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], already: bool
) -> None:
    home = tmp_path / "home with spaces [and signs]" / ("long-" * 20) / ("longer-" * 20)
    looks: list[str] = []

    def outcomes(_: object, usecase: str) -> list[DayOutcome]:
        looks.append(usecase)
        return [] if not already and len(looks) <= 2 else as_promised()[usecase]

    monkeypatch.setenv("PIPELINE_HOME", str(home))
    monkeypatch.setattr(main, "Stack", StillStack)
    monkeypatch.setattr(main, "Upstream", StillUpstream)
    monkeypatch.setattr(main, "STORY", STORY)
    monkeypatch.setattr(main, "SqlLedger", lambda _: type("Ledger", (), {"outcomes": outcomes})())
    assert main.run(end=True) == 0
    said = capsys.readouterr().out
    assert ("All days had ended already; nothing was left to do." in said) is already
    assert ("All days ended after 0 s." in said) is not already
    assert f" {home / 'airflow' / 'passwords.json'}\n" in said, "a path is for copying"
    assert said.count("sign in as admin") == 1, "no address of what stops is printed at the end"


def test_upstream_that_cannot_deliver_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "landing"
    blocked.write_text("a file where the folder should be")
    upstream = Upstream(blocked, STORY, dict)
    upstream.start()
    upstream.join(20)
    assert upstream.error is not None


SHORT = """
import sys
from datetime import date
import demo.__main__ as main
from demo.story import Story
from demo.upstream import Fault
main.STORY = Story(date(2013, 1, 1), date(2013, 1, 15), date(2013, 1, 16),
                   Fault("stale_planes", date(2013, 1, 14), date(2013, 1, 15)))
sys.argv = ["demo", "--exit"]
sys.exit(main.main())
"""


@pytest.mark.live
def test_two_days_under_the_real_scheduler_end_with_a_truthful_status(
    tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    """Real flights, Airflow, MLflow, Great Expectations: one day refused, one started, no promotion to boast of."""
    ports = {"PIPELINE_AIRFLOW_PORT": str(free_ports[0]), "PIPELINE_MLFLOW_PORT": str(free_ports[1])}
    done = subprocess.run(
        [sys.executable, "-c", SHORT],
        env={**os.environ, "PIPELINE_HOME": str(tmp_path / "home"), **ports},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no candidate was promoted on evidence" in done.stdout
    for usecase in ("flight_delay", "flight_minutes"):
        assert f"{usecase} 2013-01-15 refused" in done.stdout
        assert f"{usecase} 2013-01-16 started" in done.stdout
    assert "planes" in done.stdout.partition("2013-01-15 refused")[2].partition("2013-01-16")[0]
    left = [path for path in (tmp_path / "home").rglob("*") if path.stat().st_mode & 0o077 and path.is_dir()]
    assert not left, f"others may look into {left[:3]}"
