"""A replay is the daily run again: the same predictions, the same promotions, and nothing known before its day."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.ports import World
from pipeline.core.reel import Fit
from pipeline.core.replay import Replayer
from pipeline.core.usecase import Promotion
from pipeline.core.windows import Days
from pipeline.steps import replay as replays
from pipeline.steps import scores, timing
from pipeline.steps.replay import declared_policy, replay
from tests import small

#: What ships is the fit that sat the exam: a refit is shipped only if it is near enough, which history does not tell.
USECASE = dataclasses.replace(small.SMALL, promotion=Promotion(ship="exam"))
DAYS = 36
#: The baseline starts on this day, the third.
START = small.FIRST + timedelta(2)
#: From this day on the truth is turned around.
FLIPPED = small.FIRST + timedelta(18)
LAST = small.FIRST + timedelta(DAYS - 1)


def delivered(home: Path, count: int = DAYS) -> World:
    for day in small.days(count):
        small.deliver(home / "landing", day, flip=day >= FLIPPED)
    return small.world_in(home)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Thirty-six days run one by one, as every night would, in the middle of which the truth turns around."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SINGLE", 2)
        patch.setattr(timing, "BATCH", 2)
        world = delivered(tmp_path_factory.mktemp("lived"))
        for day in small.days(DAYS)[2:]:
            small.run_day(USECASE, day, world)
    return world


@pytest.fixture(scope="module")
def replayed(lived: World) -> replays.Replayed:
    return replay(USECASE, Days(START, LAST), lived, workers=1)


def test_predictions_are_those_of_the_score_ledger_to_the_bit(lived: World, replayed: replays.Replayed) -> None:
    reel = replayed.reel
    version = lived.store.version(scores.table("small"))
    assert version is not None
    rows = lived.store.read(scores.table("small"), version, Days(START, LAST)).to_pylist()
    sat = 0
    for number, day in enumerate(reel.stretch.days.astype(object)):
        for recipe in reel.recipes:
            mine = [row for row in rows if row["day"] == day and row["contestant"] == recipe]
            if mine:
                said = reel.said(Fit(recipe, number), number)
                assert said is not None
                wrote = np.array([row["prediction"] for row in sorted(mine, key=lambda row: row["unit"])])

                assert np.array_equal(np.sort(said), np.sort(wrote)), (day, recipe)
                sat += 1
    assert sat > 3 * (DAYS - 4)


def test_the_declared_policy_promotes_whom_the_nights_promoted_and_when(lived: World, replayed) -> None:
    entries = lived.ledger.entries("small")
    for e in entries:
        print(e.day, e.recipe, e.action, e.trained_through)
    reel = replayed.reel
    first = int((np.datetime64(START) - reel.stretch.days[0]).astype(int))
    declared, _ = declared_policy(USECASE)
    player = Replayer("small", reel, Fit("constant", first), first + 1, "constant", 0, USECASE.evidence)
    made = player.run(declared)
    theirs = [(e.day, e.recipe) for e in entries[1:]]
    mine = [(str(reel.stretch.days[c.decided]), c.winner.recipe) for c in made.changes]
    print(mine)
    assert mine == theirs
