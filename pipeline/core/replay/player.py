"""A policy over history: each day is judged by the daily run's own functions, knowing nothing of the days after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipeline.core.evidence.assembly import Contest
from pipeline.core.evidence.candidate import Evidence
from pipeline.core.gates import Gate, run_gates
from pipeline.core.gates.better import Better
from pipeline.core.promotion import decision as decisions
from pipeline.core.records import Candidate, Entry
from pipeline.core.replay.evidence import DayScores, HistoryScores
from pipeline.core.replay.history import FitKey, History
from pipeline.core.replay.policy import Policy
from pipeline.core.verdict import Finding, Outcome, joint
from pipeline.core.waivers import Waiver, apply_waivers


@dataclass(frozen=True, slots=True)
class Replacement:
    """One promotion.

    Attributes:
        decided: Number of the day whose holdout day decided it.
        serves: Number of the first day that the new model serves.
        winner: The new model.
        replaced: The model it replaced.
        reason: The finding that decided, as a sentence; empty where a habit did.
    """

    decided: int
    serves: int
    winner: FitKey
    replaced: FitKey
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
    served: tuple[FitKey, ...]
    changes: tuple[Replacement, ...]
    fits: int


class Replayer:
    """Replays policies on one history; what policies have in common is worked out once.

    Args:
        usecase: The use case's name, for sentences.
        history: The history.
        start: Who is champion on the first counted day.
        first: Number of the first counted day.
        baseline: The baseline's recipe.
        delay: After how many days labels are known.
        window: How many days of paired evidence the gates read.
        waivers: What the use case waives, until when.
    """

    def __init__(
        self,
        usecase: str,
        history: History,
        start: FitKey,
        first: int,
        baseline: str,
        delay: int = 0,
        window: int = 14,
        waivers: Sequence[Waiver] = (),
    ) -> None:
        self.usecase, self.history, self.start, self.first, self.delay = usecase, history, start, first, delay
        self.baseline, self.window, self.waivers = baseline, window, tuple(waivers)
        self.scores = HistoryScores(history, start.day, baseline, window)
        self._known_findings: dict[tuple[object, ...], tuple[Gate, tuple[Finding, ...]]] = {}

    def run(self, policy: Policy) -> Timeline:
        """Replay one policy."""
        history, serving = self.history, Serving(self.start, self.first - 1, self.first - 1)
        served: list[FitKey] = []
        changes: list[Replacement] = []
        waiting: Replacement | None = None
        fits = 0
        for today in range(self.first, len(history)):
            if waiting is not None and waiting.serves <= today:
                serving, waiting = serving.after(waiting), None
            served.append(serving.champion)
            holdout = today - self.delay
            if holdout < self.first or not history.units(holdout):
                continue
            judged = (today - self.first) % policy.every == 0
            if policy.rule == "gates" or (judged and policy.rule != "never"):
                fits += len(policy.recipes)
            if not judged or waiting is not None:
                continue
            decided = self._decide(policy, serving, holdout)
            if decided is None:
                continue
            winner, reason = decided
            if winner != serving.champion and today + 1 + policy.lag < len(history):
                waiting = Replacement(holdout, today + 1 + policy.lag, winner, serving.champion, reason)
                changes.append(waiting)
        return Timeline(policy, self.first, tuple(served), tuple(changes), fits)

    def _decide(self, policy: Policy, serving: Serving, holdout: int) -> tuple[FitKey, str] | None:
        """Who takes over after the holdout day, and why; None: nobody."""
        if policy.rule == "never":
            return None
        if policy.rule == "always":
            shipped_fit = self._shipped(policy, policy.recipes[0], holdout)
            return None if shipped_fit is None else (shipped_fit, "")
        return (
            self._point(policy, serving, holdout) if policy.rule == "point" else self._gates(policy, serving, holdout)
        )

    def _shipped(self, policy: Policy, recipe: str, holdout: int) -> FitKey | None:
        """What is shipped of a recipe that has won on a holdout day; None where there is no such fit."""
        shipped_fit = FitKey(recipe, holdout + 1 if policy.ship == "refit" else holdout)
        if shipped_fit.day >= len(self.history):
            return None
        return shipped_fit if self.history.losses(shipped_fit, shipped_fit.day) is not None else None

    def _point(self, policy: Policy, serving: Serving, holdout: int) -> tuple[FitKey, str] | None:
        fit_day = holdout + 1 - policy.holdout
        days = [day for day in range(fit_day, holdout + 1) if self.history.units(day)]
        if fit_day < serving.champion.day or not days:
            return None

        def mean(fit: FitKey) -> float:
            return float(
                np.average(
                    [self.history.loss(fit, day) for day in days], weights=[self.history.units(day) for day in days]
                )
            )

        fits = [FitKey(recipe, fit_day) for recipe in policy.recipes]
        known = [fit for fit in fits if self.history.losses(fit, fit_day) is not None and np.isfinite(mean(fit))]
        best = min(known, key=mean, default=None)
        return (best, "") if best is not None and mean(best) <= mean(serving.champion) else None

    def _gates(self, policy: Policy, serving: Serving, holdout: int) -> tuple[FitKey, str] | None:
        """The daily run's gates on the daily run's evidence, and its decision on what they found."""
        findings: dict[str, tuple[Finding, ...]] = {}
        rivals: dict[str, Candidate] = {}
        for recipe in policy.recipes:
            if self.history.losses(FitKey(recipe, holdout), holdout) is not None:
                rivals[recipe] = _candidate(FitKey(recipe, holdout), self.history)
                findings[recipe] = self._judge(policy, serving, recipe, holdout, findings)
        if all(joint(recipe_findings) is not Outcome.PASS for recipe_findings in findings.values()):
            return None
        day = self._data_day(holdout)
        decision = decisions.choose(
            self.usecase,
            day,
            _entry(self.usecase, serving.champion, self.history, day),
            list(rivals.values()),
            findings,
            decisions.Barred(),
            baseline=self.baseline,
        )
        if decision.decision != "promote" or decision.recipe is None:
            return None
        shipped_fit = self._shipped(policy, decision.recipe, holdout)
        return None if shipped_fit is None else (shipped_fit, decision.reason)

    def _data_day(self, holdout: int) -> date:
        """The data day on which a holdout day is judged: labels take ``delay`` days."""
        day: date = self.history.stretch.days[holdout].astype(object)
        return day + timedelta(self.delay)

    def _judge(
        self,
        policy: Policy,
        serving: Serving,
        recipe: str,
        holdout: int,
        findings_before: Mapping[str, tuple[Finding, ...]],
    ) -> tuple[Finding, ...]:
        """What the gates found; whoever is stopped by what is worked out cheaply is not asked the rest.

        So a candidate that is held has fewer findings than in the daily run, and the same decision.
        """
        contest = self._contest(policy, serving)
        scores = DayScores(self.scores, serving.champion, serving.since, serving.recipe_since, holdout)
        evidence = contest.decisive(recipe, scores)
        first = [gate for gate in policy.gates if isinstance(gate, Better)]
        if not all(gate.worth_it(evidence) for gate in first):
            return ()
        evidence = contest.with_ageing(evidence, scores)
        findings = run_gates(first, evidence)
        if first and joint(findings) is not Outcome.PASS:
            return findings
        rest = [gate for gate in policy.gates if not isinstance(gate, Better)]
        if not rest:
            return findings
        evidence = contest.with_units(
            evidence,
            scores,
            [earlier for earlier in findings_before if joint(findings_before[earlier]) is Outcome.PASS],
        )
        contest_key = (serving.champion, serving.since, recipe, holdout, policy.recipes, tuple(evidence.simpler or ()))
        for gate in rest:
            findings += apply_waivers(
                self._cached_findings(gate, contest_key, evidence), self.waivers, self._data_day(holdout), recipe
            )
            if joint(findings) is not Outcome.PASS:
                break
        return findings

    def _cached_findings(self, gate: Gate, contest_key: tuple[object, ...], evidence: Evidence) -> tuple[Finding, ...]:
        """What a gate finds, asked once for all policies: the same contestants on the same days are the same evidence.

        Not for the gate that decides, whose numbers policies differ by.
        """
        key = (id(gate), contest_key)
        if key not in self._known_findings:
            # The gate is held with it, so that nothing else has its address.
            self._known_findings[key] = (gate, run_gates([gate], evidence))
        return self._known_findings[key][1]

    def _contest(self, policy: Policy, serving: Serving) -> Contest:
        champion = serving.champion
        return Contest(
            kind=self.history.kind,
            champion=f"{champion.recipe} of {self.history.stretch.days[champion.day]}",
            champion_recipe=champion.recipe,
            recipes=policy.recipes,
            baseline=self.baseline,
            window=self.window,
        )


@dataclass(frozen=True, slots=True)
class Serving:
    """Who is champion.

    Attributes:
        champion: The model.
        since: Number of the holdout day that promoted it.
        recipe_since: Number of the holdout day on which its recipe took over.
    """

    champion: FitKey
    since: int
    recipe_since: int

    def after(self, change: Replacement) -> Serving:
        """The champion after a change."""
        same = change.winner.recipe == self.champion.recipe
        return Serving(change.winner, change.decided, self.recipe_since if same else change.decided)


def _candidate(fit: FitKey, history: History) -> Candidate:
    through = str(history.stretch.days[max(fit.day - 1, 0)])
    return Candidate(f"{fit.recipe}@{fit.day}", fit.recipe, through, through, 1, "", "", 0.0)


def _entry(usecase: str, fit: FitKey, history: History, day: date) -> Entry:
    candidate = _candidate(fit, history)
    when = day.isoformat()
    return Entry(
        usecase, 1, "promote", 1, candidate.model, fit.recipe, candidate.trained_through, "", None, when, "", "", "", ""
    )
