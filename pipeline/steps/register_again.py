"""Give the promoted models their numbers back, once their registered model was deleted in the registry."""

from __future__ import annotations

from pipeline.core.errors import ConflictError, RefusedError, UsageError
from pipeline.core.ports import Page, World
from pipeline.core.promotion.decision import current_champion
from pipeline.core.records import Entry, digest
from pipeline.core.usecase import Usecase
from pipeline.steps.models import champion_model


def register_again(usecase: Usecase, world: World) -> tuple[list[int], list[int]]:
    """Register every model that was ever champion anew, from the files kept, under the number it was promoted under.

    Numbers of models that were never promoted, or whose file is gone, are left unused. What is there already stays, so
    a try that was stopped goes on where it was. Aliases are moved by ``reconcile``, afterwards.

    Returns:
        The numbers that stand for their model again, and those that are left unused.

    Raises:
        UsageError: There is no champion; or the registry still has a version that is another model, which a person
            deletes: nothing is ever deleted here.
        RefusedError: ``MISSING``: the champion's own file is gone; nothing was registered.
        ConflictError: Somebody else registers at the same time.
    """
    entries = world.ledger.entries(usecase.name)
    head = current_champion(entries)
    if head is None:
        raise UsageError(f"{usecase.name} has no champion yet, so there is nothing to register again", "NO_CHAMPION")
    promoted = {entry.version: entry for entry in entries}
    numbers = range(1, max(promoted) + 1)
    there = world.registry.digests(usecase.name, numbers)
    others = [number for number, sha256 in there.items() if number not in promoted or promoted[number].sha256 != sha256]
    if others:
        raise UsageError(
            f"version {others[0]} of {usecase.name} in MLflow is another model than was promoted under that number; "
            f"delete the registered model '{usecase.name}' there first: what was promoted is kept here",
            "OCCUPIED",
        )
    files = {number: champion_model.data(usecase, entry, world) for number, entry in promoted.items()}
    if files[head.version] is None:
        raise RefusedError(
            f"the file of the champion, version {head.version} of {usecase.name}, is gone from the file store; restore "
            f"it from a backup first",
            "MISSING",
        )
    again: list[int] = []
    unused: list[int] = []
    for number in numbers:
        if number in there:
            continue
        data = files.get(number)
        if data is None:
            world.registry.use_up(usecase.name, number)
            unused.append(number)
            continue
        given = _register(usecase, promoted[number], data, world)
        if given != number:
            raise ConflictError(
                f"MLflow gave version {number} of {usecase.name} the number {given}: somebody else registers there; "
                f"delete the registered model '{usecase.name}' in MLflow and run this again"
            )
        again.append(number)
    return again, unused


def _register(usecase: Usecase, entry: Entry, data: bytes, world: World) -> int:
    key = digest(["registered again", usecase.name, entry.version, entry.model])
    tags = {"recipe": entry.recipe, "data_day": entry.day, "reason": f"registered again; promoted then: {entry.why}"}
    run = world.registry.record(
        usecase.name, Page(f"{entry.day} registered again {entry.recipe}", key, tags, {}, {}, {})
    )
    version = digest(["version", usecase.name, entry.model])
    return world.registry.register(
        usecase.name, version, run, data, entry.sha256, tags | {"question": usecase.question, "note": tags["reason"]}
    )
