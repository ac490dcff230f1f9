"""What is measured of a feed's day, to be compared with the same measure of the accepted days before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.associations import associations, looked_up
from pipeline.core.checks.learned.measures import (
    FEW_VALUES,
    MANY_WORDS,
    MOST_COMPARED,
    MOST_IN_SLICES,
    ROWS,
    SELDOM,
    SLICE_ROWS,
    Measured,
)
from pipeline.core.checks.learned.sequences import sequence_measures
from pipeline.core.checks.learned.slices import (
    CLOCKS,
    TIME_OF_DAY,
    Slices,
    blanks_in,
    clock_measures,
    happened_in,
    in_slices,
    slices_of,
    time_of_day,
)
from pipeline.core.checks.learned.together import goes_with, pairs, twins
from pipeline.core.facts import Columns, missing
from pipeline.core.tables import Column, Feed, Reference

#: What part of a column's values lies beyond each of its tails: a fault in two rows of a hundred shows there.
_TAIL = 0.015


def feed_measures(
    feed: Feed,
    columns: Columns,
    timezone: str = "UTC",
    late: Sequence[str] = (),
    lists: Sequence[tuple[Reference, Columns]] = (),
) -> dict[str, tuple[float, int]]:
    """All measures of one day of a feed.

    Args:
        feed: The declaration.
        columns: The feed's rows of that day, by column.
        timezone: Where the business keeps its hours, which move against UTC twice a year.
        late: Columns that may be blank as yet, and are not measured: outcomes, where labels take days.
        lists: The reference tables that are joined to it, with their rows of that day.

    Returns:
        Name to value and number of rows or values behind it. What can't be measured on the day is left out.
    """
    feed = without_late(feed, late)
    rows = len(columns[feed.day])
    found: dict[str, tuple[float, int]] = {ROWS: (float(rows), rows)}
    if not rows:
        return found
    # A number that names a row says nothing by its size: invoices are counted on and on.
    numbers = [c for c in feed.columns if c.type in ("number", "integer") and c.name not in feed.key]
    present = {c.name: ~missing(columns[c.name]) for c in feed.columns}
    distances, apart = lags(feed, columns)
    told = [*numbers, *distances]
    columns = {**columns, **apart}
    present.update({name: np.isfinite(values) for name, values in apart.items()})
    slices = list(slices_of(feed, columns, present, timezone))
    happened = happened_in(feed, present)
    if happened is not None:
        found["happened|any outcome"] = (float(happened.mean()), rows)
    for about, asked, there in blanks_in(feed, "", present):
        if asked.sum() >= SLICE_ROWS:
            found[f"filled|{about}"] = (float(there[asked].mean()), int(asked.sum()))
    found.update(_together(feed.columns, present))
    for column in told:
        found.update(_single_values(column.name, columns[column.name][present[column.name]]))
    found.update(twins([c.name for c in numbers], columns))
    found.update(pairs([c.name for c in told][:MOST_COMPARED], columns))
    found.update(goes_with([one for one in slices if not one[0].endswith("hour")], told[:MOST_IN_SLICES], columns))
    found.update(_associated(feed, columns, told, slices, lists))
    found.update(sequence_measures(feed, columns, numbers))
    for column in feed.columns:
        if column.type == "timestamp":
            found.update(_full_units(column.name, columns[column.name][present[column.name]]))
    found.update(clock_measures(feed, columns, timezone))
    for title, codes, words in slices:
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        for word, n in zip(words, counts.tolist(), strict=True):
            if n >= SELDOM * rows and len(words) <= MANY_WORDS:
                found[f"share|{title}={word}"] = (n / rows, rows)
        enough = np.flatnonzero(counts >= SLICE_ROWS)
        if 1 < len(words) <= MANY_WORDS and len(enough) and title.removesuffix(" hour") not in CLOCKS:
            found.update(in_slices(feed, told[:MOST_IN_SLICES], title, codes, words, enough.tolist(), columns, present))
    return found


def without_late(feed: Feed, late: Sequence[str]) -> Feed:
    """The feed without the columns that may be blank as yet."""
    if not late:
        return feed
    return replace(feed, columns=tuple(column for column in feed.columns if column.name not in late), known_at=None)


def lags(feed: Feed, columns: Columns) -> tuple[list[Column], dict[str, NDArray[np.float64]]]:
    """Dates and moments as numbers: days or hours after the row's own, which no season and no clock changes."""
    found, values = [], {}
    for column in feed.columns:
        if column.type == "date" and column.name != feed.day:
            unit, since, name = np.timedelta64(1, "D"), feed.day, f"{column.name} (days after {feed.day})"
        elif column.type == "timestamp" and feed.time not in (None, column.name):
            unit, since, name = np.timedelta64(1, "h"), feed.time, f"{column.name} (hours after {feed.time})"
        else:
            continue
        distance = columns[column.name].astype("datetime64[s]") - columns[str(since)].astype("datetime64[s]")
        found.append(replace(column, name=name, type="number"))
        values[name] = np.where(np.isnat(distance), np.nan, distance / unit)
    return found, values


