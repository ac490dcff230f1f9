"""`python -m stack.team.init`: brings databases, pools, roles and first users to what this version needs.

Runs whenever the stack comes up, before everything else, and again without harm: what is there already is left as it
is, people's own passwords and permissions included. An upgrade of the image is this, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from stack.team import mlflow_users

_STEPS: list[tuple[str, Callable[[], str]]] = []


def _step(what: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    def keep(function: Callable[[], str]) -> Callable[[], str]:
        _STEPS.append((what, function))
        return function

    return keep


@_step("Airflow's database")
def airflow_database() -> str:
    """Tables of Airflow and of its sign-in, made or migrated."""
    from airflow.utils.db import upgradedb

    upgradedb()
    return "is up to date"


@_step("Airflow's pools")
def pools() -> str:
    """How many trainings may run at once in the whole stack; a number that somebody has changed stays.

    Of ingests as many as their worker takes: more would be queued in the place of tasks that compute.
    """
    from airflow.models.pool import Pool

    asking = "Ingests at once, as many as their worker has slots: INGEST_SLOTS"
    Pool.create_or_update_pool("ingest", int(os.environ["INGEST_SLOTS"]), asking, include_deferred=False)
    slots = int(os.environ["TRAINING_SLOTS"])
    there = Pool.get_pool("training")
    if there is None:
        Pool.create_or_update_pool("training", slots, "Trainings at once, over all use cases", include_deferred=False)
        return f"training: {slots} slots"
    kept = "" if there.slots == slots else "; TRAINING_SLOTS counts at the first start, change it under Admin, Pools"
    return f"are there (training: {there.slots} slots{kept})"


@_step("Airflow's roles and first users")
def airflow_users() -> str:
    """Roles get the permissions they are declared with; users are made where they are missing."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    from stack.team.roles import ROLES, USERS

    made = []
    with get_application_builder() as builder:
        security: Any = builder.sm
        security.sync_roles()
        security.bulk_sync_roles(ROLES)
        for name, role in USERS.items():
            if security.find_user(username=name) is not None:
                continue
            password = os.environ[f"AIRFLOW_{name.upper()}_PASSWORD"]
            known = security.find_role(role)
            if known is None or not security.add_user(name, name, "", f"{name}@localhost", known, password):
                raise RuntimeError(f"the user {name} could not be made")
            made.append(f"{name} ({role})")
    return f"made {', '.join(made)}" if made else "are there"


@_step("the promotion ledger")
def ledger() -> str:
    """Its tables, and what the pipeline's user may do with them: read and append, nothing else."""
    from pipeline.adapters.ledger.schema import prepare

    prepare(os.environ["LEDGER_OWNER_URL"], os.environ["LEDGER_WRITER"])
    return "is up to date"


@_step("MLflow's users")
def mlflow() -> str:
    """The pipeline's user, who writes, and the reviewer, who reads."""
    made = mlflow_users.prepare(
        os.environ.get("MLFLOW_URL", "http://mlflow:5000"),
        os.environ["MLFLOW_ADMIN_PASSWORD"],
        pipeline=os.environ["MLFLOW_PIPELINE_PASSWORD"],
        reviewer=os.environ["MLFLOW_REVIEWER_PASSWORD"],
    )
    return f"made {', '.join(made)}" if made else "are there"


def main() -> int:
    """0 when everything is as it must be; the first thing that isn't ends it, and the next `up` tries again."""
    for what, step in _STEPS:
        print(f"{what} ...", flush=True)
        try:
            print(f"{what} {step()}", flush=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, a person reads it here
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"{what} could not be made ready ({told}); mend it, then make up", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
