"""Hundreds of use cases on the team's stack: parse time, scheduling lag, wall time and memory with two workers.

``USECASES=200 python -m benchmarks many``: so many use cases are made of the two real ones, in a copy of the project;
all of them run one data day on docker-compose.yaml's own services, rehearsed as local processes. One of them has no
files, and the upstream of another one drips a byte a second; ``FAULTY=no`` leaves these two out, to compare. Needs
root, PostgreSQL and Redis.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from demo.upstream import FIRST, deliver
from tests.rehearsal import ports
from tests.rehearsal.client import Rehearsal, missing
from tests.rehearsal.project import copy, variables

DAY = date(2013, 1, 15)
AGAIN = 3
"""Runs by hand of one use case at the same moment, after the day: they must not overlap."""
FAULTY = 2
"""So many have a faulty upstream; see CATALOGUE."""

CATALOGUE = """
import dataclasses

_BASES = (FLIGHT_DELAY, FLIGHT_MINUTES)


def _with(usecase, name, path):  # a table of its own: the others are shared, and there once anybody has taken them in
    feed = dataclasses.replace(usecase.feeds[0], name=name, path=path)
    return dataclasses.replace(usecase, feeds=(*usecase.feeds, feed))


ALL = tuple(dataclasses.replace(_BASES[n % 2], name=f"{{_BASES[n % 2].name}}_{{n:03d}}") for n in range({number}))
NEVER, DRIPS = _with(ALL[0], "never", "nowhere/{{day}}.csv"), _with(ALL[1], "drips", "http://127.0.0.1:9999/{{day}}.csv")
ALL = (*((NEVER, DRIPS) if {faulty} else ()), *ALL[2:])
"""
SLOW = """
import http.server, time
class Drips(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200); self.send_header("Content-Length", "100000"); self.end_headers()
    def do_GET(self):
        self.do_HEAD()
        for _ in range(100000):
            self.wfile.write(b"x"); self.wfile.flush(); time.sleep(1)
http.server.ThreadingHTTPServer(("127.0.0.1", 9999), Drips).serve_forever()
"""
PARSE = """
import json, sys, time
began = time.perf_counter()
import airflow.sdk
sys.path.insert(0, "/opt/pipeline/dags")
loaded = time.perf_counter()
import retrain
print("PARSED " + json.dumps([loaded - began, time.perf_counter() - loaded]))
"""


def reconcile(folder: Path, number: int, faulty: bool) -> list[str]:
    """A copy of the project with so many use cases; returns their names, those with a faulty upstream first."""
    copy(folder)
    catalogue = folder / "pipeline" / "usecases" / "__init__.py"
    text = catalogue.read_text()
    line = "ALL: tuple[Usecase, ...] = (FLIGHT_DELAY, FLIGHT_MINUTES)\n"
    if line not in text:
        raise SystemExit(f"{catalogue} no longer lists the two use cases as this benchmark knows them")
    catalogue.write_text(text.replace(line, CATALOGUE.format(number=number, faulty=faulty)))
    first = 0 if faulty else FAULTY
    names = [f"{('flight_delay', 'flight_minutes')[n % 2]}_{n:03d}" for n in range(first, number)]
    for name in names:
        (folder / "expectations" / name).symlink_to(name[:-4])
    for n in range((DAY - FIRST).days + 1):
        deliver(folder / "landing", date.fromordinal(FIRST.toordinal() + n), ())
    return names


class Airflow:
    """Its REST API as an operator."""

    def __init__(self, known: dict[str, str]) -> None:
        self.base = f"http://127.0.0.1:{known['AIRFLOW_PORT']}"
        asked = {"username": "operator", "password": known["AIRFLOW_OPERATOR_PASSWORD"]}
        self.token = ""
        self.token = self.send("POST", "/auth/token", asked)["access_token"]

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """One request; the answer's JSON."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)  # noqa: S310 - loopback
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)

    def every(self, path: str, what: str) -> Iterable[dict[str, Any]]:
        """All pages of a list."""
        at, total = 0, 1
        while at < total:
            page = self.send("GET", f"/api/v2{path}{'&' if '?' in path else '?'}limit=100&offset={at}")
            yield from page[what]
            at, total = at + 100, page["total_entries"]


