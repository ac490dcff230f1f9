"""The stack itself: settings in, healthy processes out; watched while it runs, gone without a trace when it stops."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from stack import databases, preflight
from stack.client import Client
from stack.errors import StackError
from stack.process import Process, sweep
from stack.settings import Settings, without_airflow

Progress = Callable[[str], None]

STALE = 30.0
"""Seconds without a heartbeat after which a living process counts as stuck."""

GRACE = 45.0
"""Seconds a process may take to start before its heartbeat is judged."""

TOLD_BY_THE_API_SERVER = ("scheduler", "dag-processor")
"""Whose heartbeats the API server reports: while that doesn't answer, nothing is known of them."""

_PAGES = (
    "airflow.api_fastapi.app",
    "airflow.api_fastapi.core_api.routes.public",
    "airflow.api_fastapi.core_api.routes.ui",
)
"""What the API server imports before it first asks the database: it can do so while that is still being made."""


class Stack(Client):
    """Airflow's scheduler, DAG processor and API server, and MLflow's server, on loopback."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.processes: dict[str, Process] = {}
        self._held = ExitStack()
        self._asked = 0.0
        self._since = 0.0
        self._answered: dict[str, float] = {}

    @property
    def airflow_url(self) -> str:
        """Where Airflow's pages and API are."""
        return self.settings.airflow_url

    @property
    def mlflow_url(self) -> str:
        """Where MLflow's pages and API are."""
        return self.settings.mlflow_url

    @contextmanager
    def running(self, on_progress: Progress = lambda _: None, timeout: float = 120.0) -> Iterator[Stack]:
        """Start, hand out the healthy stack, and stop it whatever happens inside."""
        try:
            self.start(on_progress, timeout)
            yield self
        finally:
            self.stop()

    def start(self, on_progress: Progress = lambda _: None, timeout: float = 120.0) -> None:
        """Start everything and return when it is healthy; on_progress gets one line per step.

        Raises StackError when something is in the way (nothing is started then), or when a process dies or is not
        healthy within `timeout` seconds, with the end of its log.
        """
        os.umask(0o077)
        self._held.enter_context(preflight.only_launcher(self.settings))
        if found := sweep(self.settings.home):
            on_progress(f"ended {len(found)} processes that an earlier stack left behind")
        preflight.check(self.settings)
        self._prepare()
        deadline = time.monotonic() + timeout
        makings = databases.due(self.settings)
        due = {making.name for making in makings}
        for name, process in self.processes.items():
            process.start(held=("mlflow" if name == "mlflow" else "airflow") in due)  # import meanwhile
        if makings:
            on_progress(f"preparing the database of {' and of '.join(sorted(due))}")
            databases.make(self.settings, makings, deadline)
        self.settings.note()
        for process in self.processes.values():
            process.release()
        self._wait(on_progress, deadline)

    def stop(self, grace: float = 7.0) -> None:
        """Ask all to stop, kill what has not after `grace` seconds, and leave no process of this home behind."""
        for process in self.processes.values():
            process.ask_to_stop()
        deadline = time.monotonic() + grace
        for process in self.processes.values():
            process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
        if self.processes:
            sweep(self.settings.home)
        self.processes = {}
        self._held.close()

    def watch_once(self) -> list[str]:
        """Look once: restart what died or is stuck, and say in one line each what was done.

        Call it every second or so. Silence is held against a process only where it was asked and nobody else was to
        blame: not while the API server, which tells of the others, is down itself, nor for the time in which nobody
        looked (a machine that slept, a launcher that was held up). Raises StackError when a process keeps failing.
        """
        done = []
        for name, process in self.processes.items():
            if not process.alive:
                reason = f"ended with code {process.code}"
                process.restart(reason)
                done.append(f"{name} {reason}: restarted")
        now = time.time()
        if now - self._asked >= 5.0:
            if now - self._asked > STALE / 2:
                self._since = now  # from here on somebody looks
            self._asked = now
            self._note_beats()
            told = self._answered.get("api-server", 0.0) >= now
            for name, process in self.processes.items():
                process.trim()
                if name in TOLD_BY_THE_API_SERVER and not told:
                    continue
                heard = max(self._answered.get(name, 0.0), process.started + GRACE - STALE, self._since)
                silent = time.time() - heard
                if silent > STALE:
                    process.restart(f"was stuck for {silent:.0f} s")
                    done.append(f"{name} was stuck (no sign of life for {silent:.0f} s): restarted")
        return done

    def _prepare(self) -> None:
        settings, environment = self.settings, self.settings.environment()
        (settings.airflow_home / "airflow.cfg").touch()  # empty: every setting is in the environment
        config = settings.airflow_home / "config"
        config.mkdir(mode=0o700, exist_ok=True)
        (config / "airflow_local_settings.py").write_text("import stack.locks\n")
        preload = {"PIPELINE_PRELOAD_NOW": " ".join(settings.preload)}
        pages = {"PIPELINE_PRELOAD_NOW": " ".join(_PAGES)}
        local = [f"{host}:{settings.mlflow_port}" for host in ("127.0.0.1", "localhost")]
        mlflow_guard = {
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(local),
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}" for name in local),
        }
        mlflow = [
            *("mlflow", "server", "--host", "127.0.0.1", "--port", str(settings.mlflow_port), "--workers", "1"),
            *("--backend-store-uri", settings.mlflow_store),
            *("--no-serve-artifacts", "--default-artifact-root", str(settings.artifacts)),
        ]
        programs: dict[str, tuple[list[str], dict[str, str]]] = {
            "api-server": (["airflow", "api-server"], pages),
            "scheduler": (["airflow", "scheduler", "--skip-serve-logs"], preload),
            "dag-processor": (["airflow", "dag-processor"], {}),
            "mlflow": (mlflow, mlflow_guard),
        }
        self.processes = {
            name: Process(
                name, command, (without_airflow(environment) if name == "mlflow" else environment) | more, settings.home
            )
            for name, (command, more) in programs.items()
        }

    def _wait(self, on_progress: Progress, deadline: float) -> None:
        waiting = dict(self.processes)
        began = time.monotonic()
        while waiting:
            for process in self.processes.values():
                if not process.alive:
                    raise StackError(
                        f"{process.name} ended at start with code {process.code}; "
                        f"the end of {process.log}:\n{process.tail()}"
                    )
            self._note_beats()
            for name in [n for n in waiting if self._answered.get(n, 0.0) >= waiting[n].started]:
                del waiting[name]
                on_progress(f"{name} is ready after {time.monotonic() - began:.1f} s")
            if waiting and time.monotonic() > deadline:
                process = next(iter(waiting.values()))
                raise StackError(f"{process.name} is not healthy in time; the end of {process.log}:\n{process.tail()}")
            time.sleep(0.1)

    def _note_beats(self) -> None:
        """Write down when each process last gave a sign of life."""
        if self.mlflow_answers():
            self._answered["mlflow"] = time.time()
        try:
            self._answered |= self.beats()
            self._answered["api-server"] = time.time()
        except StackError:
            pass  # silence is counted where it is judged
