"""The command line: the same steps as the DAG's, without Airflow. ``python -m pipeline --help``."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import explain, replay
from pipeline.cli.explain import print_json
from pipeline.cli.new_options import add_options
from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.records import DayOutcome, Registered
from pipeline.usecases import ALL, find

if TYPE_CHECKING:
    from pipeline.core.ports import World
    from pipeline.core.usecase import Usecase


#: The command that ``make environment`` puts beside Python.
NAME = "retrain"


def run_day(
    usecase: Usecase, day: date, world: World, recipes: Sequence[str], allowed: bool, approver: str
) -> DayOutcome:
    """One data day from its files to its verdict: the loop of :mod:`pipeline.steps.loop`, attended.

    A use case whose winners a person must approve asks at the terminal; without one the winner waits.
    """
    from pipeline.steps import loop
    from pipeline.steps.promote import question

    def ask(registered: Registered) -> loop.Answer:
        if approver:
            return loop.Answer(True, approver)
        if not sys.stdin.isatty():
            return loop.Answer(None)
        subject, body = question(registered, world)
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


def _run(args: argparse.Namespace) -> int:
    from pipeline.adapters.world import alone, world
    from pipeline.report.progress import bars
    from pipeline.report.terminal.tables import days_table, show
    from pipeline.steps.refuse import refusal

    usecase = _usecase(args.usecase)
    if (args.day is None) == (args.first is None):
        raise UsageError("say which data day: either --day 2013-03-08, or --from 2013-03-01 --to 2013-03-08")
    if args.first is not None and args.last is None:
        raise UsageError(f"--from {args.first} needs a --to; for one day say --day {args.first}")
    for name in args.recipes:
        _recipe(usecase, name)
    first = args.day or args.first
    last = args.day or args.last
    if last < first:
        raise UsageError(f"--to {last} lies before --from {first}")
    outcomes: list[DayOutcome] = []
    status = 0
    with bars() as progress, alone(usecase.name):
        ports = world(progress)
        for day in (first + timedelta(n) for n in range((last - first).days + 1)):
            try:
                outcomes.append(run_day(usecase, day, ports, args.recipes, not args.judge_only, args.approve_as))
            except PipelineError as error:
                if refusal(error) is None:
                    raise
                status = max(status, _status(error))
                outcomes += [line for line in ports.ledger.outcomes(usecase.name) if line.day == day.isoformat()]
                print(f"{error.code}: {usecase.name} {day}: {error}", file=sys.stderr)
    show(days_table(outcomes))
    return status


def _status(error: PipelineError) -> int:
    """1 where data was refused; 2 where what was asked could not be done, or not yet."""
    return 1 if isinstance(error, RefusedError) else 2


def _days(args: argparse.Namespace) -> int:
    from pipeline.adapters.world import world
    from pipeline.report.terminal.tables import days_table, show

    outcomes = world().ledger.outcomes(_usecase(args.usecase).name)
    if args.json:
        print_json([line.to_dict() for line in outcomes])
    else:
        show(days_table(outcomes))
    return 0


def _history(args: argparse.Namespace) -> int:
    from pipeline.adapters.world import world
    from pipeline.report.terminal.tables import history_table, show

    entries = world().ledger.entries(_usecase(args.usecase).name)
    if args.json:
        print_json([entry.to_dict() for entry in entries])
    else:
        show(history_table(entries))
    return 0


def _rollback(args: argparse.Namespace) -> int:
    from pipeline.adapters.world import world
    from pipeline.report.terminal.tables import history_table, show
    from pipeline.steps.rollback import rollback

    usecase, ports = _usecase(args.usecase), world()
    entry = rollback(usecase, ports, args.to, args.why, args.by, datetime.now(UTC), args.hold_days)
    show(history_table([entry]))
    return 0


def _lift(args: argparse.Namespace) -> int:
    from pipeline.adapters.world import world
    from pipeline.report.terminal.tables import history_table, show
    from pipeline.steps.rollback import lift

    usecase, ports = _usecase(args.usecase), world()
    show(history_table([lift(usecase, ports, args.recipe, args.why, args.by, datetime.now(UTC))]))
    return 0


def _reconcile(args: argparse.Namespace) -> int:
    from pipeline.adapters.world import world
    from pipeline.steps.reconcile import reconcile

    moved = reconcile(_usecase(args.usecase).name, world())
    for alias, (was, now) in moved.items():
        print(f"{alias}: version {was or 'none'} -> {now or 'none'}")
    if not moved:
        print("the aliases are what the promotion ledger says")
    return 0


def _replay(args: argparse.Namespace) -> int:
    return replay.run(args, _usecase(args.usecase))


def _new(args: argparse.Namespace) -> int:
    from pipeline.cli.new import new

    return new(args)


def _explain(args: argparse.Namespace) -> int:
    return explain.explain(args, _usecase(args.usecase))


def _recompute(args: argparse.Namespace) -> int:
    return explain.recompute(args, _usecase(args.usecase))


def _usecase(name: str) -> Usecase:
    try:
        return find(name)
    except KeyError as unknown:
        raise UsageError(str(unknown.args[0]), "USECASE") from None


def _recipe(usecase: Usecase, name: str) -> None:
    try:
        usecase.recipe(name)
    except KeyError as unknown:
        raise UsageError(str(unknown.args[0]), "RECIPE") from None


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
        if not 1900 <= day.year <= 2200:
            raise ValueError(text)
        return day
    except ValueError:
        raise argparse.ArgumentTypeError(f"there is no such day as '{text}'; a day is written 2013-03-08") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    known = ", ".join(usecase.name for usecase in ALL)
    prog = NAME if Path(sys.argv[0]).name == NAME else "python -m pipeline"
    top = argparse.ArgumentParser(prog=prog, description=f"Use cases: {known}.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(act=act)
        made.add_argument("usecase", help=known)
        return made

    run = command("run", _run, "run one data day, or several oldest first, from files to verdict")
    run.add_argument("--day", type=_day, help="the data day")
    run.add_argument("--from", dest="first", type=_day, help="the first of several data days")
    run.add_argument("--to", dest="last", type=_day, help="the last of several data days")
    run.add_argument("--recipes", type=_names, default=(), help="only these recipes, by comma")
    run.add_argument("--judge-only", action="store_true", help="judge, but promote nothing")
    run.add_argument("--approve-as", default="", metavar="NAME", help="approve the winner in this person's name")
    for name, act, text in (
        ("days", _days, "what happened day by day"),
        ("history", _history, "who was champion when, why and by whom"),
    ):
        command(name, act, text).add_argument(
            "--json", action="store_true", help="one JSON document, all in exact words"
        )
    back = command("rollback", _rollback, "make an earlier champion serve again, at once")
    back.add_argument("--to", required=True, help="'previous', or a version's number")
    back.add_argument("--why", required=True, help="the reason, kept in the ledger")
    back.add_argument("--by", default=getpass.getuser(), help="who; default: you")
    back.add_argument("--hold-days", type=int, default=7, help="data days for which its recipe may not be promoted")
    lift = command("lift", _lift, "end a hold that a rollback has put on a recipe")
    lift.add_argument("--recipe", required=True)
    lift.add_argument("--why", required=True)
    lift.add_argument("--by", default=getpass.getuser())
    command("reconcile", _reconcile, "bring MLflow's aliases to what the promotion ledger says")
    replay.add_options(command("replay", _replay, "what a policy would have done with the days of the past"), _day)
    explain.add_explain(command("explain", _explain, "why a day ended as it did"), _day)
    explain.add_recompute(command("recompute", _recompute, "reach a day's verdict again, to the same bytes"), _day)
    text = "write a use case from a history in one file, and deliver it day by day"
    new = commands.add_parser("new", help=text, description=text)
    new.set_defaults(act=_new)
    add_options(new)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command: 0 done, 1 data was refused, 2 the request could not be met, 3 a fault of the product itself."""
    args = parser().parse_args(argv)
    os.umask(0o077)  # what the product keeps is its owner's alone
    try:
        return int(args.act(args))
    except PipelineError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return _status(error)
    except KeyboardInterrupt:
        print("stopped; the next run goes on from here", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence for the person, the traceback in a file
        with tempfile.NamedTemporaryFile("w", prefix="pipeline-", suffix=".log", delete=False) as log:
            traceback.print_exc(file=log)
        print(
            f"UNEXPECTED: {type(error).__name__}: {error}; nothing was promoted half. See {log.name}", file=sys.stderr
        )
        return 3


if __name__ == "__main__":
    sys.exit(main())
