"""The gate on resources: can what served the champion also make, keep, load and hold the candidate?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.gates.latency import timing_finding
from pipeline.core.gates.loss import check_confidence
from pipeline.core.verdict import Bound, Finding, Outcome

_MB = 1e6


@dataclass(frozen=True, slots=True)
class Resources:
    """Does the candidate need at most so many times what the champion needs, or no more than is always fine?

    Four questions. How long a cold model takes to load: the median of timings in turn, judged as latency is. How large
    its file is. How much memory a process needs at its peak that loads it and answers the scored day, the libraries
    included. How long it took to train. The last three are single numbers: they are held against their limits as
    they are. Where the champion's number is not known, only what is always fine passes.

    Attributes:
        load_ratio, size_ratio, memory_ratio, training_ratio: Limits, each above 1.
        load_fine_ms, size_fine_mb, memory_fine_mb, training_fine_s: What passes whatever the champion's: milliseconds,
            million bytes, seconds.
        at_least: Timed loads of each below which loading is UNKNOWN.
        confidence: Of the one-sided interval about loading.
    """

    load_ratio: float = 2.0
    size_ratio: float = 3.0
    memory_ratio: float = 1.5
    training_ratio: float = 3.0
    load_fine_ms: float = 500.0
    size_fine_mb: float = 5.0
    memory_fine_mb: float = 500.0
    training_fine_s: float = 60.0
    at_least: int = 5
    confidence: float = 0.95
    name: ClassVar[str] = "resources"
    stage: ClassVar[Stage] = Stage.TIMING
    reads: ClassVar[str] = "footprint"

    def __post_init__(self) -> None:
        check_confidence(self.name, self.confidence)
        for name in ("load_ratio", "size_ratio", "memory_ratio", "training_ratio"):
            ratio = getattr(self, name)
            if not 1 < ratio < math.inf:
                raise ValueError(f"gate '{self.name}': {name} must be above 1, or no equal could pass, got {ratio}")
        for name in ("load_fine_ms", "size_fine_mb", "memory_fine_mb", "training_fine_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"gate '{self.name}': {name} must be at least 0, got {getattr(self, name)}")
        if self.at_least < 3:
            raise ValueError(f"gate '{self.name}': at least 3 loads are needed to speak of noise, got {self.at_least}")

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """Four findings; the value of each is the ratio, or the candidate's own number where that alone is enough."""
        footprint = evidence.footprint
        if footprint is None:
            return (Finding(self.name, Outcome.UNKNOWN, "nothing was measured"),)
        load = timing_finding(
            f"{self.name}: load",
            footprint.load,
            0.5,
            self.load_ratio,
            self.load_fine_ms,
            at_least=self.at_least,
            confidence=self.confidence,
        )
        mb = "MB"
        size, memory = ((champion / _MB, candidate / _MB) for champion, candidate in (footprint.size, footprint.memory))
        return (
            load,
            self._held_against("file", *size, self.size_ratio, self.size_fine_mb, mb),
            self._held_against("memory", *memory, self.memory_ratio, self.memory_fine_mb, mb),
            self._held_against("training", *footprint.training, self.training_ratio, self.training_fine_s, "s"),
        )

    def _held_against(
        self, what: str, champion: float, candidate: float, limit: float, always_fine: float, unit: str
    ) -> Finding:
        name = f"{self.name}: {what}"
        if not 0 < candidate < math.inf:
            return Finding(name, Outcome.UNKNOWN, "the candidate's was not measured", wanted=Bound(high=limit))
        if candidate <= always_fine:
            text = f"{candidate:.3g} {unit} (always fine: {always_fine:g} {unit})"
            if 0 < champion < math.inf:
                text = (
                    f"{candidate / champion:.2f} times the champion's, {candidate:.3g} {unit} against "
                    f"{champion:.3g} {unit} (always fine: {always_fine:g} {unit})"
                )
            return Finding(name, Outcome.PASS, text, candidate, Bound(high=always_fine))
        if not 0 < champion < math.inf:
            text = (
                f"{candidate:.3g} {unit}, more than what is always fine ({always_fine:g} {unit}), and the champion's "
                "is not known"
            )
            return Finding(name, Outcome.UNKNOWN, text, candidate, Bound(high=always_fine))
        ratio = candidate / champion
        text = (
            f"{ratio:.2f} times the champion's, {candidate:.3g} {unit} against {champion:.3g} {unit} "
            f"(allowed: {limit:g} times; always fine: {always_fine:g} {unit})"
        )
        bound = Bound(high=limit)
        return Finding(name, Outcome.PASS if ratio in bound else Outcome.FAIL, text, ratio, bound)
