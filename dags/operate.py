"""What a person does to the champion by hand: roll it back, or end the hold that a rollback left behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from loop.run import now, steps, user, world
from loop.tasks import end_with_supervisor, one_sentence

from pipeline.usecases import ALL, find

NAMES = [usecase.name for usecase in ALL]
USECASE = Param(NAMES[0], type="string", enum=NAMES, title="Use case", description="Whose champion; its DAG's name.")
WHY = Param(
    type="string",
    minLength=3,
    title="Why",
    description="The reason, for whoever asks later: it is kept in the promotion ledger with your name and the moment.",
)
# Tried once: after a try that was cut short, "previous" may mean another version. A person looks, then asks again.
ONCE: dict[str, Any] = {"multiple_outputs": False, "retries": 0, "execution_timeout": timedelta(minutes=10)}
BY_HAND: dict[str, Any] = {
    "schedule": None,
    "allowed_run_types": ["manual"],
    "is_paused_upon_creation": False,
    "default_args": {"owner": "operating"},
    "tags": {"operating"},
}

with DAG(
    dag_id="roll_back",
    description="Make an earlier champion reign again, at once.",
    doc_md="""\
### Make an earlier champion reign again, at once

The next version served is the one named here. Its rival stays away: the recipe that was rolled back may not be promoted
for some data days, whatever it scores, until the hold ends or is lifted (`lift_hold`).

**Which versions there were.** `.venv/bin/python -m pipeline history <use case>`, in the project's folder: who was
champion, since when, why and by whom. MLflow shows the same versions; a target that never was champion is refused, and
the first line of the task's log then says which ones were.

The same without Airflow: `.venv/bin/python -m pipeline rollback <use case> --to previous --why …`; on the team's stack
`docker compose exec airflow-worker python -m pipeline rollback <use case> --to previous --why … --by YOUR_NAME`
""",
    params={
        "usecase": USECASE,
        "to": Param(
            "previous",
            type="string",
            pattern=r"^(previous|[1-9][0-9]*)$",
            title="Roll back to",
            description="Which model serves from now on: 'previous', the champion before the present one, or the "
            "number of a version in MLflow that was champion once.",
        ),
        "why": WHY,
        "hold_days": Param(
            7,
            type="integer",
            minimum=0,
            maximum=365,
            title="Hold for (data days)",
            description="For how many data days the recipe that is rolled back may not be promoted, so that the night "
            "doesn't bring it back. 0: not at all; the very model rolled back stays barred for good.",
        ),
    },
    **BY_HAND,
) as roll_back_dag:

    @task(**ONCE)
    def roll_back() -> dict[str, Any]:
        """Writes the promotion ledger's next line, then points MLflow's aliases where it says."""
        end_with_supervisor()
        with one_sentence("roll_back"):
            asked = get_current_context()["params"]
            usecase, to, why, hold_days = find(asked["usecase"]), asked["to"], asked["why"], asked["hold_days"]
            return steps.rollback.rollback(usecase, world(), to, why, user(), now(), hold_days).to_dict()

    roll_back()

with DAG(
    dag_id="lift_hold",
    description="Let a recipe that was rolled back be promoted again.",
    doc_md="""\
### Let a recipe that was rolled back be promoted again

Ends the hold that a rollback has put on a recipe; the champion stays who it is.

**What is held at present.** `.venv/bin/python -m pipeline history <use case>`, in the project's folder: the lines
*rollback* say which recipe may not be promoted, and through which data day; a line *lift* ended such a hold. A recipe
that isn't held is refused, and the first line of the task's log then lists those that are.

The same without Airflow: `.venv/bin/python -m pipeline lift <use case> --recipe … --why …`; on the team's stack with
`docker compose exec airflow-worker python` in the place of `.venv/bin/python`
""",
    params={
        "usecase": USECASE,
        "recipe": Param(
            type="string",
            enum=sorted({r.name for usecase in ALL for r in (*usecase.recipes, usecase.baseline)}),
            title="Recipe",
            description="The recipe that may be promoted again. `python -m pipeline history <use case>` shows what is "
            "held; one that isn't is refused, and the task's log lists those that are.",
        ),
        "why": WHY,
    },
    **BY_HAND,
) as lift_hold_dag:

    @task(**ONCE)
    def lift_hold() -> dict[str, Any]:
        """Writes the promotion ledger's next line: the hold is over, and who says so."""
        end_with_supervisor()
        with one_sentence("lift_hold"):
            asked = get_current_context()["params"]
            usecase, recipe, why = find(asked["usecase"]), asked["recipe"], asked["why"]
            return steps.rollback.lift(usecase, world(), recipe, why, user(), now()).to_dict()

    lift_hold()
