"""Bins that a waste-collection service empties: a rota of weeks and fortnights, weights, tablets in the lorries."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.worlds.business import BERLIN, FIRST, LAST, Business, days_since, german_holiday, people, pick, season
from benchmarks.worlds.kit import (
    Day,
    Plant,
    build,
    change,
    drop,
    is_,
    local_minutes,
    missing_values,
    moments,
    next_row,
    number,
    put,
    recode,
    ref,
    rng,
    two_replicas,
    utc,
    words,
)
from pipeline.core.tables import Column, Feed

LIFTS = Feed(
    name="lifts",
    path="lifts/{day}.parquet",
    columns=(
        Column("day", "date"),
        Column("lift", "integer"),
        Column("site", "string"),
        Column("lifted_at", "timestamp"),
        Column("lorry", "string"),
        Column("depot", "string"),
        Column("stream", "string"),
        Column("bins", "integer"),
        Column("weight_kg", "number", empty=True),
        Column("fill", "number", empty=True),
        Column("stop_seconds", "integer"),
        Column("note", "string", empty=True),
        Column("fee", "number"),
        Column("contaminated", "integer", empty=True, outcome=True),
    ),
    key=("lift",),
    day="day",
    time="lifted_at",
)
SITES = ref(
    "sites",
    (
        Column("site", "string"),
        Column("district", "string"),
        Column("kind", "string"),
        Column("households", "integer"),
        Column("bin_litres", "integer"),
        Column("fee_per_lift", "number"),
        Column("contract", "string"),
    ),
    ("site",),
    ("lifts", ("site",)),
)
LORRIES = ref(
    "lorries",
    (
        Column("lorry", "string"),
        Column("depot", "string"),
        Column("fuel", "string"),
        Column("payload_kg", "integer"),
        Column("in_service", "date"),
        Column("kilometres", "integer"),
    ),
    ("lorry",),
    ("lifts", ("lorry",)),
)
_DISTRICTS = ("Nord", "Hafen", "Altstadt", "Südvorstadt", "Linden", "Messe", "Burgfeld", "Wiesen", "Kleefeld")
_KINDS = ("house", "flats", "office", "shop", "restaurant", "school")
_DEPOTS = ("Nordring", "Hafen", "Südtor", "Wiesen")
_STREAMS = ("residual", "paper", "organic", "packaging")
_NOTES = ("blocked by car", "lid broken", "bin missing", "extra bags", "gate locked", "key handed in")
#: Per litre of bin: a kilogram or two for ten litres.
_DENSITY = np.array([0.125, 0.06, 0.21, 0.03])
#: The small depot in the harbour closed, its tours start at the Nordring; Wiesen opened later.
_HARBOUR, _WIESEN = date(2023, 2, 11), date(2023, 10, 2)
_SITES = people(8401, 1980, 1900, "A", gap=12)
#: The newest lorries and when they came.
_BOUGHT = {18: date(2022, 11, 21), 19: date(2023, 7, 10), 20: date(2024, 3, 18)}


@lru_cache(maxsize=1)
def _sites() -> dict[str, Any]:
    dice, t = rng(8402), _SITES.traits
    n = len(t)
    kind = np.searchsorted(np.cumsum([0.44, 0.26, 0.1, 0.1, 0.07]), t[:, 0])
    homes = np.where(kind == 0, 1 + (t[:, 1] > 0.7), np.where(kind == 1, 4 + np.round(t[:, 1] ** 2 * 40), 0))
    litres = np.array([120, 770, 240, 240, 240, 770])[kind] * np.where((kind != 1) & (t[:, 2] > 0.75), 2, 1)
    district = np.searchsorted(np.cumsum([0.14, 0.06, 0.1, 0.17, 0.15, 0.08, 0.12, 0.1]), _SITES.place % 997 / 997)
    return {
        "kind": kind,
        "homes": homes,
        "litres": litres,
        "district": district,
        "weekday": (district + (t[:, 3] * 2).astype(int) * 2) % 5,
        "fortnight": (t[:, 4] * 2).astype(int),
        "bins": 1 + (homes > 14) + (homes > 28) + ((kind > 2) & (t[:, 5] > 0.6)),
        "use": np.clip(dice.normal(0.68, 0.15, n), 0.2, 1.1),
        "turn": dice.integers(0, 180, n),
        "index": np.cumsum(np.abs(dice.normal(0, 0.012, (n, 9))), axis=1),
        "contract": pick(dice, n, ("city", "direct", "manager"), (0.6, 0.25, 0.15)),
    }


def _fee(day: date, site: Any) -> Any:
    """Contracts are reviewed twice a year, each on its own day."""
    f = _sites()
    grown = np.exp(f["index"][site, (days_since(day) + f["turn"][site]) // 180])
    return np.round((1.9 + f["litres"][site] * 0.011) * grown, 2)


def _due(day: date) -> tuple[Any, Any]:
    """The sites of the day with their streams; a holiday sees restaurants only, like a Sunday."""
    f, here = _sites(), _SITES.there(day)
    kind, weekday, fortnight = f["kind"][here], f["weekday"][here], f["fortnight"][here]
    quiet = day.weekday() == 6 or bool(german_holiday(day))
    parity = (day.toordinal() // 7) % 2
    own = (weekday == day.weekday()) & (not quiet)
    back = not quiet and day.weekday() == 5 and any(german_holiday(day - timedelta(k)) for k in range(1, 6))
    if back:  # the Saturday makes up for the week's holiday
        lost = [(day - timedelta(k)).weekday() for k in range(1, 6) if german_holiday(day - timedelta(k))]
        own = np.isin(weekday, lost)
    trade, plates = np.isin(kind, (3, 4)), kind == 4
    shops = trade & (not quiet) & ((day.weekday() == 5) | (day.weekday() - weekday == 2))
    parts = [
        (here[own | shops | (plates & (quiet | (days_since(day) % 2 == fortnight)))], 0),
        (here[own & (fortnight == parity) & ~plates], 1),
        (here[(own & (fortnight != parity) & (kind < 2)) | (plates & (not quiet) & own)], 2),
        (here[(own & (fortnight != parity) & (kind != 5)) | (plates & (quiet | (day.weekday() == 5)))], 3),
    ]
    return np.concatenate([p for p, _ in parts]), np.concatenate([np.full(len(p), s) for p, s in parts])


def _depot(day: date, district: Any) -> Any:
    usual = np.array([0, 1, 0, 2, 2, 2, 0, 2, 0])[district]
    usual = np.where((usual == 1) & (day >= _HARBOUR), 0, usual)
    return np.where((district == 7) & (day >= _WIESEN), 3, usual)


def _lorry(day: date, depot: Any, stream: Any, district: Any) -> Any:
    """Each depot has its own; the newest relieve some of the old on most days."""
    usual = np.array([0, 6, 9, 15])[depot] + np.where(np.isin(depot, (0, 2)), (stream + district) % 6, stream % 3)
    for new, since in _BOUGHT.items():
        if day >= since and rng(8404 + new, day).random() < 0.85:
            usual = np.where(usual == (2, 11, 4)[new - 18], new, usual)
    return usual


@lru_cache(maxsize=64)
def waste(day: date) -> Day:
    dice, f = rng(8403, day), _sites()
    site, stream = _due(day)
    there = dice.random(len(site)) > 0.015
    site, stream = site[there], stream[there]
    n, kind, district = len(site), f["kind"][site], f["district"][site]
    depot = _depot(day, district)
    lorry = _lorry(day, depot, stream, district)
    garden = 1 + 0.35 * season(day, 200) * (kind < 2)
    party = 1 + 0.12 * ((day.month, day.day) in ((12, 27), (12, 28), (12, 29), (1, 2), (1, 3)))
    fill = f["use"][site] * np.where(stream == 2, garden, 1) * party * np.exp(dice.normal(0, 0.22, n)) * 100
    fill = np.minimum(np.round(fill / 5) * 5, 130)
    bins = f["bins"][site] + (dice.random(n) < 0.03)
    wet = np.exp(dice.normal(0.02, 0.03))
    weight = f["litres"][site] * bins * _DENSITY[stream] * fill / 100 * np.exp(dice.normal(0, 0.2, n)) * wet
    tour = (f["turn"][site] * 7 + district * 31) % 430
    minute = 345 + tour + 60 * (stream == 3) + dice.normal(0, 9, n) + 25 * (day.weekday() == 0)
    minute = np.where(day.weekday() == 6, minute + 45, minute)
    order = np.argsort(minute, kind="stable")
    tainted = (dice.random(n) < np.array([0.01, 0.04, 0.09, 0.14])[stream] * np.where(kind == 1, 1.6, 0.8)).astype(
        float
    )
    seen = dice.random(n) < np.where(stream == 0, 0.35, 0.9)
    note = np.where(dice.random(n) < 0.05, pick(dice, n, _NOTES, (6, 3, 1, 8, 2, 1)), None)
    if day >= date(2023, 5, 30):
        note = np.where((note == "blocked by car") & (dice.random(n) < 0.25), "blocked by scooter", note)
    lifts = build(
        LIFTS,
        day=day,
        lift=5 * 10**8 + days_since(day) * 10_000 + np.arange(n),
        site=_SITES.ids[site][order],
        lifted_at=utc(day, minute[order], BERLIN),
        lorry=np.array([f"L{x + 1:02d}" for x in lorry], dtype=object)[order],
        depot=np.array(_DEPOTS, dtype=object)[depot][order],
        stream=np.array(_STREAMS, dtype=object)[stream][order],
        bins=bins[order],
        weight_kg=missing_values(dice, np.round(weight * 2) / 2, 0.04)[order],
        fill=missing_values(dice, fill, 0.1)[order],
        stop_seconds=np.round(16 + 17 * bins + dice.gamma(2, 8, n) + 25 * (note != None))[order],  # noqa: E711
        note=note[order],
        fee=np.where(stream == 0, np.round(_fee(day, site) * bins, 2), 0.0)[order],
        contaminated=np.where(seen, tainted, np.nan)[order],
    )
    return {"lifts": lifts, **_references(day)}


def _references(day: date) -> Day:
    f, i = _sites(), _SITES.there(day, early=3)
    sites = build(
        SITES,
        site=_SITES.ids[i],
        district=np.array(_DISTRICTS, dtype=object)[f["district"][i]],
        kind=np.array(_KINDS, dtype=object)[f["kind"][i]],
        households=f["homes"][i],
        bin_litres=f["litres"][i],
        fee_per_lift=_fee(day, i),
        contract=f["contract"][i],
        refreshed=day,
    )
    fleet = [x for x in range(21) if day >= _BOUGHT.get(x, day) - timedelta(7)]
    home = [0] * 6 + [0 if day >= _HARBOUR else 1] * 3 + [2] * 6 + [3 if day >= _WIESEN else 2] * 3 + [0, 2, 0]
    lorries = build(
        LORRIES,
        lorry=[f"L{x + 1:02d}" for x in fleet],
        depot=[_DEPOTS[home[x]] for x in fleet],
        fuel=["electric" if x >= 18 else ("gas" if x % 4 == 0 else "diesel") for x in fleet],
        payload_kg=[9500 + 500 * (x % 5) for x in fleet],
        in_service=[_BOUGHT.get(x, date(2012 + x // 2, 9, 1)) for x in fleet],
        kilometres=[
            (day - _BOUGHT.get(x, date(2012 + x // 2, 9, 1)) + timedelta(9)).days // 7 * (280 + 9 * x) for x in fleet
        ],
        refreshed=day,
    )
    return {"sites": sites, "lorries": lorries}


def _gross(tables: Day, _: date, __: date) -> Day:
    """One depot's scales no longer take off the bins themselves."""
    rows = tables["lifts"]
    tare = np.where(is_("depot", "Nordring")(rows), 11.0 * number(rows, "bins"), 0.0)
    return {"lifts": put(rows, weight_kg=number(rows, "weight_kg") + tare)}


