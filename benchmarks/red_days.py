"""How often a day is red: on sound days, and where the champion answers for other units than it was asked about.

On River's streams (a drift stream's own sudden changes count as sound days here: the world changed, and people are told
so) and on the flights of 2013, a champion that is fitted anew every third week, with the last four weeks as its past.
A champion whose inputs were exchanged stands for itself with its predictions dealt to the day's units at random.
``STREAMS=sea,flights`` chooses; ``UNITS=30`` looks at so many units of each day.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import streams
from pipeline.core.promotion.red import red_day
from pipeline.core.replay.history import FitKey, History
from pipeline.core.verdict import Outcome
from pipeline.core.windows import Days
from pipeline.report.progress import bars
from pipeline.steps.replaying.fits import make_history

#: Days between two champions, and days of evidence.
REIGN, EVIDENCE = 21, 28


def main() -> None:
    """Print a line for each stream and recipe."""
    names = os.environ.get("STREAMS", ",".join([*streams.STREAMS, "flights"])).split(",")
    units = int(os.environ.get("UNITS", "0"))
    table = Table(title="red days, and 95 % intervals", title_justify="left")
    for column in ("stream", "recipe", "days", "red where all is sound", "red where answers are dealt at random"):
        table.add_column(column)
    for title, history, first, recipes, baseline in _histories(names):
        for recipe in recipes:
            sound, dealt, days = _red(history, first, recipe, baseline, units)
            table.add_row(title, recipe, str(days), _share(sound, days), _share(dealt, days))
    Console(width=130).print(table)


def _histories(names: list[str]) -> Iterator[tuple[str, History, int, list[str], str]]:
    with bars() as progress:
        for name in names:
            if name == "flights":
                yield from _flights(progress)
                continue
            source, whole = streams.source(name, 180)
            history = make_history(source, whole, whole.first + timedelta(streams.LEARN), progress)
            yield name, history, streams.LEARN, [one.name for one in source.recipes[:-1]], source.recipes[-1].name


def _flights(progress: object) -> Iterator[tuple[str, History, int, list[str], str]]:
    from demo.upstream import FIRST, deliver

    with tempfile.TemporaryDirectory(prefix="red-days-") as home:
        os.environ["PIPELINE_HOME"] = home
        for n in range(150):
            deliver(Path(home) / "landing", FIRST + timedelta(n), ())
        from pipeline.adapters.world import world
        from pipeline.steps.replay import replay
        from pipeline.usecases.flight_delay import FLIGHT_DELAY
        from pipeline.usecases.flight_minutes import FLIGHT_MINUTES

        for usecase in (FLIGHT_DELAY, FLIGHT_MINUTES):
            span = Days(FIRST + timedelta(28), FIRST + timedelta(149))
            result = replay(usecase, span, world(progress))  # type: ignore[arg-type]
            first = int(np.flatnonzero(result.history.stretch.days == np.datetime64(result.days.first))[0])
            yield usecase.name, result.history, first, [one.name for one in usecase.recipes], usecase.baseline.name


def _red(history: History, first: int, recipe: str, baseline: str, units: int) -> tuple[int, int, int]:
    """How many days are red as they are, and with the champion's predictions dealt at random; and of how many."""
    rng = np.random.default_rng(0)
    mine: dict[str, float] = {}
    plain: dict[str, float] = {}
    sound = dealt = days = 0
    for day in range(first, len(history)):
        champion = FitKey(recipe, first + (day - first) // REIGN * REIGN)
        at = slice(int(history.start[day]), int(history.start[day + 1]))
        labels = history.stretch.labels[at]
        mine_now, plain_now = history.predicted(champion, day), history.predicted(FitKey(baseline, day), day)
        known = np.flatnonzero(np.isfinite(labels))
        if mine_now is None or plain_now is None or not len(known):
            continue
        known = rng.permutation(known)[: units or None]
        loss, name = history.kind.loss, str(history.stretch.days[day])
        today = {
            "mine": float(loss(labels[known], mine_now[known]).mean()),
            "plain": float(loss(labels[known], plain_now[known]).mean()),
            "dealt": float(loss(labels[known], rng.permutation(mine_now[known])).mean()),
        }
        past = list(mine)[-EVIDENCE:]
        before = {"plain": {then: plain[then] for then in past}, "mine": {then: mine[then] for then in past}}
        if len(past) == EVIDENCE:
            days += 1
            for who in ("mine", "dealt"):
                world = {
                    "champion": {**before["mine"], name: today[who]},
                    "plain": {**before["plain"], name: today["plain"]},
                }
                found = red_day(name, world, "champion", "plain")
                red = found is not None and found.outcome is Outcome.FAIL
                sound, dealt = sound + (red and who == "mine"), dealt + (red and who == "dealt")
        mine[name], plain[name] = today["mine"], today["plain"]
    return sound, dealt, days


def _share(found: int, of: int) -> str:
    from scipy.stats import binomtest

    low, high = binomtest(found, max(of, 1)).proportion_ci()
    return f"{found} ({100 * low:.1f} to {100 * high:.1f} %)"
