"""The laws that every gate obeys, the proof that the laws can fail, and what each gate says in words."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import BINARY, KINDS, REGRESSION, copy_of_champion, derived, nearer, shuffled, world, worlds

from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Paired, Stage
from pipeline.core.evidence.measurements import Answers, Footprint, Timing
from pipeline.core.gates import (
    BeatsBaseline,
    Better,
    Calibration,
    Churn,
    DecisionMix,
    EverySlice,
    Floor,
    Golden,
    Latency,
    NoLeak,
    NoServingSkew,
    NothingShared,
    NotWorse,
    Repeatable,
    Resources,
    RightToWrong,
    ScoreShift,
    SimplerPreferred,
    Sound,
    TopOfList,
    Value,
    run_gates,
)
from pipeline.core.gates.latency import TAIL
from pipeline.core.verdict import Finding, Outcome, joint

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


def missed(labels, decisions):
    """Acting costs 1 whatever comes, not acting on a label above its usual 5."""
    return np.where(decisions > 0, 1.0, np.where(labels > 0.5, 5.0, 0.0))


#: One of each gate. A new gate joins here, and the laws hold it to what every gate promises.
GATES = (
    NotWorse(0.005),
    Better(),
    BeatsBaseline(),
    EverySlice(0.05, at_least=20),
    Latency(1.25),
    Sound(),
    Churn(0.10, at_least=20),
    RightToWrong(0.05, at_least=20),
    ScoreShift(0.2, at_least=20),
    DecisionMix(0.05, at_least=20),
    Floor(0.6),
    Floor(0.55, of="accuracy"),
    Floor(0.7, of="auc"),
    Value(missed, margin=1.0),
    Value(lambda labels, said: 0.0 * labels - said.reshape(len(labels), -1).max(axis=1), of="prediction"),
    Calibration(0.1, at_least=20),
    SimplerPreferred(0.01),
    TopOfList(0.2, share=0.1, at_least=20),
    TopOfList(0.2, cases=7, at_least=20),
    Golden(),
    Repeatable(),
    NoLeak(),
    NoServingSkew(),
    NothingShared(),
    Resources(),
)
ABOUT_LOSS = (NotWorse(0.005), Better(), BeatsBaseline(), EverySlice(0.05, at_least=20), Floor(0.6))
#: They ask for more than being as good as the champion.
ASKS_FOR_MORE = (Better, BeatsBaseline, Floor, SimplerPreferred)
#: Those that hold the candidate against nobody: a champion that breaks what they ask is nothing to be as good as.
ABSOLUTE = (Golden, Repeatable, NoLeak, NoServingSkew, NothingShared)
every_gate = pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
laws = settings(max_examples=20, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def ask(gate, evidence):
    """The gate's answer to evidence whose paired units were changed: what follows from them is changed with them."""
    return gate.judge(derived(evidence))


def outcome(gate, evidence):
    return joint(ask(gate, evidence))


# Each law is a function, so that a lying gate can be shown to break it.


def law_a_twin_of_the_champion_is_never_refused_for_being_worse(gate, evidence):
    if isinstance(gate, ASKS_FOR_MORE):
        return
    same = copy_of_champion(evidence)
    if isinstance(gate, ABSOLUTE):
        return
    if isinstance(gate, Sound) and len(np.unique(same.holdout.candidate, axis=0)) == 1:
        return  # a champion that tells nothing apart is no model to be as good as
    assert outcome(gate, same) is not FAIL


def law_a_twin_of_the_champion_is_never_better(gate, evidence):
    if isinstance(gate, Better):
        assert outcome(gate, copy_of_champion(evidence)) is not PASS


def law_not_a_number_never_passes(gate, evidence, place):
    paired, holdout, timing = evidence.paired, evidence.holdout, evidence.timing

    def poisoned(values):
        values = values.copy()
        values.flat[place % values.size] = np.nan
        return values

    sick = replace(
        evidence,
        paired=replace(paired, candidate=poisoned(paired.candidate)),
        holdout=replace(holdout, candidate=poisoned(holdout.candidate)),
        timing=replace(timing, single=poisoned(timing.single), batch=poisoned(timing.batch)),
        simpler={name: replace(pair, candidate=poisoned(pair.candidate)) for name, pair in evidence.simpler.items()},
        footprint=Footprint(poisoned(evidence.footprint.load), *[(1.0, np.nan)] * 3),
        answers=replace(evidence.answers, candidate=poisoned_answers(evidence.answers, place)),
        audited=replace(evidence.audited, alone={**evidence.audited.alone, "size": np.nan}),
    )
    if isinstance(gate, WITHOUT_FLOATS):
        return  # they count; there is no number that could be none
    assert outcome(gate, sick) is not PASS


