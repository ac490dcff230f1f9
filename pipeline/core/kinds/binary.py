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
        return "log_loss"

    @property
    def width(self) -> int:
        return 0

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    @property
    def measures(self) -> Mapping[str, Measure]:
        return {
            "loss": Measure("loss", False, self.loss),
            "accuracy": Measure("accuracy", True, lambda y, p: self.right(y, p).astype(np.float64), mark=True),
            "auc": Measure("auc", True, whole=area_under_curve),
            "average_precision": Measure("average_precision", True, whole=average_precision),
        }

    def predict(self, model: Any, inputs: Any) -> Floats:
        classes = list(model.classes_)
        probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
        # A window with one class only gives a model that knows one class only.
        return probabilities[:, classes.index(1)] if 1 in classes else np.zeros(len(probabilities))

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        # A probability of exactly 0 or 1 is held to one in a million: a sure error costs 13.8, not infinity.
        p = np.clip(prediction, 1e-6, 1 - 1e-6)
        return np.asarray(-(label * np.log(p) + (1 - label) * np.log1p(-p)), dtype=np.float64)

    def constant(self, label: Floats) -> Floats:
        return np.asarray(np.mean(label), dtype=np.float64)

    def decision(self, prediction: Floats) -> Ints:
        return (prediction >= self.threshold).astype(np.int64)

    def right(self, label: Floats, prediction: Floats) -> Bools:
        known = np.isfinite(label) & np.isfinite(prediction)
        return np.asarray(known & (self.decision(prediction) == (label >= 0.5)), dtype=np.bool_)

    def valid(self, prediction: Floats) -> Bools:
        with np.errstate(invalid="ignore"):
            return np.asarray((prediction >= 0) & (prediction <= 1), dtype=np.bool_)

    def possible(self, label: Floats) -> Bools:
        return np.asarray((label == 0) | (label == 1), dtype=np.bool_)

    def rank(self, prediction: Floats) -> Floats:
        return prediction

    def calibration_pairs(self, label: Floats, prediction: Floats) -> CalibrationPairs:
        return CalibrationPairs(prediction, prediction, label, 1, f"share of '{self.target}'")

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        return shares(grouped(label, prediction, day), f"predicted probability of '{self.target}'")
