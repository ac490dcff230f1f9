"""The cluster bootstrap is scipy's, fast; and follows a skew."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats as oracle
from worlds import losses

from pipeline.core.stats import NoInterval, relative_difference
from pipeline.core.stats import bootstrap_difference as of_groups

RESAMPLES = 4000


def bootstrap_difference(*losses, **how):
    """Of all units."""
    (found,) = of_groups(*losses, **how)
    return found


def ratio(a, b, axis):
    return a.sum(axis) / b.sum(axis) - 1


def totals(candidate, reference, cluster):
    return [np.bincount(cluster, each) for each in (candidate, reference)]


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_ends_are_scipys_on_the_totals_of_clusters(method):
    candidate, reference, clusters = losses(np.random.default_rng(5), days=25, per_day=60, day_effect=1.0)
    wanted = oracle.bootstrap(
        totals(candidate, reference, clusters.day),
        ratio,
        paired=True,
        vectorized=True,
        method=method,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = bootstrap_difference(
        candidate, reference, clusters.day, method=method, resamples=RESAMPLES, one_sided=False
    )
    width = wanted.high - wanted.low
    assert found.low == pytest.approx(wanted.low, abs=0.06 * width)
    assert found.high == pytest.approx(wanted.high, abs=0.06 * width)
    assert found.estimate == pytest.approx(candidate.mean() / reference.mean() - 1)
    assert (found.clusters, found.units) == (25, len(candidate))


def test_bca_leans_where_the_clusters_do():
    rng = np.random.default_rng(2)
    skewed, ones, cluster = np.exp(rng.normal(size=40)), np.ones(40), np.arange(40)
    wanted = oracle.bootstrap(
        (skewed,), np.mean, method="BCa", n_resamples=RESAMPLES, rng=np.random.default_rng(1)
    ).confidence_interval
    found = bootstrap_difference(skewed, ones, cluster, method="bca", resamples=RESAMPLES, one_sided=False)
    plain = bootstrap_difference(skewed, ones, cluster, method="percentile", resamples=RESAMPLES, one_sided=False)
    assert found.high + 1 == pytest.approx(wanted.high, rel=0.03)
    assert found.low + 1 == pytest.approx(wanted.low, rel=0.03)
    assert found.high > plain.high
    assert found.low > plain.low


def test_the_studentised_ends_are_those_done_by_hand():
    candidate, reference, clusters = losses(np.random.default_rng(3), days=12, per_day=60, day_effect=1.0)
    above, below = totals(candidate, reference, clusters.day)

    def with_error(a, b):
        r = a.sum() / b.sum()
        return r, np.sqrt(len(a) / (len(a) - 1) * np.sum((a - r * b) ** 2)) / b.sum()

    rng, scores = np.random.default_rng(9), []
    estimate, error = with_error(above, below)
    for _ in range(RESAMPLES):
        rows = rng.integers(0, 12, 12)
        drawn, its = with_error(above[rows], below[rows])
        scores.append((drawn - estimate) / its)
    low, high = estimate - 1 - error * np.quantile(scores, [0.975, 0.025])
    found = bootstrap_difference(candidate, reference, clusters.day, resamples=RESAMPLES, one_sided=False)
    assert found.low == pytest.approx(low, abs=0.08 * (high - low))
    assert found.high == pytest.approx(high, abs=0.08 * (high - low))


def test_it_agrees_with_the_jackknife_where_nothing_is_skewed():
    candidate, reference, clusters = losses(np.random.default_rng(5), days=60, per_day=50, day_effect=0.5, heavy=False)
    found = bootstrap_difference(candidate, reference, clusters.day, one_sided=False)
    jackknife = relative_difference(candidate, reference, clusters, one_sided=False)
    assert found.high - found.low == pytest.approx(jackknife.high - jackknife.low, rel=0.12)


def test_a_difference_of_means_is_in_the_unit_of_the_losses():
    candidate, reference, clusters = losses(np.random.default_rng(5))
    found = bootstrap_difference(candidate, reference, clusters.block, relative=False, one_sided=False)
    assert found.estimate == pytest.approx(candidate.mean() - reference.mean())
    tenfold = bootstrap_difference(10 * candidate, 10 * reference, clusters.block, relative=False, one_sided=False)
    assert (tenfold.low, tenfold.high) == pytest.approx((10 * found.low, 10 * found.high))


def test_the_same_rows_give_the_same_numbers_in_any_order_and_any_number_at_a_time(monkeypatch):
    candidate, reference, clusters = losses(np.random.default_rng(5))
    order = np.random.default_rng(0).permutation(len(candidate))
    one = bootstrap_difference(candidate, reference, clusters.day)
    two = bootstrap_difference(candidate[order], reference[order], clusters.day[order])
    assert (one.low, one.high) == pytest.approx((two.low, two.high), rel=1e-9)
    monkeypatch.setattr("pipeline.core.stats.bootstrap._AT_ONCE", 100)
    in_parts = bootstrap_difference(candidate, reference, clusters.day)
    assert (in_parts.low, in_parts.high) == pytest.approx((one.low, one.high), rel=1e-9)


def test_memory_is_bounded_by_what_is_drawn_at_once():
    n = 20_000
    rng = np.random.default_rng(0)
    reference = rng.gamma(2, size=n)
    tracemalloc.start()
    bootstrap_difference(reference * 1.01 + rng.random(n), reference, np.arange(n), resamples=400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20, "all draws at once would take 64 MB many times over"


def test_what_cannot_be_told_is_not():
    candidate, reference, clusters = losses(np.random.default_rng(0), days=4)
    assert bootstrap_difference(candidate, reference, clusters.day).few
    for poison in (np.nan, np.inf):
        sick = candidate.copy()
        sick[3] = poison
        assert isinstance(bootstrap_difference(sick, reference, clusters.block), NoInterval)
    assert isinstance(bootstrap_difference(candidate, 0 * reference, clusters.block), NoInterval)
    assert isinstance(bootstrap_difference(0.9 * reference, reference, clusters.block, method="bca"), NoInterval)
    for method in ("percentile", "bca", "studentised"):
        few = bootstrap_difference(candidate[:5], reference[:5], np.arange(5), method=method, one_sided=False)
        assert few.low < few.estimate < few.high
    one_block = reference * (clusters.block == 3)
    assert isinstance(bootstrap_difference(candidate, one_block, clusters.block), NoInterval)
    with pytest.raises(ValueError, match="differ in length"):
        bootstrap_difference(candidate[:-1], reference, clusters.block)


def test_many_groups_at_once_are_each_by_itself():
    candidate, reference, clusters = losses(np.random.default_rng(5), days=60, per_day=90, day_effect=0.5)
    group = np.random.default_rng(0).integers(-1, 4, len(candidate))
    found = of_groups(candidate, reference, clusters.block, group=group, one_sided=False)
    assert len(found) == 4
    for number, one in enumerate(found):
        rows = group == number
        alone = bootstrap_difference(candidate[rows], reference[rows], clusters.block[rows], one_sided=False)
        assert one.estimate == pytest.approx(alone.estimate)
        assert (one.clusters, one.units) == (alone.clusters, alone.units)
        assert one.high - one.low == pytest.approx(alone.high - alone.low, rel=0.12)
    few = of_groups(candidate, reference, clusters.block, group=np.where(np.arange(len(group)) < 3, 1, 0))
    assert isinstance(few[1], NoInterval)
    assert few[1].few
    poisoned = np.where(np.arange(len(group)) == 0, np.nan, candidate)
    sick = of_groups(poisoned, reference, clusters.block, group=np.minimum(np.arange(len(group)), 1))
    assert isinstance(sick[0], NoInterval)
