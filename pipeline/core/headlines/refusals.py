"""A day without a verdict: what was wrong with its data, or what failed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from pipeline.core.headlines.shortening import LONGEST_WHY, clip, first_clause, first_that_fits
from pipeline.core.verdict import Finding, Outcome, stopping
from pipeline.core.words import count, percent

#: How the landing begins a sentence about a file; the day stands beside it anyhow.
_FILE = re.compile(r"^(\w+) of \d{4}-\d\d-\d\d: the file '(?:[^']*/)?([^'/]+)' ")


def refusal_headline(reason: str, findings: Sequence[Finding] = ()) -> str:
    """Why the data was refused.

    Args:
        reason: The exact words.
        findings: What was found about the data, as far as it is known.
    """
    stops = stopping(findings)
    if not stops or _is_delivery(stops[0]):
        # Of several files that can't be used, the reason counts them and names the first one late.
        sentence = stops[0].text if len(stops) > 1 else reason
        short = _FILE.sub(r"\1: '\2' ", " ".join(sentence.split()))
        clause = first_clause(short)
        forms = [f"{clause}; {len(stops)} files can't be used"] if len(stops) > 1 else []
        return first_that_fits("refused: ", [*forms, clause, clip(short, 80), "its data is not sound"])
    sentence, name = _said_plainly(stops[0]), stops[0].name
    forms = [f"{sentence}; {checks_told(findings)}"] if len(stops) > 1 else []
    clause = first_clause(stops[0].text)
    return first_that_fits(
        "refused: ", [*forms, sentence, f"{name}: {clause}", clip(f"{name}: {clause}", 80), "its data is not sound"]
    )


def failure_headline(reason: str) -> str:
    """Why the day has no verdict, where its data is not to blame."""
    return first_that_fits("failed: ", [first_clause(reason), clip(reason, 80), "the run was given up"])


def refusal_why(findings: Sequence[Finding], champion: str = "") -> str:
    """One line below the headline: how many checks, who serves meanwhile, what to do."""
    who = champion or "the champion"
    parts = [checks_told(findings)] if stopping(findings) else []
    return clip("; ".join([*parts, f"{who} serves on", "deliver it corrected and run the day again"]), LONGEST_WHY)


def checks_told(findings: Sequence[Finding]) -> str:
    """``1 of 58 checks did not pass``: of the checks that can refuse the day."""
    required = sum(finding.required for finding in findings)
    return f"{len(stopping(findings)):,} of {count(required, 'check')} did not pass"


def _is_delivery(finding: Finding) -> bool:
    """Whether it is about a file that could not be taken in: ingest names the table, ``flights: delivery``."""
    return finding.name.removeprefix(f"{finding.about}: ") == "delivery"


def _said_plainly(finding: Finding) -> str:
    """What a check found, as a person would say it who does not know the check."""
    question = finding.name.removeprefix(f"{finding.about}: ") if finding.about else ""
    value, wanted, say = finding.value, finding.wanted, _SAYINGS.get(question)
    if question == "missing":
        return f"{finding.about} has nothing for this day"
    if (
        finding.outcome is not Outcome.FAIL
        or say is None
        or value is None
        or wanted is None
        or not math.isfinite(value)
    ):
        return f"{finding.name}: {first_clause(finding.text)}"
    return say(finding.about, value, wanted.high if value > wanted.high else wanted.low)


def _days(number: float) -> str:
    return count(round(number), "day")


#: The question of a check to what is said of its table, from the value and the limit that it is beyond.
_SAYINGS: Mapping[str, Callable[[str, float, float], str]] = {
    "age": lambda table, value, most: (
        f"{table} is {_days(value)} old, at most {most:g} allowed"
        if value >= 0
        else f"{table} says it was refreshed {_days(-value)} after this day"
    ),
    "unchanged": lambda table, value, most: f"{table} has not changed for {_days(value)}, at most {most:g} allowed",
    "dates": lambda table, value, _: f"{count(round(value), 'row')} of {table} are of another day",
    "keys": lambda table, value, _: f"{count(round(value), 'row')} of {table} repeat a key or have none",
    "duplicate keys": lambda table, value, _: f"{count(round(value), 'key')} of {table} are doubled or empty",
    "rows": lambda table, value, limit: (
        f"{table} has {percent(value)} of its usual rows, at {'least' if value < limit else 'most'} "
        f"{percent(limit)} allowed"
    ),
    "frozen hours": lambda table, value, most: (
        f"{percent(value)} of the rows of {table} repeat another of the day, at most {percent(most)} allowed"
    ),
    "sent before": lambda table, value, most: (
        f"{percent(value)} of the rows of {table} were sent before, at most {percent(most)} allowed"
    ),
    "shrinkage": lambda table, value, most: (
        f"{percent(value)} of the keys of {table} have vanished, at most {percent(most)} allowed"
    ),
    "rewritten": lambda table, value, most: (
        f"{percent(value)} of the rows of {table} say something else, at most {percent(most)} allowed"
    ),
    "matched": lambda table, value, limit: (
        f"{percent(value)} of the units find their row in {table}, at {'least' if value < limit else 'most'} "
        f"{percent(limit)} wanted"
    ),
    "matched drop": lambda table, value, _: (
        f"{100 * value:.2g} points fewer units than usual find their row in {table}"
    ),
    "lost keys": lambda table, value, _: f"{percent(value)} of the keys that matched in {table} before match no longer",
    "new keys": lambda table, _, __: f"keys that are new since two weeks hardly match in {table}",
}
