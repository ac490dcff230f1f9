"""What policies come to: on the field's drift streams, and on the flights of 2013 (``FLIGHTS=1``, half an hour).

Each policy is replayed on the same fits. "price" is the gate ``Better`` at that price; "scored": the fit that was
scored on the holdout day ships; "with its predecessor": the mean of champion and predecessor is served. A promotion is
harmful if the new model loses more than the old one over the next seven days. ``STREAMS=sea,still`` chooses;
``QUICK=1`` takes a quarter of the days.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import streams
from pipeline.core.gates.better import Better
from pipeline.core.kinds import Floats
from pipeline.core.replay.cost import Yardstick, hindsight
from pipeline.core.replay.figures import PolicyFigures, ageing, policy_figures
from pipeline.core.replay.history import FitKey, History
from pipeline.core.replay.player import Replayer
from pipeline.core.replay.policy import Policy, reference_policies
from pipeline.core.windows import Days
from pipeline.report.progress import bars
from pipeline.steps.replaying.fit_maker import FitMaker
from pipeline.steps.replaying.fits import make_history

PRICES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3)
#: The prices of a promotion, in days of loss, at which total costs are told.
COSTS = (0.02, 0.08, 0.3)
#: The aim: within so much of the loss of shipping every day, at most so many of its promotions and harmful ones.
WITHIN, SHARE = 0.005, 0.1
#: Ages of fits, in days, that are told.
AGED = (1, 3, 7, 14, 21, 27)


def main() -> None:
    """Print a table for every stream: each recipe alone, then all of them."""
    names = os.environ.get("STREAMS", ",".join(streams.STREAMS)).split(",")
    quick = bool(os.environ.get("QUICK"))
    days = 120 if quick else streams.DAYS
    with bars() as progress:
        for name in names:
            source, whole = streams.source(name, days)
            first = whole.first + timedelta(streams.LEARN)
            began = time.perf_counter()
            history = make_history(source, whole, first, progress)
            _show(name, history, source, streams.LEARN, time.perf_counter() - began)
        if os.environ.get("FLIGHTS"):
            _flights(60 if quick else 364)


def _show(name: str, history: History, source: FitMaker, first: int, seconds: float) -> None:
    recipes = [recipe.name for recipe in source.recipes[:-1]]
    baseline = source.recipes[-1].name
    for chosen in (*([recipe] for recipe in recipes), recipes):
        title = f"{name}, {len(history) - first} days, {' + '.join(chosen)}"
        show(title, history, chosen, baseline, first)
    ages(name, history, recipes, first)
    Console().print(f"fits and predictions of {name}: {seconds:.0f} s\n")


def show(title: str, history: History, recipes: Sequence[str], baseline: str, first: int) -> None:
    """One table: the habits, then the gate that decides at several prices."""
    player = Replayer(title, history, FitKey(recipes[0], first), first, baseline)
    ours = [
        Policy(f"price {price:g}", "gates", tuple(recipes), (Better(price=price),), ship="refit") for price in PRICES
    ]
    ours.append(replace(ours[PRICES.index(Better().price)], name=f"price {Better().price:g}, scored", ship="scored"))
    # Costs are told against the daily refit, as a replay tells them; the other columns against what shipped as scored.
    refits = [replace(one, name=f"refit {one.name}") for one in reference_policies(recipes, "refit")[1:-1]]
    policies = (*reference_policies(recipes, "scored"), *refits, *ours)
    timelines = {policy.name: player.run(policy) for policy in policies}
    figures = {name: policy_figures(timeline, history) for name, timeline in timelines.items()}
    daily = min((figures[f"daily {recipe}"] for recipe in recipes), key=lambda one: one.loss)
    best = min((f"refit daily {recipe}" for recipe in recipes), key=lambda name: figures[name].loss)
    yardsticks = [Yardstick.of(timelines[best], history, price) for price in COSTS]
    table = Table(title=title, title_justify="left")
    at_price = [f"cost at {price:g}" for price in COSTS]
    for column in ("policy", *at_price, "loss", "vs daily", "promotions", "harmful", "churn", "age", "oldest", "aim"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for name, made in figures.items():
        costs = [f"{one.cost(timelines[name], history):.1f}" if one else "" for one in yardsticks]
        table.add_row(name, *costs, *_row(made, daily))
    known = [hindsight(history, one, recipes, player.start) if one else None for one in yardsticks]
    table.add_row("best schedule, in hindsight", *(f"{one.cost:.1f}" if one else "" for one in known))
    if len(recipes) == 1:
        for name, (loss, churn) in _averages(player, refits[-1], ours[PRICES.index(Better().price)]).items():
            table.add_row(name, *[""] * len(COSTS), f"{loss:.4f}", _beyond(loss, daily), "", "", f"{churn:.2f}")
    Console(width=150).print(table)


def ages(title: str, history: History, recipes: Sequence[str], first: int) -> None:
    """How each recipe ages: its loss at some ages against its fresh fits' on the same days."""
    table = Table(title=f"{title}: loss above that of a fresh fit, by age in days", title_justify="left")
    for column in ("recipe", *map(str, AGED)):
        table.add_column(column, justify="left" if column == "recipe" else "right")
    for recipe in recipes:
        curve = ageing(history, recipe, first)
        table.add_row(recipe, *(f"{100 * curve[age]:+.2f} %" if age < len(curve) else "" for age in AGED))
    Console(width=130).print(table)


