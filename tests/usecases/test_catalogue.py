"""The catalogue: light to import, and two use cases of two kinds over the same tables."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest

from pipeline.core.kinds import Binary, Regression
from pipeline.core.usecase import Usecase
from pipeline.usecases import ALL, find
from pipeline.usecases.nycflights.features import HABIT

#: The use cases over the flights; others in the catalogue have other tables.
FLIGHTS = (find("flight_delay"), find("flight_minutes"))


def test_importing_the_catalogue_imports_nothing_heavy() -> None:
    heavy = {"pandas", "sklearn", "mlflow", "great_expectations", "pyarrow", "polars", "skops", "airflow", "deltalake"}
    code = "import sys, pipeline.usecases; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not heavy & set(done.stdout.split())


def test_use_cases_are_found_by_name_and_an_unknown_one_is_told_in_a_sentence() -> None:
    assert [find(usecase.name) for usecase in ALL] == list(ALL)
    with pytest.raises(KeyError, match="no use case 'flight_day'; there are flight_delay, flight_minutes"):
        find("flight_day")


def test_the_two_use_cases_are_of_two_kinds_over_the_same_tables_and_features() -> None:
    delay, minutes = find("flight_delay"), find("flight_minutes")
    assert isinstance(delay.kind, Binary)
    assert isinstance(minutes.kind, Regression)
    assert delay.tables is not minutes.tables
    assert delay.tables == minutes.tables
    assert delay.features is minutes.features


@pytest.mark.parametrize("usecase", FLIGHTS, ids=lambda usecase: usecase.name)
def test_recipes_differ_in_estimator_and_in_window(usecase: Usecase) -> None:
    kinds = {type(recipe.build(0)[-1]).__name__ for recipe in usecase.recipes}
    assert len(usecase.recipes) >= 3
    assert len(kinds) >= 2
    assert len({recipe.window for recipe in usecase.recipes}) >= 3
    # The demonstration begins with two weeks of history.
    assert all(recipe.at_least <= 14 for recipe in (*usecase.recipes, usecase.baseline))


@pytest.mark.parametrize("usecase", FLIGHTS, ids=lambda usecase: usecase.name)
def test_history_reaches_back_over_all_that_the_features_look_at(usecase: Usecase) -> None:
    # A flight is known at most 1,301 minutes of delay, 695 in the air and four hours after its schedule.
    longest = timedelta(minutes=1_301 + 695) + timedelta(hours=4)
    behind = HABIT + longest
    # A local day ends at 05:00 UTC of the next.
    assert timedelta(days=usecase.history + 1) - timedelta(hours=5) >= behind


def test_labels_of_the_two_use_cases_agree() -> None:
    from tests.flights import units

    late, minutes = units("flight_delay"), units("flight_minutes")
    np.testing.assert_array_equal(late.keys, minutes.keys)
    known = np.isfinite(late.labels)
    np.testing.assert_array_equal(late.labels[known], (minutes.labels[known] >= 15).astype(float))
    np.testing.assert_array_equal(np.isnan(late.labels), np.isnan(minutes.labels))


def test_a_gate_that_the_kind_can_not_be_asked_is_refused_at_the_declaration() -> None:
    from pipeline.core.gates import Floor

    with pytest.raises(ValueError, match="'flight_minutes' declares the gate 'auc floor', but its kind has no measure"):
        dataclasses.replace(find("flight_minutes"), gates=(Floor(0.6, of="auc"),))


def test_a_missed_delay_costs_five_times_a_false_alarm() -> None:
    from pipeline.usecases.flight_delay import cost_of_decisions

    late, warned = np.array([1.0, 1, 0, 0]), np.array([0, 1, 1, 0])
    assert cost_of_decisions(late, warned).tolist() == [5, 0, 1, 0]


def test_a_label_that_arrives_as_a_word_is_a_fact_of_its_feed() -> None:
    from pipeline.core.kinds import Multiclass
    from tests.small import multiclass

    (fact,) = multiclass().all_facts
    columns = {"basket": np.array(["little", None, "plenty"], dtype=object)}
    assert fact.holds(columns).tolist() == [True, False]
    delay = find("flight_delay")
    # The word is made by the features here: the engine refuses it, and no feed has a fact about it.
    assert (
        dataclasses.replace(delay, kind=Multiclass("status", ("a", "b")), gates=delay.gates[:1]).all_facts
        == delay.facts
    )
