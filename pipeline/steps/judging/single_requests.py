"""A few of the day's units computed as single requests: the same inputs as on the day's table, and nothing leaks.

A request has its own row, of the reference tables the day's snapshot, and of the past what was known at its moment.
Features that come out the same from that as from the whole day use nothing else, so one computation answers both
questions. Where they differ, the point-in-time audit lives the moments again with the whole day's units, and tells
what leaks from what is merely computed otherwise alone.
"""

from __future__ import annotations

import logging
import math
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from pipeline.core.ports import Units
from pipeline.core.tables import Column
from pipeline.core.usecase import Tables, Usecase
from pipeline.core.verdict import Outcome
from pipeline.steps.judging.point_in_time import absent, audit, tables_as_of
from pipeline.steps.models.frames import plain

log = logging.getLogger(__name__)

#: How many units of a day; each costs one computation of the features over the history.
REQUESTS = 2
#: Fewer rows may be added up in another order; what differs by no more than this share is the same number.
NUMBER_TOLERANCE = 1e-9
GOLDEN_RATIO = (5**0.5 - 1) / 2


class RequestAudit(NamedTuple):
    """What came of computing some units alone: fields of :class:`~pipeline.core.evidence.measurements.Audited`.

    Attributes:
        requests: How many units were computed as one request each; 0 where that failed.
        differs: A sentence for each input that came out otherwise than on the day's table.
        lived: How many units were computed without what became known later.
        leaks: A sentence about the features that use what was not yet known; empty where none does.
        silent: Why there is no answer, as a clause; empty where there is one.
    """

    requests: int = 0
    differs: tuple[str, ...] = ()
    lived: int = 0
    leaks: tuple[str, ...] = ()
    silent: str = ""


def audit_single_requests(
    usecase: Usecase, tables: Tables, units: Units, day: date, requests: int = REQUESTS
) -> RequestAudit:
    """Compute some units of ``day`` alone, at moments spread over it: on other days at other moments.

    Args:
        usecase: The use case.
        tables: What the features of the day are computed from, with all that became known later.
        units: The day's units, as the engine computed them on the day's table.
        day: The day.
        requests: How many units.
    """
    chosen = _chosen(units, day, requests)
    if not chosen:
        return RequestAudit(silent=f"there is no unit on {day} to look at")
    differs: list[str] = []
    try:
        for row in chosen:
            differs += _differences(usecase, tables, units, row, day)
    except MemoryError:
        raise
    except Exception as error:  # whatever a use case's own code raises when it sees one row
        log.exception("%s: the features of a single request can't be computed", usecase.name)
        silent = f"the features of one request can't be computed: {type(error).__name__}: {error}"
        return _lived_again(usecase, tables, day, RequestAudit(silent=" ".join(silent.split())))
    if differs:
        return _lived_again(usecase, tables, day, RequestAudit(len(chosen), tuple(differs)))
    return RequestAudit(len(chosen), lived=len(chosen))


