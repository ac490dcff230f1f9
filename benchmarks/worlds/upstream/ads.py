"""An agency's campaigns, one row per campaign and day: launches and ends, budgets, conversions that come late."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np

from benchmarks.worlds.business import FIRST, LAST, Business, black_friday, people, season, us_holiday
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    by_row,
    change,
    drop,
    mark,
    number,
    over,
    put,
    ref,
    rng,
    sorted_alone,
    utc,
)
from pipeline.core.tables import Column, Feed

NEW_YORK = "America/New_York"
STATS = Feed(
    name="stats",
    path="stats/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("campaign", "string"),
        Column("creative", "string"),
        Column("last_event_at", "timestamp"),
        Column("currency", "string"),
        Column("budget", "number"),
        Column("bid", "number", empty=True),
        Column("impressions", "integer"),
        Column("clicks", "integer"),
        Column("mobile_share", "number", empty=True),
        Column("position", "number", empty=True),
        Column("spend", "number", outcome=True),
        Column("conversions", "integer", empty=True, outcome=True),
        Column("revenue", "number", empty=True, outcome=True),
    ),
    key=("day", "campaign"),
    day="day",
    time="last_event_at",
)
CAMPAIGNS = ref(
    "campaigns",
    (
        Column("campaign", "string"),
        Column("advertiser", "string"),
        Column("channel", "string"),
        Column("objective", "string"),
        Column("target_cpa", "number", empty=True),
        Column("started", "date"),
        Column("audience", "string"),
    ),
    ("campaign",),
    ("stats", ("campaign",)),
)
CREATIVES = ref(
    "creatives",
    (
        Column("creative", "string"),
        Column("format", "string"),
        Column("width", "integer"),
        Column("height", "integer"),
        Column("language", "string"),
    ),
    ("creative",),
    ("stats", ("creative",)),
)
_C = people(7501, 350, 55, "C", gap=4)
_N = len(_C.ids)
_d = rng(7502)
_ADV = np.array([f"adv{mark(f'a{p}') % 62:02d}" for p in _C.place], dtype=object)
_CHAN = np.array([(0, 0, 0, 1, 1, 2, 3)[mark(f"ch{p}") % 7] for p in _C.place])  # search, display, video, social
_CUR = np.array([("USD", "USD", "USD", "CAD", "EUR", "USD")[mark(f"cur{a}") % 6] for a in _ADV], dtype=object)
_OBJ = np.array([(0, 0, 1, 2)[mark(f"ob{p}") % 4] for p in _C.place])  # sales, leads, app
_CPA = np.round(np.exp(_d.normal(3.4, 0.6, _N)), 1)
_BUDGET = np.round(np.exp(_d.normal(4.8, 0.9, _N)) / 5) * 5 + 10
_CPC = np.exp(_d.normal(0, 0.35, _N)) * np.array([1.4, 0.45, 0.3, 0.7])[_CHAN]
_CTR = np.exp(_d.normal(0, 0.3, _N)) * np.array([0.045, 0.0035, 0.006, 0.011])[_CHAN]
_CVR = np.exp(_d.normal(0, 0.5, _N)) * np.array([0.05, 0.008, 0.006, 0.02])[_CHAN]
_MOB = _d.beta(6, 3, _N)


def _black(day: date) -> float:
    return max(0.0, 1 - abs((day - black_friday(date(day.year, 11, 1))).days) / 5)


def _event(day: date) -> str:
    return (
        us_holiday(day)
        or ("black week" if _black(day) else "")
        or ("consent banner" if day == date(2023, 2, 6) else "")
    )


def _creative(i: int, n: int) -> str:
    """A campaign changes its creative every two to five weeks."""
    return f"cr{_C.ids[i][1:]}-{max(n - _C.start[i], 0) // (14 + i % 22)}"


@lru_cache(maxsize=64)
def ads(day: date) -> Day:
    dice, n = rng(7503, day), day.toordinal()
    here = _C.there(day)
    here = here[[mark(f"pause{i}/{(n + i) // 6}") % 14 > 0 for i in here]]
    weekend = day.weekday() >= 5
    # some run on weekdays only
    here = here[~((_C.traits[here, 0] < 0.12) & weekend)]
    ch, count = _CHAN[here], len(here)
    rise = (
        1
        + 0.7 * _black(day)
        + 0.25 * (day.month == 12 and day.day < 20)
        - 0.3 * (day.month == 12 and day.day > 23)
        - 0.15 * (day.month == 1)
    )
    budget = _BUDGET[here] * np.where(_C.traits[here, 1] < 0.5, 1.0, np.round(rise, 1))
    budget = np.round(budget * (1 + 0.1 * ((n - _C.start[here]) // 21 % 4)))
    use = np.clip(
        dice.beta(9, 1.6, count)
        * np.where(weekend, np.array([0.82, 1.0, 1.05, 1.05])[ch], 1.0)
        * np.where(us_holiday(day), 0.8, 1),
        0.02,
        1.05,
    )
    use = np.where(n == _C.start[here], use * dice.uniform(0.3, 0.9, count), use)
    cpc = _CPC[here] * np.exp(dice.normal(0, 0.1, count)) * (1 + 0.35 * _black(day) + 0.06 * season(day, 340))
    spend = budget * use
    clicks = dice.poisson(spend / cpc)
    ctr = _CTR[here] * np.exp(dice.normal(0, 0.08, count)) * (1 - 0.15 * np.clip((n - _C.start[here]) / 90, 0, 1))
    impressions = np.maximum(dice.poisson(np.maximum(clicks, 0.5) / ctr), clicks)
    spend = np.round(clicks * cpc, 2)
    mobile = np.clip(_MOB[here] + 0.05 * weekend + dice.normal(0, 0.025, count), 0, 1)
    cvr = (
        _CVR[here]
        * (1 + 0.4 * _black(day))
        * np.where(weekend & (_OBJ[here] == 1), 0.6, 1.0)
        * (0.93 if day >= date(2023, 2, 6) else 1)
    )
    conv = dice.binomial(clicks, np.clip(cvr, 0, 1))
    value = np.round(conv * _CPA[here] * 3 * np.exp(dice.normal(0, 0.25, count)), 2)
    # apps report two days later; a few others are late as well
    late = (_OBJ[here] == 2) & (dice.random(count) < 0.8) | (dice.random(count) < 0.04)
    minute = 1439 - np.minimum(dice.exponential(9000 / (impressions + 12)), 1300)
    table = build(
        STATS,
        day=day,
        campaign=_C.ids[here],
        creative=[_creative(i, n) for i in here],
        last_event_at=utc(day, minute, NEW_YORK),
        currency=_CUR[here],
        budget=budget,
        bid=np.where(_C.traits[here, 2] < 0.3, np.nan, np.round(_CPC[here] * (1.3 + 0.5 * _C.traits[here, 3]), 2)),
        impressions=impressions,
        clicks=clicks,
        mobile_share=np.where(impressions < 50, np.nan, np.round(mobile, 3)),
        position=np.where(ch == 0, np.round(1 + dice.gamma(3, 0.35, count), 1), np.nan),
        spend=spend,
        conversions=np.where(late, np.nan, conv.astype(float)),
        revenue=np.where(late | (_OBJ[here] != 0), np.nan, value),
    )
    known = np.flatnonzero((_C.start <= n + 4) & (n < _C.end + 14))
    campaigns = build(
        CAMPAIGNS,
        campaign=_C.ids[known],
        advertiser=_ADV[known],
        channel=np.array(["search", "display", "video", "social"], dtype=object)[_CHAN[known]],
        objective=np.array(["sales", "leads", "app"], dtype=object)[_OBJ[known]],
        target_cpa=np.where(
            _C.traits[known, 4] < 0.2, np.nan, np.round(_CPA[known] * (1 + 0.05 * ((n - _C.start[known]) // 30)), 1)
        ),
        started=[date.fromordinal(int(s)) for s in _C.start[known]],
        audience=[("broad", "lookalike", "retargeting", "interest")[int(4 * t)] for t in _C.traits[known, 5]],
        refreshed=day,
    )
    sizes = {0: (0, 0), 1: (300, 250), 2: (1920, 1080), 3: (1080, 1080)}
    seen: dict[str, int] = {}
    for i in known:
        for back in (0, 7, 14, -2):
            seen.setdefault(_creative(i, n - back), i)
    creatives = build(
        CREATIVES,
        creative=list(seen),
        format=[("text", "banner", "video", "card")[_CHAN[i]] for i in seen.values()],
        width=[sizes[_CHAN[i]][0] if mark(c) % 3 else (0, 728, 1280, 1080)[_CHAN[i]] for c, i in seen.items()],
        height=[sizes[_CHAN[i]][1] if mark(c) % 3 else (0, 90, 720, 1350)[_CHAN[i]] for c, i in seen.items()],
        language=[
            "fr" if _CUR[i] == "CAD" and mark(c) % 3 == 0 else "de" if _CUR[i] == "EUR" else "en"
            for c, i in seen.items()
        ],
        refreshed=day,
    )
    return {"stats": table, "campaigns": campaigns, "creatives": creatives}


def _channel(tables: Day, *names: str) -> np.ndarray:
    of = dict(zip(tables["campaigns"]["campaign"].to_pylist(), tables["campaigns"]["channel"].to_pylist(), strict=True))
    return np.array([of.get(c) in names for c in tables["stats"]["campaign"].to_pylist()])


def _own_currency(tables: Day, _: date, __: date) -> Day:
    """Spend in the account's currency; all else stays in dollars."""
    rows = tables["stats"]
    cur = np.array(rows["currency"].to_pylist())
    rate = np.where(cur == "CAD", 1.36, np.where(cur == "EUR", 0.93, 1.0))
    return {"stats": put(rows, spend=np.round(number(rows, "spend") * rate, 2))}


