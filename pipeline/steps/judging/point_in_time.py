"""The point-in-time audit: do the features of a unit use only what was known when it was predicted?

No reading of code can tell. So a few moments of a day are lived again: everything that was not yet known is taken away
from the tables, the features are computed anew, and must come out the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import narwhals as nw
import numpy as np

from pipeline.core.usecase import Tables, Usecase
from pipeline.core.verdict import Finding, Outcome
from pipeline.core.words import count

#: How many of the leaks a sentence names.
SHOWN = 3


def tables_as_of(usecase: Usecase, tables: Tables, moment: datetime, day: date) -> Tables:
    """The tables as they were known at ``moment`` (UTC, without a zone), on ``day``.

    The units themselves are known ahead, up to the day; their outcomes from the moment on that each column names. A row
    of another feed is there from its ``known_at`` on. Of a reference table there are the snapshots up to the day.
    """
    feed, *others = usecase.feeds
    hidden = [column for column in feed.columns if column.outcome]
    clocks = {"known_at", *(column.known for column in hidden)}

    def known(clock: str, column: str) -> nw.Expr:
        return nw.when(nw.col(clock) <= moment).then(nw.col(column)).alias(column)

    def on_time(name: str) -> Any:
        return tables[name].filter(nw.col("day") <= nw.lit(day))

    blanked = on_time(feed.name)
    if hidden:
        blanked = blanked.with_columns(*(known(column.known, column.name) for column in hidden))
    return {
        feed.name: blanked.with_columns(*(known(clock, clock) for clock in sorted(clocks))),
        **{other.name: on_time(other.name).filter(nw.col("known_at") <= moment) for other in others},
        **{reference.name: on_time(reference.name) for reference in usecase.references},
    }


def audit(usecase: Usecase, tables: Tables, day: date, moments: int = 6) -> Finding:
    """Live ``moments`` moments of ``day`` again, spread from the first prediction of the day to the last.

    Args:
        usecase: The use case.
        tables: What the features of the day are computed from, with the feeds' ``known_at`` columns and with all that
            became known later.
        day: The day whose units are looked at.
        moments: How many of the day's prediction times to look at; each costs one computation of the features.
    """
    columns = tuple(dict.fromkeys((*usecase.inputs, *usecase.block, *usecase.slices, *usecase.keys)))
    name = "point in time"
    seen = _rows(usecase, tables, day, columns)
    times = sorted({unit[-1] for unit in seen})
    if not times or moments < 1:
        return Finding(name, Outcome.UNKNOWN, f"there is no unit on {day} to look at", counts={"units": 0})
    last = len(times) - 1
    chosen = [times[round(index * last / max(moments - 1, 1))] for index in range(moments)]
    leaks: list[str] = []
    looked = 0
    for moment in dict.fromkeys(chosen):
        then = _rows(usecase, tables_as_of(usecase, tables, moment, day), day, columns)
        for unit in sorted(unit for unit in seen if unit[-1] == moment):
            looked += 1
            leaks += _leaks(unit, seen[unit], then.get(unit))
    counts = {"units": looked, "moments": len(set(chosen)), "leaks": len(leaks)}
    if not leaks:
        text = (
            f"{count(looked, 'unit')} at {count(len(set(chosen)), 'moment')} had the same features without what became "
            f"known later"
        )
        return Finding(name, Outcome.PASS, text, counts=counts)
    more = f", and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
    text = f"features use what was not yet known: {'; '.join(leaks[:SHOWN])}{more}"
    return Finding(name, Outcome.FAIL, text, value=float(len(leaks)), counts=counts)


Row = Mapping[str, Any]


def _rows(usecase: Usecase, tables: Tables, day: date, columns: tuple[str, ...]) -> dict[tuple[Any, ...], Row]:
    """The features of one day: (unit, moment) to values."""
    features = usecase.features(tables).filter(nw.col("day") == nw.lit(day))
    wanted = tuple(dict.fromkeys((*usecase.unit, "predicted_at", *columns)))
    rows = features.select(*wanted).collect().rows(named=True)
    return {(*(row[column] for column in usecase.unit), row["predicted_at"]): row for row in rows}


def _leaks(unit: tuple[Any, ...], now: Row, then: Row | None) -> list[str]:
    *key, moment = unit
    who = f"{' '.join(map(str, key))} predicted at {moment:%Y-%m-%d %H:%M} UTC"
    if then is None:
        return [f"{who} is not there yet"]
    return [
        f"{column} of {who} is {now[column]} instead of {then[column]}"
        for column in now
        if not _same(now[column], then[column])
    ]


def _same(one: Any, other: Any) -> bool:
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """One value for what is absent, whatever the engine calls it."""
    return None if absent(value) else value


def absent(value: Any) -> bool:
    """Whether it is None, not a number, no moment, or what pandas says for a whole number that is missing."""
    if value is None:
        return True
    unequal = value != value  # noqa: PLR0124
    # Of that one even this question has no answer.
    return not isinstance(unequal, bool | np.bool_) or bool(unequal)
