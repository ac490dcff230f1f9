"""The gate that decides after any number of daily looks: its laws, its sentences, and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import REGRESSION, derived, shuffled, world, worlds

from pipeline.core.evidence.candidate import Evidence
from pipeline.core.evidence.paired_days import Noise, PairedDay, PairedDays
from pipeline.core.gates.better import Better, _how_often, regret_of
from pipeline.core.stats.sequential import e_detector
from pipeline.core.verdict import Outcome

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
laws = settings(max_examples=50, deadline=None, database=None)
ERROR = 0.01


def track(gains, error=ERROR, level=0.4, units=2000):
    """The candidate loses ``level`` a day, the champion so much more; all days have the same standard error."""
    gains = np.asarray(gains, dtype=float)
    n = len(gains)
    days = np.datetime64("2013-03-01") + np.arange(n)
    errors = np.broadcast_to(np.asarray(error, dtype=float), (n,)).copy()
    return PairedDays(days, np.full(n, units), np.full(n, level) + gains, np.full(n, level), errors)


def noisy(seed, days=30, mean=0.0, **shape):
    """Daily gains around ``mean``, in standard errors."""
    return track(ERROR * (mean + np.random.default_rng(seed).normal(size=days)), **shape)


def judged(head_to_head, gate=None, **fields):
    return (gate or Better()).judge(
        Evidence(REGRESSION, "version 3", "boosting_60", head_to_head=head_to_head, **fields)
    )[0]


def scaled(head_to_head, by):
    return replace(
        head_to_head,
        reference=head_to_head.reference * by,
        candidate=head_to_head.candidate * by,
        error=head_to_head.error * by,
    )


gains = st.lists(st.floats(-5, 5), min_size=5, max_size=40).map(lambda found: np.array(found) * ERROR)


# Laws


@given(worlds())
@laws
def test_a_twin_is_never_better_whatever_else_is_known_of_the_recipe(evidence):
    paired = evidence.paired
    resampled = derived(replace(evidence, paired=replace(paired, candidate=paired.champion)))
    assert Better(price=0).judge(resampled)[0].outcome is UNKNOWN
    aged = replace(resampled, ageing=(noisy(1, 60), noisy(2, 60)))
    assert Better(price=0).judge(aged)[0].outcome is not PASS


@given(gains, st.integers(0, 39), st.floats(0, 1))
@laws
def test_a_smaller_loss_of_the_candidate_never_lowers_regret_or_statistic(found, day, less):
    head_to_head = track(found)
    lower = head_to_head.candidate.copy()
    lower[day % len(lower)] *= 1 - less
    other = replace(head_to_head, candidate=lower)
    assert regret_of(other) >= regret_of(head_to_head) - 1e-12
    noise = Noise(1.5, 20)
    assert e_detector(noise.scores(other)) >= e_detector(noise.scores(head_to_head)) - 1e-12


@given(st.integers(0, 10**6), st.integers(0, 20), st.sampled_from(["reference", "candidate", "error"]))
@laws
def test_not_a_number_never_passes(seed, day, side):
    head_to_head = noisy(seed, 21, mean=5)
    assert judged(head_to_head).outcome is PASS
    values = getattr(head_to_head, side).copy()
    values[day] = np.nan
    assert judged(replace(head_to_head, **{side: values})).outcome is UNKNOWN


@given(gains, st.floats(0.001, 1000), st.booleans())
@laws
def test_the_unit_of_the_loss_changes_nothing(found, factor, refresh):
    head_to_head, ageing = track(found), (noisy(3), noisy(4))
    one = judged(head_to_head, ageing=ageing, refresh=refresh)
    two = judged(scaled(head_to_head, factor), ageing=tuple(scaled(each, factor) for each in ageing), refresh=refresh)
    assert (one.outcome, one.counts) == (two.outcome, two.counts)
    for end in ("value", "low", "high"):
        before, after = getattr(one, end), getattr(two, end)
        assert before == after or after == pytest.approx(before, rel=1e-6, abs=1e-9)


@given(st.integers(3, 60), st.integers(0, 59), st.floats(1, 1e6), st.booleans())
@laws
def test_one_single_day_however_large_never_passes_alone(days, at, size, blocked):
    found = np.zeros(days)
    found[at % days] = size * ERROR
    assert judged(track(found, error=ERROR if blocked else np.inf), ageing=(noisy(1, 60),)).outcome is not PASS


def test_without_the_clip_one_single_day_would_pass():
    found = np.zeros(30)
    found[-1] = 8
    threshold = math.log(Better().threshold(refresh=True, candidates=1))
    assert e_detector(found) < threshold < e_detector(found, clip=math.inf)


@given(worlds(), st.integers(0, 10**6))
@laws
def test_the_order_of_units_within_a_day_changes_nothing(evidence, seed):
    one, two = (derived(each).head_to_head for each in (evidence, shuffled(evidence, seed)))
    assert np.array_equal(one.days, two.days)
    assert np.array_equal(one.units, two.units)
    assert one.gain == pytest.approx(two.gain, rel=1e-9, abs=1e-12)
    assert one.error == pytest.approx(two.error, rel=1e-6, abs=1e-9)


def test_equals_are_swapped_in_far_less_than_a_hundredth_of_short_looks():
    looks = [world(seed, days=6, blocks=6, per_block=10, refit=0.3) for seed in range(300)]
    assert sum(Better().judge(derived(look))[0].outcome is PASS for look in looks) <= 3


# What it takes


def test_nothing_and_too_few_days_are_unknown():
    assert judged(None).outcome is UNKNOWN
    assert judged(track([])).text == "no day since the champion was promoted has scores of both"
    for days in (1, 2, 3, 4):
        finding = judged(noisy(0, days, mean=50))
        assert finding.outcome is UNKNOWN
        assert finding.text.startswith("the noise from day to day is not known yet, after")
        assert finding.counts["days"] == days
    assert judged(noisy(0, 3, mean=50), ageing=(noisy(1, 20),)).outcome is PASS


def test_nobody_who_loses_anything_is_unknown():
    finding = judged(track(np.zeros(10), level=0.0))
    assert (finding.outcome, finding.text) == (UNKNOWN, "neither has any loss")


def test_more_than_chance_is_not_enough_where_it_is_not_worth_the_price():
    head_to_head = track(ERROR * (3 + np.random.default_rng(0).normal(size=14)), level=100.0)
    assert regret_of(head_to_head) < 0.01
    assert judged(head_to_head).outcome is UNKNOWN
    assert "more days like the last ones would settle it" in judged(head_to_head).change
    assert judged(head_to_head, Better(price=0.001)).outcome is PASS


def test_worth_the_price_is_not_enough_where_chance_could_show_as_much():
    head_to_head = noisy(5, 30, mean=0.3, error=1.0)
    head_to_head = replace(scaled(head_to_head, 20), error=np.full(30, 20 * ERROR))
    assert regret_of(head_to_head) > 0.08
    assert judged(head_to_head).outcome is UNKNOWN


def test_a_candidate_shown_worse_fails():
    finding = judged(noisy(1, 20, mean=-3))
    assert finding.outcome is FAIL
    assert finding.value > 0
    assert finding.low > 0
    assert "higher than the champion's" in finding.text


def test_regret_is_pages_sum_in_days_of_the_candidates_loss():
    found = [0.1, -0.5, 0.2, 0.3, -0.1, 0.4]
    level, total, by_hand = 0.4, 0.0, []
    for gain in found:
        total = max(total + gain, 0.0)
        by_hand.append(total / level)
    for n, wanted in enumerate(by_hand, 1):
        assert regret_of(track(found[:n])) == pytest.approx(wanted)
    with_by, total = 0.25, 0.0
    for gain in found:
        total = max(total + gain - with_by * (level + gain), 0.0)
    assert regret_of(track(found), with_by) == pytest.approx(total / level)


def test_regret_weighs_the_level_by_units_and_is_boundless_where_nothing_is_lost():
    head_to_head = replace(track([0.1, 0.1]), candidate=np.array([1.0, 3.0]), reference=np.array([1.1, 3.1]))
    assert regret_of(replace(head_to_head, units=np.array([1, 3]))) == pytest.approx(0.2 / 2.5)
    assert regret_of(track([0.1, 0.1], level=0.0)) == math.inf
    assert regret_of(track([0.0, 0.0], level=0.0)) == 0.0


def test_a_day_of_a_few_units_is_no_day_of_loss():
    head_to_head = replace(track([0.0, 0.0, 0.0, 0.2]), units=np.array([2000, 2000, 2000, 6]))
    assert regret_of(head_to_head) == pytest.approx(0.2 / 0.4 * 6 / 1501.5)


# Refresh and switch


def test_the_budget_is_a_promotion_a_year_for_all_candidates_together():
    for candidates in (1, 2, 3, 8):
        gate = Better(by_chance=2.0)
        rates = [1 / gate.threshold(True, candidates)]
        rates += [1 / gate.threshold(False, candidates)] * (candidates - 1)
        assert sum(rates) * 365.25 == pytest.approx(2.0)
    assert Better().threshold(False, 5) == 4 * Better().threshold(True, 5)


def test_while_a_plain_rule_reigns_chance_may_err_more_often_but_no_more_than_declared():
    gate = Better(first_by_chance=6.0)
    for candidates in (1, 2, 8):
        rates = [1 / gate.threshold(False, candidates, champion_is_recipe=False)] * candidates
        assert sum(rates) * 365.25 == pytest.approx(6.0)
    head_to_head = noisy(1, 8, mean=1.0, level=0.1)
    assert judged(head_to_head, refresh=False, candidates=8).outcome is UNKNOWN
    first = judged(head_to_head, refresh=False, candidates=8, champion_is_recipe=False)
    assert first.outcome is PASS
    assert first.text.startswith("its fresh fits: ")


def test_a_switch_needs_more_than_a_refresh():
    head_to_head = noisy(1, 8, mean=2, level=0.4)
    assert judged(head_to_head).outcome is PASS
    switch = judged(head_to_head, refresh=False)
    assert switch.outcome is UNKNOWN
    assert "a switch costs 50 %" in switch.text
    assert "boosting_60 as it would be served" in switch.text
    assert judged(head_to_head, Better(switch_price=0.08), refresh=False).outcome is PASS
    assert judged(head_to_head, Better(switch_price=0.08), refresh=False, candidates=10**4).outcome is UNKNOWN


def test_switch_by_asks_for_more_of_another_recipe_and_nothing_of_a_refresh():
    head_to_head = track(0.04 + 0.2 * ERROR * np.random.default_rng(0).normal(size=40))  # 9 % lower
    gate = Better(switch_price=0.05)
    assert judged(head_to_head, replace(gate, switch_by=0.05), refresh=False).outcome is PASS
    assert judged(head_to_head, replace(gate, switch_by=0.089), refresh=False).outcome is UNKNOWN
    assert judged(head_to_head, replace(gate, switch_by=0.3), refresh=False).outcome is UNKNOWN
    assert judged(head_to_head, replace(gate, switch_by=0.3)).outcome is PASS
    assert "regret 0 % of" in judged(head_to_head, replace(gate, switch_by=0.3), refresh=False).text
    assert judged(head_to_head, replace(gate, switch_by=0.05, switch_price=3), refresh=False).outcome is UNKNOWN
    assert judged(head_to_head, replace(gate, switch_price=3), refresh=False).outcome is PASS
    assert judged(head_to_head, replace(gate, switch_by=0.3), refresh=False).wanted.high == -0.3


def test_a_recipe_known_to_age_needs_less_proof_each_time():
    head_to_head = noisy(8, 10, mean=0.7)
    alone = judged(head_to_head)
    assert alone.outcome is UNKNOWN
    steady = judged(head_to_head, ageing=(noisy(2, 200), noisy(3, 200), noisy(4, 200)))
    assert steady.outcome is UNKNOWN
    known = judged(head_to_head, ageing=(noisy(2, 200), noisy(3, 200, mean=1.0), noisy(4, 200, mean=1.0)))
    assert known.outcome is PASS


def test_the_evidence_of_champion_and_ageing_together_is_no_more_than_a_mean():
    head_to_head, ageing = noisy(8, 10, mean=1.0), tuple(noisy(seed, 200) for seed in (2, 3, 4))
    noise = Noise.of([head_to_head, *ageing])
    own = 0.8 * math.exp(e_detector(noise.scores(head_to_head)))
    rest = sum(0.2 / 3 * math.exp(each.log_e_statistic) for each in ageing)
    assert own > 10 * rest, "else nobody would see another share"
    text = judged(head_to_head, ageing=ageing).text
    assert f"chance would show as much {_how_often(math.log(own + rest))}" in text


def test_models_that_agree_on_every_unit_have_shown_nothing_however_sure_that_is():
    errors = np.full(30, ERROR)
    errors[::2] = 0.0
    head_to_head = replace(noisy(1), error=errors, reference=np.where(errors > 0, noisy(1).reference, 0.4))
    told = Noise.of([head_to_head]).scores(head_to_head)
    assert np.isfinite(told).all()
    assert (told[::2] == 0).all()


def test_ageing_does_not_replace_what_this_champion_owes():
    fresh = noisy(2, 4)
    assert regret_of(fresh) < 0.08
    assert judged(fresh, ageing=(noisy(3, 200, mean=3.0),)).outcome is UNKNOWN


# Noise


def test_a_day_with_too_few_blocks_is_told_from_the_days_before():
    rng = np.random.default_rng(0)
    days = [
        PairedDay.of(np.datetime64("2013-03-01") + n, sizes * (0.5 + 0.03 * rng.normal(size=2)), sizes * 0.4, sizes)
        for n, sizes in enumerate(np.full((30, 2), 50))
    ]
    head_to_head = PairedDays.of(days)
    assert not head_to_head.has_block_errors
    assert np.isinf(head_to_head.error).all()
    noise = Noise.of([head_to_head])
    assert noise.spread == pytest.approx(0.03 / math.sqrt(2), rel=0.4)
    assert judged(head_to_head).outcome is PASS
    assert Noise.of([head_to_head, noisy(1, 300)]).steps == 29, "tracks with blocks speak another unit"


def test_a_holiday_of_a_few_blocks_tells_nothing_and_hides_nothing():
    """A year of a recipe's ageing is not lost to the one day of it that has no error by blocks, or no loss."""
    year, promoted = noisy(1, 300), track([0.05, 0.06, 0.04])
    holiday = replace(year, error=np.where(np.arange(300) == 7, math.inf, year.error))
    broken = replace(holiday, candidate=np.where(np.arange(300) == 9, math.nan, year.candidate))
    for known in (year, holiday, broken):
        assert judged(promoted, ageing=(known,) * 3).outcome is PASS
    short = replace(promoted, error=np.array([ERROR, ERROR, math.inf]))
    told = Noise.of([short, year])
    assert told.scores(short)[2] == 0.0
    assert judged(short, ageing=(year,) * 3).high < 0


