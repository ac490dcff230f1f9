"""The history as the product will be given it: each row of a day, one row a day for a unit, sound names and cells."""

from __future__ import annotations

import shlex

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.adapters.landing.written import is_naive
from pipeline.core.errors import UsageError
from pipeline.onboarding.history.cells import soundly_named, stored_cells
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import History, column
from pipeline.onboarding.history.times import as_moments, days_of, rows_with_a_time, with_day
from pipeline.onboarding.history.units import rows_with_a_unit, sorted_by_key, unique_with, whole_number_units
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
    if not request.unit:
        raise UsageError(_nameless(request, table), "UNIT")
    if not unit or request.target in (*unit, request.time):
        raise UsageError(
            f"--unit names what a prediction is about, by columns other than the time and the target; "
            f"got {', '.join(request.unit)}",
            "UNIT",
        )
    naive = any(pa.types.is_timestamp(cells.type) and cells.type.tz is None for cells in table.columns)
    if pa.types.is_string(table[request.time].type):
        naive = naive or bool(pc.any(is_naive(table[request.time].combine_chunks())).as_py())
    moments, zone = as_moments(table[request.time].combine_chunks(), request, notes)
    given = days_of(moments, zone)
    table = table.set_column(table.column_names.index(request.time), request.time, moments)
    table = rows_with_a_unit(rows_with_a_time(table, request.time, notes), unit, notes)
    table, unit = whole_number_units(table, unit)
    before = table.column_names
    table, day, time = with_day(table, request.time, zone, notes)
    # A day that was added stands first.
    called = dict(zip(before, table.column_names[len(table.column_names) - len(before) :], strict=True))
    table, known_as = soundly_named(table, day, notes)
    day, time = known_as[day], known_as[time] if time else None
    kept = {old: known_as[new] for old, new in called.items()}
    unit = tuple(kept[name] for name in unit)
    table = stored_cells(table, zone, notes)
    kept = {old: new for old, new in kept.items() if new in table.column_names}
    if request.target not in kept:
        raise UsageError(f"the target '{request.target}' holds texts of more than 10,000 bytes; name another", "TARGET")
    target = kept[request.target]
    table = sorted_by_key(table, (day, *unit), target, request, notes)
    history = History(table, day, time, unit, target, zone, given, kept, naive)
    _check_length(history, request)
    return history


def _nameless(request: Request, table: pa.Table) -> str:
    """That nothing names a row of a day, and what could."""
    rows, days = table.num_rows, table.group_by([request.time]).aggregate([]).num_rows
    if rows == days:
        others = [name for name in table.column_names if name not in (request.target, request.time)]
        named = [name for name in others if pa.types.is_string(table[name].type)]
        way = (
            f"say --unit {shlex.quote(named[0])} if that names it"
            if named
            else "add a column that names it, such as series=main, to the history and to each day's file, and name it "
            "with --unit"
        )
        return f"this is a series, one row for each '{request.time}', and nothing says what it is about; {way}"
    alone = unique_with(table, (request.time,), request.target)
    way = (
        f"say --unit {shlex.quote(alone)}, which tells the rows of each '{request.time}' apart"
        if alone
        else "add a column with a name or a number for each row, to the history and to each day's file"
    )
    return f"--unit is missing, the column that names what a prediction is about; {way}"


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
