"""A made-up use case for the checks of data: two hundred visits a day to shops, of which new ones open every day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from pipeline.core.checks.day import DayChecked, check_day
from pipeline.core.checks.learned.question import Odd
from pipeline.core.checks.profiles import PROFILE_DAYS, KeyHistory, Profile
from pipeline.core.facts import Columns, Excuse, Fact, Fixed
from pipeline.core.gates import Sound
from pipeline.core.kinds import Regression
from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.verdict import Bound, Finding, Outcome

FIRST = date(2020, 1, 1)
ROWS = 200

VISITS = Feed(
    name="visits",
    path="visits/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("visit", "integer"),
        Column("at", "timestamp"),
        Column("town", "string", varies=True),
        Column("shop", "string", empty=True),
        Column("weight", "number", step=0.25),
        Column("warmth", "number"),
        Column("rain", "number"),
        Column("net", "number"),
        Column("tax", "number"),
        Column("spent", "number", empty=True, outcome=True),
    ),
    key=("day", "visit"),
    day="day",
    time="at",
)
SHOPS = Reference(
    name="shops",
    path="shops/{day}.csv",
    columns=(Column("shop", "string"), Column("area", "integer"), Column("refreshed", "date")),
    key=("shop",),
    refreshed="refreshed",
    max_age=2,
    max_unchanged=5,
    joined_by=("visits", ("shop",)),
    matched=Bound(0.6, 1.0),
)


def _adds_up(columns: Columns) -> Any:
    known = np.isfinite(columns["spent"])
    return np.isclose(columns["net"] + columns["tax"], columns["spent"])[known]


FACTS = (
    Fact("spent = net + tax", "visits", _adds_up, "another currency"),
    Fixed("warmth of a town", "visits", ("town",), "tax", "the tax of a town does not move"),
)

USECASE = Usecase(
    name="visits",
    question="How much is spent?",
    kind=Regression("spent", acts_at=50, tolerance=5),
    unit=("visit",),
    feeds=(VISITS,),
    references=(SHOPS,),
    features=lambda tables: tables["visits"],
    inputs=("net",),
    history=2,
    recipes=(Recipe("mean", lambda seed: None, window=10, at_least=2),),
    baseline=Recipe("rule", lambda seed: None, window=10, at_least=2),
    block=("town",),
    slices=("town",),
    gates=(Sound(),),
    evidence=5,
    facts=FACTS,
)

Tables = dict[str, dict[str, Any]]


def shop_rows(opened: int) -> dict[str, Any]:
    """Every fifth shop was never registered."""
    numbers = [n for n in range(opened) if n % 5]
    return {"shop": np.array([f"s{n}" for n in numbers], dtype=object), "area": np.array(numbers, dtype=float)}


def day_of(day: date) -> Tables:
    """The day's tables as columns; the same day is the same rows."""
    rng = np.random.default_rng(day.toordinal())
    opened = 100 + 6 * (day - FIRST).days
    shops = rng.integers(0, opened, ROWS)
    shops[:6] = range(opened - 6, opened)  # the newest are visited on their first day
    towns = rng.choice(["bath", "york", "hull"], ROWS)
    net = np.round(rng.gamma(2, 20, ROWS), 2)
    tax = np.select([towns == "bath", towns == "york"], [2.0, 3.0], 4.0)
    wet = rng.random() < 0.5
    visits = {
        "day": np.full(ROWS, np.datetime64(day)),
        "visit": np.arange(ROWS, dtype=float),
        "at": np.datetime64(day).astype("datetime64[us]") + rng.integers(0, 86_400_000_000, ROWS).astype("m8[us]"),
        "town": towns.astype(object),
        "shop": np.array([f"s{n}" for n in shops], dtype=object),
        "weight": rng.integers(1, 40, ROWS) * 0.25,
        "warmth": rng.integers(40, 80, ROWS).astype(float),
        "rain": np.round(rng.random(ROWS), 1) if wet else np.zeros(ROWS),
        "net": net,
        "tax": tax,
        "spent": np.round(net + tax, 2),
    }
    visits["shop"][rng.random(ROWS) < 0.1] = None
    visits["shop"][:6] = [f"s{n}" for n in range(opened - 6, opened)]
    known = shop_rows(opened + 6)
    known["refreshed"] = np.full(len(known["shop"]), np.datetime64(day))
    return {"visits": visits, "shops": known}


class Past:
    """Judges day after day, and lets a day be judged that never becomes past."""

    def __init__(self, usecase: Usecase = USECASE) -> None:
        self.usecase = usecase
        self.day = FIRST
        self.profiles: list[Profile] = []
        self.books: Mapping[str, KeyHistory] = {}
        self.previous: Mapping[str, Columns] = {}
        self.contents: dict[date, str] = {}
        self.odd: Mapping[str, Odd] = {}

    def judge(self, tables: Tables) -> tuple[Finding, ...]:
        return self._judge(tables).findings

    def accept(self, tables: Tables | None = None) -> tuple[Finding, ...]:
        tables = tables or day_of(self.day)
        checked = self._judge(tables)
        self.profiles.append(Profile.from_dict(checked.profile.bounded().to_dict()))
        self.books = {
            name: KeyHistory.from_dict(book.bounded().to_dict()) for name, book in checked.key_histories.items()
        }
        self.odd = checked.odd
        self.previous = {"shops": tables["shops"]}
        self.contents[self.day] = _content(tables)
        self.day += timedelta(1)
        return checked.findings

    def refuse(self, tables: Tables) -> tuple[Finding, ...]:
        """Judge a faulty day: it is no past, and what was odd on it is remembered."""
        checked = self._judge(tables)
        self.odd = checked.odd
        self.contents[self.day] = "faulty"
        self.day += timedelta(1)
        return checked.findings

    def run(self, days: int) -> Past:
        for _ in range(days):
            self.accept()
        return self

    def copy(self, usecase: Usecase | None = None) -> Past:
        other = Past(usecase or self.usecase)
        other.day, other.profiles, other.contents = self.day, list(self.profiles), dict(self.contents)
        other.books, other.previous, other.odd = self.books, self.previous, self.odd
        return other

    def _judge(self, tables: Tables) -> DayChecked:
        recent = self.profiles[-PROFILE_DAYS:]
        contents = {"shops": {**self.contents, self.day: _content(tables)}}
        return check_day(self.usecase, self.day, tables, self.previous, contents, recent, self.books, self.odd)


def _content(tables: Tables) -> str:
    return str([tables["shops"]["shop"].tolist(), tables["shops"]["area"].tolist()])


def refused(findings: tuple[Finding, ...]) -> set[str]:
    """Names of the findings that stop the day."""
    return {finding.name for finding in findings if finding.required and finding.outcome is not Outcome.PASS}


def with_excuse(excuse: Excuse) -> Usecase:
    return replace(USECASE, excuses=(excuse,))
