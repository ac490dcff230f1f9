"""``make demo``: the daily run on real flights of 2013, under the real Airflow scheduler, on this machine only."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from demo.story import STORY, Outcomes, Story, Upstream
from pipeline.adapters.ledger.sql import SqlLedger
from pipeline.core.records import DayOutcome
from pipeline.core.usecase import Usecase
from pipeline.report.terminal.tables import days_table, outcome_line
from pipeline.usecases.flight_delay import FLIGHT_DELAY
from pipeline.usecases.flight_minutes import FLIGHT_MINUTES
from stack import signin
from stack.embedded import Stack
from stack.errors import StackError
from stack.settings import Settings

#: The use cases that upstream's files are for.
FLOWN: tuple[Usecase, ...] = (FLIGHT_DELAY, FLIGHT_MINUTES)
#: Seconds without any day ending after which something is wrong.
PATIENCE = 600.0


def settings_for(story: Story) -> Settings:
    """The embedded stack, its calendar the data's: nothing is scheduled outside the story's days."""
    calendar = {
        "PIPELINE_FIRST_DAY": story.first.isoformat(),
        "PIPELINE_LAST_DAY": story.last.isoformat(),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    }
    return dataclasses.replace(Settings.from_env(), extra=calendar)


class Watcher:
    """Follows the day-by-day lines of every use case and shows each as it is written."""

    def __init__(self, ledger: SqlLedger, story: Story, console: Console) -> None:
        self.ledger, self.story, self.console = ledger, story, console
        self.shown: set[tuple[str, str, str]] = set()

    def outcomes(self) -> Outcomes:
        """Use case to its lines, of the story's days only."""
        within = {usecase.name: self.ledger.outcomes(usecase.name) for usecase in FLOWN}
        first, last = self.story.first.isoformat(), self.story.last.isoformat()
        return {name: [line for line in lines if first <= line.day <= last] for name, lines in within.items()}

    def show_new(self, outcomes: Outcomes) -> list[DayOutcome]:
        """Print the lines that were not there the last time."""
        new = [
            line
            for lines in outcomes.values()
            for line in lines
            if (line.usecase, line.day, line.outcome) not in self.shown
        ]
        for line in sorted(new, key=lambda line: line.day):
            self.shown.add((line.usecase, line.day, line.outcome))
            self.console.print(outcome_line(line))
        return new


def say(console: Console, line: str, style: str = "") -> None:
    """For copying: nothing is cut, taken for markup, or broken by anybody but the terminal."""
    console.print(line, style=style, soft_wrap=True, markup=False)


def all_ended(story: Story, outcomes: Outcomes) -> bool:
    """Whether every use case has ended every day."""
    return all(len(lines) >= story.days for lines in outcomes.values())


def follow(stack: Stack, watcher: Watcher, upstream: Upstream, progress: Progress, bars: Mapping[str, TaskID]) -> None:
    """Watch until every use case has ended every day.

    Raises:
        StackError: A process keeps failing, upstream could not deliver, or nothing has happened for too long.
    """
    last_news = time.monotonic()
    while True:
        for note in stack.watch_once():
            say(watcher.console, note, style="yellow")
        if upstream.error is not None:
            raise StackError(f"the demonstration's upstream could not deliver: {upstream.error}")
        outcomes = watcher.outcomes()
        if watcher.show_new(outcomes):
            last_news = time.monotonic()
        for name, lines in outcomes.items():
            progress.update(bars[name], completed=len(lines))
        if all_ended(watcher.story, outcomes):
            return
        if time.monotonic() - last_news > PATIENCE:
            raise StackError(
                f"no day has ended for {PATIENCE / 60:.0f} minutes; look at {stack.airflow_url} "
                f"and {stack.settings.logs}"
            )
        time.sleep(0.5)


def report(console: Console, stack: Stack, outcomes: Outcomes, end: bool) -> None:
    """What happened, day by day, and where to look; with ``end``, how to come back: nothing answers there any more."""
    for lines in outcomes.values():
        console.print(days_table(lines))
    console.print()
    if end:
        say(console, "Airflow and MLflow stop now; 'make demo' starts them again, with all of this.")
        say(console, "Without them: .venv/bin/python -m pipeline history flight_delay")
        return
    addresses(console, stack)
    say(console, "\nIn another terminal: .venv/bin/python -m pipeline history flight_delay")


def addresses(console: Console, stack: Stack) -> None:
    """Where to look, and how to sign in."""
    passwords = signin.password_file(stack.settings.airflow_home)
    for line in (
        f"Airflow  {stack.airflow_url}  sign in as admin, password {stack.password('admin')}",
        f"         other users, with fewer rights, are in {passwords}",
        *(f"MLflow   {where}" for where in stack.mlflow_pages()),
        "         no sign-in: it answers on this machine only",
    ):
        say(console, line)


def run(end: bool) -> int:
    """The demonstration; with ``end`` it stops by itself, and its status says whether it showed what it promises."""
    story = STORY
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    settings = settings_for(story)
    stack = Stack(settings)
    began = time.monotonic()
    with stack.running(on_progress=lambda line: say(console, f"  {line}", style="dim")):
        console.print(f"Airflow and MLflow run after {time.monotonic() - began:.0f} s; look in while the days go by:")
        addresses(console, stack)
        ledger = SqlLedger(f"sqlite:///{settings.home / 'store' / 'ledger.db'}")
        watcher = Watcher(ledger, story, console)
        already = all_ended(story, watcher.outcomes())
        upstream = Upstream(settings.home / "landing", story, watcher.outcomes)
        upstream.start()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        try:
            with Progress(*columns, console=console, transient=True) as progress:
                bars = {usecase.name: progress.add_task(usecase.name, total=story.days) for usecase in FLOWN}
                follow(stack, watcher, upstream, progress, bars)
        finally:
            upstream.stopping.set()
        outcomes = watcher.outcomes()
        report(console, stack, outcomes, end)
        missing = story.missing(outcomes)
        for line in missing:
            say(console, f"not as promised: {line}", style="red")
        took = f"All days ended after {time.monotonic() - began:.0f} s."
        say(console, "All days had ended already; nothing was left to do." if already else took)
        if end:
            return 1 if missing else 0
        console.print("Everything stays up until Ctrl-C.")
        while True:
            for note in stack.watch_once():
                say(console, note, style="yellow")
            time.sleep(1.0)


def main() -> int:
    """0 when all went as promised (or after Ctrl-C), 1 when it did not, 2 when it could not start."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end by itself, with a truthful exit status")
    end = parser.parse_args().exit
    # A shell starts what it puts in the background with Ctrl-C ignored; both signals must stop it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        return run(end)
    except StackError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; 'make demo' goes on from here.")
        return 130 if end else 0


if __name__ == "__main__":
    sys.exit(main())
