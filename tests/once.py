"""What takes long and is made once for all workers of a session: a folder to copy, never to write into."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name, filled by ``make`` if no worker has done so yet; whoever comes meanwhile waits.

    Args:
        factory: The session's.
        name: One for each thing that is made.
        make: Is given the empty folder. What it returns is not kept, for other workers could not have it.
    """
    base = factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "once"
    shared.mkdir(exist_ok=True)
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made, begun = shared / name, shared / f"{name}.begun"
        if not made.exists():
            shutil.rmtree(begun, ignore_errors=True)  # somebody's who failed at it
            begun.mkdir()
            make(begun)
            begun.rename(made)
    return made


def databases_in(factory: pytest.TempPathFactory, home: Path) -> Path:
    """A home of an embedded stack that is new but for Airflow's and MLflow's empty databases, which take long to make.

    How they are made is for tests of their own: those begin without.
    """
    from stack import Settings, databases

    def make(folder: Path) -> None:
        settings = Settings(folder)
        settings.folders()
        databases.make(settings, databases.due(settings), time.monotonic() + 300)

    kept = once(factory, "databases", make)
    for name in ("airflow/airflow.db", "airflow/migrated", "mlflow/mlflow.db"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept / name, home / name)
    return home
