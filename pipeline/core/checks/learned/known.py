"""What the learned limits are: of each measure what is usual, and which values would refuse a day by themselves.

Nothing is judged here: it is what a person reads who asks why a day was refused, or whether a fault would have been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from pipeline.core.checks.learned.families import family_of
from pipeline.core.checks.learned.measures import Measures
from pipeline.core.checks.learned.question import FamilyLimits, limit_of
from pipeline.core.checks.learned.relevance import Table, too_small
from pipeline.core.checks.learned.scales import plain, scaled
from pipeline.core.checks.learned.surprise import Predicted, Surprise, predicted

#: A value that is as odd as the limit and still too small a change to matter is followed so far, in limits.
_FOLLOWED = tuple(np.geomspace(1.0, 30.0, 37).tolist())


@dataclass(frozen=True, slots=True)
class KnownLimit:
    """One learned limit.

    Attributes:
        family: Its question, such as ``blanks``.
        measure: What is measured.
        value: What it was on the newest day.
        usual: What is expected of the day.
        low, high: The nearest values below and above that would refuse a day by themselves; None: none would.
        days: On how many accepted days it stands.
    """

    family: str
    measure: str
    value: float
    usual: float
    low: float | None
    high: float | None
    days: int


def known_limits(
    day: date, now: Measures, past: Mapping[date, Measures], surprise_before: Sequence[Mapping[str, float]]
) -> list[KnownLimit]:
    """The limits that a day is held to, by question and measure.

    Args:
        day: The day.
        now: Its measures.
        past: Accepted day to its measures, oldest first.
        surprise_before: The largest surprises of accepted days by family, oldest first.
    """
    made = predicted(day, now, past)
    if made is None:
        return []
    families = [family_of(name) for name in made.table.names]
    seen = sum(then.weekday() == day.weekday() for then in past)
    by_family = {family: limit_of(family, surprise_before, seen) for family in set(families)}
    held_to = [by_family[family] for family in families]
    low, high = (_nearest(made, held_to, sign) for sign in (-1, 1))
    asked = np.isfinite(made.spread) & np.isfinite(made.center)
    return [
        KnownLimit(
            families[n],
            made.table.names[n],
            float(made.table.values[-1, n]),
            float(made.usual[n]),
            low[n],
            high[n],
            int(made.days[n]),
        )
        for n in sorted(np.flatnonzero(asked).tolist(), key=lambda n: (families[n], made.table.names[n]))
        if low[n] is not None or high[n] is not None
    ]


def _nearest(made: Predicted, held_to: Sequence[FamilyLimits], sign: int) -> list[float | None]:
    """The nearest value on one side that a day is refused for by itself; None where none is within reach."""
    table, found = made.table, np.full(len(held_to), np.nan)
    far = np.array([limit.alone for limit in held_to])
    for times in _FOLLOWED:
        values = plain(table.kinds, made.center + sign * times * far * made.spread)
        there = table.values.copy()
        there[-1] = values
        trial = Table(table.names, there, table.counts, table.rows)
        # A share ends at nothing and at all: what lies beyond that is no value. The least bit more is beyond the limit.
        size = (scaled(table.kinds, values[None])[0] - made.center) / made.spread * (1 + 1e-6)
        asked = (np.sign(values - made.usual) == sign) & ~too_small(trial, made.usual, made.in_a_day, made.error)
        for n in np.flatnonzero(asked & np.isnan(found)).tolist():
            one = Surprise(table.names[n], float(values[n]), float(made.usual[n]), float(size[n]), int(made.days[n]))
            found[n] = values[n] if held_to[n].rings(one, before=0) else np.nan
    return [None if np.isnan(value) else float(value) for value in found]
