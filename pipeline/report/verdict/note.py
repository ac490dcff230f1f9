"""Descriptions for the registry, in Markdown: what a person reads before opening anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipeline.core.headlines import refusal_headline, refusal_why, verdict_headline, why_in_one_line
from pipeline.core.verdict import Finding, Verdict
from pipeline.report.verdict.plots import SIGNS

_NONE: Mapping[str, str] = {}

#: How a day ended, as the sign that tells it from the others in a list.
ENDS = {"promoted": "▲", "started": "●", "held": "‖", "waiting": "…", "declined": "–", "refused": "✕", "failed": "✕"}


def title(day: str, outcome: str, recipe: str = "") -> str:
    """A run's name: the day and how it ended, with the recipe that won where one did; lists cut the end off."""
    won = outcome in ("promoted", "started") and recipe
    return f"{day} {ENDS[outcome]} {recipe if won else outcome}"


def run_note(verdict: Verdict, links: Mapping[str, str] = _NONE) -> str:
    """The day: what was decided, why, what the gates said of the challenger, where to read on."""
    challenger = verdict.challenger
    lines = [
        f"### {_plain(verdict_headline(verdict))}",
        _plain(why_in_one_line(verdict)),
        "",
        _plain(verdict.reason),
        "",
    ]
    for alarm in verdict.alarms:
        lines += [f"**{SIGNS[alarm.outcome]} {_plain(alarm.about)}**: {_plain(alarm.sentence)}", ""]
    if links:
        lines += [" · ".join(f"[{_plain(name)}]({_address(to)})" for name, to in links.items()), ""]
    lines += ["The whole story: **verdict.html** among the artifacts.", ""]
    for recipe in sorted(verdict.findings, key=lambda name: challenger is None or name != challenger.recipe):
        lines += [f"**{_plain(recipe)}**", "", *findings_lines(verdict.findings[recipe]), ""]
    return "\n".join(lines)


def version_note(verdict: Verdict) -> str:
    """The version: why it was made and on what evidence."""
    challenger = verdict.challenger
    if challenger is None:
        return _plain(verdict.reason)
    findings = verdict.findings.get(challenger.recipe, ())
    lines = [
        f"{_plain(challenger.recipe)}, trained through {challenger.trained_through}, judged on {verdict.day}: "
        f"{_plain(verdict.reason)}",
        "",
        *findings_lines(findings),
    ]
    return "\n".join(lines)


def refusal_note(reason: str, findings: Sequence[Finding], links: Mapping[str, str] = _NONE) -> str:
    """A day whose data was refused."""
    headline, why = refusal_headline(reason, findings), refusal_why(findings)
    lines = [f"### {_plain(headline[:1].upper() + headline[1:])}", _plain(why), "", _plain(reason), ""]
    if links:
        lines += [" · ".join(f"[{_plain(name)}]({_address(to)})" for name, to in links.items()), ""]
    return "\n".join([*lines, *findings_lines([f for f in findings if f.outcome != "PASS"])])


def findings_lines(findings: Sequence[Finding]) -> list[str]:
    """A Markdown table of the findings that can stop something; no line where there are none."""
    rows = [
        f"| {_plain(f.name)} | {SIGNS[f.outcome]} {f.outcome} | {_plain(f.sentence)} |" for f in findings if f.listed
    ]
    return ["| question | answer | found, and what was wanted |", "|---|---|---|", *rows] if rows else []


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    text = re.sub(r"([\\`*{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # within a word it is no markup


def _address(to: str) -> str:
    return (
        to.replace(" ", "%20").replace("(", "%28").replace(")", "%29") if to.startswith(("http://", "https://")) else ""
    )
