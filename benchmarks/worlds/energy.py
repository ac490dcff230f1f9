"""Energy meters, every half hour."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import (
    FIRST,
    LAST,
    LONDON,
    STARTS,
    Business,
    people,
    season,
    sky,
    uk_holiday,
)
from benchmarks.worlds.kit import (
    Day,
    Plant,
    blank,
    build,
    by_row,
    change,
    local_minutes,
    mark,
    moved,
    next_row,
    number,
    over,
    put,
    recode,
    ref,
    rng,
    sorted_alone,
    utc,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

READINGS = Feed(
    name="readings",
    path="readings/{day}.csv.gz",
    columns=(
        Column("day", "date"),
        Column("meter", "string"),
        Column("read_at", "timestamp"),
        Column("kwh", "number", empty=True, outcome=True),
        Column("export_kwh", "number", empty=True, outcome=True),
        Column("voltage", "number", empty=True),
        Column("quality", "string"),
    ),
    key=("meter", "read_at"),
    day="day",
    time="read_at",
)
FORECAST = Feed(
    name="forecast",
    path="forecast/{day}.csv.gz",
    columns=(
        Column("day", "date"),
        Column("region", "string"),
        Column("hour_at", "timestamp"),
        Column("temp", "number"),
        Column("cloud", "integer"),
        Column("wind", "number"),
    ),
    key=("region", "hour_at"),
    day="day",
    time="hour_at",
)
METERS = ref(
    "meters",
    (
        Column("meter", "string"),
        Column("site", "integer"),
        Column("kind", "string"),
        Column("region", "string"),
        Column("tariff", "string"),
        Column("rated", "number"),
        Column("firmware", "string"),
        Column("installed", "date"),
    ),
    ("meter",),
    ("readings", ("meter",)),
)
_METERS = people(301, 26, 900, "E", gap=1)
_METER_KINDS = ("home", "home", "home", "shop", "workshop", "solar", "home", "school")


@lru_cache(maxsize=64)
def energy(day: date) -> Day:
    """A day of the meters and of the forecast that was made for it."""
    dice, n = rng(303, day), day.toordinal()
    first, last = utc(day, [0], LONDON)[0], utc(day + timedelta(1), [0], LONDON)[0]
    halves = int((last - first) / np.timedelta64(30, "m"))
    moments_ = first + np.arange(halves) * np.timedelta64(30, "m")
    clock = (np.arange(halves) / 2 + (24 - halves / 2) * (np.arange(halves) >= 3)) % 24
    there = _METERS.there(day)
    rest = day.weekday() >= 5 or bool(uk_holiday(day))
    school = not rest and not (
        day.month in (8,) or (day.month == 12 and day.day > 20) or (day.month == 7 and day.day > 22)
    )
    kwh, export = np.zeros((len(there), halves)), np.zeros((len(there), halves))
    regions = _METERS.place[there] % 3
    for row, place in enumerate(_METERS.place[there]):
        kind = _METER_KINDS[place % 8]
        temp, cloud, _ = (np.interp(clock, np.arange(50), v) for v in sky(day, place % 3))
        size = 0.6 + 1.3 * rng(304 + int(place)).random()
        evening, morning = np.exp(-(((clock - 19) / 2.4) ** 2)), np.exp(-(((clock - 7.5) / 1.3) ** 2))
        noon = np.exp(-(((clock - 13) / 4.2) ** 4))
        cold = np.clip(15 - temp, 0, 20)
        if kind in ("home", "solar"):
            base = 0.09 + 0.28 * evening + (0.14 if not rest else 0.1) * morning + 0.06 * rest * noon + 0.012 * cold
        elif kind == "shop":
            base = 0.5 + (0.4 if rest and day.weekday() == 6 else 1.3) * noon + 0.02 * np.clip(temp - 20, 0, 15)
        elif kind == "workshop":
            base = 0.25 + (0 if rest else 3.4) * noon
        else:
            base = 0.4 + (2.2 if school else 0.15) * noon + 0.03 * cold * (1 if school else 0.3)
        kwh[row] = size * base * dice.gamma(12, 1 / 12, halves)
        if kind == "solar":
            height = np.clip(
                np.sin(np.pi * (clock - 6.5 + 1.6 * season(day, 172) * 1) / (11.5 + 3.5 * season(day, 172))), 0, 1
            )
            made = (
                1.5
                * size
                * height
                * (0.62 + 0.38 * season(day, 172))
                * (1 - 0.75 * cloud / 100)
                * dice.gamma(30, 1 / 30, halves)
            )
            export[row] = np.clip(made - kwh[row], 0, None)
            kwh[row] = np.clip(kwh[row] - made, 0, None)
    flat = len(there) * halves
    estimated = dice.random(flat) < 0.012
    gone = dice.random(flat) < 0.005
    volts = (
        241.5
        - 1.2 * np.repeat(regions, halves)
        - 2.0 * np.tile(np.exp(-(((clock - 18.5) / 3) ** 2)), len(there))
        + dice.normal(0, 0.9, flat)
    )
    readings = build(
        READINGS,
        day=day,
        meter=np.repeat(_METERS.ids[there], halves),
        read_at=np.tile(moments_, len(there)),
        kwh=np.where(gone, np.nan, np.round(kwh.ravel(), 3)),
        export_kwh=np.where(gone, np.nan, np.round(export.ravel(), 3)),
        voltage=missing(dice, np.round(volts, 1), 0.008),
        quality=np.where(gone, "M", np.where(estimated, "E", "A")).astype(object),
    )
    hours = (halves + 1) // 2
    skies = [sky(day, r) for r in range(3)]
    guess = rng(305, day)
    forecast = build(
        FORECAST,
        day=day,
        region=np.repeat(np.array(["north", "middle", "south"], dtype=object), hours),
        hour_at=np.tile(first + np.arange(hours) * np.timedelta64(1, "h"), 3),
        temp=np.round(np.concatenate([s[0][:hours] for s in skies]) + guess.normal(0, 0.7, 3 * hours), 1),
        cloud=np.clip(np.round(np.concatenate([s[1][:hours] for s in skies]) + guess.normal(0, 6, 3 * hours)), 0, 100),
        wind=np.round(np.concatenate([s[2][:hours] for s in skies]) * guess.gamma(40, 1 / 40, 3 * hours), 1),
    )
    listed = _METERS.there(day, early=3)
    place = _METERS.place[listed]
    rollout = [date(2022, 11, 7), date(2023, 6, 12), date(2024, 4, 22), date(2024, 12, 2)]
    meters = build(
        METERS,
        meter=_METERS.ids[listed],
        site=4000 + place,
        kind=[_METER_KINDS[p % 8] for p in place],
        region=[("north", "middle", "south")[p % 3] for p in place],
        tariff=["day/night" if mark(f"tariff{p}") % 3 == 0 else "flat" for p in place],
        rated=[
            {"home": 14.5, "solar": 17.0, "shop": 43.0, "workshop": 87.0, "school": 69.0}[_METER_KINDS[p % 8]]
            for p in place
        ],
        # a release reaches the meters over three weeks
        firmware=[
            f"{3 + sum(n - r.toordinal() > mark(f'{m}{r}') % 21 for r in rollout)}.0" for m in _METERS.ids[listed]
        ],
        installed=[date.fromordinal(int(s)) for s in _METERS.start[listed]],
        refreshed=day,
    )
    return {"readings": readings, "forecast": forecast, "meters": meters}


def _of_region(rows: pa.Table, *regions: int) -> Any:
    place = dict(zip(_METERS.ids.tolist(), _METERS.place.tolist(), strict=True))
    return np.array([place[m] % 3 in regions for m in rows["meter"].to_pylist()])


def _estimated(tables: Day, day: date, _: date) -> Day:
    """A third of the meters isn't reached: what they read a week ago, marked as read."""
    rows, old = tables["readings"], energy(day - timedelta(7))["readings"]
    was = {
        (m, t): k
        for m, t, k in zip(
            old["meter"].to_pylist(),
            local_minutes(old, "read_at", LONDON).tolist(),
            old["kwh"].to_pylist(),
            strict=True,
        )
    }
    new = [
        was.get((m, t), k) if mark(m) % 3 == 0 else k
        for m, t, k in zip(
            rows["meter"].to_pylist(),
            local_minutes(rows, "read_at", LONDON).tolist(),
            rows["kwh"].to_pylist(),
            strict=True,
        )
    ]
    return {"readings": put(rows, kwh=new)}


