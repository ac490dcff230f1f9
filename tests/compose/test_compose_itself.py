"""The rehearsal reads docker-compose.yaml as Docker Compose does: asked of Compose, where it is installed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.composefile import Compose, dotenv, read, seconds
from tools import passwords

FILE = Path(__file__).parents[2] / "docker-compose.yaml"
S3 = {
    **{"PIPELINE_STORE": "s3://team/store", "MLFLOW_ARTIFACTS": "s3://team/artifacts", "LOGS_ON_S3": "True"},
    **{"LOGS_FOLDER": "s3://team/logs", "AWS_ENDPOINT_URL": "http://storage:9000", "AWS_ACCESS_KEY_ID": "team"},
}
PROXY = {
    **{"AIRFLOW_URL": "https://airflow.example.com", "MLFLOW_MORE_HOSTS": ",mlflow.example.com"},
    **{"MLFLOW_PORT": "5001", "AIRFLOW_PORT": "8081", "WORKERS": "3", "LANDING_FOLDER": "/srv/landing"},
}
SETTINGS = {"none": {}, "s3": S3, "a proxy, other ports, more workers": PROXY}


@pytest.fixture
def compose() -> list[str]:
    """The command. `COMPOSE` names one that isn't Docker's plugin."""
    named = shlex.split(os.environ.get("COMPOSE", "docker compose"))
    if not shutil.which(named[0]) or subprocess.run([*named, "version"], capture_output=True, check=False).returncode:
        pytest.skip("Docker Compose is not installed")
    return named


def resolved(compose: list[str], folder: Path) -> dict[str, Any]:
    """The services as Compose understands them."""
    shutil.copy(FILE, folder)
    command = [*compose, "--profile", "*", "config", "--format", "json"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    asked = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)["services"]


def differences(theirs: dict[str, Any], ours: Compose, folder: Path) -> Iterator[str]:
    """What the rehearsal would do otherwise than Compose."""

    def plain(text: str | None) -> str:
        return (text or "").replace("$$", "$")  # its output can be read in again

    if set(theirs) != set(ours.services):
        yield f"services: {set(theirs) ^ set(ours.services)}"
    for name, raw in theirs.items():
        mine = ours.services[name]
        test = [plain(word) for word in (raw.get("healthcheck") or {}).get("test", ())]
        pairs = {
            "image": (raw["image"], mine.image),
            "command": ([plain(word) for word in raw.get("command") or ()], mine.command),
            "environment": ({key: plain(value) for key, value in raw["environment"].items()}, mine.environment),
            "user": (raw["user"], mine.user),
            "read_only": (raw["read_only"], mine.read_only),
            "restart": (raw["restart"], mine.restart),
            "capabilities": ((raw["cap_drop"], raw.get("cap_add", [])), (mine.cap_drop, mine.cap_add)),
            "profiles": (raw.get("profiles", []), mine.profiles),
            "tmpfs": (raw.get("tmpfs", []), mine.tmpfs),
            "networks": (set(raw.get("networks", ())), set(mine.networks)),
            "depends_on": ({key: how["condition"] for key, how in raw.get("depends_on", {}).items()}, mine.depends_on),
            "ports": (
                [(port["host_ip"], int(port["published"]), port["target"]) for port in raw.get("ports", ())],
                mine.ports,
            ),
            "volumes": (
                [
                    (each["source"].replace(str(folder), "."), each["target"], each.get("read_only", False))
                    for each in raw.get("volumes", ())
                ],
                [(mount.source, mount.target, mount.read_only) for mount in mine.mounts],
            ),
            "health": (
                ["/bin/sh", "-c", test[1]] if test[:1] == ["CMD-SHELL"] else test[1:],
                [] if mine.health is None else mine.health.test,
            ),
            "patience": (
                [raw["healthcheck"].get(key) and seconds(raw["healthcheck"][key]) for key in ("interval", "timeout")]
                if mine.health
                else [],
                [mine.health.interval, mine.health.timeout] if mine.health else [],
            ),
            "time to stop": (seconds(raw.get("stop_grace_period", "10s")), mine.stop_seconds),
            "scale": (raw.get("scale", raw.get("deploy", {}).get("replicas", 1)), mine.scale),
        }
        for what, (right, read_here) in pairs.items():
            if right != read_here:
                yield f"{name}: {what} is {right} for Compose, {read_here} here"


@pytest.mark.parametrize("settings", SETTINGS)
def test_compose_understands_the_file_as_the_rehearsal_does(compose: list[str], tmp_path: Path, settings: str) -> None:
    passwords.main(tmp_path / ".env")
    with (tmp_path / ".env").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in SETTINGS[settings].items())
    theirs, known = resolved(compose, tmp_path), dotenv(tmp_path / ".env")
    assert list(differences(theirs, read(FILE, known), tmp_path)) == []
    # And it sees what is otherwise.
    other = read(FILE, known | {"AIRFLOW_PORT": "1", "REDIS_PASSWORD": "other", "MLFLOW_MORE_HOSTS": ",x"})
    found = {line.split(" is ")[0] for line in differences(theirs, other, tmp_path)}
    assert {"airflow-apiserver: ports", "airflow-worker: environment", "mlflow: command"} <= found


def test_compose_itself_refuses_to_start_without_secrets(compose: list[str], tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path)
    asked = subprocess.run([*compose, "config"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.returncode != 0
    assert "is missing a value: run 'make secrets' first" in asked.stderr
