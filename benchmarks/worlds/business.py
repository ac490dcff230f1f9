"""What the made businesses share: who comes and goes, seasons, holidays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from benchmarks.worlds.kit import (
    Day,
    easter,
    rng,
)
from pipeline.core.tables import Feed, Reference


@dataclass(frozen=True)
class Business:
    """One sound business."""

    name: str
    tables: tuple[Feed | Reference, ...]
    day: Callable[[date], Day]
    starts: tuple[date, ...]
    first: date
    last: date
    event: Callable[[date], str] = lambda _: ""
    real: bool = False


BERLIN, LONDON, CHICAGO = "Europe/Berlin", "Europe/London", "America/Chicago"
FIRST, LAST = date(2022, 6, 1), date(2025, 6, 30)
STARTS = (date(2022, 9, 1), date(2023, 1, 16), date(2023, 5, 22), date(2024, 2, 12), date(2024, 8, 5))


@dataclass(frozen=True)
class People:
    """Who comes and goes: a number of places, each held by one after the other."""

    ids: Any
    start: Any
    end: Any
    traits: Any
    place: Any

    def there(self, day: date, early: int = 0) -> Any:
        """Indices of those in service on the day (or who will be within ``early`` days)."""
        n = day.toordinal()
        return np.flatnonzero((self.start <= n + early) & (n < self.end))


def people(seed: int, places: int, tenure: float, prefix: str, gap: float = 4) -> People:
    """Draw them for all days."""
    dice = rng(seed)
    rows = []
    for place in range(places):
        at = FIRST.toordinal() - int(dice.exponential(tenure)) - 1
        while at < LAST.toordinal() + 1:
            end = at + 20 + int(dice.exponential(tenure))
            rows.append((place, at, end))
            at = end + int(dice.exponential(gap))
    rows.sort(key=lambda r: (r[1], r[0]))
    n = len(rows)
    return People(
        np.array([f"{prefix}{1000 + i}" for i in range(n)], dtype=object),
        np.array([r[1] for r in rows]),
        np.array([r[2] for r in rows]),
        dice.random((n, 6)),
        np.array([r[0] for r in rows]),
    )


def pick(dice: np.random.Generator, n: int, values: Any, weights: Any) -> Any:
    """Words or numbers by weight."""
    p = np.asarray(weights, dtype=float)
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out[dice.choice(len(p), n, p=p / p.sum())]


def season(day: date, peak: int = 15) -> float:
    """-1 to 1, highest on the ``peak``-th day of the year."""
    return float(np.cos(2 * np.pi * (day.timetuple().tm_yday - peak) / 365.25))


def days_since(day: date) -> int:
    return (day - FIRST).days


def german_holiday(day: date) -> str:
    """Its name, or nothing."""
    e = easter(day.year)
    fixed = {(1, 1): "New Year", (5, 1): "1 May", (10, 3): "3 October", (12, 25): "Christmas", (12, 26): "Boxing Day"}
    moving = {
        e - timedelta(2): "Good Friday",
        e + timedelta(1): "Easter Monday",
        e + timedelta(39): "Ascension",
        e + timedelta(50): "Whit Monday",
    }
    return fixed.get((day.month, day.day)) or moving.get(day) or ""


def uk_holiday(day: date) -> str:
    e = easter(day.year)
    fixed = {(12, 25): "Christmas", (12, 26): "Boxing Day", (1, 1): "New Year"}
    moving = {e - timedelta(2): "Good Friday", e + timedelta(1): "Easter Monday"}
    monday = day.weekday() == 0
    bank = (
        "bank holiday"
        if monday and ((day.month == 5 and (day.day <= 7 or day.day > 24)) or (day.month == 8 and day.day > 24))
        else ""
    )
    return fixed.get((day.month, day.day)) or moving.get(day) or bank


def us_holiday(day: date) -> str:
    thanks = black_friday(day) - timedelta(1)
    fixed = {(1, 1): "New Year", (7, 4): "4 July", (12, 25): "Christmas"}
    if day == thanks:
        return "Thanksgiving"
    if day.weekday() == 0 and ((day.month == 5 and day.day > 24) or (day.month == 9 and day.day <= 7)):
        return "Memorial or Labor Day"
    return fixed.get((day.month, day.day), "")


def black_friday(day: date) -> date:
    first = date(day.year, 11, 1)
    thursday = first + timedelta((3 - first.weekday()) % 7 + 21)
    return thursday + timedelta(1)


def sky(day: date, region: int) -> tuple[Any, Any, Any]:
    """Temperature, cloud and wind for 50 hours of a day (local), smooth from day to day."""

    def level(d: date) -> Any:
        return rng(302 + region, d).normal(0, 1, 3)

    now, next_ = (sum(level(d + timedelta(k)) for k in (-2, -1, 0)) / 1.73 for d in (day, day + timedelta(1)))
    hours = np.arange(50)
    mix = np.clip(hours / 24, 0, 1)[:, None]
    noise = now * (1 - mix) + next_ * mix
    temp = (
        10.5
        - 6.8 * season(day, 25)
        + 3.2 * noise[:, 0]
        - (2.6 - 1.8 * season(day, 10)) * np.cos(2 * np.pi * (hours - 3) / 24)
        - 0.4 * region
    )
    cloud = np.clip(55 + 28 * noise[:, 1] + 10 * season(day, 10), 0, 100)
    wind = np.exp(1.4 + 0.35 * noise[:, 2] + 0.1 * season(day, 15))
    return temp, cloud, wind
