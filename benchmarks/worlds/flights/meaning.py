"""Meaning that shifts while all columns agree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.flights.tools import clock, humidity, in_order, late, minutes, taxi
from benchmarks.worlds.kit import (
    Day,
    mark,
    moments,
    number,
    put,
    words,
)


def arrival_clock_drifts(tables: Day, day: date, first: date) -> Day:
    """The gates' clock gains a minute a day."""
    rows = tables["flights"]
    return {"flights": late(rows, arr=number(rows, "arr_delay") + (day - first).days + 1)}


def arrival_at_touchdown(rows: pa.Table, arr: Any) -> Any:
    """Arrived when the wheels touch the ground, not at the gate."""
    ground = np.array([3 + mark(d) % 6 for d in rows["dest"].to_pylist()]) + number(rows, "flight") % 3
    return arr - ground


def departure_at_wheels_off(rows: pa.Table, dep: Any) -> Any:
    """Departed when the wheels leave the ground, not the gate."""
    return dep + np.where(np.isfinite(taxi(rows)), np.round(0.65 * taxi(rows)), 13)


def air_time_gate_to_gate(tables: Day, _: date, __: date) -> Day:
    rows = tables["flights"]
    return {"flights": put(rows, air_time=number(rows, "air_time") + taxi(rows))}


def schedule_as_last_revised(tables: Day, _: date, __: date) -> Day:
    """Who leaves half an hour late or more has the revised time as schedule, five minutes before it left."""
    rows = tables["flights"]
    dep, arr = number(rows, "dep_delay"), number(rows, "arr_delay")
    planned, landing = minutes(number(rows, "sched_dep_time")), minutes(number(rows, "sched_arr_time"))
    with np.errstate(all="ignore"):
        shift = np.where((dep >= 30) & (planned + dep - 5 < 1440), dep - 5, 0)
    shift = np.nan_to_num(shift)
    new = planned + shift
    hours = (new // 60 - planned // 60).astype("int64")
    rows = put(
        rows,
        sched_dep_time=clock(new, 0),
        sched_arr_time=clock(landing + shift, 2359),
        hour=new // 60,
        minute=new % 60,
        time_hour=moments(rows, "time_hour") + hours.astype("timedelta64[h]"),
    )
    return {"flights": in_order(late(rows, dep - shift, arr - shift))}


def _other_landing(rows: pa.Table, shift: Any) -> pa.Table:
    landing = minutes(number(rows, "sched_arr_time")) + np.nan_to_num(shift)
    rows = put(rows, sched_arr_time=clock(landing, 2359))
    return late(rows, arr=number(rows, "arr_delay") - shift)


def arrival_schedule_padded(tables: Day, _: date, __: date) -> Day:
    """Ten minutes of reserve in every schedule, so everybody is ten minutes less late."""
    rows = tables["flights"]
    return {"flights": _other_landing(rows, np.full(len(rows), 10.0))}


def estimated_for_scheduled_arrival(tables: Day, _: date, __: date) -> Day:
    """The schedule's column has the estimate made on the way."""
    rows = tables["flights"]
    arr = number(rows, "arr_delay")
    return {"flights": _other_landing(rows, np.round(0.7 * arr))}


def schedule_in_quarters(tables: Day, _: date, __: date) -> Day:
    """Departures are planned in quarters of an hour, delays are counted from there."""
    rows = tables["flights"]
    extra = number(rows, "minute") % 15
    dep = number(rows, "dep_delay") + extra
    rows = put(
        rows,
        minute=number(rows, "minute") - extra,
        sched_dep_time=number(rows, "sched_dep_time") - extra,
    )
    return {"flights": in_order(late(rows, dep))}


def whole_celsius(rows: pa.Table) -> Mapping[str, Any]:
    """Whole degrees of another scale, turned back."""
    new = {n: np.round(np.round((number(rows, n) - 32) / 1.8) * 1.8 + 32, 2) for n in ("temp", "dewp")}
    return new | {"humid": humidity(new["temp"], new["dewp"])}


def wet_bulb_for_dew_point(rows: pa.Table) -> Mapping[str, Any]:
    temp, dewp = number(rows, "temp"), number(rows, "dewp")
    wet = np.round((temp - (temp - dewp) / 3 - 32) / 1.8, 1) * 1.8 + 32
    return {"dewp": np.round(wet, 2), "humid": humidity(temp, wet)}


def gusts_zero_when_absent(rows: pa.Table) -> Mapping[str, Any]:
    return {"wind_gust": np.nan_to_num(number(rows, "wind_gust"))}


def standard_pressure_when_absent(rows: pa.Table) -> Mapping[str, Any]:
    pressure = number(rows, "pressure")
    return {"pressure": np.where(np.isnan(pressure), 1013.2, pressure)}


def calm_under_eight_knots(rows: pa.Table) -> Mapping[str, Any]:
    """An anemometer that starts late."""
    wind, towards = number(rows, "wind_speed"), number(rows, "wind_dir")
    calm = wind < 8 * 1.15
    return {"wind_speed": np.where(calm, 0, wind), "wind_dir": np.where(calm, 0, towards)}


def rain_since_midnight(rows: pa.Table) -> Mapping[str, Any]:
    """The gauge is read and not emptied."""
    rain, total = number(rows, "precip"), np.zeros(len(rows))
    stations, hours = words(rows, "origin"), moments(rows, "time_hour")
    for station in set(stations):
        at = np.flatnonzero(stations == station)
        at = at[np.argsort(hours[at])]
        total[at] = np.round(np.nancumsum(rain[at]), 2)
    return {"precip": total}


def visibility_capped_at_five(rows: pa.Table) -> Mapping[str, Any]:
    return {"visib": np.minimum(number(rows, "visib"), 5)}
