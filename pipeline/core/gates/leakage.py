"""Gates on how the inputs come about: nothing from the future, nothing that was learnt by heart, nothing made up twice.

A leak makes every other gate say yes: the loss is low, on days unseen too, until the model serves and what leaked is
not there yet. So these look at the design and not at the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.evidence.measurements import Audited
from pipeline.core.gates.loss import check_share
from pipeline.core.stats import binomial_upper_tail
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import count, first_few, percent, shorten

_SPELT = 2
_LONG = 170


def _listed(sentences: tuple[str, ...]) -> str:
    return first_few([shorten(sentence, _LONG) for sentence in sentences], _SPELT)


@dataclass(frozen=True, slots=True)
class NoLeak:
    """Does nothing reach the model that is not known when it predicts?

    Three questions. Of a sample of the day's units: are their features the same without what became known later? Does
    some input alone explain nearly everything, as what leaks does? Are the columns that the fitted estimator takes
    those that are declared, and none of them known only after the fact?

    Attributes:
        one_column: Of the loss of a constant, the share that no input may remove all by itself.
        at_least: Labelled units, learnt on and judged on, below which one column alone is UNKNOWN.
    """

    one_column: float = 0.5
    at_least: int = 100
    name: ClassVar[str] = "no leak"
    stage: ClassVar[Stage] = Stage.AUDIT
    reads: ClassVar[str] = "audited"

    def __post_init__(self) -> None:
        check_share(self.name, "one_column", self.one_column)
        if not self.one_column > 0 or self.at_least < 2:
            raise ValueError(
                f"gate '{self.name}': one_column must be above 0 and at_least 2 or more, got {self.one_column} and "
                f"{self.at_least}"
            )

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """Three findings; the value of the second is the share that the telling column removes."""
        audited = evidence.audited
        if audited is None:
            return (Finding(self.name, Outcome.UNKNOWN, "the design was not looked at"),)
        return (self._point_in_time(audited), self._one_column(audited), self._columns(audited))

    def _point_in_time(self, audited: Audited) -> Finding:
        name, leaks = f"{self.name}: point in time", audited.leaks
        if leaks:
            text = f"features use what was not yet known: {_listed(leaks)}"
            return Finding(name, Outcome.FAIL, text, float(len(leaks)), Bound(0, 0), counts={"units": audited.lived})
        if not audited.lived:
            why = audited.silent or "no unit was looked at"
            return Finding(name, Outcome.UNKNOWN, shorten(why, 2 * _LONG))
        text = f"{count(audited.lived, 'unit')} looked at: the same features without what became known later"
        return Finding(name, Outcome.PASS, text, 0.0, Bound(0, 0), counts={"units": audited.lived})

    def _one_column(self, audited: Audited) -> Finding:
        name, bound = f"{self.name}: one column", Bound(high=self.one_column)
        few = min(audited.judged, audited.learnt)
        if few < self.at_least or not audited.alone:
            text = f"{count(few, 'labelled unit')} to learn or judge it on, at least {self.at_least} are needed"
            return Finding(name, Outcome.UNKNOWN, text, wanted=bound)
        bad = sorted(column for column, share in audited.alone.items() if not math.isfinite(share))
        if bad:
            text = (
                f"what {first_few(bad)} says alone is no number: nothing is lost by a constant, or a loss is no number"
            )
            return Finding(name, Outcome.UNKNOWN, text, wanted=bound)
        column, share = max(audited.alone.items(), key=lambda one: (one[1], one[0]))
        counts = {"units": audited.judged}
        allowed = f"(allowed: {percent(self.one_column)}), {count(audited.judged, 'unit')}"
        if share > self.one_column:
            text = (
                f"'{column}' alone removes {percent(share)} of the loss of a constant {allowed}; is it known in time?"
            )
        elif share > 0:
            text = (
                f"no input alone explains much; the most telling, '{column}', removes {percent(share)} of a constant's "
            )
            text += f"loss {allowed}"
        else:
            text = f"no input alone beats a constant {allowed}"
        outcome = Outcome.PASS if share in bound else Outcome.FAIL
        return Finding(name, outcome, text, share, bound, counts=counts)

    def _columns(self, audited: Audited) -> Finding:
        name = f"{self.name}: columns"
        if audited.takes is None:
            text = "the estimator does not say which columns it takes; let its first step see the frame by its names"
            return Finding(name, Outcome.UNKNOWN, text)
        takes, declared = set(audited.takes), set(audited.inputs)
        late = sorted((takes | declared) & set(audited.outcomes))
        if late:
            text = f"{first_few(late)} reaches the model and is known only after the fact"
        elif takes != declared:
            text = f"the estimator takes what is not declared, or not what is: {first_few(sorted(takes ^ declared))}"
        else:
            text = f"the estimator takes the {count(len(declared), 'declared input')}, none known only after the fact"
            return Finding(name, Outcome.PASS, text, 0.0, Bound(0, 0))
        wrong = float(len(late) or len(takes ^ declared))
        return Finding(name, Outcome.FAIL, text, wrong, Bound(0, 0))


@dataclass(frozen=True, slots=True)
class NoServingSkew:
    """Are the features of a unit the same, computed on one request, as on the day's table?

    A request has its own row, the reference tables and what was known of the past at its moment; nothing of the other
    units that are still to happen. Who computes otherwise there serves another model than the one that was judged.
    """

    name: ClassVar[str] = "no serving skew"
    stage: ClassVar[Stage] = Stage.AUDIT
    reads: ClassVar[str] = "audited"

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the number of inputs that came out otherwise."""
        audited = evidence.audited
        if audited is None:
            return (Finding(self.name, Outcome.UNKNOWN, "no request was computed"),)
        bad, counts = len(audited.differs), {"units": audited.requests}
        if bad:
            text = f"{count(bad, 'input')} of a request differ from the day's table: {_listed(audited.differs)}"
            return (Finding(self.name, Outcome.FAIL, text, float(bad), Bound(0, 0), counts=counts),)
        if audited.silent or not audited.requests:
            why = shorten(audited.silent or "no request was computed", 2 * _LONG)
            return (Finding(self.name, Outcome.UNKNOWN, why, wanted=Bound(0, 0), counts=counts),)
        text = f"{count(audited.requests, 'unit')} computed as one request: the same inputs as on the day's table"
        return (Finding(self.name, Outcome.PASS, text, 0.0, Bound(0, 0), counts=counts),)


