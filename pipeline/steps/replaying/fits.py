"""Makes a history for the replay: every recipe fitted as of every day, and asked about the days that follow.

The fits are the daily run's own, on the same rows with the same seed. They are made once, on all processors, and kept,
so a stretch that was stopped goes on where it was, and one that has grown fits only what is new.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from multiprocessing.reduction import ForkingPickler

import numpy as np

from pipeline.core.errors import UnavailableError
from pipeline.core.kinds import Floats
from pipeline.core.ports import Progress
from pipeline.core.replay.history import FitKey, History, Stretch
from pipeline.core.windows import Days
from pipeline.steps.replaying.fit_maker import FitMaker
from pipeline.steps.replaying.fit_store import FitStore

log = logging.getLogger(__name__)

#: For how many days on a fit is asked at once, its holdout day the first: four weeks of serving, and the week after in
#: which a change is held against what it replaced. Few champions grow older.
HORIZON = 35


def make_history(
    source: FitMaker,
    days: Days,
    first: date,
    progress: Progress,
    keeper: FitStore | None = None,
    workers: int | None = None,
    horizon: int = HORIZON,
) -> History:
    """Fit every recipe as of every day from ``first`` on, and play it against the days that follow.

    Args:
        source: What to fit.
        days: All days of the units; a day without units has nobody to score.
        first: The first day on which fits are scored.
        progress: Shows how far it has come.
        keeper: Keeps what is done; None: nothing is kept.
        workers: Processes; None: as many as this one may use, 1: none but this.
        horizon: For how many days on a fit is asked at once.
    """
    calendar = np.array(list(days), dtype="datetime64[D]")
    units = source.units
    stretch = Stretch(calendar, source.day, units.labels, units.blocks, units.slices)

    edges = np.searchsorted(source.day, np.arange(len(days) + 1))

    def cached_predictions(fit: FitKey, begin: int, end: int) -> tuple[bool, Floats | None]:
        if keeper is None:
            return False, None
        unit_count = int(edges[end] - edges[begin])
        return keeper.get(fit, begin, end, (unit_count, source.kind.width) if source.kind.width else (unit_count,))

    def predict(fit: FitKey, begin: int, end: int) -> Floats | None:
        is_cached, predicted = cached_predictions(fit, begin, end)
        if not is_cached:
            predicted = source.predict(fit, begin, end)
            if keeper is not None:
                keeper.put(fit, begin, end, predicted)
        return predicted

    names = [recipe.name for recipe in source.recipes]
    history = History(source.kind, stretch, names, predict, horizon)
    start = (first - days.first).days
    jobs = [
        (FitKey(name, day), day, min(day + horizon, len(days))) for day in range(start, len(days)) for name in names
    ]
    with progress(f"fit and predict, {len(names)} recipes on {len(days) - start} days", len(jobs)) as done:
        todo = []
        for job in jobs:
            is_cached, predicted = cached_predictions(*job)
            if is_cached:
                history.put(*job, predicted)
                done()
            else:
                todo.append(job)
        for job, predicted in _finished(source, todo, workers or len(os.sched_getaffinity(0))):
            if keeper is not None:
                keeper.put(*job, predicted)
            history.put(*job, predicted)
            done()
    return history


_Job = tuple[FitKey, int, int]

_source: FitMaker | None = None


def _begin(source: FitMaker, parent: int) -> None:
    """In a worker, once: take the units, and die with whoever asked."""
    global _source  # noqa: PLW0603 - a worker has one
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # 1: PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _source = source


def _work(job: _Job) -> Floats | None:
    assert _source is not None  # noqa: S101 - _begin has run
    return _source.predict(*job)


def _finished(source: FitMaker, jobs: Sequence[_Job], workers: int) -> Iterator[tuple[_Job, Floats | None]]:
    """Each job with what came of it, as they come; few are under way at a time, so little is lost by a kill."""
    if workers <= 1 or len(jobs) < 8 * workers or not _portable(source):
        for job in jobs:
            yield job, source.predict(*job)
        return
    # Processes begun anew: a copy of this one would hold the locks of its threads, which are not copied.
    spawn_context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=spawn_context, initializer=_begin, initargs=(source.slim(), os.getpid())
    )
    try:
        waiting: dict[Future[Floats | None], _Job] = {}
        rest = iter(jobs)
        while True:
            for job in rest:
                waiting[pool.submit(_work, job)] = job
                if len(waiting) >= 3 * workers:
                    break
            if not waiting:
                return
            ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ready:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool:
        raise UnavailableError(
            "a process that fits was ended by somebody, perhaps for want of memory; what was done is kept: run it "
            "again, with fewer --workers if memory is short",
            "KILLED",
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _portable(source: FitMaker) -> bool:
    """Whether another process can be handed the recipes: a function within a function it could not find."""
    try:
        ForkingPickler.dumps((source.kind, source.recipes))
    except Exception as error:  # noqa: BLE001 - whatever their own code raises
        log.warning("one process fits, as the recipes can't be handed to another: %s", error)
        return False
    return True
