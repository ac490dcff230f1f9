"""Score: the day that nobody has trained on is put before the champion, the baseline and every fresh candidate."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from pipeline.core.errors import RefusedError
from pipeline.core.evidence.paired_days import AGES
from pipeline.core.ports import Rows, Units, World
from pipeline.core.records import Entry, Scored, Trained
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import UNABLE
from pipeline.core.windows import Days
from pipeline.steps.models import able, champion_model
from pipeline.steps.models.definition import definition
from pipeline.steps.models.predictions import answered, predictions
from pipeline.steps.models.run_training import candidate_by_identity
from pipeline.steps.tables import block_losses, score_ledger
from pipeline.steps.tables.new_keys import with_new_keys

log = logging.getLogger(__name__)


def score(usecase: Usecase, trained: Trained, world: World) -> Scored:
    """Write the scored day into the score ledger, and its losses added up by block beside it.

    Where nothing could be fitted yet and there is no champion, nobody is scored: the ledger stays as it is. So it does
    where labels take days and the day whose labels are known by now was not delivered, or was refused.

    A champion that was trained on the scored day or later (a past day that is run again) is not scored; the gates
    then know too little, and nothing can be promoted on it. A champion that can't answer any more (a library was
    upgraded, an input left the declaration) is not scored either: what is handed on says why.

    Raises:
        RefusedError: The day has no unit, or the champion answers with something that is not a prediction, to some
            units, or to all of them as its own recipe's fresh fit does. A candidate's answers that are none are
            written as NaN: the gates stop it, and nobody else.
        AssertionError: A contestant was trained on the scored day or later. Training never does that, so it is a fault
            of the product and not of the data; nothing is written.
    """
    day = date.fromisoformat(trained.scored)
    versions = trained.validated["snapshot"]["versions"]
    without = {date.fromisoformat(refused) for refused in trained.validated["without"]}
    units = world.engine.units(usecase, versions, Days(day, day), without)
    head = champion_model.judged_against(usecase, trained, world)
    if not len(units) and usecase.label_delay and not trained.models:
        return _nobody_scored(usecase, trained, world, head)
    if not len(units):
        raise RefusedError(f"{usecase.name}: {day} has no unit to score; see its validation", "EMPTY")
    units = with_new_keys(usecase, units, day, versions, without, world.store)
    scorings: list[score_ledger.Scoring] = []
    unable: able.Unable | None = None
    healed = ""
    with world.progress("score", len(trained.models) + 2) as done:
        if head is not None and date.fromisoformat(head.trained_through) < day:
            healed = champion_model.heal(usecase, head, world)
            predicted = able.ask(usecase, head, world, units.inputs, predictions)
            if isinstance(predicted, able.Unable):
                unable = predicted
            else:
                if not answered(predicted).all():
                    raise _unsound(usecase, head, day, int(np.count_nonzero(~answered(predicted))), len(units))
                through = date.fromisoformat(head.trained_through)
                scorings.append(
                    score_ledger.Scoring(score_ledger.CHAMPION, head.model, head.recipe, through, predicted)
                )
        done()
        for candidate in trained.models:
            model = world.models.load(candidate.file, candidate.sha256)
            through = date.fromisoformat(candidate.trained_through)
            predicted = predictions(usecase.kind, model, units.inputs, candidate.recipe)
            declared = definition(usecase, candidate.recipe, world)
            scorings.append(
                score_ledger.Scoring(candidate.recipe, candidate.model, candidate.recipe, through, predicted, declared)
            )
            done()
        if head is not None and unable is not None and not unable.certain:
            # Where its own recipe's fresh fit fails as it does, the day or the recipe is to blame, and not the model.
            fresh = [one for one in scorings if one.recipe == head.recipe]
            if not all(answered(one.predictions).all() for one in fresh) or not fresh:
                raise _unsound(usecase, head, day, len(units), len(units), unable.why)
        older = _older(usecase, trained, world, units)
        done()
    if not scorings:
        return _nobody_scored(usecase, trained, world, head)
    data = score_ledger.delivery_digests(usecase, versions, world, Days(day, day)).get(day, "")
    all_of_them = [*((scoring, 0) for scoring in scorings), *older]
    added = _write(
        block_losses.table(usecase.name),
        world,
        day,
        block_losses.rows_of(day, usecase.kind, units, data, all_of_them),
        block_losses.merge_kept_rows,
    )
    ledger = _write(
        score_ledger.table(usecase.name),
        world,
        day,
        score_ledger.rows_of(day, usecase.kind, units, data, scorings),
        score_ledger.merge_kept_rows,
    )
    if unable is not None:
        log.warning("%s: %s", usecase.name, unable.why)
    return Scored(
        trained=trained.to_dict(),
        ledger=ledger,
        block_losses_version=added,
        epoch=_epoch(head),
        unable="" if unable is None else UNABLE + unable.why.removeprefix("version "),
        repairs=(healed,) if healed else (),
    )


def _unsound(usecase: Usecase, head: Entry, day: date, bad: int, units: int, why: str = "") -> RefusedError:
    because = f" ({why})" if why else ""
    return RefusedError(
        f"{usecase.name}: the champion, version {head.version}, answers {bad} of {units} units of {day} with something "
        f"that is no prediction{because}; nothing was written. If it serves so, 'python -m pipeline history "
        f"{usecase.name}' says which version a rollback can go to",
        "UNSOUND",
    )


def _nobody_scored(usecase: Usecase, trained: Trained, world: World, head: Entry | None) -> Scored:
    """The score ledger and the block losses as they are."""
    ledger, block_losses_version = (
        score_ledger.NOTHING if version is None else version
        for version in (world.store.version(module.table(usecase.name)) for module in (score_ledger, block_losses))
    )
    return Scored(
        trained=trained.to_dict(), ledger=ledger, block_losses_version=block_losses_version, epoch=_epoch(head)
    )


def _epoch(head: Entry | None) -> int:
    return 0 if head is None else head.epoch


def _older(usecase: Usecase, trained: Trained, world: World, units: Units) -> list[tuple[score_ledger.Scoring, int]]:
    """Each recipe's fits of some days ago, and their ages: what tells how the recipe ages. A lost one is left out."""
    day = date.fromisoformat(trained.scored)
    before = block_losses.newest_block_losses(usecase, trained.validated["snapshot"]["versions"], world, day)
    older_scorings: list[tuple[score_ledger.Scoring, int]] = []
    for recipe in usecase.recipes:
        declared = definition(usecase, recipe.name, world)
        for age in AGES:
            name = before.model_of(recipe.name, day - timedelta(age), declared)
            fit = candidate_by_identity(usecase.name, name, world) if name is not None else None
            if fit is None:
                continue
            try:
                model = world.models.load(fit.file, fit.sha256)
            except RefusedError as lost:
                log.warning("%s of %d days ago can't be read, and is left out: %s", recipe.name, age, lost)
                continue
            predicted = predictions(usecase.kind, model, units.inputs, f"{recipe.name} of {age} days ago")
            through = date.fromisoformat(fit.trained_through)
            older_scorings.append(
                (score_ledger.Scoring(recipe.name, fit.model, recipe.name, through, predicted, declared), age)
            )
    return older_scorings


def _write(table: str, world: World, day: date, rows: Rows, merge_kept_rows: Callable[[Rows, Rows], Rows]) -> int:
    version = world.store.version(table)
    if version is not None and day in world.store.marks(table, version, Days(day, day)):
        rows = merge_kept_rows(world.store.read(table, version, Days(day, day)), rows)
    return world.store.write_day(table, day, rows, sha256=score_ledger.digest_of(rows)).version
