"""The promotion ledger: who is champion, who was before, what rollbacks hold back, and what the next line says.

It is a list of :class:`~pipeline.core.records.Entry`, oldest first. Nothing here writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

from pipeline.core.errors import ConflictError, UsageError
from pipeline.core.records import Candidate, Entry
from pipeline.core.words import shorten

#: The longest reason, in characters, for holding something back.
_LONGEST_HOLD_REASON = 200


def current_champion(entries: Sequence[Entry]) -> Entry | None:
    """The line that says who is champion, or None before the first champion."""
    return entries[-1] if entries else None


def previous(entries: Sequence[Entry]) -> Entry | None:
    """The line of the champion before the present one: what ``rollback --to previous`` goes back to.

    Goes back champion by champion along ``replaced``. A model that was itself rolled back is passed over, so that
    asking twice in one incident does not bring the bad model back.
    """
    head = current_champion(entries)
    if head is None:
        return None
    barred = _rolled_back(entries)
    for index in range(len(entries) - 1, 0, -1):
        before = _line_of_version(entries[:index], entries[index].replaced)
        if before is not None and before.model not in barred and before.model != head.model:
            return before
    return None


def previous_told(entries: Sequence[Entry]) -> str:
    """Whom ``previous`` names, as a sentence; where it names nobody, why, and how to go back all the same."""
    head, before = current_champion(entries), previous(entries)
    if head is None:
        return "there is no champion yet, so previous names nobody"
    if before is not None:
        return f"previous is version {before.version} ({before.recipe})"
    rolled_back_models = _rolled_back(entries)
    rolled_back_versions = sorted({entry.version for entry in entries if entry.model in rolled_back_models})
    if not rolled_back_versions:
        return f"previous names nobody: no other version than {head.version} was champion"
    known = ", ".join(map(str, rolled_back_versions[-5:]))
    return (
        f"previous names nobody: whoever was champion before version {head.version} was rolled back, and 'previous' "
        f"never leads back to such a model; only its number does (--to {rolled_back_versions[-1]}; rolled "
        f"back: {known})"
    )


def target(entries: Sequence[Entry], to: str) -> Entry:
    """The line of the champion that ``to`` names: ``"previous"`` or a version such as ``"13"``.

    Raises:
        UsageError: There is none, or it is champion already; the message says what there is.
    """
    head = current_champion(entries)
    if head is None:
        raise UsageError("there is no champion yet, so there is nothing to roll back", code="NO_CHAMPION")
    if to == "previous":
        line = previous(entries)
        if line is None:
            raise UsageError(
                f"version {head.version} has no predecessor to go back to that was not itself rolled back; "
                f"name a version that was champion ({previous_told(entries)})",
                code="NO_TARGET",
            )
        return line
    champions = sorted({entry.version for entry in entries})
    if not to.isascii() or not to.isdigit() or int(to) not in champions:
        known = ", ".join(map(str, champions[-10:]))
        raise UsageError(f"'{to}' is neither 'previous' nor a version that was champion ({known})", code="NO_TARGET")
    if int(to) == head.version:
        raise UsageError(f"version {to} is the champion already", code="NO_TARGET")
    line = _line_of_version(entries, int(to))
    assert line is not None  # noqa: S101 - it is among those that served
    return line


def earlier_champions(entries: Sequence[Entry]) -> list[Entry]:
    """Every other version than the present champion's that was champion, by its newest line, the newest first."""
    head = current_champion(entries)
    newest = {entry.version: entry for entry in entries if entry.action != "lift"}
    others = [entry for entry in newest.values() if head is None or entry.version != head.version]
    return sorted(others, key=lambda entry: -entry.epoch)


def rolled_back(entries: Sequence[Entry]) -> set[int]:
    """The versions whose model was rolled back and is not champion again."""
    models = _rolled_back(entries)
    return {entry.version for entry in entries if entry.model in models}


def digests_by_version(entries: Sequence[Entry]) -> dict[int, str]:
    """Version to the SHA-256 of the model that served under that number, as the newest line about it says."""
    return {entry.version: entry.sha256 for entry in entries}


def _line_of_version(entries: Sequence[Entry], version: int | None) -> Entry | None:
    """The newest line that made this version champion."""
    lines = (entry for entry in reversed(entries) if entry.version == version and entry.action != "lift")
    return next(lines, None)


