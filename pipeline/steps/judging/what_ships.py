"""What ships for a winner: the fit that sat the exam, or its recipe fitted once more with the exam day learnt from.

A day's fresher memory is worth up to a few percent of loss where the world drifts. The refit has sat no exam of its
own, so it must say nearly what the examined fit says: it may change no more than refitting alone does, and a little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.evidence.candidate import Evidence, Exam
from pipeline.core.gates.stability import Churn
from pipeline.core.records import Candidate
from pipeline.core.verdict import Finding, Outcome
from pipeline.steps.judging.source import Refit

if TYPE_CHECKING:
    from pipeline.steps.judging.judge import Panel

#: The share of decisions that one more day may change beyond refitting noise, and the fewest units that can tell.
LIMIT, AT_LEAST = 0.10, 30
NAME = "refit"


def shipped(panel: Panel, winner: Candidate) -> tuple[Candidate, Finding]:
    """The candidate that ships, and why: the refit if it is known to say nearly the same, else the examined fit."""
    if panel.usecase.promotion.ship == "exam":
        return winner, Finding(NAME, Outcome.PASS, "the very fit that sat the exam ships, as declared", required=False)
    made = panel.source.refit(winner)
    if isinstance(made, str):
        return winner, Finding(NAME, Outcome.UNKNOWN, f"the fit that sat the exam ships: {made}", required=False)
    found = _compared(panel, winner, made)
    if found.outcome is not Outcome.PASS:
        text = f"the fit that sat the exam ships, for its refit {found.text}"
        return winner, Finding(NAME, found.outcome, text, required=False)
    text = f"fitted once more through {made.fresher.trained_through}: {found.text}"
    return made.fresher, Finding(NAME, Outcome.PASS, text, required=False)


def _compared(panel: Panel, winner: Candidate, made: Refit) -> Finding:
    """Whether the refit changes no more than refitting does, on the exam's units."""
    sat = panel.evidence[winner.recipe].exam
    exam = None
    if sat is not None:
        exam = Exam(sat.labels, sat.blocks, sat.candidate, made.again, {}, panel.source.twin(winner))
    evidence = Evidence(panel.usecase.kind, winner.recipe, f"{winner.recipe} refitted", exam=exam)
    (found,) = Churn(LIMIT, at_least=AT_LEAST).judge(evidence)
    return found
