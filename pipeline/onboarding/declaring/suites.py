"""Expectation suites: made from the older days, and then asked of the newer ones, which had no part in making them.

A suite inferred from the data it then validates proves nothing. So the rules of ``limits`` are tried first: a suite
made from the last weeks of the older days is asked of the newer ones. What these break too often is made anew from all
days or, if that does not help, dropped; where that was done, the share of newer days on which the rest rings is no
longer that of data unseen, and the report says of how many. What is written in the end follows the last weeks there
are, by the same rules.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.adapters.checker.suites import GxChecker
from pipeline.adapters.checker.words import name_of
from pipeline.core.verdict import Finding, Outcome
from pipeline.core.words import count, first_few, percent
from pipeline.onboarding.declaring.limits import RECENT_WEEKS, Expectation, expectations
from pipeline.onboarding.history.columns import Columns
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target
from pipeline.onboarding.notes import Note

#: An expectation that more than this share of the newer days breaks (and more than one day) is loosened or dropped.
TOO_OFTEN = 0.05
#: At most so many of the newer days are asked, evenly spread.
_ASKED = 90


@dataclass(frozen=True)
class Suite:
    """A table's suite, and how it fared.

    Attributes:
        expectations: As they are written: from the last weeks of all days.
        asked: Newer days that were asked.
        rang: Days of these on which something that can stop a day broke what the older days had said.
        warned: Days of these on which something else did.
        loosened, dropped: Names of the expectations that did not hold as the older days had it.
    """

    expectations: tuple[Expectation, ...]
    asked: tuple[date, ...]
    rang: frozenset[date]
    warned: frozenset[date]
    loosened: tuple[str, ...]
    dropped: tuple[str, ...]


#: Day to the names of what it breaks, and whether that stops it.
_Broken = Mapping[date, Mapping[str, bool]]


def suite_of(name: str, history: History, target: Target, columns: Columns, work: Path, notes: list[Note]) -> Suite:
    """Make the suite of the use case's table from the older days, check it on the newer, and say how it fared.

    ``work`` is an empty folder that holds the suite while it is asked.
    """
    older = expectations(history, target, columns, ~history.newer)
    every = {name_of(one): one for one in expectations(history, target, columns, np.ones(len(history.dates), bool))}
    newer = [day for day in history.calendar if day >= history.split]
    asked = [newer[round(n * (len(newer) - 1) / (_ASKED - 1))] for n in range(_ASKED)] if len(newer) > _ASKED else newer
    rows = {day: history.of(day) for day in asked}
    broken = _broken(name, older, rows, work)
    often = _often(broken, asked)
    suite = [every.get(name_of(one), one) if name_of(one) in often else one for one in older]
    dropped: set[str] = set()
    if often:
        broken = _broken(name, suite, rows, work)
        dropped = _often(broken, asked)
        broken = {
            day: {one: stop for one, stop in names.items() if one not in dropped} for day, names in broken.items()
        }
    dropped |= _often(_broken(name, list(every.values()), rows, work), asked)
    made = Suite(
        tuple(one for known, one in every.items() if known not in dropped),
        tuple(asked),
        frozenset(day for day, names in broken.items() if any(names.values())),
        frozenset(day for day, names in broken.items() if not all(names.values())),
        tuple(sorted(often - dropped)),
        tuple(sorted(dropped)),
    )
    _told(made, broken, history, notes)
    return made


def _often(broken: _Broken, asked: Sequence[date]) -> set[str]:
    """What more than a few of the days break, whether it stops them or not."""
    limit = max(1, math.floor(TOO_OFTEN * len(asked)))
    return {one for one, n in Counter(one for names in broken.values() for one in names).items() if n > limit}


def _told(suite: Suite, broken: _Broken, history: History, notes: list[Note]) -> None:
    text = (
        f"{count(len(suite.expectations), 'expectation')} made from the days before {history.split}; on "
        f"{len(suite.rang)} of {count(len(suite.asked), 'newer day')} ({percent(len(suite.rang) / len(suite.asked))}) "
        f"one of them rings"
    )
    names = Counter(one for found in broken.values() for one, stop in found.items() if stop)
    if names:
        text += f": {first_few([one + ' on ' + count(n, 'day') for one, n in names.most_common()])}"
    text += f"; then made anew by the same rules from the last {RECENT_WEEKS} weeks"
    notes.append(Note("expectations", text, review=bool(suite.rang)))
    if suite.warned:
        seen = Counter(one for found in broken.values() for one, stop in found.items() if not stop)
        what = first_few([one + " on " + count(n, "day") for one, n in seen.most_common()])
        text = f"on {count(len(suite.warned), 'newer day')} one warns and stops nothing: {what}"
        notes.append(Note("expectations", f"{text}; each finding says the line that accepts it"))
    if suite.loosened:
        text = f"the newer days broke {first_few(suite.loosened, 6)} too often; loosened to what all days show"
        notes.append(Note("expectations", f"{text}: did the world change?", review=True))
    if suite.dropped:
        notes.append(Note("expectations", f"dropped, as no limit held: {first_few(suite.dropped, 6)}", review=True))


def text_of(name: str, expectations: Sequence[Expectation]) -> str:
    """The suite's file."""
    return (
        json.dumps({"name": f"{name}.{name}", "expectations": list(expectations)}, indent=2, ensure_ascii=False) + "\n"
    )


def _broken(name: str, expectations: Sequence[Expectation], rows: Mapping[date, Any], work: Path) -> _Broken:
    """What each newer day breaks, by the product's own checker."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text_of(name, expectations), encoding="utf-8")
    found = GxChecker(work).check_days(name, name, rows)
    prefix = f"{name}: "
    return {
        day: {one.name.removeprefix(prefix): one.required for one in findings if one.outcome is not Outcome.PASS}
        for day, findings in found.items()
    }


def refused(name: str, suite: Suite, history: History, days: Sequence[date], work: Path) -> set[date]:
    """Those of the days that the suite refuses."""
    broken = _broken(name, suite.expectations, {day: history.of(day) for day in days}, work) if days else {}
    return {day for day, names in broken.items() if any(names.values())}


def stops(finding: Finding) -> bool:
    """Whether it would refuse the day."""
    return finding.required and finding.outcome is not Outcome.PASS
