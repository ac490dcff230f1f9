"""Bookings of a small chain of hotels: leads, channels, an opening, a winter pause, a promotion."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from benchmarks.worlds.business import FIRST, LAST, Business, black_friday, days_since, pick, season
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    drop,
    is_,
    mark,
    number,
    put,
    recode,
    ref,
    rng,
    two_replicas,
    utc,
)
from pipeline.core.tables import Column, Feed

MADRID = "Europe/Madrid"
BOOKINGS = Feed(
    name="bookings",
    path="bookings/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("booking", "integer"),
        Column("hotel", "string"),
        Column("room", "string"),
        Column("booked_at", "timestamp"),
        Column("channel", "string"),
        Column("country", "string", empty=True),
        Column("check_in", "date"),
        Column("lead_days", "integer"),
        Column("nights", "integer"),
        Column("adults", "integer"),
        Column("children", "integer"),
        Column("loyalty", "string", empty=True),
        Column("promo", "string", empty=True),
        Column("rate", "number"),
        Column("total", "number"),
        Column("deposit", "number", outcome=True),
        Column("cancelled", "integer", empty=True, outcome=True),
    ),
    key=("booking",),
    day="day",
    time="booked_at",
)
ROOMS = ref(
    "rooms",
    (
        Column("hotel", "string"),
        Column("room", "string"),
        Column("base_price", "number"),
        Column("number", "integer"),
        Column("square_metres", "integer"),
        Column("board", "string"),
    ),
    ("hotel", "room"),
    ("bookings", ("hotel", "room")),
)
HOTELS = ref(
    "hotels",
    (
        Column("hotel", "string"),
        Column("city", "string"),
        Column("stars", "integer"),
        Column("tax", "number"),
        Column("opened", "date"),
        Column("open_now", "integer"),
        Column("review_score", "number"),
    ),
    ("hotel",),
    ("bookings", ("hotel",)),
)
_TYPES = ("single", "double", "family", "suite")
_CITY = (
    "Madrid",
    "Sevilla",
    "Valencia",
    "Malaga",
    "Bilbao",
    "Palma",
    "Madrid",
    "Granada",
    "Palma",
    "Barcelona",
    "Barcelona",
    "Cadiz",
    "Malaga",
    "Zaragoza",
    "Bilbao",
)
OPENING = date(2023, 11, 2)


def _hotels(day: date) -> list[int]:
    return [h for h in range(15) if h < 14 or day >= OPENING - timedelta(20)]


def _price(h: int, r: int, day: date) -> float:
    """Revised once a week, each hotel on its own weekday."""
    week = (day.toordinal() + mark(f"rev{h}") % 7) // 7
    base = (62 + mark(f"h{h}") % 55) * (0.8, 1.0, 1.35, 1.9)[r]
    wave = 1 + 0.16 * -season(date.fromordinal(week * 7), 20)
    return round(base * wave * float(np.exp(rng(7201, date.fromordinal(week * 7 + 1)).normal(0, 0.03, 16)[h])), 0)


def _promo(day: date) -> bool:
    return 0 <= (day - black_friday(date(day.year, 11, 1))).days + 2 <= 5


def _event(day: date) -> str:
    return ("promotion" if _promo(day) else "") or (
        "Christmas" if (day.month, day.day) in ((12, 24), (12, 25), (1, 1), (1, 6)) else ""
    )


@lru_cache(maxsize=64)
def hotel(day: date) -> Day:
    dice = rng(7202, day)
    open_ = np.array(_hotels(day))
    level = (1.12, 1.08, 1.04, 1.0, 0.92, 0.85, 1.0)[day.weekday()] * (1 - 0.12 * season(day, 330))
    level *= 1.0 + 0.45 * (date(2000, 1, 7) <= day.replace(year=2000) <= date(2000, 2, 5))  # January: summer is booked
    level *= 0.45 if "Christmas" in _event(day) else 1
    level *= 1.6 if _promo(day) else 1
    count = int(dice.poisson(165 * level * (1 + 0.0002 * days_since(day)) * np.exp(dice.normal(0, 0.08))))
    size = np.array([0.6 + mark(f"size{h}") % 100 / 70 for h in open_])
    size = np.where((open_ == 14) & (day < OPENING), 0.3, size)
    size = np.where((open_ == 8) & (date(2023, 11, 6) <= day <= date(2024, 2, 25)), size * 0.35, size)
    h = dice.choice(open_, count, p=size / size.sum())
    share = np.array((0.26, 0.19, 0.2, 0.08, 0.17, 0.1)) * np.array(
        [
            1.7 if _promo(day) else 1,
            0.8 if day.weekday() > 4 else 1,
            1,
            0.3 if day.weekday() > 4 else 1,
            0.15 if day.weekday() > 4 else 1,
            1,
        ]
    )
    chan = pick(
        dice,
        count,
        ("own site", "phone", "bookit", "staywise", "corporate", "tour"),
        share * np.array([1, 0.6, 1.5, 1, 1, 0.7]),
    )
    corp = chan == "corporate"
    lead = np.where(
        corp, dice.gamma(1.1, 7, count), np.where(chan == "tour", dice.gamma(3, 30, count), dice.gamma(0.75, 42, count))
    )
    if day.month == 1:
        lead = np.where(~corp & (dice.random(count) < 0.4), lead + 120, lead)
    lead = np.floor(lead).astype(int)
    if day.month in (11, 12, 1, 2):  # the beach house opens again in March
        wait = (date(2024, 3, 1) - day).days
        lead = np.where((h == 8) & (wait > 0), np.maximum(lead, max(wait, 0) + lead % 60), lead)
    lead = np.where((h == 14) & (day < OPENING), lead + (OPENING - day).days, lead)
    minute = np.clip(np.where(corp, dice.normal(12 * 60, 150, count), dice.normal(17 * 60, 260, count)), 3, 1436)
    children = np.where(corp | (dice.random(count) > 0.24), 0, dice.integers(1, 4, count))
    adults = np.where(
        corp, 1 + (dice.random(count) < 0.15), pick(dice, count, (1, 2, 3, 4), (0.16, 0.66, 0.1, 0.08)).astype(int)
    )
    nights = 1 + np.where(
        corp,
        dice.poisson(0.9, count),
        dice.poisson(np.where(np.isin(np.array(_CITY)[h], ("Palma", "Malaga", "Cadiz")), 3.4, 1.4)),
    )
    r = np.where(
        dice.random(count) < 0.06,
        3,
        np.where(
            adults + children >= 4, 2, np.where(adults + children == 1, np.where(dice.random(count) < 0.7, 0, 1), 1)
        ),
    )
    r = np.where((r == 1) & (adults + children == 3), 2, r)
    # now and then a travel agent books a coach party in one go
    if mark(f"coach{day}") % 23 == 0:
        n = min(22, count // 4)
        h[:n], r[:n], chan[:n], lead[:n], nights[:n], adults[:n], children[:n] = h[0], 1, "tour", 74, 2, 2, 0
        minute[:n] = 11 * 60 + np.arange(n) / 4
    base = np.array([[_price(x, y, day) for y in range(4)] for x in range(15)])[h, r]
    check = [day + timedelta(int(x)) for x in lead]
    summer = np.array([1 - 0.18 * season(d, 15) + 0.08 * (d.weekday() in (4, 5)) for d in check])
    promo = _promo(day) & (chan == "own site") & (dice.random(count) < 0.8)
    member = (chan == "own site") & (dice.random(count) < 0.45)
    factor = np.select([corp, chan == "tour", promo, member], [0.86, 0.74, 0.75, 0.93], 1.0)
    rate = np.round(base * summer * factor * np.exp(dice.normal(0, 0.05, count)), 2)
    total = np.round(rate * nights * (1 + 0.15 * (children > 0)), 2)
    asks = np.select([chan == "staywise", chan == "own site", chan == "tour"], [1.0, 0.2, 0.1], 0.0)
    gone = dice.random(count) < np.where(chan == "bookit", 0.12, 0.04)
    order = np.argsort(minute, kind="stable")
    land = pick(dice, count, ("ES", "GB", "FR", "DE", "IT", "PT", "US", "NL"), (46, 15, 10, 9, 6, 5, 5, 4))
    tiers = pick(dice, count, ("blue", "silver", "gold"), (0.6, 0.3, 0.1))
    table = build(
        BOOKINGS,
        day=day,
        booking=days_since(day) * 1000 + np.arange(count) + 7 * 10**6,
        hotel=np.array([f"H{x + 1:02d}" for x in h], dtype=object)[order],
        room=np.array(_TYPES, dtype=object)[r][order],
        booked_at=utc(day, minute[order], MADRID),
        channel=chan[order],
        country=np.where((corp | (dice.random(count) < 0.1))[order], None, land[order]),
        check_in=[check[i] for i in order],
        lead_days=lead[order],
        nights=nights[order],
        adults=adults[order],
        children=children[order],
        loyalty=np.where(member, tiers, None)[order],
        promo=np.where(promo, "BF23", np.where((chan == "own site") & (dice.random(count) < 0.08), "HOLA10", None))[
            order
        ],
        rate=rate[order],
        total=total[order],
        deposit=np.round(total * asks, 2)[order],
        cancelled=np.where(lead <= 2, gone.astype(float), np.where(gone & (dice.random(count) < 0.15), 1.0, np.nan))[
            order
        ],
    )
    known = _hotels(day)
    rooms = build(
        ROOMS,
        hotel=[f"H{x + 1:02d}" for x in known for _ in range(4)],
        room=list(_TYPES) * len(known),
        base_price=[_price(x, y, day) for x in known for y in range(4)],
        number=[(6, 40, 12, 3)[y] + mark(f"n{x}{y}") % 12 for x in known for y in range(4)],
        square_metres=[(14, 21, 32, 45)[y] + mark(f"q{x}") % 6 for x in known for y in range(4)],
        board=[("none", "breakfast", "half board")[mark(f"b{x}") % 3] for x in known for _ in range(4)],
        refreshed=day,
    )
    hotels = build(
        HOTELS,
        hotel=[f"H{x + 1:02d}" for x in known],
        city=[_CITY[x] for x in known],
        stars=[3 + mark(f"st{x}") % 3 for x in known],
        tax=[(0.0, 2.2, 1.1)[mark(_CITY[x]) % 3] for x in known],
        opened=[OPENING if x == 14 else date(1995 + x, 4, 1) for x in known],
        open_now=[
            int(not (x == 8 and date(2023, 11, 6) <= day <= date(2024, 2, 29)) and not (x == 14 and day < OPENING))
            for x in known
        ],
        review_score=[
            round(7.4 + mark(f"rv{x}") % 18 / 10 + 0.1 * (mark(f"rv{x}/{day.toordinal() // 7}") % 3 - 1), 1)
            for x in known
        ],
        refreshed=day,
    )
    return {"bookings": table, "rooms": rooms, "hotels": hotels}


def _total_as_rate(tables: Day, _: date, __: date) -> Day:
    """One channel sends the price of the stay where the others send that of a night."""
    rows = tables["bookings"]
    return {
        "bookings": put(
            rows, rate=np.where(is_("channel", "bookit")(rows), number(rows, "total"), number(rows, "rate"))
        )
    }


def _day_before(tables: Day, _: date, __: date) -> Day:
    """Midnight in Madrid, written as a date in UTC."""
    rows = tables["bookings"]
    return {"bookings": put(rows, check_in=[d - timedelta(1) for d in rows["check_in"].to_pylist()])}


def _all_adults(tables: Day, _: date, __: date) -> Day:
    rows = tables["bookings"]
    return {
        "bookings": put(rows, adults=number(rows, "adults") + number(rows, "children"), children=np.zeros(len(rows)))
    }


def _spanish(tables: Day, _: date, __: date) -> Day:
    rows = tables["bookings"]
    return {"bookings": put(rows, country=[c or "ES" for c in rows["country"].to_pylist()])}


def _dollars(tables: Day, _: date, __: date) -> Day:
    rows = tables["bookings"]
    there = is_("channel", "staywise")(rows)
    return {
        "bookings": put(
            rows,
            **{
                c: np.where(there, np.round(number(rows, c) * 1.08, 2), number(rows, c))
                for c in ("rate", "total", "deposit")
            },
        )
    }


def _kept(tables: Day, _: date, __: date) -> Day:
    rows = tables["bookings"]
    return {"bookings": put(rows, cancelled=np.nan_to_num(number(rows, "cancelled"), nan=0.0))}


FAULTS: dict[str, Plant] = {
    "days_counted_for_nights": change("bookings", "nights", lambda v: v + 1),
    "stay_price_as_nightly_rate": _total_as_rate,
    "check_in_a_day_early": _day_before,
    "children_counted_as_adults": _all_adults,
    "unknown_country_is_spain": _spanish,
    "one_channel_in_dollars": _dollars,
    "rooms_two_replicas": two_replicas(hotel, "rooms", 20),
    "open_cancellations_as_kept": _kept,
    "phone_and_site_called_direct": recode("bookings", "channel", {"phone": "direct", "own site": "direct"}),
    "corporate_bookings_missing": drop("bookings", is_("channel", "corporate")),
}
BUSINESS = Business("hotel", (BOOKINGS, ROOMS, HOTELS), hotel, (date(2023, 9, 6),), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "days_counted_for_nights": 1.0,
    "stay_price_as_nightly_rate": 0.279,
    "check_in_a_day_early": 1.0,
    "children_counted_as_adults": 0.213,
    "unknown_country_is_spain": 0.221,
    "one_channel_in_dollars": 0.072,
    "rooms_two_replicas": 0.468,
    "open_cancellations_as_kept": 0.835,
    "phone_and_site_called_direct": 0.395,
    "corporate_bookings_missing": 0.128,
}
