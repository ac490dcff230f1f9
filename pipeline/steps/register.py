"""Register: the day as people see it in the registry, and a version for a winner only."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.core.ports import Data, Page, World
from pipeline.core.promotion.ledger import current_champion, digests_by_version
from pipeline.core.records import Candidate, Judged, Registered, digest
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Verdict
from pipeline.core.windows import Days, scored_day
from pipeline.report.verdict.note import run_note, title, version_note
from pipeline.steps.models.versions import listed
from pipeline.steps.reconcile import moved_back, other_model, reconcile, refuse_swapped_file
from pipeline.steps.validate import pages

log = logging.getLogger(__name__)

NO_LINKS: Mapping[str, str] = {}


def verdict_file(usecase: str, day: str, verdict: str, suffix: str = "json") -> str:
    """Name of a verdict's file in the file store."""
    return f"verdicts/{usecase}/{day}/{verdict}.{suffix}"


def read_verdict(usecase: str, day: str, verdict: str, world: World) -> Verdict:
    """The verdict of that digest.

    Raises:
        RefusedError: With code ``MISSING``: its file is gone; ``TAMPERED``: it is not what was written.
    """
    return Verdict.from_dict(json.loads(world.files.get(verdict_file(usecase, day, verdict), verdict)))


def run_key(usecase: str, day: str) -> str:
    """One run a data day: running the day again brings the same run up to date."""
    return digest(["run", usecase, day])


def register(usecase: Usecase, judged: Judged, world: World, links: Mapping[str, str] = NO_LINKS) -> Registered:
    """Show the day in the registry; make the winner a version and point ``candidate`` at it.

    The aliases are first brought to what the promotion ledger says, in case an earlier run died between the two.

    Args:
        usecase: The use case.
        judged: The verdict.
        world: The ports.
        links: Name to address of what the page should lead to, such as the Airflow run.

    Returns:
        The verdict with the registry's run, and the winner's version where something won.

    Raises:
        RefusedError: With code ``DRIFT``: the registry and the promotion ledger are not about the same models, or the
            champion's file in the registry is another one; with ``TAMPERED`` or ``MISSING``: the winner's file is not
            what was fitted.
        UnavailableError: The registry, or the file store, is not there. All that was done is found by a second try.
    """
    moved = reconcile(usecase.name, world)
    head = current_champion(world.ledger.entries(usecase.name))
    # Of the day that made the champion, a try that was stopped before it moved the aliases is gone on with here.
    goes_on = head is not None and head.day == judged.day
    repairs = () if goes_on else tuple(moved_back(usecase.name, moved))
    refuse_swapped_file(usecase.name, world)
    verdict = read_verdict(usecase.name, judged.day, judged.verdict, world)
    page = page_of(usecase, verdict, judged, world, links)
    if told := (*judged.repairs, *repairs):
        page = replace(page, tags={**page.tags, "repairs": "; ".join(told)})
    run = world.registry.record(usecase.name, page)
    world.registry.chart(usecase.name, verdict.loss_name, loss_curves(usecase, verdict, world))
    version = None
    if judged.allowed and judged.decision != "hold" and judged.candidate is not None:
        winner = Candidate.from_dict(judged.candidate)
        tags = {
            "recipe": winner.recipe,
            "trained_first": winner.trained_first,
            "trained_through": winner.trained_through,
            "data_day": judged.day,
            "reason": judged.reason,
            "digests": f"verdict {judged.verdict[:12]}, code {world.code[:12]}; whole in the run and the ledger",
            "made_with": listed(winner.made_with),
            "question": usecase.question,
            "note": version_note(verdict),
        }
        key = digest(["version", usecase.name, winner.model])
        model = world.files.get(winner.file, winner.sha256)
        example = inputs_like(usecase, verdict, world)
        version = world.registry.register(usecase.name, key, run, model, winner.sha256, tags, example)
        promoted = digests_by_version(world.ledger.entries(usecase.name)).get(version, winner.sha256)
        if promoted != winner.sha256:
            raise other_model(usecase.name, version, winner.sha256, promoted)
        world.registry.set_alias(usecase.name, "candidate", version)
    return Registered(judged=judged.to_dict(), run=run, version=version, repairs=(*judged.repairs, *repairs))


def loss_curves(usecase: Usecase, verdict: Verdict, world: World) -> dict[str, dict[date, float]]:
    """Contestant to day to its mean loss, for each day that was judged, this one too; without a loss no point."""
    lines = {line.day: line.losses for line in world.ledger.outcomes(usecase.name)} | {verdict.day: verdict.losses}
    loss_by_contestant: dict[str, dict[date, float]] = {}
    for day, losses in lines.items():
        for who, loss in losses.items():
            if loss is not None and math.isfinite(loss):
                loss_by_contestant.setdefault(who, {})[date.fromisoformat(day)] = float(loss)
    return loss_by_contestant


def inputs_like(usecase: Usecase, verdict: Verdict, world: World) -> Any:
    """A few rows of what the models were asked with; None where the day's rows can't be had any more."""
    day = scored_day(date.fromisoformat(verdict.day), usecase.label_delay)
    try:
        return world.engine.units(usecase, verdict.snapshot, Days(day, day)).inputs.head(20)
    except PipelineError as gone:
        log.warning("the version gets no example of its inputs: %s", gone)
        return None


