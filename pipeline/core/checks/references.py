"""Questions about a reference table: is it fresh, is it whole, and does it still serve the units that need it?"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from math import exp, lgamma, sqrt
from statistics import median, stdev

import numpy as np
from scipy import stats

from pipeline.core.checks.learned.contents import GONE
from pipeline.core.checks.profiles import KeyHistory, ReferenceProfile, in_sample
from pipeline.core.checks.wording import ENOUGH, TableFindings, counted, first_five
from pipeline.core.facts import Columns, exact, missing, texts
from pipeline.core.tables import Reference
from pipeline.core.verdict import Bound, Finding

#: Windows of days over which newly seen keys are pooled: a freeze shows within days where many keys are new each
#: day, and within two weeks where few are.
_WINDOWS = (1, 2, 3, 5, 7, 10, 14)
#: So unlikely a handful of newcomers is an alarm. On the 336 clean days of 2013 the least likely had 7e-4.
_CHANCE = 1e-4
#: Accepted days whose share of matches is the usual one.
_MATCHED_DAYS = 28
#: So many keys of a table may vanish in a day, whatever share of it they are, and so large a share that no unit uses.
_FEW, _FEW_OF_ALL = 5, 0.05
#: A key that was not used for so many days is in use no longer, and so unlikely it must be that only such were lost.
_IN_USE, _BY_ACCIDENT = 14, 1e-3
#: For so many days without an accepted one the keys that may have left add up.
_GROWS = 7


class ReferenceCheck:
    """The questions about one snapshot as of its day.

    ``units`` is the day of the feed that is joined to it, ``before`` the keys that were in use until then.
    """

    def __init__(
        self,
        reference: Reference,
        day: date,
        columns: Columns,
        units: Columns,
        before: KeyHistory | None = None,
    ) -> None:
        self.reference, self.day = reference, day
        self.columns, self.units, self.about = columns, units, TableFindings(reference.name)
        self.before = before
        self._cleared: str | None = None
        #: The units' columns that name a row of it, and the feed: "'carrier' of flights".
        self.by = " and ".join(f"'{name}'" for name in reference.joined_by[1]) + f" of {reference.joined_by[0]}"

    def age(self) -> Finding:
        """By the newest date in the table itself, not by the file's: touching a file does not freshen it."""
        day, dates = self.day, self.columns[self.reference.refreshed]
        dates = dates[~missing(dates)]
        if not len(dates):
            return self.about.unknown("age", f"no row says in '{self.reference.refreshed}' when it was refreshed")
        newest = dates.max().astype("datetime64[D]").astype(object)
        age, wanted = (day - newest).days, Bound(0, self.reference.max_age)
        newest_told = f"its newest '{self.reference.refreshed}' is {newest}"
        text = f"{newest_told}, {counted(age, 'day')} before {day} (allowed: {wanted} days)"
        if age < 0:
            text = f"{newest_told}, {counted(-age, 'day')} after {day} (allowed: none)"
        return self.about.finding("age", age in wanted, text, age, wanted)

    def unchanged(self, contents: Mapping[date, str]) -> Finding:
        """The content's digest on all stored days: the date of refreshing may move on while nothing else does."""
        day, most = self.day, self.reference.max_unchanged
        if most is None:
            return self.about.unknown("unchanged", "the table rarely changes, so its content may stand still", False)
        if not contents.get(day):
            return self.about.unknown("unchanged", "the store has no digest of its content")
        unchanged_since = day
        earlier = sorted((before for before in contents if before < day), reverse=True)
        for before in earlier:
            if contents[before] != contents[day]:
                break
            unchanged_since = before
        days, wanted = (day - unchanged_since).days, Bound(0, most)
        if days <= most and unchanged_since == min([*earlier, day]) and len(earlier) < most:
            return self.about.too_early("unchanged", len(earlier), most)
        text = (
            f"every row says what it said on {unchanged_since}, {days} days before, but for "
            f"'{self.reference.refreshed}' (allowed: {most} days)"
        )
        return self.about.finding("unchanged", days in wanted, text, days, wanted)

    def duplicates(self) -> Finding:
        """A doubled key doubles the units that are joined to it."""
        counts = Counter(key for key in texts(self.columns, self.reference.key) if key is not None)
        empty = len(self.columns[self.reference.refreshed]) - counts.total()
        doubled = {key: n for key, n in counts.items() if n > 1}
        used = [key for key in texts(self.units, self.reference.joined_by[1]) if key is not None]
        extra = sum(doubled.get(key, 1) - 1 for key in used)
        text = (
            f"{counted(len(doubled), 'key')} more than once{_shown(doubled)} and {counted(empty, 'row')} without one "
            f"(allowed: none); a join by {self.by} would make {len(used) + extra} rows of {len(used)}"
        )
        return self.about.finding("duplicate keys", not doubled and not empty, text, len(doubled) + empty, Bound(0, 0))

    def _leave_daily(self, served: Sequence[tuple[date, ReferenceProfile]]) -> float:
        """Three times what usually vanishes in the days since the last accepted one, at most a week of them.

        If it grew for ever an alarm would end by lasting.
        """
        gone = [profile.measures[GONE][0] for _, profile in served if GONE in profile.measures]
        passed = min((self.day - served[-1][0]).days, _GROWS) if served else 1
        return 3 * passed * sum(gone) / len(gone) if gone else 0.0

    def compared_with_previous(
        self, previous: Columns | None, served: Sequence[tuple[date, ReferenceProfile]] = ()
    ) -> list[Finding]:
        """What vanished from the snapshot, and what it now says otherwise, since the last accepted one."""
        if previous is None:
            questions = ("shrinkage",) if self.reference.rewritten is None else ("shrinkage", "rewritten")
            return [self.about.too_early(question, 0, 1) for question in questions]
        old, new = self._rows(previous), self._rows(self.columns)
        used = {key for key in texts(self.units, self.reference.joined_by[1]) if key is not None} & set(old)
        gone, gone_used = len(set(old) - set(new)), len(used - set(new))
        shown = _shown([*sorted(used - set(new)), *sorted(set(old) - set(new) - used)])
        # Few rows of a small table are soon a share of it.
        of_all = 0.0 if gone <= max(_FEW, (_FEW_OF_ALL + self._leave_daily(served)) * len(old)) else gone / len(old)
        cleared = self.cleared(previous)
        share = max(0.0 if cleared else of_all, gone_used / max(len(used), 1))
        wanted = Bound(0, self.reference.shrinkage)
        text = (
            f"{gone} of the {len(old)} keys {_since(served)} are gone{shown}, {gone_used} of the {len(used)} that "
            f"{self.by} uses on this day (allowed: {wanted.high:.1%} of these, {_FEW_OF_ALL:.0%} of all, or {_FEW})"
        )
        text += f"; {cleared}" if cleared and of_all else ""
        shrinkage = self.about.finding("shrinkage", share in wanted, text, share, wanted)
        if self.reference.rewritten is None:
            return [shrinkage]
        common = [key for key in old if key in new]
        if not common:
            return [shrinkage, self.about.unknown("rewritten", "no key is left to compare")]
        changed = sum(old[key] != new[key] for key in common)
        wanted = Bound(0, self.reference.rewritten)
        others = [key for key in common if old[key] != new[key]]
        text = (
            f"{changed} of {len(common)} rows say something else of the same key than {_since(served, 'did')}"
            f"{_shown(others)} (allowed: {wanted.high:.0%})"
        )
        return [
            shrinkage,
            self.about.finding("rewritten", changed / len(common) in wanted, text, changed / len(common), wanted),
        ]

    def cleared(self, previous: Columns | None) -> str:
        """Why the keys that the last accepted snapshot had were cleared away; nothing where that can't be told."""
        if previous is None:
            return ""
        if self._cleared is None:
            old, new = (set(texts(one, self.reference.key).tolist()) - {None} for one in (previous, self.columns))
            used = set(texts(self.units, self.reference.joined_by[1]).tolist()) - {None}
            self._cleared = cleared_up(old, new, used, self.before, self.day)
        return self._cleared

    def _rows(self, columns: Columns) -> dict[str, str]:
        names = [c.name for c in self.reference.columns if c.name != self.reference.refreshed]
        keys = texts(columns, self.reference.key)
        rows = zip(*(exact(columns, name).tolist() for name in names), strict=True)
        return {key: repr(row) for key, row in zip(keys, rows, strict=True) if key is not None}

    def matched(self, now: ReferenceProfile) -> Finding:
        """Over the units that have a key: a storm cancels flights, and a cancelled flight has no aircraft."""
        wanted = self.reference.matched
        if not now.units:
            return self.about.unknown("matched", f"not one row has a key to look up by {self.by}")
        share = now.hits / now.units
        text = f"{now.hits} of {now.units} rows find theirs by {self.by}, {share:.1%} (wanted: {_percent(wanted)})"
        text += self._not_found() if share not in wanted else ""
        return self.about.finding("matched", share in wanted, text, share, wanted)

    def _not_found(self) -> str:
        """The keys that find nothing, those of most rows first."""
        keys = set(texts(self.columns, self.reference.key))
        used = texts(self.units, self.reference.joined_by[1]).tolist()
        lacking = Counter(key for key in used if key is not None and key not in keys)
        return f"; most rows that find none have {first_five([key for key, _ in lacking.most_common()])}"

    def matched_drop(self, now: ReferenceProfile, before: Sequence[tuple[date, ReferenceProfile]]) -> Finding:
        """Against its own recent past: a limit that is wide enough for every season is too wide for any day."""
        recent = [profile.hits / profile.units for _, profile in before[-_MATCHED_DAYS:] if profile.units]
        if len(recent) < ENOUGH or not now.units:
            return self.about.too_early("matched drop", min(len(recent), ENOUGH))
        usual, share = median(recent), now.hits / now.units
        # A share of few units moves by chance; four of its own standard deviations are no news.
        noise = 4 * max(stdev(recent), sqrt(usual * (1 - usual) / now.units))
        drop, wanted = usual - share, Bound(high=max(self.reference.matched_drop, noise))
        text = (
            f"{share:.1%} of the rows with a key find theirs by {self.by}, against {usual:.1%} on the {len(recent)} "
            f"accepted days to {before[-1][0]} (a drop of at most {100 * wanted.high:.2g} points is allowed)"
        )
        text += self._not_found() if drop not in wanted else ""
        return self.about.finding("matched drop", drop in wanted, text, drop, wanted)

    def lost_keys(self, now: KeyHistory, before: KeyHistory | None) -> Finding:
        """Keys that matched when they were last used; what never matched is not this question's business."""
        if before is None:
            return self.about.too_early("lost keys", 0, 1)
        matched_now_by_key = {
            key: sight.found_last
            for key, sight in now.known.items()
            if sight.last == 0 and key in before.known and before.known[key].found_last
        }
        lost = sorted(key for key, matches in matched_now_by_key.items() if not matches)
        share, wanted = len(lost) / max(len(matched_now_by_key), 1), Bound(0, self.reference.shrinkage)
        text = (
            f"{len(lost)} of {len(matched_now_by_key)} keys by {self.by} that matched when they were last used match "
            f"no longer{_shown(lost)} (allowed: {wanted.high:.1%})"
        )
        if before is not None and lost:
            text += f"; on {before.day - timedelta(min(before.known[key].last for key in lost))} they still did"
        return self.about.finding("lost keys", share in wanted, text, share, wanted)

    def new_keys(self, now: KeyHistory) -> Finding:
        """Keys first seen of late, against keys first seen before: a table that stopped growing starves the new.

        The overall share of matches hardly moves in a month of it. The chance is the tail of the beta-binomial
        distribution: how few of the newcomers match, given how many of the older ones did when they were new. Keys of
        the first two weeks that were looked at are no newcomers: most had been in use for long, and those match better.
        """
        need = 2 * ENOUGH + max(_WINDOWS)
        if now.days < need:
            return self.about.too_early("new keys", now.days, need)
        first_sights = [(sight.first, sight.found_first) for sight in now.known.values()]
        old = [matched for seen, matched in first_sights if max(_WINDOWS) <= seen <= now.days - max(_WINDOWS)]
        worst, window, young = 1.0, 0, [True]
        for days in _WINDOWS:
            newest = [matched for seen, matched in first_sights if seen < days]
            chance = beta_binomial_cdf(sum(newest), len(newest), sum(old), len(old))
            if newest and chance < worst:
                worst, window, young = chance, days, newest
        if not window:
            text = f"no key by {self.by} was seen for the first time in the last {max(_WINDOWS)} days"
            return self.about.finding("new keys", True, text)
        share, usual = sum(young) / len(young), sum(old) / max(len(old), 1)
        text = (
            f"of the {len(young)} keys by {self.by} that were first used since {self.day - timedelta(window - 1)} "
            f"{sum(young)} are in the table, where {usual * len(young):.0f} would be by the {len(old)} keys that were "
            f"new before"
        )
        if worst >= _CHANCE:
            return self.about.finding("new keys", True, text, share)
        least = _enough_of(len(young), sum(old), len(old))
        text += f"; at least {least} wanted"
        return self.about.finding("new keys", False, text, share, Bound(least / len(young), 1))


