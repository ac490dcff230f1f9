"""The page of a replay: one self-contained HTML file, nothing loaded, no script, light and dark."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.replay.figures import PolicyFigures, churned
from pipeline.core.replay.result import PolicyResult, ReplayResult, days_of_loss, difference_clause
from pipeline.core.stats import Interval
from pipeline.core.words import percent
from pipeline.report.canvas import number
from pipeline.report.replay import plots
from pipeline.report.replay.table import cells, cost, remarks
from pipeline.report.verdict import findings

_HERE = Path(__file__).parent
#: So many policies that were asked for have their champions drawn.
_DRAWN = 4


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader([_HERE, _HERE.parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def replay_page(made: ReplayResult) -> bytes:
    """What a policy would have done, beside the habits: the same replay gives the same bytes."""
    style = Markup((_HERE.parent / "style.css").read_text(encoding="utf-8"))  # noqa: S704 -- a file of this package
    declared = made.played[0]
    page = (
        _environment()
        .get_template("replay.html.j2")
        .render(
            title=f"{made.usecase.name} replay {made.days}",
            usecase=made.usecase.name,
            days=str(made.days),
            question=made.usecase.question,
            links=[],
            style=style,
            signs=findings.SIGNS,
            mood="",
            sign="↻",
            headline=_headline(declared),
            beside=f"in {len(declared.timeline.served)} days",
            reason=f"{made.sentence()[0].upper()}{made.sentence()[1:]}.",
            cards=_cards(made),
            loss_name=made.usecase.kind.loss_name,
            rows=_rows(made),
            best=made.best.name,
            price=days_of_loss(made.price),
            hindsight=made.hindsight and {"cost": cost(made.hindsight.cost), "promotions": made.hindsight.promotions},
            frontier=plots.frontier(made),
            searched=len(made.searched),
            weekly=plots.losses(made),
            drawn=[_drawn(made, one) for one in made.played[: min(made.asked, _DRAWN)]],
            ageing=plots.ageing(made),
            remarks=remarks(made),
            proposal=_proposal(made),
        )
    )
    return page.encode()


def _headline(declared: PolicyResult) -> str:
    n = declared.figures.promotions
    return f"{n:,} promotion{'' if n == 1 else 's'}"


def _cards(made: ReplayResult) -> list[dict[str, Any]]:
    def card(style: str, role: str, one: PolicyResult) -> dict[str, Any]:
        f = one.figures
        more = [
            f"{cost(f.cost)} days of loss in all",
            f"{f.promotions:,} promotions, {f.harmful:,} harmful",
            f"{f.churn:.2f} of all decisions churned, mean age {f.age:.1f} days",
        ]
        return {"style": style, "role": role, "name": one.name, "loss": number(f.loss), "more": more}

    cards = [card("champion", "this policy", made.played[0]), card("challenger", "the best daily", made.best)]
    habits = made.played[made.asked :]
    cards += [card("baseline", "the habit", one) for one in habits if one.name in ("never", "point gate")]
    return cards


def _rows(made: ReplayResult) -> list[dict[str, Any]]:
    interval_by_policy = {id(one): one.difference for one in made.played if isinstance(one.difference, Interval)}
    ends = [0.0, *(end for d in interval_by_policy.values() for end in (d.low, d.high) if math.isfinite(end))]
    low, high = min(ends), max(ends)
    pad = (high - low) * 0.06 or 0.01
    rows = []
    for n, one in enumerate(made.played):
        d = interval_by_policy.get(id(one))
        shown = None if d is None or one is made.best else {"estimate": d.estimate, "low": d.low, "high": d.high}
        cell = cells(one, made.best)
        gauge = plots.gauge(shown, low - pad, high + pad)
        rows.append({"mine": n < made.asked, "name": _breaking(cell[0]), "cells": cell[1:], "gauge": gauge})
    return rows


def _breaking(name: str) -> Markup:
    """A policy's text, which may go on in the next line after a comma or a plus."""
    parts = [Markup("+<wbr>").join(part.split("+")) for part in name.split(",")]
    return Markup(",<wbr>").join(parts)


def _drawn(made: ReplayResult, one: PolicyResult) -> dict[str, Any]:
    changes = []
    for change in one.timeline.changes:
        harm = made.harm_relative(change)
        changes.append(
            {
                "serves": made.day(change.serves),
                "winner": made.model(change.winner),
                "replaced": made.model(change.replaced),
                "bad": harm > 0,
                "harm": f"{'+' if harm > 0 else '−' if harm < 0 else ''}{percent(abs(harm))}"
                if math.isfinite(harm)
                else "–",
                "churn": percent(churned(change, made.history)),
                "reason": change.reason,
            }
        )
    return {"name": one.name, "drawing": plots.timeline(made, one), "changes": changes}


def _proposal(made: ReplayResult) -> dict[str, Any] | None:
    proposal = made.proposal
    if proposal is None:
        return None

    def row(name: str, chosen: PolicyFigures, judged: PolicyFigures) -> tuple[str, ...]:
        sides = [(cost(f.cost), f"{f.loss:.4f}", str(f.promotions), str(f.harmful)) for f in (chosen, judged)]
        return (_breaking(name), *sides[0], *sides[1])

    return {
        "name": proposal.name,
        "split": made.day(proposal.split),
        "tried": proposal.tried,
        "told": difference_clause(proposal.difference),
        "holds": proposal.holds,
        "rows": [
            row(proposal.name, proposal.chosen, proposal.judged),
            row("declared", proposal.declared_chosen, proposal.declared_judged),
            row(proposal.daily, proposal.daily_chosen, proposal.daily_judged),
        ],
    }
