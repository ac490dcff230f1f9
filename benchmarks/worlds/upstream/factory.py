"""Quality inspection of turned parts: tools wear, products come in campaigns, three shifts, few on Sundays."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import BERLIN, FIRST, LAST, Business, days_since, german_holiday, people, sky
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    drop,
    is_,
    keep,
    lagging,
    mark,
    moments,
    number,
    put,
    recode,
    ref,
    rng,
    utc,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

PARTS = Feed(
    name="parts",
    path="parts/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("part", "integer"),
        Column("machine", "string"),
        Column("product", "string"),
        Column("inspected_at", "timestamp"),
        Column("shift", "string"),
        Column("operator", "string"),
        Column("lot", "string"),
        Column("cycle_s", "number"),
        Column("oil_temp", "number", empty=True),
        Column("torque", "number"),
        Column("bore", "number"),
        Column("length", "number", empty=True),
        Column("vision", "number", empty=True),
        Column("passed", "integer", outcome=True),
        Column("defect", "string", empty=True, outcome=True),
        Column("rework_minutes", "number", empty=True, outcome=True),
    ),
    key=("part",),
    day="day",
    time="inspected_at",
)
MACHINES = ref(
    "machines",
    (
        Column("machine", "string"),
        Column("line", "string"),
        Column("model", "string"),
        Column("calibrated", "date"),
        Column("tool", "string"),
        Column("tool_parts", "integer"),
    ),
    ("machine",),
    ("parts", ("machine",)),
)
PRODUCTS = ref(
    "products",
    (
        Column("product", "string"),
        Column("customer", "string"),
        Column("bore_nominal", "number"),
        Column("bore_tolerance", "number"),
        Column("length_nominal", "number"),
        Column("torque_target", "number"),
        Column("revision", "string"),
    ),
    ("product",),
    ("parts", ("product",)),
)
_O = people(7301, 46, 260, "P", gap=6)
NEW = date(2023, 3, 20)
_BORE = np.array([8.0, 10.0, 12.5, 16.0, 8.0, 20.0, 12.5, 10.0, 25.0, 16.0])
_LEN = np.array([42.0, 55.0, 60.0, 88.0, 36.0, 110.0, 71.0, 47.5, 130.0, 95.0])
_TORQUE = np.array([12.0, 18.0, 24.0, 38.0, 11.0, 55.0, 26.0, 17.0, 72.0, 41.0])
_TOL = np.array([0.018, 0.018, 0.021, 0.021, 0.015, 0.026, 0.021, 0.018, 0.026, 0.018])


def _makes(m: int, day: date) -> int:
    """A machine makes one product for some days, then another of those it is fitted for."""
    block = (day.toordinal() + 3 * m) // (4 + m % 4)
    fits = [(m * 2 + k * 3) % 9 for k in range(3)] + ([9] if day >= NEW and m in (2, 5, 9) else [])
    return fits[mark(f"job{m}/{block}") % len(fits)]


def _tool(m: int, day: date) -> tuple[int, int, int]:
    """How manyeth tool, its day, and its life in days."""
    life = 5 + m % 6
    at = day.toordinal() + 2 * m
    return at // life, at % life, life


def _down(m: int, day: date) -> bool:
    return mark(f"down{m}/{(day.toordinal() + m) // 2}") % 55 == 0


def _calibrated(m: int, day: date) -> date:
    return day - timedelta((day.toordinal() + 11 * m) % 63)


def _event(day: date) -> str:
    return (
        german_holiday(day)
        or ("power cut" if day == date(2023, 5, 4) else "")
        or ("stocktaking" if day == date(2023, 6, 30) else "")
    )


@lru_cache(maxsize=64)
def factory(day: date) -> Day:
    dice, n = rng(7302, day), day.toordinal()
    quiet = day.weekday() == 6 or bool(german_holiday(day))
    level = 0.13 if quiet else (1.0, 1.03, 1.04, 1.02, 0.97, 0.62)[day.weekday()]
    level *= 0.6 if day in (date(2023, 5, 4), date(2023, 6, 30)) else 1
    up = np.array([m for m in range(14) if not _down(m, day)])
    if quiet:
        up = up[up < 6]
    pace = np.array([1.0 + 0.5 * (m % 3) - 0.3 * (m % 4 == 0) for m in up])
    count = int(
        dice.poisson(900 * level * pace.sum() / 19.5 * (1 if not quiet else 2.2) * np.exp(dice.normal(0, 0.03)))
    )
    m = dice.choice(up, count, p=pace / pace.sum())
    # the production day begins at six
    share = np.array([0.5, 0.5, 0.0]) if quiet or day.weekday() == 5 else np.array([0.37, 0.35, 0.28])
    s = dice.choice(3, count, p=share)
    minute = 360 + s * 480 + np.clip(dice.beta(1.15, 1.1, count), 0, 1) * 470 + 3
    order = np.argsort(minute, kind="stable")
    m, s, minute = m[order], s[order], minute[order]
    prod = np.array([_makes(x, day) for x in range(14)])[m]
    crew = _O.there(day)
    turn = (crew + n // 7) % 3
    who = np.empty(count, dtype=int)
    for shift in range(3):
        team = crew[turn == shift]
        team = team[[mark(f"off{i}/{n}") % 9 > 0 for i in team]] if len(team) > 4 else team
        mask = s == shift
        # each looks after a few machines
        who[mask] = team[(m[mask] * 5 + n) % len(team)] if len(team) else crew[0]
    wear = np.array([_tool(x, day)[1] / _tool(x, day)[2] for x in range(14)])[m] + (minute - 360) / 1440 / 7
    temp, _, _ = sky(day, 11)
    hours = np.clip(minute / 60, 0, 49).astype(int)
    oil = 41 + 0.22 * temp[hours] + 2.5 * (m % 4) + np.clip((minute - 360) / 90, 0, 5) + dice.normal(0, 0.8, count)
    drift = np.array([(n + 11 * x) % 63 / 63 for x in range(14)])[m]
    bore = (
        _BORE[prod]
        + 0.004 * (wear - 0.5)
        + 0.0035 * (drift - 0.5)
        + 0.00022 * (oil - 50)
        + dice.normal(0, 0.0042, count)
        + 0.001 * ((m % 5) - 2)
    )
    length = _LEN[prod] + 0.006 * (m % 3 - 1) + dice.normal(0, 0.015, count)
    torque = _TORQUE[prod] * (1 + 0.05 * (wear - 0.5)) * np.exp(dice.normal(0, 0.028, count))
    cycle = 30 + 1.1 * _LEN[prod] * (1 + 0.06 * (m % 4)) * np.exp(dice.normal(0, 0.025, count)) + 2.5 * (s == 2)
    lots = np.array([f"L{mark(f'{p}/{(n + p) // 6}') % 9000 + 1000}" for p in range(10)], dtype=object)[prod]
    camera = (m % 5) < 3
    skill = _O.traits[who, 0]
    scratch = dice.random(count) < 0.012 + 0.012 * (1 - skill) + 0.01 * (s == 2)
    burr = dice.random(count) < 0.006 + 0.016 * wear**2
    out = np.abs(bore - _BORE[prod]) > _TOL[prod] * 0.62
    short = np.abs(length - _LEN[prod]) > 0.04
    defect = np.select([out, short, burr, scratch], ["bore", "length", "burr", "scratch"], None).astype(object)
    defect = np.where(defect == "None", None, defect)
    bad = np.array([d is not None for d in defect], dtype=bool)
    vision = np.clip(
        dice.beta(14, 1.6, count) - np.where(scratch | burr, dice.uniform(0.2, 0.5, count), 0), 0.02, 0.999
    )
    # the rework of a part is known after the shift, for half of them only days later
    rework = np.where(bad & (dice.random(count) < 0.55), np.round(dice.gamma(2.5, 6, count)), np.nan)
    table = build(
        PARTS,
        day=day,
        part=days_since(day) * 4000 + np.arange(count) + 3 * 10**8,
        machine=[f"M{x + 1:02d}" for x in m],
        product=[f"A{100 + 7 * p}" for p in prod],
        inspected_at=utc(day, minute, BERLIN),
        shift=np.array(["early", "late", "night"], dtype=object)[s],
        operator=_O.ids[who],
        lot=lots,
        cycle_s=np.round(cycle, 1),
        oil_temp=missing(dice, np.round(oil, 1), 0.01),
        torque=np.round(torque, 1),
        bore=np.round(bore, 3),
        length=missing(dice, np.round(length, 3), 0.02),
        vision=np.where(camera, np.round(vision, 3), np.nan),
        passed=(~bad).astype(int),
        defect=defect,
        rework_minutes=rework,
    )
    machines = build(
        MACHINES,
        machine=[f"M{x + 1:02d}" for x in range(14)],
        line=[("turning", "milling", "grinding")[x % 3] for x in range(14)],
        model=[("CTX310", "NLX2500", "DMU50", "Kellenberger")[x % 4] for x in range(14)],
        calibrated=[_calibrated(x, day) for x in range(14)],
        tool=[f"T{(_tool(x, day)[0] * 31 + x) % 900 + 100}" for x in range(14)],
        tool_parts=[_tool(x, day)[1] * (48 + 9 * (x % 3)) for x in range(14)],
        refreshed=day,
    )
    known = list(range(10 if day >= NEW - timedelta(7) else 9))
    products = build(
        PRODUCTS,
        product=[f"A{100 + 7 * p}" for p in known],
        customer=[("Hauser", "Voltek", "Nord Hydraulik", "Hauser", "Brandt")[p % 5] for p in known],
        bore_nominal=_BORE[known],
        bore_tolerance=_TOL[known],
        length_nominal=_LEN[known],
        torque_target=_TORQUE[known],
        revision=["C" if p == 3 and day >= date(2023, 2, 20) else "B" if p % 2 else "A" for p in known],
        refreshed=day,
    )
    return {"parts": table, "machines": machines, "products": products}


def _frozen(tables: Day, _: date, first: date) -> Day:
    """The oil sensors of three machines stand still where they stood on the first day."""
    rows = tables["parts"]
    then = factory(first)["parts"]
    new = number(rows, "oil_temp")
    names, old = np.array(rows["machine"].to_pylist()), np.array(then["machine"].to_pylist())
    for m in ("M02", "M06", "M11", "M03"):
        known = number(then, "oil_temp")[old == m]
        known = known[~np.isnan(known)]
        new = np.where(names == m, known[-1] if len(known) else 46.3, new)
    return {"parts": put(rows, oil_temp=new)}


def _half(tables: Day, _: date, __: date) -> Day:
    """Of the good parts only each second is delivered, to save room."""
    rows = tables["parts"]
    gone = (number(rows, "passed") == 1) & (np.array(rows["part"].to_pylist()) % 2 == 1)
    return {"parts": keep(rows, ~gone)}


def _hour(tables: Day, _: date, __: date) -> Day:
    rows = tables["parts"]
    return {
        "parts": put(rows, inspected_at=moments(rows, "inspected_at").astype("datetime64[h]").astype("datetime64[us]"))
    }


def _no_rework(tables: Day, _: date, __: date) -> Day:
    rows = tables["parts"]
    return {"parts": put(rows, rework_minutes=np.nan_to_num(number(rows, "rework_minutes"), nan=0.0))}


def _operator_lists(tables: Day, day: date, _: date) -> Day:
    """The roster of last week: the operators of the shift that had the machine seven days ago."""
    rows, old = tables["parts"], factory(day - timedelta(7))["parts"]
    was = {
        (m, s): o
        for m, s, o in zip(
            old["machine"].to_pylist(), old["shift"].to_pylist(), old["operator"].to_pylist(), strict=True
        )
    }
    there = zip(rows["machine"].to_pylist(), rows["shift"].to_pylist(), rows["operator"].to_pylist(), strict=True)
    return {"parts": put(rows, operator=[was.get((m, s), o) for m, s, o in there])}


def _third(rows: pa.Table) -> Any:
    return np.array([m in ("M02", "M05", "M08", "M11", "M14") for m in rows["machine"].to_pylist()])


FAULTS: dict[str, Plant] = {
    "torque_in_foot_pounds_on_one_line": change("parts", "torque", lambda v: np.round(v * 0.7376, 1), _third),
    "oil_sensors_stuck": _frozen,
    "bore_rounded_to_hundredths": change("parts", "bore", lambda v: np.round(v, 2)),
    "night_shift_missing": drop("parts", is_("shift", "night")),
    "two_machines_exchanged": recode("parts", "machine", {"M03": "M08", "M08": "M03"}),
    "unknown_rework_is_zero": _no_rework,
    "half_of_the_good_parts": _half,
    "machines_lag_five_days": lagging(factory, "machines", 5),
    "inspected_at_full_hour": _hour,
    "roster_of_last_week": _operator_lists,
}
BUSINESS = Business("factory", (PARTS, MACHINES, PRODUCTS), factory, (date(2023, 1, 18),), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "torque_in_foot_pounds_on_one_line": 0.375,
    "oil_sensors_stuck": 0.383,
    "bore_rounded_to_hundredths": 0.895,
    "night_shift_missing": 0.206,
    "two_machines_exchanged": 0.184,
    "unknown_rework_is_zero": 0.97,
    "half_of_the_good_parts": 0.471,
    "machines_lag_five_days": 1.0,
    "inspected_at_full_hour": 1.0,
    "roster_of_last_week": 0.921,
}
