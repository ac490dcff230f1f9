"""Makes a reel: every recipe fitted as of every day of a stretch, and put before the days that follow.

The fits are the daily run's own, on the same rows with the same seed. They are made once, on all processors, and kept,
so a stretch that was stopped goes on where it was, and one that has grown fits only what is new.
"""

from __future__ import annotations

import ctypes
import io
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from pipeline.core.kinds import Floats, Kind
from pipeline.core.ports import Files, Progress, Units
from pipeline.core.records import digest
from pipeline.core.reel import Fit, Reel, Stretch
from pipeline.core.usecase import Recipe
from pipeline.core.windows import Days
from pipeline.steps.predictions import predictions
from pipeline.steps.threads import one_thread
from pipeline.steps.train import BrokenError, fitted

#: For how many days on a fit is asked at once, its exam the first; few champions grow older.
HORIZON = 28


@dataclass(frozen=True, eq=False)
class Source:
    """What fits are made from.

    Attributes:
        kind: Asks a model.
        recipes: Those to fit, the baseline among them.
        units: All units of the stretch, in order of the day, unlabelled ones too.
        day: Number of each unit's day.
    """

    kind: Kind
    recipes: tuple[Recipe, ...]
    units: Units
    day: Any

    def fit(self, fit: Fit) -> Any | None:
        """The fitted estimator; None where it has too few days, or its own code fails."""
        recipe = next(recipe for recipe in self.recipes if recipe.name == fit.recipe)
        first, end = np.searchsorted(self.day, (fit.day - recipe.window, fit.day))
        rows = np.arange(first, end)[np.isfinite(self.units.labels[first:end])]
        if len(np.unique(self.day[rows])) < recipe.at_least:
            return None
        try:
            return fitted(recipe, recipe.seed, self.units, rows)
        except BrokenError:
            return None

    def predict(self, fit: Fit, first: int, end: int) -> Floats | None:
        """What the fit says of the units of the days from ``first`` to before ``end``."""
        one_thread()
        model = self.fit(fit)
        if model is None:
            return None
        at = slice(*np.searchsorted(self.day, (first, end)))
        return predictions(self.kind, model, self.units.inputs.iloc[at], fit.recipe)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps predictions in the file store, under what they were made from.

    Attributes:
        files: The file store.
        folder: Below which they lie.
        data: Digest of each day's deliveries, by the day's number; empty where there are none.
        definitions: Recipe name to the digest of its declaration and source.
        history: How many days before a unit's own its features look back.
        windows: Recipe name to its window.
    """

    files: Files
    folder: str
    data: Sequence[str]
    definitions: dict[str, str]
    history: int
    windows: dict[str, int]

    def _name(self, fit: Fit, first: int, end: int) -> str:
        begin = max(fit.day - self.windows[fit.recipe] - self.history, 0)
        # The days are named by their data, and only by that: where they begin does not matter.
        made_of = [self.definitions[fit.recipe], fit.day - begin, first - begin, list(self.data[begin:end])]
        return f"{self.folder}/{fit.recipe}/{digest(made_of)}.npy"

    def get(self, fit: Fit, first: int, end: int) -> tuple[bool, Floats | None]:
        """Whether it is kept, and the predictions."""
        name = self._name(fit, first, end)
        if not self.files.exists(name):
            return False, None
        kept = np.load(io.BytesIO(self.files.get(name)), allow_pickle=False)
        return True, None if kept.ndim == 0 else kept

    def put(self, fit: Fit, first: int, end: int, said: Floats | None) -> None:
        """Keep it."""
        data = io.BytesIO()
        np.save(data, np.array(np.nan) if said is None else said, allow_pickle=False)
        self.files.put(self._name(fit, first, end), data.getvalue())


def make_reel(
    source: Source,
    days: Days,
    first: date,
    progress: Progress,
    keeper: Keeper | None = None,
    workers: int | None = None,
    horizon: int = HORIZON,
) -> Reel:
    """Fit every recipe as of every day from ``first`` on, and play it against the days that follow.

    Args:
        source: What to fit.
        days: All days of the units; a day without units has nobody to sit.
        first: The first day on which fits sit.
        progress: Shows how far it has come.
        keeper: Keeps what is done; None: nothing is kept.
        workers: Processes; None: as many as this one may use, 1: none but this.
        horizon: For how many days on a fit is asked at once.
    """
    calendar = np.array(list(days), dtype="datetime64[D]")
    units = source.units
    stretch = Stretch(calendar, source.day, units.labels, units.blocks, units.slices)

    def predict(fit: Fit, begin: int, end: int) -> Floats | None:
        there, said = keeper.get(fit, begin, end) if keeper is not None else (False, None)
        if not there:
            said = source.predict(fit, begin, end)
            if keeper is not None:
                keeper.put(fit, begin, end, said)
        return said

    names = [recipe.name for recipe in source.recipes]
    reel = Reel(source.kind, stretch, names, predict, horizon)
    start = (first - days.first).days
    jobs = [(Fit(name, day), day, min(day + horizon, len(days))) for day in range(start, len(days)) for name in names]
    with progress(f"fit and predict, {len(names)} recipes on {len(days) - start} days", len(jobs)) as done:
        todo = []
        for job in jobs:
            there, said = keeper.get(*job) if keeper is not None else (False, None)
            if there:
                reel.put(*job, said)
                done()
            else:
                todo.append(job)
        for job, said in _made(source, todo, workers or len(os.sched_getaffinity(0))):
            if keeper is not None:
                keeper.put(*job, said)
            reel.put(*job, said)
            done()
    return reel


_Job = tuple[Fit, int, int]
_source: Source | None = None


def _begin(source: Source) -> None:
    """In a worker, once: take the units, and die with whoever asked."""
    global _source  # noqa: PLW0603 - a worker has one
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # 1: PR_SET_PDEATHSIG
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _source = source


def _work(job: _Job) -> Floats | None:
    assert _source is not None  # noqa: S101 - _begin has run
    return _source.predict(*job)


def _made(source: Source, jobs: Sequence[_Job], workers: int) -> Iterator[tuple[_Job, Floats | None]]:
    """Each job with what came of it, as they come; few are under way at a time, so little is lost by a kill."""
    if workers <= 1 or len(jobs) < 8 * workers:
        for job in jobs:
            yield job, source.predict(*job)
        return
    # Processes begun anew: a copy of this one would hold the locks of its threads, which are not copied.
    begun = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=begun, initializer=_begin, initargs=(source,))
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
            for one in ready:
                yield waiting.pop(one), one.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
