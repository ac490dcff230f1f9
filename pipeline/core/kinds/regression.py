"""How much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.kinds.base import Bools, CalibrationPairs, Floats, Ints, Measure, Reliability, grouped


@dataclass(frozen=True, slots=True)
class Regression:
    """How much. The loss is the absolute error in the target's unit.

    No single unit dominates it; an extreme day still weighs heavily.

    The difference of two absolute errors on one unit is at most the difference of the two predictions, so the
    paired evidence is bounded even where the target has a heavy tail.

    Attributes:
        target: The label's column.
        acts_at: From which predicted value on the user acts.
        tolerance: By how much a prediction may miss and still be called right.
    """

    target: str
    acts_at: float
    tolerance: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.acts_at) and self.tolerance > 0):
            raise ValueError(
                f"regression target '{self.target}': acts_at must be finite and the tolerance above 0, "
                f"got {self.acts_at} and {self.tolerance}"
            )

    @property
    def loss_name(self) -> str:
        """``mean_absolute_error``, in the target's own unit."""
        return "mean_absolute_error"

    @property
    def width(self) -> int:
        """0: a prediction is one number."""
        return 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Empty: a label is a number."""
        return ()

    @property
    def measures(self) -> Mapping[str, Measure]:
        """``loss`` and ``mae``, both the mean absolute error in the target's unit, and ``accuracy``."""
        return {
            "loss": Measure("loss", False, self.loss),
            "mae": Measure("mae", False, self.loss),
            "accuracy": Measure("accuracy", True, lambda y, p: self.right(y, p).astype(np.float64), mark=True),
        }

    def predict(self, model: Any, inputs: Any) -> Floats:
        """A predicted value per row of ``inputs``, in the target's unit, shape (rows,)."""
        return np.asarray(model.predict(inputs), dtype=np.float64)

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        """How far each prediction lies from its label, in the target's unit; shape (units,)."""
        return np.asarray(np.abs(label - prediction), dtype=np.float64)

    def constant(self, label: Floats) -> Floats:
        """The median of the labels, shape (): of all single values the one with the least absolute error."""
        return np.asarray(np.median(label), dtype=np.float64)

    def decision(self, prediction: Floats) -> Ints:
        """1 where the predicted value reaches ``acts_at``, so that the user acts; else 0."""
        return (prediction >= self.acts_at).astype(np.int64)

    def right(self, label: Floats, prediction: Floats) -> Bools:
        """Whether the prediction misses the label by at most ``tolerance``; False where either is NaN."""
        return np.asarray(np.abs(label - prediction) <= self.tolerance, dtype=np.bool_)

    def valid(self, prediction: Floats) -> Bools:
        """Whether each prediction is a finite number."""
        return np.isfinite(prediction)

    def possible(self, label: Floats) -> Bools:
        """Whether each label is a finite number."""
        return np.isfinite(label)

    def rank(self, prediction: Floats) -> Floats:
        """The predicted value itself: the highest comes first."""
        return prediction

    def calibration_pairs(self, label: Floats, prediction: Floats) -> CalibrationPairs:
        """Whether the label lies above the prediction, against one half; 0.5 where they are equal.

        What minimises the absolute error is the median: half of the labels should lie above it.
        """
        happened = np.asarray((1 + np.sign(label - prediction)) / 2, dtype=np.float64)
        return CalibrationPairs(
            prediction, np.full(len(label), 0.5), happened, 1, f"share of '{self.target}' above the prediction"
        )

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        """Mean prediction against the median label, in up to ten groups, with the middle half of the labels."""
        groups = grouped(label, prediction, day)
        quartiles = np.array([np.quantile(happened, [0.25, 0.5, 0.75]) for happened, _, _ in groups]).reshape(-1, 3)
        return Reliability(
            predicted=np.array([predicted.mean() for _, predicted, _ in groups], dtype=np.float64),
            observed=quartiles[:, 1],
            low=quartiles[:, 0],
            high=quartiles[:, 2],
            units=np.array([len(happened) for happened, _, _ in groups], dtype=np.int64),
            x=f"predicted '{self.target}'",
            y="median that came true (middle half)",
        )
