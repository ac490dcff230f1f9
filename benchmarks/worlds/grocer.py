"""A grocery chain: lines of receipts, branches that open and close, weekly promotions."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import (
    BERLIN,
    FIRST,
    LAST,
    STARTS,
    Business,
    days_since,
    german_holiday,
    pick,
    season,
)
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    by_row,
    change,
    drop,
    is_,
    local_minutes,
    moved,
    next_row,
    number,
    put,
    recode,
    ref,
    rng,
    sorted_alone,
    utc,
)
from pipeline.core.tables import Column, Feed

SALES = Feed(
    name="sales",
    path="sales/{day}.csv.gz",
    columns=(
        Column("day", "date"),
        Column("branch", "string"),
        Column("receipt", "integer"),
        Column("line", "integer"),
        Column("sold_at", "timestamp"),
        Column("sku", "string"),
        Column("quantity", "number"),
        Column("unit_price", "number"),
        Column("discount", "number"),
        Column("amount", "number"),
        Column("payment", "string"),
        Column("member", "string", empty=True),
        Column("returned", "integer", outcome=True),
    ),
    key=("branch", "receipt", "line"),
    day="day",
    time="sold_at",
)
BRANCHES = ref(
    "branches",
    (
        Column("branch", "string"),
        Column("city", "string"),
        Column("format", "string"),
        Column("area", "integer"),
        Column("tills", "integer"),
        Column("opened", "date"),
    ),
    ("branch",),
    ("sales", ("branch",)),
)
ARTICLES = ref(
    "articles",
    (
        Column("sku", "string"),
        Column("category", "string"),
        Column("brand", "string", empty=True),
        Column("list_price", "number"),
        Column("cost", "number"),
        Column("vat", "number"),
    ),
    ("sku",),
    ("sales", ("sku",)),
)
_CATEGORIES = ("bread", "dairy", "produce", "meat", "drinks", "snacks", "household", "hygiene")
_CITIES = ("Kassel", "Fulda", "Marburg", "Giessen", "Hanau", "Erfurt", "Gotha", "Jena")


@lru_cache(maxsize=1)
def _grocer() -> dict[str, Any]:
    dice = rng(101)
    n, m = 26, 140
    opened = np.full(n, FIRST.toordinal() - 900)
    opened[18:] = FIRST.toordinal() + dice.integers(60, 950, 8)
    closed = np.full(n, LAST.toordinal() + 1)
    closed[[7, 11, 15]] = FIRST.toordinal() + dice.integers(200, 1000, 3)
    kind = np.arange(m) % 8
    introduced = np.full(m, FIRST.toordinal() - 500)
    introduced[115:] = FIRST.toordinal() + dice.integers(10, 1000, 25)
    delisted = np.full(m, LAST.toordinal() + 1)
    delisted[90:100] = FIRST.toordinal() + dice.integers(60, 1000, 10)
    price = np.round(
        np.exp(dice.normal([0.9, 0.6, 0.8, 1.7, 0.5, 0.7, 1.3, 1.2], 0.45, (m // 8 + 1, 8)).ravel()[:m]), 2
    )
    months = [price]
    for _ in range(40):
        raised = dice.random(m) < 0.05
        months.append(np.where(raised, np.round(months[-1] * dice.uniform(1.01, 1.08, m) * 10) / 10 - 0.01, months[-1]))
    return {
        "opened": opened,
        "closed": closed,
        "size": np.exp(dice.normal(0, 0.35, n)),
        "area": dice.integers(350, 1600, n),
        "kind": kind,
        "introduced": introduced,
        "delisted": delisted,
        "prices": np.array(months),
        "popular": 1 / (1 + dice.permutation(m)) ** 0.7,
        "margin": dice.uniform(0.55, 0.8, m),
    }


def _grocer_event(day: date) -> str:
    g = _grocer()
    said = [german_holiday(day)]
    if (day.month, day.day) in ((12, 24), (12, 31)):
        said.append("closes at two")
    said += [f"branch B{i + 1:02d} opens" for i in np.flatnonzero(g["opened"] == day.toordinal())]
    said += [f"branch B{i + 1:02d} closed" for i in np.flatnonzero(g["closed"] == day.toordinal())]
    return ", ".join(filter(None, said))


def _promoted(day: date, m: int) -> Any:
    """The share off of each article in this week's leaflet."""
    monday = day - timedelta(day.weekday())
    dice = rng(102, monday)
    off = np.zeros(m)
    off[dice.choice(m, 8, replace=False)] = dice.choice([0.15, 0.2, 0.25, 0.3], 8)
    return off


