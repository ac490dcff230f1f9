"""What a run is about: its form, its data day, the ports and the steps it works with."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from time import monotonic
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from airflow.sdk import Param, get_current_context
from airflow.sdk.configuration import conf

from pipeline.adapters.world import calendar
from pipeline.core.errors import UsageError
from pipeline.core.ports import World
from pipeline.core.usecase import Schedule, Usecase
from pipeline.steps.loop import Answer, Run

log = logging.getLogger("pipeline")

BACKFILL, SCHEDULED = "backfill", "scheduled"
"""Airflow's names of the runs that stand for one day each; any other run is by hand (or by an asset)."""


class _Steps:
    """The steps, each imported when a task first calls it: parsing a DAG file imports nothing heavy."""

    def __getattr__(self, name: str) -> Any:
        return importlib.import_module(f"pipeline.steps.{name}")


steps = _Steps()


def form(usecase: Usecase) -> dict[str, Param]:
    """The form of a manual run. An empty form is the newest day, all recipes, promotion as declared."""
    names = [recipe.name for recipe in usecase.recipes]
    return {
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Data day",
            description="The day whose files are read and whose outcomes are predicted, as in 2013-03-08; "
            "its run stands in Airflow under the morning after it. Empty: the newest day that has closed. Leave it "
            "empty in a backfill, whose days come from its dates.",
        ),
        "recipes": Param(
            [],
            type=["null", "array"],  # with "null" the form marks no field as required
            items={"type": "string", "enum": names},
            examples=names,
            title="Recipes",
            description="A recipe is a way to make a model: an estimator and the days it learns from. Train and judge "
            "only these; empty: all of them. The champion and the baseline are judged beside them in any case.",
        ),
        "judge_only": Param(
            default=False,
            type=["null", "boolean"],
            title="Judge without promoting",
            description="A trial: reach a verdict and show it in MLflow, but leave the model that serves (the "
            "champion) as it is, even if a candidate wins.",
        ),
    }


def closed_day(moment: datetime, timezone: str) -> date:
    """The newest data day that had closed at that moment, in the schedule's time zone (whatever its clocks do)."""
    return moment.astimezone(ZoneInfo(timezone)).date() - timedelta(1)


def fires_from(day: date, timezone: str) -> datetime:
    """From when on a run of this data day can stand in the schedule: the midnight that ends the day."""
    return datetime.combine(day + timedelta(1), time(), ZoneInfo(timezone))


def chosen_day(
    schedule: Schedule, kind: str, moment: datetime, asked: str | None, delivered: Callable[[date], bool]
) -> date:
    """The data day of a run.

    Args:
        schedule: The use case's calendar.
        kind: Airflow's type of the run.
        moment: Its logical date, or the moment from which it may run where it has none.
        asked: The day from the form.
        delivered: Whether the units of a day have been delivered; asked only after the calendar has ended.

    Raises:
        UsageError: A day that isn't one, that hasn't closed, or that a backfill can't have.
    """
    closed = closed_day(moment, schedule.timezone)
    if kind in (SCHEDULED, BACKFILL):
        if asked:
            raise UsageError(
                f"a {kind} run takes its data day from its date and can't be given {asked}; leave the data day empty"
            )
        return closed
    if asked:
        try:
            day = date.fromisoformat(asked)
        except ValueError:
            raise UsageError(f"the data day must be written as in 2013-03-08, got '{asked}'") from None
        if day > closed:
            raise UsageError(
                f"data day {day} hasn't closed yet; the newest one that has is {closed} ({schedule.timezone})"
            )
        return day
    if schedule.last is None or closed <= schedule.last:
        return closed
    first = schedule.first or schedule.last - timedelta(366)
    past = (schedule.last - timedelta(back) for back in range((schedule.last - first).days + 1))
    return next((day for day in past if delivered(day)), schedule.last)


def data_day(usecase: Usecase) -> date:
    """The data day of the present run."""
    context = get_current_context()
    run = context["dag_run"]
    unknown = sorted(set(run.conf or {}) - set(form(usecase)))
    if unknown:
        raise UsageError(f"the form has no field {', '.join(unknown)}; it has {', '.join(form(usecase))}")
    return chosen_day(
        calendar(usecase),
        kind_of(run),
        run.logical_date or run.run_after,
        context["params"]["day"],
        lambda day: world().landing.has(usecase.feeds[0], day),
    )


def recipes() -> tuple[str, ...]:
    """The recipes asked for in the form; empty means all."""
    return tuple(get_current_context()["params"]["recipes"] or ())


def may_promote() -> bool:
    """Whether this run may change the champion: not if the form said "judge without promoting"."""
    return not get_current_context()["params"]["judge_only"]


def present(usecase: Usecase, answer: Answer | None = None) -> Run:
    """The present run of the loop; ``answer`` is what a person said of its winner, where one was asked."""
    return Run(
        usecase=usecase,
        data_day=lambda: data_day(usecase),
        world=world(),
        now=now,
        ask=lambda _: answer or Answer(False, why="nobody was asked"),
        recipes=recipes(),
        may_promote=may_promote(),
        links=links(),
    )


def links() -> dict[str, str]:
    """What the registry's page of this run should lead back to."""
    run = get_current_context()["dag_run"]
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return {"airflow": f"{base}/dags/{run.dag_id}/runs/{quote(run.run_id)}"} if base else {}


def now() -> datetime:
    """The moment: the clock of the DAGs."""
    return datetime.now(UTC)


def user() -> str:
    """Who started the present run."""
    return get_current_context()["dag_run"].triggering_user_name or "someone without a name in Airflow"


@cache
def world() -> World:
    """The ports, built once in each task; progress goes to the task's log."""
    return importlib.import_module("pipeline.adapters.world").world(progress=_logged)  # type: ignore[no-any-return]


@contextmanager
def _logged(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A line every half minute: a log that tells of each part done hides the one line that matters."""
    done, last_said = 0, monotonic()

    def tick() -> None:
        nonlocal done, last_said
        done += 1
        if monotonic() - last_said >= 30:
            last_said = monotonic()
            log.info("%s: %d of %d", label, done, total)

    yield tick


def kind_of(run: Any) -> str:
    """Airflow's type of a run, as a word."""
    return str(getattr(run.run_type, "value", run.run_type))