def poisoned_answers(answers, place):
    said = [list(one) for one in answers.candidate]
    chosen = said[place % len(said)]
    chosen[place % len(chosen)] = np.nan
    return tuple(map(tuple, said))


def law_nothing_never_passes(gate, evidence):
    paired, holdout, timing = evidence.paired, evidence.holdout, evidence.timing
    none, words = np.empty(0), np.empty(0, dtype=str)
    empty = replace(
        evidence,
        paired=Paired(np.empty(0, "datetime64[D]"), words, none, none, none, none, dict.fromkeys(paired.slices, words)),
        holdout=HoldoutDay(none, words, none, none, dict.fromkeys(holdout.slices, words), none),
        timing=Timing(timing.single[:0], timing.batch[:0], timing.rows),
        footprint=Footprint(timing.single[:0], *[(np.nan, np.nan)] * 3),
        repeated=replace(evidence.repeated, rows=0, again=0, anew=0),
        answers=Answers(evidence.answers.day, (), (), ()),
        audited=replace(evidence.audited, requests=0, lived=0, differs=(), leaks=(), alone={}, judged=0, takes=None),
        shared=replace(evidence.shared, units=0, keys=0, rows=0, labelled=0, usual=()),
    )
    assert outcome(gate, empty) is UNKNOWN
    assert outcome(gate, Evidence(evidence.kind, "a", "b")) is UNKNOWN
    if reads := getattr(gate, "reads", ""):
        assert outcome(gate, replace(evidence, **{reads: None})) is UNKNOWN
    elif gate.stage is Stage.REFIT:
        assert outcome(gate, replace(evidence, holdout=replace(holdout, resampled=None))) is UNKNOWN


def law_the_order_of_rows_changes_nothing(gate, evidence, seed):
    for one, two in zip(ask(gate, evidence), ask(gate, shuffled(evidence, seed)), strict=True):
        assert (one.name, one.outcome, one.about, one.counts) == (two.name, two.outcome, two.about, two.counts)
        for end in ("value", "low", "high"):
            before, after = getattr(one, end), getattr(two, end)
            assert before == after or before == pytest.approx(after, rel=1e-9, abs=1e-12)


def law_a_smaller_loss_is_never_judged_lower(gate, evidence):
    """The candidate moved half-way to the truth has, unit by unit, no greater loss."""
    if not isinstance(gate, ABOUT_LOSS_TYPES):
        return
    paired = evidence.paired
    better = replace(evidence, paired=replace(paired, candidate=nearer(evidence, paired.candidate)))
    before, after = ask(gate, evidence)[0], ask(gate, better)[0]
    if before.value is not None and after.value is not None:
        assert after.value <= before.value
    best = replace(evidence, paired=replace(paired, candidate=nearer(evidence, paired.champion)))
    if not isinstance(gate, BeatsBaseline | Floor):
        assert outcome(gate, best) is not FAIL


def law_a_finding_can_be_read_and_kept(gate, evidence):
    findings = ask(gate, evidence)
    assert any(finding.required for finding in findings)
    for finding in findings:
        assert Finding.from_dict(finding.to_dict()).to_dict() == finding.to_dict()
        assert 0 < len(str(finding)) < 600
        assert "nan" not in str(finding)


WITHOUT_FLOATS = (Repeatable, NoServingSkew, NothingShared)
ABOUT_LOSS_TYPES = tuple(type(gate) for gate in ABOUT_LOSS)


@every_gate
@given(worlds())
@laws
def test_a_twin_of_the_champion_is_never_refused_for_being_worse_and_never_better(gate, evidence):
    law_a_twin_of_the_champion_is_never_refused_for_being_worse(gate, evidence)
    law_a_twin_of_the_champion_is_never_better(gate, evidence)


@every_gate
@given(worlds(), st.integers(0, 10**6))
@laws
def test_not_a_number_never_passes(gate, evidence, place):
    law_not_a_number_never_passes(gate, evidence, place)


