"""No secret of `.env` is in what the stack writes."""

from __future__ import annotations

import json
import secrets
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.compose.signed_in import Client, holds, secrets_of
from tests.compose.team import wait_for
from tests.rehearsal.client import Rehearsal

pytestmark = pytest.mark.live


def found_in_files(folders: Iterable[Path], values: Mapping[str, str]) -> set[str]:
    """The names of values that some file holds, packed files unpacked."""
    found = set()
    for folder in folders:
        for path in (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
            for data in _contents(path):
                found |= {name for name, value in values.items() if value.encode() in data}
    return found


def _contents(path: Path) -> Iterator[bytes]:
    try:
        yield path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from (archive.read(name) for name in archive.namelist())
    except FileNotFoundError:
        return  # removed meanwhile: PostgreSQL's own


def pages_of_airflow(ask: Client) -> str:
    """All that Airflow keeps of what ran, as an admin reads it: runs, tasks, XComs, rendered fields, logs, settings."""
    said = []

    def get(path: str) -> Any:
        answer = ask("GET", f"/api/v2{path}")
        said.append(answer.text)
        return json.loads(answer.text) if answer.status == 200 and answer.text.startswith(("{", "[")) else {}

    for path in ("/variables", "/connections", "/pools", "/eventLogs", "/importErrors", "/plugins", "/assets/events"):
        get(f"{path}?limit=100")
    for dag in get("/dags?limit=100")["dags"]:
        name = dag["dag_id"]
        get(f"/dagSources/{name}")
        # The newest, which hold the planted one.
        for run in get(f"/dags/{name}/dagRuns?limit=3&order_by=-run_after").get("dag_runs", []):
            base = f"/dags/{name}/dagRuns/{quote(run['dag_run_id'])}"
            get(f"{base}/hitlDetails")
            for task in get(f"{base}/taskInstances?limit=100").get("task_instances", []):
                here = f"{base}/taskInstances/{task['task_id']}"
                get(f"{here}/logs/{max(task['try_number'], 1)}?map_index={task['map_index']}&full_content=true")
                for entry in get(f"{here}/xcomEntries?map_index={task['map_index']}").get("xcom_entries", []):
                    get(f"{here}/xcomEntries/{entry['key']}?map_index={task['map_index']}&stringify=true")
    return "\n".join(said)


def pages_of_mlflow(ask: Client) -> str:
    """Every experiment, run, registered model and version, with their parameters and tags."""
    api, said = "/api/2.0/mlflow", []
    experiments = ask("GET", f"{api}/experiments/search?max_results=1000").text
    said.append(experiments)
    numbers = [each["experiment_id"] for each in json.loads(experiments).get("experiments", [])]
    said.append(ask("POST", f"{api}/runs/search", {"experiment_ids": numbers, "max_results": 1000}).text)
    said += [
        ask("GET", f"{api}/{kind}/search?max_results=1000").text for kind in ("registered-models", "model-versions")
    ]
    said.append(ask("POST", f"{api}/logged-models/search", {"experiment_ids": numbers, "max_results": 50}).text)
    return "\n".join(said)


def test_no_secret_is_written_to_a_log_a_page_or_a_file(
    stack: Rehearsal,
    known: dict[str, str],
    airflow: dict[str, Client],
    mlflow: dict[str, Client],
    run_of_pipeline: tuple[str, str],
    tmp_path: Path,
) -> None:
    """Every value of .env is looked for everywhere; one that is planted in each place is found there."""
    experiment, run = run_of_pipeline
    planted, wanted = secrets.token_hex(24), secrets_of(known)
    everything = {**wanted, "PLANTED": planted}
    asked = {"usecase": "flight_delay", "recipe": "boosting_21", "why": f"for {planted}"}
    begun = json.loads(
        airflow["operator"]("POST", "/api/v2/dags/lift_hold/dagRuns", {"logical_date": None, "conf": asked}).text
    )
    where = f"/api/v2/dags/lift_hold/dagRuns/{quote(begun['dag_run_id'])}"

    def over() -> bool:
        return json.loads(airflow["viewer"]("GET", where).text)["state"] in ("success", "failed")

    wait_for("the run by hand", over, 600)
    api = "/api/2.0/mlflow"
    for verb, body in (("log-parameter", {"key": "p", "value": planted}), ("set-tag", {"key": "t", "value": planted})):
        assert mlflow["pipeline"]("POST", f"{api}/runs/{verb}", {"run_id": run, **body}).status == 200
    file = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/planted.txt"
    assert mlflow["pipeline"]("PUT", file, planted.encode()).status == 200

    assert holds(pages_of_airflow(airflow["admin"]), everything) == {"PLANTED"}
    assert holds(pages_of_mlflow(mlflow["admin"]), everything) == {"PLANTED"}
    volumes = stack.folder / "volumes"
    assert found_in_files([volumes / "artifacts"], everything) == {"PLANTED"}
    # The database keeps passwords as digests only; what is planted is in it by way of MLflow's tables.
    assert found_in_files([volumes / "postgres"], everything) == {"PLANTED"}
    assert found_in_files([volumes / "data", volumes / "logs", stack.folder / "logs"], everything) <= {"PLANTED"}
    (tmp_path / "deep").mkdir()
    with zipfile.ZipFile(tmp_path / "deep" / "log.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", f"password={known['REDIS_PASSWORD']}\n" * 9)
    assert found_in_files([tmp_path], everything) == {"REDIS_PASSWORD"}
