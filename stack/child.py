"""Runs one program of the stack so that nothing it starts outlives what started it.

`python -m stack.child airflow scheduler` is `python -m airflow scheduler`, with three differences: the kernel kills
the process when the launcher dies; every process it forks (LocalExecutor's workers, the tasks below them, the DAG
parser) is killed when its parent dies; and modules named in PIPELINE_PRELOAD_NOW are imported before any fork.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import runpy
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, and die at once if it already has."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(137)


def hostname() -> str:
    """Airflow's name for this machine: a look-up of the real one can cost seconds, and only one machine is meant."""
    return "localhost"


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


def _replace_waiting_parent() -> None:
    """`mlflow server` starts uvicorn and then only waits: become uvicorn instead, one process less to lose."""
    server = importlib.import_module("mlflow.server")

    def become(command: list[str], *, extra_env: dict[str, str], **_: object) -> None:
        os.execve(command[0], [str(part) for part in command], os.environ | extra_env)

    server._exec_cmd = become  # type: ignore[attr-defined]


def main(parent: int, program: str, arguments: list[str]) -> None:
    """Tie this process to `parent`, then become `python -m program arguments`."""
    die_with(parent)
    os.umask(0o077)
    if program == "airflow":
        _tie_forks()
        for module in os.environ.get("PIPELINE_PRELOAD_NOW", "").split():
            try:
                importlib.import_module(module)
            except ImportError as error:
                print(f"preload: {error}", flush=True)
    elif program == "mlflow":
        _replace_waiting_parent()
    sys.argv = [program, *arguments]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
