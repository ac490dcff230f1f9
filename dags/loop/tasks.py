"""A step of the loop as a task: it ends with its supervisor, waits for its turn, says in one sentence why it failed."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import Any

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import BaseOperatorLink, get_current_context
from airflow.sdk.bases.decorator import task_decorator_factory
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError, AirflowTaskTimeout, DownstreamTasksSkipped

from loop.run import present, world
from loop.turns import take_turn
from pipeline.core.errors import PipelineError, UsageError
from pipeline.core.records import DayOutcome, Record, Registered
from pipeline.core.usecase import Usecase
from pipeline.steps import loop
from pipeline.steps.loop import Step

log = logging.getLogger("pipeline")


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


TOLD = "told"
"""Under this key a task leaves how the day ended and where its page is: `plugins/run_notes.py` makes the run's note."""

NEW_CHAMPION = "new_champion"
"""The task that only shows whether the champion changed: green if it did, skipped if it stayed."""

_PAGES: dict[tuple[str, str], str] = {}
"""Run and task to the page it made: what the link of a task leads to, asked once the task has ended."""


class PageLink(BaseOperatorLink):
    """Leads from a task to the day's page: the verdict, or the refusal."""

    name = "What was decided, and why"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: D102
        return _PAGES.get((ti_key.run_id, ti_key.task_id), "")


class LoopTask(_PythonDecoratedOperator):
    """A task of the loop, with a link to the page of the day."""

    operator_extra_links = (PageLink(),)


def tell(usecase: Usecase, made: Record | None) -> None:
    """Leave for people what a step says of the day: the page, and how the day ended where that is known now."""
    context = get_current_context()
    page = ""
    if isinstance(made, DayOutcome | Registered) and made.run:
        file = "refusal.html" if isinstance(made, DayOutcome) and made.outcome == "refused" else "verdict.html"
        try:
            page = world().registry.address(usecase.name, made.run, file)
        except PipelineError as down:
            log.warning("no link to the page: %s", down)  # what was done is done, and stands
    _PAGES[context["dag_run"].run_id, context["ti"].task_id] = page
    if isinstance(made, DayOutcome):
        note_fields = {
            name: getattr(made, name) for name in ("day", "outcome", "headline", "recipe", "champion", "reason")
        }
        note_fields["notices"] = [*made.alarms, *(f"mended by itself: {repair}" for repair in made.repairs)]
        context["ti"].xcom_push(key=TOLD, value={**note_fields, "page": page})


def new_champion() -> EmptyOperator:
    """The end of the loop, which no worker is asked for: green where the champion changed, skipped where it stayed."""
    return EmptyOperator(
        task_id=NEW_CHAMPION,
        doc_md="Green: the champion changed. Skipped: it stayed, and the run's note says why.",
        execution_timeout=timedelta(minutes=5),
        **RETRIES,
    )


@contextmanager
def one_sentence(what: str) -> Iterator[None]:
    """Turn an error a person can act on into one log line, the first of the task's own."""
    try:
        yield
    except PipelineError as error:
        log.error("%s", error)
        raise Stop(str(error), error.code, again=error.retry) from None
    except AirflowTaskTimeout:
        limit = get_current_context()["task"].execution_timeout
        sentence = f"{what} took longer than {limit} and was ended; the champion serves on: see what it waited for"
        log.error("%s", sentence)
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


def comes_again() -> bool:
    """Whether Airflow has tries left for the present task, should this one fail."""
    ti = get_current_context()["ti"]
    return bool(ti.try_number <= ti.max_tries)


def record_failure(usecase: Usecase, which: Step, error: Exception, *, again: bool) -> None:
    """Write down how the day ended, if nobody tries again; where that fails too, the red task alone says so."""
    if isinstance(error, UsageError):
        return  # it was no day to be judged, and perhaps none at all
    run = present(usecase)
    try:
        line = loop.record_failure(which, run, error, comes_again=again)
    except PipelineError as further:
        log.warning("the day's line could not be written: %s", further)
        why = f"{which.name} failed: {error}"
        line = DayOutcome(usecase.name, run.day.isoformat(), "failed", None, "", {}, why)
    if line is not None:
        tell(usecase, line)


def step(usecase: Usecase, which: Step, *, minutes: int, first: bool = False, **place: str) -> Callable[..., Any]:
    """A task that calls one step of the loop.

    Args:
        usecase: Whose loop.
        which: The step.
        minutes: After how long it is ended.
        first: Whether it opens the run: then earlier days go first.
        place: Airflow's ``pool`` that it takes a slot of while it works, and the ``queue`` of the workers that do it.
    """

    def decorate(body: Callable[..., Record]) -> Any:
        @wraps(body)
        def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
            end_with_supervisor()
            # skops, when imported, asks every loaded module for a few hundred names; Airflow's warn of each.
            warnings.filterwarnings("ignore", message=r"The `airflow\.")
            with one_sentence(f"{usecase.name}: {body.__name__}"):
                take_turn(usecase, first=first)
                try:
                    record = body(*args, **kwargs)
                except PipelineError as error:
                    record_failure(usecase, which, error, again=comes_again())
                    raise
                except Exception as error:
                    if not (isinstance(error, AirflowException | AirflowRuntimeError) and comes_again()):
                        record_failure(usecase, which, error, again=False)
                    raise
            for name in ("headline", "outcome", "decision", "reason", "note"):
                if text := getattr(record, name, ""):
                    log.info("%s: %s", name, text)
            tell(usecase, record)
            handed = record.to_dict()
            if isinstance(record, DayOutcome) and record.outcome not in ("promoted", "started"):
                # What a task hands on is not written down when it ends like this.
                get_current_context()["ti"].xcom_push(key="return_value", value=handed)
                raise DownstreamTasksSkipped(tasks=[NEW_CHAMPION])
            return handed

        return task_decorator_factory(
            decorated_operator_class=LoopTask,
            multiple_outputs=False,
            show_return_value_in_logs=False,
            execution_timeout=timedelta(minutes=minutes),
            **place,
            **RETRIES,
        )(call)

    return decorate
