"""`python -m stack`: start, stay until Ctrl-C, leave nothing behind. `python -m stack run …`: a command beside it."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from stack import signin
from stack.embedded import Stack
from stack.errors import StackError
from stack.settings import CALENDAR, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is 0 after Ctrl-C or SIGTERM, 1 after an error; that of the command where one was run."""
    asked = _parser().parse_args(arguments)
    console = Console(highlight=False)
    try:
        if asked.command is not None:
            run(asked.command)
        return serve(console)
    except StackError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0


def serve(console: Console) -> NoReturn:
    """Run the stack in the foreground until somebody interrupts it."""
    # A shell starts what it puts in the background with Ctrl-C ignored; both signals must stop it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    began = time.monotonic()
    settings = Settings.from_env().with_calendar()

    def say(line: str, style: str) -> None:
        console.print(line, style=style, soft_wrap=True, markup=False)

    with Stack(settings).running(on_progress=lambda line: say(f"  {line}", "dim")) as stack:
        console.print(f"Ready after {time.monotonic() - began:.1f} s.")
        if days := [settings.extra[name] for name in CALENDAR if name in settings.extra]:
            say(
                f"The calendar of this home is kept: data days {' to '.join(days)}, and no night outside them. "
                "For another one: PIPELINE_FIRST_DAY= PIPELINE_LAST_DAY= make start",
                "yellow",
            )
        show_addresses(console, stack)
        console.print("Ctrl-C stops it.")
        while True:
            for line in stack.watch_once():
                say(line, "yellow")
            time.sleep(1.0)


def run(command: Sequence[str]) -> NoReturn:
    """Become `command`, in the environment of the processes of the stack that was last started on PIPELINE_HOME.

    Raises StackError when there is no such stack or no such command.
    """
    if not command:
        raise StackError("say which command is to be run, as in: run airflow dags list")
    environment = Settings.of_home().environment()
    ours = str(Path(sys.executable).parent)  # `airflow` and `mlflow` are those of this Python
    environment["PATH"] = os.pathsep.join((ours, environment.get("PATH", os.defpath)))
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise StackError(f"there is no command '{command[0]}'; name one as in: run airflow dags list")
    os.umask(0o077)
    os.execve(program, [command[0], *command[1:]], environment)  # noqa: S606 - the very command that was asked for


def show_addresses(console: Console, stack: Stack) -> None:
    """Where to look, and how to sign in: for copying, so that nothing is cut, and broken by the terminal alone."""
    settings = stack.settings
    for line in (
        f"Airflow  {stack.airflow_url}",
        f"         users {', '.join(settings.users)}; passwords in {signin.password_file(settings.airflow_home)}",
        *(f"MLflow   {where}" for where in stack.mlflow_pages()),
        f"         the same without the server: {settings.mlflow_store}",
        f"Logs     {settings.logs}",
    ):
        console.print(line, soft_wrap=True, markup=False)


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m stack",
        description="Airflow and MLflow on this machine only, until Ctrl-C. PIPELINE_HOME says where they keep their "
        "files (default: var), PIPELINE_AIRFLOW_PORT and PIPELINE_MLFLOW_PORT where they answer.",
    )
    top.set_defaults(command=None)
    words = "run a command in the stack's environment, as in: run airflow dags list"
    inner = top.add_subparsers(metavar="[run COMMAND …]").add_parser("run", help=words, description=words)
    inner.add_argument("command", nargs=argparse.REMAINDER, help="the command and its own options")
    return top


if __name__ == "__main__":
    sys.exit(main())
