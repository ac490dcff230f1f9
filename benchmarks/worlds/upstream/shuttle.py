"""A county's call-a-ride fleet: a few dozen rides a day, school term, dialysis days, a fair."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from benchmarks.worlds.business import CHICAGO, FIRST, LAST, Business, days_since, pick, us_holiday
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    drop,
    lagging,
    mark,
    moments,
    moved,
    number,
    put,
    ref,
    rng,
    utc,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

RIDES = Feed(
    name="rides",
    path="rides/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("ride", "integer"),
        Column("vehicle", "string"),
        Column("zone_from", "string"),
        Column("zone_to", "string"),
        Column("pickup_at", "timestamp"),
        Column("purpose", "string"),
        Column("riders", "integer"),
        Column("wheelchair", "integer"),
        Column("booked_ahead", "number", empty=True),
        Column("km", "number"),
        Column("price", "number"),
        Column("wait_minutes", "number", empty=True, outcome=True),
        Column("ride_minutes", "number", empty=True, outcome=True),
        Column("no_show", "integer", outcome=True),
        Column("stars", "integer", empty=True, outcome=True),
    ),
    key=("ride",),
    day="day",
    time="pickup_at",
)
VEHICLES = ref(
    "vehicles",
    (
        Column("vehicle", "string"),
        Column("driver", "string"),
        Column("seats", "integer"),
        Column("ramp", "integer"),
        Column("odometer", "integer"),
        Column("depot", "string"),
    ),
    ("vehicle",),
    ("rides", ("vehicle",)),
)
ZONES = ref(
    "zones",
    (
        Column("zone", "string"),
        Column("kind", "string"),
        Column("population", "integer"),
        Column("fare_zone", "integer"),
    ),
    ("zone",),
    ("rides", ("zone_from",)),
)
_dice = rng(7401)
_X, _Y = _dice.normal(0, 11, 18), _dice.normal(0, 9, 18)
_X[0] = _Y[0] = 0.0  # the county seat
_X[1], _Y[1] = 1.5, -1.0  # the clinic
_FARE = 1 + (np.hypot(_X, _Y) > 7) + (np.hypot(_X, _Y) > 15)
_Z = np.array([f"z{i:02d}" for i in range(18)], dtype=object)
_POP = np.array([9200, 900] + [300 + mark(f"pop{i}") % 1900 for i in range(2, 18)])
PRICES = date(2023, 9, 18)


def _term(day: date) -> bool:
    return (
        not (date(2023, 6, 2) <= day <= date(2023, 8, 20))
        and day.weekday() < 5
        and not us_holiday(day)
        and not (date(2023, 11, 22) <= day <= date(2023, 11, 24))
    )


def _vehicles(day: date) -> list[int]:
    return [v for v in range(13) if v < 11 or day >= (date(2023, 8, 14), date(2023, 10, 30))[v - 11]]


def _event(day: date) -> str:
    return us_holiday(day) or ("county fair" if date(2023, 8, 9) <= day <= date(2023, 8, 12) else "")


@lru_cache(maxsize=64)
def shuttle(day: date) -> Day:
    dice, n, w = rng(7402, day), day.toordinal(), day.weekday()
    fair = date(2023, 8, 9) <= day <= date(2023, 8, 12)
    mean = 30 if us_holiday(day) else (74, 70, 76, 71, 78, 55, 42)[w]
    mean = mean * (1.35 if fair else 1) + 16 * _term(day)
    count = int(dice.poisson(mean * np.exp(dice.normal(0, 0.06))))
    weights = np.array(
        [
            2.6 if w in (0, 2, 4) else 1.4 if w < 5 else 0.3,
            1.6 if w < 5 else 0.5,
            1.3 + 0.6 * (w == 5),
            1.4 if _term(day) else 0,
            1.2 + (w >= 5) + 2 * fair,
        ]
    )
    purpose = pick(dice, count, ("medical", "work", "shopping", "school", "social"), weights)
    home = dice.choice(np.arange(2, 18), count, p=_POP[2:] / _POP[2:].sum())
    home = np.where(dice.random(count) < 0.25, 0, home)
    other = dice.choice(np.arange(18), count, p=np.sqrt(_POP) / np.sqrt(_POP).sum())
    goal = np.select(
        [purpose == "medical", (purpose == "shopping") | (purpose == "school"), (purpose == "social") & fair],
        [np.where(dice.random(count) < 0.8, 1, 0), np.where(dice.random(count) < 0.75, 0, other), 5],
        other,
    )
    back = dice.random(count) < 0.46
    a, b = np.where(back, goal, home), np.where(back, home, goal)
    same = a == b
    b = np.where(same, (b + 1) % 18, b)
    centre = np.select(
        [purpose == "medical", purpose == "work", purpose == "shopping", purpose == "school"],
        [9.3, 7.3, 10.5, 7.6],
        15.0,
    )
    hour = (
        centre
        + np.where(back, np.select([purpose == "work", purpose == "school"], [9.2, 7.6], 3.2), 0)
        + dice.normal(0, 1.1, count)
    )
    minute = np.round(np.clip(hour * 60, 330, 1320) / 5) * 5
    chair = dice.random(count) < np.where(purpose == "medical", 0.2, 0.05)
    riders = (
        1
        + (dice.random(count) < 0.22)
        + (purpose == "school") * (dice.random(count) < 0.4)
        + (dice.random(count) < 0.04)
    )
    fleet = [v for v in _vehicles(day) if mark(f"shop{v}/{(n + v) // 3}") % 16]
    on = dice.choice(
        fleet,
        count,
        p=np.array([1.0 + (v % 3 == 0) * 0.4 for v in fleet]) / sum(1.0 + (v % 3 == 0) * 0.4 for v in fleet),
    )
    ramps = [v for v in fleet if v % 3 == 0] or fleet
    on = np.where(chair, dice.choice(ramps, count), on)
    km = np.round(np.hypot(_X[a] - _X[b], _Y[a] - _Y[b]) * dice.uniform(1.2, 1.4, count) + 0.8, 1)
    ahead = np.where(
        (purpose == "medical") | (purpose == "school"), dice.gamma(2, 1500, count), dice.gamma(1, 500, count)
    )
    step = 0.5 if day >= PRICES else 0.0
    full = 2.0 + step + 1.0 * np.maximum(_FARE[a], _FARE[b]) - 1
    price = np.where(
        purpose == "school", 0.0, np.where((purpose == "medical") | (dice.random(count) < 0.3), full / 2, full)
    )
    busy = count / 75
    gone = dice.random(count) < np.where(ahead > 2500, 0.1, 0.045)
    wait = np.round(
        np.maximum(dice.gamma(1.6, 4.2 * busy, count) + 0.12 * np.hypot(_X[a], _Y[a]) - 2 * (ahead > 1000), 0), 1
    )
    trip = np.round(km / dice.normal(46, 4, count) * 60 + 3 + 4 * chair + 2 * (riders - 1), 1)
    stars = np.clip(np.round(dice.normal(4.7 - 0.06 * wait, 0.7)), 1, 5)
    order = np.lexsort((on, minute))
    table = build(
        RIDES,
        day=day,
        ride=days_since(day) * 500 + np.arange(count) + 10**6,
        vehicle=[f"V{v + 1}" for v in on[order]],
        zone_from=_Z[a][order],
        zone_to=_Z[b][order],
        pickup_at=utc(day, minute, CHICAGO)[order],
        purpose=purpose[order],
        riders=riders[order],
        wheelchair=chair.astype(int)[order],
        booked_ahead=missing(dice, np.round(ahead), 0.05)[order],
        km=km[order],
        price=price[order],
        wait_minutes=np.where(gone, np.nan, wait)[order],
        ride_minutes=np.where(gone, np.nan, trip)[order],
        no_show=gone.astype(int)[order],
        stars=np.where(gone | (dice.random(count) > 0.38), np.nan, stars)[order],
    )
    known = _vehicles(day)
    week = n // 7
    vehicles = build(
        VEHICLES,
        vehicle=[f"V{v + 1}" for v in known],
        driver=[f"D{(v * 3 + (week + v) // 2 * (1 + v % 2)) % 17 + 1:02d}" for v in known],
        seats=[(8, 6, 4)[v % 3] for v in known],
        ramp=[int(v % 3 == 0) for v in known],
        odometer=[
            41000 + 9000 * (mark(f"od{v}") % 12) + (n - 738600) * (140 + 17 * v) + mark(f"km{v}/{n}") % 90
            for v in known
        ],
        depot=["east" if v % 4 == 1 else "seat" for v in known],
        refreshed=day,
    )
    zones = build(
        ZONES,
        zone=_Z,
        kind=["town", "clinic"] + [("village", "farms", "lake")[i % 3] for i in range(2, 18)],
        population=_POP,
        fare_zone=_FARE,
        refreshed=day,
    )
    return {"rides": table, "vehicles": vehicles, "zones": zones}


def _both_ways(tables: Day, _: date, __: date) -> Day:
    rows = tables["rides"]
    return {"rides": put(rows, zone_from=rows["zone_to"], zone_to=rows["zone_from"])}


def _full_price(tables: Day, _: date, __: date) -> Day:
    """Who travels free or at half price is booked at the standard fare."""
    rows = tables["rides"]
    old = number(rows, "price")
    return {"rides": put(rows, price=np.where(old < 2, 3.0, old))}


def _last_week(tables: Day, day: date, _: date) -> Day:
    """Last week's file with new dates and new numbers."""
    rows = shuttle(day - timedelta(7))["rides"]
    return {
        "rides": put(
            rows,
            day=day,
            pickup_at=moments(rows, "pickup_at") + np.timedelta64(7 * 86400, "s"),
            ride=days_since(day) * 500 + np.arange(len(rows)) + 10**6,
        )
    }


