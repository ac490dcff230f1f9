"""Bags checked in with an airline: two timetables, autumn holidays, a belt out of order, a strike, snow, a new fare."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds import kit
from benchmarks.worlds.business import FIRST, LAST, Business, days_since
from benchmarks.worlds.kit import Day, Plant, is_
from pipeline.core.tables import Feed

SCANS = Feed(
    name="scans",
    path="scans/{day}.parquet",
    columns=kit.columns(
        "day date, scan integer, tag string, flight string, station string, scanned_at timestamp, local_time string,"
        "belt string, fare string, party integer, transfer integer, inbound string?, weight number?, fee number,"
        "screening integer, minutes_left integer, loaded integer!, misrouted integer?!"
    ),
    key=("scan",),
    day="day",
    time="scanned_at",
)
FLIGHTS = kit.listed(
    "flights", "flight string, destination string, departs string, aircraft string, seats integer", "scans"
)
STATIONS = kit.listed("stations", "station string, country string, zone string, handler string, belts integer", "scans")
FARES = kit.listed("fares", "fare string, free_kg integer, per_kg number", "scans")
START = date(2024, 8, 14)
_HUB = "Europe/Helsinki"
#: Station, country, zone, handler, flights a day there and back, kilometres.
_TOLD = """HEL FI Europe/Helsinki NordHandling 0 0, OUL FI Europe/Helsinki NordHandling 3 540,
RVN FI Europe/Helsinki AirServe 2 700, TLL EE Europe/Tallinn BalticGround 3 100, RIX LV Europe/Riga BalticGround 3 380,
ARN SE Europe/Stockholm AirServe 4 400, OSL NO Europe/Oslo AirServe 3 770, CPH DK Europe/Copenhagen AirServe 3 890,
BER DE Europe/Berlin SpreeServ 3 1110, CDG FR Europe/Paris Escale 2 1900, LHR GB Europe/London Crown 3 1850,
DUB IE Europe/Dublin Crown 1 2030, LIS PT Europe/Lisbon Iberground 1 3370, AGP ES Europe/Madrid Iberground 2 3360,
JFK US America/New_York Liberty 1 6620, RAK MA Africa/Casablanca Atlas 1 4060"""
_PLACES = [one.split() for one in _TOLD.split(",")]
_CODES, _LANDS, _ZONES, _HANDLERS = (np.array([x[k] for x in _PLACES], dtype=object) for k in range(4))
_FAR = np.array([int(x[5]) for x in _PLACES])
_FARES = np.array(["light", "classic", "flex", "business", "light plus"], dtype=object)
_FREE, _PER_KG = np.array([8, 23, 23, 32, 15]), np.array([12.5, 10.0, 10.0, 7.5, 12.5])
_SUN = np.isin(_CODES, ("LIS", "AGP", "RAK", "RVN"))


@lru_cache(maxsize=1)
def _flights() -> dict[str, Any]:
    """All flights of both timetables: there and back, some only in summer, some in winter, Marrakesh since day 97."""
    dice = kit.rng(9401)
    pairs = [(p, k, back) for p, x in enumerate(_PLACES) for k in range(int(x[4]) + 1) for back in (0, 1) if p]
    place, nth, back = np.array(pairs).T
    n, most = len(place), np.array([int(x[4]) for x in _PLACES])[place]
    extra = nth == most  # one more than usual: three places in winter
    winter = np.isin(_CODES[place], ("RVN", "OUL", "CPH"))
    summer = ~extra & (nth == most - 1) & np.isin(_CODES[place], ("BER", "AGP"))
    begins = np.select([_CODES[place] == "RAK", extra], [97, 74], -9999)
    base = np.where(back, 430, 410) + (nth + 0.5) * 720 / np.maximum(most, 2) + dice.integers(-12, 13, n) * 5
    ok = ~extra | winter
    return {
        "flight": np.array([f"NB{101 + 2 * i + b + 300 * (p > 7)}" for i, (p, _, b) in enumerate(pairs)], dtype=object)[
            ok
        ],
        "from": np.where(back, place, 0)[ok],
        "to": np.where(back, 0, place)[ok],
        "begins": begins[ok],
        "ends": np.where(summer, 74, 9999)[ok],
        "minute": np.clip(base // 5 * 5, 365, 1290)[ok].astype(int),
        "shift": np.where(dice.random(n) < 0.35, dice.integers(-5, 6, n) * 5, 0)[ok],
        "craft": np.select([_FAR[place] > 6000, _FAR[place] > 1000, _FAR[place] > 600], [3, 2, 1], nth % 2)[ok],
    }


_CRAFT, _SEATS = np.array(["ATR72", "E190", "A320", "A330"], dtype=object), np.array([70, 100, 174, 289])


def _clock(minute: Any) -> Any:
    return np.array([f"{int(x) // 60 % 24:02d}:{int(x) % 60:02d}" for x in minute], dtype=object)


def _event(day: date) -> str:
    n = (day - START).days
    named = {121: "strike", 132: "Christmas", 133: "Christmas", 144: "snow", 145: "snow"}
    return named.get(n, "school holidays" if 59 <= n <= 67 or 130 <= n <= 144 else "")


@lru_cache(maxsize=64)
def baggage(day: date) -> Day:
    dice, n, f, event = kit.rng(9402, day), (day - START).days, _flights(), _event(day)
    departs = f["minute"] + f["shift"] * (n >= 74)
    flies = (f["begins"] <= n) & (n < f["ends"]) & ~((day.weekday() == 5) & (np.arange(len(departs)) % 6 == 0))
    on = np.flatnonzero(flies & (dice.random(len(departs)) > {"strike": 0.6, "snow": 0.25}.get(event, 0.006)))
    sun = _SUN[f["from"][on]] | _SUN[f["to"][on]]
    load = (0.94, 0.84, 0.86, 0.95, 1.12, 0.98, 1.1)[day.weekday()] * (0.55 if event == "Christmas" else 1)
    load *= 0.86 if 146 <= n <= 185 else 1  # nobody travels after Epiphany
    mean = _SEATS[f["craft"][on]] * load * (0.3 + 0.12 * sun) * (1 + 0.25 * sun * ("school" in event))
    i = np.repeat(on, dice.poisson(mean * np.exp(dice.normal(0, 0.12, len(on))) * (1 + 0.0002 * n)))
    count, at, to = len(i), f["from"][i], f["to"][i]
    inbound = np.array([dice.choice(np.flatnonzero(flies & (f["to"] == 0)), count), np.zeros(count, int)])[0]
    before = departs[inbound] + 90 + _FAR[f["from"][inbound]] / 12 < departs[i] - 30
    transfer = (at == 0) & before & (dice.random(count) < 0.8)
    lead = np.where(transfer, 24 + dice.gamma(4, 11, count), 32 + dice.gamma(3.2, 17, count)) + 15 * (event == "snow")
    minute = np.maximum(departs[i] - lead, 181)
    scanned = np.zeros(count, dtype="datetime64[us]")
    for x in np.unique(at):
        scanned[at == x] = kit.utc(day, minute[at == x], _ZONES[x])
    new = 0.09 * min(max(n - 154, 0) / 30, 1)  # a fifth fare since January
    fare = dice.choice(5, count, p=np.array([0.27 - new, 0.46, 0.17, 0.1, new]))
    kilos = np.round(
        np.clip(dice.normal(15.5, 4.2, count) + 2.2 * (_SUN[at] | _SUN[to]) + 0.002 * _FAR[at + to], 3, 32), 1
    )
    weighed = ~transfer & (dice.random(count) > 0.015)
    per_kg = np.round(_PER_KG * (1.04 if n >= 146 else 1), 1)
    fee = np.where(weighed, np.ceil(np.maximum(kilos - _FREE[fare], 0)) * per_kg[fare], 0)
    belt = 1 + i * 7 % 6
    belt = np.where((belt == 4) & (108 <= n <= 113), np.where(dice.random(count) < 0.5, 3, 5), belt)  # out of order
    airline = np.where(transfer & (dice.random(count) < 0.25), dice.choice([105, 220], count), 417)
    serial = dice.integers(0, 10**6, count)
    level = np.select(
        [dice.random(count) < 0.03, dice.random(count) < np.where(_CODES[to] == "JFK", 0.4, 0.1)], [3, 2], 1
    )
    told = dice.random(count) < np.where(minute < 960, 0.92, 0.35)
    order = np.argsort(scanned, kind="stable")
    table = kit.build(
        SCANS,
        day=day,
        scan=10**8 + days_since(day) * 10000 + np.argsort(order),
        tag=[f"0{a}{b:06d}" for a, b in zip(airline, serial, strict=True)],
        flight=f["flight"][i],
        station=_CODES[at],
        scanned_at=scanned,
        local_time=_clock(minute),
        belt=np.where(at == 0, [f"B{x}" for x in belt], [f"{x % 2 + 1}" for x in belt]),
        fare=_FARES[fare],
        party=1 + dice.poisson(0.5 + 0.8 * ("school" in event), count),
        transfer=transfer,
        inbound=np.where(transfer, f["flight"][inbound], None),
        weight=np.where(weighed, kilos, np.nan),
        fee=fee,
        screening=level,
        minutes_left=np.floor(departs[i] - minute),
        loaded=dice.random(count) > np.where(lead < 34, 0.12, 0.004),
        misrouted=np.where(told, dice.random(count) < 0.012, np.nan),
    ).take(pa.array(order))
    k = (f["begins"] - 30 <= n) & (n < f["ends"] + 24)  # flights of the summer were cleared away on day 98
    plan = {"flight": f["flight"][k], "destination": _CODES[f["to"][k]]}
    craft, known = f["craft"][k], np.arange(16) < 15 + (n >= 80)
    firms = np.where((_CODES == "ARN") & (n >= 109), "PolarGround", _HANDLERS)
    place = {"station": _CODES, "country": _LANDS, "zone": _ZONES, "handler": firms, "belts": 2 + 4 * (_FAR == 0)}
    sold = 4 + (n >= 150)
    return {
        "scans": table,
        "flights": kit.build(
            FLIGHTS, **plan, departs=_clock(departs[k]), aircraft=_CRAFT[craft], seats=_SEATS[craft], refreshed=day
        ),
        "stations": kit.build(STATIONS, **{c: v[known] for c, v in place.items()}, refreshed=day),
        "fares": kit.build(FARES, fare=_FARES[:sold], free_kg=_FREE[:sold], per_kg=per_kg[:sold], refreshed=day),
    }


def _hub_time(tables: Day, _: date, __: date) -> Day:
    """The local time of all stations is that of the hub."""
    rows = tables["scans"]
    return {"scans": kit.put(rows, local_time=_clock(kit.local_minutes(rows, "scanned_at", _HUB)))}


def _twice(tables: Day, _: date, __: date) -> Day:
    """The hub's first hours came with two files, under new numbers."""
    rows = tables["scans"]
    again = kit.keep(rows, is_("station", "HEL")(rows) & (kit.local_minutes(rows, "scanned_at", _HUB) < 480))
    return {"scans": pa.concat_tables([rows, kit.put(again, scan=kit.number(again, "scan") + 5000)])}


