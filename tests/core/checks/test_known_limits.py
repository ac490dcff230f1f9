"""A limit that people are shown is the one that rings: at it a day is refused, well within it none is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from pipeline.core.checks.learned.known import KnownLimit, known_limits
from pipeline.core.checks.learned.measures import Measures
from pipeline.core.checks.learned.question import check_usual
from pipeline.core.checks.learned.sayings import measured
from pipeline.core.verdict import Outcome
from tests.core.checks.visits import Past

Surprises = list[Mapping[str, float]]


@pytest.fixture(scope="module")
def month() -> tuple[date, dict[date, Measures], Surprises, Measures]:
    past = Past().run(35)
    measures = {profile.day: profile.feeds["visits"].measures for profile in past.profiles}
    surprise: Surprises = [profile.surprise["visits"] for profile in past.profiles if "visits" in profile.surprise]
    last = past.profiles[-1].feeds["visits"].measures
    return past.day, measures, surprise, last


def refuses(month: Any, measure: str, value: float) -> bool:
    day, past, surprise, last = month
    now = {**last, measure: (value, last[measure][1])}
    found = check_usual("visits", day, now, past, surprise, {}).findings
    return any(finding.outcome is Outcome.FAIL for finding in found)


def limits_of(month: Any) -> list[KnownLimit]:
    day, past, surprise, last = month
    return known_limits(day, last, past, surprise)


@pytest.mark.parametrize(
    "measure", ["filled|shop", "level|spent|median", "share|town=york", "against|spent|town=york", "order|net|spent"]
)
def test_a_day_is_refused_at_the_limit_that_is_shown_and_not_well_within_it(month: Any, measure: str) -> None:
    limit = next(one for one in limits_of(month) if one.measure == measure)
    ends = [end for end in (limit.low, limit.high) if end is not None]
    assert ends
    for end in ends:
        beyond = end + 0.001 * (end - limit.usual)
        inside = limit.usual + 0.6 * (end - limit.usual)
        assert refuses(month, measure, beyond), (limit, beyond)
        assert not refuses(month, measure, inside), (limit, inside)


def test_every_question_of_the_table_has_limits_and_each_stands_on_days(month: Any) -> None:
    found = limits_of(month)
    assert {"blanks", "volume", "levels", "single values", "slices"} <= {one.family for one in found}
    assert all(5 <= one.days <= 35 for one in found)
    assert all((one.low is None or one.low < one.usual) and (one.high is None or one.high > one.usual) for one in found)


def test_what_no_single_day_is_refused_for_has_no_limit(month: Any) -> None:
    """A quiet day is a day off: the number of rows alone never refuses the first."""
    assert not refuses(month, "rows|all", 20.0)
    assert "rows|all" not in {one.measure for one in limits_of(month)}
    day, past, surprise, last = month
    young = {then: measures for then, measures in past.items() if then.weekday() != day.weekday()}
    assert known_limits(day, last, young, surprise) == []


def test_what_few_days_let_nobody_say_has_no_limit() -> None:
    past = Past().run(6)
    measures = {profile.day: profile.feeds["visits"].measures for profile in past.profiles}
    assert known_limits(past.day, measures[past.day - timedelta(1)], measures, []) == []


def test_every_measure_has_words_without_a_number(month: Any) -> None:
    *_, last = month
    shops = Past().run(3).profiles[-1].references["shops"].measures
    for measure in (*last, *shops, "step|weight|scale", "still|weight|scale", "slow|ratio|net|tax"):
        words, form = measured(measure)
        assert words, measure
        assert "usual" not in words, words
        assert form(0.25).strip(), measure
