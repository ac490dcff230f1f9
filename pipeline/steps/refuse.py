"""A day that ends without a verdict, as people see it: refused for its data, or failed. The champion serves on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from pipeline.core.errors import PipelineError, RefusedError, UnavailableError
from pipeline.core.headlines import day_headline
from pipeline.core.ports import Page, World
from pipeline.core.promotion.decision import current_champion
from pipeline.core.records import DayOutcome
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome, joint
from pipeline.steps.register import NO_LINKS, data_docs, run_key

#: What a delivery that can't be read as yet is called: none there, half of it, one that the server keeps back.
_NOT_YET = ("MISSING", "MANIFEST_MISSING", "GROWING", "INTERRUPTED", "HTTP", "UNREADABLE", "SEVERAL")


def as_refusal(error: PipelineError) -> RefusedError | None:
    """The refusal of a day that nobody waits for any longer, from the error with which its ingest ended.

    A file that has not come may come yet, so it is no refusal while the day is tried again. None where the error is
    not about the day's data at all: a store or a server that does not answer says nothing about the day.
    """
    if isinstance(error, RefusedError):
        return error
    if not isinstance(error, UnavailableError) or error.code not in _NOT_YET:
        return None
    return RefusedError(str(error), error.code, [Finding("delivery", Outcome.UNKNOWN, str(error))])


def refuse(
    usecase: Usecase, day: date, error: RefusedError, world: World, links: Mapping[str, str] = NO_LINKS
) -> DayOutcome:
    """Write the day's line, and show it in the registry; a registry that is down does not hide the refusal."""
    headline = day_headline("refused", str(error), findings=error.findings)
    line = replace(_line(usecase, day, "refused", str(error), world), report=error.report, headline=headline)
    world.ledger.conclude(line)
    try:
        run = world.registry.record(usecase.name, _page(usecase, day, error, links, world))
    except UnavailableError:
        return line
    shown = DayOutcome.from_dict({**line.to_dict(), "run": run})
    world.ledger.conclude(shown)
    return shown


def fail(usecase: Usecase, day: date, why: str, world: World) -> DayOutcome:
    """Write the line of a day that was given up for another reason than its data, so that it is not missing in silence.

    A day that has a line keeps it: what failed was a second look at it. What is returned is the failure.
    """
    failed = _line(usecase, day, "failed", why, world)
    if all(line.day != failed.day for line in world.ledger.outcomes(usecase.name)):
        world.ledger.conclude(failed)
    return failed


def _line(usecase: Usecase, day: date, outcome: str, reason: str, world: World) -> DayOutcome:
    head = current_champion(world.ledger.entries(usecase.name))
    return DayOutcome(
        usecase=usecase.name,
        day=day.isoformat(),
        outcome=outcome,
        champion=None if head is None else head.version,
        recipe="" if head is None else head.recipe,
        losses={},
        reason=reason,
        headline=day_headline(outcome, reason),
    )


def _page(usecase: Usecase, day: date, error: RefusedError, links: Mapping[str, str], world: World) -> Page:
    from pipeline.report.verdict.note import refusal_note, title
    from pipeline.report.verdict.page import refusal_page

    findings = [finding.to_dict() for finding in error.findings]
    return Page(
        title=title(day.isoformat(), "refused"),
        key=run_key(usecase.name, day.isoformat()),
        tags={
            "data_day": day.isoformat(),
            "decision": "refused",
            "verdict": joint(error.findings).value,
            "reason": str(error),
            "refusal": error.code,
            "question": usecase.question,
            "note": refusal_note(str(error), error.findings, links),
            **{f"link.{what}": where for what, where in links.items()},
        },
        params={},
        metrics={"findings.failed": float(sum(f.outcome != "PASS" for f in error.findings if f.required))},
        files={
            "refusal.json": json.dumps(findings, indent=1, sort_keys=True).encode(),
            "refusal.html": refusal_page(usecase.name, day.isoformat(), error.findings, str(error), links),
            **data_docs(usecase, error.report, world),
        },
    )
