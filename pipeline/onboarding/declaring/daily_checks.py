"""The checks that no use case declares (copies, volume, values gone, …), asked of the history day by day.

They are made for rows that move. Where a history rightly breaks one of them time and again (customers who look the same
from day to day look like a copied file), every run would be refused: so it is excused, in the declaration and in words,
for the column and value that it is about and no other, and not for long.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.core.checks.day import check_day
from pipeline.core.checks.learned.question import Odd
from pipeline.core.checks.profiles import PROFILE_DAYS, Profile
from pipeline.core.checks.wording import ENOUGH
from pipeline.core.facts import OF_COLUMNS, Excuse
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome, Part
from pipeline.core.words import count
from pipeline.onboarding.declaring.suites import TOO_OFTEN, stops
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.notes import Note
from pipeline.steps.tables.columns import columns_of

#: The newest days that are looked at.
_DAYS = 150
#: How many days after the history an excuse lasts that is still needed at its end: by then a person has looked.
_LASTS = 90
#: So often excuses are looked for anew: what one question hides of a refused day another one finds.
_ROUNDS = 5
_WHY = {
    "sent before": "A unit may rightly look the same from day to day.",
    "frozen hours": "Two units may rightly look the same on one day.",
    "values gone": "Not every value comes on every day.",
    "rows": "The number of rows moves more than it does elsewhere.",
    "varies": "A day may rightly hold one value only.",
    "scale": "Its numbers have no fixed scale.",
    "stuck columns": "A column may rightly stand still for weeks.",
}

#: Finding, column and value: what an excuse covers.
_Cause = tuple[str, str, str]


@dataclass(frozen=True)
class Excused:
    """What the product's own checks say of the history.

    Attributes:
        excuses: For the declaration: of what all days break.
        unsound: The days that are refused with these.
        asked: Newer days that were judged with what the older ones alone had excused.
        rang: Those of them that were refused, and the names of what refused them.
    """

    excuses: tuple[Excuse, ...]
    unsound: frozenset[date]
    asked: tuple[date, ...]
    rang: Mapping[date, tuple[str, ...]]


def excuses_of(usecase: Usecase, history: History, notes: list[Note]) -> Excused:
    """Ask the checks of the history's days, and excuse what they would refuse time and again.

    What the newer days are told to ring is judged with what the older ones alone let excuse, as the days to come will
    be judged with what these let excuse.
    """
    days = history.calendar[-_DAYS:]
    older = [day for day in days if day < history.split]
    newer = tuple(day for day in days if day >= history.split)
    plain = _walk(usecase, history, days, ())
    known, foreseen = _excused(usecase, history, days, {day: plain[day] for day in older}, len(older))
    judged = foreseen if known else plain
    refusing = {day: tuple(sorted({one.name for one in judged[day] if stops(one)})) for day in newer}
    rang = {day: names for day, names in refusing.items() if names}
    excuses, final = _excused(usecase, history, days, plain, len(days))
    for excuse in excuses:
        what = " ".join([*([f"of '{excuse.column}'"] if excuse.column else []), excuse.value]).strip()
        n = sum(any(excuse.covers(*cause) for cause in _causes(plain[day])) for day in days)
        text = (
            f"'{excuse.finding}' {what}".rstrip() + f" would refuse {count(n, 'day')} of {len(days)}, so it is excused "
            f"until {excuse.last}: {excuse.why.rstrip('.')}; look whether that is so"
        )
        if excuse.last > history.calendar[-1]:
            text += ", and write a later day if it stays so"
        notes.append(Note("checks", text, review=True))
    unsound = frozenset(day for day, findings in final.items() if any(map(stops, findings)))
    return Excused(excuses, unsound, newer, rang)


def _excused(
    usecase: Usecase, history: History, days: Sequence[date], found: Mapping[date, Sequence[Finding]], looked_at: int
) -> tuple[tuple[Excuse, ...], Mapping[date, Sequence[Finding]]]:
    """The excuses that the first days ask for, and what all days say with them.

    Args:
        usecase: Without excuses.
        history: The rows.
        days: All of them.
        found: What the first days say without an excuse.
        looked_at: How many the first days are.
    """
    causes: dict[_Cause, None] = {}
    first = days[:looked_at]
    judged: Mapping[date, Sequence[Finding]] = found
    last = (first or days)[-1]
    for _ in range(_ROUNDS):
        often = [cause for cause in _often({day: judged[day] for day in first}) if cause not in causes]
        if not often:
            break
        causes.update(dict.fromkeys(often))
        covering = tuple(Excuse(name, days[0], days[-1], "looked at", *which) for name, *which in causes)
        judged = _walk(usecase, history, days, covering)
    excuses = tuple(_excuse(cause, {day: judged[day] for day in first}, last) for cause in _widest(causes))
    if len(judged) < len(days) or excuses:
        judged = _walk(usecase, history, days, excuses)
    return excuses, judged


def _widest(causes: Iterable[_Cause]) -> list[_Cause]:
    """Without those that another one covers."""
    wide = set(causes)
    return [cause for cause in dict.fromkeys(causes) if not (cause[2] and (cause[0], cause[1], "") in wide)]


def _causes(findings: Iterable[Finding]) -> set[_Cause]:
    """What refuses a day, part by part."""
    return {
        (finding.name, part.column, part.value)
        for finding in findings
        if stops(finding)
        for part in finding.parts or (Part(""),)
    }


def _often(found: Mapping[date, Sequence[Finding]]) -> list[_Cause]:
    """What refuses more than a few days: a value, else a column by several values, else a question by its columns."""
    limit = max(1, TOO_OFTEN * len(found))
    by_day = [_causes(findings) for findings in found.values()]
    single = _over(by_day, limit)
    rest = [{cause for cause in causes if cause not in single} for causes in by_day]
    columns = _over([{(name, column, "") for name, column, _ in causes} for causes in rest], limit)
    rest = [{cause for cause in causes if (cause[0], cause[1], "") not in columns} for causes in rest]
    questions = _over([{(name, "", "") for name, _, _ in causes} for causes in rest], limit)
    for name, _, _ in questions:
        if name.partition(": ")[2] not in OF_COLUMNS:
            single.add((name, "", ""))
        columns |= {(name, column, "") for causes in rest for one, column, _ in causes if one == name and column}
    return sorted(single | columns)


def _over(by_day: Sequence[set[_Cause]], limit: float) -> set[_Cause]:
    counted = Counter(cause for causes in by_day for cause in causes)
    return {cause for cause, n in counted.items() if n > limit}


def _excuse(cause: _Cause, judged: Mapping[date, Sequence[Finding]], last: date) -> Excuse:
    """It ends with the change if that is over, and three months after the days if it is not."""
    name, column, value = cause
    whole = Excuse(name, last, last, "looked at", column, value)
    rang = [
        day
        for day, findings in judged.items()
        for one in findings
        if one.outcome is not Outcome.PASS
        and any(whole.covers(one.name, part.column, part.value) for part in one.parts or (Part(""),))
    ]
    first = min(rang, default=last)
    over = (last - max(rang, default=last)).days >= ENOUGH
    why = _WHY.get(name.partition(": ")[2], "Sound days of the history break it.")
    if over:
        return Excuse(name, first, max(rang), f"A change of {first}, which the history keeps.", column, value)
    return Excuse(name, first, last + timedelta(_LASTS), why, column, value)


def _walk(
    usecase: Usecase, history: History, days: Sequence[date], excuses: tuple[Excuse, ...]
) -> dict[date, tuple[Finding, ...]]:
    """Day to its findings, each day judged against the accepted ones before it."""
    usecase = dataclasses.replace(usecase, excuses=excuses)
    (feed,) = usecase.feeds
    past: list[Profile] = []
    odd: Mapping[str, Odd] = {}
    found: dict[date, tuple[Finding, ...]] = {}
    for day in days:
        past = past[-PROFILE_DAYS:]
        columns = {feed.name: columns_of(feed, history.of(day))}
        checked = check_day(usecase, day, columns, {}, {}, past, {}, odd)
        odd = checked.odd
        found[day] = checked.findings
        if not any(map(stops, found[day])):
            past.append(checked.profile.bounded())
    return found