def _reach(tables: Day, _: date, __: date) -> Day:
    """People reached, not impressions, for video and social."""
    rows = tables["stats"]
    there = _channel(tables, "video", "social")
    return {
        "stats": put(
            rows,
            impressions=np.where(
                there,
                np.maximum(np.round(number(rows, "impressions") * 0.58), number(rows, "clicks")),
                number(rows, "impressions"),
            ),
        )
    }


def _bots(tables: Day, day: date, _: date) -> Day:
    """Crawlers click on banners; nobody is charged and nobody buys."""
    rows = tables["stats"]
    more = np.where(_channel(tables, "display"), rng(7505, day).poisson(number(rows, "clicks") * 0.45), 0)
    return {"stats": put(rows, clicks=number(rows, "clicks") + more, impressions=number(rows, "impressions") + more)}


def _no_sales(tables: Day, _: date, __: date) -> Day:
    rows = tables["stats"]
    return {"stats": put(rows, conversions=np.nan_to_num(number(rows, "conversions"), nan=0.0))}


def _until_evening(tables: Day, day: date, _: date) -> Day:
    """The report was drawn at nine in the evening."""
    rows = tables["stats"]
    part = np.clip(rng(7506, day).normal(0.86, 0.03, len(rows)), 0, 1)
    return {
        "stats": put(
            rows,
            impressions=np.round(number(rows, "impressions") * part),
            clicks=np.round(number(rows, "clicks") * part),
            spend=np.round(number(rows, "spend") * part, 2),
        )
    }


