"""Whether a table's day is as usual, as findings that people read: one for each family of measures.

Of each family the largest surprise counts, and its limit is learned from the largest surprises of the accepted days: so
hundreds of measures cost no more false alarms than one, and a table that is never quiet gets a wide limit. A day beyond
the wide limit is refused at once; one beyond the narrow limit if the day before was so too, in the same measure and
direction: one odd day is ordinary life, a second one is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import numpy as np

from pipeline.core.checks.learned.families import by_family, family_of, limits, without_lone
from pipeline.core.checks.learned.measures import ROWS, SELDOM, Measures
from pipeline.core.checks.learned.mix import EXPLAINED
from pipeline.core.checks.learned.ordinary import Ordinary
from pipeline.core.checks.learned.sayings import NO_NAMES, Names, sentence, subject
from pipeline.core.checks.learned.slow import slow_shifts
from pipeline.core.checks.learned.surprise import (
    BY_HOURS,
    NEEDED,
    Predicted,
    Surprise,
    predicted,
    remembered_as,
    surprises,
)
from pipeline.core.checks.wording import TableFindings
from pipeline.core.verdict import Bound, Finding, Part

#: The measures that were beyond the narrow limit: 1 above what is usual, -1 below, and twice that if the day was
#: refused for it; what it was on the first such day, what was usual, and that day as an ordinal number.
Odd = Mapping[str, Sequence[float]]
_CALM, _REFUSED = (0.0, math.nan, math.nan, 0), 2
TOLD_ONLY = ("slow shifts",)
"""What is told and stops nothing: no day of it is worse than the one before, and seasons shift things slowly, too."""
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
_LASTING = "nearer to what it was when it rang than to what is usual"
#: An alarm is over once the measure is within this part of the narrow limit.
_MENDED = 0.5
#: An alarm about what so many accepted days have not had any more is over.
_REMEMBERED = 14
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
    "said before": 1.0,
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
    excused: Callable[[str, str, str], bool] = lambda family, column, value: False,
    names: Names = NO_NAMES,
    ordinary: Ordinary | None = None,
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
        excused: Whether a person has named that change, by family, column and value: it is told, and widens no limit.
        names: What is said where a measure is about several columns.
        ordinary: What explains what is odd, where no fault has to.
    """
    about = TableFindings(table)
    over = {f"share|{column}={word}" for column, word in closed}
    made = predicted(day, now, past, provisional, odd_before)
    usual = _Usual(made, past)
    found = [one for one in surprises(made) if one.measure not in over]
    found += slow_shifts(day, now, past)
    known = {name for then in list(past.values())[-_REMEMBERED:] for name in then}
    lasting, unseen = _not_mended(made, {name: one for name, one in odd_before.items() if name in known}, over)
    found += [one for one in lasting if one.measure not in {there.measure for there in found}]
    if len(past) < NEEDED:
        return Learned((about.too_early("as usual", len(past), NEEDED),), {}, {})
    asked = {family_of(measure) for measure in (*now, *(one.measure for one in found))}
    findings: list[Finding] = []
    order: dict[str, tuple[date, float]] = {}
    largest: dict[str, float] = {}
    odd: dict[str, Sequence[float]] = {name: odd_before[name] for name in unseen}
    for family, all_measures in by_family(found).items():
        if family not in asked:
            continue
        # A limit that the first odd day had raised would let the second one pass.
        raised = any(family_of(measure) == family for measure in provisional)
        limit = limit_of(family, surprise_before, sum(then.weekday() == day.weekday() for then in past), raised)
        why = {
            one.measure: ordinary.why(one, made, lambda: usual.by_name, limit.narrow)
            if ordinary is not None
            and made is not None
            and abs(one.size) > limit.narrow
            # What was refused stays so until it is as usual again: one cause must not ring and fall silent by turns.
            and abs(_before(one, odd_before)) != _REFUSED
            else ""
            for one in all_measures
        }
        explained = [(one, why[one.measure]) for one in all_measures if why[one.measure]]
        measures = [one for one in all_measures if not why[one.measure]]
        # What a person has named says nothing of how far all else may stray.
        own = [one for one in measures if not excused(family, *subject(one.measure))]
        largest[family] = abs(own[0].size) if own else 0.0
        rung = [
            (one, said)
            for one in measures
            if (said := limit.rings(one, _before(one, odd_before))) or (said := _LASTING if one in lasting else "")
        ]
        odd.update(
            {
                remembered_as(one.measure): _odd(one, day, 1, odd_before)
                for one in measures
                if abs(one.size) > limit.narrow
            }
        )
        odd.update({remembered_as(one.measure): _odd(one, day, _REFUSED, odd_before) for one, _ in rung})
        known_days = f"by the {len(past)} accepted days to {max(past)}"
        if rung:
            # What rang before comes first: one cause keeps one name.
            rung.sort(key=lambda found_one: _since(found_one[0], day, odd_before))
            parts = [
                _part(one, f"{known_days} ({_far(one)}, {said}{_begun(one, day, odd_before)})", names)
                for one, said in rung
            ]
            found_parts = about.of_parts(family, parts, "", wanted=Bound(0, limit.alone))
            order[found_parts.name] = (_since(rung[0][0], day, odd_before), -abs(rung[0][0].size) / limit.alone)
            findings.append(replace(found_parts, required=False) if family in TOLD_ONLY else found_parts)
        elif own:
            again = "; odd, and refused if the next day is so too" if abs(own[0].size) > limit.narrow else ""
            text = f"{sentence(own[0], names)} {known_days} ({_far(own[0])}, rings at {limit.alone:.3g})"
            text += again + _told(explained, names)
            findings.append(about.finding(family, True, text, largest[family], Bound(0, limit.alone)))
        else:
            text = "nothing in it has moved by enough to matter" + _told(explained, names)
            findings.append(about.finding(family, True, text))
    findings.sort(key=lambda finding: order.get(finding.name, (date.max, 0.0)))
    return Learned(tuple(findings), largest, odd)


