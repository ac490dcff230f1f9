"""Yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.kinds.base import (
    Bools,
    CalibrationPairs,
    Floats,
    Ints,
    Measure,
    Reliability,
    area_under_curve,
    average_precision,
    grouped,
    shares,
)


@dataclass(frozen=True, slots=True)
class Binary:
    """Yes or no. A prediction is the probability of yes; the loss is the logarithmic loss in nats.

    Attributes:
        target: The label's column: 1 for yes, 0 for no.
        threshold: From which probability on the user acts.
    """

    target: str
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"binary target '{self.target}': the threshold lies between 0 and 1, got {self.threshold}")

    @property
    def loss_name(self) -> str:
        """``log_loss``: minus the logarithm of what was given to what happened, in nats."""
        return "log_loss"

    @property
    def width(self) -> int:
        """0: a prediction is one number, the probability of yes."""
        return 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Empty: a label is 1 or 0."""
        return ()

    @property
    def measures(self) -> Mapping[str, Measure]:
        """``loss``, ``accuracy``, ``auc`` (area under the ROC curve) and ``average_precision``."""
        return {
            "loss": Measure("loss", False, self.loss),
            "accuracy": Measure("accuracy", True, lambda y, p: self.right(y, p).astype(np.float64), mark=True),
            "auc": Measure("auc", True, whole=area_under_curve),
            "average_precision": Measure("average_precision", True, whole=average_precision),
        }

    def predict(self, model: Any, inputs: Any) -> Floats:
        """The probability of yes per row of ``inputs``, from 0 to 1, shape (rows,)."""
        classes = list(model.classes_)
        probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
        # A window with one class only gives a model that knows one class only.
        return probabilities[:, classes.index(1)] if 1 in classes else np.zeros(len(probabilities))

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        """Minus the logarithm of the probability given to what happened, in nats; shape (units,)."""
        # A probability of exactly 0 or 1 is held to one in a million: a sure error costs 13.8, not infinity.
        p = np.clip(prediction, 1e-6, 1 - 1e-6)
        return np.asarray(-(label * np.log(p) + (1 - label) * np.log1p(-p)), dtype=np.float64)

    def constant(self, label: Floats) -> Floats:
        """The share of yes among the labels, shape (): what a rule without inputs says."""
        return np.asarray(np.mean(label), dtype=np.float64)

    def decision(self, prediction: Floats) -> Ints:
        """1 where the probability reaches the threshold, so that the user acts; else 0."""
        return (prediction >= self.threshold).astype(np.int64)

    def right(self, label: Floats, prediction: Floats) -> Bools:
        """Whether the user acts where the label is yes, and does not where it is no; False where either is NaN."""
        known = np.isfinite(label) & np.isfinite(prediction)
        return np.asarray(known & (self.decision(prediction) == (label >= 0.5)), dtype=np.bool_)

    def valid(self, prediction: Floats) -> Bools:
        """Whether each prediction lies from 0 to 1; False for NaN."""
        with np.errstate(invalid="ignore"):
            return np.asarray((prediction >= 0) & (prediction <= 1), dtype=np.bool_)

    def possible(self, label: Floats) -> Bools:
        """Whether each label is 0 or 1; False for NaN."""
        return np.asarray((label == 0) | (label == 1), dtype=np.bool_)

    def rank(self, prediction: Floats) -> Floats:
        """The probability itself: the likeliest yes comes first."""
        return prediction

    def calibration_pairs(self, label: Floats, prediction: Floats) -> CalibrationPairs:
        """The probability against the label, one pair per unit: said 0.3, happened in three of ten."""
        return CalibrationPairs(prediction, prediction, label, 1, f"share of '{self.target}'")

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        """Mean probability against the share of yes, in up to ten groups, with the 95 % interval of Wilson."""
        return shares(grouped(label, prediction, day), f"predicted probability of '{self.target}'")