def test_days_that_differ_more_than_their_blocks_say_are_taken_for_noisier():
    calm = noisy(0, 60, mean=0.8)
    stormy = replace(calm, error=calm.error / 4)
    assert Noise.of([calm]).factor == pytest.approx(1, abs=0.5)
    assert Noise.of([stormy]).factor == pytest.approx(16, rel=0.4)
    as_told = e_detector(Noise(1.0, 59).scores(stormy))
    assert e_detector(Noise.of([stormy]).scores(stormy)) < as_told / 2


def test_a_change_of_level_between_two_recipes_is_not_taken_for_noise():
    changing = track(ERROR * np.repeat([6.0, -6.0, 6.0, -6.0, 6.0], 8))
    assert Noise.of([changing], spells=False).factor < Noise.of([changing]).factor
    switch = judged(changing, Better(switch_price=0.08), refresh=False).text
    assert f"{_how_often(e_detector(Noise.of([changing], spells=False).scores(changing)))}, wanted" in switch


def test_blocks_too_calm_to_be_true_are_not_believed_to_be_calmer_than_they_say():
    head_to_head = track(ERROR * (1 + 0.01 * np.random.default_rng(0).normal(size=30)))
    assert Noise.of([head_to_head]).factor == 1.0


def test_a_day_is_the_jackknife_of_its_blocks():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 30, 12)
    above, below = rng.gamma(2, sizes), rng.gamma(2, sizes)
    day = PairedDay.of(np.datetime64("2013-03-01"), above, below, sizes)
    left = [((above - below).sum() - (above - below)[n]) / (sizes.sum() - sizes[n]) for n in range(12)]
    whole = (above - below).sum() / sizes.sum()
    assert day.reference - day.candidate == pytest.approx(whole)
    assert day.error == pytest.approx(math.sqrt(11 / 12 * np.sum((np.array(left) - whole) ** 2)))
    assert PairedDay.of(np.datetime64("2013-03-01"), above[:4], below[:4], sizes[:4]).error == math.inf
    none = np.empty(0)
    assert PairedDay.of(np.datetime64("2013-03-01"), none, none, none.astype(int)) is None
    assert len(PairedDays.of([None, day, None])) == 1


