"""MLflow's errors in our words, and which of them are worth another try. Part of the registry adapter."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.core.errors import PipelineError, UnavailableError, UsageError

T = TypeVar("T")

_ATTEMPTS, _PATIENCE = 3, 20.0
#: SQLite's words for a writer who is not done yet, and PostgreSQL's for two that waited for each other.
_LOCKED = re.compile(r"database (?:table )?is locked|deadlock detected|could not serialize access")
#: What a server says whose own database is not there now, has no connection left, or gave up waiting for a lock.
_PASSING = re.compile(
    r"too many (?:clients|connections)|remaining connection slots|no more connections allowed|QueuePool limit"
    r"|the database system is (?:starting up|shutting down|in recovery|not yet accepting)|not currently accepting"
    r"|server closed the connection|connection (?:was |is )?(?:reset|closed|refused|timed out|already closed)"
    r"|could not connect to server|terminating connection|lock timeout|statement timeout|lock wait timeout"
    r"|SSL SYSCALL|(?:lost connection to|gone away|could not receive data from server)",
    re.IGNORECASE,
)
_DENIED = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}


def attempt(uri: str, pause: float, what: str, action: Callable[[], T]) -> T:
    """Carry out an action that may be repeated as a whole; every error becomes one of ours.

    Args:
        uri: Where MLflow is, for the sentence.
        pause: Seconds before the second attempt; twice as long before the third.
        what: What the action does, as the end of "could not …".
        action: Finds what it has done before, and goes on from there.
    """
    from mlflow.exceptions import MlflowException

    foreign: tuple[type[Exception], ...] = (MlflowException, OSError)
    if not uri.startswith("http"):
        from alembic.util.exc import CommandError
        from sqlalchemy.exc import SQLAlchemyError

        foreign = (*foreign, SQLAlchemyError, CommandError)
    began = time.monotonic()
    tried = 1
    while True:
        try:
            return action()
        except foreign as error:
            translated = translate(uri, what, error)
            last = tried == _ATTEMPTS or time.monotonic() - began > _PATIENCE
            if last or not translated.retry:
                raise translated from error
        time.sleep(pause * tried)
        tried += 1


def translate(uri: str, what: str, error: Exception) -> PipelineError:
    """An error of ours for one of MLflow's, in one sentence; ``retry`` says whether to try again."""
    from mlflow.exceptions import MlflowException

    whole = cause(error)
    text = cut(whole, 300)
    code = error.error_code if isinstance(error, MlflowException) else ""
    if _LOCKED.search(whole):  # in the file itself, or told by the server whose database it is
        return UnavailableError(
            f"could not {what}: somebody else writes into the database of MLflow at {uri} for longer than anybody "
            f"waits; try again when they have ended: nothing is lost",
            "BUSY",
        )
    # Where the client itself could not connect it is the server that is down, and not what lies behind it.
    if code and _PASSING.search(whole) and not whole.startswith("API request to "):
        return UnavailableError(
            f"the database behind MLflow at {uri} does not answer now, so I could not {what}; see that it runs and has "
            f"connections left, and try again: nothing is lost ({text})"
        )
    known = _of_database(uri, what, error, whole) or _of_server(uri, what, error, whole, code)
    if known is not None:
        return known
    if code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}:
        return UsageError(f"could not {what}: MLflow at {uri} knows no such thing ({text})", "MISSING")
    if isinstance(error, OSError):
        return UnavailableError(
            f"could not {what}: MLflow's artifacts cannot be read or written ({text}); make room or give access, "
            f"and try again",
            "STORAGE",
        )
    return PipelineError(f"could not {what}: MLflow at {uri} says: {text}", "REGISTRY")


