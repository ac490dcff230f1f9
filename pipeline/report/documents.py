"""What ``--json`` prints: one document, of plain values, with the headline and the exact words of each outcome.

The fields are described in ``docs/reference/json.md``; a field is never taken away, and never changes what it means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.core.headlines import day_headline, refusal_why, why_in_one_line
from pipeline.core.promotion.ledger import current_champion, previous, previous_told
from pipeline.core.records import DayOutcome, Entry
from pipeline.core.verdict import Finding, Verdict
from pipeline.report.terminal.explanation import explained_headline
from pipeline.report.terminal.tables import headline_of, ledger_headline, recipes_of


def days_document(usecase: str, outcomes: Sequence[DayOutcome]) -> dict[str, Any]:
    """What happened day by day."""
    return {"usecase": usecase, "days": [{**line.to_dict(), "headline": headline_of(line)} for line in outcomes]}


def history_document(usecase: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """The promotion ledger, and whom the aliases name by it."""
    head, before = current_champion(entries), previous(entries)
    recipes = recipes_of(entries)
    return {
        "usecase": usecase,
        "champion": None if head is None else head.version,
        "previous": None if before is None else before.version,
        "previous_told": previous_told(entries),
        "entries": [{**entry.to_dict(), "headline": ledger_headline(entry, recipes)} for entry in entries],
    }


def doctor_document(examined: Sequence[Any]) -> dict[str, Any]:
    """What the doctor found about each use case.

    Args:
        examined: :class:`~pipeline.steps.doctor.Examination` values.
    """
    return {"usecases": [{**asdict(one), "sound": one.sound} for one in examined]}


def explained_document(
    usecase: str,
    day: str,
    line: DayOutcome | None,
    verdict: Verdict | None,
    digest: str,
    findings: Sequence[Finding],
    gone: str,
    where: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """Why a day ended as it did.

    Args:
        usecase: Whose day.
        day: The data day, ISO format.
        line: How the day ended; None: not known.
        verdict: What was decided; None where the day has no verdict.
        digest: The verdict's digest; empty without one.
        findings: Of a refused day, what was found about its data.
        gone: What can't be read of it, as a sentence.
        where: What lies where.
    """
    places: Mapping[str, str] = dict(where)
    document: dict[str, Any] = {
        "usecase": usecase,
        "day": day,
        "outcome": None if line is None else line.outcome,
        "headline": "",
        "why": "",
        "reason": "" if line is None else line.reason,
        "champion": None if line is None else line.champion,
        "alarms": [] if line is None else list(line.alarms),
        "repairs": [] if line is None else list(line.repairs),
        "digest": digest,
        "verdict": None if verdict is None else verdict.to_dict(),
        "findings": [finding.to_dict() for finding in findings],
        "gone": gone,
        "where": places,
    }
    if verdict is not None:
        document |= {"headline": explained_headline(verdict, line), "why": why_in_one_line(verdict)}
        document["reason"] = document["reason"] or verdict.reason
    elif line is not None:
        document["headline"] = (
            day_headline(line.outcome, line.reason, findings=findings) if findings else headline_of(line)
        )
        document["why"] = refusal_why(findings, line.recipe) if line.outcome == "refused" else ""
    return document
