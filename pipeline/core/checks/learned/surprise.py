"""How unusual each measure of a day is, from the accepted days alone.

The value of a day is predicted from the days before it, by whichever of a few plain rules has done best on those days
(the last days, the last week, the last two, the same weekdays). How far past days strayed from their own predictions
says how far a day may stray: its *surprise* is its distance in units of that spread.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import ROWS, SELDOM, Measures
from pipeline.core.checks.learned.relevance import Table, floor_of, too_small
from pipeline.core.checks.learned.scales import noise_of, plain, scaled
from pipeline.core.checks.learned.slices import CLOCKS

#: Days before a measure's first prediction, and predictions that a limit needs.
_WARM, _PREDICTED = 4, 5
NEEDED = _WARM + _PREDICTED
"""Accepted days that learned limits need."""
#: For how many days' evidence the spread by chance alone counts.
_CHANCE_DAYS = 3
#: From how many accepted days of the same part of the week on the others say nothing: a shop's Sundays are unlike its
#: other days, and would lend them their spread.
_ALIKE = 14
#: The kinds that are measured of each word or value that is there often enough.
_COUNTED = ("share|", "worth|")
BY_HOURS = ("share|hours", "clock|hours")
"""Under what names the hours of a day are odd: how many rows each has, and whether all are earlier or later."""


@dataclass(frozen=True, slots=True)
class Surprise:
    """How unusual one measure of a day is.

    Attributes:
        measure: Its name.
        value: The measure.
        usual: What it was predicted to be.
        size: How many spreads it is away, with its sign.
        days: On how many accepted days that stands.
    """

    measure: str
    value: float
    usual: float
    size: float
    days: int


def surprises(made: Predicted | None) -> list[Surprise]:
    """How unusual each measure of a day is that the past lets predict and that is worth asking."""
    if made is None:
        return []
    table = made.table
    size = (made.on_scale - made.center) / made.spread
    asked = (made.days >= _PREDICTED) & np.isfinite(size) & ~too_small(table, made.usual, made.in_a_day, made.error)
    found = [
        Surprise(table.names[n], float(table.values[-1, n]), float(made.usual[n]), float(size[n]), int(made.days[n]))
        for n in np.flatnonzero(asked).tolist()
    ]
    return _by_one_clock(found)


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was predicted of a day's measures, side by side.

    Attributes:
        table: The measures, of the past days and of the day.
        on_scale: The day's own, on their scales.
        center: What was predicted, on their scales.
        error: How far a day strays from its prediction.
        spread: The same after the days that have passed since the last accepted one.
        usual: What was predicted, in the measures' own units.
        in_a_day: The same after one day.
        days: On how many predictions each stands.
    """

    table: Table
    on_scale: NDArray[np.float64]
    center: NDArray[np.float64]
    error: NDArray[np.float64]
    spread: NDArray[np.float64]
    usual: NDArray[np.float64]
    in_a_day: NDArray[np.float64]
    days: NDArray[np.int64]

    def scaled_as(self, measure: str, value: float) -> float:
        """A value of a measure on its scale."""
        n = self.table.place[measure]
        return float(scaled(self.table.kinds[n : n + 1], np.array([[value]]))[0, 0])

    def size_of(self, measure: str, value: float) -> float:
        """How many spreads a value of a measure would be away."""
        n = self.table.place[measure]
        return float((self.scaled_as(measure, value) - self.center[n]) / self.spread[n])

    def usual_by_name(self) -> dict[str, float]:
        """Measure to its prediction."""
        return dict(zip(self.table.names, self.usual.tolist(), strict=True))


