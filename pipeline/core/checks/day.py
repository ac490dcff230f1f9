"""What no expectation on a single day can see: a day's tables against each other and against the recent past.

Plain and structural questions, because those find silent faults without ringing on storms and holidays: drift
monitors at their defaults ring on 7 to 30 days of 30 on this kind of data, and a frozen reference makes them quieter.

Everything is judged as of the data day. A question about the past with too little of it is UNKNOWN, says how many
days are missing and stops nothing; a question about the day itself always counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from pipeline.core.checks.facts import check_fact, check_fixed
from pipeline.core.checks.feeds import check_feed
from pipeline.core.checks.profiles import (
    FeedProfile,
    KeyHistory,
    Profile,
    ReferenceProfile,
    feed_profile,
    reference_profile,
)
from pipeline.core.checks.references import ReferenceCheck
from pipeline.core.facts import Columns, Excuse, Fact, Fixed
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome

RULES = 2
"""Raise it when a rule here changes its mind about days that were accepted: they are then judged anew."""


def check_day(
    usecase: Usecase,
    day: date,
    tables: Mapping[str, Columns],
    previous: Mapping[str, Columns],
    contents: Mapping[str, Mapping[date, str]],
    past: Sequence[Profile],
    key_histories: Mapping[str, KeyHistory],
) -> tuple[tuple[Finding, ...], Profile, Mapping[str, KeyHistory]]:
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

    Returns:
        The findings, feeds first, and what to keep should the day be accepted: its profile and the key histories.
    """
    findings: list[Finding] = []
    feeds: dict[str, FeedProfile] = {}
    for feed in usecase.feeds:
        fixed = [fact for fact in usecase.facts if isinstance(fact, Fixed) and fact.about == feed.name]
        feeds[feed.name] = feed_profile(feed, tables[feed.name], fixed)
        # Where labels take days, the day's own file has none yet.
        late = [column.name for column in feed.columns if column.outcome] if usecase.label_delay else []
        findings += check_feed(feed, day, tables[feed.name], feeds[feed.name], past, late)
        findings += [check_fixed(fact, tables[feed.name], past) for fact in fixed]
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
            reference, day, columns, units, key_histories.get(name)
        )
        check = ReferenceCheck(reference, day, columns, units)
        findings += [check.age(), check.unchanged(contents[name]), check.duplicates()]
        findings += check.compared_with_previous(previous.get(name))
        findings += [check.matched(references[name]), check.matched_drop(references[name], served)]
        findings += [
            check.lost_keys(carried_histories[name], key_histories.get(name)),
            check.new_keys(carried_histories[name]),
        ]
    return excused(usecase.excuses, day, findings), Profile(day, feeds, references), carried_histories


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
