"""Whose scores, of which days, and among how many: what a candidate is judged on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.ports import World
from pipeline.core.records import Scored, Trained
from pipeline.core.verdict import Finding, Outcome
from pipeline.steps.judging.judge import DayJudge
from pipeline.steps.models import champion_model
from pipeline.steps.tables.score_ledger import ScoreLedger
from tests import small

DAYS = small.days(8)


def reigns(*models: str) -> ScoreLedger:
    """One unit a day; the model that served on each day, a recipe and a baseline sat."""
    n = len(models)
    who = np.array(["champion", "recipe", "baseline"] * n)
    words, floats = np.full(3 * n, "u"), np.full(3 * n, 0.5)
    return ScoreLedger(
        days=np.repeat(np.datetime64("2020-01-02") + np.arange(n), 3),
        units=words,
        contestants=who,
        definitions=words,
        models=np.ravel([[model, "fresh", "fresh"] for model in models]),
        blocks=words,
        predictions=floats,
        labels=np.ones(3 * n),
        slices={},
    )


def test_only_days_on_which_this_very_model_reigned_are_evidence_against_it() -> None:
    """A rolled-back model's scores stay in the ledger under the champion's name."""
    paired = reigns("old", "bad", "bad", "old").pair("old", date(2020, 1, 1), "recipe", "u", "baseline")
    assert paired.days.astype(str).tolist() == ["2020-01-02", "2020-01-05"]


def scored(world: World, day: date, recipes: Sequence[str] = ()) -> tuple[Trained, Scored]:
    """The day's run up to its judging."""
    made: list[Any] = [None]
    for _, step in small.steps_of(small.SMALL, day, world, recipes)[:4]:
        made.append(step(made[-1]))
    return made[-2], made[-1]


def day_judge(world: World, recipes: Sequence[str] = ()) -> DayJudge:
    """Who judges the last day."""
    fitted, sat = scored(world, DAYS[-1], recipes)
    return DayJudge(small.SMALL, fitted, sat, world, champion_model.judged_against(small.SMALL, fitted, world))


@pytest.fixture
def reigned(world: World) -> World:
    """The champion was promoted on the third day; everybody sat on each day since, but the last."""
    small.run_day(small.SMALL, DAYS[2], world)
    for day in DAYS[3:-1]:
        scored(world, day)
    return world


def test_who_runs_one_recipe_after_another_gets_no_easier_test(reigned: World) -> None:
    among, alone = day_judge(reigned).findings(), day_judge(reigned, ["linear_short"]).findings()
    assert (len(among), len(alone)) == (3, 1)
    assert all(finding.value is not None for finding in alone["linear_short"] if finding.name == "better")
    assert alone["linear_short"] == among["linear_short"]


class Stricter(small.YesChecker):
    """A suite that was changed, and now refuses a day that was accepted and scored before."""

    def check_days(self, usecase: str, table: str, days: Any) -> Any:
        no = (Finding(f"{table}: expectations", Outcome.FAIL, "not accepted any more"),)
        return {**super().check_days(usecase, table, days), **({DAYS[5]: no} if DAYS[5] in days else {})}

    def digest(self, usecase: str, tables: Any) -> str:
        return "stricter"


def test_a_day_that_was_refused_after_it_was_scored_is_no_evidence(reigned: World) -> None:
    sat = day_judge(dataclasses.replace(reigned, checker=Stricter()))
    assert sat.trained.validated["without"] == [DAYS[5].isoformat()]
    assert sat.findings()
    for evidence in sat.evidence.values():
        assert set(evidence.paired.days.astype(object)) == {DAYS[3], DAYS[4], DAYS[6], DAYS[7]}


def test_what_the_decision_looks_back_on_leaves_out_days_refused_since(reigned: World) -> None:
    judge = day_judge(dataclasses.replace(reigned, checker=Stricter()))
    assert judge.findings()
    for evidence in judge.evidence.values():
        days = set(evidence.head_to_head.days.astype(object))
        assert days == {DAYS[3], DAYS[4], DAYS[6], DAYS[7]}


def test_what_the_decision_looks_back_on_leaves_out_a_day_whose_data_was_corrected_since(
    reigned: World, tmp_path: Path
) -> None:
    """Its rows were scored on data that is no longer what it was; they count again once the day is run again."""
    small.deliver(tmp_path / "landing", DAYS[5], flip=True)
    judge = day_judge(reigned)
    assert judge.findings()
    for evidence in judge.evidence.values():
        for days in (evidence.head_to_head.days, evidence.paired.days):
            assert set(days.astype(object)) == {DAYS[3], DAYS[4], DAYS[6], DAYS[7]}
    scored(reigned, DAYS[5])
    again = day_judge(reigned)
    assert again.findings()
    for evidence in again.evidence.values():
        assert DAYS[5] in set(evidence.head_to_head.days.astype(object))
