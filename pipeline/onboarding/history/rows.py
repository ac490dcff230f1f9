"""The rows of a history, sorted by day and unit, and the days they are of."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.words import first_few

#: The share of the days, the oldest, that suites and choices are made from; the newer rest checks them.
OLDER = 0.7


@dataclass(frozen=True)
class History:
    """The rows, sorted by day and unit.

    Attributes:
        rows: Columns of text, ``int64``, ``float64``, ``date32`` or ``timestamp[us, UTC]``.
        day: The date column.
        time: The timestamp column of the event, if the time is more than a date.
        unit: The unit's columns.
        target: The target's column.
        zone: IANA name of the days.
        given: The day of each row of the file, left out or not; NaT where it has no time.
        names: Column of the file to its name here, of those that are kept.
        naive: Whether a moment in the file names no zone.
    """

    rows: pa.Table
    day: str
    time: str | None
    unit: tuple[str, ...]
    target: str
    zone: str
    given: NDArray[np.datetime64] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    naive: bool = False

    @cached_property
    def dates(self) -> NDArray[np.datetime64]:
        """The day of each row."""
        return np.asarray(self.rows[self.day].to_numpy(), dtype="datetime64[D]")

    @cached_property
    def calendar(self) -> tuple[date, ...]:
        """The days that have rows, oldest first."""
        days: list[date] = np.unique(self.dates).tolist()
        return tuple(days)

    @cached_property
    def split(self) -> date:
        """The first of the newer days."""
        return self.calendar[round(OLDER * len(self.calendar))]

    @cached_property
    def newer(self) -> NDArray[np.bool_]:
        """Which rows are of the newer days."""
        return np.asarray(self.dates >= np.datetime64(self.split), dtype=np.bool_)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The number of each row's day in the calendar."""
        return np.unique(self.dates, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each day of the calendar."""
        return np.unique(self.dates, return_counts=True)[1].astype(np.int64)

    @cached_property
    def lost(self) -> float:
        """The largest share of a day's rows that was left out."""
        if self.given is None:
            return 0.0
        days, counts = np.unique(self.given[~np.isnat(self.given)], return_counts=True)
        there = dict(zip(self.calendar, self.sizes.tolist(), strict=True))
        shares = [1 - there.get(day, 0) / n for day, n in zip(days.tolist(), counts.tolist(), strict=True)]
        return float(max(shares, default=0.0))

    def of(self, day: date) -> pa.Table:
        """The rows of one day."""
        low, high = np.searchsorted(self.dates, [np.datetime64(day), np.datetime64(day + timedelta(1))])
        return self.rows.slice(int(low), int(high - low))


def column(table: pa.Table, name: str, what: str) -> pa.Array:
    """The column of that name.

    Raises:
        UsageError: There is none; the nearest names are told.
    """
    if name in table.column_names:
        return table[name].combine_chunks()
    by_case = {known.casefold(): known for known in table.column_names}
    near = [by_case[n] for n in difflib.get_close_matches(name.casefold(), by_case, 3, 0.5)]
    hint = f"the nearest: {', '.join(near)}" if near else f"it has {first_few(table.column_names, 8)}"
    raise UsageError(f"the history has no column '{name}' for --{what}; {hint}", "COLUMN")
