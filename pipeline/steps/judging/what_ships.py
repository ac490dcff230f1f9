"""What ships for a winner: the fit that was scored, or its recipe fitted once more with the holdout day learnt from.

A day's fresher memory is worth up to a few percent of loss where the world drifts. The refit was never scored on a day
of its own, so it must say nearly what the examined fit says: it may change no more than refitting alone does, and a
little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.evidence.candidate import Evidence, HoldoutDay
from pipeline.core.gates.stability import Churn
from pipeline.core.records import Candidate
from pipeline.core.verdict import Finding, Outcome
from pipeline.steps.judging.source import Refit

if TYPE_CHECKING:
    from pipeline.steps.judging.judge import DayJudge

#: The share of decisions that one more day may change beyond refitting noise, and the fewest units that can tell.
LIMIT, AT_LEAST = 0.10, 30
NAME = "refit"


def shipped(day_judge: DayJudge, winner: Candidate) -> tuple[Candidate, Finding]:
    """The candidate that ships, and why: the refit if it is known to say nearly the same, else the examined fit."""
    if day_judge.usecase.promotion.ship == "scored":
        return winner, Finding(NAME, Outcome.PASS, "the very fit that was scored ships, as declared", required=False)
    made = day_judge.source.refit(winner)
    if isinstance(made, str):
        return winner, Finding(NAME, Outcome.UNKNOWN, f"the fit that was scored ships: {made}", required=False)
    found = _compared(day_judge, winner, made)
    if found.outcome is not Outcome.PASS:
        text = f"the fit that was scored ships, for its refit {found.text}"
        return winner, Finding(NAME, found.outcome, text, required=False)
    text = f"fitted once more through {made.fresher.trained_through}: {found.text}"
    return made.fresher, Finding(NAME, Outcome.PASS, text, required=False)


def _compared(day_judge: DayJudge, winner: Candidate, made: Refit) -> Finding:
    """Whether the refit changes no more than refitting does, on the holdout day's units."""
    examined = day_judge.evidence[winner.recipe].holdout
    holdout = None
    if examined is not None:
        holdout = HoldoutDay(
            examined.labels, examined.blocks, examined.candidate, made.again, {}, day_judge.source.resampled(winner)
        )
    evidence = Evidence(day_judge.usecase.kind, winner.recipe, f"{winner.recipe} refitted", holdout=holdout)
    (found,) = Churn(LIMIT, at_least=AT_LEAST).judge(evidence)
    return found
