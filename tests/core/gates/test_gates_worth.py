"""Gates on what a candidate is worth, whether it means what it says, and whether something simpler would do."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import BINARY, MULTICLASS, REGRESSION, world

from pipeline.core.evidence.candidate import Evidence, Paired
from pipeline.core.gates import Calibration, Floor, ScoreShift, SimplerPreferred, TopOfList, Value
from pipeline.core.verdict import Outcome

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


def delays(labels, decisions):
    """A missed delay costs 5, a false alarm 1."""
    return np.where((labels > 0) & (decisions == 0), 5.0, np.where((labels == 0) & (decisions == 1), 1.0, 0.0))


def as_champion(evidence):
    """The candidate says what the champion says."""
    return replace(evidence, paired=replace(evidence.paired, candidate=evidence.paired.champion))


# A floor ------------------------------------------------------------------------------------------------------------


def test_a_floor_asks_nothing_of_the_champion():
    evidence = world(4, days=14, blocks=40)
    value = Floor(9.0).judge(evidence)[0].value
    assert value == pytest.approx(evidence.candidate_loss.mean())
    bad = np.full(len(evidence.paired), 0.999)
    assert Floor(9.0).judge(replace(evidence, paired=replace(evidence.paired, champion=bad)))[0].value == value


@pytest.mark.parametrize("of", ["loss", "accuracy", "auc", "average_precision"])
def test_a_floor_passes_what_is_shown_refuses_what_is_shown_not_and_knows_which_way_is_better(of):
    evidence = world(4, days=14, blocks=40)
    found = Floor(0.5, of=of).judge(evidence)[0]
    better, worse = (found.low, found.high) if of == "loss" else (found.high, found.low)
    step = 1e-6 if of == "loss" else -1e-6
    assert Floor(worse + step, of=of).judge(evidence)[0].outcome is PASS
    assert Floor(worse - step, of=of).judge(evidence)[0].outcome is UNKNOWN
    assert Floor(better + step, of=of).judge(evidence)[0].outcome is UNKNOWN
    assert Floor(better - step, of=of).judge(evidence)[0].outcome is FAIL


def test_the_sentence_of_a_floor():
    finding = Floor(0.6, of="auc").judge(world(4, days=14, blocks=40))[0]
    assert str(finding) == (
        "auc floor: PASS  auc 0.781 (one-sided 95 %: at least 0.77; wanted: at least 0.6), 14 days, 8,400 units in "
        "560 blocks"
    )
    refused = Floor(0.1).judge(world(4, days=14, blocks=40))[0]
    assert refused.outcome is FAIL
    assert "at least 0.5" in refused.text


def test_a_measure_that_the_kind_does_not_have_is_unknown_and_told_at_the_declaration():
    gate = Floor(0.6, of="auc")
    assert "has no measure 'auc'; it has loss, mae, accuracy" in gate.unfit(REGRESSION)
    assert gate.judge(world(kind=REGRESSION))[0].outcome is UNKNOWN
    assert gate.unfit(BINARY) == ""


def test_a_floor_is_passed_by_chance_in_at_most_its_share_of_looks():
    """The true loss lies on the floor: half of the looks are on its good side, few are shown to be."""
    truth = np.mean([world(seed, days=30, blocks=12).candidate_loss.mean() for seed in range(1000, 1030)])
    looks = [Floor(truth).judge(world(seed, days=6, blocks=6, per_block=10))[0].outcome for seed in range(300)]
    assert looks.count(PASS) <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


# Money --------------------------------------------------------------------------------------------------------------


def warned(saved, seed=0, days=14, n=4000):
    """Every late flight is missed by the champion; the candidate warns of a share ``saved`` of them."""
    rng = np.random.default_rng(seed)
    day = np.datetime64("2013-03-01") + rng.integers(0, days, n)
    labels = (rng.random(n) < 0.3).astype(float)
    champion = np.full(n, 0.2)
    candidate = np.where((labels > 0) & (rng.random(n) < saved), 0.8, 0.2)
    block = rng.integers(0, 20, n).astype(str)
    return Evidence(BINARY, "a", "b", Paired(day, block, labels, champion, candidate, champion, {}))


def test_the_money_is_that_of_the_function_per_100_units():
    evidence = warned(0.1)
    finding = Value(delays, margin=1.0, money="USD").judge(evidence)[0]
    paired = evidence.paired
    caught = ((paired.labels > 0) & (paired.candidate > 0.5)).mean()
    assert finding.value == pytest.approx(-500 * caught)
    assert finding.outcome is PASS
    assert (
        f"costs {500 * caught:.3g} USD less per 100 units than the champion (one-sided 95 %: at least" in finding.text
    )
    assert "allowed: 1 USD more" in finding.text


def test_money_that_must_be_saved_is_a_margin_below_nothing():
    evidence = warned(0.1)
    shown = -Value(delays).judge(evidence)[0].high
    assert shown > 0
    assert Value(delays, margin=-0.99 * shown).judge(evidence)[0].outcome is PASS
    assert Value(delays, margin=-1.01 * shown).judge(evidence)[0].outcome is UNKNOWN
    refused = Value(delays, margin=-100.0).judge(evidence)[0]
    assert refused.outcome is FAIL
    assert "wanted: 100 less" in refused.text


def test_a_model_of_lower_loss_can_cost_more():
    """Sharper in the middle, where nobody acts, and blind where it is dear."""
    evidence = warned(0.3)
    paired = evidence.paired
    turned = replace(evidence, paired=replace(paired, champion=paired.candidate, candidate=paired.labels * 0.29 + 0.1))
    assert turned.candidate_loss.mean() < turned.champion_loss.mean()
    finding = Value(delays, margin=1.0).judge(turned)[0]
    assert finding.outcome is FAIL
    assert "more per 100 units" in finding.text


def test_an_equal_candidate_is_shown_to_save_in_at_most_its_share_of_looks():
    rings = 0
    for seed in range(300):
        evidence = world(seed, days=6, blocks=6, per_block=10, refit=0.3)
        rings += Value(delays, margin=0.0).judge(evidence)[0].high < 0
    assert rings <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


def test_the_error_of_money_is_split_among_the_candidates():
    alone, among = (Value(delays).judge(world(2, candidates=n, skill=0.1))[0] for n in (1, 5))
    assert alone.value == among.value
    assert alone.high < among.high


def test_a_cost_of_the_wrong_shape_or_without_a_number_is_unknown():
    evidence = warned(0.1)
    assert "shape ()" in Value(lambda labels, said: 3.0).judge(evidence)[0].text
    assert Value(lambda labels, said: labels * np.nan).judge(evidence)[0].outcome is UNKNOWN
    resampled = Value(delays).judge(as_champion(evidence))[0]
    assert resampled.outcome is PASS
    assert "costs nothing more per 100 units" in resampled.text


# Calibration --------------------------------------------------------------------------------------------------------


def said_world(seed=0, *, tilt=1.0, lift=0.0, champion=(1.0, 0.0), shock=0.2, days=14, n=5600, kind=BINARY):
    """Labels by their true log-odds plus the day's shock; predictions off by a slope and a lift of the log-odds."""
    rng = np.random.default_rng(seed)
    day = rng.integers(0, days, n)
    odds = rng.normal(-0.5, 1.2, n)
    shift = shock * rng.normal(0, 1, days)[day]

    def said(slope, up):
        return 1 / (1 + np.exp(-(slope * odds + up)))

    labels = (rng.random(n) < 1 / (1 + np.exp(-(odds + shift)))).astype(float)
    if kind is REGRESSION:
        labels = 20 * odds + 20 * shift + rng.normal(0, 10, n)
        sides = [20 * (slope * odds + up) for slope, up in (champion, (tilt, lift))]
    else:
        sides = [said(*champion), said(tilt, lift)]
    if kind is MULTICLASS:
        labels, sides = 2 * labels, [np.stack([1 - p, 0 * p, p], axis=1) for p in sides]
    when = np.datetime64("2013-03-01") + day
    return Evidence(kind, "a", "b", Paired(when, rng.integers(0, 20, n).astype(str), labels, *sides, sides[0], {}))


