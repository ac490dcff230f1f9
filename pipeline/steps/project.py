"""The aliases are a projection of the promotion ledger: this brings them to what the ledger says."""

from __future__ import annotations

import logging

from pipeline.core.lifecycle import champion, previous
from pipeline.core.ports import World

log = logging.getLogger(__name__)


def project(usecase: str, world: World) -> dict[str, tuple[int | None, int | None]]:
    """Point ``champion`` and ``previous`` where the promotion ledger says; touches nothing that is right already.

    Returns:
        Alias to (what it was, what it is now) for each that had to be moved.
    """
    entries = world.ledger.entries(usecase)
    head, before = champion(entries), previous(entries)
    wanted = {
        "champion": None if head is None else head.version,
        "previous": None if before is None else before.version,
    }
    found = world.registry.aliases(usecase)
    moved: dict[str, tuple[int | None, int | None]] = {}
    for alias, version in wanted.items():
        if found.get(alias) != version:
            log.info("%s: alias %s moves from version %s to %s", usecase, alias, found.get(alias), version)
            world.registry.point(usecase, alias, version)
            moved[alias] = (found.get(alias), version)
    return moved
