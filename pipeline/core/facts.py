"""Facts that must agree: what a use case knows of its data beyond one column's range.

A unit that changed, a sign that flipped, a clock that shifted: each leaves every single column plausible and breaks
an identity between columns. Such identities hold to the last row on sound data, so they ring on the first day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Beyond this, neighbouring whole numbers are one and the same float.
MOST_EXACT = 2**53
#: One day's rows of one table: column to aligned values. Numbers and integers are floats with NaN where absent,
#: strings are objects with None, dates ``datetime64[D]`` and timestamps ``datetime64[us]`` in UTC, with NaT.
Columns = Mapping[str, NDArray[Any]]


class DayColumns(dict[str, NDArray[Any]]):
    """:data:`Columns` in which whole numbers that a float can't hold are kept beside it, as they are.

    Attributes:
        whole: Integer column with a value beyond 2**53 to its values as Python's integers, None where absent. Only to
            name things by: what calculates takes the floats.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]], whole: Mapping[str, NDArray[np.object_]]) -> None:
        super().__init__(columns)
        self.whole = whole


def exact(columns: Columns, name: str) -> NDArray[Any]:
    """The column's values, none of them rounded: integers beyond 2**53 as objects, all else as in ``columns``."""
    whole: Mapping[str, NDArray[Any]] = getattr(columns, "whole", {})
    return whole[name] if name in whole else columns[name]


def number_word(value: float) -> str:
    """A number as text: a whole one with all its digits, another one with twelve."""
    return f"{value:.0f}" if value.is_integer() and abs(value) <= MOST_EXACT else f"{value:.12g}"


@dataclass(frozen=True, slots=True)
class Fact:
    """An identity within one row of a table.

    Attributes:
        name: What agrees, in a few words: ``"arrival = schedule + delay"``.
        about: The table.
        holds: Columns to one truth per row that the fact speaks of; rows where a part is absent are left out.
        why: What it means when it does not hold.
        share: How large a share of those rows must hold.
    """

    name: str
    about: str
    holds: Callable[[Columns], NDArray[np.bool_]]
    why: str
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"fact '{self.name}': the share that must hold lies in (0, 1], got {self.share}")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A number that its row's other columns determine, day after day: the distance of a route.

    Attributes:
        name: What is fixed, in a few words.
        about: The table.
        given: The columns that determine it.
        value: The column that they determine.
        why: What it means when it moves.
        tolerance: By how much, relative to the value known before, it may differ.
        share: How large a share of the rows with a known value must agree.
        known: How large a share of the rows must have a combination of ``given`` that was seen before.
    """

    name: str
    about: str
    given: tuple[str, ...]
    value: str
    why: str
    tolerance: float = 0.01
    share: float = 0.99
    known: float = 0.8


#: Questions whose findings name a declared column, each by itself.
OF_ONE_COLUMN = ("values gone", "varies", "unit", "scale", "stuck columns", "tails", "levels", "sequences")
#: Questions about a table whose findings name the columns, and mostly the values, that they are about.
OF_COLUMNS = (
    "values gone",
    "varies",
    "unit",
    "scale",
    "stuck columns",
    "volume",
    "blanks",
    "single values",
    "outcomes",
    "levels",
    "slices",
    "relations",
    "associations",
    "sequences",
    "own past",
    "slow shifts",
    "tails",
    "said before",
    "rewritten content",
)
#: So many days an excuse for all that such a question may ever find may last.
MOST_WHOLE = 31


@dataclass(frozen=True, slots=True)
class Excuse:
    """A change that is real, named by a person: what it covers is still told and no longer stops its days.

    It covers one column, or one value of it, and leaves the rest of the question awake: that a plan is sold no more
    says nothing of the next column that goes missing. The finding of a refused day tells the line to add.

    Attributes:
        finding: The finding's name, such as ``"flights: values gone"``.
        first: The first day that it may stop no longer.
        last: The last one.
        why: What happened in the world.
        column: The column that it covers, as the finding names it: ``"carrier"``; two that belong together as
            ``"temp and dewp"``, the rows of a table as ``"number of rows"``. Empty: all that the question finds, which
            a question about columns allows for a month at most.
        value: The one value of the column that it covers, ``"WN"``, or a slice, ``"origin=JFK"``. Empty: the column.

    Raises:
        ValueError: It ends before it begins, has no reason, names a value without a column, or covers a whole question
            about columns for longer than a month.
    """

    finding: str
    first: date
    last: date
    why: str
    column: str = ""
    value: str = ""

    def __post_init__(self) -> None:
        if self.first > self.last or not self.why:
            raise ValueError(f"an excuse for '{self.finding}' needs first <= last and a reason why")
        if self.value and not self.column:
            raise ValueError(f"an excuse for '{self.finding}' names the value '{self.value}' and not of which column")
        days = (self.last - self.first).days + 1
        if not self.column and self.question in OF_COLUMNS and days > MOST_WHOLE:
            raise ValueError(
                f"an excuse for all of '{self.finding}' may last {MOST_WHOLE} days and this one lasts {days}: name the "
                f"column that it is about, column=…, or let it end sooner"
            )

    @property
    def question(self) -> str:
        """The finding's name without its table."""
        return self.finding.partition(": ")[2]

    def covers(self, finding: str, column: str = "", value: str = "") -> bool:
        """Whether it speaks of that finding's part, whatever the day."""
        return self.finding == finding and self.column in ("", column) and self.value in ("", value)


def texts(columns: Columns, names: tuple[str, ...]) -> NDArray[np.object_]:
    """The columns' values joined into one text a row; None where any of them is absent."""
    parts = [exact(columns, name) for name in names]
    absent = np.zeros(len(parts[0]), dtype=bool)
    for part in parts:
        absent |= missing(part)
    joined = ["|".join(row) for row in zip(*(_words(part) for part in parts), strict=True)]
    result = np.array(joined, dtype=object)
    result[absent] = None
    return result


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values are absent."""
    if values.dtype == object:
        return np.array([value is None for value in values], dtype=np.bool_)
    return np.asarray(np.isnat(values) if values.dtype.kind == "M" else np.isnan(values), dtype=np.bool_)


def _words(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind == "f":
        return [number_word(value) for value in values.tolist()]
    return [str(value) for value in values]
