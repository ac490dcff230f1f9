"""Which days train and which day is scored. Nothing here can look ahead: the scored day is never a training day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Days:
    """A run of calendar days, both ends included.

    Raises:
        ValueError: The first lies after the last.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"a run of days needs first <= last, got {self.first} and {self.last}")

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(n) for n in range(len(self)))

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"

    def back(self, days: int) -> Days:
        """The same run, begun ``days`` earlier: what features of these days need to see."""
        return Days(self.first - timedelta(days), self.last)


def scored_day(data_day: date, label_delay: int) -> date:
    """The newest day whose labels are mature when ``data_day`` has closed, labels taking ``label_delay`` days."""
    return data_day - timedelta(label_delay)


def training_days(scored: date, window: int) -> Days:
    """The ``window`` days before the scored day. The scored day tests; tomorrow it trains.

    Raises:
        ValueError: The window has no day.
    """
    if window < 1:
        raise ValueError(f"a training window has at least one day, got {window}")
    return Days(scored - timedelta(window), scored - timedelta(1))


def evidence_days(scored: date, window: int) -> Days:
    """The ``window`` days that end with the scored day: what the gates read of the score ledger.

    Raises:
        ValueError: The window has no day.
    """
    if window < 1:
        raise ValueError(f"an evidence window has at least one day, got {window}")
    return Days(scored - timedelta(window - 1), scored)
