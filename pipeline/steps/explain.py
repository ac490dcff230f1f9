"""Explain: all that is known of how a day ended, from what is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipeline.core.errors import RefusedError, UsageError
from pipeline.core.ports import World
from pipeline.core.records import DayOutcome
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Verdict
from pipeline.steps.recompute import newest_verdict, no_such_verdict
from pipeline.steps.register import verdict_file
from pipeline.steps.validate import read_report


@dataclass(frozen=True, slots=True)
class Explained:
    """A day's story.

    Attributes:
        line: How the day ended; None where the ledger has no line with the digest that was asked for.
        verdict: What was decided; None where the data was refused or the day failed.
        digest: The verdict's digest; empty without one.
        page: Name of the verdict's page in the file store; empty without one.
        report: Name of the validation report in the file store; empty where the day has none.
        findings: Of a refused day, what was found about its data; empty where its files could not be read at all.
        gone: What can't be read any more, as a sentence; empty where all is there.
    """

    line: DayOutcome | None
    verdict: Verdict | None = None
    digest: str = ""
    page: str = ""
    report: str = ""
    findings: tuple[Finding, ...] = ()
    gone: str = ""


def explain(usecase: Usecase, day: str, world: World, digest: str = "") -> Explained:
    """Read how a day ended.

    Args:
        usecase: The use case.
        day: The data day, ISO format.
        world: The ports; nothing is written.
        digest: Which of the day's verdicts, in full; empty: the newest.

    Raises:
        UsageError: The day was never run.
    """
    known, line = newest_verdict(usecase, day, world)
    wanted_digest = digest or ("" if line is not None and line.outcome in ("refused", "failed") else known)
    if line is None and not wanted_digest:
        raise UsageError(
            f"{usecase.name} {day} was never run, so there is nothing to explain: 'python -m pipeline run "
            f"{usecase.name} --day {day}' runs it",
            "NOT_RUN",
        )
    if not wanted_digest:
        report, findings, gone = _refused(line, world)
        return Explained(line, report=report, findings=findings, gone=gone)
    if digest and digest != known and not world.files.exists(verdict_file(usecase.name, day, digest)):
        raise no_such_verdict(usecase, day, digest, known)
    try:
        verdict = Verdict.from_dict(
            json.loads(world.files.get(verdict_file(usecase.name, day, wanted_digest), wanted_digest))
        )
    except RefusedError as lost:
        return Explained(line, digest=wanted_digest, gone=str(lost))
    page = verdict_file(usecase.name, day, wanted_digest, "html")
    return Explained(line, verdict, wanted_digest, page if world.files.exists(page) else "", verdict.validation)


def _refused(line: DayOutcome | None, world: World) -> tuple[str, tuple[Finding, ...], str]:
    if line is None or not line.report:
        return "", (), ""
    try:
        return line.report, read_report(line.report, world.files).findings, ""
    except RefusedError as lost:
        return line.report, (), str(lost)
