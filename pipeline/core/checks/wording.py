"""How the checks of data word their findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.core.verdict import Bound, Finding, Outcome

ENOUGH = 7
"""Accepted days that a question about the past needs: one of each weekday."""


@dataclass(frozen=True, slots=True)
class TableFindings:
    """Makes the findings of one table."""

    table: str

    def finding(
        self, question: str, good: bool, text: str, value: float | None = None, wanted: Bound | None = None
    ) -> Finding:
        """PASS or FAIL."""
        outcome = Outcome.PASS if good else Outcome.FAIL
        return Finding(f"{self.table}: {question}", outcome, text, value, wanted, about=self.table)

    def unknown(self, question: str, text: str, required: bool = True) -> Finding:
        """UNKNOWN; it refuses unless it is not required."""
        return Finding(f"{self.table}: {question}", Outcome.UNKNOWN, text, about=self.table, required=required)

    def too_early(self, question: str, have: int, need: int = ENOUGH, what: str = "accepted days") -> Finding:
        """UNKNOWN for want of a past; it stops nothing, and says how much is missing."""
        text = f"needs {need} {what} before it, has {have}: {need - have} missing"
        return self.unknown(question, text, required=False)


def first_five(items: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return ", ".join(items[:5]) + more
