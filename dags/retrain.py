"""The daily loop, one DAG per use case: today's data tests the models, tomorrow it trains them."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, CronTriggerTimetable, get_parsing_context
from loop.approval import Approval, answered
from loop.run import form, present
from loop.tasks import new_champion, step

from pipeline.adapters.world import calendar, ingest_place, training_pool
from pipeline.core.records import Record
from pipeline.core.usecase import Schedule, Usecase
from pipeline.steps.loop import EVALUATE, INGEST, PROMOTE, REGISTER, SCORE, TRAIN, VALIDATE
from pipeline.usecases import ALL


def retrain(usecase: Usecase) -> DAG:
    """The loop of one use case; a run stands in Airflow under the morning after its data day."""
    schedule, person = calendar(usecase), usecase.promotion.approval == "person"

    with DAG(
        dag_id=usecase.name,
        description=usecase.question,
        doc_md=about(usecase, schedule),
        schedule=mornings(schedule),
        start_date=morning_after(schedule.first, schedule),
        catchup=schedule.first is not None,
        max_active_runs=most_at_once(usecase),
        allowed_run_types=["scheduled", "backfill", "manual"],  # no task, whoever has its token, starts a run
        params=form(usecase),
        default_args={"owner": "retraining", "weight_rule": "upstream"},  # end what was begun before beginning more
        tags={"retraining", type(usecase.kind).__name__.lower()},
    ) as dag:

        @step(usecase, INGEST, minutes=60, first=True, **ingest_place())
        def ingest() -> Record:
            """Reads the day's deliveries into the store, one commit a table. A faulty file leaves it as it was."""
            return INGEST.call(present(usecase), {})

        @step(usecase, VALIDATE, minutes=30)
        def validate(snapshot: dict) -> Record:
            """Refuses data that must be neither learnt from nor judged on. A refusal is red, the reason on top."""
            return VALIDATE.call(present(usecase), snapshot)

        @step(usecase, TRAIN, minutes=180, pool=training_pool())
        def train(validated: dict) -> Record:
            """Fits every recipe on the days before the scored day, which stays unseen."""
            return TRAIN.call(present(usecase), validated)

        @step(usecase, SCORE, minutes=60)
        def score(trained: dict) -> Record:
            """Scores the day with the champion, the baseline and every fresh candidate, into the score ledger."""
            return SCORE.call(present(usecase), trained)

        @step(usecase, EVALUATE, minutes=60)
        def evaluate(scored: dict) -> Record:
            """Puts the gates' questions to the ledger of the last days. Held is green: the champion is good enough."""
            return EVALUATE.call(present(usecase), scored)

        @step(usecase, REGISTER, minutes=30)
        def register(judged: dict) -> Record:
            """Shows the day in MLflow; a winner, and only a winner, becomes a version."""
            return REGISTER.call(present(usecase), judged)

        @step(usecase, PROMOTE, minutes=15)
        def promote(registered: dict, answer: dict | None = None) -> Record:
            """Makes the winner champion, if there is one and, where a person must say yes, if one did."""
            return PROMOTE.call(present(usecase, answered(usecase, answer)), registered)

        registered = register(evaluate(score(train(validate(ingest())))))
        if person:
            done = promote(registered, Approval(task_id="approve", usecase=usecase, registered=registered).output)
        else:
            done = promote(registered)
        done >> new_champion()
    return dag


def most_at_once(usecase: Usecase) -> int:
    """One run at a time; where a person is asked, room for runs that wait for the answer, beside the next days."""
    return 4 + math.ceil(usecase.promotion.deadline_hours / 24) if usecase.promotion.approval == "person" else 1


def mornings(schedule: Schedule) -> Any:
    """When runs fire: by the cron line, or at its moments within the calendar, where that has an end.

    An `end_date` of the DAG would be every task's too, and a run by hand after it (the form proposes the present
    moment) would have no task at all, and be green.
    """
    if schedule.last is None:
        return CronTriggerTimetable(schedule.cron, timezone=schedule.timezone)
    # The scheduler's own class: what airflow.sdk's of that name is written down as, Airflow 3.3 can't read back.
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.events import EventsTimetable
    from airflow.timetables.trigger import CronTriggerTimetable as Firing
    from pendulum import instance

    last = morning_after(schedule.last, schedule, time.max)
    first = morning_after(schedule.first or schedule.last, schedule)
    firing = Firing(schedule.cron, timezone=schedule.timezone)
    within = TimeRestriction(instance(first), instance(last), catchup=True)
    moments, before = [], None
    while info := firing.next_dagrun_info(last_automated_data_interval=before, restriction=within):
        moments.append(info.run_after)
        before = info.data_interval
    described = f"{schedule.cron} ({schedule.timezone}) to {last:%Y-%m-%d}"
    return EventsTimetable(moments, presorted=True, description=described)


