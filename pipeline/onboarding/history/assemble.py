"""The history as the product will be given it: each row of a day, one row a day for a unit, sound names and cells."""

from __future__ import annotations

import pyarrow as pa

from pipeline.core.errors import UsageError
from pipeline.onboarding.history.cells import soundly_named, stored_cells
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import History, column
from pipeline.onboarding.history.times import as_moments, rows_with_a_time, with_day
from pipeline.onboarding.history.units import rows_with_a_unit, sorted_by_key, whole_number_units
from pipeline.onboarding.notes import Note

#: Days without which neither a model nor a suite could be checked on data it has not seen.
FEWEST = 15


def assemble(request: Request, table: pa.Table, notes: list[Note]) -> History:
    """Give every row its day and every column a sound name; what can't be used is refused, or left out and said.

    Raises:
        UsageError: The file cannot serve; the sentence says what would help.
    """
    for what, names in (("target", (request.target,)), ("time", (request.time,)), ("unit", request.unit)):
        for name in names:
            column(table, name, what)
    if request.target == request.time:
        raise UsageError(
            f"'{request.target}' can't be the target and the time at once; name another column with --target", "COLUMN"
        )
    unit = tuple(dict.fromkeys(name for name in request.unit if name != request.time))
    if not unit or request.target in (*unit, request.time):
        raise UsageError(
            f"--unit names what a prediction is about, by columns other than the time and the target; "
            f"got {', '.join(request.unit)}",
            "UNIT",
        )
    moments, zone = as_moments(table[request.time].combine_chunks(), request, notes)
    table = table.set_column(table.column_names.index(request.time), request.time, moments)
    table = rows_with_a_unit(rows_with_a_time(table, request.time, notes), unit, notes)
    table, unit = whole_number_units(table, unit)
    table, day, time = with_day(table, request.time, zone, notes)
    table, known_as = soundly_named(table, day, notes)
    day, time = known_as[day], known_as[time] if time else None
    unit = tuple(known_as[name] for name in unit)
    table = stored_cells(table, notes)
    target = known_as[request.target]
    table = sorted_by_key(table, (day, *unit), target, request, notes)
    history = History(table, day, time, unit, target, zone)
    _check_length(history, request)
    return history


def _check_length(history: History, request: Request) -> None:
    days = history.calendar
    if len(days) == 1:
        raise UsageError(
            f"all rows are of one day, {days[0]}, by '{request.time}': nothing can be learnt of days before and "
            f"checked on days after; name the column that tells days apart with --time",
            "DAYS",
        )
    if len(days) < FEWEST:
        raise UsageError(
            f"the history has rows of {len(days)} days, {days[0]} to {days[-1]}, and at least {FEWEST} are needed; "
            f"collect more of it",
            "DAYS",
        )
    if not 1900 <= days[0].year <= days[-1].year <= 2200:
        raise UsageError(f"'{request.time}' reaches from {days[0]} to {days[-1]}, which can't be; mend it", "TIME")
