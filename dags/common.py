"""What Airflow asks of every task: end with its supervisor, wait for its turn, say in one sentence why it failed.

No DAG lives here. The DAG files read as the loop because the following stands in one place: which data day a run is
about, whose turn it is, what is tried again, and how a person is asked.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, wraps
from typing import Any, Protocol
from urllib.parse import quote
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, get_current_context, task
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowRescheduleException,
    AirflowRuntimeError,
    AirflowTaskTimeout,
)

from pipeline.adapters.world import calendar
from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.ports import Ledger, World
from pipeline.core.records import DayOutcome, Record, Registered
from pipeline.core.usecase import Schedule, Usecase

log = logging.getLogger("pipeline")

BACKFILL, SCHEDULED = "backfill", "scheduled"
"""Airflow's names of the runs that stand for one day each; any other run is by hand (or by an asset)."""

PATIENCE = timedelta(hours=24)
"""How long a run waits for its turn before it says so in red."""


class _Steps:
    """The steps, each imported when a task first calls it: parsing a DAG file imports nothing heavy."""

    def __getattr__(self, name: str) -> Any:
        return importlib.import_module(f"pipeline.steps.{name}")


steps = _Steps()


# ------------------------------------------------------------------------------------------------ what a run is about


def form(usecase: Usecase) -> dict[str, Param]:
    """The form of a manual run. An empty form is the newest day, all recipes, promotion as declared."""
    names = [recipe.name for recipe in usecase.recipes]
    return {
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Data day",
            description="The day whose data is judged, as in 2013-03-08. Empty: the newest day that has closed. "
            "Leave it empty in a backfill, whose days come from its dates.",
        ),
        "recipes": Param(
            [],
            type="array",
            items={"type": "string", "enum": names},
            examples=names,
            title="Recipes",
            description="Train and judge only these. Empty: all of them.",
        ),
        "judge_only": Param(
            default=False,
            type="boolean",
            title="Judge without promoting",
            description="Reach a verdict and show it in MLflow, but leave the champion as it is.",
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
    day = chosen_day(
        calendar(usecase),
        _kind(run),
        run.logical_date or run.run_after,
        context["params"]["day"],
        lambda day: world().landing.has(usecase.feeds[0], day),
    )
    log.info("Data day %s", day)
    return day


def recipes() -> tuple[str, ...]:
    """The recipes asked for in the form; empty means all."""
    return tuple(get_current_context()["params"]["recipes"])


def may_promote() -> bool:
    """Whether this run may change the champion: not if the form said "judge without promoting"."""
    return not get_current_context()["params"]["judge_only"]


def links() -> dict[str, str]:
    """What the registry's page of this run should lead back to."""
    run = get_current_context()["dag_run"]
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return {"airflow": f"{base}/dags/{run.dag_id}/runs/{quote(run.run_id)}"} if base else {}


def now() -> datetime:
    """The moment: the one clock of the product."""
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
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        log.info("%s: %d of %d", label, done, total)

    yield tick


def _kind(run: Any) -> str:
    return str(getattr(run.run_type, "value", run.run_type))


# --------------------------------------------------------------------------------------------------------- whose turn


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

        asked = GetPreviousDagRun(dag_id=self.dag, logical_date=moment, state=state)
        return task_runner.SUPERVISOR_COMMS.send(msg=asked).dag_run

    def running(self, run: str) -> bool:  # noqa: D102
        return bool(self.ti.get_dr_count(self.dag, run_ids=[run], states=["running"]))

    def tasks(self, run: str) -> Mapping[str, str | None]:  # noqa: D102
        return dict(self.ti.get_task_states(self.dag, run_ids=[run]).get(run, {}))


def ahead(runs: Runs, kind: str, moment: datetime) -> list[str]:
    """The runs of earlier days that must be through before one of type ``kind`` may begin, nearest first.

    A run that waits for a person holds nobody up. A run that is still queued holds up only runs outside its own
    backfill, and only if it belongs to one: it doesn't need their place to start, so nobody waits for ever.
    """
    found: list[str] = []
    for state in ("running", "queued"):
        cursor = moment
        while (run := runs.before(cursor, state)) is not None and len(found) < 12:
            cursor = run.logical_date
            if _kind(run) not in (SCHEDULED, BACKFILL):
                continue
            if state == "running" and not asks_person(runs.tasks(run.run_id)):
                found.append(run.run_id)
            if state == "queued" and _kind(run) == BACKFILL != kind:
                found.append(run.run_id)
                break
    return found


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
    usecase: Usecase, runs: Runs, ledger: Callable[[], Ledger], run: str, kind: str, first: datetime | None
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
    since = fires_from(data_day(usecase), calendar(usecase).timezone) if first else None
    waiting_for = must_wait(usecase, AirflowRuns(ti), lambda: world().ledger, run.run_id, _kind(run), since)
    if not waiting_for:
        return
    began = ti.get_first_reschedule_date(context)
    if began is not None and now() - began > PATIENCE:
        raise UsageError(
            f"{usecase.name} waited {PATIENCE.total_seconds() / 3600:.0f} h for run {waiting_for[0]}, which isn't "
            "through; end that run, or resume its backfill if it is paused, and clear this task",
            "TURN",
        )
    pause = min(60, 5 * len(waiting_for))
    log.info("Not this run's turn: %s comes first. Looking again in %d s.", waiting_for[0], pause)
    raise AirflowRescheduleException(now() + timedelta(seconds=pause))


# ------------------------------------------------------------------------------------------------------- how to fail


class Stop(SystemExit):
    """Ends a task with its sentence alone in the log: for an exit Airflow prints no traceback."""

    def __init__(self, sentence: str, code: str, *, again: bool) -> None:
        super().__init__(sentence)
        self.code = code
        self.again = again


class OnlyWhatMayPass(RetryPolicy):
    """Try again what may be there later; what will not change by itself fails at once.

    A task whose process was killed never gets here: Airflow tries it again by itself.
    """

    def evaluate(  # noqa: D102
        self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
    ) -> RetryDecision:
        if isinstance(exception, Stop):
            return RetryDecision.retry() if exception.again else RetryDecision.fail()
        if isinstance(exception, AirflowException | AirflowRuntimeError):
            return RetryDecision.default()
        return RetryDecision.fail()


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": OnlyWhatMayPass(),
}


