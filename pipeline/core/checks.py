"""What no expectation on a single day can see: a day's tables against each other and against the recent past.

Plain and structural questions, because those find silent faults without ringing on storms and holidays: drift
monitors at their defaults ring on 7 to 30 days of 30 on this kind of data, and a frozen reference makes them quieter.

Everything is judged as of the data day. A question about the past with too little of it is UNKNOWN, says how many
days are missing and stops nothing; a question about the day itself always counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import median

import numpy as np

from pipeline.core.facts import Columns, Excuse, Fact, Fixed, missing, texts
from pipeline.core.profiles import FeedProfile, Profile, between, feed_profile, reference_profile
from pipeline.core.reference_checks import check_reference
from pipeline.core.tables import Feed
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Bound, Finding, Outcome

RULES = 1
"""Raise it when a rule here changes its mind about days that were accepted: they are then judged anew."""

ENOUGH = 7
"""Accepted days that a question about the past needs: one of each weekday."""

_RECENT, _USUAL = 14, 5
_LONG = 12  # days: the longest dry stretch of 2013 in New York was eleven


def judge(
    usecase: Usecase,
    day: date,
    tables: Mapping[str, Columns],
    previous: Mapping[str, Columns],
    contents: Mapping[str, Mapping[date, str]],
    past: Sequence[Profile],
) -> tuple[tuple[Finding, ...], Profile]:
    """Judge one day of all tables.

    Args:
        usecase: The declarations.
        day: The data day.
        tables: Every declared table's rows of that day.
        previous: The reference tables of the last accepted day before it; empty if there is none.
        contents: Reference name to day to content digest, of all stored days up to this one, refused ones too.
        past: Profiles of the accepted days before, oldest first, at most :data:`MEMORY` days back.

    Returns:
        The findings, feeds first, and the profile to keep should the day be accepted.
    """
    findings: list[Finding] = []
    feeds: dict[str, FeedProfile] = {}
    for feed in usecase.feeds:
        fixed = [fact for fact in usecase.facts if isinstance(fact, Fixed) and fact.about == feed.name]
        feeds[feed.name] = feed_profile(feed, tables[feed.name], fixed)
        findings += check_feed(feed, day, tables[feed.name], feeds[feed.name], past)
        findings += [check_fixed(fact, day, tables[feed.name], past) for fact in fixed]
    for fact in usecase.facts:
        if isinstance(fact, Fact):
            findings.append(check_fact(fact, tables[fact.about]))
    references = {}
    for reference in usecase.references:
        before = [(kept.day, kept.references[reference.name]) for kept in past if reference.name in kept.references]
        columns, units = tables[reference.name], tables[reference.joined_by[0]]
        now = reference_profile(reference, day, columns, units, before[-1] if before else None)
        references[reference.name] = now
        findings += check_reference(
            reference, day, columns, units, now, previous.get(reference.name), contents[reference.name], before
        )
    return excused(usecase.excuses, day, findings), Profile(day, feeds, references)


def excused(excuses: Iterable[Excuse], day: date, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, those that an excuse covers on that day made to inform only, with the reason."""
    why = {excuse.finding: excuse.why for excuse in excuses if excuse.first <= day <= excuse.last}
    return tuple(
        replace(finding, required=False, text=f"{finding.text} (excused: {why[finding.name]})")
        if finding.name in why and finding.outcome is not Outcome.PASS
        else finding
        for finding in findings
    )


@dataclass(frozen=True, slots=True)
class _About:
    """Makes the findings of one table."""

    table: str

    def finding(
        self, question: str, good: bool, text: str, value: float | None = None, wanted: Bound | None = None
    ) -> Finding:
        outcome = Outcome.PASS if good else Outcome.FAIL
        return Finding(f"{self.table}: {question}", outcome, text, value, wanted, about=self.table)

    def too_early(self, question: str, have: int, need: int, what: str = "accepted days") -> Finding:
        text = f"needs {need} {what} before it, has {have}: {need - have} missing"
        return Finding(f"{self.table}: {question}", Outcome.UNKNOWN, text, about=self.table, required=False)


