"""One of several words, from the delivered file to a promotion, through every real adapter."""

from __future__ import annotations

import dataclasses
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import RefusedError
from pipeline.core.gates import BeatsBaseline, Better, Calibration, EverySlice, Floor, SimplerPreferred, Sound, Value
from pipeline.core.ports import World
from pipeline.core.windows import Days
from pipeline.steps.tables import score_ledger
from tests import small


def costs(labels: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """A basket misjudged costs as much as it lies away."""
    return np.abs(labels - decisions)


WORDS = dataclasses.replace(
    small.multiclass(),
    gates=(
        Sound(),
        BeatsBaseline(),
        Better(),
        EverySlice(margin=0.5, at_least=20),
        Floor(1.0),
        Floor(0.5, of="accuracy"),
        Value(costs, money="EUR"),
        Calibration(limit=0.3),
        SimplerPreferred(margin=0.0),
    ),
)


@pytest.fixture
def worded(tmp_path: Path) -> World:
    """Twelve days of words delivered."""
    for day in small.days(12):
        small.deliver_words(tmp_path / "landing", day)
    return small.world_in(tmp_path)


def test_a_use_case_of_several_classes_runs_to_a_promotion(worded: World, tmp_path: Path) -> None:
    outcomes = [small.run_day(WORDS, day, worded) for day in small.days(10)[2:]]
    assert outcomes[0].outcome == "started"
    promoted = next(day for day in outcomes if day.outcome == "promoted")
    assert worded.registry.versions
    rows = worded.store.read("scores/small_words", worded.store.version("scores/small_words") or 0).to_pylist()
    assert {len(row["prediction"]) for row in rows} == {3}
    assert {row["label"] for row in rows} == {0.0, 1.0, 2.0}
    assert all(abs(sum(row["prediction"]) - 1) < 1e-9 for row in rows)
    page = next(p for p in worded.registry.runs.values() if promoted.day in p.title)
    html = unescape(page.files["verdict.html"].decode())
    assert all(f"probability of '{word}'" in html for word in small.CLASSES)
    assert "probability of the class of 'basket' that it names" in html
    assert "EUR less per 100 units" in html
    won = next(child for child in page.children if child.tags["recipe"] == promoted.recipe)
    assert {"log_loss", "value", "loss_floor", "accuracy_floor", "calibration", "better_low"} <= won.metrics.keys()


def test_what_was_scored_is_read_back_as_it_was_said(worded: World) -> None:
    day = small.days(5)[-1]
    made = None
    for name, step in small.steps_of(WORDS, day, worded):
        made = step(made)
        if name == "score":
            break
    ledger = score_ledger.ScoreLedger.read(worded.store, "small_words", made.ledger, Days(day, day))
    of = ledger.contestants == "linear_short"
    assert ledger.predictions[of].shape == (30, 3)
    assert np.isfinite(ledger.daily_losses(WORDS.kind)["linear_short"][str(day)])
    low, high = ledger.intervals(WORDS.kind, day).get("linear_short", (0.0, 1.0))
    assert low < high


def test_a_word_that_is_none_of_the_classes_refuses_its_day_in_a_sentence(worded: World, tmp_path: Path) -> None:
    days = small.days(6)
    small.run_day(WORDS, days[2], worded)
    small.deliver_words(tmp_path / "landing", days[3], stray="plenty")
    with pytest.raises(RefusedError) as refused:
        small.run_day(WORDS, days[3], worded)
    assert "'basket' is one of nothing, little, much" in str(refused.value)
    assert "broken in 1 of 30 rows" in str(refused.value)
    assert "add the word to the kind's classes" in str(refused.value)
    # The next day learns from what is sound.
    assert small.run_day(WORDS, days[4], worded).outcome == "held"


def test_a_class_that_the_features_make_up_is_refused_too(worded: World) -> None:
    import narwhals as nw

    def strange(tables: object) -> object:
        made = WORDS.features(tables)
        return made.with_columns(basket=nw.when(nw.col("visit") == 4).then(nw.lit("lots")).otherwise(nw.col("basket")))

    with pytest.raises(
        RefusedError, match=r"'basket' of 2 units .* is not one of nothing, little, much, such as 'lots'"
    ):
        small.run_day(dataclasses.replace(WORDS, features=strange), small.days(3)[-1], worded)


def test_a_recipe_that_answers_with_one_number_is_stopped_and_nobody_else(worded: World) -> None:
    from sklearn.base import BaseEstimator

    from pipeline.steps.models.predictions import predictions

    class Halves(BaseEstimator):
        classes_ = np.array([0.0, 1.0, 2.0])

        def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
            return np.full((len(inputs), 3), 0.5)

    said = predictions(WORDS.kind, Halves(), np.zeros((4, 2)), "halves")
    assert said.shape == (4, 3)
    assert np.isnan(said).all()


def test_a_day_of_rows_scored_again_writes_nothing_and_one_recipe_alone_keeps_the_others(worded: World) -> None:
    day = small.days(5)[-1]

    def score(recipes: tuple[str, ...] = ()) -> int:
        made = None
        for name, step in small.steps_of(WORDS, day, worded, recipes):
            made = step(made)
            if name == "score":
                return int(made.ledger)
        raise AssertionError

    first = score()
    assert score() == first
    again = score(("forest",))
    ledger = score_ledger.ScoreLedger.read(worded.store, "small_words", again, Days(day, day))
    assert set(ledger.contestants) == {"linear_short", "linear_long", "forest", "constant"}
    assert ledger.predictions.shape == (120, 3)
