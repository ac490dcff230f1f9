"""Outside: starts the engine in namespaces of its own, publishes its ports, tells it what to do."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.rehearsal import ports
from tests.rehearsal.composefile import ComposeError, read
from tests.rehearsal.images import programs_of_postgres

ROOT = Path(__file__).resolve().parents[2]


def missing() -> str:
    """Why no rehearsal can be held here, in a sentence; empty where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the rehearsal of docker-compose.yaml makes namespaces, which needs Linux and root"
    programs = {
        "postgresql": programs_of_postgres() is not None,
        "redis-server": shutil.which("redis-server") is not None,
        "util-linux": all(map(shutil.which, ("unshare", "nsenter", "setpriv"))),
    }
    absent = [name for name, there in programs.items() if not there]
    return f"the rehearsal of docker-compose.yaml needs: apt-get install {' '.join(absent)}" if absent else ""


class Rehearsal:
    """The team's stack of one folder. A context manager: leaving it stops everything; `folder` stays if it was given.

    Args:
        variables: What `.env` holds.
        file: Which file to run.
        scale: Service to how many of it.
        binds: A mounted path as the file names it, to where it lies here.
        folder: Keeps volumes and logs; a new one if none is given.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        file: Path = ROOT / "docker-compose.yaml",
        scale: Mapping[str, int] | None = None,
        binds: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        if reason := missing():
            raise ComposeError(reason)
        self.variables, self.file = dict(variables), file
        self.scale, self.binds = dict(scale or {}), dict(binds or {})
        self.compose = read(file, self.variables)
        self._made = folder is None
        # Not below a test's own folder: a socket's path may have some hundred characters.
        self.folder = folder or Path(tempfile.mkdtemp(prefix="rehearsal-"))
        self._engine: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Rehearsal:
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in (self.folder / "control", *self.folder.glob("port-*")):
            old.unlink(missing_ok=True)
        plan = {"file": str(self.file), "variables": self.variables, "scale": self.scale, "binds": self.binds}
        path = self.folder / "plan.json"
        path.touch(0o600)
        path.write_text(json.dumps(plan))
        parent = os.getpid()

        def end_with_parent() -> None:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(137)

        namespaces = ("--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=KILL")
        with (self.folder / "engine.log").open("ab") as log:
            self._engine = subprocess.Popen(
                ["unshare", *namespaces, sys.executable, "-m", "tests.rehearsal.engine", str(self.folder)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent,  # noqa: PLW1509 - one call to the kernel
            )  # fmt: skip
        for _ in range(200):
            if (self.folder / "control").exists():
                break
            if self._engine.poll() is not None:
                raise ComposeError(f"the rehearsal did not start: {(self.folder / 'engine.log').read_text()[-1000:]}")
            time.sleep(0.05)
        for service in self.compose.services.values():
            for address, published, _ in service.ports:
                ports.publish(address, published, self.folder / f"port-{published}")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.ask("down")
        except (OSError, ComposeError):
            pass
        finally:
            if self._engine is not None:
                self._engine.kill()
                self._engine.wait()
            if self._made:
                shutil.rmtree(self.folder, ignore_errors=True)

    def up(self, say: Callable[[str], None] = lambda _: None, services: Sequence[str] = (), **scale: int) -> None:
        """Start everything in the file's order, and wait until it is healthy.

        Args:
            say: Is told each step.
            services: Only these, and what they depend on; by default all that have no profile.
            scale: Service to how many of it.

        Raises:
            ComposeError: Something ended, or is not healthy in its time; with the end of its log.
        """
        wanted = {name.replace("_", "-"): number for name, number in scale.items()}
        self.ask("up", say, services=list(services), scale=wanted)

    def once(
        self, service: str, *command: str, needed: bool = True, timeout: float = 120, **variables: str
    ) -> tuple[int, str]:
        """Run a service to its end, as `VARIABLE=… docker compose run --rm SERVICE` does; status and output.

        Args:
            service: Which, a profile's or any other.
            command: Instead of its own.
            needed: Whether what it depends on is started first; not with `--no-deps`.
            timeout: In seconds.
            variables: Over those of `.env`.
        """
        answer = self.ask(
            "once", name=service, command=list(command), needed=needed, timeout=timeout, variables=variables
        )
        return answer["status"], answer["said"]

    def run(self, name: str, *argv: str, timeout: float = 60, stdin: bytes = b"") -> tuple[int, str]:
        """Run a command inside an instance; status and output."""
        encoded = base64.b64encode(stdin).decode()
        answer = self.ask("run", name=name, argv=list(argv), timeout=timeout, stdin=encoded)
        return answer["status"], answer["said"]

    def kill(self, name: str) -> None:
        """End an instance at once; it is started again where the file says so."""
        self.ask("kill", name=name)

    def stop(self, name: str) -> None:
        """Stop an instance; it stays stopped."""
        self.ask("stop", name=name)

    def start(self, name: str) -> None:
        """Start an instance that was stopped."""
        self.ask("start", name=name)

    def listening(self) -> set[tuple[str, int]]:
        """Where the stack's processes listen, inside its own network."""
        return {(address, port) for address, port in self.ask("listening")["addresses"]}

    def memory(self) -> dict[str, int]:
        """Bytes that each instance takes at present."""
        return dict(self.ask("memory")["taken"])

    def restarts(self) -> dict[str, int]:
        """How often each instance was started again."""
        return dict(self.ask("processes")["restarts"])

    def log(self, name: str) -> str:
        """Everything that an instance has said."""
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def ask(self, what: str, say: Callable[[str], None] = lambda _: None, **more: Any) -> dict[str, Any]:
        """Send a request to the engine and wait for its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "control"))
            with connection.makefile("rw") as lines:
                lines.write(json.dumps({"do": what, **more}) + "\n")
                lines.flush()
                for line in lines:
                    told = json.loads(line)
                    if "error" in told:
                        raise ComposeError(told["error"])
                    if "answer" in told:
                        return dict(told["answer"])
                    say(told["progress"])
        raise ComposeError("the rehearsal has ended")