def check_feed(
    feed: Feed, day: date, columns: Columns, now: FeedProfile, past: Sequence[Profile]
) -> list[Finding]:
    """All questions about a feed's day that need no further declaration."""
    about = _About(feed.name)
    history = {kept.day: kept.feeds[feed.name] for kept in past if feed.name in kept.feeds}
    recent = [kept.feeds[feed.name] for kept in between(past, day, _RECENT, 1) if feed.name in kept.feeds]
    found = [_dates(about, feed, day, columns), _keys(about, feed, columns), _varies(about, feed, now)]
    found += [_steps(about, feed, columns)] if any(column.step for column in feed.columns) else []
    found.append(_rows(about, feed, day, now, history))
    learned: list[tuple[str, Callable[[], Finding]]] = [
        ("values gone", lambda: _gone(about, now, recent)),
        ("scale", lambda: _scale(about, now, list(history.values()))),
        ("frozen hours", lambda: _repeated(about, now, recent)),
        ("stuck columns", lambda: _stuck(about, now, list(history.values()))),
    ]
    for question, answer in learned:
        have = len(recent) if question in ("values gone", "frozen hours") else len(history)
        found.append(answer() if have >= ENOUGH else about.too_early(question, have, ENOUGH))
    found.append(_resent(about, now, {d: kept for d, kept in history.items() if (day - d).days <= _RECENT}))
    return found


def _dates(about: _About, feed: Feed, day: date, columns: Columns) -> Finding:
    wrong = int(np.sum(columns[feed.day] != np.datetime64(day)))
    text = f"{wrong} of {len(columns[feed.day])} rows are not of {day} by their column '{feed.day}'"
    if feed.time is not None:
        off = np.abs(columns[feed.time] - np.datetime64(day) - np.timedelta64(12, "h")) > np.timedelta64(36, "h")
        far = int(np.sum(off | missing(columns[feed.time])))
        text += f", {far} lie more than a day off by '{feed.time}'"
        wrong += far
    return about.finding("dates", wrong == 0, f"{text} (allowed: none)", wrong, Bound(0, 0))


def _keys(about: _About, feed: Feed, columns: Columns) -> Finding:
    keys = texts(columns, feed.key)
    present = [key for key in keys if key is not None]
    doubled = len(present) - len(set(present))
    empty = len(keys) - len(present)
    text = f"{doubled} rows repeat a key ({', '.join(feed.key)}) and {empty} have none, of {len(keys)} (allowed: none)"
    return about.finding("keys", doubled + empty == 0, text, doubled + empty, Bound(0, 0))


def _varies(about: _About, feed: Feed, now: FeedProfile) -> Finding:
    must = [column.name for column in feed.columns if column.varies]
    still = [name for name in must if now.distinct[name] < 2]
    text = (
        f"{_named(still)} hold one value or none in all {now.rows} rows; they must vary within a day"
        if still
        else f"{len(must)} columns that must vary do"
    )
    return about.finding("varies", not still, text, len(still), Bound(0, 0))


def _steps(about: _About, feed: Feed, columns: Columns) -> Finding:
    """Values off a declared scale: one broken cell is no change of unit, one value in twenty is."""
    worst, text = 0.0, "all values lie on their declared scales"
    for column in feed.columns:
        if column.step:
            values = columns[column.name]
            values = values[np.isfinite(values) & (values != 0)]
            steps = values / column.step
            off = np.abs(steps - np.round(steps)) > 0.02
            share = float(off.mean()) if len(off) else 0.0
            if share > worst:
                worst = share
                some = ", ".join(f"{value:g}" for value in np.unique(values[off])[:3])
                text = f"{off.sum()} of {len(off)} values of '{column.name}' are no multiple of {column.step:g}: {some}"
    return about.finding("unit", worst <= 0.05, f"{text} (allowed: 5 %)", worst, Bound(0, 0.05))


