"""Tomorrow's file, tried today: the history's days as they stand in its file, through the declared table's landing.

What is accepted here is accepted in the morning; what is not is told with all that upstream must change, at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.adapters.landing.folder import FolderLanding
from pipeline.core.errors import PipelineError
from pipeline.core.tables import Feed
from pipeline.core.words import count, first_few
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.source import Source
from pipeline.onboarding.notes import Note


def last_day(feed: Feed, source: Source, history: History, work: Path, notes: list[Note]) -> None:
    """Say whether the newest day, in its own form, is read as the history was; or what upstream must change."""
    day = history.calendar[-1]
    try:
        delivery = _landed(feed, source, history, day, work)
    except PipelineError as error:
        text = f"the last day, {day}, as it stands in the file would be refused each morning: {_reason(error)}"
        notes.append(Note("upstream", text, review=True))
        return
    differ = _differences(delivery.rows, history.of(day), [history.day, *history.unit])
    form = Path(feed.path).name.replace("{day}", str(day))
    if differ:
        text = f"the last day, {day}, as it stands in the file is read otherwise than here: {first_few(differ, 40)}"
        notes.append(Note("upstream", text, review=True))
        return
    bad = f", {count(len(delivery.rejects), 'row')} left out" if delivery.rejects else ""
    text = f"the last day, {day}, as it stands in the file ({form}), is read by the daily landing as it was read here"
    notes.append(Note("upstream", f"{text}: {count(delivery.rows.num_rows, 'row')}{bad}; deliver each day so"))


def refused(feed: Feed, source: Source, history: History, days: Iterable[date], work: Path) -> dict[date, str]:
    """Those of the days that the landing refuses, and why."""
    found: dict[date, str] = {}
    for day in days:
        try:
            _landed(feed, source, history, day, work)
        except PipelineError as error:
            found[day] = _reason(error)
    return found


def write_day(source: Source, history: History, day: date, place: Path) -> None:
    """The rows of a day as they stand in the history's file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    given = history.dates if history.given is None else history.given
    source.write(np.flatnonzero(given == np.datetime64(day)).astype(np.int64), place)


def _landed(feed: Feed, source: Source, history: History, day: date, work: Path) -> Any:
    place = work / feed.path.format(day=day)
    if not place.exists():
        write_day(source, history, day, place)
    return FolderLanding(work).fetch(feed, day)


def _reason(error: PipelineError) -> str:
    return str(error).partition(": ")[2] or str(error)


def _differences(landed: pa.Table, here: pa.Table, key: list[str]) -> list[str]:
    """Columns whose cells are not the same, with one example each."""
    if landed.num_rows != here.num_rows:
        return [f"{count(landed.num_rows, 'row')} in place of {here.num_rows:,}"]
    order = [(name, "ascending") for name in key]
    landed, here = (table.take(pc.sort_indices(table, sort_keys=order)) for table in (landed, here))
    found: list[str] = []
    for name in here.column_names:
        one, other = (table[name].combine_chunks() for table in (landed, here))
        same = pc.or_(pc.fill_null(pc.equal(one, other.cast(one.type)), False), pc.and_(one.is_null(), other.is_null()))
        off = np.flatnonzero(~same.to_numpy(zero_copy_only=False))
        if len(off):
            at = int(off[0])
            found.append(f"'{name}' says {one[at].as_py()!r} there and {other[at].as_py()!r} here")
    return found
