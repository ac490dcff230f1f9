"""Bike sharing: trips from dock to dock, with weather, works, a new model, and a price rise."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import FIRST, LAST, Business, days_since, german_holiday, people, pick, season, sky
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    drop,
    lagging,
    mark,
    moved,
    number,
    put,
    ref,
    rng,
    utc,
    words,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

VIENNA = "Europe/Vienna"
TRIPS = Feed(
    name="trips",
    path="trips/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("trip", "integer"),
        Column("start_station", "string"),
        Column("end_station", "string", empty=True, outcome=True),
        Column("bike", "string"),
        Column("member", "string"),
        Column("started_at", "timestamp"),
        Column("plan", "string"),
        Column("birth_year", "integer", empty=True),
        Column("battery", "integer", empty=True),
        Column("minutes", "number", outcome=True),
        Column("distance", "number", empty=True, outcome=True),
        Column("fare", "number", outcome=True),
        Column("issue", "string", empty=True, outcome=True),
    ),
    key=("trip",),
    day="day",
    time="started_at",
)
STATIONS = ref(
    "stations",
    (
        Column("station", "string"),
        Column("district", "string"),
        Column("docks", "integer"),
        Column("lat", "number"),
        Column("lon", "number"),
        Column("height", "number"),
        Column("opened", "date"),
        Column("status", "string"),
    ),
    ("station",),
    ("trips", ("start_station",)),
)
BIKES = ref(
    "bikes",
    (
        Column("bike", "string"),
        Column("model", "string"),
        Column("bought", "date"),
        Column("serviced", "date"),
        Column("odometer", "integer"),
        Column("depot", "string"),
    ),
    ("bike",),
    ("trips", ("bike",)),
)
_FLEET = people(7001, 620, 500, "B", gap=8)
_S = 96
_dice = rng(7002)
_X, _Y = _dice.normal(0, 2.6, _S), _dice.normal(0, 2.2, _S)
_POP = np.exp(_dice.normal(0, 0.7, _S) - 0.12 * np.hypot(_X, _Y))
_KIND = _dice.choice(4, _S, p=[0.45, 0.3, 0.1, 0.15])  # homes, offices, campus, park
_IDS = np.array([f"S{100 + 3 * i}" for i in range(_S)], dtype=object)
_FAR = np.hypot(_X[:, None] - _X[None, :], _Y[:, None] - _Y[None, :])
LAUNCH, RISE = date(2023, 5, 2), date(2023, 7, 1)


def _opened(day: date) -> list[int]:
    return [s for s in range(_S) if s < 90 or day >= date(2023, 4, 11) + timedelta(2 * (s - 90))]


def _works(s: int, day: date) -> bool:
    return mark(f"works{s}/{(day.toordinal() + s) // 21}") % 35 == 0


def _marathon(day: date) -> bool:
    return day.month == 4 and day.weekday() == 6 and 8 <= day.day <= 14


def _event(day: date) -> str:
    return (
        german_holiday(day)
        or ("marathon" if _marathon(day) else "")
        or ("free weekend" if day in (date(2023, 6, 17), date(2023, 6, 18)) else "")
    )


def _service(day: date) -> np.ndarray:
    there = _FLEET.there(day)
    place, n = _FLEET.place[there], day.toordinal()
    return there[(place < 560) | (n >= LAUNCH.toordinal() + (place - 560) // 6)]


@lru_cache(maxsize=64)
def bikes(day: date) -> Day:  # noqa: PLR0915 - a day in the order in which it happens
    dice, n = rng(7003, day), day.toordinal()
    temp, cloud, _ = sky(day, 7)
    rain = max(0.0, (cloud[8:20].mean() - 70) / 30)
    off = day.weekday() >= 5 or bool(german_holiday(day))
    free = day in (date(2023, 6, 17), date(2023, 6, 18))
    level = (1.02, 1.06, 1.08, 1.05, 1.04, 0.86, 0.72)[day.weekday()] * (0.7 if german_holiday(day) else 1)
    level *= (1 - 0.3 * season(day, 20)) * (1 - 0.5 * rain) * np.clip(0.6 + temp[14] / 40, 0.4, 1.25)
    level *= (1.25 if free else 1) * (0.8 if _marathon(day) else 1) * (1 + 0.0003 * days_since(day))
    count = int(dice.poisson(1750 * level * np.exp(dice.normal(0, 0.05))))
    # when
    if off:
        minute = dice.normal(14.8 * 60, 210, count)
    else:
        which = dice.choice(3, count, p=[0.3, 0.3, 0.4])
        minute = dice.normal(np.array([490, 790, 1060])[which], np.array([55, 170, 95])[which])
    minute = np.sort(np.clip(np.abs(minute), 0, 1439.5))
    # from and to
    open_ = np.array(
        [s for s in _opened(day) if not _works(s, day) and not (_marathon(day) and np.hypot(_X[s], _Y[s]) < 0.9)]
    )
    early = minute < 11 * 60
    weight = _POP[open_]

    def boost(home: float, office: float, park: float) -> Any:
        return np.array([home, office, 1.2, park])[_KIND[open_]]

    start = np.empty(count, dtype=int)
    for mask, factors in (
        (early & (not off), boost(1.6, 0.5, 0.4)),
        (~early & (not off), boost(0.8, 1.5, 0.9)),
        (np.full(count, off), boost(1, 0.5, 2.0)),
    ):
        p = weight * factors
        start[mask] = dice.choice(open_, int(mask.sum()), p=p / p.sum())
    cand = dice.choice(open_, (count, 5), p=weight / weight.sum())
    near = np.exp(-_FAR[start[:, None], cand] / 2.0) + 1e-9
    near /= near.sum(1, keepdims=True)
    choice = (near.cumsum(1) > dice.random(count)[:, None]).argmax(1)
    end = cand[np.arange(count), choice]
    warm = np.clip(temp[14] / 25, 0.1, 1)
    plan = pick(
        dice,
        count,
        ("annual", "monthly", "single", "day pass"),
        (0.52, 0.2, 0.18 * (1 + off), 0.12 * warm * (1 + 1.5 * off)),
    )
    tour = (plan == "day pass") & (dice.random(count) < 0.35)
    end = np.where(tour, start, end)
    # which bike
    fleet = _service(day)
    fleet = fleet[[mark(f"repair{i}/{(n + i) // 5}") % 12 > 0 for i in fleet]]
    place = _FLEET.place[fleet]
    electric = place >= 380
    liking = np.where(electric, 1.6, 1.0)
    who = dice.choice(fleet, count, p=liking / liking.sum())
    e = _FLEET.place[who] >= 380
    distance = np.where(
        start == end, dice.gamma(2.2, 1.6, count), _FAR[start, end] * dice.uniform(1.15, 1.5, count) + 0.15
    )
    speed = np.where(e, 16.5, 13.2) * np.where(plan == "annual", 1.0, 0.84) * np.exp(dice.normal(0, 0.13, count))
    stay = np.where(tour, dice.exponential(25, count), dice.exponential(1.2, count))
    minutes = np.round(distance / speed * 60 + 1.5 + stay, 1)
    blocks = np.ceil(minutes / 30)
    price = 1.35 if day >= RISE else 1.2
    fare = np.select(
        [plan == "annual", plan == "monthly", plan == "single"],
        [(blocks - 1) * price, (blocks - 1) * price + 0.5 * e * blocks, (price + 0.5 * e) * blocks],
        0.0,
    )
    if free:
        fare = np.where(blocks <= 1, 0.0, fare)
    battery = np.clip(np.round(100 * (1 - dice.beta(1.6, 3.2, count))), 8, 100)
    member = (9000 * dice.random(count) ** 2.2).astype(int)
    born = 2002 - (member * 7919 % 4600) // 100 + (member % 3)
    lost = dice.random(count) < 0.006
    table = build(
        TRIPS,
        day=day,
        trip=days_since(day) * 10000 + np.arange(count) + 4 * 10**8,
        start_station=_IDS[start],
        end_station=np.where(lost, None, _IDS[end]),
        bike=_FLEET.ids[who],
        member=[f"U{30000 + 11 * m}" for m in member],
        started_at=utc(day, minute, VIENNA),
        plan=plan,
        birth_year=np.where(member % 8 == 0, np.nan, born.astype(float)),
        battery=np.where(e, battery, np.nan),
        minutes=minutes,
        distance=missing(dice, np.round(distance, 2), 0.012),
        fare=np.round(fare, 2),
        issue=np.where(
            dice.random(count) < 0.017 + 0.01 * rain,
            pick(dice, count, ("brakes", "flat tyre", "dock", "saddle"), (0.3, 0.25, 0.3, 0.15)),
            None,
        ),
    )
    known = _opened(day)
    stations = build(
        STATIONS,
        station=_IDS[known],
        district=[f"{1 + mark(f'd{s // 5}') % 20}" for s in known],
        docks=[
            14 + 2 * (mark(f"docks{s}") % 10) + (4 if day >= date(2023, 3, 1) + timedelta(5 * s) and s % 7 == 0 else 0)
            for s in known
        ],
        lat=np.round(48.21 + _Y[known] / 111, 5),
        lon=np.round(16.37 + _X[known] / 74, 5),
        height=np.round(170 + 12 * np.abs(_X[known]) + 3 * _Y[known], 1),
        opened=[
            date(2018, 3, 1) + timedelta(13 * s) if s < 90 else date(2023, 4, 11) + timedelta(2 * (s - 90))
            for s in known
        ],
        status=["works" if _works(s, day) else "open" for s in known],
        refreshed=day,
    )
    all_ = _service(day)
    t, age = _FLEET.traits[all_], n - _FLEET.start[all_]
    place = _FLEET.place[all_]
    cycle = 60 + (30 * t[:, 1]).astype(int)
    fleet_table = build(
        BIKES,
        bike=_FLEET.ids[all_],
        model=np.where(place < 380, "classic", np.where(place < 560, "e1", "e2")).astype(object),
        bought=[date.fromordinal(int(s)) for s in _FLEET.start[all_]],
        serviced=[date.fromordinal(int(n - a % c)) for a, c in zip(age, cycle, strict=True)],
        odometer=np.round(age * (5 + 8 * t[:, 2])).astype(int),
        depot=[("Nord", "Sued", "Hafen")[p % 3] for p in place],
        refreshed=day,
    )
    return {"trips": table, "stations": stations, "bikes": fleet_table}


def _swapped(tables: Day, _: date, __: date) -> Day:
    """The export lists the end before the start."""
    rows = tables["trips"]
    a, b = words(rows, "start_station"), words(rows, "end_station")
    return {
        "trips": put(
            rows,
            start_station=[y or x for x, y in zip(a, b, strict=True)],
            end_station=[x if y else None for x, y in zip(a, b, strict=True)],
        )
    }


def _tests(tables: Day, day: date, _: date) -> Day:
    """The workshop's test rides are no longer filtered out: unlock, look, lock."""
    rows = tables["trips"]
    n = max(len(rows) * 4 // 100, 1)
    dice = rng(7005, day)
    at = np.sort(dice.choice(len(rows), n, replace=False))
    new = rows.take(pa.array(at))
    key = np.array(rows["trip"].to_pylist()).max() + 1 + np.arange(n)
    new = put(
        new,
        trip=key,
        start_station=[_IDS[5]] * n,
        end_station=[_IDS[5]] * n,
        member=["U99"] * n,
        minutes=np.round(dice.uniform(0.3, 1.5, n), 1),
        distance=np.round(dice.uniform(0, 0.03, n), 2),
        fare=np.zeros(n),
    )
    return {"trips": pa.concat_tables([rows, new])}


def _battery_after(tables: Day, _: date, __: date) -> Day:
    """The battery is read when the bike is docked, not when it was taken."""
    rows = tables["trips"]
    used = np.nan_to_num(number(rows, "distance"), nan=2.0) * 2.2
    return {"trips": put(rows, battery=np.maximum(np.round(number(rows, "battery") - used), 0))}


def _born(tables: Day, _: date, __: date) -> Day:
    rows = tables["trips"]
    return {"trips": put(rows, birth_year=[1970 if v is None else v for v in rows["birth_year"].to_pylist()])}


FAULTS: dict[str, Plant] = {
    "local_time_read_as_utc": moved("trips", "started_at", 120),
    "start_and_end_exchanged": _swapped,
    "distance_in_miles": change("trips", "distance", lambda v: np.round(v / 1.609, 2)),
    "one_shard_of_bikes_missing": drop("trips", lambda r: np.array([mark(b) % 6 == 0 for b in r["bike"].to_pylist()])),
    "bikes_lag_two_weeks": lagging(bikes, "bikes", 14),
    "fare_without_tax": change("trips", "fare", lambda v: np.round(v / 1.2, 2)),
    "workshop_rides_among_trips": _tests,
    "minutes_of_the_bill": change("trips", "minutes", lambda v: np.ceil(v / 5) * 5),
    "battery_read_on_return": _battery_after,
    "unknown_birth_year_is_1970": _born,
}
BUSINESS = Business("bikes", (TRIPS, STATIONS, BIKES), bikes, (date(2023, 3, 6),), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "local_time_read_as_utc": 1.0,
    "start_and_end_exchanged": 0.918,
    "distance_in_miles": 0.988,
    "one_shard_of_bikes_missing": 0.159,
    "bikes_lag_two_weeks": 1.0,
    "fare_without_tax": 0.415,
    "workshop_rides_among_trips": 0.04,
    "minutes_of_the_bill": 0.982,
    "battery_read_on_return": 0.463,
    "unknown_birth_year_is_1970": 0.137,
}