def _rows(about: _About, feed: Feed, day: date, now: FeedProfile, history: Mapping[date, FeedProfile]) -> Finding:
    same = [kept.rows for before, kept in history.items() if before.weekday() == day.weekday()][-4:]
    if len(same) < 2:
        return about.too_early("rows", len(same), 2, f"accepted {day:%A}s")
    ratio = now.rows / median(same)
    text = (
        f"{now.rows} rows, {ratio:.2f} of the median {median(same):g} of the last {len(same)} {day:%A}s "
        f"(allowed: {feed.rows})"
    )
    return about.finding("rows", ratio in feed.rows, text, ratio, feed.rows)


def _gone(about: _About, now: FeedProfile, recent: Sequence[FeedProfile]) -> Finding:
    """A value, or a whole column, that came every day: an origin, a carrier, an hour of the day."""
    lost: list[str] = []
    asked = 0
    for column in now.values:
        days = [kept.values.get(column, {}) for kept in recent]
        for value in set.intersection(*(set(counts) for counts in days)):
            usual = min(counts[value] for counts in days)
            asked += usual >= _USUAL
            if usual >= _USUAL and now.values[column].get(value, 0) == 0:
                lost.append(f"{column} {value} (at least {usual} a day)")
    for column, filled in now.filled.items():
        usual = min(kept.filled.get(column, 0) for kept in recent)
        asked += usual >= _USUAL
        if usual >= _USUAL and filled == 0:
            lost.append(f"any '{column}' (at least {usual} a day)")
    text = (
        f"missing on this day, though there on each of the last {len(recent)}: {_some(sorted(lost))}"
        if lost
        else f"{asked} values and columns that came on each of the last {len(recent)} days came again"
    )
    return about.finding("values gone", not lost, text, len(lost), Bound(0, 0))


def _scale(about: _About, now: FeedProfile, history: Sequence[FeedProfile]) -> Finding:
    """Fractional parts never seen: degrees or miles in another unit land between the marks of the old scale.

    How many unseen ones to expect is what Good and Turing say: the share of values seen exactly once. A column that
    has no scale has many of those, and is then never blamed. Good, Biometrika 40 (1953), 237-264.
    """
    worst, limit, text = 0.0, 0.3, "no column shows values between the marks of its scale"
    for column, counts in now.residues.items():
        known: dict[str, int] = {}
        for kept in history:
            for part, n in kept.residues.get(column, {}).items():
                known[part] = known.get(part, 0) + n
        total, today = sum(known.values()), sum(counts.values())
        if total < 100 or today < 10:
            continue
        fresh = sum(n == 1 for n in known.values()) / total
        allowed = 0.3 + 10 * fresh
        share = sum(n for part, n in counts.items() if part not in known) / today
        if share > allowed and share > worst:
            worst, limit = share, min(allowed, 1.0)
            text = (
                f"{share:.0%} of {today} values of '{column}' have a fractional part that none of {total} values of "
                f"the last {len(history)} days had; was its unit changed? (allowed: {allowed:.0%})"
            )
    return about.finding("scale", worst == 0, text, worst, Bound(0, limit))


def _repeated(about: _About, now: FeedProfile, recent: Sequence[FeedProfile]) -> Finding:
    allowed = max(0.05, 2 * max(kept.repeated for kept in recent))
    text = f"{now.repeated:.1%} of the rows say what another row of the day says (allowed: {allowed:.1%})"
    return about.finding("frozen hours", now.repeated <= allowed, text, now.repeated, Bound(0, allowed))


