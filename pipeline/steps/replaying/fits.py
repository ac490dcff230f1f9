"""Makes a reel: every recipe fitted as of every day of a stretch, and put before the days that follow.

The fits are the daily run's own, on the same rows with the same seed. They are made once, on all processors, and kept,
so a stretch that was stopped goes on where it was, and one that has grown fits only what is new.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import logging
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from pipeline.core.errors import ConflictError, UnavailableError
from pipeline.core.kinds import Floats, Kind
from pipeline.core.ports import Files, Progress, Units
from pipeline.core.records import digest
from pipeline.core.replay.history import Fit, History, Stretch
from pipeline.core.usecase import Recipe
from pipeline.core.windows import Days
from pipeline.steps.models.fitting import BrokenError, fitted
from pipeline.steps.models.predictions import predictions
from pipeline.steps.models.threads import one_thread

log = logging.getLogger(__name__)

#: For how many days on a fit is asked at once, its holdout day the first; few champions grow older.
HORIZON = 28


@dataclass(frozen=True, eq=False)
class FitMaker:
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
        # Day by day, as the daily run asks: with other rows beside it a sum may differ in its last bit.
        edges = np.searchsorted(self.day, np.arange(first, end + 1))
        asked = [self.units.inputs.iloc[begin:stop] for begin, stop in pairwise(edges) if stop > begin]
        predicted = [predictions(self.kind, model, inputs, fit.recipe) for inputs in asked]
        nothing = np.empty((0, self.kind.width) if self.kind.width else 0)
        return np.concatenate(predicted) if predicted else nothing

    def contents(self, days: int) -> list[str]:
        """Digest of what there is to learn from and to predict on each day; empty where there is no unit."""
        import pyarrow as pa

        table = pa.Table.from_pandas(self.units.inputs, preserve_index=False)
        edges = np.searchsorted(self.day, np.arange(days + 1))
        found = []
        for begin, end in pairwise(edges.tolist()):
            made = hashlib.sha256(self.units.labels[begin:end].tobytes())
            for column in table.slice(begin, end - begin).columns:
                values = column.combine_chunks()
                # The words of all days stand in one dictionary; a day is named by its own.
                plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
                made.update(repr(plain.type).encode())
                made.update(pa.record_batch([plain], ["values"]).serialize())
            found.append(made.hexdigest() if end > begin else "")
        return found

    def made_of(self, definitions: Mapping[str, str]) -> dict[str, str]:
        """Recipe to the digest of what its fits depend on beside the units: declaration, source, numbers, versions."""
        versions = [version(package) for package in ("scikit-learn", "numpy")]
        return {
            recipe.name: digest([definitions[recipe.name], recipe.at_least, _numbers(recipe), versions])
            for recipe in self.recipes
        }

    def slim(self) -> FitMaker:
        """What a worker needs of it."""
        nothing = self.units.where(np.zeros(len(self.units), dtype=np.bool_))
        return replace(self, units=replace(nothing, inputs=self.units.inputs, labels=self.units.labels))


def _numbers(recipe: Recipe) -> str:
    """What the recipe's estimator is made with: code that it shares with others may have set it."""
    estimator = recipe.build(recipe.seed)
    asked = getattr(estimator, "get_params", None)
    told = repr(sorted(asked().items(), key=str)) if asked is not None else type(estimator).__qualname__
    return re.sub(r" at 0x[0-9a-f]+", "", told)  # where an object lies in memory is no part of it