def morning_after(day: date | None, schedule: Schedule, at: time = time.min) -> datetime | None:
    """A moment of the date on which the run of a data day fires; none where the calendar has no such end."""
    return day and datetime.combine(day + timedelta(1), at, ZoneInfo(schedule.timezone))


def about(usecase: Usecase, schedule: Schedule) -> str:
    """What an operator needs to know, with this use case's own dates."""
    first = schedule.first or date(2026, 3, 1)
    to = min(first + timedelta(29), schedule.last or date.max)
    begin, end = (
        datetime.combine(day + timedelta(1), at, ZoneInfo(schedule.timezone)).isoformat(timespec="minutes")
        for day, at in ((first, time.min), (to, time.max))
    )
    span = f"from data day {schedule.first or 'the one that closed last'} to {schedule.last or 'ever'}"
    missed = (
        "Days that were missed while Airflow was down are made up for, oldest first."
        if schedule.first
        else "Nights missed while Airflow was down are not judged afterwards, but their files (up to "
        f"{usecase.lookback} days back) are taken in by the next run; a backfill judges them."
    )
    person = (
        f"A winner waits for a person, at most {usecase.promotion.deadline_hours:g} h, under *Required Actions*; the "
        "form shows what the gates found. No answer is a no. The next days do not wait for it.\n\n"
        if usecase.promotion.approval == "person"
        else ""
    )
    return f"""\
### {usecase.question}

**ingest → validate → train → score → evaluate → register → promote**, once for each data day. A red task is a refusal
or a failure, its reason the red line of its log; the champion serves on. A held candidate is green. The last row,
`new_champion`, is green where the champion changed and skipped where it stayed. The run's note says the data day and
how it ended; *What was decided, and why* in a task leads to the day's page.

{person}**Schedule.** `{schedule.cron}` in {schedule.timezone}, {span}. A run handles the day that closed before it: the
run of {first + timedelta(1)} judges {first}. {missed}

**By hand.** *Trigger* opens a form: the data day (empty: the newest one), some of the recipes, judge without promoting.
The logical date that the form proposes plays no part when a data day is given, and may be emptied. Elsewhere the form's
fields are `day`, `recipes` and `judge_only`.

**For the past.** Days {first} to {to}, whose runs stand under the mornings after them, oldest first and one at a time,
from the project's folder:

```
.venv/bin/python -m stack run airflow backfill create --dag-id {usecase.name} \\
  --from-date {begin} --to-date {end} --max-active-runs {most_at_once(usecase)}
```

*Trigger → Backfill* is the same, with the same two moments. In an Airflow of your own leave out
`.venv/bin/python -m stack run`; on the team's stack put `docker compose exec airflow-apiserver` in its place; where the
stack's files aren't in `var`, set `PIPELINE_HOME` before it. With
`--dry-run` it only lists the runs.

Days that have a run already are left out (`--reprocess-behavior none`, the default); `failed` judges those anew that
failed, `completed` all that ended. One backfill of a DAG goes on at a time, and only while the DAG is switched on.

A calendar that has an end has no runs after it, in a backfill either; a run by hand may be about any day.

Leave `--run-backwards` off: a day is judged on the evidence of the days before it. After a backfill the schedule goes
on from the newest day that either has reached.

**In what order.** One run of a use case works at a time, the oldest day first, whatever `max active runs` a backfill
is given; a run whose turn it isn't steps aside and looks again (`up_for_reschedule`), holding no worker. A run by hand
waits for scheduled and backfilled runs of earlier days. Three locks hold this: the turn, kept in the promotion ledger;
the champion's epoch, so that a verdict reached against a champion that is no longer champion is refused; and the data
day, which never goes back: a past day run again is judged and shown, but cannot replace a champion chosen on a later
day.

Undo a promotion with the DAG `roll_back`.
"""


# A task reads this file, too, and needs its own DAG alone: of hundreds, the others would cost it seconds.
wanted = get_parsing_context().dag_id
for each in ALL:
    if wanted in (None, each.name):
        retrain(each)
