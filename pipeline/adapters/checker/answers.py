"""What Great Expectations answered, read as findings: no answer is taken for a good one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.adapters.checker.words import advice, name_of, new_words, sentence, subject_of
from pipeline.core.verdict import Bound, Finding, Outcome, Part

_BLANK = "it found no value to judge"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Great Expectations answers to one expectation.

    Attributes:
        part: Its result.
        expectation: What was asked, as plain values; to make them takes it long.
        outcome: PASS, FAIL, or UNKNOWN.
        why_not: Why it is unknown.
    """

    part: Any
    expectation: dict[str, Any]
    outcome: Outcome
    why_not: str

    @classmethod
    def of(cls, part: Any) -> Answer:
        """Read the result of one expectation."""
        expectation: dict[str, Any] = part.expectation_config.to_json_dict()
        return cls(part, expectation, *_outcome(part, expectation))

    @property
    def may_be_blank(self) -> bool:
        """Whether it found no value to judge, and says itself that this is no fault."""
        return self.why_not == _BLANK and bool((self.expectation.get("meta") or {}).get("may_be_empty"))

    @property
    def shown(self) -> str:
        """The outcome as the page shows it."""
        return "EMPTY" if self.may_be_blank else str(self.outcome)


def findings_of(table: str, answers: Sequence[Answer], path: Path, frame: Any) -> tuple[Finding, ...]:
    """One finding per broken expectation; one in all when none is."""
    file = str(Path(*path.parts[-3:]))
    broken: list[Finding] = []
    blank = 0
    for answer in answers:
        expectation, outcome = answer.expectation, answer.outcome
        if answer.may_be_blank:
            blank += 1
        elif outcome is not Outcome.PASS:
            counted = answer.part.result or {}
            words = new_words(expectation, frame)
            text = answer.why_not or sentence(expectation, counted, words)
            broken.append(
                Finding(
                    name=f"{table}: {name_of(expectation)}",
                    outcome=outcome,
                    text=text,
                    value=_number(counted.get("observed_value", counted.get("unexpected_count"))),
                    wanted=_bound(expectation["kwargs"]) if "observed_value" in counted else None,
                    counts={key: counted[key] for key in ("element_count", "unexpected_count") if key in counted},
                    about=table,
                    required=str(expectation.get("severity", "critical")) == "critical",
                    change=advice(expectation, table, file, words),
                    parts=(Part(text, subject_of(expectation)),),
                )
            )
    judged = len(answers) - blank
    if not judged:
        return (unknown(table, "not one expectation found a value to judge"),)
    if any(finding.required for finding in broken):
        return tuple(broken)
    return (summary(table, judged - len(broken), blank), *broken)


def _outcome(part: Any, expectation: Mapping[str, Any]) -> tuple[Outcome, str]:
    """The outcome of one expectation, and in a few words why it is unknown."""
    info = part.exception_info or {}
    # One exception, or one for each of several metrics by name.
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [entry for entry in entries if entry.get("raised_exception")]
    if raised:
        text = f"{name_of(expectation)} could not be asked: {short(raised[0].get('exception_message'))}"
        return Outcome.UNKNOWN, text
    counted = part.result or {}
    rows, absent = counted.get("element_count"), counted.get("missing_count")
    if rows is not None and absent == rows and "null" not in expectation["type"]:
        return Outcome.UNKNOWN, _BLANK
    return (Outcome.PASS if part.success is True else Outcome.FAIL), ""


def summary(table: str, held: int, blank: int) -> Finding:
    """That all hold which were asked."""
    text = f"{held} expectations hold" + (f", {blank} had no value to judge and may have none" if blank else "")
    return Finding(f"{table}: expectations", Outcome.PASS, text, counts={"expectations": held}, about=table)


def unknown(table: str, text: str) -> Finding:
    """That nothing is known, and why."""
    return Finding(f"{table}: expectations", Outcome.UNKNOWN, text, about=table)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bound(kwargs: Mapping[str, Any]) -> Bound | None:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is None and high is None:
        return None
    infinity = float("inf")
    return Bound(-infinity if low is None else float(low), infinity if high is None else float(high))


def short(error: object, most: int = 200) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[:most]} …"
