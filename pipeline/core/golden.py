"""Golden cases: what must hold of any model of a use case, reviewed by people and kept beside its declaration.

Averages hide what a person would call absurd: a case says of one input, or of two, what the prediction must be. Every
case has an owner and a reason, so that whoever breaks one knows whom to ask; a waiver lets a known break pass until a
day that it names, and not a day longer.

A file is a JSON list. Each case has ``name``, ``owner``, ``reason``, ``kind`` and its inputs, either whole
(``"inputs": {"size": 1.5}``; what is missing or null is unknown to the model) or as another case of the file with
changes (``"like": "small visitor", "with": {"size": 90}``). The kinds, and what each needs besides:

- ``range``: the prediction is at least ``low`` and at most ``high`` (one of the two may be left out);
- ``ordering``: the prediction is at most that of ``than``, by ``gap`` or more (0);
- ``invariance``: the inputs with the ``change`` are predicted the same, give or take ``tolerance`` (0);
- ``direction``: the ``change`` ``moves`` the prediction ``"up"`` or ``"down"``, by ``at_least`` (0) and ``at_most``.

``than`` is written as inputs are: ``{"inputs": {…}}`` or ``{"like": …, "with": {…}}``. Where a prediction is several
numbers, ``class`` names the one that is meant. A waiver is ``{"until": "2013-04-01", "by": "…", "why": "…"}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal, NoReturn, cast

from pipeline.core.verdict import Bound

Value = str | float | None
Row = Mapping[str, Value]
Kind = Literal["range", "ordering", "invariance", "direction"]

#: What each kind needs, and what it may have, besides what every case has.
_NEEDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "range": (frozenset(), frozenset({"low", "high"})),
    "ordering": (frozenset({"than"}), frozenset({"gap"})),
    "invariance": (frozenset({"change"}), frozenset({"tolerance"})),
    "direction": (frozenset({"change", "moves"}), frozenset({"at_least", "at_most"})),
}
_EVERY = frozenset({"name", "owner", "reason", "kind", "inputs", "like", "with", "class", "waiver"})
_WAIVER = frozenset({"until", "by", "why"})


@dataclass(frozen=True, slots=True)
class CaseWaiver:
    """A break that somebody answers for.

    Attributes:
        until: The last data day on which it counts.
        by: Who.
        why: One sentence.
    """

    until: date
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Case:
    """One golden case: a number made of one prediction or two, and the range it must lie in.

    Attributes:
        name: Unique within the use case.
        owner: Who is to be asked about it.
        reason: Why it must hold, one sentence.
        kind: ``range`` (the number is the prediction), or ``ordering``, ``invariance``, ``direction`` (it is the second
            prediction less the first).
        bound: Where the number must lie.
        rows: The inputs, one row or two: column to value, None for what is unknown. Empty in what is kept beside a
            verdict: there the answers stand, and the inputs in the use case's file.
        label: The class whose probability is meant, where a prediction is several numbers; else empty.
        waiver: Who lets a break pass, and until when; or None.
    """

    name: str
    owner: str
    reason: str
    kind: Kind
    bound: Bound
    rows: tuple[Row, ...] = field(default=(), hash=False)
    label: str = ""
    waiver: CaseWaiver | None = None

    def __post_init__(self) -> None:
        for what in ("name", "owner", "reason"):
            if not getattr(self, what).strip():
                _refuse(self.name, f"has no {what}; say one")
        if self.kind not in _NEEDS:
            _refuse(self.name, f"is of the unknown kind '{self.kind}'; the kinds are {', '.join(_NEEDS)}")
        if math.isinf(self.bound.low) and math.isinf(self.bound.high):
            _refuse(self.name, "asks for nothing: any prediction lies in its range")
        if self.rows and len(self.rows) != self.predictions:
            _refuse(self.name, f"needs {self.predictions} rows of inputs, got {len(self.rows)}")

    @property
    def predictions(self) -> int:
        """How many predictions the case asks for."""
        return 1 if self.kind == "range" else 2

    def judged_value(self, answers: Sequence[float]) -> float:
        """What is held against the bound; NaN where an answer is."""
        return answers[0] if self.kind == "range" else answers[1] - answers[0]

    def waived(self, day: date) -> bool:
        """Whether a break on that data day passes."""
        return self.waiver is not None and day <= self.waiver.until

    def has_columns(self, inputs: Sequence[str]) -> bool:
        """Whether its rows have exactly these columns."""
        return bool(self.rows) and all(set(row) == set(inputs) for row in self.rows)

    def without_rows(self) -> Case:
        """The case as it is kept beside a verdict."""
        return replace(self, rows=())

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`. The inputs stay in the use case's file."""
        waiver = self.waiver
        return {
            "name": self.name,
            "owner": self.owner,
            "reason": self.reason,
            "kind": self.kind,
            "bound": [None if math.isinf(end) else end for end in (self.bound.low, self.bound.high)],
            "label": self.label,
            "waiver": waiver and {"until": waiver.until.isoformat(), "by": waiver.by, "why": waiver.why},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Case:
        """Read back what :meth:`to_dict` wrote."""
        low, high = data["bound"]
        bound = Bound(-math.inf if low is None else low, math.inf if high is None else high)
        waiver = data["waiver"] and CaseWaiver(
            **{**data["waiver"], "until": date.fromisoformat(data["waiver"]["until"])}
        )
        return cls(**{**data, "bound": bound, "waiver": waiver})


def cases(text: str, inputs: Sequence[str]) -> tuple[Case, ...]:
    """The cases of a golden file.

    Args:
        text: JSON, as described above.
        inputs: The use case's inputs: the columns that a case may name.

    Raises:
        ValueError: The file is no list of cases, or a case is nonsense; the sentence names the case.
    """
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets beyond depth
        raise ValueError(f"the golden cases are no JSON: {error}") from error
    if not isinstance(listed, list) or not all(isinstance(case, dict) for case in listed):
        raise ValueError("the golden cases must be a JSON list of objects, one for each case")
    byname: dict[str, Mapping[str, Any]] = {}
    for number, case in enumerate(listed, start=1):
        name = case.get("name")
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"golden case number {number} has no name; say one")
        if name in byname:
            _refuse(name, "is there twice; names are unique")
        byname[name] = case
    return tuple(_case(name, case, byname, frozenset(inputs)) for name, case in byname.items())


