"""How often are sound days of other businesses refused, and which of their silent faults are found within two days?

Eight made businesses (``benchmarks.worlds``) and the flights, judged from their first day on by the product's checks
with default limits, without any suite. Then each fault, begun on two days: found on its first or second day, or not.

    python -m benchmarks sound_days                       # everything, a quarter of an hour
    python -m benchmarks sound_days --worlds grocer,calls
    python -m benchmarks sound_days --sound               # the sound days only
    python -m benchmarks sound_days --person              # a person accepts each refused sound day, as by an excuse
    python -m benchmarks sound_days --starts 5            # stores begun on five days, in several seasons
    python -m benchmarks sound_days --within 10           # each fault for ten days: found when, and does it flicker

The limits were fixed while looking at ``TUNED``; what the others then showed for the first time, and what was mended
after it, stands in docs/explanation/limits.md.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
from scipy import stats

from benchmarks import faults as flights
from benchmarks import worlds
from benchmarks.worlds.flights import faults as further
from pipeline.core.checks.day import check_day
from pipeline.core.checks.profiles import PROFILE_DAYS, KeyHistory, Profile
from pipeline.core.facts import Columns
from pipeline.core.gates import Sound
from pipeline.core.kinds import Regression
from pipeline.core.tables import Feed, Reference, Table
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.verdict import Outcome
from pipeline.steps.tables.columns import columns_of
from pipeline.usecases import ALL

TUNED = ("flights", "web", "energy")
#: Sound days from a business's first day on; a fault begins on these of them, on two days of the week.
DAYS, BEGINS = 200, (47, 85)

Day = Mapping[str, pa.Table]


@dataclass(frozen=True)
class World:
    """A business, as a use case of which only the tables are looked at."""

    name: str
    usecase: Usecase
    day: Callable[[date], Day]
    first: date
    days: int
    faults: Mapping[str, Callable[[Any, date, date], Day]]


#: Of the year of flights, from where stores are begun: the first has the whole of it.
FLIGHT_STARTS = (date(2013, 1, 1), date(2013, 3, 4), date(2013, 5, 16), date(2013, 7, 10), date(2013, 9, 2))


def world(name: str, start: int = 0) -> World:
    """The business of that name, in a store that was begun on the so manyeth of its days of beginning."""
    if name == "flights":
        faults = {**flights.FAULTS, **further.FAULTS}
        first = FLIGHT_STARTS[start % len(FLIGHT_STARTS)]
        return World(name, ALL[0], flights.clean, first, (date(2013, 12, 31) - first).days, faults)
    module = worlds.of(name)
    business = module.BUSINESS
    first = business.starts[start % len(business.starts)]
    return World(name, _usecase(name, business.tables), business.day, first, DAYS, module.FAULTS)


def _usecase(name: str, tables: Sequence[Table]) -> Usecase:
    feeds = tuple(table for table in tables if isinstance(table, Feed))
    numbers = [column.name for column in feeds[0].columns if column.type in ("number", "integer")]
    known = [column.name for column in feeds[0].columns if not column.outcome and column.name != numbers[-1]]
    return Usecase(
        name=name,
        question="What will it be?",
        kind=Regression(numbers[-1], acts_at=0, tolerance=1),
        unit=tuple(key for key in feeds[0].key if key != feeds[0].day) or feeds[0].key,
        feeds=feeds,
        references=tuple(table for table in tables if isinstance(table, Reference)),
        features=lambda tables: tables[feeds[0].name],
        inputs=(known[-1],),
        history=1,
        recipes=(Recipe("mean", lambda seed: None, window=7, at_least=2),),
        baseline=Recipe("rule", lambda seed: None, window=7, at_least=2),
        block=(feeds[0].key[-1],),
        slices=(),
        gates=(Sound(),),
        evidence=7,
    )


@dataclass
class Past:
    """What validation keeps from day to day."""

    usecase: Usecase
    profiles: list[Profile] = field(default_factory=list)
    keys: Mapping[str, KeyHistory] = field(default_factory=dict)
    previous: Mapping[str, Columns] = field(default_factory=dict)
    contents: dict[str, dict[date, str]] = field(default_factory=dict)
    odd: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def refuses(self, day: date, tables: Day, accepted: bool = False) -> list[str]:
        """The names of the findings that refuse the day; one that none refuses, or a person accepts, becomes past."""
        empty = [f"{name}: missing" for name, rows in tables.items() if not len(rows)]
        if empty:
            return empty
        columns = {table.name: columns_of(table, tables[table.name]) for table in self.usecase.tables}
        for reference in self.usecase.references:
            digest = _digest(reference, columns[reference.name])
            self.contents = {**self.contents, reference.name: {**self.contents.get(reference.name, {}), day: digest}}
        checked = check_day(
            self.usecase, day, columns, self.previous, self.contents, self.profiles, self.keys, self.odd
        )
        self.odd = checked.odd
        refused = [f.name for f in checked.findings if f.required and f.outcome is not Outcome.PASS]
        if not refused or accepted:
            self.profiles = [*self.profiles, checked.profile.bounded()][-PROFILE_DAYS:]
            self.keys = {name: kept.bounded() for name, kept in checked.key_histories.items()}
            self.previous = {reference.name: columns[reference.name] for reference in self.usecase.references}
        return refused


def _digest(reference: Reference, columns: Columns) -> str:
    told = [columns[column.name].tolist() for column in reference.columns if column.name != reference.refreshed]
    return hashlib.blake2b(repr(told).encode(), digest_size=16).hexdigest()


def sound(one: World, begins: Sequence[date], person: bool = False) -> tuple[int, int, Counter[str], dict[date, Past]]:
    """Judge the sound days: how many were refused, of how many, by what; and the past on the days faults begin on.

    A refused day is no past, so one cause refuses day after day; with a person every refused day is accepted by hand.
    """
    past, by, states = Past(one.usecase), Counter[str](), {}
    refused = 0
    for n in range(one.days):
        day = one.first + timedelta(n)
        if day in begins:
            states[day] = copy(past)
        names = past.refuses(day, one.day(day), person)
        refused += bool(names)
        by.update(names)
    return refused, one.days, by, states


@dataclass(frozen=True)
class Tried:
    """A fault, begun on one day.

    Attributes:
        day: On its how manyeth day it was found first; 0: on none.
        by: What found it.
        silent: On how many of the later days it was accepted again.
        later: How many later days there were.
    """

    day: int = 0
    by: str = ""
    silent: int = 0
    later: int = 0


def found(one: World, states: Mapping[date, Past], within: int = 2) -> dict[str, list[Tried]]:
    """Fault to how it was found, for each day it begins on; with more than two days it goes on once it is found."""
    results: dict[str, list[Tried]] = {}
    for name, plant in one.faults.items():
        for first, before in states.items():
            past, tried = copy(before), Tried()
            for n in range(1, within + 1):
                day = first + timedelta(n - 1)
                tables = dict(one.day(day))
                names = past.refuses(day, {**tables, **plant(dict(tables), day, first)})
                if tried.day:
                    tried = replace(tried, silent=tried.silent + (not names), later=tried.later + 1)
                elif names:
                    tried = Tried(n, names[0])
                if tried.day and within <= 2:
                    break
            results.setdefault(name, []).append(tried)
    return results


def interval(hits: int, of: int) -> str:
    """A share with its 95 % interval (Clopper & Pearson)."""
    if not of:
        return "–"
    low, high = stats.binomtest(hits, of).proportion_ci(0.95)
    return f"{hits} of {of} ({hits / of:.1%}; {low:.1%} to {high:.1%})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each business's refused sound days and its faults, and the sums."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sound_days", description=__doc__.split("\n")[0])
    parser.add_argument("--worlds", default=",".join(("flights", *worlds.NAMES)), help="names divided by commas")
    parser.add_argument("--sound", action="store_true", help="no faults")
    parser.add_argument("--person", action="store_true", help="each refused sound day is accepted by hand")
    parser.add_argument("--starts", type=int, default=1, help="on how many days stores are begun")
    parser.add_argument("--within", type=int, default=2, help="for how many days each fault goes on")
    wanted = parser.parse_args([] if arguments is None else arguments)
    sums = {"tuned": _Sum(), "others": _Sum()}
    for name in wanted.worlds.split(","):
        for start in range(wanted.starts):
            one, began = world(name, start), time.perf_counter()
            begins = [one.first + timedelta(n) for n in BEGINS]
            refused, days, by, states = sound(one, begins, wanted.person)
            results = {} if wanted.sound else found(one, states, wanted.within)
            mine = _Sum(refused, days, [tried for each in results.values() for tried in each])
            print(f"{name}, begun on {one.first}: {mine.said(wanted.within)}")
            seconds = f"  ({time.perf_counter() - began:.0f} s)"
            print(seconds + "".join(f"\n  {n} × {what}" for what, n in by.most_common(5)))
            for fault, each in results.items():
                print(f"    {fault:<44} {' | '.join(_said(tried) for tried in each)}", flush=True)
            sums["tuned" if name in TUNED else "others"].add(mine)
    for group_name, group in sums.items():
        print(f"{group_name}: {group.said(wanted.within)}")
    return 0


def _said(tried: Tried) -> str:
    if not tried.day:
        return "-"
    flickers = f", accepted again on {tried.silent} of {tried.later}" if tried.silent else ""
    return f"{tried.by} (day {tried.day}{flickers})"


@dataclass
class _Sum:
    """Sound days and faults, counted."""

    refused: int = 0
    days: int = 0
    tried: list[Tried] = field(default_factory=list)

    def add(self, other: _Sum) -> None:
        self.refused, self.days = self.refused + other.refused, self.days + other.days
        self.tried = [*self.tried, *other.tried]

    def said(self, within: int) -> str:
        """Both shares with their intervals, and what flickers."""
        parts = [f"refused {interval(self.refused, self.days)}"]
        for days in sorted({1, 2, within}) if self.tried else ():
            hits = sum(0 < tried.day <= days for tried in self.tried)
            parts.append(f"found within {days} {'day' if days == 1 else 'days'} {interval(hits, len(self.tried))}")
        again, later = (sum(getattr(tried, what) for tried in self.tried) for what in ("silent", "later"))
        if later:
            parts.append(f"accepted again on {interval(again, later)} of the days after")
        return "; ".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
