"""The daily loop: one order of steps, and one rule for what is written down of a day that fails, whoever runs it."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.ports import World
from pipeline.core.records import Registered
from pipeline.steps import loop
from tests import small

DAY = small.days(4)[-1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    for day in small.days(4):
        small.deliver(tmp_path / "landing", day)
    return small.world_in(tmp_path)


def run(world: World, **more: Any) -> loop.Run:
    return dataclasses.replace(small.run_of(small.SMALL, DAY, world), **more)


def lines(world: World) -> list[tuple[str, str]]:
    return [(line.outcome, line.reason) for line in world.ledger.outcomes("small")]


@pytest.mark.parametrize("attended", [False, True])
@pytest.mark.parametrize("failing", loop.LOOP, ids=lambda step: step.name)
def test_a_failure_at_any_step_is_written_down_whoever_runs_the_loop(
    world: World, monkeypatch: pytest.MonkeyPatch, failing: loop.Step, attended: bool
) -> None:
    def fail(*_: Any) -> Any:
        raise ConflictError("the champion changed")

    broken = tuple(dataclasses.replace(step, call=fail) if step is failing else step for step in loop.LOOP)
    monkeypatch.setattr(loop, "LOOP", broken)
    with pytest.raises(ConflictError):
        loop.run_day(run(world, attended=attended))
    assert lines(world) == [("failed", f"{failing.name} failed: the champion changed")]


def test_a_fault_of_the_product_is_written_down_with_its_kind(world: World) -> None:
    assert loop.record_failure(loop.SCORE, run(world), ZeroDivisionError("division by zero"), comes_again=False)
    assert lines(world) == [("failed", "score failed: ZeroDivisionError: division by zero")]


@pytest.mark.parametrize(
    ("step", "error", "more", "again", "outcome"),
    [
        (loop.VALIDATE, RefusedError("planes is stale", "STALE"), {}, True, "refused"),
        (loop.SCORE, RefusedError("the champion can't answer", "UNSOUND"), {}, True, "failed"),
        (loop.INGEST, UnavailableError("no file", "MISSING"), {}, True, None),
        (loop.INGEST, UnavailableError("no file", "MISSING"), {}, False, "refused"),
        (loop.INGEST, UnavailableError("no file", "MISSING"), {"attended": True}, False, "refused"),
        (loop.INGEST, UnavailableError("no file", "MISSING"), {"attended": True, "closed": False}, False, None),
        (loop.INGEST, UnavailableError("the store does not answer"), {}, False, "failed"),
        (loop.INGEST, UnavailableError("the store does not answer"), {"attended": True}, False, None),
        (loop.TRAIN, UnavailableError("no file", "MISSING"), {}, False, "failed"),
        (loop.INGEST, UsageError("there is no recipe 'magic'"), {}, False, None),
    ],
)  # fmt: skip
def test_what_is_written_of_an_error(
    world: World, step: loop.Step, error: PipelineError, more: dict[str, Any], again: bool, outcome: str | None
) -> None:
    line = loop.record_failure(step, run(world, **more), error, comes_again=again)
    assert (None if line is None else line.outcome) == outcome
    assert [written for written, _ in lines(world)] == ([] if outcome is None else [outcome])


@pytest.mark.parametrize(
    ("answer", "outcome", "by"),
    [
        (loop.Answer(True, "ada"), "promoted", "ada"),
        (loop.Answer(True), "declined", None),
        (loop.Answer(False, "ada", "not now"), "declined", None),
        (loop.Answer(None), "waiting", None),
    ],
)
def test_only_a_yes_with_a_name_promotes_what_a_person_decides(
    tmp_path: Path, answer: loop.Answer, outcome: str, by: str | None
) -> None:
    asked: list[Registered] = []

    def ask(registered: Registered) -> loop.Answer:
        asked.append(registered)
        return answer

    usecase = dataclasses.replace(small.SMALL, promotion=dataclasses.replace(small.SMALL.promotion, approval="person"))
    for day in small.days(9):
        small.deliver(tmp_path / "landing", day)
    world = small.world_in(tmp_path)
    for day in small.days(9)[2:]:
        last = loop.run_day(dataclasses.replace(small.run_of(usecase, day, world), ask=ask))
        if asked:
            break
    assert asked, "nobody was ever asked"
    assert last.outcome == outcome
    assert last.day == Registered.from_dict(asked[0].to_dict()).judged["day"]
    promoted = [entry.by for entry in world.ledger.entries("small") if entry.action == "promote"]
    assert promoted == ([] if by is None else [by])


def test_the_day_is_asked_for_by_the_first_step_alone(world: World) -> None:
    """A run by hand finds its day by what was delivered: a delivery in the middle of a run must not change it."""
    asked: list[date] = []

    def day() -> date:
        asked.append(DAY)
        return DAY

    assert loop.run_day(run(world, data_day=day)).day == DAY.isoformat()
    assert len(asked) == 1
