"""Outcomes, bounds, findings and verdicts: the vocabulary of every check and every gate."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

#: How a reason begins that names a champion which can't answer any more; no other reason begins so.
UNABLE = "champion version "


class Outcome(StrEnum):
    """The three answers. UNKNOWN (too few rows, a NaN, an absent slice, an empty suite) ships nothing."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """The joint answer: FAIL if any failed, else UNKNOWN if any is unknown or there is none, else PASS."""
        seen = set(outcomes)
        if cls.FAIL in seen:
            return cls.FAIL
        return cls.PASS if seen == {cls.PASS} else cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class Bound:
    """A closed range. NaN is in no range, so a missing number never passes."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"a bound needs low <= high, got {self.low} and {self.high}")

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        low, high = self.low + 0.0, self.high + 0.0  # so that nothing reads as minus 0
        if low == -math.inf:
            return f"at most {high:g}"
        if high == math.inf:
            return f"at least {low:g}"
        return f"{low:g} to {high:g}"


def _plain(value: float | None) -> float | None:
    """A number that JSON can hold: not-a-number and the infinities become ``None``."""
    return float(value) if value is not None and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a finding about data speaks of. An excuse covers it by its column and value.

    Attributes:
        text: What was found of it, as a clause.
        column: The column, or ``"one and other"`` for two that belong together; empty where it is about whole rows.
        value: A value of that column, or a slice of it such as ``"town=hull"``; empty for all of it.
        size: How far out it is, in the finding's own measure; None where the finding counts its parts.
    """

    text: str
    column: str = ""
    value: str = ""
    size: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question, with its evidence. ``str(finding)`` is the line people read everywhere.

    Attributes:
        name: The question, in a few words: ``"not worse"``, ``"planes: age"``.
        outcome: PASS, FAIL or UNKNOWN.
        text: What was found and what was wanted, as a sentence a person understands without the code.
        value: The number that was judged, or None where there is none.
        wanted: The range that ``value`` was held against.
        low: Lower end of the value's interval, where it has one.
        high: Upper end of the value's interval.
        counts: How much evidence there was, such as ``{"days": 14, "units": 12914, "blocks": 1668}``.
        about: What it speaks of: a table, a slice, a recipe; empty for the whole.
        required: Whether this finding can stop anything. A finding that is not required informs only.
        gate: The name of the gate that found it; empty for a check of data.
        change: What would change the answer, or for a check of data what to ask or do, as a clause; empty where it
            passes.
        parts: What a finding about data speaks of, one by one, the worst first; empty where there is nothing to tell
            apart.
        waived: Who waives it, until when and why; empty where nobody does. What is waived is not required.
    """

    name: str
    outcome: Outcome
    text: str
    value: float | None = None
    wanted: Bound | None = None
    low: float | None = None
    high: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    about: str = ""
    required: bool = True
    gate: str = ""
    change: str = ""
    waived: str = ""
    parts: Sequence[Part] = ()

    def __str__(self) -> str:
        # Where nothing was judged, the text itself says what is lacking.
        change = self.change if self.value is not None else ""
        return f"{self.name}: {self.outcome}  {'; '.join(part for part in (self.text, change, self.waived) if part)}"

    @property
    def sentence(self) -> str:
        """What was found and wanted, what would change it, and who waives it."""
        return "; ".join(part for part in (self.text, self.change, self.waived) if part)

    @property
    def listed(self) -> bool:
        """Whether it belongs among the answers: it can stop something, or could if nobody waived it."""
        return self.required or bool(self.waived)

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        wanted = None if self.wanted is None else [_plain(self.wanted.low), _plain(self.wanted.high)]
        found = {
            "name": self.name,
            "outcome": str(self.outcome),
            "text": self.text,
            "value": _plain(self.value),
            "wanted": wanted,
            "low": _plain(self.low),
            "high": _plain(self.high),
            "counts": dict(self.counts),
            "about": self.about,
            "required": self.required,
            "gate": self.gate,
            "change": self.change,
            "waived": self.waived,
        }
        # Only findings about data have parts: what was kept of all others stays the same to the byte.
        return {**found, "parts": [asdict(part) for part in self.parts]} if self.parts else found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Read back what :meth:`to_dict` wrote."""
        wanted = data["wanted"]
        bound = None
        if wanted is not None:
            low, high = wanted
            bound = Bound(-math.inf if low is None else low, math.inf if high is None else high)
        parts = tuple(Part(**part) for part in data.get("parts", ()))
        return cls(**{**data, "outcome": Outcome(data["outcome"]), "wanted": bound, "parts": parts})


def joint(findings: Iterable[Finding]) -> Outcome:
    """The joint outcome of the findings that can stop something; with none of those, UNKNOWN."""
    return Outcome.of(finding.outcome for finding in findings if finding.required)


def stopping(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that stop something, those that FAIL before those that are UNKNOWN."""
    stops = [finding for finding in findings if finding.required and finding.outcome is not Outcome.PASS]
    return sorted(stops, key=lambda finding: finding.outcome is not Outcome.FAIL)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side of a comparison.

    Attributes:
        model: The model's identity: the digest of what it was made from.
        recipe: The recipe it was fitted by.
        version: Its number in the registry; None while it has none.
        trained_through: The last data day it was trained on, ISO format.
    """

    model: str
    recipe: str
    trained_through: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one data day, with everything it was decided on.

    Attributes:
        usecase: The use case's name.
        day: The data day, ISO format.
        decision: ``"promote"`` (a candidate won), ``"start"`` (the baseline becomes the first champion) or ``"hold"``.
        outcome: PASS where a model may ship, FAIL or UNKNOWN where none may.
        reason: One sentence: why this decision.
        champion: Who was champion when the day was judged; None before the first champion.
        epoch: The champion's epoch in the promotion ledger when the day was judged (0: no champion yet).
        challenger: The candidate that the decision is about; None where there was none.
        findings: Recipe name to what the gates found about its candidate; empty before the first champion.
        losses: Contestant to its mean loss on the scored day: ``"champion"``, and each recipe's name, the baseline's
            among them, for its fresh fit.
        loss_name: What the loss is called, such as ``"log_loss"``.
        counts: Of the scored day: units, labelled, unlabelled by reason.
        snapshot: Table name to the pinned version that everything was computed from.
        evidence: Version of the score ledger that the gates read.
        block_losses_version: Version of the table of block losses, a year back, that the gates read.
        validation: Name of the data's validation report in the file store.
        intervals: Contestant name to the two ends of its mean loss's 95 % interval on the scored day.
        fits: Recipe name to how it was fitted (model, window, first and last day, rows, seconds), or why it was not.
        code: Digest of the product's source that judged; empty in verdicts from before it was told.
        measured: Digest of the file beside the verdict with what was measured that day; empty in older verdicts.
        asked: Gate to what it asks, in plain words.
        alarms: What is wrong with the champion itself, whoever won; usually none.
    """

    #: Field to its key in the dict, where that is not its name: the key is older, and what was written is read on.
    KEYS: ClassVar[Mapping[str, str]] = {"block_losses_version": "sums"}

    usecase: str
    day: str
    decision: str
    outcome: Outcome
    reason: str
    champion: Contestant | None
    epoch: int
    challenger: Contestant | None
    findings: Mapping[str, tuple[Finding, ...]]
    losses: Mapping[str, float]
    loss_name: str
    counts: Mapping[str, int]
    snapshot: Mapping[str, int]
    evidence: int
    block_losses_version: int = -1
    validation: str = ""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    code: str = ""
    measured: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)
    alarms: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return {
            "usecase": self.usecase,
            "day": self.day,
            "decision": self.decision,
            "outcome": str(self.outcome),
            "reason": self.reason,
            "champion": None if self.champion is None else asdict(self.champion),
            "epoch": self.epoch,
            "challenger": None if self.challenger is None else asdict(self.challenger),
            "findings": {recipe: [f.to_dict() for f in found] for recipe, found in self.findings.items()},
            "losses": {name: _plain(loss) for name, loss in self.losses.items()},
            "loss_name": self.loss_name,
            "counts": dict(self.counts),
            "snapshot": dict(self.snapshot),
            "evidence": self.evidence,
            self.KEYS["block_losses_version"]: self.block_losses_version,
            "validation": self.validation,
            "intervals": {name: [_plain(low), _plain(high)] for name, (low, high) in self.intervals.items()},
            "fits": {recipe: dict(fit) for recipe, fit in self.fits.items()},
            "code": self.code,
            "measured": self.measured,
            "asked": dict(self.asked),
            # Left out where there is none, as from verdicts of before there were any: those keep their digests.
            **({"alarms": [finding.to_dict() for finding in self.alarms]} if self.alarms else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Read back what :meth:`to_dict` wrote."""
        sides = {side: data[side] and Contestant(**data[side]) for side in ("champion", "challenger")}
        findings = {recipe: tuple(map(Finding.from_dict, found)) for recipe, found in data["findings"].items()}
        intervals = {name: (low, high) for name, (low, high) in data["intervals"].items()}
        losses = {name: math.nan if loss is None else loss for name, loss in data["losses"].items()}
        names = {key: name for name, key in cls.KEYS.items()}
        plain = {names.get(key, key): value for key, value in data.items()}
        return cls(
            **{
                **plain,
                **sides,
                "outcome": Outcome(data["outcome"]),
                "findings": findings,
                "losses": losses,
                "intervals": intervals,
                "alarms": tuple(map(Finding.from_dict, data.get("alarms", ()))),
            },
        )

    def to_json(self) -> str:
        """Canonical JSON: the same verdict is the same text."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_json`, in hex: names this verdict in the promotion ledger."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()
