"""Waivers: a gate's answer that somebody answers for until a day, so that it is told and stops nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from pipeline.core.verdict import Finding, Outcome

#: What nobody can waive: that a prediction is one, and that what ships is shown to be better.
NEVER = ("sound", "better")
#: What decides where ``better`` is not asked.
_ELSE = "not worse"


@dataclass(frozen=True, slots=True)
class Waiver:
    """A gate that may say FAIL or UNKNOWN without stopping a candidate, for a while. Declared in the use case.

    Attributes:
        gate: The gate's name, such as ``"latency"``.
        by: Who answers for it.
        why: One sentence.
        until: The last data day on which it counts.
        recipe: Whose candidates; empty: everybody's.
    """

    gate: str
    by: str
    why: str
    until: date
    recipe: str = ""

    def __post_init__(self) -> None:
        for what, given in (("gate", self.gate), ("by", self.by), ("why", self.why)):
            if not isinstance(given, str) or not given.strip():
                raise ValueError(
                    f"a waiver of '{self.gate}' must say '{what}': a gate, who answers for it, and a reason"
                )
        if not isinstance(self.until, date) or isinstance(self.until, datetime):
            raise ValueError(f"the waiver of '{self.gate}' must expire: until is a date, got {self.until!r}")

    def __str__(self) -> str:
        return f"waived until {self.until} by {self.by}: {self.why}"


def waiver_errors(waivers: Sequence[Waiver], gates: Sequence[str], recipes: Sequence[str]) -> Iterator[str]:
    """Why a use case can't declare these waivers, as clauses.

    Args:
        waivers: As declared.
        gates: Names of the declared gates.
        recipes: Names of the declared recipes.
    """
    for waiver in waivers:
        if waiver.gate in NEVER or (waiver.gate == _ELSE and NEVER[1] not in gates):
            yield f"waives '{waiver.gate}', which nobody can waive: it is what makes a model worth shipping"
        elif waiver.gate not in gates:
            yield f"waives '{waiver.gate}', which it does not ask; it asks {', '.join(gates)}"
        if waiver.recipe and waiver.recipe not in recipes:
            yield f"waives '{waiver.gate}' for the recipe '{waiver.recipe}', which it does not have"


def apply_waivers(
    findings: Sequence[Finding], waivers: Sequence[Waiver], day: date, recipe: str
) -> tuple[Finding, ...]:
    """The findings about a recipe on a data day, those that a waiver covers marked so: they stop nothing.

    One that has expired stops again, and says so.
    """
    return tuple(_waived(finding, waivers, day, recipe) for finding in findings)


def _waived(finding: Finding, waivers: Sequence[Waiver], day: date, recipe: str) -> Finding:
    if not finding.required or finding.outcome is Outcome.PASS:
        return finding
    about = [one for one in waivers if one.gate == finding.gate and one.recipe in ("", recipe)]
    if not about:
        return finding
    last = max(about, key=lambda one: one.until)
    if day <= last.until:
        return replace(finding, required=False, waived=str(last))
    expired = f"its waiver by {last.by} expired on {last.until}"
    return replace(finding, change="; ".join(part for part in (finding.change, expired) if part))