@every_gate
@given(worlds())
@laws
def test_nothing_never_passes(gate, evidence):
    law_nothing_never_passes(gate, evidence)


@every_gate
@given(worlds(), st.integers(0, 10**6))
@laws
def test_the_order_of_rows_changes_nothing(gate, evidence, seed):
    law_the_order_of_rows_changes_nothing(gate, evidence, seed)


@pytest.mark.parametrize("gate", ABOUT_LOSS, ids=lambda gate: gate.name)
@given(worlds())
@laws
def test_a_smaller_loss_is_never_judged_lower(gate, evidence):
    law_a_smaller_loss_is_never_judged_lower(gate, evidence)


@every_gate
@given(worlds())
@laws
def test_a_finding_can_be_read_and_kept(gate, evidence):
    law_a_finding_can_be_read_and_kept(gate, evidence)


@dataclass(frozen=True)
class Lying(Better):
    """Breaks every law: asks for proof of bad, looks at the first row, and has its signs crossed."""

    name: ClassVar[str] = "lying"

    def judge(self, evidence):
        if evidence.paired is None or not len(evidence.paired):
            return (Finding(self.name, PASS, "nothing speaks against it"),)
        difference = evidence.champion_loss.mean() - evidence.candidate_loss.mean()
        first = float(evidence.candidate_loss[0])
        return (Finding(self.name, FAIL if difference > 0 else PASS, "nan", first + difference),)


def test_a_lying_gate_breaks_every_law():
    gate, evidence = Lying(), world(1, skill=0.3)
    broken = (
        lambda: law_a_twin_of_the_champion_is_never_better(gate, evidence),
        lambda: law_not_a_number_never_passes(gate, evidence, 5),
        lambda: law_nothing_never_passes(gate, evidence),
        lambda: law_the_order_of_rows_changes_nothing(gate, evidence, 3),
        lambda: law_a_smaller_loss_is_never_judged_lower(gate, evidence),
        lambda: law_a_finding_can_be_read_and_kept(gate, evidence),
    )
    for law in broken:
        with pytest.raises(AssertionError):
            law()


def test_a_gate_that_refuses_equals_breaks_the_law_about_twins():
    @dataclass(frozen=True)
    class Harsh:
        name: ClassVar[str] = "harsh"

        def judge(self, evidence):
            return (Finding(self.name, FAIL, "not good enough"),)

    with pytest.raises(AssertionError):
        law_a_twin_of_the_champion_is_never_refused_for_being_worse(Harsh(), world(1))


def test_a_gate_without_an_answer_is_unknown():
    @dataclass(frozen=True)
    class Mute:
        name: ClassVar[str] = "mute"

        def judge(self, evidence):
            return (Finding("aside", PASS, "by the way", required=False),)

    findings = run_gates((Sound(), Mute()), world())
    assert [finding.name for finding in findings] == ["sound", "mute", "aside"]
    assert joint(findings) is UNKNOWN


@pytest.mark.parametrize("kind", KINDS, ids=["binary", "regression", "multiclass"])
def test_a_better_candidate_passes_every_gate_that_allows_it_to_change(kind):
    evidence = world(4, kind=kind, days=14, blocks=40, skill=0.3)
    roomy = (NotWorse(0.005), Better(), BeatsBaseline(0.01), EverySlice(0.05), Latency(1.25), Sound())
    roomy += (Golden(), Repeatable(), NoLeak(), NoServingSkew(), NothingShared(), Resources())
    stable = (Churn(0.3), RightToWrong(0.3), ScoreShift(0.5), DecisionMix(0.2), TopOfList(0.5, share=0.1))
    worth = (Floor(15.0), Value(missed, margin=3.0), Calibration(0.2), SimplerPreferred(0.0))
    findings = run_gates(roomy + stable + worth, evidence)
    assert joint(findings) is PASS, [str(f) for f in findings if f.required and f.outcome is not PASS]


@pytest.mark.parametrize("kind", [BINARY, REGRESSION], ids=["binary", "regression"])
def test_a_worse_candidate_is_refused(kind):
    evidence = world(4, kind=kind, days=14, blocks=40, skill=-0.5)
    # With skill below 0 it is the champion that is weakened; so let the two change places.
    paired = replace(evidence.paired, champion=evidence.paired.candidate, candidate=evidence.paired.champion)
    swapped = replace(
        evidence, paired=replace(paired, candidate=1 - paired.champion if kind is BINARY else -paired.champion)
    )
    assert outcome(NotWorse(0.005), swapped) is FAIL
    assert outcome(Better(), swapped) is FAIL
    assert outcome(BeatsBaseline(), swapped) is FAIL
    assert outcome(EverySlice(0.05), swapped) is FAIL


