"""Waivers let a gate's answer pass until a day, and nothing else; what would change an answer follows its numbers."""

import dataclasses
import math
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.gates import Better, Churn, Latency, Sound, question, run_gates
from pipeline.core.gates.what_would_change import what_would_change
from pipeline.core.verdict import Bound, Finding, Outcome, joint
from pipeline.core.waivers import Waiver, apply_waivers
from tests import small
from tests.core.gates import test_gates as asked
from tests.core.worlds import worlds

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
UNTIL = date(2020, 1, 31)
SLOW = Waiver("latency", "ann", "the new servers come in February", UNTIL)


@given(
    outcome=st.sampled_from(list(Outcome)),
    gate=st.sampled_from(["latency", "churn", "sound"]),
    recipe=st.sampled_from(["", "linear", "forest"]),
    ahead=st.integers(-40, 40),
)
def test_a_waiver_covers_its_gate_its_recipe_and_its_days_and_nothing_else(outcome, gate, recipe, ahead):
    finding = Finding("latency: batch", outcome, "slow", 2.0, Bound(high=1.5), gate=gate)
    waiver = dataclasses.replace(SLOW, recipe=recipe)
    (found,) = apply_waivers([finding], [waiver], UNTIL + timedelta(ahead), "linear")
    covered = outcome is not PASS and gate == "latency" and recipe in ("", "linear") and ahead <= 0
    assert bool(found.waived) == covered
    assert found.required != covered
    assert found.outcome is outcome
    if outcome is not PASS and not covered:
        assert joint([found]) is outcome
    if covered:
        assert "ann" in str(found)
        assert str(UNTIL) in str(found)
        assert found.listed


def test_a_waiver_that_expired_says_so():
    finding = Finding("latency", FAIL, "slow", 2.0, Bound(high=1.5), gate="latency", change="it must fall")
    (found,) = apply_waivers([finding], [SLOW], UNTIL + timedelta(1), "linear")
    assert found.change == f"it must fall; its waiver by ann expired on {UNTIL}"
    assert found.required


def test_waiving_everything_is_no_pass():
    finding = Finding("latency", FAIL, "slow", gate="latency")
    assert joint(apply_waivers([finding], [SLOW], UNTIL, "linear")) is UNKNOWN


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"by": ""}, "'by'"),
        ({"why": " "}, "'why'"),
        ({"gate": ""}, "'gate'"),
        ({"until": None}, "must expire"),
        ({"until": "2020-01-31"}, "must expire"),
        ({"until": datetime(2020, 1, 31)}, "must expire"),
    ],
)
def test_a_waiver_without_owner_reason_or_end_is_refused(changed, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(SLOW, **changed)


@pytest.mark.parametrize(
    ("waiver", "says"),
    [
        (dataclasses.replace(SLOW, gate="better"), "nobody can waive"),
        (dataclasses.replace(SLOW, gate="sound"), "nobody can waive"),
        (dataclasses.replace(SLOW, gate="churn"), "which it does not ask"),
        (dataclasses.replace(SLOW, recipe="nobody"), "which it does not have"),
    ],
)
def test_a_declaration_that_waives_what_it_can_not_is_refused_at_import(waiver, says):
    gates = (Sound(), Better(), Latency(1.5))
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(small.SMALL, gates=gates, waivers=(waiver,))
    assert dataclasses.replace(small.SMALL, gates=gates, waivers=(SLOW,)).waivers == (SLOW,)


def test_where_better_is_not_asked_nobody_waives_what_decides_instead():
    from pipeline.core.gates import NotWorse

    waiver = dataclasses.replace(SLOW, gate="not worse")
    with pytest.raises(ValueError, match="nobody can waive"):
        dataclasses.replace(small.SMALL, gates=(Sound(), NotWorse(0.01)), waivers=(waiver,))
    assert dataclasses.replace(small.SMALL, gates=(Sound(), Better(), NotWorse(0.01)), waivers=(waiver,))


@given(worlds())
@settings(max_examples=20, deadline=None, database=None)
def test_every_answer_but_pass_says_what_would_change_it_and_names_its_gate(evidence):
    for finding in run_gates(asked.GATES, evidence):
        assert finding.gate
        assert bool(finding.change) == (finding.outcome is not PASS), finding


@given(
    st.sampled_from([FAIL, UNKNOWN]),
    *[st.one_of(st.none(), st.floats()) for _ in range(3)],
    st.one_of(st.none(), st.floats(allow_nan=False)),
    st.dictionaries(st.sampled_from(["days", "units", "pairs"]), st.integers(0, 10**6)),
)
def test_what_would_change_it_can_always_be_said(outcome, value, low, high, limit, counts):
    wanted = None if limit is None else Bound(high=limit)
    text = what_would_change(Finding("x", outcome, "", value, wanted, low, high, counts))
    assert text
    assert "nan" not in text


def test_an_interval_as_wide_as_numbers_go_is_answered_too():
    finding = Finding("x", FAIL, "", -1.0, Bound(high=1e-300), None, 1.4e154, {"days": 10})
    assert what_would_change(finding) == "it lies too near the limit for more evidence like this to settle it soon"


def test_four_times_the_days_halve_an_interval():
    finding = Finding("x", UNKNOWN, "", 0.0, Bound(high=0.1), -0.2, 0.2, {"days": 10, "units": 900})
    assert what_would_change(finding) == "about 30 more days like these would settle it"
    assert what_would_change(finding, 14) == "more days than the window of 14 would be needed to settle it"
    timed = dataclasses.replace(finding, counts={"pairs": 10})
    assert what_would_change(timed) == "about 30 more timed pairs like these would settle it"


def test_how_far_a_value_is_from_its_limit_is_said():
    finding = Finding("x", FAIL, "", 1.8, Bound(high=1.5), 1.6, 2.0)
    assert what_would_change(finding) == "it must fall by 0.3 to 1.5"
    assert what_would_change(dataclasses.replace(finding, wanted=Bound(low=2.0))) == "it must rise by 0.2 to 2"
    assert "would not do" in what_would_change(dataclasses.replace(finding, outcome=UNKNOWN))
    assert what_would_change(dataclasses.replace(finding, outcome=PASS)) == ""
    assert what_would_change(dataclasses.replace(finding, value=3.0, wanted=Bound(0, 0))) == "none of the 3 may be left"
    assert what_would_change(dataclasses.replace(finding, value=math.nan)) == "only a candidate that keeps to it"


def test_each_gate_has_a_question():
    assert question(Churn(0.1)).endswith("?")
    assert "0.1 of the decisions" in question(Churn(0.1))

    @dataclasses.dataclass(frozen=True)
    class Silent:
        name: str = "silent"

    assert question(Silent()) == "silent"