def _refuse(name: str, why: str) -> NoReturn:
    raise ValueError(f"golden case '{name}' {why}")


def _case(name: str, case: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], inputs: frozenset[str]) -> Case:
    for what in ("owner", "reason"):
        if not isinstance(case.get(what), str) or not case[what].strip():
            _refuse(name, f"has no {what}; say one")
    kind: Any = case.get("kind")
    if not isinstance(kind, str) or kind not in _NEEDS:
        _refuse(name, f"is of the unknown kind '{kind}'; the kinds are {', '.join(_NEEDS)}")
    needed, possible = _NEEDS[kind]
    if missing := sorted(needed - set(case)):
        _refuse(name, f"is of kind '{kind}' and says no {', '.join(missing)}")
    if strange := sorted(set(case) - _EVERY - needed - possible):
        _refuse(name, f"is of kind '{kind}' and can't have {', '.join(strange)}")
    row = _row(name, case, others, inputs, ())
    rows: tuple[Row, ...] = (row,)
    if kind == "ordering":
        than = case["than"]
        if not isinstance(than, dict) or (strange := sorted(set(than) - {"inputs", "like", "with"})):
            _refuse(name, "needs as 'than' an object with 'inputs', or with 'like' and 'with'")
        rows = (row, _row(name, than, others, inputs, ()))
    elif kind != "range":
        change = _columns(name, case["change"], inputs)
        if all(row[column] == value for column, value in change.items()):
            _refuse(name, "has a change that changes nothing")
        rows = (row, {**row, **change})
    label = case.get("class", "")
    if not isinstance(label, str):
        _refuse(name, f"must name its class by a word, got {label}")
    bound = _bound(name, kind, case)
    return Case(
        name, case["owner"], case["reason"], cast("Kind", kind), bound, rows, label, _waiver(name, case.get("waiver"))
    )


