"""Texts of bounded length that are never cut within a word and never end in "and 3 more"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.core.verdict import UNABLE

#: The longest headline, in characters.
LONGEST_HEADLINE = 100
#: The longest reason of one line, in characters.
LONGEST_WHY = 150

#: A count of what is not told; whoever reads it can't act on it.
_UNTOLD = re.compile(r"(;)?,? *(?:…|\.\.\.)? *and \d[\d,.]* more\b", re.IGNORECASE)
#: A word that was cut before it came here.
_CUT = re.compile(r"\S*…\S*")
#: Where a sentence may end early, the best places first.
_ENDS = (("; ", ". ", " ("), (": ", ", "))
#: No sentence ends in one of these.
_DANGLING = re.compile(r" (?:a|an|and|at|but|by|for|in|is|its|not|of|on|or|than|that|the|to|was|with)$")
#: What a narrow column does without, the least missed first.
_FILLERS = (
    (" of evidence needed", " needed"),
    (" about ", " "),
    (" so far", ""),
    (" more days needed", " more days"),
    (" more day needed", " more day"),
)


def plain(text: str) -> str:
    """The text on one line, without counts of what is not told and without words that were cut."""
    line = " ".join(text.split())
    while (shorter := _UNTOLD.sub(lambda match: "" if match[1] else " and others", line)) != line:
        line = " ".join(shorter.split())
    return " ".join(_CUT.sub("…", line).split())


def clip(text: str, most: int) -> str:
    """The text, or as many of its clauses or words as fit; empty where not even one word does."""
    line = plain(text)
    if len(line) <= most:
        return line
    for marks in _ENDS:
        ends = [match.start() for mark in marks for match in re.finditer(re.escape(mark), line[: most + len(mark)])]
        parts = [line[:end] for end in ends if 0 < end <= most and line.count("(", 0, end) == line.count(")", 0, end)]
        # A colon or a comma soon after the beginning says too little.
        if parts and (marks is _ENDS[0] or 2 * len(max(parts, key=len)) >= most):
            return _ended(max(parts, key=len))
    end = line.rfind(" ", 0, max(most - 1, 0))
    clipped = _ended(line[:end]) if end > 0 else ""
    while (left := _DANGLING.sub("", clipped)) != clipped:
        clipped = _ended(left)
    return f"{clipped} …" if clipped else ""


def unable_champion(reason: str) -> str:
    """Why the champion can't answer any more, where a reason says that it can't; else empty."""
    return reason.partition("; ")[0].removeprefix("champion ") if reason.startswith(UNABLE) else ""


def first_clause(text: str) -> str:
    """A sentence up to its first semicolon, full stop or bracket."""
    line = plain(text)
    ends = [end for mark in _ENDS[0] if (end := line.find(mark)) > 0]
    return _ended(line[: min(ends)] if ends else line)


def first_that_fits(lead: str, forms: Iterable[str], most: int = LONGEST_HEADLINE) -> str:
    """``lead`` and the first of the forms that fits behind it; the last one is taken in any case, clause by clause."""
    plain_forms = [plain(form) for form in forms]
    for form in plain_forms:
        if form and len(lead) + len(form) <= most:
            return lead + form
    return lead + clip(plain_forms[-1], most - len(lead))


def narrow(headline: str, most: int) -> str:
    """A headline for a narrow column: without what is least missed, then with fewer clauses."""
    line = plain(headline)
    for long, short in _FILLERS:
        if len(line) > most:
            line = line.replace(long, short)
    return clip(line, most) or clip("see explain", most)


def _ended(text: str) -> str:
    return text.rstrip(" ,;:.(–-")
