"""Evaluate: what a candidate is asked, in which order, and what is made for it."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from pipeline.core.errors import ConflictError, RefusedError
from pipeline.core.kinds import Binary, Kind
from pipeline.core.ports import World
from pipeline.core.records import DayOutcome, Scored, Trained, Validated
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.verdict import Outcome, Verdict
from pipeline.core.windows import Days
from pipeline.steps.evaluate import evaluate
from pipeline.steps.models.run_training import RunTraining
from pipeline.steps.register import read_verdict
from pipeline.steps.rollback import rollback
from tests import small


def guess(seed: int) -> DummyClassifier:
    return DummyClassifier(strategy="uniform", random_state=seed)


#: One recipe that no gate on the loss lets through.
USECASE = dataclasses.replace(small.SMALL, recipes=(*small.SMALL.recipes, Recipe("guess", guess, window=9, at_least=2)))


def broken(seed: int) -> DummyClassifier:
    raise ValueError("no such solver")


def resampled_fits(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "store").rglob("*.twin.json"))


def run_training(fitted: Trained, world: World) -> RunTraining:
    return RunTraining(USECASE, Validated.from_dict(fitted.validated), world, date.fromisoformat(fitted.scored))


def trained(world: World, landing: Path, last: int) -> tuple[Trained, Scored]:
    """Everything up to the ``last`` day; that day up to its score task."""
    for day in small.days(last):
        small.deliver(landing, day)
        if day >= small.days(3)[-1] and day < small.days(last)[-1]:
            small.run_day(USECASE, day, world)
    made = None
    for name, step in small.steps_of(USECASE, small.days(last)[-1], world):
        made = step(made)
        if name == "train":
            fitted = made
        if name == "score":
            return fitted, made
    raise AssertionError


def test_a_recipe_is_refitted_only_when_all_cheaper_questions_were_passed(tmp_path: Path) -> None:
    world = small.world_in(tmp_path)
    fitted, scored = trained(world, tmp_path / "landing", 8)
    assert resampled_fits(tmp_path) == []
    judged = evaluate(USECASE, scored, world)
    verdict = read_verdict("small", judged.day, judged.verdict, world)
    asked = {recipe: {f.name: f for f in found}["refitted"] for recipe, found in verdict.findings.items()}
    won = {recipe for recipe, finding in asked.items() if finding.required}
    stopped = asked.keys() - won
    assert all(asked[recipe].outcome is Outcome.PASS for recipe in won)
    assert won, "some must get as far"
    assert "guess" in stopped
    for recipe in stopped:
        assert asked[recipe].outcome is Outcome.UNKNOWN
        assert "stops this candidate already" in asked[recipe].text
    models = {candidate.recipe: candidate.model for candidate in fitted.models}
    assert resampled_fits(tmp_path) == sorted(f"{models[recipe]}.twin.json" for recipe in won)


def test_a_twin_is_made_once_and_is_neither_the_candidate_nor_another_the_next_time(tmp_path: Path) -> None:
    world = small.world_in(tmp_path)
    fitted, _ = trained(world, tmp_path / "landing", 8)
    candidate = next(c for c in fitted.models if c.recipe == "forest")
    first = run_training(fitted, world).resampled(candidate)
    kept = resampled_fits(tmp_path)
    assert run_training(fitted, world).resampled(candidate) == first
    assert first[1] != candidate.sha256
    for path in (tmp_path / "store").rglob("*.twin.json"):
        path.unlink()
    assert run_training(fitted, world).resampled(candidate) == first, (
        "refitted from the same data, it is the same to the bit"
    )
    assert resampled_fits(tmp_path) == kept
    day = date.fromisoformat(fitted.scored)
    units = world.engine.units(USECASE, fitted.validated["snapshot"]["versions"], Days(day, day), set())
    scores = [USECASE.kind.predict(world.models.load(*of), units.inputs)
              for of in (first, (candidate.file, candidate.sha256))]  # fmt: skip
    assert np.any(scores[0] != scores[1])


def test_a_twin_of_a_model_whose_code_has_changed_since_is_refused(tmp_path: Path) -> None:
    world = small.world_in(tmp_path)
    _, scored = trained(world, tmp_path / "landing", 8)
    newer = dataclasses.replace(world, compute_digest="changed")
    with pytest.raises(ConflictError, match="run the day again from its train task"):
        evaluate(USECASE, scored, newer)
    assert resampled_fits(tmp_path) == []


def eight_days(usecase: Usecase, home: Path) -> tuple[DayOutcome, Verdict]:
    """The eighth day's outcome and verdict."""
    world = small.world_in(home)
    for day in small.days(8):
        small.deliver(home / "landing", day)
        if day >= small.days(3)[-1]:
            outcome = small.run_day(usecase, day, world)
    return outcome, read_verdict("small", outcome.day, world.ledger.entries("small")[-1].verdict, world)


