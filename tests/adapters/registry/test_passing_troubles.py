"""What passes by itself is tried again, and never taken for a final no; what is final stays final."""

from __future__ import annotations

import pytest

from pipeline.adapters.ledger.errors import translate as of_ledger
from pipeline.adapters.registry.errors import attempt, translate
from pipeline.core.errors import PipelineError, UnavailableError

SERVER, FILE = "http://mlflow:5000", "sqlite:////data/mlflow.db"


def rest(code: str, message: str) -> Exception:
    from mlflow.exceptions import RestException

    return RestException({"error_code": code, "message": message})


def lost(status: int) -> Exception:
    """What MLflow's client makes of an answer that is no JSON, such as a proxy's."""
    from mlflow.exceptions import MlflowException

    return MlflowException(
        f"API request to endpoint /api/2.0/runs/create failed with error code {status} != 200. Response body: 'no'"
    )


PASSING = [
    rest("BAD_REQUEST", "(sqlite3.OperationalError) database is locked"),
    rest(
        "INTERNAL_ERROR", "(psycopg2.errors.SerializationFailure) could not serialize access due to concurrent update"
    ),
    rest("INTERNAL_ERROR", "(psycopg2.errors.DeadlockDetected) deadlock detected"),
    rest("BAD_REQUEST", "(psycopg2.OperationalError) FATAL:  sorry, too many clients already"),
    rest("BAD_REQUEST", "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"),
    rest("BAD_REQUEST", "(psycopg2.OperationalError) FATAL:  the database system is starting up"),
    rest("BAD_REQUEST", "FATAL:  the database system is not yet accepting connections"),
    rest("BAD_REQUEST", "server closed the connection unexpectedly"),
    rest("INTERNAL_ERROR", "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00"),
    rest("BAD_REQUEST", "canceling statement due to lock timeout"),
    rest("INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"),
    rest("TEMPORARILY_UNAVAILABLE", "try later"),
    rest("REQUEST_LIMIT_EXCEEDED", "slow down"),
    lost(429),
    lost(500),
    lost(502),
    lost(503),
    lost(504),
    ConnectionResetError(104, "Connection reset by peer"),
]
FINAL = [
    rest("INVALID_PARAMETER_VALUE", "Invalid metric"),
    rest("RESOURCE_DOES_NOT_EXIST", "no such run"),
    rest("PERMISSION_DENIED", "not yours"),
    rest("INTERNAL_ERROR", "404 Client Error: NOT FOUND for url"),
    lost(403),
    lost(404),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: str(error)[:60])
def test_what_passes_is_tried_again(error: Exception) -> None:
    told = translate(SERVER, "record a day", error)
    assert isinstance(told, UnavailableError), told
    assert "try again" in str(told)
    tries = []

    def action() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise error
        return "done"

    assert attempt(SERVER, 0.0, "record a day", action) == "done"


@pytest.mark.parametrize("error", FINAL, ids=lambda error: str(error)[:60])
def test_what_is_final_is_not(error: Exception) -> None:
    assert not translate(SERVER, "record a day", error).retry


def test_a_locked_file_is_tried_again() -> None:
    from sqlalchemy.exc import OperationalError

    error = OperationalError("INSERT", {}, Exception("database is locked"))
    assert translate(FILE, "record a day", error).retry


def of_postgres(message: str, state: str = "") -> PipelineError:
    from sqlalchemy.exc import OperationalError

    cause = Exception(message)
    cause.sqlstate = state  # type: ignore[attr-defined]
    return of_ledger("postgresql://db/ledger", OperationalError("SELECT", {}, cause), ())


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ("could not serialize access due to concurrent update", "40001"),
        ("deadlock detected", "40P01"),
        ("canceling statement due to lock timeout", "55P03"),
        ("connection failed: FATAL:  sorry, too many clients already", ""),
        ("connection failed: FATAL:  the database system is starting up", ""),
        ("connection failed: FATAL:  canceling authentication due to timeout", ""),
        ("terminating connection due to administrator command", "57P01"),
        ("server closed the connection unexpectedly", ""),
        ("database is locked", ""),
        ("database or disk is full", ""),
    ],
)
def test_a_ledger_that_is_busy_or_starting_is_tried_again(message: str, state: str) -> None:
    told = of_postgres(message, state)
    assert isinstance(told, UnavailableError), told


@pytest.mark.parametrize(
    "message", ["FATAL:  password authentication failed for user 'x'", "no such table: promotions", "readonly database"]
)
def test_a_ledger_that_refuses_is_not(message: str) -> None:
    assert not of_postgres(message).retry
