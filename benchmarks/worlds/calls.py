"""A call centre."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np

from benchmarks.worlds.business import (
    BERLIN,
    FIRST,
    LAST,
    STARTS,
    Business,
    days_since,
    german_holiday,
    people,
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
    lagging,
    local_minutes,
    mark,
    next_row,
    number,
    over,
    put,
    recode,
    ref,
    rng,
    utc,
)
from benchmarks.worlds.kit import missing_values as missing
from pipeline.core.tables import Column, Feed

CALLS = Feed(
    name="calls",
    path="calls/{day}.csv.zip",
    columns=(
        Column("day", "date"),
        Column("call", "integer"),
        Column("called_at", "timestamp"),
        Column("queue", "string"),
        Column("language", "string"),
        Column("calls_before", "integer"),
        Column("customer_months", "integer", empty=True),
        Column("waited", "integer"),
        Column("agent", "string", empty=True),
        Column("talked", "integer", empty=True, outcome=True),
        Column("resolved", "integer", empty=True, outcome=True),
        Column("score", "integer", empty=True, outcome=True),
    ),
    key=("call",),
    day="day",
    time="called_at",
)
AGENTS = ref(
    "agents",
    (
        Column("agent", "string"),
        Column("team", "string"),
        Column("site", "string"),
        Column("level", "integer"),
        Column("hired", "date"),
        Column("contract_hours", "integer"),
    ),
    ("agent",),
    ("calls", ("agent",)),
)
QUEUES = ref(
    "queues",
    (
        Column("queue", "string"),
        Column("product", "string"),
        Column("target", "integer"),
        Column("priority", "integer"),
    ),
    ("queue",),
    ("calls", ("queue",)),
)
_AGENTS = people(701, 64, 210, "G", gap=8)
_QUEUES = (
    ("billing", "all", 60, 2),
    ("technical", "internet", 90, 2),
    ("mobile", "mobile", 60, 3),
    ("cancel", "all", 45, 1),
    ("moving", "internet", 120, 3),
    ("business", "all", 30, 1),
    ("fibre", "internet", 60, 1),
)


def _calls_event(day: date) -> str:
    if day == date(2023, 9, 4):
        return "queue fibre opens"
    if day == date(2024, 3, 4):
        return "new telephone menu"
    return german_holiday(day) or ("outage" if _outage(day) else "")


def _outage(day: date) -> bool:
    return mark(f"outage{day}") % 90 == 0


@lru_cache(maxsize=64)
def calls(day: date) -> Day:
    """A day of calls."""
    dice, n = rng(702, day), day.toordinal()
    weekly = (1.25, 1.05, 1.0, 0.97, 0.95, 0.42, 0.2)[day.weekday()]
    if german_holiday(day):
        weekly = 0.12
    billed = 1.2 if day.day in (3, 4, 5) else 1.0
    count = int(
        dice.poisson(
            880
            * weekly
            * billed
            * (1.35 if _outage(day) else 1)
            * (1 + 0.06 * season(day, 20))
            * np.exp(dice.normal(0, 0.05))
        )
    )
    weight = np.array([3.2, 3.0 * (2.2 if _outage(day) else 1), 2.2, 1.0, 0.8, 1.1, 0.0])
    if day >= date(2023, 9, 4):
        weight[6] = min(0.15 + (day - date(2023, 9, 4)).days * 0.004, 1.3)
    q = dice.choice(7, count, p=weight / weight.sum())
    minute = np.sort(
        np.clip(
            np.where(dice.random(count) < 0.55, dice.normal(630, 90, count), dice.normal(920, 130, count)), 421, 1319
        )
    )
    load = (
        np.interp(minute, [420, 600, 680, 780, 900, 1100, 1320], [0.5, 1.3, 1.5, 1.0, 1.2, 0.9, 0.5]) * weekly * billed
    )
    waited = np.round(dice.exponential(1, count) * 55 * load**1.6 * np.array([x[2] for x in _QUEUES])[q] / 60).astype(
        int
    )
    gave_up = dice.random(count) < np.clip(0.02 + waited / 2600, 0, 0.5)
    staff = _AGENTS.there(day)
    share = 0.6 if weekly > 0.5 else 0.25
    on = staff[dice.random(len(staff)) < share]
    on = on if len(on) else staff
    who = dice.choice(on, count)
    skill = _AGENTS.traits[who, 0] + np.clip((n - _AGENTS.start[who]) / 180, 0, 1) * 0.5
    talked = np.round(
        np.exp(dice.normal(5.55 + np.array([0, 0.35, 0.05, 0.3, 0.2, 0.25, 0.4])[q] - 0.15 * skill, 0.65))
    ).astype(float)
    solved = dice.random(count) < np.array([0.8, 0.62, 0.75, 0.55, 0.78, 0.7, 0.6])[q] + 0.08 * skill
    score = np.clip(np.round(dice.normal(3.1 + 1.1 * solved - waited / 700, 0.9)), 1, 5)
    table = build(
        CALLS,
        day=day,
        call=days_since(day) * 10000 + np.arange(count) + 5 * 10**7,
        called_at=utc(day, minute, BERLIN),
        queue=[_QUEUES[k][0] for k in q],
        language=pick(dice, count, ("de", "en", "tr", "pl"), (0.84, 0.09, 0.04, 0.03)),
        calls_before=dice.negative_binomial(1, 0.62, count),
        customer_months=missing(dice, np.round(dice.gamma(1.6, 26, count)), 0.05),
        waited=waited,
        agent=np.where(gave_up, None, _AGENTS.ids[who]),
        talked=np.where(gave_up, np.nan, talked),
        resolved=np.where(gave_up, np.nan, solved),
        score=np.where(gave_up | (dice.random(count) > 0.22), np.nan, score),
    )
    # who left stays in the list for a month
    known = np.flatnonzero((_AGENTS.start <= n + 5) & (n < _AGENTS.end + 30))
    agents = build(
        AGENTS,
        agent=_AGENTS.ids[known],
        team=[f"team {1 + p % 8}" for p in _AGENTS.place[known]],
        site=[("Leipzig", "Rostock", "home")[int(3 * t)] for t in _AGENTS.traits[known, 1]],
        level=[1 + min(int((n - s) / 240), 3) if n > s else 1 for s in _AGENTS.start[known]],
        hired=[date.fromordinal(int(s)) for s in _AGENTS.start[known]],
        contract_hours=[(20, 30, 40)[int(3 * t)] for t in _AGENTS.traits[known, 2]],
        refreshed=day,
    )
    live = [x for x in _QUEUES if x[0] != "fibre" or day >= date(2023, 9, 1)]
    queues = build(
        QUEUES,
        queue=[x[0] for x in live],
        product=[x[1] for x in live],
        target=[x[2] for x in live],
        priority=[x[3] for x in live],
        refreshed=day,
    )
    return {"calls": table, "agents": agents, "queues": queues}


def _wait_in_talk(tables: Day, _: date, __: date) -> Day:
    """The call's length is counted from the moment of dialling."""
    rows = tables["calls"]
    return {"calls": put(rows, talked=number(rows, "talked") + number(rows, "waited"))}


