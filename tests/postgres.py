"""A private PostgreSQL server for tests: Debian's binaries, a folder of its own, a free port of this machine only.

    with Postgres() as server:
        server.sql("CREATE DATABASE mine")
        url = server.url("mine")

`running()` is what a session's fixture wants: it skips, or fails where the server must be there.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

NEEDED = "PostgreSQL's server is not installed: apt-get install postgresql, or put initdb and postgres on the PATH"
# The tests end servers, never the machine, so nothing must reach the disk. Small, since two cores run it all.
_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "lc_messages": "C",
    "autovacuum": "off",
}
_LIBC = ctypes.CDLL(None)


def binaries() -> Path | None:
    """The folder with initdb and postgres: the PATH's, else the newest of Debian's."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name.zfill(4), reverse=True)
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in (*on_path, *debian):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return (folder / "postgres").resolve().parent
    return None


class Postgres:
    """One server. Its superuser is ``postgres``, with ``password``; every connection must give one.

    Attributes:
        folder: Where its data are. When run as root, the server is another user, who must be able to come there.
        port: On 127.0.0.1; the same after a restart.
        password: Made up anew for each server.
        process: The server's own, once started.
    """

    def __init__(self, folder: Path | None = None, **options: str) -> None:
        """Make nothing yet.

        Args:
            folder: A folder for it alone; one that is removed when the server stops for good, if none is given.
            options: Settings as in postgresql.conf.
        """
        self._own = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = 0
        self.password = secrets.token_hex(16)
        self.process: subprocess.Popen[bytes] | None = None
        self._options = _OPTIONS | options
        self._user = _somebody() if os.geteuid() == 0 else None

    def start(self) -> int:
        """Make the data if there are none, start, and wait until it answers; returns the port."""
        if not (self.folder / "data").exists():
            self._make()
        last = ""
        for _ in range(5):  # somebody else may take a free port before the server does
            self.port = self.port or _free_port()
            if (last := self._launch()) == "":
                return self.port
            if "could not bind" not in last:
                break
            self.port = 0
        raise RuntimeError(f"PostgreSQL did not start: {last}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT at once but in order, SIGQUIT as a crash, SIGTERM when the last one has left."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> int:
        """Stop and start on the same port; returns it."""
        self.stop(how)
        return self.start()

    def sql(self, statement: str, database: str = "postgres", user: str = "postgres", password: str = "") -> list[Any]:
        """Run it, in no transaction, and return the rows, if any; ``psycopg``'s errors are not touched."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=user,
            password=password or self.password,
            autocommit=True,
            connect_timeout=30,
        ) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """The address for SQLAlchemy."""
        signed = f"{quote(user, safe='')}:{quote(password or self.password, safe='')}"
        return f"postgresql+psycopg://{signed}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def __enter__(self) -> Postgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        secret = self.folder / "password"
        secret.write_text(self.password)
        if self._user is not None:
            for path in (self.folder, secret):
                os.chown(path, *self._user)
        done = subprocess.run(
            [
                *(_binary("initdb"), "--pgdata", self.folder / "data", "--username", "postgres"),
                *("--pwfile", secret, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        secret.unlink()
        if done.returncode:
            raise RuntimeError(f"initdb could not make {self.folder / 'data'}: {done.stdout}{done.stderr}")

    def _launch(self) -> str:
        """Empty when it answers, else the end of what it wrote."""
        options = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        log = self.folder / "log"
        with log.open("wb") as told:
            self.process = subprocess.Popen(
                [_binary("postgres"), "-D", self.folder / "data", "-p", str(self.port), *options],
                stdout=told,
                stderr=told,
                preexec_fn=_end_with_us,  # noqa: PLW1509 - it is one system call
                **self._as_user(),
            )
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.sql("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return ""
        self.stop(signal.SIGQUIT)
        return log.read_text(errors="replace")[-2000:] or "it wrote nothing"

    def _as_user(self) -> dict[str, Any]:
        # Out of a folder that this user may not enter; its home may not exist.
        somebody = {"cwd": self.folder, "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}}
        if self._user is not None:
            somebody |= {"user": self._user[0], "group": self._user[1], "extra_groups": ()}
        return somebody


@contextmanager
def running(**options: str) -> Iterator[Postgres]:
    """A server for as long as the block lasts.

    Where none is installed the test is skipped, unless CI is set or NEEDS_STACK=1: there it fails.
    """
    if binaries() is None:
        needed = os.environ.get("CI") or os.environ.get("NEEDS_STACK") == "1"
        (pytest.fail if needed else pytest.skip)(NEEDED)
    with Postgres(**options) as server:
        yield server


def _binary(name: str) -> Path:
    folder = binaries()
    if folder is None:
        raise RuntimeError(NEEDED)
    return folder / name


def _somebody() -> Sequence[int]:
    """A user without rights, since PostgreSQL refuses to be root."""
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise RuntimeError("PostgreSQL can't run as root, and there is neither a user postgres nor nobody")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _end_with_us() -> None:
    _LIBC.prctl(1, signal.SIGQUIT, 0, 0, 0)  # PR_SET_PDEATHSIG: tests that are killed leave no server behind
