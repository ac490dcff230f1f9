"""What explains that a measure is odd, where no fault has to: another mix, a new price list, a newcomer's own rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.feed import feed_measures
from pipeline.core.checks.learned.measures import MANY_WORDS, SELDOM, SLICE_ROWS, Measures
from pipeline.core.checks.learned.mix import Mix
from pipeline.core.checks.learned.prices import Changed, new_prices
from pipeline.core.checks.learned.revised import revised
from pipeline.core.checks.learned.surprise import Predicted, Surprise
from pipeline.core.checks.wording import first_five
from pipeline.core.facts import Columns, texts
from pipeline.core.tables import Feed, Reference

if TYPE_CHECKING:
    from pipeline.core.checks.profiles import FeedProfile

#: What of a column moves with its prices, beside how much lies on each.
_OF_PRICES = ("commonest", "least", "greatest", "distinct", "multiple of 5", "multiple of 10", "whole")
#: For fewer accepted days than these a word has been there that is new.
_RECENT = 14
#: What part of a newcomer's numbers may lie beyond those of 24 in 25 of the other rows.
_UNLIKE = 0.1
#: Within what part of the last accepted table's rows a table is as large as that was.
_AS_MANY = 0.02


class Ordinary:
    """Explains what is odd on one day of one table; nothing is computed before something is odd.

    Args:
        mix: The day's rows by their words, where the table is a feed.
        prices: Makes the columns with a new price list.
        revised: Makes, for a reference table, the columns that were changed as a business does it, to how they were.
        new: Makes the words that are new, by column.
        without: Makes the day's measures over the rows that have none of these, and the numbers in which those that
            have some are like no other rows.
        cleared: Why the keys that a reference table has no longer were cleared away, where that can be told.
        rows_before: How many rows the last accepted snapshot of a reference table has.
    """

    def __init__(
        self,
        mix: Mix | None = None,
        prices: Callable[[], Changed] = dict,
        revised: Callable[[], Mapping[str, str]] = dict,
        new: Callable[[], Mapping[str, set[str]]] = dict,
        without: Callable[[Mapping[str, set[str]]], tuple[Measures, set[str]]] = lambda words: ({}, set()),
        cleared: str = "",
        rows_before: int | None = None,
    ) -> None:
        self._mix, self._make_prices, self._revised, self._make_new, self._without = mix, prices, revised, new, without
        self._cleared, self._rows_before = cleared, rows_before

    @classmethod
    def of_feed(
        cls,
        feed: Feed,
        columns: Columns,
        past: Mapping[date, FeedProfile],
        now: FeedProfile,
        mix: Mix,
        timezone: str,
        late: Sequence[str],
        lists: Sequence[tuple[Reference, Columns]],
    ) -> Ordinary:
        """That of a feed's day.

        Args:
            feed: The declaration.
            columns: The feed's rows of that day, by column.
            past: The profiles of the accepted days before, oldest first.
            now: That of the day.
            mix: The day's rows by their words.
            timezone: Where the business keeps its hours.
            late: Columns that may be blank as yet.
            lists: The reference tables that are joined to it, with their rows of that day.
        """
        days = list(past.values())

        def without(words: Mapping[str, set[str]]) -> tuple[Measures, set[str]]:
            theirs = [np.isin(texts(columns, (name,)).astype(np.str_), sorted(words[name])) for name in words]
            are_new = np.logical_or.reduce(theirs)
            if (~are_new).sum() < max(SLICE_ROWS, len(are_new) / 2):
                return {}, set()
            others = {name: values[~are_new] for name, values in columns.items()}
            numbers = [c.name for c in feed.columns if c.type in ("number", "integer")]
            unlike = {name for name in numbers if _is_unlike(columns[name][are_new], columns[name][~are_new])}
            return feed_measures(feed, others, timezone, late, lists), unlike

        return cls(
            mix,
            prices=lambda: new_prices(feed, now.measures, [one.measures for one in days]),
            new=lambda: newcomers(feed, now.values, [one.values for one in days]),
            without=without,
        )

    @classmethod
    def of_list(
        cls,
        reference: Reference,
        columns: Columns,
        previous: Columns | None,
        cleared: str,
        past: Mapping[date, FeedProfile],
        now: FeedProfile,
    ) -> Ordinary:
        """That of a reference table's day, against the last accepted one if there is any.

        Args:
            reference: The declaration.
            columns: The snapshot, by column.
            previous: The last accepted one.
            cleared: Why keys were cleared away, where that can be told.
            past: What is known of the accepted days of the feed that is joined to it.
            now: What is known of its day.
        """
        if previous is None:
            return cls()

        def ended() -> set[str]:
            """Words that the feed's rows had of late and have no longer."""
            had = {word for one in list(past.values())[-_RECENT:] for words in one.values.values() for word in words}
            return had - {word for words in now.values.values() for word in words}

        return cls(
            revised=lambda: revised(reference, columns, previous, ended()),
            cleared=cleared,
            rows_before=len(previous[reference.key[0]]),
        )

    @cached_property
    def _by_column(self) -> Mapping[str, str]:
        return self._revised()

    @cached_property
    def _others(self) -> tuple[Measures, set[str]]:
        return self._without(self._new) if self._new else ({}, set())

    @cached_property
    def _prices(self) -> Changed:
        return self._make_prices()

    @cached_property
    def _new(self) -> Mapping[str, set[str]]:
        return self._make_new()

    def why(self, one: Surprise, made: Predicted, usual: Callable[[], Mapping[str, float]], limit: float) -> str:
        """What explains it, as the end of a sentence; nothing where nothing does.

        Args:
            one: What is odd.
            made: What was predicted of the day.
            usual: Makes measure to what is usual of it.
            limit: Below how many spreads it is odd no longer.
        """
        measure = one.measure
        kind, about, *rest = measure.split("|")
        if self._mix is not None:
            for title, expected in self._mix.expected(measure, usual()):
                if abs(one.size - made.size_of(measure, expected)) <= limit:
                    return f"the rows' '{title}' explain that"
        if said := self._of_list(one, kind, about):
            return said
        column, _, value = about.partition("=")
        if column in self._prices and _is_of_prices(kind, rest, value, self._prices[column]):
            return f"as on a new price list {_told(self._prices[column])}"
        measures, unlike = self._others
        others = measures.get(measure, (SELDOM / 2,) if kind == "worth" and measures else ())
        if others and column not in unlike and abs(made.size_of(measure, others[0])) <= limit:
            words = [f"'{name}' {word}" for name in self._new for word in sorted(self._new[name])]
            return f"without the rows of what is new, {first_five(words)}, it is as usual"
        return ""

    def _of_list(self, one: Surprise, kind: str, about: str) -> str:
        """What a reference table's own past explains."""
        if kind in ("gone", "rows") and self._cleared:
            return self._cleared
        if kind == "rows" and self._rows_before and abs(one.value / self._rows_before - 1) < _AS_MANY:
            return f"the last accepted table has {self._rows_before:,}"
        return self._by_column.get(about, "") if kind == "changed" else ""