def _rolled_back(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Model to the line that rolled it back, unless somebody has made it champion again since."""
    barred: dict[str, Entry] = {}
    for before, line in pairwise(entries):
        if line.action == "rollback":
            barred[before.model] = line
        barred.pop(line.model, None)
    return barred


@dataclass(frozen=True, slots=True)
class Barred:
    """What may not be promoted on a data day, and why, as clauses.

    Attributes:
        recipes: Recipe to the reason why none of its candidates may be promoted that day.
        models: Model identity to the reason why this very model may not be promoted on any day.
    """

    recipes: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    def why(self, candidate: Candidate) -> str:
        """Why this candidate may not be promoted; empty if it may."""
        return self.models.get(candidate.model) or self.recipes.get(candidate.recipe, "")


def barred_on(entries: Sequence[Entry], day: date) -> Barred:
    """What rollbacks hold back on ``day``.

    The very model that was rolled back is barred for ever; only a person who rolls back to it, by its version, ends
    that. Its recipe is held through ``held_until``, unless a later line lifts it.
    """
    recipes: dict[str, str] = {}
    for entry in entries:
        if entry.action == "lift":
            recipes.pop(entry.held, None)
        elif entry.action == "rollback" and entry.held and day <= date.fromisoformat(entry.held_until):
            why = f"held through {entry.held_until}, since {entry.by} rolled it back on {entry.day}: {entry.why}"
            recipes[entry.held] = shorten(why, _LONGEST_HOLD_REASON)
    models = {
        model: shorten(f"this very model was rolled back by {line.by} on {line.day}: {line.why}", _LONGEST_HOLD_REASON)
        for model, line in _rolled_back(entries).items()
    }
    return Barred(recipes, models)


def promotion(
    entries: Sequence[Entry],
    usecase: str,
    candidate: Candidate,
    *,
    version: int,
    day: date,
    verdict: str,
    why: str,
    by: str,
    at: str,
) -> Entry:
    """The next line of the ledger: ``candidate`` becomes champion as ``version``; the first such line is a ``start``.

    Args:
        entries: The promotion ledger, oldest line first.
        usecase: The use case's name.
        candidate: Who becomes champion.
        version: Its number in the registry.
        day: The data day of the decision.
        verdict: Digest of the verdict that decided it.
        why: The verdict's sentence.
        by: Who decided: ``"the gates"``, or a person's name.
        at: When, ISO format, UTC.

    Raises:
        ConflictError: The day is earlier than the champion's.
        UsageError: No reason, no author, or the version is champion already.
    """
    head = _next(entries, day, why, by, epoch=None)
    if head is not None and head.version == version:
        raise UsageError(f"version {version} of {usecase} is the champion already", code="ALREADY")
    return Entry(
        usecase=usecase,
        epoch=1 if head is None else head.epoch + 1,
        action="start" if head is None else "promote",
        version=version,
        model=candidate.model,
        recipe=candidate.recipe,
        trained_through=candidate.trained_through,
        sha256=candidate.sha256,
        replaced=None if head is None else head.version,
        day=day.isoformat(),
        verdict=verdict,
        why=why,
        by=by,
        at=at,
    )


def rollback(
    entries: Sequence[Entry],
    to: str,
    *,
    day: date,
    why: str,
    by: str,
    at: str,
    hold_days: int = 7,
    epoch: int | None = None,
) -> Entry:
    """The next line of the ledger: an earlier champion serves again, and what it replaces is held back.

    Args:
        entries: The promotion ledger.
        to: ``"previous"`` or a version that was champion.
        day: The newest data day; the hold counts from it.
        why: A person's reason.
        by: Who.
        at: When, ISO format, UTC.
        hold_days: For how many data days after ``day`` the recipe of what is rolled back may not be promoted; 0: it
            may, but not the very model.
        epoch: The epoch that the person saw; if the ledger has moved on since, nothing is rolled back. A retry
            that passes it cannot roll back twice.

    Raises:
        UsageError: No such target, or no reason.
        ConflictError: The ledger is not at ``epoch``.
    """
    if not 0 <= hold_days <= 3650:
        raise UsageError(f"a rollback holds for 0 to 3650 days, got {hold_days}")
    head = _next(entries, day, why, by, epoch)
    back = target(entries, to)
    assert head is not None  # noqa: S101 - there is a target, so there is a champion
    # Even where the target is an earlier fit of the same recipe: whether the fit or the recipe was bad nobody can know
    # at night, so the recipe is held, and a person may lift that.
    return Entry(
        usecase=head.usecase,
        epoch=head.epoch + 1,
        action="rollback",
        version=back.version,
        model=back.model,
        recipe=back.recipe,
        trained_through=back.trained_through,
        sha256=back.sha256,
        replaced=head.version,
        day=day.isoformat(),
        verdict="",
        why=why,
        by=by,
        at=at,
        held=head.recipe if hold_days else "",
        held_until=(day + timedelta(hold_days)).isoformat() if hold_days else "",
    )


def lift(
    entries: Sequence[Entry], recipe: str, *, day: date, why: str, by: str, at: str, epoch: int | None = None
) -> Entry:
    """The next line of the ledger: the hold on ``recipe`` ends; the champion stays, so it replaces itself.

    Raises:
        UsageError: The recipe is not held on ``day``, or there is no reason.
        ConflictError: The ledger is not at ``epoch``.
    """
    head = _next(entries, day, why, by, epoch)
    if head is None:
        raise UsageError(f"there is no champion yet, so recipe '{recipe}' is not held", code="NOT_HELD")
    holds = barred_on(entries, day).recipes
    if recipe not in holds:
        known = ", ".join(sorted(holds)) or "none"
        raise UsageError(f"recipe '{recipe}' is not held on {day}; held are: {known}", code="NOT_HELD")
    return Entry(
        usecase=head.usecase,
        epoch=head.epoch + 1,
        action="lift",
        version=head.version,
        model=head.model,
        recipe=head.recipe,
        trained_through=head.trained_through,
        sha256=head.sha256,
        replaced=head.version,
        day=day.isoformat(),
        verdict="",
        why=why,
        by=by,
        at=at,
        held=recipe,
        held_until=day.isoformat(),
    )


def _next(entries: Sequence[Entry], day: date, why: str, by: str, epoch: int | None) -> Entry | None:
    """The present head, after what every new line must satisfy."""
    head = current_champion(entries)
    if not why.strip() or not by.strip():
        raise UsageError("a line of the promotion ledger needs a reason (--why) and who decided it", code="NO_REASON")
    now = head.epoch if head is not None else 0
    if epoch is not None and epoch != now:
        raise ConflictError(f"the promotion ledger is at epoch {now}, not at {epoch} any more: look again, then decide")
    if head is not None and day < date.fromisoformat(head.day):
        raise ConflictError(f"the promotion ledger has reached {head.day}; a line about the earlier {day} can't follow")
    return head