def _nothing_weighed(tables: Day, _: date, __: date) -> Day:
    """A reading that failed comes as nought."""
    rows = tables["lifts"]
    return {"lifts": put(rows, weight_kg=np.nan_to_num(number(rows, "weight_kg"), nan=0.0))}


def _when_synced(tables: Day, _: date, __: date) -> Day:
    """Südtor's tablets stamp the batch that they send each half hour."""
    rows = tables["lifts"]
    at, step = moments(rows, "lifted_at"), np.timedelta64(30, "m")
    late = (at - (at - at.astype("datetime64[D]")) % step) + step
    return {"lifts": put(rows, lifted_at=np.where(is_("depot", "Südtor")(rows), late, at))}


def _misread(tables: Day, _: date, __: date) -> Day:
    """Written in one character set and read in another."""
    rows = tables["lifts"]
    return {"lifts": put(rows, depot=[w.encode().decode("latin-1") for w in words(rows, "depot")])}


def _is_late(rows: Any) -> Any:
    """What the tours brought after a quarter to twelve."""
    return local_minutes(rows, "lifted_at", BERLIN) >= 705


FAULTS: dict[str, Plant] = {
    "bins_weighed_along_at_one_depot": _gross,
    "pounds_from_three_lorries": change(
        "lifts", "weight_kg", lambda v: np.round(v * 2.2046, 1), is_("lorry", "L03", "L10", "L13")
    ),
    "failed_weighing_is_nought": _nothing_weighed,
    "packaging_booked_as_residual_at_one_depot": recode(
        "lifts", "stream", {"packaging": "residual"}, is_("depot", "Nordring")
    ),
    "time_of_the_tablets_sync": _when_synced,
    "depot_read_as_latin": _misread,
    "sites_two_replicas": two_replicas(waste, "sites", 60),
    "fill_as_a_fraction_of_several_bins": change(
        "lifts", "fill", lambda v: v / 100, lambda rows: number(rows, "bins") > 1
    ),
    "weight_slips_a_stop": next_row("lifts", ("weight_kg", "fill"), is_("depot", "Südtor")),
    "late_tours_not_loaded": drop("lifts", _is_late),
}
STARTS = (date(2022, 9, 19), date(2023, 5, 2), date(2024, 2, 19))
BUSINESS = Business("waste", (LIFTS, SITES, LORRIES), waste, STARTS, FIRST, LAST, german_holiday)
#: The share of units that each fault touches, over some days.
TOUCHED: dict[str, float] = {
    "bins_weighed_along_at_one_depot": 0.435,
    "pounds_from_three_lorries": 0.168,
    "failed_weighing_is_nought": 0.039,
    "packaging_booked_as_residual_at_one_depot": 0.114,
    "time_of_the_tablets_sync": 0.490,
    "depot_read_as_latin": 0.490,
    "sites_two_replicas": 0.186,
    "fill_as_a_fraction_of_several_bins": 0.286,
    "weight_slips_a_stop": 0.490,
    "late_tours_not_loaded": 0.207,
}
