"""A day's scores from the store's tables: the score ledger and the block losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.core.evidence.candidate import HoldoutDay, Paired
from pipeline.core.evidence.paired_days import PairedDays
from pipeline.core.records import Entry
from pipeline.core.windows import scored_day
from pipeline.steps.tables.block_losses import BlockLosses
from pipeline.steps.tables.score_ledger import ScoreLedger


@dataclass(frozen=True, eq=False)
class LedgerScores:
    """:class:`~pipeline.core.evidence.assembly.Scores` of one day of the daily run.

    Attributes:
        ledger: The score ledger's last days.
        losses: The block losses of the last year.
        champion: The champion's line of the promotion ledger.
        entries: The promotion ledger when the day was judged.
        baseline: The baseline's recipe.
        label_delay: After how many days labels are known.
        definition: Recipe to the digest of its declaration; fits of another declaration are no evidence for it.
        holdout_of: Recipe to the holdout day as the champion and the recipe's fresh fit answer it.
    """

    ledger: ScoreLedger
    losses: BlockLosses
    champion: Entry
    entries: Sequence[Entry]
    baseline: str
    label_delay: int
    definition: Callable[[str], str]
    holdout_of: Callable[[str], HoldoutDay]

    def paired(self, recipe: str) -> Paired:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        model = self.champion.model
        return self.ledger.pair(model, self._since(model), recipe, self.definition(recipe), self.baseline)

    def fresh(self, recipe: str, other: str) -> Paired:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.ledger.fresh(recipe, self.definition(recipe), other, self.definition(other))

    def holdout(self, recipe: str) -> HoldoutDay:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.holdout_of(recipe)

    def head_to_head(self, recipe: str) -> PairedDays:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        model = self.champion.model
        return self.losses.head_to_head(model, recipe, self.definition(recipe), self._since(model))

    def recipes_head_to_head(self, recipe: str) -> PairedDays:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        serving = self.champion.recipe
        sides = [(name, self.definition(name)) for name in (serving, recipe)]
        return self.losses.recipes_head_to_head(sides[0], sides[1], self._since(serving))

    def ageing(self, recipe: str) -> tuple[PairedDays, ...]:
        """See :class:`~pipeline.core.evidence.assembly.Scores`."""
        return self.losses.ageing(recipe, self.definition(recipe))

    def _since(self, what: str) -> date:
        """The scored day on which the champion (a model) or its recipe, whichever is named, became champion."""
        entries = [entry for entry in self.entries if entry.action != "lift"]
        promotion = entries[-1]
        for entry in reversed(entries):
            if what not in (entry.model, entry.recipe):
                break
            promotion = entry
        return scored_day(date.fromisoformat(promotion.day), self.label_delay)
