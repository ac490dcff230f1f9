"""The checks that no use case declares (copies, volume, values gone, …), asked of the history day by day.

They are made for rows that move. Where a history rightly breaks one of them time and again (customers who look the same
from day to day look like a copied file), every run would be refused: so it is excused, in the declaration and in words.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

from pipeline.core.checks.day import check_day
from pipeline.core.checks.learned.question import Odd
from pipeline.core.checks.profiles import PROFILE_DAYS, Profile
from pipeline.core.facts import Excuse
from pipeline.core.usecase import Usecase
from pipeline.core.words import count, first_few, percent
from pipeline.onboarding.declaring.suites import TOO_OFTEN, stops
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.notes import Note
from pipeline.steps.tables.columns import columns_of

#: The newest days that are looked at.
_DAYS = 150
_WHY = {
    "sent before": "A unit may rightly look the same from day to day.",
    "frozen hours": "Two units may rightly look the same on one day.",
    "values gone": "Not every value comes on every day.",
    "rows": "The number of rows moves more than it does elsewhere.",
    "varies": "A day may rightly hold one value only.",
    "scale": "Its numbers have no fixed scale.",
    "stuck columns": "A column may rightly stand still for weeks.",
}


def excuses_of(usecase: Usecase, history: History, notes: list[Note]) -> tuple[dict[str, str], set[date]]:
    """Finding to the reason why it stops no day; and the days that the checks refuse once these are excused."""
    days = history.calendar[-_DAYS:]
    newer = [day for day in days if day >= history.split]
    found: dict[str, str] = {}
    broken = _broken(usecase, history, days)
    for _ in range(3):
        often = _often(broken, days)
        if not often:
            break
        for name, n in often.items():
            why = _WHY.get(name.partition(": ")[2], "Sound days of the history break it.")
            found[name] = why
            text = (
                f"'{name}' would refuse {count(n, 'day')} of {len(days)}, so it is excused until {until(history)}: "
                f"{why.rstrip('.')}; look whether that is so, and write a later day if it stays so"
            )
            notes.append(Note("checks", text, review=True))
        excuses = tuple(Excuse(name, days[0], until(history), why) for name, why in found.items())
        broken = _broken(dataclasses.replace(usecase, excuses=excuses), history, days)
    rang = {day: names for day, names in broken.items() if day >= history.split and names}
    text = (
        f"without any suite, the product's own checks refuse {len(rang)} of {count(len(newer), 'newer day')} "
        f"({percent(len(rang) / len(newer))})"
    )
    if rang:
        told = [f"{day}: {first_few(sorted(names))}" for day, names in rang.items()]
        text += f": {first_few(told)}"
    notes.append(Note("checks", text, review=bool(rang)))
    return found, {day for day, names in broken.items() if names}


def until(history: History) -> date:
    """The last day of an excuse: a year after the history, by when a person has looked."""
    return history.calendar[-1] + timedelta(365)


def _often(broken: Mapping[date, set[str]], days: tuple[date, ...]) -> dict[str, int]:
    counted = Counter(name for names in broken.values() for name in names)
    return {name: n for name, n in sorted(counted.items()) if n > max(1, TOO_OFTEN * len(days))}


def _broken(usecase: Usecase, history: History, days: tuple[date, ...]) -> dict[date, set[str]]:
    """Day to the names of the findings that refuse it, each day judged against the accepted ones before it."""
    (feed,) = usecase.feeds
    past: list[Profile] = []
    odd: Mapping[str, Odd] = {}
    found: dict[date, set[str]] = {}
    for day in days:
        past = past[-PROFILE_DAYS:]
        columns = {feed.name: columns_of(feed, history.of(day))}
        checked = check_day(usecase, day, columns, {}, {}, past, {}, odd)
        odd = checked.odd
        found[day] = {finding.name for finding in checked.findings if stops(finding)}
        if not found[day]:
            past.append(checked.profile.bounded())
    return found
