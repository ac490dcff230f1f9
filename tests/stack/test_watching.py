"""Whose silence is held against whom: the watch over processes that are there, their answers and the clock planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import Settings, Stack, StackError, embedded
from stack.embedded import GRACE, STALE

BEGAN = 1_000_000.0
#: How often the launcher looks.
EVERY = 1.0


class Still:
    """In a process's place: alive, started when the watch began, restarted in name only."""

    alive, code = True, None

    def __init__(self, clock: Clock) -> None:
        self._clock, self.started = clock, clock.now

    def restart(self, _: str) -> None:
        self.started = self._clock.now

    def trim(self) -> None:
        pass


class Clock:
    now = BEGAN

    def time(self) -> float:
        return self.now


class Watched(Stack):
    """A stack of which everything is planted: who beats, and who answers."""

    def __init__(self, home: Path, clock: Clock) -> None:
        super().__init__(Settings(home, 8080, 5000))
        self.clock, self.still, self.down = clock, dict[str, float](), set[str]()
        for name in ("api-server", "scheduler", "dag-processor", "mlflow"):
            self.processes[name] = Still(clock)  # type: ignore[assignment]

    def mlflow_answers(self) -> bool:
        return "mlflow" not in self.down

    def beats(self) -> dict[str, float]:
        if "api-server" in self.down:
            raise StackError("Airflow does not answer")
        return {name: self.still.get(name, self.clock.now) for name in ("scheduler", "dag-processor")}

    def watch(self, seconds: float) -> list[str]:
        """Look every second for so long; who was restarted."""
        done, until = [], self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now += EVERY
            done += [line.split()[0] for line in self.watch_once()]
        return done


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Watched for ten minutes, in which nothing was wrong."""
    clock = Clock()
    monkeypatch.setattr(embedded, "time", clock)
    stack = Watched(tmp_path, clock)
    assert stack.watch(600) == []
    return stack


def test_an_api_server_that_is_long_in_coming_back_is_not_held_against_those_it_tells_of(stack: Watched) -> None:
    stack.processes["api-server"].restart("ended")
    stack.down.add("api-server")
    assert stack.watch(GRACE - 5) == []
    stack.down.clear()
    assert stack.watch(60) == []


def test_an_api_server_that_stays_silent_is_restarted_and_nobody_else(stack: Watched) -> None:
    stack.down.add("api-server")
    assert stack.watch(STALE + 10) == ["api-server"]


def test_whoever_was_stuck_meanwhile_is_restarted_once_the_api_server_tells_of_it(stack: Watched) -> None:
    stack.still["scheduler"] = stack.clock.now
    stack.processes["api-server"].restart("ended")
    stack.down.add("api-server")
    assert stack.watch(GRACE - 5) == []
    stack.down.clear()
    assert stack.watch(6) == ["scheduler"]


@pytest.mark.parametrize("name", ["scheduler", "dag-processor"])
def test_whoever_is_stuck_is_restarted_in_time_and_alone(stack: Watched, name: str) -> None:
    stack.still[name] = stack.clock.now
    assert stack.watch(STALE - 5) == []
    assert stack.watch(15) == [name]


def test_an_mlflow_that_stays_silent_is_restarted(stack: Watched) -> None:
    stack.down.add("mlflow")
    assert stack.watch(STALE - 5) == []
    assert stack.watch(15) == ["mlflow"]


@pytest.mark.parametrize("down", ["", "api-server"])
def test_time_in_which_nobody_looked_is_held_against_nobody(stack: Watched, down: str) -> None:
    """A machine that slept: the heartbeats that are found first are old ones."""
    stack.still = dict.fromkeys(("scheduler", "dag-processor"), stack.clock.now)
    stack.clock.now += 3600
    stack.down = {down}
    assert stack.watch(10) == []
    stack.still, stack.down = {}, set()
    assert stack.watch(60) == []


def test_whoever_does_not_wake_up_with_the_machine_is_restarted(stack: Watched) -> None:
    stack.still["scheduler"] = stack.clock.now
    stack.clock.now += 3600
    assert stack.watch(STALE - 5) == []
    assert stack.watch(15) == ["scheduler"]
