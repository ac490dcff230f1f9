"""Gates on the artifact itself: are its predictions sound, and does it change no more than it has to?

A recipe refitted with another seed on a resample of its units also changes decisions, and what a candidate changes
within that noise says little about it. (The resample parts units that fail together, so the noise is understated, on
the strict side.) The credit for it is at most the limit itself: a recipe that changes wildly from fit to fit must not
buy itself room by that. One scored day is read, so the intervals know how blocks differ, not how days do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.core.accuracy import check_confidence, check_share, slices
from pipeline.core.evidence import Evidence, Exam, Stage
from pipeline.core.kinds import Floats, Ints
from pipeline.core.stats import Interval, NoInterval, mean_interval, numbered, shift_excess
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import beyond, count, percent, some, sureness


def _check(gate: str, limit: float, at_least: int, confidence: float) -> None:
    check_share(gate, "limit", limit, high=float("inf"))
    check_confidence(gate, confidence)
    if not limit > 0:
        raise ValueError(f"gate '{gate}': the limit must be above 0, or no retrained model could ever pass")
    if at_least < 2:
        raise ValueError(f"gate '{gate}': at_least must be 2 units or more, got {at_least}")


def _sat(evidence: Evidence, at_least: int) -> tuple[Exam, Floats] | str:
    """The exam and the twin's predictions, if they can be judged; else why not."""
    exam = evidence.exam
    if exam is None or not len(exam):
        return "no unit of the scored day was predicted"
    if exam.twin is None:
        return "the recipe was not refitted, so nothing tells change from refitting noise"
    for who, predictions in (("champion", exam.champion), ("candidate", exam.candidate), ("twin", exam.twin)):
        bad = len(exam) - int(np.count_nonzero(evidence.valid(predictions)))
        if bad:
            return f"{bad:,} of {count(len(exam), 'prediction')} of the {who} are not valid"
    if len(exam) < at_least:
        return f"{count(len(exam), 'unit')} on the scored day, at least {at_least} are needed"
    return exam, exam.twin


def _settle(
    name: str, found: Interval | NoInterval, limit: float, told: str, number: Callable[[float], str] = beyond
) -> Finding:
    """The finding about an excess over refitting noise that should stay below ``limit``."""
    bound = Bound(high=limit)
    if isinstance(found, NoInterval):
        return Finding(name, Outcome.UNKNOWN, found.why, wanted=bound)
    refuted, proven = found.low > limit, found.high <= limit
    outcome = Outcome.PASS if proven else Outcome.FAIL if refuted else Outcome.UNKNOWN
    end = found.low if refuted else found.high
    text = (
        f"{told}: {number(found.estimate)} beyond it "
        f"({sureness(found)}: at {'least' if refuted else 'most'} {number(end)}; allowed: {number(limit)}), "
        f"{count(found.units, 'unit')} in {count(found.blocks, 'block')} of one day"
    )
    counts = {"days": 1, "units": found.units, "blocks": found.blocks}
    return Finding(name, outcome, text, found.estimate, bound, found.low, found.high, counts)


def _spreads(shift: float) -> str:
    return f"{shift:.2f}" if shift > 0 else "nothing"


