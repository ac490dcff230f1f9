"""Cold rooms: a reading an hour of each sensor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import (
    FIRST,
    LAST,
    STARTS,
    Business,
    people,
    sky,
)
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    is_,
    keep,
    local_minutes,
    mark,
    next_row,
    number,
    put,
    ref,
    rng,
    sorted_alone,
    words,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

COLD = Feed(
    name="coldrooms",
    path="coldrooms/{day}.csv.gz",
    columns=(
        Column("day", "date"),
        Column("sensor", "string"),
        Column("read_at", "timestamp"),
        Column("temp", "number"),
        Column("humidity", "number", empty=True),
        Column("door_seconds", "integer"),
        Column("compressor", "number"),
        Column("outside", "number", empty=True),
        Column("battery", "number"),
        Column("alarm_within_6h", "integer", outcome=True),
    ),
    key=("sensor", "read_at"),
    day="day",
    time="read_at",
)
SENSORS = ref(
    "sensors",
    (
        Column("sensor", "string"),
        Column("room", "string"),
        Column("store", "string"),
        Column("kind", "string"),
        Column("setpoint", "number"),
        Column("volume", "number"),
        Column("calibrated", "date"),
    ),
    ("sensor",),
    ("coldrooms", ("sensor",)),
)
_SENSORS = people(601, 42, 420, "T", gap=0.5)


@lru_cache(maxsize=64)
def cold(day: date) -> Day:
    """A day of the cold rooms."""
    dice, n = rng(602, day), day.toordinal()
    there = _SENSORS.there(day)
    place = _SENSORS.place[there]
    hours = np.arange(24)
    freezer = place % 3 == 0
    setpoint = np.where(freezer, -19.0, np.where(place % 3 == 1, 3.5, 5.0))
    store = place // 6
    outside, _, _ = sky(day, 1)
    outside = outside[:24] + 2.5
    open_ = (hours >= 7) & (hours <= 20) & (day.weekday() < 6)
    busy = open_ * (1 + 0.5 * (hours == 8) + 0.4 * (hours == 17)) * (1.25 if day.weekday() in (4, 5) else 1)
    doors = dice.poisson(np.where(freezer, 25, 60)[:, None] * busy[None, :] + 1.0)
    warm = 0.012 * doors + 0.02 * np.clip(outside - 15, 0, 20)[None, :] * (1 + (store % 3 == 0)[:, None])
    defrost = (hours[None, :] + place[:, None]) % 8 == 0
    faulty = np.array([mark(f"{p}{n // 3}") % 120 == 0 for p in place])
    temp = (
        setpoint[:, None]
        + warm
        + 1.8 * defrost
        + dice.normal(0, 0.25, (len(there), 24))
        + 3.5 * faulty[:, None] * (hours / 24)[None, :]
    )
    temp = temp + (_SENSORS.traits[there, 1][:, None] - 0.5) * 0.6
    power = np.clip(
        0.8
        + 0.5 * freezer[:, None]
        + 0.25 * warm
        + 0.012 * outside[None, :]
        - 0.4 * defrost
        + dice.normal(0, 0.07, temp.shape),
        0.05,
        None,
    )
    wet = np.clip(82 - 15 * freezer[:, None] + 6 * np.sqrt(warm) + dice.normal(0, 3, temp.shape), 30, 100)
    age = n - _SENSORS.start[there]
    volts = 3.6 - 0.0011 * (age % 500) - 0.05 * freezer + dice.normal(0, 0.004, len(there))
    ahead = temp - setpoint[:, None] + dice.normal(0, 0.4, temp.shape)
    alarm = (ahead > 1.9) & ~defrost | (dice.random(temp.shape) < 0.004)
    flat = temp.size
    at = np.datetime64(day, "us") + hours * np.timedelta64(1, "h")
    got = dice.random(flat) >= 0.003
    table = keep(
        build(
            COLD,
            day=day,
            sensor=np.repeat(_SENSORS.ids[there], 24),
            read_at=np.tile(at, len(there)),
            temp=np.round(temp.ravel(), 2),
            humidity=missing(dice, np.round(wet.ravel(), 1), 0.006),
            door_seconds=(doors * dice.gamma(8, 1.4, doors.shape)).ravel(),
            compressor=np.round(power.ravel(), 3),
            outside=missing(dice, np.round(np.tile(outside, len(there)) + 0.3 * np.repeat(store, 24), 1), 0.004),
            battery=np.round(np.repeat(volts, 24), 2),
            alarm_within_6h=alarm.ravel().astype(int),
        ),
        got,
    )
    # what was replaced stays in the list for ever
    listed = np.flatnonzero(_SENSORS.start <= n + 1)
    spot = _SENSORS.place[listed]
    sensors = build(
        SENSORS,
        sensor=_SENSORS.ids[listed],
        room=[f"R{p % 6 + 1}" for p in spot],
        store=[f"store {p // 6 + 1}" for p in spot],
        kind=[("freezer", "dairy", "produce")[p % 3] for p in spot],
        setpoint=[(-19.0, 3.5, 5.0)[p % 3] for p in spot],
        volume=[8.0 + mark(f"room{p}") % 60 for p in spot],
        # each is calibrated once in half a year
        calibrated=[
            date.fromordinal(max(int(s), (last := min(n, int(e) - 1)) - (last + mark(i)) % 182))
            for i, s, e in zip(_SENSORS.ids[listed], _SENSORS.start[listed], _SENSORS.end[listed], strict=True)
        ],
        refreshed=day,
    )
    return {"coldrooms": table, "sensors": sensors}


def _of_store(*stores: int) -> Callable[[pa.Table], Any]:
    place = dict(zip(_SENSORS.ids.tolist(), _SENSORS.place.tolist(), strict=True))
    return lambda rows: np.array([place[s] // 6 + 1 in stores for s in rows["sensor"].to_pylist()])


def _of_kind(*kinds: int) -> Callable[[pa.Table], Any]:
    place = dict(zip(_SENSORS.ids.tolist(), _SENSORS.place.tolist(), strict=True))
    return lambda rows: np.array([place[s] % 3 in kinds for s in rows["sensor"].to_pylist()])


def _cold_drift(tables: Day, day: date, first: date) -> Day:
    """Two stores' sensors read a tenth more each day."""
    rows = tables["coldrooms"]
    there = _of_store(2, 5)(rows)
    return {"coldrooms": put(rows, temp=np.round(number(rows, "temp") + 0.1 * ((day - first).days + 1) * there, 2))}


