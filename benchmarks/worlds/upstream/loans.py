"""Applications for consumer loans: web, app, brokers and branches; each product's rate moves on its own."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import CHICAGO, FIRST, LAST, Business, days_since, pick, season, us_holiday
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    is_,
    keep,
    lagging,
    missing_values,
    moved,
    next_row,
    number,
    put,
    ref,
    rng,
    utc,
    words,
)
from pipeline.core.tables import Column, Feed

APPLICATIONS = Feed(
    name="applications",
    path="applications/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("application", "integer"),
        Column("submitted_at", "timestamp"),
        Column("channel", "string"),
        Column("broker", "string", empty=True),
        Column("product", "string"),
        Column("purpose", "string", empty=True),
        Column("state", "string"),
        Column("amount", "number"),
        Column("term_months", "integer"),
        Column("age", "integer"),
        Column("income", "number"),
        Column("housing_cost", "number", empty=True),
        Column("employment", "string"),
        Column("years_employed", "number", empty=True),
        Column("score", "integer", empty=True),
        Column("rate", "number"),
        Column("instalment", "number"),
        Column("approved", "integer", empty=True, outcome=True),
        Column("paid_out", "number", empty=True, outcome=True),
    ),
    key=("application",),
    day="day",
    time="submitted_at",
)
PRODUCTS = ref(
    "products",
    (
        Column("product", "string"),
        Column("kind", "string"),
        Column("base_rate", "number"),
        Column("lowest", "number"),
        Column("highest", "number"),
        Column("launched", "date"),
    ),
    ("product",),
    ("applications", ("product",)),
)
BROKERS = ref(
    "brokers",
    (
        Column("broker", "string"),
        Column("state", "string"),
        Column("staff", "integer"),
        Column("commission", "number"),
        Column("since", "date"),
        Column("rating", "string"),
    ),
    ("broker",),
    ("applications", ("broker",)),
)
_STATES = ("IL", "WI", "IN", "MI", "OH", "MN", "IA", "MO")
_SHARE = (0.31, 0.12, 0.11, 0.14, 0.12, 0.09, 0.05, 0.06)
_KINDS = ("personal", "car", "home", "refinance")
_NAMES = ("FLEX", "EASY", "AUTO", "MOTO", "ROOF", "YARD", "ONE", "SWAP", "PLUS", "AUTO2", "SOLAR")
_KIND = np.array([0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2])
_WEIGHT = np.array([1.5, 1.0, 1.2, 0.25, 0.8, 0.3, 0.9, 0.5, 0.5, 0.4, 0.3])
_LAUNCHED = {8: date(2022, 12, 5), 9: date(2023, 8, 14), 10: date(2024, 4, 22)}
_TYPICAL = np.array([6200.0, 17500.0, 14500.0, 12500.0])
_PURPOSES = (
    ("holiday", "furniture", "wedding", "medical", "studies", "other"),
    ("used car", "new car", "motorcycle", "repair"),
    ("kitchen", "roof", "bathroom", "windows"),
    ("credit cards", "other loan"),
)
#: Words that come into use, a few a week.
_NEW_WORDS = {0: ("pet surgery", date(2022, 11, 10)), 1: ("electric car", date(2023, 7, 3)), 2: ("heat pump", FIRST)}
_N_BROKERS = 64


@lru_cache(maxsize=1)
def _houses() -> dict[str, Any]:
    dice = rng(8301)
    at = np.arange(_N_BROKERS)
    since = np.where(at < 46, -300 - 60 * at, (at - 46) * 58 + dice.integers(0, 30, _N_BROKERS))
    small = dice.random(_N_BROKERS) < 0.4
    return {
        "since": since,
        "until": np.where(small & (at % 3 == 0), dice.integers(60, 1100, _N_BROKERS), 10**6),
        "weight": np.where(small, 0.35, dice.gamma(3, 0.4, _N_BROKERS) + 0.4),
        "state": dice.choice(8, _N_BROKERS, p=_SHARE),
        "commission": np.round(dice.uniform(0.8, 2.6, _N_BROKERS), 2),
        "rates": np.cumsum(dice.normal(0.004, 0.035, (11, 170)), axis=1),
        "turn": dice.integers(0, 7, 11),
    }


def _rates(day: date) -> Any:
    """Looked at once a week, each product on its own weekday."""
    h = _houses()
    base = np.array([9.9, 11.4, 6.4, 7.9, 7.2, 7.8, 8.6, 8.9, 12.5, 6.9, 5.9])
    return np.round(base + h["rates"][np.arange(11), (days_since(day) + h["turn"]) // 7], 2)


def _sold(day: date) -> Any:
    """A new product is sold little by little."""
    young = np.array([np.clip(((day - _LAUNCHED.get(p, date(2015, 1, 1))).days + 1) / 90, 0, 1) for p in range(11)])
    spring = np.array([1, 1 + 0.15 * season(day, 130), 1 + 0.2 * season(day, 140), 1 + 0.15 * season(day, 20)])
    return _WEIGHT * young * spring[_KIND]


def _active(day: date) -> Any:
    h, n = _houses(), days_since(day)
    return np.flatnonzero((h["since"] <= n) & (n < h["until"]))


def _channels(dice: Any, day: date, n: int) -> Any:
    closed = day.weekday() == 6 or bool(us_holiday(day))
    app = 0.24 + 0.00012 * days_since(day)
    desk = 0.0 if closed else (0.35 if day.weekday() == 5 else 1.0)
    return pick(dice, n, ("web", "app", "broker", "branch"), (0.36, app, 0.27 * (0.3 + 0.7 * desk), 0.14 * desk))


def _purposes(dice: Any, day: date, kind: Any) -> Any:
    n = len(kind)
    lists = [np.array(words_, dtype=object) for words_ in _PURPOSES]
    at = (dice.random(n) ** 1.4 * np.array([len(x) for x in lists])[kind]).astype(int)
    out = np.array([lists[k][a] for k, a in zip(kind, at, strict=True)], dtype=object)
    for k, (word, since) in _NEW_WORDS.items():
        rate = 0.1 * float(np.clip((day - since).days / 150, 0, 1))
        out = np.where((kind == k) & (dice.random(n) < rate), word, out)
    return missing_values(dice, out, 0.05)


@lru_cache(maxsize=64)
def loans(day: date) -> Day:
    dice, h = rng(8302, day), _houses()
    level = (1.16, 1.1, 1.05, 1.0, 0.93, 0.62, 0.5)[day.weekday()] * (0.62 if us_holiday(day) else 1)
    level *= (1 + 0.06 * season(day, 100)) * (1 + 0.0006 * days_since(day)) * np.exp(dice.normal(0, 0.05))
    n = int(dice.poisson(470 * level))
    channel = _channels(dice, day, n)
    desk, sold, active = np.isin(channel, ("broker", "branch")), _sold(day), _active(day)
    product = dice.choice(11, n, p=sold / sold.sum())
    kind = _KIND[product]
    broker = dice.choice(active, n, p=h["weight"][active] / h["weight"][active].sum())
    state = np.where((channel == "broker") & (dice.random(n) < 0.7), h["state"][broker], dice.choice(8, n, p=_SHARE))
    age = np.clip(np.round(21 + dice.gamma(2.6, np.where(channel == "app", 5.0, 8.0))), 18, 84)
    work = pick(dice, n, ("employed", "self-employed", "public service", "student", "none"), (66, 13, 12, 4, 5))
    work = np.where(age > 66, "retired", work)
    years = np.round(np.minimum(dice.gamma(1.3, 4.5, n), age - 17), 1)
    part = np.select([work == "student", work == "none", work == "retired"], [0.35, 0.4, 0.65], 1.0)
    income = np.exp(dice.normal(10.85, 0.38, n) + 0.006 * np.minimum(age - 40, 15)) * part
    income = np.round(income * (1 + 0.00008 * days_since(day)) / 100) * 100
    amount = _TYPICAL[kind] * np.exp(dice.normal(0, 0.5, n)) * (income / 52_000) ** 0.4
    amount = np.clip(
        np.where(dice.random(n) < 0.75, np.round(amount / 500) * 500, np.round(amount / 50) * 50), 500, None
    )
    long = np.clip(np.log(amount / 1000) * 1.7 + dice.normal(0, 1.2, n), 1, 8)
    term = np.maximum(np.round(long), 1) * 12
    own = 660 + 28 * np.log(income / 50_000) + 0.5 * (age - 40) + 1.5 * np.minimum(years, 15) + dice.normal(0, 58, n)
    score = np.clip(np.round(own - 8 * (channel == "app")), 320, 850)
    hidden = dice.random(n) < np.where(np.isin(work, ("student", "none")), 0.3, 0.05)
    rate = np.round(_rates(day)[product] + np.clip((690 - score) * 0.022, -2.2, 6) + 0.5 * (channel == "broker"), 2)
    monthly = rate / 1200
    instalment = np.round(amount * monthly / (1 - (1 + monthly) ** -term), 2)
    good = (score - 640) / 45 - 7 * (instalment * 12 / income - 0.1) + dice.normal(0, 0.8, n) > 0
    open_ = dice.random(n) < np.where(channel == "broker", 0.3, 0.14)
    taken = good & (dice.random(n) < 0.71)
    minute = np.where(desk, dice.normal(810, 130, n).clip(545, 1075), dice.normal(1010, 260, n) % 1440)
    at = utc(day, minute, CHICAGO)
    order = np.argsort(at, kind="stable")
    applications = build(
        APPLICATIONS,
        day=day,
        application=2 * 10**7 + days_since(day) * 4000 + np.arange(n),
        submitted_at=at[order],
        channel=channel[order],
        broker=np.where(channel == "broker", np.array([f"K{x + 101}" for x in broker], dtype=object), None)[order],
        product=np.array(_NAMES, dtype=object)[product][order],
        purpose=_purposes(dice, day, kind)[order],
        state=np.array(_STATES, dtype=object)[state][order],
        amount=amount[order],
        term_months=term[order],
        age=age[order],
        income=income[order],
        housing_cost=missing_values(dice, np.round(income / 12 * dice.beta(5, 13, n) / 10) * 10, 0.12)[order],
        employment=work[order],
        years_employed=np.where(np.isin(work, ("student", "none", "retired")), np.nan, years)[order],
        score=np.where(hidden, np.nan, score)[order],
        rate=rate[order],
        instalment=instalment[order],
        approved=np.where(open_, np.nan, good.astype(float))[order],
        paid_out=np.where(open_ | (good & (dice.random(n) < 0.2)), np.nan, np.where(taken, amount, 0.0))[order],
    )
    return {"applications": applications, "products": _products(day), "brokers": _brokers(day)}


def _products(day: date) -> pa.Table:
    there = [p for p in range(11) if day >= _LAUNCHED.get(p, day) - timedelta(14)]
    return build(
        PRODUCTS,
        product=[_NAMES[p] for p in there],
        kind=[_KINDS[_KIND[p]] for p in there],
        base_rate=_rates(day)[there],
        lowest=[float((500, 2000, 1500, 1000)[_KIND[p]]) for p in there],
        highest=[float((25_000, 80_000, 60_000, 50_000)[_KIND[p]]) for p in there],
        launched=[_LAUNCHED.get(p, date(2012 + p, 3, 1)) for p in there],
        refreshed=day,
    )


def _brokers(day: date) -> pa.Table:
    h, there = _houses(), _active(day + timedelta(5))
    there = np.union1d(there, _active(day))
    return build(
        BROKERS,
        broker=[f"K{x + 101}" for x in there],
        state=[_STATES[x] for x in h["state"][there]],
        staff=[2 + int(h["weight"][x] * 6) + (days_since(day) + 31 * int(x)) // 180 % 3 for x in there],
        commission=h["commission"][there],
        since=[FIRST + timedelta(int(x)) for x in h["since"][there]],
        rating=["ABC"[(days_since(day) + 17 * int(x)) // 260 % 3] for x in there],
        refreshed=day,
    )


def _brokers_state(tables: Day, _: date, __: date) -> Day:
    """The join gives two columns named state; the mapping takes the second one."""
    rows, houses = tables["applications"], tables["brokers"]
    where = dict(zip(houses["broker"].to_pylist(), houses["state"].to_pylist(), strict=True))
    both = zip(words(rows, "broker"), words(rows, "state"), strict=True)
    return {"applications": put(rows, state=[where.get(b, s) for b, s in both])}


def _approved_only(tables: Day, _: date, __: date) -> Day:
    """What was turned down at once is filtered out before the export rather than after it."""
    rows = tables["applications"]
    return {"applications": keep(rows, ~((number(rows, "approved") == 0) & is_("channel", "web", "app")(rows)))}


def _neutral_score(tables: Day, _: date, __: date) -> Day:
    """The bureau answers an unknown person with the middle of its scale now."""
    rows = tables["applications"]
    return {"applications": put(rows, score=np.nan_to_num(number(rows, "score"), nan=600))}


def _sent_again(tables: Day, _: date, __: date) -> Day:
    """The brokers' portal retries what it has sent already, under new numbers."""
    rows = tables["applications"]
    again = keep(rows, is_("channel", "broker")(rows) & (number(rows, "application") % 2 == 0))
    again = put(again, application=number(again, "application") + 2000)
    return {"applications": pa.concat_tables([rows, again])}


