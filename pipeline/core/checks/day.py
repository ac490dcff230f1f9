"""What no expectation on a single day can see: a day's tables against each other and against the recent past.

Plain and structural questions, because those find silent faults without ringing on storms and holidays: drift
monitors at their defaults ring on 7 to 30 days of 30 on this kind of data, and a frozen reference makes them quieter.

Everything is judged as of the data day. A question about the past with too little of it is UNKNOWN, says how many
days are missing and stops nothing; a question about the day itself always counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

from pipeline.core.checks.facts import check_fact, check_fixed
from pipeline.core.checks.feeds import check_feed
from pipeline.core.checks.learned.measures import Measures
from pipeline.core.checks.learned.question import Learned, Odd, check_usual
from pipeline.core.checks.old_content import old_content
from pipeline.core.checks.profiles import (
    FeedProfile,
    KeyHistory,
    Profile,
    ReferenceProfile,
    feed_profile,
    reference_profile,
)
from pipeline.core.checks.references import ReferenceCheck
from pipeline.core.facts import Columns, Excuse, Fact, Fixed, texts
from pipeline.core.tables import Reference
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome

RULES = 5
"""Raise it when a rule here changes its mind about days that were accepted: they are then judged anew."""

GROWN, ENOUGH_GROWN = 21, 14
"""With three weeks behind it a day's surprises are those of every day, and from so many such days on limits stand on
them alone."""


@dataclass(frozen=True, slots=True)
class DayChecked:
    """What the checks say of a day, and what to keep of it.

    Attributes:
        findings: Feeds first.
        profile: To be kept should the day be accepted.
        key_histories: Likewise, by reference.
        odd: Table to the measures beyond their narrow limit; kept for the next day, accepted or not.
    """

    findings: tuple[Finding, ...]
    profile: Profile
    key_histories: Mapping[str, KeyHistory]
    odd: Mapping[str, Odd]


def check_day(
    usecase: Usecase,
    day: date,
    tables: Mapping[str, Columns],
    previous: Mapping[str, Columns],
    contents: Mapping[str, Mapping[date, str]],
    past: Sequence[Profile],
    key_histories: Mapping[str, KeyHistory],
    odd: Mapping[str, Odd] = MappingProxyType({}),
) -> DayChecked:
    """Judge one day of all tables.

    Args:
        usecase: The declarations.
        day: The data day.
        tables: Every declared table's rows of that day.
        previous: The reference tables of the last accepted day before it; empty if there is none.
        contents: Reference name to day to content digest, of all stored days up to this one, refused ones too.
        past: Profiles of the last accepted days before, oldest first, at most
            :data:`~pipeline.core.checks.profiles.PROFILE_DAYS` of them.
        key_histories: Reference name to the keys that were in use up to the last accepted day; empty if there is none.
        odd: What :attr:`DayChecked.odd` said of the last day that was judged.
    """
    findings: list[Finding] = []
    feeds: dict[str, FeedProfile] = {}
    learned: dict[str, Learned] = {}
    closed = _closed(usecase.references, tables, past)

    def usual(table: str, measures: Measures, before: Mapping[date, Measures]) -> tuple[Finding, ...]:
        known = [then for then in past if table in then.surprise]
        # While little was known much was surprising: that says nothing of what is, once enough is.
        grown = [then for then in known if then.known >= GROWN]
        surprise = [then.surprise[table] for then in (grown if len(grown) >= ENOUGH_GROWN else known)]
        provisional = past[-1].odd.get(table, {}) if past else {}
        learned[table] = check_usual(
            table, day, measures, before, surprise, odd.get(table, {}), provisional, closed.get(table, ())
        )
        return learned[table].findings

    for feed in usecase.feeds:
        fixed = [fact for fact in usecase.facts if isinstance(fact, Fixed) and fact.about == feed.name]
        # Where labels take days, the day's own file has none yet.
        late = [column.name for column in feed.columns if column.outcome] if usecase.label_delay else []
        lists = [(r, tables[r.name]) for r in usecase.references if r.joined_by[0] == feed.name]
        remembered = [then.feeds[feed.name].remembered for then in past if feed.name in then.feeds]
        feeds[feed.name] = feed_profile(
            feed, tables[feed.name], fixed, usecase.schedule.timezone, late, lists, remembered
        )
        findings += check_feed(feed, day, tables[feed.name], feeds[feed.name], past, late, closed.get(feed.name, ()))
        findings += [check_fixed(fact, tables[feed.name], past) for fact in fixed]
        before = {then.day: then.feeds[feed.name].measures for then in past if feed.name in then.feeds}
        findings += usual(feed.name, feeds[feed.name].measures, before)
    for fact in usecase.all_facts:
        if isinstance(fact, Fact):
            findings.append(check_fact(fact, tables[fact.about]))
    references: dict[str, ReferenceProfile] = {}
    carried_histories: dict[str, KeyHistory] = {}
    for reference in usecase.references:
        name = reference.name
        served = [(then.day, then.references[name]) for then in past if name in then.references]
        columns, units = tables[name], tables[reference.joined_by[0]]
        references[name], carried_histories[name] = reference_profile(
            reference, day, columns, units, key_histories.get(name), previous.get(name)
        )
        check = ReferenceCheck(reference, day, columns, units)
        findings += [check.age(), check.unchanged(contents[name]), check.duplicates()]
        findings.append(old_content(name, day, contents[name], [then for then, _ in served]))
        findings += check.compared_with_previous(previous.get(name), served)
        findings += [check.matched(references[name]), check.matched_drop(references[name], served)]
        findings += [
            check.lost_keys(carried_histories[name], key_histories.get(name)),
            check.new_keys(carried_histories[name]),
        ]
        findings += usual(name, references[name].measures, {then: profile.measures for then, profile in served})
    odd_now = {table: one.odd for table, one in learned.items()}
    profile = Profile(
        day, feeds, references, {table: one.surprise for table, one in learned.items()}, odd_now, len(past)
    )
    return DayChecked(excused(usecase.excuses, day, findings), profile, carried_histories, odd_now)


def _closed(
    references: Sequence[Reference], tables: Mapping[str, Columns], past: Sequence[Profile]
) -> Mapping[str, set[tuple[str, str]]]:
    """Feed to column and word of what no list has any longer.

    A branch that closes leaves the list of branches as it leaves the sales: that the two agree is no loss of data.
    """
    found: dict[str, set[tuple[str, str]]] = {}
    for reference in references:
        feed, names = reference.joined_by
        if len(names) == 1 and past and feed in past[-1].feeds:
            listed = set(texts(tables[reference.name], reference.key))
            start = f"share|{names[0]}="
            words = {m.removeprefix(start) for then in past for m in then.feeds[feed].measures if m.startswith(start)}
            words |= {word for then in past for word in then.feeds[feed].values.get(names[0], ())}
            found.setdefault(feed, set()).update((names[0], word) for word in words if word not in listed)
    return found


def excused(excuses: Iterable[Excuse], day: date, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, those that an excuse covers on that day made to inform only, with the reason; an end is told."""
    excuses = tuple(excuses)
    why = {excuse.finding: excuse.why for excuse in excuses if excuse.first <= day <= excuse.last}
    over = {excuse.finding: excuse.last for excuse in excuses if excuse.last < day and excuse.finding not in why}

    def with_excuse(finding: Finding) -> Finding:
        if finding.outcome is Outcome.PASS:
            return finding
        if finding.name in why:
            return replace(finding, required=False, text=f"{finding.text} (excused: {why[finding.name]})")
        if finding.name in over:
            return replace(finding, text=f"{finding.text} (its excuse ended on {over[finding.name]})")
        return finding

    return tuple(with_excuse(finding) for finding in findings)
