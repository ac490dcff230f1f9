"""Where a day's evidence comes from, beside the score ledger and the block losses: made now, or kept from then."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Stage
from pipeline.core.kinds import Floats
from pipeline.core.records import Candidate, Entry
from pipeline.steps.tables.score_ledger import ScoreLedger


@dataclass(frozen=True, eq=False)
class Refit:
    """A winner fitted once more.

    Attributes:
        candidate: The refit, which has learnt from the scored day too.
        predictions: What it says of the scored day's units: one number each, or a row of them.
    """

    candidate: Candidate
    predictions: Floats


class EvidenceSource(Protocol):
    """One day's evidence, in two ways.

    :class:`~pipeline.steps.judging.fresh.FreshEvidence` asks the models and writes down what it was told;
    :class:`~pipeline.steps.judging.recorded.RecordedEvidence` reads that back.
    """

    @property
    def code(self) -> str:
        """Digest of the product's source when the day was judged."""

    @property
    def digest(self) -> str:
        """SHA-256 of what is kept of it; complete once everything was asked."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The promotion ledger when the day was judged."""

    @property
    def newest(self) -> date | None:
        """The newest data day that was judged before."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Units of the scored day, labelled, unlabelled by reason."""

    @property
    def slices(self) -> Collection[str]:
        """The slice columns that were declared when the day was judged."""

    def definition(self, recipe: str) -> str:
        """Digest of a recipe's declaration; see :func:`~pipeline.steps.models.definition.definition`."""

    def holdout(self, candidate: Candidate, ledger: ScoreLedger) -> HoldoutDay:
        """The scored day as the champion and the candidate answered it, without the resampled refit."""

    def resampled(self, candidate: Candidate) -> Floats | None:
        """What the candidate's recipe says of the day's units when it is refitted with another seed on a resample."""

    def measured(self, stage: Stage, evidence: Evidence, candidate: Candidate) -> Evidence:
        """The evidence with all that gates of this stage read beside scores."""

    def causes(self, losses: Mapping[str, float], usual: float) -> Sequence[str] | None:
        """Why the champion lost far more than it usually does, as clauses; None where nobody asked that then.

        Args:
            losses: Contestant to its mean loss on the scored day.
            usual: What the champion usually loses.
        """

    def refit(self, winner: Candidate) -> Refit | str:
        """The winner fitted once more with the scored day learnt from, or why there is no such fit."""