def _no_chair(tables: Day, _: date, __: date) -> Day:
    rows = tables["rides"]
    return {"rides": put(rows, wheelchair=np.zeros(len(rows), dtype=int))}


FAULTS: dict[str, Plant] = {
    "wait_in_seconds": change("rides", "wait_minutes", lambda v: np.round(v * 60)),
    "km_are_miles": change("rides", "km", lambda v: np.round(v / 1.609, 1)),
    "no_shows_left_out": drop("rides", lambda r: number(r, "no_show") == 1),
    "from_and_to_exchanged": _both_ways,
    "pickup_as_if_utc": moved("rides", "pickup_at", -300),
    "everybody_pays_the_standard_fare": _full_price,
    "last_weeks_file_redated": _last_week,
    "stars_from_the_other_end": change("rides", "stars", lambda v: 6 - v),
    "vehicles_lag_three_weeks": lagging(shuttle, "vehicles", 21),
    "wheelchair_always_no": _no_chair,
}
BUSINESS = Business("shuttle", (RIDES, VEHICLES, ZONES), shuttle, (date(2023, 6, 5),), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "wait_in_seconds": 0.924,
    "km_are_miles": 1.0,
    "no_shows_left_out": 0.049,
    "from_and_to_exchanged": 1.0,
    "pickup_as_if_utc": 1.0,
    "everybody_pays_the_standard_fare": 0.336,
    "last_weeks_file_redated": 1.27,
    "stars_from_the_other_end": 0.308,
    "vehicles_lag_three_weeks": 1.0,
    "wheelchair_always_no": 0.083,
}
