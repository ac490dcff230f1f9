"""A gate on the top of the list: the cases that somebody works through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.gates.refit_noise import check_limit, excess_finding, refit_evidence
from pipeline.core.stats import NoInterval, top_excess
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import count, percent


@dataclass(frozen=True, slots=True)
class TopOfList:
    """Does the candidate change at most a share ``limit`` of the top of the list, beyond what refitting changes?

    The scored day's units, sorted by :meth:`Kind.rank`, the highest first: whoever works through the top of such a
    list meets other cases when the model changes, even where no decision at a threshold did.

    Attributes:
        limit: Above 0; 0.2 is one case in five.
        share: The part of the day's units that is on top. Give this or ``cases``.
        cases: How many units are on top.
        at_least: Units of the scored day below which the answer is UNKNOWN.
        confidence: Of the one-sided interval.
    """

    limit: float
    share: float | None = None
    cases: int | None = None
    at_least: int = 100
    confidence: float = 0.95
    name: ClassVar[str] = "top of the list"
    stage: ClassVar[Stage] = Stage.REFIT

    def __post_init__(self) -> None:
        check_limit(self.name, self.limit, self.at_least, self.confidence)
        if (self.share is None) is (self.cases is None):
            raise ValueError(f"gate '{self.name}': say how long the top is, by 'share' or by 'cases'")
        if (self.share is not None and not 0 < self.share < 1) or (self.cases is not None and self.cases < 1):
            raise ValueError(
                f"gate '{self.name}': the share lies between 0 and 1, cases are at least 1, got {self.share} and "
                f"{self.cases}"
            )

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the share changed less the share that the resampled refit changes."""
        bound = Bound(high=self.limit)
        pair = refit_evidence(evidence, self.at_least)
        if isinstance(pair, str):
            return (Finding(self.name, Outcome.UNKNOWN, pair, wanted=bound),)
        holdout, resampled = pair
        share = self.share if self.share is not None else (self.cases or 1) / len(holdout)
        if not share < 1:
            text = f"the top of {count(self.cases or 0, 'case')} is all of the day's {count(len(holdout), 'unit')}"
            return (Finding(self.name, Outcome.UNKNOWN, text, wanted=bound),)
        champion, candidate, again = (
            evidence.kind.rank(scores) for scores in (holdout.champion, holdout.candidate, resampled)
        )
        excess = top_excess(
            champion, candidate, again, holdout.clusters, share, confidence=self.confidence, credit=self.limit
        )
        if isinstance(excess, NoInterval):
            return (Finding(self.name, Outcome.UNKNOWN, excess.why, wanted=bound),)
        changed, noise, interval = excess
        lead_sentence = (
            f"changed {percent(changed)} of the {count(round(share * len(holdout)), 'case')} on top; refitting on a "
            f"resample changes {percent(noise)}"
        )
        return (excess_finding(self.name, interval, self.limit, lead_sentence),)