_POUNDS = is_("station", "LHR", "DUB", "JFK")
FAULTS: dict[str, Plant] = {
    "local_time_is_that_of_the_hub": _hub_time,
    "pounds_at_three_stations": kit.change("scans", "weight", lambda v: np.round(v * 2.2046, 1), _POUNDS),
    "no_weight_is_zero": kit.change("scans", "weight", np.nan_to_num),
    "tags_without_the_airline": kit.recode("scans", "tag", lambda word: word[4:], is_("station", "HEL")),
    "flights_joined_one_row_off": kit.next_row("flights", ("destination", "departs", "aircraft", "seats")),
    "nothing_after_four": kit.drop("scans", lambda rows: kit.local_minutes(rows, "scanned_at", _HUB) >= 16 * 60),
    "screening_counted_from_zero": kit.change("scans", "screening", lambda v: v - 1),
    "early_hours_at_the_hub_twice": _twice,
}
BUSINESS = Business("baggage", (SCANS, FLIGHTS, STATIONS, FARES), baggage, (START,), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "local_time_is_that_of_the_hub": 0.387,
    "pounds_at_three_stations": 0.109,
    "no_weight_is_zero": 0.094,
    "tags_without_the_airline": 0.493,
    "flights_joined_one_row_off": 1.000,
    "nothing_after_four": 0.173,
    "screening_counted_from_zero": 1.000,
    "early_hours_at_the_hub_twice": 0.119,
}