class _Usual:
    """What is usual of every measure, also of one that can't be told today; made once something is odd."""

    def __init__(self, made: Predicted | None, past: Mapping[date, Measures]) -> None:
        self._made, self._past = made, past

    @cached_property
    def by_name(self) -> Mapping[str, float]:
        """Measure to its prediction, or to the middle of the days of the last week that had it."""
        last = list(self._past.values())[-7:]
        names = {name for then in last for name in then if name.startswith(EXPLAINED)}
        known = {name: float(np.median([then[name][0] for then in last if name in then])) for name in names}
        return {**known, **(self._made.usual_by_name() if self._made is not None else {})}


def _told(explained: Sequence[tuple[Surprise, str]], names: Names) -> str:
    return "".join(f"; {sentence(one, names)}: {why}" for one, why in explained[:1])


def limit_of(
    family: str, surprise_before: Sequence[Mapping[str, float]], seen: int, raised: bool = False
) -> FamilyLimits:
    """The limits of a family.

    Args:
        family: Its name.
        surprise_before: The largest surprises of accepted days by family, oldest first.
        seen: How many accepted days of the day's weekday are known.
        raised: Whether the newest of them was odd, and does not count yet.
    """
    known = [then[family] for then in surprise_before if family in then]
    return FamilyLimits(family, known[:-1] if raised else known, seen)


class FamilyLimits:
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

    def rings(self, one: Surprise, before: float) -> str:
        """Why it refuses the day, or nothing; ``before`` is what :attr:`Learned.odd` said of the day before."""
        size, same_way = abs(one.size), before * one.size > 0
        # A day off is a quiet day, whatever was usual; a second one in a row is asked about.
        if size > self.alone and one.measure != ROWS and not self.young and not _first_time(one):
            return f"at most {self.alone:.3g} allowed"
        # More of everything is business, such as a sale's; less of it is what gets lost.
        if same_way and size > self.narrow * (_MORE if one.measure == ROWS and one.size > 0 else 1.0):
            return f"at most {self.narrow:.3g} allowed on a second day"
        # Who was refused for it must come well within the limits, or one cause would ring and fall silent by turns.
        if same_way and abs(before) == _REFUSED and size > _MENDED * self.narrow:
            return f"at most {_MENDED * self.narrow:.3g} allowed until it is mended"
        return ""


