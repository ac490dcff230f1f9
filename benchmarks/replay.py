"""What a replay costs: history against the bare scikit-learn fits and predictions on the same rows, and many policies.

The first is a ratio of two figures of one run on one processor; the second is in seconds, on a history of a year's size
whose predictions are drawn, not fitted: policies cost the same whatever a fit cost.
"""

from __future__ import annotations

import os
import tempfile
import time
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

#: The history: so many days on which every recipe is fitted, after as many as the longest window needs.
FIRST_COUNTED, DAYS = date(2013, 3, 2), 12
#: The sweep.
SWEPT_DAYS, POLICIES, UNITS, BLOCKS = 300, 100, 920, 57
#: The most that may stand around the bare fits and predictions, and the seconds that the sweep may take.
MOST, SECONDS = 1.15, 60.0


def overhead(home: Path) -> tuple[float, float, int]:
    """Seconds of a history, and of the bare fits and predictions on the same rows; and how many fits there were."""
    from demo.upstream import FIRST, deliver

    last = FIRST_COUNTED + timedelta(DAYS - 1)
    for n in range((last - FIRST).days + 1):
        deliver(home / "landing", FIRST + timedelta(n))
    os.environ["PIPELINE_HOME"] = str(home)
    from pipeline.adapters.world import world
    from pipeline.core.windows import Days
    from pipeline.steps import replay
    from pipeline.steps.replaying import fits
    from pipeline.steps.replaying.fit_maker import FitMaker
    from pipeline.usecases import find

    usecase, ports, taken = find("flight_delay"), world(), []
    made, whole = fits.make_history, replay.make_history

    def timed(source: Any, days: Days, first: date, progress: Any, keeper: Any, workers: int | None) -> Any:
        # In turn, so that a machine that is busy for a while is busy for both.
        bare = [0.0]
        predict = FitMaker.predict

        def both(self: Any, fit: Any, begin: int, end: int) -> Any:
            bare[0] += _bare(self, fit, begin, end)
            return predict(self, fit, begin, end)

        FitMaker.predict = both  # type: ignore[method-assign]
        began = time.perf_counter()
        history = made(source, days, first, progress, keeper, 1)
        FitMaker.predict = predict  # type: ignore[method-assign]
        taken.append((time.perf_counter() - began - bare[0], bare[0], (len(days) - 60) * len(source.recipes)))
        return history

    replay.make_history = timed
    try:
        replay.replay(usecase, Days(FIRST_COUNTED, last), ports, workers=1)
    finally:
        replay.make_history = whole
    return taken[0]


def _bare(source: Any, fit: Any, begin: int, end: int) -> float:
    """Seconds of the estimator's own fit on the rows and of its own predictions of each day, rows cut beforehand."""
    recipe = next(recipe for recipe in source.recipes if recipe.name == fit.recipe)
    first, stop = np.searchsorted(source.day, (fit.day - recipe.window, fit.day))
    rows = np.arange(first, stop)[np.isfinite(source.units.labels[first:stop])]
    inputs, labels = source.units.inputs.iloc[rows], source.units.labels[rows]
    edges = np.searchsorted(source.day, np.arange(begin, end + 1))
    asked = [source.units.inputs.iloc[a:b] for a, b in pairwise(edges) if b > a]
    estimator = recipe.build(recipe.seed)
    began = time.perf_counter()
    estimator.fit(inputs, labels)
    for day in asked:
        source.kind.predict(estimator, day)
    return time.perf_counter() - began


def drawn_history(days: int = SWEPT_DAYS, units: int = UNITS, blocks: int = BLOCKS) -> Any:
    """A history of four recipes that age and a plain rule, whose predictions are drawn."""
    from pipeline.core.kinds import Binary
    from pipeline.core.replay.history import FitKey, History, Stretch

    rng = np.random.default_rng(1)
    count = days * units
    truth = rng.normal(-1.2, 1.0, count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-truth))).astype(np.float64)
    day = np.repeat(np.arange(days), units)
    calendar = np.datetime64("2013-01-01") + np.arange(days)
    names = np.array([f"block{n}" for n in range(blocks)])[rng.integers(0, blocks, count)]
    airlines = np.array(["AA", "B6", "DL", "UA"])[rng.integers(0, 4, count)]
    noise = {"short": (0.6, 0.02), "long": (0.55, 0.004), "trees": (0.45, 0.02), "deep": (0.4, 0.008), "usual": (1, 0)}

    def predict(fit: FitKey, first: int, end: int) -> Any:
        at = slice(first * units, end * units)
        spread, ages = noise[fit.recipe]
        blur = spread + ages * (day[at] - fit.day)
        drawn = np.random.default_rng([fit.day, sorted(noise).index(fit.recipe), first])
        return 1 / (1 + np.exp(-(truth[at] + blur * drawn.normal(size=(end - first) * units))))

    stretch = Stretch(calendar, day, labels, names, {"carrier": airlines})
    return History(Binary("late"), stretch, [*noise], predict)


def sweep(policies: int = POLICIES) -> tuple[float, float]:
    """Seconds for so many policies on a history that is made, and those of them that the processor worked."""
    from pipeline.core.evidence.candidate import Stage
    from pipeline.core.replay.figures import policy_figures
    from pipeline.core.replay.history import FitKey
    from pipeline.core.replay.player import Replayer
    from pipeline.core.replay.policy import Policy, with_changes
    from pipeline.usecases.flight_delay import FLIGHT_DELAY

    history = drawn_history()
    for n in range(len(history)):
        for recipe in history.recipes:
            history.losses(FitKey(recipe, n), n)
    recipes = tuple(recipe for recipe in history.recipes if recipe != "usual")
    gates = tuple(gate for gate in FLIGHT_DELAY.gates if gate.stage is Stage.SCORES)
    declared = Policy("declared", "gates", recipes, gates)
    player = Replayer("benchmark", history, FitKey("short", 0), 0, "usual")
    rng = np.random.default_rng(2)
    began, worked = time.perf_counter(), time.process_time()
    for n in range(policies):
        price, switch = rng.uniform(0.01, 0.4), rng.uniform(0.1, 1.0)
        text = f"price={price:.3f},switch_price={switch:.3f},ship={('refit', 'scored')[n % 2]},every={1 + n % 3}"
        policy_figures(player.run(with_changes(declared, text)), history)
    return time.perf_counter() - began, time.process_time() - worked


def main() -> None:
    """Print both."""
    console = Console(width=110)
    console.print(f"{POLICIES} policies over {SWEPT_DAYS} days of four recipes ...", style="dim")
    seconds, worked = sweep()
    console.print(
        f"{POLICIES} policies over {SWEPT_DAYS} days: {seconds:.1f} s, of which the processor worked {worked:.1f} s "
        f"(wanted: at most {SECONDS:.0f})"
    )
    console.print(f"a history of {DAYS} days of flights, every recipe on every day, one processor ...", style="dim")
    with tempfile.TemporaryDirectory() as home:
        history, bare, fits = overhead(Path(home))
    console.print(
        f"history of {fits} fits: {history:.1f} s; bare fits and predictions on the same rows {bare:.1f} s; "
        f"{history / bare:.2f} × (wanted: at most {MOST})"
    )


if __name__ == "__main__":
    main()