def test_the_error_allowed_is_split_among_the_candidates_judged_side_by_side():
    alone = NotWorse(0.005).judge(world(2, candidates=1, skill=0.1))[0]
    among = NotWorse(0.005).judge(world(2, candidates=5, skill=0.1))[0]
    assert alone.value == among.value
    assert alone.high < among.high
    assert "one-sided 95 %" in alone.text
    assert "one-sided 99 %" in among.text


def test_the_baseline_is_not_the_champion():
    evidence = world(4, days=14, blocks=40, skill=0.3)
    paired = evidence.paired
    strong_rule = replace(paired, baseline=(paired.candidate + paired.labels) / 2)
    stronger = replace(strong_rule, champion=(paired.candidate + 3 * paired.labels) / 4)
    assert outcome(BeatsBaseline(), replace(evidence, paired=stronger)) is FAIL
    strong_champion = replace(paired, champion=(paired.candidate + paired.labels) / 2)
    assert outcome(BeatsBaseline(), replace(evidence, paired=strong_champion)) is PASS


def test_who_does_not_beat_the_rule_is_stopped_only_while_the_champion_does():
    evidence = world(4, days=14, blocks=40, skill=0.3)
    paired = evidence.paired
    strong_rule = replace(evidence, paired=replace(paired, baseline=(paired.candidate + paired.labels) / 2))
    weak = replace(strong_rule, plain=replace(strong_rule.paired, champion=strong_rule.paired.baseline))
    asked, told = BeatsBaseline().judge(weak)
    assert (told.outcome, told.required) == (FAIL, False)
    assert (asked.outcome, asked.required) == (PASS, True)
    assert "asked of nobody while the champion does not" in asked.text
    assert outcome(BeatsBaseline(), weak) is PASS
    (strict,) = BeatsBaseline().judge(replace(weak, champion_is_recipe=False))
    assert (strict.outcome, strict.required) == (FAIL, True), "the rule itself serves"
    strong_champion = replace(weak.paired, champion=(3 * paired.labels + paired.candidate) / 4)
    assert BeatsBaseline().judge(replace(weak, paired=strong_champion))[0].outcome is FAIL
    assert BeatsBaseline().judge(replace(weak, paired=None))[0].outcome is FAIL, "of the champion nothing is known"


def test_the_sentence_names_what_was_found_and_allowed_and_on_how_much():
    finding = NotWorse(0.005).judge(world(4, days=14, blocks=40, skill=0.3))[0]
    assert str(finding) == (
        "not worse: PASS  loss 2.6 % lower (one-sided 95 %: at least 1.9 % lower; allowed: 0.5 % higher), "
        "14 days, 8,400 units in 560 blocks"
    )
    assert finding.counts == {"days": 14, "units": 8400, "blocks": 560}
    assert finding.value in finding.wanted


def test_too_few_days_are_unknown_with_the_days_still_needed():
    finding = NotWorse(0.005).judge(world(days=3))[0]
    assert str(finding) == "not worse: UNKNOWN  3 days of evidence, at least 5 are needed: 2 more"


def test_a_probability_above_one_is_not_a_perfect_prediction():
    evidence = world(4, days=14)
    paired = replace(evidence.paired, candidate=evidence.paired.labels * 2)
    assert outcome(NotWorse(0.005), replace(evidence, paired=paired)) is UNKNOWN


def slice_world(hurt, seed=0, n=6000):
    rng = np.random.default_rng(seed)
    carrier = np.array([f"C{number:02d}" for number in range(20)])[rng.integers(0, 20, n)]
    carrier[:30] = "new"
    labels = rng.normal(0, 10, n)
    champion = labels + rng.normal(0, 5, n)
    candidate = labels + rng.normal(0, 5, n) * np.where(carrier == "C07", 1 + hurt, 1)
    day = np.datetime64("2013-03-01") + rng.integers(0, 14, n)
    block = np.array([str(number) for number in rng.integers(0, 20, n)])
    return Evidence(
        REGRESSION, "a", "b", Paired(day, block, labels, champion, candidate, labels * 0, {"carrier": carrier})
    )


