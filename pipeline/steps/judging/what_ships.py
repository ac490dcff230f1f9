"""What ships for a winner: the fit that was scored, or its recipe fitted once more with the holdout day learnt from.

A day's fresher memory is worth up to a few percent of loss where the world drifts. The refit was never scored on a day
of its own, so it must say nearly what the scored fit says: it may change no more than refitting alone does, and a
little.
"""

from __future__ import annotations

from pipeline.core.evidence.candidate import Evidence, HoldoutDay
from pipeline.core.gates.stability import Churn
from pipeline.core.records import Candidate
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome
from pipeline.steps.judging.source import EvidenceSource

#: The share of decisions that one more day may change beyond refitting noise, and the fewest units that can tell.
LIMIT, AT_LEAST = 0.10, 30
NAME = "refit"


def choose_shipped_fit(
    usecase: Usecase, source: EvidenceSource, winner: Candidate, scored_day: HoldoutDay | None
) -> tuple[Candidate, Finding]:
    """The candidate that ships, and why: the refit if it is known to say nearly the same, else the scored fit.

    Args:
        usecase: The use case.
        source: Gives the refit.
        winner: The fit that was scored.
        scored_day: The holdout day as the champion and the winner answered it; None: nobody was asked.
    """
    if usecase.promotion.ship == "scored":
        return winner, Finding(NAME, Outcome.PASS, "the very fit that was scored ships, as declared", required=False)
    refit = source.refit(winner)
    if isinstance(refit, str):
        return winner, Finding(NAME, Outcome.UNKNOWN, f"the fit that was scored ships: {refit}", required=False)
    holdout = None
    if scored_day is not None:
        sides = (scored_day.candidate, refit.predictions)
        holdout = HoldoutDay(scored_day.labels, scored_day.blocks, *sides, {}, source.resampled(winner))
    evidence = Evidence(usecase.kind, winner.recipe, f"{winner.recipe} refitted", holdout=holdout)
    (same,) = Churn(LIMIT, at_least=AT_LEAST).judge(evidence)
    if same.outcome is not Outcome.PASS:
        text = f"the fit that was scored ships, for its refit {same.text}"
        return winner, Finding(NAME, same.outcome, text, required=False)
    text = f"fitted once more through {refit.candidate.trained_through}: {same.text}"
    return refit.candidate, Finding(NAME, Outcome.PASS, text, required=False)
