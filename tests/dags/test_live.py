"""The DAGs under the real scheduler: whatever is started at once, days are judged one at a time and oldest first."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from stack import Settings, Stack
from stack.client import RefusedError
from tests.once import databases_in

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LOOP = ["ingest", "validate", "train", "score", "evaluate", "register", "promote"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return databases_in(tmp_path_factory, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def stack(home, tmp_path_factory):
    """The stack over the real DAG files, their use cases and steps replaced by the stubs."""
    dags = tmp_path_factory.mktemp("dags") / "dags"
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("retrain.py", "operate.py"):
        text = (dags / name).read_text()
        swapped = text.replace(
            "from pipeline.usecases import", "__import__('loop_stubs').install()\nfrom pipeline.usecases import"
        )
        assert swapped != text
        (dags / name).write_text(swapped)
    extra = {
        "PYTHONPATH": f"{ROOT}:{HERE}",
        "STUB_LAST_DAY": "2013-01-06",
        "STUB_SECONDS": "0.1",
    }
    # What every task would import again, and a look at backfills every other second.
    preload = ("sqlalchemy", "numpy", "scipy.stats", "narwhals", "quick_backfills")
    settings = Settings(home, free_port(), free_port(), dags=dags, preload=preload, extra=extra)
    running = Stack(settings)
    with running.running(timeout=180):
        running.wait_for_dags("stub_auto", "stub_person", "roll_back", "lift_hold")
        yield running


def trigger(stack: Stack, dag: str, conf: dict, user: str = "admin") -> str:
    made = stack.api("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf}, user=user)
    return made["dag_run_id"]


def tasks(stack: Stack, dag: str, run: str) -> dict[str, str]:
    found = stack.api("GET", f"/dags/{dag}/dagRuns/{quote(run)}/taskInstances")["task_instances"]
    return {ti["task_id"]: ti["state"] for ti in found}


def eventually(stack: Stack, true, seconds: float, what: str):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stack.watch_once()
        if found := true():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def backfill(stack: Stack, dag: str, first: date, last: date, at_once: int) -> None:
    """A backfill of these data days. On SQLite Airflow may answer 503, the file being locked: ask again."""
    body = {
        "dag_id": dag,
        "from_date": f"{first + timedelta(1)}T00:00:00Z",
        "to_date": f"{last + timedelta(2)}T00:00:00Z",
        "max_active_runs": at_once,
    }
    for attempt in range(10):
        try:
            stack.api("POST", "/backfills", body)
        except RefusedError as refused:
            if refused.status != 503 or attempt == 9:
                raise
            eventually(stack, lambda: time.sleep(2) or True, 10, "a pause")
        else:
            return


def test_a_backfill_of_ten_at_once_beside_a_run_by_hand_and_the_schedule_works_day_by_day_oldest_first(stack, home):
    last = trigger(stack, "stub_auto", {"day": "2013-01-12"})  # before the others, so that it could be first
    backfill(stack, "stub_auto", date(2013, 1, 3), date(2013, 1, 6), at_once=10)
    stack.api("PATCH", "/dags/stub_auto", {"is_paused": False})
    runs = lambda: stack.api("GET", "/dags/stub_auto/dagRuns?limit=100")["dag_runs"]  # noqa: E731
    eventually(stack, lambda: all(run["state"] in ("success", "failed") for run in runs()), 420, "the end of all runs")
    assert {run["state"] for run in runs()} == {"success"}
    assert any(run["dag_run_id"] == last for run in runs())
    worked = [line.split() for line in (home / "diary").read_text().splitlines() if line.split()[0] in LOOP]
    days = [f"2013-01-{day:02}" for day in (3, 4, 5, 6, 12)]
    seen = [day for _, day in worked]
    assert [day for day in dict.fromkeys(seen) if day >= "2013-01-03"] == days
    for day in days:  # each day's steps stand together, in their order: nobody worked in between
        first = seen.index(day)
        assert worked[first : first + 7] == [[step, day] for step in LOOP]


def by_command(home: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """The backfill of the DAG's own words, from a shell that knows of the home alone."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIPELINE", "AIRFLOW"))}
    span = ("--from-date", "2013-01-05T00:00-05:00", "--to-date", "2013-01-07T23:59-05:00")
    return subprocess.run(
        [sys.executable, "-m", "stack", "run", "airflow", "backfill", "create", "--dag-id", "stub_auto", *span, *flags],
        env={**environment, "PIPELINE_HOME": str(home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_backfill_by_command_judges_days_once_and_again_only_when_asked_to(stack, home):
    stack.api("PATCH", "/dags/stub_auto", {"is_paused": False})
    days = [f"2013-01-0{day}" for day in (4, 5, 6)]

    def judged() -> list[str]:
        lines = (line.split() for line in (home / "diary").read_text().splitlines())
        return [line[1] for line in lines if line[0] == "promote" and line[1] in days]

    def over() -> bool:
        return all(fill["completed_at"] for fill in stack.api("GET", "/backfills?dag_id=stub_auto")["backfills"])

    eventually(stack, over, 120, "the end of any backfill before")
    for flags, wanted in (
        (["--max-active-runs", "1"], days),
        (["--max-active-runs", "1"], days),
        (["--max-active-runs", "1", "--reprocess-behavior", "completed"], days * 2),
    ):
        done = by_command(home, *flags)
        assert done.returncode == 0, done.stderr[-2000:]
        eventually(stack, over, 120, f"the end of the backfill {flags}")
        # The schedule, or the test above, may have made the first runs of these days, and a backfill leaves those out.
        eventually(stack, lambda wanted=wanted: len(judged()) >= len(wanted), 120, f"the judging of {wanted}")
        assert judged() == wanted


def test_a_run_that_waits_for_a_person_lets_the_next_one_pass_and_promotes_when_the_right_person_agrees(stack, home):
    (home / "orders").mkdir(exist_ok=True)
    (home / "orders" / "evaluate-2013-01-04").write_text("hold")
    stack.api("PATCH", "/dags/stub_person", {"is_paused": False})
    asking = trigger(stack, "stub_person", {"day": "2013-01-03"})
    waits = lambda: tasks(stack, "stub_person", asking).get("approve") == "awaiting_input"  # noqa: E731
    eventually(stack, waits, 240, "the question")
    passing = trigger(stack, "stub_person", {"day": "2013-01-04"})
    eventually(stack, lambda: tasks(stack, "stub_person", passing).get("promote") == "success", 180, "the next run")
    assert waits()
    path = f"/dags/stub_person/dagRuns/{quote(asking)}/taskInstances/approve/-1/hitlDetails"
    yes = {"chosen_options": ["Approve"], "params_input": {}}
    with pytest.raises(RefusedError, match="403"):
        stack.api("PATCH", path, yes, user="admin")  # not among the approvers
    stack.api("PATCH", path, yes, user="approver")
    eventually(stack, lambda: tasks(stack, "stub_person", asking).get("promote") == "success", 120, "the promotion")
    assert "promoted 2013-01-03 by approver" in (home / "diary").read_text()


def test_a_rollback_from_the_form_is_done_in_the_name_of_who_sent_it(stack, home):
    run = trigger(stack, "roll_back", {"usecase": "stub_auto", "to": "previous", "why": "it is bad"}, user="approver")
    eventually(stack, lambda: tasks(stack, "roll_back", run).get("roll_back") == "success", 60, "the rollback")
    assert "rollback stub_auto previous it is bad approver None" in (home / "diary").read_text()
