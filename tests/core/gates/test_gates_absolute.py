"""Gates that hold a candidate against nobody: golden cases, leaks, repeated answers; and what it needs to run."""

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle
from worlds import BINARY, REGRESSION, WAIVED, measured

from pipeline.core.evidence.candidate import Evidence
from pipeline.core.evidence.measurements import Answers, Audited, Footprint, Repeated, Shared, Timing
from pipeline.core.gates import Golden, NoLeak, NoServingSkew, NothingShared, Repeatable, Resources
from pipeline.core.stats import binomial_upper_tail, explained_by_one_column
from pipeline.core.verdict import Outcome, joint

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
SOUND = {**measured(4, 180)}
ANSWERS, AUDITED, SHARED = SOUND["answers"], SOUND["audited"], SOUND["shared"]


def judged(gate, **made):
    return gate.judge(Evidence(BINARY, "version 3", "boosting_60", **made))


def golden(candidate, champion=None, day=date(2013, 3, 8)):
    said = replace(ANSWERS, day=day, candidate=candidate, champion=champion or ANSWERS.champion)
    return judged(Golden(), answers=said)


# Golden cases: an ordinary day (0.1 to 0.5), a late aircraft (up by 0.01), a new airline (the same, waived till April).
HOLDS = ((0.2,), (0.2, 0.3), (0.2, 0.21))


def test_cases_that_all_hold_pass():
    assert [str(found) for found in golden(HOLDS)] == ["golden cases: PASS  all of 3 cases hold"]


def test_a_broken_case_names_its_owner_its_reason_and_the_champion_that_breaks_it_too():
    broken = ((0.2,), (0.2, 0.1), (0.2, 0.21))
    whole, one = golden(broken, HOLDS)
    assert str(whole) == (
        "golden cases: FAIL  1 of 3 cases broken: 'a late aircraft' (moved by -0.1, wanted at least 0.01; "
        "flights team: it comes late)"
    )
    assert (one.name, one.about, one.outcome, one.required) == ("golden case", "a late aircraft", FAIL, False)
    assert "the champion breaks it as well; flights team" in golden(broken, broken)[0].text


def test_a_waived_break_is_told_and_passes_until_its_waiver_expires():
    broken = ((0.2,), (0.2, 0.3), (0.2, 0.5))
    whole, one = golden(broken, HOLDS, WAIVED.until)
    assert (whole.outcome, one.outcome) == (PASS, PASS)
    assert whole.counts == {"cases": 3, "waived": 1}
    assert "2 of 3 cases hold; waived: 'a new airline' (waived until 2013-04-01 by A. Nna" in whole.text
    late, _ = golden(broken, HOLDS, date(2013, 4, 2))
    assert late.outcome is FAIL
    assert "its waiver by A. Nna expired on 2013-04-01" in late.text


def test_no_prediction_for_a_case_is_unknown_and_no_waiver_helps():
    silent = ((0.2,), (0.2, 0.3), (0.2, math.nan))
    whole, one = golden(silent)
    assert (whole.outcome, one.outcome) == (UNKNOWN, UNKNOWN)
    assert "no prediction for 'a new airline' of 3 cases" in whole.text
    both = golden(((0.9,), (0.2, 0.3), (0.2, math.nan)))
    assert both[0].outcome is FAIL, "what is broken is not hidden by what is unknown"


def test_a_champion_without_a_prediction_breaks_no_sentence():
    assert golden(((0.9,), *HOLDS[1:]), ((math.nan,), *HOLDS[1:]))[0].outcome is FAIL


def test_a_use_case_that_declares_the_gate_and_no_case_is_unknown():
    found = judged(Golden(), answers=Answers(date(2013, 3, 8), (), (), ()))[0]
    assert found.outcome is UNKNOWN
    assert "write some" in found.text


def test_one_answer_that_is_not_repeated_is_enough():
    assert judged(Repeatable(), repeated=Repeated(900, 0, 0))[0].outcome is PASS
    for bad in (Repeated(900, 1, 0), Repeated(900, 0, 1)):
        found = judged(Repeatable(), repeated=bad)[0]
        assert found.outcome is FAIL
        assert "of 900 answers" in found.text


def leak(**changed):
    return {found.name: found for found in judged(NoLeak(), audited=replace(AUDITED, **changed))}


def test_a_design_that_is_sound_passes_and_says_what_was_looked_at():
    assert [str(found) for found in leak().values()] == [
        "no leak: point in time: PASS  2 units looked at: the same features without what became known later",
        "no leak: one column: PASS  no input alone explains much; the most telling, 'size', removes 10 % of a "
        "constant's loss (allowed: 50 %), 500 units",
        "no leak: columns: PASS  the estimator takes the 2 declared inputs, none known only after the fact",
    ]


