"""Which silent faults does ``validate`` find, on which day, by which question, and how often does it cry wolf?

Delivers the flights of 2013 day by day into a store in memory and runs the product's own ``validate`` with its own
suites and declarations. First the clean year, for each use case; then each fault from several days on, until it is
found or a fortnight is over: an upstream fault, once begun, goes on.

    python -m benchmarks.silent_faults            # everything
    python -m benchmarks.silent_faults --faults celsius,frozen_planes
    python -m benchmarks.silent_faults --everywhere   # eight businesses too, stores begun on five days (hours)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks import sound_days
from benchmarks.faults import FAULTS, Plant, clean
from demo.upstream import FIRST
from pipeline.adapters.checker.suites import GxChecker
from pipeline.core.errors import RefusedError
from pipeline.core.ports import World
from pipeline.core.records import Snapshot
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome
from pipeline.steps.validate import read_report, validate
from pipeline.usecases import ALL, find
from tests import fakes

#: The weather of 31 December is really missing, so the clean year ends the day before.
END = date(2013, 12, 30)
STARTS = (date(2013, 2, 20), date(2013, 5, 7), date(2013, 8, 21), date(2013, 11, 12))
GIVEN_UP = 14


@dataclass(frozen=True, slots=True)
class Found:
    """How a fault ended: on its how manyeth day it was found, and what found it; day 0 if nothing did."""

    day: int
    findings: tuple[str, ...]


def snapshot(usecase: Usecase, day: date, store: fakes.MemoryStore) -> Snapshot:
    """The newest version of every table."""
    versions = {table.name: store.version(table.name) or 0 for table in usecase.tables}
    return Snapshot(usecase.name, day.isoformat(), versions)


def stops(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Names of the findings that refuse the day, failures first."""
    stopping = [f for f in findings if f.required and f.outcome is not Outcome.PASS]
    return tuple(f.name for f in sorted(stopping, key=lambda f: f.outcome is not Outcome.FAIL))


def clean_year(usecase: Usecase, world: World, store: fakes.MemoryStore) -> dict[date, tuple[str, ...]]:
    """Validate every clean day, in runs of four weeks as after a pause; what was refused, and by which findings."""
    alarms: dict[date, tuple[str, ...]] = {}
    day = FIRST + timedelta(27)
    while True:
        try:
            validate(usecase, snapshot(usecase, day, store), world)
        except RefusedError as error:
            alarms[day] = stops(error.findings)
        if day == END:
            break
        day = min(day + timedelta(28), END)
    for name in sorted(world.files.kept):  # type: ignore[attr-defined]
        if f"/{usecase.name}/" in name and name.endswith(".json"):
            report = read_report(name, world.files)
            if report.outcome is not Outcome.PASS:
                alarms[report.day] = stops(report.findings)
    return alarms


def plant(usecase: Usecase, fault: Plant, first: date, world: World) -> Found:
    """Let the fault begin on ``first`` in a copy of the clean world, and run each day until one is refused."""
    store: fakes.MemoryStore = world.store.copy()  # type: ignore[attr-defined]
    here = fakes.world(store, world.files.copy(), world.checker)  # type: ignore[attr-defined]
    by_name = {table.name: table for table in usecase.tables}
    for n in range(GIVEN_UP):
        day = first + timedelta(n)
        for name, rows in fault(clean(day), day, first).items():
            fakes.deliver(store, by_name[name], day, rows)
        try:
            validate(usecase, snapshot(usecase, day, store), here)
        except RefusedError as error:
            return Found(n + 1, stops(error.findings))
    return Found(0, ())


def table_of(results: Mapping[str, Sequence[Found]], starts: Sequence[date]) -> str:
    """The faults, on which of their days they were found from each start on, and by what."""
    width = max(len(name) for name in results)
    lines = [f"{'fault':<{width}}  {'  '.join(f'{start:%d %b}' for start in starts)}  found by"]
    for name, found in results.items():
        when = "  ".join(f"{one.day or '-':>6}" for one in found)
        names = list(dict.fromkeys(finding for one in found for finding in one.findings))
        by = "; ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        lines.append(f"{name.replace('_', ' '):<{width}}  {when}  {by or 'nothing'}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of faults, the false alarms and what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.silent_faults", description=__doc__.split("\n")[0])
    parser.add_argument("--faults", default="", help="names divided by commas; all by default")
    parser.add_argument("--usecase", default=ALL[0].name, help="the use case that the faults are planted for")
    parser.add_argument("--everywhere", action="store_true", help="the benchmark sound_days in full, in place of this")
    wanted = parser.parse_args([] if arguments is None else arguments)
    if wanted.everywhere:
        return sound_days.main(["--starts", "5", "--within", "10"])
    chosen = {name: FAULTS[name] for name in wanted.faults.split(",")} if wanted.faults else FAULTS
    began = time.perf_counter()
    store, checker = fakes.MemoryStore(), GxChecker(Path(__file__).parents[1] / "expectations")
    days = [FIRST + timedelta(n) for n in range((END - FIRST).days + 1)]
    for day in days:
        for name, rows in clean(day).items():
            fakes.deliver(store, next(t for t in ALL[0].tables if t.name == name), day, rows)
    world = fakes.world(store, checker=checker)
    usecases = ALL if not wanted.faults else (find(wanted.usecase),)
    for usecase in usecases:
        start = time.perf_counter()
        alarms = clean_year(usecase, world, store)
        took = time.perf_counter() - start
        share = sound_days.interval(len(alarms), len(days))
        print(f"{usecase.name}: false alarms on {share} clean days ({took / len(days):.2f} s a day)")
        for day, names in alarms.items():
            print(f"  {day}: {', '.join(names)}")
    start = time.perf_counter()
    results = {
        name: [plant(find(wanted.usecase), fault, day, world) for day in STARTS] for name, fault in chosen.items()
    }
    found = [one for row in results.values() for one in row if one.day]
    total = len(results) * len(STARTS)
    print(f"\n{wanted.usecase}: on which of its days a fault that began then was found (-: not within {GIVEN_UP})\n")
    print(table_of(results, STARTS))
    for within in (1, 2, 10, GIVEN_UP):
        share = sound_days.interval(sum(one.day <= within for one in found), total)
        print(f"found within {within} {'day' if within == 1 else 'days'}: {share}")
    print(f"planting: {time.perf_counter() - start:.0f} s")
    print(f"all of it: {time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
