"""Airflow's and MLflow's SQLite files, each made in one piece: a process killed at it leaves nothing half made.

Neither program makes its tables in one transaction. What a kill leaves half made MLflow does not start on ever again,
and Airflow takes for whole, without the indexes that were still to come.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from stack.errors import StackError
from stack.process import Process
from stack.settings import Settings, without_airflow


@dataclass(frozen=True, slots=True)
class Making:
    """What makes a database, or brings it up to date.

    Attributes:
        name: Whose it is.
        database: The file.
        command: What is run, without its address.
        variable: The variable that says the file's address; empty: the command's last word does.
        renews: Whether an existing file is brought up to date; if not, a file that is there is left alone.
    """

    name: str
    database: Path
    command: tuple[str, ...]
    variable: str
    renews: bool

    def process(self, part: Path, environment: Mapping[str, str], home: Path) -> Process:
        """The process that does it to `part`, not started yet."""
        address = f"sqlite:///{part}"
        there = {self.variable: address} if self.variable else {}
        command = [*self.command] if self.variable else [*self.command, address]
        known = environment if self.name == "airflow" else without_airflow(environment)
        return Process(f"migrate-{self.name}", command, {**known, **there}, home)


def due(settings: Settings) -> list[Making]:
    """What is to be done before the first start, and for Airflow after an upgrade.

    An MLflow file of an older MLflow is left as it is: its own server says what to do with it.
    """
    airflow = settings.airflow_home / "airflow.db"
    mlflow = settings.mlflow_home / "mlflow.db"
    for database in (airflow, mlflow):
        _was_whole(database)  # what can't be read is refused before anything starts
    found = []
    if not _migrated(settings):
        migrate = ("airflow", "db", "migrate")
        found.append(Making("airflow", airflow, migrate, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", renews=True))
    if not mlflow.exists():
        found.append(Making("mlflow", mlflow, ("mlflow", "db", "upgrade"), "", renews=False))
    return found


def make(settings: Settings, makings: Sequence[Making], deadline: float) -> None:
    """Make them, side by side, each in one piece; raises StackError with the end of the log where one fails."""
    environment = settings.environment()
    with ExitStack() as pieces:
        started = []
        for making in makings:
            part = pieces.enter_context(in_one_piece(making.database, renew=making.renews))
            process = making.process(part, environment, settings.home)
            process.start()
            pieces.callback(process.kill)  # before its piece is put in its place
            started.append(process)
        for making, process in zip(makings, started, strict=True):
            if process.wait(max(0.0, deadline - time.monotonic())) != 0:
                raise StackError(
                    f"{making.name}'s database could not be prepared; the end of {process.log}:\n{process.tail()}"
                )
    if any(making.name == "airflow" for making in makings):
        _stamp(settings).write_text(_state(settings.airflow_home / "airflow.db"))


@contextmanager
def in_one_piece(database: Path, *, renew: bool) -> Iterator[Path]:
    """A file to work on, which takes the place of `database` at the end; an error or a kill before changes nothing.

    With `renew` it starts as a copy of what is there, without as no file at all, and what is there stays. Whoever else
    makes the same file by the same rule (the product makes MLflow's where it runs without a stack) waits at the lock.
    """
    part = database.with_name(f".{database.name}.part")
    with database.with_name(f".{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in part.parent.glob(f"{part.name}*"):
            leftover.unlink()
        if renew and _was_whole(database):
            with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(part)) as new:
                old.backup(new)
        yield part
        _fold(part)
        if renew or not database.exists():
            # The journal of another file must not come to lie beside the new one: SQLite would read it as its own.
            _fold(database)
            part.replace(database)
        else:
            part.unlink()


def _fold(database: Path) -> None:
    """Bring into the file itself what SQLite keeps in its journal beside it, and take the journal away."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise StackError(f"another program has {database} open ({error}); end it, and start the stack again") from error


def _was_whole(database: Path) -> bool:
    """Whether the file was ever finished: the revision is what is written last."""
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(database)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone())
    except sqlite3.OperationalError as error:
        raise StackError(
            f"{database} can't be opened ({error}); end the program that has it open, or give access to it"
        ) from error
    except sqlite3.DatabaseError as error:
        raise StackError(
            f"{database} can't be read as a database ({error}); put back a copy of it, or move it away to begin anew"
        ) from error


def _migrated(settings: Settings) -> bool:
    """Whether Airflow's database is at the revision this Airflow left it at, so that `db migrate` has nothing to do."""
    try:
        return _stamp(settings).read_text() == _state(settings.airflow_home / "airflow.db")
    except (OSError, sqlite3.Error):
        return False


def _stamp(settings: Settings) -> Path:
    return settings.airflow_home / "migrated"


def _state(database: Path) -> str:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision = found[0] if found else "no revision"
    return f"apache-airflow-core {version('apache-airflow-core')} at {revision}"