@pytest.mark.parametrize("kind", [BINARY, REGRESSION, MULTICLASS], ids=["binary", "regression", "multiclass"])
def test_predictions_that_mean_what_they_say_pass_and_lifted_ones_do_not(kind):
    assert Calibration(0.15).judge(said_world(kind=kind))[0].outcome is PASS
    lifted = Calibration(0.05).judge(said_world(kind=kind, lift=2.0))[0]
    assert lifted.outcome is FAIL
    assert lifted.value > 0.05


def test_too_sure_a_model_is_seen_though_it_is_right_on_average():
    evidence = said_world(tilt=4.0, shock=0.05)
    paired = evidence.paired
    assert abs((paired.labels - paired.candidate).mean()) < 0.05
    assert Calibration(0.05).judge(evidence)[0].outcome is FAIL
    assert Calibration(0.05, groups=1).judge(evidence)[0].outcome is not FAIL


def test_whoever_is_as_far_off_as_the_champion_is_not_refused_for_it():
    """The world moved, and every model says too little: the champion's own fault stops nobody."""
    moved = said_world(lift=-2.0, champion=(1.0, -2.0))
    assert Calibration(0.02).judge(as_champion(moved))[0].outcome is PASS
    nearer = Calibration(0.02).judge(said_world(lift=-1.0, champion=(1.0, -2.0)))[0]
    assert nearer.outcome is PASS
    assert "shown to be no farther off than the champion" in nearer.text
    assert Calibration(0.02).judge(said_world(lift=-2.0, champion=(1.0, -1.0)))[0].outcome is FAIL
    # As far to the other side is no farther.
    assert Calibration(0.02).judge(said_world(lift=1.0, champion=(1.0, -2.0)))[0].outcome is not FAIL


