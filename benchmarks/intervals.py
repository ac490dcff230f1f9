"""What honest intervals cost: a million paired units, twenty slices, 2,000 resamples, beside what else is at hand.

``python -m benchmarks intervals``; ``QUICK=1`` for a smoke test. Each contestant works in a process of its own on the
same rows: time of its work, imports apart, and by how much its memory grew at most. scipy's bootstrap of units is what
its documentation shows; it takes a million units that fail together in blocks for a million proofs. MLflow's
``evaluate`` is asked for both models once, on all rows: it knows neither pairs, nor slices, nor intervals.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.core.evidence.candidate import Evidence, Paired
from pipeline.core.gates.loss import EverySlice, slices
from pipeline.core.kinds import Binary, Floats
from pipeline.core.stats import Interval, NoInterval, bootstrap_difference, relative_difference

QUICK = bool(os.environ.get("QUICK"))
UNITS = 20_000 if QUICK else 1_000_000
RESAMPLES = 200 if QUICK else 2000
DAYS, BLOCKS, SLICES = 28, 90, 20


def rows(seed: int = 1, units: int = UNITS) -> Evidence:
    """Two models' probabilities for the same units, which fail together in blocks and days."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, DAYS, units))
    block = rng.integers(0, BLOCKS, units)
    odds = 1.5 * rng.normal(size=units) + 0.5 * rng.normal(size=(DAYS, BLOCKS))[day, block]
    label = (rng.random(units) < 1 / (1 + np.exp(-odds))).astype(np.float64)

    def predicted(noise: float) -> Floats:
        common = 0.5 * rng.normal(size=(DAYS, BLOCKS))[day, block] + 0.2 * rng.normal(size=DAYS)[day]
        return np.asarray(1 / (1 + np.exp(-(odds + noise * (common + rng.normal(size=units))))), dtype=np.float64)

    names = np.array([f"block {n}" for n in range(BLOCKS)])
    kinds = np.array([f"kind {n:02d}" for n in range(SLICES)])
    paired = Paired(
        days=np.datetime64("2026-01-01") + day,
        blocks=names[block],
        labels=label,
        champion=predicted(0.6),
        candidate=predicted(0.5),
        baseline=np.full(units, label.mean()),
        slices={"kind": kinds[rng.integers(0, SLICES, units)]},
    )
    return Evidence(Binary("y"), "champion", "candidate", paired=paired)


Found = list[tuple[float, float]]


def the_gate(evidence: Evidence) -> Found:
    """The gate ``every slice`` as the daily run asks it: losses, clusters and slices from scratch."""
    findings = EverySlice(0.05).judge(evidence)[1:]
    return [(_number(each.low), _number(each.high)) for each in sorted(findings, key=lambda found: found.text)]


def jackknife(evidence: Evidence) -> Found:
    """``relative_difference`` of all rows: days and blocks."""
    paired = _paired(evidence)
    return [_ends(relative_difference(evidence.candidate_loss, evidence.champion_loss, paired.clusters))]


def our_bootstrap(evidence: Evidence) -> Found:
    """``bootstrap_difference`` of each slice, whole blocks drawn anew, once for all slices."""
    paired = _paired(evidence)
    place = np.full(len(paired), -1)
    for number, (_, chosen) in enumerate(slices(paired.slices)):
        place[chosen] = number
    sides = evidence.candidate_loss, evidence.champion_loss
    return [_ends(one) for one in bootstrap_difference(*sides, paired.clusters.block, group=place, resamples=RESAMPLES)]


def scipy_of_blocks(evidence: Evidence) -> Found:
    """``scipy.stats.bootstrap`` of each slice, on our sums by block."""
    paired = _paired(evidence)
    found = []
    for _, chosen in slices(paired.slices):
        block = paired.clusters.block[chosen]
        sums = [np.bincount(block, side[chosen]) for side in (evidence.candidate_loss, evidence.champion_loss)]
        held = np.bincount(block) > 0
        found.append(_scipy([each[held] for each in sums], batch=None))
    return found


def scipy_of_units(evidence: Evidence) -> Found:
    """``scipy.stats.bootstrap`` of each slice, on its units."""
    sides = (evidence.candidate_loss, evidence.champion_loss)
    return [_scipy([side[chosen] for side in sides], batch=20) for _, chosen in slices(_paired(evidence).slices)]