def _paid_as_bid(tables: Day, _: date, __: date) -> Day:
    """Where a bid was, the price paid per click is, which is known only at night."""
    rows = tables["stats"]
    with np.errstate(all="ignore"):
        paid = np.round(number(rows, "spend") / number(rows, "clicks"), 2)
    old = number(rows, "bid")
    return {"stats": put(rows, bid=np.where(np.isnan(old) | ~np.isfinite(paid), old, paid))}


FAULTS: dict[str, Plant] = {
    "spend_in_the_accounts_currency": _own_currency,
    "reach_for_impressions": _reach,
    "yesterday_for_a_third": by_row(
        ads,
        "stats",
        ("impressions", "clicks", "spend"),
        1,
        lambda r: np.array([mark(c) % 3 == 0 for c in r["campaign"].to_pylist()]),
        by="campaign",
    ),
    "crawlers_click_banners": _bots,
    "late_conversions_are_zero": _no_sales,
    "mobile_share_in_percent": change("stats", "mobile_share", lambda v: v * 100),
    "report_drawn_in_the_evening": _until_evening,
    "target_cpa_sorted_alone": sorted_alone("campaigns", "target_cpa"),
    "small_campaigns_left_out": drop("stats", over("impressions", high=700)),
    "price_paid_as_bid": _paid_as_bid,
}
BUSINESS = Business("ads", (STATS, CAMPAIGNS, CREATIVES), ads, (date(2022, 9, 12),), FIRST, LAST, _event)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "spend_in_the_accounts_currency": 0.346,
    "reach_for_impressions": 0.285,
    "yesterday_for_a_third": 0.332,
    "crawlers_click_banners": 0.26,
    "late_conversions_are_zero": 0.23,
    "mobile_share_in_percent": 1.0,
    "report_drawn_in_the_evening": 1.0,
    "target_cpa_sorted_alone": 0.801,
    "small_campaigns_left_out": 0.07,
    "price_paid_as_bid": 0.7,
}
