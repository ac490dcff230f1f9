"""A kept model asked again about a past day, from the tables as they were read then: does it answer as it did?

Where it does not, the code that makes its inputs, or a library, is another one: the data is the same to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.core.kinds import Floats
from pipeline.core.ports import Units, World
from pipeline.core.records import Entry, Scored
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.steps.judging.recorded import recorded_file
from pipeline.steps.kept import read_kept
from pipeline.steps.register import read_verdict
from pipeline.steps.tables import block_losses, score_ledger
from pipeline.steps.tables.score_ledger import ScoreLedger

#: The largest difference of a prediction, relative to its size where that is above 1, that still counts as the same.
SAME = 1e-6
#: So many of the newest days on which a model was scored are looked for one whose data is kept as it was.
_DAYS = 5


def compared(day: date, units: Units, then: Mapping[str, Any], now: Floats) -> tuple[bool, str]:
    """Whether a model answers as it did, and in words by how much it doesn't."""
    known = np.array([str(key) in then for key in units.keys], dtype=np.bool_)
    if not known.any() or len(then) != len(units):
        return False, f"predicts otherwise: the units of {day} are others than were scored then"
    before = np.array([then[str(key)] for key in units.keys[known]], dtype=np.float64)
    differs = np.abs(now[known] - before) / np.maximum(1.0, np.abs(before))
    by_unit = differs if differs.ndim == 1 else differs.max(axis=1)
    most, others = float(np.max(by_unit)), int(np.count_nonzero(~(by_unit <= SAME)))
    if others:
        return False, f"predicts otherwise: {others} of {len(by_unit)} units of {day}, by up to {most:.2g}"
    how = "to the bit" if most == 0 else f"within {most:.1g}"
    return True, f"opens, and says the same of {len(by_unit)} units of {day} ({how})"


def recorded_days(
    usecase: Usecase, entry: Entry, entries: Sequence[Entry], world: World, before: date | None = None
) -> Iterator[tuple[date, Units, Mapping[str, Any]]]:
    """The newest days on which the model was scored, with their units made anew and what it said of each then.

    Args:
        usecase: The use case.
        entry: The model's line.
        entries: The promotion ledger.
        world: The ports; read only.
        before: Only days before this one; None: all.
    """
    table = block_losses.table(usecase.name)
    version, scores = world.store.version(table), world.store.version(score_ledger.table(usecase.name))
    if version is None or scores is None:
        return
    rows = world.store.read(table, version, None, ["day", "model"])
    lines = zip(rows["day"].to_pylist(), rows["model"].to_pylist(), strict=True)
    scored = sorted({day for day, model in lines if model == entry.model and (before is None or day < before)})
    for day in scored[: -_DAYS - 1 : -1]:
        ledger = ScoreLedger.read(world.store, usecase.name, scores, Days(day, day), width=usecase.kind.width)
        at = np.flatnonzero(ledger.models == entry.model)
        if not len(at):
            continue
        try:
            units = _units_then(usecase, day, entries, world)
        except (PipelineError, ValueError, KeyError):  # the verdict or the tables of that day are kept no longer
            continue
        yield day, units, {str(ledger.units[row]): ledger.predictions[row] for row in at}


def _units_then(usecase: Usecase, day: date, entries: Sequence[Entry], world: World) -> Units:
    """The units of a scored day from the very tables that were read then, as the use case makes them now."""
    lines = [line for line in world.ledger.outcomes(usecase.name) if line.verdict and line.day >= day.isoformat()]
    for line in lines:
        verdict = read_verdict(usecase.name, line.day, line.verdict, world)
        recorded = read_kept(world.files, recorded_file(usecase.name, line.day, verdict.measured))
        trained = Scored.from_dict(recorded["scored"]).trained
        if trained["scored"] == day.isoformat():
            validated = trained["validated"]
            without = {date.fromisoformat(refused) for refused in validated["without"]}
            return world.engine.units(usecase, validated["snapshot"]["versions"], Days(day, day), without)
    raise KeyError(day)
