"""One of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.core.kinds.base import Bools, CalibrationPairs, Floats, Ints, Measure, Reliability, grouped, shares

#: By how much the probabilities of a unit may miss a sum of 1: what a model that computes in 32 bits leaves over.
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Multiclass:
    """One of several. A prediction is a row of probabilities, one per class; the loss is the logarithmic loss in nats.

    The features yield the label as a word (one of ``classes``) or as its number: 0 for the first class. An arriving
    label that is none of them is refused with its day.

    Attributes:
        target: The label's column.
        classes: The words, at least two. The **first** is the one whose cases somebody works through: lists of cases
            are sorted by its probability.
        costs: What it costs to decide for a class, a row per true class and a column per decision: then the decision
            is the one with the least expected cost. Nothing is cheaper than the true class. Empty: every error costs
            the same, and the decision is the likeliest class, the first declared of equally likely ones.
    """

    target: str
    classes: tuple[str, ...]
    costs: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        what = f"multiclass target '{self.target}'"
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes) or "" in self.classes:
            raise ValueError(f"{what} needs two distinct classes or more, each a word, got {self.classes}")
        if not self.costs:
            return
        costs, k = np.array(self.costs, dtype=np.float64), len(self.classes)
        if costs.shape != (k, k) or not np.isfinite(costs).all():
            raise ValueError(f"{what}: costs need {k} rows of {k} numbers, one per class, got the shape {costs.shape}")
        if not (np.where(np.eye(k, dtype=bool), np.inf, costs).min(axis=1) > np.diag(costs)).all():
            raise ValueError(f"{what}: in each row of costs, the true class must be the cheapest decision")

    @property
    def loss_name(self) -> str:
        """``log_loss``: minus the logarithm of what was given to what happened, in nats."""
        return "log_loss"

    @property
    def width(self) -> int:
        """K, the number of classes: a prediction is a row of K probabilities."""
        return len(self.classes)

    @property
    def measures(self) -> Mapping[str, Measure]:
        """``loss`` and ``accuracy``."""
        return {
            "loss": Measure("loss", False, self.loss),
            "accuracy": Measure("accuracy", True, lambda y, p: self.right(y, p).astype(np.float64), mark=True),
        }

    def _rows(self, prediction: Floats) -> Floats:
        # Nothing has no shape: no predictions at all are no rows.
        return prediction if prediction.ndim == 2 else prediction.reshape(-1, self.width)

    def predict(self, model: Any, inputs: Any) -> Floats:
        """The probability of each class per row of ``inputs``, shape (rows, K), in the order of ``classes``."""
        probabilities = np.asarray(model.predict_proba(inputs), dtype=np.float64)
        rows = np.zeros((len(probabilities), self.width))
        # A class that the window did not hold is unknown to the model: it gives it no probability.
        rows[:, np.asarray(model.classes_, dtype=np.float64).astype(np.int64)] = probabilities
        return rows

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        """Minus the logarithm of the probability given to the true class, in nats; shape (units,)."""
        rows, known = self._rows(prediction), np.isfinite(label)
        true = np.where(known, label, 0).astype(np.int64)
        # As for two classes: a sure error costs 13.8, not infinity. A row with a hole in it is no prediction.
        p = np.clip(rows[np.arange(len(rows)), true], 1e-6, 1 - 1e-6)
        return np.where(known & np.isfinite(rows).all(axis=1), -np.log(p), np.nan)

    def constant(self, label: Floats) -> Floats:
        """The share of each class among the labels, shape (K,): what a rule without inputs says."""
        counts = np.bincount(label.astype(np.int64), minlength=len(self.classes))
        return np.asarray(counts / max(len(label), 1), dtype=np.float64)

    def decision(self, prediction: Floats) -> Ints:
        """Number of the class decided for: the likeliest one, or with ``costs`` the one of least expected cost."""
        rows = self._rows(prediction)
        if not self.costs:
            return np.asarray(np.argmax(rows, axis=1), dtype=np.int64)
        return np.asarray(np.argmin(rows @ np.array(self.costs, dtype=np.float64), axis=1), dtype=np.int64)

    def right(self, label: Floats, prediction: Floats) -> Bools:
        """Whether the class decided for is the true one; False where label or prediction is NaN."""
        known = np.isfinite(label) & np.isfinite(self._rows(prediction)).all(axis=1)
        return np.asarray(known & (self.decision(prediction) == label), dtype=np.bool_)

    def valid(self, prediction: Floats) -> Bools:
        """Whether each row holds probabilities from 0 to 1 that add up to 1; False for NaN."""
        rows = self._rows(prediction)
        with np.errstate(invalid="ignore"):
            inside = ((rows >= 0) & (rows <= 1)).all(axis=1)
            return np.asarray(inside & (np.abs(rows.sum(axis=1) - 1) <= _TOLERANCE), dtype=np.bool_)

    def possible(self, label: Floats) -> Bools:
        """Whether each label is the number of a class; False for NaN."""
        return np.isin(label, np.arange(self.width))

    def rank(self, prediction: Floats) -> Floats:
        """The probability of the first declared class: its likeliest units come first."""
        return self._rows(prediction)[:, 0]

    def calibration_pairs(self, label: Floats, prediction: Floats) -> CalibrationPairs:
        """Every class against the rest, pooled: K yes-or-no questions a unit (as in "classwise" calibration).

        Kull et al., NeurIPS 2019: calibration of the likeliest class alone overlooks what the others say.
        """
        predicted = self._rows(prediction)
        happened = (label[:, None] == np.arange(self.width)).astype(np.float64)
        return CalibrationPairs(
            predicted.ravel(),
            predicted.ravel(),
            happened.ravel(),
            self.width,
            f"share of each class of '{self.target}'",
        )

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        """Of the likeliest class: how sure the model was, and how often it was that class.

        Guo, Pleiss, Sun & Weinberger, ICML 2017: confidence calibration. A reader sees one line, each unit once.
        """
        rows = self._rows(prediction)
        confidence = rows.max(axis=1) if len(rows) else np.empty(0)
        likeliest = np.argmax(rows, axis=1) if len(rows) else np.empty(0)
        hit = np.where(np.isfinite(label), (label == likeliest).astype(np.float64), np.nan)
        return shares(grouped(hit, confidence, day), f"probability of the class of '{self.target}' that it names")