def _repeat_calls(tables: Day, day: date, _: date) -> Day:
    """Solved is what was not called about again the same day: it needs the evening, and the afternoon has none."""
    rows = tables["calls"]
    late = local_minutes(rows, "called_at", BERLIN) >= 14 * 60
    solved = number(rows, "resolved")
    return {"calls": put(rows, resolved=np.where(late & np.isfinite(solved), 1, solved))}


FAULTS: dict[str, Plant] = {
    "talk_counted_from_dialling": _wait_in_talk,
    "afternoon_always_solved": _repeat_calls,
    "given_up_calls_filtered": drop("calls", lambda rows: np.array([a is None for a in rows["agent"].to_pylist()])),
    "long_calls_cut_at_ten_minutes": change("calls", "talked", lambda v: np.minimum(v, 600)),
    "bad_scores_not_sent": blank("calls", ("score",), over("score", 0, 3)),
    "waits_in_steps_of_thirty": change("calls", "waited", lambda v: np.round(v / 30) * 30),
    "cancel_routed_as_billing": recode("calls", "queue", {"cancel": "billing"}),
    "agents_of_the_next_call": next_row(
        "calls", ("agent",), lambda rows: np.array([a is not None for a in rows["agent"].to_pylist()])
    ),
    "levels_lag_and_new_are_missing": lagging(calls, "agents", 28),
    "sites_exchanged": recode("agents", "site", {"Leipzig": "Rostock", "Rostock": "Leipzig"}),
    "targets_in_minutes": change("queues", "target", lambda v: np.ceil(v / 60)),
    "noon_hour_missing": drop("calls", lambda rows: local_minutes(rows, "called_at", BERLIN) // 60 == 11),
}

BUSINESS = Business("calls", (CALLS, AGENTS, QUEUES), calls, STARTS, FIRST, LAST, _calls_event)

#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "talk_counted_from_dialling": 0.92,
    "afternoon_always_solved": 0.073,
    "given_up_calls_filtered": 0.044,
    "long_calls_cut_at_ten_minutes": 0.115,
    "bad_scores_not_sent": 0.075,
    "waits_in_steps_of_thirty": 0.944,
    "cancel_routed_as_billing": 0.087,
    "agents_of_the_next_call": 0.922,
    "levels_lag_and_new_are_missing": 0.134,
    "sites_exchanged": 0.651,
    "targets_in_minutes": 1.0,
    "noon_hour_missing": 0.133,
}
