"""Card payments of a small acquirer: paydays, refunds, declines, and fraud labels that come late."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa

from benchmarks.worlds.business import FIRST, LAST, LONDON, Business, days_since, people, pick, uk_holiday
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    drop,
    is_,
    keep,
    lagging,
    local_minutes,
    mark,
    next_row,
    number,
    put,
    ref,
    rng,
    utc,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

PAYMENTS = Feed(
    name="payments",
    path="payments/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("payment", "integer"),
        Column("merchant", "string"),
        Column("paid_at", "timestamp"),
        Column("scheme", "string"),
        Column("entry", "string"),
        Column("card_country", "string", empty=True),
        Column("amount", "number"),
        Column("currency", "string"),
        Column("amount_gbp", "number"),
        Column("tip", "number", empty=True),
        Column("risk", "number", empty=True),
        Column("approved", "integer", outcome=True),
        Column("decline_code", "string", empty=True, outcome=True),
        Column("fee", "number", outcome=True),
        Column("fraud", "integer", empty=True, outcome=True),
    ),
    key=("payment",),
    day="day",
    time="paid_at",
)
MERCHANTS = ref(
    "merchants",
    (
        Column("merchant", "string"),
        Column("category", "string"),
        Column("country", "string"),
        Column("fee_rate", "number"),
        Column("terminal", "string", empty=True),
        Column("onboarded", "date"),
        Column("daily_limit", "integer"),
    ),
    ("merchant",),
    ("payments", ("merchant",)),
)
RATES = ref(
    "rates",
    (Column("currency", "string"), Column("per_gbp", "number"), Column("spread", "number")),
    ("currency",),
    ("payments", ("currency",)),
)
_M = people(7101, 430, 700, "M", gap=10)
_CATS = ("grocery", "restaurant", "fashion", "travel", "electronics", "fuel", "digital", "pharmacy", "cafe", "bar")
_WEIGHT = np.array([3.0, 1.3, 0.8, 0.3, 0.35, 0.9, 1.4, 0.7, 1.6, 0.7])
_LOG = np.array([3.0, 3.4, 3.7, 5.2, 4.8, 3.7, 2.3, 2.5, 1.9, 2.8])
_SD = np.array([0.8, 0.6, 0.7, 0.9, 0.9, 0.45, 0.6, 0.6, 0.45, 0.6])
_ONLINE = np.array([0.07, 0.05, 0.45, 0.8, 0.5, 0.01, 1.0, 0.06, 0.02, 0.01])
_LAND = ("GB", "IE", "FR", "ES", "US", "SE", "CH")
_CUR = ("GBP", "EUR", "USD", "SEK", "CHF")
_OF = {"GB": 0, "IE": 1, "FR": 1, "ES": 1, "US": 2, "SE": 3, "CH": 4}
_WALK = np.cumsum(rng(7102).normal(0, [0, 0.0035, 0.005, 0.005, 0.0045], (1400, 5)), 0)


def _rate(day: date) -> np.ndarray:
    day = day - timedelta(max(0, day.weekday() - 4))
    level = np.array([1.0, 1.165, 1.27, 13.2, 1.11])
    return np.round(level * np.exp(0.6 * _WALK[days_since(day) + 60]), 4)


def _cat(place: np.ndarray) -> np.ndarray:
    return np.array([mark(f"cat{p}") % 13 for p in place]) % 10


def _land(place: np.ndarray) -> np.ndarray:
    return np.array([(0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 5, 6, 0)[mark(f"land{p}") % 16] for p in place])


def _event(day: date) -> str:
    return uk_holiday(day) or ("outage" if day == date(2024, 5, 14) else "")


@lru_cache(maxsize=64)
def cards(day: date) -> Day:  # noqa: PLR0915 - a day in the order in which it happens
    dice, n = rng(7103, day), day.toordinal()
    shops = _M.there(day)
    cat, land = _cat(_M.place[shops]), _land(_M.place[shops])
    friday = np.array(
        [
            (1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
            (1, 1, 1, 1, 1, 1, 1, 1, 1, 1.1),
            (1, 1.1, 1, 1, 1, 1, 1, 1, 1, 1.2),
            (1.05, 1.2, 1, 1, 1, 1, 1, 1, 1, 1.5),
            (1.2, 1.6, 1.2, 1, 1, 1.2, 1, 1.1, 1, 2.4),
            (1.5, 1.8, 1.9, 0.9, 1.4, 1.1, 1.1, 1.1, 1.3, 2.6),
            (1.0, 1.2, 1.2, 1.0, 1.0, 0.9, 1.1, 0.5, 1.1, 1.2),
        ]
    )[day.weekday()]
    if uk_holiday(day):
        friday = np.array([0.7, 1.2, 1.0, 0.9, 0.9, 0.9, 1.1, 0.3, 1.0, 1.7]) * (
            0.25 if "Christmas" in uk_holiday(day) else 1
        )
    payday = 1.12 if day.day >= 27 or day.day <= 2 else 1.0
    fresh = np.clip((n - _M.start[shops]) / 40, 0.1, 1)
    size = np.exp(1.1 * (_M.traits[shops, 0] * 3 - 1.5)) * _WEIGHT[cat] * fresh
    own = np.exp(dice.normal(0, 0.12, len(shops)))
    total = 5000 * payday * (size * friday[cat]).sum() / size.sum() * (1 + 0.00025 * days_since(day)) / 1.3
    total *= 0.8 if day == date(2024, 5, 14) else 1
    count = int(dice.poisson(total * np.exp(dice.normal(0, 0.025))))
    p = size * friday[cat] * own
    who = dice.choice(len(shops), count, p=p / p.sum())
    c, where = cat[who], land[who]
    online = dice.random(count) < _ONLINE[c]
    centre = np.array([15, 19, 14.5, 15, 15, 13, 17, 12.5, 10.5, 21])[c] * 60
    minute = np.clip(np.where(online, dice.normal(16.5 * 60, 260, count), dice.normal(centre, 150)), 2, 1437)
    if day == date(2024, 5, 14):
        minute = np.where((minute > 600) & (minute < 780), minute + 190, minute)
    order = np.argsort(minute, kind="stable")
    who, c, where, online, minute = who[order], c[order], where[order], online[order], minute[order]
    cur = np.array([_OF[_LAND[x]] for x in range(7)])[where]
    rate = _rate(day)
    gbp = np.exp(dice.normal(_LOG[c] + 0.35 * (_M.traits[shops[who], 1] - 0.5) + 0.02 * (payday - 1) / 0.12, _SD[c]))
    amount = gbp * rate[cur]
    amount = np.where(~online & (dice.random(count) < 0.25), np.round(amount), np.round(amount, 2))
    amount = np.maximum(amount, 0.5)
    refund = dice.random(count) < np.where(c == 2, 0.1, 0.028)
    amount = np.where(refund, -amount, amount)
    gbp = np.round(amount / rate[cur], 2)
    tap = np.abs(gbp) <= 100
    entry = np.where(
        online,
        pick(dice, count, ("ecom", "moto"), (0.93, 0.07)),
        np.where(tap & (dice.random(count) < 0.8), pick(dice, count, ("contactless", "wallet"), (0.6, 0.4)), "chip"),
    )
    scheme = pick(dice, count, ("visa", "mastercard", "amex", "maestro"), (0.5, 0.37, 0.085, 0.045))
    home = np.array(_LAND, dtype=object)[where]
    away = dice.random(count) < np.where(c == 3, 0.35, 0.09)
    country = np.where(
        away, pick(dice, count, ("US", "DE", "FR", "GB", "IT", "NL", "PL", "CN"), (4, 3, 3, 4, 2, 2, 2, 1)), home
    )
    risk = np.clip(
        np.round(dice.gamma(2.0, 6.0, count) + 14 * online + 9 * away + 4 * np.log1p(np.abs(gbp) / 50), 1), 0, 100
    )
    declined = ~refund & (dice.random(count) < 0.025 + 0.0028 * risk)
    code = pick(dice, count, ("51", "05", "54", "61", "14"), (0.5, 0.25, 0.1, 0.1, 0.05))
    # reviewed at once where the risk is high, and a few at random; the other labels come in weeks, as chargebacks
    reviewed = ~declined & ~refund & ((risk > 45) & (dice.random(count) < 0.8) | (dice.random(count) < 0.05))
    fraud = dice.random(count) < 0.01 + 0.004 * np.maximum(risk - 35, 0)
    raised = 0.0004 if day >= date(2024, 4, 8) else 0.0
    fee_rate = np.round(0.008 + 0.01 * _M.traits[shops, 2], 4) + raised
    fee = np.where(
        declined, 0.02, np.round(np.maximum(gbp, 0) * (fee_rate[who] + 0.006 * (scheme == "amex")) + 0.04, 2)
    )
    food = np.isin(c, (1, 9)) & ~online & ~refund
    tip = np.where(
        food & (dice.random(count) < 0.3), np.round(amount * dice.choice([0.1, 0.125, 0.15], count), 2), np.nan
    )
    table = build(
        PAYMENTS,
        day=day,
        payment=days_since(day) * 20000 + np.arange(count) + 9 * 10**9,
        merchant=_M.ids[shops[who]],
        paid_at=utc(day, minute, LONDON),
        scheme=scheme,
        entry=entry,
        card_country=missing(dice, country, 0.015),
        amount=amount,
        currency=np.array(_CUR, dtype=object)[cur],
        amount_gbp=gbp,
        tip=tip,
        risk=missing(dice, risk, 0.004),
        approved=(~declined).astype(int),
        decline_code=np.where(declined, code, None),
        fee=fee,
        fraud=np.where(reviewed, fraud.astype(float), np.nan),
    )
    known = np.flatnonzero((_M.start <= n + 2) & (n < _M.end + 60))
    pl = _M.place[known]
    merchants = build(
        MERCHANTS,
        merchant=_M.ids[known],
        category=np.array(_CATS, dtype=object)[_cat(pl)],
        country=np.array(_LAND, dtype=object)[_land(pl)],
        fee_rate=np.round(np.round(0.008 + 0.01 * _M.traits[known, 2], 4) + raised, 4),
        terminal=np.where(
            _ONLINE[_cat(pl)] >= 0.8,
            None,
            np.array([("P400", "Move5000", "A920")[int(3 * t)] for t in _M.traits[known, 3]], dtype=object),
        ),
        onboarded=[date.fromordinal(int(s)) for s in _M.start[known]],
        daily_limit=[
            int(2000 * 2 ** int(4 * t + (n - s) / 400))
            for t, s in zip(_M.traits[known, 4], _M.start[known], strict=True)
        ],
        refreshed=day,
    )
    rates = build(RATES, currency=list(_CUR), per_gbp=rate, spread=[0.0, 0.004, 0.004, 0.009, 0.006], refreshed=day)
    return {"payments": table, "merchants": merchants, "rates": rates}


def _pence(tables: Day, _: date, __: date) -> Day:
    """One scheme's new file format is in minor units."""
    rows = tables["payments"]
    amex = is_("scheme", "amex")(rows)
    return {
        "payments": put(
            rows, **{c: np.where(amex, number(rows, c) * 100, number(rows, c)) for c in ("amount", "amount_gbp")}
        )
    }


