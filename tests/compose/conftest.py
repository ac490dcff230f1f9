"""One team's stack for all live tests of a session: it takes a minute to start."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.upstream import deliver
from tests.compose.signed_in import Client
from tests.compose.team import ASKED, FIRST, HISTORY, LAST, NAMES, Person, days, needs_rehearsal
from tests.rehearsal import ports
from tests.rehearsal.client import Rehearsal
from tests.rehearsal.project import copy, variables


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a team has it: one of its use cases wants a person's approval, and upstream has delivered."""
    needs_rehearsal()
    made = copy(tmp_path_factory.mktemp("team"))
    declaration = made / "pipeline" / "usecases" / ASKED / "__init__.py"
    promotion = '    promotion=Promotion("person", ("approver",)),\n    schedule=Schedule('
    text = declaration.read_text().replace("    schedule=Schedule(", promotion)
    text = text.replace("import Schedule, Usecase", "import Promotion, Schedule, Usecase")
    assert text.count("Promotion") == 2
    declaration.write_text(text)
    for name in NAMES:  # fewer fits a day, and days enough to a promotion: it is the stack that is tested here
        file = made / "pipeline" / "usecases" / name / "__init__.py"
        declared = file.read_text()
        fewer = 'tuple(recipe for recipe in RECIPES if recipe.name in ("linear_14", "boosting_21"))'
        assert "recipes=RECIPES," in declared
        file.write_text(declared.replace("recipes=RECIPES,", f"recipes={fewer},"))
    for day in days(HISTORY, LAST):
        deliver(made / "landing", day, ())
    return made


@pytest.fixture(scope="session")
def known(folder: Path) -> dict[str, str]:
    """What its `.env` says."""
    calendar = {"PIPELINE_FIRST_DAY": FIRST.isoformat(), "PIPELINE_LAST_DAY": LAST.isoformat()}
    # The task of a killed worker is waited for.
    return variables(folder, *ports.free(2), **calendar, TASK_HEARTBEAT_SECONDS="60")


@pytest.fixture(scope="session")
def stack(folder: Path, known: dict[str, str]) -> Iterator[Rehearsal]:
    """Everything up, with two workers; its DAGs are switched off, as they are in a new stack."""
    with Rehearsal(known, file=folder / "docker-compose.yaml", scale={"airflow-worker": 2}) as running:
        running.up()
        yield running


@pytest.fixture(scope="session")
def people(known: dict[str, str]) -> dict[str, Person]:
    """Everybody with a role, and nobody."""
    airflow = {name: Person(known, airflow=name) for name in ("admin", "operator", "approver", "viewer")}
    mlflow = {f"mlflow {name}": Person(known, mlflow=name) for name in ("admin", "pipeline", "reviewer")}
    return {**airflow, **mlflow, "nobody": Person(known)}


@pytest.fixture(scope="session")
def airflow(known: dict[str, str], stack: Rehearsal) -> dict[str, Client]:
    """Airflow to each of its users, and to nobody."""
    nobody = Client(known["AIRFLOW_PORT"])

    def signed_in(name: str) -> Client:
        asked = {"username": name, "password": known[f"AIRFLOW_{name.upper()}_PASSWORD"]}
        token = json.loads(nobody("POST", "/auth/token", asked).text)["access_token"]
        return Client(known["AIRFLOW_PORT"], token=token)

    return {"nobody": nobody, **{name: signed_in(name) for name in ("admin", "operator", "approver", "viewer")}}


@pytest.fixture(scope="session")
def mlflow(known: dict[str, str], stack: Rehearsal) -> dict[str, Client]:
    """MLflow to each of its users, and to nobody."""
    port = known["MLFLOW_PORT"]
    users = {
        name: Client(port, name, known[f"MLFLOW_{name.upper()}_PASSWORD"]) for name in ("admin", "pipeline", "reviewer")
    }
    return {"nobody": Client(port), **users}


@pytest.fixture(scope="session")
def run_of_pipeline(mlflow: dict[str, Client]) -> tuple[str, str]:
    """An experiment and a run of the pipeline's in MLflow."""
    api, ask = "/api/2.0/mlflow", mlflow["pipeline"]
    made = ask("POST", f"{api}/experiments/create", {"name": f"probe {secrets.token_hex(4)}"})
    experiment = json.loads(made.text)["experiment_id"]
    run = ask("POST", f"{api}/runs/create", {"experiment_id": experiment, "start_time": 1})
    return experiment, json.loads(run.text)["run"]["info"]["run_id"]
