"""Gates on the loss: is the candidate as good as the champion, better than a plain rule, and as good in every slice?

Whether it is better than the champion, over days and days of looking, is asked in :mod:`pipeline.core.gates.better`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.candidate import NO_SLICE, Evidence, Paired, Stage
from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats import MINIMUM, Interval, NoInterval, dense_codes, relative_difference, t_quantile
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import amount, at_best, at_worst, change, count, first_few, percent, sureness

#: Slices with too little evidence that get a finding of their own; the summary counts them all.
_TOO_FEW_SHOWN = 20


def check_share(gate: str, name: str, value: float, low: float = 0.0, high: float = 1.0) -> None:
    """Refuse a limit outside ``[low, high)``; NaN is outside."""
    if not low <= value < high:
        raise ValueError(f"gate '{gate}': {name} must be at least {low:g} and below {high:g}, got {value}")


def check_confidence(gate: str, confidence: float) -> None:
    """Refuse a confidence that proves nothing, or that no evidence reaches."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"gate '{gate}': the confidence lies between 0.5 and 1, got {confidence}")


def check_days(gate: str, confidence: float, at_least: int) -> None:
    """Refuse what an interval over days can't be made with: a poor confidence, or fewer days than two."""
    check_confidence(gate, confidence)
    if at_least < 2:
        raise ValueError(f"gate '{gate}': a spread between days needs at least 2 of them, got at_least={at_least}")


