"""A replay kept: its run in the registry, with the figures and the page."""

from __future__ import annotations

import json

from pipeline.core.ports import Page, World
from pipeline.core.records import digest
from pipeline.core.replayed import Replayed
from pipeline.core.stats import Interval
from pipeline.report.replay import replay_page
from pipeline.steps.register import slug


def keep(made: Replayed, world: World) -> tuple[str, bytes]:
    """Record the replay; the same replay again is the same run.

    Returns:
        The run's id, and the page.
    """
    told = made.to_dict()
    page, key = replay_page(made), digest(["replay", told])
    name = made.usecase.kind.loss_name
    metrics: dict[str, float] = {}
    for one in made.played:
        figures, policy = one.figures, slug(one.name)
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
        if isinstance(one.difference, Interval):
            found = one.difference
            for suffix, value in (("", found.estimate), ("_low", found.low), ("_high", found.high)):
                metrics[f"against_daily{suffix}.{policy}"] = value
    proposed = made.proposed()
    recorded = Page(
        title=f"replay {made.days} {made.usecase.name}",
        key=key,
        tags={
            "replay": str(made.days),
            "reason": made.sentence(),
            "question": made.usecase.question,
            "code": world.code,
            "note": "\n\n".join([f"**{made.sentence()}**", *([f"Proposed: {proposed}"] if proposed else [])]),
        },
        params={
            "first": made.days.first.isoformat(),
            "last": made.days.last.isoformat(),
            "policies": " | ".join(one.name for one in made.played),
            "not_replayed": ", ".join(made.left_out) or "none",
            "proposed": "" if made.proposal is None else made.proposal.name,
        },
        metrics=metrics,
        files={
            "replay.html": page,
            "replay.json": json.dumps(told, indent=1, sort_keys=True, allow_nan=False).encode(),
        },
    )
    return world.registry.record(made.usecase.name, recorded), page