def predicted(
    day: date,
    now: Measures,
    past_by_day: Mapping[date, Measures],
    provisional: Collection[str] = (),
    alarming: Collection[str] = (),
) -> Predicted | None:
    """What the accepted days let predict of a day; None where that is nothing.

    Args:
        day: The data day.
        now: Its measures.
        past_by_day: Accepted day to its measures, oldest first.
        provisional: Measures whose value of the last accepted day is not counted yet.
        alarming: Measures that were odd when they were last judged.
    """
    days, past = list(past_by_day), list(past_by_day.values())
    names = sorted({*now, *(name for then in past[-14:] for name in then if name.startswith(_COUNTED))})
    if len(past) < NEEDED or not names:
        return None
    values, counts = _table(names, [*past, now])
    values[-2, [remembered_as(name) in provisional for name in names]] = np.nan
    gap = max(1.0, (day - days[-1]).days)
    alike = np.array([part_of_week(then) == part_of_week(day) for then in days])
    if alike.sum() >= _ALIKE:
        days = [then for then, same in zip(days, alike, strict=True) if same]
        values, counts = values[np.append(alike, True)], counts[np.append(alike, True)]
    known = np.isfinite(values)
    enough = (known[:-1].sum(axis=0) >= NEEDED) & (known[-8:-1].sum(axis=0) >= 4) & known[-1]
    # What could not be measured on most days of this weekday, as on closed Sundays, is nothing to expect of one.
    same = np.array([then.weekday() == day.weekday() for then in days])
    if same.sum() >= 2:
        enough &= known[:-1][same].mean(axis=0) >= 0.5
    names = [name for name, good in zip(names, enough, strict=True) if good]
    if not names:
        return None
    table = Table(names, _unwrapped(names, values[:, enough]), counts[-1, enough], now[ROWS][0])
    on_scale = _without_gaps(scaled(table.kinds, table.values))
    center, error, made = _predicted(on_scale, known[:, enough], [*days, day])
    spread = _spread(np.abs(error), made, noise_of(table.kinds, table.counts), floor_of(table))
    in_a_day = plain(table.kinds, center)
    center = np.where(table.kinds == "changed", _after(center, gap), center)
    # While days are refused for something else, what all else is compared with grows old; what rings stays as it is.
    aged = np.where([remembered_as(name) in alarming for name in table.names], 1.0, gap)
    usual = plain(table.kinds, center)
    return Predicted(table, on_scale[-1], center, spread, spread * aged, usual, in_a_day, made)


def remembered_as(measure: str) -> str:
    """Under what name a measure is odd: hours under one, since another clock may be the calmest on the next day."""
    if measure.startswith("clock|"):
        return BY_HOURS[1]
    return BY_HOURS[0] if measure.startswith("share|") and " hour=" in measure else measure


