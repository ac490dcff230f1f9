"""What a replay came to, for whoever shows it: policies beside each other, and what a search proposes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pipeline.core.replay.cost import Hindsight
from pipeline.core.replay.figures import AFTER, PolicyFigures, churned, harm_absolute
from pipeline.core.replay.history import FitKey, History
from pipeline.core.replay.player import Replacement, Timeline
from pipeline.core.stats import Interval, NoInterval
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.core.words import at_best, at_worst, change, count


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One policy, replayed.

    Attributes:
        timeline: What it did.
        figures: What it came to.
        difference: Its served loss relative to the best recipe shipped daily.
    """

    timeline: Timeline
    figures: PolicyFigures
    difference: Interval | NoInterval

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.timeline.policy.name


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a search found.

    Attributes:
        name: The policy, as a change of the declared one: of those tried it cost least on the first part of the
            history.
        split: Number of the first day of the rest.
        chosen, judged: Its figures on the first part, and on the rest.
        declared_chosen, declared_judged: Those of the declared policy.
        daily: The recipe that shipped daily was best on the first part.
        daily_chosen, daily_judged: Its figures.
        difference: On the rest, the proposal's served loss relative to the declared policy's.
        tried: How many policies were tried.
    """

    name: str
    split: int
    chosen: PolicyFigures
    judged: PolicyFigures
    declared_chosen: PolicyFigures
    declared_judged: PolicyFigures
    daily: str
    daily_chosen: PolicyFigures
    daily_judged: PolicyFigures
    difference: Interval | NoInterval
    tried: int

    @property
    def holds(self) -> bool:
        """Whether it cost less than the declared policy on both parts: on the rest nobody had chosen it."""
        return self.chosen.cost < self.declared_chosen.cost and self.judged.cost < self.declared_judged.cost


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """A replay.

    Attributes:
        usecase: Whose.
        days: The counted days.
        history: The history.
        played: The policies; the declared one and those that were asked for come first, then the habits; of a habit
            that is no daily one the recipe alone that cost least, known in hindsight.
        asked: How many of them are no habits.
        best: The best recipe shipped daily, among them.
        left_out: Gates that can't be replayed, as they judge what is measured on the day.
        without: Refused days, which nobody saw.
        ageing: Recipe to its loss by age relative to its fresh fits', in order of the age; NaN where nothing is known.
        searched: The policies that a search tried, as points: name, loss, promotions.
        proposal: What it found; None: not asked.
        price: Of a promotion, in days of loss, as the use case declares it.
        hindsight: The cheapest schedule there was; None where costs are not known.
    """

    usecase: Usecase
    days: Days
    history: History
    played: tuple[PolicyResult, ...]
    asked: int
    best: PolicyResult
    left_out: tuple[str, ...]
    without: tuple[date, ...]
    ageing: Mapping[str, Sequence[float]]
    searched: tuple[tuple[str, float, int], ...] = ()
    proposal: Proposal | None = None
    price: float = math.nan
    hindsight: Hindsight | None = None

    def day(self, number: int) -> str:
        """The date of a day's number, ISO format."""
        return str(self.history.stretch.days[number])

    def model(self, fit: FitKey) -> str:
        """A fit as people name it."""
        return f"{fit.recipe} of {self.day(fit.day)}"

    def harm_relative(self, change: Replacement) -> float:
        """What a change did to the loss over the next days, as a share of what the replaced model lost on them.

        0.02 is two per cent more. NaN where none of these days has a label; see
        :func:`~pipeline.core.replay.figures.harm_absolute` for the same in the loss's own unit.
        """
        days = [n for n in range(change.serves, min(change.serves + AFTER, len(self.history))) if self.history.units(n)]
        before = sum(self.history.loss(change.replaced, n) * self.history.units(n) for n in days)
        units = sum(self.history.units(n) for n in days)
        return harm_absolute(change, self.history) * units / before if days and before > 0 else math.nan

    def sentence(self) -> str:
        """What the declared policy came to, beside shipping every day."""
        declared_result, best_result = self.played[0], self.best
        harmful = f", {declared_result.figures.harmful} of them harmful" if declared_result.figures.promotions else ""
        return (
            f"the declared policy served a loss {difference_clause(declared_result.difference)} that of "
            f"{best_result.name}, with {count(declared_result.figures.promotions, 'promotion')}{harmful}, in place "
            f"of {best_result.figures.promotions}{self._cost_clause()}"
        )

    def _cost_clause(self) -> str:
        """What the declared policy cost, beside the cheapest habit and the cheapest schedule in hindsight."""
        declared, habits = self.played[0], [one for one in self.played[self.asked :] if math.isfinite(one.figures.cost)]
        if not (math.isfinite(declared.figures.cost) and habits):
            return ""
        cheapest = min(habits, key=lambda one: one.figures.cost)
        known = f", the best schedule known afterwards {days_of_loss(self.hindsight.cost)}" if self.hindsight else ""
        theirs = f"the cheapest habit ({cheapest.name}) {days_of_loss(cheapest.figures.cost)}{known}"
        own = days_of_loss(declared.figures.cost)
        return f"; at {days_of_loss(self.price)} a promotion it cost {own} in all, {theirs}"

    def proposed(self) -> str:
        """The search's proposal in a sentence; empty where none was asked."""
        proposal = self.proposal
        if proposal is None:
            return ""
        split = self.day(proposal.split)
        if not proposal.holds:
            return (
                f"nothing better than the declared policy: of {proposal.tried} policies '{proposal.name}' cost least "
                f"on the days before {split}, {_at_cost(proposal.chosen)} where the declared one cost "
                f"{_at_cost(proposal.declared_chosen)}; on the days from then on, which had no part in the choice, "
                f"{_at_cost(proposal.judged)} where the declared one cost {_at_cost(proposal.declared_judged)}"
            )
        return (
            f"of {proposal.tried} policies '{proposal.name}' cost least on the days before {split}: "
            f"{_beside(proposal.chosen, proposal.declared_chosen, proposal.daily, proposal.daily_chosen)}; on the days "
            f"from then on, which had no part in the choice: "
            f"{_beside(proposal.judged, proposal.declared_judged, proposal.daily, proposal.daily_judged)}; there its "
            f"loss is {difference_clause(proposal.difference)} that of the declared policy"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the history itself, as plain JSON values."""
        proposal = self.proposal
        return {
            "usecase": self.usecase.name,
            "loss": self.usecase.kind.loss_name,
            "days": [self.days.first.isoformat(), self.days.last.isoformat()],
            "policies": [self._played(one) for one in self.played],
            "best": self.best.name,
            "price": _number(self.price),
            "hindsight": None
            if self.hindsight is None
            else {"cost": self.hindsight.cost, "promotions": self.hindsight.promotions},
            "left_out": list(self.left_out),
            "without": [day.isoformat() for day in self.without],
            "ageing": {recipe: [_number(value) for value in curve] for recipe, curve in self.ageing.items()},
            "searched": [[name, _number(loss), promotions] for name, loss, promotions in self.searched],
            "proposal": None if proposal is None else self._proposal(proposal),
        }

    def _played(self, result: PolicyResult) -> dict[str, Any]:
        serving: list[list[str]] = []
        for n, fit in enumerate(result.timeline.served):
            if not n or fit != result.timeline.served[n - 1]:
                serving.append([self.day(result.timeline.first + n), fit.recipe, self.day(fit.day)])
        return {
            "name": result.name,
            **_figures(result.figures),
            "daily": [_number(loss) for loss in result.figures.daily.tolist()],
            "difference": _interval(result.difference),
            "serving": serving,
            "changes": [
                {
                    "decided": self.day(change.decided),
                    "serves": self.day(change.serves),
                    "winner": self.model(change.winner),
                    "replaced": self.model(change.replaced),
                    "reason": change.reason,
                    "harm": _number(self.harm_relative(change)),
                    "churn": _number(churned(change, self.history)),
                }
                for change in result.timeline.changes
            ],
        }

    def _proposal(self, proposal: Proposal) -> dict[str, Any]:
        parts = ("chosen", "judged", "declared_chosen", "declared_judged", "daily_chosen", "daily_judged")
        return {
            "policy": proposal.name,
            "holds": proposal.holds,
            "split": self.day(proposal.split),
            "daily": proposal.daily,
            "tried": proposal.tried,
            "difference": _interval(proposal.difference),
            **{part: _figures(getattr(proposal, part)) for part in parts},
        }


def days_of_loss(cost: float) -> str:
    """A cost: ``7.9 days of loss``; ``not known`` where it is no number."""
    if not math.isfinite(cost):
        return "not known"
    digits = 2 if abs(cost) < 1 else 1
    return f"{cost:.{digits}f} days of loss" if round(cost, digits) else "no loss"


def difference_clause(difference: Interval | NoInterval) -> str:
    """A relative difference of losses with its ends, to go before ``that of …``."""
    if isinstance(difference, NoInterval):
        return f"of which it is not known how it compares ({difference.why}) with"
    if difference.estimate == difference.low == difference.high == 0:
        return "the same as"
    ends = f"{at_best(difference.low)}, {at_worst(difference.high)}"
    return f"{change(difference.estimate)} ({100 * difference.confidence:.4g} %: {ends}) than"


def _beside(figures: PolicyFigures, declared: PolicyFigures, daily: str, best: PolicyFigures) -> str:
    others = f"declared {_at_cost(declared)}, {daily} {_at_cost(best)}"
    return f"{_at_cost(figures)}, a loss of {figures.loss:.4f} ({others})"


def _at_cost(figures: PolicyFigures) -> str:
    return f"{days_of_loss(figures.cost)} with {count(figures.promotions, 'promotion')}"


def _figures(figures: PolicyFigures) -> dict[str, Any]:
    return {name: _number(value) for name, value in asdict(figures).items() if name != "daily"}


def _interval(interval: Interval | NoInterval) -> dict[str, Any]:
    if isinstance(interval, NoInterval):
        return {"why": interval.why}
    ends = {name: _number(getattr(interval, name)) for name in ("estimate", "low", "high")}
    return {**ends, "confidence": interval.confidence}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