def _no_sign(tables: Day, _: date, __: date) -> Day:
    rows = tables["payments"]
    return {"payments": put(rows, amount=np.abs(number(rows, "amount")), amount_gbp=np.abs(number(rows, "amount_gbp")))}


def _one_to_one(tables: Day, _: date, __: date) -> Day:
    """Euros are no longer converted."""
    rows = tables["payments"]
    euro = is_("currency", "EUR")(rows)
    return {"payments": put(rows, amount_gbp=np.where(euro, number(rows, "amount"), number(rows, "amount_gbp")))}


def _labels(tables: Day, _: date, __: date) -> Day:
    rows = tables["payments"]
    return {"payments": put(rows, fraud=np.nan_to_num(number(rows, "fraud"), nan=0.0))}


def _again(tables: Day, _: date, __: date) -> Day:
    """A batch between noon and half past was posted twice, under new numbers."""
    rows = tables["payments"]
    at = local_minutes(rows, "paid_at", LONDON)
    batch = keep(rows, (at >= 720) & (at < 765))
    key = max(rows["payment"].to_pylist()) + 1 + np.arange(len(batch))
    return {"payments": pa.concat_tables([rows, put(batch, payment=key)])}


def _scored_after(tables: Day, _: date, __: date) -> Day:
    """The risk score is recomputed at night, when the declines are known."""
    rows = tables["payments"]
    return {
        "payments": put(
            rows, risk=np.round(np.clip(number(rows, "risk") * 0.9 + 25 * (1 - number(rows, "approved")), 0, 100), 1)
        )
    }


