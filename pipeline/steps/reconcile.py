"""The aliases are a projection of the promotion ledger: this brings them to what the ledger says."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.ports import World
from pipeline.core.promotion.decision import current_champion, previous
from pipeline.core.records import Entry

log = logging.getLogger(__name__)


def reconcile(usecase: str, world: World) -> dict[str, tuple[int | None, int | None]]:
    """Point ``champion`` and ``previous`` where the promotion ledger says; touches nothing that is right already.

    Raises:
        RefusedError: With code ``DRIFT`` if the registry knows a champion that the ledger does not: nothing is moved.
            An empty ledger beside a registry that has had a champion is one that was lost.

    Returns:
        Alias to (what it was, what it is now) for each that had to be moved.
    """
    entries = world.ledger.entries(usecase)
    head, before = current_champion(entries), previous(entries)
    wanted = {
        "champion": None if head is None else head.version,
        "previous": None if before is None else before.version,
    }
    registry_aliases = world.registry.aliases(usecase)
    aliased = [f"version {registry_aliases[alias]} is {alias}" for alias in wanted if alias in registry_aliases]
    if head is None and aliased:
        # To start over is offered last: whoever does it while a backup lies there loses the history for good.
        raise RefusedError(
            f"{usecase}: in the registry {' and '.join(aliased)}, but the promotion ledger is empty and has never "
            f"heard of it, so the ledger was lost: restore the newest backup of it first (ledger.db, or the database "
            f"that PIPELINE_LEDGER names); only if there is none, remove the aliases, and the next day starts over",
            "DRIFT",
        )
    if (
        head is not None
        and "champion" in registry_aliases
        and registry_aliases["champion"] not in {entry.version for entry in entries}
    ):
        raise RefusedError(
            f"{usecase}: in the registry version {registry_aliases['champion']} is champion, but the promotion "
            f"ledger has never heard of it: either the ledger was restored from an old backup (restore the newest "
            f"one), or somebody moved the alias by hand (point it back at version {head.version})",
            "DRIFT",
        )
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
