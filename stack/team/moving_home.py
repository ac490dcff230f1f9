"""The embedded installation that is moved: found, held still, and its databases opened as copies."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Home:
    """An installation that nobody works on.

    Attributes:
        folder: Where it lies; read only.
        shown: What to call it.
        mlflow, ledger: Copies of its databases: to read SQLite's journals means to write beside them.
    """

    folder: Path
    shown: str
    mlflow: Path
    ledger: Path

    @property
    def store(self) -> Path:
        """Tables and files."""
        return self.folder / "store"

    @property
    def artifacts(self) -> Path:
        """MLflow's."""
        return self.folder / "mlflow" / "artifacts"


@contextmanager
def held(folder: Path, shown: str) -> Iterator[Home]:
    """The installation, held against its own stack and command line until the block ends.

    Raises:
        StackError: It is none, it is in use, or it is damaged.
    """
    parts = {"MLflow's database": "mlflow/mlflow.db", "promotion ledger": "store/ledger.db", "store": "store/tables"}
    with ExitStack() as until:
        try:
            if not folder.is_dir() or not any(folder.iterdir()):
                raise StackError(f"{shown} is not there or empty; name the home of an installation: FROM=var")
            absent = [f"{what} ({part})" for what, part in parts.items() if not (folder / part).exists()]
            if len(absent) == len(parts):
                raise StackError(f"{shown} is no home of an installation; name the one that you used: FROM=var")
            if absent:
                raise StackError(
                    f"the home {shown} is damaged or was never used, it has no {' and no '.join(absent)}; restore it "
                    "from a backup, or run a day in it first"
                )
            for lock in (folder / "stack.lock", *sorted((folder / "store").glob(".*.lock"))):
                _hold(lock, shown, until)
            kept = Path(until.enter_context(tempfile.TemporaryDirectory(prefix="moving-")))
            mlflow, ledger = (_copied(folder / part, kept) for part in ("mlflow/mlflow.db", "store/ledger.db"))
        except OSError as error:
            raise StackError(
                f"the home {shown} can't be read ({error.strerror or error}); give access to it, and make room in /tmp"
            ) from error
        yield Home(folder, shown, mlflow, ledger)


def _hold(lock: Path, shown: str, until: ExitStack) -> None:
    try:
        file = until.enter_context(lock.open("rb"))
    except FileNotFoundError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StackError(
            f"the home {shown} is in use ({lock.name} is held): stop its stack with Ctrl-C where it was started, let "
            "its runs end, and move again"
        ) from None


def _copied(database: Path, folder: Path) -> Path:
    """A sound copy, with what SQLite keeps beside it."""
    for part in (database, *(database.with_name(database.name + end) for end in ("-wal", "-journal"))):
        if part.exists():
            shutil.copyfile(part, folder / part.name)
    copy = folder / database.name
    try:
        with closing(sqlite3.connect(copy)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said, tables = str(error), 1
    if said != "ok" or not tables:
        raise StackError(
            f"{database.name} of the home is damaged ({said if said != 'ok' else 'it has no tables'}); put back a copy "
            "of it; nothing was written"
        )
    return copy