def test_what_was_not_yet_known_is_a_leak_and_what_could_not_be_looked_at_is_unknown():
    assert leak(leaks=("size of B6 1 is 3 instead of 4",))["no leak: point in time"].outcome is FAIL
    silent = leak(lived=0, silent="the features can't be computed: KeyError: 'x'")["no leak: point in time"]
    assert (silent.outcome, "KeyError" in silent.text) == (UNKNOWN, True)


def test_a_column_that_alone_explains_nearly_everything_is_named():
    found = leak(alone={"size": 0.1, "own_delay": 0.8})["no leak: one column"]
    assert found.outcome is FAIL
    assert found.text.startswith("'own_delay' alone removes 80 % of the loss of a constant (allowed: 50 %), 500 units")
    for few in ({"judged": 99}, {"learnt": 99}, {"alone": {}}, {"alone": {"size": math.nan, "own_delay": 0.8}}):
        assert leak(**few)["no leak: one column"].outcome is UNKNOWN
    assert leak(alone={"size": -0.2})["no leak: one column"].outcome is PASS


def test_an_estimator_takes_the_declared_inputs_and_nothing_else():
    for takes in (("size",), ("size", "carrier", "tailnum"), ("arr_delay", "carrier", "size")):
        assert leak(takes=takes)["no leak: columns"].outcome is FAIL
    assert "arr_delay reaches the model" in leak(takes=("size", "arr_delay"))["no leak: columns"].text
    assert leak(inputs=("size", "arr_delay"), takes=("size", "arr_delay"))["no leak: columns"].outcome is FAIL
    assert leak(takes=None)["no leak: columns"].outcome is UNKNOWN
    assert leak(takes=("carrier", "size"))["no leak: columns"].outcome is PASS, "by name, not by place"


def test_inputs_that_differ_alone_fail_and_what_was_not_computed_is_unknown():
    assert judged(NoServingSkew(), audited=AUDITED)[0].outcome is PASS
    differs = replace(AUDITED, differs=("size of B6 1 is 3 alone, 4 on the day's table",))
    assert "1 input of a request differ" in judged(NoServingSkew(), audited=differs)[0].text
    assert judged(NoServingSkew(), audited=differs)[0].outcome is FAIL
    assert judged(NoServingSkew(), audited=replace(AUDITED, silent="no frame of one row"))[0].outcome is UNKNOWN


def test_one_unit_at_the_same_moment_in_training_is_one_too_many():
    assert joint(judged(NothingShared(), shared=SHARED)) is PASS
    keys, rows = judged(NothingShared(), shared=replace(SHARED, keys=1))
    assert (keys.outcome, rows.outcome) == (FAIL, PASS)


def test_rows_like_those_of_training_count_beyond_what_training_days_share_among_themselves():
    usual = ((500, 400), (500, 410), (500, 390))
    few_inputs = Shared(500, 0, 400, 500, usual)
    assert joint(judged(NothingShared(), shared=few_inputs)) is PASS
    copied = judged(NothingShared(), shared=replace(few_inputs, rows=500))[1]
    assert copied.outcome is FAIL
    assert copied.value == pytest.approx(1 - 410 / 500)
    lone = judged(NothingShared(), shared=Shared(30, 0, 1, 30, ((30, 0), (30, 0), (30, 0))))[1]
    assert lone.outcome is PASS
    assert "so few may be chance" in lone.text
    assert judged(NothingShared(), shared=Shared(30, 0, 9, 30, ((30, 0), (30, 0), (30, 0))))[1].outcome is FAIL
    for unknown in (replace(few_inputs, labelled=0), replace(few_inputs, usual=usual[:2])):
        assert judged(NothingShared(), shared=unknown)[1].outcome is UNKNOWN


def footprint(**changed):
    rng = np.random.default_rng(0)
    made = {"load": rng.gamma(500, 2e-3, (10, 2)), "size": (1e8, 1e8), "memory": (1e9, 1e9), "training": (99.0, 99.0)}
    return {found.name: found for found in judged(Resources(), footprint=Footprint(**{**made, **changed}))}


def test_resources_pass_the_equal_and_refuse_the_greedy_each_by_itself():
    assert {found.outcome for found in footprint().values()} == {PASS}
    load = np.random.default_rng(0).gamma(500, 2e-3, (10, 2)) * [1, 3]
    greedy = {"load": load, "file": (1e8, 4e8), "memory": (1e9, 2e9), "training": (99.0, 400.0)}
    for name, value in greedy.items():
        found = footprint(**{"size" if name == "file" else name: value})
        assert [one for one, finding in found.items() if finding.outcome is FAIL] == [f"resources: {name}"]


def test_what_is_always_fine_passes_whatever_the_champions_and_what_is_not_known_does_not():
    found = footprint(size=(1e3, 4e6), memory=(math.nan, 4e8), training=(math.nan, 100.0))
    assert [finding.outcome for finding in found.values()] == [PASS, PASS, PASS, UNKNOWN]
    assert "the champion's is not known" in found["resources: training"].text
    assert footprint(memory=(1e9, math.nan))["resources: memory"].outcome is UNKNOWN
    assert footprint(load=np.full((4, 2), 1.0))["resources: load"].outcome is UNKNOWN


