"""Outcomes missing not at random, volumes, copies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.flights.tools import OUTCOMES, ZONE, in_order, late, of, redated, unique, unknown
from benchmarks.worlds.kit import (
    Day,
    Plant,
    is_,
    keep,
    local_minutes,
    number,
)


def arrivals_unknown(where: Callable[[pa.Table], Any]) -> Plant:
    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables["flights"]
        with np.errstate(all="ignore"):
            mask = where(rows)
        return {"flights": unknown(rows, mask, "arr_time", "arr_delay", "air_time")}

    return plant


def _after_closing(rows: pa.Table) -> Any:
    """Whoever is at the gate after 22:45, or after midnight."""
    at, left = number(rows, "arr_time"), number(rows, "dep_time")
    return (at >= 2245) | ((at < 500) & (left > 1500))


def _newark_afternoon(rows: pa.Table) -> Any:
    return is_("origin", "EWR")(rows) & is_("hour", 15, 16, 17, 18)(rows)


def newark_afternoon_unheard(tables: Day, _: date, __: date) -> Day:
    """The messages of one airport's afternoon are lost: no outcome at all."""
    rows = tables["flights"]
    return {"flights": unknown(rows, _newark_afternoon(rows), *OUTCOMES)}


def expressjet_missing_on_weekends(tables: Day, day: date, _: date) -> Day:
    rows = tables["flights"]
    return {"flights": keep(rows, ~is_("carrier", "EV")(rows))} if day.weekday() >= 5 else {}


def mornings_of_last_week(tables: Day, day: date, _: date) -> Day:
    """Until ten o'clock it is last week's morning."""
    rows, old = tables["flights"], redated(of(day - timedelta(7))["flights"], 7)
    new = pa.concat_tables([keep(old, number(old, "hour") < 10), keep(rows, number(rows, "hour") >= 10)])
    return {"flights": in_order(unique(new))}


def outcomes_of_last_week(tables: Day, day: date, _: date) -> Day:
    """Today's flights with the delays that the same number had a week ago, where it flew on both days."""
    return {"flights": _remembered(tables["flights"], of(day - timedelta(7))["flights"])}


def _remembered(rows: pa.Table, old: pa.Table) -> pa.Table:
    names = ("carrier", "flight", "origin", "dest")
    there = {key: n for n, key in enumerate(zip(*(old[c].to_pylist() for c in names), strict=True))}
    at = np.array([there.get(key, -1) for key in zip(*(rows[c].to_pylist() for c in names), strict=True)])
    dep, arr = number(rows, "dep_delay"), number(rows, "arr_delay")
    other_dep, other_arr = number(old, "dep_delay")[at], number(old, "arr_delay")[at]
    hit = (at >= 0) & np.isfinite(arr) & np.isfinite(other_arr)
    return late(rows, np.where(hit, other_dep, dep), np.where(hit, other_arr, arr))


def four_weeks_ago(_: Day, day: date, __: date) -> Day:
    """Flights and weather of the same weekday four weeks ago, all of it."""
    old = of(day - timedelta(28))
    sky = redated(old["weather"], 28).sort_by([("time_hour", "ascending"), ("origin", "ascending")])
    mask, seen = [], set()
    for key in zip(sky["origin"].to_pylist(), sky["time_hour"].to_pylist(), strict=True):
        mask.append(key not in seen)
        seen.add(key)
    return {"flights": redated(old["flights"], 28), "weather": keep(sky, mask)}


def laguardia_weather_of_last_week(tables: Day, day: date, _: date) -> Day:
    rows, old = tables["weather"], redated(of(day - timedelta(7))["weather"], 7)
    new = pa.concat_tables([keep(rows, ~is_("origin", "LGA")(rows)), keep(old, is_("origin", "LGA")(old))])
    return {"weather": new.sort_by([("time_hour", "ascending"), ("origin", "ascending")])}


def weather_without_afternoons(tables: Day, _: date, __: date) -> Day:
    """Nothing from 15 to 18 o'clock, from no station."""
    rows = tables["weather"]
    hour = local_minutes(rows, "time_hour", ZONE) // 60
    return {"weather": keep(rows, (hour < 15) | (hour > 17))}
