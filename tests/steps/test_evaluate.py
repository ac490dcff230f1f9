"""Evaluate: what a candidate is asked, in which order, and what is made for it."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from pipeline.core.errors import ConflictError
from pipeline.core.ports import World
from pipeline.core.records import Scored, Trained, Validated
from pipeline.core.usecase import Recipe
from pipeline.core.verdict import Outcome
from pipeline.core.windows import Days
from pipeline.steps.evaluate import evaluate
from pipeline.steps.register import read_verdict
from pipeline.steps.train import Lineage
from tests import small


def guess(seed: int) -> DummyClassifier:
    return DummyClassifier(strategy="uniform", random_state=seed)


#: One recipe that no gate on the loss lets through.
USECASE = dataclasses.replace(small.SMALL, recipes=(*small.SMALL.recipes, Recipe("guess", guess, window=9, at_least=2)))


def twins(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "store").rglob("*.twin.json"))


def lineage(fitted: Trained, world: World) -> Lineage:
    return Lineage(USECASE, Validated.from_dict(fitted.validated), world, date.fromisoformat(fitted.scored))


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
    assert twins(tmp_path) == []
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
    assert twins(tmp_path) == sorted(f"{models[recipe]}.twin.json" for recipe in won)


def test_a_twin_is_made_once_and_is_neither_the_candidate_nor_another_the_next_time(tmp_path: Path) -> None:
    world = small.world_in(tmp_path)
    fitted, _ = trained(world, tmp_path / "landing", 8)
    candidate = next(c for c in fitted.models if c.recipe == "forest")
    first = lineage(fitted, world).twin(candidate)
    kept = twins(tmp_path)
    assert lineage(fitted, world).twin(candidate) == first
    assert first[1] != candidate.sha256
    for path in (tmp_path / "store").rglob("*.twin.json"):
        path.unlink()
    assert lineage(fitted, world).twin(candidate) == first, "refitted from the same data, it is the same to the bit"
    assert twins(tmp_path) == kept
    day = date.fromisoformat(fitted.scored)
    units = world.engine.units(USECASE, fitted.validated["snapshot"]["versions"], Days(day, day), set())
    scores = [USECASE.kind.predict(world.models.load(*of), units.inputs)
              for of in (first, (candidate.file, candidate.sha256))]  # fmt: skip
    assert np.any(scores[0] != scores[1])


def test_a_twin_of_a_model_whose_code_has_changed_since_is_refused(tmp_path: Path) -> None:
    world = small.world_in(tmp_path)
    _, scored = trained(world, tmp_path / "landing", 8)
    newer = dataclasses.replace(world, code="changed")
    with pytest.raises(ConflictError, match="run the day again from its train task"):
        evaluate(USECASE, scored, newer)
    assert twins(tmp_path) == []
