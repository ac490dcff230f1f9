"""Train: every recipe on the labelled days before the scored day, which stays unseen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipeline.core.errors import UsageError
from pipeline.core.ports import World
from pipeline.core.records import Candidate, Trained, Validated
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days, scored_day
from pipeline.steps.models.fitting import BrokenError
from pipeline.steps.models.run_training import RunTraining


def train(usecase: Usecase, validated: Validated, world: World, recipes: Sequence[str] = ()) -> Trained:
    """Fit the recipes and the fresh baseline as of the run's day; a fit that is already there is not made again.

    Args:
        usecase: The use case.
        validated: The accepted data.
        world: The ports.
        recipes: Names of the recipes to fit; empty: all. The baseline is always fitted.

    Raises:
        UsageError: A recipe of that name does not exist.
    """
    try:
        chosen = [usecase.recipe(name) for name in recipes] or list(usecase.recipes)
    except KeyError as unknown:
        raise UsageError(str(unknown.args[0]), "RECIPE") from unknown
    scored = scored_day(date.fromisoformat(validated.snapshot["day"]), usecase.label_delay)
    training = RunTraining(usecase, validated, world, scored)
    candidates: list[Candidate] = []
    skipped: dict[str, str] = {}
    broken: list[str] = []
    fits = [*(r for r in chosen if r.name != usecase.baseline.name), usecase.baseline]
    if nothing := _why_nobody_is_scored(usecase, validated, world, scored):
        skipped, fits = dict.fromkeys((recipe.name for recipe in fits), nothing), []
    with world.progress("train", len(fits)) as done:
        for recipe in fits:
            try:
                candidate_or_reason = training.fit(recipe)
            except BrokenError as error:
                broken.append(recipe.name)
                skipped[recipe.name] = str(error)
                done()
                continue
            if isinstance(candidate_or_reason, str):
                skipped[recipe.name] = candidate_or_reason
            else:
                candidates.append(candidate_or_reason)
            done()
    return Trained(
        validated=validated.to_dict(),
        scored=scored.isoformat(),
        candidates=tuple(candidate.to_dict() for candidate in candidates),
        skipped=skipped,
        broken=tuple(broken),
    )


def _why_nobody_is_scored(usecase: Usecase, validated: Validated, world: World, scored: date) -> str:
    """Why nobody is scored on a day whose labels are known by now, as on a Sunday of a shop; empty if there is one.

    The data day itself was accepted, so this is asked only where labels take days.
    """
    if not usecase.label_delay:
        return ""
    if scored.isoformat() in validated.without:
        return f"{scored}, whose labels are known by now, was refused"
    rows = usecase.feeds[0].name
    if scored not in world.store.marks(rows, validated.snapshot["versions"][rows], Days(scored, scored)):
        return f"nothing was delivered of {scored}, whose labels are known by now"
    return ""
