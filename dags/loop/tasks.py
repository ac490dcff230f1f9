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

from airflow.sdk import get_current_context, task
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError, AirflowTaskTimeout

from loop.run import present
from loop.turns import take_turn
from pipeline.core.errors import PipelineError, UsageError
from pipeline.core.records import Record
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


def give_up(usecase: Usecase, step: Step, error: Exception, *, again: bool) -> None:
    """Write down how the day ended, if nobody tries again; where that fails too, the red task alone says so."""
    if isinstance(error, UsageError):
        return  # it was no day to be judged, and perhaps none at all
    try:
        loop.give_up(step, present(usecase), error, comes_again=again)
    except PipelineError as further:
        log.warning("the day's line could not be written: %s", further)


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
                    made = body(*args, **kwargs)
                except PipelineError as error:
                    give_up(usecase, which, error, again=comes_again())
                    raise
                except Exception as error:
                    if not (isinstance(error, AirflowException | AirflowRuntimeError) and comes_again()):
                        give_up(usecase, which, error, again=False)
                    raise
            for said in ("outcome", "decision", "reason", "note"):
                if text := getattr(made, said, ""):
                    log.info("%s: %s", said, text)
            return made.to_dict()

        return task(
            multiple_outputs=False,
            show_return_value_in_logs=False,
            execution_timeout=timedelta(minutes=minutes),
            **place,
            **RETRIES,
        )(call)

    return decorate