@dataclass(frozen=True, slots=True)
class Sound:
    """Is every prediction of the candidate on the scored day a number its kind can have, and are they not all one?"""

    name: ClassVar[str] = "sound"
    stage: ClassVar[Stage] = Stage.SCORES

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the number of invalid predictions."""
        exam = evidence.exam
        if exam is None or not len(exam):
            return (Finding(self.name, Outcome.UNKNOWN, "no unit of the scored day was predicted"),)
        scores, units = exam.candidate, len(exam)
        bad = units - int(np.count_nonzero(evidence.valid(scores)))
        if bad:
            outcome, text = Outcome.FAIL, f"{bad:,} of {count(units, 'prediction')} are not valid numbers"
        elif units < 2:
            outcome, text = Outcome.UNKNOWN, "1 prediction does not show whether the model tells units apart"
        elif (low := float(scores.min())) < (high := float(scores.max())):
            text = f"{count(units, 'prediction')}, all valid, from {low:.3g} to {high:.3g}"
            outcome = Outcome.PASS
        else:
            outcome, text = (
                Outcome.FAIL,
                f"all {count(units, 'prediction')} are {low:.3g}: the model tells nothing apart",
            )
        return (Finding(self.name, outcome, text, float(bad), Bound(0, 0), counts={"units": units}),)


@dataclass(frozen=True, slots=True)
class Churn:
    """Does the candidate change at most a share ``limit`` of the decisions, beyond what refitting changes?

    Attributes:
        limit: Above 0; ``0.10`` is one decision in ten.
        at_least: Units of the scored day below which the answer is UNKNOWN.
        confidence: Of the one-sided interval.
    """

    limit: float
    at_least: int = 100
    confidence: float = 0.95
    name: ClassVar[str] = "churn"
    stage: ClassVar[Stage] = Stage.REFIT

    def __post_init__(self) -> None:
        _check(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the share changed less the share that the twin changes."""
        sat = _sat(evidence, self.at_least)
        if isinstance(sat, str):
            return (Finding(self.name, Outcome.UNKNOWN, sat, wanted=Bound(high=self.limit)),)
        exam, twin = sat
        decided = evidence.kind.decision(exam.candidate)
        changed = (decided != evidence.kind.decision(exam.champion)).astype(np.float64)
        noise = (decided != evidence.kind.decision(twin)).astype(np.float64)
        found = mean_interval(changed - _credit(noise, self.limit), exam.clusters, confidence=self.confidence)
        told = (
            f"changed {percent(changed.mean())} of decisions; refitting on a resample changes {percent(noise.mean())}"
        )
        return (_settle(self.name, found, self.limit, told),)