def _cold_stuck(tables: Day, day: date, first: date) -> Day:
    """A gateway repeats for its store what each sensor said at noon before."""
    rows, old = tables["coldrooms"], cold(first - timedelta(1))["coldrooms"]
    hours = local_minutes(old, "read_at", "UTC") // 60
    said = {s: t for s, t, h in zip(old["sensor"].to_pylist(), old["temp"].to_pylist(), hours, strict=True) if h == 12}
    there = _of_store(3)(rows)
    return {
        "coldrooms": put(
            rows,
            temp=[
                said.get(s, t) if w else t
                for s, t, w in zip(rows["sensor"].to_pylist(), rows["temp"].to_pylist(), there, strict=True)
            ],
        )
    }


def _cold_yesterday(tables: Day, day: date, _: date) -> Day:
    """One store's readings are a day old, each under its own sensor and hour."""
    rows, old = tables["coldrooms"], cold(day - timedelta(1))["coldrooms"]

    def keys(table: pa.Table) -> Any:
        return zip(table["sensor"].to_pylist(), local_minutes(table, "read_at", "UTC").tolist(), strict=True)

    names = ("temp", "humidity", "compressor", "door_seconds")
    was = dict(zip(keys(old), zip(*(old[c].to_pylist() for c in names), strict=True), strict=True))
    ours = zip(*(rows[c].to_pylist() for c in names), strict=True)
    new = [was.get(k, o) if there else o for k, o, there in zip(keys(rows), ours, _of_store(7)(rows), strict=True)]
    return {"coldrooms": put(rows, **{c: [r[i] for r in new] for i, c in enumerate(names)})}


def _cold_smooth(tables: Day, _: date, __: date) -> Day:
    """Means of three hours in place of readings."""
    rows = tables["coldrooms"]
    temp, names = number(rows, "temp"), words(rows, "sensor")
    new = temp.copy()
    for s in set(names):
        at = np.flatnonzero(names == s)
        pad = np.r_[temp[at[0]], temp[at[0]], temp[at]]
        new[at] = (pad[:-2] + pad[1:-1] + pad[2:]) / 3
    return {"coldrooms": put(rows, temp=np.round(new, 2))}


FAULTS: dict[str, Plant] = {
    "two_stores_drift": _cold_drift,
    "a_gateway_repeats_itself": _cold_stuck,
    "means_for_readings": _cold_smooth,
    "freezers_without_sign": change("coldrooms", "temp", np.abs, _of_kind(0)),
    "store_seven_of_yesterday": _cold_yesterday,
    "doors_counted_not_timed": change("coldrooms", "door_seconds", lambda v: np.round(v / 11)),
    "batteries_in_percent_of_freezers": change(
        "coldrooms", "battery", lambda v: np.round((v - 2.7) / 0.9 * 100), _of_kind(0)
    ),
    "outside_in_fahrenheit_store_one": change(
        "coldrooms", "outside", lambda v: np.round(v * 1.8 + 32, 1), _of_store(1)
    ),
    "power_of_the_next_sensor": next_row("coldrooms", ("compressor",)),
    "setpoints_sorted_alone": sorted_alone("sensors", "setpoint"),
    "volumes_in_litres_of_some": change("sensors", "volume", lambda v: v * 1000, is_("kind", "dairy")),
}

BUSINESS = Business("coldrooms", (COLD, SENSORS), cold, STARTS, FIRST, LAST)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "two_stores_drift": 0.285,
    "a_gateway_repeats_itself": 0.142,
    "means_for_readings": 0.95,
    "freezers_without_sign": 0.333,
    "store_seven_of_yesterday": 0.142,
    "doors_counted_not_timed": 0.836,
    "batteries_in_percent_of_freezers": 0.333,
    "outside_in_fahrenheit_store_one": 0.142,
    "power_of_the_next_sensor": 0.997,
    "setpoints_sorted_alone": 0.691,
    "volumes_in_litres_of_some": 0.333,
}