@dataclass(frozen=True, slots=True)
class NotWorse:
    """Is the candidate's loss at most ``margin`` (a share of the champion's loss) higher than the champion's?

    PASS: the upper end of the interval is within the margin. FAIL: the lower end is beyond it, the candidate is shown
    to be worse. Else UNKNOWN, with the days that would settle it at the present rate. The error allowed is split evenly
    among the candidates judged side by side (Bonferroni), since the best-looking of them is the one that ships.

    Attributes:
        margin: From 0 to below 1, such as 0.005.
        confidence: Of the one-sided interval, before it is split.
        at_least: With fewer days of evidence than this: UNKNOWN.
    """

    margin: float
    confidence: float = 0.95
    at_least: int = MINIMUM
    name: ClassVar[str] = "not worse"
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        check_share(self.name, "margin", self.margin)
        check_days(self.name, self.confidence, self.at_least)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the relative difference of the losses, negative where the candidate is better."""
        interval = _compare(evidence, evidence.paired, self.confidence, evidence.candidates, self.at_least)
        wanted = f"allowed: {at_worst(self.margin).removeprefix('at most ')}"
        return (_finding(self.name, interval, self.margin, wanted, evidence, strictly=False),)


@dataclass(frozen=True, slots=True)
class BeatsBaseline:
    """Is the candidate's loss lower than the plain rule's by more than ``by`` (a share of the rule's loss)?

    Not split among candidates: it guards against a model not worth its upkeep, and never decides alone who ships. Where
    the champion itself loses no less than the rule it stops nobody: to keep that one would be no better.

    Attributes:
        by: From 0 to below 1.
        confidence: Of the one-sided interval.
        at_least: With fewer days of evidence than this: UNKNOWN.
    """

    by: float = 0.0
    confidence: float = 0.95
    at_least: int = MINIMUM
    name: ClassVar[str] = "beats the baseline"
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        check_share(self.name, "by", self.by)
        check_days(self.name, self.confidence, self.at_least)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """The last finding's value is the relative difference of the losses, negative where the candidate is better."""
        interval = _compare(evidence, evidence.plain, self.confidence, 1, self.at_least)
        finding = _finding(self.name, interval, -self.by, _lower_by(self.by), evidence, strictly=True)
        compared = finding.value is not None
        if finding.outcome is not Outcome.PASS and compared and (standing := self._champion(evidence)):
            return (
                Finding(self.name, Outcome.PASS, standing, wanted=finding.wanted),
                replace(finding, name=f"{self.name}, told only", required=False),
            )
        return (finding,)

    def _champion(self, evidence: Evidence) -> str:
        """That the champion loses no less than the rule; empty where it does, or is the rule, or nobody knows."""
        if evidence.paired is None or not evidence.champion_is_recipe:
            return ""
        paired = evidence.paired
        interval = relative_difference(
            evidence.loss(paired.labels, paired.champion),
            evidence.loss(paired.labels, paired.baseline),
            paired.clusters,
            confidence=self.confidence,
            minimum=self.at_least,
        )
        if isinstance(interval, NoInterval) or interval.estimate < 0:
            return ""
        return f"asked of nobody while the champion does not: its loss is {change(interval.estimate)} than the rule's"


def _lower_by(by: float) -> str:
    return f"wanted: more than {percent(by)} lower" if by else "wanted: lower"


def _compare(
    evidence: Evidence, paired: Paired | None, confidence: float, candidates: int, at_least: int
) -> Interval | NoInterval:
    if paired is None:
        return NoInterval("no unit of the last days was scored by both", few=True)
    return relative_difference(
        evidence.loss(paired.labels, paired.candidate),
        evidence.loss(paired.labels, paired.champion),
        paired.clusters,
        confidence=1 - (1 - confidence) / candidates,
        minimum=at_least,
    )


def _finding(
    name: str, interval: Interval | NoInterval, limit: float, wanted: str, evidence: Evidence, strictly: bool
) -> Finding:
    bound = Bound(high=limit)
    if isinstance(interval, NoInterval):
        return Finding(name, Outcome.UNKNOWN, interval.why, wanted=bound)
    proven = interval.high < limit if strictly else interval.high <= limit
    refuted = interval.low >= limit if strictly else interval.low > limit
    outcome = Outcome.PASS if proven else Outcome.FAIL if refuted else Outcome.UNKNOWN
    # A refusal is shown by the lower end, everything else hangs on the upper.
    end = at_best(interval.low) if outcome is Outcome.FAIL else at_worst(interval.high)
    text = f"loss {change(interval.estimate)} ({sureness(interval)}: {end}; {wanted}), {amount(interval)}"
    outlook = _outlook(interval, limit, evidence.window) if outcome is Outcome.UNKNOWN else ""
    counts = {"days": interval.days, "units": interval.units, "blocks": interval.blocks}
    return Finding(name, outcome, text, interval.estimate, bound, interval.low, interval.high, counts, change=outlook)


def _outlook(interval: Interval, limit: float, window: int) -> str:
    """How many more days would settle it, were they like these.

    With more days the interval shrinks twice over: with the root of their number, and with Student's t, which falls
    steeply while days are few.
    """
    room = limit - interval.estimate
    if not room > 0:
        return "more days like these would not show it to be good enough"
    half = interval.high - interval.estimate

    def t(days: int) -> float:
        return t_quantile(interval.confidence, interval.one_sided, max(days - 1, 1))

    for days in range(interval.days + 1, window + 1):
        if half * math.sqrt(interval.days / days) * t(days) / t(interval.days) < room:
            return f"about {count(days - interval.days, 'more day')} like these would settle it"
    return f"more days than the window of {window} would be needed to settle it"


@dataclass(frozen=True, slots=True)
class EverySlice:
    """Is no slice of the units shown to lose more than ``margin``?

    Each value of each slice column with enough rows and days is compared by itself; so are the units whose key nobody
    has learnt from (:attr:`Usecase.keys`). A wide net rings by chance,
    so the error allowed is split evenly among the slices judged (Bonferroni; Holm's refinement rejects something
    exactly when Bonferroni does, and here one is enough). FAIL: some slice's lower end is beyond the margin. PASS: none
    is, which is no proof that each is within: a slice rarely has the rows for that. No slice with enough: UNKNOWN.

    Attributes:
        margin: As a share of the champion's loss in the slice.
        at_least: Units below which a slice is called too few.
        confidence: Of all slices together.
    """

    margin: float
    at_least: int = 100
    confidence: float = 0.95
    name: ClassVar[str] = "every slice"
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        check_share(self.name, "margin", self.margin, high=math.inf)
        check_confidence(self.name, self.confidence)
        if self.at_least < 2:
            raise ValueError(f"gate '{self.name}': at_least must be 2 units or more, got {self.at_least}")

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """The summary, which can stop; then one finding per slice, which informs."""
        paired = evidence.paired
        if paired is None or not len(paired) or not paired.slices:
            why = "there are no slices to judge" if paired is not None and len(paired) else "no unit was scored by both"
            return (Finding(self.name, Outcome.UNKNOWN, why),)
        candidate, champion = evidence.candidate_loss, evidence.champion_loss
        bad = int(np.count_nonzero(~np.isfinite(candidate + champion)))
        if bad:
            text = f"{bad:,} of {count(len(paired), 'unit')} have a loss that is no number"
            return (Finding(self.name, Outcome.UNKNOWN, text),)
        sizeable, few = self._parted(paired)
        level = 1 - (1 - self.confidence) / max(len(sizeable), 1)
        judged = [(name, _slice(paired, candidate, champion, rows, level)) for name, rows in sizeable]
        return (self._summary(judged, few), *self._each(judged, few))

    def _parted(self, paired: Paired) -> tuple[list[tuple[str, Ints]], list[tuple[str, int, int]]]:
        """Slices with enough units and days (name, rows), and those without (name, units, days)."""
        enough: list[tuple[str, Ints]] = []
        few: list[tuple[str, int, int]] = []
        for name, rows in slices(paired.slices):
            days = int(np.count_nonzero(np.bincount(paired.clusters.day[rows])))
            if len(rows) >= self.at_least and days >= MINIMUM:
                enough.append((name, rows))
            else:
                few.append((name, len(rows), days))
        return enough, few

    def _summary(self, judged: list[tuple[str, Interval | NoInterval]], few: list[tuple[str, int, int]]) -> Finding:
        shown = sorted(
            ((name, interval) for name, interval in judged if isinstance(interval, Interval)),
            key=lambda pair: (-pair[1].estimate, pair[0]),
        )
        silent = [f"{name} ({interval.why})" for name, interval in judged if isinstance(interval, NoInterval)]
        bound = Bound(high=self.margin)
        counts = {"slices": len(shown), "too_few": len(few)}
        rest = f"; {count(len(few), 'slice')} too few (below {self.at_least} units or {MINIMUM} days)" if few else ""
        if not shown:
            why = f"cannot judge {first_few(silent)}" if silent else "no slice has enough rows and days"
            return Finding(self.name, Outcome.UNKNOWN, why + rest, wanted=bound, counts=counts)
        losers = [(name, interval) for name, interval in shown if interval.low > self.margin]
        name, worst = losers[0] if losers else shown[0]
        limit, sure = percent(self.margin), sureness(worst)
        if losers:
            losers_listed = first_few([f"{n} {change(f.estimate)} ({at_best(f.low)})" for n, f in losers])
            text = (
                f"{len(losers)} of {count(len(shown), 'slice')} lose more than {limit} ({sure} each): {losers_listed}"
            )
        else:
            text = f"none of {count(len(shown), 'slice')} is shown to lose more than {limit} ({sure} each)"
            text += f"; worst: {name} {change(worst.estimate)} ({at_worst(worst.high)})"
        if silent:
            text += f"; cannot judge {first_few(silent)}"
        outcome = Outcome.FAIL if losers else Outcome.UNKNOWN if silent else Outcome.PASS
        return Finding(self.name, outcome, text + rest, worst.estimate, bound, worst.low, worst.high, counts)

    def _each(
        self, judged: list[tuple[str, Interval | NoInterval]], few: list[tuple[str, int, int]]
    ) -> Iterator[Finding]:
        bound = Bound(high=self.margin)
        for name, interval in judged:
            if isinstance(interval, NoInterval):
                yield Finding("slice", Outcome.UNKNOWN, interval.why, about=name, required=False)
                continue
            worse, proven = interval.low > self.margin, interval.high <= self.margin
            outcome = Outcome.FAIL if worse else Outcome.PASS if proven else Outcome.UNKNOWN
            end = at_best(interval.low) if worse else at_worst(interval.high)
            text = f"{name}: loss {change(interval.estimate)} ({sureness(interval)}: {end}), {amount(interval)}"
            counts = {"days": interval.days, "units": interval.units, "blocks": interval.blocks}
            ends = (interval.estimate, bound, interval.low, interval.high)
            yield Finding("slice", outcome, text, *ends, counts=counts, about=name, required=False)
        for name, units, days in sorted(few, key=lambda slice_: (-slice_[1], slice_[0]))[:_TOO_FEW_SHOWN]:
            text = f"{name}: too few, {count(units, 'unit')} on {count(days, 'day')}"
            counts = {"days": days, "units": units}
            yield Finding("slice", Outcome.UNKNOWN, text, counts=counts, about=name, required=False)


def slices(columns: Mapping[str, NDArray[np.str_]]) -> Iterator[tuple[str, Ints]]:
    """Each value of each slice column but :data:`NO_SLICE`, as ``column=value``, and the rows that have it; sorted."""
    for column, values in sorted(columns.items()):
        place, n = dense_codes(values)
        rows = np.argsort(place, kind="stable").astype(np.int64, copy=False)
        ends = np.cumsum(np.bincount(place, minlength=n))
        for first, last in zip(ends - np.diff(ends, prepend=0), ends, strict=True):
            if values[rows[first]] != NO_SLICE:
                yield f"{column}={values[rows[first]]}", rows[first:last]


def _slice(paired: Paired, candidate: Floats, champion: Floats, rows: Ints, level: float) -> Interval | NoInterval:
    return relative_difference(candidate[rows], champion[rows], paired.clusters.where(rows), confidence=level)
