"""The gate that decides: is it time to replace the champion, after however many daily looks?

Two questions with two kinds of evidence. **Refresh**: is a fresh fit of the champion's own recipe better than the
champion as it has aged? **Switch**: is another recipe better, as it would really be served, ageing until its own next
refresh? Short windows look best while fresh and age badly, so a switch is never decided on fresh fits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.evidence.paired_days import HEAD_TO_HEAD_DAYS, Noise, PairedDays
from pipeline.core.kinds import Floats
from pipeline.core.stats.sequential import FEWEST, confidence_sequence, days_to_alarm, e_detector, mixture
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import at_best, at_worst, change, count, percent

YEAR = 365.25
#: The share of the evidence about this very champion; the rest is what is known of how its recipe ages. Any share that
#: is fixed beforehand keeps the promise; this one was set on the flights of 2013 (``python -m benchmarks policies``).
_OWN = 0.8


@dataclass(frozen=True, slots=True)
class Better:
    """Has the champion cost more than its replacement would, by more than chance brings in years of daily looks?

    PASS needs both of two answers.

    *Is it worth it?* Each day adds to the champion's **regret** what it lost more than the candidate, in days of the
    candidate's loss; it never falls below 0. A promotion has a price, in the same unit, for churn and risk. To
    replace when the regret reaches the price is the ski rental rule: never more than twice as dear as knowing the
    future (Karlin, Manasse, Rudolph & Sleator, Algorithmica 3, 1988), and the best one can do where the champion ages
    steadily.

    *Is it more than chance?* The e-detector of :func:`~pipeline.core.stats.sequential.e_detector` on the daily
    differences in standard errors, which know the blocks of a day and, from the days before, how far days differ
    beyond them. For a refresh it hears this champion, and how older fits of its recipe have done beside fresh ones
    over the year: a recipe that is known to age needs no proof of it each time. Where nothing is better it would go
    off by chance ``by_chance`` times a year at most, all candidates together; half of that belongs to the champion's
    own recipe, the other half to all others.

    FAIL: the same detector shows the candidate worse. Else UNKNOWN, with the days that would settle it.

    Assumed: given the days before, a day's difference has no mean where nothing is better, and about normal tails with
    the spread that was learnt.

    Attributes:
        price: Of a refresh, in days of loss: 0.08 is a twelfth of what all mistakes of one day cost. The default was
            set on the flights of 2013 and the field's drift streams (``docs/decisions.md``): a team has its own.
        switch_price: Of a switch to another recipe. The default was set likewise: another recipe is a greater change.
        switch_by: By how much, as a share of the champion's loss, another recipe's must be lower to count at all.
        by_chance: Promotions a year that chance alone may bring, above 0.
        first_by_chance: The same while a plain rule serves. It is left once, and a model that is no better than the
            rule does little harm until the next look; to wait for a year's proof costs more.
        confidence: Of the bounds told beside, for all looks within
            :data:`~pipeline.core.evidence.paired_days.HEAD_TO_HEAD_DAYS` days at once.
    """

    price: float = 0.08
    switch_price: float = 0.5
    switch_by: float = 0.0
    by_chance: float = 1.0
    first_by_chance: float = 12.0
    confidence: float = 0.95
    name: ClassVar[str] = "better"
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        for name in ("price", "switch_price", "switch_by"):
            value = getattr(self, name)
            if not 0 <= value < 100:
                raise ValueError(f"gate '{self.name}': {name} must be at least 0 and below 100, got {value}")
        for name in ("by_chance", "first_by_chance"):
            value = getattr(self, name)
            if not 0 < value <= YEAR:
                raise ValueError(
                    f"gate '{self.name}': {name} must be above 0 promotions a year and at most one a day, got {value}"
                )
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"gate '{self.name}': the confidence lies between 0.5 and 1, got {self.confidence}")

    def threshold(self, refresh: bool, candidates: int, champion_is_recipe: bool = True) -> float:
        """The mean number of days until chance sets off the detector of one candidate.

        Args:
            refresh: Whether it is of the champion's own recipe.
            candidates: How many recipes are judged side by side.
            champion_is_recipe: Whether the champion's recipe is one of them.
        """
        if not champion_is_recipe:
            return YEAR / self.first_by_chance * candidates
        share = 1.0 if candidates == 1 else 0.5 if refresh else 0.5 / (candidates - 1)
        return YEAR / (self.by_chance * share)

    def worth_it(self, evidence: Evidence) -> bool:
        """Whether the regret has reached the price, the half of the answer that is cheap: without it none is PASS."""
        head_to_head = evidence.head_to_head
        if head_to_head is None or not len(head_to_head):
            return False
        price, by = (self.price, 0.0) if evidence.refresh else (self.switch_price, self.switch_by)
        return regret_of(head_to_head, by) >= price

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the relative difference of the losses, negative where the candidate is better.

        Where nothing could be computed, what is wanted is the price in regret; else a bound on that difference.
        """
        head_to_head = evidence.head_to_head
        price = self.price if evidence.refresh else self.switch_price
        wanted = Bound(low=price)
        if head_to_head is None or not len(head_to_head):
            why = "no day since the champion was promoted has scores of both"
            return (Finding(self.name, Outcome.UNKNOWN, why, wanted=wanted),)
        # An infinite error is a day with too few blocks; one that is no number comes of no sound day.
        bad = np.flatnonzero(
            ~np.isfinite(head_to_head.reference + head_to_head.candidate) | np.isnan(head_to_head.error)
        )
        if len(bad):
            last = head_to_head.days[bad[-1]]
            why = f"{len(bad)} of {count(len(head_to_head), 'day')} have a loss that is no number, {last} among them"
            outlook = f"those days run again on sound data, or {HEAD_TO_HEAD_DAYS} days without one"
            return (Finding(self.name, Outcome.UNKNOWN, why, wanted=wanted, change=outlook),)
        if not (float(head_to_head.candidate.mean()) > 0 or float(head_to_head.reference.mean()) > 0):
            return (Finding(self.name, Outcome.UNKNOWN, "neither has any loss", wanted=wanted),)
        by = 0.0 if evidence.refresh else self.switch_by
        # Two recipes differ by levels that change with the world, which spells would take for noise for weeks.
        noise = Noise.of([head_to_head, *evidence.ageing], spells=evidence.refresh)
        if noise is None:
            days = count(len(head_to_head), "day")
            why = f"the noise from day to day is not known yet, after {days} with scores of both"
            more = max(1, FEWEST + 1 - len(head_to_head))
            outlook = f"about {count(more, 'more day')} with scores of both would tell it"
            return (
                Finding(self.name, Outcome.UNKNOWN, why, wanted=wanted, counts=_counts(head_to_head), change=outlook),
            )
        return (self._settle(head_to_head, noise, price, by, evidence),)

    def _settle(self, head_to_head: PairedDays, noise: Noise, price: float, by: float, evidence: Evidence) -> Finding:
        regret = regret_of(head_to_head, by)
        threshold = math.log(self.threshold(evidence.refresh, evidence.candidates, evidence.champion_is_recipe))
        scores = noise.scores(head_to_head, by)
        statistic = e_detector(scores)
        if evidence.ageing:
            each = (1 - _OWN) / len(evidence.ageing)
            logs = [statistic, *(track.log_e_statistic for track in evidence.ageing)]
            statistic = mixture(logs, [_OWN, *[each] * len(evidence.ageing)])
        opposite = e_detector(noise.scores(head_to_head, worse=True))
        relative, low, high = _bounds(head_to_head, noise, self.confidence)
        proven = regret >= price and statistic >= threshold
        outcome = Outcome.PASS if proven else Outcome.FAIL if opposite >= threshold else Outcome.UNKNOWN
        served = f"{evidence.candidate} as it would be served" if evidence.champion_is_recipe else "its fresh fits"
        whose = "fresh fits of its recipe" if evidence.refresh else served
        owed = percent(regret) if math.isfinite(regret) else "without end"
        sentence = (
            f"{whose}: loss {change(relative)} than the champion's since {head_to_head.days[0]} (at any time "
            f"{100 * self.confidence:.4g} %: {at_best(low) if outcome is Outcome.FAIL else at_worst(high)}); "
            f"regret {owed} of a day's loss, a {'refresh' if evidence.refresh else 'switch'} costs "
            f"{percent(price)}; chance would show as much {_how_often(max(statistic, 0.0))}, "
            f"wanted: {_how_often(threshold)}"
        )
        sentence += f"; {count(len(head_to_head), 'day')}, {count(int(head_to_head.units.sum()), 'unit')}"
        outlook = ""
        if outcome is Outcome.UNKNOWN:
            outlook = self._outlook(head_to_head, scores, statistic, threshold, regret, price)
        elif outcome is Outcome.FAIL:
            outlook = "only another fit, or days that differ from these: it is shown to be worse"
        counts = _counts(head_to_head)
        return Finding(self.name, outcome, sentence, relative, Bound(high=-by), low, high, counts, change=outlook)

    @staticmethod
    def _outlook(
        head_to_head: PairedDays, scores: Floats, statistic: float, threshold: float, regret: float, price: float
    ) -> str:
        recent = slice(-7, None)
        a_day = (
            float(head_to_head.gain[recent].sum() / head_to_head.candidate[recent].sum()) if len(head_to_head) else 0.0
        )
        owing = (price - regret) / a_day if a_day > 0 else 0.0 if regret >= price else math.inf
        days = max(owing, days_to_alarm(float(scores[recent].mean()), statistic, threshold))
        if not math.isfinite(days):
            return "more days like the last ones would not show it to be better"
        return f"about {count(max(1, math.ceil(days)), 'more day')} like the last ones would settle it"


