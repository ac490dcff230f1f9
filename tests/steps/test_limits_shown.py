"""The learned limits as a person asks for them: what is usual, what would ring, on how many days it stands."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from pipeline.cli.limits import limits as command
from pipeline.core.errors import RefusedError, UsageError
from pipeline.core.ports import World
from pipeline.steps.limits import limits
from tests import small

DAYS = small.days(16)


@pytest.fixture
def judged(world: World) -> World:
    """Fourteen days accepted."""
    small.run_day(small.SMALL, DAYS[13], world)
    return world


def test_limits_are_those_of_the_day_after_the_newest_accepted_one(judged: World) -> None:
    found = limits(small.SMALL, judged)
    assert (found.usecase, found.after, found.days) == ("small", DAYS[13].isoformat(), 14)
    assert set(found.tables) == {"visits", "shops"}
    size = next(one for one in found.tables["visits"] if one.measure == "level|size|median")
    assert size.low is not None
    assert size.high is not None
    assert size.low < 0 < size.high
    assert list(limits(small.SMALL, judged, "shops").tables) == ["shops"]


def test_what_can_not_be_told_is_a_sentence(world: World) -> None:
    with pytest.raises(UsageError, match="no day of 'small' was accepted yet under the rules of now") as nothing:
        limits(small.SMALL, world)
    assert nothing.value.code == "NOT_RUN"
    with pytest.raises(UsageError, match="has no table 'ships'; it has visits, shops"):
        limits(small.SMALL, world, "ships")


def test_a_refused_day_moves_no_limit(judged: World, tmp_path: Path) -> None:
    before = limits(small.SMALL, judged)
    file = tmp_path / "landing" / "shops" / f"{DAYS[14]}.csv"
    file.write_text(file.read_text().replace(f"{DAYS[14]}", "2019-01-01"))
    with pytest.raises(RefusedError, match="shops: age"):
        small.run_day(small.SMALL, DAYS[14], judged)
    assert limits(small.SMALL, judged) == before


def test_the_command_prints_a_line_a_measure_or_one_document(
    judged: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.adapters.world.world", lambda *_, **__: judged)
    assert command(argparse.Namespace(table="visits", about="size", json=False), small.SMALL) == 0
    text = capsys.readouterr().out
    assert f"what the day after {DAYS[13]} is held to, learned from 14 accepted days" in text
    assert "the median of 'size'" in text
    assert "'shop' is north" not in text
    assert command(argparse.Namespace(table="", about="", json=True), small.SMALL) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["tables"]) == {"visits", "shops"}
    assert set(document["tables"]["visits"][0]) == {
        *("question", "measure", "what", "value", "usual", "low", "high", "days")
    }
