"""Prescriptions dispensed by a chain of pharmacies: repeats, winter and pollen, branches that come and go."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import FIRST, LAST, LONDON, Business, days_since, pick, season, uk_holiday
from benchmarks.worlds.kit import (
    Day,
    Plant,
    blank,
    build,
    change,
    drop,
    is_,
    lagging,
    local_minutes,
    missing_values,
    moments,
    next_row,
    number,
    put,
    ref,
    rng,
    utc,
)
from pipeline.core.tables import Column, Feed

ITEMS = Feed(
    name="items",
    path="items/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("item", "integer"),
        Column("branch", "string"),
        Column("dispensed_at", "timestamp"),
        Column("source", "string"),
        Column("surgery", "string", empty=True),
        Column("medicine", "string"),
        Column("quantity", "integer"),
        Column("days_supplied", "integer"),
        Column("age", "integer", empty=True),
        Column("sex", "string", empty=True),
        Column("exemption", "string", empty=True),
        Column("charge", "number"),
        Column("reimbursed", "number"),
        Column("wait_minutes", "number", empty=True),
        Column("collected", "integer", empty=True, outcome=True),
    ),
    key=("item",),
    day="day",
    time="dispensed_at",
)
MEDICINES = ref(
    "medicines",
    (
        Column("medicine", "string"),
        Column("class", "string"),
        Column("form", "string"),
        Column("pack", "integer"),
        Column("pack_price", "number"),
        Column("controlled", "integer"),
        Column("listed", "date"),
    ),
    ("medicine",),
    ("items", ("medicine",)),
)
BRANCHES = ref(
    "branches",
    (
        Column("branch", "string"),
        Column("town", "string"),
        Column("opened", "date"),
        Column("sundays", "integer"),
        Column("pharmacists", "integer"),
        Column("robot", "integer"),
    ),
    ("branch",),
    ("items", ("branch",)),
)
_TOWNS = ("Reading", "Newbury", "Oxford", "Didcot", "Swindon", "Bracknell", "Slough", "Abingdon")
_OPENED = {13: date(2023, 1, 16), 14: date(2023, 9, 4), 15: date(2024, 5, 13)}
_SHUT = {6: date(2023, 2, 25), 9: date(2023, 10, 14), 3: date(2024, 6, 29)}
_SUNDAYS = (0, 2, 5, 11, 14)
_CLASSES = ("heart", "diabetes", "pain", "antibiotic", "hay fever", "asthma", "mind", "skin", "stomach")
_AGE = np.array([68, 62, 55, 36, 31, 40, 46, 38, 58])
_SPREAD = np.array([11, 12, 17, 24, 17, 22, 16, 22, 15])
_USUAL = np.array([0.27, 0.11, 0.12, 0.1, 0.04, 0.09, 0.12, 0.06, 0.09])
N_MEDICINES = 250


@lru_cache(maxsize=1)
def _formulary() -> dict[str, Any]:
    dice = rng(8101)
    kind = dice.choice(9, N_MEDICINES, p=_USUAL / _USUAL.sum())
    at = np.arange(N_MEDICINES)
    return {
        "kind": kind,
        "weight": 1 / (3 + dice.permutation(N_MEDICINES)) ** 0.9,
        "pack": np.where(np.isin(kind, (3, 7)), dice.choice([15, 21, 30], N_MEDICINES), dice.choice([28, 56, 84], 250)),
        "price": np.exp(dice.normal(1.5, 0.8, N_MEDICINES)),
        "walk": np.cumsum(dice.normal(0, 0.025, (N_MEDICINES, 50)), axis=1),
        "listed": np.where(at < 212, -400 - 9 * at, (at - 212) * 29 + dice.integers(0, 20, N_MEDICINES)),
        "form": pick(dice, N_MEDICINES, ("tablet", "capsule", "liquid", "cream"), (0.55, 0.25, 0.12, 0.08)),
        "controlled": (dice.random(N_MEDICINES) < 0.07).astype(int),
        "revised": dice.integers(0, 28, N_MEDICINES),
        "size": np.where(np.isin(np.arange(16), list(_SHUT)), 0.3, dice.uniform(0.7, 1.5, 16)),
    }


def _prices(day: date) -> Any:
    """Each medicine is revised every four weeks, on a day of its own."""
    f = _formulary()
    return np.round(f["price"] * np.exp(f["walk"][np.arange(N_MEDICINES), (days_since(day) + f["revised"]) // 28]), 2)


def _branches(day: date) -> Any:
    return np.array([b for b in range(16) if _OPENED.get(b, day) <= day < _SHUT.get(b, date.max)])


def _mix(day: date) -> Any:
    """Infections in winter, pollen from May to July."""
    pollen = np.exp(-(((day.timetuple().tm_yday - 160) / 32) ** 2))
    now = _USUAL * np.array(
        [1, 1, 1, 1 + 0.35 * season(day, 10), 0.5 + 2.2 * pollen, 1 + 0.2 * season(day, 5), 1, 1, 1]
    )
    f = _formulary()
    mass = np.bincount(f["kind"], f["weight"], 9)
    known = np.clip((days_since(day) - f["listed"]) / 60, 0, 1)
    return known * f["weight"] * (now / mass)[f["kind"]]


def _fees(dice: Any, age: Any, kind: Any, source: Any) -> Any:
    """Why a patient need not pay."""
    n = len(age)
    chronic = np.where((kind == 1) & (dice.random(n) < 0.8), "medical", None)
    prepaid = np.where(dice.random(n) < 0.3, "prepaid", np.where(dice.random(n) < 0.12, "income", chronic))
    return np.select([source == "private", age >= 60, age < 16], [None, "age 60+", "child"], prepaid)


@lru_cache(maxsize=64)
def pharmacy(day: date) -> Day:
    dice, f = rng(8102, day), _formulary()
    known = _branches(day)
    quiet = day.weekday() == 6 or bool(uk_holiday(day))
    open_ = np.array([b for b in known if b in _SUNDAYS]) if quiet else known
    young = np.array([min(1.0, 0.3 + (day - _OPENED[b]).days / 130) if b in _OPENED else 1.0 for b in open_])
    size = f["size"][open_] * young
    level = 0.42 if quiet else (1.12, 1.02, 0.98, 1.0, 1.08, 0.5, 0.34)[day.weekday()]
    level *= (1 + 0.05 * season(day, 10)) * (1 + 0.00025 * days_since(day)) * np.exp(dice.normal(0, 0.04))
    n = int(dice.poisson(56 * size.sum() * level))
    b = dice.choice(open_, n, p=size / size.sum())
    mix = _mix(day)
    m = dice.choice(N_MEDICINES, n, p=mix / mix.sum())
    kind = f["kind"][m]
    acute = np.isin(kind, (3, 7))
    paper, private = 0.11 - 0.00004 * days_since(day), 0.05
    source = pick(dice, n, ("electronic", "repeat", "paper", "private"), (0.42, 0.42, paper, private))
    source = np.where(acute & (source == "repeat"), "electronic", source)
    if quiet:
        source = np.where((source == "repeat") & (dice.random(n) < 0.7), "electronic", source)
    age = np.clip(np.round(dice.normal(_AGE[kind], _SPREAD[kind])), 1, 101)
    packs = np.where(acute, 1, np.where(source == "repeat", dice.choice([1, 2, 3], n, p=[0.5, 0.38, 0.12]), 1))
    quantity = f["pack"][m] * packs
    daily = 1 + (m % 3 == 0) + 2 * (kind == 3)
    cost = np.round(_prices(day)[m] * packs, 2)
    exempt = _fees(dice, age, kind, source)
    charge = np.where(source == "private", np.round(cost * 1.5 + 4, 2), np.where(exempt == None, 9.65, 0.0))  # noqa: E711
    rush = np.where(dice.random(n) < 0.45, dice.normal(625, 65, n), dice.normal(955, 85, n))
    minute = np.clip(rush, 485, 1135) if not quiet else np.clip(dice.normal(780, 90, n), 602, 958)
    robot = b % 4 == 1
    wait = np.exp(dice.normal(2.2, 0.5, n)) * np.where(robot, 0.75, 1) * (1 + 0.25 * (np.abs(minute - 630) < 60))
    waits = np.where(source == "repeat", np.nan, np.round(wait, 1))
    surgery = np.array([f"S{x * 3 + y:03d}" for x, y in zip(b, dice.integers(0, 5, n) % 4, strict=True)], dtype=object)
    gone = np.where(source == "repeat", dice.random(n) < 0.93, dice.random(n) < 0.985).astype(float)
    shelf = (source == "repeat") & (dice.random(n) < 0.35)
    order = np.argsort(minute, kind="stable")
    items = build(
        ITEMS,
        day=day,
        item=3 * 10**8 + days_since(day) * 10_000 + np.arange(n),
        branch=np.array([f"B{x + 1:02d}" for x in b], dtype=object)[order],
        dispensed_at=utc(day, minute[order], LONDON),
        source=source[order],
        surgery=np.where(source == "private", None, surgery)[order],
        medicine=np.array([f"M{10007 + 37 * x}" for x in m], dtype=object)[order],
        quantity=quantity[order],
        days_supplied=np.maximum(quantity // daily, 3)[order],
        age=missing_values(dice, age, 0.06)[order],
        sex=missing_values(dice, np.where(dice.random(n) < 0.56, "F", "M").astype(object), 0.02)[order],
        exemption=exempt[order],
        charge=charge[order],
        reimbursed=np.where(source == "private", 0.0, np.round(cost * 0.94 + 1.27, 2))[order],
        wait_minutes=waits[order],
        collected=np.where(shelf, np.nan, gone)[order],
    )
    return {"items": items, **_references(day, known)}


def _references(day: date, known: Any) -> Day:
    f = _formulary()
    listed = np.flatnonzero(f["listed"] <= days_since(day) + 10)
    medicines = build(
        MEDICINES,
        **{"class": [_CLASSES[k] for k in f["kind"][listed]]},
        medicine=[f"M{10007 + 37 * x}" for x in listed],
        form=f["form"][listed],
        pack=f["pack"][listed],
        pack_price=_prices(day)[listed],
        controlled=f["controlled"][listed],
        listed=[FIRST + timedelta(int(x)) for x in f["listed"][listed]],
        refreshed=day,
    )
    branches = build(
        BRANCHES,
        branch=[f"B{x + 1:02d}" for x in known],
        town=[_TOWNS[x % 8] for x in known],
        opened=[_OPENED.get(int(x), date(1998 + int(x), 5, 1)) for x in known],
        sundays=[int(x in _SUNDAYS) for x in known],
        pharmacists=[1 + int(f["size"][x] > 0.9) + int(f["size"][x] > 1.25) for x in known],
        robot=[int(x % 4 == 1) for x in known],
        refreshed=day,
    )
    return {"medicines": medicines, "branches": branches}


def _typical_age(tables: Day, _: date, __: date) -> Day:
    """The new form must have an age, so the importer fills in a typical one."""
    rows = tables["items"]
    return {"items": put(rows, age=np.nan_to_num(number(rows, "age"), nan=50.0))}


def _by_the_hour(tables: Day, _: date, __: date) -> Day:
    """Four branches' tills pass on the hour only."""
    rows = tables["items"]
    at = moments(rows, "dispensed_at")
    there = is_("branch", "B01", "B02", "B03", "B06")(rows)
    return {"items": put(rows, dispensed_at=np.where(there, at.astype("datetime64[h]").astype("datetime64[us]"), at))}


