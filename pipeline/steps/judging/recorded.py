"""What can't be read again of a day's judging, kept as one file beside its verdict; and a verdict's evidence from it.

Timings, answers, audits, resampled refits and refits are made once. With this file, the score ledger, the block losses
and the promotion ledger, the day can be judged again years later without a model, to the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import RefusedError
from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Stage
from pipeline.core.evidence.measurements import Answers, Audited, Footprint, Repeated, Shared, Timing
from pipeline.core.kinds import Floats
from pipeline.core.records import Candidate, Entry, Scored
from pipeline.core.usecase import Usecase
from pipeline.steps.judging.source import Refit
from pipeline.steps.models.predictions import no_predictions
from pipeline.steps.tables.score_ledger import CHAMPION, ScoreLedger

FORMAT = 1
#: Field to its key in the file, where that is not its name: files of earlier versions are read for ever.
_KEYS: Mapping[str, str] = {"predicted": "said", "resampled_fits": "twins"}
#: Field of the evidence to what is measured for it.
MEASUREMENTS: Mapping[str, Any] = {
    "answers": Answers,
    "audited": Audited,
    "repeated": Repeated,
    "shared": Shared,
    "timing": Timing,
    "footprint": Footprint,
}


def recorded_file(usecase: str, day: str, digest: str) -> str:
    """Name of the file in the file store."""
    return f"verdicts/{usecase}/{day}/{digest}.measured.json"


@dataclass(slots=True)
class Recording:
    """What is to be kept, as it is made; every value is plain JSON, exact to the last bit.

    Attributes:
        scored: The day, as :meth:`Scored.to_dict`: who was fitted on what, and which versions were read.
        code: Digest of the product's source.
        newest: The newest data day that was judged before, ISO format, or None.
        definitions: Recipe to the digest of its declaration.
        counts: Units of the scored day, labelled, unlabelled by reason.
        order: The order of the day's units: place in the order of their names, one per unit.
        slices: The day's slice columns.
        predicted: Recipe to predictions that are not those of the score ledger, by side; usually empty.
        resampled_fits: Recipe to the predictions of its resampled refit.
        measured: Recipe to what was measured, by part; None where it could not be.
        refit: Recipe to its refit, or the reason why there is none.
        causes: Why the champion lost far more than it usually does, as clauses; None in files of before that was asked.
    """

    scored: Mapping[str, Any]
    code: str
    newest: str | None
    definitions: Mapping[str, str]
    counts: dict[str, int] = field(default_factory=dict)
    order: Any = None
    slices: list[str] = field(default_factory=list)
    predicted: dict[str, dict[str, Any]] = field(default_factory=dict)
    resampled_fits: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    refit: dict[str, Any] = field(default_factory=dict)
    causes: list[str] | None = None

    def to_bytes(self) -> bytes:
        """The file. Keys stay in the order in which they were made: some sentences follow it."""
        document = {
            "format": FORMAT,
            **{_KEYS.get(name, name): getattr(self, name) for name in self.__dataclass_fields__},
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    def part(self, recipe: str, name: str, value: Any) -> None:
        """Keep what was measured of a recipe."""
        self.measured.setdefault(recipe, {})[name] = None if value is None else value.to_dict()


def packed(values: Any) -> dict[str, Any]:
    """An array of numbers as JSON that is exact to the bit, NaN too."""
    array = np.asarray(values)
    kind = "<i8" if array.dtype.kind in "iu" else "<f8"
    data = base64.b64encode(np.ascontiguousarray(array, dtype=kind).tobytes()).decode()
    return {"type": kind, "shape": list(array.shape), "base64": data}


def unpacked(data: Mapping[str, Any]) -> NDArray[Any]:
    """Read back what :func:`packed` wrote."""
    if data["type"] not in ("<i8", "<f8"):
        raise ValueError(f"an array of numbers is of type <i8 or <f8, not {data['type']}")
    array = np.frombuffer(base64.b64decode(data["base64"], validate=True), dtype=data["type"])
    return array.reshape(data["shape"]).astype(data["type"][1:])


def same(one: Any, other: Any) -> bool:
    """Whether two arrays are the same to the bit, any NaN being like any other."""
    first, second = np.asarray(one), np.asarray(other)
    return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """One contestant's rows of the scored day in the score ledger, in the order of its units' names.

    Attributes:
        predictions: Shape (units,), or (units, K) where a prediction is a row of K numbers; NaN: none was given.
        labels: The truth per unit; NaN where there is none.
        blocks: Name of the unit's block.
        slices: Slice column to its value per unit.
    """

    predictions: Floats
    labels: Floats
    blocks: NDArray[np.str_]
    slices: Mapping[str, NDArray[np.str_]]

    @classmethod
    def of(cls, ledger: ScoreLedger, day: date, contestant: str, model: str) -> ScoredRows | None:
        """The rows of a contestant's model; None where there are none.

        Args:
            ledger: The score ledger.
            day: The scored day.
            contestant: ``"champion"``, or the recipe's name for a fresh fit.
            model: The model's identity: another one's rows of that day do not count.
        """
        wanted = (ledger.days == np.datetime64(day)) & (ledger.contestants == contestant) & (ledger.models == model)
        at = np.flatnonzero(wanted)
        if not len(at):
            return None
        at = at[np.argsort(ledger.units[at], kind="stable")]
        slices = {name: values[at] for name, values in ledger.slices.items()}
        return cls(ledger.predictions[at], ledger.labels[at], ledger.blocks[at], slices)


class RecordedEvidence:
    """A day's evidence as it was kept: :class:`~pipeline.steps.judging.source.EvidenceSource` without a model."""

    def __init__(self, usecase: Usecase, data: bytes, entries: Sequence[Entry]) -> None:
        """Read what was kept.

        Args:
            usecase: The use case.
            data: The file's bytes.
            entries: The promotion ledger as it is now; the lines after the day was judged are left out.

        Raises:
            ValueError: These bytes are no such file.
        """
        try:
            read = json.loads(data)
            if read.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            names = {key: name for name, key in _KEYS.items()}
            self._read = Recording(**{names.get(key, key): value for key, value in read.items()})
            self.scored = Scored.from_dict(self._read.scored)
            self.newest = None if self._read.newest is None else date.fromisoformat(self._read.newest)
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise ValueError(f"it can't be read ({type(error).__name__}: {error})") from error
        self.digest = hashlib.sha256(data).hexdigest()
        self.usecase, self.code = usecase, self._read.code
        self.entries = tuple(entries[: self.scored.epoch])
        self.counts = self._read.counts
        self._day = date.fromisoformat(self.scored.trained["scored"])

    @property
    def slices(self) -> Collection[str]:
        """The slice columns then."""
        return self._read.slices

    def definition(self, recipe: str) -> str:
        """Digest of the recipe's declaration then; of a recipe that was not declared then, none."""
        return self._read.definitions.get(recipe, "")

    def holdout(self, candidate: Candidate, ledger: ScoreLedger) -> HoldoutDay:
        """The scored day from the score ledger.

        Raises:
            RefusedError: The ledger has not the rows.
        """
        order = unpacked(self._read.order)
        if self.scored.unable:
            champion = no_predictions(self.usecase.kind, len(order))
        else:
            champion = self._scored_rows(ledger, CHAMPION, self.entries[-1].model, len(order)).predictions[order]
        candidate_rows = self._scored_rows(ledger, candidate.recipe, candidate.model, len(order))
        overrides = {side: unpacked(values) for side, values in self._read.predicted.get(candidate.recipe, {}).items()}
        return HoldoutDay(
            labels=candidate_rows.labels[order],
            blocks=candidate_rows.blocks[order],
            champion=overrides.get("champion", champion),
            candidate=overrides.get("candidate", candidate_rows.predictions[order]),
            slices={name: candidate_rows.slices[name][order] for name in self._read.slices},
        )

    def _scored_rows(self, ledger: ScoreLedger, contestant: str, model: str, units: int) -> ScoredRows:
        rows = ScoredRows.of(ledger, self._day, contestant, model)
        if rows is None or len(rows.labels) != units:
            raise RefusedError(
                f"the score ledger does not hold all that {contestant} ({model[:12]}) said on {self._day}; restore "
                "the store from a backup",
                "MISSING",
            )
        return rows

    def resampled(self, candidate: Candidate) -> Floats | None:
        """What the resampled refit said of the scored day's units; None where none was made."""
        saved = self._read.resampled_fits.get(candidate.recipe)
        return None if saved is None else unpacked(saved)

    def measured(self, stage: Stage, evidence: Evidence, candidate: Candidate) -> Evidence:
        """The evidence with all that gates of this stage read, as far as it was kept."""
        read = {getattr(gate, "reads", "") for gate in self.usecase.gates if gate.stage is stage}
        saved = self._read.measured.get(candidate.recipe, {})
        parts = {name: kind for name, kind in MEASUREMENTS.items() if name in read and saved.get(name) is not None}
        return replace(evidence, **{name: kind.from_dict(saved[name]) for name, kind in parts.items()})

    def causes(self, losses: Mapping[str, float], usual: float) -> Sequence[str] | None:
        """What was found then; None where nobody asked."""
        return self._read.causes

    def refit(self, winner: Candidate) -> Refit | str:
        """The winner's refit then, or why there was none."""
        saved = self._read.refit.get(winner.recipe, "none was kept")
        if isinstance(saved, str):
            return saved
        return Refit(Candidate.from_dict(saved["fresher"]), unpacked(saved["again"]))
