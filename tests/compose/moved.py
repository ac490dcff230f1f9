"""Embedded installations to move, and a stack that one was moved into; each made once for all tests that want it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from demo.upstream import deliver
from rehearsal.client import Rehearsal
from tests.compose.team import ROOT, days, needs_rehearsal, project, variables

FIRST, LAST = date(2013, 1, 15), date(2013, 1, 18)


@dataclass(frozen=True)
class Homes:
    """Of one installation: as it was after two days, and as it was after three."""

    landing: Path
    early: Path
    later: Path


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    folder = tmp_path_factory.mktemp("homes")
    homes = Homes(folder / "landing", folder / "early", folder / "var")
    for day in days(date(2013, 1, 1), LAST):
        deliver(homes.landing, day, ())
    run(homes, "2013-01-15", "2013-01-16")
    shutil.copytree(homes.later, homes.early, symlinks=True)
    run(homes, "2013-01-17", "2013-01-17")
    return homes


def run(homes: Homes, first: str, last: str) -> None:
    environment = {**os.environ, "PIPELINE_HOME": str(homes.later), "PIPELINE_LANDING": str(homes.landing)}
    command = [sys.executable, "-m", "pipeline", "run", "flight_delay", "--from", first, "--to", last]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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
    folder = project(tmp_path_factory.mktemp("project"))
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        known = variables(folder, (one.getsockname()[1], other.getsockname()[1]), LANDING_FOLDER=str(homes.landing))
    return Rehearsal(known, file=folder / "docker-compose.yaml"), known


@pytest.fixture(scope="session")
def moved(tmp_path_factory: pytest.TempPathFactory, homes: Homes) -> Iterator[Moved]:
    """The installation after two days, moved into a stack of which only what is needed runs."""
    stack, known = rehearsed(tmp_path_factory, homes)
    with stack:
        stack.up(services=["airflow-init"])
        yield Moved(stack, known, *stack.once("moving", FROM=str(homes.early)))


def in_worker(stack: Rehearsal, *argv: str) -> tuple[int, str]:
    """Run the pipeline's command line as `docker compose run --rm --no-deps airflow-worker` does."""
    return stack.once("airflow-worker", "python", "-m", "pipeline", *argv, needed=False)
