"""What is measured of things that come again (a meter, a lorry, a branch): each of them against its own past.

Two lorries that are weighed in pounds, two stations that were exchanged, readings that slipped to the next meter: all
columns are distributed as ever, and each thing is no longer what it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import Measured, ranks_of
from pipeline.core.checks.learned.surprise import part_of_week
from pipeline.core.facts import Columns, missing
from pipeline.core.tables import Column, Feed

#: Of so many things the levels are kept, chosen by hash; of at most so many columns that name things, in so many
#: numbers; of columns that name so many at least.
_KEPT, _COLUMNS, _NUMBERS, _NAMED = 64, 2, 8, 10
#: Fewer things than these are slices, of which each is asked by itself.
_THINGS = 20
#: On how many of the last accepted days a thing's own level stands, and on how many at least.
_DAYS, _ENOUGH = 14, 4
#: Whoever came on all of the last days of that part of the week is expected: on at most, and at least, so many.
_REGULAR, _REGULAR_LEAST = 6, 3
#: For how many days' evidence the spread of all things counts in that of one.
_POOLED = 3
#: By how much the largest of a few squares is more than the mean of all, for five and for fourteen normal ones alike.
_LEFT_OUT = 1.3
#: Farther than this nothing strays; its square is still a number.
_HUGE = 1e150
#: From how many of its own spreads on a thing is somewhere else.
_ASTRAY = 4.0

Levels = Mapping[str, Mapping[str, float]]
"""``weight|lorry`` to each lorry's median weight; ``|lorry`` to each lorry's rows."""


def levels_of(feed: Feed, columns: Columns, numbers: Sequence[Column]) -> dict[str, dict[str, float]]:
    """The level of each thing in each number, of the things that the hash chooses.

    Args:
        feed: The declaration; what its key names comes once.
        columns: Its rows of one day, by column.
        numbers: Its numbers.
    """
    found: dict[str, dict[str, float]] = {}
    made = 0
    for column in feed.columns:
        if column.type != "string" or column.outcome or (column.name,) == feed.key or made == _COLUMNS:
            continue
        there = ~missing(columns[column.name])
        words, codes = np.unique(columns[column.name][there].astype(np.str_), return_inverse=True)
        if len(words) < _NAMED:
            continue
        made += 1
        kept = sorted(range(len(words)), key=lambda n: hash_of(str(words[n])))[:_KEPT]
        counts = np.bincount(codes, minlength=len(words))
        found[f"|{column.name}"] = {str(words[n]): float(counts[n]) for n in kept}
        for number in numbers[:_NUMBERS]:
            medians = _medians(columns[number.name][there].astype(np.float64), codes, len(words))
            found[f"{number.name}|{column.name}"] = {
                str(words[n]): float(medians[n]) for n in kept if np.isfinite(medians[n])
            }
    return found


def _medians(values: NDArray[np.float64], codes: NDArray[np.int64], words: int) -> NDArray[np.float64]:
    known = np.isfinite(values)
    values, codes = values[known], codes[known]
    order = np.lexsort((values, codes))
    ordered = values[order]
    counts = np.bincount(codes, minlength=words)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    result = np.full(words, np.nan)
    some = counts > 0
    low, high = starts[some] + (counts[some] - 1) // 2, starts[some] + counts[some] // 2
    result[some] = (ordered[low] + ordered[high]) / 2
    return result


def own_past(day: date, now: Levels, past: Mapping[date, Levels]) -> Measured:
    """How far the things are what they were: who came, how they stand to each other, by how much they stray.

    Args:
        day: The data day.
        now: Its levels.
        past: Those of the accepted days before, oldest first.
    """
    days = list(past)
    for name, levels in now.items():
        number, _, thing = name.partition("|")
        if not number:
            yield from _came(day, thing, levels, past)
            continue
        compared = _compared(levels, [past[then][name] for then in days[-_DAYS:] if name in past[then]])
        if compared is None:
            continue
        known, today, usual, far = compared
        one, other = ranks_of(today), ranks_of(usual)
        if np.ptp(one) > 0 and np.ptp(other) > 0:
            yield f"own|{number}|{thing}", (float(np.corrcoef(one, other)[0, 1]), len(known))
        if far is not None:
            yield f"astray|{number}|{thing}", (float(np.mean(np.abs(far) > _ASTRAY)), len(known))


def away_or_astray(day: date, measure: str, now: Levels, past: Mapping[date, Levels]) -> list[str]:
    """Which things a measure of these is about: those that did not come, or those that are far from where they were.

    Args:
        day: The data day.
        measure: Its name.
        now: Its levels.
        past: Those of the accepted days before, oldest first.
    """
    kind, number, thing = measure.split("|")
    if kind == "came":
        there = now.get(f"|{number}", {})
        return sorted(word for word in _regular(day, number, there, past) if word not in there)
    name = f"{number}|{thing}"
    compared = _compared(now.get(name, {}), [one[name] for one in list(past.values())[-_DAYS:] if name in one])
    if compared is None or compared[3] is None:
        return []
    known, far = compared[0], compared[3]
    order = np.argsort(-np.abs(far))
    return [known[n] for n in order.tolist() if abs(far[n]) > _ASTRAY]


def _compared(
    levels: Mapping[str, float], before: Sequence[Mapping[str, float]]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None] | None:
    """The things that are known, where they are and where they were, and by how many of its own spreads each strays."""
    known = [word for word in levels if sum(word in one for one in before) >= _ENOUGH]
    if len(known) < _THINGS:
        return None
    then = np.array([[one.get(word, np.nan) for word in known] for one in before])
    today = np.array([levels[word] for word in known])
    if np.nanmin(then) > 0 and today.min() > 0:
        then, today = np.log(then), np.log(today)
    usual = np.nanmedian(then, axis=0)
    there = np.isfinite(then).any(axis=1)
    # What happens to all things alike, such as the weather, is no thing's own.
    strays = then[there] - np.nanmedian(then[there] - usual, axis=1)[:, None] - usual
    counts = np.isfinite(strays).sum(axis=0)
    # One odd day, such as the first one of a fault, says nothing of how far it usually strays.
    squares = np.clip(strays, -_HUGE, _HUGE) ** 2
    own = _LEFT_OUT * (np.nansum(squares, axis=0) - np.nanmax(squares, axis=0)) / (counts - 2)
    spread = np.sqrt((counts * own + _POOLED * np.median(own)) / (counts + _POOLED))
    # Where it was is known from few days as well: a median's variance.
    spread *= np.sqrt(1 + np.pi / 2 / counts)
    if not np.all(spread > 0):
        return known, today, usual, None
    return known, today, usual, (today - usual - np.median(today - usual)) / spread


def _came(day: date, thing: str, now: Mapping[str, float], past: Mapping[date, Levels]) -> Measured:
    regular = _regular(day, thing, now, past)
    if len(regular) >= _THINGS:
        yield f"came|{thing}|daily", (sum(word in now for word in regular) / len(regular), len(regular))


def _regular(day: date, thing: str, now: Mapping[str, float], past: Mapping[date, Levels]) -> set[str]:
    """Who came on all of the last days of that part of the week."""
    alike = [then for then in past if part_of_week(then) == part_of_week(day)][-_REGULAR:]
    before = [past[then][f"|{thing}"] for then in alike if f"|{thing}" in past[then]]
    if len(before) < _REGULAR_LEAST:
        return set()
    regular = set.intersection(*(set(one) for one in before))
    if len(now) < _KEPT:
        return regular
    # Whoever the hash places after the last one that was kept is not known to be away.
    last = max(hash_of(word) for word in now)
    return {word for word in regular if hash_of(word) <= last}


def hash_of(word: str) -> int:
    """A number that says of every word the same on every day, by which words are chosen."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
