"""The gate on speed: is the candidate fast enough to take the champion's place?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.gates.loss import check_confidence
from pipeline.core.kinds import Floats
from pipeline.core.stats import quantile_ratio
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import count, sureness

#: So many pairs are needed to speak of one request in a hundred: 0.99 to the power of 299 is 0.05.
TAIL = 300


@dataclass(frozen=True, slots=True)
class Latency:
    """Does the candidate take at most so many times as long as the champion, for one request and for a batch?

    The median, the 95th and the 99th percentile of each. Of 299 timings the largest is above the 99th percentile in 95
    of 100 samples, of fewer less often: so with fewer than 300 pairs that percentile is told and decides nothing for a
    batch, and is UNKNOWN for a request. PASS: the upper end of the interval of the ratio is
    within the limit, or the upper end of the candidate's own time is at most what is always fine. FAIL: both lower
    ends are beyond. Else UNKNOWN: the machine is too noisy for so few timings.

    Why UNKNOWN stops here too, where one might let a noisy machine off: a ratio whose interval straddles the limit
    is not known to be good, and letting it pass would promote slow models exactly when nobody can see it. What keeps
    noise from deciding is in the measurement: pairs timed in turn, a resampling that knows that noise comes in
    spells, and the time that is always fine, below which no user feels a ratio. An UNKNOWN is cured by
    timing more pairs, which costs seconds.

    Attributes:
        p95_ratio: Limit for the 95th percentile, such as 1.25.
        p50_ratio: Limit for the median.
        p99_ratio: Limit for the 99th percentile, which a noisy machine makes more of than the model.
        always_fine_ms: One row: a time, in milliseconds, that passes whatever the champion's.
        batch_always_fine_ms: The same for a whole batch.
        at_least: Pairs below which the answer is UNKNOWN.
        confidence: Of the one-sided intervals.
    """

    p95_ratio: float
    p50_ratio: float = 1.25
    p99_ratio: float = 2.0
    always_fine_ms: float = 20.0
    batch_always_fine_ms: float = 200.0
    at_least: int = 20
    confidence: float = 0.95
    name: ClassVar[str] = "latency"
    stage: ClassVar[Stage] = Stage.TIMING
    reads: ClassVar[str] = "timing"

    def __post_init__(self) -> None:
        check_confidence(self.name, self.confidence)
        for name in ("p95_ratio", "p50_ratio", "p99_ratio"):
            value = getattr(self, name)
            if not 1 < value < math.inf:
                raise ValueError(
                    f"gate '{self.name}': {name} must be above 1, or no equal could ever pass, got {value}"
                )
        for name in ("always_fine_ms", "batch_always_fine_ms"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"gate '{self.name}': {name} must be at least 0, got {value}")
        if self.at_least < 10:
            raise ValueError(f"gate '{self.name}': at least 10 pairs are needed to speak of noise, got {self.at_least}")

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """Six findings; the value of each is the ratio, or the milliseconds where those alone are enough."""
        timing = evidence.timing
        if timing is None:
            return (Finding(self.name, Outcome.UNKNOWN, "nothing was timed"),)
        return (
            *self._all("one row", timing.single, self.always_fine_ms, TAIL),
            *self._all(f"{timing.rows:,} rows", timing.batch, self.batch_always_fine_ms, self.at_least),
        )

    def _all(self, what: str, seconds: Floats, fine: float, tail: int) -> Iterator[Finding]:
        for q, limit in ((0.5, self.p50_ratio), (0.95, self.p95_ratio), (0.99, self.p99_ratio)):
            needed = tail if q > 0.95 else self.at_least
            name = f"{self.name}: {what} p{100 * q:.0f}"
            finding = timing_finding(name, seconds, q, limit, fine, at_least=needed, confidence=self.confidence)
            if q > 0.95 and needed <= len(seconds) < TAIL:
                text = (
                    f"{finding.text}; {len(seconds)} pairs are too few to judge one in a hundred by, so it is only told"
                )
                finding = replace(finding, outcome=Outcome.UNKNOWN, text=text, required=False)
            yield finding


def timing_finding(
    name: str, seconds: Floats, q: float, limit: float, fine: float, *, at_least: int, confidence: float
) -> Finding:
    """The finding about the ratio of a quantile of timings, champion and candidate in turn.

    Args:
        name: The finding's name.
        seconds: Shape (pairs, 2): champion, candidate.
        q: Which quantile.
        limit: The ratio that is allowed.
        fine: Milliseconds that pass whatever the champion's.
        at_least: Pairs below which the answer is UNKNOWN.
        confidence: Of the one-sided intervals.
    """
    pairs = len(seconds)
    if pairs < at_least:
        text = f"{count(pairs, 'pair')} timed, at least {at_least} are needed"
        return Finding(name, Outcome.UNKNOWN, text, wanted=Bound(high=limit))
    if not ((seconds > 0) & np.isfinite(seconds)).all():
        return Finding(name, Outcome.UNKNOWN, "some timings are not above 0", wanted=Bound(high=limit))
    ratio, candidate = quantile_ratio(seconds, q, confidence=confidence)
    counts = {"pairs": pairs}
    ms, high_ms, low_ms = (1000 * value for value in (candidate.estimate, candidate.high, candidate.low))
    champion_ms = ms / ratio.estimate
    comparison = f"{ratio.estimate:.2f} times the champion's, {ms:.3g} ms against {champion_ms:.3g} ms"
    bound = Bound(high=limit)
    if not ratio.high <= limit and high_ms <= fine:
        text = (
            f"{comparison} ({sureness(candidate)}: at most {high_ms:.3g} ms; always fine: {fine:g} ms), "
            f"{count(pairs, 'pair')}"
        )
        return Finding(name, Outcome.PASS, text, ms, Bound(high=fine), low_ms, high_ms, counts)
    refuted = ratio.low > limit and low_ms > fine
    outcome = Outcome.PASS if ratio.high <= limit else Outcome.FAIL if refuted else Outcome.UNKNOWN
    end = f"at least {ratio.low:.2f}" if refuted else f"at most {ratio.high:.2f}"
    text = f"{comparison} ({sureness(ratio)}: {end}; allowed: {limit:g}), {count(pairs, 'pair')}"
    if outcome is Outcome.UNKNOWN:
        text += "; time more pairs on a quieter machine"
    return Finding(name, outcome, text, ratio.estimate, bound, ratio.low, ratio.high, counts)
