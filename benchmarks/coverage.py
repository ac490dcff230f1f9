"""How often intervals of ``core/stats`` hold the truth, and what twenty slices veto: two tables of ``decisions``."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.core.evidence.candidate import Evidence, Paired
from pipeline.core.gates.loss import EverySlice
from pipeline.core.kinds import Floats, Ints, Regression
from pipeline.core.stats import (
    Clusters,
    Interval,
    NoInterval,
    mean_difference,
    mean_interval,
    relative_difference,
    statistic_interval,
    top_excess,
)
from pipeline.core.verdict import Outcome


def share(hits: int, of: int) -> str:
    """A share with the standard error of the simulation."""
    p = hits / of
    return f"{100 * p:.1f} ± {100 * math.sqrt(max(p * (1 - p), 0.25 / of) / of):.1f} %"


@dataclass(frozen=True)
class Shape:
    """How the losses of a simulated window hang together.

    Attributes:
        name: For the table.
        days: Of the window.
        rho: The share of the variance of a difference that units of a block have in common.
        unequal: Spread of the logarithm of the sizes of days; blocks follow a Pareto law.
        heavy: Whether a unit's own noise has Student's t with 3 degrees of freedom times a log-normal.
        day: The spread of what a whole day has in common, in units of the noise.
        skew: Whether that is skewed: most days a little below, a rare one far above (a log-normal of spread 1).
    """

    name: str
    days: int = 14
    rho: float = 0.3
    unequal: float = 0.3
    heavy: bool = False
    day: float = 0.1
    skew: bool = False


SHAPES = (
    Shape("nothing in common", rho=0.0, day=0.0, unequal=0.0),
    Shape("blocks in common", day=0.0),
    Shape("blocks and days in common"),
    Shape("blocks much in common", rho=0.8),
    Shape("very unequal days", unequal=0.8),
    Shape("heavy tails", heavy=True),
    Shape("all of it", rho=0.6, unequal=0.8, heavy=True, day=0.3),
    Shape("all of it, 6 days", 6, rho=0.6, unequal=0.8, heavy=True, day=0.3),
    Shape("all of it, 28 days", 28, rho=0.6, unequal=0.8, heavy=True, day=0.3),
    Shape("skewed days", day=0.3, skew=True),
    Shape("skewed days, 28 days", 28, day=0.3, skew=True),
)
BY = 0.02
"""The true relative difference of the two losses."""


def window(
    rng: np.random.Generator, shape: Shape, per_day: int = 240, blocks: int = 24
) -> tuple[Floats, Floats, Clusters]:
    """Losses of candidate and champion whose true relative difference is :data:`BY`, and their clusters."""
    spread = shape.unequal
    sizes = np.maximum(20, per_day * np.exp(rng.normal(0, spread, shape.days) - spread**2 / 2)).astype(np.int64)
    day = np.repeat(np.arange(shape.days), sizes)
    weights = rng.pareto(2.0, (shape.days, blocks)) + 0.2
    ends = np.cumsum(weights, axis=1)
    drawn = rng.random(len(day)) * ends[day, -1]
    block = (drawn[:, None] > ends[day]).sum(axis=1)
    shared = rng.normal(size=(shape.days, blocks))[day, block]
    own = rng.normal(size=len(day))
    if shape.heavy:
        own = rng.standard_t(3, len(day)) / math.sqrt(3) * np.exp(0.7 * rng.normal(size=len(day)) - 0.245)
    whole = rng.normal(size=shape.days)
    if shape.skew:
        whole = (np.exp(rng.normal(size=shape.days)) - math.exp(0.5)) / math.sqrt((math.e - 1) * math.e)
    noise = math.sqrt(shape.rho) * shared + math.sqrt(1 - shape.rho) * own + shape.day * whole[day]
    champion = 8 + np.exp(0.5 * rng.normal(size=len(day)) + 0.3 * rng.normal(size=(shape.days, blocks))[day, block])
    candidate = np.maximum(champion * (1 + BY) + noise, 0)
    return candidate, champion, Clusters.of(day, block)


Held = tuple[float, Interval | NoInterval]


def relative(rng: np.random.Generator, shape: Shape) -> Held:
    """Both ends of ``relative_difference``."""
    candidate, champion, clusters = window(rng, shape)
    return BY, relative_difference(candidate, champion, clusters, one_sided=False)


def worst_end(rng: np.random.Generator, shape: Shape) -> Held:
    """Its upper end alone, which says "at most so much worse"."""
    found = relative_difference(*window(rng, shape), one_sided=True)
    return BY, _open(found, low=True)


def best_end(rng: np.random.Generator, shape: Shape) -> Held:
    """Its lower end alone, which says "at least so much worse"."""
    found = relative_difference(*window(rng, shape), one_sided=True)
    return BY, _open(found, low=False)


def _open(found: Interval | NoInterval, low: bool) -> Interval | NoInterval:
    if isinstance(found, NoInterval):
        return found
    return replace(found, low=-math.inf) if low else replace(found, high=math.inf)


_LEVEL = 8 + math.exp((0.5**2 + 0.3**2) / 2)


def money(rng: np.random.Generator, shape: Shape) -> Held:
    """``mean_difference``."""
    candidate, champion, clusters = window(rng, shape)
    return BY * _LEVEL, mean_difference(candidate, champion, clusters, one_sided=False)


def one_day(rng: np.random.Generator, shape: Shape) -> Held:
    """``mean_interval`` over the blocks of one day of 40 of them."""
    candidate, champion, clusters = window(rng, replace(shape, days=1, day=0.0), 600, 40)
    return BY * _LEVEL, mean_interval(candidate - champion, clusters.block, one_sided=False, marks=False)


def area(rng: np.random.Generator, shape: Shape) -> Held:
    """``statistic_interval`` of the area under the curve; the truth is that of two normal laws a spread apart."""
    candidate, _, clusters = window(rng, shape, per_day=120)
    # The noise of the window, ranked to normal scores within the whole: labels are independent of its clusters' sizes.
    shared = rng.normal(size=clusters.blocks)[clusters.block]
    label = rng.random(len(candidate)) < 0.4
    scores = label + math.sqrt(shape.rho) * shared + math.sqrt(1 - shape.rho) * rng.normal(size=len(candidate))

    def of(rows: Ints) -> float:
        order = np.argsort(scores[rows])
        marks = label[rows][order]
        positives, negatives = int(marks.sum()), int((~marks).sum())
        if not positives or not negatives:
            return math.nan
        ranks = np.flatnonzero(marks).sum() + positives
        return float((ranks - positives * (positives + 1) / 2) / positives / negatives)

    truth = 0.5 * (1 + math.erf(1 / math.sqrt(2) / math.sqrt(2)))
    return truth, statistic_interval(of, clusters, one_sided=False)


def top(rng: np.random.Generator, shape: Shape) -> Held:
    """``top_excess``, of a refit that moves as much as another: the truth is nothing."""
    blocks = np.repeat(np.arange(60), rng.integers(5, 40, 60))
    shared = rng.normal(size=(3, 60))[:, blocks]
    level = 2 * rng.normal(size=len(blocks))
    champion, candidate, resampled = level + math.sqrt(shape.rho) * shared + rng.normal(size=shared.shape)
    found = top_excess(champion, candidate, resampled, blocks, 0.2, one_sided=False)
    return 0.0, found if isinstance(found, NoInterval) else found[2]


INTERVALS: dict[str, Callable[[np.random.Generator, Shape], Held]] = {
    "relative": relative,
    "at most worse": worst_end,
    "at least worse": best_end,
    "mean difference": money,
    "one day": one_day,
    "area": area,
    "top": top,
}
ANYWHERE = ("one day", "area", "top")
"""They are tried on shapes of their own: days' sums and skew don't matter to them."""


def _coverage(number: int, runs: int) -> list[str]:
    shape = SHAPES[number]
    row = [shape.name]
    for name, interval in INTERVALS.items():
        if name in ANYWHERE and (shape.skew or shape.days != 14):
            row.append("")
            continue
        rng = np.random.default_rng([1, number])
        of = runs // 5 if name == "area" else runs
        held = [interval(rng, shape) for _ in range(of)]
        hits = sum(isinstance(each, Interval) and each.low <= truth <= each.high for truth, each in held)
        row.append(share(hits, of))
    return row


def coverage(console: Console, pool: Executor, runs: int) -> None:
    """The first table."""
    table = Table(title=f"how often a 95 % interval holds the truth (93 to 97 % wanted; {runs:,} windows each)")
    for name in ("window", *INTERVALS):
        table.add_column(name, justify="left" if name == "window" else "right")
    for row in pool.map(_coverage, range(len(SHAPES)), [runs] * len(SHAPES)):
        table.add_row(*row)
    console.print(table)


#: How many slices there are, what the gate allows each of them to lose, and for the table how many lose how much.
SLICES, MARGIN = 20, 0.05
LOSING = (
    ("none loses anything", 0, 0.0),
    ("each loses what is just allowed", SLICES, MARGIN),
    ("one loses 10 %", 1, 0.1),
    ("one loses 20 %", 1, 0.2),
)


def vetoes(rng: np.random.Generator, losing: int, worse: float, days: int, units: int = 2000) -> list[bool]:
    """Whether ``EverySlice`` refuses, on each of so many daily looks at the last fourteen days.

    The candidate is as good as the champion, but in some slices, where it loses a share ``worse`` more. Units of a
    block, of which a day has fifty, lie in one slice or another at random, and fail together.
    """
    blocks = 50
    day = np.repeat(np.arange(days + 13), units)
    block = rng.integers(0, blocks, len(day))
    place = rng.integers(0, SLICES, len(day))
    champion = np.exp(rng.normal(size=len(day)))
    noise = 0.3 * rng.normal(size=len(day)) + 0.1 * rng.normal(size=(days + 13, blocks))[day, block]
    candidate = champion * np.exp(noise - (0.3**2 + 0.1**2) / 2) * np.where(place < losing, 1 + worse, 1.0)
    calendar, words = np.datetime64("2020-01-01") + day, np.array([f"slice {n:02d}" for n in range(SLICES)])[place]
    names, found = np.array([f"block {n}" for n in range(blocks)])[block], []
    for last in range(14, days + 14):
        at = slice((last - 14) * units, last * units)
        sides = (np.zeros(14 * units), champion[at], candidate[at], champion[at])
        paired = Paired(calendar[at], names[at], *sides, {"of": words[at]})
        evidence = Evidence(Regression("y", 1.0, 1.0), "a", "b", paired=paired)
        found.append(EverySlice(MARGIN).judge(evidence)[0].outcome is Outcome.FAIL)
    return found


def _vetoes(number: int, runs: int) -> list[str]:
    about, losing, worse = LOSING[number]
    rng = np.random.default_rng([4, number])
    looks = [vetoes(rng, losing, worse, 30) for _ in range(runs)]
    return [about, f"{100 * sum(map(sum, looks)) / (30 * runs):.1f} %", share(sum(map(any, looks)), runs)]


def slices(console: Console, pool: Executor, runs: int) -> None:
    """The last table: a veto holds and never ships, so it has no budget over days; what it costs, and what it sees."""
    title = (
        f"what the gate 'every slice' vetoes ({SLICES} slices, {100 * MARGIN:.0f} % allowed; {runs} months of looks)"
    )
    table = Table(title=title)
    for column in ("slices", "looks that FAIL", "months with any"):
        table.add_column(column, justify="left" if column == "slices" else "right", min_width=15)
    for row in pool.map(_vetoes, range(len(LOSING)), [runs] * len(LOSING)):
        table.add_row(*row)
    console.print(table)
