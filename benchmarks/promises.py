"""Does what ``new`` promises hold: on what share of the next sixty days do its suite and its checks ring?

Each business (``benchmarks.worlds``) and the flights, begun on several dates: 120 days of the units' table are a
history in one file, from which ``new`` makes a use case. What it promises stands against the sixty days that follow,
all of them sound, judged with the suite, the excuses and the learned limits that were made.

    python -m benchmarks promises                                    # everything, three quarters of an hour
    python -m benchmarks promises --worlds web,energy --starts 2

The rules were fixed while looking at ``TUNED``; the others were run once, afterwards.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import worlds
from benchmarks.sound_days import TUNED, Past, World, interval, world
from pipeline.adapters.checker.suites import GxChecker
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Outcome
from pipeline.onboarding.declaring.choices import choose
from pipeline.onboarding.declaring.daily_checks import excuses_of
from pipeline.onboarding.declaring.promise import Promise, promise_of
from pipeline.onboarding.declaring.suites import Suite, suite_of, text_of
from pipeline.onboarding.history.assemble import assemble
from pipeline.onboarding.history.columns import columns_of
from pipeline.onboarding.history.reading import opened
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.target import target_of
from pipeline.onboarding.new import write_files
from pipeline.onboarding.notes import Note
from pipeline.onboarding.placing.plan import Plan
from pipeline.onboarding.trial import loaded

NAME = "the_case"
#: Days of a history, those that follow, and accepted days before these that limits are learned from.
HISTORY, FOLLOWING, LEARNED = 120, 60, 70
#: What is predicted.
TARGETS = {
    "flights": "arr_delay",
    "grocer": "returned",
    "web": "returned",
    "energy": "kwh",
    "hospital": "stay_hours",
    "parcels": "late_minutes",
    "coldrooms": "alarm_within_6h",
    "calls": "resolved",
    "subscriptions": "renewed",
}
_FLIGHTS = (date(2013, 1, 1), date(2013, 4, 15), date(2013, 7, 1))


@dataclass(frozen=True)
class Case:
    """One history, what was promised of it and what the days after it brought."""

    name: str
    first: date
    asked: int
    promised: int
    low: float
    high: float
    seen: int
    of: int
    warned: int
    by: Counter[str]

    @property
    def kept(self) -> bool:
        """Whether no more days rang than was promised."""
        return self.seen / self.of <= self.high


def starts(name: str, most: int) -> tuple[date, ...]:
    """When histories of that business begin."""
    return (_FLIGHTS if name == "flights" else worlds.of(name).BUSINESS.starts)[:most]


def case(one: World, first: date) -> Case:
    """Make the use case and judge the days that follow."""
    feed = one.usecase.feeds[0]
    days = [first + timedelta(n) for n in range(HISTORY + FOLLOWING)]
    rows = {day: table for day in days if len(table := one.day(day)[feed.name])}
    later = {day: table for day, table in rows.items() if day >= days[HISTORY]}
    with tempfile.TemporaryDirectory(prefix="promises-") as home:
        usecase, suite, promise = _made(one, [table for day, table in rows.items() if day not in later], Path(home))
        place = Path(home) / NAME / f"{NAME}.json"
        place.write_text(text_of(NAME, suite.expectations), encoding="utf-8")
        found = GxChecker(Path(home)).check_days(NAME, NAME, later)
    broken = {day: [f for f in findings if f.outcome is not Outcome.PASS] for day, findings in found.items()}
    by = {day: [finding.name for finding in findings if finding.required] for day, findings in broken.items()}
    past = Past(usecase)
    for day in days[HISTORY - LEARNED :]:
        names = past.refuses(day, {NAME: rows[day]}) if day in rows else []
        if day in later:
            by[day] += names
    return Case(
        *(one.name, first, promise.asked, promise.rang, promise.low, promise.high),
        seen=sum(bool(names) for names in by.values()),
        of=len(later),
        warned=sum(any(not finding.required for finding in findings) for findings in broken.values()),
        by=Counter(name for names in by.values() for name in names),
    )


def _made(one: World, tables: Sequence[pa.Table], home: Path) -> tuple[Usecase, Suite, Promise]:
    """What ``new`` declares of a history, without its fits: no check looks at a model."""
    feed = one.usecase.feeds[0]
    file = home / "history.parquet"
    pq.write_table(pa.concat_tables(tables), file)
    unit = tuple(name for name in feed.key if name != feed.day)
    request, notes = Request(NAME, file, TARGETS[one.name], feed.day, unit, label_delay=0), list[Note]()
    source = opened(request)
    history = assemble(request, source.table, notes)
    target = target_of(request, history, notes)
    columns = columns_of(history, target, notes)
    choices = choose(request, history, target, columns, notes, source.row_bytes)
    folder = home / "made"
    write_files(folder, Plan(request, history, target, columns, choices, ()), [])
    with loaded(NAME, folder) as usecase:
        checked = excuses_of(usecase, history, notes)
    suite = suite_of(NAME, history, target, columns, home, notes)
    promise = promise_of({*suite.asked} & {*checked.asked}, suite.rang, checked.rang)
    return replace(usecase, excuses=checked.excuses), suite, promise


def _sums(title: str, cases: Sequence[Case]) -> None:
    if not cases:
        return
    promised, asked = sum(one.promised for one in cases), sum(one.asked for one in cases)
    seen, of = sum(one.seen for one in cases), sum(one.of for one in cases)
    kept = sum(one.kept for one in cases)
    # Days of one history ring together: whole histories are drawn anew.
    dice = np.random.default_rng(7)
    drawn = [[cases[n] for n in dice.integers(0, len(cases), len(cases))] for _ in range(2000)]
    shares = [sum(one.seen for one in some) / sum(one.of for one in some) for some in drawn]
    low, high = np.quantile(shares, [0.025, 0.975])
    print(
        f"{title}: promised {interval(promised, asked)}; seen {interval(seen, of)}, by whole histories {low:.1%} to "
        f"{high:.1%}; no more than the range that was told: {interval(kept, len(cases))} of the histories"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each history's promise and what came, and the sums."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks promises", description=__doc__.split("\n")[0])
    parser.add_argument("--worlds", default=",".join(("flights", *worlds.NAMES)), help="names divided by commas")
    parser.add_argument("--starts", type=int, default=3, help="histories of each")
    wanted = parser.parse_args([] if arguments is None else arguments)
    groups: dict[str, list[Case]] = {"tuned": [], "unseen": []}
    for name in wanted.worlds.split(","):
        for first in starts(name, wanted.starts):
            begun = time.perf_counter()
            one = case(world(name), first)
            groups["tuned" if name in TUNED else "unseen"].append(one)
            by = ", ".join(f"{n} × {what}" for what, n in one.by.most_common(4))
            print(
                f"{name:<14}{first}  promised {one.promised} of {one.asked} ({one.low:.0%} to {one.high:.0%})  seen "
                f"{one.seen} of {one.of}{'' if one.kept else '  MORE'}  warned on {one.warned}  "
                f"({time.perf_counter() - begun:.0f} s)  {by}",
                flush=True,
            )
    for title, cases in groups.items():
        _sums(title, cases)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