FAULTS: dict[str, Plant] = {
    "amex_in_pence": _pence,
    "refunds_without_sign": _no_sign,
    "rates_lag_a_week": lagging(cards, "rates", 7),
    "euros_one_to_one": _one_to_one,
    "declines_not_delivered": drop("payments", lambda r: number(r, "approved") == 0),
    "unknown_fraud_is_zero": _labels,
    "a_batch_posted_twice": _again,
    "merchant_of_the_next_online_payment": next_row("payments", ("merchant",), is_("entry", "ecom")),
    "cut_at_half_past_nine": drop("payments", lambda r: local_minutes(r, "paid_at", LONDON) >= 21 * 60 + 30),
    "risk_scored_after_the_answer": _scored_after,
}
BUSINESS = Business("cards", (PAYMENTS, MERCHANTS, RATES), cards, (date(2024, 1, 8),), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "amex_in_pence": 0.085,
    "refunds_without_sign": 0.035,
    "rates_lag_a_week": 0.415,
    "euros_one_to_one": 0.196,
    "declines_not_delivered": 0.069,
    "unknown_fraud_is_zero": 0.945,
    "a_batch_posted_twice": 0.058,
    "merchant_of_the_next_online_payment": 0.148,
    "cut_at_half_past_nine": 0.07,
    "risk_scored_after_the_answer": 0.996,
}
