"""Gates that compare with nobody: does the candidate hold what people have written down, and answer twice the same?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.golden import Case
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import count, first_few, shorten

#: How many broken cases the sentence spells out; each has a finding of its own besides.
_SPELT = 2
_LONG = 190


@dataclass(frozen=True, slots=True)
class Golden:
    """Does every golden case of the use case hold?

    FAIL: one is broken and nobody waives it; its owner and its reason are named, and whether the champion breaks it as
    well: a gate does not let a known fault through because it is champion already, a waiver does. A prediction that is
    no number is UNKNOWN, waived or not, and so is a use case that has no cases.
    """

    name: ClassVar[str] = "golden cases"
    stage: ClassVar[Stage] = Stage.AUDIT
    reads: ClassVar[str] = "answers"

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding that can stop, its value the number of broken cases; then one per case that does not hold."""
        answers = evidence.answers
        if answers is None or not answers.cases:
            why = "they were not asked" if answers is None else "there are none: write some, or don't declare this gate"
            return (Finding(self.name, Outcome.UNKNOWN, why),)
        each: list[Finding] = []
        broken: list[str] = []
        waived: list[str] = []
        silent: list[str] = []
        for case, candidate_answer, champion_answer in zip(
            answers.cases, answers.candidate, answers.champion, strict=True
        ):
            number = case.judged_value(candidate_answer)
            if not math.isfinite(number):
                silent.append(f"'{case.name}'")
                each.append(_about(case, Outcome.UNKNOWN, f"{_who(case)}: the candidate has no prediction"))
            elif number not in case.bound:
                text = _broken(case, number, case.judged_value(champion_answer), answers.day)
                pardoned = case.waived(answers.day)
                (waived if pardoned else broken).append(shorten(f"'{case.name}' ({text})", _LONG))
                each.append(_about(case, Outcome.PASS if pardoned else Outcome.FAIL, text, number))
        outcome = Outcome.FAIL if broken else Outcome.UNKNOWN if silent else Outcome.PASS
        text = self._text(len(answers.cases), broken, waived, silent)
        counts = {"cases": len(answers.cases), "waived": len(waived)}
        return (Finding(self.name, outcome, text, float(len(broken)), Bound(0, 0), counts=counts), *each)

    def _text(self, cases: int, broken: Sequence[str], waived: Sequence[str], silent: Sequence[str]) -> str:
        if broken:
            text = f"{len(broken)} of {count(cases, 'case')} broken: {first_few(broken, _SPELT)}"
        elif silent:
            text = f"no prediction for {first_few(silent)} of {count(cases, 'case')}"
        elif not waived:
            return f"all of {count(cases, 'case')} hold" if cases > 1 else "the one case holds"
        else:
            text = f"{cases - len(waived)} of {count(cases, 'case')} hold"
        if waived:
            text += f"; waived: {len(waived)}" if broken else f"; waived: {first_few(waived, 1)}"
        return text


def _who(case: Case) -> str:
    return f"{case.owner}: {case.reason}"


def _broken(case: Case, number: float, champion: float, day: date) -> str:
    did = f"predicted {number:.4g}" if case.kind == "range" else f"moved by {number:+.4g}"
    sentence = f"{did}, wanted {case.bound}; {_who(case)}"
    if math.isfinite(champion) and champion not in case.bound:
        sentence = f"{did}, wanted {case.bound}, the champion breaks it as well; {_who(case)}"
    waiver = case.waiver
    if waiver is None:
        return sentence
    if case.waived(day):
        return f"waived until {waiver.until} by {waiver.by}, {waiver.why}; {sentence}"
    return f"its waiver by {waiver.by} expired on {waiver.until}; {sentence}"


def _about(case: Case, outcome: Outcome, text: str, number: float | None = None) -> Finding:
    return Finding("golden case", outcome, shorten(text, 500), number, case.bound, about=case.name, required=False)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """Are the candidate's answers the same to the bit when it is asked again, and when it is loaded anew?

    Who answers otherwise the second time can't be judged: what was scored is not what will serve.
    """

    name: ClassVar[str] = "repeatable"
    stage: ClassVar[Stage] = Stage.REFIT
    reads: ClassVar[str] = "repeated"

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is the number of answers that were not repeated."""
        repeated = evidence.repeated
        if repeated is None or not repeated.rows:
            return (Finding(self.name, Outcome.UNKNOWN, "nothing was asked twice"),)
        rows, bad = count(repeated.rows, "answer"), repeated.again + repeated.anew
        if bad:
            text = (
                f"of {rows}, {repeated.again:,} are others when it is asked again and {repeated.anew:,} when it is "
                "loaded anew from its file; give the recipe's estimator a seed and a fixed order"
            )
        else:
            text = f"{rows} are the same to the bit when it is asked again and when it is loaded anew from its file"
        outcome = Outcome.FAIL if bad else Outcome.PASS
        return (Finding(self.name, outcome, text, float(bad), Bound(0, 0), counts={"units": repeated.rows}),)