# What is measured comes back from JSON to the bit, and the gates say of it what they said before.

numbers = st.floats(allow_nan=True, allow_infinity=False)
shares = st.dictionaries(st.sampled_from(["size", "carrier", "hour"]), numbers)


@given(st.integers(0, 10**6), numbers, shares)
@settings(deadline=None, max_examples=40, database=None)
def test_what_was_measured_comes_back_to_the_bit(seed, number, alone):
    made = measured(seed, 100)
    pairs = np.random.default_rng(seed).random((3, 2))
    pairs[0, 0] = number
    answers = replace(made["answers"], candidate=((number,), *made["answers"].candidate[1:]))
    values = [
        *made.values(),
        answers,
        replace(made["audited"], alone=alone, takes=None),
        Timing(pairs, pairs[:0], 9),
        Footprint(pairs, (1.0, number), (number, 1.0), (0.1, number)),
    ]
    for value in values:
        kept = json.dumps(value.to_dict(), sort_keys=True, allow_nan=False)
        again = type(value).from_dict(json.loads(kept))
        assert json.dumps(again.to_dict(), sort_keys=True, allow_nan=False) == kept
    kept = Footprint.from_dict(json.loads(json.dumps(values[-1].to_dict())))
    np.testing.assert_array_equal(kept.load, pairs)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30, database=None)
def test_a_gate_says_the_same_of_what_was_kept(seed):
    made = measured(seed, 100)
    kept = {name: type(value).from_dict(json.loads(json.dumps(value.to_dict()))) for name, value in made.items()}
    for gate in (Golden(), Repeatable(), NoLeak(), NoServingSkew(), NothingShared(), Resources()):
        one, two = (gate.judge(Evidence(BINARY, "a", "b", **part)) for part in (made, kept))
        assert [found.to_dict() for found in one] == [found.to_dict() for found in two]


def test_measurements_that_do_not_line_up_are_refused():
    with pytest.raises(ValueError, match="two columns"):
        Timing(np.ones(3), np.ones((3, 2)), 3)
    with pytest.raises(ValueError, match="one answer or two"):
        replace(ANSWERS, candidate=((0.1, 0.2), (0.1, 0.2), (0.1, 0.2)))
    with pytest.raises(TypeError):
        Audited.from_dict({**AUDITED.to_dict(), "more": 1})


# One column alone.


def column_world(seed=0, n=4000):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(float)
    return rng, labels, labels.copy()


def alone(learnt, judged_, labels, truth, kind=BINARY):
    return explained_by_one_column((learnt, labels), (judged_, truth), kind.loss, kind.constant)


def test_a_copy_of_the_label_removes_nearly_all_and_noise_nothing():
    rng, labels, truth = column_world()
    assert alone(labels, truth, labels, truth) > 0.98
    assert -0.05 < alone(rng.normal(size=4000), rng.normal(size=4000), labels, truth) < 0.01
    words = np.where(labels > 0, "late", "fine").astype(object)
    assert alone(words, words, labels, truth) > 0.98
    hidden = np.where(labels > 0, np.nan, 1.0)
    assert alone(hidden, hidden, labels, truth) > 0.98, "what is missing tells, too"
    names = np.arange(4000).astype(str).astype(object)
    assert alone(names, names, labels, truth) <= 0, "a name of one unit each is learnt by nobody"


def test_of_a_number_of_minutes_its_copy_with_noise_removes_what_it_should():
    rng = np.random.default_rng(1)
    minutes = rng.normal(0, 30, 20_000)
    told = minutes + rng.normal(0, 30, 20_000)
    half = 10_000
    found = alone(told[:half], told[half:], minutes[:half], minutes[half:], REGRESSION)
    # The best prediction is half of what is told, its error has the spread of 30 times the root of a half.
    assert found == pytest.approx(1 - math.sqrt(0.5), abs=0.02)


def test_a_day_that_goes_otherwise_as_a_whole_makes_no_column_telling():
    rng, labels, _ = column_world()
    weekday = np.repeat([1.0, 2.0], 2000)
    later = (rng.random(900) < 0.8).astype(float)
    assert alone(weekday, np.full(900, 2.0), labels, later) <= 0


def test_no_rows_or_a_constant_that_loses_nothing_say_nothing():
    _, labels, _ = column_world()
    assert math.isnan(alone(labels, labels[:0], labels, labels[:0]))
    assert math.isnan(alone(labels[:0], labels, labels[:0], labels))
    same = np.full(100, 5.0)
    assert math.isnan(alone(same, same, same, same, REGRESSION))


@given(st.integers(0, 50), st.integers(1, 60), st.floats(0, 1))
@settings(deadline=None, database=None)
def test_the_binomial_upper_tail_is_what_scipy_says(found, of, share):
    found = min(found, of)
    assert binomial_upper_tail(found, of, share) == pytest.approx(oracle.binom.sf(found - 1, of, share), abs=1e-12)
