"""Golden cases: what a file may say, and that nonsense in it is refused in a sentence that names the case."""

import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.golden import Case, CaseWaiver, cases
from pipeline.core.verdict import Bound

INPUTS = ("size", "shop")
BASE = {"name": "small", "owner": "shops", "reason": "it is so", "kind": "range", "inputs": {"size": 1}, "high": 0.5}


def read(*more, **changed):
    return cases(json.dumps([{**BASE, **changed}, *more]), INPUTS)


def case(kind, **more):
    return {"name": kind, "owner": "shops", "reason": "it is so", "kind": kind, "like": "small", **more}


def test_every_kind_of_case_says_which_number_must_lie_where():
    found = read(
        case("ordering", than={"like": "small", "with": {"size": 9}}, gap=0.1),
        case("invariance", change={"shop": "north"}, tolerance=0.01),
        case("direction", change={"size": None}, moves="down", at_least=0.1, at_most=0.4, **{"with": {"size": 5}}),
    )
    assert [one.bound for one in found] == [
        Bound(high=0.5),
        Bound(low=0.1),
        Bound(-0.01, 0.01),
        Bound(-0.4, -0.1),
    ]
    unknown = {"shop": None}
    assert found[0].rows == ({"size": 1.0, **unknown},)
    assert found[1].rows == ({"size": 1.0, **unknown}, {"size": 9.0, **unknown})
    assert found[2].rows == ({"size": 1.0, **unknown}, {"size": 1.0, "shop": "north"})
    assert found[3].rows == ({"size": 5.0, **unknown}, {"size": None, **unknown})
    assert found[0].judged_value((0.3,)) == 0.3
    assert found[1].judged_value((0.3, 0.5)) == pytest.approx(0.2)


def test_a_direction_up_is_a_rise_of_at_least_nothing():
    found = read(case("direction", change={"size": 9}, moves="up"))[1]
    assert found.bound == Bound(low=0.0)
    assert 0.0 in found.bound
    assert found.judged_value((0.5, 0.4)) not in found.bound


def test_a_waiver_counts_through_its_last_day():
    found = read(waiver={"until": "2013-04-01", "by": "A. Nna", "why": "until the next release"})[0]
    assert found.waiver == CaseWaiver(date(2013, 4, 1), "A. Nna", "until the next release")
    assert found.waived(date(2013, 4, 1))
    assert not found.waived(date(2013, 4, 2))
    assert not read()[0].waived(date(2013, 4, 1))


def test_a_case_may_be_like_one_that_is_like_another():
    second = {**case("direction", change={"size": 3}, moves="up"), "name": "second", "with": {"shop": "west"}}
    third = {**case("direction", change={"size": 3}, moves="up"), "like": "second"}
    assert read(second, third)[2].rows[0] == {"size": 1.0, "shop": "west"}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"owner": " "}, "has no owner"),
        ({"owner": None}, "has no owner"),
        ({"reason": ""}, "has no reason"),
        ({"kind": "guess"}, "unknown kind 'guess'; the kinds are range, ordering, invariance, direction"),
        ({"kind": ["range"]}, "unknown kind"),
        ({"inputs": {"seize": 1}}, "names seize, which is no input"),
        ({"inputs": {"size": True}}, "a value is a number, a word, or null"),
        ({"inputs": {"size": [1]}}, "a value is a number, a word, or null"),
        ({"inputs": 3}, "must give inputs as an object"),
        ({"inputs": {"size": float("inf")}}, "what is unknown is null"),
        ({"inputs": {"size": 10**400}}, "what is unknown is null"),
        ({"low": 10**400}, "above its high end"),
        ({"low": 0.7}, "has its low end of 0.7 above its high end of 0.5"),
        ({"high": "much"}, "must say 'high' as a number"),
        ({"high": float("nan")}, "must say 'high' as a number"),
        ({"gap": 1}, "is of kind 'range' and can't have gap"),
        ({"like": "small"}, "needs either 'inputs' or 'like'"),
        ({"with": {"size": 3}}, "gives its inputs whole"),
        ({"class": 3}, "must name its class by a word"),
        ({"waiver": {"by": "me", "why": "so"}}, "does not say 'until': a waiver expires"),
        ({"waiver": {"until": "2013-04-01", "why": "so"}}, "does not say 'by'"),
        ({"waiver": {"until": "2013-04-01", "by": "me"}}, "does not say 'why'"),
        ({"waiver": {"until": "soon", "by": "me", "why": "so"}}, "until 'soon', which is no day"),
        ({"waiver": "for ever"}, "has a waiver that is no object"),
    ],
)
def test_a_case_that_is_nonsense_is_refused_by_name(more, why):
    with pytest.raises(ValueError, match="golden case 'small'") as caught:
        read(**more)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (case("ordering"), "is of kind 'ordering' and says no than"),
        (case("ordering", than=3), "needs as 'than' an object"),
        (case("ordering", than={"like": "small"}, gap=-1), "must have a gap of at least 0"),
        (case("invariance", change={"size": 2}, tolerance=-1), "must have a tolerance of at least 0"),
        (case("invariance", change={"size": 1}), "changes nothing"),
        (case("direction", change={"size": 2}), "says no moves"),
        (case("direction", change={"size": 2}, moves="left"), "moves 'up' or 'down', got 'left'"),
        (case("direction", change={"size": 2}, moves="up", at_least=2, at_most=1), "at_most no less"),
        (case("direction", change={"seize": 2}, moves="up"), "names seize"),
        ({**case("ordering", than={"like": "nobody"})}, "is like 'nobody', and there is no such case"),
        ({**case("ordering", than={"like": "small"}), "like": "ordering"}, "is like itself"),
        ({**BASE, "owner": "others"}, "is there twice"),
    ],
)
def test_a_pair_of_predictions_that_is_nonsense_is_refused_by_name(more, why):
    with pytest.raises(ValueError, match=f"golden case '{more['name']}'") as caught:
        read(more)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{", "{}", "[1]", '[{"owner": "x"}]', '[{"name": ""}]', '[{"low": ' + "9" * 5000 + "}]", "[" * 100_000]
)
def test_a_file_that_is_no_list_of_named_cases_is_refused(text):
    with pytest.raises(ValueError, match="golden case"):
        cases(text, INPUTS)


def test_a_range_without_an_end_asks_for_nothing_and_is_refused():
    with pytest.raises(ValueError, match="asks for nothing"):
        cases(json.dumps([{key: value for key, value in BASE.items() if key != "high"}]), INPUTS)


@given(st.floats(-5, 5), st.floats(0, 5), st.booleans())
def test_a_case_comes_back_from_its_dict_without_its_inputs(low, width, waived):
    waiver = {"until": "2013-04-01", "by": "me", "why": "so"} if waived else None
    found = read(low=low, high=low + width, waiver=waiver)[0]
    kept = json.loads(json.dumps(found.to_dict()))
    assert Case.from_dict(kept) == replace(found, rows=()) == found.without_rows()
