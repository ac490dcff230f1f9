"""What a restore asks of the databases themselves: whether they are empty, and new passwords for the first users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from stack.errors import StackError

OWNERS = {"airflow": "airflow", "celery": "celery", "ledger": "ledger_owner", "mlflow": "mlflow"}
"""Database to its owner, in the order in which they are dumped."""

_PASSWORDS = {
    "airflow": "AIRFLOW_DB_PASSWORD",
    "celery": "CELERY_DB_PASSWORD",
    "ledger": "LEDGER_OWNER_PASSWORD",
    "mlflow": "MLFLOW_DB_PASSWORD",
}
_AIRFLOW = ("admin", "operator", "approver", "viewer")
_MLFLOW = ("admin", "pipeline", "reviewer")
_TABLES = sa.text(
    """SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
       WHERE relkind IN ('r', 'p', 'v', 'S') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"""
)


def tables(settings: Mapping[str, str]) -> list[str]:
    """The databases that hold any table."""
    found = []
    for database in OWNERS:
        with _connected(database, settings) as connection:
            if connection.scalar(_TABLES):
                found.append(database)
    return found


def passwords(settings: Mapping[str, str]) -> list[str]:
    """Give the first users, as far as they are there, the passwords that this `.env` says; returns whom.

    The stack's own parts sign in as some of them, and would be turned away with what the old `.env` said.
    """
    from werkzeug.security import generate_password_hash

    changed = []
    for database, users, table, statement in (
        ("airflow", _AIRFLOW, "ab_user", "UPDATE ab_user SET password = :made WHERE username = :name"),
        ("mlflow", _MLFLOW, "users", "UPDATE users SET password_hash = :made WHERE username = :name"),
    ):
        with _connected(database, settings) as connection:
            if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is None:
                continue  # backed up while the stack first came up: airflow-init goes on from there
            for name in users:
                made = generate_password_hash(settings[f"{database.upper()}_{name.upper()}_PASSWORD"])
                if connection.execute(sa.text(statement), {"made": made, "name": name}).rowcount:
                    changed.append(f"{name} ({'Airflow' if database == 'airflow' else 'MLflow'})")
    return changed


@contextmanager
def _connected(database: str, settings: Mapping[str, str]) -> Iterator[sa.Connection]:
    address = sa.URL.create(
        "postgresql+psycopg", OWNERS[database], settings[_PASSWORDS[database]], "postgres", database=database
    )
    engine = sa.create_engine(address, poolclass=sa.pool.NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        said = str(error.orig).splitlines()[0]
        raise StackError(f"the database {database} says no ({said}); see `docker compose logs postgres`") from error
