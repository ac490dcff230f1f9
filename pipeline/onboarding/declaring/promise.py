"""On what share of the days to come the suite and the checks will ring, as far as a history can promise that.

The newer days are days to come to what was made from the older ones. Alarms last: days that ring one after the other
ring for one cause, so they say as much as one of them, and what is promised is a range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from scipy import stats

from pipeline.core.words import count, first_few, percent
from pipeline.onboarding.notes import Note

#: How sure the range is.
_SURE = 0.95
#: How long an alarm is taken to last where none was seen, in days: until somebody has looked and mended it.
_LASTS = 2


@dataclass(frozen=True, slots=True)
class Promise:
    """What the newer days showed.

    Attributes:
        asked: Newer days that both were asked about.
        rang: Those of them that either would refuse.
        low, high: The share of the days to come that it leaves open, from 0 to 1.
    """

    asked: int
    rang: int
    low: float
    high: float


def promise_of(asked: Collection[date], suite: Collection[date], checks: Mapping[date, Sequence[str]]) -> Promise:
    """What the newer days let expect.

    Args:
        asked: Newer days that both were asked about.
        suite: The days that the suite refuses.
        checks: The days that the product's own checks refuse, and by what.
    """
    days = sorted(asked)
    rung = [day in suite or day in checks for day in days]
    alarms = sum(now and not before for before, now in zip([False, *rung], rung, strict=False))
    lasts = max(_LASTS, sum(rung) / alarms) if alarms else _LASTS
    # As many days as there are of alarms that last so long.
    n = max(1, round(len(days) / lasts))
    low, high = stats.binomtest(min(n, round(sum(rung) / lasts)), n).proportion_ci(_SURE)
    return Promise(len(days), sum(rung), float(low), float(high))


def told(promise: Promise, checks: Mapping[date, Sequence[str]], newer: int, notes: list[Note]) -> None:
    """Say what the checks refused, and what is promised of both."""
    text = (
        f"without any suite, the product's own checks refuse {len(checks)} of {count(newer, 'newer day')} "
        f"({percent(len(checks) / max(newer, 1))})"
    )
    if checks:
        text += f": {first_few([f'{day}: {first_few(names)}' for day, names in checks.items()])}"
    notes.append(Note("checks", text, review=bool(checks)))
    text = (
        f"of {count(promise.asked, 'newer day')}, which had no part in what was made for it, suite and checks together "
        f"refuse {promise.rang} ({percent(promise.rang / max(promise.asked, 1))}); expect {percent(promise.low)} to "
        f"{percent(promise.high)} of the days to come, sound ones among them"
    )
    notes.append(Note("promise", text, review=promise.rang > 0))
