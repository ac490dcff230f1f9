"""Who reigns, as a fitted model: named by the promotion ledger, read from the file store or else the registry."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

from pipeline.core.errors import RefusedError
from pipeline.core.lifecycle import champion
from pipeline.core.ports import World
from pipeline.core.records import Entry, Trained
from pipeline.core.usecase import Usecase


def file_of(usecase: str, sha256: str) -> str:
    """Name of a model's file in the file store."""
    return f"models/{usecase}/{sha256}.skops"


def settled(entries: Sequence[Entry], trained: Trained) -> Entry | None:
    """The ledger's newest line, if it is this very day's and crowned one of these very models.

    A run that is tried again after it promoted finds its own work here, and does not judge its winner against itself.
    """
    head = champion(entries)
    if head is None or head.day != trained.day or head.action not in ("start", "promote"):
        return None
    return head if head.model in {candidate.model for candidate in trained.models} else None


def opponent(usecase: Usecase, trained: Trained, world: World) -> Entry | None:
    """Whom the fresh candidates are judged against: the champion, or whom it replaced if this very day crowned it."""
    entries = world.ledger.entries(usecase.name)
    if settled(entries, trained) is None:
        return champion(entries)
    return champion(entries[:-1])


def newest_judged(usecase: Usecase, world: World) -> date | None:
    """The newest data day on which models were judged; refused days do not count."""
    days = [outcome.day for outcome in world.ledger.outcomes(usecase.name) if outcome.outcome != "refused"]
    return date.fromisoformat(max(days)) if days else None


def load(usecase: Usecase, entry: Entry, world: World) -> Any:
    """The model of a ledger line, its digest checked against the ledger before it is opened.

    A file that is missing or damaged is fetched anew from the registry, and kept beside the damaged one.

    Raises:
        RefusedError: Neither the file store nor the registry has the file with that digest.
    """
    name = file_of(usecase.name, entry.sha256)
    try:
        return world.models.load(name, entry.sha256)
    except RefusedError as lost:
        if lost.code not in ("MISSING", "TAMPERED"):
            raise
        spare = name.replace(".skops", ".again.skops") if world.files.exists(name) else name
        if not world.files.exists(spare):
            data, _ = world.registry.artifact(usecase.name, entry.version)
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise RefusedError(
                    f"{lost} The registry's file of version {entry.version} is not the one that was promoted either: "
                    f"roll back to another version",
                    "TAMPERED",
                ) from None
            world.files.put(spare, data)
        return world.models.load(spare, entry.sha256)