def _predicted(
    values: NDArray[np.float64], known: NDArray[np.bool_], days: Sequence[date]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The last day's prediction by each measure's best rule, that rule's past errors, and how many it made."""
    by_rule = _predictions(values, known, days)
    errors = np.where(known[None], values[None] - by_rule, np.nan)[:, :-1]
    errors[:, :_WARM] = np.nan
    # Sundays are few: a rule that has done well on all days and badly on them is no rule for a Sunday.
    alike = np.array([part_of_week(then) == part_of_week(days[-1]) for then in days[:-1]])
    best = np.argmin(np.array([_strays(np.abs(by_one)) + _mean(np.abs(by_one[alike])) for by_one in errors]), axis=0)
    pick = np.arange(values.shape[1])
    error = errors[best, :, pick].T
    return by_rule[best, -1, pick], error, np.isfinite(error).sum(axis=0)


def part_of_week(day: date) -> int:
    """0 from Monday to Friday, 5 on Saturday, 6 on Sunday."""
    return 0 if day.weekday() < 5 else day.weekday()


def _spread(
    errors: NDArray[np.float64], made: NDArray[np.int64], noise: NDArray[np.float64], floor: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far a day may stray, by its past errors.

    What chance alone would bring counts as a few days' evidence: a share that has never moved is no dealing of cards.
    """
    seen = _strays(errors)
    pooled = np.sqrt((made * seen**2 + _CHANCE_DAYS * noise**2) / (made + _CHANCE_DAYS))
    return np.asarray(np.maximum(pooled * (1 + 2 / np.maximum(made, 1)), floor))


def _after(center: NDArray[np.float64], days: float) -> NDArray[np.float64]:
    """What share has changed after so many days, where so large a one changes in one."""
    in_one = np.sin(np.clip(center, 0, np.pi / 2)) ** 2
    return np.asarray(np.arcsin(np.sqrt(1 - (1 - in_one) ** days)))


def _mean(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    made = np.isfinite(errors).sum(axis=0)
    return np.asarray(np.nansum(errors, axis=0) / np.maximum(made, 1))


def _strays(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The spread that past errors show: by the middle, the ninth tenth or a third of the largest, by which is most."""
    ordered = np.sort(errors, axis=0)  # what is not a number comes last
    made = np.isfinite(errors).sum(axis=0)
    pick = np.arange(errors.shape[1])

    def quantile(share: float) -> NDArray[np.float64]:
        return np.asarray(ordered[np.ceil((made - 1).clip(0) * share).astype(int), pick])

    spread = np.maximum(np.maximum(1.4826 * quantile(0.5), quantile(0.9) / 1.645), quantile(1.0) / 3)
    return np.where(made > 0, spread, np.inf)


def _by_one_clock(found: list[Surprise]) -> list[Surprise]:
    """Hours are counted by several clocks, and are odd only if all say so: some of them are put forward in spring."""
    by_clock: dict[str, list[Surprise]] = {clock: [] for clock in ("local", *CLOCKS)}
    others: list[Surprise] = []
    for one in found:
        clock = one.measure.split("|")[1].partition(" hour=")[0] if remembered_as(one.measure) in BY_HOURS else ""
        by_clock.get(clock, others).append(one)
    calmest = min(by_clock.values(), key=lambda ones: max((abs(one.size) for one in ones), default=0.0))
    return [*others, *calmest]


def _table(names: Sequence[str], measured: Sequence[Measures]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.full((len(measured), len(names)), np.nan)
    counts = np.ones_like(values)
    counted = {name: _counted_of(name) for name in names}
    columns = np.array(list(counted.values()))
    nothing = (math.nan, 1)
    for place, one in enumerate(measured):
        found = [one.get(name, nothing) for name in names]
        values[place], counts[place] = [value for value, _ in found], [n for _, n in found]
        # A word that is not measured came too seldom for it.
        measured_of = {counted[name] if name in counted else _counted_of(name) for name in one} - {""}
        absent = np.isin(columns, list(measured_of)) & np.isnan(values[place])
        values[place, absent], counts[place, absent] = SELDOM / 2, one[ROWS][1]
    return values, counts


def _counted_of(name: str) -> str:
    """Of what a measure counts a word; nothing for those that count none."""
    return name.partition("=")[0] if name.startswith(_COUNTED) else ""


def _unwrapped(names: Sequence[str], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hours of the day within twelve of the last known ones: half past midnight comes after half past eleven."""
    for n, name in enumerate(names):
        if name.startswith("clock|"):
            known = values[:-1, n][np.isfinite(values[:-1, n])]
            values[:, n] = known[-1] + (values[:, n] - known[-1] + 12) % 24 - 12
    return values


def _without_gaps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaps take the value before them (the first ones the first value), so that windows of days have one size."""
    there = np.isfinite(values)
    place = np.where(there, np.arange(len(values))[:, None], -1)
    place = np.maximum.accumulate(place, axis=0)
    first = np.argmax(there, axis=0)
    place = np.where(place < 0, first[None], place)
    return np.take_along_axis(values, place, axis=0)


def _predictions(values: NDArray[np.float64], known: NDArray[np.bool_], days: Sequence[date]) -> NDArray[np.float64]:
    """For each rule, each day's prediction from the days before it: (rules, days, measures)."""
    n, m = values.shape
    result = np.full((4, n, m), np.nan)
    for rule, width in enumerate((3, 7, 14)):
        for place in range(1, min(width, n)):
            result[rule, place] = np.median(values[:place], axis=0)
        if n > width:
            windows = np.sort(sliding_window_view(values[:-1], width, axis=0), axis=-1)
            result[rule, width:] = (windows[..., (width - 1) // 2] + windows[..., width // 2]) / 2
    weekdays = np.array([day.weekday() for day in days])
    for place in range(1, n):
        same = np.flatnonzero(weekdays[:place] == weekdays[place])[-4:]
        if len(same) >= 2:
            # What is not known comes last, and where none is, a NaN is the middle.
            ordered = np.sort(np.where(known[same], values[same], np.nan), axis=0)
            last = np.maximum(known[same].sum(axis=0) - 1, 0)
            low, high = (np.take_along_axis(ordered, one[None], axis=0)[0] for one in (last // 2, (last + 1) // 2))
            result[3, place] = (low + high) / 2
    return result
