"""A policy over history: each day is judged by the daily run's own functions, knowing nothing of the days after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from pipeline.core.evidence.candidate import Evidence, Paired
from pipeline.core.gates import Gate, judge
from pipeline.core.gates.better import Better
from pipeline.core.promotion import decision as lifecycle
from pipeline.core.records import Candidate, Entry
from pipeline.core.replay.evidence import Scenes
from pipeline.core.replay.history import Fit, Reel
from pipeline.core.replay.policy import Policy
from pipeline.core.verdict import Finding, Outcome, joint
from pipeline.core.waivers import Waiver, waived


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
        usecase: The use case's name, for sentences.
        reel: The history.
        start: Who reigns on the first counted day.
        first: Number of the first counted day.
        baseline: The baseline's recipe.
        delay: After how many days labels are known.
        window: How many days of paired evidence the gates read.
        waivers: What the use case waives, until when.
    """

    def __init__(
        self,
        usecase: str,
        reel: Reel,
        start: Fit,
        first: int,
        baseline: str,
        delay: int = 0,
        window: int = 14,
        waivers: Sequence[Waiver] = (),
    ) -> None:
        self.usecase, self.reel, self.start, self.first, self.delay = usecase, reel, start, first, delay
        self.baseline, self.window, self.waivers = baseline, window, tuple(waivers)
        self.scenes = Scenes(reel, start.day, baseline, window)
        self._asked: dict[tuple[object, ...], tuple[Gate, tuple[Finding, ...]]] = {}

    def run(self, policy: Policy) -> Timeline:
        """Replay one policy."""
        reel, reign = self.reel, Reign(self.start, self.first - 1, self.first - 1)
        served: list[Fit] = []
        changes: list[Change] = []
        waiting: Change | None = None
        fits = 0
        for today in range(self.first, len(reel)):
            if waiting is not None and waiting.serves <= today:
                reign, waiting = reign.after(waiting), None
            served.append(reign.champion)
            exam = today - self.delay
            if exam < self.first or not reel.units(exam):
                continue
            judged = (today - self.first) % policy.every == 0
            if policy.rule == "gates" or (judged and policy.rule != "never"):
                fits += len(policy.recipes)
            if not judged or waiting is not None:
                continue
            found = self._decide(policy, reign, exam)
            if found is not None and found[0] != reign.champion and today + 1 + policy.lag < len(reel):
                waiting = Change(exam, today + 1 + policy.lag, found[0], reign.champion, found[1])
                changes.append(waiting)
        return Timeline(policy, self.first, tuple(served), tuple(changes), fits)

    def _decide(self, policy: Policy, reign: Reign, exam: int) -> tuple[Fit, str] | None:
        """Who takes over after the exam, and why; None: nobody."""
        if policy.rule == "never":
            return None
        if policy.rule == "always":
            made = self._shipped(policy, policy.recipes[0], exam)
            return None if made is None else (made, "")
        return self._point(policy, reign, exam) if policy.rule == "point" else self._gates(policy, reign, exam)

    def _shipped(self, policy: Policy, recipe: str, exam: int) -> Fit | None:
        """What is shipped of a recipe that has won on an exam day."""
        made = Fit(recipe, exam + 1 if policy.ship == "refit" else exam)
        if made.day >= len(self.reel):
            return None
        return made if self.reel.losses(made, made.day) is not None else None

    def _point(self, policy: Policy, reign: Reign, exam: int) -> tuple[Fit, str] | None:
        made = exam + 1 - policy.holdout
        days = [day for day in range(made, exam + 1) if self.reel.units(day)]
        if made < reign.champion.day or not days:
            return None

        def mean(fit: Fit) -> float:
            return float(
                np.average([self.reel.loss(fit, day) for day in days], weights=[self.reel.units(day) for day in days])
            )

        fits = [Fit(recipe, made) for recipe in policy.recipes]
        known = [fit for fit in fits if self.reel.losses(fit, made) is not None and np.isfinite(mean(fit))]
        best = min(known, key=mean, default=None)
        return (best, "") if best is not None and mean(best) <= mean(reign.champion) else None

    def _gates(self, policy: Policy, reign: Reign, exam: int) -> tuple[Fit, str] | None:
        """The daily run's gates on the daily run's evidence, and its decision on what they found."""
        findings: dict[str, tuple[Finding, ...]] = {}
        rivals: dict[str, Candidate] = {}
        for recipe in policy.recipes:
            if self.reel.losses(Fit(recipe, exam), exam) is not None:
                rivals[recipe] = _candidate(Fit(recipe, exam), self.reel)
                findings[recipe] = self._judge(policy, reign, recipe, exam, findings)
        if all(joint(found) is not Outcome.PASS for found in findings.values()):
            return None
        day = self.reel.stretch.days[exam].astype(object)
        decision = lifecycle.choose(
            self.usecase,
            day,
            _entry(self.usecase, reign.champion, self.reel, day),
            list(rivals.values()),
            findings,
            lifecycle.Held(),
            baseline=self.baseline,
        )
        if decision.decision != "promote" or decision.recipe is None:
            return None
        made = self._shipped(policy, decision.recipe, exam)
        return None if made is None else (made, decision.reason)

    def _judge(
        self, policy: Policy, reign: Reign, recipe: str, exam: int, found: Mapping[str, tuple[Finding, ...]]
    ) -> tuple[Finding, ...]:
        """What the gates found; whoever is stopped by what is worked out cheaply is not asked the rest.

        So a candidate that is held has fewer findings than in the daily run, and the same decision.
        """
        evidence = self._evidence(policy, reign, recipe, exam)
        first = [gate for gate in policy.gates if isinstance(gate, Better)]
        if not all(gate.worth_it(evidence) for gate in first):
            return ()
        refresh = evidence.refresh
        evidence = replace(evidence, ageing=self.scenes.ageing(recipe, exam) if refresh else ())
        findings = judge(first, evidence)
        if first and joint(findings) is not Outcome.PASS:
            return findings
        rest = [gate for gate in policy.gates if not isinstance(gate, Better)]
        if not rest:
            return findings
        paired = self.scenes.paired(reign.champion, recipe, reign.since, exam)
        evidence = replace(
            evidence,
            paired=paired,
            plain=self.scenes.fresh(recipe, self.baseline, exam),
            exam=self.scenes.exam(reign.champion, recipe, exam),
            simpler=self._simpler(policy, reign, recipe, exam, paired, found),
        )
        data_day: date = self.reel.stretch.days[exam].astype(object) + timedelta(self.delay)
        asked = (reign.champion, reign.since, recipe, exam, policy.recipes, tuple(evidence.simpler or ()))
        for gate in rest:
            findings += waived(self._found(gate, asked, evidence), self.waivers, data_day, recipe)
            if joint(findings) is not Outcome.PASS:
                break
        return findings

    def _found(self, gate: Gate, asked: tuple[object, ...], evidence: Evidence) -> tuple[Finding, ...]:
        """What a gate finds, asked once for all policies: the same contestants on the same days are the same evidence.

        Not for the gate that decides, whose numbers policies differ by.
        """
        key = (id(gate), asked)
        if key not in self._asked:
            self._asked[key] = (gate, judge([gate], evidence))  # held with it, so that nothing else has its address
        return self._asked[key][1]

    def _simpler(
        self,
        policy: Policy,
        reign: Reign,
        recipe: str,
        exam: int,
        paired: Paired | None,
        found: Mapping[str, tuple[Finding, ...]],
    ) -> dict[str, Paired]:
        """Simpler recipes that passed, and a champion of a simpler recipe; see ``SimplerPreferred``."""
        before = policy.recipes[: policy.recipes.index(recipe)]
        passed = [other for other in before if joint(found.get(other, ())) is Outcome.PASS]
        sides = {other: self.scenes.fresh(recipe, other, exam) for other in passed}
        if reign.champion.recipe in before:
            sides[f"the champion, a {reign.champion.recipe}"] = paired and replace(paired, slices={})
        return {other: side for other, side in sides.items() if side is not None}

    def _evidence(self, policy: Policy, reign: Reign, recipe: str, exam: int) -> Evidence:
        champion, scenes = reign.champion, self.scenes
        refresh = recipe == champion.recipe
        if refresh or champion.recipe not in policy.recipes:
            # A plain rule does not age as they do; their fresh fits are held against it.
            rivalry = scenes.rivalry(champion, recipe, reign.since, exam)
        else:
            rivalry = scenes.served(champion.recipe, recipe, reign.office, exam)
        return Evidence(
            self.reel.kind,
            f"{champion.recipe} of {self.reel.stretch.days[champion.day]}",
            recipe,
            rivalry=rivalry,
            refresh=refresh,
            office=champion.recipe in policy.recipes,
            candidates=len(policy.recipes),
            window=self.window,
        )


@dataclass(frozen=True, slots=True)
class Reign:
    """Who reigns.

    Attributes:
        champion: The model.
        since: Number of the exam day that crowned it.
        office: Number of the exam day on which its recipe took over.
    """

    champion: Fit
    since: int
    office: int

    def after(self, change: Change) -> Reign:
        """The reign that a change begins."""
        same = change.winner.recipe == self.champion.recipe
        return Reign(change.winner, change.decided, self.office if same else change.decided)


def _candidate(fit: Fit, reel: Reel) -> Candidate:
    through = str(reel.stretch.days[max(fit.day - 1, 0)])
    return Candidate(f"{fit.recipe}@{fit.day}", fit.recipe, through, through, 1, "", "", 0.0)


def _entry(usecase: str, fit: Fit, reel: Reel, day: date) -> Entry:
    made = _candidate(fit, reel)
    when = day.isoformat()
    return Entry(usecase, 1, "promote", 1, made.model, fit.recipe, made.trained_through, "", None, when, "", "", "", "")
