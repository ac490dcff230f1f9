"""Gates on the artifact itself: are its predictions sound, and does it change no more than it has to?

What counts as change is told in :mod:`pipeline.core.gates.refit_noise`: what goes beyond refitting noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Stage
from pipeline.core.gates.loss import slices
from pipeline.core.gates.refit_noise import capped_noise, check_limit, excess_finding, refit_evidence
from pipeline.core.kinds import Floats, Ints, Kind
from pipeline.core.stats import SPREAD_ROUNDING, Interval, NoInterval, dense_codes, mean_interval, shift_excess
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import count, first_few, percent


def _spreads(shift: float) -> str:
    return f"{shift:.2f}" if shift > 0 else "nothing"


@dataclass(frozen=True, slots=True)
class Sound:
    """Is every prediction of the candidate on the scored day a number its kind can have, and are they not all one?"""

    name: ClassVar[str] = "sound"
    stage: ClassVar[Stage] = Stage.SCORES

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the number of invalid predictions."""
        holdout = evidence.holdout
        if holdout is None or not len(holdout):
            return (Finding(self.name, Outcome.UNKNOWN, "no unit of the scored day was predicted"),)
        scores, units = holdout.candidate, len(holdout)
        bad = units - int(np.count_nonzero(evidence.valid(scores)))
        if bad:
            outcome, text = Outcome.FAIL, f"{bad:,} of {count(units, 'prediction')} are not valid numbers"
        elif units < 2:
            outcome, text = Outcome.UNKNOWN, "1 prediction does not show whether the model tells units apart"
        elif (scores != scores[0]).any():
            text = f"{count(units, 'prediction')}, all valid, from {scores.min():.3g} to {scores.max():.3g}"
            outcome = Outcome.PASS
        else:
            shown = " ".join(f"{number:.3g}" for number in np.atleast_1d(scores[0])[:10])
            outcome, text = Outcome.FAIL, f"all {count(units, 'prediction')} are {shown}: the model tells nothing apart"
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
        check_limit(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the share changed less the share that the resampled refit changes."""
        pair = refit_evidence(evidence, self.at_least)
        if isinstance(pair, str):
            return (Finding(self.name, Outcome.UNKNOWN, pair, wanted=Bound(high=self.limit)),)
        holdout, resampled = pair
        decided = evidence.kind.decision(holdout.candidate)
        changed = (decided != evidence.kind.decision(holdout.champion)).astype(np.float64)
        noise = (decided != evidence.kind.decision(resampled)).astype(np.float64)
        interval = mean_interval(
            changed - capped_noise(noise, self.limit), holdout.clusters, confidence=self.confidence
        )
        lead_sentence = (
            f"changed {percent(changed.mean())} of decisions; refitting on a resample changes {percent(noise.mean())}"
        )
        return (excess_finding(self.name, interval, self.limit, lead_sentence),)


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
        check_limit(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the share spoilt by the candidate less the share spoilt by refitting it."""
        bound = Bound(high=self.limit)
        pair = refit_evidence(evidence, self.at_least)
        if isinstance(pair, str):
            return (Finding(self.name, Outcome.UNKNOWN, pair, wanted=bound),)
        holdout, resampled = pair
        known = np.isfinite(holdout.labels)
        labels, n = holdout.labels[known], int(known.sum())
        if n < self.at_least:
            text = f"{count(n, 'labelled unit')} on the scored day, at least {self.at_least} are needed"
            return (Finding(self.name, Outcome.UNKNOWN, text, wanted=bound),)
        champion, candidate, again = (
            evidence.kind.right(labels, scores[known]) for scores in (holdout.champion, holdout.candidate, resampled)
        )
        spoilt, mended = champion & ~candidate, ~champion & candidate
        noise = candidate & ~again
        excess = spoilt - capped_noise(noise.astype(np.float64), self.limit)
        interval = mean_interval(excess, holdout.clusters[known], confidence=self.confidence)
        lead_sentence = (
            f"{percent(spoilt.mean())} went from right to wrong, {percent(mended.mean())} from wrong to right; "
            f"refitting on a resample spoils {percent(noise.mean())}"
        )
        return (excess_finding(self.name, interval, self.limit, lead_sentence),)


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """Does the distribution of scores move by at most ``limit`` of its spread, beyond what refitting moves it?

    Where a prediction is a row of probabilities, each class is looked at by itself, in its own spread, and the one
    that moves most is judged: two classes can change places behind a third, or behind any one number made of them all.
    To pass, every class must be shown to stay within the limit; the error allowed is split among them all the same
    (Bonferroni), so that many classes refuse no more often than one.

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
        check_limit(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the Wasserstein distance less the resampled refit's, in spreads."""
        bound = Bound(high=self.limit)
        pair = refit_evidence(evidence, self.at_least)
        if isinstance(pair, str):
            return (Finding(self.name, Outcome.UNKNOWN, pair, wanted=bound),)
        columns = _columns(evidence.kind, *pair)
        level = 1 - (1 - self.confidence) / max(len(columns), 1)
        judged: list[tuple[Interval, float, float, str]] = []
        for what, scores in columns:
            excess = shift_excess(*scores, pair[0].clusters, confidence=level, credit=self.limit)
            if isinstance(excess, NoInterval):
                return (Finding(self.name, Outcome.UNKNOWN, f"{what}: {excess.why}", wanted=bound),)
            shift, noise, interval = excess
            judged.append((interval, shift, noise, what))
        if not judged:
            return (Finding(self.name, Outcome.UNKNOWN, "all scores are constant", wanted=bound),)
        # Whoever is shown to leave the limit comes first; else all hangs on the highest upper end.
        interval, shift, noise, what = max(judged, key=lambda each: (each[0].low > self.limit, each[0].high))
        lead_sentence = (
            f"{what} moved by {shift:.2f} of their spread; refitting on a resample moves them by {noise:.2f}"
        )
        return (excess_finding(self.name, interval, self.limit, lead_sentence, _spreads),)


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
        check_limit(self.name, self.limit, self.at_least, self.confidence)

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """The whole and the summary of slices, which can stop; then one finding per judged slice, which informs."""
        pair = refit_evidence(evidence, self.at_least)
        if isinstance(pair, str):
            return (Finding(self.name, Outcome.UNKNOWN, pair, wanted=Bound(high=self.limit)),)
        holdout, resampled = pair
        decisions = [evidence.kind.decision(scores) for scores in (holdout.champion, holdout.candidate, resampled)]
        whole = self._part(decisions, holdout.clusters, self.confidence, self.name)
        parts = [(name, rows) for name, rows in slices(holdout.slices) if len(rows) >= self.at_least]
        if not holdout.slices:
            return (whole,)
        if not parts:
            return (whole, self._summary(()))
        level = 1 - (1 - self.confidence) / len(parts)
        each = tuple(
            self._part([d[rows] for d in decisions], holdout.clusters[rows], level, "slice mix", about=name)
            for name, rows in parts
        )
        return (whole, self._summary(each), *each)

    def _part(self, decisions: list[Ints], blocks: Ints, level: float, name: str, about: str = "") -> Finding:
        champion, candidate, resampled = decisions
        shift, noise = _mix(champion, candidate), _mix(candidate, resampled)
        interval = mean_interval(shift - capped_noise(noise, self.limit), blocks, confidence=level)
        lead_sentence = (
            f"mix moved by {percent(shift.mean())}; refitting on a resample moves it by {percent(noise.mean())}"
        )
        lead_sentence = f"{about}: {lead_sentence}" if about else lead_sentence
        finding = excess_finding(name, interval, self.limit, lead_sentence)
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
            text = f"{len(moved)} of {count(len(judged), 'slice')} moved by more than allowed: {first_few(moved)}"
        else:
            text = f"none of {count(len(judged), 'slice')} is shown to move by more than allowed"
        if silent:
            text += f"; cannot judge {first_few(silent)}"
        outcome = Outcome.FAIL if moved else Outcome.UNKNOWN if silent else Outcome.PASS
        counts = {"slices": len(judged)}
        values = (worst.value, Bound(high=self.limit), worst.low, worst.high, counts)
        return Finding(name, outcome, f"{text}; most: {worst.text}", *values)


def _columns(kind: Kind, holdout: HoldoutDay, resampled: Floats) -> list[tuple[str, tuple[Floats, Floats, Floats]]]:
    """The scores in words, and of champion, candidate and resampled refit; a class nobody ever expects is left out."""
    sides = (holdout.champion, holdout.candidate, resampled)
    if not kind.width:
        return [("scores", sides)]
    columns = [
        (f"probabilities of '{word}'", (sides[0][:, n], sides[1][:, n], sides[2][:, n]))
        for n, word in enumerate(kind.classes)
    ]
    return [
        (what, sides_scores) for what, sides_scores in columns if np.ptp(np.concatenate(sides_scores)) > SPREAD_ROUNDING
    ]


def _mix(before: Ints, after: Ints) -> Floats:
    """Marks per unit whose mean is the total variation between the two mixes of decisions."""
    units = len(before)
    place, n = dense_codes(np.concatenate([before, after]))
    change = np.bincount(place[units:], minlength=n) - np.bincount(place[:units], minlength=n)
    sign = np.sign(change) / 2
    return np.asarray(sign[place[units:]] - sign[place[:units]], dtype=np.float64)