@lru_cache(maxsize=64)
def grocer(day: date) -> Day:
    """A day of the chain."""
    g, dice, n = _grocer(), rng(103, day), day.toordinal()
    month = (day.year - FIRST.year) * 12 + day.month - FIRST.month
    price, kind = g["prices"][month], g["kind"]
    listed = (g["introduced"] <= n) & (n < g["delisted"])
    off = _promoted(day, len(price)) * listed
    is_open = (g["opened"] <= n) & (n < g["closed"])
    factor = g["size"] * np.where((n - g["opened"] >= 0) & (n - g["opened"] < 7), 1.7, 1.0)
    weekday = (1.0, 0.93, 0.95, 1.05, 1.25, 1.4, 0.7)[day.weekday()]
    closed = day.weekday() == 6 or german_holiday(day)
    if closed:  # the branches at railway stations only
        is_open &= np.arange(len(factor)) < 5
        weekday = 0.35 if german_holiday(day) in ("Christmas", "New Year") else 1.0
    eve = (day.month, day.day) in ((12, 24), (12, 31))
    calm = 1 + 0.04 * season(day, 350) + 0.35 * max(0.0, 1 - abs((day - date(day.year, 12, 22)).days) / 16)
    lines = (
        dice.poisson(48 * factor * weekday * calm * (0.75 if eve else 1.0) * np.exp(dice.normal(0, 0.08, len(factor))))
        * is_open
    )
    at = np.repeat(np.arange(len(factor)), lines)
    total = len(at)
    starts = (dice.random(total) < 0.36) | np.r_[True, at[1:] != at[:-1]]
    receipt = np.cumsum(starts) - 1
    head = np.flatnonzero(starts)
    count = len(head)
    when = np.where(dice.random(count) < 0.45, dice.normal(680, 80, count), dice.normal(1060, 90, count))
    when = np.clip(when, 425, 835 if eve else 1255)
    # receipts are numbered in the order of the till's clock
    order = np.lexsort((when, at[head]))
    when = when[order]
    nth = np.arange(count) - np.searchsorted(at[head], at[head], side="left")
    line = np.arange(total) - head[receipt] + 1
    liking = g["popular"] * listed * np.where(off > 0, 2.4, 1.0)
    liking = liking * np.where(kind == 4, 1 + 0.25 * season(day, 196), 1.0)
    sku = dice.choice(len(price), total, p=liking / liking.sum())
    weighed = (kind[sku] == 2) & (dice.random(total) < 0.6)
    quantity = np.where(
        weighed, np.round(dice.gamma(3, 0.25, total) + 0.05, 3), 1 + dice.negative_binomial(1, 0.72, total)
    )
    unit = price[sku]
    discount = np.round(quantity * unit * off[sku], 2)
    app = 0.06 + 0.12 * days_since(day) / 1100
    paid = pick(dice, count, ("card", "cash", "app", "voucher"), (0.52, 0.45 - app, app, 0.03))[receipt]
    member = np.array([f"M{i:06d}" for i in dice.zipf(1.25, count) % 30000], dtype=object)
    member = np.where(dice.random(count) < 0.55, None, member)[receipt]
    back = dice.random(total) < np.array([0.002, 0.004, 0.004, 0.006, 0.005, 0.004, 0.03, 0.02])[kind[sku]]
    names = np.array([f"B{i + 1:02d}" for i in range(len(factor))], dtype=object)
    codes = np.array([f"S{i + 1:04d}" for i in range(len(price))], dtype=object)
    sales = build(
        SALES,
        day=day,
        branch=names[at],
        receipt=days_since(day) * 1000 + nth[receipt] + 1,
        line=line,
        sold_at=utc(day, when, BERLIN)[receipt],
        sku=codes[sku],
        quantity=quantity.astype(float),
        unit_price=unit,
        discount=discount,
        amount=np.round(quantity * unit - discount, 2),
        payment=paid,
        member=member,
        returned=back.astype(int),
    )
    there = np.flatnonzero((g["opened"] <= n + 7) & (n < g["closed"] + 14))
    branches = build(
        BRANCHES,
        branch=names[there],
        city=[_CITIES[i % 8] for i in there],
        format=["station" if i < 5 else ("market" if g["area"][i] > 800 else "corner") for i in there],
        area=g["area"][there],
        tills=2 + g["area"][there] // 300,
        opened=[date.fromordinal(int(o)) for o in g["opened"][there]],
        refreshed=day,
    )
    sold = np.flatnonzero((g["introduced"] <= n + 3) & (n < g["delisted"] + 30))
    articles = build(
        ARTICLES,
        sku=codes[sold],
        category=[_CATEGORIES[kind[i]] for i in sold],
        brand=[None if i % 9 == 0 else f"brand {i % 23}" for i in sold],
        list_price=price[sold],
        cost=np.round(price[sold] * g["margin"][sold], 2),
        vat=np.where(kind[sold] >= 4, 0.19, 0.07),
        refreshed=day,
    )
    return {"sales": sales, "branches": branches, "articles": articles}


