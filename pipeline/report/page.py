"""The page of a verdict and of a refusal: one self-contained HTML file, nothing loaded, no script, light and dark.

Everything a page shows comes from its arguments: the same evidence gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.evidence import Evidence, Exam
from pipeline.core.kinds import Bools, Floats, Kind
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Bound, Finding, Outcome, Verdict
from pipeline.core.words import percent
from pipeline.report import plots
from pipeline.report.canvas import number

_HERE = Path(__file__).parent
_NONE: Mapping[str, str] = {}
_SIGNS = {str(outcome): sign for outcome, sign in plots.SIGNS.items()}

#: Findings whose value is a share: shown in per cent. The first ones are differences, and shown with their sign.
_DIFFERENCES = ("not worse", "better", "beats the baseline", "every slice", "slice")
_SHARES = ("churn", "right to wrong", "decision mix", "decision mix per slice", "slice mix")
_MOST_SLICES = 30


def verdict_page(
    verdict: Verdict,
    usecase: Usecase,
    evidence: Mapping[str, Evidence],
    daily: Mapping[str, Mapping[str, float]],
    without: Sequence[str] = (),
    links: Mapping[str, str] = _NONE,
    changes: Mapping[str, str] = _NONE,
) -> bytes:
    """What a reviewer looks for: what happened and why, then the evidence.

    Args:
        verdict: What was decided.
        usecase: Whose; gives the question, the kind, the baseline's name and the evidence window.
        evidence: Recipe to what the gates read of it.
        daily: Contestant (``champion``, each recipe, the baseline) to ISO day to mean loss.
        without: Days whose data was refused, ISO format.
        links: Name to address of what the page should lead to; only http and https addresses become links.
        changes: ISO day to the champion that began on it, such as ``{"2013-02-03": "version 2"}``.
    """
    recipe = _subject(verdict)
    about = evidence.get(recipe)
    styles = _styles(verdict, usecase, daily, recipe)
    baseline = usecase.baseline.name
    lines = [
        plots.Line("baseline" if who == baseline else who, daily[who], style)
        for who, style in styles.items()
        if daily.get(who)
    ]
    sides = [("champion", "champion"), (recipe, "challenger"), ("baseline", "baseline")]
    required = [f for f in verdict.findings.get(recipe, ()) if f.required]
    won = verdict.challenger is not None and verdict.decision != "hold"
    return _render(
        "verdict.html.j2",
        verdict.usecase,
        verdict.day,
        usecase.question,
        links,
        **_banner(verdict),
        cards=_cards(verdict, usecase, recipe),
        loss_name=verdict.loss_name,
        subject=recipe,
        subject_title=recipe if won or len(verdict.findings) < 2 else f"{recipe}, the nearest to passing",
        columns=_columns(verdict, recipe),
        matrix=_matrix(verdict, recipe),
        required=required,
        informing=[f for f in verdict.findings.get(recipe, ()) if not f.required],
        others=[(name, verdict.findings[name]) for name in _columns(verdict, recipe) if name != recipe],
        no_gates=_no_gates(verdict),
        plot_losses=plots.losses(lines, verdict.loss_name, usecase.evidence, changes),
        forests=_forests(verdict, recipe),
        sides=sides,
        scored_sides=[*sides[:2], (f"{recipe} refitted", "twin")],
        plot_reliability=_reliability(about, sides),
        plot_scores=_scores(about, recipe, usecase.kind),
        changes=_decisions(about),
        slices=_slices(verdict.findings.get(recipe, ())),
        slices_note=_slices_note(verdict.findings.get(recipe, ())),
        timings=_timings(about, verdict.findings.get(recipe, ()), recipe),
        counts=[(what.replace("_", " "), f"{count:,}") for what, count in verdict.counts.items()],
        without=list(without),
        snapshot=list(verdict.snapshot.items()),
        evidence_version=verdict.evidence,
        fits=_fits(verdict),
        digest=verdict.digest,
        epoch=verdict.epoch,
    )


def refusal_page(
    usecase: str, day: str, findings: Sequence[Finding], reason: str, links: Mapping[str, str] = _NONE
) -> bytes:
    """The page of a day whose data was refused: the reason, what was broken, what was sound.

    Args:
        usecase: The use case's name.
        day: The data day, ISO format.
        findings: Everything that was checked, as far as the checks came.
        reason: The refusal's sentence.
        links: Name to address of what the page should lead to, such as the Data Docs.
    """
    broken = [f for f in findings if f.required and f.outcome is not Outcome.PASS]
    return _render(
        "refusal.html.j2",
        usecase,
        day,
        "",
        links,
        mood="bad",
        sign="✕",
        headline="Data refused",
        beside="the champion serves on",
        reason=reason,
        broken=broken,
        sound=[f for f in findings if f not in broken],
    )


def _render(template: str, usecase: str, day: str, question: str, links: Mapping[str, str], **values: Any) -> bytes:
    # The templates' names end in .j2, so autoescape is said, not guessed from the name.
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    when = date.fromisoformat(day)
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704 -- a file of this package
    page = environment.get_template(template).render(
        title=f"{usecase} {day}: {values['headline']}",
        usecase=usecase,
        long_day=f"{when:%A} {when.day} {when:%B %Y}",
        question=question,
        links=[(name, to) for name, to in links.items() if to.startswith(("https://", "http://"))],
        style=style,
        signs=_SIGNS,
        amount=_amount,
        **values,
    )
    return page.encode()


def _amount(what: str, how_many: int) -> str:
    words = what.replace("_", " ")
    return f"{how_many:,} {words[:-1] if how_many == 1 and words.endswith('s') else words}"


# The banner and the cards ------------------------------------------------------------------------------------------


def _banner(verdict: Verdict) -> dict[str, str]:
    champion, challenger = verdict.champion, verdict.challenger
    reigning = "no champion yet" if champion is None else f"version {champion.version} ({champion.recipe})"
    name = "nobody" if challenger is None else challenger.recipe
    look = {
        "promote": ("good", "▲", f"Promote {name}", f"in place of {reigning}"),
        "start": ("", "●", f"Start with {name}", "as the first champion"),
    }
    # Holding is no accident: the champion serves on, and what was lacking stands in the table in its colour.
    hold = ("", "‖", "Hold", f"{reigning} stays champion" if champion else reigning)
    mood, sign, headline, beside = look.get(verdict.decision, hold)
    return {"mood": mood, "sign": sign, "headline": headline, "beside": beside, "reason": verdict.reason}


def _cards(verdict: Verdict, usecase: Usecase, recipe: str) -> list[dict[str, Any]]:
    def card(style: str, role: str, name: str, who: str, more: list[str]) -> dict[str, Any]:
        loss = verdict.losses.get(who, math.nan)
        return {"style": style, "role": role, "name": name, "loss": number(loss) if _known(loss) else "", "more": more}

    cards = []
    champion = verdict.champion
    if champion is not None:
        name = f"version {champion.version} · {champion.recipe}"
        cards.append(card("champion", "champion", name, "champion", [f"trained through {champion.trained_through}"]))
    if recipe:
        fit = verdict.fits.get(recipe, {})
        more = [f"trained through {fit['trained_through']}"] if "trained_through" in fit else []
        if {"rows", "trained_first"} <= fit.keys():
            more += [f"{fit['rows']:,} units from {fit['trained_first']} on"]
        role = "first champion" if verdict.decision == "start" else "challenger"
        role = role if verdict.challenger is not None else "nearest candidate"
        cards.append(card("challenger", role, recipe, recipe, more))
    if usecase.baseline.name != recipe:
        cards.append(card("baseline", "baseline", usecase.baseline.name, usecase.baseline.name, ["the plain rule"]))
    counts = verdict.counts
    labelled = f"{counts.get('labelled', 0):,} of {counts.get('units', 0):,}"
    cards.append(
        {"style": "", "role": "units with a label", "name": labelled, "loss": "", "more": _unlabelled(verdict)}
    )
    return cards


def _unlabelled(verdict: Verdict) -> list[str]:
    return [
        f"{n:,} {what.replace('_', ' ')}" for what, n in verdict.counts.items() if what not in ("units", "labelled")
    ]


def _subject(verdict: Verdict) -> str:
    """The candidate that the page is about: the challenger, or the one that came nearest to passing."""
    if verdict.challenger is not None:
        return verdict.challenger.recipe

    def lacking(recipe: str) -> tuple[int, float, str]:
        missed = sum(f.outcome is not Outcome.PASS for f in verdict.findings[recipe] if f.required)
        loss = verdict.losses.get(recipe, math.nan)
        return missed, loss if _known(loss) else math.inf, recipe

    return min(verdict.findings, key=lacking, default="")


def _no_gates(verdict: Verdict) -> str:
    if verdict.champion is None:
        return "there is no champion yet to compare with, so the declared baseline starts and evidence grows from here."
    return "no candidate could be compared with the champion on this day."


# Findings ------------------------------------------------------------------------------------------------------------


def _columns(verdict: Verdict, recipe: str) -> list[str]:
    return sorted(verdict.findings, key=lambda name: name != recipe)


def _matrix(verdict: Verdict, recipe: str) -> list[tuple[str, list[tuple[str, dict[str, Any] | None]]]]:
    """Questions below each other, candidates beside each other."""
    columns = _columns(verdict, recipe)
    asked = {column: {f.name: f for f in verdict.findings[column] if f.required} for column in columns}
    names = list(dict.fromkeys(name for column in columns for name in asked[column]))
    return [(name, [(column, _cell(asked[column].get(name))) for column in columns]) for name in names]


def _cell(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    return {
        "outcome": finding.outcome,
        "sign": _SIGNS[finding.outcome],
        "value": _value(finding),
        "gauge": plots.gauge(finding),
        "text": finding.text,
    }


def _value(finding: Finding) -> str:
    if finding.value is None or not math.isfinite(finding.value):
        return "–"
    if finding.name in _DIFFERENCES:
        return ("+" if finding.value > 0 else "−" if finding.value < 0 else "") + percent(abs(finding.value))
    if finding.name.startswith("latency"):
        return f"{finding.value:.3g} ms" if "always fine" in finding.text else f"{finding.value:.2f} ×"
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


def _forests(verdict: Verdict, recipe: str) -> list[tuple[str, Markup]]:
    """One drawing per question about the loss as a whole, a row per candidate."""
    columns = _columns(verdict, recipe)
    made = []
    for name in (name for name in _DIFFERENCES if "slice" not in name):
        rows = [
            (column, _hundredfold(finding))
            for column in columns
            for finding in verdict.findings[column]
            if finding.name == name
        ]
        drawing = plots.forest(rows, "difference of the loss, %")
        if drawing:
            made.append((name, drawing))
    return made


def _slices(findings: Sequence[Finding]) -> list[tuple[str, Markup]]:
    """One drawing per slice column, the worst slices first."""
    judged = sorted(
        (f for f in findings if f.name == "slice" and f.value is not None), key=lambda f: -(f.value or 0.0)
    )[:_MOST_SLICES]
    columns = sorted({f.about.partition("=")[0] for f in judged})
    made = []
    for column in columns:
        rows = [(f.about.partition("=")[2], _hundredfold(f)) for f in judged if f.about.partition("=")[0] == column]
        made.append((column.replace("_", " "), plots.forest(rows, "difference of the loss, %")))
    return made


def _slices_note(findings: Sequence[Finding]) -> str:
    every = [f for f in findings if f.name == "slice"]
    judged = [f for f in every if f.value is not None]
    note = []
    if len(judged) > _MOST_SLICES:
        note.append(f"{len(judged) - _MOST_SLICES} better ones are not drawn.")
    if len(every) > len(judged):
        few = [f.about for f in every if f.value is None]
        note.append(f"Too few to judge: {', '.join(few[:6])}{f' and {len(few) - 6} more' if len(few) > 6 else ''}.")
    return " ".join(note)


# Evidence ------------------------------------------------------------------------------------------------------------


def _styles(verdict: Verdict, usecase: Usecase, daily: Mapping[str, Any], recipe: str) -> dict[str, str]:
    """Contestant to colour class: the two sides, the plain rule, then the others."""
    styles = {"champion": "champion"}
    if recipe:
        styles[recipe] = "challenger"
    styles.setdefault(usecase.baseline.name, "baseline")
    others = [who for who in sorted({*daily, *verdict.losses}) if who not in styles]
    return styles | {who: f"other{n % 4 + 1}" for n, who in enumerate(others)}


def _reliability(evidence: Evidence | None, sides: Sequence[tuple[str, str]]) -> Markup:
    if evidence is None or evidence.paired is None or not len(evidence.paired):
        return Markup("")
    paired = evidence.paired
    predictions = (paired.champion, paired.candidate)
    return plots.reliability(
        [
            (name, style, evidence.kind.reliability(paired.labels, said))
            for (name, style), said in zip(sides, predictions, strict=False)
        ]
    )


def _scores(evidence: Evidence | None, recipe: str, kind: Kind) -> Markup:
    if evidence is None or evidence.exam is None:
        return Markup("")
    exam = evidence.exam
    samples = [
        ("champion", "champion", exam.champion),
        (recipe, "challenger", exam.candidate),
        ("refitted", "twin", exam.twin),
    ]
    return plots.distributions(samples, f"predicted '{kind.target}'")


def _decisions(evidence: Evidence | None) -> dict[str, Any] | None:
    """How many decisions change, beside how many change by refitting alone."""
    if evidence is None or evidence.exam is None or not len(evidence.exam):
        return None
    exam, kind = evidence.exam, evidence.kind
    champion, candidate, twin = (kind.decision(side) for side in (exam.champion, exam.candidate, exam.twin))
    rows = [("changed", _share(candidate != champion), _share(candidate != twin))]
    if np.isfinite(exam.labels).any():
        was, now, again = (_right(kind, exam, side) for side in (exam.champion, exam.candidate, exam.twin))
        rows += [
            ("right to wrong", _share(was & ~now), _share(now & ~again)),
            ("wrong to right", _share(~was & now), _share(~now & again)),
        ]
    return {"units": len(exam), "rows": rows}


def _share(marks: Bools) -> str:
    return percent(float(np.mean(marks)))


def _right(kind: Kind, exam: Exam, predictions: Floats) -> Bools:
    known = np.isfinite(exam.labels)
    return kind.right(exam.labels[known], predictions[known])


def _timings(evidence: Evidence | None, findings: Sequence[Finding], recipe: str) -> list[dict[str, Any]]:
    # Timings that no finding speaks of are not shown: the page would differ where the verdict does not.
    judged = any(f.name.startswith("latency") and f.value is not None for f in findings)
    if evidence is None or evidence.timing is None or not judged:
        return []
    timing = evidence.timing
    made = []
    for name, seconds in (("One row", timing.single), (f"{timing.rows:,} rows at once", timing.batch)):
        champion, candidate = 1000 * seconds[:, 0], 1000 * seconds[:, 1]
        rows = []
        for share in (0.5, 0.95):
            one, other = float(np.quantile(champion, share)), float(np.quantile(candidate, share))
            rows.append((f"p{100 * share:.0f}", f"{one:.3g}", f"{other:.3g}", f"{other / one:.2f} ×" if one else "–"))
        drawing = plots.shares_below(
            [("champion", "champion", champion), (recipe, "challenger", candidate)], name.lower()
        )
        made.append({"name": name, "drawing": drawing, "rows": rows})
    return made


def _fits(verdict: Verdict) -> list[dict[str, Any]]:
    made = []
    for recipe, fit in verdict.fits.items():
        if "skipped" in fit:
            made.append({"recipe": recipe, "skipped": str(fit["skipped"])})
            continue
        made.append(
            {
                "recipe": recipe,
                "skipped": "",
                "days": f"{fit.get('trained_first', '?')} to {fit.get('trained_through', '?')}",
                "rows": f"{fit['rows']:,}" if "rows" in fit else "–",
                "seconds": f"{fit['seconds']:.2f}" if "seconds" in fit else "–",
                "loss": number(verdict.losses.get(recipe, math.nan)),
                "model": str(fit.get("model", ""))[:12],
            }
        )
    return made


def _known(value: float) -> bool:
    return math.isfinite(value)