@dataclass(frozen=True, slots=True)
class NothingShared:
    """Is the scored day no copy of what the candidate learnt from?

    Units that come again (a daily flight number, a regular customer) share their name with training and should: what
    is asked is whether a unit of the scored day was predicted under that name *at the same moment* on a training day,
    and whether more of its labelled units than chance explains have the very inputs and label, all of them, of a unit
    of training. Chance is what the training days have in common among themselves: the highest such share of any of
    them. FAIL: the scored day's share is beyond it by more than ``limit``, and that many by chance is unlikely (1 in
    1,000, binomially).

    Attributes:
        limit: From 0 to below 1.
        days: Training days below which nobody knows what is usual: UNKNOWN.
    """

    limit: float = 0.01
    days: int = 3
    name: ClassVar[str] = "nothing shared"
    stage: ClassVar[Stage] = Stage.REFIT
    reads: ClassVar[str] = "shared"

    def __post_init__(self) -> None:
        check_share(self.name, "limit", self.limit)
        if self.days < 2:
            raise ValueError(f"gate '{self.name}': days must be 2 or more, got {self.days}")

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """Two findings: about keys, and about rows; their values are a number, and a share beyond the usual one."""
        shared = evidence.shared
        if shared is None or not shared.units or not shared.usual:
            return (Finding(self.name, Outcome.UNKNOWN, "the scored day was not compared with training"),)
        counts = {"days": len(shared.usual), "units": shared.units}
        shared_keys = f"{shared.keys:,} of {count(shared.units, 'unit')}"
        text = f"{shared_keys} were predicted at the same moment under the same name on a training day"
        outcome = Outcome.FAIL if shared.keys else Outcome.PASS
        keys = Finding(f"{self.name}: keys", outcome, text, float(shared.keys), Bound(0, 0), counts=counts)
        name, bound = f"{self.name}: rows", Bound(high=self.limit)
        usual = [alike / units for units, alike in shared.usual if units]
        if not shared.labelled or len(usual) < self.days:
            text = (
                f"{count(shared.labelled, 'labelled unit')} and {count(len(usual), 'training day')}, at least 1 and "
                f"{self.days} are needed"
            )
            return (keys, Finding(name, Outcome.UNKNOWN, text, wanted=bound))
        highest, share = max(usual), shared.rows / shared.labelled
        alike, seen = sum(one for _, one in shared.usual), sum(units for units, _ in shared.usual)
        chance = binomial_upper_tail(shared.rows, shared.labelled, max(highest, (alike + 1) / (seen + 1)))
        beyond = share - highest
        outcome = Outcome.FAIL if beyond > self.limit and chance < 0.001 else Outcome.PASS
        text = (
            f"{percent(share)} of {count(shared.labelled, 'labelled unit')} have all inputs and the label of one of "
            f"training; training days like each other: up to {percent(highest)} (allowed: {percent(self.limit)} "
            "more)"
        )
        if beyond > self.limit and outcome is Outcome.PASS:
            text += "; so few may be chance"
        return (keys, Finding(name, outcome, text, beyond, bound, counts=counts))