def _is_unlike(theirs: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether a newcomer's numbers are like no other row's: then they may be of another unit. Nothing is like any."""
    theirs, others = (values[np.isfinite(values) & (values != 0)].astype(np.float64) for values in (theirs, others))
    if not len(theirs):
        return False
    if len(others) < SLICE_ROWS:
        return True
    low, high = np.quantile(others, (0.02, 0.98))
    return float(np.mean((theirs < low) | (theirs > high))) > _UNLIKE


def _is_of_prices(kind: str, rest: Sequence[str], value: str, pairs: Mapping[float, float]) -> bool:
    if kind == "worth":
        return float(value) in {*pairs, *pairs.values()}
    return kind == "level" or (kind == "single" and rest[0] in _OF_PRICES)


def _told(pairs: Mapping[float, float]) -> str:
    """``(1.35 where 1.2 was, ...)``."""
    return f"({', '.join(f'{new:g} where {old:g} was' for new, old in list(pairs.items())[:3])})"


def newcomers(
    feed: Feed, now: Mapping[str, Mapping[str, int]], past: Sequence[Mapping[str, Mapping[str, int]]]
) -> dict[str, set[str]]:
    """Column to its words that are new: no remembered day had them until, of late, each day has.

    Args:
        feed: The declaration.
        now: Column to word to rows.
        past: The same of the accepted days before, oldest first.
    """
    recent, found = past[-_RECENT:], dict[str, set[str]]()
    for name in (c.name for c in feed.columns if c.type == "string" and not c.outcome and c.name not in feed.key):
        words = now.get(name, {})
        if len(words) > MANY_WORDS or len(recent) < _RECENT:
            continue
        rows = sum(words.values())
        for word, n in words.items():
            there = [word in one.get(name, {}) for one in past]
            # A word of Sundays, or of each first of the month, is no newcomer.
            first = there.index(True) if True in there else len(there)
            if n >= SELDOM * rows and first >= len(there) - _RECENT + 1 and all(there[first:]):
                found.setdefault(name, set()).add(word)
    return found
