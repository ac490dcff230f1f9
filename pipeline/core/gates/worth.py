"""Gates on what the candidate is worth: is it good enough at all, and what does it cost in the use case's own money?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from pipeline.core.evidence.candidate import Evidence, Paired, Stage
from pipeline.core.gates.loss import check_days
from pipeline.core.kinds import Floats, Kind, Measure
from pipeline.core.stats import MINIMUM, Interval, NoInterval, mean_difference, statistic_interval
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import amount, sureness


@dataclass(frozen=True, slots=True)
class Floor:
    """Is the candidate good enough at all, whoever serves now?

    A champion can be so bad that a better one is still no good, and a long run of small steps can lead anywhere; a
    floor is the promise that was made to whoever uses the predictions. PASS: the interval's worse end is at or on the
    good side of ``limit``. FAIL: its better end is on the bad side. Else UNKNOWN. It is no contest, so the error
    allowed is not split among candidates.

    Attributes:
        limit: The loss that may not be exceeded, or the value of another measure that must at least be reached.
        of: ``"loss"``, or another of the kind's measures: ``"accuracy"``, for binary ``"auc"`` and
            ``"average_precision"``, for regression ``"mae"``. Which way is better, the measure knows.
        confidence: Of the one-sided interval over days and blocks.
        at_least: With fewer days of evidence than this: UNKNOWN.
    """

    limit: float
    of: str = "loss"
    confidence: float = 0.95
    at_least: int = MINIMUM
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        check_days(self.name, self.confidence, self.at_least)
        if not math.isfinite(self.limit):
            raise ValueError(f"gate '{self.name}': the limit must be a finite number, got {self.limit}")

    @property
    def name(self) -> str:
        """``"loss floor"``, ``"accuracy floor"``: a use case may have several."""
        return f"{self.of.replace('_', ' ')} floor"

    def unfit(self, kind: Kind) -> str:
        """Why the gate can't judge this kind; empty where it can."""
        return "" if self.of in kind.measures else f"has no measure '{self.of}'; it has {', '.join(kind.measures)}"

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the measure over the days of evidence."""
        measure = evidence.kind.measures.get(self.of)
        if measure is None:
            return (Finding(self.name, Outcome.UNKNOWN, f"its kind {self.unfit(evidence.kind)}"),)
        bound = Bound(low=self.limit) if measure.higher else Bound(high=self.limit)
        paired = evidence.answered("candidate", of="plain")
        interval = NoInterval(paired, few=True) if isinstance(paired, str) else self._measured(measure, paired)
        if isinstance(interval, NoInterval):
            return (Finding(self.name, Outcome.UNKNOWN, interval.why, wanted=bound),)
        worse, better = (interval.low, interval.high) if measure.higher else (interval.high, interval.low)
        outcome = Outcome.PASS if worse in bound else Outcome.UNKNOWN if better in bound else Outcome.FAIL
        end, most = (better, measure.higher) if outcome is Outcome.FAIL else (worse, not measure.higher)
        text = (
            f"{self.of.replace('_', ' ')} {interval.estimate:.3g} "
            f"({sureness(interval)}: at {'most' if most else 'least'} {end:.3g}; wanted: {bound}), {amount(interval)}"
        )
        counts = {"days": interval.days, "units": interval.units, "blocks": interval.blocks}
        return (Finding(self.name, outcome, text, interval.estimate, bound, interval.low, interval.high, counts),)

    def _measured(self, measure: Measure, paired: Paired) -> Interval | NoInterval:
        labels, predicted = paired.labels, paired.candidate
        interval_options: dict[str, Any] = {"confidence": self.confidence, "minimum": self.at_least}
        if measure.per_unit is not None:
            return mean_difference(
                measure.per_unit(labels, predicted), None, paired.clusters, marks=measure.mark, **interval_options
            )
        whole = measure.whole
        if whole is None:
            return NoInterval(
                f"the measure '{measure.name}' says neither how it is made per unit nor of all", few=False
            )
        clusters = paired.clusters
        if predicted.ndim == 1:
            # What ranks the units finds them ranked, whichever of them are left out.
            order = np.argsort(predicted, kind="stable")
            labels, predicted, clusters = labels[order], predicted[order], clusters.where(order)
        return statistic_interval(lambda rows: whole(labels[rows], predicted[rows]), clusters, **interval_options)


#: Labels, and decisions (or predictions) to the cost of each unit.
Cost = Callable[[Floats, Any], Any]


@dataclass(frozen=True, slots=True)
class Value:
    """In the use case's own money: does the candidate cost at most ``margin`` more per 100 units than the champion?

    Two models of equal loss can be worth very different sums: the loss weighs all errors by the same rule, the user of
    the predictions does not. PASS: the upper end of the interval of the difference is within the margin. FAIL: the
    lower end is beyond it. Else UNKNOWN. The error allowed is split evenly among the candidates (Bonferroni), as in
    :class:`~pipeline.core.gates.loss.NotWorse`.

    Attributes:
        cost: A plain function of whole arrays: the labels, and the decisions (as :meth:`Kind.decision` numbers them) or
            the predictions, of the same units, to what each of them **costs**. Lower is better; what is earned is a
            cost below 0.
        margin: In the money of ``cost``, per 100 units. 0: nothing more. Below 0: so much must be saved.
        of: What ``cost`` is given: ``"decision"`` or ``"prediction"``.
        money: The money's name for the sentence, such as ``"USD"``.
        confidence: Of the one-sided interval, before it is split.
        at_least: With fewer days of evidence than this: UNKNOWN.
        name: What the findings are called, for a use case with several such functions.
    """

    cost: Cost
    margin: float = 0.0
    of: Literal["decision", "prediction"] = "decision"
    money: str = ""
    confidence: float = 0.95
    at_least: int = MINIMUM
    name: str = "value"
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        check_days(self.name, self.confidence, self.at_least)
        if not math.isfinite(self.margin):
            raise ValueError(f"gate '{self.name}': the margin must be a finite number, got {self.margin}")
        if self.of not in ("decision", "prediction") or not callable(self.cost):
            raise ValueError(
                f"gate '{self.name}': the cost is a function of labels and 'decision' or 'prediction', got '{self.of}'"
            )

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the difference of the cost per 100 units, negative where the candidate saves."""
        bound = Bound(high=self.margin)
        paired = evidence.answered("champion", "candidate")
        interval = NoInterval(paired, few=True) if isinstance(paired, str) else self._difference(evidence, paired)
        if isinstance(interval, NoInterval):
            return (Finding(self.name, Outcome.UNKNOWN, interval.why, wanted=bound),)
        value, low, high = (100 * number for number in (interval.estimate, interval.low, interval.high))
        outcome = Outcome.PASS if high <= self.margin else Outcome.FAIL if low > self.margin else Outcome.UNKNOWN
        end = self._end(low, upper=False) if outcome is Outcome.FAIL else self._end(high, upper=True)
        wanted = f"allowed: {self._more(self.margin)}" if self.margin >= 0 else f"wanted: {self._more(self.margin)}"
        text = (
            f"costs {self._more(value)} per 100 units than the champion ({sureness(interval)}: {end}; {wanted}), "
            f"{amount(interval)}"
        )
        counts = {"days": interval.days, "units": interval.units, "blocks": interval.blocks}
        return (Finding(self.name, outcome, text, value, bound, low, high, counts),)

    def _difference(self, evidence: Evidence, paired: Paired) -> Interval | NoInterval:
        costs = []
        for predicted in (paired.candidate, paired.champion):
            cost_input = evidence.kind.decision(predicted) if self.of == "decision" else predicted
            cost = np.asarray(self.cost(paired.labels, cost_input), dtype=np.float64)
            if cost.shape != paired.labels.shape:
                return NoInterval(f"the cost has the shape {cost.shape}, not one number per unit", few=False)
            costs.append(cost)
        confidence = 1 - (1 - self.confidence) / evidence.candidates
        return mean_difference(costs[0], costs[1], paired.clusters, confidence=confidence, minimum=self.at_least)

    def _more(self, money: float) -> str:
        if money == 0:
            return "nothing more"
        return f"{abs(money):.3g}{f' {self.money}' if self.money else ''} {'less' if money < 0 else 'more'}"

    def _end(self, money: float, upper: bool) -> str:
        if money == 0:
            return f"nothing {'more' if upper else 'less'}"
        return f"at {'least' if (money < 0) is upper else 'most'} {self._more(money)}"
