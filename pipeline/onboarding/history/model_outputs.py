"""Inputs that look like what an earlier model said: a model that learns from them repeats it and finds nothing out.

Nothing proves it; a credit score may be an honest input. So they stay, and are named with the way to leave them out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.onboarding.history.target import Target
from pipeline.onboarding.notes import Note

#: How people call what a model says.
_SAID = re.compile(
    r"(^|_|\b)(y_?)?(score|scores|scored|pred|preds|predicted|prediction|predictions|prob|probs|proba|probability|"
    r"probabilities|forecast|forecasted|estimate|estimated|likelihood|propensity|logit|odds|yhat|model|risk|rank|label|"
    r"target|segment_?score)(\d*)($|_|\b)"
)
#: From which strength alone on an input tells more than honest ones mostly do: pairs in order, rank correlation.
_STRONG = {"regression": 0.9, "binary": 0.9, "multiclass": 0.9}
#: A column that is called so and tells less than this has hardly been made for the target.
_CHANCE = {"regression": 0.3, "binary": 0.6, "multiclass": 0.6}


def said_by_models(strength: Mapping[str, float], target: Target, notes: list[Note]) -> tuple[str, ...]:
    """The names of such inputs, the most telling first; each gets a note.

    Args:
        strength: Input to how well it alone ranks the target on the newer days.
        target: What is to be predicted.
        notes: Takes what was found.
    """
    found: list[str] = []
    for name in sorted(strength, key=lambda name: -strength[name]):
        words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).casefold()
        called = _SAID.search(words) is not None and strength[name] >= _CHANCE[target.kind]
        if called or strength[name] >= _STRONG[target.kind]:
            why = "is called like what a model says" if called else "tells more than inputs mostly do"
            text = (
                f"{why} and alone orders '{target.column}' by {strength[name]:.2f}: did an earlier model make it, or "
                f"was it made from the outcome? Then say --drop {name}"
            )
            notes.append(Note(name, text, review=True))
            found.append(name)
    return tuple(found)