def _scipy(sides: list[Floats], batch: int | None) -> tuple[float, float]:
    from scipy.stats import bootstrap

    def ratio(above: Floats, below: Floats, axis: int = -1) -> Any:
        return above.sum(axis) / below.sum(axis) - 1

    found = bootstrap(
        sides,
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=batch,
        method="percentile",
        confidence_level=0.9,
        rng=np.random.default_rng(1),
    ).confidence_interval
    return float(found.low), float(found.high)


def mlflow_evaluate(evidence: Evidence) -> Found:
    """``mlflow.models.evaluate`` of both models' decisions on all rows: one number each, no interval."""
    import mlflow
    import pandas as pd

    paired = _paired(evidence)
    accuracies = []
    for predicted in (paired.champion, paired.candidate):
        frame = pd.DataFrame({"label": paired.labels.astype(int), "said": (predicted >= 0.5).astype(int)})
        with mlflow.start_run():
            result = mlflow.models.evaluate(
                data=frame, targets="label", predictions="said", model_type="classifier", evaluators="default"
            )
        accuracies.append(float(result.metrics["accuracy_score"]))
    return [(accuracies[0], accuracies[1])]


def _prepare_mlflow() -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import mlflow

    folder = Path(tempfile.mkdtemp(prefix="intervals-"))
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("intervals", (folder / "artifacts").as_uri()))
    # Once with a few rows: what it imports on the way is not compared.
    mlflow_evaluate(rows(units=200))


def _prepare_scipy() -> None:
    import scipy.stats  # noqa: F401 - what it costs to import is not compared


def _paired(evidence: Evidence) -> Paired:
    if evidence.paired is None:
        raise ValueError("the benchmark's own evidence has no pairs")
    return evidence.paired


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _ends(found: Interval | NoInterval) -> tuple[float, float]:
    if isinstance(found, NoInterval):
        raise ValueError(f"no interval: {found.why}")
    return found.low, found.high


@dataclass(frozen=True)
class Contestant:
    """One way to say how sure one is."""

    name: str
    work: Callable[[Evidence], Found]
    prepare: Callable[[], None] = _prepare_scipy


CONTESTANTS = (
    Contestant("ours: gate 'every slice', jackknife by day and block", the_gate),
    Contestant("ours: relative_difference of all rows", jackknife),
    Contestant(f"ours: bootstrap of blocks, {SLICES} slices", our_bootstrap),
    Contestant(f"scipy.stats.bootstrap of our sums by block, {SLICES} slices", scipy_of_blocks),
    Contestant(f"scipy.stats.bootstrap of units, {SLICES} slices", scipy_of_units),
    Contestant("mlflow.models.evaluate, all rows, both models", mlflow_evaluate, _prepare_mlflow),
)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _alone(contestant: Contestant, evidence: Evidence, answer: Any) -> None:
    contestant.prepare()
    before, began = _resident(), time.perf_counter()
    found = contestant.work(evidence)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    answer.send((took, max(peak - before, 0.0), found))


def measured(evidence: Evidence) -> Iterator[tuple[Contestant, float, float, Found]]:
    """Seconds, megabytes and intervals of each contestant, each in a process of its own."""
    context = multiprocessing.get_context("fork")
    for contestant in CONTESTANTS:
        ours, theirs = context.Pipe()
        process = context.Process(target=_alone, args=(contestant, evidence, theirs))
        process.start()
        theirs.close()
        try:
            took, grew, found = ours.recv()
        except EOFError as error:
            raise SystemExit(f"'{contestant.name}' ended without an answer; its own words stand above") from error
        process.join()
        yield contestant, took, grew, found


def main() -> None:
    """Print the table."""
    console, evidence = Console(width=130), rows()
    title = f"{UNITS:,} paired units, {DAYS} days, {DAYS * BLOCKS:,} blocks, {SLICES} slices, {RESAMPLES:,} resamples"
    table = Table(title=title)
    for column in ("", "seconds", "times ours", "memory", "width, mean"):
        table.add_column(column, justify="right" if column else "left")
    answers = list(measured(evidence))
    ours = next(took for contestant, took, _, _ in answers if contestant.work is our_bootstrap)
    for contestant, took, grew, found in answers:
        widths: NDArray[np.float64] = np.array([high - low for low, high in found])
        width = "no interval" if contestant.work is mlflow_evaluate else f"{100 * widths.mean():.2f} %"
        table.add_row(contestant.name, f"{took:.2f}", f"{took / ours:.2f}", f"+{grew:,.0f} MB", width)
    console.print(table)
    console.print(
        "times ours: of the bootstrap of blocks, which answers the same question. The gate's confidence is split among "
        "the slices, the others' are one-sided 95 % each."
    )


if __name__ == "__main__":
    main()
