"""The page of a verdict and of a refusal: one self-contained HTML file, nothing loaded, no script, light and dark.

Everything a page shows comes from its arguments: the same evidence gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.evidence.candidate import Evidence
from pipeline.core.headlines import checks_told, refusal_headline, refusal_why, verdict_headline, why_in_one_line
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome, Verdict
from pipeline.report.canvas import number
from pipeline.report.verdict import comparison, findings, plots

_HERE = Path(__file__).parent
_NONE: Mapping[str, str] = {}


def verdict_page(
    verdict: Verdict,
    usecase: Usecase,
    evidence: Mapping[str, Evidence],
    daily: Mapping[str, Mapping[str, float]],
    without: Sequence[str] = (),
    links: Mapping[str, str] = _NONE,
    changes: Mapping[str, str] = _NONE,
    corrected: Sequence[str] = (),
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
        corrected: Days that were scored on data corrected since, ISO format.
    """
    recipe = _subject(verdict)
    about = evidence.get(recipe)
    styles = _styles(verdict, usecase, daily, recipe)
    baseline = usecase.baseline.name
    lines = [
        plots.Line("baseline" if who == baseline else who, daily[who], style)
        for who, style in styles.items()
        if any(map(math.isfinite, daily.get(who, {}).values()))
    ]
    sides = [("champion", "champion"), (recipe, "challenger"), ("baseline", "baseline")]
    required = [f for f in verdict.findings.get(recipe, ()) if f.listed]
    won = verdict.challenger is not None and verdict.decision != "hold"
    return _render(
        "verdict.html.j2",
        verdict.usecase,
        verdict.day,
        usecase.question,
        links,
        **_banner(verdict),
        alarms=verdict.alarms,
        cards=_cards(verdict, usecase, recipe),
        loss_name=verdict.loss_name,
        subject=recipe,
        subject_title=recipe if won or len(verdict.findings) < 2 else f"{recipe}, the nearest to passing",
        columns=findings.columns(verdict, recipe),
        matrix=findings.matrix(verdict, recipe),
        required=required,
        informing=[f for f in verdict.findings.get(recipe, ()) if not f.listed],
        others=[(name, verdict.findings[name]) for name in findings.columns(verdict, recipe) if name != recipe],
        no_gates=_no_gates(verdict),
        undrawn=_undrawn(without, corrected),
        plot_losses=plots.losses(lines, verdict.loss_name, usecase.evidence, changes),
        forests=findings.forests(verdict, recipe),
        sides=[*sides[:2], (f"{recipe} refitted", "resampled")],
        legend_of=comparison.legend,
        plot_reliability=comparison.reliability(about, sides),
        plot_scores=comparison.scores(about, recipe, usecase.kind),
        changes=comparison.decisions(about),
        slices=findings.slices(verdict.findings.get(recipe, ())),
        slices_note=findings.slices_note(verdict.findings.get(recipe, ())),
        timings=comparison.timings(about, verdict.findings.get(recipe, ()), recipe),
        counts=[(what.replace("_", " "), f"{count:,}") for what, count in verdict.counts.items()],
        without=list(without),
        corrected=list(corrected),
        snapshot=sorted(verdict.snapshot.items()),
        evidence_version=verdict.evidence,
        asked=verdict.asked,
        recompute=_recompute(verdict),
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
        headline=_capital(refusal_headline(reason, findings)),
        beside="the champion serves on",
        why=refusal_why(findings),
        reason=reason,
        told=checks_told(findings),
        broken=broken,
        sound=[f for f in findings if f not in broken],
    )


@cache
def _environment() -> Environment:
    # Once a process: templates are compiled once then. Their names end in .j2, so autoescape is said, not guessed.
    return Environment(
        loader=FileSystemLoader([_HERE, _HERE.parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, usecase: str, day: str, question: str, links: Mapping[str, str], **values: Any) -> bytes:
    when = date.fromisoformat(day)
    style = Markup((_HERE.parent / "style.css").read_text(encoding="utf-8"))  # noqa: S704 -- a file of this package
    page = (
        _environment()
        .get_template(template)
        .render(
            title=f"{usecase} {day}: {values['headline']}",
            usecase=usecase,
            long_day=f"{when:%A} {when.day} {when:%B %Y}",
            question=question,
            links=[(name, to) for name, to in links.items() if to.startswith(("https://", "http://"))],
            style=style,
            signs=findings.SIGNS,
            amount=_amount,
            **values,
        )
    )
    return page.encode()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _amount(what: str, how_many: int) -> str:
    words = what.replace("_", " ")
    return f"{how_many:,} {words[:-1] if how_many == 1 and words.endswith('s') else words}"


# The banner and the cards ------------------------------------------------------------------------------------------


def _banner(verdict: Verdict) -> dict[str, str]:
    champion = verdict.champion
    champion_name = "no champion yet" if champion is None else f"version {champion.version} ({champion.recipe})"
    look = {
        "promote": ("good", "▲", f"in place of {champion_name}"),
        "start": ("", "●", ""),
    }
    # Holding is no accident: the champion serves on, and what was lacking stands in the table in its colour.
    hold = ("", "‖", f"{champion_name} stays champion" if champion else champion_name)
    mood, sign, beside = look.get(verdict.decision, hold)
    if verdict.alarms:  # whoever won: somebody must look at the champion
        mood, sign = "bad", "✕"
    texts = {"headline": verdict_headline(verdict), "why": why_in_one_line(verdict), "reason": verdict.reason}
    return {"mood": mood, "sign": sign, "beside": beside, **texts}


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
        role = {"start": "first champion", "promote": "challenger"}.get(verdict.decision, "nearest candidate")
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
    """The candidate that the page is about: the winner, or the one that came nearest; empty where there was none."""
    return verdict.challenger.recipe if verdict.challenger is not None else ""


def _undrawn(without: Sequence[str], corrected: Sequence[str]) -> str:
    """Which days have no point in the chart of losses, and why; empty where there is none."""
    gaps = [f"{', '.join(corrected)} (delivered anew since then; run again, a day is drawn)"] if corrected else []
    gaps += [f"{', '.join(without)} (data refused)"] if without else []
    return f"Not drawn: {'; '.join(gaps)}." if gaps else ""


def _recompute(verdict: Verdict) -> str:
    """The command that reaches this verdict again; empty where what was measured was not kept."""
    if not verdict.measured:
        return ""
    return f"python -m pipeline recompute {verdict.usecase} {verdict.day} --digest {verdict.digest}"


def _no_gates(verdict: Verdict) -> str:
    if verdict.champion is None:
        return "there is no champion yet to compare with, so the declared baseline starts and evidence grows from here."
    return "no candidate could be compared with the champion on this day."


def _styles(verdict: Verdict, usecase: Usecase, daily: Mapping[str, Any], recipe: str) -> dict[str, str]:
    """Contestant to colour class: the two sides, the plain rule, then the others."""
    styles = {"champion": "champion"}
    if recipe:
        styles[recipe] = "challenger"
    styles.setdefault(usecase.baseline.name, "baseline")
    others = [who for who in sorted({*daily, *verdict.losses}) if who not in styles]
    return styles | {who: f"other{n % 4 + 1}" for n, who in enumerate(others)}


def _fits(verdict: Verdict) -> list[dict[str, Any]]:
    rows = []
    for recipe, fit in verdict.fits.items():
        if "skipped" in fit:
            rows.append({"recipe": recipe, "skipped": str(fit["skipped"])})
            continue
        rows.append(
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
    return rows


def _known(value: float) -> bool:
    return math.isfinite(value)
