"""A model's identity names what can change a prediction, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.core.gates import Sound
from pipeline.core.kinds import Regression
from pipeline.core.ports import World
from pipeline.core.records import Candidate, Validated
from pipeline.core.tables import Frame
from pipeline.core.usecase import Tables, Usecase
from pipeline.core.windows import training_days
from pipeline.steps.ingest import ingest
from pipeline.steps.models.definition import definition
from pipeline.steps.models.fitting import BrokenError, fitted
from pipeline.steps.models.run_training import RunTraining, candidate_by_identity
from pipeline.steps.tables.score_ledger import delivery_digests
from pipeline.steps.train import train
from pipeline.steps.validate import validate
from tests import small

DAY = small.days(5)[-1]
RECIPE = small.SMALL.recipes[0]


@pytest.fixture
def accepted(tmp_path: Path) -> tuple[World, Validated]:
    for day in small.days(5):
        small.deliver(tmp_path / "landing", day)
    world = small.world_in(tmp_path)
    return world, validate(small.SMALL, ingest(small.SMALL, DAY, world), world)


def identity(usecase: Usecase, validated: Validated, world: World, scored: date = DAY) -> str:
    recipe = usecase.recipe(RECIPE.name)
    return RunTraining(usecase, validated, world, scored).identity(recipe, training_days(scored, recipe.window))


def other_build(seed: int) -> Any:
    return RECIPE.build(seed)


def other_features(tables: Tables) -> Frame:
    return small.SMALL.features(tables)


def later(visits: Frame) -> Frame:
    return visits


known_later = dataclasses.replace(small.SMALL.feeds[0], known_at=later)


def with_recipe(**changes: Any) -> Usecase:
    return dataclasses.replace(small.SMALL, recipes=(dataclasses.replace(RECIPE, **changes), *small.SMALL.recipes[1:]))


def source(function: Callable[..., Any]) -> str:
    return function.__qualname__


@pytest.mark.parametrize(
    ("usecase", "world"),
    [
        (with_recipe(seed=99), {}),
        (with_recipe(window=RECIPE.window - 1), {}),
        (with_recipe(build=other_build), {}),
        (dataclasses.replace(small.SMALL, features=other_features), {}),
        (dataclasses.replace(small.SMALL, feeds=(known_later,)), {}),
        (dataclasses.replace(small.SMALL, inputs=small.SMALL.inputs[:1]), {}),
        (dataclasses.replace(small.SMALL, kind=Regression(target="late", acts_at=0.5, tolerance=0.1)), {}),
        (small.SMALL, {"compute_digest": "another engine"}),
        (small.SMALL, {"library_digest_of": lambda _: "another scikit-learn"}),
    ],
    ids=["seed", "window", "estimator", "features", "known at", "inputs", "target", "engine", "libraries"],
)  # fmt: skip
def test_what_can_change_a_prediction_makes_another_model(
    accepted: tuple[World, Validated], usecase: Usecase, world: dict[str, Any]
) -> None:
    plain = dataclasses.replace(accepted[0], source_digest_of=source)
    before = identity(small.SMALL, accepted[1], plain)
    assert identity(usecase, accepted[1], dataclasses.replace(plain, **world)) != before


def test_other_data_makes_another_model(accepted: tuple[World, Validated], tmp_path: Path) -> None:
    world, validated = accepted
    before = identity(small.SMALL, validated, world)
    small.deliver(tmp_path / "landing", small.days(5)[1], flip=True)
    again = validate(small.SMALL, ingest(small.SMALL, DAY, world), world)
    assert again.snapshot["versions"] != validated.snapshot["versions"], "the corrected day was not taken"
    assert identity(small.SMALL, again, world) != before


@pytest.mark.parametrize(
    ("usecase", "world"),
    [
        (small.SMALL, {"code": "a report says it otherwise"}),
        (dataclasses.replace(small.SMALL, gates=(Sound(),)), {}),
        (dataclasses.replace(small.SMALL, question="Is it so?"), {}),
        (dataclasses.replace(small.SMALL, recipes=small.SMALL.recipes[:1]), {}),
    ],
    ids=["the product's source", "gates", "words", "another recipe"],
)
def test_what_can_not_change_a_prediction_leaves_the_model_what_it_is(
    accepted: tuple[World, Validated], usecase: Usecase, world: dict[str, Any]
) -> None:
    plain = dataclasses.replace(accepted[0], source_digest_of=source)
    before = identity(small.SMALL, accepted[1], plain)
    changed = dataclasses.replace(plain, **world)
    assert identity(usecase, accepted[1], changed) == before
    assert definition(usecase, RECIPE.name, changed) == definition(small.SMALL, RECIPE.name, plain)


def test_an_upgrade_of_a_library_makes_other_models_and_leaves_the_evidence(
    accepted: tuple[World, Validated],
) -> None:
    """The recipe is the same, so what it earned counts; its fits are fitted anew, so nobody takes one for the other."""
    world, validated = accepted
    upgraded = dataclasses.replace(world, library_digest_of=lambda _: "another scikit-learn")
    models = [
        {one.recipe: one.model for one in train(small.SMALL, validated, each).models} for each in (world, upgraded)
    ]
    assert models[0].keys() == models[1].keys()
    assert not set(models[0].values()) & set(models[1].values())
    assert definition(small.SMALL, RECIPE.name, world) == definition(small.SMALL, RECIPE.name, upgraded)
    days = training_days(DAY, 3)
    versions = validated.snapshot["versions"]
    assert delivery_digests(small.SMALL, versions, world, days) == delivery_digests(
        small.SMALL, versions, upgraded, days
    )


def test_a_candidate_is_found_by_its_identity_once_it_is_fitted(accepted: tuple[World, Validated]) -> None:
    world, validated = accepted
    made = Candidate.from_dict(next(one for one in train(small.SMALL, validated, world).candidates))
    assert candidate_by_identity("small", made.model, world) == made
    assert candidate_by_identity("small", "0" * 64, world) is None


class Estimator:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def fit(self, inputs: Any, labels: Any) -> None:
        raise self.error


@pytest.mark.parametrize(("error", "raised"), [(MemoryError(), MemoryError), (ZeroDivisionError("no"), BrokenError)])
def test_a_machine_out_of_memory_says_nothing_about_the_recipe(error: Exception, raised: type[Exception]) -> None:
    recipe = dataclasses.replace(RECIPE, build=lambda _: Estimator(error))
    with pytest.raises(raised):
        fitted(recipe, recipe.seed, SimpleNamespace(inputs=None, labels=np.zeros(2)))  # type: ignore[arg-type]


def test_progress_counts_a_recipe_that_is_broken_too(accepted: tuple[World, Validated]) -> None:
    world, validated = accepted
    counted: list[int] = []

    @contextmanager
    def progress(name: str, parts: int) -> Iterator[Callable[[], None]]:
        counted.append(parts)
        yield lambda: counted.append(1)

    broken = with_recipe(build=lambda _: Estimator(ZeroDivisionError("no")))
    trained = train(broken, validated, dataclasses.replace(world, progress=progress))
    assert trained.broken == (RECIPE.name,)
    assert counted[0] == len(broken.recipes) + 1 - sum(r.name == broken.baseline.name for r in broken.recipes)
    assert counted[1:] == [1] * counted[0]
