"""How the checks of data word their findings: what was found, of which column and whose rows, and what to ask about it.

A finding's text says what is so; its ``change`` says what to ask upstream, or what to do. A finding about several
columns or values has a part for each, so that a person can excuse one of them and leave the others awake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.verdict import Bound, Finding, Outcome, Part

ENOUGH = 7
"""Accepted days that a question about the past needs: one of each weekday."""

#: So many parts of a finding are told in its text; all of them are kept beside it.
_TOLD = 3

#: Question to what to ask whoever delivers the table, which stands in front of it.
_ASK: Mapping[str, str] = {
    "dates": "whether the file is another day's, and for this day's own rows",
    "keys": "whether the file was joined or appended twice, and for each row once with its key",
    "varies": "what fills that column, and for its values of each row",
    "unit": "in which unit the column is written since then, and for the declared one",
    "rows": "whether all rows of the day are in the file, each once",
    "values gone": "whether those rows were left out or are called otherwise now",
    "scale": "in which unit or by what rounding the column is written since then",
    "frozen hours": "from which hour on the day's rows were repeated, and for the day's own",
    "stuck columns": "whether what measures that column still works",
    "sent before": "whether an earlier day's rows were sent again, and for this day's own",
    "volume": "whether rows are lacking or were sent twice, and of which part of the business",
    "blanks": "since when that column is left blank or filled in otherwise, and by what",
    "single values": "what writes that value in so many rows since then",
    "outcomes": "whether the outcomes of the day are complete, and of which rows they lack",
    "levels": "whether the column's unit, sign or meaning has changed since then",
    "slices": "what is recorded otherwise for those rows than for all others since then",
    "relations": "whether one of the two columns comes from another source, row or moment since then",
    "associations": "whether one of the two columns comes from another row or moment since then",
    "tails": "what the outermost values are: another unit, or a sign for 'no value'",
    "said before": "whether rows of that earlier day were sent again under other names",
    "sequences": "whether what measures that column is stuck, or sends means or another's readings since then",
    "own past": "whether those things are written in another unit, have changed names, or were left out since then",
    "slow shifts": "what has been moving in these columns since some days, such as a clock or a sensor that drifts",
    "old content": "which version of the table was delivered, and for the newest",
    "rewritten content": "what rewrote the table, and whether its rows still belong to their keys",
    "age": "why the table was not refreshed, and for a fresh one",
    "unchanged": "whether the table is still refreshed or only its date is",
    "duplicate keys": "why a key stands more than once or is blank, and for one row a key",
    "shrinkage": "whether the rows that are gone were lost, and for the whole table",
    "rewritten": "what rewrote the table, and whether its rows still belong to their keys",
    "matched": "whether keys are written otherwise on one side, or rows of the table are lacking",
    "matched drop": "whether keys are written otherwise on one side since then, or rows of the table are lacking",
    "lost keys": "whether these keys were dropped from the table or are written otherwise now",
    "new keys": "whether the table has stopped taking in what is new",
}
_ASK_ELSE = "what has changed in these columns since then"


@dataclass(frozen=True, slots=True)
class TableFindings:
    """Makes the findings of one table."""

    table: str

    def finding(
        self, question: str, good: bool, text: str, value: float | None = None, wanted: Bound | None = None
    ) -> Finding:
        """PASS or FAIL."""
        outcome = Outcome.PASS if good else Outcome.FAIL
        ask = "" if good else asked_of(self.table, question)
        return Finding(f"{self.table}: {question}", outcome, text, value, wanted, about=self.table, change=ask)

    def of_parts(
        self, question: str, parts: Sequence[Part], else_text: str, value: float = 0.0, wanted: Bound | None = None
    ) -> Finding:
        """FAIL with the parts, the worst first, or PASS with ``else_text`` and the value.

        A failed finding's value is the size of its worst part, or how many parts there are where they have none.
        """
        wanted = wanted or Bound(0, 0)
        if not parts:
            return self.finding(question, True, else_text, value, wanted)
        return with_parts(self.finding(question, False, "", value, wanted), parts)

    def unknown(self, question: str, text: str, required: bool = True) -> Finding:
        """UNKNOWN; it refuses unless it is not required."""
        ask = asked_of(self.table, question) if required else ""
        name = f"{self.table}: {question}"
        return Finding(name, Outcome.UNKNOWN, text, about=self.table, required=required, change=ask)

    def too_early(self, question: str, have: int, need: int = ENOUGH, what: str = "accepted days") -> Finding:
        """UNKNOWN for want of a past; it stops nothing, and says how much is missing."""
        text = f"needs {need} {what} before it, has {have}: {need - have} missing"
        return self.unknown(question, text, required=False)


def asked_of(table: str, question: str) -> str:
    """What to ask whoever delivers the table, as a clause."""
    return f"ask whoever delivers '{table}' {_ASK.get(question, _ASK_ELSE)}"


def with_parts(finding: Finding, parts: Sequence[Part]) -> Finding:
    """The finding about these parts alone."""
    told = "; ".join(part.text for part in parts[:_TOLD])
    more = f" and {len(parts) - _TOLD} more" if len(parts) > _TOLD else ""
    size = parts[0].size
    value = float(len(parts)) if size is None else size
    return replace(finding, text=told + more, value=value, parts=tuple(parts))


def counted(n: int, what: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def first_five(items: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return ", ".join(items[:5]) + more
