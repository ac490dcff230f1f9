"""Intervals keep their promise, and agree with what others compute."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle
from worlds import losses

from pipeline.core.stats import (
    Clusters,
    NoInterval,
    mean_interval,
    quantile_ratio,
    relative_difference,
    shift_excess,
    wasserstein,
)

SIMULATIONS = 500
# 500 simulations of a true 95 % lie within three of their own standard errors of it with 99.7 %.
LEAST, MOST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / SIMULATIONS), 0.995


def coverage(interval, one_sided=False, **shape):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(SIMULATIONS):
        found = interval(*losses(rng, by=-0.02, **shape), one_sided)
        hits += found.high >= -0.02 and (one_sided or found.low <= -0.02)
    return hits / SIMULATIONS


def ours(candidate, champion, clusters, one_sided):
    return relative_difference(candidate, champion, clusters, one_sided=one_sided)


def naive(candidate, champion, clusters, one_sided):
    """What treats every unit as independent: the interval that most products would show."""
    units = np.arange(len(candidate))
    return relative_difference(candidate, champion, Clusters(units, units, len(units), len(units)), one_sided=one_sided)


@pytest.mark.parametrize(
    "shape",
    [
        {"day_effect": 0.0, "heavy": False},
        {"day_effect": 0.3},
        {"day_effect": 0.3, "unequal": 0.8},
        {"day_effect": 0.3, "days": 6, "per_day": 150},
    ],
    ids=["blocks only, light tails", "days and blocks, heavy tails", "very unequal days", "six days"],
)
def test_a_95_percent_interval_holds_the_truth_95_times_in_100(shape):
    assert LEAST <= coverage(ours, **shape) <= MOST


def test_a_one_sided_95_percent_bound_holds_95_times_in_100():
    assert LEAST <= coverage(ours, one_sided=True, day_effect=0.3) <= MOST


def test_an_interval_that_treats_units_as_independent_fails_the_same_study():
    assert coverage(naive, day_effect=0.0, heavy=False) < LEAST
    assert coverage(naive, day_effect=0.3) < LEAST


def test_an_interval_clustered_by_block_alone_is_too_sure_when_days_differ():
    def by_block(candidate, champion, clusters, one_sided):
        blocks = Clusters(clusters.block, clusters.block, clusters.blocks, clusters.blocks)
        return relative_difference(candidate, champion, blocks, one_sided=one_sided)

    assert coverage(by_block, day_effect=0.3) < LEAST


def test_the_interval_is_the_jackknife_done_by_hand():
    candidate, champion, clusters = losses(np.random.default_rng(3), days=7, per_day=60, blocks=5, day_effect=1)
    found = relative_difference(candidate, champion, clusters, confidence=0.9, one_sided=False)
    widest = 0.0
    for labels in (clusters.day, clusters.block):
        names = np.unique(labels)
        left = [candidate[labels != name].sum() / champion[labels != name].sum() for name in names]
        ratio = candidate.sum() / champion.sum()
        error = np.sqrt((len(names) - 1) / len(names) * np.sum((np.array(left) - ratio) ** 2))
        weight = np.array([champion[labels == name].sum() for name in names])
        effective = weight.sum() ** 2 / np.sum(weight**2)
        widest = max(widest, error * oracle.t.ppf(0.95, effective - 1))
    assert found.estimate == pytest.approx(candidate.mean() / champion.mean() - 1, rel=1e-12)
    assert found.high - found.estimate == pytest.approx(widest, rel=1e-9)
    assert found.estimate - found.low == pytest.approx(widest, rel=1e-9)


def test_the_interval_agrees_with_a_bootstrap_of_days():
    candidate, champion, clusters = losses(np.random.default_rng(5), days=60, per_day=50, day_effect=0.5)
    above, below = (np.bincount(clusters.day, values) for values in (candidate, champion))
    drawn = oracle.bootstrap(
        (above, below),
        lambda a, b, axis: a.sum(axis) / b.sum(axis) - 1,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=2000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = relative_difference(candidate, champion, clusters, one_sided=False)
    assert found.clustered_by == "day"
    assert found.high - found.low == pytest.approx(drawn.high - drawn.low, rel=0.15)


def test_the_wider_of_day_and_block_is_taken():
    calm = losses(np.random.default_rng(1), days=40, blocks=5, day_effect=0, heavy=False)
    stormy = losses(np.random.default_rng(1), days=40, blocks=5, day_effect=3, heavy=False)
    assert relative_difference(*stormy).clustered_by == "day"
    found = [relative_difference(*calm), relative_difference(*stormy)]
    assert found[0].high - found[0].low < found[1].high - found[1].low


def test_one_day_that_holds_all_the_loss_is_not_fourteen_days():
    rng = np.random.default_rng(0)
    day = np.concatenate([np.zeros(2000, int), np.repeat(np.arange(1, 14), 5)])
    champion = rng.gamma(2, 1, len(day))
    candidate = champion * np.exp(0.1 * rng.normal(size=len(day)))
    even = relative_difference(candidate, champion, Clusters.of(np.arange(len(day)) % 14, np.arange(len(day))))
    uneven = relative_difference(candidate, champion, Clusters.of(day, np.arange(len(day))))
    assert uneven.high - uneven.low > 2 * (even.high - even.low)


def test_too_few_days_are_named_with_how_many_more_are_needed():
    found = relative_difference(*losses(np.random.default_rng(0), days=3))
    assert found == NoInterval("3 days of evidence, at least 5 are needed: 2 more", few=True)


def test_no_units_give_no_interval():
    none = np.empty(0)
    assert isinstance(relative_difference(none, none, Clusters.of(none, none)), NoInterval)
    assert isinstance(mean_interval(none, none.astype(int)), NoInterval)
    assert isinstance(shift_excess(none, none, none, none.astype(int)), NoInterval)
    assert np.isnan(wasserstein(none, none))


@pytest.mark.parametrize("poison", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("side", [0, 1])
def test_one_loss_that_is_no_number_gives_no_interval(poison, side):
    pair = losses(np.random.default_rng(0))
    pair[side][17] = poison
    found = relative_difference(*pair)
    assert isinstance(found, NoInterval)
    assert "1 of" in found.why
    assert not found.few


def test_equal_losses_are_a_difference_of_nothing_give_or_take_nothing():
    _, champion, clusters = losses(np.random.default_rng(0))
    found = relative_difference(champion.copy(), champion, clusters)
    assert (found.estimate, found.low, found.high) == (0, 0, 0)


def test_a_spread_of_nothing_between_different_losses_proves_nothing():
    _, champion, clusters = losses(np.random.default_rng(0))
    assert isinstance(relative_difference(0.9 * champion, champion, clusters), NoInterval)


def test_a_champion_without_loss_gives_no_interval():
    candidate, champion, clusters = losses(np.random.default_rng(0))
    assert isinstance(relative_difference(candidate, 0 * champion, clusters), NoInterval)
    assert isinstance(relative_difference(candidate, champion * (clusters.day == 3), clusters), NoInterval)


def test_losses_of_different_length_are_refused():
    candidate, champion, clusters = losses(np.random.default_rng(0))
    with pytest.raises(ValueError, match="differ in length"):
        relative_difference(candidate[:-1], champion, clusters)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None, database=None)
def test_the_order_of_units_does_not_matter(seed, other):
    candidate, champion, clusters = losses(np.random.default_rng(seed), days=6, per_day=40, blocks=6)
    order = np.random.default_rng(other).permutation(len(candidate))
    one = relative_difference(candidate, champion, clusters)
    two = relative_difference(candidate[order], champion[order], clusters.where(order))
    assert (two.estimate, two.low, two.high) == pytest.approx((one.estimate, one.low, one.high), rel=1e-9, abs=1e-12)


@given(st.integers(0, 10**6), st.floats(0.01, 100))
@settings(max_examples=25, deadline=None, database=None)
def test_the_unit_of_the_loss_does_not_matter(seed, factor):
    candidate, champion, clusters = losses(np.random.default_rng(seed), days=6, per_day=40, blocks=6)
    one = relative_difference(candidate, champion, clusters)
    two = relative_difference(candidate * factor, champion * factor, clusters)
    assert (two.estimate, two.low, two.high) == pytest.approx((one.estimate, one.low, one.high), rel=1e-9, abs=1e-12)


@given(st.integers(0, 10**6), st.floats(0.5, 0.999))
@settings(max_examples=25, deadline=None, database=None)
def test_a_smaller_loss_is_a_smaller_estimate(seed, factor):
    candidate, champion, clusters = losses(np.random.default_rng(seed), days=6, per_day=40, blocks=6)
    assert (
        relative_difference(candidate * factor, champion, clusters).estimate
        < relative_difference(candidate, champion, clusters).estimate
    )


def test_more_confidence_is_a_wider_interval():
    pair = losses(np.random.default_rng(0))
    ends = [relative_difference(*pair, confidence=c).high for c in (0.8, 0.95, 0.999)]
    assert ends == sorted(ends)
    assert len(set(ends)) == 3


def test_a_block_is_its_name_within_its_day():
    clusters = Clusters.of(np.array(["mon", "tue", "mon", "tue"]), np.array(["JFK 7", "JFK 7", "JFK 7", "LGA 9"]))
    assert clusters.days == 2
    assert clusters.blocks == 3
    assert clusters.block[0] == clusters.block[2] != clusters.block[1]


def blocked_changes(rng, excess, blocks=60, units=600):
    block = rng.integers(0, blocks, units)
    storm = rng.random(blocks) < 0.1
    changed = rng.random(units) < np.where(storm[block], 0.3 + 5 * excess, 0.02 + 5 * excess / 9)
    noise = rng.random(units) < np.where(storm[block], 0.3, 0.02)
    return changed.astype(float) - noise, block


def test_the_interval_of_an_excess_of_changes_holds_95_times_in_100():
    rng = np.random.default_rng(11)
    truth = 0.1 * 5 * 0.04 + 0.9 * 5 * 0.04 / 9
    found = [mean_interval(*blocked_changes(rng, 0.04), one_sided=False) for _ in range(400)]
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400) <= np.mean([f.low <= truth <= f.high for f in found]) <= 0.995


def test_units_that_fail_together_count_as_one():
    values = np.repeat(np.random.default_rng(0).choice([-1.0, 0, 1], 50), 40)
    together, apart = mean_interval(values, np.repeat(np.arange(50), 40)), mean_interval(values, np.arange(2000))
    assert together.estimate == apart.estimate
    assert together.high - together.low > 5 * (apart.high - apart.low)


def test_nothing_changed_among_few_units_is_not_a_proof_that_nothing_changes():
    few = mean_interval(np.zeros(20), np.arange(20))
    many = mean_interval(np.zeros(20_000), np.arange(20_000))
    assert few.estimate == many.estimate == 0
    assert few.high > 0.05
    assert many.high < 0.001


def test_a_mean_agrees_with_scipy_where_units_are_their_own_blocks():
    values = np.random.default_rng(0).choice([-1.0, 0, 1], 5000, p=[0.05, 0.85, 0.1])
    found = mean_interval(values, np.arange(5000), one_sided=False)
    wanted = oracle.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=2e-4)


def test_the_ratio_of_timings_is_the_ratio_of_quantiles():
    seconds = np.random.default_rng(0).gamma(20, 1e-3, (200, 2)) * [1, 1.3]
    for q in (0.5, 0.95):
        ratio, own = quantile_ratio(seconds, q)
        one, two = np.quantile(seconds, q, axis=0)
        assert ratio.estimate == pytest.approx(two / one)
        assert own.estimate == pytest.approx(two)
        assert ratio.low < ratio.estimate < ratio.high
        assert own.low < own.estimate < own.high


def test_the_interval_of_a_ratio_of_timings_holds_on_a_machine_that_is_slow_in_spells():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        slow = 1 + 2 * np.repeat(rng.random(20) < 0.2, 10)[:, None]
        seconds = rng.gamma(50, 1e-4, (200, 2)) * slow * [1, 1.2]
        ratio, _ = quantile_ratio(seconds, 0.5, one_sided=False, resamples=400)
        hits += ratio.low <= 1.2 <= ratio.high
    assert 0.88 <= hits / 200 <= 0.995


def test_the_same_timings_give_the_same_interval_and_bad_ones_are_refused():
    seconds = np.random.default_rng(0).gamma(20, 1e-3, (50, 2))
    assert quantile_ratio(seconds, 0.95) == quantile_ratio(seconds, 0.95)
    for bad in (seconds[:1], seconds[:, :1], seconds * np.nan, seconds - 1):
        with pytest.raises(ValueError, match="pairs of seconds"):
            quantile_ratio(bad, 0.95)


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=50, deadline=None, database=None)
def test_the_distance_of_scores_is_scipys(seed, n, m):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(0, 1, n).round(1), rng.normal(0.5, 2, m).round(1)
    assert wasserstein(one, other) == pytest.approx(oracle.wasserstein_distance(one, other), abs=1e-12)


def test_the_shift_of_scores_beyond_refitting_noise_is_in_spreads():
    rng = np.random.default_rng(0)
    scores, blocks = rng.normal(0, 1, 2000), np.arange(2000) % 80
    resampled, moved = scores + 0.05 * rng.normal(size=2000), scores + 0.5
    shift, noise, found = shift_excess(scores, moved, moved + (resampled - scores), blocks)
    spread = np.sqrt((scores.var() + moved.var()) / 2)
    assert shift == pytest.approx(oracle.wasserstein_distance(scores, moved) / spread)
    assert shift == pytest.approx(0.5, abs=0.02)
    assert found.estimate == pytest.approx(shift - noise)
    assert found.low < 0.5 < found.high + noise
    assert isinstance(shift_excess(0 * scores, 0 * scores, 0 * scores, blocks), NoInterval)


def test_a_mean_over_few_unequal_blocks_is_no_surer_than_its_jackknife():
    rng = np.random.default_rng(3)
    blocks = np.repeat(np.arange(23), [200, 120, 60] + [5] * 20)
    values = rng.normal(30, 10, len(blocks)) + rng.normal(0, 10, 23)[blocks]
    found = mean_interval(values, blocks, one_sided=False, marks=False)
    without = np.array([values[blocks != block].mean() for block in range(23)])
    error = np.sqrt(22 / 23 * np.sum((without - values.mean()) ** 2))
    effective = len(blocks) ** 2 / np.sum(np.bincount(blocks) ** 2)
    half = error * oracle.t.ppf(0.975, effective - 1)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_the_interval_of_a_mean_loss_does_not_depend_on_its_unit():
    minutes = np.random.default_rng(4).gamma(2, 15, 60)
    blocks = np.repeat(np.arange(12), 5)
    found, days = (mean_interval(minutes / unit, blocks, marks=False) for unit in (1, 1440))
    assert found.high == pytest.approx(1440 * days.high)
