"""Whose rows a measure is off in: the one word that nearly all of them share and most others have not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import SLICE_ROWS
from pipeline.core.checks.learned.surprise import Surprise
from pipeline.core.facts import Columns, missing, texts
from pipeline.core.tables import Feed

#: What part of the rows that are off must have the word, and what part of all rows at most has it.
_NEARLY_ALL, _HALF = 0.9, 0.5
#: Columns of more words than these are looked through for none: a word of few rows is shared by chance.
_WORDS = 200

#: Values to which of them are so, by what a measure of single values counts.
_SINGLE: dict[str, Callable[[NDArray[np.float64]], NDArray[np.bool_]]] = {
    "zero": lambda values: values == 0,
    "negative": lambda values: values < 0,
    "multiple of 5": lambda values: (values != 0) & (values % 5 == 0),
    "multiple of 10": lambda values: (values != 0) & (values % 10 == 0),
}


def whose_rows(feed: Feed, columns: Columns, one: Surprise) -> str:
    """The word that the rows share which are off, as a clause; empty where none tells them from the others.

    Args:
        feed: The declaration.
        columns: The day's rows, by column.
        one: What is odd, over all rows of the day.
    """
    off = _off(feed, columns, one)
    if off is None or off.sum() < SLICE_ROWS or off.all():
        return ""
    about = one.measure.split("|")[1].partition("=")[0]
    best, told = _NEARLY_ALL, ""
    for column in feed.columns:
        if column.type != "string" or column.outcome or column.name == about:
            continue
        cells = texts(columns, (column.name,))
        there = ~missing(cells)
        words, codes = np.unique(cells[there].astype(np.str_), return_inverse=True)
        if not 1 < len(words) <= _WORDS:
            continue
        counts = np.bincount(codes, minlength=len(words))
        share = np.bincount(codes[off[there]], minlength=len(words)) / off.sum()
        n = int(np.argmax(share))
        if share[n] >= best and counts[n] <= _HALF * len(cells):
            best = float(share[n])
            told = f" ({share[n]:.0%} of the rows that are off have '{column.name}' {words[n]})"
    return told


def _off(feed: Feed, columns: Columns, one: Surprise) -> NDArray[np.bool_] | None:
    """The rows that a measure counts more of than usual; None where it counts none, or too few."""
    kind, about, *rest = one.measure.split("|")
    more = one.value > one.usual
    if kind == "happened" and not more:
        outcomes = [c.name for c in feed.columns if c.outcome]
        return np.asarray(np.logical_and.reduce([missing(columns[name]) for name in outcomes]))
    column, _, value = about.partition("=")
    cells = columns.get(column)
    if cells is None or (rest and kind not in ("level", "single")):
        return None
    if kind == "filled" and not more:
        return missing(cells)
    return _numbers_off(kind, rest, value, cells, one) if cells.dtype.kind == "f" else None


def _numbers_off(
    kind: str, rest: Sequence[str], value: str, cells: NDArray[np.float64], one: Surprise
) -> NDArray[np.bool_] | None:
    more = one.value > one.usual
    off: Any = None
    if kind == "level":
        between = (one.value + one.usual) / 2
        off = cells > between if more else cells < between
    elif kind == "worth" and more:
        off = cells == float(value)
    elif kind == "single" and more and rest[0] in _SINGLE:
        off = _SINGLE[rest[0]](cells)
    return None if off is None else np.asarray(off, dtype=np.bool_)
