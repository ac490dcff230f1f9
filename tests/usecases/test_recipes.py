"""Recipes: the same bits every time, sensible numbers for whatever comes, and better than the plain rule."""

from __future__ import annotations

import dataclasses
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.steps.models.frames import frame_of
from pipeline.usecases import find
from tests.flights import fitted, labelled

FLIGHTS = (find("flight_delay"), find("flight_minutes"))
BOTH = [(usecase, recipe) for usecase in FLIGHTS for recipe in (*usecase.recipes, usecase.baseline)]
EVERY = pytest.mark.parametrize(("usecase", "recipe"), BOTH, ids=[f"{u.name} {r.name}" for u, r in BOTH])
FIRST, LAST = date(2013, 1, 4), date(2013, 1, 18)
EXAM = date(2013, 1, 19), date(2013, 1, 24)


@cache
def model(usecase: str, recipe: str) -> Any:
    return fitted(find(usecase).recipe(recipe), labelled(usecase, FIRST, LAST))


@EVERY
def test_two_fits_predict_the_same_to_the_last_bit(usecase: Any, recipe: Any) -> None:
    few = labelled(usecase.name, date(2013, 1, 15), date(2013, 1, 18))
    holdout = labelled(usecase.name, *EXAM).inputs
    one, again, shared = (usecase.kind.predict(fitted(recipe, few, threads), holdout) for threads in (1, 1, 2))
    np.testing.assert_array_equal(again, one)
    # Two threads add up in another order: only the linear algebra of the logistic regression notices.
    np.testing.assert_allclose(shared, one, rtol=1e-9 if "linear" in recipe.name else 0)


@EVERY
def test_a_flight_alone_is_predicted_as_it_is_among_others(usecase: Any, recipe: Any) -> None:
    holdout = labelled(usecase.name, *EXAM).inputs.iloc[:20]
    made = model(usecase.name, recipe.name)
    together = usecase.kind.predict(made, holdout)
    alone = [usecase.kind.predict(made, holdout.iloc[[row]])[0] for row in range(len(holdout))]
    np.testing.assert_allclose(alone, together, rtol=1e-12)


@EVERY
def test_columns_are_taken_by_name_and_not_by_place(usecase: Any, recipe: Any) -> None:
    holdout = labelled(usecase.name, *EXAM).inputs
    made = model(usecase.name, recipe.name)
    one = usecase.kind.predict(made, holdout)
    assert len(set(one)) > 20
    np.testing.assert_array_equal(usecase.kind.predict(made, holdout[holdout.columns[::-1]]), one)


@EVERY
def test_what_was_never_seen_or_is_missing_still_gets_a_sound_prediction(usecase: Any, recipe: Any) -> None:
    holdout = labelled(usecase.name, *EXAM).inputs
    strange = holdout.iloc[:4].copy()
    for name in strange.columns:
        if pd.api.types.is_numeric_dtype(strange[name]):
            strange[name] = [np.nan, 1e9, -1e9, 0.0]
        else:
            strange[name] = ["never", "", holdout[name].iloc[0], "ÅÄÖ"]
    said = usecase.kind.predict(model(usecase.name, recipe.name), strange)
    assert usecase.kind.valid(said).all()


@EVERY
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_a_column_that_is_nowhere_known_can_be_learnt_from(usecase: Any, recipe: Any) -> None:
    units = labelled(usecase.name, date(2013, 1, 10), date(2013, 1, 12))
    calm = units.inputs.assign(wind_gust=np.nan, last_delay=np.nan)
    made = fitted(recipe, dataclasses.replace(units, inputs=calm))
    assert usecase.kind.valid(usecase.kind.predict(made, units.inputs)).all()


def test_a_window_in_which_no_flight_is_late_gives_a_model_that_expects_none() -> None:
    case = find("flight_delay")
    units = labelled("flight_delay", date(2013, 1, 10), date(2013, 1, 12))
    punctual = units.where(units.labels == 0)
    for recipe in (case.baseline, case.recipe("boosting_21")):
        made = fitted(recipe, punctual)
        assert (case.kind.predict(made, units.inputs) < 0.01).all()


def test_the_rule_of_flight_delay_is_the_late_share_by_carrier_and_hour() -> None:
    units = labelled("flight_delay", FIRST, LAST)
    rule = model("flight_delay", "usual")
    said = pd.Series(find("flight_delay").kind.predict(rule, units.inputs), index=units.inputs.index)
    leaf = rule[-1].apply(rule[0].transform(units.inputs))
    words = units.inputs["carrier_hour"]
    for group in np.unique(leaf):
        inside = leaf == group
        assert said[inside].nunique() == 1
        assert said[inside].iloc[0] == pytest.approx(units.labels[inside].mean())
        # A run of the sorted list of carriers and hours, of 100 flights at least.
        assert inside.sum() >= 100
        ordered = sorted(words.unique())
        places = sorted(ordered.index(word) for word in words[inside].unique())
        assert places == list(range(places[0], places[-1] + 1))
    assert len(np.unique(leaf)) > 40


def test_the_rule_of_flight_minutes_is_the_median_by_carrier_and_hour() -> None:
    units = labelled("flight_minutes", FIRST, LAST)
    rule = model("flight_minutes", "usual")
    said = find("flight_minutes").kind.predict(rule, units.inputs)
    leaf = rule[-1].apply(rule[0].transform(units.inputs))
    for group in np.unique(leaf):
        inside = leaf == group
        assert said[inside][0] == pytest.approx(np.median(units.labels[inside]))


@pytest.mark.parametrize("usecase", FLIGHTS, ids=lambda usecase: usecase.name)
def test_every_recipe_holds_the_golden_cases_and_the_plain_rule_breaks_some(usecase: Any) -> None:
    like = labelled(usecase.name, *EXAM).inputs

    def broken(recipe: str) -> list[str]:
        made = model(usecase.name, recipe)
        said = {case.name: usecase.kind.predict(made, frame_of(case.rows, like)) for case in usecase.golden}
        return [case.name for case in usecase.golden if case.judged_value(said[case.name]) not in case.bound]

    assert len(usecase.golden) >= 10
    assert {recipe.name: broken(recipe.name) for recipe in usecase.recipes} == {r.name: [] for r in usecase.recipes}
    assert broken("usual"), "cases that a rule without inputs holds ask for nothing"


@pytest.mark.parametrize("usecase", FLIGHTS, ids=lambda usecase: usecase.name)
def test_on_days_unseen_a_model_beats_the_plain_rule(usecase: Any) -> None:
    holdout = labelled(usecase.name, *EXAM)
    losses = {
        recipe.name: usecase.kind.loss(
            holdout.labels, usecase.kind.predict(model(usecase.name, recipe.name), holdout.inputs)
        ).mean()
        for recipe in (*usecase.recipes, usecase.baseline)
    }
    best = min(losses, key=lambda name: losses[name])
    assert losses[best] < 0.98 * losses["usual"]
    assert losses["boosting_60"] < 0.99 * losses["usual"]


@EVERY
def test_another_seed_is_another_estimator_of_the_same_make(usecase: Any, recipe: Any) -> None:
    one, other = recipe.build(1), recipe.build(2)
    assert [type(part) for _, part in one.steps] == [type(part) for _, part in other.steps]
    assert one[-1].random_state == 1
    assert other[-1].random_state == 2
