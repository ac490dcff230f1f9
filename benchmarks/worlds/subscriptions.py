"""Subscriptions: who renews, with month-ends."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from benchmarks.worlds.business import (
    FIRST,
    LAST,
    STARTS,
    Business,
    days_since,
    pick,
)
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    drop,
    is_,
    next_row,
    number,
    put,
    ref,
    rng,
    sorted_alone,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

RENEWALS = Feed(
    name="renewals",
    path="renewals/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("subscription", "integer"),
        Column("period", "integer"),
        Column("plan", "string"),
        Column("country", "string"),
        Column("seats", "integer"),
        Column("months", "integer"),
        Column("price", "number"),
        Column("logins", "integer"),
        Column("usage_minutes", "number", empty=True),
        Column("tickets", "integer"),
        Column("payment", "string"),
        Column("renewed", "integer", outcome=True),
        Column("paid", "number", outcome=True),
    ),
    key=("subscription", "period"),
    day="day",
)
PLANS = ref(
    "plans",
    (
        Column("plan", "string"),
        Column("tier", "integer"),
        Column("list_price", "number"),
        Column("support", "string"),
        Column("storage", "integer"),
        Column("introduced", "date"),
    ),
    ("plan",),
    ("renewals", ("plan",)),
)
_PLANS = (
    # plan, tier, price, support, storage, introduced
    ("basic", 1, 9.0, "mail", 10, date(2020, 1, 1)),
    ("plus", 2, 19.0, "mail", 100, date(2020, 1, 1)),
    ("team", 3, 15.0, "chat", 500, date(2020, 6, 1)),
    ("business", 4, 29.0, "phone", 2000, date(2021, 2, 1)),
    ("student", 1, 4.5, "mail", 50, date(2021, 9, 1)),
    ("starter", 1, 6.0, "mail", 20, date(2023, 3, 1)),
    ("studio", 3, 39.0, "chat", 5000, date(2024, 4, 1)),
)
_RAISES = ((date(2023, 7, 1), 1.1), (date(2024, 10, 1), 1.08))


def _subscriptions_event(day: date) -> str:
    tomorrow = day + timedelta(1)
    said = ["month's last day"] if tomorrow.day == 1 else (["month's first day"] if day.day == 1 else [])
    said += ["prices raised"] * any(day == since for since, _ in _RAISES)
    said += [f"plan {p[0]} introduced" for p in _PLANS if p[5] == day]
    return ", ".join(said)


@lru_cache(maxsize=64)
def subscriptions(day: date) -> Day:
    """The renewals due on a day."""
    dice = rng(802, day)
    tomorrow = day + timedelta(1)
    # who began on the 29th to the 31st is due on a short month's last day
    crowd = (
        1.0
        + (1.2 if day.day == 1 else 0)
        + (0.5 + (31 - day.day) if tomorrow.day == 1 else 0)
        + (0.3 if day.day == 15 else 0)
    )
    count = int(dice.poisson(190 * crowd * 1.0006 ** days_since(day)))
    old = [np.clip((day - p[5]).days / 400, 0, 1) for p in _PLANS]
    plan = dice.choice(7, count, p=(w := np.array([4, 3, 2, 1, 1.2, 1.6, 0.7]) * old) / w.sum())
    raised = np.prod([f for since, f in _RAISES if day >= since]) if any(day >= s for s, _ in _RAISES) else 1.0
    list_price = np.round(np.array([p[2] for p in _PLANS]) * raised, 2)
    seats = np.where(
        plan == 2,
        2 + dice.negative_binomial(1, 0.2, count),
        np.where(plan == 3, 5 + np.minimum(dice.pareto(1.4, count) * 6, 900).astype(int), 1),
    )
    months = 1 + np.minimum(dice.exponential(14, count).astype(int), 12 * (day.year - 2019))
    land = pick(dice, count, ("US", "UK", "DE", "FR", "BR", "IN"), (0.4, 0.17, 0.15, 0.1, 0.1, 0.08))
    keeps = dice.random(count) < 0.12
    price = np.round(list_price[plan] * np.where(keeps, 0.8, 1.0), 2)
    summer = 1 - 0.12 * (day.month in (7, 8)) - 0.2 * (day.month == 12 and day.day > 23)
    logins = dice.poisson(9 * summer * np.exp(dice.normal(0, 0.8, count)))
    usage = np.round(logins * dice.gamma(2.2, 9, count), 1)
    tickets = dice.poisson(0.25, count)
    likely = 1 / (
        1
        + np.exp(
            -(1.4 + 0.09 * np.minimum(logins, 25) + 0.02 * np.minimum(months, 36) - 0.4 * tickets - 0.3 * (plan == 0))
        )
    )
    raised_now = any(0 <= (day - since).days < 45 for since, _ in _RAISES)
    stays = dice.random(count) < likely * (0.96 if raised_now else 1.0)
    number_ = dice.choice(400000, count, replace=False) + 100000
    table = build(
        RENEWALS,
        day=day,
        subscription=np.sort(number_),
        period=np.full(count, (day.year - 2020) * 12 + day.month) * 100 + day.day,
        plan=[_PLANS[p][0] for p in plan],
        country=land,
        seats=seats,
        months=months,
        price=price,
        logins=logins,
        usage_minutes=missing(dice, usage, 0.02),
        tickets=tickets,
        payment=pick(dice, count, ("card", "paypal", "debit", "invoice"), (0.58, 0.2, 0.15, 0.07)),
        renewed=stays.astype(int),
        paid=np.where(stays, np.round(price * seats, 2), 0.0),
    )
    live = [i for i, p in enumerate(_PLANS) if p[5] <= day + timedelta(3)]
    plans = build(
        PLANS,
        plan=[_PLANS[i][0] for i in live],
        tier=[_PLANS[i][1] for i in live],
        list_price=list_price[live],
        support=[_PLANS[i][3] for i in live],
        storage=[_PLANS[i][4] for i in live],
        introduced=[_PLANS[i][5] for i in live],
        refreshed=day,
    )
    return {"renewals": table, "plans": plans}


def _paid_whole(tables: Day, _: date, __: date) -> Day:
    """One seat is paid, as the plan's price says."""
    rows = tables["renewals"]
    return {"renewals": put(rows, paid=np.where(number(rows, "renewed") > 0, number(rows, "price"), 0))}


