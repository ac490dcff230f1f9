"""A copy of the project for a rehearsal: what the image is made of, the compose file, secrets of its own."""

from __future__ import annotations

import compileall
import re
import shutil
from pathlib import Path

from tests.rehearsal.client import ROOT
from tests.rehearsal.composefile import dotenv
from tools import passwords


def copy(folder: Path) -> Path:
    """Fill a folder with everything that `docker compose up` needs; it may be changed without touching the project.

    `.env` is written as `make secrets` writes it, and `landing` is empty.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    dockerfile = (ROOT / "Dockerfile").read_text()
    for room in re.findall(r"^COPY (\w+) \w+$", dockerfile, re.M):
        shutil.copytree(ROOT / room, folder / room, ignore=ignored)
        compileall.compile_dir(folder / room, quiet=2)  # as the Dockerfile does
    for name in ("Dockerfile", "docker-compose.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "landing").mkdir()

    passwords.main(folder / ".env")
    return folder


def variables(folder: Path, airflow: int, mlflow: int, **more: str) -> dict[str, str]:
    """What the `.env` of that copy says, the ports it publishes, and what else is set."""
    return {**dotenv(folder / ".env"), "AIRFLOW_PORT": str(airflow), "MLFLOW_PORT": str(mlflow), **more}
