"""A few golden cases to begin with: extreme but real inputs, and a range that every recipe keeps by a wide margin.

They are drafts. Nobody has reviewed them, and they say so: a case gets its worth from the person who stands behind it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from pipeline.core.kinds import Multiclass, Regression
from pipeline.core.usecase import Usecase
from pipeline.onboarding.trial import Trial

OWNER = "unreviewed"
Case = dict[str, Any]


def cases_of(usecase: Usecase, trial: Trial) -> list[Case]:
    """The drafts, in the format of :mod:`pipeline.core.golden`.

    Of several classes the first (whose cases somebody works through) and the usual one are asked about.
    """
    kind, inputs = usecase.kind, trial.known.inputs
    answers = [kind.predict(trial.models[recipe.name], inputs) for recipe in usecase.recipes]
    labels = trial.known.labels[np.isfinite(trial.known.labels)]
    number = isinstance(kind, Regression)
    if not isinstance(kind, Multiclass):
        asked = [("", np.vstack(answers))]
    else:
        usual = int(np.bincount(labels.astype(np.int64)).argmax())
        asked = [
            (kind.classes[at], np.vstack([predicted[:, at] for predicted in answers]))
            for at in dict.fromkeys((0, usual))
        ]
    found: list[Case] = []
    for label, predicted in asked:
        middle, what = predicted.mean(axis=0), f"'{label}' " if label else ""
        for name, at in (("highest", int(middle.argmax())), ("lowest", int(middle.argmin()))):
            low, high = float(predicted[:, at].min()), float(predicted[:, at].max())
            bounds = _wide_number(low, high, labels) if number else _wide_share(low, high)
            of_it = f"every recipe gave {what}{low:.4g} to {high:.4g}, a wide margin added"
            reason = f"A real row of {trial.known.days[at]}, to which {of_it}."
            row, title = inputs.iloc[at], f"{name} {what}of the older days"
            found.append(_case(title, reason, {key: _cell(row[key]) for key in inputs.columns}, bounds, label))
    bounds = _wide_number(float(labels.min()), float(labels.max()), labels) if number else (0.0005, 0.9995)
    reason = "Of a row of which nothing is known, nothing can be nearly certain."
    found.append(_case("nothing known", reason, {}, bounds, asked[-1][0]))
    return found


def _case(name: str, reason: str, inputs: dict[str, Any], bounds: tuple[float, float], label: str = "") -> Case:
    head = {"name": name, "owner": OWNER, "reason": reason, "kind": "range", "inputs": inputs}
    return {**head, **({"class": label} if label else {}), "low": bounds[0], "high": bounds[1]}


def _wide_share(low: float, high: float) -> tuple[float, float]:
    """A quarter of the lowest odds to four times the highest."""
    odds = [min(max(p, 1e-4), 1 - 1e-4) / (1 - min(max(p, 1e-4), 1 - 1e-4)) for p in (low, high)]
    least, most = odds[0] / 4, odds[1] * 4
    return float(f"{least / (1 + least):.2g}"), math.ceil(1000 * most / (1 + most)) / 1000


def _wide_number(low: float, high: float, labels: Any) -> tuple[float, float]:
    """Half the spread of the labels to both sides."""
    room = 0.5 * float(np.quantile(labels, 0.99) - np.quantile(labels, 0.01)) or 1.0
    return float(f"{low - room:.4g}"), float(f"{high + room:.4g}")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return None if value is None or not math.isfinite(value) else float(value)


def text_of(found: list[Case]) -> str:
    """The file."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
