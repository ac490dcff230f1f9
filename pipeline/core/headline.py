"""How a day ended, in a line that anybody understands. The exact words stand in the reason and in ``explain``.

A headline is made of parts, the most important first; where there is little room, the last parts are left out. No part
is cut in the middle of a word.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.verdict import Finding, Outcome, Verdict
from pipeline.core.words import count

#: What a headline has room for, in characters.
LONGEST = 100
#: What stands between its parts.
BETWEEN = "; "


def judged(verdict: Verdict, outcome: str, reason: str) -> str:
    """The headline of a day that has a verdict.

    Args:
        verdict: What was decided.
        outcome: How the day ended: ``started``, ``promoted``, ``held``, ``waiting`` or ``declined``.
        reason: Its exact words.
    """
    recipe = verdict.challenger.recipe if verdict.challenger is not None else ""
    before = verdict.champion.recipe if verdict.champion is not None else ""
    findings = verdict.findings.get(recipe, ())
    if outcome == "started":
        return _joined([f"{recipe} starts as the first champion", "candidates must beat it"])
    if outcome == "promoted":
        new = f"a fresh {recipe}" if recipe == before else recipe
        return _joined([f"{new} is champion now", _difference(findings)])
    if outcome == "waiting":
        return _joined([f"{recipe} may become champion", "a person decides", _difference(findings)])
    if outcome == "declined" or not recipe:
        return shortened(reason)
    if joint_passed(findings):
        return _joined([f"{recipe} passed, and is not promoted", reason.partition(", but ")[2]])
    return _joined([*_held(recipe, findings)])


def refused(findings: Sequence[Finding], reason: str) -> str:
    """The headline of a day whose data was refused."""
    broken = [finding for finding in findings if finding.required and finding.outcome is not Outcome.PASS]
    if not broken:
        return shortened(reason)
    first = broken[0]
    more = count(len(broken) - 1, "other question") + " stopped it too" if len(broken) > 1 else ""
    return _joined([first.name, first.text, more])


def shortened(text: str, longest: int = LONGEST) -> str:
    """As much of a text as there is room for: whole parts if the first fits, else whole words."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    parts = text.split(BETWEEN)
    while len(parts) > 1 and len(BETWEEN.join(parts)) > longest:
        parts.pop()
    if len(BETWEEN.join(parts)) <= longest:
        return BETWEEN.join(parts)
    words = parts[0].split(" ")
    if len(words[0]) > longest:  # a word alone that has no room, as an address
        return "see the reason"
    while len(" ".join(words)) > longest:
        words.pop()
    # A line that ends in "and" or in an open bracket promises more.
    while len(words) > 1 and (words[-1].lower() in _JOINING or words[-1].endswith(("(", ",", ":", "—"))):
        words[-1] = words[-1].rstrip("(,:—") if words[-1].lower().rstrip("(,:—") not in _JOINING else ""
        if not words[-1] or words[-1].lower() in _JOINING:
            words.pop()
    return " ".join(words)


_JOINING = frozenset({"", "a", "and", "are", "at", "but", "by", "for", "in", "is", "of", "on", "or", "than", "that",
                      "the", "to", "was", "with"})  # fmt: skip


def joint_passed(findings: Sequence[Finding]) -> bool:
    """Whether all that can stop a candidate let it pass."""
    required = [finding for finding in findings if finding.required]
    return bool(required) and all(finding.outcome is Outcome.PASS for finding in required)


def _held(recipe: str, findings: Sequence[Finding]) -> list[str]:
    stopped = [finding for finding in findings if finding.required and finding.outcome is not Outcome.PASS]
    if not stopped:
        return [f"{recipe} came nearest", "nothing is known of it yet"]
    first = min(stopped, key=lambda finding: finding.outcome is not Outcome.FAIL)
    if first.name in ("better", "not worse"):
        so_far = _difference([first])
        about = first.change.replace(" with scores of both would tell it", " of evidence needed")
        known = f"{recipe} {so_far.replace('its loss is', 'loses').replace('lower', 'less').replace('higher', 'more')}"
        return [f"{known} so far" if so_far else f"{recipe} is too new to judge", about]
    if first.outcome is Outcome.UNKNOWN:
        return [f"{recipe} can't be judged yet", first.text]
    return [f"{recipe} fails '{first.name}'", first.change]


def _difference(findings: Sequence[Finding]) -> str:
    """By how much the candidate's loss differs from the champion's; empty where nothing tells."""
    for name in ("better", "not worse"):
        for finding in findings:
            if finding.name == name and finding.value is not None:
                percent = abs(finding.value) * 100
                if percent < 0.05:
                    return "its loss is the same"
                size = f"{percent:.1f}" if percent < 10 else f"{percent:.0f}"
                return f"its loss is {size} % {'lower' if finding.value < 0 else 'higher'}"
    return ""


def _joined(parts: Sequence[str]) -> str:
    return shortened(BETWEEN.join(part for part in parts if part))
