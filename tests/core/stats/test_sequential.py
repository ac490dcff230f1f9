"""Looking every day for years: the detector, the noise of days and the anytime-valid bound keep what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle

from pipeline.core.evidence.paired_days import Noise, PairedDay, PairedDays
from pipeline.core.stats.sequential import (
    CLIP,
    DRIFTS,
    SPELL,
    Steps,
    confidence_sequence,
    days_to_alarm,
    e_detector,
    mixture,
)

laws = settings(max_examples=60, deadline=None, database=None)
YEAR = 365
scores = st.lists(st.floats(-6, 6), min_size=1, max_size=40).map(np.array)


# The detector


def direct(values, drifts=DRIFTS, clip=CLIP):
    """The sum over all starts, as its definition reads."""
    total = 0.0
    for drift, share in drifts:
        for start in range(len(values)):
            held = np.minimum(values[start:], clip)
            total += share * math.exp(drift * held.sum() - len(held) * drift**2 / 2)
    return math.log(total)


@given(scores)
@laws
def test_the_detector_is_the_sum_over_all_starts(values):
    assert e_detector(values) == pytest.approx(direct(values), rel=1e-9, abs=1e-9)
    other = ((0.5, 0.5), (2.0, 0.5))
    assert e_detector(values, other, 3.0) == pytest.approx(direct(values, other, 3.0), rel=1e-9, abs=1e-9)


@given(scores, st.integers(0, 39), st.floats(0, 5))
@laws
def test_a_higher_score_never_lowers_the_detector(values, at, more):
    higher = values.copy()
    higher[at % len(values)] += more
    assert e_detector(higher) >= e_detector(values) - 1e-12


def test_the_detector_neither_overflows_nor_hears_nothing():
    assert e_detector(np.empty(0)) == -math.inf
    assert math.isfinite(e_detector(np.full(10**5, CLIP)))
    assert math.isfinite(e_detector(np.full(10**5, -50.0)))
    assert e_detector(np.full(5, 1e9)) == e_detector(np.full(5, CLIP))
    assert sum(share for _, share in DRIFTS) == pytest.approx(1)
    assert all(drift > 0 for drift, _ in DRIFTS)


def first_alarms(values, threshold):
    """For each row the first day on which the statistic reaches the threshold, or the last day; and its last value."""
    statistic = np.zeros((len(values), len(DRIFTS)))
    drifts, shares = np.array(DRIFTS).T
    alarm = np.full(len(values), values.shape[1])
    for day, today in enumerate(values.T, 1):
        growth = np.exp(np.minimum(today, CLIP)[:, None] * drifts - drifts**2 / 2)
        statistic = (1 + statistic) * growth
        reached = (statistic @ shares >= threshold) & (alarm == values.shape[1])
        alarm[reached] = day
    return alarm, np.log(statistic @ shares)


def test_the_detector_day_by_day_is_the_detector_of_all_days():
    values = np.random.default_rng(0).normal(0.3, 1, (5, 60))
    for row, told in zip(values, first_alarms(values, math.inf)[1], strict=True):
        assert e_detector(row) == pytest.approx(told)


@pytest.mark.parametrize("tails", ["normal", "t5"])
def test_chance_takes_longer_than_the_threshold_to_set_it_off(tails):
    rng, runs, threshold = np.random.default_rng(1), 400, 60

    def noise(mean=0.0):
        drawn = rng.standard_t(5, (runs, 1200)) / math.sqrt(5 / 3) if tails == "t5" else rng.normal(size=(runs, 1200))
        return drawn + mean

    days, _ = first_alarms(noise(), threshold)
    # Runs that are cut off count as if they had gone off: the true mean is longer.
    assert days.mean() - 3 * days.std() / math.sqrt(runs) > threshold
    assert (days < 1200).mean() > 0.9, "else the study could not fail"
    early, _ = first_alarms(noise(0.3), threshold)
    assert early.mean() < threshold, "a detector fed with noise that is no noise goes off early"


def units(rng, days, gain=0.0, spread=0.0, blocks=30, per_day=300):
    """Days of units in blocks that fail together; days have a common part of ``spread`` beyond their blocks."""
    found = []
    for day in range(days):
        sizes = np.maximum(rng.poisson(per_day / blocks, blocks), 1)
        shared = 0.05 * rng.normal(size=blocks) + gain + spread * rng.normal()
        own = 0.2 * rng.normal(size=blocks) * np.sqrt(sizes)
        found.append(PairedDay.of(np.datetime64("2020-01-01") + day, sizes * (0.5 + shared) + own, 0.5 * sizes, sizes))
    return PairedDays.of(found)


@pytest.mark.parametrize("spread", [0.0, 0.02], ids=["blocks only", "blocks and days"])
def test_units_that_fail_together_do_not_set_it_off_early(spread):
    rng, runs, threshold = np.random.default_rng(2), 120, 30
    series = [units(rng, 320, spread=spread) for _ in range(runs)]
    # The noise is learnt from the first twenty days, as a young ledger would.
    learnt = [Noise.of([PairedDays.of(_days(track)[:20])]) for track in series]
    told = np.array([noise.scores(track)[20:] for noise, track in zip(learnt, series, strict=True)])
    days, _ = first_alarms(told, threshold)
    assert days.mean() - 2 * days.std() / math.sqrt(runs) > threshold
    as_if_alone = np.array([track.gain[20:] / (0.2 / math.sqrt(300)) for track in series])
    early, _ = first_alarms(as_if_alone, threshold)
    assert early.mean() < threshold, "units taken for independent set it off early"


def _days(track):
    columns = (track.days, track.units, track.reference, track.candidate, track.error)
    return [PairedDay(*values) for values in zip(*columns, strict=True)]


def test_a_true_gain_sets_it_off_within_days():
    rng, threshold = np.random.default_rng(3), 365.25
    days, _ = first_alarms(rng.normal(1.83, 1, (2000, 60)), threshold)
    assert (days <= 7).mean() > 0.9
    slow, _ = first_alarms(rng.normal(0.3, 1, (300, 400)), threshold)
    assert np.median(slow) < 120


@given(scores, scores, st.floats(0.01, 0.99))
@laws
def test_a_mixture_is_the_weighted_mean(one, other, share):
    logs = [e_detector(one), e_detector(other)]
    wanted = math.log(share * math.exp(logs[0]) + (1 - share) * math.exp(logs[1]))
    assert mixture(logs, [share, 1 - share]) == pytest.approx(wanted, abs=1e-9)
    assert mixture([logs[0], -math.inf], [share, 1 - share]) == pytest.approx(math.log(share) + logs[0])


def test_a_mixture_of_nothing_is_nothing():
    assert mixture([-math.inf, -math.inf], [0.5, 0.5]) == -math.inf


@given(st.floats(-1, 6), st.floats(-2, 5), st.floats(1, 8))
@laws
def test_the_days_told_are_about_those_that_it_takes(step, statistic, threshold):
    days = days_to_alarm(step, statistic, threshold)
    if statistic >= threshold:
        assert days == 0
        return
    slowest = min(drift for drift, _ in DRIFTS)
    if step <= slowest / 2:
        assert days == math.inf
        return
    growth = max(drift * min(step, CLIP) - drift**2 / 2 for drift, _ in DRIFTS)
    assert days * growth == pytest.approx(threshold - max(statistic, 0))


def test_steady_days_reach_the_threshold_when_told():
    threshold = math.log(365.25)
    for step in (0.5, 1.0, 1.8, 3.0):
        told = days_to_alarm(step, 0.0, threshold)
        taken = next(n for n in range(1, 200) if e_detector(np.full(n, step)) >= threshold)
        assert 0.5 * taken <= told <= 2 * taken


# How far days differ


def test_steps_are_half_the_mean_squared_difference_of_neighbours():
    values = np.random.default_rng(0).normal(size=50)
    found = Steps.of(values)
    assert found.count == 49
    assert found.squares == pytest.approx(sum((values[n + 1] - values[n]) ** 2 for n in range(49)) / 2)
    for few in (np.empty(0), values[:1]):
        assert Steps.of(few) == Steps(0.0, 0)


def test_spells_are_steps_between_neighbouring_means():
    values = np.random.default_rng(0).normal(size=50)
    means = [values[n : n + SPELL].mean() for n in range(50 - SPELL + 1)]
    steps = [(means[n + SPELL] - means[n]) ** 2 * SPELL / 2 for n in range(len(means) - SPELL)]
    found = Steps.of(values)
    assert found.spells == len(steps) == 50 - 2 * SPELL + 1
    assert found.far == pytest.approx(sum(steps))
    assert Steps.of(values[: 2 * SPELL - 1]).spells == 0
    assert Steps.of(values[: 2 * SPELL]).spells == 1


def test_the_variance_is_the_upper_end_of_its_chi_squared_interval():
    runs = [Steps.of(np.tile([0.5, -0.5, 0.7], 4)) for _ in range(3)]
    assert sum(run.far for run in runs) / sum(run.spells for run in runs) < sum(run.squares for run in runs) / 33
    variance, count = Steps.joint(runs)
    assert count == 33
    df = 2 * 33 / 3
    # It is thought too small in 43 cases of a hundred.
    assert variance == pytest.approx(sum(run.squares for run in runs) / 33 * df / oracle.chi2.ppf(0.43, df))


def persistent(rng, days, correlation):
    """Days of variance 1, each a little like the last."""
    noise = rng.normal(size=days)
    for day in range(1, days):
        noise[day] = correlation * noise[day - 1] + math.sqrt(1 - correlation**2) * noise[day]
    return noise


def test_days_that_bring_their_like_are_taken_for_noisier():
    rng = np.random.default_rng(8)
    plain = Steps.joint([Steps.of(rng.normal(size=3000))])[0]
    alike = Steps.joint([Steps.of(persistent(rng, 3000, 0.4))])[0]
    assert plain == pytest.approx(1, abs=0.15)
    assert alike > 1.0, "it is 1"
    assert Steps.joint([Steps.of(persistent(rng, 3000, 0.4))], spells=False)[0] < 0.7
    # A few spells are not believed much: they are drawn towards what steps of one day say, by fifty more.
    few = Steps.of(np.repeat([0.0, 1.0, 0.0, 1.0], 8))
    near, df = few.squares / few.count, 2 * few.count / 3
    drawn = (few.far + 50 * near) / (few.spells + 50)
    above = df / oracle.chi2.ppf(0.43, df)
    assert few.far / few.spells > drawn > near
    assert Steps.joint([few])[0] == pytest.approx(min(drawn, 1.75 * near) * above)
    assert Steps.joint([few], spells=False)[0] == pytest.approx(near * above)


def test_a_change_of_level_is_not_taken_for_noise():
    level = np.repeat([0.0, 8.0], 40) + np.random.default_rng(9).normal(size=80)
    assert Steps.joint([Steps.of(level)])[0] < 4
    assert np.var(level) > 16


def test_fewer_days_than_five_or_a_step_that_is_no_number_tell_nothing():
    assert Steps.joint([]) is None
    assert Steps.joint([Steps.of(np.arange(4.0))]) is None
    assert Steps.joint([Steps.of(np.arange(5.0))]) is not None
    assert Steps.joint([Steps.of(np.arange(3.0))] * 2) is not None
    assert Steps.joint([Steps.of(np.array([0, 1, np.nan, 2, 3.0]))]) is None
    assert Steps.joint([Steps.of(np.arange(30.0)), Steps.of(np.array([0, np.inf, 1]))]) is None


@pytest.mark.parametrize("days", [5, 15, 60])
def test_the_variance_is_thought_too_small_in_no_more_than_its_share(days):
    rng = np.random.default_rng(4)
    found = np.array([Steps.joint([Steps.of(rng.normal(size=days))])[0] for _ in range(2000)])
    # Two thirds of a degree of freedom a step is an approximation, and spells only ever add.
    assert 0.2 < (found < 1).mean() < 0.46


def test_a_slow_decay_is_not_taken_for_noise():
    rng = np.random.default_rng(5)
    decay = np.linspace(0, 10, 90) + rng.normal(size=90)
    variance, _ = Steps.joint([Steps.of(decay)])
    assert variance < 2 < np.var(decay)


# The bound


def excess(rng, runs, days, half):
    """The share of runs whose sum of noise is ever beyond the bound."""
    sums = np.cumsum(rng.normal(size=(runs, days)), axis=1)
    ends = np.array([half(float(n)) for n in range(1, days + 1)])
    return float((sums > ends).any(axis=1).mean())


def test_the_bound_holds_at_all_times_at_once():
    rng, runs = np.random.default_rng(6), 4000
    tail = 3 * math.sqrt(0.05 * 0.95 / runs)
    for tuned in (1.0, 7.0, 100.0):
        assert excess(rng, runs, 500, lambda v, t=tuned: confidence_sequence(v, 0.95, t)) <= 0.05 + tail
    fixed = oracle.norm.ppf(0.95)
    assert excess(rng, runs, 500, lambda v: fixed * math.sqrt(v)) > 0.3, "an interval for one look, looked at daily"


def test_the_bound_is_the_one_sided_normal_mixture():
    for variance, confidence, tuned in ((1.0, 0.95, 7.0), (30.0, 0.9, 7.0), (0.0, 0.99, 1.0)):
        both = variance + tuned
        wanted = math.sqrt(2 * both * math.log(math.sqrt(both / tuned) / (2 * (1 - confidence)) + 1))
        assert confidence_sequence(variance, confidence, tuned) == pytest.approx(wanted)
    for bad in ((-1.0, 1.0), (math.nan, 1.0), (1.0, 0.0), (1.0, math.nan)):
        assert confidence_sequence(bad[0], 0.95, bad[1]) == math.inf


@given(st.floats(0, 1e4), st.floats(0.6, 0.98), st.floats(0.1, 100))
@laws
def test_the_bound_widens_with_the_variance_and_with_confidence(variance, confidence, tuned):
    here = confidence_sequence(variance, confidence, tuned)
    assert confidence_sequence(variance * 1.1 + 0.1, confidence, tuned) > here
    assert confidence_sequence(variance, confidence + 0.01, tuned) > here
    assert here > oracle.norm.ppf(confidence) * math.sqrt(variance)
