"""One day's judging: what was scored, who was scored, and what each gate said of whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.evidence.paired_days import PairedDays
from pipeline.core.gates import judge, question
from pipeline.core.ports import World
from pipeline.core.promotion import decision as lifecycle
from pipeline.core.records import Candidate, Entry, Scored, Trained
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Contestant, Finding, Outcome, Verdict, joint
from pipeline.core.waivers import waived
from pipeline.core.windows import evidence_days, scored_day
from pipeline.steps.judging.fresh import FreshEvidence
from pipeline.steps.judging.simpler import simpler
from pipeline.steps.judging.source import EvidenceSource
from pipeline.steps.judging.what_ships import shipped
from pipeline.steps.models.predictions import answered
from pipeline.steps.tables import block_losses, score_ledger


class DayJudge:
    """One day's judging: what was scored, who was scored, and what each gate said.

    It reads the store at pinned versions; all else comes from its source, so it judges alike now and years later.
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
        self.version = scored.ledger
        self.versions: Mapping[str, int] = trained.validated["snapshot"]["versions"]
        without = {date.fromisoformat(day) for day in trained.validated["without"]}
        window = evidence_days(self.day, usecase.evidence)
        sound = score_ledger.data_of(usecase, self.versions, world, window)
        sound = {day: data for day, data in sound.items() if day not in without}
        self.ledger = score_ledger.ScoreLedger.read(world.store, usecase.name, self.version, window, sound)
        self.added = scored.sums
        whole = score_ledger.data_of(usecase, self.versions, world, block_losses.reach(self.day))
        whole = {day: data for day, data in whole.items() if day not in without}
        self.sums = block_losses.BlockLosses.read(world.store, usecase.name, self.added, self.day, whole)
        order = [recipe.name for recipe in usecase.recipes]
        contenders = [c for c in trained.models if c.recipe != usecase.baseline.name]
        self.contenders = sorted(contenders, key=lambda candidate: order.index(candidate.recipe))
        self.evidence: dict[str, Evidence] = {}

    def findings(self) -> dict[str, tuple[Finding, ...]]:
        """Recipe name to what the gates said of it; empty before the first champion."""
        head = self.head
        if head is None or date.fromisoformat(head.trained_through) >= self.day:
            return {}
        found: dict[str, tuple[Finding, ...]] = {}
        with self.world.progress("evaluate", len(self.contenders)) as done:
            for candidate in self.contenders:
                found[candidate.recipe] = self._judge(candidate, head, found)
                done()
        return found

    def _judge(
        self, candidate: Candidate, head: Entry, others: Mapping[str, tuple[Finding, ...]]
    ) -> tuple[Finding, ...]:
        """Stage by stage: a refit and the timing take seconds each, and are owed only to a candidate that could win.

        The audit is owed to the day, whoever wins.
        """
        evidence = self._evidence(candidate, head)
        # Recipes are judged in the order of their simplicity, so the simpler ones have their answers by now.
        evidence = replace(evidence, simpler=simpler(self, candidate, head, evidence.paired, others))
        found: tuple[Finding, ...] = ()
        for stage in Stage:
            gates = [gate for gate in self.usecase.gates if gate.stage is stage]
            if not gates:
                continue
            if found and stage is not Stage.AUDIT and joint(found) is not Outcome.PASS:
                why = "not measured: what stands above stops this candidate already"
                found += tuple(
                    Finding(gate.name, Outcome.UNKNOWN, why, required=False, gate=gate.name) for gate in gates
                )
                continue
            if stage is Stage.REFIT and evidence.holdout is not None:
                evidence = replace(
                    evidence, holdout=replace(evidence.holdout, resampled=self.source.resampled(candidate))
                )
            evidence = self.source.measured(stage, evidence, candidate)
            judged = judge(gates, evidence)
            found += waived(judged, self.usecase.waivers, date.fromisoformat(self.trained.day), candidate.recipe)
        self.evidence[candidate.recipe] = evidence
        return found

    def _evidence(self, candidate: Candidate, head: Entry) -> Evidence:
        usecase = self.usecase
        declared = self.source.definition(candidate.recipe)
        head_to_head, ageing = self._sides(candidate, head, declared)
        return Evidence(
            kind=usecase.kind,
            champion=f"version {head.version}",
            candidate=candidate.recipe,
            paired=self.ledger.pair(
                head.model,
                self._since(head.model),
                candidate.recipe,
                declared,
                usecase.baseline.name,
            ),
            plain=self.ledger.fresh(
                candidate.recipe,
                declared,
                usecase.baseline.name,
                self.source.definition(usecase.baseline.name),
            ),
            holdout=self.source.holdout(candidate, self.ledger),
            head_to_head=head_to_head,
            ageing=ageing,
            refresh=candidate.recipe == head.recipe,
            champion_is_recipe=head.recipe in {recipe.name for recipe in usecase.recipes},
            # All that are declared, not those that were scored: who tries one recipe after another must not get an
            # easier test.
            candidates=len(usecase.recipes),
            window=usecase.evidence,
        )

    def _sides(self, candidate: Candidate, head: Entry, declared: str) -> tuple[PairedDays, tuple[PairedDays, ...]]:
        """The two sides of the decision day by day, and, for a refresh, how the recipe ages."""
        if candidate.recipe == head.recipe:
            head_to_head = self.sums.head_to_head(head.model, candidate.recipe, declared, self._since(head.model))
            return head_to_head, self.sums.ageing(candidate.recipe, declared)
        if head.recipe not in {recipe.name for recipe in self.usecase.recipes}:
            # A plain rule does not age as they do; their fresh fits are held against it.
            return self.sums.head_to_head(head.model, candidate.recipe, declared, self._since(head.model)), ()
        champion_is_recipe = (head.recipe, self.source.definition(head.recipe))
        return self.sums.served(champion_is_recipe, (candidate.recipe, declared), self._since(head.recipe)), ()

    def _since(self, what: str) -> date:
        """The scored day on which the champion (a model) or its recipe, whichever is named, became champion."""
        entries = [entry for entry in self.source.entries if entry.action != "lift"]
        crowning = entries[-1]
        for entry in reversed(entries):
            if what not in (entry.model, entry.recipe):
                break
            crowning = entry
        return scored_day(date.fromisoformat(crowning.day), self.usecase.label_delay)

    def verdict(self) -> Verdict:
        """The day's verdict: findings, then the decision on them."""
        usecase = self.usecase
        findings = self.findings()
        day = date.fromisoformat(self.trained.day)
        unsound = self._unsound()
        # A baseline that can't answer must not start; where there is a champion, the gates stop whoever can't.
        able = [c for c in self.trained.models if self.head is not None or c.recipe not in unsound]
        decision = lifecycle.choose(
            usecase.name,
            day,
            self.head,
            able,
            findings,
            lifecycle.held(self.source.entries, day),
            baseline=usecase.baseline.name,
            newest=self.source.newest,
            skipped={**dict.fromkeys(unsound, "it answers some units with no prediction"), **self.trained.skipped},
        )
        broken = sorted({*self.trained.broken, *unsound})
        reason = decision.reason + (f"; broken, see the page: {', '.join(broken)}" if broken else "")
        chosen = next((c for c in self.trained.models if c.recipe == decision.recipe), None)
        if chosen is not None and decision.decision == "promote":
            chosen, ships = shipped(self, chosen)
            findings[chosen.recipe] = (*findings[chosen.recipe], ships)
        daily = self.ledger.daily_losses(usecase.kind)
        today = {who: days[str(self.day)] for who, days in daily.items() if str(self.day) in days}
        head = self.head
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
            sums=self.added,
            validation=str(self.trained.validated["report"]),
            intervals=self.ledger.intervals(usecase.kind, self.day),
            fits=self._fits(),
            code=self.source.code,
            measured=self.source.digest,
            asked={gate.name: question(gate) for gate in usecase.gates},
        )

    def _unsound(self) -> set[str]:
        """Recipes whose fresh fit answered some unit of the scored day with no prediction."""
        ledger = self.ledger
        bad = (ledger.days == np.datetime64(self.day)) & ~answered(ledger.predictions)
        return {str(who) for who in np.unique(ledger.contestants[bad])} - {score_ledger.CHAMPION}

    def _fits(self) -> dict[str, dict[str, Any]]:
        made: dict[str, dict[str, Any]] = {}
        for candidate in self.trained.models:
            recipe = self.usecase.recipe(candidate.recipe)
            made[candidate.recipe] = {
                "model": candidate.model,
                "window": recipe.window,
                "seed": recipe.seed,
                "trained_first": candidate.trained_first,
                "trained_through": candidate.trained_through,
                "rows": candidate.rows,
                "seconds": candidate.seconds,
            }
        return made | {recipe: {"skipped": why} for recipe, why in self.trained.skipped.items()}

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
