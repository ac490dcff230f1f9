"""A table that says again what it had moved on from is found by its digest, whichever earlier day it equals."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipeline.core.checks.old_content import old_content
from pipeline.core.verdict import Finding, Outcome
from tests.core.checks.visits import Past, day_of, refused

FIRST = date(2024, 3, 1)


def judged(told: str, refused_days: int = 0) -> Finding:
    """The last letter is today's content, those before it the days before; the last of those may be refused ones."""
    days = [FIRST + timedelta(n) for n in range(len(told))]
    contents = dict(zip(days, told, strict=True))
    return old_content("planes", days[-1], contents, days[: len(days) - 1 - refused_days])


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ("abcdefghij", Outcome.PASS),  # new every day
        ("abcdefghii", Outcome.PASS),  # frozen: another question's business
        ("abcdefghih", Outcome.FAIL),  # a copy that lags by a day
        ("abcdefghia", Outcome.FAIL),  # the first file again
        ("aaaaaaaabbbcd" + "a", Outcome.FAIL),  # it seldom changes, and three changes are undone at once
        ("aaaaaaaabbbb" + "a", Outcome.PASS),  # somebody took a change back
        ("aaaaabaaaaaba" + "ab", Outcome.PASS),  # a flag for some days, as every week
        ("ababababab" + "a", Outcome.PASS),  # by turns, every day
        ("abcdef" + "e", Outcome.UNKNOWN),  # too few days to know how it moves
    ],
)
def test_content_of_an_earlier_day_is_old_unless_the_table_lives_so(told: str, outcome: Outcome) -> None:
    assert judged(told).outcome is outcome


def test_an_alarm_lasts_as_long_as_the_old_content_does() -> None:
    for days in range(9):
        found = judged("abcdefghi" + "e" * (days + 1), refused_days=days)
        assert found.outcome is Outcome.FAIL, days
    assert judged("abcdefghi" + "eee" + "j", refused_days=3).outcome is Outcome.PASS


def test_the_sentence_names_the_table_the_days_and_whom_to_ask() -> None:
    assert judged("abcdefghif").text == (
        "every row of 'planes' is as it was on 2024-03-06, and not as on 2024-03-09: 3 later versions are lost, as "
        "from a copy that lags or an old file (on no accepted day did it go back)"
    )


def test_a_snapshot_of_an_earlier_day_with_todays_date_is_refused() -> None:
    past = Past().run(12)
    tables = day_of(past.day)
    old = day_of(past.day - timedelta(4))["shops"]
    tables["shops"] = {**old, "refreshed": old["refreshed"] + 4}
    assert "shops: old content" in refused(past.judge(tables))
