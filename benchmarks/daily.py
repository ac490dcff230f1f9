"""What a daily run costs: by step, against the bare scikit-learn fits on the same rows, and under Airflow.

Each figure is from one run on one machine; what can be compared from machine to machine is the ratio.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from demo.upstream import FIRST, deliver

#: A run on this day has the longest window full.
DAY = date(2013, 3, 8)
#: Days run in one process: enough for a promotion on evidence.
DAYS = 14
#: Under Airflow, so many days run by the scheduler; the last is the one that counts.
SCHEDULED = 3


def _worker(home: str, usecase_name: str) -> None:
    """In a process of its own, so that its peak memory is its own.

    The first champion starts on ``DAY``. Of the days after it, one that held and one that promoted are printed: who
    could win is refitted and timed, and costs more.
    """
    os.environ["PIPELINE_HOME"] = home
    from pipeline.adapters.world import world
    from pipeline.usecases import find

    usecase, ports = find(usecase_name), world()
    found: dict[str, Any] = {}
    for n in range(DAYS):
        day = DAY + timedelta(n)
        seconds, outcome, validated = _steps(usecase, ports, day)
        if n and outcome in ("held", "promoted"):
            found[outcome] = {"day": str(day), "seconds": seconds, "bare": _bare(usecase, ports, validated, day)}
    print(json.dumps({**found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def _steps(usecase: Any, ports: Any, day: date) -> tuple[dict[str, float], str, Any]:
    """Step to seconds, what came of the day, and its accepted data."""
    from datetime import UTC, datetime

    from pipeline.steps.evaluate import evaluate
    from pipeline.steps.ingest import ingest
    from pipeline.steps.promote import promote
    from pipeline.steps.register import register
    from pipeline.steps.score import score
    from pipeline.steps.train import train
    from pipeline.steps.validate import validate

    steps: list[tuple[str, Callable[[Any], Any]]] = [
        ("ingest", lambda _: ingest(usecase, day, ports)),
        ("validate", lambda made: validate(usecase, made, ports)),
        ("train", lambda made: train(usecase, made, ports)),
        ("score", lambda made: score(usecase, made, ports)),
        ("evaluate", lambda made: evaluate(usecase, made, ports)),
        ("register", lambda made: register(usecase, made, ports)),
        ("promote", lambda made: promote(usecase, made, ports, datetime.now(UTC))),
    ]
    seconds: dict[str, float] = {}
    made: Any = None
    validated: Any = None
    for name, step in steps:
        began = time.perf_counter()
        made = step(made)
        seconds[name] = time.perf_counter() - began
        validated = made if name == "validate" else validated
    return seconds, made.outcome, validated


def _bare(usecase: Any, ports: Any, validated: Any, day: date) -> dict[str, float]:
    """The same recipes fitted on the same rows and asked about the same day, with nothing around them."""
    from pipeline.core.windows import Days, training_days

    versions = validated.snapshot["versions"]
    learnt = ports.engine.units(usecase, versions, training_days(day, usecase.longest_window))
    learnt = learnt.where(np.isfinite(learnt.labels))
    asked = ports.engine.units(usecase, versions, Days(day, day))
    fit = predict = 0.0
    for recipe in (*usecase.recipes, usecase.baseline):
        window = training_days(day, recipe.window)
        rows = learnt.where(learnt.days >= np.datetime64(window.first))
        estimator = recipe.build(recipe.seed)
        began = time.perf_counter()
        estimator.fit(rows.inputs, rows.labels)
        fit += time.perf_counter() - began
        began = time.perf_counter()
        usecase.kind.predict(estimator, asked.inputs)
        predict += time.perf_counter() - began
    return {"fit": fit, "predict": predict}


def _deliver(landing: Path, first: date, last: date) -> None:
    for n in range((last - first).days + 1):
        deliver(landing, first + timedelta(n))


def _under_airflow(usecases: list[str], console: Console) -> dict[str, dict[str, float]]:
    """Task to seconds of the last scheduled day of each use case, run by the real scheduler, one after the other."""
    import dataclasses

    from stack.embedded import Stack
    from stack.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        _deliver(Path(home) / "landing", FIRST, DAY)
        calendar = {
            "PIPELINE_FIRST_DAY": (DAY - timedelta(SCHEDULED - 1)).isoformat(),
            "PIPELINE_LAST_DAY": DAY.isoformat(),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        }
        settings = dataclasses.replace(Settings.from_env({**os.environ, "PIPELINE_HOME": home}), extra=calendar)
        with Stack(settings).running(on_progress=lambda line: console.print(f"  {line}", style="dim")) as stack:
            stack.wait_for_dags(*usecases)
            return {name: _last_run(stack, name) for name in usecases}


def _last_run(stack: Any, dag: str) -> dict[str, float]:
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        stack.watch_once()
        runs = stack.api("GET", f"/dags/{dag}/dagRuns?order_by=-logical_date&limit=10")["dag_runs"]
        if len(runs) == SCHEDULED and all(run["state"] in ("success", "failed") for run in runs):
            found = stack.api("GET", f"/dags/{dag}/dagRuns/{runs[0]['dag_run_id']}/taskInstances")
            tasks = {task["task_id"]: float(task["duration"] or 0) for task in found["task_instances"]}
            began, ended = (_moment(runs[0][end]) for end in ("start_date", "end_date"))
            return {**tasks, "whole run": ended - began}
        time.sleep(1)
    raise RuntimeError(f"{dag}: the scheduled days did not end in time")


def _moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def main() -> None:
    """Print the tables."""
    console = Console(width=110)
    names = ["flight_delay", "flight_minutes"]
    with tempfile.TemporaryDirectory() as home:
        last = DAY + timedelta(DAYS - 1)
        console.print(f"delivering {FIRST} to {last} ...", style="dim")
        _deliver(Path(home) / "landing", FIRST, last)
        measured = {}
        for name in names:
            console.print(f"{name}: {DAYS} daily runs from {DAY}, every step in one process ...", style="dim")
            command = [sys.executable, "-m", "benchmarks.daily", home, name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            measured[name] = json.loads(done.stdout.splitlines()[-1])
    console.print(f"{DAY} under the real scheduler ...", style="dim")
    airflow = _under_airflow(names, console)
    for name in names:
        console.print(_table(name, measured[name], airflow[name]))


def _table(name: str, measured: dict[str, Any], airflow: dict[str, float]) -> Table:
    table = Table(title=f"{name}: one daily run, seconds", caption=f"peak memory {measured['peak_mb']:.0f} MB")
    table.add_column("step")
    columns = [(what, measured[what]) for what in ("held", "promoted") if what in measured]
    for what, run in columns:
        table.add_column(f"{what}, {run['day']}", justify="right")
    table.add_column(f"task under Airflow, {DAY}", justify="right")
    for step in columns[0][1]["seconds"]:
        cells = (f"{run['seconds'][step]:.2f}" for _, run in columns)
        table.add_row(step, *cells, f"{airflow.get(step, float('nan')):.2f}")
    whole = [sum(run["seconds"].values()) for _, run in columns]
    bare = [sum(run["bare"].values()) for _, run in columns]
    table.add_row("whole", *(f"{total:.2f}" for total in whole), f"{airflow['whole run']:.2f}", style="bold")
    table.add_row("bare scikit-learn fits and predictions, same rows", *(f"{floor:.2f}" for floor in bare), "")
    ratios = (f"{total / floor:.1f} ×" for total, floor in zip(whole, bare, strict=True))
    table.add_row("ratio", *ratios, f"{airflow['whole run'] / bare[0]:.1f} ×", style="bold")
    return table


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _worker(sys.argv[1], sys.argv[2])
    else:
        main()