def _part(one: Surprise, judged: str, names: Names) -> Part:
    column, value = subject(one.measure)
    return Part(f"{sentence(one, names)}{names.whose(one)} {judged}", column, value, abs(one.size))


def _begun(one: Surprise, day: date, odd_before: Odd) -> str:
    since = _since(one, day, odd_before)
    return f"; so since {since}" if since < day else ""


def _since(one: Surprise, day: date, odd_before: Odd) -> date:
    """Since when it has been refused without a break; the day itself where it rings for the first time."""
    direction, _, _, first = (*odd_before.get(remembered_as(one.measure), _CALM), 0)[:4]
    return date.fromordinal(int(first)) if abs(direction) == _REFUSED and first else day


def _far(one: Surprise) -> str:
    return f"{abs(one.size):.3g} times as far off as such days are"


def _first_time(one: Surprise) -> bool:
    """A value that was never on any row and is on some of them: a first cloudless day, a first sale at no price."""
    return one.measure.startswith(("single|", "worth|")) and one.usual < SELDOM and one.value < _ALL_BUT


def _came_over(made: Predicted, name: str, rang: float, was_usual: float) -> bool:
    """Whether the last week of accepted days is as the refused day was: a person has said that it is so for good."""
    past = made.table.values[:-1, made.table.place[name]]
    last = [made.scaled_as(name, value) for value in past[np.isfinite(past)][-7:].tolist()]
    return bool(last) and abs(float(np.median(last)) - rang) < abs(float(np.median(last)) - was_usual)


def _before(one: Surprise, odd_before: Odd) -> float:
    """How odd it was on the day judged before; of hours, that share a name, only while they are nearly as far off."""
    name = remembered_as(one.measure)
    direction, value, usual = odd_before.get(name, _CALM)[:3]
    if name in BY_HOURS and abs(one.value - one.usual) < abs(value - usual) / 2:
        return math.copysign(1, direction)
    return direction


def _odd(one: Surprise, day: date, times: int, odd_before: Odd) -> tuple[float, float, float, int]:
    """What is remembered of a measure that is odd; of one whose day was refused, what it was when it rang first."""
    direction, value, usual = odd_before.get(remembered_as(one.measure), _CALM)[:3]
    rang = abs(direction) == _REFUSED
    since = _since(one, day, odd_before).toordinal()
    sign = math.copysign(1, direction if rang and one.size * direction <= 0 else one.size)
    return (times * sign, value, usual, since) if rang else (times * sign, one.value, one.usual, since)


def _not_mended(made: Predicted | None, odd_before: Odd, over: Collection[str]) -> tuple[list[Surprise], list[str]]:
    """Who was refused for and is nearer to what it was then than to what is usual, and who can't be told today.

    A shop that sells to firms on weekdays says little on a Saturday: what was missing on Friday may be missing still.
    """
    lasting, unseen = [], []
    for name, (direction, value, usual, *_) in odd_before.items():
        if abs(direction) != _REFUSED or name in over or not math.isfinite(value):
            continue
        if made is None or name not in made.table.place:
            unseen.append(name)
            continue
        n = made.table.place[name]
        now, center = float(made.on_scale[n]), float(made.center[n])
        rang, was_usual = (made.scaled_as(name, one) for one in (value, usual))
        # Whatever it is that lasts: what it was, or how far it was off.
        far = min(abs(now - rang), abs(now - (center + rang - was_usual)))
        size = (now - center) / float(made.spread[n])
        if far >= abs(now - center) or _came_over(made, name, rang, was_usual):
            continue
        if abs(size) < 1:
            unseen.append(name)
        else:
            one = Surprise(name, float(made.table.values[-1, n]), float(made.usual[n]), size, int(made.days[n]))
            lasting.append(one)
    return lasting, unseen