def _chosen(units: Units, day: date, requests: int) -> list[int]:
    """Rows of the units to look at: the middle one at each of some moments, one in each part of the day."""
    moments = np.unique(units.predicted_at)
    if not len(moments) or requests < 1:
        return []
    # Multiples of the golden ratio fill the gap between 0 and 1 more evenly than chance: so do the days their parts.
    within = day.toordinal() * GOLDEN_RATIO % 1
    moment_indices = sorted({int((part + within) / requests * len(moments)) for part in range(requests)})
    rows_at_moment = [np.flatnonzero(units.predicted_at == moments[index]) for index in moment_indices]
    return [int(rows[len(rows) // 2]) for rows in rows_at_moment]


def _differences(usecase: Usecase, tables: Tables, units: Units, row: int, day: date) -> list[str]:
    """What comes out otherwise for one unit; looked up by key first, which is cheaper and asks for more."""
    moment: datetime = units.predicted_at[row].astype("datetime64[us]").item()
    key = str(units.keys[row])
    wanted = plain(units.inputs, row)
    differences: list[str] = []
    for lookups in (True, False):
        alone_inputs = _alone(usecase, tables, moment, day, key, lookups)
        who = f"{key} predicted at {moment:%Y-%m-%d %H:%M} UTC"
        differences = [
            f"{name} of {who} is {alone_inputs[name]} alone, {value} on the day's table"
            for name, value in wanted.items()
            if not _same(alone_inputs[name], value)
        ]
        if not differences:
            break
    return differences


def _alone(usecase: Usecase, tables: Tables, moment: datetime, day: date, key: str, lookups: bool) -> dict[str, Any]:
    """The inputs of one unit, computed from what a request for it has."""
    request = _request(usecase, tables, moment, day, key, lookups)
    features = usecase.features(request).filter(nw.col("day") == nw.lit(day))
    rows = (
        features.select(*usecase.inputs, _key=_unit_name(usecase))
        .filter(nw.col("_key") == key)
        .collect()
        .rows(named=True)
    )
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows come out for the unit {key} of {day} alone, instead of one")
    return {name: _plain(rows[0][name]) for name in usecase.inputs}


def _request(usecase: Usecase, tables: Tables, moment: datetime, day: date, key: str, lookups: bool) -> Tables:
    """The tables of a request for one unit at its moment.

    Of the first feed, its own row and those of which something was known. With ``lookups`` a reference table that is
    joined to that feed holds the one row that the unit's key finds.
    """
    feed, *_ = usecase.feeds
    is_this_unit = (nw.col("day") == nw.lit(day)) & (_unit_name(usecase) == key)
    if lookups:
        own_rows = tables[feed.name].filter(is_this_unit).collect()
        if len(own_rows) != 1:
            raise ValueError(
                f"the feed '{feed.name}' has {len(own_rows)} rows of the unit {key} on {day}, instead of one"
            )
        for reference in usecase.references:
            about, columns = reference.joined_by
            if about == feed.name:
                values = zip(reference.key, (own_rows[column][0] for column in columns), strict=True)
                hit = [nw.col(name).is_null() if _plain(v) is None else nw.col(name) == v for name, v in values]
                tables = {**tables, reference.name: tables[reference.name].filter(*hit)}
    known = tables_as_of(usecase, tables, moment, day)
    clocks = sorted({"known_at", *(column.known for column in feed.columns if column.outcome)})
    happened = reduce(or_, (~nw.col(clock).is_null() for clock in clocks))
    return {**known, feed.name: known[feed.name].filter(is_this_unit | happened)}


def _lived_again(usecase: Usecase, tables: Tables, day: date, requests: RequestAudit) -> RequestAudit:
    """The same with the audit's answer: which of it leaks."""
    try:
        audited = audit(usecase, tables, day, moments=REQUESTS)
    except MemoryError:
        raise
    except Exception as error:
        log.exception("%s: the moments of %s can't be lived again", usecase.name, day)
        why = requests.silent or f"the moments of {day} can't be lived again: {type(error).__name__}: {error}"
        return requests._replace(silent=" ".join(why.split()))
    leaks = (audited.text,) if audited.outcome is Outcome.FAIL else ()
    return requests._replace(lived=audited.counts["units"], leaks=leaks)


def _unit_name(usecase: Usecase) -> nw.Expr:
    """The unit's name, as the engine writes it."""
    columns = {column.name: column for column in usecase.feeds[0].columns}
    return nw.concat_str(*(_word(columns[name]) for name in usecase.unit), separator=" ")


def _word(column: Column) -> nw.Expr:
    if column.type == "timestamp":
        whole = nw.col(column.name).dt.to_string("%Y-%m-%d %H:%M:%S")
        part = nw.col(column.name).dt.to_string("%6f").str.strip_chars_end("0")
        return nw.when(part == "").then(whole).otherwise(nw.concat_str(whole, nw.lit("."), part))
    return nw.col(column.name).cast(nw.String)


def _plain(value: Any) -> Any:
    """One value for what is absent, whatever the engine calls it; numbers as floats."""
    if absent(value):
        return None
    return value if isinstance(value, str) else float(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=NUMBER_TOLERANCE, abs_tol=NUMBER_TOLERANCE)
    return bool(one == other)