def _stuck(about: _About, now: FeedProfile, history: Sequence[FeedProfile]) -> Finding:
    """Columns that may hold one value all day (no rain), but not on ever so many days in a row."""
    stuck: list[str] = []
    for column, value in now.constant.items():
        flags = [kept.constant.get(column) == value for kept in history]
        *earlier, last = [len(run) for run in "".join("x" if flag else " " for flag in flags).split(" ")]
        longest = max(earlier, default=0)
        # A column that has never been anything else has nothing to be stuck at.
        if not all(flags) and last + 1 > max(_LONG, 2 * longest):
            stuck.append(f"{column} = {value} all day, for {last + 1} days now (longest before: {longest})")
    text = _some(stuck) if stuck else "no column stands still for longer than it used to"
    return about.finding("stuck columns", not stuck, text, len(stuck), Bound(0, 0))


def _resent(about: _About, now: FeedProfile, history: Mapping[date, FeedProfile]) -> Finding:
    worst, when = 0.0, None
    for before, kept in history.items():
        there = set(kept.sketch)
        # A full sketch holds every digest up to its last one, and is silent about those above.
        ours = [row for row in now.sketch if len(there) < 512 or row <= kept.sketch[-1]]
        share = sum(row in there for row in ours) / len(ours) if ours else 0.0
        if share > worst:
            worst, when = share, before
    text = (
        f"{worst:.0%} of the rows say what {when} said (allowed: 20 %)"
        if when
        else f"no row says what a row of the last {len(history)} days said"
    )
    return about.finding("sent before", worst <= 0.2, text, worst, Bound(0, 0.2))


def check_fact(fact: Fact, columns: Columns) -> Finding:
    """Whether an identity holds; with no row that it speaks of, there is nothing to hold."""
    holds = np.asarray(fact.holds(columns), dtype=bool)
    about = _About(fact.about)
    if not len(holds):
        return Finding(
            f"{fact.about}: {fact.name}", Outcome.UNKNOWN, "no row speaks of it", about=fact.about, required=False
        )
    share = float(holds.mean())
    broken = int(np.sum(~holds))
    if share >= fact.share:
        text = f"holds in {len(holds) - broken} of {len(holds)} rows (wanted: {fact.share:.0%})"
    else:
        text = f"broken in {broken} of {len(holds)} rows (wanted: it holds in {fact.share:.0%}); {fact.why}"
    return about.finding(fact.name, share >= fact.share, text, share, Bound(fact.share, 1))


def check_fixed(fact: Fixed, day: date, columns: Columns, past: Sequence[Profile]) -> Finding:
    """Whether a determined number still is what it was, and whether its givens are mostly known ones."""
    about = _About(fact.about)
    history = [kept.feeds[fact.about].fixed.get(fact.name, {}) for kept in past if fact.about in kept.feeds]
    if len(history) < ENOUGH:
        return about.too_early(fact.name, len(history), ENOUGH)
    known: dict[str, float] = {}
    for kept in history:
        known.update(kept)
    given = texts(columns, fact.given)
    pairs = [(key, value) for key, value in zip(given, columns[fact.value].tolist(), strict=True) if key is not None]
    seen = [(key, value) for key, value in pairs if key in known]
    agree = sum(math.isclose(value, known[key], rel_tol=fact.tolerance) for key, value in seen)
    told = "|".join(fact.given)
    if not pairs or len(seen) / len(pairs) < fact.known:
        text = (
            f"only {len(seen)} of {len(pairs)} rows have a {told} of the last {len(history)} days "
            f"(wanted: {fact.known:.0%}); {fact.why}"
        )
        return about.finding(fact.name, False, text, len(seen) / max(len(pairs), 1), Bound(fact.known, 1))
    share = agree / len(seen)
    text = f"'{fact.value}' is what it was for its {told} in {agree} of {len(seen)} rows (wanted: {fact.share:.0%})"
    if share < fact.share:
        key, value = next((k, v) for k, v in seen if not math.isclose(v, known[k], rel_tol=fact.tolerance))
        text += f"; {key} was {known[key]:g} and is {value:g}; {fact.why}"
    return about.finding(fact.name, share >= fact.share, text, share, Bound(fact.share, 1))


def _some(items: Sequence[str], most: int = 5) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