def _associated(
    feed: Feed,
    columns: Columns,
    numbers: Sequence[Column],
    slices: Sequence[Slices],
    lists: Sequence[tuple[Reference, Columns]],
) -> Measured:
    """What goes with what: numbers, words and the hour of the day, and what the rows look up."""
    values = {c.name: columns[c.name] for c in numbers[:MOST_COMPARED]}
    titles = [one for one in slices if one[0].removesuffix(" hour") not in CLOCKS]
    if feed.time is not None:
        values[TIME_OF_DAY] = time_of_day(columns[feed.time])
    for reference, listed in lists:
        found, words = looked_up(reference, listed, columns)
        values.update(found)
        titles += words
    yield from associations(values, titles)


def _together(declared: Sequence[Column], present: Mapping[str, NDArray[np.bool_]]) -> Measured:
    """Of the rows that have one column, the share that has the other, for columns that may be blank."""
    blank = [c for c in declared if c.empty][:MOST_COMPARED]
    for one in blank:
        n = int(present[one.name].sum())
        for other in blank if n >= SLICE_ROWS else ():
            # Whether anything happened depends on the day, and so does what came of what was planned.
            if one is not other and one.outcome == other.outcome:
                yield f"with|{other.name}|{one.name}", (float(present[other.name][present[one.name]].mean()), n)


def _full_units(name: str, moments: NDArray[np.datetime64]) -> Measured:
    """How much lies on full days, hours and minutes: a cast to a date, a join by the hour. Zones differ by hours."""
    seconds = moments.astype("datetime64[s]").astype(np.int64)
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)) if len(seconds) >= SLICE_ROWS else ():
        yield f"single|{name}|full {unit}", (float(np.mean(seconds % size == 0)), len(seconds))


def _single_values(name: str, values: NDArray[np.float64]) -> Measured:
    """How much lies on zero, on the commonest value, on the least and the greatest, on round numbers; and where."""
    n = len(values)
    if n < SLICE_ROWS:
        return
    distinct, counts = np.unique(values, return_counts=True)
    yield f"single|{name}|distinct", (len(distinct) / n, n)
    yield f"single|{name}|commonest", (float(counts.max() / n), n)
    if len(distinct) == 1:
        return  # the day's own attribute, such as its weather: what it is on one day says nothing of the next
    yield f"single|{name}|zero", (float(np.mean(values == 0)), n)
    # Nothing is the least of many things, and says so under its own name.
    for what, at in (("least", 0), ("greatest", -1)):
        if distinct[at] != 0:
            yield f"single|{name}|{what}", (float(counts[at] / n), n)
    yield f"single|{name}|whole", (float(np.mean(values % 1 == 0)), n)
    yield f"single|{name}|negative", (float(np.mean(values < 0)), n)
    for step in (5, 10):
        yield f"single|{name}|multiple of {step}", (float(np.mean((values % step == 0) & (values != 0))), n)
    lowest, low, middle, high, highest = np.quantile(values, (_TAIL, 0.1, 0.5, 0.9, 1 - _TAIL))
    yield f"tail|{name}|lower", (float(lowest), n)
    yield f"tail|{name}|upper", (float(highest), n)
    if len(distinct) <= FEW_VALUES:
        # Its quantiles jump from one value to the next; how much lies on each is measured.
        for value, count in zip(distinct.tolist(), counts.tolist(), strict=True):
            if count >= SELDOM * n:
                yield f"worth|{name}={value:g}", (count / n, n)
        return
    yield f"level|{name}|median", (float(middle), n)
    yield f"level|{name}|lower tenth", (float(low), n)
    yield f"level|{name}|upper tenth", (float(high), n)
