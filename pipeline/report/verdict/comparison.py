"""Champion and candidate beside each other on the page: calibration, predictions, decisions, latency."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.core.evidence.candidate import Evidence
from pipeline.core.kinds import Floats, Kind
from pipeline.core.verdict import Finding
from pipeline.core.words import percent
from pipeline.report.verdict import plots


def reliability(evidence: Evidence | None, sides: Sequence[tuple[str, str]]) -> Markup:
    """Do the predictions mean what they say, on the days of evidence? Empty where there are none."""
    if evidence is None or evidence.paired is None or not len(evidence.paired):
        return Markup("")
    paired = evidence.paired
    predictions = (paired.champion, paired.candidate)
    return plots.reliability(
        [
            (name, style, evidence.kind.reliability(paired.labels, predicted, paired.clusters.day))
            for (name, style), predicted in zip(sides, predictions, strict=False)
        ]
    )


def legend(drawing: Markup, sides: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of the names and their colour classes, those that the drawing has a line of."""
    return [(name, style) for name, style in sides if re.search(rf'class="(?:line|hist) {style}\b', drawing)]


def scores(evidence: Evidence | None, recipe: str, kind: Kind) -> Markup:
    """How the predictions of the scored day are distributed; of several classes, each in a drawing of its own."""
    if evidence is None or evidence.holdout is None:
        return Markup("")
    holdout = evidence.holdout
    samples = [("champion", "champion", holdout.champion), (recipe, "challenger", holdout.candidate)]
    if holdout.resampled is not None:
        samples.append(("refitted", "resampled", holdout.resampled))
    if not kind.width:
        return plots.distributions(samples, f"predicted '{kind.target}'")
    drawn = [
        plots.distributions(
            [(who, style, predicted[:, n]) for who, style, predicted in samples], f"probability of '{word}'"
        )
        for n, word in enumerate(kind.classes)
    ]
    return Markup("").join(drawn)


def decisions(evidence: Evidence | None) -> dict[str, Any] | None:
    """How many decisions change, beside how many change by refitting alone (a dash where nothing was refitted)."""
    if evidence is None or evidence.holdout is None or not len(evidence.holdout):
        return None
    holdout, kind = evidence.holdout, evidence.kind
    against = _changes(kind, holdout.labels, holdout.champion, holdout.candidate)
    noise = dict.fromkeys(against, "–")
    if holdout.resampled is not None:
        # As the gates do: the candidate stands where the champion would, its resampled refit where the candidate would.
        noise = _changes(kind, holdout.labels, holdout.candidate, holdout.resampled)
    return {"units": len(holdout), "rows": [(what, share, noise[what]) for what, share in against.items()]}


def _changes(kind: Kind, labels: Floats, before: Floats, after: Floats) -> dict[str, str]:
    shares = {"changed": percent(float(np.mean(kind.decision(before) != kind.decision(after))))}
    known = np.isfinite(labels)
    if known.any():
        was, now = (kind.right(labels[known], predictions[known]) for predictions in (before, after))
        shares["right to wrong"] = percent(float(np.mean(was & ~now)))
        shares["wrong to right"] = percent(float(np.mean(~was & now)))
    return shares


def timings(evidence: Evidence | None, findings: Sequence[Finding], recipe: str) -> list[dict[str, Any]]:
    """One drawing and one table for single rows, and one for batches."""
    # Timings that no finding speaks of are not shown: the page would differ where the verdict does not.
    judged = any(f.name.startswith("latency") and f.value is not None for f in findings)
    if evidence is None or evidence.timing is None or not judged:
        return []
    timing = evidence.timing
    tables = []
    for name, seconds in (("One row", timing.single), (f"{timing.rows:,} rows at once", timing.batch)):
        champion, candidate = 1000 * seconds[:, 0], 1000 * seconds[:, 1]
        rows = []
        for share in (0.5, 0.95, 0.99):
            champion_time, candidate_time = float(np.quantile(champion, share)), float(np.quantile(candidate, share))
            rows.append(
                (
                    f"p{100 * share:.0f}",
                    f"{champion_time:.3g}",
                    f"{candidate_time:.3g}",
                    f"{candidate_time / champion_time:.2f} ×" if champion_time else "–",
                )
            )
        drawing = plots.shares_below(
            [("champion", "champion", champion), (recipe, "challenger", candidate)], name.lower()
        )
        tables.append({"name": name, "drawing": drawing, "rows": rows})
    return tables
