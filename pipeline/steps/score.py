"""Score: the day that nobody has trained on is put before the champion, the baseline and every fresh candidate."""

from __future__ import annotations

from datetime import date

import numpy as np

from pipeline.core.errors import RefusedError
from pipeline.core.ports import Rows, World
from pipeline.core.records import Scored, Trained
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.steps import champion, scores
from pipeline.steps.predictions import answered, predictions
from pipeline.steps.unseen import with_new_keys


def score(usecase: Usecase, trained: Trained, world: World) -> Scored:
    """Write the scored day into the score ledger, in one commit.

    Where nothing could be fitted yet and nobody reigns, nobody sits: the ledger stays as it is.

    A champion that was trained on the scored day or later (a past day that is run again) does not sit; the gates
    then know too little, and nothing can be promoted on it.

    Raises:
        RefusedError: The day has no unit, or the champion answers with something that is not a prediction. A
            candidate's answers that are none are written as NaN: the gates stop it, and nobody else.
    """
    day = date.fromisoformat(trained.scored)
    versions = trained.validated["snapshot"]["versions"]
    without = {date.fromisoformat(refused) for refused in trained.validated["without"]}
    units = world.engine.units(usecase, versions, Days(day, day), without)
    if not len(units):
        raise RefusedError(f"{usecase.name}: {day} has no unit to score; see its validation", "EMPTY")
    units = with_new_keys(usecase, units, day, versions, without, world.store)
    head = champion.opponent(usecase, trained, world)
    sittings = []
    with world.progress("score", len(trained.models) + 1) as done:
        if head is not None and date.fromisoformat(head.trained_through) < day:
            model = champion.load(usecase, head, world)
            said = predictions(usecase.kind, model, units.inputs, f"version {head.version}")
            unsound = int(np.count_nonzero(~answered(said)))
            if unsound:
                raise RefusedError(
                    f"{usecase.name}: the champion, version {head.version}, answers {unsound} of {len(units)} units of "
                    f"{day} with something that is no prediction; nothing was written. Roll it back if it serves so",
                    "UNSOUND",
                )
            through = date.fromisoformat(head.trained_through)
            sittings.append(scores.Sitting(scores.CHAMPION, head.model, head.recipe, through, said))
        done()
        for candidate in trained.models:
            model = world.models.load(candidate.file, candidate.sha256)
            through = date.fromisoformat(candidate.trained_through)
            said = predictions(usecase.kind, model, units.inputs, candidate.recipe)
            declared = scores.definition(usecase, candidate.recipe, world)
            sittings.append(
                scores.Sitting(candidate.recipe, candidate.model, candidate.recipe, through, said, declared)
            )
            done()
    epoch = 0 if head is None else head.epoch
    if not sittings:
        version = world.store.version(scores.table(usecase.name))
        return Scored(trained=trained.to_dict(), ledger=scores.NOTHING if version is None else version, epoch=epoch)
    data = scores.data_of(usecase, versions, world, Days(day, day)).get(day, "")
    ledger = _write(usecase, world, day, scores.rows_of(day, usecase.kind, units, data, sittings))
    return Scored(trained=trained.to_dict(), ledger=ledger, epoch=epoch)


def _write(usecase: Usecase, world: World, day: date, rows: Rows) -> int:
    table = scores.table(usecase.name)
    version = world.store.version(table)
    if version is not None and day in world.store.marks(table, version, Days(day, day)):
        existing = world.store.read(table, version, Days(day, day))
        rows = scores.keep_others(existing, rows)
    return world.store.write_day(table, day, rows, sha256=scores.digest_of(rows)).version
