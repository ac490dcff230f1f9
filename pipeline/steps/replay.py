"""Replay: what a policy would have done with the history in the store, and what the usual habits would have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.evidence.candidate import Stage
from pipeline.core.gates.better import Better
from pipeline.core.ports import World
from pipeline.core.replay.cost import Yardstick, hindsight
from pipeline.core.replay.figures import ageing, loss_difference, policy_figures
from pipeline.core.replay.history import FitKey, History
from pipeline.core.replay.player import Replayer
from pipeline.core.replay.policy import Policy, parse_windows, reference_policies, variant_name, with_changes
from pipeline.core.replay.result import PolicyResult, ReplayResult
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.windows import Days
from pipeline.steps.ingest import ingest
from pipeline.steps.models.definition import definition
from pipeline.steps.refuse import as_refusal
from pipeline.steps.replaying.fit_maker import FitMaker
from pipeline.steps.replaying.fit_store import FitStore
from pipeline.steps.replaying.fits import make_history
from pipeline.steps.replaying.search import rank, search_policy
from pipeline.steps.tables.new_keys import with_new_keys_daily
from pipeline.steps.validate import validate


def replay(
    usecase: Usecase,
    days: Days,
    world: World,
    policies: Sequence[str] = (),
    start: str = "",
    search: bool = False,
    workers: int | None = None,
) -> ReplayResult:
    """Replay the declared policy, changed ones, and the habits they are compared with.

    Args:
        usecase: The use case.
        days: The days to count.
        world: The ports.
        policies: Changes to the declared policy, as :func:`~pipeline.core.replay.policy.with_changes` reads
            them; each is one more.
        start: The recipe that serves on the first day; empty: the first declared that can be fitted on it.
        search: Whether to propose a policy.
        workers: Processes for the fits; None: one a processor.

    Raises:
        UsageError: The days are not in the store, or nothing can be fitted on the first of them.
    """
    declared, left_out = declared_policy(usecase)
    known = [recipe.name for recipe in (*usecase.recipes, usecase.baseline)]
    if start and start not in known:
        raise UsageError(f"use case '{usecase.name}' has no recipe '{start}'; it has {', '.join(known)}", "RECIPE")
    try:
        asked_policies = [declared, *(with_changes(declared, text) for text in policies)]
        wider = _with_variants(usecase, policies)
    except ValueError as nonsense:
        raise UsageError(str(nonsense), "POLICY") from None
    history, first, without = _history(usecase, wider, days, world, workers)
    begin = _start(usecase, history, first, start)
    names = [recipe.name for recipe in usecase.recipes]
    ordered = [begin.recipe, *(name for name in names if name != begin.recipe)] if begin.recipe in names else names
    player = Replayer(
        usecase.name,
        history,
        begin,
        first,
        usecase.baseline.name,
        usecase.label_delay,
        usecase.evidence,
        usecase.waivers,
    )
    every = [*asked_policies, *reference_policies(ordered, "refit")]
    with world.progress("replay", len(every)) as done:
        timelines = []
        for policy in every:
            timelines.append(player.run(policy))
            done()
    daily = [timeline for timeline in timelines if timeline.policy.name.startswith("daily ")]
    best = min(daily, key=lambda timeline: rank(policy_figures(timeline, history)))
    price = price_of(declared)
    yardstick = Yardstick.of(best, history, price)
    results = [
        PolicyResult(
            timeline,
            policy_figures(timeline, history, yardstick=yardstick),
            loss_difference(timeline, best, history),
        )
        for timeline in timelines
    ]
    cheapest = hindsight(history, yardstick, history.recipes, begin, usecase.label_delay) if yardstick else None
    searched, proposal = search_policy(player, timelines[0], daily, price, world) if search else ((), None)
    last = history.stretch.days[-1].astype(object)
    return ReplayResult(
        usecase,
        Days(history.stretch.days[first].astype(object), last),
        history,
        _told(results, len(asked_policies)),
        len(asked_policies),
        results[timelines.index(best)],
        left_out,
        without,
        {recipe.name: ageing(history, recipe.name, first) for recipe in wider.recipes},
        searched,
        proposal,
        price,
        cheapest,
    )


def price_of(policy: Policy) -> float:
    """The declared price of a promotion, in days of loss."""
    return next(gate.price for gate in policy.gates if isinstance(gate, Better))


def _told(results: Sequence[PolicyResult], asked: int) -> tuple[PolicyResult, ...]:
    """What is shown: of each habit that is no daily one the recipe that cost least."""
    kept = list(results[:asked])
    for one in results[asked:]:
        habit = one.name.partition(" ")[0]
        alike = [other for other in results[asked:] if other.name.partition(" ")[0] == habit]
        if habit == "daily" or one is min(alike, key=_costs):
            kept.append(one)
    return tuple(kept)


def _costs(one: PolicyResult) -> float:
    return one.figures.cost if math.isfinite(one.figures.cost) else math.inf


def _with_variants(usecase: Usecase, policies: Sequence[str]) -> Usecase:
    """The use case with a recipe more for each window that a policy changes."""
    more: dict[str, Recipe] = {}
    for text in policies:
        for name, window in parse_windows(text).items():
            recipe = usecase.recipe(name)
            least = min(recipe.at_least, window)
            more[variant_name(name, window)] = replace(
                recipe, name=variant_name(name, window), window=window, at_least=least
            )
    return replace(usecase, recipes=(*usecase.recipes, *more.values()))


def declared_policy(usecase: Usecase) -> tuple[Policy, tuple[str, ...]]:
    """The use case's own policy, and the names of its gates that can't be replayed.

    Those judge what is measured on the day: seconds, memory, a refit of the candidate. History has kept none of that.

    Raises:
        UsageError: The use case does not declare the gate that decides, ``Better``.
    """
    gates = tuple(gate for gate in usecase.gates if gate.stage is Stage.SCORES)
    if not any(isinstance(gate, Better) for gate in gates):
        raise UsageError(
            f"use case '{usecase.name}' does not declare the gate Better, which decides; there is no policy to replay",
            "POLICY",
        )
    left_out = tuple(gate.name for gate in usecase.gates if gate.stage is not Stage.SCORES)
    recipes = tuple(recipe.name for recipe in usecase.recipes)
    return Policy("declared", "gates", recipes, gates, ship=usecase.promotion.ship), left_out


def _start(usecase: Usecase, history: History, first: int, start: str) -> FitKey:
    names = [recipe.name for recipe in (*usecase.recipes, usecase.baseline)]
    for name in [start] if start else names:
        if history.losses(FitKey(name, first), first) is not None:
            return FitKey(name, first)
    day = history.stretch.days[first]
    raise UsageError(
        f"{usecase.name}: {start or 'no recipe'} can be fitted on {day}: too few labelled days lie before it; begin "
        "later",
        "EARLY",
    )


def _history(
    declared: Usecase, usecase: Usecase, days: Days, world: World, workers: int | None
) -> tuple[History, int, tuple[date, ...]]:
    """The history, the number of the first counted day in it, and the refused days."""
    reach = Days(days.first - timedelta(usecase.longest_window), days.last)
    versions, without = _prepared(usecase, reach, days, world)
    first_feed = usecase.feeds[0].name
    stored_days = sorted(world.store.marks(first_feed, versions[first_feed], reach))
    if not stored_days or stored_days[-1] < days.first:
        raise UsageError(
            f"{usecase.name}: neither the store nor upstream has a day from {days.first} to {days.last}", "MISSING"
        )
    available_days = Days(stored_days[0], min(days.last, stored_days[-1]))
    with world.progress("features", 1) as done:
        units = world.engine.units(usecase, versions, available_days, without)
        done()
    # What is new to the use case does not depend on a window that somebody tries.
    units = with_new_keys_daily(declared, units, available_days, versions, without, world.store)
    number = (units.days - np.datetime64(available_days.first)).astype(np.int64)
    recipes = (*usecase.recipes, usecase.baseline)
    source = FitMaker(usecase.kind, recipes, units, number)
    keeper = FitStore(
        files=world.files,
        folder=f"replays/{usecase.name}",
        contents=source.contents(len(available_days)),
        made_of=source.made_of({recipe.name: definition(usecase, recipe.name, world) for recipe in recipes}),
        windows={recipe.name: recipe.window for recipe in recipes},
    )
    begin = max(days.first, available_days.first)
    history = make_history(source, available_days, begin, world.progress, keeper, workers)
    return history, (begin - available_days.first).days, tuple(sorted(without))


def _prepared(usecase: Usecase, reach: Days, days: Days, world: World) -> tuple[dict[str, int], frozenset[date]]:
    """The store brought up to date for the stretch, and the days of it that are refused."""
    versions = _versions(usecase, world)
    step = max(usecase.lookback, 1)
    # Every so many days one run of ingest takes in what lies before it, corrections too.
    stops = [day for n, day in enumerate(reach) if n % step == step - 1 or day == reach.last]
    without: set[date] = set()
    with world.progress("ingest", len(stops)) as done:
        for day in stops:
            try:
                ingest(usecase, day, world)
            except PipelineError as error:
                # The days that are not there, or not sound, are told by what follows; a full disk is none of them.
                if as_refusal(error) is None:
                    raise
            done()
    versions = _versions(usecase, world)
    if len(versions) < len(usecase.tables):
        missing = [table.name for table in usecase.tables if table.name not in versions]
        raise UsageError(f"{usecase.name}: nothing was ever delivered of {', '.join(missing)}", "MISSING")
    marks = {table.name: world.store.marks(table.name, versions[table.name], reach) for table in usecase.tables}
    complete_days = [day for day in reach if all(day in table_marks for table_marks in marks.values())]
    without |= {day for table_marks in marks.values() for day in table_marks if day not in complete_days}
    stride = usecase.longest_window
    for n, day in enumerate(complete_days):
        if n % stride == stride - 1 or day == complete_days[-1]:
            without |= _refused(usecase, day, versions, world)
    return versions, frozenset(without)


def _refused(usecase: Usecase, day: date, versions: Mapping[str, int], world: World) -> set[date]:
    """The refused days in reach of a day, itself among them."""
    from pipeline.core.records import Snapshot

    try:
        validated = validate(usecase, Snapshot(usecase.name, day.isoformat(), versions), world)
        return {date.fromisoformat(other) for other in validated.without}
    except RefusedError:
        return {day}


def _versions(usecase: Usecase, world: World) -> dict[str, int]:
    versions: dict[str, Any] = {table.name: world.store.version(table.name) for table in usecase.tables}
    return {name: version for name, version in versions.items() if version is not None}
