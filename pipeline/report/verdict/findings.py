"""Findings on the page: the table of questions, and the intervals drawn as forests."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from pipeline.core.verdict import Bound, Finding, Verdict
from pipeline.core.words import percent
from pipeline.report.verdict import plots

#: Outcome to the sign beside its colour: no one has to tell colours apart.
SIGNS = {str(outcome): sign for outcome, sign in plots.SIGNS.items()}

#: Findings whose value is a share: shown in per cent. The first ones are differences, and shown with their sign.
_DIFFERENCES = ("not worse", "better", "beats the baseline", "simpler preferred", "every slice", "slice")
_SHARES = (
    *("churn", "right to wrong", "decision mix", "decision mix per slice", "slice mix"),
    *("calibration", "top of the list", "no leak: one column", "nothing shared: rows"),
)
_MOST_SLICES = 30


def columns(verdict: Verdict, recipe: str) -> list[str]:
    """The judged recipes, the one that the page is about first."""
    return sorted(verdict.findings, key=lambda name: name != recipe)


def matrix(verdict: Verdict, recipe: str) -> list[tuple[str, list[tuple[str, dict[str, Any] | None]]]]:
    """Questions below each other, candidates beside each other."""
    recipes = columns(verdict, recipe)
    findings_by_name = {column: {f.name: f for f in verdict.findings[column] if f.listed} for column in recipes}
    names = list(dict.fromkeys(name for column in recipes for name in findings_by_name[column]))
    return [(name, [(column, _cell(findings_by_name[column].get(name))) for column in recipes]) for name in names]


def _cell(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    return {
        "outcome": finding.outcome,
        "sign": SIGNS[finding.outcome],
        "value": _value(finding),
        "gauge": plots.gauge(finding),
        "text": finding.sentence,
    }


def _value(finding: Finding) -> str:
    if finding.value is None or not math.isfinite(finding.value):
        return "–"
    if finding.name in _DIFFERENCES:
        return ("+" if finding.value > 0 else "−" if finding.value < 0 else "") + percent(abs(finding.value))
    if finding.name.startswith("latency"):
        return f"{finding.value:.3g} ms" if "always fine" in finding.text else f"{finding.value:.2f} ×"
    if finding.name.startswith("resources"):
        unit = {"load": "ms", "file": "MB", "memory": "MB", "training": "s"}[finding.name.partition(": ")[2]]
        fine = "always fine" in finding.text and "allowed" not in finding.text
        return f"{finding.value:.3g} {unit}" if fine else f"{finding.value:.2f} ×"
    text = percent(finding.value) if finding.name in _SHARES else f"{finding.value:.3g}"
    return text.replace("-", "−")


def _hundredfold(finding: Finding) -> Finding:
    """The same finding in per cent."""

    def times(value: float | None) -> float | None:
        return None if value is None else 100 * value

    wanted = finding.wanted and Bound(100 * finding.wanted.low, 100 * finding.wanted.high)
    return dataclasses.replace(
        finding, value=times(finding.value), low=times(finding.low), high=times(finding.high), wanted=wanted
    )


def forests(verdict: Verdict, recipe: str) -> list[tuple[str, Markup]]:
    """One drawing per question about the loss as a whole, a row per candidate."""
    recipes = columns(verdict, recipe)
    drawings = []
    for name in (name for name in _DIFFERENCES if "slice" not in name):
        rows = [
            (column, _hundredfold(finding))
            for column in recipes
            for finding in verdict.findings[column]
            if finding.name == name
        ]
        drawing = plots.forest(rows, "difference of the loss, %")
        if drawing:
            drawings.append((name, drawing))
    return drawings


def slices(findings: Sequence[Finding]) -> list[tuple[str, Markup]]:
    """One drawing per slice column, the worst slices first."""
    judged = sorted(
        (f for f in findings if f.name == "slice" and f.value is not None), key=lambda f: -(f.value or 0.0)
    )[:_MOST_SLICES]
    drawings = []
    for column in sorted({f.about.partition("=")[0] for f in judged}):
        rows = [(f.about.partition("=")[2], _hundredfold(f)) for f in judged if f.about.partition("=")[0] == column]
        drawings.append((column.replace("_", " "), plots.forest(rows, "difference of the loss, %")))
    return drawings


def slices_note(findings: Sequence[Finding]) -> str:
    """Which slices are not drawn, and why; empty where all are."""
    every = [f for f in findings if f.name == "slice"]
    judged = [f for f in every if f.value is not None]
    note = []
    if len(judged) > _MOST_SLICES:
        note.append(f"{len(judged) - _MOST_SLICES} better ones are not drawn.")
    if len(every) > len(judged):
        few = [f.about for f in every if f.value is None]
        note.append(f"Too few to judge: {', '.join(few[:6])}{f' and {len(few) - 6} more' if len(few) > 6 else ''}.")
    return " ".join(note)
