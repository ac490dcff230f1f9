"""A simpler recipe is preferred unless the richer one is better by a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.gates.loss import check_confidence, check_share
from pipeline.core.stats import MINIMUM, Interval, NoInterval, relative_difference
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import amount, at_best, at_worst, change, first_few, percent, sureness


@dataclass(frozen=True, slots=True)
class SimplerPreferred:
    """Is the candidate's loss lower by more than ``margin`` than that of every simpler recipe that could ship instead?

    Simple is what is declared first: ``Usecase.recipes`` stand in the order of their simplicity. What could ship
    instead of a richer candidate is (a) every simpler recipe whose fresh fit passed **all** gates today and that no
    rollback bars, and (b) the champion, where its recipe is a simpler one. Recipes are compared by their fresh fits on
    the same days, the champion by its own predictions.

    So it can't lock: a simpler recipe that another gate refuses is no rival, for then nothing simpler is there to be
    preferred, and the richer one may ship on its own merits; and of several that pass, the simplest asks nothing of
    this gate and ships, unless one of the others is shown to be worth its riches. A champion of a simpler recipe stays
    until something is better *by the margin*, or until a recipe as simple as itself is better at all. The baseline is
    no rival here: :class:`~pipeline.core.gates.loss.BeatsBaseline` asks about it.

    PASS: there is no such rival, or the upper end of the interval is below ``-margin`` for each (all must hold, so no
    error is split: Berger, Technometrics 24, 1982). FAIL: a lower end is not. Else UNKNOWN.

    Attributes:
        margin: As a share of the simpler one's loss, from 0 to below 1.
        confidence: Of each one-sided interval.
        at_least: With fewer days that both were scored on than this: UNKNOWN.
    """

    margin: float
    confidence: float = 0.95
    at_least: int = MINIMUM
    name: ClassVar[str] = "simpler preferred"
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        check_share(self.name, "margin", self.margin)
        check_confidence(self.name, self.confidence)
        if self.at_least < 2:
            raise ValueError(
                f"gate '{self.name}': a spread between days needs at least 2, got at_least={self.at_least}"
            )

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the relative difference to the simpler one that it is least shown to beat."""
        bound = Bound(high=-self.margin)
        if evidence.simpler is None or evidence.paired is None or not len(evidence.paired):
            missing = "no unit of the last days was scored by both"
            return (Finding(self.name, Outcome.UNKNOWN, missing, wanted=bound),)
        intervals_by_rival = {
            rival: relative_difference(
                evidence.loss(pair.labels, pair.candidate),
                evidence.loss(pair.labels, pair.champion),
                pair.clusters,
                confidence=self.confidence,
                minimum=self.at_least,
            )
            for rival, pair in evidence.simpler.items()
        }
        silent = [
            f"{rival} ({missing.why})"
            for rival, missing in intervals_by_rival.items()
            if isinstance(missing, NoInterval)
        ]
        shown = {rival: interval for rival, interval in intervals_by_rival.items() if isinstance(interval, Interval)}
        if not intervals_by_rival:
            text = "no simpler recipe could ship today"
            return (Finding(self.name, Outcome.PASS, text, wanted=bound, counts={"simpler": 0}),)
        if not shown:
            text = f"cannot be compared with {first_few(silent)}"
            return (
                Finding(self.name, Outcome.UNKNOWN, text, wanted=bound, counts={"simpler": len(intervals_by_rival)}),
            )
        # The rival that it is least shown to beat; one that it is shown not to beat comes first of all.
        rival, worst = max(shown.items(), key=lambda one: (one[1].low >= -self.margin, one[1].high, one[0]))
        refuted, proven = worst.low >= -self.margin, worst.high < -self.margin and not silent
        outcome = Outcome.FAIL if refuted else Outcome.PASS if proven else Outcome.UNKNOWN
        end = at_best(worst.low) if refuted else at_worst(worst.high)
        wanted = f"wanted: more than {percent(self.margin)} lower" if self.margin else "wanted: lower"
        text = (
            f"loss {change(worst.estimate)} than that of {rival}, which is simpler ({sureness(worst)}: {end}; {wanted})"
        )
        text += f", {amount(worst)}"
        if silent:
            text += f"; cannot be compared with {first_few(silent)}"
        counts = {"simpler": len(intervals_by_rival), "days": worst.days, "units": worst.units, "blocks": worst.blocks}
        return (Finding(self.name, outcome, text, worst.estimate, bound, worst.low, worst.high, counts),)
