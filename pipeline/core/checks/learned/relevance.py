"""Which measures are asked at all: what moved by too little to matter, or never held, is no question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import BY_ROWS, BY_UNITS, SELDOM
from pipeline.core.checks.learned.scales import OF_THINGS, SHARES, Kinds

#: So small a part of the rows, and so small a shift of a slice against the others, is nothing.
_PART, _SHIFT = 0.015, 0.03
#: So few rows are no share of anything.
_ROWS_AT_LEAST = 3
#: How large a part of the rows must be that was never there before: zeros, or rows on the least or greatest value.
_FIRST = 0.05
#: What is left of the blanks where something fills them in, at most.
_FILLED_IN = 0.25
#: By how much, as a logarithm, the number of rows must differ.
_ROWS = 0.25
#: What part of a list's rows must say something else at once, and how often a column may do so to be asked at all.
_CHANGED = 0.1
#: What share of another column a column must settle to be asked, and what part of it must be gone.
_SETTLES, _UNSETTLED = 0.5, 0.05
#: From what rank correlation on two columns are taken to have to do with each other, and what part of it must be gone.
_HOLDS, _LOOSENED = 0.9, 0.05
#: What part of a loose association must be lost, from what on words are taken to say anything of a column, how much of
#: it must be gone at least, by how much two numbers must have come apart, or have come to go together.
_LOST, _HINTED, _LEAST_LOST, _MOVED, _CAME = 0.5, 0.1, 0.05, 0.12, 0.2
#: By how many hours all rows must be earlier or later, and to what spread of these a steady business is held.
_HOURS, _MINUTES = 0.5, 0.05
#: How large a part of the rows must say what they said on one earlier day, beyond what is usual.
_RESENT = 0.05
#: By how much, as a logarithm, the steps from row to row must have grown or shrunk against those over two rows.
_STEPS = 0.1
#: What part of the things that always come must be away, by how much the rank correlation of all with what they were
#: must have fallen.
_AWAY, _REORDERED = 0.02, 0.25
#: The least spread of the share of things that are elsewhere, were there one.
_ELSEWHERE = 0.33
#: From what rank correlation with what they were on things have a level of their own.
_OWN = 0.5
#: By how much the share of one of few values must have moved.
_WORTH = 0.03
#: How far beyond all tails of the past a tail must lie, as a share of what lay between them.
_BEYOND = 2.0
#: Within what part of what a column spans a difference of two, and within what ratio a ratio, must have held.
_HOLDS_WITHIN = 0.05
#: By how much a ratio must have moved.
_RATIO = 0.01
#: The least spread of a level, as a share of what its column spanned.
_OF_SPAN = 0.02
#: The least spread of a quantile that has always been a whole number.
_STEP = 0.5


class Table:
    """Measures side by side.

    Attributes:
        names: The measures.
        kinds: The first part of each.
        values: Of each day, oldest first, the data day last: (days, measures).
        counts: On how much each measure of the data day stands.
        rows: Rows of the data day.
    """

    def __init__(
        self, names: Sequence[str], values: NDArray[np.float64], counts: NDArray[np.float64], rows: float
    ) -> None:
        self.names, self.values, self.counts, self.rows = names, values, counts, rows
        self.kinds: Kinds = np.array([name.split("|", 1)[0] for name in names])

    @cached_property
    def place(self) -> dict[str, int]:
        """Measure to its place."""
        return {name: n for n, name in enumerate(self.names)}

    @cached_property
    def reach(self) -> NDArray[np.float64]:
        """What part of the day each measure speaks of; what is weighted by units speaks of all of them."""
        by_units = np.array([name.endswith(f"|{BY_UNITS}") for name in self.names])
        return np.where(by_units, 1.0, np.minimum(self.counts / max(self.rows, 1), 1.0))

    @cached_property
    def spans(self) -> NDArray[np.float64]:
        """What the columns of each level or difference have spanned; not a number where they have never moved."""
        place = {name: n for n, name in enumerate(self.names)}
        spans = np.full(len(self.names), math.nan)
        for n in np.flatnonzero(np.isin(self.kinds, ("level", "apart"))).tolist():
            spans[n] = self._span(self.names[n].split("|")[1:], self.kinds[n] == "level", place)
        return spans

    def _span(self, rest: Sequence[str], is_level: bool, place: Mapping[str, int]) -> float:
        over = f"|{BY_ROWS}" if rest[-1] in (BY_ROWS, BY_UNITS) else ""
        columns = [rest[0]] if is_level else [rest[0], rest[1]]
        spans = []
        for name in columns:
            high, low = place.get(f"level|{name}|upper tenth{over}"), place.get(f"level|{name}|lower tenth{over}")
            if high is not None and low is not None:
                most, least = _known(self.values[:-1, high]), _known(self.values[:-1, low])
                reach = most.max() - least.min() if len(most) and len(least) else 0.0
                spans.append(float(reach) if reach > 0 else math.nan)
        return min(spans) if len(spans) == len(columns) else math.nan


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[np.isfinite(values)]


def _beyond(table: Table, now: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which tails lie beyond all that the past days span, by twice that and more."""
    place = {name: n for n, name in enumerate(table.names)}
    found = np.zeros(len(table.names), dtype=bool)
    for n in np.flatnonzero(table.kinds == "tail").tolist():
        column = table.names[n].split("|")[1]
        low, high = place.get(f"tail|{column}|lower"), place.get(f"tail|{column}|upper")
        if low is not None and high is not None:
            lowest, highest = _known(table.values[:-1, low]), _known(table.values[:-1, high])
            if not len(lowest) or not len(highest):
                continue
            least, most = float(lowest.min()), float(highest.max())
            allowed = _BEYOND * (most - least)
            # What is the same from end to end but for a few rows has no ends.
            found[n] = allowed > 0 and (now[n] > most + allowed or now[n] < least - allowed)
    return found


