"""Do the intervals and the daily decision keep their promises? Simulated, where the truth is known.

``python -m benchmarks decisions``: some minutes; ``QUICK=1`` for a smoke test; ``ONLY=power,slices`` chooses among the
four tables. ``power``: how often a true gain of one accuracy point is promoted within seven days. ``promotions``: how
often a year the gate ``better`` promotes where nothing is better. ``coverage``: how often each interval of
``core/stats`` holds the truth. ``slices``: how often the gate ``every slice`` vetoes. The first two begin with units:
their losses are added up by block and day, and judged every day as the day's run does.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.coverage import coverage, share, slices
from pipeline.core.evidence.candidate import Evidence
from pipeline.core.evidence.paired_days import AGEING_DAYS, AGES, HEAD_TO_HEAD_DAYS, PairedDay, PairedDays
from pipeline.core.gates.better import Better
from pipeline.core.kinds import Binary, Floats, Ints
from pipeline.core.verdict import Outcome

QUICK = bool(os.environ.get("QUICK"))
UNITS = 2000
#: The share of the units that two contestants decide otherwise.
DIFFER = 0.06
_KIND = Binary("y")


@dataclass(frozen=True)
class Stream:
    """How two fits of one recipe differ from day to day where neither is better.

    Attributes:
        name: For the table.
        blocks: A day's blocks, of unequal sizes.
        rho: The share of the variance of a unit's difference that its block has in common.
        days: By how much the variance of a day's mean exceeds what its blocks say.
        heavy: Whether what a block, or a day, has in common has Student's t with 4 degrees of freedom.
        persists: The correlation of what a day has in common with the day before's.
    """

    name: str
    blocks: int = 50
    rho: float = 0.1
    days: float = 1.5
    heavy: bool = False
    persists: float = 0.0


def fractions(rng: np.random.Generator, blocks: int, units: int) -> Ints:
    """Sizes of the blocks of a day, each at least 1."""
    return 1 + rng.multinomial(units - blocks, rng.dirichlet(np.full(blocks, 3.0))).astype(np.int64)


def differences(rng: np.random.Generator, stream: Stream, sizes: Ints, spread: float, whole: Floats) -> Floats:
    """Sums over the units of each block of the difference of two losses, shape (pairs, blocks).

    A unit's difference is its block's part, the day's part and its own; own parts add up to a normal sum exactly.
    """
    shape = (len(whole), len(sizes))
    drawn = rng.standard_t(4, shape) / math.sqrt(2) if stream.heavy else rng.normal(size=shape)
    own = rng.normal(size=shape) * np.sqrt(sizes * (1 - stream.rho))
    return spread * (math.sqrt(stream.rho) * drawn * sizes + own + whole[:, None] * sizes)


def day_spread(stream: Stream, units: int) -> float:
    """Spread of what a whole day has in common, of a unit's, such that the variance of means grows by ``days``."""
    sizes = fractions(np.random.default_rng(0), stream.blocks, units)
    by_blocks = float(np.sum(sizes**2)) * stream.rho / units**2 + (1 - stream.rho) / units
    return math.sqrt((stream.days - 1) * by_blocks)


def series(
    rng: np.random.Generator, stream: Stream, pairs: int, days: int, level: float, spread: float
) -> list[PairedDays]:
    """So many pairs of contestants over so many days, all on the same units, where none is better."""
    common, whole = day_spread(stream, UNITS), rng.normal(size=pairs)
    found: list[list[PairedDay | None]] = [[] for _ in range(pairs)]
    for n in range(days):
        sizes = fractions(rng, stream.blocks, UNITS)
        new = rng.standard_t(4, pairs) / math.sqrt(2) if stream.heavy else rng.normal(size=pairs)
        whole = stream.persists * whole + math.sqrt(1 - stream.persists**2) * new
        sums = differences(rng, stream, sizes, spread, common * whole)
        for pair in range(pairs):
            candidate = level * sizes
            found[pair].append(PairedDay.of(np.datetime64("2020-01-01") + n, candidate + sums[pair], candidate, sizes))
    return [PairedDays.of(each) for each in found]


#: The first is what was measured on the flights of 2013: two fits of one recipe, trained on resampled days, on 45 days
#: that neither saw (52 blocks, correlation within a block 0.05, variance from day to day 2.5 to 10 times that of
#: blocks, correlation of a day with the next 0.02 to 0.3, no heavy tails).
STREAMS = (
    Stream("as two fits on flights", blocks=52, rho=0.05, days=4.0, persists=0.2),
    Stream("blocks alone", days=1.0),
    Stream("days far apart, heavy tails", days=4.0, heavy=True),
    Stream("each day much like the last", days=4.0, persists=0.4),
    Stream("five blocks, heavy tails", blocks=5, rho=0.3, heavy=True),
    Stream("four blocks: no error by blocks", blocks=4, rho=0.3),
)


