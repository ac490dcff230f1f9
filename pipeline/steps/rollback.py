"""Roll back: an earlier champion serves again, at once, and what was rolled back stays away."""

from __future__ import annotations

import logging
from datetime import date, datetime

from pipeline.core.errors import RefusedError, UnavailableError
from pipeline.core.ports import World
from pipeline.core.promotion import decision
from pipeline.core.records import Entry
from pipeline.core.usecase import Usecase
from pipeline.steps.models import champion_model
from pipeline.steps.reconcile import reconcile

log = logging.getLogger(__name__)


def rollback(usecase: Usecase, world: World, to: str, why: str, by: str, at: datetime, hold_days: int = 7) -> Entry:
    """Make an earlier champion serve again. Works while the registry is down: the aliases then follow later.

    The target is loaded first, its digest checked: a champion that cannot serve is no way back.

    Args:
        usecase: The use case.
        world: The ports.
        to: ``"previous"`` or a version that was champion.
        why: The reason, kept in the ledger.
        by: Who.
        at: The moment of the request; a second try with the same moment does not roll back twice.
        hold_days: For how many data days the recipe of what is rolled back may not be promoted.

    Raises:
        UsageError: There is no such target, or no reason.
        RefusedError: The target's file is missing or not the one that was promoted; or, with code ``DRIFT``, the
            rollback is done, and the registry's aliases can't follow it: the sentence says so.
        ConflictError: Somebody else changed the champion at the same moment.
    """
    entries = world.ledger.entries(usecase.name)
    moment = at.isoformat(timespec="seconds")
    head = decision.current_champion(entries)
    if head is not None and (head.action, head.at, head.by, head.why) == ("rollback", moment, by, why):
        _follow(usecase, world)  # a second try of this very request: the ledger's line is there already
        return head
    target = decision.target(entries, to)
    champion_model.load(usecase, target, world)
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