def test_a_slice_that_loses_is_found_and_named():
    summary, *slices = EverySlice(0.05).judge(slice_world(hurt=0.8))
    assert summary.outcome is FAIL
    assert "carrier=C07" in summary.text
    assert [finding.about for finding in slices if finding.outcome is FAIL] == ["carrier=C07"]
    assert not any(finding.required for finding in slices)


def test_slices_with_too_few_rows_are_counted_and_say_so():
    summary, *slices = EverySlice(0.05).judge(slice_world(hurt=0))
    assert summary.outcome is PASS
    assert summary.counts == {"slices": 20, "too_few": 1}
    assert "1 slice too few" in summary.text
    few = next(finding for finding in slices if finding.about == "carrier=new")
    assert few.outcome is UNKNOWN
    assert "too few, 30 units" in few.text


def test_a_wide_net_of_slices_rarely_rings_by_chance():
    rings = sum(outcome(EverySlice(0.0), slice_world(0, seed, n=3000)) is FAIL for seed in range(60))
    assert rings <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)


def test_slices_without_enough_rows_anywhere_are_unknown():
    summary = EverySlice(0.05, at_least=10_000).judge(slice_world(0))[0]
    assert summary.outcome is UNKNOWN
    bare = slice_world(0)
    assert outcome(EverySlice(0.05), replace(bare, paired=replace(bare.paired, slices={}))) is UNKNOWN


def test_a_slice_whose_champion_never_errs_cannot_be_judged_and_is_not_waved_through():
    evidence = slice_world(0)
    perfect = evidence.paired.slices["carrier"] == "C03"
    champion = np.where(perfect, evidence.paired.labels, evidence.paired.champion)
    summary = EverySlice(0.05).judge(replace(evidence, paired=replace(evidence.paired, champion=champion)))[0]
    assert summary.outcome is UNKNOWN
    assert "cannot judge carrier=C03" in summary.text


def timed(ratio, base=0.1, noise=0.02, pairs=TAIL, seed=0):
    rng = np.random.default_rng(seed)
    single = base * np.exp(noise * rng.normal(size=(pairs, 2))) * [1, ratio]
    return Evidence(BINARY, "a", "b", timing=Timing(single, single * 10, 1000))


def test_latency_passes_the_equal_refuses_the_slow_and_admits_when_noise_hides_it():
    assert outcome(Latency(1.25), timed(1.0)) is PASS
    assert outcome(Latency(1.25), timed(1.6)) is FAIL
    assert outcome(Latency(1.25), timed(1.25, noise=0.5)) is UNKNOWN
    assert "time more pairs" in Latency(1.25).judge(timed(1.25, noise=0.5))[0].text


def test_a_ratio_that_looks_fine_but_is_not_shown_to_be_is_unknown():
    for finding in Latency(1.25, p99_ratio=1.25).judge(timed(1.2, noise=0.5)):
        assert finding.value < 1.25 < finding.high or finding.low < 1.25 < finding.value
        assert finding.outcome is UNKNOWN


def test_what_is_fast_enough_for_anybody_passes_whatever_the_ratio():
    findings = Latency(1.25, always_fine_ms=20, batch_always_fine_ms=200).judge(timed(4.0, base=0.002))
    assert [finding.outcome for finding in findings] == [PASS] * 6
    assert "always fine: 20 ms" in findings[0].text
    assert outcome(Latency(1.25, always_fine_ms=0, batch_always_fine_ms=0), timed(4.0, base=0.002)) is FAIL


def test_a_few_pairs_are_not_enough_to_know_the_latency():
    assert outcome(Latency(1.25), timed(1.0, pairs=19)) is UNKNOWN


def test_one_in_a_hundred_is_unknown_of_few_requests_and_only_told_of_few_batches():
    found = {finding.name: finding for finding in Latency(1.25).judge(timed(1.0, pairs=TAIL - 1))}
    assert found["latency: one row p95"].outcome is PASS
    assert str(found["latency: one row p99"]).endswith("UNKNOWN  299 pairs timed, at least 300 are needed")
    assert found["latency: one row p99"].required
    batch = found["latency: 1,000 rows p99"]
    assert (batch.outcome, batch.required) == (UNKNOWN, False)
    assert "299 pairs are too few to judge one in a hundred by, so it is only told" in batch.text


