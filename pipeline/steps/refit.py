"""What ships for a winner: the fit that sat the exam, or its recipe fitted once more with the exam day learnt from.

A day's fresher memory is worth up to a few percent of loss where the world drifts. The refit has sat no exam of its
own, so it must say nearly what the examined fit says: it may change no more than refitting alone does, and a little.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.core.errors import ConflictError
from pipeline.core.evidence import Evidence, Exam
from pipeline.core.kinds import Floats
from pipeline.core.records import Candidate
from pipeline.core.stability import Churn
from pipeline.core.verdict import Finding, Outcome
from pipeline.steps.predictions import answered, predictions
from pipeline.steps.train import BrokenError, Lineage

if TYPE_CHECKING:
    from pipeline.steps.panel import Panel

#: The share of decisions that one more day may change beyond refitting noise, and the fewest units that can tell.
LIMIT, AT_LEAST = 0.10, 30
NAME = "refit"


def shipped(panel: Panel, winner: Candidate) -> tuple[Candidate, Finding]:
    """The candidate that ships, and why: the refit if it is known to say nearly the same, else the examined fit."""
    if panel.usecase.promotion.ship == "exam":
        return winner, Finding(NAME, Outcome.PASS, "the very fit that sat the exam ships, as declared", required=False)
    try:
        fresher = _fresher(panel, winner)
        found = _compared(panel, winner, fresher)
    except (BrokenError, ConflictError, _NoneError) as none:
        text = f"the fit that sat the exam ships: {none}"
        return winner, Finding(NAME, Outcome.UNKNOWN, text, required=False)
    if found.outcome is not Outcome.PASS:
        text = f"the fit that sat the exam ships, for its refit {found.text}"
        return winner, Finding(NAME, found.outcome, text, required=False)
    text = f"fitted once more through {fresher.trained_through}: {found.text}"
    return fresher, Finding(NAME, Outcome.PASS, text, required=False)


class _NoneError(Exception):
    """There is no refit that could ship."""


def _fresher(panel: Panel, winner: Candidate) -> Candidate:
    tomorrow = Lineage(panel.usecase, panel.validated, panel.world, panel.day + timedelta(1))
    made = tomorrow.fit(panel.usecase.recipe(winner.recipe))
    if isinstance(made, str):
        raise _NoneError(made)
    return made


def _compared(panel: Panel, winner: Candidate, fresher: Candidate) -> Finding:
    """Whether the refit changes no more than refitting does, on the exam's units."""
    kind, units = panel.usecase.kind, panel.units

    def says(file: str, sha256: str, who: str) -> Floats:
        return predictions(kind, panel.world.models.load(file, sha256), units.inputs, who)

    again = says(fresher.file, fresher.sha256, f"{winner.recipe} refitted through {fresher.trained_through}")
    if not answered(again).all():
        raise _NoneError("its refit leaves units unanswered")
    examined = says(winner.file, winner.sha256, winner.recipe)
    twin = says(*panel.lineage.twin(winner), f"{winner.recipe} on a resample")
    exam = Exam(units.labels, units.blocks, examined, again, {}, twin)
    evidence = Evidence(kind, winner.recipe, f"{winner.recipe} refitted", exam=exam)
    (found,) = Churn(LIMIT, at_least=AT_LEAST).judge(evidence)
    return found
