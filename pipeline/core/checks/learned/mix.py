"""What the mix of a day's rows explains of it.

A camera that hangs over one machine and not over the other makes a product's blanks a matter of which machine made it:
what is usual of each machine, weighted by how many of the product's rows each has today, against the same by its mix of
the last week, is by how much today's rows lead to expect them to move. (Indirect standardisation; why slices turn
without any part of them having changed: Simpson, Journal of the Royal Statistical Society B 13, 1951.) A fault in a
column, in a slice or on a machine isn't usual of anything, so nothing explains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import SLICE_ROWS
from pipeline.core.checks.learned.slices import CLOCKS, TIME_OF_DAY, happened_in, slices_of, time_of_day
from pipeline.core.facts import Columns, missing
from pipeline.core.tables import Feed

_HAPPENED = "happened|"
#: Columns of no more words than these have their mix remembered.
_FEW = 16
#: What part of the rows must have a word of which something is known.
_KNOWN = 0.95
#: Kinds that are means over rows, so that a mixture's is the weighted mean of its parts'.
_MEANS = ("filled", "single", "against", "versus", "happened")
EXPLAINED = tuple(f"{kind}|" for kind in _MEANS)
"""How the names of what a mix may explain begin."""


class Mix:
    """The rows of a day by the words they have: kept of each day, and looked at where something is odd.

    Args:
        feed: The declaration.
        columns: The feed's rows of that day, by column.
        timezone: Where the business keeps its hours.
        before: What :meth:`shares` said of the last accepted days.
    """

    def __init__(
        self,
        feed: Feed,
        columns: Columns,
        timezone: str = "UTC",
        before: Sequence[Mapping[str, Mapping[str, float]]] = (),
    ) -> None:
        self._feed, self._columns, self._timezone, self._before = feed, columns, timezone, before

    @cached_property
    def _present(self) -> dict[str, NDArray[np.bool_]]:
        return {column.name: ~missing(self._columns[column.name]) for column in self._feed.columns}

    @cached_property
    def _slices(self) -> dict[str, tuple[NDArray[np.int64], list[str]]]:
        made = slices_of(self._feed, self._columns, self._present, self._timezone)
        return {title: (codes, words) for title, codes, words in made if title.removesuffix(" hour") not in CLOCKS}

    def shares(self) -> dict[str, dict[str, float]]:
        """``machine=m1|product`` to each product's share of that machine's rows, for columns of few words.

        Once more with ``happened|`` before it, of the rows that have any outcome, where that may lack.
        """
        few = {
            title: one for title, one in self._slices.items() if 1 < len(one[1]) <= _FEW and not title.endswith("hour")
        }
        happened = happened_in(self._feed, self._present)
        everywhere = np.ones(len(self._columns[self._feed.day]), dtype=bool)
        found: dict[str, dict[str, float]] = {}
        for start, rows in (("", everywhere),) if happened is None else (("", everywhere), (_HAPPENED, happened)):
            for title, (codes, words) in few.items():
                for other, (others, their_words) in few.items():
                    if other == title:
                        continue
                    there = (codes >= 0) & (others >= 0) & rows
                    size = len(words) * len(their_words)
                    pairs = np.bincount(codes[there] * len(their_words) + others[there], minlength=size)
                    for word, counts in zip(words, pairs.reshape(len(words), -1), strict=True):
                        if counts.sum() >= SLICE_ROWS:
                            told = zip(their_words, (counts / counts.sum()).tolist(), strict=True)
                            found[f"{start}{title}={word}|{other}"] = {name: share for name, share in told if share}
        return found

    def expected(self, measure: str, usual: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        """By each other column of words, and what the measure would be if each of its words were as usual.

        Args:
            measure: The measure's name; one that is no mean over rows has nothing to expect.
            usual: Measure to its prediction from the past days.
        """
        kind, about, *rest = measure.split("|")
        if kind not in _MEANS or any("@" in part for part in rest) or (kind == "single" and rest[:1] != ["zero"]):
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
        of_words += "".join(f"|{part}" for part in (rest[:-1] if own else rest))
        for title, (codes, words) in self._slices.items():
            if title in (own, about):
                continue
            counts = np.bincount(codes[rows & (codes >= 0)], minlength=len(words))
            theirs = np.array([usual.get(f"{of_words}|{title}={word}", np.nan) for word in words])
            known = np.isfinite(theirs)
            if not rows.sum() or counts[known].sum() < _KNOWN * rows.sum():
                continue
            today = float(np.average(theirs[known], weights=counts[known]))
            if not own:
                yield title, base + today
                continue
            # A slice has a level of its own: what its rows' other words explain is by how much it moves.
            start = _HAPPENED if kind == "filled" and happened_in(self._feed, self._present) is not None else ""
            usually = self._usually(f"{start}{own}={word}|{title}", f"{of_words}|{title}", usual)
            if measure in usual and usually is not None:
                yield title, usual[measure] + today - usually

    def _usually(self, slice_and_title: str, of_words: str, usual: Mapping[str, float]) -> float | None:
        """The same mean over the mix that the slice had on the last accepted days; None where too little is known.

        Words that no row of today has were part of it.
        """
        means = []
        for shares in (one[slice_and_title] for one in self._before if slice_and_title in one):
            known = [(share, usual[name]) for word, share in shares.items() if (name := f"{of_words}={word}") in usual]
            weight = sum(share for share, _ in known)
            if weight >= _KNOWN:
                means.append(sum(share * value for share, value in known) / weight)
        return float(np.median(means)) if means else None

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