def floor_of(table: Table) -> NDArray[np.float64]:
    """The least spread that a measure is taken to have, however steady it was: a part of what its column spans."""
    floor = np.full(len(table.names), 1e-9)
    floor[table.kinds == "ratio"] = _RATIO / 6
    floor[table.kinds == "step"] = _STEPS / 6
    floor[table.kinds == "clock"] = _MINUTES
    # One of a dozen things that is elsewhere is moved house; three of twenty are a fault.
    floor[table.kinds == "astray"] = _ELSEWHERE / np.sqrt(table.counts[table.kinds == "astray"])
    levels = np.isin(table.kinds, ("level", "apart"))
    floor[levels] = _OF_SPAN * table.spans[levels]
    # The quantile of whole numbers steps from one to the next.
    whole = levels & np.all(np.isnan(table.values) | (table.values % 1 == 0), axis=0)
    floor[whole] = np.maximum(floor[whole], _STEP)
    return floor


def too_small(
    table: Table, usual: NDArray[np.float64], in_a_day: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which measures have moved by too little to matter, in a direction that harms nobody, or hold too loosely.

    Args:
        table: The measures.
        usual: What each was predicted to be, after the days that have passed since the last accepted one.
        in_a_day: The same after one day.
        spread: How far each may stray, on its scale.
    """
    now, kinds = table.values[-1], table.kinds
    moved, more = np.abs(now - usual), now > usual
    share = np.isin(kinds, SHARES) & ~np.isin(kinds, OF_THINGS)
    small = share & ((moved * table.reach < _PART) | (moved * table.counts < _ROWS_AT_LEAST))
    small |= np.isin(kinds, ("against", "versus")) & (moved * table.reach < _SHIFT)
    # What is new is no loss: a branch that opens, a word that comes up.
    small |= (kinds == "share") & (usual < SELDOM) & more
    # More that is filled is no loss either, unless the blanks are as good as gone: then something fills them in.
    small |= np.array(["=" in name and name.startswith("filled|") for name in table.names]) & more
    small |= np.isin(kinds, ("filled", "with")) & more & (1 - now > _FILLED_IN * (1 - usual))
    # A column that says something else every day may do so; one that rarely does may not all at once.
    small |= np.isin(kinds, ("changed", "gone")) & ((moved < _CHANGED) | (in_a_day > _CHANGED))
    # What settles little, and what settles more than before, is no fault.
    small |= np.isin(kinds, ("settles", "explains")) & (more | (usual < _SETTLES) | (moved < _UNSETTLED))
    # What goes together loosely is asked once most of it is gone, or much has come up where there was little.
    lost = np.abs(now) < (1 - _LOST) * np.abs(usual)
    listed = np.array(["." in name for name in table.names])
    came = (np.abs(now) > np.abs(usual) + _CAME) & ~listed
    # Where words tell much that they did not tell, some of them say it in another unit.
    small |= (kinds == "hints") & ~came & (~lost | (usual < _HINTED) | (moved < _LEAST_LOST))
    small |= (kinds == "tied") & ~((lost & (moved > _MOVED)) | came)
    small |= np.isin(kinds, ("resent", "still")) & (~more | (moved < _RESENT))
    # Of things that come again fewer come, they are in another order, or more are far from where they were.
    small |= (kinds == "came") & (more | (moved < _AWAY))
    small |= (kinds == "own") & (more | (moved < _REORDERED))
    small |= (kinds == "astray") & (~more | (moved < _AWAY))
    small |= (kinds == "step") & (moved < _STEPS)
    small |= (kinds == "clock") & (moved < _HOURS)
    small |= (kinds == "worth") & (moved * table.reach < _WORTH)
    # Of the ends of a column only what lies far beyond all that was seen.
    small |= (kinds == "tail") & ~_beyond(table, now)
    ends = np.array([name.endswith(("|least", "|greatest")) for name in table.names])
    first = (kinds == "single") & ((usual < SELDOM) | ends)
    small |= first & (moved * table.reach < _FIRST)
    # A cold day is below nought; readings that are so no longer, all at once, have lost their sign.
    small |= np.array([name.endswith("|negative") for name in table.names]) & more
    small |= (kinds == "rows") & (np.abs(np.log(np.maximum(now, 0.5) / np.maximum(usual, 0.5))) < _ROWS)
    # A difference or a ratio is asked where it has held: not of what stands side by side.
    small |= (kinds == "apart") & ~(spread <= _HOLDS_WITHIN * table.spans)
    small |= (kinds == "ratio") & ((moved < _RATIO) | (spread > _HOLDS_WITHIN))
    small |= (kinds == "order") & (moved < _LOOSENED)
    return np.asarray(small | loose(table) | _nothing_of_its_own(table), dtype=np.bool_)


def _nothing_of_its_own(table: Table) -> NDArray[np.bool_]:
    """Things that have no place among each other that they keep, in that number: each is anywhere on any day."""
    small = np.zeros(len(table.names), dtype=bool)
    for n in np.flatnonzero(table.kinds == "astray").tolist():
        own = table.place.get(f"own|{table.names[n].split('|', 1)[1]}")
        before = _known(table.values[:-1, own]) if own is not None else np.array([])
        small[n] = not len(before) or float(np.median(before)) < _OWN
    return small


def loose(table: Table) -> NDArray[np.bool_]:
    """Relations of columns that have not held: strangers drift apart and together as they like."""
    held = {
        name.split("|", 1)[1]: len(known := _known(table.values[:-1, n])) > 0
        and float(np.median(np.abs(known))) >= _HOLDS
        for n, name in enumerate(table.names)
        if table.kinds[n] == "order"
    }
    return np.array(
        [
            kind in ("order", "apart", "ratio") and not held.get(name.split("|", 1)[1], False)
            for name, kind in zip(table.names, table.kinds.tolist(), strict=True)
        ]
    )
