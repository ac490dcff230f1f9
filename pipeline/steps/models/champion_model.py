"""Who is champion, as a fitted model: named by the promotion ledger, read from the file store or else the registry."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

from pipeline.core.errors import PipelineError, RefusedError, UnavailableError
from pipeline.core.ports import World
from pipeline.core.promotion.decision import current_champion
from pipeline.core.records import Entry, Trained
from pipeline.core.usecase import Usecase

#: What another copy of the same bytes helps against: no file, other bytes, or a file that may not be read.
_LOST = ("MISSING", "TAMPERED", "STORAGE")


def file_of(usecase: str, sha256: str) -> str:
    """Name of a model's file in the file store."""
    return f"models/{usecase}/{sha256}.skops"


def already_promoted_today(usecase: Usecase, entries: Sequence[Entry], trained: Trained, world: World) -> Entry | None:
    """The ledger's newest line, if it is this very day's and promoted one of these very models, or its refit.

    A run that is tried again after it promoted finds its own work here, and does not judge its winner against itself.
    """
    head = current_champion(entries)
    if head is None or head.day != trained.day or head.action not in ("start", "promote"):
        return None
    models = {candidate.model for candidate in trained.models}
    if head.model in models:
        return head
    from pipeline.steps.register import read_verdict

    winning_fit = read_verdict(usecase.name, head.day, head.verdict, world).fits.get(head.recipe, {})
    return head if winning_fit.get("model") in models else None


def judged_against(usecase: Usecase, trained: Trained, world: World) -> Entry | None:
    """Whom the fresh candidates are judged against: the champion, or whom it replaced if this very day promoted it."""
    entries = world.ledger.entries(usecase.name)
    if already_promoted_today(usecase, entries, trained, world) is None:
        return current_champion(entries)
    return current_champion(entries[:-1])


def newest_judged(usecase: Usecase, world: World) -> date | None:
    """The newest data day on which models were judged; days without a verdict do not count."""
    lines = world.ledger.outcomes(usecase.name)
    days = [line.day for line in lines if line.outcome not in ("refused", "failed")]
    return date.fromisoformat(max(days)) if days else None


def load(usecase: Usecase, entry: Entry, world: World) -> Any:
    """The model of a ledger line, its digest checked against the ledger before it is opened.

    A file that is missing, damaged or can't be read is fetched anew from the registry. A file never changes, so the
    fresh one is kept beside the bad one, and beside bad ones that were fetched before.

    Raises:
        RefusedError: Neither the file store nor the registry has the file with that digest.
        UnavailableError: The file can't be read, and the registry can't give it anew.
    """
    name = file_of(usecase.name, entry.sha256)
    try:
        return world.models.load(name, entry.sha256)
    except (RefusedError, UnavailableError) as error:
        if error.code not in _LOST:
            raise
        lost = error
    fetched = 1
    # Asked before it is opened: a folder that can't be looked into ends here, and not in ever more names.
    while world.files.exists(again := name.replace(".skops", f".again{'' if fetched == 1 else f'-{fetched}'}.skops")):
        try:
            return world.models.load(again, entry.sha256)
        except (RefusedError, UnavailableError) as error:
            if error.code not in _LOST:
                raise
        fetched += 1
    fresh = name if lost.code == "MISSING" else again
    world.files.put(fresh, _fetched(usecase.name, entry, world, lost))
    return world.models.load(fresh, entry.sha256)


def heal(usecase: Usecase, entry: Entry, world: World) -> str:
    """Fetch a lost or damaged file of a ledger line anew from the registry, and say so; empty where it is whole.

    Raises:
        RefusedError, UnavailableError: As :func:`load`, where the registry has not the promoted file either.
    """
    if data(usecase, entry, world) is not None:
        return ""
    name = file_of(usecase.name, entry.sha256)
    what = "was not what was promoted" if world.files.exists(name) else "was gone"
    try:
        load(usecase, entry, world)
    except RefusedError as error:
        if error.code in _LOST:
            raise
        # The bytes are the right ones; that this environment can't open them is told elsewhere.
    return f"the file of version {entry.version} ({name}) {what}, and was fetched anew from MLflow"


def data(usecase: Usecase, entry: Entry, world: World) -> bytes | None:
    """The bytes of a ledger line's model, once :func:`load` has found them; None where the file store has them not."""
    name = file_of(usecase.name, entry.sha256)
    fetched = 0
    while True:
        end = ("", ".again")[fetched > 0] + (f"-{fetched}" if fetched > 1 else "")
        file = name.replace(".skops", f"{end}.skops")
        if fetched and not world.files.exists(file):
            return None
        try:
            return world.files.get(file, entry.sha256)
        except PipelineError as error:
            if error.code not in _LOST:
                raise
        fetched += 1


def _fetched(usecase: str, entry: Entry, world: World, lost: PipelineError) -> bytes:
    try:
        data, _ = world.registry.artifact(usecase, entry.version)
    except PipelineError as error:
        if lost.retry:
            # The file is there, and access to it is all that is missing: that is sooner given.
            raise lost from error
        raise
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise RefusedError(
            f"{lost}, or roll back to another version: the registry's file of version {entry.version} is not the one "
            f"that was promoted either",
            "TAMPERED",
        ) from lost
    return data