@contextmanager
def one_sentence(what: str) -> Iterator[None]:
    """Turn an error a person can act on into one log line, the first of the task's own."""
    try:
        yield
    except PipelineError as error:
        log.error("%s", error)  # noqa: TRY400
        raise Stop(str(error), error.code, again=error.retry) from None
    except AirflowTaskTimeout:
        limit = get_current_context()["task"].execution_timeout
        sentence = f"{what} took longer than {limit} and was ended; the champion serves on: see what it waited for"
        log.error("%s", sentence)  # noqa: TRY400
        raise Stop(sentence, "TIMEOUT", again=False) from None


def end_with_supervisor() -> None:
    """Ask the kernel to end this process when Airflow's supervisor dies: an orphan must not work beside its retry."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CommsDecoder

    if not isinstance(getattr(task_runner, "SUPERVISOR_COMMS", None), CommsDecoder):
        return  # dag.test() runs tasks in its own process, which is nobody's child
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # 1: PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(137)


def step(usecase: Usecase, *, minutes: int, first: bool = False, reads_data: bool = False) -> Callable[..., Any]:
    """A task that calls one step of the loop.

    Args:
        usecase: Whose loop.
        minutes: After how long it is ended.
        first: Whether it opens the run: then earlier days go first.
        reads_data: Whether a refusal here is the day's outcome, to be written down.
    """

    def decorate(body: Callable[..., Record]) -> Any:
        @wraps(body)
        def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
            end_with_supervisor()
            with one_sentence(f"{usecase.name}: {body.__name__}"):
                take_turn(usecase, first=first)
                try:
                    made = body(*args, **kwargs)
                except RefusedError as refused:
                    if reads_data:
                        steps.refuse.refuse(usecase, data_day(usecase), refused, world(), links())
                    raise
            for said in ("outcome", "decision", "reason", "note"):
                if text := getattr(made, said, ""):
                    log.info("%s: %s", said, text)
            return made.to_dict()

        return task(multiple_outputs=False, execution_timeout=timedelta(minutes=minutes), **RETRIES)(call)

    return decorate


# ------------------------------------------------------------------------------------------------- how a person is asked


class Approval(HITLOperator):
    """Asks a person whether a winner may become champion; asks nobody where nothing won.

    The answer is ``{"said": "Approve" | "Reject" | "nothing", "by": name}``, or nothing at all where nobody was
    asked. There is no default answer: silence never promotes.
    """

    template_fields = ("registered",)

    APPROVE = "Approve"
    REJECT = "Reject"

    def __init__(self, *, usecase: Usecase, registered: Any, **kwargs: Any) -> None:
        super().__init__(
            subject=f"{usecase.name}: may the winner become champion?",
            options=[self.APPROVE, self.REJECT],
            response_timeout=timedelta(hours=usecase.promotion.deadline_hours),
            assigned_users=[{"id": name, "name": name} for name in usecase.promotion.approvers] or None,
            retries=0,  # a second try would ask a second time
            **kwargs,
        )
        self.usecase = usecase
        self.registered = registered

    def execute(self, context: Any) -> Any:
        """Put the findings on the form and park until somebody answers; no worker waits meanwhile."""
        end_with_supervisor()
        with one_sentence(f"{self.usecase.name}: approve"):
            registered = Registered.from_dict(self.registered)
            if not steps.promote.asks(self.usecase, registered):
                log.info("Nobody is asked: nothing won that a person has to approve.")
                return None
            self.subject, self.body = steps.promote.question(registered, world())
            steps.promote.wait(self.usecase, registered, world())
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, str]:
        """Read the answer, or that there was none."""
        if event.get("error_type") == "timeout":
            log.info("Nobody answered within %g h.", self.usecase.promotion.deadline_hours)
            return {"said": "nothing", "by": ""}
        answer = super().execute_complete(context, event)
        said, by = answer["chosen_options"][0], (answer["responded_by_user"] or {}).get("name") or ""
        log.info("%s, says %s.", said, by or "nobody")
        return {"said": said, "by": by}


def settle(usecase: Usecase, registered: Registered, answer: Mapping[str, str] | None) -> DayOutcome:
    """Promote the winner, or not: as the gates decided, and where a person has to say yes, as a person said."""
    promotion = steps.promote
    if not promotion.asks(usecase, registered):
        return promotion.promote(usecase, registered, world(), now())  # type: ignore[no-any-return]
    said, by = (answer or {}).get("said", "nothing"), (answer or {}).get("by", "")
    if said == Approval.APPROVE and by:
        return promotion.promote(usecase, registered, world(), now(), by)  # type: ignore[no-any-return]
    if said == Approval.REJECT:
        return promotion.decline(usecase, registered, world(), "declined in Airflow", by)  # type: ignore[no-any-return]
    silence = f"nobody answered within {usecase.promotion.deadline_hours:g} h"
    return promotion.decline(usecase, registered, world(), silence, "")  # type: ignore[no-any-return]
