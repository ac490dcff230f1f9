"""What the registry shows of a day, beside the pages: how it will end, its numbers, and what a recipe learnt from."""

from __future__ import annotations

import dataclasses
import math
from datetime import date, timedelta

import pytest

from pipeline.core.ports import World
from pipeline.core.records import Judged
from pipeline.core.usecase import Promotion
from pipeline.core.verdict import Verdict
from pipeline.steps.register import expected_outcome, page_of, read_verdict
from tests import small

WON = Judged("small", "2020-01-08", "promote", "why", "v", 1, {"model": "m"})
BY_A_PERSON = dataclasses.replace(small.SMALL, promotion=Promotion(approval="person"))


@pytest.mark.parametrize(
    ("judged", "case", "outcome"),
    [
        (WON, small.SMALL, "promoted"),
        (WON, BY_A_PERSON, "waiting"),
        (dataclasses.replace(WON, decision="start"), BY_A_PERSON, "started"),
        (dataclasses.replace(WON, decision="hold"), small.SMALL, "held"),
        (dataclasses.replace(WON, allowed=False), small.SMALL, "held"),
        (dataclasses.replace(WON, candidate=None), small.SMALL, "held"),
    ],
)
def test_how_the_day_will_end_is_what_the_run_is_called(judged: Judged, case: object, outcome: str) -> None:
    assert expected_outcome(case, judged) == outcome  # type: ignore[arg-type]


def judged_and_verdict(world: World) -> tuple[Judged, Verdict]:
    line = next(iter(sorted(world.ledger.outcomes("small"), key=lambda line: line.day)[-1:]))
    verdict = read_verdict("small", line.day, line.verdict, world)
    return Judged("small", line.day, verdict.decision, verdict.reason, line.verdict, verdict.epoch, None), verdict


def test_a_recipes_run_says_which_days_it_learnt_from(promoted: World) -> None:
    judged, verdict = judged_and_verdict(promoted)
    runs = {child.tags["recipe"]: child for child in page_of(small.SMALL, verdict, judged, promoted, {}).children}
    fitted = {name: fit for name, fit in verdict.fits.items() if fit.get("trained_first")}
    assert fitted
    for name, fit in fitted.items():
        (data,) = runs[name].data
        assert data.name == f"small {fit['trained_first']} to {fit['trained_through']}"
        assert data.profile["rows"] == fit["rows"] > 0
    lacks = dataclasses.replace(verdict, snapshot={}, fits={**verdict.fits, "linear_short": {"model": "", "why": "-"}})
    for child in page_of(small.SMALL, lacks, judged, promoted, {}).children:
        assert child.data == ()


def test_only_what_a_gate_asked_for_becomes_a_number_of_the_run(promoted: World) -> None:
    """What was not measured, because a cheaper question had stopped the candidate already, is no number."""
    judged, verdict = judged_and_verdict(promoted)
    recipe, findings = next((name, found) for name, found in verdict.findings.items() if found)
    asked = dataclasses.replace(findings[0], name="Not worse, by half", value=0.25, low=None, high=0.5, required=True)
    beside = dataclasses.replace(asked, name="beside", required=False)
    changed = dataclasses.replace(verdict, findings={**verdict.findings, recipe: (asked, beside)})
    page = page_of(small.SMALL, changed, judged, promoted, {})
    metrics = next(child.metrics for child in page.children if child.tags["recipe"] == recipe)
    numbers = {name: value for name, value in metrics.items() if name.startswith(("not_worse", "beside"))}
    assert numbers == {"not_worse_by_half": 0.25, "not_worse_by_half_high": 0.5}


def test_the_chart_has_a_point_for_each_day_that_was_judged(promoted: World) -> None:
    lines = promoted.registry.drawn  # type: ignore[attr-defined]
    days = {date.fromisoformat(line.day) for line in promoted.ledger.outcomes("small") if line.losses}
    assert set(lines["champion"]) <= days
    assert max(lines["champion"]) == max(days)
    assert min(days) + timedelta(days=1) in lines["champion"]
    assert all(math.isfinite(value) for points in lines.values() for value in points.values())
