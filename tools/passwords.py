"""`make secrets`: writes `.env` for docker-compose.yaml, readable by its owner alone. Needs nothing but Python.

A second run adds what a newer version of the file needs and changes nothing else.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

ENV = Path(__file__).resolve().parent.parent / ".env"


def password() -> str:
    """Letters and digits only: it stands in addresses."""
    return secrets.token_hex(24)


def fernet() -> str:
    """A key as Airflow wants it for stored connections."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def signing() -> str:
    """A key for signatures: 64 random bytes."""
    return secrets.token_hex(64)


Maker = Callable[[], str]
NEEDED: dict[str, dict[str, Maker]] = {
    "The databases' users.": dict.fromkeys(
        (
            *("POSTGRES_PASSWORD", "AIRFLOW_DB_PASSWORD", "CELERY_DB_PASSWORD"),
            *("MLFLOW_DB_PASSWORD", "LEDGER_OWNER_PASSWORD", "LEDGER_DB_PASSWORD"),
        ),
        password,
    ),
    "The broker.": {"REDIS_PASSWORD": password},
    "Airflow's keys: stored connections, tokens, sessions.": {
        "AIRFLOW_FERNET_KEY": fernet,
        "AIRFLOW_JWT_SECRET": signing,
        "AIRFLOW_API_SECRET_KEY": signing,
    },
    "People in Airflow: admin, operator (triggers), approver (answers), viewer (looks).": dict.fromkeys(
        [f"AIRFLOW_{name}_PASSWORD" for name in ("ADMIN", "OPERATOR", "APPROVER", "VIEWER")], password
    ),
    "MLflow: admin, the pipeline (writes), reviewer (looks).": dict.fromkeys(
        [f"MLFLOW_{name}_PASSWORD" for name in ("ADMIN", "PIPELINE", "REVIEWER")], password
    ),
    "MLflow's sessions.": {"MLFLOW_SECRET_KEY": signing},
}


def known(path: Path) -> set[str] | None:
    """The variables that a file sets; None if there is no file.

    Raises:
        SystemExit: Others can read it, or this user can't.
    """
    try:
        mode = path.stat().st_mode & 0o777
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemExit(f"{path} can't be read ({error}); give access, or move it away") from error
    if mode & 0o077:
        raise SystemExit(
            f"{path} can be read by others (mode {mode:04o}): `chmod 600` it, and change what they may have read"
        )
    return {line.split("=", 1)[0].strip() for line in lines if "=" in line and not line.lstrip().startswith("#")}


def added(there: Collection[str]) -> Iterator[str]:
    """The lines that are missing."""
    for title, makers in NEEDED.items():
        fresh = {name: make for name, make in makers.items() if name not in there}
        if fresh:
            yield f"\n# {title}\n"
            yield from (f"{name}={make()}\n" for name, make in fresh.items())


def main(path: Path = ENV) -> None:
    """Write what is missing."""
    there = known(path)
    text = "".join(added(there or ()))
    if not text:
        print(f"{path} has all it needs; nothing was changed")
        return
    if there is None:
        text = "# Secrets of docker-compose.yaml: not for version control. Keep a copy in a safe place.\n" + text
    # 0600 from the start, and never over a file that somebody else has made meanwhile.
    flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT | os.O_EXCL if there is None else 0)
    with os.fdopen(os.open(path, flags, 0o600), "a") as file:
        file.write(text)
    did = "Wrote" if there is None else "Added to"
    print(f"{did} {path}: the passwords of Airflow's and MLflow's users are in it; only you can read it")
    if there is not None:
        print(
            "A stack that has run before doesn't know a password that is new here: if one was lost, put the old one "
            "back, or see 'Change a secret' in docs/operations.md"
        )


if __name__ == "__main__":
    main()
