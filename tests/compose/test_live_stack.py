"""docker-compose.yaml at work: every service's own command, real flights, people with roles, a worker killed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.compose.team import ASKED, FIRST, LAST, NAMES, Person, Refused, days, wait_for
from tests.rehearsal.client import Rehearsal

pytestmark = pytest.mark.live

Reference = dict[str, tuple[subprocess.Popen[bytes], Path]]
#: Prints everything that must not depend on where and how often a day was worked on. What a clock measured is left out:
#: the findings on latency and the seconds of a fit, so the digest of a verdict, and of what was measured for it, too.
STATE = """
import dataclasses, hashlib, json, sys
from pipeline.adapters.world import store, world
from pipeline.core.windows import Days
from pipeline.steps.tables.score_ledger import table
from datetime import date
ports, name = world(), sys.argv[1]
version = ports.store.version(table(name))
rows = ports.store.read(table(name), version, Days(date(2013, 1, 1), date(2013, 2, 1))).to_pylist()
lines = [dataclasses.asdict(entry) for entry in ports.ledger.entries(name)]
days = [dataclasses.asdict(line) for line in ports.ledger.outcomes(name)]
for line in lines:
    for varies in ("at", "by", "verdict"):
        line.pop(varies)
for day in days:
    for varies in ("run", "verdict", "report"):
        day.pop(varies)
    if "latency" in day["reason"]:
        del day["reason"], day["headline"]
verdicts = {}
for path in sorted((store() / "files" / "verdicts" / name).glob("*/*.json")):
    if path.name.endswith(".measured.json"):
        continue  # by a clock
    verdict = json.loads(path.read_text())
    del verdict["snapshot"]  # numbers of versions: here the use cases share their tables
    verdict.pop("measured", None)  # names what a clock measured
    if "latency" in verdict["reason"]:
        del verdict["reason"], verdict["outcome"]
    for recipe, fit in verdict.pop("fits").items():
        fit.pop("seconds", None)
        verdict[f"fit of {recipe}"] = fit
    for recipe, found in verdict.pop("findings").items():
        for finding in found:
            if not finding["name"].startswith(("latency", "resources")):
                verdict[f"finding on {recipe}: {finding['name']} {finding['about']}"] = finding
    for what, said in verdict.items():
        verdicts.setdefault(f"{path.parent.name}, {what}", set()).add(json.dumps(said, sort_keys=True))
