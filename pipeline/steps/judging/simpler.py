"""What could ship instead of a candidate and is simpler: the other side of :class:`SimplerPreferred`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from pipeline.core.evidence.candidate import Paired
from pipeline.core.promotion import decision
from pipeline.core.records import Candidate, Entry
from pipeline.core.verdict import Finding, Outcome, joint

if TYPE_CHECKING:
    from pipeline.steps.judging.judge import DayJudge


def simpler(
    day_judge: DayJudge,
    candidate: Candidate,
    head: Entry,
    paired: Paired | None,
    found: Mapping[str, tuple[Finding, ...]],
) -> dict[str, Paired]:
    """Rival to both sides' predictions: simpler recipes that passed and may ship, and a champion of a simpler recipe.

    Args:
        day_judge: The day's judging.
        candidate: Who is judged.
        head: The champion.
        paired: The candidate beside the champion.
        found: Recipe to what the gates found, of those judged before.
    """
    usecase = day_judge.usecase
    order = [recipe.name for recipe in usecase.recipes]
    before = order[: order.index(candidate.recipe)]
    held = decision.held(day_judge.source.entries, date.fromisoformat(day_judge.trained.day))

    definition = day_judge.source.definition

    rivals = {
        other.recipe: day_judge.ledger.fresh(
            candidate.recipe, definition(candidate.recipe), other.recipe, definition(other.recipe)
        )
        for other in day_judge.contenders
        if other.recipe in before
        and joint(found.get(other.recipe, ())) is Outcome.PASS
        and other.model != head.model
        and not held.why(other)
    }
    if head.recipe in before and paired is not None:
        rivals[f"the champion, a {head.recipe}"] = replace(paired, slices={})
    return rivals