def cut(track: PairedDays, first: int, end: int) -> PairedDays:
    """Some of its days."""
    columns = (track.days, track.units, track.reference, track.candidate, track.error)
    return PairedDays(*(column[first:end] for column in columns))  # type: ignore[arg-type]


def by_chance(
    rng: np.random.Generator, stream: Stream, candidates: int, ageing: bool, days: int, gate: Better
) -> tuple[int, int]:
    """Promotions where nothing is better, over so many daily looks; and how often somebody was shown to be worse.

    Every candidate is the champion's copy; the first is of its own recipe. A unit's log losses by two fits differ by
    0.3 of the level, as on flights. Without ``ageing`` nothing is known of older fits of the champion's recipe.
    """
    known = series(rng, stream, candidates + len(AGES), days, 0.4, 0.3 * 0.4)
    rivals, older = known[:candidates], known[candidates:] if ageing else []
    since, recipe_since, promoted, worse = 0, 0, 0, 0
    for now in range(1, days + 1):
        aged = tuple(cut(each, max(0, now - AGEING_DAYS), now) for each in older)
        for number, rival in enumerate(rivals):
            refresh = number == 0
            evidence = Evidence(
                _KIND,
                "a",
                "b",
                head_to_head=cut(rival, max(since if refresh else recipe_since, now - HEAD_TO_HEAD_DAYS), now),
                ageing=aged if refresh else (),
                refresh=refresh,
                candidates=candidates,
            )
            outcome = gate.judge(evidence)[0].outcome
            worse += outcome is Outcome.FAIL
            if outcome is Outcome.PASS:
                promoted += 1
                since = now
                recipe_since = recipe_since if refresh else now
                break
    return promoted, worse


