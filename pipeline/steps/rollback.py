"""Roll back: an earlier champion serves again, at once, and what was rolled back stays away."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime

from pipeline.core.errors import PipelineError, RefusedError, UnavailableError
from pipeline.core.ports import World
from pipeline.core.promotion import decision
from pipeline.core.promotion.ledger import earlier_champions, rolled_back
from pipeline.core.records import Entry
from pipeline.core.usecase import Usecase
from pipeline.steps.models import able, champion_model
from pipeline.steps.reconcile import reconcile

log = logging.getLogger(__name__)


#: For how many data days the recipe of what is rolled back may not be promoted, unless somebody says otherwise.
HOLD_DAYS = 7
#: Of the versions that a refused rollback offers in the target's place, so many are named, and so many looked at.
_OFFERED, _TRIED = 3, 10


def rollback(
    usecase: Usecase, world: World, to: str, why: str, by: str, at: datetime, hold_days: int | None = None
) -> Entry:
    """Make an earlier champion serve again. Works while the registry is down: the aliases then follow later.

    The target is loaded first, its digest checked: a champion that cannot serve is no way back. Nor is one that this
    environment can't open, or that can't answer as the use case is declared now.

    Args:
        usecase: The use case.
        world: The ports.
        to: ``"previous"`` or a version that was champion.
        why: The reason, kept in the ledger.
        by: Who.
        at: The moment of the request; a second try with the same moment does not roll back twice.
        hold_days: For how many data days the recipe of what is rolled back may not be promoted. None:
            :data:`HOLD_DAYS`, and not at all where the champion can't answer any more, which is not its recipe's fault.

    Raises:
        UsageError: There is no such target, or no reason.
        RefusedError: The target's file is missing or not the one that was promoted; with code ``UNABLE``: it can't
            answer here, and the sentence names versions that can; or, with code ``DRIFT``, the rollback is done, and
            the registry's aliases can't follow it: the sentence says so.
        ConflictError: Somebody else changed the champion at the same moment.
    """
    entries = world.ledger.entries(usecase.name)
    moment = at.isoformat(timespec="seconds")
    head = decision.current_champion(entries)
    if head is not None and (head.action, head.at, head.by, head.why) == ("rollback", moment, by, why):
        _follow(usecase, world)  # a second try of this very request: the ledger's line is there already
        return head
    target = decision.target(entries, to)
    if unable := able.unable(usecase, target, world):
        raise _no_way_back(usecase, entries, target, unable, world)
    if hold_days is None:
        hold_days = 0 if head is not None and _can_not_answer(usecase, head, world) else HOLD_DAYS
    entry = decision.rollback(
        entries,
        to,
        day=_today(usecase, world),
        why=why,
        by=by,
        at=moment,
        hold_days=hold_days,
        epoch=entries[-1].epoch,
    )
    world.ledger.append(entry)
    _follow(usecase, world)
    return entry


def _can_not_answer(usecase: Usecase, head: Entry, world: World) -> bool:
    """Whether the champion can't answer any more. A file that is lost says nothing of the recipe either way."""
    try:
        return bool(able.unable(usecase, head, world))
    except PipelineError as lost:
        log.warning("%s: whether version %s can answer is not known: %s", usecase.name, head.version, lost)
        return False


def _no_way_back(usecase: Usecase, entries: Sequence[Entry], target: Entry, unable: str, world: World) -> RefusedError:
    """The refusal of a target that can't answer here, with what can be done in its place."""
    barred = rolled_back(entries)
    others = [one for one in earlier_champions(entries) if one.version not in {target.version, *barred}]
    offered = []
    for one in others[:_TRIED]:
        try:
            if not able.unable(usecase, one, world):
                offered.append(one)
        except PipelineError:  # its file is lost or can't be read now: no way back either
            continue
        if len(offered) == _OFFERED:
            break
    if offered:
        named = ", ".join(f"{one.version} ({one.recipe})" for one in offered)
        way_out = (
            f"of the versions that were champion these can answer here: {named}; 'python -m pipeline rollback "
            f"{usecase.name} --to {offered[0].version} --why \"version {target.version} can't answer\"' goes back to "
            f"the first of them"
        )
    else:
        way_out = (
            f"no other version that was champion can answer here either, so the champion, version "
            f"{entries[-1].version}, serves on; 'python -m pipeline doctor {usecase.name}' says of each what it lacks"
        )
    return RefusedError(f"{unable}, so nothing was changed: {way_out}", "UNABLE")


def lift(usecase: Usecase, world: World, recipe: str, why: str, by: str, at: datetime) -> Entry:
    """End the hold that a rollback has put on a recipe.

    Raises:
        UsageError: The recipe is not held.
    """
    entries = world.ledger.entries(usecase.name)
    day = _today(usecase, world)
    entry = decision.lift(entries, recipe, day=day, why=why, by=by, at=at.isoformat(timespec="seconds"))
    world.ledger.append(entry)
    return entry


def _today(usecase: Usecase, world: World) -> date:
    """The newest data day that was judged: holds are counted in data days, not by the clock.

    A refused day does not count: a day mistyped by a century would otherwise hold everything until then.
    """
    judged = champion_model.newest_judged(usecase, world)
    days = [date.fromisoformat(entry.day) for entry in world.ledger.entries(usecase.name)]
    return max([*days, *([judged] if judged else [])], default=date.min)


def _follow(usecase: Usecase, world: World) -> None:
    """Bring the aliases after the ledger's line, which stands and counts whatever the registry says."""
    try:
        reconcile(usecase.name, world)
    except UnavailableError as down:
        log.warning(
            "%s: the promotion ledger is changed, MLflow is not there to follow (%s); "
            "'python -m pipeline reconcile %s' or the next run brings its aliases after it",
            usecase.name,
            down,
            usecase.name,
        )
    except RefusedError as drift:
        raise RefusedError(
            f"the rollback stands in the promotion ledger, but MLflow's aliases can't follow it: {drift}", drift.code
        ) from drift
