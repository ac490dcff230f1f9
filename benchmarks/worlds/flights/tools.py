"""Tools that the faults of the flights share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.faults import clean
from benchmarks.worlds.kit import (
    Day,
    Plant,
    keep,
    moments,
    number,
    put,
)

ZONE = "America/New_York"
OUTCOMES = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
VALUES = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")


@lru_cache(maxsize=128)
def of(day: date) -> Day:
    """The clean tables of a day."""
    return clean(day)


def minutes(clock: Any) -> Any:
    """Minutes since midnight of 1745."""
    return clock // 100 * 60 + clock % 100


def clock(minute: Any, midnight: int = 2400) -> Any:
    """1745 of minutes since midnight; the source writes an actual midnight as 2400."""
    minute = np.mod(minute, 1440)
    return np.where(minute == 0, midnight, minute // 60 * 100 + minute % 60)


def late(rows: pa.Table, dep: Any = None, arr: Any = None) -> pa.Table:
    """Other delays, and the actual times that go with them."""
    new = {}
    if dep is not None:
        new |= {"dep_delay": dep, "dep_time": clock(minutes(number(rows, "sched_dep_time")) + dep)}
    if arr is not None:
        new |= {"arr_delay": arr, "arr_time": clock(minutes(number(rows, "sched_arr_time")) + arr)}
    return put(rows, **new)


def delays(
    dep: Callable[[pa.Table, Any], Any] | None = None, arr: Callable[[pa.Table, Any], Any] | None = None
) -> Plant:
    """Plant other delays with the actual times to match."""

    def plant(tables: Day, _: date, __: date) -> Day:
        rows = tables["flights"]
        with np.errstate(all="ignore"):
            one = None if dep is None else dep(rows, number(rows, "dep_delay"))
            other = None if arr is None else arr(rows, number(rows, "arr_delay"))
        return {"flights": late(rows, one, other)}

    return plant


def both(how: Callable[[pa.Table, Any], Any]) -> Plant:
    return delays(how, how)


def in_order(rows: pa.Table) -> pa.Table:
    """As upstream sorts flights."""
    return rows.sort_by([(n, "ascending") for n in ("time_hour", "minute", "carrier", "flight", "origin")])


def unique(rows: pa.Table) -> pa.Table:
    """The first row of each key."""
    seen: set[Any] = set()
    mask = []
    for key in zip(*(rows[n].to_pylist() for n in ("carrier", "flight", "origin")), strict=True):
        mask.append(key not in seen)
        seen.add(key)
    return keep(rows, mask)


def unknown(rows: pa.Table, mask: Any, *names: str) -> pa.Table:
    """Without these values where the mask holds."""
    mask = np.asarray(mask, dtype=bool)
    return put(rows, **{n: np.where(mask, np.nan, number(rows, n)) for n in names})


def redated(rows: pa.Table, back: int) -> pa.Table:
    """The rows under a date so many days later, at the same local hours."""
    import pyarrow.compute as pc

    there = pc.local_timestamp(rows["time_hour"].cast(pa.timestamp("us", ZONE)))
    there = pc.add(there, pa.scalar(timedelta(back)))
    at = pc.assume_timezone(there, ZONE, ambiguous="earliest", nonexistent="latest").cast(pa.timestamp("us", "UTC"))
    return put(
        rows,
        time_hour=at,
        day=pc.add(rows["day"].cast(pa.timestamp("us")), pa.scalar(timedelta(back))).cast(pa.date32()),
    )


@lru_cache(maxsize=64)
def _hours(day: date) -> tuple[dict[Any, int], pa.Table]:
    rows = pa.concat_tables(
        [of(day + timedelta(n))["weather"] for n in (-1, 0, 1) if "weather" in of(day + timedelta(n))]
    )
    keys = zip(rows["origin"].to_pylist(), moments(rows, "time_hour").tolist(), strict=True)
    return {key: n for n, key in enumerate(keys)}, rows


def observed(whose: Callable[[str, Any], tuple[str, int]], values: tuple[str, ...] = VALUES) -> Plant:
    """Plant the weather of another (station, hours away) under each row; a row whose source is missing stays."""

    def plant(tables: Day, day: date, _: date) -> Day:
        rows = tables["weather"]
        found, all_ = _hours(day)
        at = []
        hours = moments(rows, "time_hour").tolist()
        for origin, hour in zip(rows["origin"].to_pylist(), hours, strict=True):
            station, away = whose(origin, hour)
            at.append(found.get((station, hour + timedelta(hours=away)), found[(origin, hour)]))
        return {"weather": put(rows, **{n: all_[n].take(pa.array(at)) for n in values})}

    return plant


def weather(how: Callable[[pa.Table], Mapping[str, Any]]) -> Plant:
    def plant(tables: Day, _: date, __: date) -> Day:
        with np.errstate(all="ignore"):
            return {"weather": put(tables["weather"], **how(tables["weather"]))}

    return plant


def planes(how: Callable[[pa.Table], Mapping[str, Any]]) -> Plant:
    return lambda tables, _, __: {"planes": put(tables["planes"], **how(tables["planes"]))}


def airports(how: Callable[[pa.Table], Mapping[str, Any]]) -> Plant:
    return lambda tables, _, __: {"airports": put(tables["airports"], **how(tables["airports"]))}


def humidity(temp: Any, dewp: Any) -> Any:
    def vapour(fahrenheit: Any) -> Any:
        celsius = (fahrenheit - 32) / 1.8
        return np.exp(17.625 * celsius / (243.04 + celsius))

    return np.round(100 * vapour(dewp) / vapour(temp), 2)


def taxi(rows: pa.Table) -> Any:
    """Minutes on the ground of a flight that arrived: zones differ by whole hours."""
    block = minutes(number(rows, "arr_time")) - minutes(number(rows, "dep_time"))
    return np.mod(block - number(rows, "air_time"), 60)
