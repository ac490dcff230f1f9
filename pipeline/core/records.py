"""What one step hands to the next, and what the ledgers keep: frozen values, to and from plain dicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self


def digest(value: Any) -> str:
    """SHA-256 in hex of a value's canonical JSON: the same value has the same digest on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """Base of the records: plain fields only, so that ``to_dict`` is what Airflow's XCom carries."""

    #: Field to its key in the dict, where that is not its name: what was written before a field was renamed is read on.
    KEYS: ClassVar[Mapping[str, str]] = {}

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values."""
        plain = json.loads(json.dumps(asdict(self)))
        return {self.KEYS.get(name, name): value for name, value in plain.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote.

        Raises:
            ValueError: A field is unknown or missing.
        """
        names = {cls.KEYS.get(field.name, field.name): field.name for field in fields(cls)}
        if set(data) != set(names):
            raise ValueError(f"{cls.__name__} wants the fields {sorted(names)}, got {sorted(data)}")
        return cls(**{names[key]: value for key, value in data.items()})


@dataclass(frozen=True, slots=True)
class Snapshot(Record):
    """Pinned table versions: everything a run reads.

    Attributes:
        usecase: The use case's name.
        day: The data day, ISO format.
        versions: Table name to store version.
        note: What ingest has to say, such as ``"flights replaced"``; for people.
    """

    usecase: str
    day: str
    versions: Mapping[str, int]
    note: str = ""

    @property
    def digest(self) -> str:
        """Names the data: digest of the table versions."""
        return digest(dict(self.versions))


@dataclass(frozen=True, slots=True)
class Validated(Record):
    """The data day was accepted; older days that were not are named, and nothing downstream sees them.

    Attributes:
        snapshot: What was validated, as :meth:`Snapshot.to_dict`.
        without: Days in reach that were refused, ISO format.
        report: Name of the file with all findings of the data day.
    """

    snapshot: Mapping[str, Any]
    without: tuple[str, ...]
    report: str


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """A recipe fitted as of a day.

    Attributes:
        model: Its identity: see :meth:`~pipeline.steps.models.run_training.RunTraining.identity`.
        recipe: The recipe's name.
        trained_first, trained_through: First and last data day it learnt from, ISO format.
        rows: Units it learnt from.
        file: Name of the skops file in the file store.
        sha256: Digest of that file; checked before it is ever loaded.
        seconds: What the fit took, in seconds by the clock on the wall (timings of predictions are processor time).
        made_with: Library to the version that it was fitted and written with, ``python`` among them; empty in notes
            from before this was kept.
        inputs: The inputs it was fitted on, in their order; empty as above.
        predicts: What it was made to predict: the kind's name, the target, the classes; empty as above.
    """

    model: str
    recipe: str
    trained_first: str
    trained_through: str
    rows: int
    file: str
    sha256: str
    seconds: float
    made_with: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    predicts: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote, and notes from before they said what a model was made with."""
        whole = {"made_with": {}, "inputs": (), "predicts": (), **data}
        listed = {name: tuple(whole[name]) for name in ("inputs", "predicts")}
        return super(Candidate, cls).from_dict({**whole, **listed})


@dataclass(frozen=True, slots=True)
class Trained(Record):
    """All candidates of a day, the fresh baseline among them.

    Attributes:
        validated: The data they learnt from, as :meth:`Validated.to_dict`.
        scored: The scored day, ISO format; every candidate was trained on days before it.
        candidates: :class:`Candidate` values as dicts.
        skipped: Recipe name to the reason why it was not fitted.
        broken: Recipes of those whose own code failed; the others only lack days.
    """

    validated: Mapping[str, Any]
    scored: str
    candidates: tuple[Mapping[str, Any], ...]
    skipped: Mapping[str, str]
    broken: tuple[str, ...] = ()

    @property
    def day(self) -> str:
        """The run's data day, ISO format; the scored day lies the label delay before it."""
        return str(self.validated["snapshot"]["day"])

    @property
    def models(self) -> tuple[Candidate, ...]:
        """The candidates as values."""
        return tuple(Candidate.from_dict(candidate) for candidate in self.candidates)


@dataclass(frozen=True, slots=True)
class Scored(Record):
    """The scored day is in the score ledger.

    Attributes:
        trained: What was scored, as :meth:`Trained.to_dict`.
        ledger: Version of the score ledger that holds the day.
        block_losses_version: Version of the table of block losses that holds the day.
        epoch: Epoch of the promotion ledger at that moment: whose scores stand beside the candidates'.
        unable: Why the champion can't answer, as a clause that names it; empty where it did, or was not asked.
        repairs: What was mended by itself on the way, as sentences.
    """

    KEYS: ClassVar[Mapping[str, str]] = {"block_losses_version": "sums"}

    trained: Mapping[str, Any]
    ledger: int
    block_losses_version: int
    epoch: int
    unable: str = ""
    repairs: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote, and records from before a champion could be found unable."""
        whole = {"unable": "", **data}
        return super(Scored, cls).from_dict({**whole, "repairs": tuple(whole.get("repairs", ()))})


@dataclass(frozen=True, slots=True)
class Judged(Record):
    """A verdict was reached; the whole of it lies in the file store.

    Attributes:
        usecase, day: Whose, and which data day.
        decision: ``promote``, ``start`` or ``hold``.
        reason: The verdict's sentence.
        verdict: Digest of the verdict; its file is ``verdicts/<usecase>/<day>/<digest>.json``.
        epoch: The champion's epoch it was judged against.
        candidate: The challenger's :class:`Candidate` as a dict, or None.
        allowed: Whether this run may promote at all (a manual run may be asked to judge only).
        repairs: As in :class:`Scored`.
    """

    usecase: str
    day: str
    decision: str
    reason: str
    verdict: str
    epoch: int
    candidate: Mapping[str, Any] | None
    allowed: bool = True
    repairs: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote, and records from before repairs were told."""
        return super(Judged, cls).from_dict({**data, "repairs": tuple(data.get("repairs", ()))})


@dataclass(frozen=True, slots=True)
class Registered(Record):
    """The day stands in the registry.

    Attributes:
        judged: As :meth:`Judged.to_dict`.
        run: The registry's run that a person opens.
        version: The winner's version, or None where nothing won.
        repairs: What was mended by itself since the data was read, as sentences.
    """

    judged: Mapping[str, Any]
    run: str
    version: int | None
    repairs: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote, and records from before repairs were told."""
        return super(Registered, cls).from_dict({**data, "repairs": tuple(data.get("repairs", ()))})


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """One line of the promotion ledger: who became champion, in place of whom, why and by whom. Never changed.

    Attributes:
        usecase: Whose champion.
        epoch: 1, 2, 3 …; the next one is taken by exactly one writer.
        action: ``start``, ``promote``, ``rollback`` or ``lift`` (a hold ended by a person; the champion stays).
        version, model, recipe, trained_through, sha256: The champion from this epoch on.
        replaced: The version it replaced; None at the start.
        day: The data day of the decision, ISO format; never earlier than the line before.
        verdict: Digest of the verdict; empty for a rollback.
        why: One sentence.
        by: Who: a user name, or ``"the gates"``.
        at: When, ISO format, UTC.
        held: For a rollback: recipe that may not be promoted.
        held_until: The last data day of that hold, ISO format.
    """

    usecase: str
    epoch: int
    action: str
    version: int
    model: str
    recipe: str
    trained_through: str
    sha256: str
    replaced: int | None
    day: str
    verdict: str
    why: str
    by: str
    at: str
    held: str = ""
    held_until: str = ""


@dataclass(frozen=True, slots=True)
class DayOutcome(Record):
    """How a data day ended: the line of the day-by-day table. A day that is run again gets a new line.

    Attributes:
        usecase, day: Whose, and which data day.
        outcome: ``promoted``, ``started``, ``held``, ``waiting`` (for a person), ``declined``,
            ``refused`` (its data) or ``failed`` (anything else).
        champion: The champion's version after the day, or None.
        recipe: The champion's recipe, or empty.
        losses: Contestant name to mean loss on the scored day.
        reason: One sentence.
        run: The registry's run, or empty.
        verdict: Digest of the verdict that the day ended with; empty where it has none, or in older lines.
        report: Of a refused day: name of its validation report in the file store; empty where it has none.
        headline: The outcome in one short line, made from the verdict or the findings; empty in older lines.
        alarms: What is wrong with the champion itself, as sentences: they make the run red, whatever the outcome.
        repairs: What was mended by itself on that day, as sentences.
    """

    usecase: str
    day: str
    outcome: str
    champion: int | None
    recipe: str
    losses: Mapping[str, float | None]
    reason: str
    run: str = ""
    verdict: str = ""
    report: str = ""
    headline: str = ""
    alarms: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote, and lines of earlier versions, which had fewer fields."""
        whole = {"verdict": "", "report": "", "headline": "", "alarms": (), "repairs": (), **data}
        listed = {name: tuple(whole[name]) for name in ("alarms", "repairs")}
        return super(DayOutcome, cls).from_dict({**whole, **listed})
