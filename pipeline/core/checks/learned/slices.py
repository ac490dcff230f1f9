"""The slices of a day (a station, a carrier, an hour), and what each of them says against the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import SLICE_ROWS, Measured, ranks_of
from pipeline.core.facts import Columns
from pipeline.core.tables import Column, Feed

#: A title, each row's place among the words (-1: none), and the words.
Slices = tuple[str, NDArray[np.int64], list[str]]

CLOCKS = {"world": "UTC", "american": "America/New_York", "european": "Europe/Berlin"}
"""By which hours are counted besides those of the schedule: a business that keeps other hours in summer keeps them by
one of these, and nobody need have said so."""

TIME_OF_DAY = "the time of day"
"""What a feed's moments are called where they are taken as numbers."""

#: How much the rows must lie together for their mean hour to be one: 0 where they are spread over all the day, to 1.
_TOGETHER = 0.1
#: A column of more words than these is no set of slices, and at most so many columns are.
_WORDS, _SLICING = 400, 6


def slices_of(
    feed: Feed, columns: Columns, present: Mapping[str, NDArray[np.bool_]], timezone: str
) -> Iterator[Slices]:
    """Title, each row's place among the words (-1: none), and the words, of every column that makes slices."""
    made = 0
    for column in feed.columns:
        if column.type != "string" or column.outcome or made == _SLICING:
            continue
        values = columns[column.name]
        words = sorted(set(values[present[column.name]].tolist()))
        if not 1 <= len(words) <= min(_WORDS, max(len(values) // 4, 1)):
            continue
        place_of = {word: n for n, word in enumerate(words)}
        made += 1
        yield column.name, np.array([place_of.get(value, -1) for value in values.tolist()], dtype=np.int64), words
    if feed.time is not None:
        moments = columns[feed.time].astype("datetime64[h]").astype(np.int64)
        words = [f"{hour:02d}" for hour in range(24)]
        hours = np.where(present[feed.time], moments, 0)
        distinct, place = np.unique(hours, return_inverse=True)
        clocks = {"local": timezone, **CLOCKS}
        ahead_by_clock = {
            clock: np.array([_offset(hour, where) for hour in distinct.tolist()], dtype=np.int64)
            for clock, where in clocks.items()
        }
        # A day of 23 or 25 hours has one too few, or one twice.
        if any(len(np.unique(ahead)) > 1 for ahead in ahead_by_clock.values()):
            return
        for clock, ahead in ahead_by_clock.items():
            yield f"{clock} hour", np.where(present[feed.time], ((distinct + ahead) % 24)[place], -1), words


def clock_measures(feed: Feed, columns: Columns, timezone: str) -> Measured:
    """Around what hour a day's rows lie, by each clock: their mean on the circle, since a late one may be of tomorrow.

    (Mardia & Jupp, Directional Statistics, 2000, section 2.2.)
    """
    moments = columns[feed.time] if feed.time is not None else np.array([], dtype="datetime64[us]")
    seconds = moments[~np.isnat(moments)].astype("datetime64[s]").astype(np.int64)
    if len(seconds) < SLICE_ROWS:
        return
    hours, place = np.unique(seconds // 3600, return_inverse=True)
    for clock, where in {"local": timezone, **CLOCKS}.items():
        ahead = np.array([_offset(hour, where) for hour in hours.tolist()])
        if len(np.unique(ahead)) > 1:
            return  # a day of 23 or 25 hours
        turns = 2 * np.pi * ((seconds % 86400) / 3600 + ahead[place]) / 24
        mean = np.exp(1j * turns).mean()
        if abs(mean) >= _TOGETHER:
            yield f"clock|{clock}", (float(np.angle(mean) * 24 / (2 * np.pi) % 24), len(turns))


@lru_cache(maxsize=4096)
def _offset(hour: int, timezone: str) -> int:
    """How many hours local time is ahead of UTC in an hour counted from 1970; 0 where no calendar reaches."""
    try:
        ahead = datetime.fromtimestamp(hour * 3600, UTC).astimezone(ZoneInfo(timezone)).utcoffset()
    except (OverflowError, ValueError):  # a moment of the year 1 is for the question on dates to refuse
        return 0
    return round(ahead.total_seconds() / 3600) if ahead is not None else 0


def in_slices(
    feed: Feed,
    numbers: Sequence[Column],
    title: str,
    codes: NDArray[np.int64],
    words: Sequence[str],
    enough: Sequence[int],
    columns: Columns,
    present: Mapping[str, NDArray[np.bool_]],
) -> Measured:
    """Each slice that is large enough: what it lacks, what it repeats, and where it lies among the others."""
    happened = happened_in(feed, present)
    if happened is not None:
        of = np.bincount(codes[codes >= 0], minlength=len(words))
        some = np.bincount(codes[(codes >= 0) & happened], minlength=len(words))
        for code in enough:
            share = float(some[code] / of[code] - happened.mean())
            yield f"versus|any outcome|{title}={words[code]}", (share, int(of[code]))
    for about, of_rows, there in blanks_in(feed, title, present):
        asked = of_rows & (codes >= 0)
        of = np.bincount(codes[asked], minlength=len(words))
        filled = np.bincount(codes[asked & there], minlength=len(words))
        for code in enough:
            if of[code] >= SLICE_ROWS:
                yield f"filled|{about}|{title}={words[code]}", (float(filled[code] / of[code]), int(of[code]))
    told = {c.name: (columns[c.name], present[c.name]) for c in numbers if title != "local hour" or c.outcome}
    if feed.time is not None and title != "local hour":
        told[TIME_OF_DAY] = (time_of_day(columns[feed.time]), present[feed.time])
    for name, (cells, filled_cells) in told.items():
        there = filled_cells & (codes >= 0)
        values, places = cells[there], codes[there]
        if len(values) < SLICE_ROWS:
            continue
        ranks = (ranks_of(values) - 0.5) / len(values) - 0.5
        of = np.bincount(places, minlength=len(words))
        rank = np.bincount(places, weights=ranks, minlength=len(words))
        zeros = np.bincount(places[values == 0], minlength=len(words))
        order = np.lexsort((values, places))
        ordered = values[order]
        starts = np.concatenate([[0], np.cumsum(of)])
        for code in enough:
            n = int(of[code])
            if n < SLICE_ROWS:
                continue
            part = ordered[starts[code] : starts[code + 1]]
            runs = np.diff(np.flatnonzero(np.concatenate([[True], part[1:] != part[:-1], [True]])))
            if name != TIME_OF_DAY:
                yield f"single|{name}|commonest|{title}={words[code]}", (float(runs.max() / n), n)
                yield f"single|{name}|zero|{title}={words[code]}", (float(zeros[code] / n), n)
            yield f"against|{name}|{title}={words[code]}", (float(rank[code] / n), n)


def time_of_day(moments: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Each moment as seconds, not a number where there is none. Only their order is used, which no clock changes."""
    seconds = moments.astype("datetime64[s]").astype(np.int64).astype(np.float64)
    return np.where(np.isnat(moments), np.nan, seconds)


def happened_in(feed: Feed, present: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_] | None:
    """Which rows have any outcome, where all outcomes may be blank."""
    outcomes = [present[c.name] for c in feed.columns if c.outcome]
    may = [c.empty for c in feed.columns if c.outcome]
    return np.asarray(np.any(outcomes, axis=0)) if outcomes and all(may) else None


def blanks_in(
    feed: Feed, title: str, present: Mapping[str, NDArray[np.bool_]]
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """What may be blank, of which rows it is asked, and where it is there.

    All is asked of the rows that have any outcome: where nothing happened (a flight was cancelled) much is blank,
    rightly, and whether anything happened is one question of its own.
    """
    anything = happened_in(feed, present)
    happened = np.ones(len(present[feed.day]), dtype=bool) if anything is None else anything
    for column in feed.columns:
        if column.empty and column.name != title:
            yield column.name, happened, present[column.name]
