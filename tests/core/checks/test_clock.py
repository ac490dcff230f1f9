"""Rows that are all early or late, and dates against the row's own day: no number of the table says so."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.learned.feed import feed_measures, lags
from pipeline.core.checks.learned.measures import ROWS
from pipeline.core.checks.learned.question import check_usual
from pipeline.core.checks.learned.slices import clock_measures
from pipeline.core.tables import Column, Feed
from pipeline.core.verdict import Outcome

MONDAY = date(2023, 1, 2)
RIDES = Feed(
    name="rides",
    path="rides/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("ride", "integer"),
        Column("pickup", "timestamp"),
        Column("arrival", "timestamp", empty=True, outcome=True),
        Column("valid", "date"),
        Column("lead", "integer"),
    ),
    key=("day", "ride"),
    day="day",
    time="pickup",
)
Rows = dict[str, Any]


def rides(day: date, hours_ahead: int = 0) -> Rows:
    """Some hundred rides, most of them in the afternoon; by a clock that is so many hours ahead of UTC."""
    rng, n = np.random.default_rng(day.toordinal()), 110
    own = np.datetime64(day)
    pickup = own.astype("datetime64[s]") + (3600 * (rng.normal(14, 3.5, n).clip(4, 23) - hours_ahead)).astype("m8[s]")
    arrival = pickup + (60 * rng.gamma(4, 5, n)).astype("m8[s]")
    arrival[::25] = np.datetime64("NaT")
    lead = rng.integers(0, 90, n)
    return {
        "day": np.full(n, own),
        "ride": np.arange(n, dtype=float),
        "pickup": pickup.astype("datetime64[us]"),
        "arrival": arrival.astype("datetime64[us]"),
        "valid": own + lead.astype("m8[D]"),
        "lead": lead.astype(float),
    }


def two_days(plant: Any, known: int = 45, timezone: str = "UTC", ahead: Any = lambda day: 0) -> list[dict[str, str]]:
    """What refuses each of two days, by question, after so many sound ones."""
    past: dict[date, Any] = {}
    surprise: list[Any] = []
    odd: Any = {}
    found = []
    for n in range(known + 2):
        day = MONDAY + timedelta(n)
        rows = rides(day, ahead(day))
        now = feed_measures(RIDES, plant(rows) if n >= known else rows, timezone)
        learned = check_usual("rides", day, now, past, surprise, odd, odd if past else {})
        odd = learned.odd
        refused = {f.name: f.text for f in learned.findings if f.outcome is not Outcome.PASS and f.required}
        found.append(refused if len(past) > 9 else {})
        if not refused or len(past) < 10:
            past[day] = now
            surprise.append(learned.surprise)
    return found[-2:]


def later(rows: Rows, hours: int) -> Rows:
    return {**rows, **{name: rows[name] + np.timedelta64(hours, "h") for name in ("pickup", "arrival")}}


@pytest.mark.parametrize("hours", [-3, 3, 5])
def test_rows_that_are_all_early_or_late_are_found_though_no_hour_has_many(hours: int) -> None:
    first, second = two_days(lambda rows: later(rows, hours))
    text = (first | second)["rides: volume"]
    assert "the mean of '" in text
    assert " hour' is " in text


def test_a_mean_hour_is_one_on_the_circle() -> None:
    """Half at eleven, half at one: around midnight, not around noon."""
    rows = {"pickup": np.datetime64(MONDAY).astype("datetime64[us]") + np.tile([23, 1], 20) * np.timedelta64(1, "h")}
    measures = dict(clock_measures(RIDES, rows, "UTC"))
    assert measures["clock|local"][1] == 40
    assert np.cos(2 * np.pi * measures["clock|local"][0] / 24) == pytest.approx(1)
    assert measures["clock|american"][0] == pytest.approx(19)


@pytest.mark.parametrize("hour", [2, 14, 19, 23.9])
def test_two_hours_late_are_found_wherever_on_the_clock(hour: float) -> None:
    """Somebody's clock strikes midnight there."""
    rng = np.random.default_rng(0)

    def measured(late: float) -> dict[str, tuple[float, int]]:
        moments = np.datetime64(MONDAY).astype("datetime64[s]") + (3600 * rng.normal(hour + late, 4, 200)).astype(
            "m8[s]"
        )
        return {ROWS: (200.0, 200), **dict(clock_measures(RIDES, {"pickup": moments}, "UTC"))}

    past = {MONDAY + timedelta(n): measured(0) for n in range(40)}
    surprise = [{"volume": 1.0 + 0.05 * n} for n in range(30)]
    odd: Any = {}
    for n in (40, 41):
        learned = check_usual("rides", MONDAY + timedelta(n), measured(2), past, surprise, odd)
        odd = learned.odd
    (volume,) = (finding for finding in learned.findings if finding.name == "rides: volume")
    assert volume.outcome is Outcome.FAIL
    told = float(volume.text.partition(" hour' is ")[2].partition(",")[0])
    assert 0 <= told < 24


def test_summer_time_makes_nothing_early() -> None:
    """A business by New York's clock whose declaration keeps to UTC: an hour less from 12 March on."""

    def ahead(day: date) -> int:
        return -4 if day >= date(2023, 3, 12) else -5

    assert two_days(lambda rows: rows, (date(2023, 3, 12) - MONDAY).days, "UTC", ahead) == [{}, {}]


def test_dates_and_moments_are_told_from_the_rows_own() -> None:
    rows = rides(MONDAY)
    columns, values = lags(RIDES, rows)
    assert [(c.name, c.type, c.empty, c.outcome) for c in columns] == [
        ("arrival (hours after pickup)", "number", True, True),
        ("valid (days after day)", "number", False, False),
    ]
    assert np.array_equal(values["valid (days after day)"], rows["lead"])
    hours = values["arrival (hours after pickup)"]
    assert np.isnan(hours[::25]).all()
    assert hours[1] == pytest.approx((rows["arrival"][1] - rows["pickup"][1]) / np.timedelta64(3600, "s"), abs=1e-3)


def test_a_date_that_slipped_by_a_day_is_found_by_the_number_that_says_it_too() -> None:
    first, _ = two_days(lambda rows: {**rows, "valid": rows["valid"] - np.timedelta64(1, "D")})
    assert "'valid (days after day)'" in first["rides: relations"]


def test_arrivals_that_an_hour_was_added_to_are_found() -> None:
    first, _ = two_days(lambda rows: {**rows, "arrival": rows["arrival"] + np.timedelta64(1, "h")})
    assert "'arrival (hours after pickup)'" in first["rides: levels"]
