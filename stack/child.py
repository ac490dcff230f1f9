"""Runs one program of the stack so that nothing it starts outlives what started it.

`python -m stack.child airflow scheduler` is `python -m airflow scheduler`, with three differences: the kernel kills
the process when the launcher dies; every process it forks (LocalExecutor's workers, the tasks below them, the DAG
parser) is killed when its parent dies; and modules named in PIPELINE_PRELOAD_NOW are imported before any fork.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, and die at once if it already has."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(137)


def _tie_forks() -> None:
    """Tie every forked child to its parent. Linux means the parent's thread, so only the main thread's forks count."""
    forking: list[int] = []

    def before() -> None:
        main = threading.current_thread() is threading.main_thread()
        forking[:] = [os.getpid()] if main else []

    def child() -> None:
        if forking:
            die_with(forking[0])

    os.register_at_fork(before=before, after_in_child=child)


def _serve_in_this_process() -> None:
    """`mlflow server` starts uvicorn and then only waits: be uvicorn instead, behind the guard, and import once."""
    uvicorn = importlib.import_module("uvicorn.main")  # before mlflow.server, which guards itself only when served
    server = importlib.import_module("mlflow.server")

    def be(command: list[str], *, extra_env: dict[str, str], **_: object) -> None:
        os.environ.update(extra_env)
        if command[-1] != "mlflow.server.fastapi_app:app":
            sys.exit(f"this MLflow serves {command[-1]}, which stack/guard.py doesn't know; install the pinned MLflow")
        asgi = importlib.import_module("mlflow.server.fastapi_app")
        guard = importlib.import_module("stack.guard")
        root = Path(extra_env["_MLFLOW_SERVER_ARTIFACT_ROOT"])
        origins = os.environ["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
        asgi.app = guard.Guard(asgi.app, root, origins)  # type: ignore[attr-defined]
        sys.argv = [str(part) for part in command[2:]]  # [python, -m, uvicorn, ...]
        sys.exit(uvicorn.main())

    server._exec_cmd = be  # type: ignore[attr-defined]


def _collect_garbage_later(seconds: float = 15.0) -> None:
    """Building routes and schemas makes no garbage, yet a fifth of a server's start goes into looking for it."""

    def begin() -> None:
        gc.freeze()
        gc.enable()

    gc.disable()
    timer = threading.Timer(seconds, begin)
    timer.daemon = True
    timer.start()


def main(parent: int, program: str, arguments: list[str]) -> None:
    """Tie this process to `parent`, then become `python -m program arguments`."""
    die_with(parent)
    os.umask(0o077)
    if {"api-server", "server"} & set(arguments[:1]):
        _collect_garbage_later()
    if (program, *arguments[:1]) == ("mlflow", "server"):
        _serve_in_this_process()
    else:
        _tie_forks()
    for module in os.environ.get("PIPELINE_PRELOAD_NOW", "").split():
        try:
            importlib.import_module(module)
        except ImportError as error:
            print(f"preload: {error}", flush=True)
    sys.stdin.read()  # the launcher may hold a process back here, warmed up, until the database is ready
    sys.argv = [program, *arguments]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
