"""A measure in words: which column, of whose rows, what it is and what is usual."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.checks.learned.measures import BY_ROWS, BY_UNITS
from pipeline.core.checks.learned.resent import OF_THE_SAME
from pipeline.core.checks.learned.slow import SLOW
from pipeline.core.checks.learned.surprise import Surprise, remembered_as
from pipeline.core.checks.wording import first_five
from pipeline.core.tables import Table

NUMBER_OF_ROWS = "number of rows"
"""What an excuse calls the size of a table."""
HOURS = "hours"
"""What it calls the spread of the rows over the day, by whichever clock that is told."""

#: What is said again that is about several columns.
_OF_SEVERAL = ("all numbers", "outcomes of the same")
#: Kinds of measures about two columns.
_OF_TWO = ("with", "order", "apart", "ratio", "settles", "explains", "tied", "hints", "own", "astray")


@dataclass(frozen=True, slots=True)
class Names:
    """What the measures of a table that are about several columns at once are told by.

    Attributes:
        outcomes, numbers, keys: Names of these columns.
        earlier_day: What is said again, the subject of a measure, to the day that said it.
        who: A measure of things to those that it is about.
        whose: What is odd to the word that its rows share, as a clause.
    """

    outcomes: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    earlier_day: Callable[[str], str] = lambda what: "an earlier day"
    who: Callable[[str], Sequence[str]] = lambda measure: ()
    whose: Callable[[Surprise], str] = lambda one: ""

    @classmethod
    def of(
        cls,
        table: Table,
        earlier_day: Callable[[str], str] | None = None,
        who: Callable[[str], Sequence[str]] | None = None,
        whose: Callable[[Surprise], str] | None = None,
    ) -> Names:
        """Those of a declared table."""
        outcomes = tuple(column.name for column in table.columns if column.outcome)
        numbers = tuple(c.name for c in table.columns if c.type in ("number", "integer") and c.name not in table.key)
        nobody = cls()
        return cls(
            outcomes,
            numbers,
            table.key,
            earlier_day or nobody.earlier_day,
            who or nobody.who,
            whose or nobody.whose,
        )

    def plain(self, subject: str) -> str:
        """The subject with its columns: ``all numbers ('net', 'tax')``."""
        names = {
            "any outcome": ("any outcome", self.outcomes),
            "all numbers": ("all numbers", self.numbers),
            "outcomes of the same": ("outcomes of the same", self.outcomes),
            "keys": ("the keys", self.keys),
        }
        of_same = OF_THE_SAME if subject.endswith(OF_THE_SAME) else ""
        what, columns = names.get(subject, (f"'{subject.removesuffix(of_same)}'{of_same}", ()))
        return f"{what} ({first_five([repr(name) for name in columns])})" if columns else what


NO_NAMES = Names()


def subject(measure: str) -> tuple[str, str]:
    """The column that a measure is about, and its value or slice; either may be empty."""
    kind, *rest = measure.removeprefix(f"{SLOW}|").split("|")
    if kind == "rows":
        return NUMBER_OF_ROWS, ""
    if kind == "resent" and rest[0] not in _OF_SEVERAL:
        return rest[0].removesuffix(OF_THE_SAME), ""
    if remembered_as(measure) != measure:
        return HOURS, ""
    if kind in ("share", "worth"):
        column, _, value = rest[0].partition("=")
        return column, value
    if kind in _OF_TWO and len(rest) > 1:
        return f"{rest[0]} and {rest[1]}", ""
    rest = [part for part in rest if part not in (BY_ROWS, BY_UNITS)]
    return rest[0], rest[-1] if len(rest) > 1 and "=" in rest[-1] else ""


def measured(measure: str, names: Names = NO_NAMES) -> tuple[str, Callable[[float], str]]:
    """What is measured, as words without a number, and how its numbers are written."""
    kind = measure.removeprefix(f"{SLOW}|").split("|", 1)[0]
    said = sentence(Surprise(measure, 0.0, 0.0, 0.0, 0), names).partition(", where ")[0]
    words, joint, _ = said.rpartition(" in 0.0% of ")
    if kind == "rows":
        return "rows", lambda value: f"{value:,.0f}"
    if said.startswith("0.0% of "):
        what = f"share {said.partition(' ')[2]}"
        return f"{names.plain('keys')} of the last accepted table that are gone" if kind == "gone" else what, _percent
    if kind == "versus":
        return said.removeprefix("how often ").rpartition(" is ")[0], _points
    if joint:
        return f"{words.rstrip(',')}: share of {said.removeprefix(words + joint)}", _percent
    return said.rpartition(" is ")[0].rstrip(","), _FORMS.get(kind, _number)


def _percent(value: float) -> str:
    return f"{value:.1%}"


def sentence(one: Surprise, names: Names = NO_NAMES) -> str:
    """``'delay' is zero in 41.0% of the rows, where 3.0% is usual``: what a measure is and what was expected."""
    kind, *rest = one.measure.split("|")
    if kind == SLOW:
        return f"further off day by day: {sentence(replace(one, measure=one.measure.removeprefix(f'{SLOW}|')), names)}"
    whose, of = "the rows", ""
    if rest and rest[-1] in (BY_ROWS, BY_UNITS):
        whose = "its rows" if rest[-1] == BY_ROWS else "the units that look it up"
        of, rest = f", over {whose},", rest[:-1]
    elif "=" in (rest or [""])[-1] and kind not in ("share", "worth"):
        column, _, word = rest[-1].partition("=")
        whose = f"the rows whose '{column}' is {word}"
        of = f" in {whose}"
    if kind == "rows":
        return f"{one.value:,.0f} rows, where {one.usual:,.0f} are usual"
    return _of_keys_and_rows(kind, rest, one, names) or _of_columns(kind, rest, one, names, whose, of)


def _of_keys_and_rows(kind: str, rest: Sequence[str], one: Surprise, names: Names) -> str:
    if kind == "gone":
        keys = f"{names.plain('keys')} of the last accepted table"
        return f"{one.value:.1%} of {keys} are gone, where {one.usual:.1%} is usual"
    if kind in ("came", "astray"):
        what = (
            f"of the '{rest[0]}' that come daily came"
            if kind == "came"
            else f"of the '{rest[1]}' are far from where they were in '{rest[0]}'"
        )
        named = list(names.who(one.measure))
        who = f" ({'all but ' if kind == 'came' else ''}{first_five(named)})" if named else ""
        return f"{one.value:.1%} {what}{who}, where {one.usual:.1%} is usual"
    if kind == "resent":
        again = f"{names.plain(rest[0])} are those of rows of {names.earlier_day(rest[0])}"
        return f"{again} in {one.value:.1%} of the rows, where {one.usual:.1%} is usual"
    return ""


def _of_columns(kind: str, rest: Sequence[str], one: Surprise, names: Names, whose: str, of: str) -> str:
    if kind == "versus":
        whose = f"{names.plain(rest[0])} is there in {whose}, less that of all rows,"
        return f"how often {whose} is {_points(one.value)}, where {_points(one.usual)} is usual"
    if kind in _SHARES:
        what = f"{names.plain(rest[0])} is there" if kind == "happened" else _SHARES[kind](rest)
        what = what.replace(_TWINS, names.plain("all numbers"))
        return f"{what} in {one.value:.1%} of {whose}, where {one.usual:.1%} is usual"
    now, usual = (_FORMS.get(kind, _number)(number) for number in (one.value, one.usual))
    return f"{_NUMBERS[kind](rest)}{of} is {now}, where {usual} is usual"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f} points"


def _together(value: float) -> str:
    return f"{value:.2f} of 1"


def _single(rest: Sequence[str]) -> str:
    name, what = rest[:2]
    if what == "twins":
        return f"{_TWINS} are those of another row of the day"
    return f"'{name}' is {_SINGLE.get(what, what)}"


def _is(rest: Sequence[str]) -> str:
    column, _, value = rest[0].partition("=")
    return f"'{column}' is {value}"


_TWINS = "{all numbers}"
_SHARES: Mapping[str, Callable[[Sequence[str]], str]] = {
    "share": _is,
    "worth": _is,
    "filled": lambda rest: f"'{rest[0]}' is filled",
    "with": lambda rest: f"'{rest[0]}' is filled where '{rest[1]}' is,",
    "single": _single,
    "happened": lambda rest: f"'{rest[0]}' is there",
    "settles": lambda rest: f"'{rest[1]}' is what it mostly is for its '{rest[0]}'",
    "still": lambda rest: f"'{rest[0]}' is that of the row before of the same '{rest[1]}'",
    "changed": lambda rest: f"'{rest[0]}' says something else of the same key than before",
}
_NUMBERS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "level": lambda rest: f"the {rest[1]} of '{rest[0]}'",
    "against": lambda rest: (
        f"where '{rest[0]}' mostly stands, from the least of all rows (0 %) to the greatest (100 %),"
    ),
    "tail": lambda rest: f"the {rest[1]} end of '{rest[0]}'",
    "clock": lambda rest: f"the mean of '{rest[0]} hour'",
    "step": lambda rest: (
        f"how large the steps of '{rest[0]}' are from row to row of the same '{rest[1]}', against those over two rows,"
    ),
    "own": lambda rest: f"how far '{rest[0]}' is ordered by '{rest[1]}' as on the days before",
    "order": lambda rest: f"how far '{rest[0]}' and '{rest[1]}' go up and down together",
    "tied": lambda rest: f"how far '{rest[0]}' and '{rest[1]}' go up and down together",
    "hints": lambda rest: f"how much '{rest[0]}' tells of '{rest[1]}'",
    "explains": lambda rest: f"how much '{rest[0]}' tells of '{rest[1]}'",
    "apart": lambda rest: f"'{rest[1]}' less '{rest[0]}', in the middle,",
    "ratio": lambda rest: f"'{rest[1]}' over '{rest[0]}', in the middle,",
}
#: How the number of a measure is written, where it is not as it is.
_FORMS: Mapping[str, Callable[[float], str]] = {
    "against": lambda value: f"{100 * (value + 0.5):.0f} %",
    "own": _together,
    "order": _together,
    "tied": _together,
    "hints": _together,
    "explains": _together,
    "ratio": lambda value: _number(math.exp(min(value, 500.0))),
    "clock": lambda value: f"{value % 24:.3g}",
    "step": lambda value: f"{100 * math.exp(min(value, 500.0)):.0f} %",
}
_SINGLE = {
    "distinct": "a value of its own",
    "commonest": "its commonest value",
    "least": "its least value",
    "greatest": "its greatest value",
    "zero": "zero",
    "whole": "a whole number",
    "negative": "negative",
    "full day": "at midnight",
    "full hour": "at a full hour",
    "full minute": "at a full minute",
    "multiple of 5": "a multiple of 5",
    "multiple of 10": "a multiple of 10",
}
