"""`python -m stack`: start, stay until Ctrl-C, leave nothing behind."""

from __future__ import annotations

import signal
import sys
import time

from rich.console import Console
from rich.table import Table

from stack import signin
from stack.embedded import Stack
from stack.errors import StackError
from stack.settings import Settings


def main() -> int:
    """Run the stack in the foreground; the exit code is 0 after Ctrl-C or SIGTERM, 1 after an error."""
    console = Console(highlight=False)
    # A shell starts what it puts in the background with Ctrl-C ignored; both signals must stop it all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    began = time.monotonic()
    try:
        settings = Settings.from_env()
        with Stack(settings).running(on_progress=lambda line: console.print(f"  {line}", style="dim")) as stack:
            console.print(f"Ready after {time.monotonic() - began:.1f} s.")
            console.print(_addresses(stack))
            console.print("Ctrl-C stops it.")
            while True:
                for line in stack.watch_once():
                    console.print(line, style="yellow")
                time.sleep(1.0)
    except StackError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0


def _addresses(stack: Stack) -> Table:
    table = Table.grid(padding=(0, 2))
    passwords = signin.password_file(stack.settings.airflow_home)
    table.add_row("Airflow", stack.airflow_url, f"users {', '.join(stack.settings.users)}; passwords in {passwords}")
    mlflow = f"{stack.mlflow_url}/#/experiments?workflowType=machine_learning"
    table.add_row("MLflow", mlflow, f"the same without the server: {stack.settings.mlflow_store}")
    table.add_row("Logs", str(stack.settings.logs), "")
    return table


if __name__ == "__main__":
    sys.exit(main())
