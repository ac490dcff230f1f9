"""Readings of a town's water meters: a dry summer, a ban on watering, new meters, a van under repair, a strike."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.worlds import kit
from benchmarks.worlds.business import FIRST, LAST, Business, days_since, season, sky
from benchmarks.worlds.kit import Day, Plant, is_
from pipeline.core.tables import Feed

LISBON = "Europe/Lisbon"
READINGS = Feed(
    name="readings",
    path="readings/{day}.parquet",
    columns=kit.columns(
        "day date, reading integer, meter string, read_at timestamp, gateway string, zone string, firmware string,"
        "tariff string, days_between integer, litres integer, counter number, temperature number, signal integer,"
        "estimated integer, alarm string?, charge number"
    ),
    key=("reading",),
    day="day",
    time="read_at",
)
METERS = kit.listed("meters", "meter string, make string, installed date, persons integer?, garden integer", "readings")
TARIFFS = kit.listed("tariffs", "tariff string, price number, standing number", "readings")
ZONES = kit.listed("zones", "zone string, source string, pressure number", "readings")
START = date(2023, 4, 5)
_N = 6900
_HOLIDAYS = {(1, 1), (4, 25), (5, 1), (6, 10), (8, 15), (10, 5), (11, 1), (12, 1), (12, 8), (12, 25)}
_MAKES = np.array(["Itra", "Sensa", "Diel", "Nova"], dtype=object)
_ZONES = np.array([f"Z{x}" for x in range(1, 9)], dtype=object)
_TARIFFS = np.array(["household", "business", "social", "public"], dtype=object)
_STANDING, _PRICE = np.array([0.16, 0.42, 0.05, 0.3]), np.array([1.24, 1.71, 0.62, 1.1])
_BANDS = np.array([f"G{x:02d}" for x in range(1, 11)] + ["V1", "V2"], dtype=object)
_SHARES = [0.74, 0.13, 0.09, 0.04]
_TOTALS: list[Any] = [np.zeros(_N)]


def _event(day: date) -> str:
    """Also Good Friday of 2023; on one day all who drive the vans are on strike."""
    named = {date(2023, 4, 7): "Good Friday", START + timedelta(175): "strike"}
    return "holiday" if (day.month, day.day) in _HOLIDAYS else named.get(day, "")


@lru_cache(maxsize=1)
def _places() -> dict[str, Any]:
    """What stands where: the last two hundred are a new estate; a part gets new meters from June on."""
    dice, start, estate = kit.rng(9301), START.toordinal(), np.arange(_N) >= _N - 200
    tariff, zone = dice.choice(4, _N, p=_SHARES), dice.choice(8, _N, p=[0.2, 0.17, 0.15, 0.13, 0.12, 0.1, 0.07, 0.06])
    built = np.where(estate, start + dice.integers(-120, 260, _N), FIRST.toordinal() - 900)
    put_in = np.where(estate, built, built - 365 * dice.integers(1, 9, _N))
    old = (dice.random(_N) < 0.11) & ~estate
    return {
        "old": np.array([f"M{10000 + x}" for x in range(_N)], dtype=object),
        "new": np.array([f"N{20000 + x}" for x in range(_N)], dtype=object),
        "tariff": tariff,
        "zone": zone,
        "built": built,
        "put_in": put_in,
        "weekday": dice.choice(7, _N, p=[0.16, 0.16, 0.16, 0.16, 0.155, 0.115, 0.09]),
        "van": dice.random(_N) < 0.4,
        "gateway": np.where(dice.random(_N) < 0.25, zone, zone + dice.integers(0, 3, _N)),
        "exchange": np.where(old, start + 56 + dice.integers(0, 130, _N), 10**7),
        "make": np.where(estate, 3, dice.choice(3, _N, p=[0.45, 0.35, 0.2])),
        "litres": np.exp(dice.normal(5.6, 0.5, _N)) * np.array([1, 2.6, 0.8, 3.2])[tariff],
        "counter": np.where(estate, 0, dice.gamma(3, 180, _N)),
        "persons": np.where(tariff % 2 == 1, np.nan, 1.0 + dice.poisson(1.3, _N)),
        "garden": (dice.random(_N) < 0.3) & (tariff != 2),
        "phase": dice.random(_N),
    }


@lru_cache(maxsize=128)
def _read(day: date) -> Any:
    """Who is read: each meter on its weekday, by mast or by van; not on holidays by van, nor while one was repaired."""
    p, n, event = _places(), (day - START).days, _event(day)
    on = (p["weekday"] == day.weekday()) & (p["built"] <= day.toordinal() - 7)
    garage = (68 <= n <= 71) & (p["phase"] < 0.5)
    on &= ~(p["van"] & (bool(event) | garage))
    return on & (kit.rng(9302, day).random(_N) > 0.015)


def _used(day: date) -> Any:
    """Litres that each place has used until the day begins: seasons, gardens, students away in summer."""
    p, since = _places(), FIRST - timedelta(60)
    while len(_TOTALS) <= (day - since).days:
        on = since + timedelta(len(_TOTALS) - 1)
        n, warm = (on - START).days, max(float(sky(on, 1)[0][:24].mean()) - 8, 0) / 12
        away = np.where((p["zone"] == 4) & (106 <= n <= 158), 0.72, 1.0)
        weekday = np.where(p["tariff"] % 2 == 1, (1.2 if on.weekday() < 5 else 0.5), 1.0)
        level = (1 + 0.1 * season(on, 210)) * away * weekday
        level += p["garden"] * 0.55 * warm * (0.35 if 131 <= n <= 151 else 1.0)  # a ban on watering
        level *= np.exp(kit.rng(9303, on).normal(0, 0.3, _N)) * (p["built"] <= on.toordinal())
        _TOTALS.append(_TOTALS[-1] + p["litres"] * level)
    return _TOTALS[(day - since).days]


def _used_until(days: Any, who: Any) -> Any:
    """The same for another day in each place."""
    out = np.zeros(len(who))
    for x in np.unique(days):
        out = np.where(days == x, _used(date.fromordinal(int(x)))[who], out)
    return out


@lru_cache(maxsize=64)
def water(day: date) -> Day:
    dice, p, n, today = kit.rng(9304, day), _places(), (day - START).days, day.toordinal()
    who = np.flatnonzero(_read(day))
    days = np.select([_read(day - timedelta(x))[who] for x in (7, 14, 21, 28)], [7, 14, 21, 28], 35)
    since = today - np.where(p["exchange"][who] <= today, p["exchange"][who], p["built"][who])
    who, days = who[since >= 4], np.minimum(days, since)[since >= 4]  # a new meter counts from its own first day
    van = p["van"][who]
    minute = np.where(van, 500 + 420 * p["phase"][who] + dice.normal(0, 12, len(who)), 100 + 150 * p["phase"][who])
    count = len(who)
    new = p["exchange"] <= today
    total, earlier = _used(day)[who], _used_until(today - days, who)
    begun = np.where(new[who], -_used_until(np.where(new, p["exchange"], today)[who], who) / 1000, p["counter"][who])
    name, put_in = np.where(new, p["new"], p["old"]), np.where(new, p["exchange"], p["put_in"])
    make = np.where(new, 3, p["make"])
    litres = np.round((total - earlier) / days)
    tariff, made = p["tariff"][who], make[who]
    area = np.where((p["zone"] == 6) & (n >= 159), 2, p["zone"])[who]  # the seventh became part of the third
    price = _PRICE * (1.035 if n >= 118 else 1)
    charge = (litres * days / 1000 * np.round(price, 3)[tariff] + days * _STANDING[tariff]) * 1.06
    roll = p["phase"][who] * 17 % 1 < (n - 76) / 21  # new firmware, in three weeks
    alarm = dice.choice(4, count, p=[0.941, 0.042, 0.01, 0.007])
    alarm = np.where((made == 3) & (dice.random(count) < 0.03), 4, alarm)
    warm = 15.5 - 3.6 * season(day, 35) + 0.25 * (float(sky(day, 1)[0][:24].mean()) - 14)
    table = kit.build(
        READINGS,
        day=day,
        reading=5 * 10**7 + days_since(day) * 4000 + np.arange(count),
        meter=name[who],
        read_at=kit.utc(day, minute, LISBON),
        gateway=np.where(van, _BANDS[10 + (p["phase"][who] < 0.5)], _BANDS[p["gateway"][who]]),
        zone=_ZONES[area],
        firmware=np.where(made == 3, "5.0", np.where(roll, "4.3", "4.2")),
        tariff=_TARIFFS[tariff],
        days_between=days,
        litres=litres,
        counter=np.round(begun + total / 1000, 3),
        temperature=np.round(warm + 0.35 * p["zone"][who] + dice.normal(0, 0.9, count), 1),
        signal=np.round(-96 + 16 * p["phase"][who] + 14 * van + dice.normal(0, 3, count)),
        estimated=dice.random(count) < np.where(van, 0.09, 0.035),
        alarm=np.array([None, "leak", "backflow", "tamper", "air"], dtype=object)[alarm],
        charge=np.round(charge, 2),
    )
    here = np.flatnonzero(p["built"] <= today)
    installed = np.datetime64("1970-01-01") + (put_in[here] - date(1970, 1, 1).toordinal()).astype("timedelta64[D]")
    fixed = {"installed": installed, **{c: p[c][here] for c in ("persons", "garden")}}
    zones = _ZONES[[x for x in range(8) if x != 6 or n < 173]]  # it stayed in the list for two weeks
    source = ["well" if x == "Z2" and n >= 100 else "river" if kit.mark(x) % 2 else "reservoir" for x in zones]
    bar = [round(3 + kit.mark(f"zone{x}") % 30 / 10, 1) for x in zones]
    return {
        "readings": table,
        "meters": kit.build(METERS, meter=name[here], make=_MAKES[make[here]], **fixed, refreshed=day),
        "tariffs": kit.build(TARIFFS, tariff=_TARIFFS, price=np.round(price, 3), standing=_STANDING, refreshed=day),
        "zones": kit.build(ZONES, zone=zones, source=source, pressure=bar, refreshed=day),
    }


def _stuck(tables: Day, _: date, __: date) -> Day:
    """The receiver of each of two masts repeats the first temperature that it hears."""
    rows = tables["readings"]
    warm, mast = kit.number(rows, "temperature"), kit.words(rows, "gateway")
    for name in ("G02", "G04"):
        warm[mast == name] = warm[mast == name][:1]
    return {"readings": kit.put(rows, temperature=warm)}


_BUSINESS = is_("tariff", "business", "public")
_MASTS = is_("gateway", *_BANDS[:10])
FAULTS: dict[str, Plant] = {
    "a_week_for_a_day_in_one_zone": kit.change("readings", "litres", lambda v: v * 7, is_("zone", "Z2")),
    "two_masts_repeat_a_temperature": _stuck,
    "counters_of_the_week_before": kit.by_row(water, "readings", ("counter",), 7, _MASTS, by="meter"),
    "businesses_billed_net": kit.change("readings", "charge", lambda v: np.round(v / 1.06, 2), _BUSINESS),
    "masts_an_hour_late": kit.moved("readings", "read_at", 60, _MASTS),
    "estimated_ones_filtered_out": kit.drop("readings", is_("estimated", 1)),
    "alarms_lost": kit.blank("readings", ("alarm",), is_("alarm", "leak", "backflow", "tamper")),
    "unknown_persons_are_none": kit.change("meters", "persons", np.nan_to_num),
}
BUSINESS = Business("water", (READINGS, METERS, TARIFFS, ZONES), water, (START,), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "a_week_for_a_day_in_one_zone": 0.171,
    "two_masts_repeat_a_temperature": 0.156,
    "counters_of_the_week_before": 0.601,
    "businesses_billed_net": 0.174,
    "masts_an_hour_late": 0.613,
    "estimated_ones_filtered_out": 0.054,
    "alarms_lost": 0.053,
    "unknown_persons_are_none": 0.174,
}
