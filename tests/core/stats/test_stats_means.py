"""Means, areas under curves, tops of lists: intervals that keep their promise, and agree with what others compute."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle
from sklearn import metrics

from pipeline.core.kinds.base import area_under_curve, average_precision
from pipeline.core.stats import (
    Clusters,
    NoInterval,
    changed_top,
    mean_difference,
    on_top,
    relative_difference,
    statistic_interval,
    top_excess,
)

SIMULATIONS = 500
# 500 simulations of a true 95 % lie within three of their own standard errors of it with 99.7 %.
LEAST, MOST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / SIMULATIONS), 0.99


def clustered(rng, days=14, per_day=200, blocks=20, unequal=0.3):
    sizes = np.maximum(20, (per_day * np.exp(rng.normal(0, unequal, days) - unequal**2 / 2)).astype(int))
    day = np.repeat(np.arange(days), sizes)
    block = rng.integers(0, blocks, len(day))
    return day, block, Clusters.of(day, block)


def money(rng, day_effect=0.3, **shape):
    """Costs of a candidate that saves 0.1 a unit, and of a champion; the difference is shared by blocks and days."""
    day, block, clusters = clustered(rng, **shape)
    shared = rng.normal(0, 1, (clusters.days, 20))[day, block]
    champion = rng.choice([0.0, 1, 5], len(day), p=[0.7, 0.2, 0.1])
    own = day_effect * rng.normal(0, 1, clusters.days)[day] + 0.5 * shared + rng.standard_t(3, len(day))
    return champion - 0.1 + own, champion, clusters


@pytest.mark.parametrize(
    "shape",
    [{}, {"day_effect": 0.0}, {"days": 6}, {"unequal": 0.8}],
    ids=["days and blocks", "blocks only", "six days", "very unequal days"],
)
def test_a_difference_of_means_is_held_95_times_in_100(shape):
    rng = np.random.default_rng(7)
    both = one = 0
    for _ in range(SIMULATIONS):
        pair = money(rng, **shape)
        found = mean_difference(*pair, one_sided=False)
        both += found.low <= -0.1 <= found.high
        one += mean_difference(*pair).high >= -0.1
    assert LEAST <= both / SIMULATIONS <= MOST
    assert LEAST <= one / SIMULATIONS <= MOST


def test_an_interval_that_takes_units_for_independent_fails_the_same_study():
    rng, hits = np.random.default_rng(7), 0
    for _ in range(200):
        candidate, champion, _ = money(rng)
        units = np.arange(len(candidate))
        alone = Clusters(units, units, len(units), len(units))
        found = mean_difference(candidate, champion, alone, one_sided=False)
        hits += found.low <= -0.1 <= found.high
    assert hits / 200 < LEAST


def test_the_interval_of_a_difference_is_the_jackknife_done_by_hand():
    candidate, champion, clusters = money(np.random.default_rng(3), days=7, per_day=60)
    rng = np.random.default_rng(4)
    of, against = rng.random((2, len(candidate))) < 0.6
    found = mean_difference(candidate, champion, clusters, of=of, against=against, confidence=0.9, one_sided=False)
    whole, widest = candidate[of].mean() - champion[against].mean(), 0.0
    for labels in (clusters.day, clusters.block):
        names = np.unique(labels[of | against])
        left = [candidate[of & (labels != name)].mean() - champion[against & (labels != name)].mean() for name in names]
        error = np.sqrt((len(names) - 1) / len(names) * np.sum((np.array(left) - whole) ** 2))
        effective = min(
            part.sum() ** 2 / np.sum(np.bincount(labels[part]).astype(float) ** 2) for part in (of, against)
        )
        widest = max(widest, error * oracle.t.ppf(0.95, effective - 1))
    assert found.estimate == pytest.approx(whole)
    assert found.high - found.estimate == pytest.approx(widest)
    assert found.estimate - found.low == pytest.approx(widest)


def test_a_mean_agrees_with_scipy_where_units_are_their_own_days():
    values = np.random.default_rng(0).normal(3, 2, 400)
    units = np.arange(400)
    found = mean_difference(values, None, Clusters(units, units, 400, 400), one_sided=False)
    wanted = oracle.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_a_difference_agrees_with_the_relative_one_in_the_references_own_size():
    candidate, champion, clusters = money(np.random.default_rng(5), days=60, per_day=60)
    candidate, champion = np.abs(candidate), champion + 1
    plain = mean_difference(candidate, champion, clusters, one_sided=False)
    ratio = relative_difference(candidate, champion, clusters, one_sided=False)
    assert plain.estimate == pytest.approx(ratio.estimate * champion.mean())
    assert plain.high - plain.low == pytest.approx((ratio.high - ratio.low) * champion.mean(), rel=0.2)


def test_a_difference_is_none_where_there_is_nothing_to_say():
    candidate, champion, clusters = money(np.random.default_rng(0))
    same = mean_difference(champion.copy(), champion, clusters)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    assert isinstance(mean_difference(champion + 1, champion, clusters), NoInterval)
    bad = np.where(np.arange(len(candidate)) == 5, np.nan, candidate)
    assert "1 of" in mean_difference(bad, champion, clusters).why
    few = money(np.random.default_rng(0), days=3)
    assert mean_difference(*few) == NoInterval("3 days of evidence, at least 5 are needed: 2 more", few=True)
    none = np.empty(0)
    assert isinstance(mean_difference(none, none, Clusters.of(none, none)), NoInterval)
    with pytest.raises(ValueError, match="differ in length"):
        mean_difference(candidate[:-1], champion, clusters)


def test_nothing_among_few_marks_is_no_proof_of_nothing():
    rng = np.random.default_rng(0)
    _, _, few = clustered(rng, per_day=20)
    _, _, many = clustered(rng, per_day=2000)
    one, other = (mean_difference(np.zeros(len(c.day)), None, c, marks=True) for c in (few, many))
    assert one.estimate == other.estimate == 0
    assert one.high > 0.005 > other.high
    assert isinstance(mean_difference(np.zeros(len(few.day)), None, few), NoInterval)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(-5, 5))
@settings(max_examples=25, deadline=None, database=None)
def test_neither_the_order_of_units_nor_the_zero_of_the_money_matters(seed, other, shift):
    candidate, champion, clusters = money(np.random.default_rng(seed), days=6, per_day=40)
    order = np.random.default_rng(other).permutation(len(candidate))
    one = mean_difference(candidate, champion, clusters)
    two = mean_difference(candidate[order] + shift, champion[order] + shift, clusters.where(order))
    assert (two.estimate, two.low, two.high) == pytest.approx((one.estimate, one.low, one.high), abs=1e-9)


def ranked(rng, days=14, per_day=100):
    """Labels and scores: how well the scores tell them apart differs from day to day."""
    day, block, clusters = clustered(rng, days=days, per_day=per_day)
    x = rng.normal(0, 1, len(day))
    steep = np.exp(0.3 * rng.normal(0, 1, days))[day]
    eta = -1 + 1.5 * x * steep + 0.5 * rng.normal(0, 1, (days, 20))[day, block]
    labels = (rng.random(len(day)) < 1 / (1 + np.exp(-eta))).astype(float)
    return labels, x + 0.3 * rng.normal(0, 1, len(day)), clusters


@given(st.integers(0, 10**6), st.integers(2, 200), st.integers(0, 2))
@settings(max_examples=50, deadline=None, database=None)
def test_areas_and_precisions_are_scikit_learns(seed, n, digits):
    rng = np.random.default_rng(seed)
    labels, scores = (rng.random(n) < 0.4).astype(float), rng.normal(0, 1, n).round(digits)
    if 0 < labels.sum() < n:
        assert area_under_curve(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores))
        assert average_precision(labels, scores) == pytest.approx(metrics.average_precision_score(labels, scores))
    assert np.isnan(area_under_curve(np.ones(n), scores))
    assert np.isnan(average_precision(np.zeros(n), scores))


@pytest.mark.parametrize("measure", [area_under_curve, average_precision])
def test_an_area_under_a_curve_is_held_95_times_in_100(measure):
    truth = np.mean([measure(*ranked(np.random.default_rng(10**6 + n), 60, 200)[:2]) for n in range(100)])
    rng, hits, simulations = np.random.default_rng(1), 0, 200
    for _ in range(simulations):
        labels, scores, clusters = ranked(rng)

        def of(rows, labels=labels, scores=scores):
            return measure(labels[rows], scores[rows])

        found = statistic_interval(of, clusters, one_sided=False)
        hits += found.low <= truth <= found.high
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / simulations) <= hits / simulations <= 0.995


def test_a_mean_is_a_statistic_like_any_other():
    values, _, clusters = money(np.random.default_rng(2))
    one = mean_difference(values, None, clusters)
    two = statistic_interval(lambda rows: float(values[rows].mean()), clusters)
    assert two.estimate == pytest.approx(one.estimate)
    assert two.high == pytest.approx(one.high, abs=0.05)
    if one.clustered_by == two.clustered_by == "day":
        assert two.high == pytest.approx(one.high)


def test_a_statistic_that_some_days_do_not_allow_has_no_interval():
    _, _, clusters = clustered(np.random.default_rng(0))
    labels = (clusters.day == 0).astype(float)
    found = statistic_interval(lambda rows: area_under_curve(labels[rows], labels[rows]), clusters)
    assert isinstance(found, NoInterval)
    few = Clusters.of(np.repeat([0, 1, 2], 9), np.arange(27))
    assert "2 more" in statistic_interval(lambda rows: 1.0, few).why
    assert isinstance(statistic_interval(lambda rows: 1.0, clusters), NoInterval)


@given(st.integers(0, 10**6), st.integers(5, 60))
@settings(max_examples=50, deadline=None, database=None)
def test_the_top_of_a_list_without_ties_is_a_set(seed, cases):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(0, 1, (2, 80))
    tops = [set(np.argsort(-scores)[:cases].tolist()) for scores in (one, other)]
    assert set(np.flatnonzero(on_top(one, cases)).tolist()) == tops[0]
    assert changed_top(one, other, cases) == pytest.approx(1 - len(tops[0] & tops[1]) / cases)


def test_ties_share_what_is_left_of_the_top():
    scores = np.array([3.0, 2, 2, 2, 1])
    assert on_top(scores, 2).tolist() == [1, 1 / 3, 1 / 3, 1 / 3, 0]
    assert changed_top(scores, scores, 2) == pytest.approx(0)
    assert on_top(scores, 2.5).sum() == pytest.approx(2.5)


def lists(rng, units=900, blocks=54, drift=0.5, refit=0.15):
    """Scores of champion, candidate and twin; what moves a score moves its block too."""
    block = rng.integers(0, blocks, units)
    champion = rng.normal(0, 1, units) + rng.normal(0, 1, blocks)[block]
    candidate = champion + drift * (rng.normal(0, 1, units) + rng.normal(0, 1, blocks)[block])
    return champion, candidate, candidate + refit * rng.normal(0, 1, units), block


def test_the_change_of_the_top_is_held_95_times_in_100():
    many = 100_000
    large = [lists(np.random.default_rng(10**6 + n), many, 6000) for n in range(10)]
    truth = np.mean([changed_top(a, b, 0.1 * many) - changed_top(b, c, 0.1 * many) for a, b, c, _ in large])
    rng, both, one = np.random.default_rng(3), 0, 0
    for _ in range(SIMULATIONS):
        seen = lists(rng)
        found = top_excess(*seen, 0.1, one_sided=False)[2]
        both += found.low <= truth <= found.high
        one += top_excess(*seen, 0.1)[2].high >= truth
    assert LEAST <= both / SIMULATIONS <= 0.99
    assert LEAST <= one / SIMULATIONS <= 0.99


def test_the_end_of_the_top_is_taken_for_estimated():
    """Over samples, the spread of the number is that of the interval, not half of it."""
    rng = np.random.default_rng(6)
    found = [top_excess(*lists(rng), 0.2) for _ in range(200)]
    spread = np.std([interval.estimate for _, _, interval in found])
    halves = np.mean([interval.high - interval.estimate for _, _, interval in found])
    assert spread * 1.67 * 0.85 < halves < spread * 1.67 * 1.4


def test_a_short_list_on_which_nothing_changed_proves_little():
    champion, _, _, block = lists(np.random.default_rng(0))
    short, long = (top_excess(champion, champion, champion, block, share)[2] for share in (0.01, 0.5))
    assert short.estimate == long.estimate == 0
    assert short.high > 0.1 > 0.01 > long.high


def test_a_list_without_order_or_with_few_blocks_has_no_top():
    champion, candidate, resampled, block = lists(np.random.default_rng(0))
    assert isinstance(top_excess(champion, 0 * candidate, resampled, block, 0.1), NoInterval)
    assert isinstance(top_excess(champion, candidate, resampled, block % 4, 0.1), NoInterval)
    none = np.empty(0)
    assert isinstance(top_excess(none, none, none, none.astype(int), 0.1), NoInterval)


def test_the_credit_for_refitting_noise_has_an_end():
    champion, candidate, _, block = lists(np.random.default_rng(0))
    wild = np.random.default_rng(1).permutation(candidate)
    changed, noise, found = top_excess(champion, candidate, wild, block, 0.1, credit=0.2)
    assert noise > 0.5
    assert found.estimate == pytest.approx(changed - 0.2)
