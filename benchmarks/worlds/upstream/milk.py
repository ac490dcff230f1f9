"""Milk that a co-operative's tankers fetch from farms, and the laboratory's samples of it."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import BERLIN, FIRST, LAST, Business, days_since, german_holiday, people, season, sky
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    by_row,
    change,
    drop,
    is_,
    local_minutes,
    missing_values,
    moments,
    number,
    put,
    ref,
    rng,
    two_replicas,
    utc,
)
from pipeline.core.tables import Column, Feed

COLLECTIONS = Feed(
    name="collections",
    path="collections/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("collection", "integer"),
        Column("farm", "string"),
        Column("collected_at", "timestamp"),
        Column("tanker", "string"),
        Column("plant", "string"),
        Column("litres", "integer"),
        Column("temperature", "number"),
        Column("pump_minutes", "number"),
        Column("hours_stored", "integer"),
        Column("remark", "string", empty=True),
    ),
    key=("collection",),
    day="day",
    time="collected_at",
)
SAMPLES = Feed(
    name="samples",
    path="samples/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("sample", "integer"),
        Column("farm", "string"),
        Column("bench", "string"),
        Column("analysed_at", "timestamp"),
        Column("fat", "number"),
        Column("protein", "number"),
        Column("cells", "integer"),
        Column("urea", "number", empty=True),
        Column("germs", "integer", empty=True, outcome=True),
        Column("grade", "integer", empty=True, outcome=True),
    ),
    key=("sample",),
    day="day",
    time="analysed_at",
)
FARMS = ref(
    "farms",
    (
        Column("farm", "string"),
        Column("district", "string"),
        Column("breed", "string"),
        Column("cows", "integer"),
        Column("organic", "integer"),
        Column("robot", "integer"),
        Column("tank_litres", "integer"),
        Column("price", "number"),
        Column("kilometres", "number"),
    ),
    ("farm",),
    ("collections", ("farm",)),
)
_DISTRICTS = ("Allgäu", "Oberland", "Unterland", "Donau", "Alb", "Hohenlohe", "Schwarzwald")
_PLANTS = ("Kempten", "Ulm", "Biberach", "Isny", "Aalen")
_BREEDS = ("Holstein", "Fleckvieh", "Braunvieh", "Jersey")
_FAT, _PROTEIN, _YIELD = (np.array(x) for x in ((4.0, 4.15, 4.2, 5.2), (3.38, 3.5, 3.55, 3.9), (28, 23, 22, 18)))
_FARMS = people(8201, 340, 2600, "F", gap=25)
#: Isny, the smallest plant, closed; Aalen opened with the farms of the north, one tour after the other.
_ISNY, _AALEN = date(2023, 1, 28), date(2023, 9, 18)
_TANKERS = 14


@lru_cache(maxsize=1)
def _farms() -> dict[str, Any]:
    t = _FARMS.traits
    dice = rng(8202)
    n = len(t)
    organic = t[:, 1] < 0.18
    return {
        "breed": np.searchsorted([0.42, 0.8, 0.95], t[:, 0]),
        "district": np.searchsorted([0.24, 0.4, 0.55, 0.68, 0.8, 0.92], t[:, 2]),
        "cows": np.round(np.exp(dice.normal(4.15, 0.45, n)) * np.where(organic, 0.8, 1)),
        "organic": organic,
        "turns": dice.integers(0, 10**6, n),
        "robot": t[:, 3] < 0.25,
        "tour": (t[:, 2] * _TANKERS).astype(int),
        "care": dice.normal(0, 1, n),
        "walk": np.cumsum(dice.normal(0, 0.012, (n, 42)), axis=1),
        "price": dice.normal(44, 1.0, n) + 8 * organic,
        "deals": np.cumsum(dice.normal(0, 0.35, (n, 42)), axis=1),
        "km": np.round(dice.gamma(4, 9, n), 1),
    }


def _month(day: date, farm: Any) -> Any:
    """Herds and contracts are gone through once in 28 days, each farm on a day of its own."""
    return (days_since(day) + _farms()["turns"][farm]) % 28, (days_since(day) + _farms()["turns"][farm] % 28) // 28


def _cows(day: date, farm: Any) -> Any:
    f = _farms()
    return np.maximum(np.round(f["cows"][farm] * np.exp(f["walk"][farm, _month(day, farm)[1]])), 9)


def _plant(day: date, farm: Any) -> Any:
    f = _farms()
    usual = np.array([0, 0, 2, 1, 1, 1, 2])[f["district"][farm]]
    usual = np.where((f["tour"][farm] == 3) & (day < _ISNY), 3, usual)
    moved = ((f["district"][farm] == 5) & (day >= _AALEN)) & (f["turns"][farm] % 90 < (day - _AALEN).days)
    return np.where(moved, 4, usual)


@lru_cache(maxsize=64)
def milk(day: date) -> Day:
    dice, f = rng(8203, day), _farms()
    here = _FARMS.there(day)
    daily = f["cows"][here] > 115
    i = here[daily | ((days_since(day) + f["turns"][here]) % 2 == 0)]
    i = i[dice.random(len(i)) > 0.006]
    n = len(i)
    cows, breed = _cows(day, i), f["breed"][i]
    flush = 1 + 0.07 * season(day, 135)
    own = np.exp(rng(8204).normal(0, 0.1, len(_FARMS.ids))[i] + dice.normal(0, 0.035, n))
    days = np.where(f["cows"][i] > 115, 1, 2)
    litres = np.round(cows * 0.86 * _YIELD[breed] * np.where(f["organic"][i], 0.84, 1) * flush * own * days)
    warm = sky(day, 2)[0][:24].mean()
    start = 230 + (f["tour"][i] % 3) * 240
    minute = np.clip(start + f["turns"][i] % 330 + dice.normal(0, 14, n), 200, 1230)
    minute += 25 * (day.weekday() == 6)
    order = np.argsort(minute, kind="stable")
    i, cows, breed, litres, minute, days = (x[order] for x in (i, cows, breed, litres, minute, days))
    swap = dice.random(_TANKERS) < 0.06
    tanker = np.where(swap[f["tour"][i]], _TANKERS, f["tour"][i])
    temperature = np.round(4.1 + 0.03 * (warm - 9) + 0.35 * f["robot"][i] + dice.gamma(2, 0.22, n), 1)
    talk = ("tank not empty", "gate closed", "second tank", "foam", "ice on yard" if warm < 2 else "dust")
    remark = np.array([talk[x] for x in dice.choice(5, n, p=[0.3, 0.2, 0.3, 0.1, 0.1])], dtype=object)
    collections = build(
        COLLECTIONS,
        day=day,
        collection=10**7 + days_since(day) * 1000 + np.arange(n),
        farm=_FARMS.ids[i],
        collected_at=utc(day, minute, BERLIN),
        tanker=np.array([f"T{x + 1:02d}" for x in tanker], dtype=object),
        plant=np.array(_PLANTS, dtype=object)[_plant(day, i)],
        litres=litres,
        temperature=temperature,
        pump_minutes=np.round(3 + litres / np.where(tanker % 3 == 0, 520, 430) + dice.gamma(2, 0.5, n), 1),
        hours_stored=np.round(days * 24 + dice.normal(0, 1.5, n)),
        remark=np.where(dice.random(n) < 0.07, remark, None),
    )
    return {"collections": collections, "samples": _samples(day, i, warm), "farms": _reference(day)}


def _samples(day: date, i: Any, warm: float) -> pa.Table:
    """Two of three collections are sampled, fewer at the weekend."""
    dice, f = rng(8205, day), _farms()
    i = i[dice.random(len(i)) < (0.56 if day.weekday() > 4 else 0.74)]
    n, breed = len(i), f["breed"][i]
    own = rng(8206).normal(0, 1, (len(_FARMS.ids), 2))[i]
    fat = _FAT[breed] + 0.12 * season(day, 10) + 0.13 * own[:, 0] + dice.normal(0, 0.09, n)
    protein = _PROTEIN[breed] + 0.06 * season(day, 350) + 0.07 * own[:, 1] + 0.3 * (fat - _FAT[breed]) * 0.4
    summer = 0.12 * season(day, 215)
    cells = np.round(np.exp(5.15 + 0.33 * f["care"][i] + summer + dice.normal(0, 0.18, n)))
    germs = np.round(np.exp(2.6 + 0.3 * f["care"][i] + 0.012 * warm + dice.normal(0, 0.35, n)))
    grade = np.where((cells > 400) | (germs > 50), 2.0, 1.0)
    late = dice.random(n) < 0.12
    minute = np.sort(dice.uniform(13 * 60, 19 * 60, n))
    return build(
        SAMPLES,
        day=day,
        sample=4 * 10**7 + days_since(day) * 1000 + np.arange(n),
        farm=_FARMS.ids[i],
        bench=np.array(["A", "B", "C"], dtype=object)[dice.choice(3, n, p=[0.42, 0.34, 0.24])],
        analysed_at=utc(day, minute, BERLIN),
        fat=np.round(fat, 2),
        protein=np.round(protein + dice.normal(0, 0.04, n), 2),
        cells=cells,
        urea=missing_values(dice, np.round(21 + 4 * season(day, 220) + dice.normal(0, 3.2, n), 1), 0.09),
        germs=np.where(late, np.nan, germs),
        grade=np.where(late, np.nan, grade),
    )


def _reference(day: date) -> pa.Table:
    f = _farms()
    i = _FARMS.there(day, early=7)
    cows = _cows(day, i)
    return build(
        FARMS,
        farm=_FARMS.ids[i],
        district=[_DISTRICTS[x] for x in f["district"][i]],
        breed=[_BREEDS[x] for x in f["breed"][i]],
        cows=cows,
        organic=f["organic"][i].astype(int),
        robot=f["robot"][i].astype(int),
        tank_litres=np.ceil(f["cows"][i] * 75 / 500) * 500,
        price=np.round(f["price"][i] + f["deals"][i, _month(day, i)[1]], 2),
        kilometres=f["km"][i],
        refreshed=day,
    )


def _swapped(tables: Day, _: date, __: date) -> Day:
    """After its repair one bench writes fat where protein belongs."""
    rows = tables["samples"]
    there, fat, protein = is_("bench", "C")(rows), number(rows, "fat"), number(rows, "protein")
    return {"samples": put(rows, fat=np.where(there, protein, fat), protein=np.where(there, fat, protein))}


def _at_return(tables: Day, _: date, __: date) -> Day:
    """Older tankers pass on when they came home, for all farms of the tour."""
    rows = tables["collections"]
    at, tanker = moments(rows, "collected_at").copy(), np.array(rows["tanker"].to_pylist())
    for name in ("T01", "T04", "T05", "T08"):
        if (tanker == name).any():
            at[tanker == name] = at[tanker == name].max() + np.timedelta64(40, "m")
    return {"collections": put(rows, collected_at=at)}


def _night(rows: pa.Table) -> Any:
    return local_minutes(rows, "collected_at", BERLIN) < 360


def _good_until_told(tables: Day, _: date, __: date) -> Day:
    """The new export has no blanks: a grade not known yet is the best."""
    rows = tables["samples"]
    return {"samples": put(rows, grade=np.nan_to_num(number(rows, "grade"), nan=1.0))}


FAULTS: dict[str, Plant] = {
    "kilograms_at_one_plant": change("collections", "litres", lambda v: np.round(v * 1.03), is_("plant", "Biberach")),
    "fahrenheit_from_three_tankers": change(
        "collections", "temperature", lambda v: np.round(v * 1.8 + 32, 1), is_("tanker", "T02", "T06", "T10")
    ),
    "fat_and_protein_swapped_on_a_bench": _swapped,
    "cell_counter_stops_at_250": change("samples", "cells", lambda v: np.minimum(v, 250)),
    "samples_hold_the_fetch_before": by_row(milk, "samples", ("fat", "protein", "cells", "urea"), 2, by="farm"),
    "farms_two_replicas": two_replicas(milk, "farms", 45),
    "time_of_return_for_four_tankers": _at_return,
    "organic_flag_lost_for_some_farms": change("farms", "organic", lambda v: v * 0, is_("district", *_DISTRICTS[:4])),
    "night_tours_missing": drop("collections", _night),
    "pending_grades_are_best": _good_until_told,
}
STARTS = (date(2022, 9, 26), date(2023, 6, 5), date(2024, 1, 15))
BUSINESS = Business("milk", (COLLECTIONS, SAMPLES, FARMS), milk, STARTS, FIRST, LAST, german_holiday)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "kilograms_at_one_plant": 0.217,
    "fahrenheit_from_three_tankers": 0.188,
    "fat_and_protein_swapped_on_a_bench": 0.253,
    "cell_counter_stops_at_250": 0.165,
    "samples_hold_the_fetch_before": 0.684,
    "farms_two_replicas": 0.498,
    "time_of_return_for_four_tankers": 0.286,
    "organic_flag_lost_for_some_farms": 0.111,
    "night_tours_missing": 0.157,
    "pending_grades_are_best": 0.119,
}
