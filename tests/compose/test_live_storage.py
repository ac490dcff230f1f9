"""The same stack by settings alone: store, artifacts and task logs on S3-compatible storage, and behind a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest

from demo.upstream import deliver
from tests.compose.signed_in import Client
from tests.compose.team import HISTORY, Person, days, needs_rehearsal, wait_for
from tests.rehearsal import ports
from tests.rehearsal.client import Rehearsal
from tests.rehearsal.project import copy, variables

pytestmark = pytest.mark.live

DAY = HISTORY.replace(day=15)
NAME = "flight_delay"
STORAGE = """
services:
  # Stands for whatever storage a team has; nothing else about the file is changed.
  storage:
    <<: *pipeline
    command: ["moto_server", "-H", "0.0.0.0", "-p", "9000"]
    ports: ["127.0.0.1:${STORAGE_PORT}:9000"]
    networks: [front, databases, broker]
"""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    needs_rehearsal()
    folder = copy(tmp_path_factory.mktemp("stored"))
    file = folder / "docker-compose.yaml"
    file.write_text(file.read_text().replace("\nservices:\n", STORAGE, 1))
    for day in days(HISTORY, DAY):
        deliver(folder / "landing", day, ())
    airflow, mlflow, storage = ports.free(3)
    settings = {
        "PIPELINE_STORE": "s3://team/store",
        "MLFLOW_ARTIFACTS": "s3://team/artifacts",
        "LOGS_ON_S3": "True",
        "LOGS_FOLDER": "s3://team/logs",
        "AWS_ENDPOINT_URL": "http://storage:9000",
        "AWS_ACCESS_KEY_ID": "team",
        "AWS_SECRET_ACCESS_KEY": "a secret of the storage",
        "AIRFLOW_URL": "https://airflow.example.com",
        "FORWARDED_ALLOW_IPS": "*",
        "MLFLOW_MORE_HOSTS": ",mlflow.example.com",
        "MLFLOW_MORE_ORIGINS": ",https://mlflow.example.com",
    }
    calendar = {"PIPELINE_FIRST_DAY": str(DAY), "PIPELINE_LAST_DAY": str(DAY), "STORAGE_PORT": str(storage)}
    return {**variables(folder, airflow, mlflow, **settings, **calendar), "FOLDER": str(folder)}


@pytest.fixture(scope="module")
def stack(known: dict[str, str]) -> Iterator[Rehearsal]:
    with Rehearsal(known, file=Path(known["FOLDER"]) / "docker-compose.yaml") as running:
        running.up()
        yield running


@pytest.fixture(scope="module")
def bucket(stack: Rehearsal, known: dict[str, str]) -> Any:
    made = boto3.resource(
        "s3",
        endpoint_url=f"http://127.0.0.1:{known['STORAGE_PORT']}",
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    ).Bucket("team")
    made.create()
    return made


@pytest.fixture(scope="module")
def run(stack: Rehearsal, bucket: Any, known: dict[str, str]) -> dict[str, Any]:
    """One scheduled day, to its end."""
    operator = Person(known, airflow="operator")
    operator.airflow("PATCH", f"/dags/{NAME}", {"is_paused": False})

    def ended() -> dict[str, Any] | None:
        runs = operator.airflow("GET", f"/dags/{NAME}/dagRuns")["dag_runs"]
        return next((each for each in runs if each["state"] in ("success", "failed")), None)

    over = wait_for("the end of the day", ended, 900)

    def sent() -> list[str]:
        return [each.key for each in bucket.objects.filter(Prefix="logs/") if "/task_id=promote/" in each.key]

    # A worker sends a task's log after it told the task's end; until then the log is only in its own folder.
    wait_for("the last task's log on the storage", sent, 180)
    path = f"/dags/{NAME}/dagRuns/{quote(over['dag_run_id'])}/taskInstances"
    failed = [task["task_id"] for task in operator.airflow("GET", path)["task_instances"] if task["state"] == "failed"]
    return over | {"logs": [str(operator.airflow("GET", f"{path}/{task}/logs/1")) for task in failed]}


def test_a_day_ends_well_with_everything_on_storage(
    run: dict[str, Any], stack: Rehearsal, bucket: Any, known: dict[str, str]
) -> None:
    assert run["state"] == "success", run["logs"]
    kept = {each.key for each in bucket.objects.all()}
    for sign in ("store/tables/", "store/files/", "artifacts/", "logs/dag_id="):
        assert any(key.startswith(sign) for key in kept), f"{sign} is not among {sorted(kept)}"
    assert any(key.endswith(".skops") for key in kept if key.startswith("artifacts/"))
    assert any("_delta_log" in key for key in kept)
    # Nothing of it lies on the volumes.
    volumes = stack.folder / "volumes"
    assert not list((volumes / "data").rglob("*.parquet"))
    assert not [path for path in (volumes / "artifacts").rglob("*") if path.is_file()]


def test_the_log_of_a_task_is_read_from_there(run: dict[str, Any], stack: Rehearsal, known: dict[str, str]) -> None:
    for path in (stack.folder / "volumes" / "logs").rglob("*.log"):
        path.unlink()
    path = f"/dags/{NAME}/dagRuns/{quote(run['dag_run_id'])}/taskInstances/promote/logs/1"
    text = str(Person(known, airflow="viewer").airflow("GET", path))
    assert "has no champion yet" in text


def test_the_storage_s_keys_are_in_no_log(run: dict[str, Any], stack: Rehearsal, bucket: Any) -> None:
    said = "".join(path.read_text(errors="replace") for path in (stack.folder / "logs").glob("*.log"))
    said += "".join(
        each.get()["Body"].read().decode(errors="replace") for each in bucket.objects.filter(Prefix="logs/")
    )
    assert "has no champion yet" in said
    assert "a secret of the storage" not in said


def test_behind_a_proxy_people_stay_at_its_names(stack: Rehearsal, known: dict[str, str]) -> None:
    """The proxy ends TLS, keeps `Host` and says `X-Forwarded-Proto`."""
    airflow = Client(known["AIRFLOW_PORT"])
    asked = airflow("GET", "/api/v2/auth/login")
    assert asked.where.startswith("https://airflow.example.com/auth/login/"), asked
    asked = airflow("GET", "/auth/users/list/", Host="airflow.example.com", X_Forwarded_Proto="https")
    assert asked.where == "/auth/login/?next=https://airflow.example.com/auth/users/list/"
    mlflow = Client(known["MLFLOW_PORT"], "reviewer", known["MLFLOW_REVIEWER_PASSWORD"])
    search = "/ajax-api/2.0/mlflow/experiments/search"
    at = {"Host": "mlflow.example.com", "Origin": "https://mlflow.example.com"}
    assert mlflow("POST", search, {"max_results": 1}, **at).status == 200
    assert mlflow("POST", search, {"max_results": 1}, **(at | {"Host": "other.example.com"})).status == 403
    assert mlflow("POST", search, {"max_results": 1}, **(at | {"Origin": "https://other.example.com"})).status == 403
