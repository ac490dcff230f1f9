"""Three outcomes, bounds that no missing number is in, and verdicts that can be read back and named."""

import itertools
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.records import Scored
from pipeline.core.verdict import Bound, Contestant, Finding, Outcome, Verdict, joint

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
fast = settings(max_examples=60, deadline=None, database=None)

numbers = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
findings = st.builds(
    Finding,
    name=st.text(min_size=1, max_size=8),
    outcome=st.sampled_from(list(Outcome)),
    text=st.text(max_size=20),
    value=numbers,
    wanted=st.one_of(st.none(), st.builds(Bound, low=st.floats(-5, 0), high=st.floats(0, 5)), st.just(Bound(high=1))),
    low=numbers,
    high=numbers,
    counts=st.dictionaries(st.text(max_size=5), st.integers(0, 10**9), max_size=3),
    about=st.text(max_size=5),
    required=st.booleans(),
)


def verdict(**fields):
    side = Contestant("digest", "boosting", "2013-03-07", 12)
    base = Verdict(
        usecase="flight_delay",
        day="2013-03-08",
        decision="promote",
        outcome=PASS,
        reason="better",
        champion=side,
        epoch=3,
        challenger=Contestant("other", "linear", "2013-03-07"),
        findings={"linear": (Finding("better", PASS, "loss lower", -0.02, Bound(high=0), -0.03, -0.01),)},
        losses={"champion": 0.41, "linear": 0.40},
        loss_name="log_loss",
        counts={"units": 900},
        snapshot={"flights": 7},
        evidence=9,
        fits={"linear": {"rows": 10_000}},
    )
    return replace(base, **fields)


@pytest.mark.parametrize("outcomes", list(itertools.product(Outcome, repeat=3)))
def test_any_fail_is_a_fail_and_only_all_passed_is_passed(outcomes):
    wanted = FAIL if FAIL in outcomes else UNKNOWN if UNKNOWN in outcomes else PASS
    assert Outcome.of(outcomes) is wanted


def test_no_answer_is_unknown():
    assert Outcome.of([]) is UNKNOWN
    assert joint([]) is UNKNOWN
    assert joint([Finding("note", PASS, "aside", required=False)]) is UNKNOWN


def test_what_only_informs_does_not_decide():
    aside = Finding("note", FAIL, "aside", required=False)
    assert joint([Finding("better", PASS, "yes"), aside]) is PASS


def test_a_missing_number_is_in_no_bound():
    missing = math.nan
    for bound in (Bound(), Bound(0, 1), Bound(low=0), Bound(high=0)):
        assert missing not in bound


def test_a_bound_holds_its_ends():
    assert 0 in Bound(0, 1)
    assert 1 in Bound(0, 1)
    assert -1e-9 not in Bound(0, 1)
    assert [str(b) for b in (Bound(high=2), Bound(low=1), Bound(1, 2))] == ["at most 2", "at least 1", "1 to 2"]


@pytest.mark.parametrize("ends", [(1, 0), (math.nan, 1), (0, math.nan)])
def test_a_bound_with_no_inside_is_refused(ends):
    with pytest.raises(ValueError, match="low <= high"):
        Bound(*ends)


def test_a_finding_prints_as_the_line_people_read():
    assert str(Finding("not worse", PASS, "loss 0.7 % lower")) == "not worse: PASS  loss 0.7 % lower"


@given(findings)
@fast
def test_a_finding_survives_json(finding):
    assert Finding.from_dict(json.loads(json.dumps(finding.to_dict()))) == finding


def test_a_number_that_json_cannot_hold_becomes_none():
    kept = Finding("x", UNKNOWN, "y", math.nan, Bound(), -math.inf, math.inf).to_dict()
    assert (kept["value"], kept["low"], kept["high"], kept["wanted"]) == (None, None, None, [None, None])


@given(st.dictionaries(st.text(max_size=5), st.tuples(findings, findings), max_size=3))
@fast
def test_a_verdict_survives_json_and_keeps_its_digest(found):
    before = verdict(findings=found)
    after = Verdict.from_dict(json.loads(before.to_json()))
    assert after == before
    assert after.digest == before.digest


def test_a_verdict_without_contestants_survives_json():
    empty = verdict(champion=None, challenger=None, findings={}, epoch=0, losses={"champion": math.nan})
    after = Verdict.from_dict(json.loads(empty.to_json()))
    assert (after.champion, after.challenger) == (None, None)
    assert math.isnan(after.losses["champion"])
    assert after.digest == empty.digest


def test_the_digest_does_not_depend_on_the_order_of_keys_but_on_everything_else():
    one = verdict()
    assert one.digest == verdict(losses={"linear": 0.40, "champion": 0.41}).digest
    changed = [
        verdict(day="2013-03-09"),
        verdict(epoch=4),
        verdict(evidence=10),
        verdict(challenger=None),
        verdict(losses={"champion": 0.41, "linear": 0.4000001}),
        verdict(findings={"linear": (Finding("better", FAIL, "loss lower"),)}),
        verdict(snapshot={"flights": 8}),
    ]
    assert len({one.digest, *(v.digest for v in changed)}) == len(changed) + 1


def test_a_field_with_a_better_name_keeps_the_key_under_which_it_was_always_kept():
    kept = verdict(block_losses_version=7).to_dict()
    assert kept["sums"] == 7
    assert "block_losses_version" not in kept
    assert Verdict.from_dict(kept).block_losses_version == 7
    del kept["sums"]  # as before there were such sums
    assert Verdict.from_dict(kept).block_losses_version == -1
    scored = Scored({}, ledger=1, block_losses_version=2, epoch=3)
    assert list(scored.to_dict().items()) == [
        ("trained", {}),
        ("ledger", 1),
        ("sums", 2),
        ("epoch", 3),
        ("unable", ""),
        ("repairs", []),
    ]
    assert Scored.from_dict(scored.to_dict()) == scored
    with pytest.raises(ValueError, match="wants the fields"):
        Scored.from_dict({"trained": {}, "ledger": 1, "block_losses_version": 2, "epoch": 3})