def test_a_model_that_is_slow_once_in_fifty_requests_is_refused_by_its_tail_alone():
    evidence = timed(1.0)
    single = evidence.timing.single.copy()
    single[::40, 1] *= 5
    found = Latency(1.25).judge(replace(evidence, timing=replace(evidence.timing, single=single)))
    assert [finding.outcome for finding in found[:3]] == [PASS, PASS, FAIL]


def test_a_machine_that_is_slow_in_spells_does_not_refuse_an_equal_model():
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        slow = 1 + 4 * np.repeat(rng.random(10) < 0.2, 10)[:, None]
        single = 0.1 * np.exp(0.05 * rng.normal(size=(TAIL, 2))) * np.tile(slow, (3, 1))
        refused += outcome(Latency(1.25), Evidence(BINARY, "a", "b", timing=Timing(single, single, 10))) is FAIL
    assert refused == 0


def test_a_constant_or_invalid_model_is_not_sound():
    evidence = world()
    for bad, words in ((np.full(180, 0.2), "all 180 predictions are 0.2"), (np.full(180, 1.2), "180 of 180")):
        finding = Sound().judge(replace(evidence, holdout=replace(evidence.holdout, candidate=bad)))[0]
        assert finding.outcome is FAIL
        assert words in finding.text


def test_churn_counts_only_what_refitting_does_not_change_anyway():
    noisy = Churn(0.3).judge(world(3, blocks=40, refit=0.5))[0]
    assert noisy.outcome is PASS
    assert noisy.value < 0.1
    assert "refitting on a resample changes" in noisy.text
    moved = Churn(0.1).judge(moved_world())[0]
    assert moved.outcome is FAIL
    assert moved.value > 0.1


def moved_world():
    """The candidate says yes far more often, and so does its resampled refit."""
    evidence = world(3, blocks=40)
    holdout = evidence.holdout
    up = replace(
        holdout, candidate=np.clip(holdout.candidate + 0.3, 0, 1), resampled=np.clip(holdout.resampled + 0.3, 0, 1)
    )
    return replace(evidence, holdout=up)


def test_a_recipe_that_changes_wildly_from_fit_to_fit_buys_itself_no_room():
    evidence = world(3, blocks=60, per_block=40)
    shuffle = np.random.default_rng(0).permutation
    holdout = evidence.holdout
    wild = replace(holdout, candidate=shuffle(holdout.champion), resampled=shuffle(holdout.champion))
    for gate in (Churn(0.1), RightToWrong(0.05)):
        finding = ask(gate, replace(evidence, holdout=wild))[0]
        assert finding.outcome is FAIL, finding
    low, high = (np.clip(holdout.champion + by, 0, 1) for by in (-0.3, 0.3))
    jumpy = replace(holdout, candidate=low, resampled=high)
    assert outcome(ScoreShift(0.2), replace(evidence, holdout=jumpy)) is FAIL
    assert outcome(DecisionMix(0.05), replace(evidence, holdout=jumpy)) is FAIL


def test_a_slice_whose_mix_cannot_be_judged_is_not_passed_over():
    evidence = world(3, blocks=60, per_block=40)
    lone = np.where(evidence.holdout.blocks == evidence.holdout.blocks[0], "alone", "rest")
    split = replace(evidence, holdout=replace(evidence.holdout, slices={"kind": lone}))
    whole, summary, *_ = DecisionMix(0.5, at_least=20).judge(split)
    assert (whole.outcome, summary.outcome) == (PASS, UNKNOWN)
    assert "cannot judge kind=alone" in summary.text
    tiny = DecisionMix(0.5, at_least=len(lone)).judge(split)
    assert [finding.outcome for finding in tiny] == [PASS, UNKNOWN]
    assert len(DecisionMix(0.5).judge(replace(evidence, holdout=replace(evidence.holdout, slices={})))) == 1


def test_a_moved_model_is_seen_by_every_stability_gate():
    for gate in (Churn(0.05), RightToWrong(0.02), ScoreShift(0.2), DecisionMix(0.05)):
        assert outcome(gate, moved_world()) is FAIL, gate


def test_the_mix_of_decisions_is_judged_per_slice_too():
    evidence = world(3, days=1, blocks=60, per_block=40)
    holdout = evidence.holdout
    up = np.where(holdout.slices["carrier"] == "B6", 0.4, 0)
    hurt = replace(
        holdout, candidate=np.clip(holdout.candidate + up, 0, 1), resampled=np.clip(holdout.resampled + up, 0, 1)
    )
    whole, summary, *slices = DecisionMix(0.15).judge(replace(evidence, holdout=hurt))
    assert whole.outcome is PASS
    assert summary.outcome is FAIL
    assert [finding.about for finding in slices if finding.outcome is FAIL] == ["carrier=B6"]


