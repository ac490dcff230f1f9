"""Where a gate's answer turns: equal, just enough, too few, on both sides of the limit at once."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as oracle
from worlds import BINARY, REGRESSION, copy_of_champion, world

from pipeline.core.evidence.candidate import NO_SLICE, Evidence, HoldoutDay, Paired
from pipeline.core.evidence.measurements import Timing
from pipeline.core.gates import BeatsBaseline, DecisionMix, EverySlice, Latency, NotWorse, RightToWrong, ScoreShift
from pipeline.core.stats import quantile_ratio
from pipeline.core.verdict import Outcome

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


def paired(champion, candidate, days, carrier=()):
    """Absolute errors as given: every label is 0. Each unit is a block of its own."""
    n = len(champion)
    when = np.datetime64("2013-03-01") + days
    slices = {"carrier": np.asarray(carrier)} if len(carrier) else {}
    units = Paired(when, np.arange(n).astype(str), np.zeros(n), champion, candidate, np.full(n, 99.0), slices)
    return Evidence(REGRESSION, "a", "b", paired=units)


def test_who_is_no_different_from_the_plain_rule_is_shown_not_to_beat_it():
    resampled = copy_of_champion(world(1))
    idle = replace(resampled, plain=replace(resampled.paired, slices={}))
    assert BeatsBaseline().judge(idle)[0].outcome is FAIL


def test_who_looks_worse_is_not_told_that_more_days_would_show_it_to_be_as_good():
    days = np.repeat(np.arange(8), 10)
    champion = np.full(80, 10.0)
    finding = NotWorse(0.0).judge(paired(champion, champion + np.where(days % 2, -2.0, 3.0), days))[0]
    assert finding.outcome is UNKNOWN
    assert finding.low < 0 < finding.value
    assert finding.change == "more days like these would not show it to be good enough"


def test_a_slice_with_many_units_on_too_few_days_is_too_few_and_stops_nobody():
    rng = np.random.default_rng(0)
    days = np.concatenate([np.repeat(np.arange(10), 40), np.repeat(np.arange(4), 50)])
    champion, candidate = rng.gamma(20, 0.5, (2, 600))
    carrier = np.where(np.arange(600) < 400, "old", "new")
    summary, old, new = EverySlice(0.5).judge(paired(champion, candidate, days, carrier))
    assert summary.outcome is PASS
    assert summary.counts == {"slices": 1, "too_few": 1}
    assert old.about == "carrier=old"
    assert "one-sided 95 %" in old.text, "a slice that is not judged takes no part of the error allowed"
    assert new.text == "carrier=new: too few, 200 units on 4 days"


def holdout(champion, candidate, resampled, blocks, slices=None):
    return HoldoutDay(
        np.ones(len(champion)), np.asarray(blocks).astype(str), champion, candidate, slices or {}, resampled
    )


def test_the_mix_of_a_slice_with_few_units_is_not_judged_however_far_it_moved():
    carrier = np.repeat(["AA", "UA", "new"], [300, 300, 40])
    before, after = np.full(640, 0.9), np.where(carrier == "new", 0.1, 0.9)
    seen = holdout(before, after, after, np.arange(640), {"carrier": carrier})
    _, summary, *slices = DecisionMix(0.15).judge(Evidence(BINARY, "a", "b", holdout=seen))
    assert [finding.about for finding in slices] == ["carrier=AA", "carrier=UA"]
    assert summary.outcome is PASS
    assert summary.counts == {"slices": 2}


def test_refitting_spoils_what_the_candidate_gets_right_whatever_the_champion_made_of_it():
    champion, candidate, resampled = np.full((3, 200), 0.9)
    candidate[:30] = 0.1  # spoilt by the candidate
    champion[30:40] = 0.1  # mended by it ...
    resampled[30:50] = 0.1  # ... and spoilt by refitting, with ten that the champion had right
    seen = holdout(champion, candidate, resampled, np.arange(200))
    finding = RightToWrong(0.5).judge(Evidence(BINARY, "a", "b", holdout=seen))[0]
    assert finding.value == pytest.approx(30 / 200 - 20 / 200)


def test_the_interval_of_the_shift_of_scores_is_the_jackknife_done_by_hand():
    rng = np.random.default_rng(4)
    block = rng.integers(0, 8, 400)
    champion = rng.normal(0, 1, 400)
    candidate = champion + rng.normal(1, 0.5, 8)[block]
    # The resampled refit is the candidate, so that the excess is the shift itself.
    seen = holdout(champion, candidate, candidate, block)
    finding = ScoreShift(0.5).judge(Evidence(REGRESSION, "a", "b", holdout=seen))[0]
    spread = np.sqrt((champion.var() + candidate.var()) / 2)
    left = [oracle.wasserstein_distance(champion[block != b], candidate[block != b]) / spread for b in range(8)]
    whole = oracle.wasserstein_distance(champion, candidate) / spread
    half = np.sqrt(7 / 8 * np.sum((np.array(left) - whole) ** 2)) * oracle.t.ppf(0.95, 7)
    assert (finding.value, finding.low, finding.high) == pytest.approx((whole, whole - half, whole + half))


def test_slow_timings_prove_less_where_they_come_in_spells():
    rng = np.random.default_rng(3)
    slow = np.exp(0.5 * np.repeat(rng.normal(size=12), 18))
    seconds = rng.gamma(50, 1e-4, (216, 2)) * np.column_stack([np.ones(216), slow])
    in_spells, mixed = quantile_ratio(seconds, 0.5), quantile_ratio(rng.permutation(seconds), 0.5)
    for spells, apart in zip(in_spells, mixed, strict=True):
        assert spells.estimate == apart.estimate
        assert spells.high - spells.low > 1.5 * (apart.high - apart.low)


def test_a_slow_candidate_that_may_be_fast_enough_for_anybody_is_unknown():
    rng = np.random.default_rng(0)
    seconds = 0.01 * np.exp(0.2 * rng.normal(size=(100, 2))) * [1, 2]
    timed = Evidence(BINARY, "a", "b", timing=Timing(seconds, seconds, 10))
    about_its_own_time = 1000 * float(np.median(seconds[:, 1]))
    finding = Latency(1.25, always_fine_ms=about_its_own_time).judge(timed)[0]
    assert finding.low > 1.25
    assert finding.outcome is UNKNOWN
    assert Latency(1.25, always_fine_ms=about_its_own_time / 2).judge(timed)[0].outcome is FAIL


def test_units_in_no_slice_of_a_column_are_not_judged_as_one_and_take_no_part_of_the_error_allowed():
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(10), 60)
    champion, candidate = rng.gamma(20, 0.5, (2, 600))
    new = np.where(np.arange(600) % 3 == 0, "yes", NO_SLICE)
    summary, *each = EverySlice(0.5).judge(paired(champion, candidate, days, new))
    assert [finding.about for finding in each] == ["carrier=yes"]
    assert summary.counts == {"slices": 1, "too_few": 0}
    assert "one-sided 95 %" in summary.text
