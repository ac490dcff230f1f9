"""Questions about a feed's day: is it of that day, is it whole, is it new, and does it use the same words?"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from pipeline.core.checks.gone import ATTRIBUTE, RECENT, check_gone
from pipeline.core.checks.learned.measures import MANY_WORDS
from pipeline.core.checks.learned.prices import new_prices
from pipeline.core.checks.profiles import SKETCH, VALUES, FeedProfile, Profile
from pipeline.core.checks.wording import ENOUGH, TableFindings, counted, first_five
from pipeline.core.facts import Columns, missing, texts
from pipeline.core.tables import Feed
from pipeline.core.verdict import Bound, Finding, Part

# Where a number has no reason beside it, it was set on the flights and the weather of 2013 and on the businesses of
# ``python -m benchmarks sound_days``, so that few sound days are refused and the planted faults are found.
#: Days in a row on which a column may hold one value: the longest dry stretch of 2013 in New York was eleven.
_LONG = 12
#: So few values are states that a day may keep for a season.
_FEW_STATES = 5
#: How unlikely such a run must be, by the share of the days before on which the column held that value all day.
_STILL = 1e-3
#: By how much of a step a value may miss the declared scale, and the share of values that may: rounding, a broken cell.
_OFF_STEP, _OFF_SCALE = 0.02, 0.05
#: Unseen fractional parts that are allowed in any case, as a share, and how many times Good and Turing's estimate more.
_UNSEEN, _UNSEEN_TIMES = 0.6, 10
#: With fewer values of the past, or of the day, than these a column is not said to have a scale.
_SCALE_KNOWN, _SCALE_TODAY = 1000, 10
#: The share of a day's rows that may say what an earlier day said; the same while too few days have been compared with
#: each other to tell how alike they are, and how many accepted days that takes.
_RESENT, _RESENT_YOUNG, _PAIRED = 0.2, 0.9, 3


def check_feed(
    feed: Feed,
    day: date,
    columns: Columns,
    now: FeedProfile,
    past: Sequence[Profile],
    late: Sequence[str] = (),
    closed: Collection[tuple[str, str]] = (),
    listed: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[Finding]:
    """All questions about a feed's day that need no further declaration.

    Args:
        feed: The declaration.
        day: The data day.
        columns: The feed's rows of that day, by column.
        now: The profile of these rows.
        past: Profiles of the accepted days before, oldest first.
        late: Columns that may be blank as yet: outcomes, where labels take days.
        closed: Column and word of what has rightly come to an end.
        listed: Column to the words that the list has which it is looked up in.
    """
    about = TableFindings(feed.name)
    history = {profile.day: profile.feeds[feed.name] for profile in past if feed.name in profile.feeds}
    recent = list(history.values())[-RECENT:]
    findings = [_dates(about, feed, day, columns), _keys(about, feed, columns), _varies(about, feed, now)]
    findings += [_steps(about, feed, columns)] if any(column.step for column in feed.columns) else []
    findings += [] if feed.rows is None else [_rows(about, feed.rows, day, now, history)]
    learned: list[tuple[str, Callable[[], Finding]]] = [
        ("values gone", lambda: check_gone(about, day, now, history, late, closed, listed)),
        ("scale", lambda: _scale(about, feed, now, list(history.values()))),
        ("frozen hours", lambda: _frozen_hours(about, now, recent)),
        ("stuck columns", lambda: _stuck(about, now, history, [c.name for c in feed.columns if c.type == "string"])),
    ]
    for question, answer in learned:
        have = len(recent) if question in ("values gone", "frozen hours") else len(history)
        findings.append(answer() if have >= ENOUGH else about.too_early(question, have))
    findings.append(_sent_before(about, now, history))
    return findings


def _dates(about: TableFindings, feed: Feed, day: date, columns: Columns) -> Finding:
    days = columns[feed.day]
    strange = days[days != np.datetime64(day)]
    wrong = len(strange)
    text = f"{wrong} of {len(days)} rows are not of {day} by their column '{feed.day}'"
    if wrong:
        theirs, counts = np.unique(strange, return_counts=True)
        text += f", most of them of {theirs[counts.argmax()]}"
    if feed.time is not None:
        off = np.abs(columns[feed.time] - np.datetime64(day) - np.timedelta64(12, "h")) > np.timedelta64(36, "h")
        far = int(np.sum(off | missing(columns[feed.time])))
        text += f", {far} lie more than a day off by '{feed.time}'"
        wrong += far
    return about.finding("dates", wrong == 0, f"{text} (allowed: none)", wrong, Bound(0, 0))


def _keys(about: TableFindings, feed: Feed, columns: Columns) -> Finding:
    keys = texts(columns, feed.key)
    present = [key for key in keys if key is not None]
    doubled = len(present) - len(set(present))
    empty = len(keys) - len(present)
    named = " and ".join(f"'{name}'" for name in feed.key)
    text = f"{counted(doubled, 'row')} of {len(keys)} repeat a key by {named}, {empty} have none (allowed: none)"
    if doubled:
        text += f"; twice or more: {first_five(sorted(key for key, n in Counter(present).items() if n > 1))}"
    return about.finding("keys", doubled + empty == 0, text, doubled + empty, Bound(0, 0))


def _varies(about: TableFindings, feed: Feed, now: FeedProfile) -> Finding:
    must = [column.name for column in feed.columns if column.varies]
    still = [name for name in must if now.distinct[name] < 2]
    parts = [
        Part(
            f"'{name}' "
            + (f"is {now.constant[name]}" if name in now.constant else "holds one value or none")
            + f" in all {now.rows} rows, and must vary within a day",
            name,
        )
        for name in still
    ]
    return about.of_parts("varies", parts, f"{len(must)} columns that must vary do")


def _steps(about: TableFindings, feed: Feed, columns: Columns) -> Finding:
    """Values off a declared scale: one broken cell is no change of unit, one value in twenty is."""
    worst, parts = 0.0, []
    for column in feed.columns:
        if column.step:
            values = columns[column.name]
            values = values[np.isfinite(values) & (values != 0)]
            steps = values / column.step
            off = np.abs(steps - np.round(steps)) > _OFF_STEP
            share = float(off.mean()) if len(off) else 0.0
            worst = max(worst, share)
            if share > _OFF_SCALE:
                shown = ", ".join(f"{value:g}" for value in np.unique(values[off])[:3])
                text = (
                    f"{off.sum()} of {len(off)} values of '{column.name}' are no multiples of {column.step:g}, such as "
                    f"{shown} (allowed: {100 * _OFF_SCALE:g} %)"
                )
                parts.append(Part(text, column.name, size=share))
    parts.sort(key=lambda part: -(part.size or 0))
    else_text = f"all but {worst:.1%} of the values lie on their declared scales (allowed: {100 * _OFF_SCALE:g} %)"
    return about.of_parts("unit", parts, else_text, worst, Bound(0, _OFF_SCALE))


def _rows(
    about: TableFindings, allowed: Bound, day: date, now: FeedProfile, history: Mapping[date, FeedProfile]
) -> Finding:
    same_weekday_rows = [profile.rows for before, profile in history.items() if before.weekday() == day.weekday()][-4:]
    if len(same_weekday_rows) < 2:
        return about.too_early("rows", len(same_weekday_rows), 2, f"accepted {day:%A}s")
    ratio = now.rows / median(same_weekday_rows)
    text = (
        f"{now.rows} rows, {ratio:.2f} of the median {median(same_weekday_rows):g} of the last "
        f"{len(same_weekday_rows)} {day:%A}s (allowed: {allowed})"
    )
    return about.finding("rows", ratio in allowed, text, ratio, allowed)


def _scale(about: TableFindings, feed: Feed, now: FeedProfile, history: Sequence[FeedProfile]) -> Finding:
    """Fractional parts never seen: degrees or miles in another unit land between the marks of the old scale.

    How many unseen ones to expect is what Good and Turing say: the share of values seen exactly once. A column that
    has no scale has many of those, and is then never blamed. Good, Biometrika 40 (1953), 237-264.
    """
    parts: list[Part] = []
    limit = _UNSEEN
    for column, counts in now.residues.items():
        known: dict[str, int] = {}
        for profile in history:
            for part, n in profile.residues.get(column, {}).items():
                known[part] = known.get(part, 0) + n
        total, today = sum(known.values()), sum(counts.values())
        if total < _SCALE_KNOWN or today < _SCALE_TODAY or len(counts) > VALUES:
            continue
        fresh = sum(n == 1 for n in known.values()) / total
        allowed = _UNSEEN + _UNSEEN_TIMES * fresh
        share = sum(n for part, n in counts.items() if part not in known) / today
        if share > allowed:
            text = (
                f"{share:.0%} of {today} values of '{column}' have decimals that none of {total} values of the last "
                f"{len(history)} accepted days had; was its unit changed? (allowed: {allowed:.0%})"
            )
            if not parts or share > (parts[0].size or 0):
                limit = min(allowed, 1.0)
            parts.append(Part(text, column, size=share))
            parts.sort(key=lambda one: -(one.size or 0))
    repriced = new_prices(feed, now.measures, [profile.measures for profile in history]) if parts else {}
    parts = [part for part in parts if part.column not in repriced]
    text = "no column shows values between the marks of its scale"
    return about.of_parts("scale", parts, text, 0.0, Bound(0, limit))


def _frozen_hours(about: TableFindings, now: FeedProfile, recent: Sequence[FeedProfile]) -> Finding:
    allowed = max(0.05, 2 * max(profile.repeated for profile in recent))
    usual = median(profile.repeated for profile in recent)
    text = (
        f"{now.repeated:.1%} of the day's rows say in every column but dates what another row of the day says, where "
        f"{usual:.1%} is usual (allowed: {allowed:.1%})"
    )
    return about.finding("frozen hours", now.repeated <= allowed, text, now.repeated, Bound(0, allowed))


def _stuck(about: TableFindings, now: FeedProfile, past: Mapping[date, FeedProfile], words: Collection[str]) -> Finding:
    """Columns that may hold one value all day, but not on ever so many days in a row.

    Of several words of a day only one is left while there is one campaign: whether the others are missed is another
    question, asked on the day they go. Nothing at all, day after day, may be a season (no snow in summer) or a broken
    gauge: it is said, not refused.
    """
    stuck: list[Part] = []
    only_nothing = True
    days, history = list(past), list(past.values())
    for column, value in now.constant.items():
        flags = [profile.constant.get(column) == value for profile in history]
        *earlier, last = [len(run) for run in "".join("x" if flag else " " for flag in flags).split(" ")]
        longest, before = max(earlier, default=0), flags[: len(flags) - last]
        held = [profile.constant[column] for profile in history[: len(before)] if column in profile.constant]
        is_attribute = len(held) > ATTRIBUTE * len(before)
        if is_attribute and len(set(held)) <= _FEW_STATES:
            continue  # a few states, such as how many games are played
        few = median(profile.distinct.get(column, 0) for profile in history[: len(before)] or history) <= MANY_WORDS
        if column in words and few and not is_attribute:
            continue
        # A column that has never been anything else has nothing to be stuck at, and one that rarely was may rest.
        still = sum(before) / len(before) if before else 1.0
        if last + 1 > max(_LONG, 2 * longest) and still ** (last + 1) < _STILL:
            only_nothing = only_nothing and value in ("0", "0.0")
            text = (
                f"'{column}' is {value} in all rows since {days[len(before)]}, on {last + 1} days in a row; before, "
                f"{longest} in a row were the most"
            )
            stuck.append(Part(text, column, value))
    finding = about.of_parts("stuck columns", stuck, "no column stands still for longer than it used to")
    return replace(finding, required=False) if stuck and only_nothing else finding


class _Sketch(NamedTuple):
    """A day's lowest row digests: sorted, and as a set."""

    ordered: Sequence[str]
    rows: frozenset[str]

    @classmethod
    def of(cls, profile: FeedProfile) -> _Sketch:
        """That of a day."""
        return cls(profile.sketch, frozenset(profile.sketch))

    def share_in(self, earlier: _Sketch) -> float:
        """The share of a day's rows that an earlier day's sketch has; 0 where nothing can be compared."""
        # A full sketch holds every digest up to its last one, and is silent about those above.
        full = len(earlier.ordered) >= SKETCH
        comparable = bisect_right(self.ordered, earlier.ordered[-1]) if full else len(self.ordered)
        return len(self.rows & earlier.rows) / comparable if comparable else 0.0


