"""An embedded installation to move, and a stack to move it into."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from tests.compose.team import needs_rehearsal
from tests.rehearsal import ports
from tests.rehearsal.client import ROOT, Rehearsal
from tests.rehearsal.project import copy, variables

LAST = date(2013, 1, 11)
"""The last day that upstream has delivered."""


@dataclass(frozen=True)
class Homes:
    """One installation: where it lies, a copy of it as it was after one day, and its deliveries."""

    home: Path
    early: Path
    landing: Path

    def run(self, day: str) -> None:
        environment = {**os.environ, "PIPELINE_HOME": str(self.home), "PIPELINE_LANDING": str(self.landing)}
        command = [sys.executable, "-m", "pipeline", "run", "flight_delay", "--day", day]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.returncode} {done.stdout}{done.stderr}"


@dataclass(frozen=True)
class Moved:
    """A stack, and what the move into it said."""

    stack: Rehearsal
    known: dict[str, str]
    status: int
    said: str


def rehearsed(tmp_path_factory: pytest.TempPathFactory, homes: Homes) -> tuple[Rehearsal, dict[str, str]]:
    """A stack with secrets of its own, that nothing runs of yet."""
    needs_rehearsal()
    folder = copy(tmp_path_factory.mktemp("project"))
    known = variables(folder, *ports.free(2), LANDING_FOLDER=str(homes.landing))
    return Rehearsal(known, file=folder / "docker-compose.yaml"), known


def in_worker(stack: Rehearsal, *argv: str) -> tuple[int, str]:
    """Run the pipeline's command line as `docker compose run --rm --no-deps airflow-worker` does."""
    return stack.once("airflow-worker", "python", "-m", "pipeline", *argv, needed=False)