def expected_outcome(usecase: Usecase, judged: Judged) -> str:
    """How the day will end, as far as the verdict alone says."""
    if not judged.allowed or judged.decision == "hold" or judged.candidate is None:
        return "held"
    if judged.decision == "start":
        return "started"
    return "waiting" if usecase.promotion.approval == "person" else "promoted"


def slug(name: str) -> str:
    """A finding's name as a metric's: ``not worse`` becomes ``not_worse``."""
    return re.sub(r"[^a-z0-9.]+", "_", name.lower()).strip("_")


def _metrics(findings: tuple[Finding, ...]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for finding in findings:
        if not finding.required:
            continue
        name = slug(finding.name)
        for suffix, value in (("", finding.value), ("_low", finding.low), ("_high", finding.high)):
            if value is not None:
                metrics[name + suffix] = value
    return metrics


def _learnt_from(usecase: Usecase, verdict: Verdict, fit: Mapping[str, Any]) -> tuple[Data, ...]:
    """The days that a recipe was fitted on, as a name and a digest."""
    first, through, feed = fit.get("trained_first"), fit.get("trained_through"), usecase.feeds[0].name
    if not first or not through or feed not in verdict.snapshot:
        return ()
    name = f"{usecase.name} {first} to {through}"
    data_digest = digest([dict(verdict.snapshot), first, through])[:12]
    rows = {"rows": float(fit["rows"])} if "rows" in fit else {}
    return (Data(name, data_digest, "training", feed, verdict.snapshot[feed], rows),)


def data_docs(usecase: Usecase, report: str, world: World) -> dict[str, bytes]:
    """The data's own pages (Great Expectations' Data Docs) and its report, as artifacts of the day's run."""
    if not report:
        return {}
    page_names = pages(usecase, report, world.files)
    docs = {f"data_docs/{table}.html": world.files.get(name) for table, name in page_names.items()}
    return {**docs, "validation.json": world.files.get(report)}


def page_of(usecase: Usecase, verdict: Verdict, judged: Judged, world: World, links: Mapping[str, str]) -> Page:
    """The day's run: a nested run per recipe, the verdict as JSON and as a page, the data's own pages.

    Args:
        usecase: The use case.
        verdict: What was decided.
        judged: The same as the step before handed it on: it names the verdict's file.
        world: The ports; files are read.
        links: Name to address of what the page should lead to.

    Raises:
        RefusedError: A page or a report of the day is gone from the file store.
    """
    name = verdict.loss_name
    children = []
    for recipe, fit in verdict.fits.items():
        findings = verdict.findings.get(recipe, ())
        loss = verdict.losses.get(recipe)
        metrics = {**({} if loss is None else {name: loss}), **_metrics(findings)}
        if recipe in verdict.intervals:
            metrics[f"{name}_low"], metrics[f"{name}_high"] = verdict.intervals[recipe]
        metrics |= {key: float(fit[key]) for key in ("rows", "seconds") if key in fit}
        answer = " · ".join(f"{f.name} {f.outcome}" for f in findings if f.required) or "compared with nobody yet"
        children.append(
            Page(
                title=f"{recipe} {verdict.day}",
                key=digest(["recipe", usecase.name, verdict.day, recipe]),
                tags={"recipe": recipe, "data_day": verdict.day, "gates": answer},
                params={key: str(value) for key, value in fit.items() if key not in ("rows", "seconds")},
                metrics=metrics,
                files={},
                data=_learnt_from(usecase, verdict, fit),
            )
        )
    champion, challenger = verdict.champion, verdict.challenger
    tags = {
        "data_day": verdict.day,
        "decision": verdict.decision,
        "verdict": str(verdict.outcome),
        "reason": verdict.reason,
        "verdict_digest": judged.verdict,
        "champion": "none yet" if champion is None else f"version {champion.version} ({champion.recipe})",
        "challenger": "none" if challenger is None else challenger.recipe,
        "code": world.code,
        "question": usecase.question,
        "note": run_note(verdict, links),
        **({"alarms": "; ".join(alarm.sentence for alarm in verdict.alarms)} if verdict.alarms else {}),
        **{f"link.{what}": where for what, where in links.items()},
    }
    metrics = {f"{name}.{who}": loss for who, loss in verdict.losses.items()}
    for who, (low, high) in verdict.intervals.items():
        metrics |= {f"{name}_low.{who}": low, f"{name}_high.{who}": high}
    metrics |= {f"count.{slug(what)}": float(count) for what, count in verdict.counts.items()}
    files = {
        "verdict.json": world.files.get(verdict_file(usecase.name, verdict.day, judged.verdict)),
        "verdict.html": world.files.get(verdict_file(usecase.name, verdict.day, judged.verdict, "html")),
        **data_docs(usecase, verdict.validation, world),
    }
    params = {f"snapshot.{table}": str(version) for table, version in verdict.snapshot.items()}
    return Page(
        title=title(verdict.day, expected_outcome(usecase, judged), "" if challenger is None else challenger.recipe),
        key=run_key(usecase.name, verdict.day),
        tags=tags,
        params=params,
        metrics=metrics,
        files=files,
        children=children,
        data=[
            Data(table, f"version {version}", "evaluation", table, version)
            for table, version in sorted(verdict.snapshot.items())
        ],
    )