aliases = dict(ports.registry.aliases(name))
models = {alias: hashlib.sha256(ports.registry.artifact(name, at)[0]).hexdigest() for alias, at in aliases.items()}
verdicts = {what: sorted(said) for what, said in verdicts.items()}
said = {"scores": sorted(map(repr, rows)), "promotions": lines, "days": days, "verdicts": verdicts}
print("STATE " + json.dumps(said | {"aliases": aliases, "models": models}, default=str))
"""


@dataclasses.dataclass
class Told:
    """What happened while the days went by."""

    killed: str = ""
    refused: dict[str, int] = dataclasses.field(default_factory=dict)
    form: str = ""


@pytest.fixture(scope="session")
def reference(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The same days in a home of their own, begun at once: they take as long as the stack's."""
    running = {}
    for name in NAMES:
        home = tmp_path_factory.mktemp("undisturbed")
        environment = {"PATH": "/usr/bin:/bin", "PIPELINE_HOME": str(home), "PIPELINE_LANDING": str(folder / "landing")}
        by = "--approve-as approver" if name == ASKED else ""
        script = f'"$0" -m pipeline run {name} --from {FIRST} --to {LAST} {by} && "$0" -c "$1" {name}'
        with (home / "said").open("w") as said:  # nobody reads it before the end
            process = subprocess.Popen(
                ["/bin/sh", "-c", script, sys.executable, STATE],
                cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip
        running[name] = process, home / "said"
    return running


@pytest.fixture(scope="session")
def told(stack: Rehearsal, people: dict[str, Person], reference: Reference) -> Told:
    """All days of both use cases, as people would work with them."""
    story, operator = Told(), people["operator"]
    for name in NAMES:
        operator.airflow("PATCH", f"/dags/{name}", {"is_paused": False})

    def tasks(name: str, task: str) -> list[dict[str, Any]]:
        return operator.airflow("GET", f"/dags/{name}/dagRuns/~/taskInstances?task_id={task}&limit=100")[
            "task_instances"
        ]

    def kill_a_training() -> bool:
        # A task that the worker has taken and not begun is no less safe, but Airflow misses it only after ten minutes
        # (its `task_queued_timeout`), for which all would wait.
        waiting = operator.airflow("GET", "/dags/~/dagRuns/~/taskInstances?state=queued&limit=1")["task_instances"]
        for task in () if waiting else tasks(NAMES[0], "train"):
            if task["state"] == "running" and task["hostname"]:
                stack.kill(task["hostname"])
                story.killed = task["dag_run_id"]
                return True
        return False

    wait_for("a training", kill_a_training, 600, pause=0.2)

    def answer() -> None:
        for task in tasks(ASKED, "approve"):
            if task["state"] != "awaiting_input":
                continue
            path = f"/dags/{ASKED}/dagRuns/{quote(task['dag_run_id'])}/taskInstances/approve/-1/hitlDetails"
            yes = {"chosen_options": ["Approve"], "params_input": {}}
            story.form = operator.airflow("GET", path)["body"]
            for name in ("nobody", "viewer", "operator", "admin"):
                with pytest.raises(Refused) as refused:
                    people[name].airflow("PATCH", path, yes)
                story.refused[name] = refused.value.status
            people["approver"].airflow("PATCH", path, yes)
            with pytest.raises(Refused) as refused:
                people["approver"].airflow("PATCH", path, yes)
            story.refused["approver again"] = refused.value.status

    def ended() -> bool:
        answer()
        runs = [operator.airflow("GET", f"/dags/{name}/dagRuns?limit=100")["dag_runs"] for name in NAMES]
        failed = [run["dag_run_id"] for each in runs for run in each if run["state"] == "failed"]
        assert not failed, failed
        return all(sum(run["state"] == "success" for run in each) == len(days()) for each in runs)

    wait_for("the end of all days", ended, 1500, pause=3)  # each look costs the API server work
    return story


def state(printed: str) -> dict[str, Any]:
    line = next(line for line in printed.splitlines() if line.startswith("STATE "))
    return json.loads(line.removeprefix("STATE "))


@pytest.fixture(scope="session")
def undisturbed(reference: Reference, told: Told) -> dict[str, Any]:
    """The end of the same days by the command line, where nothing is killed and nobody is late."""
    reached = {}
    for name, (process, said) in reference.items():
        assert process.wait(timeout=900) == 0, said.read_text()
        reached[name] = state(said.read_text())
    return reached


def test_every_service_of_the_file_runs_and_is_healthy(stack: Rehearsal) -> None:
    for service in stack.compose.services.values():
        if service.profiles:
            continue  # the next test sees to those
        names = [f"{service.name}-{n}" for n in (1, 2)] if service.name == "airflow-worker" else [service.name]
        for name in names:
            assert (stack.folder / "logs" / f"{name}.log").exists(), f"{name} was never started"
            if service.health is not None:
                status, said = stack.run(name, *service.health.test)
                assert status == 0, f"{name}: {said}"


def test_every_service_that_is_run_by_hand_is_run_by_a_test(stack: Rehearsal) -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py") if ".once(" in path.read_text())
    by_hand = [service.name for service in stack.compose.services.values() if service.profiles]
    assert by_hand
    assert [name for name in by_hand if f'"{name}"' not in tests] == []


def test_a_part_that_does_not_work_is_told_from_one_that_does(stack: Rehearsal, told: Told) -> None:
    """Asked from a neighbour, or of a neighbour's neighbour: what is asked about must be what is down."""
    check = ("python", "-m", "stack.team.health")
    for down, asked, part, words in (
        ("airflow-scheduler", "airflow-dag-processor", "scheduler", "does not answer"),
        ("redis", "airflow-worker-1", "worker", "broker does not answer"),
    ):
        assert stack.run(asked, *check, part)[0] == 0, part
        stack.stop(down)
        status, said = stack.run(asked, *check, part)
        assert (status, words in said) == (1, True), said
        stack.start(down)
        wait_for(f"{part} well again", lambda asked=asked, part=part: stack.run(asked, *check, part)[0] == 0, 300)


def test_both_use_cases_reach_a_promotion_in_mlflow(stack: Rehearsal, people: dict[str, Person], told: Told) -> None:
    for name in NAMES:
        model = people["mlflow reviewer"].mlflow("GET", f"/registered-models/get?name={name}")["registered_model"]
        aliases = {alias["alias"]: int(alias["version"]) for alias in model["aliases"]}
        assert aliases["champion"] > aliases["previous"] >= 1
        runs = people["mlflow reviewer"].mlflow("GET", f"/experiments/get-by-name?experiment_name={name}")["experiment"]
        assert runs["artifact_location"].startswith("mlflow-artifacts:")


def test_the_right_person_approves_and_nobody_else(told: Told) -> None:
    assert told.refused == {"nobody": 401, "viewer": 403, "operator": 403, "admin": 403, "approver again": 409}
    assert "better" in told.form


def test_a_worker_killed_while_it_trains_changes_nothing(
    stack: Rehearsal, told: Told, people: dict[str, Person], undisturbed: dict[str, Any]
) -> None:
    path = f"/dags/{NAMES[0]}/dagRuns/{quote(told.killed)}/taskInstances/train"
    assert people["viewer"].airflow("GET", path)["try_number"] >= 2
    assert sum(stack.restarts().values()) == 1
    for name in NAMES:
        reached = state(stack.run("airflow-worker-1", "python", "-c", STATE, name)[1])
        assert {f"{day}, decision" for day in days()} <= set(reached["verdicts"])
        for part, expected in undisturbed[name].items():
            assert reached[part] == expected, f"{name}: {part}"


def test_ingests_have_a_worker_of_their_own(people: dict[str, Person], told: Told) -> None:
    """What waits for upstream keeps nothing waiting that computes."""
    for name in NAMES:
        tasks = people["viewer"].airflow("GET", f"/dags/{name}/dagRuns/~/taskInstances?limit=200")["task_instances"]
        ran = {(task["task_id"], task["hostname"].rstrip("-12")) for task in tasks if task["hostname"]}
        computing = {task["task_id"] for task in tasks} - {
            "ingest",
            "approve",
            "new_champion",
        }  # the last is asked of no worker
        assert ran >= {("ingest", "airflow-ingest"), *((task, "airflow-worker") for task in computing)}
        assert not ran & {("ingest", "airflow-worker"), *((task, "airflow-ingest") for task in computing)}


def test_a_day_that_was_judged_under_airflow_is_judged_again_by_command(stack: Rehearsal, told: Told) -> None:
    """Too little was known on the last day for anything to be timed: the same verdict, but for the seconds of fits."""

    def last_day() -> dict[str, Any]:
        verdicts = state(stack.run("airflow-worker-1", "python", "-c", STATE, NAMES[0])[1])["verdicts"]
        return {what: said for what, said in verdicts.items() if what.startswith(f"{LAST}, ")}

    before = last_day()
    assert "not known yet" in before[f"{LAST}, reason"][0]
    again = ("python", "-m", "pipeline", "run", NAMES[0], "--from", str(LAST), "--to", str(LAST))
    status, said = stack.run("airflow-worker-1", *again, timeout=300)
    assert status == 0, said
    assert last_day() == before


def test_people_may_what_their_role_says(people: dict[str, Person], told: Told) -> None:
    trigger = {"logical_date": None, "conf": {"day": str(LAST), "judge_only": True}}
    for name, status in {"nobody": 401, "viewer": 403, "approver": 403}.items():
        with pytest.raises(Refused) as refused:
            people[name].airflow("POST", f"/dags/{NAMES[0]}/dagRuns", trigger)
        assert refused.value.status == status, name
    for name in ("viewer", "approver", "operator"):
        assert people[name].airflow("GET", f"/dags/{NAMES[0]}/dagRuns")["dag_runs"]
        with pytest.raises(Refused) as refused:
            people[name].airflow("POST", "/pools", {"name": "mine", "slots": 1})
        assert refused.value.status == 403, name
    run = people["operator"].airflow("POST", f"/dags/{NAMES[0]}/dagRuns", trigger)
    assert run["triggering_user_name"] == "operator"

    def over() -> str:
        path = f"/dags/{NAMES[0]}/dagRuns/{quote(run['dag_run_id'])}"
        state = people["viewer"].airflow("GET", path)["state"]
        return state if state in ("success", "failed") else ""

    assert wait_for("the run by hand", over, 600) == "success"


def test_a_rollback_by_hand_names_who_did_it(stack: Rehearsal, people: dict[str, Person], told: Told) -> None:
    asked = {"usecase": NAMES[0], "to": "previous", "why": "a drill", "hold_days": 0}
    run = people["operator"].airflow("POST", "/dags/roll_back/dagRuns", {"logical_date": None, "conf": asked})

    def over() -> str:
        path = f"/dags/roll_back/dagRuns/{quote(run['dag_run_id'])}"
        state = people["viewer"].airflow("GET", path)["state"]
        return state if state in ("success", "failed") else ""

    ended = wait_for("the rollback", over, 400)
    log = people["viewer"].airflow(
        "GET", f"/dags/roll_back/dagRuns/{quote(run['dag_run_id'])}/taskInstances/roll_back/logs/1"
    )
    assert ended == "success", "\n".join(
        str(line.get("event")) + str(line.get("error_detail", ""))[-1500:] for line in log["content"]
    )
    _, history = stack.run("airflow-worker-1", "python", "-m", "pipeline", "history", NAMES[0])
    assert "operator" in history
    assert "a drill" in history


def test_a_stack_that_was_taken_down_goes_on_where_it_was(
    stack: Rehearsal, people: dict[str, Person], told: Told
) -> None:
    """The databases and volumes outlive the processes; a second init changes nothing."""
    for name in ("airflow-scheduler", "airflow-apiserver", "mlflow", "postgres"):
        stack.stop(name)
    stack.up()
    assert "users are there" in stack.log("airflow-init").splitlines()[-1]
    runs = people["viewer"].airflow("GET", f"/dags/{NAMES[0]}/dagRuns?limit=100")["dag_runs"]
    assert len([run for run in runs if run["state"] == "success"]) > len(days())
