"""Why a day is red: what can be told apart of the code, the reference tables, the inputs and the world.

Each question is asked by computing something once more with one thing put back as it was: the champion about a day that
it has answered before, and the day itself with a reference table as it was at the day before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import date, timedelta

import numpy as np

from pipeline.core.errors import PipelineError
from pipeline.core.kinds import Floats
from pipeline.core.ports import Units, World
from pipeline.core.records import Entry, Trained
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.core.words import first_few
from pipeline.steps.judging.asked_again import compared, recorded_days
from pipeline.steps.models import able
from pipeline.steps.register import read_verdict

log = logging.getLogger(__name__)

#: A reference table is to blame that, put back, takes away this share of what the champion loses beyond its usual loss.
_BLAMED = 0.5
#: So many inputs are named, each at least this far from what it was: the share of units that would have to change.
_NAMED, _FAR = 3, 0.2


def causes(
    usecase: Usecase,
    trained: Trained,
    world: World,
    head: Entry,
    units: Units,
    losses: Mapping[str, float],
    usual: float,
) -> list[str]:
    """What was found, as clauses, the surest first; what could not be asked is left out.

    Args:
        usecase: The use case.
        trained: Who was fitted on the day, and on what.
        world: The ports; read only.
        head: The champion's line.
        units: The scored day's units, as they are made now.
        losses: Contestant to its mean loss on the day.
        usual: What the champion usually loses.
    """
    found: list[str] = []
    for asked in (
        _code(usecase, world, head, date.fromisoformat(trained.scored)),
        _tables(usecase, trained, world, head, losses["champion"], usual),
        _fresh(head, losses, usual),
        _inputs(usecase, trained, world, units),
    ):
        try:
            found += asked
        except (PipelineError, ValueError, KeyError, TypeError) as gone:
            log.warning("one cause of the red day could not be looked into: %s", gone)
    return found


def _code(usecase: Usecase, world: World, head: Entry, day: date) -> Iterator[str]:
    """The champion about a day that it has answered, from the tables as they were then."""
    entries = world.ledger.entries(usecase.name)
    past = next(recorded_days(usecase, head, entries, world, before=day), None)
    if past is None:
        return
    then, units, predictions = past
    now = able.ask(usecase, head, world, units.inputs)
    if isinstance(now, able.Unable):
        yield now.why
        return
    same, how = compared(then, units, predictions, now)
    if same:
        yield f"its code is not to blame: asked again about {then}, it answers as it did"
    else:
        yield (
            f"the code is to blame: asked again about {then}, from the tables as they were then, it {how}; the code of "
            f"the features or a library under it is another one since"
        )


def _tables(usecase: Usecase, trained: Trained, world: World, head: Entry, loss: float, usual: float) -> Iterator[str]:
    """The day with each reference table as it was when the day before was judged."""
    earlier = [line for line in world.ledger.outcomes(usecase.name) if line.verdict and line.day < trained.day]
    if not earlier or not usecase.references:
        return
    line = earlier[-1]
    then = read_verdict(usecase.name, line.day, line.verdict, world).snapshot
    versions: Mapping[str, int] = trained.validated["snapshot"]["versions"]
    day = date.fromisoformat(trained.scored)
    for table in usecase.references:
        if table.name not in then or then[table.name] == versions[table.name]:
            continue
        units = world.engine.units(usecase, {**versions, table.name: then[table.name]}, Days(day, day))
        answer = able.ask(usecase, head, world, units.inputs)
        if isinstance(answer, able.Unable):
            continue
        with_it = _mean(usecase.kind.loss(units.labels, answer))
        if loss - with_it >= _BLAMED * (loss - usual):
            yield (
                f"the table '{table.name}' is to blame: as it was on {line.day}, the champion would have lost "
                f"{with_it:.4g}; ask upstream what changed in it since"
            )


def _fresh(head: Entry, losses: Mapping[str, float], usual: float) -> Iterator[str]:
    """Who has learnt from the last days, by the same recipe, sees the inputs as they are now."""
    fresh = losses.get(head.recipe)
    if fresh is None or not np.isfinite(fresh):
        return
    if losses["champion"] - fresh >= _BLAMED * (losses["champion"] - usual):
        yield (
            f"a model of its recipe fitted on the days before lost {fresh:.4g}: what the inputs mean, or the world, "
            f"has changed since it was trained, through {head.trained_through}"
        )
    else:
        yield (
            f"a model of its recipe fitted on the days before lost {fresh:.4g} and did not foresee the day either: its "
            f"inputs or its outcomes are unlike those days'"
        )


def _inputs(usecase: Usecase, trained: Trained, world: World, units: Units) -> Iterator[str]:
    """The inputs most unlike the week before, as it is made now: the share of units that would have to change."""
    day = date.fromisoformat(trained.scored)
    without = {date.fromisoformat(refused) for refused in trained.validated["without"]}
    week = Days(day - timedelta(7), day - timedelta(1))
    before = world.engine.units(usecase, trained.validated["snapshot"]["versions"], week, without)
    if not len(units) or not len(before):
        return
    apart = {name: _distance(before.inputs[name].to_numpy(), units.inputs[name].to_numpy()) for name in units.inputs}
    far = {name: distance for name, (distance, chance) in apart.items() if distance >= max(_FAR, chance)}
    unlike = sorted(far, key=lambda name: -far[name])
    if unlike:
        named = [f"{name} (at {100 * far[name]:.0f} % of the units)" for name in unlike]
        yield f"unlike the week before: {first_few(named, _NAMED)}"


def _distance(one: Floats, other: Floats) -> tuple[float, float]:
    """How far two samples are apart, at most 1, and how far chance alone seldom takes them.

    Of numbers the greatest difference of the shares below any value, whose 1 % point is 1.63 roots of 1/n + 1/m
    (Smirnov, Annals of Mathematical Statistics 19, 1948); of words the share that would have to change.
    """
    root = float(np.sqrt(1 / len(one) + 1 / len(other)))
    try:
        first, second = (np.asarray(values, dtype=np.float64) for values in (one, other))
    except (TypeError, ValueError):
        words = [np.array([str(value) for value in values], dtype=np.str_) for values in (one, other)]
        names = np.unique(np.concatenate(words))
        shares = [np.array([np.mean(values == name) for name in names]) for values in words]
        return float(np.abs(shares[0] - shares[1]).sum() / 2), float(np.sqrt(len(names))) * root
    gone = abs(float(np.isnan(first).mean()) - float(np.isnan(second).mean()))
    first, second = np.sort(first[~np.isnan(first)]), np.sort(second[~np.isnan(second)])
    if not len(first) or not len(second):
        return gone, 1.63 * root
    at = np.concatenate([first, second])
    below = [np.searchsorted(values, at, "right") / len(values) for values in (first, second)]
    return max(gone, float(np.abs(below[0] - below[1]).max())), 1.63 * root


def _mean(losses: Floats) -> float:
    known = losses[np.isfinite(losses)]
    return float(known.mean()) if len(known) else np.nan
