"""Screenings of a chain of cinemas: new films on Thursdays, school holidays, a festival, a house rebuilt, a strike."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.worlds import kit
from benchmarks.worlds.business import BERLIN, FIRST, LAST, Business, days_since, german_holiday, season
from benchmarks.worlds.kit import Day, Plant, is_
from pipeline.core.tables import Feed

SCREENINGS = Feed(
    name="screenings",
    path="screenings/{day}.parquet",
    columns=kit.columns(
        "day date, screening integer, cinema string, screen integer, film string, starts_at timestamp, version string,"
        "format string, tariff string, sold integer, children integer, free integer, online_share number,"
        "revenue number, snacks number?, occasion string?, rating number?!"
    ),
    key=("screening",),
    day="day",
    time="starts_at",
)
FILMS = kit.listed(
    "films",
    "film string, distributor string, genre string, minutes integer, age integer, released date, country string?",
    "screenings",
)
SCREENS = kit.listed("screens", "cinema string, screen integer, seats integer, laser integer", "screenings", 2)
PRICES = kit.listed("prices", "cinema string, tariff string, adult number, child number", "screenings", 2)
START = date(2023, 9, 6)
_SIZES = (8, 6, 5, 4, 7, 3, 5, 4, 6, 5, 4, 5, 7)
_SEATS = np.array([[60 + kit.mark(f"seats{x}/{s}") % 190 for s in range(8)] for x in range(13)])
_AT = np.array([[kit.mark(f"at{x}/{s}") % 9 * 5 for s in range(8)] for x in range(13)])
_NAMES = np.array([f"K{x + 1:02d}" for x in range(13)], dtype=object)
_TARIFFS = np.array(["cinema day", "week", "weekend", "festival"], dtype=object)
_GENRES = np.array(["comedy", "drama", "action", "family", "horror", "documentary"], dtype=object)
_FROM = np.array(["Westfilm", "Nordlicht", "Globus", "Helios", "Arthaus", "Kolibri", "Meridian"], dtype=object)


@lru_cache(maxsize=1)
def _films() -> dict[str, Any]:
    """Two to five films each Thursday; in December one that everybody sees; from November on a seventh distributor."""
    dice = kit.rng(9201)
    first = FIRST - timedelta(98) + timedelta((3 - FIRST.weekday()) % 7)
    out = first.toordinal() + 7 * np.repeat(np.arange(190), dice.integers(2, 6, 190))
    n = len(out)
    kind = dice.choice(6, n, p=[0.22, 0.27, 0.17, 0.18, 0.09, 0.07])
    draw = np.exp(dice.normal(0, 0.7, n)) * np.array([1.2, 0.9, 1.4, 1.5, 0.7, 0.3])[kind]
    big = int(np.flatnonzero(out == (START + timedelta(99)).toordinal())[0])
    kind[big], draw[big] = 2, 9.0
    new = (out >= (START + timedelta(57)).toordinal()) & (dice.random(n) < 0.15)
    land = np.array(["US", "DE", "FR", "GB", None], dtype=object)
    return {
        "film": np.array([f"F{4000 + i}" for i in range(n)], dtype=object),
        "kind": kind,
        "draw": draw,
        "out": out,
        "distributor": _FROM[np.where(new, 6, dice.integers(0, 6, n))],
        "genre": _GENRES[kind],
        "minutes": np.where(kind == 3, dice.integers(82, 105, n), dice.integers(91, 148, n)),
        "age": np.where(kind == 3, dice.choice([0, 6], n), dice.choice([6, 12, 12, 16], n)),
        "released": np.array([date.fromordinal(int(x)) for x in out], dtype=object),
        "country": land[dice.choice(5, n, p=[0.5, 0.24, 0.1, 0.1, 0.06])],
        "deep": (draw > 1.6) & (np.arange(n) % 2 == big % 2),
    }


def _holidays(n: int) -> bool:
    """No school: two weeks in October, over Christmas, a week in February."""
    return 26 <= n <= 39 or 107 <= n <= 121 or 159 <= n <= 163


def _event(day: date) -> str:
    n = (day - START).days
    named = {66: "festival", 67: "festival", 149: "strike", 109: "Christmas Eve", 116: "New Year's Eve"}
    return german_holiday(day) or named.get(n, "school holidays" if _holidays(n) else "")


def _prices(n: int, house: Any, tariff: Any) -> tuple[Any, Any]:
    """For adults and children: 3 % more in the new year; five euros at the festival."""
    base = np.array([9.0 + kit.mark(f"price{x}") % 5 * 0.5 for x in range(13)])[house]
    adult = (base + np.array([-2.5, 0, 1.5, 0])[tariff]) * (1.03 if n >= 117 else 1)
    adult = np.where(tariff == 3, 5.0, np.round(adult, 1))
    return adult, np.where(tariff == 3, 5.0, np.round(adult * 0.7, 1))


def _plan(day: date, dice: np.random.Generator) -> tuple[Any, Any, Any]:
    """House, screen and time of each screening. K13 opened, K07 was rebuilt, a projector broke down for five days."""
    n, weekday, event = (day - START).days, day.weekday(), _event(day)
    open_ = [x for x in range(12 + (n >= 71)) if not (x == 6 and 131 <= n <= 165)]
    free = weekday > 4 or bool(german_holiday(day)) or _holidays(n)
    slots = [(900, 0.95), (1035, 0.97), (1200, 0.99), (1350, 0.45 if weekday in (4, 5) else 0.12)]
    slots += [(690, 0.75), (790, 0.85)] if free else []
    if event in ("Christmas Eve", "New Year's Eve"):
        slots = [(690, 0.9), (790, 0.9), (900, 0.8)]
    rooms = [(x, s) for x in open_ for s in range(_SIZES[x]) if not (x == 2 and s == 3 and 89 <= n <= 93)]
    plan = np.array([(x, s, at, chance * (0.45 if event == "strike" else 1)) for x, s in rooms for at, chance in slots])
    plan = plan[dice.random(len(plan)) < plan[:, 3], :3].astype(int)
    if weekday in (1, 2, 3) and not free:  # classes come in the morning
        plan = np.r_[plan, [(x, 0, 600) for x in dice.choice(open_, 5, replace=False)]]
    return plan[:, 0], plan[:, 1], plan[:, 2]


@lru_cache(maxsize=64)
def cinema(day: date) -> Day:
    dice, n, f, weekday = kit.rng(9202, day), (day - START).days, _films(), day.weekday()
    off, event = bool(german_holiday(day)), _event(day)
    house, screen, base = _plan(day, dice)
    count, before, lesson, seats = len(house), base < 1000, base == 600, _SEATS[house, screen]
    age = (day.toordinal() - f["out"]) / 7
    shown = np.flatnonzero((age >= 0) & (age < 9))
    pull, kids = f["draw"][shown] * np.exp(-age[shown] / 2.6), f["kind"][shown] == 3
    early, late = pull * np.where(kids, 3.0, 0.6), pull * np.where(kids, 0.05, 1.1)
    choice = np.where(before, *(dice.choice(len(shown), count, p=w / w.sum()) for w in (early, late)))
    film = shown[choice]
    tariff = np.full(count, 3 if event == "festival" else 0 if weekday == 1 else 2 if weekday > 3 or off else 1)
    crowd: Any = 0.15 * (0.7, 1.15, 0.75, 0.85, 1.15, 1.6, 1.25)[weekday] * (1 + 0.16 * season(day, 355))
    crowd *= (1.35 if off or _holidays(n) else 1) * (1.9 if event == "festival" else 1)
    crowd *= np.where((131 <= n <= 165) & np.isin(house, (1, 4)), 1.35, 1.0)  # they live next to K07
    clock = np.select([base == 1200, base == 1350, before], [1.35, 0.7, 0.8], 1.0)
    mean = seats * crowd * clock * np.sqrt(pull[choice] / pull.mean()) * np.exp(dice.normal(0, 0.35, count))
    sold = np.minimum(dice.poisson(np.where(lesson, seats * 0.6, mean)) + 1, seats)
    young = np.select([lesson, f["kind"][film] == 3, f["age"][film] > 12], [0.92, 0.5, 0.0], 0.07)
    children = dice.binomial(sold, young)
    free = dice.binomial(sold - children, 0.03)
    deep = f["deep"][film] & (dice.random(count) < 0.5)
    fourth = (house == 0) & (screen == 1) & (n >= 155)  # seats that move, in one room
    full, child = _prices(n, house, tariff)
    revenue = (sold - children - free) * full + children * child + (sold - free) * 3.0 * (deep | fourth)
    version = np.where(dice.random(count) < np.where(base >= 1200, 0.16, 0.05), "original", "dubbed").astype(object)
    preview = (weekday == 2) & (base == 1200) & (dice.random(count) < 0.12)
    snacks = np.round(sold * 4.2 * np.exp(dice.normal(0, 0.2, count)) * (1 - 0.7 * lesson), 2)
    table = kit.build(
        SCREENINGS,
        day=day,
        screening=10**6 + days_since(day) * 1000 + np.arange(count),
        cinema=_NAMES[house],
        screen=screen + 1,
        film=f["film"][film],
        starts_at=kit.utc(day, base + _AT[house, screen], BERLIN),
        version=np.where((version == "original") & (dice.random(count) < 0.4), "subtitled", version),
        format=np.where(fourth, "4D", np.where(deep, "3D", "2D")),
        tariff=_TARIFFS[tariff],
        sold=sold,
        children=children,
        free=free,
        online_share=np.round(np.clip(0.42 + 0.0004 * n + dice.normal(0, 0.35, count) / np.sqrt(sold + 1), 0, 1), 3),
        revenue=np.round(revenue, 2),
        snacks=np.where(np.isin(house, (1, 8)), np.nan, snacks),  # the counters of two houses belong to others
        occasion=np.where(lesson, "school", np.where(preview, "preview", None)),
        rating=np.where((sold < 12) | (dice.random(count) < 0.3), np.nan, np.round(dice.normal(3.7, 0.35, count), 1)),
    )
    since = day.toordinal() - f["out"]
    known = (since > -21) & (since - day.day < 77)  # films long gone are cleared away on the first of a month
    films = {c.name: f[c.name][known] for c in FILMS.columns[:-1]}
    x, s = np.array([(x, s) for x in range(12 + (n >= 57)) for s in range(_SIZES[x])]).T
    laser = (x + s) % 2
    y, t = np.array([(y, t) for y in range(12 + (n >= 57)) for t in range(4 if 46 <= n <= 80 else 3)]).T
    adult, child = _prices(n, y, t)
    return {
        "screenings": table,
        "films": kit.build(FILMS, **films, refreshed=day),
        "screens": kit.build(SCREENS, cinema=_NAMES[x], screen=s + 1, seats=_SEATS[x, s], laser=laser, refreshed=day),
        "prices": kit.build(PRICES, cinema=_NAMES[y], tariff=_TARIFFS[t], adult=adult, child=child, refreshed=day),
    }


_NET = is_("cinema", "K03", "K05", "K10", "K11")
FAULTS: dict[str, Plant] = {
    "revenue_net_in_four_houses": kit.change("screenings", "revenue", lambda v: np.round(v / 1.07, 2), _NET),
    "sold_and_revenue_of_yesterday": kit.by_row(cinema, "screenings", ("sold", "revenue"), 1, is_("cinema", "K01")),
    "starts_an_hour_late": kit.moved("screenings", "starts_at", 60),
    "children_missing_are_none": kit.change("screenings", "children", lambda v: v * 0, is_("cinema", *_NAMES[:6])),
    "films_of_four_weeks_ago": kit.lagging(cinema, "films", 28),
    "seats_of_the_next_house": kit.next_row("screens", ("seats",), is_("laser", 1)),
    "late_screenings_cut_off": kit.drop("screenings", lambda r: kit.local_minutes(r, "starts_at", BERLIN) >= 1215),
    "no_counter_sells_nothing": kit.change("screenings", "snacks", np.nan_to_num),
}
BUSINESS = Business("cinema", (SCREENINGS, FILMS, SCREENS, PRICES), cinema, (START,), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "revenue_net_in_four_houses": 0.320,
    "sold_and_revenue_of_yesterday": 0.121,
    "starts_an_hour_late": 1.000,
    "children_missing_are_none": 0.379,
    "films_of_four_weeks_ago": 0.249,
    "seats_of_the_next_house": 0.493,
    "late_screenings_cut_off": 0.249,
    "no_counter_sells_nothing": 0.181,
}
