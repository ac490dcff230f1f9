"""What stays away on its weekday, or ends as others of its column have ended, is missed by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import pytest

from pipeline.core.checks.gone import check_gone, may_be_gone, replaced, went
from pipeline.core.checks.profiles import PROFILE_DAYS, FeedProfile
from pipeline.core.checks.wording import TableFindings
from pipeline.core.verdict import Outcome

MONDAY = date(2024, 1, 1)
ABOUT = TableFindings("parts")


def profile(counts: Mapping[str, int]) -> FeedProfile:
    rows = sum(counts.values())
    return FeedProfile(rows, {"machine": rows}, {"machine": len(counts)}, {}, {"machine": counts}, {}, (), 0.0, {}, {})


def judged(days: list[Mapping[str, int]]) -> Outcome:
    """The last day, after those before it, all accepted."""
    today, now, past = told(days)
    return check_gone(ABOUT, today, now, past).outcome


def told(days: list[Mapping[str, int]]) -> tuple[date, FeedProfile, dict[date, FeedProfile]]:
    """The last day, what is known of it, and the days before it that are remembered."""
    past: dict[date, FeedProfile] = {}
    for n, counts in enumerate(days[:-1]):
        past[MONDAY + timedelta(n)] = replace(profile(counts), went=went(["machine"], past))
        past = dict(list(past.items())[-PROFILE_DAYS:])
    return MONDAY + timedelta(len(days) - 1), replace(profile(days[-1]), went=went(["machine"], past)), past


WHOLE = {"m1": 100, "m2": 100, "m3": 80}
SUNDAY = {"m1": 100, "m2": 100}


def test_a_machine_that_rests_on_sundays_is_missed_on_none() -> None:
    week = [*[WHOLE] * 6, SUNDAY]
    assert judged([*week * 3]) is Outcome.PASS
    # A first Sunday, too, is unlike any day that is known.
    assert judged([*[WHOLE] * 6, SUNDAY]) is not Outcome.FAIL
    # On another day of the week it is missed, also once Sundays were refused for something else.
    assert judged([*week * 2, *[WHOLE] * 3, SUNDAY]) is Outcome.PASS  # it came not daily
    assert judged([*[WHOLE] * 17, SUNDAY]) is Outcome.FAIL


def test_a_product_ends_as_those_before_it_did_and_a_larger_one_is_missed() -> None:
    base = {"m1": 300, "m2": 100}
    first, other = {**base, "p1": 60}, {**base, "p2": 60}
    # p1 has ended before, as large a part of the rows.
    assert judged([*[first] * 12, *[other] * 29, base]) is Outcome.PASS
    # m1 is a greater part than anything that has ended.
    assert judged([*[first] * 12, *[other] * 29, {"m2": 100, "p2": 60}]) is Outcome.FAIL
    # Where nothing has ended yet, the first that ends is asked about.
    assert judged([*[other] * 30, base]) is Outcome.FAIL


EIGHT = {f"m{n}": 100 for n in range(8)}


def without(*names: str) -> Mapping[str, int]:
    return {name: rows for name, rows in EIGHT.items() if name not in names}


def test_a_machine_that_is_repaired_for_two_days_tells_that_machines_are_repaired() -> None:
    repaired = [*[EIGHT] * 10, *[without("m1")] * 2, *[EIGHT] * 20]
    assert judged([*repaired, without("m2")]) is Outcome.PASS
    assert judged([*repaired, *[without("m2")] * 2]) is Outcome.PASS
    assert judged([*repaired, *[without("m2")] * 3]) is Outcome.FAIL, "for no longer than the other was away"
    assert judged([*[EIGHT] * 32, without("m2")]) is Outcome.FAIL
    # One that makes twice as much is missed all the same.
    large = [{**day, "m7": 200} for day in repaired]
    assert judged([*large, without("m7")]) is Outcome.FAIL
    # So is the volume of the day asked about the one, and not about the other.
    _, now, past = told([*repaired, without("m2")])
    assert may_be_gone(now, past, {}) == {("machine", "m2")}
    _, now, past = told([*large, without("m7")])
    assert may_be_gone(now, past, {}) == set()


def test_what_ended_for_good_lets_others_end_that_no_list_has() -> None:
    today, now, past = told([*[EIGHT] * 10, *[without("m1")] * 25, without("m1", "m2")])
    assert may_be_gone(now, past, {}) == {("machine", "m2")}
    assert check_gone(ABOUT, today, now, past).outcome is Outcome.PASS
    still = {"machine": set(EIGHT)}
    assert may_be_gone(now, past, still) == set()
    assert check_gone(ABOUT, today, now, past, listed=still).outcome is Outcome.FAIL, "a list has it still"


@pytest.mark.parametrize("away", [1, 2])
def test_who_went_yesterday_is_no_example_of_itself(away: int) -> None:
    """Or a day that was accepted with a word missing would let the second one pass."""
    _, now, past = told([*[EIGHT] * 20, *[without("m2")] * away, without("m2")])
    assert may_be_gone(now, past, {}) == set()


def test_what_went_is_known_for_longer_than_days_are_remembered_and_fades() -> None:
    repaired = [*[EIGHT] * 10, *[without("m1")] * 2]
    assert judged([*repaired, *[EIGHT] * (PROFILE_DAYS + 20), without("m2")]) is Outcome.PASS
    assert judged([*repaired, *[EIGHT] * (PROFILE_DAYS + 200), without("m2")]) is Outcome.FAIL


def test_a_weekday_off_and_a_day_of_few_rows_tell_nothing_of_repairs() -> None:
    assert went(["machine"], told([*[*[EIGHT] * 5, *[without("m1")] * 2] * 4, EIGHT])[2]) == {}
    few = {"m0": 20, "m2": 18}  # a holiday
    assert went(["machine"], told([*[EIGHT] * 10, few, *[EIGHT] * 5])[2]) == {}


@pytest.mark.parametrize("days", [10, 20])
def test_in_a_young_store_one_that_is_away_for_a_day_is_missed_on_the_second(days: int) -> None:
    """It may have a day off; and once it is back, it is known that such things have."""
    assert judged([*[EIGHT] * days, without("m2")]) is Outcome.PASS
    assert judged([*[EIGHT] * days, without("m2"), without("m2")]) is Outcome.FAIL
    assert judged([*[EIGHT] * days, *[without("m2")] * 2, without("m2")]) is Outcome.PASS, "a person accepted it"
    assert judged([*[EIGHT] * days, without("m2"), *[EIGHT] * 12, without("m5")]) is Outcome.PASS
    today, now, past = told([*[EIGHT] * days, without("m2")])
    assert "'machine' m2" in check_gone(ABOUT, today, now, past).text
    large = {**EIGHT, "m7": 300}
    assert judged([*[large] * days, without("m7")]) is Outcome.FAIL, "a large part is missed at once"


def test_a_new_van_that_is_listed_takes_the_place_of_an_old_one() -> None:
    old = [EIGHT] * 30
    new = {**without("m2"), "m9": 90}
    _, now, past = told([*old, new])
    listed = {*EIGHT, "m9"}
    assert replaced("machine", listed, now, past) == {"m2"}
    assert replaced("machine", {*EIGHT}, now, past) == set(), "a word that no list has may be a misread one"
    assert replaced("machine", listed, *told([*old, {**without("m2"), "m9": 20}])[1:]) == set(), "most of it is lost"
    assert replaced("machine", listed, *told([*old, {**without("m2"), "m1": 200}])[1:]) == set(), "nobody is new"
    assert replaced("lorry", listed, now, past) == set()
    one_for_two = told([*old, {**without("m2", "m3"), "m9": 110}])[1:]
    assert replaced("machine", listed, *one_for_two) == {"m2"}, "one newcomer takes one place"


def test_it_says_until_when_a_value_came() -> None:
    """In a young store it was missing on the last accepted day as well."""
    today, now, past = told([*[EIGHT] * 10, without("m2"), without("m2")])
    text = check_gone(ABOUT, today, now, past).text
    assert f"on each of the 10 accepted days to {MONDAY + timedelta(9)}" in text


def test_a_version_that_dwindled_may_end_and_one_that_did_not_is_missed() -> None:
    """A new firmware is rolled out: week by week fewer rows have the old one, and then none."""
    steady = {"m1": 300, "old": 60, "new": 20}
    rolled_out = [{"m1": 300, "old": max(60 - 4 * n, 12), "new": 20 + 4 * n} for n in range(15)]
    assert judged([*[steady] * 20, *rolled_out, {"m1": 300, "new": 80}]) is Outcome.PASS
    assert judged([*[steady] * 20, *rolled_out, *[{"m1": 300, "new": 80}] * 3]) is Outcome.PASS
    assert judged([*[steady] * 35, {"m1": 300, "new": 80}]) is Outcome.FAIL


def test_fewer_at_weekends_is_no_dwindling() -> None:
    week = [*[{"m1": 300, "m2": 80}] * 5, *[{"m1": 100, "m2": 8}] * 2]
    for days in range(29, 36):
        assert judged([*(week * 5)[:days], {"m1": 300}]) is Outcome.FAIL, days


def test_a_small_part_that_does_not_come_daily_may_be_gone_unless_a_list_has_it() -> None:
    every_other = [{"m1": 300, **({"m2": 20} if n % 2 else {})} for n in range(30)]
    _, now, past = told([*every_other, {"m1": 300}])
    assert may_be_gone(now, past, {}) == {("machine", "m2")}
    assert may_be_gone(now, past, {"machine": {"m1", "m2"}}) == set()
