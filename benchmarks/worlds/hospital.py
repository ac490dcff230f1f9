"""A hospital: forty admissions a day."""

from __future__ import annotations

from datetime import date
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
    days_since,
    people,
    pick,
    uk_holiday,
)
from benchmarks.worlds.kit import (
    Day,
    Plant,
    blank,
    build,
    change,
    drop,
    is_,
    mark,
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

ADMISSIONS = Feed(
    name="admissions",
    path="admissions/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("admission", "integer"),
        Column("arrived_at", "timestamp"),
        Column("ward", "string"),
        Column("doctor", "string"),
        Column("age", "integer"),
        Column("sex", "string"),
        Column("triage", "integer"),
        Column("route", "string"),
        Column("diagnosis", "string"),
        Column("heart_rate", "integer", empty=True),
        Column("temperature", "number", empty=True),
        Column("lactate", "number", empty=True),
        Column("earlier_stays", "integer"),
        Column("stay_hours", "number", empty=True, outcome=True),
        Column("back_in_30", "integer", empty=True, outcome=True),
    ),
    key=("admission",),
    day="day",
    time="arrived_at",
)
WARDS = ref(
    "wards",
    (
        Column("ward", "string"),
        Column("specialty", "string"),
        Column("site", "string"),
        Column("beds", "integer"),
        Column("staffed", "integer"),
    ),
    ("ward",),
    ("admissions", ("ward",)),
)
DOCTORS = ref(
    "doctors",
    (Column("doctor", "string"), Column("grade", "string"), Column("since", "date"), Column("hours", "integer")),
    ("doctor",),
    ("admissions", ("doctor",)),
)
_DOCTORS = people(401, 28, 240, "D", gap=2)
_WARDS = (
    ("1A", "general", "main", 28),
    ("1B", "general", "main", 26),
    ("2A", "surgery", "main", 30),
    ("2B", "orthopaedics", "main", 24),
    ("3A", "cardiology", "main", 22),
    ("3B", "respiratory", "main", 20),
    ("4A", "children", "east", 18),
    ("4B", "maternity", "east", 20),
    ("ICU", "intensive", "main", 12),
    ("SSU", "short stay", "main", 10),
)
_DIAGNOSES = (
    # code, wards, weight, mean age, spread, hours, readmitted, emergency share
    ("chest pain", ("3A", "SSU"), 5, 63, 14, 40, 0.12, 0.95),
    ("heart failure", ("3A",), 3, 76, 10, 150, 0.22, 0.85),
    ("pneumonia", ("3B", "1A"), 4, 68, 18, 120, 0.14, 0.97),
    ("COPD", ("3B",), 3, 70, 9, 110, 0.24, 0.93),
    ("hip fracture", ("2B",), 2, 80, 9, 220, 0.13, 1.0),
    ("joint replacement", ("2B",), 3, 67, 9, 80, 0.06, 0.0),
    ("appendicitis", ("2A",), 2, 28, 14, 50, 0.05, 1.0),
    ("gall bladder", ("2A",), 3, 52, 15, 60, 0.07, 0.4),
    ("stroke", ("1B", "ICU"), 2, 73, 12, 200, 0.13, 1.0),
    ("infection", ("1A", "1B"), 5, 60, 22, 90, 0.13, 0.9),
    ("child fever", ("4A",), 4, 4, 4, 30, 0.08, 1.0),
    ("birth", ("4B",), 5, 31, 5, 55, 0.02, 0.6),
    ("sepsis", ("ICU", "1A"), 1.5, 69, 16, 190, 0.2, 1.0),
    ("overdose", ("SSU",), 1.5, 35, 14, 22, 0.17, 1.0),
)


def _summer_closure(day: date) -> bool:
    return (day.month == 7 and day.day >= 15) or (day.month == 8 and day.day <= 20)


def _hospital_event(day: date) -> str:
    if day.month in (2, 8) and day.day == 1:
        return "doctors rotate"
    if day == date(2023, 10, 2):
        return "ward SSU opens"
    return uk_holiday(day)


