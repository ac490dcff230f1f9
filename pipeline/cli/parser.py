"""The commands and their options."""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import date
from pathlib import Path

from pipeline.cli import doctor, explain, ledger, limits, replay, run
from pipeline.cli.new_options import add_options
from pipeline.usecases import ALL

HOLD_HELP = "data days for which its recipe may not be promoted; default: 7, none where the champion can't answer"


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    known = ", ".join(usecase.name for usecase in ALL)
    # The name by which it was called, so that what its help shows can be typed.
    prog = "retrain" if Path(sys.argv[0]).name == "retrain" else "python -m pipeline"
    top = argparse.ArgumentParser(prog=prog, description=f"Use cases: {known}.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: object, text: str, reads: bool = True) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=text, description=text)
        parser.set_defaults(act=act, reads=reads)
        parser.add_argument("usecase", help=known)
        return parser

    daily = command("run", run.run, "run one data day, or several oldest first, from files to verdict", reads=False)
    daily.add_argument("--day", type=_day, help="the data day")
    daily.add_argument("--from", dest="first", type=_day, help="the first of several data days")
    daily.add_argument("--to", dest="last", type=_day, help="the last of several data days")
    daily.add_argument("--recipes", type=_names, default=(), help="only these recipes, by comma")
    daily.add_argument("--judge-only", action="store_true", help="judge, but promote nothing")
    daily.add_argument("--approve-as", default="", metavar="NAME", help="approve the winner in this person's name")
    for listing in (
        command("days", ledger.days, "what happened day by day"),
        command("history", ledger.history, "who was champion when, why and by whom"),
    ):
        listing.add_argument("--json", action="store_true", help="one JSON document (fields: docs/reference/json.md)")
    back = command("rollback", ledger.rollback, "make an earlier champion serve again, at once")
    back.add_argument("--to", required=True, help="'previous', or a version's number")
    back.add_argument("--why", required=True, help="the reason, kept in the ledger")
    back.add_argument("--by", default=getpass.getuser(), help="who; default: you")
    back.add_argument("--hold-days", type=int, help=HOLD_HELP)
    end = command("lift", ledger.lift, "end a hold that a rollback has put on a recipe")
    end.add_argument("--recipe", required=True)
    end.add_argument("--why", required=True)
    end.add_argument("--by", default=getpass.getuser())
    follow = command("reconcile", ledger.reconcile, "bring MLflow's aliases to what the promotion ledger says")
    follow.add_argument(
        "--register-again",
        action="store_true",
        help="first give the promoted models their numbers back, after their registered model was deleted in MLflow",
    )
    replay.add_options(
        command("replay", replay.run, "what a policy would have done with the days of the past", reads=False), _day
    )
    explain.add_explain(command("explain", explain.explain, "why a day ended as it did"), _day)
    explain.add_recompute(
        command("recompute", explain.recompute, "reach a day's verdict again, to the same bytes"), _day
    )
    learned = command("limits", limits.limits, "what the next day's tables are held to, learned from the accepted days")
    learned.add_argument("--table", default="", help="of this table alone")
    learned.add_argument("--about", default="", metavar="WORD", help="only limits that have this in their words")
    learned.add_argument("--json", action="store_true", help="one JSON document (fields: docs/reference/json.md)")
    text = (
        "which kept models will not open with these libraries or this declaration, or answer otherwise; writes nothing"
    )
    look = commands.add_parser("doctor", help=text, description=text)
    look.set_defaults(act=doctor.doctor, reads=True)
    look.add_argument("usecase", nargs="?", help=f"{known}; default: all of them")
    look.add_argument("--json", action="store_true", help="one JSON document (fields: docs/reference/json.md)")
    text = "write a use case from a history in one file, and deliver it day by day"
    new = commands.add_parser("new", help=text, description=text)
    new.set_defaults(act=_new, reads=False)
    add_options(new)
    return top


def _new(args: argparse.Namespace, _: None) -> int:
    from pipeline.cli.new import new

    return new(args)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
        if not 1900 <= day.year <= 2200:
            raise ValueError(text)
        return day
    except ValueError:
        raise argparse.ArgumentTypeError(f"there is no such day as '{text}'; a day is written 2013-03-08") from None


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"'{text}' names nobody; leave it out to mean all of them")
    return names
