"""What the mix of a day's rows explains of it.

A camera that hangs over one machine and not over the other makes a product's blanks a matter of which machine made it:
what is usual of each machine, weighted by how many of the product's rows each has today, is what today's rows lead to
expect. (Indirect standardisation; why slices turn without any part of them having changed: Simpson, Journal of the
Royal Statistical Society B 13, 1951.) A fault in a column, in a slice or on a machine isn't usual of anything, so
nothing explains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.slices import CLOCKS, TIME_OF_DAY, happened_in, slices_of, time_of_day
from pipeline.core.facts import Columns, missing
from pipeline.core.tables import Feed

#: What part of the rows must have a word of which something is known.
_KNOWN = 0.95
#: Kinds that are means over rows, so that a mixture's is the weighted mean of its parts'.
_MEANS = ("filled", "single", "against", "versus", "happened")


class Mix:
    """The rows of a day by the words they have; it is looked at only where something is odd.

    Args:
        feed: The declaration.
        columns: The feed's rows of that day, by column.
        timezone: Where the business keeps its hours.
    """

    def __init__(self, feed: Feed, columns: Columns, timezone: str = "UTC") -> None:
        self._feed, self._columns, self._timezone = feed, columns, timezone

    @cached_property
    def _present(self) -> dict[str, NDArray[np.bool_]]:
        return {column.name: ~missing(self._columns[column.name]) for column in self._feed.columns}

    @cached_property
    def _slices(self) -> dict[str, tuple[NDArray[np.int64], list[str]]]:
        made = slices_of(self._feed, self._columns, self._present, self._timezone)
        return {title: (codes, words) for title, codes, words in made if title.removesuffix(" hour") not in CLOCKS}

    def expected(self, measure: str, usual: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        """By each column of words, and what the measure would be if each of its words were as usual.

        Args:
            measure: The measure's name; one that is no mean over rows has nothing to expect.
            usual: Measure to its prediction from the past days.
        """
        kind, about, *rest = measure.split("|")
        if kind not in _MEANS or any("@" in part for part in rest):
            return
        own, _, word = rest[-1].partition("=") if rest and "=" in rest[-1] else ("", "", "")
        rows = self._rows(kind, about)
        if rows is None or (own and own not in self._slices):
            return
        if own:
            codes, words = self._slices[own]
            if word not in words:
                return
            rows = rows & (codes == words.index(word))
        of_words, base = (f"{kind}|{about}", 0.0) if kind != "happened" else ("versus|any outcome", usual.get(measure))
        if base is None:
            return
        middle = "".join(f"|{part}" for part in (rest[:-1] if own else rest))
        for title, (codes, words) in self._slices.items():
            if title in (own, about):
                continue
            counts = np.bincount(codes[rows & (codes >= 0)], minlength=len(words))
            theirs = np.array([usual.get(f"{of_words}{middle}|{title}={word}", np.nan) for word in words])
            known = np.isfinite(theirs)
            if rows.sum() and counts[known].sum() >= _KNOWN * rows.sum():
                yield title, base + float(np.average(theirs[known], weights=counts[known]))

    def _rows(self, kind: str, about: str) -> NDArray[np.bool_] | None:
        """The rows that the measure is a mean over."""
        if kind in ("versus", "happened"):
            return np.ones(len(self._columns[self._feed.day]), dtype=bool)
        if kind == "filled":
            happened = happened_in(self._feed, self._present)
            return np.ones(len(self._columns[self._feed.day]), dtype=bool) if happened is None else happened
        if about == TIME_OF_DAY and self._feed.time is not None:
            return np.isfinite(time_of_day(self._columns[self._feed.time]))
        return self._present.get(about)
