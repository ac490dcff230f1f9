"""A wrong address of the promotion ledger and its database's errors, in our words. Part of the ledger adapter."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError, OperationalError

from pipeline.core.errors import PipelineError, RefusedError, UnavailableError, UsageError

_ACCESS = "give this user access to that file and its folder, or correct PIPELINE_LEDGER"
_AGAIN = "does not answer ({}); see that it runs and has room, or correct PIPELINE_LEDGER, and try again"
# What to look for in PostgreSQL's code, if there is one, and the message: servers give no code before they let one in.
_KINDS: tuple[tuple[str, type[PipelineError], str, str], ...] = (
    (
        "^42501 ",  # insufficient_privilege
        UsageError,
        "DENIED",
        "does not let this user do that ({}); let its owner call prepare(url, writer) of "
        "pipeline.adapters.ledger.schema for this user, or correct PIPELINE_LEDGER",
    ),
    # A server that is too busy to look at a password in time has not refused it.
    ("authentication due to timeout|authentication timeout|timeout expired", UnavailableError, "LEDGER", _AGAIN),
    # A session that was ended since it held a transaction too long. A standby, which may be about to become the first.
    ("^25P03 |^25006 ", UnavailableError, "LEDGER", _AGAIN),
    (
        "(?i:password|authentication|access denied)|no pg_hba.conf entry|not permitted to log in"
        '|FATAL: +(role ".*" does not exist|permission denied for database)',
        UsageError,
        "DENIED",
        "does not let this user in ({}); correct user and password in PIPELINE_LEDGER",
    ),
    (
        'FATAL: +database ".*" does not exist',
        UsageError,
        "LEDGER",
        "is not there ({}); make that database, or correct PIPELINE_LEDGER",
    ),
    (
        "invalid connection option|bad value for|invalid integer value|invalid port number",
        UsageError,
        "LEDGER",
        "can't be asked for ({}); correct PIPELINE_LEDGER",
    ),
    ("readonly|unable to open", UsageError, "LEDGER", f"can't be written ({{}}); {_ACCESS}"),
    ("^22... ", UsageError, "LINE", "can't hold that line ({}); correct what it says"),  # data_exception
)
_DAMAGED = ("no such table", "no such column", "has no column", "decode to UTF-8")


def address_of(url: str) -> sa.URL:
    """The address, if it is a SQLite file's or looks like another database's.

    Raises:
        UsageError: It is something else.
    """
    try:
        address = sa.make_url(url)
    except (ArgumentError, ValueError):
        wrong = "is no address of a database"
    else:
        if address.get_backend_name() != "sqlite":
            return address
        if address.database and address.database != ":memory:" and not address.query:
            return address
        wrong = "names no file, or more than a file"
    bare = re.sub(r"^(\w[\w+.-]*://)?.*@", lambda found: found[1] or "", url).split("?")[0]
    raise UsageError(
        f"PIPELINE_LEDGER={bare} {wrong}: name a SQLite file such as sqlite:////data/ledger.db or a database such as "
        f"postgresql+psycopg://user:password@host/name, or unset it to use the file in PIPELINE_HOME"
    )


def shown(address: sa.URL) -> str:
    """The address as it may be shown: without password and options, which may hold one, too."""
    return address.set(query={}).render_as_string(hide_password=True)


def secrets_of(address: sa.URL) -> tuple[str, ...]:
    """What no sentence may hold."""
    options = [value for name, value in address.query.items() if "pass" in name and isinstance(value, str)]
    return tuple(secret for secret in (address.password, *options) if secret)


def undriven(where: str, error: Exception) -> UsageError:
    """For a database that SQLAlchemy does not know, or whose driver is not installed."""
    return UsageError(
        f"PIPELINE_LEDGER={where} needs a database driver that is not there ({_cause(error, ())}); install it, or "
        f"correct the part before '://'"
    )


def unreachable(where: str, error: OSError) -> PipelineError:
    """For a file that can't be opened."""
    why = f"the promotion ledger at {where} can't be read and written ({error.strerror})"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return UnavailableError(f"{why}; make room on its disk and try again", "LEDGER")
    if error.errno == errno.EISDIR:
        return UsageError(f"{why}; put the ledger's file in its place, or correct PIPELINE_LEDGER", "LEDGER")
    return UsageError(f"{why}; {_ACCESS}", "LEDGER")


def unprepared(where: str, absent: Sequence[str], why: str) -> UsageError:
    """For a database that lacks something which this user may not create."""
    return UsageError(
        f"the promotion ledger at {where} has no {', '.join(absent)}, and this user may not make that ({why}): let the "
        f"owner of that database call prepare(url, writer) of pipeline.adapters.ledger.schema, or correct "
        f"PIPELINE_LEDGER",
        "LEDGER",
    )


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's code of what went wrong; empty on other databases and where no connection came about."""
    if isinstance(error, DataError):
        return "22000"  # the driver's own refusal, such as of a NUL, carries none
    return str(getattr(error.orig, "sqlstate", None) or "")


def translate(where: str, error: DBAPIError, secrets: Sequence[str]) -> PipelineError:
    """An error of ours for the database's, by what helps against it."""
    ledger, cause = f"the promotion ledger at {where}", _cause(error, secrets)
    for signs, kind, code, sentence in _KINDS:
        if re.search(signs, f"{sqlstate(error)} {cause}"):
            return kind(f"{ledger} {sentence.format(cause)}", code)
    damaged = any(sign in cause for sign in _DAMAGED)
    if damaged or not isinstance(error, OperationalError | InterfaceError):
        return RefusedError(
            f"{ledger} can't be used ({cause}); restore it from a backup, or correct PIPELINE_LEDGER", "CORRUPT"
        )
    return UnavailableError(f"{ledger} {_AGAIN.format(cause)}", "LEDGER")


def _cause(error: Exception, secrets: Sequence[str]) -> str:
    """What went wrong, on one line: without SQL, a link to read on, or a password."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    for secret in secrets:
        text = text.replace(secret, "***")
    return text if len(text) <= 200 else f"{text[:200]} …"
