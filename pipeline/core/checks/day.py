"""What no expectation on a single day can see: a day's tables against each other and against the recent past.

Plain and structural questions, because those find silent faults without ringing on storms and holidays: drift
monitors at their defaults ring on 7 to 30 days of 30 on this kind of data, and a frozen reference makes them quieter.

Everything is judged as of the data day. A question about the past with too little of it is UNKNOWN, says how many
days are missing and stops nothing; a question about the day itself always counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType

from pipeline.core.checks.facts import check_fact, check_fixed
from pipeline.core.checks.feeds import check_feed
from pipeline.core.checks.gone import may_be_gone, replaced, went
from pipeline.core.checks.learned.feed import without_late
from pipeline.core.checks.learned.measures import Measures
from pipeline.core.checks.learned.mix import Mix
from pipeline.core.checks.learned.ordinary import Ordinary
from pipeline.core.checks.learned.question import Learned, Odd, check_usual
from pipeline.core.checks.learned.resent import most_like
from pipeline.core.checks.learned.sayings import Names
from pipeline.core.checks.learned.things import away_or_astray, own_past
from pipeline.core.checks.learned.whose import whose_rows
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
from pipeline.core.checks.wording import with_parts
from pipeline.core.facts import MOST_WHOLE, Columns, Excuse, Fact, Fixed, texts
from pipeline.core.tables import Feed, Reference
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome, Part

RULES = 9
"""Raise it when a rule here changes its mind about days that were accepted: they are then judged anew."""

GROWN, ENOUGH_GROWN = 21, 14
"""With three weeks behind it a day's surprises are those of every day, and from so many such days on limits stand on
them alone."""


_MIXED = 7
"""On how many accepted days it stands what the mix of a slice usually is."""


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

    named = [excuse for excuse in usecase.excuses if excuse.first <= day <= excuse.last]

    def usual(
        table: str,
        measures: Measures,
        before: Mapping[date, Measures],
        names: Names,
        ordinary: Ordinary,
    ) -> tuple[Finding, ...]:
        surprise = surprise_of(past, table)
        provisional = past[-1].odd.get(table, {}) if past else {}
        learned[table] = check_usual(
            *(table, day, measures, before, surprise, odd.get(table, {}), provisional, closed.get(table, ())),
            excused=lambda family, column, value: any(
                excuse.covers(f"{table}: {family}", column, value) for excuse in named
            ),
            names=names,
            ordinary=ordinary,
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
        feeds_before = {then.day: then.feeds[feed.name] for then in past if feed.name in then.feeds}
        things = own_past(day, feeds[feed.name].things, {then: one.things for then, one in feeds_before.items()})
        feeds[feed.name] = replace(
            feeds[feed.name],
            went=went(feeds[feed.name].values, feeds_before),
            measures={**feeds[feed.name].measures, **dict(things)},
        )
        over = closed.setdefault(feed.name, set())
        listed = _listed(lists)
        for column, keys in listed.items():
            over.update((column, value) for value in replaced(column, keys, feeds[feed.name], feeds_before))
        before = {then: profile.measures for then, profile in feeds_before.items()}
        findings += check_feed(feed, day, tables[feed.name], feeds[feed.name], past, late, over, listed)
        over.update(may_be_gone(feeds[feed.name], feeds_before, listed))
        findings += [check_fixed(fact, tables[feed.name], past) for fact in fixed]
        known_mixes = [profile.mix for profile in list(feeds_before.values())[-_MIXED:]]
        mix = Mix(without_late(feed, late), tables[feed.name], usecase.schedule.timezone, known_mixes)
        feeds[feed.name] = replace(feeds[feed.name], mix=mix.shares())
        zone = usecase.schedule.timezone
        ordinary = Ordinary.of_feed(feed, tables[feed.name], feeds_before, feeds[feed.name], mix, zone, late, lists)
        findings += usual(
            *(feed.name, feeds[feed.name].measures, before),
            *(_names(day, feed, tables[feed.name], feeds[feed.name], past), ordinary),
        )
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
        keys_before, earlier = key_histories.get(name), previous.get(name)
        check = ReferenceCheck(reference, day, columns, units, keys_before)
        findings += [
            *(check.age(), check.unchanged(contents[name]), check.duplicates()),
            old_content(name, day, contents[name], [then for then, _ in served]),
            *check.compared_with_previous(earlier, served),
            *(check.matched(references[name]), check.matched_drop(references[name], served)),
            *(check.lost_keys(carried_histories[name], keys_before), check.new_keys(carried_histories[name])),
        ]
        before = {then: profile.measures for then, profile in served}
        units_before = {
            then.day: then.feeds[reference.joined_by[0]] for then in past if reference.joined_by[0] in then.feeds
        }
        ordinary = Ordinary.of_list(
            reference, columns, earlier, check.cleared(earlier), units_before, feeds[reference.joined_by[0]]
        )
        findings += usual(name, references[name].measures, before, Names.of(reference), ordinary)
    odd_now = {table: one.odd for table, one in learned.items()}
    profile = Profile(
        day, feeds, references, {table: one.surprise for table, one in learned.items()}, odd_now, len(past)
    )
    return DayChecked(excused(usecase.excuses, day, findings), profile, carried_histories, odd_now)


def _listed(lists: Sequence[tuple[Reference, Columns]]) -> dict[str, set[str]]:
    """Column of a feed to the words that the lists have which it is looked up in by itself."""
    found: dict[str, set[str]] = {}
    for reference, columns in lists:
        if len(reference.key) == 1:
            keys = {key for key in texts(columns, reference.key).tolist() if key is not None}
            found.setdefault(reference.joined_by[1][0], set()).update(keys)
    return found


def _names(day: date, feed: Feed, columns: Columns, now: FeedProfile, past: Sequence[Profile]) -> Names:
    """How the feed's columns are called where several are meant, which day said what is said again, and who strays."""

    def earlier_day(what: str) -> str:
        before = (
            (then.day, then.feeds[feed.name].remembered.get(what, ())) for then in past if feed.name in then.feeds
        )
        return str(most_like(now.remembered.get(what, ()), before) or "an earlier day")

    def who(measure: str) -> list[str]:
        levels = {then.day: then.feeds[feed.name].things for then in past if feed.name in then.feeds}
        return away_or_astray(day, measure, now.things, levels) if measure.startswith(("came|", "astray|")) else []

    return Names.of(feed, earlier_day, who, lambda one: whose_rows(feed, columns, one))