# Words


def test_the_sentence_tells_loss_regret_price_and_chance():
    head_to_head = track(np.tile([0.01, 0.025], 4))
    assert str(judged(head_to_head)) == (
        "better: PASS  fresh fits of its recipe: loss 4.2 % lower than the champion's since 2013-03-01 (at any time "
        "95 %: at least 1.3 % lower); regret 35 % of a day's loss, a refresh costs 8 %; chance would show as much once "
        "in 14.0 years, wanted: once in 1.0 years; 8 days, 16,000 units"
    )
    assert judged(head_to_head).counts == {"days": 8, "units": 16000}


def test_an_open_question_says_how_many_more_days_would_settle_it():
    head_to_head = track(0.006 + np.tile([0.002, -0.002], 8))
    open_ = judged(head_to_head)
    assert open_.outcome is UNKNOWN
    told = open_.change
    assert told.startswith("about ")
    assert told.endswith(" more days like the last ones would settle it")
    more = int(told.split()[1])
    settled = next(n for n in range(1, 200) if judged(track(np.tile(head_to_head.gain, 20)[: 16 + n])).outcome is PASS)
    assert settled / 2 <= more <= settled * 2
    worse = judged(track(-0.002 + np.tile([0.002, -0.002], 8)))
    assert worse.change == "more days like the last ones would not show it to be better"


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (0.3, "every day"),
        (2.2, "every 2 days"),
        (45, "every 45 days"),
        (50, "every 2 months"),
        (301, "once in 0.8 years"),
        (365.25 * 40, "once in 40 years"),
        (math.inf, "once in 1,000,000 years"),
    ],
)
def test_how_often_chance_shows_as_much_is_told_in_days_months_or_years(days, told):
    assert _how_often(math.log(days)) == told


@pytest.mark.parametrize(
    ("nonsense", "named"),
    [
        ({"price": -0.1}, "price"),
        ({"price": math.nan}, "price"),
        ({"switch_price": 100}, "switch_price"),
        ({"switch_by": math.inf}, "switch_by"),
        ({"by_chance": 0}, "by_chance"),
        ({"by_chance": 400}, "by_chance"),
        ({"by_chance": math.nan}, "by_chance"),
        ({"first_by_chance": 0}, "first_by_chance"),
        ({"confidence": 0.5}, "confidence"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_nonsense_is_refused_in_a_sentence_that_names_it(nonsense, named):
    with pytest.raises(ValueError, match=f"gate 'better': .*{named}"):
        Better(**nonsense)
