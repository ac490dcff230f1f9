"""What goes with what, however loosely: columns of a day among themselves, and with what they look up.

A join that slipped by a row or an hour, a column of another day, a list whose rows were exchanged: every column is as
it always was, and what it had to do with the others is gone. So each pair is measured, and only what has been lost, or
has come up, against the accepted days is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import SLICE_ROWS, Measured, ranks_of
from pipeline.core.checks.learned.slices import Slices
from pipeline.core.facts import Columns, missing, texts
from pipeline.core.tables import Reference

#: At most so many columns of each list are compared, and words of so many kinds.
_LOOKED_UP, _WORDS = 6, 30

Numbers = Mapping[str, NDArray[np.float64]]


#: What is looked up stands on the keys that are, not on the rows: of a dozen vans one new one turns all.
_KEYS = 30


def looked_up(
    reference: Reference, listed: Columns, units: Columns
) -> tuple[dict[str, NDArray[np.float64]], list[Slices]]:
    """What the units of a day find in a list: numbers by name, and words as slices; absent where nothing is found."""
    place = {key: n for n, key in enumerate(texts(listed, reference.key).tolist()) if key is not None}
    keys = texts(units, reference.joined_by[1]).tolist()
    row = np.array([place.get(key, -1) for key in keys], dtype=np.int64)
    found = row >= 0
    numbers: dict[str, NDArray[np.float64]] = {}
    slices: list[Slices] = []
    if len(np.unique(row[found])) < _KEYS:
        return numbers, slices
    told = [c for c in reference.columns if c.name not in (*reference.key, reference.refreshed)]
    for column in told:
        values, name = listed[column.name], f"{reference.name}.{column.name}"
        if column.type in ("number", "integer") and len(numbers) < _LOOKED_UP:
            numbers[name] = np.where(found, values[row], np.nan)
        elif column.type == "string" and len(slices) < _LOOKED_UP:
            there = ~missing(values)
            words = sorted(set(values[there].tolist()))
            if 1 < len(words) <= _WORDS:
                place_of = {word: n for n, word in enumerate(words)}
                codes = np.array([place_of.get(value, -1) for value in values.tolist()], dtype=np.int64)
                slices.append((name, np.where(found, codes[row], -1), words))
    return numbers, slices


def associations(numbers: Numbers, titles: Sequence[Slices]) -> Measured:
    """How far each pair goes together: from -1 to 1 for two numbers, from 0 to 1 where words are among them.

    Of two numbers the rank correlation (Spearman); of words and a number the share of the ranks' variance that the
    words explain, less what chance would (omega squared); of words and words Cramér's V squared, less what chance
    would (Bergsma, J. Korean Stat. Soc. 42, 2013).
    """
    names = list(numbers)
    ranked, there = _ranked([numbers[name] for name in names])
    yield from _tied(names, ranked, there)
    for title, codes, words in titles:
        has = codes >= 0
        if has.sum() < SLICE_ROWS or len(words) < 2:
            continue
        for name, ranks, known in zip(names, ranked, there, strict=True):
            if _same_list(title, name):
                continue
            share = _explained(codes, len(words), ranks, has & known)
            if share is not None:
                yield f"hints|{title}|{name}", (share, int((has & known).sum()))
    for place, (title, codes, words) in enumerate(titles):
        for other, others, their_words in titles[place + 1 :]:
            both = (codes >= 0) & (others >= 0)
            if both.sum() >= SLICE_ROWS and not _same_list(title, other):
                share = _cramer(codes[both], len(words), others[both], len(their_words))
                if share is not None:
                    yield f"hints|{title}|{other}", (share, int(both.sum()))


def _same_list(one: str, other: str) -> bool:
    """Whether both are columns of the same list, whose content is asked by itself."""
    return "." in one and "." in other and one.split(".", 1)[0] == other.split(".", 1)[0]


def _ranked(columns: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each column's ranks about their mean, 0 where there is no value; and where there is one."""
    n = len(columns[0]) if columns else 0
    ranked, there = np.zeros((len(columns), n)), np.zeros((len(columns), n), dtype=bool)
    for place, values in enumerate(columns):
        there[place] = np.isfinite(values)
        if there[place].any():
            ranks = ranks_of(values[there[place]])
            ranked[place, there[place]] = ranks - ranks.mean()
    return ranked, there


def _tied(names: Sequence[str], ranked: NDArray[np.float64], there: NDArray[np.bool_]) -> Measured:
    known = there.astype(float)
    both = ranked @ ranked.T
    # The size of each among the rows that have the other too.
    size = (ranked**2) @ known.T
    n = known @ known.T
    for i, one in enumerate(names):
        for j in range(i + 1, len(names)):
            if n[i, j] >= SLICE_ROWS and size[i, j] > 0 and size[j, i] > 0 and not _same_list(one, names[j]):
                value = both[i, j] / np.sqrt(size[i, j] * size[j, i])
                yield f"tied|{one}|{names[j]}", (float(np.clip(value, -1, 1)), int(n[i, j]))


def _explained(
    codes: NDArray[np.int64], words: int, ranks: NDArray[np.float64], asked: NDArray[np.bool_]
) -> float | None:
    groups, values = codes[asked], ranks[asked]
    n = len(values)
    of = np.bincount(groups, minlength=words)
    used = int((of > 0).sum())
    if n < SLICE_ROWS or n < 2 * used or used < 2:
        return None
    values = values - values.mean()
    total = float((values**2).sum())
    if total <= 0:
        return None
    sums = np.bincount(groups, weights=values, minlength=words)
    between = float((sums[of > 0] ** 2 / of[of > 0]).sum())
    within = (total - between) / (n - used)
    return float(np.clip((between - (used - 1) * within) / (total + within), 0, 1))


def _cramer(one: NDArray[np.int64], words: int, other: NDArray[np.int64], their_words: int) -> float | None:
    n = len(one)
    rows, columns = np.bincount(one, minlength=words), np.bincount(other, minlength=their_words)
    r, c = int((rows > 0).sum()), int((columns > 0).sum())
    if r < 2 or c < 2 or n < 2 * max(r, c):
        return None
    pairs, counts = np.unique(one * their_words + other, return_counts=True)
    expected = rows[pairs // their_words] * columns[pairs % their_words] / n
    phi = float((counts**2 / expected).sum() - n) / n
    phi = max(phi - (r - 1) * (c - 1) / (n - 1), 0.0)
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return min(phi / least, 1.0) if least > 0 else None