def cleared_up(old: set[str], new: set[str], used: set[str], before: KeyHistory | None, day: date) -> str:
    """Why the keys that are gone were chosen by somebody who knew which are in use; nothing where that can't be told.

    None of them was used for weeks. Had as many been lost by accident, some of those in use would be among them: the
    chance that none is, is that of drawing without replacement (hypergeometric).
    """
    gone = old - new
    passed = (day - before.day).days if before is not None else 0
    # While days are refused nobody counts what is in use.
    if before is None or not gone or gone & used or before.days < _IN_USE or passed > _GROWS:
        return ""
    in_use = {key for key, sight in before.known.items() if sight.last <= _IN_USE} | used
    if before.sampled > 1:
        old, gone = ({key for key in keys if in_sample(key, before.sampled)} for keys in (old, gone))
    if not gone or gone & in_use:
        return ""
    chance = float(stats.hypergeom.pmf(0, len(old), len(in_use & old), len(gone)))
    return f"none of those that are gone was used in {_IN_USE} days" if chance < _BY_ACCIDENT else ""


def _enough_of(of: int, earlier_hits: int, earlier: int) -> int:
    """How many of so many newcomers must match for no alarm."""
    return bisect_left(range(of), _CHANCE, key=lambda hits: beta_binomial_cdf(hits, of, earlier_hits, earlier))


def _shown(keys: Iterable[str]) -> str:
    """The first few, in brackets; nothing where there is none."""
    some = list(keys)
    return f" ({first_five(some)})" if some else ""


def _since(served: Sequence[tuple[date, ReferenceProfile]], verb: str = "of") -> str:
    """The last accepted table, by its day where it is known."""
    last = f"the table of {served[-1][0]}" if served else "the last accepted table"
    return f"{last} {verb}" if verb != "of" else f"of {last}"


def beta_binomial_cdf(hits: int, of: int, earlier_hits: int, earlier: int) -> float:
    """The chance that at most ``hits`` of ``of`` match, after ``earlier_hits`` of ``earlier`` did (flat prior)."""
    a, b = earlier_hits + 1, earlier - earlier_hits + 1

    def beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    terms = [
        lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) + beta(k + a, of - k + b) - beta(a, b)
        for k in range(hits + 1)
    ]
    return min(1.0, float(np.sum([exp(term) for term in terms])))


def _percent(bound: Bound) -> str:
    return f"{bound.low:.0%} to {min(bound.high, 1):.0%}"
