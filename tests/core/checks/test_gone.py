"""What stays away on its weekday, or ends as others of its column have ended, is missed by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from pipeline.core.checks.gone import check_gone
from pipeline.core.checks.profiles import FeedProfile
from pipeline.core.checks.wording import TableFindings
from pipeline.core.verdict import Outcome

MONDAY = date(2024, 1, 1)
ABOUT = TableFindings("parts")


def profile(counts: Mapping[str, int]) -> FeedProfile:
    rows = sum(counts.values())
    return FeedProfile(rows, {"machine": rows}, {"machine": len(counts)}, {}, {"machine": counts}, {}, (), 0.0, {}, {})


def judged(days: list[Mapping[str, int]]) -> Outcome:
    """The last day, after those before it, all accepted."""
    past = {MONDAY + timedelta(n): profile(counts) for n, counts in enumerate(days[:-1])}
    return check_gone(ABOUT, MONDAY + timedelta(len(days) - 1), profile(days[-1]), past).outcome


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
    assert judged([*[other] * 20, base]) is Outcome.FAIL
