"""What counts as evidence: days after the crowning, and fits of the recipe as it is declared now."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.ports import World
from pipeline.steps.tables.score_ledger import ScoreLedger
from tests import small


def ledger() -> ScoreLedger:
    """Three days, one unit: champion, recipe and baseline sat each; on the first the recipe was declared otherwise."""
    who = ["champion", "recipe", "baseline"] * 3
    days = np.repeat(np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[D]"), 3)
    made = np.array(["", "old", "", "", "new", "", "", "new", ""])
    words = np.array(who)
    return ScoreLedger(
        days=days,
        units=np.array(["u"] * 9),
        contestants=words,
        definitions=made,
        models=np.array(["m"] * 9),
        blocks=np.array(["b"] * 9),
        predictions=np.full(9, 0.5),
        labels=np.ones(9),
        slices={},
    )


@pytest.mark.parametrize(
    ("since", "definition", "days"),
    [(date(2019, 12, 31), "new", 2), (date(2019, 12, 31), "old", 1), (date(2020, 1, 2), "new", 1)],
)
def test_only_later_days_and_the_present_declaration_are_evidence(since: date, definition: str, days: int) -> None:
    assert len(ledger().pair("m", since, "recipe", definition, "baseline")) == days


def _panel(day: date, world: World) -> Any:
    """The day's run up to its judging."""
    from pipeline.steps.judging.judge import DayJudge
    from pipeline.steps.models import champion_model

    made: list[Any] = [None]
    for _, step in small.steps_of(small.SMALL, day, world)[:4]:
        made.append(step(made[-1]))
    head = champion_model.judged_against(small.SMALL, made[-2], world)
    return DayJudge(small.SMALL, made[-2], made[-1], world, head)


def _evidence(day_judge: Any) -> set[date]:
    return set(day_judge.ledger.days.astype(object).tolist())


def test_a_day_that_was_corrected_is_no_evidence_until_it_is_scored_again(world: World, tmp_path: Path) -> None:
    """Scores of data that nobody would accept today may not decide who is champion tomorrow."""
    days = small.days(9)
    for day in days[2:7]:
        small.run_day(small.SMALL, day, world)
    corrected = days[5]
    assert _evidence(_panel(days[6], world)) >= set(days[3:7])

    small.deliver(tmp_path / "landing", corrected, flip=True)
    day_judge = _panel(days[7], world)
    assert f"visits of {corrected}: replaced by a corrected delivery" in day_judge.trained.validated["snapshot"]["note"]
    assert _evidence(day_judge) >= {*days[3:5], *days[6:8]}
    assert corrected not in _evidence(day_judge)
    assert day_judge.ledger.corrected == (corrected.isoformat(),)
    assert day_judge.findings()
    for evidence in day_judge.evidence.values():
        assert set(evidence.paired.days.astype(object).tolist()) == {*days[3:5], *days[6:8]}
    # What was said of the old data stays in the store, to be read by who asks for that version.
    kept = world.store.read("scores/small", day_judge.version)
    assert {row["day"] for row in kept.to_pylist()} >= {corrected}

    _panel(corrected, world)
    day_judge = _panel(days[8], world)
    assert corrected in _evidence(day_judge)
    again = [who for who, day in zip(day_judge.ledger.contestants, day_judge.ledger.days.astype(object), strict=True)
             if day == corrected]  # fmt: skip
    assert {"constant", "linear_short"} <= set(again)
