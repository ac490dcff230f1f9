"""Keeps the predictions of fits in the file store, under what they were made from."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from pipeline.core.errors import ConflictError
from pipeline.core.kinds import Floats
from pipeline.core.ports import Files
from pipeline.core.records import digest
from pipeline.core.replay.history import FitKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FitStore:
    """Keeps predictions in the file store, under what they were made from.

    Attributes:
        files: The file store.
        folder: Below which they lie.
        contents: Digest of the units of each day, by the day's number (:meth:`FitMaker.contents`).
        made_of: Recipe name to the digest of everything else that a fit depends on.
        windows: Recipe name to its window.
    """

    files: Files
    folder: str
    contents: Sequence[str]
    made_of: Mapping[str, str]
    windows: Mapping[str, int]

    def _name(self, fit: FitKey, first: int, end: int) -> str:
        begin = max(fit.day - self.windows[fit.recipe], 0)
        # Days are named by what is in them, and only by that: where the stretch begins does not matter.
        learnt_from, predicted_for = list(self.contents[begin : fit.day]), list(self.contents[first:end])
        return f"{self.folder}/{fit.recipe}/{digest([self.made_of[fit.recipe], learnt_from, predicted_for])}.npy"

    def get(self, fit: FitKey, first: int, end: int, shape: tuple[int, ...]) -> tuple[bool, Floats | None]:
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

    def put(self, fit: FitKey, first: int, end: int, predicted: Floats | None) -> None:
        """Keep it, unless something is kept under its name already."""
        data = io.BytesIO()
        np.save(data, np.array(np.nan) if predicted is None else predicted, allow_pickle=False)
        array_bytes = data.getvalue()
        # Of two replays that fit at once the first keeps its own; and a file never changes, not even a damaged one.
        with suppress(ConflictError):
            self.files.put(self._name(fit, first, end), array_bytes + hashlib.sha256(array_bytes).digest())


def _read(data: bytes, shape: tuple[int, ...]) -> Floats | None:
    """What a kept file says.

    Raises:
        ValueError: It is damaged. Files from before they ended in their digest are held to their form only.
    """
    source = io.BytesIO(data)
    predictions = np.load(source, allow_pickle=False)
    end = source.tell()
    if end < len(data) and hashlib.sha256(data[:end]).digest() != data[end:]:
        raise ValueError("its digest is another")
    if predictions.dtype != np.float64 or predictions.shape not in ((), shape):
        raise ValueError(f"it holds {predictions.dtype} of shape {predictions.shape}, and {shape} are asked for")
    return None if predictions.ndim == 0 else predictions
