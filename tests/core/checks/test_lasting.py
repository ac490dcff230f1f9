"""An alarm lasts over days that can't tell, and ends on the first that does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.learned.feed import feed_measures
from pipeline.core.checks.learned.question import check_usual
from pipeline.core.tables import Column, Feed
from pipeline.core.verdict import Outcome

MONDAY = date(2023, 1, 2)
BOOKINGS = Feed(
    name="bookings",
    path="bookings/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("booking", "integer"),
        Column("channel", "string"),
        Column("company", "string", empty=True),
    ),
    key=("day", "booking"),
    day="day",
)
Rows = dict[str, Any]
Plant = Callable[[Rows], Rows]


def bookings(day: date) -> Rows:
    """Four hundred bookings; firms make a sixth of them on weekdays, one in fifty at weekends, and mostly say who."""
    rng, n = np.random.default_rng(day.toordinal()), 400
    firms = 0.16 if day.weekday() < 5 else 0.02
    channel = rng.choice(["site", "phone", "firms"], n, p=[0.7, 0.3 - firms, firms]).astype(object)
    company = np.array([f"c{k}" for k in rng.integers(0, 300, n)], dtype=object)
    company[(channel != "firms") | (rng.random(n) < rng.uniform(0.05, 0.12))] = None
    return {
        "day": np.full(n, np.datetime64(day)),
        "booking": np.arange(n, dtype=float),
        "channel": channel,
        "company": company,
    }


def without_firms(rows: Rows) -> Rows:
    kept = rows["channel"] != "firms"
    return {name: values[kept] for name, values in rows.items()}


def without_some_names(rows: Rows) -> Rows:
    """Half of the names: odd on one day, a fault on two; too few firms book at weekends to measure it at all."""
    company = rows["company"].copy()
    company[::2] = None
    return {**rows, "company": company}


def days_judged(plant: Plant, first: int, faulty: int, mended: int) -> list[set[str]]:
    """What refuses each day from the first faulty one on; a day that is refused is no past."""
    past: dict[date, Any] = {}
    surprise: list[Any] = []
    odd: Any = {}
    provisional: Any = {}
    found = []
    for n in range(first + faulty + mended):
        day = MONDAY + timedelta(n)
        rows = bookings(day)
        rows = plant(rows) if first <= n < first + faulty else rows
        now = feed_measures(BOOKINGS, rows)
        learned = check_usual("bookings", day, now, past, surprise, odd, provisional)
        refused = {
            finding.name for finding in learned.findings if finding.outcome is not Outcome.PASS and finding.required
        }
        odd = learned.odd
        if n >= first:
            found.append(refused if len(past) > 9 else set())
        if not refused or len(past) < 9:
            past[day], provisional = now, learned.odd
            surprise.append(learned.surprise)
    return found


def test_who_is_missing_since_a_weekday_is_missing_on_the_weekend_and_the_monday_after() -> None:
    found = days_judged(without_firms, 42, 14, 5)
    told = [
        refused for n, refused in enumerate(found[1:14], start=1) if n not in (6, 13)
    ]  # of a Sunday's few nobody can
    assert all("bookings: volume" in refused for refused in told), "from the second day on, Saturdays too"
    assert not any(found[14:]), "and not once they are back"


def test_one_that_begins_on_a_weekend_is_found_in_the_week() -> None:
    found = days_judged(without_firms, 40, 7, 0)
    assert all("bookings: volume" in refused for refused in found[3:])


def test_an_alarm_outlasts_days_on_which_it_can_not_be_measured() -> None:
    found = days_judged(without_some_names, 42, 12, 3)
    assert not found[0], "one odd day is ordinary life"
    assert not found[5] | found[6], "of so few nothing can be told"
    assert all("bookings: blanks" in refused for refused in [*found[1:5], *found[7:12]]), "on the Monday at once"
    assert not any(found[12:])


@pytest.mark.parametrize("seed_day", [0, 7, 14])
def test_sound_weeks_are_not_refused(seed_day: int) -> None:
    assert not any(days_judged(lambda rows: rows, 28 + seed_day, 7, 7))
