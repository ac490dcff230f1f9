"""What must hold before anything starts, each refused in one sentence with the way out."""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from stack.errors import StackError
from stack.settings import Settings

DISK_WANTED = 1 << 30


@contextmanager
def only_launcher(settings: Settings) -> Iterator[None]:
    """Hold the lock of this home. Raises StackError when another launcher holds it; the kernel frees it at death."""
    settings.folders()
    path = settings.home / "stack.lock"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "another process"
            raise StackError(
                f"a stack already runs on {settings.home} ({holder}); "
                "stop it first, or set PIPELINE_HOME to another folder"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, {settings.airflow_url}, {settings.mlflow_url}")
        file.flush()
        yield
        file.truncate(0)


def check(settings: Settings) -> None:
    """Raise StackError if a program is missing, the disk nearly full, the DAG folder absent or a port taken."""
    missing = [name for name in ("airflow", "mlflow") if importlib.util.find_spec(name) is None]
    if missing:
        raise StackError(f"this Python has no {' and no '.join(missing)}; run with the project's own, .venv/bin/python")
    free = shutil.disk_usage(settings.home).free
    if free < DISK_WANTED:
        raise StackError(
            f"only {free / 2**20:,.0f} MB are free on the disk of {settings.home}, at least {DISK_WANTED / 2**20:,.0f} "
            "are needed; free some space, or set PIPELINE_HOME to a folder on another disk"
        )
    if not settings.dags.is_dir():
        raise StackError(f"there is no DAG folder {settings.dags}; start from the project, or set PIPELINE_DAGS")
    for who, name, port in (
        ("Airflow", "PIPELINE_AIRFLOW_PORT", settings.airflow_port),
        ("MLflow", "PIPELINE_MLFLOW_PORT", settings.mlflow_port),
    ):
        _free_port(who, name, port)


def _free_port(who: str, name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
            raise StackError(f"port {port}, meant for {who}, {why}; choose another: {name}={port + 1000}") from None
