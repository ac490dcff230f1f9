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
    nothing = no_predictions(kind, len(inputs))
    try:
        predicted = np.asarray(kind.predict(model, inputs), dtype=np.float64)
    except MemoryError:  # says nothing about the candidate
        raise
    except Exception as error:  # noqa: BLE001 - whatever a recipe's own code raises
        log.warning("%s can't predict: %s: %s", who, type(error).__name__, error)
        return nothing
    if predicted.shape != nothing.shape:
        log.warning("%s answers %s rows with an array of shape %s", who, len(nothing), predicted.shape)
        return nothing
    valid = kind.valid(predicted)
    if not valid.all():
        log.warning(
            "%s answers %d of %d units with no prediction", who, len(predicted) - int(valid.sum()), len(predicted)
        )
    return np.where(valid[:, None] if kind.width else valid, predicted, np.nan)


def no_predictions(kind: Kind, rows: int) -> Floats:
    """What stands for the predictions of so many rows where there are none: NaN."""
    return np.full((rows, kind.width) if kind.width else rows, np.nan)


def why_none(kind: Kind, model: Any, inputs: Any) -> str:
    """Why a model has no prediction for any row, as what stands behind its name: it is asked once more."""
    try:
        predicted = np.asarray(kind.predict(model, inputs), dtype=np.float64)
    except MemoryError:  # says nothing about the model
        raise
    except Exception as error:  # noqa: BLE001 - whatever a recipe's own code raises
        return f"fails at every unit ({type(error).__name__}: {' '.join(str(error).split())[:120]})"
    if predicted.shape != no_predictions(kind, len(inputs)).shape:
        return f"answers {len(inputs)} units with an array of shape {predicted.shape}"
    return f"answers {len(inputs)} of {len(inputs)} units with something that is no prediction"


def answered(predicted: Floats) -> Bools:
    """Which units have a prediction, where the others were given NaN."""
    finite = np.isfinite(predicted)
    return np.asarray(finite.all(axis=1) if predicted.ndim == 2 else finite, dtype=np.bool_)
