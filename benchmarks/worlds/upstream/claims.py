"""Claims reported to a regional insurer: a gale, a new tariff, an office that closes, chat as a new way in."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa

from benchmarks.worlds import kit
from benchmarks.worlds.business import FIRST, LAST, LONDON, Business, days_since, people, pick, season, uk_holiday
from benchmarks.worlds.kit import Day, Plant, is_
from pipeline.core.tables import Feed

CLAIMS = Feed(
    name="claims",
    path="claims/{day}.parquet",
    columns=kit.columns(
        "day date, claim integer, policy string, product string, reported_at timestamp, channel string, peril string,"
        "loss_date date, area string, injured integer, photos integer, estimate number?, excess number, reserve number,"
        "handler string, repairer string?, first_payment number?!"
    ),
    key=("claim",),
    day="day",
    time="reported_at",
)
PRODUCTS = kit.listed("products", "product string, line string, excess number, premium number", "claims")
HANDLERS = kit.listed("handlers", "handler string, office string, line string, authority integer, since date", "claims")
REPAIRERS = kit.listed("repairers", "repairer string, town string, hourly_rate number, glass integer", "claims")
START = date(2023, 1, 4)
_STAFF = people(9101, 26, 560, "H", gap=6)
_AREAS = ("LS", "BD", "HD", "HX", "WF", "YO", "HG", "HU", "DN", "S")
_PRODUCTS = ("M-BASIC", "M-PLUS", "M-TOP", "M-FLEET", "H-BASIC", "H-PLUS", "M-ELECTRIC")
_EXCESS = np.array([350.0, 250, 150, 500, 200, 100, 250])
_PREMIUM = np.array([412.0, 538, 702, 655, 214, 318, 589])
_PERILS = ("collision", "parking", "glass", "theft", "animal", "storm", "liability", "water", "fire", "e-scooter")
_MOTOR = np.array([0.34, 0.22, 0.18, 0.07, 0.08, 0.03, 0.08, 0, 0, 0])
_HOME = np.array([0, 0, 0.14, 0.15, 0, 0.14, 0.12, 0.4, 0.05, 0])
_COST = np.array([2600.0, 950, 420, 1900, 1300, 1150, 1700, 1600, 5200, 800])
_CHANNELS = ("phone", "app", "web", "broker", "chat")


def _excess(n: int) -> np.ndarray:
    """From 24 April two products have another excess."""
    return _EXCESS + (np.array([25, 0, 0, 0, 10, 0, 0]) if n >= 110 else 0)


def _event(day: date) -> str:
    """Coronation Day beside the usual ones; a gale from Friday to Sunday; the telephones move house."""
    named = {date(2023, 5, 8): "Coronation", START + timedelta(132): "telephones move"}
    return uk_holiday(day) or named.get(day, "gale" if 65 <= (day - START).days <= 67 else "")


def _repairers(n: int) -> tuple[list[int], np.ndarray]:
    """Known ones (eight former ones until they were cleared away on day 152) and those that work."""
    working = np.array([*range(18), *([26] if n >= 71 else [])])
    return [*range(18), *(range(18, 26) if n < 152 else ()), *([26] if n >= 69 else [])], working


@lru_cache(maxsize=64)
def claims(day: date) -> Day:
    dice, n = kit.rng(9102, day), (day - START).days
    free = day.weekday() > 4 or bool(uk_holiday(day)) or _event(day) == "Coronation"
    gale = 1.0 if 65 <= n <= 67 else max(0.0, 0.5 - 0.1 * (n - 68)) if 68 <= n < 73 else 0.0
    level = (1.18, 1.04, 1.0, 0.98, 0.97, 0.68, 0.58)[day.weekday()] if not uk_holiday(day) else 0.62
    level *= (1 + 0.06 * season(day, 5)) * (1 + 0.7 * gale) * (1 + 0.0002 * n) * float(np.exp(dice.normal(0, 0.06)))
    count = int(dice.poisson(76 * level))
    electric = 0.07 * min(max(n - 103, 0) / 90, 1)  # a product that is sold since Easter
    product = dice.choice(7, count, p=np.array([0.24, 0.2, 0.12, 0.1, 0.2, 0.14, electric]) / (1 + electric))
    home = (product == 4) | (product == 5)
    storm = np.array([1, 1, 1, 1, 1 + 0.3 * season(day, 300), 1 + 0.5 * season(day, 15) + 6 * gale, 1, 1, 1, 1])
    scooters = np.eye(10)[9] * (0.02 if n >= 138 else 0)
    motor_p, home_p = _MOTOR * storm + scooters, _HOME * storm
    peril = np.where(
        home, dice.choice(10, count, p=home_p / home_p.sum()), dice.choice(10, count, p=motor_p / motor_p.sum())
    )
    ways = np.array([0.42, 0.22, 0.16, 0.03 if free else 0.2, 0.08 * min(max(n - 118, 0) / 40, 1)])
    ways[0] *= 0.3 if _event(day) == "telephones move" else 1
    channel = dice.choice(5, count, p=ways / ways.sum())
    lag = np.where(channel == 3, 1 + dice.gamma(1.6, 3.5, count), dice.gamma(0.7, 2.2, count)).astype(int)
    injured = dice.random(count) < np.select([peril == 0, peril == 6, peril == 9], [0.24, 0.2, 0.3], 0.01)
    cost = np.round(_COST[peril] * (1 + 0.00015 * n) * np.exp(dice.normal(-0.2, 0.62, count)), 2)
    known = dice.random(count) > np.where(channel == 2, 0.26, 0.13)
    usual = np.round(_COST[peril] * (1.04 if n >= 61 else 1.0), -1)  # flat rates, gone over in March
    excess = _excess(n)[product]
    reserve = np.maximum(np.round(np.where(known, cost, usual) + 2500 * injured - excess, 2), 0)
    here = _STAFF.there(day)
    line = _STAFF.traits[here, 0] < 0.36
    order = np.argsort(kit.rng(9103, day).random(len(here)))  # at weekends a third is on duty
    duty = np.isin(np.arange(len(here)), order[:9]) if free else np.ones(len(here), dtype=bool)
    handlers = [here[(line == x) & duty] if ((line == x) & duty).any() else here[line == x] for x in (False, True)]
    handler = np.where(home, dice.choice(handlers[1], count), dice.choice(handlers[0], count))
    listed, working = _repairers(n)
    garage = (peril <= 2) & ~home & (dice.random(count) < 0.78)
    repairer = np.array([f"R{201 + x}" for x in dice.choice(working, count)], dtype=object)
    minute = np.sort(np.clip(dice.normal(14 * 60 if free else 13 * 60, 195, count), 5, 1435))
    paid = (cost < 1200) & known & (dice.random(count) < np.where(peril == 2, 0.55, 0.1))
    number = dice.integers(10**5, 10**6, count)
    table = kit.build(
        CLAIMS,
        day=day,
        claim=2 * 10**6 + days_since(day) * 500 + np.arange(count),
        policy=[f"{'H' if h else 'M'}P{x}" for h, x in zip(home, number, strict=True)],
        product=np.array(_PRODUCTS, dtype=object)[product],
        reported_at=kit.utc(day, minute, LONDON),
        channel=np.array(_CHANNELS, dtype=object)[channel],
        peril=np.array(_PERILS, dtype=object)[peril],
        loss_date=[day - timedelta(int(x)) for x in lag],
        area=pick(dice, count, _AREAS, (20, 13, 9, 6, 10, 9, 5, 9, 8, 11)),
        injured=injured,
        photos=dice.poisson(np.array([0.2, 3.4, 2.1, 1.2, 2.6])[channel]),
        estimate=np.where(known, cost, np.nan),
        excess=excess,
        reserve=reserve,
        handler=_STAFF.ids[handler],
        repairer=np.where(garage, repairer, None),
        first_payment=np.where(paid, np.maximum(cost - excess, 0), np.nan),
    )
    sold = 7 if n >= 96 else 6
    lines = ["home" if x in (4, 5) else "motor" for x in range(sold)]
    prices = np.round(_PREMIUM * (1.035 if n >= 87 else 1.0), 0)  # the tariff of April
    products = kit.build(
        PRODUCTS, product=_PRODUCTS[:sold], line=lines, excess=_excess(n)[:sold], premium=prices[:sold], refreshed=day
    )
    seat = np.searchsorted([0.5, 0.78], _STAFF.traits[here, 1])
    offices = np.array(["Leeds", "Hull", "Leeds" if n >= 114 else "York"], dtype=object)  # York closed on 28 April
    staff = kit.build(
        HANDLERS,
        handler=_STAFF.ids[here],
        office=offices[seat],
        line=np.where(line, "home", "motor"),
        authority=np.array([2000, 5000, 10000, 25000])[(_STAFF.traits[here, 2] * 4).astype(int)],
        since=[date.fromordinal(int(x)) for x in _STAFF.start[here]],
        refreshed=day,
    )
    rate = [round((52 + kit.mark(f"r{x}") % 24) * (1.03 + kit.mark(x) % 3 / 100 if n >= 178 else 1), 1) for x in listed]
    garages = kit.build(
        REPAIRERS,
        repairer=[f"R{201 + x}" for x in listed],
        town=[("Leeds", "Bradford", "Hull", "York", "Sheffield")[kit.mark(f"town{x}") % 5] for x in listed],
        hourly_rate=rate,
        glass=[int(kit.mark(f"glass{x}") % 3 == 0) for x in listed],
        refreshed=day,
    )
    return {"claims": table, "products": products, "handlers": staff, "repairers": garages}


def _loss_today(tables: Day, day: date, _: date) -> Day:
    """The brokers' new form has no date of the loss: that of the report stands for it."""
    rows = tables["claims"]
    there = zip(rows["loss_date"].to_pylist(), is_("channel", "broker", "phone")(rows), strict=True)
    return {"claims": kit.put(rows, loss_date=[day if m else d for d, m in there])}