def test_calibration_on_the_limit_is_passed_by_chance_in_at_most_its_share_of_looks():
    """In the group that is farthest off, the truth lies on the limit, and the champion is nearer."""
    truth = []
    for seed in range(1000, 1040):
        paired = said_world(seed, lift=0.8, days=40, n=20_000, shock=0.3).paired
        place = np.argsort(np.argsort(paired.candidate)) * 3 // len(paired)
        truth.append([(paired.candidate - paired.labels)[place == group].mean() for group in range(3)])
    limit = np.mean(truth, axis=0).max()
    looks = [Calibration(limit).judge(said_world(seed, lift=0.8, n=2000, shock=0.3))[0].outcome for seed in range(300)]
    most = 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)
    assert looks.count(PASS) <= most
    assert looks.count(FAIL) <= most


def test_the_sentence_of_calibration():
    finding = Calibration(0.15).judge(said_world())[0]
    assert finding.text.startswith("share of 'late', predictions from ")
    assert "said " in finding.text
    assert "came true " in finding.text
    assert "allowed: 15 % either way, or as far off as the champion" in finding.text
    assert finding.counts["groups"] == 3
    few = Calibration(0.15).judge(said_world(n=90))[0]
    assert few.text == "90 units of evidence, at least 100 are needed"


def test_a_plain_rule_that_says_one_thing_can_be_compared_with():
    evidence = said_world(lift=-2.0)
    rule = replace(evidence, paired=replace(evidence.paired, champion=np.full(len(evidence.paired), 0.9)))
    assert Calibration(0.02).judge(rule)[0].outcome in (PASS, UNKNOWN, FAIL)


# Simpler recipes ----------------------------------------------------------------------------------------------------


def test_without_a_simpler_rival_there_is_nothing_to_prefer():
    evidence = world(2)
    finding = SimplerPreferred(0.01).judge(replace(evidence, simpler={}))[0]
    assert str(finding) == "simpler preferred: PASS  no simpler recipe could ship today"
    assert SimplerPreferred(0.01).judge(replace(evidence, simpler=None))[0].outcome is UNKNOWN


def richer(evidence, **rivals):
    """The candidate beside rivals whose predictions are given."""
    pair = evidence.paired
    return replace(evidence, simpler={name: replace(pair, champion=said) for name, said in rivals.items()})


def test_the_richer_one_must_be_shown_better_by_the_margin_than_each_simpler_one():
    evidence = world(4, days=14, blocks=40, skill=0.3)
    paired = evidence.paired
    plain = richer(evidence, linear=paired.champion)
    shown = -SimplerPreferred(0.0).judge(plain)[0].high
    assert shown > 0
    assert SimplerPreferred(0.99 * shown).judge(plain)[0].outcome is PASS
    assert SimplerPreferred(1.01 * shown).judge(plain)[0].outcome is UNKNOWN
    assert SimplerPreferred(0.5).judge(plain)[0].outcome is FAIL
    as_good = richer(evidence, linear=paired.champion, ridge=paired.candidate)
    finding = SimplerPreferred(0.0).judge(as_good)[0]
    assert finding.outcome is FAIL
    assert "than that of ridge, which is simpler" in finding.text
    assert finding.counts["simpler"] == 2


def test_a_rival_that_cannot_be_compared_is_named_and_nothing_is_known():
    evidence = world(4, days=14, blocks=40, skill=0.3)
    mixed = richer(evidence, linear=evidence.paired.champion)
    few = {name: values[:0] for name, values in evidence.paired.slices.items()}
    none, words = np.empty(0), np.empty(0, dtype=str)
    silent = Paired(np.empty(0, "datetime64[D]"), words, none, none, none, none, few)
    finding = SimplerPreferred(0.0).judge(replace(mixed, simpler={**mixed.simpler, "new": silent}))[0]
    assert finding.outcome is UNKNOWN
    assert "cannot be compared with new (0 days of evidence" in finding.text


