"""``python -m pipeline run``: data days from their files to their verdicts, without Airflow."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.records import DayOutcome, Registered

if TYPE_CHECKING:
    from pipeline.core.ports import World
    from pipeline.core.usecase import Usecase


def run_day(
    usecase: Usecase, day: date, world: World, recipes: Sequence[str], allowed: bool, approver: str
) -> DayOutcome:
    """One data day from its files to its verdict: the loop of :mod:`pipeline.steps.loop`, attended.

    A use case whose winners a person must approve asks at the terminal; without one the winner waits.
    """
    from pipeline.steps import loop
    from pipeline.steps.promote import approval_form

    def ask(registered: Registered) -> loop.Answer:
        if approver:
            return loop.Answer(True, approver)
        if not sys.stdin.isatty():
            return loop.Answer(None)
        subject, body = approval_form(registered, world)
        answer = input(f"\n{subject}\n\n{body}\n\nPromote? [y/N] ")
        yes = answer.strip().lower() in ("y", "yes")
        return loop.Answer(yes, getpass.getuser(), "" if yes else "declined at the terminal")

    return loop.run_day(
        loop.Run(
            usecase=usecase,
            data_day=lambda: day,
            world=world,
            now=lambda: datetime.now(UTC),
            ask=ask,
            recipes=tuple(recipes),
            may_promote=allowed,
            attended=True,
            closed=day <= datetime.now(UTC).date(),
        )
    )


def run(args: argparse.Namespace, usecase: Usecase) -> int:
    """Run one day or several, oldest first, and end in a table."""
    from pipeline.adapters.world import alone, nothing_delivered, nothing_kept, world
    from pipeline.report.progress import bars
    from pipeline.report.terminal.tables import days_table, show

    if (args.day is None) == (args.first is None):
        raise UsageError("say which data day: either --day 2013-03-08, or --from 2013-03-01 --to 2013-03-08")
    if args.first is not None and args.last is None:
        raise UsageError(f"--from {args.first} needs a --to; for one day say --day {args.first}")
    for name in args.recipes:
        _known(usecase, name)
    first = args.day or args.first
    last = args.day or args.last
    if last < first:
        raise UsageError(f"--to {last} lies before --from {first}")
    if (missing := nothing_delivered()) and (nothing := nothing_kept()):
        raise UsageError(f"{nothing}, and {missing}; name the right home in PIPELINE_HOME, or deliver there", "HOME")
    outcomes: list[DayOutcome] = []
    status = 0
    with bars() as progress, alone(usecase.name):
        ports = world(progress)
        for day in (first + timedelta(n) for n in range((last - first).days + 1)):
            try:
                outcomes.append(run_day(usecase, day, ports, args.recipes, not args.judge_only, args.approve_as))
            except PipelineError as error:
                if not error.ends_day:
                    raise
                status = max(status, status_of(error))
                outcomes += [line for line in ports.ledger.outcomes(usecase.name) if line.day == day.isoformat()]
                print(f"{error.code}: {usecase.name} {day}: {error}", file=sys.stderr)
    show(days_table(outcomes))
    return status


def status_of(error: PipelineError) -> int:
    """1 where data was refused; 2 where what was asked could not be done, or not yet."""
    return 1 if isinstance(error, RefusedError) else 2


def _known(usecase: Usecase, name: str) -> None:
    try:
        usecase.recipe(name)
    except KeyError as unknown:
        raise UsageError(str(unknown.args[0]), "RECIPE") from None
