"""The aliases are a projection of the promotion ledger: this brings them to what the ledger says."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence

from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.ports import World
from pipeline.core.promotion.decision import current_champion, previous
from pipeline.core.promotion.ledger import digests_by_version
from pipeline.core.records import Entry
from pipeline.core.usecase import Usecase
from pipeline.steps.models import champion_model

log = logging.getLogger(__name__)


def reconcile(usecase: str, world: World) -> dict[str, tuple[int | None, int | None]]:
    """Point ``champion`` and ``previous`` where the promotion ledger says; touches nothing that is right already.

    Raises:
        RefusedError: With code ``DRIFT``: the registry and the ledger are not about the same models, as
            :func:`refuse_drift` says; nothing is moved.

    Returns:
        Alias to (what it was, what it is now) for each that had to be moved.
    """
    entries = world.ledger.entries(usecase)
    wanted = _wanted(entries)
    registry_aliases = world.registry.aliases(usecase)
    refuse_drift(usecase, entries, registry_aliases, world)
    moved: dict[str, tuple[int | None, int | None]] = {}
    for alias, version in wanted.items():
        if registry_aliases.get(alias) != version:
            log.info("%s: alias %s moves from version %s to %s", usecase, alias, registry_aliases.get(alias), version)
            try:
                world.registry.set_alias(usecase, alias, version)
            except UsageError as gone:
                if gone.code != "MISSING":
                    raise
                # The ledger and the model's file are whole; the registry only shows them, and cannot show this.
                log.error("%s: alias %s can't follow the promotion ledger: %s", usecase, alias, gone)
                continue
            moved[alias] = (registry_aliases.get(alias), version)
    _tell_of_rollbacks(usecase, entries, world)
    return moved


def refuse_drift(usecase: str, entries: Sequence[Entry], registry_aliases: Mapping[str, int], world: World) -> None:
    """Compare what the registry's numbers stand for with what the promotion ledger's do, by the models' digests.

    Raises:
        RefusedError: With code ``DRIFT``. The registry knows a champion that the ledger does not; an empty ledger
            beside a registry that has had a champion is one that was lost. Or a number is another model's in the
            registry than in the ledger: numbers begin at 1 again once a registered model was deleted.
    """
    wanted, head = _wanted(entries), current_champion(entries)
    aliased = [f"version {registry_aliases[alias]} is {alias}" for alias in wanted if alias in registry_aliases]
    if head is None:
        if not aliased:
            return
        # To start over is offered last: whoever does it while a backup lies there loses the history for good.
        raise RefusedError(
            f"{usecase}: in the registry {' and '.join(aliased)}, but the promotion ledger is empty and has never "
            f"heard of it, so the ledger was lost: restore the newest backup of it first (ledger.db, or the database "
            f"that PIPELINE_LEDGER names); only if there is none, remove the aliases, and the next day starts over",
            "DRIFT",
        )
    promoted = digests_by_version(entries)
    if "champion" in registry_aliases and registry_aliases["champion"] not in promoted:
        raise RefusedError(
            f"{usecase}: in the registry version {registry_aliases['champion']} is champion, but the promotion "
            f"ledger has never heard of it: either the ledger was restored from an old backup (restore the newest "
            f"one), or somebody moved the alias by hand (point it back at version {head.version})",
            "DRIFT",
        )
    read = {number for number in (*wanted.values(), *registry_aliases.values()) if number is not None}
    for number, digest in world.registry.digests(usecase, read & promoted.keys()).items():
        if digest != promoted[number]:
            raise other_model(usecase, number, digest, promoted[number])


def other_model(usecase: str, number: int, registered: str, promoted: str) -> RefusedError:
    """The error of a number that stands for one model in the registry and for another in the promotion ledger."""
    return RefusedError(
        f"{usecase}: version {number} is not the model that was promoted under that number: in the registry it is "
        f"{registered[:12] or 'of no known digest'}, in the promotion ledger {promoted[:12]}, so its registered model "
        f"was deleted or replaced there, and numbers began anew. No alias was moved. Restore MLflow's database from a "
        f"backup; if there is none, delete the registered model '{usecase}' in MLflow and run 'python -m pipeline "
        f"reconcile {usecase} --register-again', which gives the promoted models their numbers back",
        "DRIFT",
    )


def refuse_swapped_file(usecase: str, world: World) -> None:
    """Hash the champion's file in the registry: whoever loads ``@champion`` gets that file.

    A version that the registry has no longer, or whose file is gone, is nobody's to load; that is told, and stops
    nothing.

    Raises:
        RefusedError: With code ``DRIFT``: the file is not the one that was promoted.
    """
    head = current_champion(world.ledger.entries(usecase))
    if head is None:
        return
    try:
        data, _ = world.registry.artifact(usecase, head.version)
    except (RefusedError, UsageError) as gone:
        if gone.code != "MISSING":
            raise
        log.error("%s: nobody can load the champion from MLflow: %s", usecase, gone)
        return
    found = hashlib.sha256(data).hexdigest()
    if found != head.sha256:
        raise RefusedError(
            f"{usecase}: the file of version {head.version}, the champion, in MLflow is not the one that was promoted: "
            f"it is {found[:12]}, in the promotion ledger {head.sha256[:12]}, and whoever loads @champion gets it. "
            f"Find out who changed it; 'python -m pipeline reconcile {usecase}' puts the promoted file back",
            "DRIFT",
        )


def restore_files(usecase: Usecase, world: World) -> list[int]:
    """Put the promoted files back where the registry's files of champion and previous are others.

    Returns:
        The versions whose file was put back.

    Raises:
        RefusedError: ``MISSING``: the file store has not the promoted file either.
    """
    entries = world.ledger.entries(usecase.name)
    restored = []
    for entry in (current_champion(entries), previous(entries)):
        if entry is None:
            continue
        try:
            found, _ = world.registry.artifact(usecase.name, entry.version)
        except (RefusedError, UsageError) as gone:
            if gone.code != "MISSING":
                raise
            found = b""
        if hashlib.sha256(found).hexdigest() == entry.sha256:
            continue
        data = champion_model.data(usecase, entry, world)
        if data is None:
            raise RefusedError(
                f"the file of version {entry.version} of {usecase.name} is gone from the file store, too; restore it "
                f"from a backup first",
                "MISSING",
            )
        world.registry.restore(usecase.name, entry.version, data)
        restored.append(entry.version)
    return restored


def moved_back(usecase: str, moved: Mapping[str, tuple[int | None, int | None]]) -> Iterator[str]:
    """What people should know of aliases that had to be moved, as sentences."""
    for alias, (was, now) in moved.items():
        stood = "was missing in MLflow" if was is None else f"stood on version {was} in MLflow"
        names = "nobody" if now is None else f"version {now}"
        yield (
            f"the alias {alias} of {usecase} {stood} and was moved back to {names}, as the promotion ledger says: "
            f"somebody moved it by hand, or an earlier run was stopped before it had"
        )


def _wanted(entries: Sequence[Entry]) -> dict[str, int | None]:
    head, before = current_champion(entries), previous(entries)
    return {
        "champion": None if head is None else head.version,
        "previous": None if before is None else before.version,
    }


def _tell_of_rollbacks(usecase: str, entries: Sequence[Entry], world: World) -> None:
    """A version says on its own page that it was rolled back, when, by whom and why; the last time counts."""
    undone = {line.replaced: line for line in entries if line.action == "rollback" and line.replaced is not None}
    for version, line in undone.items():
        text = f"{line.at} by {line.by}, on data day {line.day}: {line.why}"
        try:
            world.registry.annotate_version(usecase, version, "rolled_back", text)
        except PipelineError as error:
            if error.retry:
                raise
            # A version that was deleted, a user who may not edit it: the aliases stand, and that is what serves.
            log.warning("%s: version %s can't say that it was rolled back: %s", usecase, version, error)
