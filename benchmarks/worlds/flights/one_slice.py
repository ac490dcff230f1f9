"""One slice that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.flights.tools import in_order, late, of, unique
from benchmarks.worlds.kit import (
    Day,
    is_,
    keep,
    moments,
    number,
    put,
)


def jfk_thermometer_stuck(tables: Day, _: date, first: date) -> Day:
    """It says what it said in the last hour before it died."""
    rows, before = tables["weather"], of(first - timedelta(1))["weather"]
    last = keep(before, is_("origin", "JFK")(before)).sort_by("time_hour")
    there = is_("origin", "JFK")(rows)
    new = {}
    for n in ("temp", "dewp", "humid"):
        said = number(last, n)
        new[n] = np.where(there, said[np.isfinite(said)][-1], number(rows, n))
    return {"weather": put(rows, **new)}


def lga_in_celsius(rows: pa.Table) -> Mapping[str, Any]:
    there = is_("origin", "LGA")(rows)
    return {n: np.where(there, np.round((number(rows, n) - 32) / 1.8, 1), number(rows, n)) for n in ("temp", "dewp")}


def jfk_anemometer_iced(rows: pa.Table) -> Mapping[str, Any]:
    there = is_("origin", "JFK")(rows)
    still = {n: np.where(there, 0, number(rows, n)) for n in ("wind_speed", "wind_dir")}
    return still | {"wind_gust": np.where(there, np.nan, number(rows, "wind_gust"))}


def ewr_wind_in_km_h(rows: pa.Table) -> Mapping[str, Any]:
    there = is_("origin", "EWR")(rows)
    return {
        n: np.where(there, np.round(number(rows, n) * 1.609344, 4), number(rows, n))
        for n in ("wind_speed", "wind_gust")
    }


def stations_exchanged(tables: Day, _: date, __: date) -> Day:
    rows = tables["weather"]
    swap = {"JFK": "EWR", "EWR": "JFK"}
    new = put(rows, origin=[swap.get(o, o) for o in rows["origin"].to_pylist()])
    return {"weather": new.sort_by([("time_hour", "ascending"), ("origin", "ascending")])}


def codeshares_sent_too(tables: Day, _: date, __: date) -> Day:
    """Flights of two regional carriers also under the number of the airline that sells them."""
    rows = tables["flights"]
    some = keep(rows, is_("carrier", "9E", "EV")(rows) & (number(rows, "flight") % 3 != 0))
    sold = {"9E": "DL", "EV": "UA"}
    some = put(some, carrier=[sold[c] for c in some["carrier"].to_pylist()], flight=number(some, "flight") + 2200)
    return {"flights": in_order(unique(pa.concat_tables([rows, some])))}


def envoy_in_central_time(tables: Day, _: date, __: date) -> Day:
    """One carrier sends departures in the time of its headquarters."""
    rows = tables["flights"]
    there = is_("carrier", "MQ")(rows) & (number(rows, "hour") >= 1)
    planned = number(rows, "sched_dep_time") - np.where(there, 100, 0)
    new = put(
        rows,
        sched_dep_time=planned,
        hour=number(rows, "hour") - there,
        time_hour=moments(rows, "time_hour") - there.astype("int64").astype("timedelta64[h]"),
    )
    return {"flights": in_order(late(new, number(rows, "dep_delay")))}


def carriers_exchanged(tables: Day, _: date, __: date) -> Day:
    """Endeavor and Envoy under each other's code."""
    rows = tables["flights"]
    swap = {"9E": "MQ", "MQ": "9E"}
    return {"flights": in_order(unique(put(rows, carrier=[swap.get(c, c) for c in rows["carrier"].to_pylist()])))}


def cities_for_airports(tables: Day, _: date, __: date) -> Day:
    """A city's airports are one, at the distance of its main one."""
    main = {
        **{"IAD": "DCA", "MDW": "ORD", "HOU": "IAH", "DAL": "DFW", "OAK": "SFO", "SJC": "SFO", "LGB": "LAX"},
        **{"SNA": "LAX", "BUR": "LAX", "PBI": "FLL", "MIA": "FLL"},
    }
    rows = tables["flights"]
    origins, dests, far = (rows[n].to_pylist() for n in ("origin", "dest", "distance"))
    known = _distances()
    new, other = [], []
    for origin, dest, miles in zip(origins, dests, far, strict=True):
        there = main.get(dest, dest)
        fits = (origin, there) in known
        new.append(there if fits else dest)
        other.append(known[(origin, there)] if fits and there != dest else miles)
    return {"flights": put(rows, dest=new, distance=other)}


@lru_cache(maxsize=1)
def _distances() -> dict[tuple[str, str], int]:
    found = {}
    for n in range(0, 30, 3):
        rows = of(date(2013, 1, 10) + timedelta(n))["flights"]
        found |= dict(
            zip(
                zip(rows["origin"].to_pylist(), rows["dest"].to_pylist(), strict=True),
                rows["distance"].to_pylist(),
                strict=True,
            )
        )
    return found


def expressjet_in_quarters(rows: pa.Table, delay: Any) -> Any:
    """One carrier books in quarters of an hour."""
    return np.where(is_("carrier", "EV")(rows), np.round(delay / 15) * 15, delay)
