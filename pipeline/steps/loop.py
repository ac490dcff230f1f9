"""The daily loop: its seven steps in their order, and what is written down of a day that fails.

One loop, whoever runs it: Airflow makes a task of each step, the command line calls them in a row. Nothing heavy is
imported before a step acts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pipeline.core.errors import PipelineError, RedDayError, RefusedError, UsageError
from pipeline.core.ports import World
from pipeline.core.records import DayOutcome, Judged, Record, Registered, Scored, Snapshot, Trained, Validated
from pipeline.core.usecase import Usecase


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said of a winner.

    Attributes:
        promote: True: yes; False: no; None: nobody answered as yet, so the winner waits.
        by: The person.
        why: Why not.
    """

    promote: bool | None
    by: str = ""
    why: str = ""


#: Asked about a winner that a person must approve.
Ask = Callable[[Registered], Answer]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the loop.

    Attributes:
        usecase: Whose loop.
        data_day: Gives the data day; asked by the first step, and where a day fails.
        world: The ports.
        now: Gives the moment; asked when the champion changes.
        ask: Gives a person's answer; asked only where one is needed.
        recipes: Names of the recipes to fit; empty: all.
        may_promote: False to judge without promoting.
        links: What the registry's page of the run leads back to.
        attended: Whether a person sees the error at once and decides alone whether to try again.
        closed: False while the data day is still ahead: that its files have not come says nothing then.
    """

    usecase: Usecase
    data_day: Callable[[], date]
    world: World
    now: Callable[[], datetime]
    ask: Ask
    recipes: tuple[str, ...] = ()
    may_promote: bool = True
    links: Mapping[str, str] = field(default_factory=dict)
    attended: bool = False
    closed: bool = True

    @property
    def day(self) -> date:
        """The data day."""
        return self.data_day()


def _ingest(run: Run, _: Mapping[str, Any]) -> Record:
    from pipeline.steps.ingest import ingest

    return ingest(run.usecase, run.day, run.world)


def _validate(run: Run, snapshot: Mapping[str, Any]) -> Record:
    from pipeline.steps.validate import validate

    return validate(run.usecase, Snapshot.from_dict(snapshot), run.world)


def _train(run: Run, validated: Mapping[str, Any]) -> Record:
    from pipeline.steps.train import train

    return train(run.usecase, Validated.from_dict(validated), run.world, run.recipes)


def _score(run: Run, trained: Mapping[str, Any]) -> Record:
    from pipeline.steps.score import score

    return score(run.usecase, Trained.from_dict(trained), run.world)


def _evaluate(run: Run, scored: Mapping[str, Any]) -> Record:
    from pipeline.steps.evaluate import evaluate

    return evaluate(run.usecase, Scored.from_dict(scored), run.world, run.may_promote)


def _register(run: Run, judged: Mapping[str, Any]) -> Record:
    from pipeline.steps.register import register

    return register(run.usecase, Judged.from_dict(judged), run.world, run.links)


def _promote(run: Run, registered_record: Mapping[str, Any]) -> Record:
    from pipeline.steps.promote import decline, needs_approval, promote, wait

    registered = Registered.from_dict(registered_record)
    if not needs_approval(run.usecase, registered):
        return promote(run.usecase, registered, run.world, run.now())
    answer = run.ask(registered)
    if answer.promote is None:
        return wait(run.usecase, registered, run.world)
    if answer.promote and answer.by:
        return promote(run.usecase, registered, run.world, run.now(), answer.by)
    return decline(run.usecase, registered, run.world, answer.why, answer.by)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the loop.

    Attributes:
        name: Its name, and that of its module.
        call: Takes the run and what the step before returned, as a plain dict.
        reads_data: Whether a refusal here is the day's outcome.
    """

    name: str
    call: Callable[[Run, Mapping[str, Any]], Record]
    reads_data: bool = False


INGEST = Step("ingest", _ingest, reads_data=True)
VALIDATE = Step("validate", _validate, reads_data=True)
TRAIN = Step("train", _train)
SCORE = Step("score", _score)
EVALUATE = Step("evaluate", _evaluate)
REGISTER = Step("register", _register)
PROMOTE = Step("promote", _promote)
LOOP = (INGEST, VALIDATE, TRAIN, SCORE, EVALUATE, REGISTER, PROMOTE)


def run_day(run: Run) -> DayOutcome:
    """One data day from its files to its verdict, in one process.

    Raises:
        PipelineError: The day was refused or failed; what is to be known of it is written down.
    """
    step_result: Mapping[str, Any] = {}
    for step in LOOP:
        try:
            step_result = step.call(run, step_result).to_dict()
        except Exception as error:
            record_failure(step, run, error, comes_again=False)
            if isinstance(error, PipelineError):
                error.ends_day = isinstance(error, RedDayError) or _refusal(step, error) is not None
            raise
    return DayOutcome.from_dict(step_result)


def record_failure(step: Step, run: Run, error: Exception, *, comes_again: bool) -> DayOutcome | None:
    """Write down how the day ended, if it ended with this error, and return that; None if it did not.

    A refusal of the day's data is its outcome; so is a delivery that nobody waits for any longer. Any other error that
    ends the day makes it failed, wherever it happened. Nothing is written of what is tried again, nor of a request
    that could not be met, since that was no day to be judged. A red day has its line already.

    Args:
        step: Where it failed.
        run: The run.
        error: What happened.
        comes_again: Whether somebody tries the step again by itself.
    """
    from pipeline.steps.refuse import fail, refuse

    if isinstance(error, UsageError):
        return None
    if isinstance(error, RedDayError):
        line: DayOutcome = error.line
        return line
    passing = isinstance(error, PipelineError) and error.retry
    refused = _refusal(step, error)
    if passing and comes_again:
        return None
    # A person who is told that the store does not answer tries again, or not; nothing is known of the day.
    if passing and run.attended and (refused is None or not run.closed):
        return None
    if refused is not None:
        return refuse(run.usecase, run.day, refused, run.world, run.links)
    reason = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
    return fail(run.usecase, run.day, f"{step.name} failed: {reason}", run.world)


def _refusal(step: Step, error: Exception) -> RefusedError | None:
    """The error as the outcome of the day's data; None where it is something else."""
    from pipeline.steps.refuse import as_refusal

    return as_refusal(error) if step.reads_data and isinstance(error, PipelineError) else None