@dataclass(frozen=True, slots=True)
class FitStore:
    """Keeps predictions in the file store, under what they were made from.

    Attributes:
        files: The file store.
        folder: Below which they lie.
        contents: Digest of the units of each day, by the day's number (:meth:`Source.contents`).
        made_of: Recipe name to the digest of everything else that a fit depends on.
        windows: Recipe name to its window.
    """

    files: Files
    folder: str
    contents: Sequence[str]
    made_of: Mapping[str, str]
    windows: Mapping[str, int]

    def _name(self, fit: Fit, first: int, end: int) -> str:
        begin = max(fit.day - self.windows[fit.recipe], 0)
        # Days are named by what is in them, and only by that: where the stretch begins does not matter.
        learnt, asked = list(self.contents[begin : fit.day]), list(self.contents[first:end])
        return f"{self.folder}/{fit.recipe}/{digest([self.made_of[fit.recipe], learnt, asked])}.npy"

    def get(self, fit: Fit, first: int, end: int, shape: tuple[int, ...]) -> tuple[bool, Floats | None]:
        """Whether it is kept, and the predictions.

        Args:
            fit: Which one.
            first: The first day asked for.
            end: The day after the last.
            shape: Of its predictions. A file that holds others, or is not whole, is as if it were not there.
        """
        name = self._name(fit, first, end)
        if not self.files.exists(name):
            return False, None
        try:
            return True, _read(self.files.get(name), shape)
        except (ValueError, EOFError) as damaged:
            log.warning(
                "the kept fit '%s' is damaged and is made again each time until it is deleted: %s", name, damaged
            )
            return False, None

    def put(self, fit: Fit, first: int, end: int, predicted: Floats | None) -> None:
        """Keep it, unless something is kept under its name already."""
        data = io.BytesIO()
        np.save(data, np.array(np.nan) if predicted is None else predicted, allow_pickle=False)
        whole = data.getvalue()
        # Of two replays that fit at once the first keeps its own; and a file never changes, not even a damaged one.
        with suppress(ConflictError):
            self.files.put(self._name(fit, first, end), whole + hashlib.sha256(whole).digest())


def _read(data: bytes, shape: tuple[int, ...]) -> Floats | None:
    """What a kept file says.

    Raises:
        ValueError: It is damaged. Files from before they ended in their digest are held to their form only.
    """
    source = io.BytesIO(data)
    kept = np.load(source, allow_pickle=False)
    end = source.tell()
    if end < len(data) and hashlib.sha256(data[:end]).digest() != data[end:]:
        raise ValueError("its digest is another")
    if kept.dtype != np.float64 or kept.shape not in ((), shape):
        raise ValueError(f"it holds {kept.dtype} of shape {kept.shape}, and {shape} are asked for")
    return None if kept.ndim == 0 else kept


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

    def held(fit: Fit, begin: int, end: int) -> tuple[bool, Floats | None]:
        if keeper is None:
            return False, None
        asked = int(edges[end] - edges[begin])
        return keeper.get(fit, begin, end, (asked, source.kind.width) if source.kind.width else (asked,))

    def predict(fit: Fit, begin: int, end: int) -> Floats | None:
        there, predicted = held(fit, begin, end)
        if not there:
            predicted = source.predict(fit, begin, end)
            if keeper is not None:
                keeper.put(fit, begin, end, predicted)
        return predicted

    names = [recipe.name for recipe in source.recipes]
    history = History(source.kind, stretch, names, predict, horizon)
    start = (first - days.first).days
    jobs = [(Fit(name, day), day, min(day + horizon, len(days))) for day in range(start, len(days)) for name in names]
    with progress(f"fit and predict, {len(names)} recipes on {len(days) - start} days", len(jobs)) as done:
        todo = []
        for job in jobs:
            there, predicted = held(*job)
            if there:
                history.put(*job, predicted)
                done()
            else:
                todo.append(job)
        for job, predicted in _made(source, todo, workers or len(os.sched_getaffinity(0))):
            if keeper is not None:
                keeper.put(*job, predicted)
            history.put(*job, predicted)
            done()
    return history


_Job = tuple[Fit, int, int]
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


def _made(source: FitMaker, jobs: Sequence[_Job], workers: int) -> Iterator[tuple[_Job, Floats | None]]:
    """Each job with what came of it, as they come; few are under way at a time, so little is lost by a kill."""
    if workers <= 1 or len(jobs) < 8 * workers or not _portable(source):
        for job in jobs:
            yield job, source.predict(*job)
        return
    # Processes begun anew: a copy of this one would hold the locks of its threads, which are not copied.
    begun = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=begun, initializer=_begin, initargs=(source.slim(), os.getpid()))
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