def seconds(later: str, earlier: str) -> float:
    """Between two of Airflow's moments."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def length(task: dict[str, Any]) -> float:
    """For how long a task was at work in its last try, in seconds."""
    return seconds(task["end_date"], task["start_date"])


def overlaps(tasks: Iterable[dict[str, Any]]) -> int:
    """How many of these tasks were at work at the same time, at most."""
    edges = [(task["start_date"], 1) for task in tasks] + [(task["end_date"], -1) for task in tasks]
    at = most = 0
    for _, step in sorted(edges):
        at += step
        most = max(most, at)
    return most


def main() -> None:
    """Run it and print the table."""
    if reason := missing():
        raise SystemExit(reason)
    number, console = int(os.environ.get("USECASES", "200")), Console()
    if number < 6:
        raise SystemExit(f"USECASES={number} is too few: two have a faulty upstream, and four are run by hand at once")
    with tempfile.TemporaryDirectory(prefix="many-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with_faults = os.environ.get("FAULTY", "yes") != "no"
        names = reconcile(folder, number, with_faults)
        known = variables(folder, *ports.free(2), PIPELINE_FIRST_DAY=str(DAY), PIPELINE_LAST_DAY=str(DAY))
        file = folder / "docker-compose.yaml"
        with Rehearsal(known, file=file, scale={"airflow-worker": 2}) as stack:
            stack.up(lambda line: console.print(line, style="dim"))
            _measure(console, stack, Airflow(known), names, names[:FAULTY] if with_faults else [])


def _measure(console: Console, stack: Rehearsal, airflow: Airflow, names: list[str], faulty: list[str]) -> None:
    sound_names = [name for name in names if name not in faulty]
    stack.run("airflow-ingest", "sh", "-c", 'python -c "$0" >/dev/null 2>&1 & echo started', SLOW)
    printed = stack.run("airflow-dag-processor", "python", "-c", PARSE, timeout=300)[1]
    loading, parsing = json.loads(next(line for line in printed.splitlines() if line.startswith("PARSED "))[7:])
    while set(names) - {dag["dag_id"] for dag in airflow.every("/dags", "dags")}:
        time.sleep(2)
    console.print(f"{len(names)} DAGs are known")
    began = time.monotonic()
    for name in names:
        airflow.send("PATCH", f"/api/v2/dags/{name}", {"is_paused": False})
    memory: dict[str, float] = {}
    with Progress(console=console) as progress:
        bar = progress.add_task("use cases", total=len(names))
        while True:
            runs = list(airflow.every("/dags/~/dagRuns", "dag_runs"))
            over = [run for run in runs if run["state"] in ("success", "failed")]
            progress.update(bar, completed=len(over))
            for service, size in stack.memory().items():
                memory[service] = max(memory.get(service, 0.0), size)
            # Those with a faulty upstream try for minutes; nobody waits for them.
            if sum(run["dag_id"] in sound_names for run in over) == len(sound_names):
                break
            time.sleep(5)
    wall = time.monotonic() - began
    known_tasks = list(airflow.every("/dags/~/dagRuns/~/taskInstances", "task_instances"))
    tasks = [task for task in known_tasks if task["end_date"]]
    sound = [task for task in tasks if task["dag_id"] in sound_names]
    title = f"{len(sound_names)} sound use cases, {len(faulty)} with a faulty upstream, two workers of two slots"
    table = Table(title=title, show_header=False)
    states = defaultdict(int)
    for run in over:
        states[run["state"]] += 1
    slots = 4
    busy = sum(map(length, sound))
    computing = sum(length(task) for task in sound if task["task_id"] != "ingest")
    lag = sorted(seconds(task["start_date"], task["queued_when"]) for task in sound if task["queued_when"])
    for what, figure in (
        ("one parse of all DAGs", f"{parsing:.2f} s (beside {loading:.2f} s to import Airflow)"),
        ("runs that ended", ", ".join(f"{count} {state}" for state, count in states.items())),
        ("wall time", f"{wall / 60:.1f} min, {wall / len(sound_names):.2f} s a sound use case"),
        ("tasks", f"{len(sound)}, each {busy / len(sound):.2f} s on the mean"),
        *(
            (f"of them {task}", f"{statistics.mean(length(each) for each in sound if each['task_id'] == task):.2f} s")
            for task in ("ingest", "validate", "train", "score", "evaluate", "register", "promote")
        ),
        ("the workers' slots were at work", f"{100 * computing / (slots * wall):.0f} % of the time, ingests apart"),
        ("from queued to begun", f"median {statistics.median(lag):.1f} s, p95 {lag[int(0.95 * len(lag))]:.1f} s"),
        ("at work at once, all use cases", f"{overlaps(sound)} tasks"),
        *((f"memory of {service}", f"{size / 1e9:.2f} GB") for service, size in sorted(memory.items())),
        ("memory of all", f"{sum(memory.values()) / 1e9:.2f} GB"),
    ):
        table.add_row(what, figure)
    console.print(table)
    for name, fault in zip(faulty, ("no files", "an upstream that drips"), strict=False):
        states_of = sorted(f"{task['task_id']} {task['state']}" for task in known_tasks if task["dag_id"] == name)
        at = next((each for each in states_of if each.startswith("ingest")), "ingest not begun")
        console.print(
            f"{name} ({fault}): {at}, when all {len(sound_names)} others had ended; it had held a slot for "
            f"{_held(airflow, [task for task in known_tasks if task['dag_id'] == name]):.0f} s"
        )
    _one_at_a_time(console, airflow, sound_names[:4])


def _held(airflow: Airflow, tasks: list[dict[str, Any]]) -> float:
    """For how long these tasks were at work, over all their tries so far, in seconds."""
    held = 0.0
    for task in tasks:
        run = urllib.parse.quote(task["dag_run_id"])
        path = f"/api/v2/dags/{task['dag_id']}/dagRuns/{run}/taskInstances/{task['task_id']}/tries"
        for attempt in airflow.send("GET", path)["task_instances"]:
            if attempt["start_date"]:
                end = attempt["end_date"] or datetime.now(UTC).isoformat()
                held += seconds(end, attempt["start_date"])
    return held


def _one_at_a_time(console: Console, airflow: Airflow, names: list[str]) -> None:
    """Several runs of each of a few use cases at the same moment."""
    asked = {"logical_date": None, "conf": {"day": str(DAY)}}
    for _ in range(AGAIN):
        for name in names:
            airflow.send("POST", f"/api/v2/dags/{name}/dagRuns", asked)

    def by_hand() -> list[dict[str, Any]]:
        return [run for name in names for run in airflow.every(f"/dags/{name}/dagRuns?run_type=manual", "dag_runs")]

    while any(run["state"] not in ("success", "failed") for run in by_hand()):
        time.sleep(2)
    ran = {run["dag_run_id"] for run in by_hand()}
    tasks = [
        task
        for name in names
        for task in airflow.every(f"/dags/{name}/dagRuns/~/taskInstances", "task_instances")
        if task["dag_run_id"] in ran and task["end_date"] and task["task_id"] in ("register", "promote")
    ]
    each = {name: overlaps([task for task in tasks if task["dag_id"] == name]) for name in names}
    console.print(
        f"{AGAIN} runs by hand of each of {len(names)} use cases at once: at most {max(each.values())} of a use case's "
        f"registered or promoted at a time, {overlaps(tasks)} over all of them"
    )
