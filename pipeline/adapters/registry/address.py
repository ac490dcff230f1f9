"""Where MLflow is: its server, or its SQLite file without a server. Part of the registry adapter."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_SQLITE = "sqlite:///"
_HERE = ("127.0.0.1", "localhost", "::1")


def check_address(uri: str, own: Path | None) -> None:
    """Refuse what is neither a server's address nor a SQLite file in a folder that is there; nothing is made.

    MLflow itself takes text without a scheme for a folder, and makes it.

    Args:
        uri: What ``MLFLOW_TRACKING_URI`` says, or the home's own file.
        own: The home's folder of MLflow: the only one that need not be there yet.

    Raises:
        UsageError: It is something else.
    """
    if uri.startswith(_SQLITE):
        path = _file(uri)
        if path.name in ("", ":memory:") or "?" in uri:
            wrong = "names no file, or more than a file"
        elif path.is_dir():
            wrong = "is a folder and not a file"
        elif path.parent != own and not path.parent.is_dir():
            wrong = f"lies in {path.parent}, which is no folder"
        else:
            return
    elif uri.startswith(("http://", "https://")):
        wrong = _fault_of_server(uri)
        if not wrong:
            return
    else:
        wrong = "is neither a server's address nor a SQLite file's"
    raise UsageError(
        f"MLFLOW_TRACKING_URI={hidden(uri)} {wrong}: name a server, such as http://127.0.0.1:5000, or a SQLite file in "
        f"a folder that is there, such as sqlite:////data/mlflow.db, or unset it to use the file in PIPELINE_HOME"
    )


def page_address(server: str, experiment: str, run: str, file: str) -> str:
    """Where a person opens a run in MLflow's pages, with a file of it opened where one is named.

    Without its last part the pages open as those for language models, which show nothing of such a run.
    """
    opened = f"/artifacts/{quote(file)}" if file else ""
    return f"{server.rstrip('/')}/#/experiments/{experiment}/runs/{run}{opened}?workflowType=machine_learning"


def hidden(uri: str) -> str:
    """An address as it may be shown: without user and password."""
    return re.sub(r"^(\w[\w+.-]*://)?.*@", lambda found: found[1] or "", uri)


def connect(uri: str, own: Path | None) -> MlflowClient:
    """MLflow's client for an address; its SQLite file is made where there is none, in one piece.

    Raises:
        UsageError: The SQLite file may not be read and written. MLflow would try for minutes.
    """
    from mlflow.tracking import MlflowClient

    check_address(uri, own)
    if uri.startswith(_SQLITE):
        path = _file(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_database(path)
        if not os.access(path, os.R_OK | os.W_OK):
            raise UsageError(f"MLflow's database {path} may not be read and written; give this user access to it")
    return MlflowClient(uri, uri)


def check_place(usecase: str, location: str, uri: str, artifacts: str | None) -> None:
    """Refuse an experiment whose artifacts lie in another home: MLflow keeps their place as an absolute path.

    A home that was copied would write into the one it was copied from; MLflow can't be told another place afterwards.
    What a server keeps for its clients, or on a store that is no folder here, is its own affair.

    Raises:
        UsageError: They lie elsewhere.
    """
    place, root = _folder(location), _folder(artifacts or "")
    if place is None or root is None or place.is_relative_to(root):
        return
    server = not uri.startswith(_SQLITE)
    # A server may rightly keep an experiment elsewhere, but not where another home of ours would have put it.
    if server and (urlsplit(uri).hostname not in _HERE or place.parts[-3:] != ("mlflow", "artifacts", usecase)):
        return
    raise UsageError(
        f"MLflow's experiment '{usecase}' keeps its artifacts in {place} and not below {root}, as after a home was "
        f"moved or copied: go on in the old home, or link its old path to this one if it was moved, or set "
        f"PIPELINE_MLFLOW_ARTIFACTS={place.parent} to go on writing there",
        "MOVED",
    )


def _fault_of_server(uri: str) -> str:
    try:
        host, _ = urlsplit(uri).hostname, urlsplit(uri).port
    except ValueError as error:
        return f"is no address ({error})"
    return "" if host else "names no host"


def _file(uri: str) -> Path:
    return Path(uri.removeprefix(_SQLITE))


def _folder(location: str) -> Path | None:
    """The folder here that a location means, links followed; None where it is an address of something else."""
    if location.startswith("file:"):
        location = unquote(urlsplit(location).path)
    return Path(location).resolve() if location and not re.match(r"[\w+.-]+:", location) else None


def _make_database(path: Path) -> None:
    """Make MLflow's SQLite file in one piece: a process killed while it makes its tables would leave it unusable."""
    if path.exists():
        return
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        engine = create_sqlalchemy_engine(f"sqlite:///{part}")
        _initialize_tables(engine)
        engine.dispose()
        part.rename(path)