def _averages(player: Replayer, daily: Policy, gate: Policy) -> dict[str, tuple[float, float]]:
    """What averaging would come to in place of choosing: loss, and churn as for the others."""
    history, first = player.history, player.first
    every, chosen = player.run(daily).served, player.run(gate).served
    weeks = [tuple(dict.fromkeys(every[max(0, n - 6) : n + 1])) for n in range(len(every))]
    pairs, champions = [], list(dict.fromkeys(chosen))
    for fit in chosen:
        at = champions.index(fit)
        pairs.append(tuple(champions[max(0, at - 1) : at + 1]))
    return {
        "mean of a week's refits": averaged(history, first, weeks),
        "with its predecessor": averaged(history, first, pairs),
    }


def averaged(history: History, first: int, teams: Sequence[tuple[FitKey, ...]]) -> tuple[float, float]:
    """Loss and churn where the mean of several fits' predictions is served, per day from ``first`` on."""

    def mean(team: tuple[FitKey, ...], day: int) -> Floats:
        predicted = [predictions for fit in team if (predictions := history.predicted(fit, day)) is not None]
        return np.asarray(np.mean(predicted, axis=0), dtype=np.float64)

    lost, units, churn, before = 0.0, 0, 0.0, teams[0]
    for day, team in enumerate(teams, first):
        labels, predicted = history.stretch.labels[history.start[day] : history.start[day + 1]], mean(team, day)
        known = np.isfinite(labels)
        lost += float(np.sum(history.kind.loss(labels[known], predicted[known])))
        units += int(known.sum())
        if team != before and len(predicted):
            churn += float(np.mean(history.kind.decision(predicted) != history.kind.decision(mean(before, day))))
        before = team
    return lost / units, churn


def _row(made: PolicyFigures, daily: PolicyFigures) -> tuple[str, ...]:
    beyond = made.loss / daily.loss - 1
    met = beyond <= WITHIN and made.promotions <= SHARE * daily.promotions and made.harmful <= SHARE * daily.harmful
    return (
        f"{made.loss:.4f}",
        _beyond(made.loss, daily),
        str(made.promotions),
        str(made.harmful),
        f"{made.churn:.2f}",
        f"{made.age:.1f}",
        str(made.oldest),
        "met" if met else "",
    )


def _beyond(loss: float, daily: PolicyFigures) -> str:
    return f"{100 * (loss / daily.loss - 1):+.2f} %"


def _flights(days: int) -> None:
    """Both flight use cases over 2013, from their deliveries, through the product's own replay."""
    from demo.upstream import FIRST, deliver

    with tempfile.TemporaryDirectory(prefix="policies-") as home:
        os.environ["PIPELINE_HOME"] = home
        for n in range(days):
            deliver(Path(home) / "landing", FIRST + timedelta(n), ())
        from pipeline.adapters.world import world
        from pipeline.steps.replay import replay
        from pipeline.usecases.flight_delay import FLIGHT_DELAY
        from pipeline.usecases.flight_minutes import FLIGHT_MINUTES

        with bars() as progress:
            for usecase in (FLIGHT_DELAY, FLIGHT_MINUTES):
                alone = replace(usecase, gates=(Better(),))
                began = time.perf_counter()
                ports = world(progress)
                made = replay(alone, Days(FIRST + timedelta(31), FIRST + timedelta(days - 1)), ports)
                first = (made.days.first - made.history.stretch.days[0].astype(object)).days
                names = [recipe.name for recipe in usecase.recipes]
                for chosen in (*([name] for name in names), names):
                    show(f"{usecase.name}, {' + '.join(chosen)}", made.history, chosen, usecase.baseline.name, first)
                ages(usecase.name, made.history, names, first)
                Console().print(f"{usecase.name}: {time.perf_counter() - began:.0f} s in all\n")