def _of_server(uri: str, what: str, error: Exception, whole: str, code: str) -> PipelineError | None:
    """The error of a server that does not do what it is asked, if it is one."""
    from requests.exceptions import RequestException

    text = cut(whole, 300)
    lost = text.startswith("API request to ") and " failed with " in text
    if lost and re.search(r"error code 40[45]\b", text):
        return UsageError(
            f"what answers at {uri} is not MLflow, or an older one, so I could not {what}; correct "
            f"MLFLOW_TRACKING_URI, which names a server such as http://127.0.0.1:5000"
        )
    # A server with a sign-in says so in plain text, which MLflow's client takes for an answer that was lost.
    if code in _DENIED or (lost and re.search(r"error code 40[13]\b", text)):
        return UsageError(
            f"could not {what}: MLflow at {uri} does not let this user; correct MLFLOW_TRACKING_USERNAME and "
            f"MLFLOW_TRACKING_PASSWORD, or have its admin allow it ({text})",
            "DENIED",
        )
    if lost or isinstance(error, RequestException) or code in {"DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"}:
        return UnavailableError(
            f"MLflow at {uri} does not answer, so I could not {what}; start it, or correct "
            f"MLFLOW_TRACKING_URI, and try again: nothing is lost ({_why(whole)})"
        )
    if code == "INTERNAL_ERROR" and uri.startswith("http") and not re.search(r"\b404\b", whole):
        # As a 500 in plain text: a fault of the server's, which may be over the next time it is asked.
        return UnavailableError(f"MLflow at {uri} failed, so I could not {what}; try again ({text})")
    if code in {"TEMPORARILY_UNAVAILABLE", "RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}:
        return UnavailableError(f"MLflow at {uri} is busy, so I could not {what}; try again ({text})", "BUSY")
    return None


def cause(error: Exception) -> str:
    """What went wrong, on one line: without SQL and its parameters, without a link to read on, without a password."""
    text = " ".join(str(error).split())
    text = re.split(r" ?(?:\[SQL: |\[parameters: |\(Background on this error at: )", text)[0]
    text = re.sub(r"\((?:(?:\w+\.)+\w*(?:Error|Exception|Warning)|raised as a result of [^)]*)\) ", "", text)
    text = re.sub(r" [Ss]ee https?://\S+[^.]*", "", text)
    return re.sub(r"//[^\s/]*@", "//", text)


def _of_database(uri: str, what: str, error: Exception, text: str) -> PipelineError | None:
    """The error of the database that MLflow keeps its runs in, if it is one."""
    whose = f"the database of MLflow at {uri}"
    made_by = re.search(r"out-of-date database schema \(found version (\w+)|Can't locate revision identified by", text)
    if made_by is not None and made_by[1] is not None and _upgradable(made_by[1]):
        return PipelineError(
            f"could not {what}: {whose} was made by an older MLflow; stop everything that uses it, keep a copy of it, "
            f"then run 'mlflow db upgrade' on it",
            "SCHEMA",
        )
    if made_by is not None:
        return PipelineError(
            f"could not {what}: {whose} was made by a newer MLflow than the one installed here; install that one, or "
            f"restore the database from a backup made before",
            "SCHEMA",
        )
    if "sqlite3." not in str(error):
        return None
    shown = cut(text, 200)
    if any(sign in text for sign in ("readonly", "unable to open", "is full", "disk I/O")):
        return UnavailableError(
            f"could not {what}: {whose} cannot be read or written ({shown}); make room or give access, and try again",
            "STORAGE",
        )
    if any(sign in text for sign in ("not a database", "malformed", "no such table", "no such column")):
        return PipelineError(
            f"could not {what}: {whose} is damaged or not MLflow's ({shown}); restore it from a backup, or correct "
            f"MLFLOW_TRACKING_URI",
            "CORRUPT",
        )
    return None


def _upgradable(revision: str) -> bool:
    """Whether the installed MLflow knows that version of its tables."""
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError
    from mlflow.store.db.utils import _get_alembic_config

    try:
        return ScriptDirectory.from_config(_get_alembic_config("")).get_revision(revision) is not None
    except CommandError:
        return False


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 2] + " …"


def cut_at_a_line(text: str, limit: int) -> str:
    """The text, or as many of its lines as fit and an ellipsis: half a row would be no row of a table."""
    if len(text) <= limit:
        return text
    whole, _, _ = text[: limit - 2].rpartition("\n")
    return f"{whole}\n\n…" if whole else cut(text, limit)


def _why(text: str) -> str:
    """What went wrong with a request, without the layers it was wrapped in."""
    for sign, meaning in (
        ("Connection refused", "connection refused"),
        ("timed out", "no answer within 10 seconds"),
        ("timeout", "no answer within 10 seconds"),
        ("Name or service not known", "no such host"),
        ("Failed to resolve", "no such host"),
        ("too many", "it answers with server errors"),
        ("Remote end closed", "it hung up without an answer"),
        ("Connection aborted", "it hung up without an answer"),
    ):
        if sign in text:
            return meaning
    return cut(text, 300)
