"""Parcels: couriers come and go."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from benchmarks.worlds.business import (
    CHICAGO,
    FIRST,
    LAST,
    STARTS,
    Business,
    days_since,
    people,
    pick,
    us_holiday,
)
from benchmarks.worlds.kit import (
    Day,
    Plant,
    blank,
    build,
    change,
    drop,
    lagging,
    local_minutes,
    mark,
    next_row,
    no_rows,
    number,
    over,
    put,
    recode,
    ref,
    rng,
    sorted_alone,
    two_replicas,
    utc,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

PARCELS = Feed(
    name="parcels",
    path="parcels/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("parcel", "integer"),
        Column("courier", "string"),
        Column("zone", "string"),
        Column("promised_at", "timestamp"),
        Column("service", "string"),
        Column("weight", "number", empty=True),
        Column("distance", "number"),
        Column("stops_before", "integer"),
        Column("floor", "integer", empty=True),
        Column("attempts", "integer", outcome=True),
        Column("late_minutes", "number", empty=True, outcome=True),
        Column("left_with", "string", empty=True, outcome=True),
        Column("rating", "integer", empty=True, outcome=True),
    ),
    key=("parcel",),
    day="day",
    time="promised_at",
)
COURIERS = ref(
    "couriers",
    (
        Column("courier", "string"),
        Column("vehicle", "string"),
        Column("depot", "string"),
        Column("capacity", "number"),
        Column("hired", "date"),
        Column("shift", "string"),
    ),
    ("courier",),
    ("parcels", ("courier",)),
)
ZONES = ref(
    "zones",
    (
        Column("zone", "string"),
        Column("depot", "string"),
        Column("households", "integer"),
        Column("kind", "string"),
        Column("parking", "number"),
    ),
    ("zone",),
    ("parcels", ("zone",)),
)
_COURIERS = people(501, 48, 110, "K", gap=5)


def _snow(day: date) -> bool:
    return day.month in (12, 1, 2) and mark(f"snow{day}") % 22 == 0


def _parcels_event(day: date) -> str:
    return us_holiday(day) or ("snow" if _snow(day) else "") or ("a new zone" if day == date(2023, 4, 17) else "")


@lru_cache(maxsize=64)
def parcels(day: date) -> Day:
    """A day of deliveries; none at all on Christmas, and few on Sundays."""
    dice, n = rng(502, day), day.toordinal()
    staff = _COURIERS.there(day)
    zones = [z for z in range(32) if z < 30 or day >= date(2023, 4, 17)]
    peak = 1 + 0.55 * max(0.0, 1 - abs((day - date(day.year, 12, 17)).days) / 20)
    holiday = us_holiday(day)
    weekly = (1.05, 1.15, 1.05, 1.0, 1.0, 0.6, 0.12)[day.weekday()]
    level = 0.12 if holiday else weekly
    count = (
        0
        if holiday == "Christmas"
        else int(dice.poisson(620 * level * peak * (0.8 if _snow(day) else 1) * np.exp(dice.normal(0, 0.05))))
    )
    working = staff[dice.random(len(staff)) < 0.78] if level > 0.2 else staff[:6]
    working = working if len(working) else staff
    who = np.sort(dice.choice(working, count)) if count else np.zeros(0, dtype=int)
    nth = np.arange(count) - np.searchsorted(who, who, side="left")
    area = np.where(dice.random(count) < 0.7, _COURIERS.place[who] * 7 % 30, dice.choice(zones, count))
    distance = np.round(np.exp(dice.normal(0.9 + 0.5 * (area % 4 == 0), 0.55)), 2)
    weight = np.round(np.exp(dice.normal(0.4, 1.0, count)), 2)
    express = dice.random(count) < np.where(level < 0.2, 0.8, 0.17)
    minute = np.clip(9 * 60 + nth * dice.uniform(16, 30, count) + dice.normal(0, 12, count), 480, 1290)
    minute = np.round(minute / 15) * 15
    skill = _COURIERS.traits[who, 0]
    newness = np.clip(1 - (n - _COURIERS.start[who]) / 30, 0, 1)
    delay = dice.normal(
        -8 + 10 * (1 - skill) + 14 * newness + 0.5 * nth + 1.5 * distance + 25 * _snow(day) + 8 * (peak - 1), 14
    )
    delay = np.round(delay + (dice.random(count) < 0.04) * dice.exponential(70, count))
    failed = dice.random(count) < 0.022
    attempts = 1 + (dice.random(count) < 0.08) + (dice.random(count) < 0.012)
    happy = np.clip(np.round(dice.normal(4.6 - 0.012 * np.clip(delay, 0, 90), 0.6)), 1, 5)
    table = (
        build(
            PARCELS,
            day=day,
            parcel=days_since(day) * 5000 + np.arange(count) + 10**7,
            courier=_COURIERS.ids[who],
            zone=[f"Z{a:02d}" for a in area],
            promised_at=utc(day, minute, CHICAGO),
            service=np.where(express, "express", "standard").astype(object),
            weight=missing(dice, weight, 0.01),
            distance=distance,
            stops_before=nth,
            floor=np.where(area % 3 == 0, np.nan, dice.integers(0, 9, count).astype(float)),
            attempts=attempts,
            late_minutes=np.where(failed, np.nan, delay),
            left_with=np.where(
                failed, None, pick(dice, count, ("recipient", "neighbour", "door", "locker"), (0.6, 0.13, 0.2, 0.07))
            ),
            rating=np.where(failed | (dice.random(count) > 0.28), np.nan, happy),
        )
        if count
        else no_rows(PARCELS)
    )
    # one in ten of the new is entered a day late
    known = np.array([i for i in staff if n > _COURIERS.start[i] or mark(_COURIERS.ids[i]) % 10])
    couriers = build(
        COURIERS,
        courier=_COURIERS.ids[known],
        vehicle=[("van", "van", "bike", "car", "e-van")[int(5 * t)] for t in _COURIERS.traits[known, 1]],
        depot=[("north", "west", "lake")[p % 3] for p in _COURIERS.place[known]],
        capacity=[(6.0, 7.5, 0.4, 1.2, 5.0)[int(5 * t)] for t in _COURIERS.traits[known, 1]],
        hired=[date.fromordinal(int(s)) for s in _COURIERS.start[known]],
        # each changes shifts every four weeks, counted from the first day
        shift=[
            ("early", "day", "late")[(int(3 * t) + (n - s) // 28) % 3]
            for t, s in zip(_COURIERS.traits[known, 2], _COURIERS.start[known], strict=True)
        ],
        refreshed=day,
    )
    areas = build(
        ZONES,
        zone=[f"Z{z:02d}" for z in zones],
        depot=[("north", "west", "lake")[z % 3] for z in zones],
        households=[1800 + mark(f"zone{z}") % 5200 for z in zones],
        kind=[("suburb", "inner city", "mixed", "business")[z % 4] for z in zones],
        parking=[round(0.2 + mark(f"park{z}") % 70 / 100, 2) for z in zones],
        refreshed=day,
    )
    return {"parcels": table, "couriers": couriers, "zones": areas}


def _handed_over(tables: Day, day: date, _: date) -> Day:
    """The courier of yesterday's tour in the same zone, not who drove today."""
    rows, old = tables["parcels"], parcels(day - timedelta(1))["parcels"]
    was = dict(zip(old["zone"].to_pylist(), old["courier"].to_pylist(), strict=True))
    return {
        "parcels": put(
            rows,
            courier=[was.get(z, c) for z, c in zip(rows["zone"].to_pylist(), rows["courier"].to_pylist(), strict=True)],
        )
    }


