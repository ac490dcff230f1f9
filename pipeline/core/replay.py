"""A policy over history: each day is judged by the daily run's own functions, knowing nothing of the days after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.core.better import Better
from pipeline.core.evidence import Evidence
from pipeline.core.policy import Policy
from pipeline.core.reel import Fit, Reel
from pipeline.core.track import AGES, LONG_MEMORY, MEMORY, Day, Track
from pipeline.core.verdict import Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """One promotion.

    Attributes:
        decided: Number of the day whose exam decided it.
        serves: Number of the first day that the new model serves.
        winner: The new model.
        replaced: The model it replaced.
        reason: The finding that decided, as a sentence; empty where a habit did.
    """

    decided: int
    serves: int
    winner: Fit
    replaced: Fit
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Timeline:
    """What a policy did.

    Attributes:
        policy: The policy.
        first: Number of the first day that is counted.
        served: Whose predictions were served, per day from ``first`` on.
        changes: The promotions, oldest first.
        fits: How many fits were paid for.
    """

    policy: Policy
    first: int
    served: tuple[Fit, ...]
    changes: tuple[Change, ...]
    fits: int


class Replayer:
    """Replays policies on one reel; what policies have in common is worked out once.

    Args:
        reel: The history.
        start: Who reigns on the first counted day.
        first: Number of the first counted day.
        delay: After how many days labels are known.
    """

    def __init__(self, reel: Reel, start: Fit, first: int, delay: int = 0) -> None:
        self.reel, self.start, self.first, self.delay = reel, start, first, delay
        self._sides: dict[tuple[str, str, int], Day | None] = {}
        self._aged: dict[tuple[str, int], tuple[Track, ...]] = {}

    def run(self, policy: Policy) -> Timeline:
        """Replay one policy."""
        reel, champion = self.reel, self.start
        served: list[Fit] = []
        changes: list[Change] = []
        pending: list[Change] = []
        since = self.first - 1
        office = since
        fits = 0
        for today in range(self.first, len(reel)):
            while pending and pending[0].serves <= today:
                change = pending.pop(0)
                if change.winner.recipe != champion.recipe:
                    office = change.decided
                champion, since = change.winner, change.decided
            served.append(champion)
            exam = today - self.delay
            if exam < self.first:
                continue
            if not reel.units(exam):
                continue
            judged = (today - self.first) % policy.every == 0
            fits += len(policy.recipes) if policy.rule == "gates" or (judged and policy.rule != "never") else 0
            if not judged or pending:
                continue
            found = self._decide(policy, champion, since, office, exam)
            if found is not None and found[0] != champion:
                winner, reason = found
                pending.append(Change(exam, today + 1 + policy.lag, winner, champion, reason))
                changes.append(pending[-1])
        return Timeline(policy, self.first, tuple(served), tuple(c for c in changes if c.serves < len(reel)), fits)

    def _shipped(self, policy: Policy, recipe: str, exam: int) -> Fit | None:
        """What is shipped of a recipe that has won on an exam day."""
        made = Fit(recipe, exam + 1 if policy.ship == "refit" else exam)
        if made.day >= len(self.reel):
            return None
        return made if self.reel.losses(made, made.day) is not None else None

    def _decide(self, policy: Policy, champion: Fit, since: int, office: int, exam: int) -> tuple[Fit, str] | None:
        if policy.rule == "never":
            return None
        if policy.rule == "always":
            made = self._shipped(policy, policy.recipes[0], exam)
            return None if made is None else (made, "")
        if policy.rule == "point":
            return self._point(policy, champion, exam)
        return self._gates(policy, champion, since, office, exam)

    def _point(self, policy: Policy, champion: Fit, exam: int) -> tuple[Fit, str] | None:
        made = exam + 1 - policy.holdout
        days = [day for day in range(made, exam + 1) if self.reel.units(day)]
        if made < champion.day or not days:
            return None

        def mean(fit: Fit) -> float:
            units = [self.reel.units(day) for day in days]
            return float(np.average([self.reel.loss(fit, day) for day in days], weights=units))

        best = min(
            (Fit(recipe, made) for recipe in policy.recipes), key=lambda fit: (not mean(fit) <= 1e300, mean(fit))
        )
        return (best, "") if mean(best) <= mean(champion) else None

    def _gates(self, policy: Policy, champion: Fit, since: int, office: int, exam: int) -> tuple[Fit, str] | None:
        found: list[tuple[float, Fit, str]] = []
        for recipe in policy.recipes:
            fresh = Fit(recipe, exam)
            if self.reel.losses(fresh, exam) is None:
                continue
            evidence = self._evidence(policy, champion, recipe, since, office, exam)
            sentence, rank = "", 0.0
            for gate in policy.gates:
                answers = [finding for finding in gate.judge(evidence) if finding.required]
                if not answers or any(finding.outcome is not Outcome.PASS for finding in answers):
                    break
                if isinstance(gate, Better):
                    sentence, rank = str(answers[0]), answers[0].high if answers[0].high is not None else 0.0
            else:
                made = self._shipped(policy, recipe, exam)
                if made is not None:
                    found.append((rank, made, sentence))
        if not found:
            return None
        _, made, sentence = min(found, key=lambda one: one[0])
        return made, sentence

    def _evidence(
        self,
        policy: Policy,
        champion: Fit,
        recipe: str,
        since: int,
        office: int,
        exam: int,
    ) -> Evidence:
        reel = self.reel
        refresh = recipe == champion.recipe
        begin = max(since if refresh else office, exam - MEMORY)
        days = range(begin + 1, exam + 1)
        if refresh:
            sides = [self._pair(champion, Fit(recipe, day), day) for day in days]
        elif champion.recipe not in policy.recipes:
            # A plain rule does not age as they do; their fresh fits are held against it.
            sides = [self._pair(champion, Fit(recipe, day), day) for day in days]
        else:
            sides = [self._served(champion.recipe, recipe, day) for day in days]
        rivalry = Track.of(sides)
        return Evidence(
            reel.kind,
            f"{champion.recipe} of day {champion.day}",
            recipe,
            rivalry=rivalry,
            ageing=self._ageing(recipe, exam) if refresh else (),
            refresh=refresh,
            candidates=len(policy.recipes),
        )

    def _pair(self, reference: Fit, candidate: Fit, day: int) -> Day | None:
        known = min(reference.day, candidate.day) >= self.start.day
        return self.reel.pair(reference, candidate, day) if known else None

    def _served(self, one: str, other: str, day: int) -> Day | None:
        """Two recipes on one day, each by the mean of its fits of all ages."""
        key = (one, other, day)
        if key not in self._sides:
            ages = [age for age in AGES if day - age >= self.start.day]
            sides = [[self.reel.losses(Fit(recipe, day - age), day) for age in ages] for recipe in (one, other)]
            whole = bool(ages) and all(loss is not None for side in sides for loss in side)
            made = None
            if whole:
                above, below = (np.mean([loss for loss in side if loss is not None], axis=0) for side in sides)
                made = Day.of(self.reel.stretch.days[day], above, below, self.reel.sizes(day))
            self._sides[key] = made
        return self._sides[key]

    def _ageing(self, recipe: str, exam: int) -> tuple[Track, ...]:
        """Older fits of a recipe beside its fresh ones, for each age, through a day."""
        key = (recipe, exam)
        if key not in self._aged:
            days = range(max(exam - LONG_MEMORY, 0) + 1, exam + 1)
            self._aged[key] = tuple(
                Track.of(self._pair(Fit(recipe, day - age), Fit(recipe, day), day) for day in days) for age in AGES
            )
        return self._aged[key]
