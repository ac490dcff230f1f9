"""What is measured for the gates beside scores: frozen values that come back from plain JSON to the same bits.

A verdict can be reached anew, to the same bytes, only from what was measured then: a clock does not say twice the same.
Not-a-number is written as null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self

import numpy as np

from pipeline.core.golden import Case
from pipeline.core.kinds import Floats


def _plain(value: Any) -> Any:
    """The value as JSON holds it."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _pairs(what: str, values: Any) -> Floats:
    rows = [[_number(one) for one in row] for row in values] if isinstance(values, list) else values
    array = np.asarray(rows, dtype=np.float64)
    array = array.reshape(0, 2) if array.size == 0 and array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"timing '{what}' needs two columns, champion and candidate, got shape {array.shape}")
    return array


@dataclass(frozen=True, eq=False)
class Timing:
    """How long predictions take, in seconds of processor time.

    The champion (first column) and the candidate are timed in turn, A B B A.

    Attributes:
        single: Shape (n, 2): one request at a time, from plain values to the prediction.
        batch: Shape (m, 2): ``rows`` rows at a time.
        rows: Rows in a batch.
    """

    single: Floats
    batch: Floats
    rows: int

    def __post_init__(self) -> None:
        for name in ("single", "batch"):
            object.__setattr__(self, name, _pairs(name, getattr(self, name)))
        if self.rows < 1:
            raise ValueError(f"a timed batch has at least one row, got {self.rows}")

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return _fields(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        return cls(**data)


@dataclass(frozen=True, eq=False)
class Footprint:
    """What it takes to make, keep and load a model; of each pair the champion's number comes first.

    Attributes:
        load: Shape (n, 2), seconds of processor time: the model's bytes made a model again, in turn, libraries being
            loaded already.
        size: Bytes of the model's file.
        memory: Peak resident bytes of a process of its own that loads the model and answers the scored day, the
            libraries included; NaN where it could not be measured.
        training: Seconds of the fit by the clock on the wall; NaN where nobody wrote them down.
    """

    load: Floats
    size: tuple[float, float]
    memory: tuple[float, float]
    training: tuple[float, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "load", _pairs("load", self.load))
        for name in ("size", "memory", "training"):
            champion, candidate = getattr(self, name)
            object.__setattr__(self, name, (_number(champion), _number(candidate)))

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return _fields(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Repeated:
    """The scored day asked again, of the candidate.

    Attributes:
        rows: Rows asked.
        again: Rows whose second answer is not the first, to the bit.
        anew: Rows whose answer by the model loaded anew from its file is not the first, to the bit.
    """

    rows: int
    again: int
    anew: int

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return _fields(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Answers:
    """What both models say of the golden cases.

    Attributes:
        day: The data day that waivers are held against.
        cases: The cases, without their inputs.
        candidate: Per case one prediction or two; NaN where there is none.
        champion: The same.
    """

    day: date
    cases: tuple[Case, ...]
    candidate: tuple[tuple[float, ...], ...]
    champion: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "cases", tuple(case.without_rows() for case in self.cases))
        wanted = [case.predictions for case in self.cases]
        for name in ("candidate", "champion"):
            answers = tuple(tuple(_number(one) for one in answer) for answer in getattr(self, name))
            if [len(answer) for answer in answers] != wanted:
                raise ValueError(f"each golden case needs its one answer or two of the {name}, got {answers}")
            put(self, name, answers)

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return {**_fields(self), "day": self.day.isoformat(), "cases": [case.to_dict() for case in self.cases]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        cases = tuple(Case.from_dict(case) for case in data["cases"])
        return cls(date.fromisoformat(data["day"]), cases, data["candidate"], data["champion"])


@dataclass(frozen=True, slots=True)
class Audited:
    """What was found out about how a use case comes to its inputs, on a sample of the scored day.

    Attributes:
        requests: Units whose features were computed as one request would: their own row, and what was known then.
        differs: A sentence for each input that came out otherwise than on the day's table.
        lived: Units whose features were computed without what became known later.
        leaks: A sentence for each feature that uses what was not known when its unit was predicted.
        silent: Why the requests could not be computed; empty where they were.
        alone: Input to the share of a constant's loss that it removes all by itself, learnt on earlier days.
        judged: Labelled units of the scored day that ``alone`` was judged on.
        learnt: Labelled units of the days before that it was learnt on.
        inputs: The declared inputs.
        outcomes: Columns that are declared to be known only after the fact.
        takes: The columns that the fitted estimator takes; None where it does not say.
    """

    requests: int
    differs: tuple[str, ...]
    lived: int
    leaks: tuple[str, ...]
    silent: str
    alone: Mapping[str, float]
    judged: int
    learnt: int
    inputs: tuple[str, ...]
    outcomes: tuple[str, ...]
    takes: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return _fields(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        words = {name: tuple(data[name]) for name in ("differs", "leaks", "inputs", "outcomes")}
        takes = None if data["takes"] is None else tuple(data["takes"])
        alone = {column: _number(share) for column, share in data["alone"].items()}
        return cls(**{**data, **words, "takes": takes, "alone": alone})


@dataclass(frozen=True, slots=True)
class Shared:
    """What the scored day and the days of training have in common.

    Attributes:
        units: Units of the scored day.
        keys: Of these, units that were predicted at the same moment under the same name on a training day.
        rows: Labelled units whose inputs and label, all of them, are those of some unit of training.
        labelled: Labelled units of the scored day.
        usual: For each training day, its units and how many of them are in that way those of another training day:
            what chance explains.
    """

    units: int
    keys: int
    rows: int
    labelled: int
    usual: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return _fields(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        return cls(**{**data, "usual": tuple((units, alike) for units, alike in data["usual"])})


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