FAULTS: dict[str, Plant] = {
    "monthly_income_from_brokers": change(
        "applications", "income", lambda v: np.round(v / 12), is_("channel", "broker")
    ),
    "unknown_score_is_600": _neutral_score,
    "rate_cut_to_one_decimal": change("applications", "rate", lambda v: np.floor(v * 10) / 10),
    "term_in_years_from_app": change("applications", "term_months", lambda v: v / 12, is_("channel", "app")),
    "state_of_the_broker": _brokers_state,
    "declined_filtered_too_early": _approved_only,
    "income_slips_a_row_on_web": next_row(
        "applications", ("income", "housing_cost", "employment"), is_("channel", "web")
    ),
    "products_a_month_behind": lagging(loans, "products", 30),
    "brokers_sent_again": _sent_again,
    "app_writes_local_time_as_utc": moved("applications", "submitted_at", -360, is_("channel", "app")),
}
STARTS = (date(2022, 10, 10), date(2023, 4, 17), date(2024, 1, 8))
BUSINESS = Business("loans", (APPLICATIONS, PRODUCTS, BROKERS), loans, STARTS, FIRST, LAST, us_holiday)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "monthly_income_from_brokers": 0.220,
    "unknown_score_is_600": 0.072,
    "rate_cut_to_one_decimal": 0.895,
    "term_in_years_from_app": 0.306,
    "state_of_the_broker": 0.054,
    "declined_filtered_too_early": 0.209,
    "income_slips_a_row_on_web": 0.376,
    "products_a_month_behind": 0.936,
    "brokers_sent_again": 0.111,
    "app_writes_local_time_as_utc": 0.306,
}
