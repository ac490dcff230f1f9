"""Content of reference tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.flights.tools import of
from benchmarks.worlds.kit import (
    Day,
    mark,
    number,
    put,
)


def seats_two_class(rows: pa.Table) -> Mapping[str, Any]:
    """Seats as the operator fits them, no longer as the type is certified."""
    seats = number(rows, "seats")
    return {"seats": np.where(seats >= 100, np.floor(seats * 0.82), seats)}


def year_of_registration(rows: pa.Table) -> Mapping[str, Any]:
    """The year of the certificate in place of the year of manufacture."""
    later = np.array([mark(t) % 12 for t in rows["tailnum"].to_pylist()])
    return {"year": np.minimum(number(rows, "year") + later, 2013)}


def years_of_two_digits(rows: pa.Table) -> Mapping[str, Any]:
    return {"year": np.mod(number(rows, "year"), 100)}


def airbus_years_blank(rows: pa.Table) -> Mapping[str, Any]:
    """One manufacturer's feed has no years any more."""
    airbus = np.array(["AIRBUS" in m for m in rows["manufacturer"].to_pylist()])
    return {"year": np.where(airbus, np.nan, number(rows, "year"))}


def makers_abbreviated(rows: pa.Table) -> Mapping[str, Any]:
    short = {
        "BOEING": "BOE",
        "AIRBUS": "AIB",
        "EMBRAER": "EMB",
        "BOMBARDIER": "BBD",
        "CANADAIR": "CDR",
        "MCDONNELL": "MDC",
    }
    return {
        "manufacturer": [next((s for w, s in short.items() if w in m), m) for m in rows["manufacturer"].to_pylist()]
    }


def engines_as_codes(rows: pa.Table) -> Mapping[str, Any]:
    """The registry's own codes in place of their words."""
    engine = {
        "Turbo-fan": "5",
        "Turbo-jet": "4",
        "Turbo-shaft": "3",
        "Turbo-prop": "2",
        "Reciprocating": "1",
        "4 Cycle": "8",
    }
    kind = {"Fixed wing multi engine": "5", "Fixed wing single engine": "4", "Rotorcraft": "6"}
    return {
        "engine": [engine.get(w, "0") for w in rows["engine"].to_pylist()],
        "type": [kind.get(w, "0") for w in rows["type"].to_pylist()],
    }


def placeholders_for_unregistered(tables: Day, day: date, first: date) -> Day:
    """Somebody closed the gap: every number that flew lately and was not registered has a row with usual values."""
    rows = tables["planes"]
    known = set(rows["tailnum"].to_pylist())
    flown: set[str] = set()
    at = first - timedelta(20)
    while at <= day:
        flown |= {t for t in of(at)["flights"]["tailnum"].to_pylist() if t is not None}
        at += timedelta(1)
    tails = sorted(flown - known)
    n = len(tails)
    more = {
        "tailnum": tails,
        "year": [None] * n,
        "type": ["Fixed wing multi engine"] * n,
        "manufacturer": ["BOEING"] * n,
        "model": ["737-800"] * n,
        "engines": [2] * n,
        "seats": [149] * n,
        "speed": [None] * n,
        "engine": ["Turbo-fan"] * n,
        "refreshed": [day] * n,
    }
    added = pa.table({f.name: pa.array(more[f.name], f.type) for f in rows.schema})
    return {"planes": pa.concat_tables([rows, added]).sort_by("tailnum")}


def planes_two_replicas(tables: Day, day: date, first: date) -> Day:
    """Every second day from a copy that a correction of seats and years, for one aircraft in four, never reached."""
    if (day - first).days % 2:
        return {}
    rows = tables["planes"]
    old = np.array([mark(t) % 4 == 0 for t in rows["tailnum"].to_pylist()])
    seats, year = number(rows, "seats"), number(rows, "year")
    return {"planes": put(rows, seats=np.where(old, np.floor(seats * 0.93), seats), year=np.where(old, year - 1, year))}


def airports_two_surveys(tables: Day, day: date, first: date) -> Day:
    """Every second day from a copy with altitudes of an older survey, some feet off."""
    if (day - first).days % 2:
        return {}
    rows = tables["airports"]
    off = np.array([mark(code) % 51 - 25 for code in rows["faa"].to_pylist()])
    return {"airports": put(rows, alt=number(rows, "alt") + off)}


def altitudes_in_metres(rows: pa.Table) -> Mapping[str, Any]:
    return {"alt": np.round(number(rows, "alt") * 0.3048)}


def zones_west_positive(rows: pa.Table) -> Mapping[str, Any]:
    """Hours behind Greenwich, as POSIX counts them."""
    return {"tz": -number(rows, "tz")}


def zones_by_old_names(rows: pa.Table) -> Mapping[str, Any]:
    names = {
        "America/New_York": "US/Eastern",
        "America/Chicago": "US/Central",
        "America/Denver": "US/Mountain",
        "America/Phoenix": "US/Arizona",
        "America/Los_Angeles": "US/Pacific",
        "America/Anchorage": "US/Alaska",
        "Pacific/Honolulu": "US/Hawaii",
    }
    return {"tzone": [names.get(z, z) for z in rows["tzone"].to_pylist()]}


def zone_names_blank_after_l(rows: pa.Table) -> Mapping[str, Any]:
    """An export that stopped in the middle of one column's lookup."""
    faa, zones = rows["faa"].to_pylist(), rows["tzone"].to_pylist()
    return {"tzone": [z if code < "M" else None for code, z in zip(faa, zones, strict=True)]}


@lru_cache(maxsize=1)
def _busy() -> list[str]:
    count: Counter[str] = Counter()
    for n in range(14):
        count.update(of(date(2013, 1, 10) + timedelta(n))["flights"]["dest"].to_pylist())
    known = set(of(date(2013, 1, 10))["airports"]["faa"].to_pylist())
    return [dest for dest, _ in count.most_common() if dest in known][:12]


def busy_airports_rotated(rows: pa.Table) -> Mapping[str, Any]:
    """The twelve busiest were entered by hand, each on the line of the next."""
    faa = rows["faa"].to_pylist()
    places = [faa.index(code) for code in _busy()]
    at = np.arange(len(faa))
    at[places] = np.roll(places, 1)
    return {n: rows[n].take(pa.array(at)) for n in ("name", "lat", "lon", "alt", "tz", "dst", "tzone")}


def regional_airlines_rotated(tables: Day, _: date, __: date) -> Day:
    rows = tables["airlines"]
    codes, names = rows["carrier"].to_pylist(), rows["name"].to_pylist()
    places = [codes.index(c) for c in ("9E", "EV", "MQ", "OO", "YV")]
    new = list(names)
    for to, frm in zip(places, np.roll(places, 1).tolist(), strict=True):
        new[to] = names[frm]
    return {"airlines": put(rows, name=new)}