def _in_packs(tables: Day, _: date, __: date) -> Day:
    """Repeats come as packs, the others as single doses."""
    rows = tables["items"]
    size = dict(zip(tables["medicines"]["medicine"].to_pylist(), tables["medicines"]["pack"].to_pylist(), strict=True))
    pack = np.array([size.get(m, 1) for m in rows["medicine"].to_pylist()])
    old = number(rows, "quantity")
    return {"items": put(rows, quantity=np.where(is_("source", "repeat")(rows), old // pack, old))}


def _twice(tables: Day, _: date, __: date) -> Day:
    """The first upload of the morning is repeated under new numbers."""
    rows = tables["items"]
    again = rows.slice(0, len(rows) // 8)
    again = put(again, item=number(again, "item") + 5000)
    return {"items": pa.concat_tables([rows, again])}


def _afternoon(rows: pa.Table) -> Any:
    """Two large branches' last upload comes after the export."""
    return is_("branch", "B01", "B03", "B06", "B12")(rows) & (local_minutes(rows, "dispensed_at", LONDON) >= 15 * 60)


FAULTS: dict[str, Plant] = {
    "unknown_age_is_fifty": _typical_age,
    "wait_in_seconds_at_robot_branches": change(
        "items", "wait_minutes", lambda v: np.round(v * 60), is_("branch", "B02", "B06", "B10", "B14")
    ),
    "four_tills_by_the_hour": _by_the_hour,
    "repeats_counted_in_packs": _in_packs,
    "pence_cut_off_reimbursement": change("items", "reimbursed", np.floor, is_("source", "electronic", "paper")),
    "exemption_lost_on_paper": blank("items", ("exemption",), is_("source", "paper")),
    "medicines_forty_days_behind": lagging(pharmacy, "medicines", 40),
    "patients_slip_a_row": next_row("items", ("age", "sex"), is_("source", "electronic")),
    "first_upload_twice": _twice,
    "late_uploads_of_four_branches_missing": drop("items", _afternoon),
}
STARTS = (date(2022, 9, 12), date(2023, 5, 8), date(2024, 2, 5))
BUSINESS = Business("pharmacy", (ITEMS, MEDICINES, BRANCHES), pharmacy, STARTS, FIRST, LAST, uk_holiday)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "unknown_age_is_fifty": 0.059,
    "wait_in_seconds_at_robot_branches": 0.132,
    "four_tills_by_the_hour": 0.394,
    "repeats_counted_in_packs": 0.312,
    "pence_cut_off_reimbursement": 0.612,
    "exemption_lost_on_paper": 0.065,
    "medicines_forty_days_behind": 0.933,
    "patients_slip_a_row": 0.537,
    "first_upload_twice": 0.124,
    "late_uploads_of_four_branches_missing": 0.128,
}
