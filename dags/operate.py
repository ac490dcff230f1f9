"""What a person does by hand: roll the champion back, end the hold that a rollback left behind, replay a policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from loop.run import now, steps, user, world
from loop.tasks import end_with_supervisor, one_sentence

from pipeline.adapters.world import training_pool
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
    description="make an earlier champion serve again, at once.",
    doc_md="""\
### make an earlier champion serve again, at once

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
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=365,
            title="Hold for (data days)",
            description="For how many data days the recipe that is rolled back may not be promoted, so that the night "
            "doesn't bring it back. Empty: 7, and none where the champion can't answer any more. 0: not at all; the "
            "very model rolled back stays barred for good.",
        ),
    },
    **BY_HAND,
) as roll_back_dag:

    @task(**ONCE)
    def roll_back() -> dict[str, Any]:
        """Writes the promotion ledger's next line, then points MLflow's aliases where it says."""
        end_with_supervisor()
        with one_sentence("roll_back"):
            params = get_current_context()["params"]
            usecase, to, why, hold_days = find(params["usecase"]), params["to"], params["why"], params["hold_days"]
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
            params = get_current_context()["params"]
            usecase, recipe, why = find(params["usecase"]), params["recipe"], params["why"]
            return steps.rollback.lift(usecase, world(), recipe, why, user(), now()).to_dict()

    lift_hold()

with DAG(
    dag_id="replay",
    description="What a policy would have done with the days of the past.",
    doc_md="""\
### What a policy would have done with the days of the past

Fits every recipe as of every day that counts, and decides each day again by the same functions as the daily run, on
what was known that day: under the declared policy, under changed ones, and under the usual habits (never, weekly,
daily, a point estimate). Nobody is promoted. The task's log shows the table; the page is `replay.html` among the
artifacts of the run in MLflow that the log names.

The first replay of a year fits for half an hour or more; what was fitted is kept, so one that was stopped goes on where
it was, and the next fits only what is new.

The same without Airflow: `.venv/bin/python -m pipeline replay <use case> --from 2013-02-01 --to 2013-12-30`; on the
team's stack with `docker compose exec airflow-worker python` in the place of `.venv/bin/python`
""",
    params={
        "usecase": USECASE,
        "from": Param(
            type="string",
            format="date",
            title="From",
            description="The first day that counts, as in 2013-02-01; before it there must be days to learn from.",
        ),
        "to": Param(
            type="string", format="date", title="To", description="The last day that counts, as in 2013-12-30."
        ),
        "policies": Param(
            "",
            type=["null", "string"],
            format="multiline",
            title="Policies",
            description="Changes of the declared policy, a policy a line: price=0.05,ship=scored or recipes=a+b or "
            "window.a=30 or every=7 or lag=1 or gates=better+sound. Empty: the declared policy and the habits alone.",
        ),
        "search": Param(
            default=False,
            type=["null", "boolean"],
            title="Search",
            description="Propose a policy: chosen on the first part of these days, judged on the rest; both are said.",
        ),
        "workers": Param(
            1,
            type="integer",
            minimum=1,
            maximum=64,
            title="Processes",
            description="How many processes fit at a time; each holds the days in memory and takes a processor.",
        ),
    },
    **BY_HAND,
) as replay_dag:

    @task(**{**ONCE, "execution_timeout": timedelta(hours=24)}, pool=training_pool())
    def replay() -> dict[str, Any]:
        """Fits what is not kept yet, replays the policies, and keeps the run in MLflow with its page."""
        end_with_supervisor()
        with one_sentence("replay"):
            params = get_current_context()["params"]
            policies = (params["policies"] or "").splitlines()
            return getattr(steps, "replaying.record").replay_and_keep(  # type: ignore[no-any-return]
                find(params["usecase"]),
                params["from"],
                params["to"],
                world(),
                policies,
                search=bool(params["search"]),
                workers=params["workers"],
            )

    replay()