def _multiplier(rows: pa.Table) -> Any:
    place = dict(zip(_METERS.ids.tolist(), _METERS.place.tolist(), strict=True))
    return np.array([_METER_KINDS[place[m] % 8] in ("workshop", "school") for m in rows["meter"].to_pylist()])


def _netted(tables: Day, _: date, __: date) -> Day:
    rows = tables["readings"]
    kwh, out = number(rows, "kwh"), number(rows, "export_kwh")
    return {"readings": put(rows, kwh=np.round(kwh + out, 3), export_kwh=out * 0)}


FAULTS: dict[str, Plant] = {
    "homes_not_reached_have_last_week": _estimated,
    "transformer_ratio_forgotten": change("readings", "kwh", lambda v: np.round(v / 4, 3), _multiplier),
    "whole_tenths": change("readings", "kwh", lambda v: np.round(v, 1)),
    "export_added_to_use": _netted,
    "south_stamped_at_the_end_of_the_interval": moved("readings", "read_at", 30, lambda rows: _of_region(rows, 2)),
    "peaks_not_delivered": blank("readings", ("kwh",), over("kwh", 1.5)),
    "forecast_of_yesterday": by_row(energy, "forecast", ("temp", "cloud", "wind"), 1),
    "cloud_in_eighths": change("forecast", "cloud", lambda v: np.round(v / 12.5)),
    "kinds_sorted_alone": sorted_alone("meters", "kind"),
    "night_tariffs_as_flat": recode("meters", "tariff", {"day/night": "flat"}),
    "reading_of_the_next_meter": next_row("readings", ("kwh", "export_kwh")),
}

BUSINESS = Business("energy", (READINGS, FORECAST, METERS), energy, STARTS, FIRST, LAST, uk_holiday)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "homes_not_reached_have_last_week": 0.265,
    "transformer_ratio_forgotten": 0.229,
    "whole_tenths": 0.948,
    "export_added_to_use": 0.038,
    "south_stamped_at_the_end_of_the_interval": 0.314,
    "peaks_not_delivered": 0.073,
    "forecast_of_yesterday": 1.0,
    "cloud_in_eighths": 0.972,
    "kinds_sorted_alone": 0.737,
    "night_tariffs_as_flat": 0.346,
    "reading_of_the_next_meter": 0.996,
}