def _promotions(number: int, candidates: int, ageing: bool, years: int) -> list[str]:
    stream, rng = STREAMS[number], np.random.default_rng([2, number, candidates, ageing])
    runs = [by_chance(rng, stream, candidates, ageing, 5 * 365, Better()) for _ in range(max(years // 5, 2))]
    counts, worse, of = np.array([each[0] for each in runs]) / 5, sum(each[1] for each in runs), 5 * len(runs)
    # Promotions come in flocks, so the error is that between runs of five years.
    told = f"{counts.mean():.2f} ± {counts.std(ddof=1) / math.sqrt(len(runs)):.2f}"
    failed = f"{100 * worse / (of * 365 * candidates):.2f} %"
    return [stream.name, str(candidates), "yes" if ageing else "no", told, failed]


def promotions(console: Console, pool: Executor, years: int) -> None:
    """The second table."""
    table = Table(title=f"promotions a year where nothing is better (at most 1 wanted; {years} years of looks each)")
    for column in ("days", "candidates", "ageing known", "promotions a year", "looks that FAIL"):
        table.add_column(column, justify="left" if column == "days" else "right")
    asked = [(n, *how, years) for n in range(len(STREAMS)) for how in ((1, False), (1, True), (4, True))]
    for row in pool.map(_promotions, *zip(*asked, strict=True)):
        table.add_row(*row)
    console.print(table)


def point(rng: np.random.Generator, sizes: Ints, lean: float, gain: float) -> Floats:
    """Sums by block of a difference of 0/1 losses: 6 % of the units are decided otherwise, ``gain`` more of them right.

    With ``lean`` above 0 units of a block lean one way together (beta-binomial, with that correlation).
    """
    right = np.full(len(sizes), (1 + gain / DIFFER) / 2)
    if lean > 0:
        right = rng.beta(right * (1 / lean - 1), (1 - right) * (1 / lean - 1))
    others = rng.binomial(sizes, DIFFER)
    return np.asarray(2.0 * rng.binomial(others, right) - others, dtype=np.float64)


#: Spreads of a unit's log odds: what both contestants know, what the candidate alone and what the champion alone knows;
#: found by simulation, such that 6 % of the decisions differ and one point more is right.
KNOWN, CANDIDATE, CHAMPION = 4.0, 0.73, 0.3


def losses(rng: np.random.Generator, units: int, gain: bool) -> tuple[Floats, Floats, Floats]:
    """Log losses of champion and candidate per unit, and whose decisions are right: 1, 0 or -1 for the candidate's.

    Each says what it knows, calibrated to what it does not (MacKay, Neural Computation 4, 1992). Without gain the two
    know as much.
    """
    both = KNOWN * rng.normal(size=units)
    spreads = (CHAMPION, CANDIDATE) if gain else (math.hypot(CHAMPION, CANDIDATE) / math.sqrt(2),) * 2
    own = [spread * rng.normal(size=units) for spread in spreads]
    label = rng.random(units) < 1 / (1 + np.exp(-(both + own[0] + own[1])))
    predicted = [(both + own[n]) / math.sqrt(1 + math.pi / 8 * spreads[1 - n] ** 2) for n in (0, 1)]
    lost = [np.asarray(np.logaddexp(0, np.where(label, -odds, odds)), dtype=np.float64) for odds in predicted]
    right = np.asarray(((predicted[1] > 0) == label).astype(np.float64) - ((predicted[0] > 0) == label))
    return lost[0], lost[1], right


@dataclass(frozen=True)
class Gain:
    """A true gain of one accuracy point, 6 % of decisions differing.

    Attributes:
        name: For the table.
        log: Whether the loss is the log loss of a probability; else 0/1.
        lean: As in :func:`point`.
    """

    name: str
    log: bool = False
    lean: float = 0.0


GAINS = (
    Gain("0/1 loss"),
    Gain("0/1 loss, units of a block lean together", lean=0.1),
    Gain("log loss", log=True),
)


def gained(rng: np.random.Generator, gain: Gain, days: int, real: bool, start: int = 0) -> list[PairedDay | None]:
    """Days of two contestants, of whom the candidate is a point better if ``real``."""
    found = []
    for n in range(start, start + days):
        sizes = fractions(rng, 50, UNITS)
        if gain.log:
            block = np.repeat(np.arange(len(sizes)), sizes)
            above, below, _ = losses(rng, UNITS, real)
            sums = [np.bincount(block, each, len(sizes)) for each in (above, below)]
        else:
            below = rng.binomial(sizes, 0.2).astype(np.float64)
            sums = [below + point(rng, sizes, gain.lean, 0.01 if real else 0.0), below]
        found.append(PairedDay.of(np.datetime64("2020-01-01") + n, sums[0], sums[1], sizes))
    return found


def within_a_week(rng: np.random.Generator, gain: Gain, history: int, promoted: bool) -> list[int]:
    """After how many days of the gain a refresh is promoted, alone and among four; 8 if not within seven.

    The history is without effect. If ``promoted`` the champion was so throughout; else it was promoted on its last day,
    and the history is that of its recipe's older fits.
    """
    head_to_head = gained(rng, gain, history, real=False)
    ageing = tuple(PairedDays.of(gained(rng, gain, history, real=False)) for _ in AGES)
    week = gained(rng, gain, 7, real=True, start=history)
    found = []
    for candidates in (1, 4):
        days = 8
        for n in range(7, 0, -1):
            past = PairedDays.of([*(head_to_head[-(HEAD_TO_HEAD_DAYS - 7) :] if promoted else []), *week[:n]])
            evidence = Evidence(_KIND, "a", "b", head_to_head=past, ageing=ageing, candidates=candidates)
            if Better().judge(evidence)[0].outcome is Outcome.PASS:
                days = n
        found.append(days)
    return found


def _power(number: int, history: int, promoted: bool, runs: int) -> list[str]:
    rng = np.random.default_rng([3, number, history, promoted])
    taken = np.array([within_a_week(rng, GAINS[number], history, promoted) for _ in range(runs)])
    shares = [share(int(np.count_nonzero(taken[:, n] <= 7)), runs) for n in (0, 1)]
    who = "champion throughout" if promoted else "just promoted"
    return [GAINS[number].name, f"{history} days", who, *shares, f"{np.median(taken[:, 0]):.0f}"]


def power(console: Console, pool: Executor, runs: int) -> None:
    """The third table."""
    lost = losses(np.random.default_rng(0), 400_000, gain=True)
    console.print(
        f"log loss: {100 * np.count_nonzero(lost[2]) / 400_000:.1f} % of the decisions differ, "
        f"{100 * lost[2].mean():.2f} points more are right, the loss is "
        f"{100 * (1 - lost[1].mean() / lost[0].mean()):.1f} % lower"
    )
    table = Table(title=f"a gain of one accuracy point promoted within seven days (90 % wanted; {runs:,} runs each)")
    for column in ("loss", "history", "champion", "1 candidate", "4 candidates", "days, median"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    shapes = ((20, True), (60, True), (90, True), (60, False))
    asked = [(n, *shape, runs) for n in range(len(GAINS)) for shape in shapes]
    for row in pool.map(_power, *zip(*asked, strict=True)):
        table.add_row(*row)
    console.print(table)


def main() -> None:
    """Print the tables."""
    # One thread a process: the products are small, and threads of several processes would stand in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    console = Console(width=160)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for part, much, little in ((power, 400, 10), (promotions, 40, 10), (coverage, 1000, 50), (slices, 60, 4)):
            if part.__name__ not in os.environ.get("ONLY", part.__name__).split(","):
                continue
            began = time.perf_counter()
            part(console, pool, little if QUICK else much)
            console.print(f"{time.perf_counter() - began:.0f} s", style="dim")


if __name__ == "__main__":
    main()
