"""Kinds of use case: what a prediction is, what it costs to be wrong, and when two predictions differ.

The rest of the core never asks which kind it has; it calls these methods. A new kind is one more class here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """What was predicted against what happened, in groups of units with like predictions, the smallest first.

    Attributes:
        predicted: Mean prediction of each group.
        observed: What happened in it.
        low, high: The range to show around ``observed``.
        units: How many units each group holds.
        x, y: What ``predicted`` and ``observed`` are, in words; ``y`` says what the range means.
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    units: Ints
    x: str
    y: str


def _groups(label: Floats, prediction: Floats, day: Ints, groups: int = 10) -> list[tuple[Floats, Floats, Ints]]:
    """Labels, predictions and days of groups of about equal size; equal predictions are never parted."""
    known = np.isfinite(label) & np.isfinite(prediction)
    label, prediction, day = label[known], prediction[known], day[known]
    if not len(label):
        return []
    # By the middle rank of equal predictions, so that a heap of them at either end is a group of its own.
    _, place, n = np.unique(prediction, return_inverse=True, return_counts=True)
    place = (groups * (np.cumsum(n) - n / 2) / len(prediction)).astype(np.int64)[place]
    return [(label[place == n], prediction[place == n], day[place == n]) for n in np.unique(place)]


def _effective(happened: Floats, day: Ints) -> float:
    """How many independent units a share of these is worth, the days failing together.

    The effective sample size of Korn & Graubard (Survey Methodology 24, 1998): the units over the design effect, less
    what few days take from Student's t; never more than there are. Days that cannot tell (one alone, or a share of 0
    or 1) leave it at the number of units.
    """
    from scipy.special import stdtrit

    units, share = len(happened), float(happened.mean())
    per_day = np.bincount(day, happened - share)[np.bincount(day) > 0]
    days, alone = len(per_day), share * (1 - share) / units
    if days < 2 or not alone > 0:
        return float(units)
    together = days / (days - 1) * float(np.sum(per_day**2)) / units**2
    if not together > 0:
        return float(units)
    few = (1.96 / float(stdtrit(days - 1, 0.975))) ** 2
    return min(float(units), max(1.0, units * alone / together * few))


class Kind(Protocol):
    """How to score one kind of model. Arrays have one entry per unit; a NaN label has a NaN loss."""

    @property
    def target(self) -> str:
        """The label's column."""

    @property
    def loss_name(self) -> str:
        """What the loss is called in MLflow and in reports; smaller is better."""

    def predict(self, model: Any, inputs: Any) -> Floats:
        """One number per row of ``inputs``, from a fitted scikit-learn estimator."""

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        """The cost of each prediction, at least 0; NaN where the label or the prediction is NaN."""

    def constant(self, label: Floats) -> float:
        """The best single prediction for units with these labels, none of them NaN: what a rule without inputs says."""

    def decision(self, prediction: Floats) -> Ints:
        """What the user of the prediction would do, as a small integer per unit."""

    def right(self, label: Floats, prediction: Floats) -> Bools:
        """Whether the decision was the one the label calls for; False where either is NaN."""

    def valid(self, prediction: Floats) -> Bools:
        """Whether each prediction is a number this kind can have."""

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        """Whether predictions mean what they say, for people; units without a label are left out.

        Args:
            label: The truth per unit.
            prediction: Per unit.
            day: Number of the unit's day; units of a day fail together.
        """


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

    def predict(self, model: Any, inputs: Any) -> Floats:
        classes = list(model.classes_)
        probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
        # A window with one class only gives a model that knows one class only.
        return probabilities[:, classes.index(1)] if 1 in classes else np.zeros(len(probabilities))

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        # A probability of exactly 0 or 1 is held to one in a million: a sure error costs 13.8, not infinity.
        p = np.clip(prediction, 1e-6, 1 - 1e-6)
        return np.asarray(-(label * np.log(p) + (1 - label) * np.log1p(-p)), dtype=np.float64)

    def constant(self, label: Floats) -> float:
        return float(np.mean(label))

    def decision(self, prediction: Floats) -> Ints:
        return (prediction >= self.threshold).astype(np.int64)

    def right(self, label: Floats, prediction: Floats) -> Bools:
        known = np.isfinite(label) & np.isfinite(prediction)
        return np.asarray(known & (self.decision(prediction) == (label >= 0.5)), dtype=np.bool_)

    def valid(self, prediction: Floats) -> Bools:
        return np.asarray((prediction >= 0) & (prediction <= 1), dtype=np.bool_)

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        groups = _groups(label, prediction, day)
        units = np.array([len(happened) for happened, _, _ in groups], dtype=np.int64)
        share = np.array([happened.mean() for happened, _, _ in groups], dtype=np.float64)
        # Wilson (1927): stays within 0 and 1, also where nothing or everything happened.
        z, n = 1.96, np.array([_effective(happened, days) for happened, _, days in groups], dtype=np.float64)
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return Reliability(
            predicted=np.array([said.mean() for _, said, _ in groups], dtype=np.float64),
            observed=share,
            low=np.asarray(middle - half, dtype=np.float64),
            high=np.asarray(middle + half, dtype=np.float64),
            units=units,
            x=f"predicted probability of '{self.target}'",
            y="share that came true (95 % interval)",
        )


@dataclass(frozen=True, slots=True)
class Regression:
    """How much. The loss is the absolute error, which no single unit dominates; an extreme day still weighs heavily.

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
        return "mean_absolute_error"

    def predict(self, model: Any, inputs: Any) -> Floats:
        return np.asarray(model.predict(inputs), dtype=np.float64)

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        return np.asarray(np.abs(label - prediction), dtype=np.float64)

    def constant(self, label: Floats) -> float:
        return float(np.median(label))

    def decision(self, prediction: Floats) -> Ints:
        return (prediction >= self.acts_at).astype(np.int64)

    def right(self, label: Floats, prediction: Floats) -> Bools:
        return np.asarray(np.abs(label - prediction) <= self.tolerance, dtype=np.bool_)

    def valid(self, prediction: Floats) -> Bools:
        return np.isfinite(prediction)

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        groups = _groups(label, prediction, day)
        quartiles = np.array([np.quantile(happened, [0.25, 0.5, 0.75]) for happened, _, _ in groups]).reshape(-1, 3)
        return Reliability(
            predicted=np.array([said.mean() for _, said, _ in groups], dtype=np.float64),
            observed=quartiles[:, 1],
            low=quartiles[:, 0],
            high=quartiles[:, 2],
            units=np.array([len(happened) for happened, _, _ in groups], dtype=np.int64),
            x=f"predicted '{self.target}'",
            y="median that came true (middle half)",
        )