def _gross(tables: Day, _: date, __: date) -> Day:
    """The new reserving sheet forgets to take the excess off."""
    rows = tables["claims"]
    return {"claims": kit.put(rows, reserve=kit.number(rows, "reserve") + kit.number(rows, "excess"))}


def _twice(tables: Day, _: date, __: date) -> Day:
    """The app sends again what it sent until noon, under new numbers."""
    rows = tables["claims"]
    early = kit.local_minutes(rows, "reported_at", LONDON) < 13 * 60
    again = kit.keep(rows, is_("channel", "app", "web")(rows) & early)
    return {"claims": pa.concat_tables([rows, kit.put(again, claim=kit.number(again, "claim") + 450)])}


FAULTS: dict[str, Plant] = {
    "loss_on_the_day_of_the_report": _loss_today,
    "reserve_before_the_excess": _gross,
    "injuries_not_mapped": kit.change("claims", "injured", lambda v: v * 0),
    "handlers_of_last_autumn": kit.lagging(claims, "handlers", 150),
    "nothing_after_four": kit.drop("claims", lambda rows: kit.local_minutes(rows, "reported_at", LONDON) >= 16 * 60),
    "area_cut_to_a_letter": kit.recode("claims", "area", lambda word: word[:1], is_("channel", "phone", "broker")),
    "app_and_web_sent_twice": _twice,
    "glass_filtered_out": kit.drop("claims", is_("peril", "glass")),
}
BUSINESS = Business("claims", (CLAIMS, PRODUCTS, HANDLERS, REPAIRERS), claims, (START,), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "loss_on_the_day_of_the_report": 0.423,
    "reserve_before_the_excess": 1.000,
    "injuries_not_mapped": 0.069,
    "handlers_of_last_autumn": 0.273,
    "nothing_after_four": 0.177,
    "area_cut_to_a_letter": 0.571,
    "app_and_web_sent_twice": 0.177,
    "glass_filtered_out": 0.185,
}
