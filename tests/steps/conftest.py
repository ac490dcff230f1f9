"""Steps on the small use case; timing is cut short, since these tests are about everything but speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.core.ports import World
from pipeline.steps.judging import timing
from tests import small


@pytest.fixture(autouse=True)
def quick_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SINGLE", 2)
    monkeypatch.setattr(timing, "BATCH", 2)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Sixteen days delivered, nothing run."""
    for day in small.days(16):
        small.deliver(tmp_path / "landing", day)
    return small.world_in(tmp_path)


@pytest.fixture
def promoted(world: World) -> World:
    """The baseline started on the third day and was replaced on the eighth."""
    outcomes = [small.run_day(small.SMALL, day, world) for day in small.days(8)[2:]]
    assert [outcome.outcome for outcome in outcomes] == ["started", "held", "held", "held", "held", "promoted"]
    return world