def _attempt_clock(tables: Day, _: date, __: date) -> Day:
    """Late is counted from the first attempt, so a second one costs nothing."""
    rows = tables["parcels"]
    late, tries = number(rows, "late_minutes"), number(rows, "attempts")
    window = np.where(late > 0, np.maximum(late - 30, 0), late)
    return {"parcels": put(rows, late_minutes=np.where(tries > 1, np.minimum(window, 0), window))}


FAULTS: dict[str, Plant] = {
    "yesterdays_courier": _handed_over,
    "half_an_hour_of_grace": _attempt_clock,
    "very_late_called_failed": blank("parcels", ("late_minutes", "left_with", "rating"), over("late_minutes", 30)),
    "pounds_in_one_depot": change(
        "parcels",
        "weight",
        lambda v: np.round(v * 2.2046, 2),
        lambda rows: np.array([int(z[1:]) % 3 == 1 for z in rows["zone"].to_pylist()]),
    ),
    "distance_in_miles": change("parcels", "distance", lambda v: np.round(v / 1.609, 2)),
    "evening_tours_missing": drop("parcels", lambda rows: local_minutes(rows, "promised_at", CHICAGO) >= 15 * 60),
    "couriers_lag_three_weeks": lagging(parcels, "couriers", 21),
    "couriers_two_replicas": two_replicas(parcels, "couriers", 20),
    "vehicles_sorted_alone": sorted_alone("couriers", "vehicle", "capacity"),
    "zones_in_another_order": recode("zones", "kind", {"suburb": "business", "business": "suburb"}),
    "late_minutes_of_another_parcel": next_row("parcels", ("late_minutes", "attempts", "left_with", "rating")),
    "ratings_out_of_ten": change("parcels", "rating", lambda v: v * 2),
}

BUSINESS = Business("parcels", (PARCELS, COURIERS, ZONES), parcels, STARTS, FIRST, LAST, _parcels_event)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "yesterdays_courier": 0.836,
    "half_an_hour_of_grace": 0.663,
    "very_late_called_failed": 0.092,
    "pounds_in_one_depot": 0.314,
    "distance_in_miles": 1.0,
    "evening_tours_missing": 0.13,
    "couriers_lag_three_weeks": 0.763,
    "couriers_two_replicas": 0.38,
    "vehicles_sorted_alone": 0.776,
    "zones_in_another_order": 0.496,
    "late_minutes_of_another_parcel": 0.997,
    "ratings_out_of_ten": 0.276,
}
