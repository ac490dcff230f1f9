"""The Progress port: bars in a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from pipeline.core.ports import Progress, silent


@contextmanager
def bars(file: TextIO | None = None) -> Iterator[Progress]:
    """A bar for each piece of work under way, gone when it is done; where nobody watches, nothing.

    Args:
        file: Where to draw; standard error by default, so that a table on standard output stays clean.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(file=file or sys.stderr)
    if not console.is_terminal:
        yield silent
        return
    columns = (SpinnerColumn(), TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeElapsedColumn(), console=console, transient=True) as shown:

        @contextmanager
        def one(label: str, total: int) -> Iterator[Callable[[], None]]:
            task = shown.add_task(label, total=total)
            try:
                yield lambda: shown.advance(task)
            finally:
                shown.refresh()
                shown.remove_task(task)

        def progress(label: str, total: int) -> AbstractContextManager[Callable[[], None]]:
            return one(label, total)

        yield progress
