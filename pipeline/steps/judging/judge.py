"""One day's judging: what was scored, who was scored, and what each gate said of whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from pipeline.core.evidence.assembly import Contest
from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.gates import Better, question, run_gates
from pipeline.core.ports import World
from pipeline.core.promotion import decision as decisions
from pipeline.core.promotion.red import red_day
from pipeline.core.promotion.succession import succeed
from pipeline.core.records import Candidate, Entry, Scored, Trained
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Contestant, Finding, Outcome, Verdict, joint
from pipeline.core.waivers import apply_waivers
from pipeline.core.windows import evidence_days
from pipeline.steps.judging.fresh import FreshEvidence
from pipeline.steps.judging.ledger_scores import LedgerScores
from pipeline.steps.judging.source import EvidenceSource
from pipeline.steps.judging.what_ships import choose_shipped_fit
from pipeline.steps.models.predictions import answered
from pipeline.steps.tables import block_losses, score_ledger


class DayJudge:
    """One day's judging: what was scored, who was scored, and what each gate said.

    It reads the store at pinned versions; all else comes from its source, so it judges alike now and years later.

    Attributes:
        usecase, trained, world, head, source: As they were given.
        day: The scored day.
        version: Version of the score ledger that is read.
        unable: Why the champion can't answer any more; empty where it can.
        versions: Table's name to its pinned version.
        ledger: The score ledger's rows of the days of evidence whose data is still as it was.
        block_losses_version: Version of the table of block losses that is read.
        block_losses: The block losses of the last year.
        contenders: The day's fresh fits but the baseline's, in the order in which their recipes are declared.
        evidence: Recipe to what the gates read of its candidate, once it was judged.
    """

    def __init__(
        self,
        usecase: Usecase,
        trained: Trained,
        scored: Scored,
        world: World,
        head: Entry | None,
        source: EvidenceSource | None = None,
    ) -> None:
        """What is judged.

        Args:
            usecase: The use case.
            trained: Who was fitted.
            scored: What was scored.
            world: The ports; with a source that is given, only the store is read.
            head: Who is champion.
            source: Where the evidence comes from; None: made now.
        """
        self.usecase, self.trained, self.world, self.head = usecase, trained, world, head
        self.source: EvidenceSource = source or FreshEvidence(usecase, trained, scored, world, head)
        self.day = date.fromisoformat(trained.scored)
        self.version, self.unable = scored.ledger, scored.unable
        self.versions: Mapping[str, int] = trained.validated["snapshot"]["versions"]
        without = {date.fromisoformat(day) for day in trained.validated["without"]}
        window = evidence_days(self.day, usecase.evidence)
        sound = score_ledger.delivery_digests(usecase, self.versions, world, window)
        sound = {day: data for day, data in sound.items() if day not in without}
        ledger = score_ledger.ScoreLedger.read(
            world.store, usecase.name, self.version, window, sound, usecase.kind.width
        )
        self.ledger = ledger.with_slices(self.source.slices)
        self.block_losses_version = scored.block_losses_version
        year_delivery_digests = score_ledger.delivery_digests(
            usecase, self.versions, world, block_losses.look_back_days(self.day)
        )
        year_delivery_digests = {day: data for day, data in year_delivery_digests.items() if day not in without}
        self.block_losses = block_losses.BlockLosses.read(
            world.store, usecase.name, self.block_losses_version, self.day, year_delivery_digests
        )
        order = [recipe.name for recipe in usecase.recipes]
        contenders = [c for c in trained.models if c.recipe != usecase.baseline.name]
        self.contenders = sorted(contenders, key=lambda candidate: order.index(candidate.recipe))
        self.evidence: dict[str, Evidence] = {}

    def findings(self) -> dict[str, tuple[Finding, ...]]:
        """Recipe name to what the gates said of it; empty before the first champion."""
        head = self.head
        if head is None or date.fromisoformat(head.trained_through) >= self.day:
            return {}
        fits = {candidate.recipe: candidate for candidate in self.contenders}
        if self.unable:
            successor = fits.get(head.recipe)
            return {} if successor is None else {head.recipe: self._judge_successor(successor, head)}
        scores, contest = self._scores(head), self._contest(head)
        barred = decisions.barred_on(self.source.entries, date.fromisoformat(self.trained.day))
        findings: dict[str, tuple[Finding, ...]] = {}
        passed: list[str] = []
        with self.world.progress("evaluate", len(fits)) as done:
            # Recipes are judged in the order of their simplicity, so the simpler ones have their answers by now.
            for recipe, candidate in fits.items():
                evidence = contest.with_ageing(contest.decisive(recipe, scores), scores)
                evidence = contest.with_units(evidence, scores, passed)
                findings[recipe] = self._judge(candidate, evidence)
                may_ship = candidate.model != head.model and not barred.why(candidate)
                if may_ship and joint(findings[recipe]) is Outcome.PASS:
                    passed.append(recipe)
                done()
        return findings

    def _scores(self, head: Entry) -> LedgerScores:
        fits = {candidate.recipe: candidate for candidate in self.contenders}
        return LedgerScores(
            ledger=self.ledger,
            losses=self.block_losses,
            champion=head,
            entries=self.source.entries,
            baseline=self.usecase.baseline.name,
            label_delay=self.usecase.label_delay,
            definition=self.source.definition,
            holdout_of=lambda recipe: self.source.holdout(fits[recipe], self.ledger),
        )

    def _contest(self, head: Entry) -> Contest:
        return Contest(
            kind=self.usecase.kind,
            champion=f"version {head.version}",
            champion_recipe=head.recipe,
            recipes=tuple(recipe.name for recipe in self.usecase.recipes),
            baseline=self.usecase.baseline.name,
            window=self.usecase.evidence,
        )

    def _judge_successor(self, candidate: Candidate, head: Entry) -> tuple[Finding, ...]:
        """What is known of the fresh fit of a champion's recipe where the champion itself can't answer.

        It is judged beside what the champion answered while it could. Only what the candidate is found to be by itself
        can stop it: an answer is required if it stays the same where nobody knows the champion.
        """
        recipe, scores, contest = candidate.recipe, self._scores(head), self._contest(head)
        day = date.fromisoformat(self.trained.day)
        alone = replace(
            Evidence(contest.kind, contest.champion, recipe, window=contest.window),
            plain=scores.fresh(recipe, contest.baseline),
            holdout=scores.holdout(recipe),
        )
        beside = replace(alone, paired=scores.paired(recipe))
        findings: tuple[Finding, ...] = ()
        for stage in (Stage.SCORES, Stage.AUDIT):
            # Nobody asks it to be better than whom it succeeds.
            gates = [gate for gate in self.usecase.gates if gate.stage is stage and gate.name != Better.name]
            alone, beside = (self.source.measured(stage, evidence, candidate) for evidence in (alone, beside))
            own = {(f.name, f.about): f.outcome for f in run_gates(gates, alone) if f.required}
            found = [
                finding
                if own.get((finding.name, finding.about)) is finding.outcome
                else replace(finding, required=False)
                for finding in run_gates(gates, beside)
            ]
            findings += apply_waivers(found, self.usecase.waivers, day, recipe)
        self.evidence[recipe] = beside
        return findings

    def _judge(self, candidate: Candidate, evidence: Evidence) -> tuple[Finding, ...]:
        """Stage by stage: a refit and the timing take seconds each, and are owed only to a candidate that could win.

        The audit is owed to the day, whoever wins.
        """
        findings: tuple[Finding, ...] = ()
        for stage in Stage:
            gates = [gate for gate in self.usecase.gates if gate.stage is stage]
            if not gates:
                continue
            if findings and stage is not Stage.AUDIT and joint(findings) is not Outcome.PASS:
                why = "not measured: what stands above stops this candidate already"
                findings += tuple(
                    Finding(gate.name, Outcome.UNKNOWN, why, required=False, gate=gate.name) for gate in gates
                )
                continue
            if stage is Stage.REFIT and evidence.holdout is not None:
                refit = self.source.resampled(candidate)
                evidence = replace(evidence, holdout=replace(evidence.holdout, resampled=refit))
            evidence = self.source.measured(stage, evidence, candidate)
            judged = run_gates(gates, evidence)
            findings += apply_waivers(
                judged, self.usecase.waivers, date.fromisoformat(self.trained.day), candidate.recipe
            )
        self.evidence[candidate.recipe] = evidence
        return findings

    def verdict(self) -> Verdict:
        """The day's verdict: findings, then the decision on them."""
        usecase = self.usecase
        findings = self.findings()
        day = date.fromisoformat(self.trained.day)
        unsound = self._unsound()
        # A baseline that can't answer must not start; where there is a champion, the gates stop whoever can't.
        able = [c for c in self.trained.models if self.head is not None or c.recipe not in unsound]
        barred = decisions.barred_on(self.source.entries, day)
        daily = self.ledger.daily_losses(usecase.kind)
        today = {who: days[str(self.day)] for who, days in daily.items() if str(self.day) in days}
        if self.head is not None and self.unable:
            decision = succeed(
                self.unable,
                day,
                self.head,
                self.trained.models,
                findings.get(self.head.recipe, ()),
                barred,
                baseline=usecase.baseline.name,
                losses=today,
                silent=unsound,
                skipped=self.trained.skipped,
                newest=self.source.newest,
            )
        else:
            decision = decisions.choose(
                usecase.name,
                day,
                self.head,
                able,
                findings,
                barred,
                baseline=usecase.baseline.name,
                newest=self.source.newest,
                skipped={**dict.fromkeys(unsound, "it answers some units with no prediction"), **self.trained.skipped},
            )
        broken = sorted({*self.trained.broken, *unsound})
        reason = decision.reason + (f"; broken, see the page: {', '.join(broken)}" if broken else "")
        chosen = next((c for c in self.trained.models if c.recipe == decision.recipe), None)
        # Who succeeds a champion that can't answer ships as it was scored: nothing tells what its refit would change.
        if chosen is not None and decision.decision == "promote" and not self.unable:
            scored_day = self.evidence[chosen.recipe].holdout
            chosen, ships = choose_shipped_fit(self.usecase, self.source, chosen, scored_day)
            findings[chosen.recipe] = (*findings[chosen.recipe], ships)
        head, alarms = self.head, self._alarms(daily, today)
        return Verdict(
            usecase=usecase.name,
            day=self.trained.day,
            decision=decision.decision,
            outcome=decision.outcome,
            reason=reason,
            champion=Contestant(head.model, head.recipe, head.trained_through, head.version) if head else None,
            epoch=0 if head is None else head.epoch,
            challenger=Contestant(chosen.model, chosen.recipe, chosen.trained_through) if chosen else None,
            findings=findings,
            losses=today,
            loss_name=usecase.kind.loss_name,
            counts=self.source.counts,
            snapshot=self.versions,
            evidence=self.version,
            block_losses_version=self.block_losses_version,
            validation=str(self.trained.validated["report"]),
            intervals=self.ledger.intervals(usecase.kind, self.day),
            fits=self._fits(),
            code=self.source.code,
            measured=self.source.digest,
            asked={gate.name: question(gate) for gate in usecase.gates},
            alarms=alarms,
        )

    def _alarms(self, daily: Mapping[str, Mapping[str, float]], today: Mapping[str, float]) -> tuple[Finding, ...]:
        """What is wrong with the champion itself, and why, as far as that can be told."""
        found = red_day(str(self.day), daily, score_ledger.CHAMPION, self.usecase.baseline.name)
        if self.head is None or found is None or found.outcome is not Outcome.FAIL:
            return ()
        past = [loss for day, loss in daily[score_ledger.CHAMPION].items() if day < str(self.day)]
        causes = self.source.causes(today, float(np.median(past)))
        return (
            () if causes is None else (replace(found, change="; ".join(causes), about=f"version {self.head.version}"),)
        )

    def _unsound(self) -> set[str]:
        """Recipes whose fresh fit answered some unit of the scored day with no prediction."""
        ledger = self.ledger
        bad = (ledger.days == np.datetime64(self.day)) & ~answered(ledger.predictions)
        return {str(who) for who in np.unique(ledger.contestants[bad])} - {score_ledger.CHAMPION}

    def _fits(self) -> dict[str, dict[str, Any]]:
        fits_by_recipe: dict[str, dict[str, Any]] = {}
        for candidate in self.trained.models:
            recipe = self.usecase.recipe(candidate.recipe)
            fits_by_recipe[candidate.recipe] = {
                "model": candidate.model,
                "window": recipe.window,
                "seed": recipe.seed,
                "trained_first": candidate.trained_first,
                "trained_through": candidate.trained_through,
                "rows": candidate.rows,
                "seconds": candidate.seconds,
            }
        return fits_by_recipe | {recipe: {"skipped": why} for recipe, why in self.trained.skipped.items()}

    def page(self, verdict: Verdict) -> bytes:
        """The verdict's page."""
        from pipeline.report.verdict.page import verdict_page

        return verdict_page(
            verdict,
            self.usecase,
            self.evidence,
            self.ledger.daily_losses(self.usecase.kind),
            self.trained.validated["without"],
            corrected=self.ledger.corrected,
            changes={entry.day: f"version {entry.version}" for entry in self.source.entries if entry.action != "lift"},
        )
