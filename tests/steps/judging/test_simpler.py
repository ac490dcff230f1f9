"""Which simpler recipe a candidate has to be worth more than."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pytest

from pipeline.core.gates import BeatsBaseline, Better, Floor, SimplerPreferred, Sound
from pipeline.core.ports import World
from pipeline.core.verdict import Outcome
from pipeline.steps.judging.judge import DayJudge
from pipeline.steps.models import champion_model
from pipeline.steps.rollback import lift, rollback
from pipeline.steps.tables.score_ledger import ScoreLedger
from tests import small

DAYS = small.days(12)
PREFERS = dataclasses.replace(
    small.SMALL, gates=(Sound(), BeatsBaseline(), Better(), SimplerPreferred(0.01)), slices=()
)


def judged(world: World, usecase: Any, days: Sequence[date], run: int) -> DayJudge:
    """The first ``run`` days in full, the others up to the judging of the last."""
    for day in days[:run]:
        small.run_day(usecase, day, world)
    for day in days[run:]:
        made: list[Any] = [None]
        for _, step in small.steps_of(usecase, day, world)[:4]:
            made.append(step(made[-1]))
    day_judge = DayJudge(usecase, made[-2], made[-1], world, champion_model.judged_against(usecase, made[-2], world))
    day_judge.found = day_judge.findings()
    return day_judge


def rivals(day_judge: DayJudge, recipe: str) -> set[str]:
    simpler = day_judge.evidence[recipe].simpler
    assert simpler is not None
    return set(simpler)


def test_simpler_recipes_that_could_ship_are_rivals_and_the_simplest_has_none(world: World) -> None:
    day_judge = judged(world, PREFERS, DAYS[2:9], 1)
    passed = [name for name, found in day_judge.found.items() if all(f.outcome is Outcome.PASS for f in found)]
    assert passed[0] == "linear_short"
    assert rivals(day_judge, "linear_short") == set()
    assert rivals(day_judge, "linear_long") == {"linear_short"}
    assert "linear_short" in rivals(day_judge, "forest")
    pair = day_judge.evidence["linear_long"].simpler["linear_short"]
    assert len(pair) == 30 * 7, "every day that both sat, whoever was champion"
    assert not np.array_equal(pair.champion, pair.candidate)
    told = {f.name: f for f in day_judge.found["linear_long"]}["simpler preferred"]
    assert "than that of linear_short, which is simpler" in told.text


def test_a_simpler_recipe_that_another_gate_stops_hinders_nobody(world: World) -> None:
    @dataclasses.dataclass(frozen=True)
    class NotShort(Floor):
        """Stops the simplest recipe, as a latency might."""

        def judge(self, evidence: Any) -> Any:
            (finding,) = super().judge(evidence)
            stops = evidence.candidate == "linear_short"
            return (dataclasses.replace(finding, outcome=Outcome.FAIL if stops else Outcome.PASS),)

    usecase = dataclasses.replace(PREFERS, gates=(*PREFERS.gates, NotShort(0.5)))
    day_judge = judged(world, usecase, DAYS[2:9], 1)
    assert rivals(day_judge, "linear_long") == set()
    told = {f.name: f for f in day_judge.found["linear_long"]}["simpler preferred"]
    assert told.outcome is Outcome.PASS


def test_a_champion_of_a_simpler_recipe_is_a_rival_of_the_richer_ones_alone(promoted: World) -> None:
    """Version 2 is a recipe of the small use case; who is declared after it must be worth the change."""
    champion_name = champion_model.judged_against(small.SMALL, judged_days(promoted), promoted)
    day_judge = judged(promoted, small.SMALL, small.days(11)[8:], 0)
    order = [recipe.name for recipe in small.SMALL.recipes]
    place = order.index(champion_name.recipe)
    for n, recipe in enumerate(order):
        against = {name for name in rivals(day_judge, recipe) if name.startswith("the champion")}
        assert against == ({f"the champion, a {champion_name.recipe}"} if n > place else set())


def judged_days(world: World) -> Any:
    made: list[Any] = [None]
    for _, step in small.steps_of(small.SMALL, small.days(9)[-1], world)[:3]:
        made.append(step(made[-1]))
    return made[-1]


def test_what_broke_a_rival_now_and_then_is_left_out_and_what_breaks_the_candidate_is_not() -> None:
    who = np.array(["plain", "rich"] * 4)
    words = np.full(8, "u")
    said = np.array([0.1, 0.2, np.nan, 0.3, 0.4, np.nan, 0.5, 0.6])
    ledger = ScoreLedger(
        days=np.repeat(np.datetime64("2020-01-02") + np.arange(4), 2),
        units=words,
        contestants=who,
        definitions=words,
        models=words,
        blocks=words,
        predictions=said,
        labels=np.ones(8),
        slices={},
    )
    pair = ledger.fresh("rich", "u", "plain", "u")
    assert pair.champion.tolist() == [0.1, 0.4, 0.5]
    assert np.isnan(pair.candidate).tolist() == [False, True, False]
    assert len(ledger.fresh("rich", "u", "plain", "changed since")) == 0


@pytest.mark.parametrize("margin", [0.0, 0.9])
def test_a_day_with_the_gate_ends_in_a_champion_whatever_the_margin(world: World, margin: float) -> None:
    """However much the richer ones are asked for, the simplest that passes ships."""
    usecase = dataclasses.replace(PREFERS, gates=(*PREFERS.gates[:-1], SimplerPreferred(margin)))
    outcomes = [small.run_day(usecase, day, world) for day in DAYS[2:9]]
    won = [outcome.recipe for outcome in outcomes if outcome.outcome == "promoted"]
    assert won, outcomes[-1].reason
    if margin == 0.9:
        assert won == ["linear_short"]


def test_a_ledger_in_which_nobody_ever_sat_has_no_rivals() -> None:
    assert len(ScoreLedger.empty().fresh("rich", "u", "plain", "u")) == 0


def test_a_simpler_recipe_that_a_rollback_holds_back_hinders_nobody(promoted: World) -> None:
    """Nothing simpler is there to be had while it is held; once the hold is lifted, it is again."""
    serving = champion_model.judged_against(small.SMALL, judged_days(promoted), promoted)
    rollback(small.SMALL, promoted, "previous", "complaints", "ada", small.AT, hold_days=30)
    recipes = sorted(PREFERS.recipes, key=lambda recipe: recipe.name != serving.recipe)
    usecase = dataclasses.replace(PREFERS, recipes=tuple(recipes), gates=(Sound(), SimplerPreferred(0.01)))
    # The very model that was rolled back is barred for good, and its recipe's newer fits are not: so another day.
    held = judged(promoted, usecase, small.days(11)[8:], 0)
    richer = recipes[1].name
    assert all(finding.outcome is Outcome.PASS for finding in held.found[serving.recipe])
    assert serving.recipe not in rivals(held, richer)
    lift(small.SMALL, promoted, serving.recipe, "it was the data", "ada", small.AT)
    lifted = judged(promoted, usecase, small.days(11)[10:], 0)
    assert serving.recipe in rivals(lifted, richer)
