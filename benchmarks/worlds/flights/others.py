"""What else happens at night."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.flights.tools import in_order, late, unique
from benchmarks.worlds.kit import (
    Day,
    keep,
    number,
    put,
    rng,
)


def numbers_are_legs(tables: Day, _: date, __: date) -> Day:
    """The flight number is the carrier's running number of the day."""
    rows = tables["flights"]
    count: dict[str, int] = defaultdict(int)
    new = []
    for carrier in rows["carrier"].to_pylist():
        count[carrier] += 1
        new.append(count[carrier])
    return {"flights": put(rows, flight=new)}


def lost_rows_made_up(tables: Day, day: date, _: date) -> Day:
    """One row in twelve is lost; as many others come twice, under another number."""
    rows = tables["flights"]
    order = rng(71, day).permutation(len(rows))
    n = len(rows) // 12
    twice = rows.take(pa.array(np.sort(order[n : 2 * n])))
    twice = put(twice, flight=number(twice, "flight") + 1)
    left = rows.take(pa.array(np.sort(order[n:])))
    return {"flights": in_order(unique(pa.concat_tables([left, twice])))}


def marketing_for_operating_carrier(tables: Day, _: date, __: date) -> Day:
    """Who sold the flight, no longer who flew it."""
    rows = tables["flights"]
    sold = {"EV": "UA", "9E": "DL", "MQ": "AA"}
    new = put(rows, carrier=[sold.get(c, c) for c in rows["carrier"].to_pylist()])
    seen: set[Any] = set()
    numbers = []
    for carrier, sold_as, origin in zip(*(new[c].to_pylist() for c in ("carrier", "flight", "origin")), strict=True):
        flight = sold_as
        while (carrier, flight, origin) in seen:
            flight += 1
        seen.add((carrier, flight, origin))
        numbers.append(flight)
    return {"flights": in_order(put(new, flight=numbers))}


def load_test_left_in(tables: Day, day: date, _: date) -> Day:
    """Forty flights that nobody flew, always punctual."""
    rows = tables["flights"]
    some = keep(rows, np.isfinite(number(rows, "arr_delay")))
    some = some.take(pa.array(np.sort(rng(72, day).choice(len(some), 40, replace=False))))
    made = put(some, flight=np.arange(40) + 6000)
    made = late(made, np.zeros(40), np.zeros(40))
    return {"flights": in_order(unique(pa.concat_tables([rows, made])))}


def _fleet_number(tail: str) -> str:
    return tail[1:4]
