"""One supervised process: its own session, its own log, tied to the launcher, restarted within reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stack.errors import StackError

MARKER = "PIPELINE_STACK"
"""Each supervised process, and all it starts, carries this variable with the stack's home: how leftovers are found."""

CRASHES, WITHIN = 5, 600.0
"""This many crashes within so many seconds, and restarting is no longer help."""

LOG_LIMIT = 20 * 2**20


class Process:
    """A child of the launcher. Start it from a thread that outlives it: Linux ties the child to that thread."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], home: Path) -> None:
        self.name = name
        self.command = command
        self.log = home / "logs" / f"{name}.log"
        self.started = 0.0
        self._environment = {**environment, MARKER: str(home), "SPT_NOENV": "1"}  # else setproctitle wipes the marker
        self._home = home
        self._child: subprocess.Popen[bytes] | None = None
        self._crashes: deque[float] = deque(maxlen=CRASHES)

    def start(self, *, held: bool = False) -> None:
        """Start it as the leader of a new session, its words appended to its log; a held one waits for `release`."""
        self.trim()
        program = [sys.executable, "-P", str(Path(__file__).with_name("child.py")), str(os.getpid()), *self.command]
        with os.fdopen(os.open(self.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as log:
            self._child = subprocess.Popen(
                program,
                env=self._environment,
                cwd=self._home,
                stdin=subprocess.PIPE if held else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = time.time()

    def release(self) -> None:
        """Let a held process go on."""
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
            self.started = time.time()

    @property
    def pid(self) -> int:
        """Its process id, which is also its session's and its group's."""
        if self._child is None:
            raise StackError(f"{self.name} was never started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs; a finished child is reaped by asking."""
        return self._child is not None and self._child.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs; negative is the signal that ended it."""
        return None if self._child is None else self._child.poll()

    def wait(self, timeout: float) -> int | None:
        """The exit code, or None when it still runs after `timeout` seconds."""
        try:
            return None if self._child is None else self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself; what is below it is its own affair."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole group, the leader and whatever outlived it."""
        if self._child is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def restart(self, reason: str) -> None:
        """Kill what is left and start again; the fifth crash in ten minutes raises StackError instead."""
        self.kill()
        now = time.monotonic()
        self._crashes.append(now)
        if len(self._crashes) == CRASHES and now - self._crashes[0] < WITHIN:
            raise StackError(
                f"{self.name} failed {CRASHES} times within {WITHIN / 60:.0f} minutes ({reason}), "
                f"so restarting does not help; the end of {self.log}:\n{self.tail()}"
            )
        self.start()

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log, for an error message."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 16_384))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return "(no log was written)"
        return "\n".join(line[:300] for line in text.splitlines()[-lines:]) or "(the log is empty)"

    def trim(self) -> None:
        """Keep one older log beside the current one, so that a year of logs does not fill the disk."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            older = self.log.with_suffix(".log.1")
            older.write_bytes(self.log.read_bytes())
            older.chmod(0o600)
            os.truncate(self.log, 0)  # the process goes on appending to the same file


def members(home: Path) -> list[int]:
    """Every process, of this launcher or of a dead one, that carries the mark of this home."""
    mark = f"{MARKER}={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0") and _state(entry) != "Z":
                    found.append(int(entry.name))
            except OSError:
                continue  # gone meanwhile, or not ours to read
    return found


def sweep(home: Path, patience: float = 5.0) -> list[int]:
    """Kill every member of this home and return who was found. Raises StackError when one cannot be killed."""
    swept: list[int] = []
    deadline = time.monotonic() + patience
    while left := members(home):
        swept += [pid for pid in left if pid not in swept]
        if time.monotonic() > deadline:
            raise StackError(f"processes {left} of an earlier stack on {home} cannot be killed; end them first")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            except PermissionError as error:
                raise StackError(f"process {pid} on {home} belongs to another user; end it first") from error
        time.sleep(0.05)
    return swept


def _state(entry: Path) -> str:
    """One letter; Z is a zombie, dead but not yet reaped."""
    return (entry / "stat").read_text().rpartition(")")[2].split()[0]
