"""Whether a table's day is as usual, as findings that people read: one for each family of measures.

Of each family the largest surprise counts, and its limit is learned from the largest surprises of the accepted days: so
hundreds of measures cost no more false alarms than one, and a table that is never quiet gets a wide limit. A day beyond
the wide limit is refused at once; one beyond the narrow limit if the day before was so too, in the same measure and
direction: one odd day is ordinary life, a second one is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.core.checks.learned.families import by_family, family_of, limits
from pipeline.core.checks.learned.measures import BY_ROWS, BY_UNITS, ROWS, Measures
from pipeline.core.checks.learned.surprise import NEEDED, Surprise, remembered_as, surprises
from pipeline.core.checks.wording import TableFindings
from pipeline.core.verdict import Bound, Finding

#: The measures that were beyond the narrow limit: 1 above what is usual, -1 below, and twice that if the day was
#: refused for it.
Odd = Mapping[str, int]
#: By how much more a single day must stray where business as usual brings an odd day now and then.
_ALONE: Mapping[str, float] = {"volume": 2.5, "outcomes": 2.5, "levels": 2.5, "slices": 2.5, "single values": 2.0}
#: An alarm is over once the measure is within this part of the narrow limit.
_MENDED = 0.5
#: Whatever the season or the market does to a whole column is business as usual up to the wide limit.
_LOOSE = ("outcomes", "levels", "single values")


@dataclass(frozen=True, slots=True)
class Learned:
    """What the learned limits say of one table's day.

    Attributes:
        findings: One for each family.
        surprise: Family to the largest surprise of the day; empty while too few days are known.
        odd: The measures beyond their narrow limit, for the next day.
    """

    findings: tuple[Finding, ...]
    surprise: Mapping[str, float]
    odd: Odd


def check_usual(
    table: str,
    day: date,
    now: Measures,
    past: Mapping[date, Measures],
    surprise_before: Sequence[Mapping[str, float]],
    odd_before: Odd,
    provisional: Collection[str] = (),
    closed: Collection[tuple[str, str]] = (),
) -> Learned:
    """Judge a day's measures against those of the accepted days before.

    Args:
        table: The table's name.
        day: The data day.
        now: Its measures.
        past: Accepted day to its measures, oldest first.
        surprise_before: The largest surprises of these days by family, oldest first.
        odd_before: What was odd on the last day that was judged, accepted or not.
        provisional: What was odd on the last accepted day: neither its value nor its surprise is past yet.
        closed: Column and word of what has rightly come to an end.
    """
    about = TableFindings(table)
    over = {f"share|{column}={word}" for column, word in closed}
    found = [one for one in surprises(day, now, past, provisional, odd_before) if one.measure not in over]
    if len(past) < NEEDED:
        return Learned((about.too_early("as usual", len(past), NEEDED),), {}, {})
    asked = {family_of(measure) for measure in now}
    findings: list[Finding] = []
    largest: dict[str, float] = {}
    odd: dict[str, int] = {}
    for family, measures in by_family(found).items():
        if family not in asked:
            continue
        known = [then[family] for then in surprise_before if family in then]
        if any(family_of(measure) == family for measure in provisional):
            known = known[:-1]  # a limit that the first odd day had raised would let the second one pass
        limit = _Limits(family, known)
        largest[family] = abs(measures[0].size) if measures else 0.0
        rung = [
            (one, said) for one in measures if (said := limit.rings(one, odd_before.get(remembered_as(one.measure), 0)))
        ]
        odd.update({remembered_as(one.measure): _direction(one) for one in measures if abs(one.size) > limit.narrow})
        odd.update({remembered_as(one.measure): 2 * _direction(one) for one, _ in rung})
        if rung:
            one, said = rung[0]
            text = f"{sentence(one)}: {abs(one.size):.3g} times its usual spread ({said}; learned on {len(known)} days)"
            findings.append(about.finding(family, False, text, abs(one.size), Bound(0, limit.alone)))
        elif measures:
            again = "; odd, and refused if the next day is so too" if abs(measures[0].size) > limit.narrow else ""
            text = f"{sentence(measures[0])}: {largest[family]:.2g} times its usual spread (rings at {limit.alone:.3g})"
            findings.append(about.finding(family, True, text + again, largest[family], Bound(0, limit.alone)))
        else:
            findings.append(about.finding(family, True, "nothing in it has moved by enough to matter"))
    return Learned(tuple(findings), largest, odd)


class _Limits:
    """The limits of one family on one day.

    Attributes:
        alone: Beyond it a day is refused by itself.
        narrow: Beyond it a day is odd, and refused if the day before was so too.
    """

    def __init__(self, family: str, known: Sequence[float]) -> None:
        narrow, wide = limits(known)
        self.alone = wide * _ALONE.get(family, 1.0)
        self.narrow = wide if family in _LOOSE else narrow

    def rings(self, one: Surprise, before: int) -> str:
        """Why it refuses the day, or nothing; ``before`` is what :attr:`Learned.odd` said of the day before."""
        size, same_way = abs(one.size), before * one.size > 0
        # A day off is a quiet day, whatever was usual; a second one in a row is asked about.
        if size > self.alone and one.measure != ROWS:
            return f"more than {self.alone:.3g}"
        if same_way and size > self.narrow:
            return f"more than {self.narrow:.3g}, again"
        # Who was refused for it must come well within the limits, or one cause would ring and fall silent by turns.
        if same_way and abs(before) == 2 and size > _MENDED * self.narrow:
            return f"more than {_MENDED * self.narrow:.3g}, still"
        return ""


def _direction(one: Surprise) -> int:
    return 1 if one.size > 0 else -1


def sentence(one: Surprise) -> str:
    """``'delay' is zero in 41.0%, where 3.0% is usual``: what a measure is and what was expected."""
    kind, *rest = one.measure.split("|")
    over = {BY_ROWS: " (by rows)", BY_UNITS: " (by the units that look it up)"}.get(rest[-1], "")
    rest = rest[:-1] if over else rest
    where = f" where {rest[-1].replace('=', ' is ', 1)}" if "=" in rest[-1] and kind != "share" else ""
    if kind == "rows":
        return f"{one.value:.0f} rows, where {one.usual:.0f} are usual"
    if kind in _SHARES:
        return f"{_SHARES[kind](rest)}{where}{over} in {one.value:.1%}, where {one.usual:.1%} is usual"
    return f"{_NUMBERS[kind](rest)}{where}{over} is {one.value:.3g}, where {one.usual:.3g} is usual"


def _single(rest: Sequence[str]) -> str:
    name, what = rest[:2]
    if what == "twins":
        return "all numbers are those of another row"
    return f"'{name}' is {_SINGLE.get(what, what)}"


_SHARES: Mapping[str, Callable[[Sequence[str]], str]] = {
    "share": lambda rest: f"'{rest[0].replace('=', chr(39) + ' is ', 1)}",
    "filled": lambda rest: f"'{rest[0]}' is filled",
    "with": lambda rest: f"'{rest[0]}' is filled where '{rest[1]}' is",
    "single": _single,
    "happened": lambda rest: f"{rest[0]} is there",
    "settles": lambda rest: f"'{rest[0]}' settles '{rest[1]}'",
    "explains": lambda rest: f"'{rest[0]}' explains the ranks of '{rest[1]}'",
    "changed": lambda rest: f"'{rest[0]}' says something else of the same key than before",
}
_NUMBERS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "level": lambda rest: f"the {rest[1]} of '{rest[0]}'",
    "versus": lambda rest: f"the share of rows with {rest[0]}, against all rows',",
    "gone": lambda rest: "the share of keys that vanished",
    "against": lambda rest: f"the mean rank of '{rest[0]}' (-0.5: below all others, 0.5: above all)",
    "order": lambda rest: f"the rank correlation of '{rest[0]}' and '{rest[1]}'",
    "apart": lambda rest: f"'{rest[1]}' less '{rest[0]}' (median)",
    "ratio": lambda rest: f"the logarithm of '{rest[1]}' over '{rest[0]}' (median)",
}
_SINGLE = {
    "distinct": "a value of its own",
    "commonest": "its commonest value",
    "least": "its least value",
    "greatest": "its greatest value",
    "zero": "zero",
    "whole": "a whole number",
    "multiple of 5": "a multiple of 5",
    "multiple of 10": "a multiple of 10",
}
