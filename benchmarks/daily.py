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
#: Under Airflow, so many days run by the scheduler; the last is the one that counts.
SCHEDULED = 3


def _worker(home: str, usecase_name: str) -> None:
    """In a process of its own, so that its peak memory is its own: two days, the second is measured."""
    os.environ["PIPELINE_HOME"] = home
    from pipeline.adapters.world import world
    from pipeline.steps.evaluate import evaluate
    from pipeline.steps.ingest import ingest
    from pipeline.steps.promote import promote
    from pipeline.steps.register import register
    from pipeline.steps.score import score
    from pipeline.steps.train import train
    from pipeline.steps.validate import validate
    from pipeline.usecases import find

    usecase, ports = find(usecase_name), world()
    from datetime import UTC, datetime

    seconds: dict[str, float] = {}
    validated: Any = None
    for day in (DAY - timedelta(1), DAY):
        steps: list[tuple[str, Callable[[Any], Any]]] = [
            ("ingest", lambda _, day=day: ingest(usecase, day, ports)),
            ("validate", lambda made: validate(usecase, made, ports)),
            ("train", lambda made: train(usecase, made, ports)),
            ("score", lambda made: score(usecase, made, ports)),
            ("evaluate", lambda made: evaluate(usecase, made, ports)),
            ("register", lambda made: register(usecase, made, ports)),
            ("promote", lambda made: promote(usecase, made, ports, datetime.now(UTC))),
        ]
        made: Any = None
        for name, step in steps:
            began = time.perf_counter()
            made = step(made)
            seconds[name] = time.perf_counter() - began
            validated = made if name == "validate" else validated
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "bare": _bare(usecase, ports, validated), "peak_mb": peak}))


def _bare(usecase: Any, ports: Any, validated: Any) -> dict[str, float]:
    """The same recipes fitted on the same rows and asked about the same day, with nothing around them."""
    from pipeline.core.windows import Days, training_days

    versions = validated.snapshot["versions"]
    days = training_days(DAY, usecase.longest_window)
    learnt = ports.engine.units(usecase, versions, days)
    learnt = learnt.where(np.isfinite(learnt.labels))
    asked = ports.engine.units(usecase, versions, Days(DAY, DAY))
    fit = predict = 0.0
    for recipe in (*usecase.recipes, usecase.baseline):
        window = training_days(DAY, recipe.window)
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
        console.print(f"delivering {FIRST} to {DAY} ...", style="dim")
        _deliver(Path(home) / "landing", FIRST, DAY)
        measured = {}
        for name in names:
            console.print(f"{name}: one daily run, every step in one process ...", style="dim")
            command = [sys.executable, "-m", "benchmarks.daily", home, name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            measured[name] = json.loads(done.stdout.splitlines()[-1])
    console.print("the same day under the real scheduler ...", style="dim")
    airflow = _under_airflow(names, console)
    for name in names:
        console.print(_table(name, measured[name], airflow[name]))


def _table(name: str, measured: dict[str, Any], airflow: dict[str, float]) -> Table:
    seconds, bare = measured["seconds"], measured["bare"]
    total, floor = sum(seconds.values()), bare["fit"] + bare["predict"]
    table = Table(title=f"{name}, data day {DAY}: one daily run", caption=(
        f"bare scikit-learn, same rows: fit {bare['fit']:.2f} s, predict {bare['predict']:.2f} s; the daily run takes "
        f"{total / floor:.1f} times as long ({seconds['train'] / bare['fit']:.1f} times in train, which also fits "
        f"every recipe's twin), under Airflow {airflow['whole run'] / floor:.1f} times; "
        f"peak memory {measured['peak_mb']:.0f} MB"
    ))  # fmt: skip
    table.add_column("step")
    for column in ("seconds", "share", "task under Airflow, s"):
        table.add_column(column, justify="right")
    for step, taken in seconds.items():
        table.add_row(step, f"{taken:.2f}", f"{taken / total:.0%}", f"{airflow.get(step, float('nan')):.2f}")
    table.add_row("whole", f"{total:.2f}", "100%", f"{airflow['whole run']:.2f}", style="bold")
    return table


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _worker(sys.argv[1], sys.argv[2])
    else:
        main()
