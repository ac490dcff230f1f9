"""Whether a table's day is as usual, as findings that people read: one for each family of measures.

Of each family the largest surprise counts, and its limit is learned from the largest surprises of the accepted days: so
hundreds of measures cost no more false alarms than one, and a table that is never quiet gets a wide limit. A day beyond
the wide limit is refused at once; one beyond the narrow limit if the day before was so too, in the same measure and
direction: one odd day is ordinary life, a second one is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.core.checks.learned.families import by_family, family_of, limits, without_lone
from pipeline.core.checks.learned.measures import BY_ROWS, BY_UNITS, ROWS, SELDOM, Measures
from pipeline.core.checks.learned.slow import SLOW, slow_shifts
from pipeline.core.checks.learned.surprise import NEEDED, Surprise, remembered_as, surprises
from pipeline.core.checks.wording import TableFindings
from pipeline.core.verdict import Bound, Finding

#: The measures that were beyond the narrow limit: 1 above what is usual, -1 below, and twice that if the day was
#: refused for it.
Odd = Mapping[str, int]
#: By how much more a single day must stray where business as usual brings an odd day now and then.
_ALONE: Mapping[str, float] = {
    "volume": 2.5,
    "outcomes": 2.5,
    "levels": 2.5,
    "slices": 2.5,
    "single values": 2.0,
    "associations": 2.0,
    "relations": 1.5,
    "blanks": 1.5,
}
#: An alarm is over once the measure is within this part of the narrow limit.
_MENDED = 0.5
#: From how many accepted days of the same weekday on one that is unlike all others is no weekday of its own.
_WEEKDAYS = 2
#: By how much more a growing number of rows must stray.
_MORE = 2.0
#: From what share of the rows on a value that was never there before is no first time, but all there is.
_ALL_BUT = 0.9
#: Whatever the season or the market does to a whole column is business as usual up to the wide limit.
_LOOSE: Mapping[str, float] = {
    "outcomes": 1.0,
    "levels": 1.2,
    "single values": 1.4,
    "associations": 1.0,
    "tails": 1.0,
    "slow shifts": 1.0,
}


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
        surprise_before: The largest surprises of accepted days by family, oldest first.
        odd_before: What was odd on the last day that was judged, accepted or not.
        provisional: What was odd on the last accepted day: neither its value nor its surprise is past yet.
        closed: Column and word of what has rightly come to an end.
    """
    about = TableFindings(table)
    over = {f"share|{column}={word}" for column, word in closed}
    found = [one for one in surprises(day, now, past, provisional, odd_before) if one.measure not in over]
    found += slow_shifts(day, now, past)
    if len(past) < NEEDED:
        return Learned((about.too_early("as usual", len(past), NEEDED),), {}, {})
    asked = {family_of(measure) for measure in (*now, *(one.measure for one in found))}
    findings: list[Finding] = []
    largest: dict[str, float] = {}
    odd: dict[str, int] = {}
    for family, measures in by_family(found).items():
        if family not in asked:
            continue
        known = [then[family] for then in surprise_before if family in then]
        if any(family_of(measure) == family for measure in provisional):
            known = known[:-1]  # a limit that the first odd day had raised would let the second one pass
        limit = _Limits(family, known, seen=sum(then.weekday() == day.weekday() for then in past))
        largest[family] = abs(measures[0].size) if measures else 0.0
        rung = [
            (one, said) for one in measures if (said := limit.rings(one, odd_before.get(remembered_as(one.measure), 0)))
        ]
        odd.update({remembered_as(one.measure): _direction(one) for one in measures if abs(one.size) > limit.narrow})
        odd.update({remembered_as(one.measure): 2 * _direction(one) for one, _ in rung})
        if rung:
            one, said = rung[0]
            text = f"{sentence(one)}: {abs(one.size):.3g} times its usual spread ({said}; learned on {limit.days} days)"
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
        young: Whether too few days of this weekday are known: they may be unlike all others.
    """

    def __init__(self, family: str, known: Sequence[float], seen: int) -> None:
        self.days, self.young = len(known), seen < _WEEKDAYS
        self.alone = limits(known)[1] * _ALONE.get(family, 1.0)
        narrow, wide = limits(without_lone(known))
        self.narrow = wide * _LOOSE[family] if family in _LOOSE else narrow

    def rings(self, one: Surprise, before: int) -> str:
        """Why it refuses the day, or nothing; ``before`` is what :attr:`Learned.odd` said of the day before."""
        size, same_way = abs(one.size), before * one.size > 0
        # A day off is a quiet day, whatever was usual; a second one in a row is asked about.
        if size > self.alone and one.measure != ROWS and not self.young and not _first_time(one):
            return f"more than {self.alone:.3g}"
        # More of everything is business, such as a sale's; less of it is what gets lost.
        if same_way and size > self.narrow * (_MORE if one.measure == ROWS and one.size > 0 else 1.0):
            return f"more than {self.narrow:.3g}, again"
        # Who was refused for it must come well within the limits, or one cause would ring and fall silent by turns.
        if same_way and abs(before) == 2 and size > _MENDED * self.narrow:
            return f"more than {_MENDED * self.narrow:.3g}, still"
        return ""


def _first_time(one: Surprise) -> bool:
    """A value that was never on any row and is on some of them: a first cloudless day, a first sale at no price."""
    return one.measure.startswith(("single|", "worth|")) and one.usual < SELDOM and one.value < _ALL_BUT


def _direction(one: Surprise) -> int:
    return 1 if one.size > 0 else -1


def sentence(one: Surprise) -> str:
    """``'delay' is zero in 41.0%, where 3.0% is usual``: what a measure is and what was expected."""
    kind, *rest = one.measure.split("|")
    if kind == SLOW:
        return f"slowly, day by day, {sentence(replace(one, measure=one.measure.removeprefix(f'{SLOW}|')))}"
    over = {BY_ROWS: " (by rows)", BY_UNITS: " (by the units that look it up)"}.get(rest[-1], "")
    rest = rest[:-1] if over else rest
    where = f" where {rest[-1].replace('=', ' is ', 1)}" if "=" in rest[-1] and kind not in ("share", "worth") else ""
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
    "hints": lambda rest: f"'{rest[0]}' tells what '{rest[1]}' is",
    "worth": lambda rest: f"'{rest[0].replace('=', chr(39) + ' is ', 1)}",
    "still": lambda rest: f"'{rest[0]}' is what the row before of the same said",
    "resent": lambda rest: f"{rest[0]} are those of an earlier day",
    "changed": lambda rest: f"'{rest[0]}' says something else of the same key than before",
}
_NUMBERS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "level": lambda rest: f"the {rest[1]} of '{rest[0]}'",
    "versus": lambda rest: f"the share of rows with {rest[0]}, against all rows',",
    "gone": lambda rest: "the share of keys that vanished",
    "against": lambda rest: f"the mean rank of '{rest[0]}' (-0.5: below all others, 0.5: above all)",
    "tied": lambda rest: f"the rank correlation of '{rest[0]}' and '{rest[1]}'",
    "tail": lambda rest: f"the {rest[1]} end of '{rest[0]}'",
    "step": lambda rest: f"the logarithm of the steps of '{rest[0]}' from row to row, against those over two rows,",
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
