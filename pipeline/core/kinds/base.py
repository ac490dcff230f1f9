"""What every kind promises, and what kinds share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, eq=False)
class CalibrationPairs:
    """What predictions say will happen and what did, as shares: what the calibration of any kind comes down to.

    All arrays have one entry per unit, or ``per_unit`` entries per unit, those of a unit next to each other.

    Attributes:
        order: What the predictions are sorted by, to tell high ones from low ones.
        predicted: The share that should come true of units with such a prediction, from 0 to 1.
        happened: Whether it did: 0, 1, or a half where it is a tie.
        per_unit: Entries per unit.
        what: The share in words: ``"share of 'late'"``.
    """

    order: Floats
    predicted: Floats
    happened: Floats
    per_unit: int
    what: str


@dataclass(frozen=True, eq=False)
class Measure:
    """A number that says how good predictions are, and which way is better.

    Attributes:
        name: What a declaration calls it, such as ``"accuracy"``.
        higher: Whether higher is better.
        per_unit: Label and prediction to a number per unit whose mean it is; None where it is no mean.
        whole: Label and prediction of many units to the number itself; None where it is a mean. NaN where the labels
            do not allow it, as for an area under a curve where all labels are one.
        mark: Whether the number per unit is 0 or 1.
    """

    name: str
    higher: bool
    per_unit: Callable[[Floats, Floats], Floats] | None = None
    whole: Callable[[Floats, Floats], float] | None = None
    mark: bool = False


class Kind(Protocol):
    """How to score one kind of model. Arrays have one entry per unit; a NaN label has a NaN loss.

    A prediction is one number, or, where :attr:`width` is K, a row of K of them: then arrays of predictions have the
    shape (units, K), and every other array one entry per unit as always.
    """

    @property
    def target(self) -> str:
        """The label's column."""

    @property
    def loss_name(self) -> str:
        """What the loss is called in MLflow and in reports; smaller is better."""

    @property
    def width(self) -> int:
        """Numbers in a row of predictions; 0 where a prediction is one number and not a row."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The words of which the label is one, in the order of their numbers; empty where a label is a number."""

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Name to measure, the loss under ``"loss"``: what a floor can be set under."""

    def predict(self, model: Any, inputs: Any) -> Floats:
        """A prediction per row of ``inputs``, from a fitted scikit-learn estimator."""

    def loss(self, label: Floats, prediction: Floats) -> Floats:
        """The cost of each prediction, at least 0; NaN where the label or the prediction is NaN.

        Its unit is the kind's own: nats for probabilities, the target's unit for an absolute error.
        """

    def constant(self, label: Floats) -> Floats:
        """The best single prediction for units with these labels, none of them NaN: what a rule without inputs says.

        Shape () or, for a kind whose prediction is a row of numbers, (width,).
        """

    def decision(self, prediction: Floats) -> Ints:
        """What the user of the prediction would do, as a small integer per unit."""

    def right(self, label: Floats, prediction: Floats) -> Bools:
        """Whether the decision was the one the label calls for; False where either is NaN."""

    def valid(self, prediction: Floats) -> Bools:
        """Whether each prediction is one that this kind can have; False where any part of it is NaN."""

    def possible(self, label: Floats) -> Bools:
        """Whether each label is one that this kind can have; False for NaN."""

    def rank(self, prediction: Floats) -> Floats:
        """The one number per unit by which somebody who works through the cases sorts them, the highest first."""

    def calibration_pairs(self, label: Floats, prediction: Floats) -> CalibrationPairs:
        """What the predictions say and what happened, for the judgement of calibration. No NaN goes in."""

    def reliability(self, label: Floats, prediction: Floats, day: Ints) -> Reliability:
        """Whether predictions mean what they say, for people; units without a label are left out.

        Args:
            label: The truth per unit.
            prediction: Per unit.
            day: Number of the unit's day; units of a day fail together.
        """


def groups_of(order: Floats, groups: int) -> Ints:
    """The group of each number when they are cut into about equal parts, the lowest first; equal ones never part."""
    # By the middle rank of equal predictions, so that a heap of them at either end is a group of its own.
    _, place, n = np.unique(order, return_inverse=True, return_counts=True)
    return np.asarray((groups * (np.cumsum(n) - n / 2) / len(order)).astype(np.int64)[place])


def grouped(label: Floats, prediction: Floats, day: Ints, groups: int = 10) -> list[tuple[Floats, Floats, Ints]]:
    """Labels, predictions (one number each) and days of groups of about equal size."""
    known = np.isfinite(label) & np.isfinite(prediction)
    label, prediction, day = label[known], prediction[known], day[known]
    if not len(label):
        return []
    place = groups_of(prediction, groups)
    return [(label[place == n], prediction[place == n], day[place == n]) for n in np.unique(place)]


def shares(groups: list[tuple[Floats, Floats, Ints]], x: str) -> Reliability:
    """The reliability of probabilities: in each group what was said, and the share that came true."""
    units = np.array([len(happened) for happened, _, _ in groups], dtype=np.int64)
    share = np.array([happened.mean() for happened, _, _ in groups], dtype=np.float64)
    # Wilson (J. American Statistical Association 22, 1927): stays within 0 and 1, also where nothing or all happened.
    z, n = 1.96, np.array([_effective(happened, days) for happened, _, days in groups], dtype=np.float64)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Reliability(
        predicted=np.array([predicted.mean() for _, predicted, _ in groups], dtype=np.float64),
        observed=share,
        low=np.asarray(middle - half, dtype=np.float64),
        high=np.asarray(middle + half, dtype=np.float64),
        units=units,
        x=x,
        y="share that came true (95 % interval)",
    )


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


def area_under_curve(label: Floats, score: Floats) -> float:
    """The probability that a unit with label 1 scores above one with label 0, ties counting a half.

    The area under the ROC curve as the Mann-Whitney statistic (Hanley & McNeil, Radiology 143, 1982). NaN where all
    labels are one.
    """
    positive = label >= 0.5
    n, m = int(positive.sum()), int(len(label) - positive.sum())
    if not n or not m:
        return float("nan")
    order, place = _ranked(score)
    counts = np.bincount(place)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2
    return float((middle_rank[place][positive[order]].sum() - n * (n + 1) / 2) / (n * m))


def _ranked(score: Floats) -> tuple[Ints, Ints]:
    """The units in order of their score, and the number of each one's score among the distinct ones.

    The order is cheap where the units come in it already: a jackknife asks hundreds of times.
    """
    order = np.argsort(score, kind="stable")
    sorted_scores = score[order]
    return order, np.concatenate([[0], np.cumsum(sorted_scores[1:] != sorted_scores[:-1])])


def average_precision(label: Floats, score: Floats) -> float:
    """The mean precision of the list at each unit with label 1, from the highest score down.

    Equal scores enter at once; without interpolation, as scikit-learn's. NaN where no label is 1.
    """
    positive = (label >= 0.5).astype(np.float64)
    if not positive.sum():
        return float("nan")
    order, place = _ranked(score)
    hits, listed = np.bincount(place, positive[order])[::-1], np.cumsum(np.bincount(place)[::-1])
    hits_so_far = np.cumsum(hits)
    return float(np.sum(hits * hits_so_far / listed) / positive.sum())
