"""A replay kept: its run in the registry, with the figures and the page."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.core.ports import Page, World
from pipeline.core.records import digest
from pipeline.core.replay.result import ReplayResult
from pipeline.core.stats import Interval
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.report.replay.page import replay_page
from pipeline.report.replay.table import as_text
from pipeline.steps.register import slug
from pipeline.steps.replay import replay

log = logging.getLogger(__name__)

_LONGEST_METRIC_NAME = 150


def replay_and_keep(
    usecase: Usecase,
    first: str,
    last: str,
    world: World,
    policies: Sequence[str] = (),
    *,
    search: bool = False,
    workers: int | None = None,
) -> dict[str, Any]:
    """Replay, log the table, record the run: what the manual DAG does.

    Args:
        usecase: The use case.
        first: The first day that counts, ISO format.
        last: The last one.
        world: The ports.
        policies: Changes of the declared policy; empty ones are left out.
        search: Whether to propose a policy.
        workers: Processes for the fits; None: one a processor.

    Returns:
        What came of it, in sentences, and the run's id.

    Raises:
        UsageError: The days are none, or the replay can't be made; see :func:`~pipeline.steps.replay.replay`.
        PipelineError: The store or the registry; the table is in the log by then, unless a fit failed.
    """
    try:
        days = [date.fromisoformat(first), date.fromisoformat(last)]
    except (TypeError, ValueError):
        raise UsageError(f"'{first}' to '{last}' are no days; a day is written 2013-03-08") from None
    for day in days:
        if not 1900 <= day.year <= 2200:
            raise UsageError(f"there is no data of {day}; name days such as 2013-03-08")
    if days[1] < days[0]:
        raise UsageError(f"the last day {last} lies before the first, {first}")
    changes = [text.strip() for text in policies if text.strip()]
    result = replay(usecase, Days(*days), world, changes, search=search, workers=workers)
    for line in as_text(result).splitlines():  # first, so that it is told even if the registry is down
        log.info("%s", line.rstrip())
    run = keep(result, replay_page(result), world)
    log.info("MLflow: experiment %s, run %s; replay.html is among its artifacts", usecase.name, run)
    return {"run": run, "said": result.sentence(), "proposed": result.proposed()}


def _short(policy: str) -> str:
    """A policy's name as the end of a metric's, of which registries take 250 letters."""
    return (
        policy
        if len(policy) <= _LONGEST_METRIC_NAME
        else f"{policy[: _LONGEST_METRIC_NAME - 9]}_{digest([policy])[:8]}"
    )


def keep(result: ReplayResult, page: bytes, world: World) -> str:
    """Record the replay with its page; the same replay again is the same run.

    Returns:
        The run's id.
    """
    document = result.to_dict()
    key = digest(["replay", document])
    name = result.usecase.kind.loss_name
    metrics: dict[str, float] = {}
    for policy_result in result.played:
        figures, policy = policy_result.figures, _short(slug(policy_result.name))
        metrics |= {
            f"{name}.{policy}": figures.loss,
            f"promotions.{policy}": float(figures.promotions),
            f"harmful.{policy}": float(figures.harmful),
            f"harm_days.{policy}": float(figures.harm_days),
            f"churn.{policy}": figures.churn,
            f"age.{policy}": figures.age,
            f"oldest.{policy}": float(figures.oldest),
            f"fits.{policy}": float(figures.fits),
        }
        if isinstance(policy_result.difference, Interval):
            interval = policy_result.difference
            for suffix, value in (("", interval.estimate), ("_low", interval.low), ("_high", interval.high)):
                metrics[f"against_daily{suffix}.{policy}"] = value
    proposed = result.proposed()
    recorded = Page(
        title=f"replay {result.days} {result.usecase.name}",
        key=key,
        tags={
            "replay": str(result.days),
            "reason": result.sentence(),
            "question": result.usecase.question,
            "code": world.code,
            "note": "\n\n".join([f"**{result.sentence()}**", *([f"Proposed: {proposed}"] if proposed else [])]),
        },
        params={
            "first": result.days.first.isoformat(),
            "last": result.days.last.isoformat(),
            "policies": " | ".join(policy_result.name for policy_result in result.played),
            "not_replayed": ", ".join(result.left_out) or "none",
            "proposed": "" if result.proposal is None else result.proposal.name,
        },
        metrics=metrics,
        files={
            "replay.html": page,
            "replay.json": json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode(),
        },
    )
    return world.registry.record(result.usecase.name, recorded)