def _sent_before(about: TableFindings, now: FeedProfile, history: Mapping[date, FeedProfile]) -> Finding:
    """A remembered day under a new date, or much of one. How alike two different days are is learnt from the past.

    A table of few columns repeats itself by nature: what is allowed lies half-way from what the last days share with
    those before them to the whole.
    """
    today = _Sketch.of(now)
    days = [(before, _Sketch.of(profile)) for before, profile in history.items()]
    worst, when = 0.0, None
    for before, sketch in days:
        share = today.share_in(sketch)
        if share > worst:
            worst, when = share, before
    usual = max(
        (
            sketch.share_in(earlier)
            for place, (_, sketch) in enumerate(days[-ENOUGH:], start=max(len(days) - ENOUGH, 0))
            for _, earlier in days[:place]
        ),
        default=0.0,
    )
    allowed = _RESENT_YOUNG if len(days) < _PAIRED else (1 + usual) / 2 if usual > _RESENT else _RESENT
    text = (
        f"{worst:.0%} of the rows say in every column but dates what rows of {when} said (allowed: "
        f"{100 * allowed:.3g} %)"
        if when
        else f"no row says what a row of the last {len(history)} accepted days said"
    )
    return about.finding("sent before", worst <= allowed, text, worst, Bound(0, allowed))
