"""Whose turn it is: one run of a use case at work, the oldest day first, no worker held by those that wait."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowRescheduleException

from loop.run import BACKFILL, SCHEDULED, data_day, fires_from, kind_of, now, world
from pipeline.adapters.world import calendar
from pipeline.core.errors import UsageError
from pipeline.core.ports import PromotionLedger
from pipeline.core.usecase import Usecase

log = logging.getLogger("pipeline")

PATIENCE = timedelta(hours=24)
"""How long a run waits for its turn before it says so in red."""

FEW = 4
"""How many of the runs ahead are looked at: more make no difference to the pause."""

PAUSE, LONGEST_PAUSE = 15, 60
"""Seconds between two looks, for each run ahead. Not less: Airflow takes a task that is queued again before the end of
its last look has come through (which lags up to some 8 s) for one that was killed, and spends a retry on it."""


class Runs(Protocol):
    """What the runs of one DAG are doing."""

    def active(self) -> int:
        """How many are queued or running."""

    def before(self, moment: datetime, state: str) -> Any | None:
        """The last run in that state with a logical date before ``moment``: its ``run_id``, type and date."""

    def running(self, run: str) -> bool:
        """Whether that run is running."""

    def tasks(self, run: str) -> Mapping[str, str | None]:
        """The states of its tasks."""


class AirflowRuns:
    """The same, asked of Airflow by a task: a few milliseconds a question."""

    def __init__(self, ti: Any) -> None:
        self.ti = ti
        self.dag = ti.dag_id

    def active(self) -> int:  # noqa: D102
        return int(self.ti.get_dr_count(self.dag, states=["queued", "running"]))

    def before(self, moment: datetime, state: str) -> Any | None:  # noqa: D102
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.comms import GetPreviousDagRun

        request = GetPreviousDagRun(dag_id=self.dag, logical_date=moment, state=state)
        return task_runner.SUPERVISOR_COMMS.send(msg=request).dag_run

    def running(self, run: str) -> bool:  # noqa: D102
        return bool(self.ti.get_dr_count(self.dag, run_ids=[run], states=["running"]))

    def tasks(self, run: str) -> Mapping[str, str | None]:  # noqa: D102
        return dict(self.ti.get_task_states(self.dag, run_ids=[run]).get(run, {}))


def ahead(runs: Runs, kind: str, moment: datetime) -> list[str]:
    """The runs of earlier days that must be through before one of type ``kind`` may begin, nearest first.

    A run that waits for a person holds nobody up. A run that is still queued holds up only runs outside its own
    backfill, and only if it belongs to one that goes forward: such a run needs nobody's place to start, so nobody
    waits for ever.
    """
    busy = (run.run_id for run in dated(runs, moment, "running") if not asks_person(runs.tasks(run.run_id)))
    earlier = list(islice(busy, FEW))
    if kind != BACKFILL:
        queued = next((run for run in dated(runs, moment, "queued") if kind_of(run) == BACKFILL), None)
        if queued is not None and not overtaken(runs, queued):
            earlier.append(queued.run_id)
    return earlier


def dated(runs: Runs, moment: datetime, state: str) -> Iterator[Any]:
    """The runs in that state that stand for a day before ``moment``, nearest first."""
    while (run := runs.before(moment, state)) is not None:
        moment = run.logical_date
        if kind_of(run) in (SCHEDULED, BACKFILL):
            yield run


def overtaken(runs: Runs, queued: Any) -> bool:
    """Whether a later day of a backfill runs already: then the backfill was asked to run backwards."""
    later = (run for run in dated(runs, now(), "running") if run.logical_date > queued.logical_date)
    return any(kind_of(run) == BACKFILL for run in later)


def asks_person(tasks: Mapping[str, str | None]) -> bool:
    """Whether a run with these tasks merely waits for somebody's answer."""
    return "awaiting_input" in tasks.values()


def at_work(runs: Runs, run: str) -> bool:
    """Whether that run is doing something: not over, not waiting for a person, not itself waiting for its turn."""
    if not runs.running(run):
        return False
    tasks = runs.tasks(run)
    return not asks_person(tasks) and "up_for_reschedule" not in tasks.values()


def must_wait(
    usecase: Usecase, runs: Runs, ledger: Callable[[], PromotionLedger], run: str, kind: str, first: datetime | None
) -> Sequence[str]:
    """The runs to wait for; none means that the turn is this run's own.

    Args:
        usecase: One use case has one run at work.
        runs: The DAG's runs.
        ledger: Opens what holds the turn; not opened while earlier days are about, so that looking stays cheap.
        run: This run.
        kind: Airflow's type of this run.
        first: For the run's first task: days before this moment's come first. None for later tasks.
    """
    if first is not None and runs.active() > 1 and (found := ahead(runs, kind, first)):
        return found
    holder = ledger().take_turn(usecase.name, run, lambda other: at_work(runs, other))
    return [] if holder == run else [holder]


def take_turn(usecase: Usecase, *, first: bool) -> None:
    """Go on if it is this run's turn; else step aside, free the worker's slot, and look again later."""
    context = get_current_context()
    ti, run = context["ti"], context["dag_run"]
    since = None
    if first:
        day = data_day(usecase)
        log.info("Data day %s", day)
        since = fires_from(day, calendar(usecase).timezone)
    waiting_for = must_wait(usecase, AirflowRuns(ti), lambda: world().ledger, run.run_id, kind_of(run), since)
    if not waiting_for:
        return
    began = ti.get_first_reschedule_date(context)
    if began is not None and now() - began > PATIENCE:
        raise UsageError(
            f"{usecase.name} waited {PATIENCE.total_seconds() / 3600:.0f} h for run {waiting_for[0]}, which isn't "
            "through; end that run, or resume its backfill if it is paused, and clear this task",
            "TURN",
        )
    pause = min(LONGEST_PAUSE, PAUSE * len(waiting_for))
    log.info("Not this run's turn: %s comes first. Looking again in %d s.", waiting_for[0], pause)
    raise AirflowRescheduleException(now() + timedelta(seconds=pause))