@dataclass(frozen=True, slots=True)
class RightToWrong:
    """Does the candidate spoil at most a share ``limit`` of what the champion got right, beyond what refitting spoils?

    Attributes:
        limit: Above 0, as a share of the labelled units of the scored day.
        at_least: Labelled units below which the answer is UNKNOWN.
        confidence: Of the one-sided interval.
    """

    limit: float
    at_least: int = 100
    confidence: float = 0.95
    name: ClassVar[str] = "right to wrong"
    stage: ClassVar[Stage] = Stage.REFIT

    def __post_init__(self) -> None:
        _check(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the share spoilt by the candidate less the share spoilt by refitting it."""
        bound = Bound(high=self.limit)
        sat = _sat(evidence, self.at_least)
        if isinstance(sat, str):
            return (Finding(self.name, Outcome.UNKNOWN, sat, wanted=bound),)
        exam, twin = sat
        known = np.isfinite(exam.labels)
        labels, n = exam.labels[known], int(known.sum())
        if n < self.at_least:
            text = f"{count(n, 'labelled unit')} on the scored day, at least {self.at_least} are needed"
            return (Finding(self.name, Outcome.UNKNOWN, text, wanted=bound),)
        champion, candidate, again = (
            evidence.kind.right(labels, scores[known]) for scores in (exam.champion, exam.candidate, twin)
        )
        spoilt, mended = champion & ~candidate, ~champion & candidate
        noise = candidate & ~again
        excess = spoilt - _credit(noise.astype(np.float64), self.limit)
        found = mean_interval(excess, exam.clusters[known], confidence=self.confidence)
        told = (
            f"{percent(spoilt.mean())} went from right to wrong, {percent(mended.mean())} from wrong to right; "
            f"refitting on a resample spoils {percent(noise.mean())}"
        )
        return (_settle(self.name, found, self.limit, told),)


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """Does the distribution of scores move by at most ``limit`` of its spread, beyond what refitting moves it?

    Attributes:
        limit: Above 0; in pooled standard deviations of champion and candidate.
        at_least: Units of the scored day below which the answer is UNKNOWN.
        confidence: Of the one-sided interval.
    """

    limit: float
    at_least: int = 100
    confidence: float = 0.95
    name: ClassVar[str] = "score shift"
    stage: ClassVar[Stage] = Stage.REFIT

    def __post_init__(self) -> None:
        _check(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the Wasserstein distance less the twin's, in spreads."""
        bound = Bound(high=self.limit)
        sat = _sat(evidence, self.at_least)
        if isinstance(sat, str):
            return (Finding(self.name, Outcome.UNKNOWN, sat, wanted=bound),)
        exam, twin = sat
        scores = (exam.champion, exam.candidate, twin)
        found = shift_excess(*scores, exam.clusters, confidence=self.confidence, credit=self.limit)
        if isinstance(found, NoInterval):
            return (Finding(self.name, Outcome.UNKNOWN, found.why, wanted=bound),)
        shift, noise, interval = found
        told = f"scores moved by {shift:.2f} of their spread; refitting on a resample moves them by {noise:.2f}"
        return (_settle(self.name, interval, self.limit, told, _spreads),)


@dataclass(frozen=True, slots=True)
class DecisionMix:
    """Does the mix of decisions, on the whole and in each slice, move by at most ``limit``, beyond refitting noise?

    The mix moves by half the sum of the changes of all decisions' shares (total variation). The whole must be shown
    to stay within the limit; a slice, which has fewer rows, must not be shown to leave it (Bonferroni over slices).

    Attributes:
        limit: Above 0; ``0.05`` is five of a hundred units decided otherwise, on balance.
        at_least: Units below which the whole is UNKNOWN and a slice is called too few.
        confidence: Of the whole, and of all slices together.
    """

    limit: float
    at_least: int = 100
    confidence: float = 0.95
    name: ClassVar[str] = "decision mix"
    stage: ClassVar[Stage] = Stage.REFIT

    def __post_init__(self) -> None:
        _check(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """The whole and the summary of slices, which can stop; then one finding per judged slice, which informs."""
        sat = _sat(evidence, self.at_least)
        if isinstance(sat, str):
            return (Finding(self.name, Outcome.UNKNOWN, sat, wanted=Bound(high=self.limit)),)
        exam, twin = sat
        decisions = [evidence.kind.decision(scores) for scores in (exam.champion, exam.candidate, twin)]
        whole = self._part(decisions, exam.clusters, self.confidence, self.name)
        parts = [(name, rows) for name, rows in slices(exam.slices) if len(rows) >= self.at_least]
        if not exam.slices:
            return (whole,)
        if not parts:
            return (whole, self._summary(()))
        level = 1 - (1 - self.confidence) / len(parts)
        each = tuple(
            self._part([d[rows] for d in decisions], exam.clusters[rows], level, "slice mix", about=name)
            for name, rows in parts
        )
        return (whole, self._summary(each), *each)

    def _part(self, decisions: list[Ints], blocks: Ints, level: float, name: str, about: str = "") -> Finding:
        champion, candidate, twin = decisions
        shift, noise = _mix(champion, candidate), _mix(candidate, twin)
        found = mean_interval(shift - _credit(noise, self.limit), blocks, confidence=level)
        told = f"mix moved by {percent(shift.mean())}; refitting on a resample moves it by {percent(noise.mean())}"
        told = f"{about}: {told}" if about else told
        finding = _settle(name, found, self.limit, told)
        if not about:
            return finding
        values = (finding.value, finding.wanted, finding.low, finding.high, finding.counts)
        return Finding(name, finding.outcome, finding.text, *values, about=about, required=False)

    def _summary(self, each: tuple[Finding, ...]) -> Finding:
        name = f"{self.name} per slice"
        moved = [finding.about for finding in each if finding.outcome is Outcome.FAIL]
        judged = [finding for finding in each if finding.value is not None]
        silent = [finding.about for finding in each if finding.value is None]
        if not judged:
            return Finding(name, Outcome.UNKNOWN, f"no slice has {self.at_least} units in enough blocks")
        worst = max(judged, key=lambda finding: (finding.value or 0.0, finding.about))
        if moved:
            text = f"{len(moved)} of {count(len(judged), 'slice')} moved by more than allowed: {some(moved)}"
        else:
            text = f"none of {count(len(judged), 'slice')} is shown to move by more than allowed"
        if silent:
            text += f"; cannot judge {some(silent)}"
        outcome = Outcome.FAIL if moved else Outcome.UNKNOWN if silent else Outcome.PASS
        counts = {"slices": len(judged)}
        values = (worst.value, Bound(high=self.limit), worst.low, worst.high, counts)
        return Finding(name, outcome, f"{text}; most: {worst.text}", *values)


def _credit(noise: Floats, limit: float) -> Floats:
    """What is taken off for refitting noise, per unit: the noise itself, but on average the limit at most."""
    return noise if float(noise.mean()) <= limit else np.full(len(noise), limit)


def _mix(before: Ints, after: Ints) -> Floats:
    """Marks per unit whose mean is the total variation between the two mixes of decisions."""
    units = len(before)
    place, n = numbered(np.concatenate([before, after]))
    change = np.bincount(place[units:], minlength=n) - np.bincount(place[:units], minlength=n)
    sign = np.sign(change) / 2
    return np.asarray(sign[place[units:]] - sign[place[:units]], dtype=np.float64)