def _net_prices(tables: Day, _: date, __: date) -> Day:
    rows = tables["articles"]
    return {"articles": put(rows, list_price=np.round(number(rows, "list_price") / (1 + number(rows, "vat")), 2))}


def _one_piece(tables: Day, _: date, __: date) -> Day:
    """Who weighs sells one piece at the price of the whole."""
    rows = tables["sales"]
    quantity, unit = number(rows, "quantity"), number(rows, "unit_price")
    weighed = quantity % 1 != 0
    whole = np.round(quantity * unit, 2)
    return {"sales": put(rows, quantity=np.where(weighed, 1, quantity), unit_price=np.where(weighed, whole, unit))}


def _discount_in_price(tables: Day, _: date, __: date) -> Day:
    """The unit price is the reduced one, no discount is shown; the amount is as it was."""
    rows = tables["sales"]
    quantity = number(rows, "quantity")
    unit = np.where(
        number(rows, "discount") > 0, np.round(number(rows, "amount") / quantity, 2), number(rows, "unit_price")
    )
    return {"sales": put(rows, unit_price=unit, discount=np.zeros(len(rows)))}


def _grocer_late(rows: pa.Table) -> Any:
    return local_minutes(rows, "sold_at", BERLIN) >= 18 * 60 + 30


FAULTS: dict[str, Plant] = {
    "net_list_prices": _net_prices,
    "areas_in_square_feet": change("branches", "area", lambda v: np.round(v * 10.764)),
    "costs_sorted_alone": sorted_alone("articles", "cost"),
    "app_booked_as_card": recode("sales", "payment", {"app": "card"}),
    "weighed_goods_as_one_piece": _one_piece,
    "discount_within_price": _discount_in_price,
    "mornings_of_last_week": by_row(
        grocer,
        "sales",
        ("sku", "quantity", "unit_price", "discount", "amount"),
        7,
        lambda rows: local_minutes(rows, "sold_at", BERLIN) < 660,
    ),
    "two_branches_exchanged": recode("sales", "branch", {"B06": "B09", "B09": "B06"}),
    "evening_receipts_missing": drop("sales", _grocer_late),
    "tills_an_hour_slow": moved("sales", "sold_at", -60, is_("branch", "B06", "B08", "B10")),
    "members_of_the_next_line": next_row("sales", ("member",)),
}

BUSINESS = Business("grocer", (SALES, BRANCHES, ARTICLES), grocer, STARTS, FIRST, LAST, _grocer_event)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "net_list_prices": 1.0,
    "areas_in_square_feet": 1.0,
    "costs_sorted_alone": 0.995,
    "app_booked_as_card": 0.118,
    "weighed_goods_as_one_piece": 0.057,
    "discount_within_price": 0.13,
    "mornings_of_last_week": 0.173,
    "two_branches_exchanged": 0.141,
    "evening_receipts_missing": 0.158,
    "tills_an_hour_slow": 0.136,
    "members_of_the_next_line": 0.252,
}
