"""Ingest: the data day of every table into the store, and the late and corrected deliveries of the days before it.

Each table-day is one atomic commit, made only after its whole file was found sound. So a table whose file is refused
stays as it was; the sound tables of that day are committed all the same, because the next days' features and checks
build on them. The run itself is refused if any table's data day is: a day is complete or nobody is scored on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pipeline.core.errors import SLOW, PipelineError, RefusedError, UnavailableError
from pipeline.core.ports import Delivery, World
from pipeline.core.records import Snapshot
from pipeline.core.tables import Table
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome
from pipeline.core.windows import Days

_SHOWN = 10


@dataclass(slots=True)
class _Notes:
    """What happened, for people: remarks on past days, and refusals of the data day by table."""

    remarks: list[str] = field(default_factory=list)
    refusals: dict[str, PipelineError] = field(default_factory=dict)


def ingest(usecase: Usecase, day: date, world: World) -> Snapshot:
    """Bring the store up to date for the data day and pin the versions that the run reads.

    For the ``lookback`` days before it, files that are new or whose bytes changed replace their day. A table that has
    nothing in that stretch (its first day, or after a long silence) is filled as far back as windows and features
    reach. A bad file of a past day stops nothing: it is named in the note, and that day stays as it was. An upstream
    that is too slow with one of its days is asked for no more of them in this try.

    Killed at any point and run again it ends with the same store: days are committed oldest first, the data day last.

    Raises:
        UsageError: If the features can't be computed whatever the rows are; nothing was read.
        RefusedError: If the data day's file of any table was refused; all of them are listed.
        UnavailableError: If none was refused but some are not there yet.
    """
    world.engine.check(usecase)
    notes = _Notes()
    with world.progress(f"ingest {usecase.name} {day}", len(usecase.tables)) as done:
        for table in usecase.tables:
            _bring_up_to_date(usecase, table, day, world, notes)
            done()
    if notes.refusals:
        raise _joint(usecase, day, notes.refusals)
    versions = {table.name: world.store.version(table.name) or 0 for table in usecase.tables}
    return Snapshot(usecase.name, day.isoformat(), versions, _bounded(notes.remarks))


def _bring_up_to_date(usecase: Usecase, table: Table, day: date, world: World, notes: _Notes) -> None:
    reach = usecase.longest_window + usecase.history
    days = Days(day - timedelta(max(reach, usecase.lookback, 1)), day)
    version = world.store.version(table.name)
    marks = {} if version is None else world.store.marks(table.name, version, days)
    recent = [day - timedelta(n) for n in range(1, max(usecase.lookback, 1) + 1)]
    late: list[date] = []
    back = usecase.lookback if any(past in marks for past in recent) else max(reach, usecase.lookback)
    for ago in range(back, 0, -1):
        past = day - timedelta(ago)
        stored_mark = marks.get(past)
        # Of days beyond the lookback only what is not there yet is wanted.
        if stored_mark is not None and ago > usecase.lookback:
            continue
        try:
            if (stored_mark is not None or world.landing.has(table, past)) and _take(
                table, past, stored_mark, world, notes
            ):
                late.append(past)
        except PipelineError as error:
            if error.code == SLOW:
                # Each further day would keep this worker from other use cases for as long; the next try goes on here.
                notes.refusals[table.name] = error
                return
            notes.remarks.append(f"left as it was: {error}")
    if late:
        stretch = f"{late[0]}" if len(late) == 1 else f"{len(late)} days of {late[0]} to {late[-1]}"
        notes.remarks.append(f"{table.name}: taken in {stretch}, which the store did not have yet")
    try:
        _take(table, day, marks.get(day), world, notes)
    except (RefusedError, UnavailableError) as error:
        notes.refusals[table.name] = error


def _take(table: Table, day: date, stored_mark: Mapping[str, Any] | None, world: World, notes: _Notes) -> bool:
    """Commit the file of one day unless the store has these bytes; whether the day is new to the store."""
    if stored_mark is not None and world.landing.digest(table, day) in (stored_mark["sha256"], None):
        # Also where upstream cleared away what it had delivered: what the store holds stays.
        return False
    delivery = world.landing.fetch(table, day)
    if delivery.rejects:
        name = _quarantine(table, day, delivery, world)
        notes.remarks.append(f"{table.name} of {day}: {len(delivery.rejects):,} rows went to quarantine, see {name}")
    commit = world.store.write_day(table.name, day, delivery.rows, delivery.sha256, delivery.content)
    if commit.changed and stored_mark is not None:
        notes.remarks.append(f"{table.name} of {day}: replaced by a corrected delivery")
    return commit.changed and stored_mark is None


def _quarantine(table: Table, day: date, delivery: Delivery, world: World) -> str:
    """Keep the rejected rows as JSON lines: data, never formulas or control characters. Returns the file's name."""
    lines = [
        json.dumps({"file": delivery.file, "delivery": delivery.sha256, "line": line, "reason": reason, "row": text})
        for line, reason, text in delivery.rejects
    ]
    name = f"quarantine/{table.name}/{day}/{delivery.sha256}.jsonl"
    if not world.files.exists(name):
        world.files.put(name, ("\n".join(lines) + "\n").encode())
    return name


def _joint(usecase: Usecase, day: date, refusals: Mapping[str, PipelineError]) -> PipelineError:
    codes = {error.code for error in refusals.values()}
    code = codes.pop() if len(codes) == 1 else "SEVERAL"
    if len(refusals) == 1:
        (message,) = (str(error) for error in refusals.values())
    else:
        listed = "; ".join(f"({n}) {error}" for n, error in enumerate(refusals.values(), start=1) if n <= _SHOWN)
        more = f"; and {len(refusals) - _SHOWN} more" if len(refusals) > _SHOWN else ""
        message = f"{usecase.name} {day}: {len(refusals)} of {len(usecase.tables)} files can't be used: {listed}{more}"
    if all(isinstance(error, UnavailableError) for error in refusals.values()):
        return UnavailableError(message, code)
    findings = [
        Finding(
            name=f"{table}: delivery",
            outcome=Outcome.UNKNOWN if isinstance(error, UnavailableError) else Outcome.FAIL,
            text=str(error),
            about=table,
        )
        for table, error in refusals.items()
    ]
    return RefusedError(message, code, findings)


def _bounded(remarks: list[str]) -> str:
    more = [f"and {len(remarks) - _SHOWN:,} more"] if len(remarks) > _SHOWN else []
    return "; ".join([*remarks[:_SHOWN], *more])