def test_equal_recipes_are_told_apart_in_at_most_their_share_of_looks():
    looks = [SimplerPreferred(0.0).judge(world(seed, days=6, blocks=6, per_block=10))[0] for seed in range(300)]
    assert [look.outcome for look in looks].count(PASS) <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


# The top of the list, and rows of scores ----------------------------------------------------------------------------


def test_a_list_that_is_turned_over_is_refused_and_refitting_noise_is_not_held_against_it():
    evidence = world(3, days=1, blocks=60, per_block=40, refit=0.02)
    holdout = evidence.holdout
    turned = replace(
        evidence, holdout=replace(holdout, candidate=1 - holdout.candidate, resampled=1 - holdout.resampled)
    )
    assert TopOfList(0.3, share=0.1).judge(turned)[0].outcome is FAIL
    noisy = world(3, days=1, blocks=60, per_block=40, refit=0.3)
    finding = TopOfList(0.35, share=0.1).judge(noisy)[0]
    assert finding.outcome is PASS
    assert "of the 240 cases on top; refitting on a resample changes" in finding.text
    assert finding.value < 0.15


def test_the_top_can_be_told_in_cases_and_is_not_the_whole_list():
    evidence = world(3, days=1, blocks=40)
    units = len(evidence.holdout)
    by_cases, by_share = TopOfList(0.3, cases=60), TopOfList(0.3, share=60 / units)
    assert by_cases.judge(evidence)[0].value == by_share.judge(evidence)[0].value
    whole = TopOfList(0.3, cases=units).judge(evidence)[0]
    assert whole.outcome is UNKNOWN
    assert "is all of the day's" in whole.text


def test_classes_that_change_places_behind_a_third_move_the_scores():
    evidence = world(3, kind=MULTICLASS, days=1, blocks=60, per_block=40)
    holdout = evidence.holdout
    swapped = replace(holdout, candidate=holdout.champion[:, [0, 2, 1]], resampled=holdout.champion[:, [0, 2, 1]])
    finding = ScoreShift(0.2).judge(replace(evidence, holdout=swapped))[0]
    assert finding.outcome is FAIL
    assert finding.text.startswith("probabilities of '")
    assert ScoreShift(0.2).judge(evidence)[0].outcome is PASS


def test_a_class_that_nobody_expects_hinders_nobody():
    evidence = world(3, kind=MULTICLASS, days=1, blocks=60, per_block=40)

    def without(said):
        rest = said[:, 1:] / said[:, 1:].sum(axis=1, keepdims=True)
        return np.concatenate([np.zeros((len(said), 1)), rest], axis=1)

    holdout = evidence.holdout
    sides = {name: without(getattr(holdout, name)) for name in ("champion", "candidate", "resampled")}
    assert ScoreShift(0.2).judge(replace(evidence, holdout=replace(holdout, **sides)))[0].outcome is PASS


def test_a_prediction_of_another_shape_than_its_kind_has_is_refused():
    evidence = world(kind=MULTICLASS)
    with pytest.raises(ValueError, match="a prediction of 'late' is one number"):
        replace(evidence, kind=BINARY)
    with pytest.raises(ValueError, match="paired candidate must hold a row of 3 numbers"):
        replace(evidence.paired, candidate=evidence.paired.candidate[:, :2])


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: Floor(float("nan")),
        lambda: Floor(0.5, confidence=1),
        lambda: Floor(0.5, at_least=1),
        lambda: Value(delays, margin=float("inf")),
        lambda: Value(delays, of="wish"),
        lambda: Value(None),
        lambda: Calibration(0),
        lambda: Calibration(float("nan")),
        lambda: Calibration(0.1, groups=0),
        lambda: SimplerPreferred(-0.1),
        lambda: SimplerPreferred(0.1, at_least=1),
        lambda: TopOfList(0.1),
        lambda: TopOfList(0.1, share=0.1, cases=5),
        lambda: TopOfList(0.1, share=1.0),
        lambda: TopOfList(0.1, cases=0),
        lambda: TopOfList(0, share=0.1),
    ],
)
def test_a_gate_refuses_nonsense_with_its_name_too(nonsense):
    with pytest.raises(ValueError, match="gate '"):
        nonsense()
