"""Steps on the small use case; timing is cut short, since these tests are about everything but speed."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from pipeline.core.ports import World
from pipeline.steps.judging import timing
from tests import small
from tests.once import once


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


@pytest.fixture(scope="session")
def eight_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen days delivered and six of them run, beside what the registry then holds; to copy."""

    def make(folder: Path) -> None:
        for day in small.days(16):
            small.deliver(folder / "home" / "landing", day)
        world = small.world_in(folder / "home")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timing, "SINGLE", 2)
            patch.setattr(timing, "BATCH", 2)
            outcomes = [small.run_day(small.SMALL, day, world) for day in small.days(8)[2:]]
        assert [outcome.outcome for outcome in outcomes] == ["started", "held", "held", "held", "held", "promoted"]
        (folder / "registry").write_bytes(pickle.dumps(world.registry))

    return once(tmp_path_factory, "eight days", make)


@pytest.fixture
def promoted(eight_days: Path, tmp_path: Path) -> World:
    """The baseline started on the third day and was replaced on the eighth."""
    shutil.copytree(eight_days / "home", tmp_path, dirs_exist_ok=True)
    return small.world_in(tmp_path, pickle.loads((eight_days / "registry").read_bytes()))
