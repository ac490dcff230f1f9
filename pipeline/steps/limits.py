"""The learned limits of a use case's tables, as the next day is held to them. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pipeline.core.checks.day import surprise_of
from pipeline.core.checks.learned.known import KnownLimit, known_limits
from pipeline.core.checks.learned.sayings import Names
from pipeline.core.errors import UsageError
from pipeline.core.ports import World
from pipeline.core.records import Snapshot
from pipeline.core.usecase import Usecase
from pipeline.steps.validate import accepted_profiles


@dataclass(frozen=True, slots=True)
class Limits:
    """What the next day is held to.

    Attributes:
        usecase: Its name.
        after: The newest accepted day, ISO format.
        days: How many accepted days are remembered.
        tables: Table's name to its limits; empty while too few days are known.
        names: Table's name to how its columns are told.
    """

    usecase: str
    after: str
    days: int
    tables: Mapping[str, list[KnownLimit]]
    names: Mapping[str, Names]


def limits(usecase: Usecase, world: World, table: str = "") -> Limits:
    """The limits that the day after the newest accepted one is held to.

    Args:
        usecase: The use case.
        world: The ports; read only.
        table: Of this table alone; empty: of all.

    Raises:
        UsageError: There is no such table, or no day was accepted yet under the rules of now.
    """
    known = [one.name for one in usecase.tables]
    if table and table not in known:
        raise UsageError(f"use case '{usecase.name}' has no table '{table}'; it has {', '.join(known)}", "TABLE")
    versions = {name: version for name in known if (version := world.store.version(name)) is not None}
    days = [day for name in versions for day in world.store.marks(name, versions[name])]
    if len(versions) < len(known) or not days:
        raise UsageError(_nothing(usecase.name), "NOT_RUN")
    kept = accepted_profiles(usecase, Snapshot(usecase.name, max(days).isoformat(), versions), world)
    if not kept:
        raise UsageError(_nothing(usecase.name), "NOT_RUN")
    *_, last = kept
    found: dict[str, list[KnownLimit]] = {}
    for name in [table] if table else known:
        measures = {
            then.day: (then.feeds[name].measures if name in then.feeds else then.references[name].measures)
            for then in kept
            if name in then.feeds or name in then.references
        }
        if last.day in measures:
            day = last.day + timedelta(1)
            found[name] = known_limits(day, measures[last.day], measures, surprise_of(kept, name))
    names = {one.name: Names.of(one) for one in usecase.tables}
    return Limits(usecase.name, last.day.isoformat(), len(kept), found, names)


def _nothing(usecase: str) -> str:
    return (
        f"no day of '{usecase}' was accepted yet under the rules of now, so no limit is learned: "
        f"'python -m pipeline run {usecase} --day 2013-01-28' judges one"
    )
