"""A candidate's predictions, which may fail without taking anybody else down."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from pipeline.core.kinds import Bools, Floats, Kind
from pipeline.steps.models.threads import one_thread

log = logging.getLogger(__name__)


def predictions(kind: Kind, model: Any, inputs: Any, who: str) -> Floats:
    """A prediction per row of inputs: one number, or a row of them.

    It is NaN where the candidate has none that its kind can have, or raised an error.
    A recipe that breaks is stopped by the gates, which never take NaN for good; the others are judged all the same.

    Args:
        kind: Asks the model.
        model: A fitted estimator.
        inputs: The rows.
        who: The candidate's name, for the log.
    """
    one_thread()
    nothing = np.full((len(inputs), kind.width) if kind.width else len(inputs), np.nan)
    try:
        found = np.asarray(kind.predict(model, inputs), dtype=np.float64)
    except MemoryError:  # says nothing about the candidate
        raise
    except Exception as error:  # noqa: BLE001 - whatever a recipe's own code raises
        log.warning("%s can't predict: %s: %s", who, type(error).__name__, error)
        return nothing
    if found.shape != nothing.shape:
        log.warning("%s answers %s rows with an array of shape %s", who, len(nothing), found.shape)
        return nothing
    valid = kind.valid(found)
    if not valid.all():
        log.warning("%s answers %d of %d units with no prediction", who, len(found) - int(valid.sum()), len(found))
    return np.where(valid[:, None] if kind.width else valid, found, np.nan)


def answered(found: Floats) -> Bools:
    """Which units have a prediction, where the others were given NaN."""
    finite = np.isfinite(found)
    return np.asarray(finite.all(axis=1) if found.ndim == 2 else finite, dtype=np.bool_)