def regret_of(head_to_head: PairedDays, by: float = 0.0) -> float:
    """What the reference lost more than the candidate, in days of the candidate's mean loss; at least 0.

    Added up day by day from the last day on which it stood at 0 (Page, Biometrika 41, 1954).
    """
    level = float(np.average(head_to_head.candidate, weights=head_to_head.units))
    if not level > 0:
        return math.inf if float(head_to_head.gain.sum()) > 0 else 0.0
    days = head_to_head.units / head_to_head.units.mean()
    sums = np.concatenate([[0.0], np.cumsum(days * (head_to_head.gain - by * head_to_head.reference))]) / level
    return float(sums[-1] - sums.min())


def _bounds(head_to_head: PairedDays, noise: Noise, confidence: float) -> tuple[float, float, float]:
    """The candidate's loss relative to the reference's over all days, and its anytime-valid ends.

    The ends are those of :func:`~pipeline.core.stats.sequential.confidence_sequence` (Howard, Ramdas, McAuliffe &
    Sekhon, Annals of Statistics 49, 2021; Waudby-Smith et al., Annals of Statistics 52, 2024), over what the reference
    lost in all. Minus infinity and infinity where it lost nothing.
    """
    errors = noise.errors(head_to_head)
    # A day of unknown error takes no part.
    units = np.where(np.isfinite(errors), head_to_head.units, 0.0)
    reference = float(np.dot(units, head_to_head.reference))
    if not reference > 0:
        return 0.0, -math.inf, math.inf
    spreads = units * np.where(np.isfinite(errors), errors, 0.0)
    variance = float(np.sum(spreads**2))
    # As tight as can be after a week of days like the first (at 95 %): chosen before the rest is seen.
    tuned = float(np.sum(spreads[np.flatnonzero(spreads > 0)[:1]] ** 2))
    half = confidence_sequence(variance, confidence, tuned) / reference if tuned > 0 else 0.0
    relative = -float(np.dot(units, head_to_head.gain)) / reference
    return relative, relative - half, relative + half


def _how_often(log_days: float) -> str:
    days = math.exp(min(log_days, 20.0))
    if days < 1.5:
        return "every day"
    if days < 46:
        return f"every {days:.0f} days"
    if days < 300:
        return f"every {days / 30.4:.0f} months"
    years = days / YEAR
    return f"once in {years:.1f} years" if years < 20 else f"once in {min(years, 1e6):,.0f} years"


def _counts(head_to_head: PairedDays) -> dict[str, int]:
    return {"days": len(head_to_head), "units": int(head_to_head.units.sum())}