def test_churn_that_looks_fine_but_is_not_shown_to_be_is_unknown():
    finding = Churn(0.1).judge(moved_world())[0]
    between = (finding.value + finding.high) / 2
    assert Churn(between).judge(moved_world())[0].outcome is UNKNOWN
    assert Churn(finding.high + 1e-9).judge(moved_world())[0].outcome is PASS


def test_right_to_wrong_counts_what_the_candidate_spoils_beyond_what_refitting_it_spoils():
    n = 200
    labels = np.ones(n)
    champion, candidate, resampled = np.full(n, 0.9), np.full(n, 0.9), np.full(n, 0.9)
    candidate[:30] = 0.1  # spoilt by the candidate
    champion[30:40] = 0.1  # mended by it
    resampled[40:50] = 0.1  # spoilt by refitting
    holdout = HoldoutDay(labels, np.arange(n).astype(str), champion, candidate, {}, resampled)
    finding = RightToWrong(0.05).judge(Evidence(BINARY, "a", "b", holdout=holdout))[0]
    assert finding.value == pytest.approx(0.15 - 0.05)
    assert "15 % went from right to wrong, 5 % from wrong to right; refitting on a resample spoils 5 %" in finding.text


def test_a_wide_net_of_slices_rarely_rings_by_chance_about_the_mix_either():
    rings = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        champion, candidate, resampled = rng.uniform(0.3, 0.7, (3, 3000))
        words = np.arange(3000).astype(str)
        holdout = HoldoutDay(
            champion, words, champion, candidate, {"carrier": rng.integers(0, 20, 3000).astype(str)}, resampled
        )
        rings += DecisionMix(0.01).judge(Evidence(BINARY, "a", "b", holdout=holdout))[1].outcome is FAIL
    assert rings <= 100 * 0.05 + 3 * np.sqrt(100 * 0.05 * 0.95)


def test_right_to_wrong_needs_labels():
    evidence = world(3, blocks=40)
    labels = np.where(np.arange(len(evidence.holdout)) < 50, evidence.holdout.labels, np.nan)
    finding = RightToWrong(0.05).judge(replace(evidence, holdout=replace(evidence.holdout, labels=labels)))[0]
    assert finding.outcome is UNKNOWN
    assert "50 labelled units" in finding.text


def test_a_few_units_prove_no_stability():
    few = world(days=6, blocks=6, per_block=10)
    for gate in (Churn(0.1), RightToWrong(0.1), ScoreShift(0.2), DecisionMix(0.1)):
        assert outcome(gate, few) is UNKNOWN


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: NotWorse(-0.01),
        lambda: NotWorse(float("nan")),
        lambda: NotWorse(1),
        lambda: NotWorse(0.01, confidence=1),
        lambda: NotWorse(0.01, at_least=1),
        lambda: BeatsBaseline(float("nan")),
        lambda: EverySlice(float("nan")),
        lambda: EverySlice(0.1, at_least=0),
        lambda: Latency(1.0),
        lambda: Latency(float("nan")),
        lambda: Latency(1.2, always_fine_ms=-1),
        lambda: Latency(1.2, at_least=2),
        lambda: Latency(1.2, p99_ratio=0.5),
        lambda: NoLeak(one_column=0),
        lambda: NoLeak(one_column=float("nan")),
        lambda: NoLeak(at_least=1),
        lambda: NothingShared(-0.1),
        lambda: NothingShared(days=1),
        lambda: Resources(load_ratio=1),
        lambda: Resources(memory_ratio=float("nan")),
        lambda: Resources(training_fine_s=-1),
        lambda: Resources(at_least=2),
        lambda: Resources(confidence=1),
        lambda: Churn(0),
        lambda: Churn(float("nan")),
        lambda: RightToWrong(-1),
        lambda: ScoreShift(float("inf")),
        lambda: DecisionMix(0.1, at_least=1),
    ],
)
def test_a_gate_refuses_nonsense_with_its_name(nonsense):
    with pytest.raises(ValueError, match="gate '"):
        nonsense()