@lru_cache(maxsize=64)
def hospital(day: date) -> Day:
    """A day of admissions."""
    dice, n = rng(402, day), day.toordinal()
    free = day.weekday() >= 5 or bool(uk_holiday(day))
    flu = max(0.0, 1 - abs((day - date(day.year if day.month > 6 else day.year - 1, 12, 28)).days) / 45)
    weight = []
    for code, _, w, _, _, _, _, urgent in _DIAGNOSES:
        level = w * (urgent + (1 - urgent) * (0.12 if free else 1.3))
        level *= 1 + 0.9 * flu * (code in ("pneumonia", "COPD", "child fever", "sepsis"))
        weight.append(level)
    rate = 1.0 * sum(weight) * (0.95 if free else 1.0) * (1.05 if day.weekday() == 0 else 1.0)
    count = max(int(dice.poisson(rate * 0.92)), 8)
    kind = dice.choice(len(weight), count, p=np.array(weight) / sum(weight))
    rows = [_DIAGNOSES[k] for k in kind]
    open_ssu = day >= date(2023, 10, 2)
    ward = []
    for r in rows:
        options = [w for w in r[1] if w != "SSU" or open_ssu] or ["1B"]
        ward.append(options[int(dice.integers(len(options)))])
    if _summer_closure(day):
        ward = ["1A" if w == "1B" else w for w in ward]
    mean, spread = np.array([r[3] for r in rows]), np.array([r[4] for r in rows])
    age = np.clip(np.round(dice.normal(mean, spread)), np.where(mean > 20, 16, 0), 101).astype(int)
    urgent = dice.random(count) < np.array([r[7] for r in rows])
    triage = np.where(urgent, np.clip(np.round(dice.normal(2.8, 0.8, count)), 1, 5), 5).astype(int)
    minute = np.where(urgent, dice.normal(870, 300, count) % 1440, dice.normal(520, 60, count)).clip(0, 1439)
    order = np.argsort(minute)
    fever = np.array([r[0] in ("pneumonia", "infection", "child fever", "sepsis") for r in rows])
    pulse = np.round(dice.normal(82 + 14 * fever + 6 * (triage < 3) + np.where(age < 8, 35, 0), 14))
    heat = np.round(dice.normal(36.8 + 1.2 * fever, 0.5), 1)
    acid = np.round(np.exp(dice.normal(0.25 + 0.3 * (triage < 3), 0.45)), 1)
    hours = np.round(
        np.array([r[5] for r in rows]) * np.exp(dice.normal(-0.15, 0.6, count)) * (1 + 0.004 * (age - 50)) + 4, 1
    )
    dead = dice.random(count) < np.where(age > 75, 0.04, 0.006)
    back = (dice.random(count) < np.array([r[6] for r in rows])).astype(float)
    staff = _DOCTORS.there(day)
    on_duty = staff[dice.random(len(staff)) < 0.6]
    on_duty = on_duty if len(on_duty) else staff
    doctor = _DOCTORS.ids[dice.choice(on_duty, count)]
    table = build(
        ADMISSIONS,
        day=day,
        admission=days_since(day) * 200 + np.arange(count) + 700000,
        arrived_at=utc(day, minute, LONDON),
        ward=ward,
        doctor=doctor,
        age=age,
        sex=np.where((dice.random(count) < 0.5) | np.array([r[0] == "birth" for r in rows]), "F", "M").astype(object),
        triage=triage,
        route=np.where(urgent, pick(dice, count, ("ambulance", "walk-in", "GP"), (5, 3, 2)), "planned"),
        diagnosis=[r[0] for r in rows],
        heart_rate=missing(dice, pulse, 0.07),
        temperature=missing(dice, heat, 0.09),
        lactate=np.where(dice.random(count) < np.where(triage < 3, 0.75, 0.25), acid, np.nan),
        earlier_stays=dice.negative_binomial(1, 0.5, count) + (dice.random(count) < 0.1) * dice.integers(1, 9, count),
        stay_hours=hours,
        back_in_30=np.where(dead, np.nan, back),
    ).take(pa.array(order))
    table = put(table, admission=np.sort(number(table, "admission")))
    names = [w for w in _WARDS if (w[0] != "SSU" or open_ssu) and not (w[0] == "1B" and _summer_closure(day))]
    wards = build(
        WARDS,
        ward=[w[0] for w in names],
        specialty=[w[1] for w in names],
        site=[w[2] for w in names],
        beds=[w[3] for w in names],
        staffed=[w[3] - mark(f"{w[0]}{(n + 3 * i) // 28}") % 4 for i, w in enumerate(names)],
        refreshed=day,
    )
    known = _DOCTORS.there(day, early=7)
    doctors = build(
        DOCTORS,
        doctor=_DOCTORS.ids[known],
        grade=[("junior", "registrar", "consultant")[int(3 * t)] for t in _DOCTORS.traits[known, 0]],
        since=[date.fromordinal(int(s)) for s in _DOCTORS.start[known]],
        hours=[(24, 32, 40, 48)[int(4 * t)] for t in _DOCTORS.traits[known, 1]],
        refreshed=day,
    )
    return {"admissions": table, "wards": wards, "doctors": doctors}


def _midnights(values: Any) -> Any:
    return np.ceil(values / 24) * 24


FAULTS: dict[str, Plant] = {
    "stays_in_whole_days": change("admissions", "stay_hours", _midnights),
    "stays_until_decision_to_discharge": change(
        "admissions", "stay_hours", lambda v: np.round(np.maximum(v - 5, 1), 1)
    ),
    "long_stays_still_open": blank("admissions", ("stay_hours",), over("stay_hours", 120)),
    "fahrenheit_in_the_east": change(
        "admissions", "temperature", lambda v: np.round(v * 1.8 + 32, 1), is_("ward", "4A", "4B")
    ),
    "triage_reversed": change("admissions", "triage", lambda v: 6 - v),
    "lactate_zero_when_not_taken": change("admissions", "lactate", np.nan_to_num),
    "readmissions_elsewhere_not_seen": change(
        "admissions", "back_in_30", lambda v: v * 0, is_("ward", "3A", "3B", "1A")
    ),
    "wards_of_discharge": recode("admissions", "ward", {"1A": "1B", "ICU": "1A", "SSU": "1A"}),
    "vitals_of_the_next_patient": next_row("admissions", ("heart_rate", "temperature", "lactate")),
    "planned_patients_missing": drop("admissions", is_("route", "planned")),
    "ages_in_steps_of_ten": change("admissions", "age", lambda v: np.floor(v / 10) * 10),
    "grades_sorted_alone": sorted_alone("doctors", "grade"),
}

BUSINESS = Business("hospital", (ADMISSIONS, WARDS, DOCTORS), hospital, STARTS, FIRST, LAST, _hospital_event)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "stays_in_whole_days": 0.999,
    "stays_until_decision_to_discharge": 1.0,
    "long_stays_still_open": 0.279,
    "fahrenheit_in_the_east": 0.186,
    "triage_reversed": 0.61,
    "lactate_zero_when_not_taken": 0.589,
    "readmissions_elsewhere_not_seen": 0.073,
    "wards_of_discharge": 0.204,
    "vitals_of_the_next_patient": 0.999,
    "planned_patients_missing": 0.175,
    "ages_in_steps_of_ten": 0.889,
    "grades_sorted_alone": 0.631,
}