def _grace(tables: Day, _: date, __: date) -> Day:
    """Whose card failed is within the period of grace: counts as renewed, has paid."""
    rows = tables["renewals"]
    grace = is_("payment", "card")(rows) & (number(rows, "subscription") % 2 == 0)
    whole = np.round(number(rows, "price") * number(rows, "seats"), 2)
    return {
        "renewals": put(
            rows,
            renewed=np.where(grace, 1, number(rows, "renewed")),
            paid=np.where(grace, whole, number(rows, "paid")),
        )
    }


def _logins_leak(tables: Day, _: date, __: date) -> Day:
    """Usage of the month after: who left has none."""
    rows = tables["renewals"]
    stays = number(rows, "renewed")
    return {
        "renewals": put(
            rows, logins=number(rows, "logins") * stays, usage_minutes=number(rows, "usage_minutes") * stays
        )
    }


FAULTS: dict[str, Plant] = {
    "one_seat_paid": _paid_whole,
    "grace_counts_as_renewed": _grace,
    "usage_of_the_month_after": _logins_leak,
    "usage_in_hours": change("renewals", "usage_minutes", lambda v: np.round(v / 60, 1)),
    "usage_zero_when_unknown_or_small": change(
        "renewals", "usage_minutes", lambda v: np.where(np.isnan(v) | (v < 30), 0, v)
    ),
    "leavers_of_debit_missing": drop(
        "renewals", lambda rows: is_("payment", "debit", "invoice")(rows) & (number(rows, "renewed") == 0)
    ),
    "months_counted_from_last_change": change("renewals", "months", lambda v: 1 + (v - 1) % 12),
    "plans_with_last_years_prices": change("plans", "list_price", lambda v: np.round(v * 0.91, 2)),
    "tiers_sorted_alone": sorted_alone("plans", "tier"),
    "brazil_and_india_in_dollars": change(
        "renewals", "price", lambda v: np.round(v * 0.35, 2), is_("country", "BR", "IN")
    ),
    "outcome_of_the_next": next_row("renewals", ("renewed", "paid")),
}

BUSINESS = Business("subscriptions", (RENEWALS, PLANS), subscriptions, STARTS, FIRST, LAST, _subscriptions_event)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "one_seat_paid": 0.208,
    "grace_counts_as_renewed": 0.028,
    "usage_of_the_month_after": 0.107,
    "usage_in_hours": 0.964,
    "usage_zero_when_unknown_or_small": 0.131,
    "leavers_of_debit_missing": 0.025,
    "months_counted_from_last_change": 0.422,
    "plans_with_last_years_prices": 1.0,
    "tiers_sorted_alone": 0.65,
    "brazil_and_india_in_dollars": 0.176,
    "outcome_of_the_next": 0.858,
}