def _row(
    name: str,
    given: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    inputs: frozenset[str],
    through: tuple[str, ...],
) -> Row:
    """All inputs of a row; those that are not given are None."""
    if ("inputs" in given) == ("like" in given):
        _refuse(name, "needs either 'inputs' or 'like', another case's name")
    if "inputs" in given:
        if "with" in given:
            _refuse(name, "has 'with', which changes the inputs of a case it is 'like', but gives its inputs whole")
        return {**dict.fromkeys(sorted(inputs)), **_columns(name, given["inputs"], inputs)}
    like = given["like"]
    if not isinstance(like, str) or like not in others:
        _refuse(name, f"is like '{like}', and there is no such case in the file")
    if like in through:
        _refuse(name, f"is like itself, by way of {', '.join(through)}")
    base = _row(name, others[like], others, inputs, (*through, like))
    return {**base, **_columns(name, given.get("with", {}), inputs)}


def _columns(name: str, given: Any, inputs: frozenset[str]) -> dict[str, Value]:
    if not isinstance(given, dict):
        _refuse(name, f"must give inputs as an object, column to value, got {given}")
    if unknown := sorted(set(given) - inputs):
        _refuse(name, f"names {', '.join(unknown)}, which is no input of the use case")
    values: dict[str, Value] = {}
    for column, value in given.items():
        if isinstance(value, bool) or not (value is None or isinstance(value, str | int | float)):
            _refuse(name, f"gives '{column}' as {value}; a value is a number, a word, or null")
        if isinstance(value, int | float):
            value = _float(value)  # noqa: PLW2901 - the same number
            if not math.isfinite(value):
                _refuse(name, f"gives '{column}' as {given[column]}; what is unknown is null")
        values[column] = value
    return values


def _number(name: str, case: Mapping[str, Any], what: str, default: float) -> float:
    value = case.get(what, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(number := _float(value)):
        _refuse(name, f"must say '{what}' as a number, got {value}")
    return number


def _float(value: float) -> float:
    """A number of JSON, which may have more digits than a float can hold: then it is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _bound(name: str, kind: str, case: Mapping[str, Any]) -> Bound:
    if kind == "range":
        low, high = _number(name, case, "low", -math.inf), _number(name, case, "high", math.inf)
        if not low <= high:
            _refuse(name, f"has its low end of {low:g} above its high end of {high:g}")
        return Bound(low, high)
    if kind == "ordering":
        gap = _number(name, case, "gap", 0.0)
        if gap < 0:
            _refuse(name, f"must have a gap of at least 0, got {gap:g}")
        return Bound(low=gap)
    if kind == "invariance":
        tolerance = _number(name, case, "tolerance", 0.0)
        if tolerance < 0:
            _refuse(name, f"must have a tolerance of at least 0, got {tolerance:g}")
        return Bound(-tolerance, tolerance)
    if case["moves"] not in ("up", "down"):
        _refuse(name, f"moves 'up' or 'down', got '{case['moves']}'")
    least, most = _number(name, case, "at_least", 0.0), _number(name, case, "at_most", math.inf)
    if not 0 <= least <= most:
        _refuse(name, f"must move by at_least 0 or more and at_most no less than that, got {least:g} and {most:g}")
    return Bound(least, most) if case["moves"] == "up" else Bound(-most, -least)


def _waiver(name: str, given: Any) -> CaseWaiver | None:
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) - _WAIVER or not all(isinstance(v, str) for v in given.values()):
        _refuse(name, "has a waiver that is no object of 'until', 'by' and 'why'")
    for what, why in (("until", "a waiver expires"), ("by", "somebody answers for it"), ("why", "it has a reason")):
        if not given.get(what, "").strip():
            _refuse(name, f"has a waiver that does not say '{what}': {why}")
    try:
        until = date.fromisoformat(given["until"])
    except ValueError:
        _refuse(name, f"has a waiver until '{given['until']}', which is no day as 2013-04-01 is")
    return CaseWaiver(until, given["by"], given["why"])