def surprise_of(past: Sequence[Profile], table: str) -> list[Mapping[str, float]]:
    """The largest surprises of a table's accepted days, which its limits are learned from."""
    known = [then for then in past if table in then.surprise]
    # While little was known much was surprising: that says nothing of what is, once enough is.
    grown = [then for then in known if then.known >= GROWN]
    return [then.surprise[table] for then in (grown if len(grown) >= ENOUGH_GROWN else known)]


def _closed(
    references: Sequence[Reference], tables: Mapping[str, Columns], past: Sequence[Profile]
) -> dict[str, set[tuple[str, str]]]:
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
    """The findings, what an excuse covers on that day made to inform only, with the reason; an end is told.

    A finding of which only some parts are covered is about the others, and stops the day for them.
    """
    excuses = tuple(excuses)
    now = [excuse for excuse in excuses if excuse.first <= day <= excuse.last]
    over = [excuse for excuse in excuses if excuse.last < day]

    def with_excuse(finding: Finding) -> Finding:
        if finding.outcome is Outcome.PASS:
            return finding
        parts = finding.parts or (Part(finding.text),)
        reasons = [_reason(now, finding.name, part) for part in parts]
        left = [part for part, why in zip(parts, reasons, strict=True) if not why]
        why = "; ".join(dict.fromkeys(why for why in reasons if why))
        if not left:
            return replace(finding, required=False, text=f"{finding.text} (excused: {why})")
        kept = with_parts(finding, left) if finding.parts and why else finding
        told = f" (excused besides: {why})" if why else ""
        ended = [one.last for one in over if any(one.covers(finding.name, part.column, part.value) for part in left)]
        told += f" (its excuse ended on {max(ended)})" if ended else ""
        return replace(kept, text=f"{kept.text}{told}")

    return tuple(with_excuse(finding) for finding in findings)


def _reason(excuses: Iterable[Excuse], finding: str, part: Part) -> str:
    return next((one.why for one in excuses if one.covers(finding, part.column, part.value)), "")


def excuse_line(finding: Finding, day: date, days: int = MOST_WHOLE) -> str:
    """The line for a use case's ``excuses`` that covers the worst of what a finding of that day says.

    It lasts for ``days`` days, by when a person has looked again.
    """
    part = finding.parts[0] if finding.parts else Part("")
    named = {"column": part.column, "value": part.value}
    told = "".join(f", {name}={word!r}" for name, word in named.items() if word)
    first, last = (f"date({d.year}, {d.month}, {d.day})" for d in (day, day + timedelta(days - 1)))
    return f"Excuse({finding.name!r}, first={first}, last={last}, why='what happened'{told})"
