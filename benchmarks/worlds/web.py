"""A web shop that grows by half a percent a day."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.worlds.business import (
    BERLIN,
    Business,
    black_friday,
    pick,
    season,
)
from benchmarks.worlds.kit import (
    Day,
    Plant,
    blank,
    build,
    change,
    drop,
    is_,
    lagging,
    mark,
    next_row,
    number,
    over,
    put,
    ref,
    rng,
    two_replicas,
    utc,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

WEB_FIRST, WEB_LAST = date(2023, 7, 1), date(2024, 12, 31)
ORDERS = Feed(
    name="orders",
    path="orders/{day}.jsonl.gz",
    columns=(
        Column("day", "date"),
        Column("order", "integer"),
        Column("placed_at", "timestamp"),
        Column("customer", "string"),
        Column("is_new", "integer"),
        Column("country", "string"),
        Column("device", "string"),
        Column("channel", "string", empty=True),
        Column("sku", "string"),
        Column("quantity", "integer"),
        Column("price", "number"),
        Column("shipping", "number"),
        Column("total", "number"),
        Column("coupon", "string", empty=True),
        Column("delivered_after", "number", empty=True, outcome=True),
        Column("returned", "integer", outcome=True),
    ),
    key=("order",),
    day="day",
    time="placed_at",
)
SKUS = ref(
    "skus",
    (
        Column("sku", "string"),
        Column("category", "string"),
        Column("list_price", "number"),
        Column("weight", "number"),
        Column("stock", "integer"),
        Column("launched", "date"),
        Column("supplier", "string"),
    ),
    ("sku",),
    ("orders", ("sku",)),
)
_WEB_KINDS = ("shoes", "jackets", "bags", "kids", "sale", "sports")
_LANDS = ("DE", "AT", "CH", "NL", "FR", "PL")


@lru_cache(maxsize=1)
def _web() -> dict[str, Any]:
    dice = rng(201)
    m = 420
    launched = np.full(m, WEB_FIRST.toordinal() - 300)
    launched[180:] = np.sort(WEB_FIRST.toordinal() + dice.integers(-10, 540, m - 180))
    return {
        "launched": launched,
        "gone": launched + 180 + dice.exponential(420, m).astype(int),
        "price": np.round(np.exp(dice.normal(3.7, 0.7, m))) - 0.05,
        "kind": dice.choice(6, m, p=(0.3, 0.18, 0.14, 0.16, 0.07, 0.15)),
        "weight": np.round(dice.gamma(2, 0.45, m) + 0.1, 2),
        "popular": dice.pareto(1.3, m) + 0.15,
        "supplier": dice.integers(1, 19, m),
    }


def _web_event(day: date) -> str:
    after = (day - black_friday(day)).days
    if after in (0, 3):
        return "Black Friday" if after == 0 else "Cyber Monday"
    if after in (1, 2):
        return "Black weekend"
    if _web_campaign(day):
        return "campaign"
    return "Christmas" if day.month == 12 and 22 <= day.day <= 26 else ""


def _web_campaign(day: date) -> bool:
    week = day.toordinal() // 7
    return mark(f"web{week}") % 4 == 0 and day.toordinal() % 7 == mark(f"day{week}") % 7


@lru_cache(maxsize=64)
def web(day: date) -> Day:
    """A day of the shop."""
    w, dice, n = _web(), rng(202, day), day.toordinal()
    age = (day - WEB_FIRST).days
    event = _web_event(day)
    boost = {"Black Friday": 3.8, "Cyber Monday": 2.4, "Black weekend": 1.9, "campaign": 1.45, "Christmas": 0.55}.get(
        event, 1.0
    )
    weekly = (1.12, 1.02, 0.98, 0.97, 0.9, 0.88, 1.13)[day.weekday()]
    count = int(dice.poisson(130 * 1.005**age * weekly * boost * np.exp(dice.normal(0, 0.06))))
    listed = (w["launched"] <= n) & (n < w["gone"])
    fresh = np.clip(1.8 - (n - w["launched"]) / 60, 1, 1.8)
    liking = (
        w["popular"]
        * listed
        * fresh
        * np.where(w["kind"] == 1, 1 + 0.6 * season(day, 340), 1)
        * np.where(w["kind"] == 5, 1 + 0.4 * season(day, 160), 1)
    )
    sku = dice.choice(len(liking), count, p=liking / liking.sum())
    is_sale = event in ("Black Friday", "Cyber Monday", "Black weekend")
    price = w["price"] * np.where((n - w["launched"]) > 150, 0.85, 1.0)
    price = np.round(price, 2)
    paid = np.round(price[sku] * (0.75 if is_sale else 1.0), 2)
    quantity = 1 + (dice.random(count) < 0.14) + (dice.random(count) < 0.02) * dice.integers(1, 9, count)
    new = dice.random(count) < 0.32 + 0.1 * is_sale
    since = np.minimum(dice.exponential(90, count).astype(int) + 1, age + 400)
    customer = [
        f"C{age + 500 - (0 if is_new else back):04d}{i if is_new else int(old):05d}"
        for i, (is_new, back, old) in enumerate(zip(new, since, dice.integers(0, 120, count), strict=True))
    ]
    place = dice.choice(6, count, p=(0.55, 0.11, 0.08, 0.12, 0.08, 0.06))
    app = min(0.15 + age * 0.0003, 0.4)
    device = pick(dice, count, ("mobile", "desktop", "tablet", "app"), (0.48, 0.47 - app, 0.05, app))
    channel = pick(
        dice,
        count,
        ("search", "direct", "social", "mail", "affiliate"),
        (0.35, 0.28, 0.15 + 0.15 * (event == "campaign"), 0.14, 0.08),
    )
    coupon = np.where(
        dice.random(count) < 0.12 + 0.15 * (event == "campaign"),
        pick(dice, count, ("WELCOME10", "FRIEND5", f"{day:%b}".upper() + "15"), (0.5, 0.3, 0.2)),
        None,
    )
    off = np.array([0 if c is None else int("".join(x for x in c if x.isdigit())) for c in coupon]) / 100
    goods = np.round(quantity * paid * (1 - off), 2)
    shipping = np.where(goods >= 60, 0.0, np.where(place == 0, 4.95, 7.9))
    minute = np.where(dice.random(count) < 0.3, dice.normal(760, 140, count), dice.normal(1200, 110, count)) % 1440
    minute = np.sort(minute)
    far = np.array([1.8, 2.4, 3.4, 2.6, 3.1, 3.6])[place]
    busy = 1.35 if is_sale or (day.month == 12 and day.day < 20) else 1.0
    delivered = np.round(far * busy * dice.gamma(9, 1 / 9, count) + (day.weekday() >= 4) * 1.0, 1)
    back = dice.random(count) < np.array([0.42, 0.35, 0.15, 0.2, 0.18, 0.24])[w["kind"][sku]] * np.where(new, 1.1, 0.95)
    codes = np.array([f"A{i + 1:05d}" for i in range(len(liking))], dtype=object)
    orders = build(
        ORDERS,
        day=day,
        order=(age + 1) * 100000 + np.arange(count),
        placed_at=utc(day, minute, BERLIN),
        customer=customer,
        is_new=new.astype(int),
        country=np.array(_LANDS, dtype=object)[place],
        device=device,
        channel=missing(dice, channel, 0.04),
        sku=codes[sku],
        quantity=quantity,
        price=paid,
        shipping=shipping,
        total=np.round(goods + shipping, 2),
        coupon=coupon,
        delivered_after=missing(dice, delivered, 0.015),
        returned=back.astype(int),
    )
    there = np.flatnonzero((w["launched"] <= n + 2) & (n < w["gone"] + 60))
    # each supplier's goods are counted once a week
    counted = n - (n + w["supplier"][there]) % 7
    wave = (counted + w["supplier"][there] * 5) % 45
    noise = np.array([mark(f"{a}{c}") % 6 for a, c in zip(there, counted, strict=True)])
    stock = np.round(w["popular"][there] * 40 * (1 - wave / 50) * 1.003 ** (counted - WEB_FIRST.toordinal()) + noise)
    skus = build(
        SKUS,
        sku=codes[there],
        category=[_WEB_KINDS[k] for k in w["kind"][there]],
        list_price=price[there],
        weight=w["weight"][there],
        stock=stock,
        launched=[date.fromordinal(int(o)) for o in w["launched"][there]],
        supplier=[f"supplier {s}" for s in w["supplier"][there]],
        refreshed=day,
    )
    return {"orders": orders, "skus": skus}


def _total_without_shipping(tables: Day, _: date, __: date) -> Day:
    rows = tables["orders"]
    total, shipping = number(rows, "total"), number(rows, "shipping")
    return {"orders": put(rows, total=np.round(total - shipping, 2), shipping=np.zeros(len(rows)))}


def _swiss_francs(tables: Day, _: date, __: date) -> Day:
    rows = tables["orders"]
    there = is_("country", "CH", "PL")(rows)
    rate = np.where(is_("country", "PL")(rows), 4.3, 0.95)
    new = {
        n: np.where(there, np.round(number(rows, n) * rate, 2), number(rows, n)) for n in ("price", "shipping", "total")
    }
    return {"orders": put(rows, **new)}


def _guests(tables: Day, _: date, __: date) -> Day:
    """Who orders as a guest counts as new, under a number of its own."""
    rows = tables["orders"]
    guest = np.array([mark(o) % 6 == 0 for o in rows["order"].to_pylist()])
    names = [
        f"C9{o % 10**8:08d}" if g else c
        for o, c, g in zip(rows["order"].to_pylist(), rows["customer"].to_pylist(), guest, strict=True)
    ]
    return {"orders": put(rows, customer=names, is_new=np.where(guest, 1, number(rows, "is_new")))}


FAULTS: dict[str, Plant] = {
    "total_without_shipping": _total_without_shipping,
    "prices_in_local_currency": _swiss_francs,
    "guests_are_new_customers": _guests,
    "app_orders_missing_every_second": drop(
        "orders", lambda rows: is_("device", "app")(rows) & (number(rows, "order") % 2 == 0)
    ),
    "delivery_counted_from_dispatch": change(
        "orders", "delivered_after", lambda v: np.round(np.maximum(v - 0.9, 0.2), 1)
    ),
    "slow_deliveries_still_open": blank("orders", ("delivered_after",), over("delivered_after", 4.0)),
    "returns_of_another_order": next_row("orders", ("returned", "delivered_after")),
    "coupons_blank_on_mobile": blank("orders", ("coupon", "channel"), is_("device", "mobile")),
    "weights_in_grams_for_some_suppliers": change(
        "skus",
        "weight",
        lambda v: v * 1000,
        lambda rows: np.array([int(s.split()[1]) % 3 == 0 for s in rows["supplier"].to_pylist()]),
    ),
    "skus_two_replicas": two_replicas(web, "skus", 10),
    "skus_lag_nine_days": lagging(web, "skus", 9),
}

BUSINESS = Business(
    "web",
    (ORDERS, SKUS),
    web,
    (date(2023, 8, 5), date(2023, 10, 16), date(2024, 1, 8), date(2024, 6, 3)),
    WEB_FIRST,
    WEB_LAST,
    _web_event,
)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "total_without_shipping": 0.77,
    "prices_in_local_currency": 0.139,
    "guests_are_new_customers": 0.163,
    "app_orders_missing_every_second": 0.109,
    "delivery_counted_from_dispatch": 0.986,
    "slow_deliveries_still_open": 0.125,
    "returns_of_another_order": 0.98,
    "coupons_blank_on_mobile": 0.462,
    "weights_in_grams_for_some_suppliers": 0.297,
    "skus_two_replicas": 0.5,
    "skus_lag_nine_days": 0.998,
}