def test_a_recipe_that_can_not_be_fitted_takes_nobody_else_down_and_is_named(tmp_path: Path) -> None:
    recipes = (*small.SMALL.recipes, Recipe("extra", broken, window=9, at_least=2))
    outcome, verdict = eight_days(dataclasses.replace(small.SMALL, recipes=recipes), tmp_path)
    assert outcome.outcome == "promoted"
    assert outcome.reason.endswith("; broken, see the page: extra")
    assert verdict.fits["extra"]["skipped"] == "its fit failed: ValueError: no such solver"


def test_a_recipe_that_can_not_answer_takes_nobody_else_down_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.steps.models.predictions import predictions

    def moody(kind: Kind, model: Any, inputs: Any, who: str) -> Any:
        found = predictions(kind, model, inputs, who)
        found[:1] = np.nan if who == "forest" else found[:1]
        return found

    monkeypatch.setattr("pipeline.steps.score.predictions", moody)
    monkeypatch.setattr("pipeline.steps.judging.fresh.predictions", moody)
    outcome, verdict = eight_days(small.SMALL, tmp_path)
    assert outcome.outcome == "promoted"
    assert outcome.recipe != "forest"
    assert outcome.reason.endswith("; broken, see the page: forest")
    assert "1 of 30 predictions are not valid numbers" in str(verdict.findings["forest"][0])


@pytest.mark.parametrize("answer", [lambda model, x: 1 / 0, lambda model, x: np.array([0.5, 7.0, np.nan])])
def test_what_is_no_prediction_is_nan_and_said_in_the_log(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    from pipeline.steps.models.predictions import predictions

    class Odd(Binary):
        def predict(self, model: Any, inputs: Any) -> Any:
            return answer(model, inputs)

    found = predictions(Odd("late"), None, [1, 2, 3], "odd")
    assert np.isnan(found[1:]).all()
    assert caplog.messages[0].startswith("odd ")
    assert np.isnan(predictions(Odd("late"), None, [1], "odd")).all()


def test_a_baseline_that_cannot_answer_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pipeline.steps.score.predictions", lambda kind, model, inputs, who: np.full(len(inputs), np.nan)
    )
    world = small.world_in(tmp_path)
    for day in small.days(4):
        small.deliver(tmp_path / "landing", day)
    outcome = small.run_day(small.SMALL, small.days(4)[-1], world)
    assert outcome.outcome == "held"
    assert "no prediction" in outcome.reason
    assert not world.ledger.entries("small")


def test_a_champion_that_cannot_answer_refuses_the_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = small.world_in(tmp_path)
    for day in small.days(5):
        small.deliver(tmp_path / "landing", day)
    small.run_day(small.SMALL, small.days(4)[-1], world)
    monkeypatch.setattr(
        "pipeline.steps.score.predictions", lambda kind, model, inputs, who: np.full(len(inputs), np.nan)
    )
    with pytest.raises(RefusedError, match="the champion, version 1, answers 30 of 30 units") as caught:
        small.run_day(small.SMALL, small.days(5)[-1], world)
    assert caught.value.code == "UNSOUND"


def test_a_day_scored_against_another_champion_is_not_judged(tmp_path: Path) -> None:
    """Between score and evaluate somebody rolled back: what was scored says nothing of who serves now."""
    world = small.world_in(tmp_path)
    for day in small.days(9):
        small.deliver(tmp_path / "landing", day)
    for day in small.days(8)[2:]:
        small.run_day(small.SMALL, day, world)
    assert [entry.action for entry in world.ledger.entries("small")] == ["start", "promote"]
    made: Any = None
    for name, step in small.steps_of(small.SMALL, small.days(9)[-1], world):
        if name == "evaluate":
            rollback(small.SMALL, world, "previous", "complaints", "ada", small.AT)
            with pytest.raises(ConflictError, match="the champion changed after the day was scored"):
                step(made)
            break
        made = step(made)
    assert all(line.day != small.days(9)[-1].isoformat() for line in world.ledger.outcomes("small"))
