"""Several processes at once, as tasks of several runs are."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def at_once(
    jobs: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]], processes: int, seconds: float = 300
) -> list[Any]:
    """What each function returns of its arguments, in order, from processes that were begun anew.

    One that is killed, for want of memory say, ends the test with an error; a pool of ``multiprocessing`` would wait.
    """
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [job.result(seconds) for job in [pool.submit(function, *given) for function, given in jobs]]
