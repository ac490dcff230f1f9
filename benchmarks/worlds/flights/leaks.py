"""Leaks and joins: another day's or moment's rows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from benchmarks.worlds.flights.missing import _remembered
from benchmarks.worlds.flights.tools import late, of
from benchmarks.worlds.kit import (
    Day,
    number,
    put,
)


def yesterdays_registrations(tables: Day, day: date, _: date) -> Day:
    """The aircraft that flew this number yesterday."""
    rows, old = tables["flights"], of(day - timedelta(1))["flights"]
    names = ("carrier", "flight", "origin")
    flown = dict(zip(zip(*(old[c].to_pylist() for c in names), strict=True), old["tailnum"].to_pylist(), strict=True))
    keys = zip(*(rows[c].to_pylist() for c in names), strict=True)
    return {
        "flights": put(
            rows, tailnum=[flown.get(k) or t for k, t in zip(keys, rows["tailnum"].to_pylist(), strict=True)]
        )
    }


def registrations_by_route(tables: Day, _: date, __: date) -> Day:
    """Joined by carrier and destination, so a route has the day's first aircraft all day."""
    rows = tables["flights"]
    first: dict[Any, str] = {}
    new = []
    for carrier, origin, dest, tail in zip(
        *(rows[c].to_pylist() for c in ("carrier", "origin", "dest", "tailnum")), strict=True
    ):
        new.append(tail if tail is None else first.setdefault((carrier, origin, dest), tail))
    return {"flights": put(rows, tailnum=new)}


def delays_of_the_next_flight(tables: Day, _: date, __: date) -> Day:
    """Among the flights that arrived, each has the delays of the one after it in the file."""
    rows = tables["flights"]
    dep, arr = number(rows, "dep_delay"), number(rows, "arr_delay")
    some = np.flatnonzero(np.isfinite(arr))
    dep[some], arr[some] = np.roll(dep[some], -1), np.roll(arr[some], -1)
    return {"flights": late(rows, dep, arr)}


def arrivals_of_yesterday(tables: Day, day: date, _: date) -> Day:
    """Departures are today's, arrivals are those of the same number yesterday."""
    rows = tables["flights"]
    other = _remembered(rows, of(day - timedelta(1))["flights"])
    return {"flights": late(rows, arr=number(other, "arr_delay"))}
