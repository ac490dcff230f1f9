"""Expectation suites: made from the older days, and then asked of the newer ones, which had no part in making them.

A suite inferred from the data it then validates proves nothing. So every limit is what the older days showed with a
margin, and what the newer days break too often is loosened (made anew from all days) or, if that does not help,
dropped. The share of newer days on which the final suite still rings is told; where a limit was loosened, that share
is no longer that of data unseen, and the report says how many were.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.adapters.checker.suites import GxChecker
from pipeline.adapters.checker.words import name_of
from pipeline.core.verdict import Finding, Outcome
from pipeline.core.words import count, first_few, percent
from pipeline.onboarding.history.columns import Columns, Field
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target
from pipeline.onboarding.notes import Note

Expectation = dict[str, Any]

#: An expectation that more than this share of the newer days breaks (and more than one day) is loosened or dropped.
TOO_OFTEN = 0.05
#: At most so many of the newer days are asked, evenly spread.
_ASKED = 90
_WORDS = 50


@dataclass(frozen=True)
class Suite:
    """A table's suite, and how it fared.

    Attributes:
        expectations: As they are written.
        asked: Newer days that were asked.
        rang: Days of these on which something that can stop a day broke.
        loosened, dropped: Names of the expectations that did not hold as the older days had it.
    """

    expectations: tuple[Expectation, ...]
    asked: int
    rang: int
    loosened: tuple[str, ...]
    dropped: tuple[str, ...]


def suite_of(name: str, history: History, target: Target, columns: Columns, work: Path, notes: list[Note]) -> Suite:
    """Make the suite of the use case's table from the older days, check it on the newer, and say how it fared.

    ``work`` is an empty folder that holds the suite while it is asked.
    """
    older = _expectations(history, target, columns, ~history.newer)
    every = {name_of(one): one for one in _expectations(history, target, columns, np.ones(len(history.dates), bool))}
    newer = [day for day in history.calendar if day >= history.split]
    asked = [newer[round(n * (len(newer) - 1) / (_ASKED - 1))] for n in range(_ASKED)] if len(newer) > _ASKED else newer
    rows = {day: history.of(day) for day in asked}
    limit = max(1, math.floor(TOO_OFTEN * len(asked)))
    broken = _broken(name, older, rows, work)
    often = {one for one, n in Counter(one for names in broken.values() for one in names).items() if n > limit}
    suite = [every.get(name_of(one), one) if name_of(one) in often else one for one in older]
    dropped: set[str] = set()
    if often:
        broken = _broken(name, suite, rows, work)
        dropped = {one for one, n in Counter(one for names in broken.values() for one in names).items() if n > limit}
        suite = [one for one in suite if name_of(one) not in dropped]
        broken = _broken(name, suite, rows, work) if dropped else broken
    made = Suite(
        tuple(suite),
        len(asked),
        sum(bool(names) for names in broken.values()),
        tuple(sorted(often - dropped)),
        tuple(sorted(dropped)),
    )
    _told(made, broken, history, notes)
    return made


def _told(suite: Suite, broken: Mapping[date, set[str]], history: History, notes: list[Note]) -> None:
    text = (
        f"{count(len(suite.expectations), 'expectation')} made from the days before {history.split}; on "
        f"{suite.rang} of {count(suite.asked, 'newer day')} ({percent(suite.rang / suite.asked)}) one of them rings"
    )
    names = Counter(one for found in broken.values() for one in found)
    if names:
        text += f": {first_few([one + ' on ' + count(n, 'day') for one, n in names.most_common()])}"
    notes.append(Note("expectations", text, review=suite.rang > 0))
    if suite.loosened:
        text = f"the newer days broke {first_few(suite.loosened, 6)} too often; loosened to what all days show"
        notes.append(Note("expectations", f"{text}: did the world change?", review=True))
    if suite.dropped:
        notes.append(Note("expectations", f"dropped, as no limit held: {first_few(suite.dropped, 6)}", review=True))


def text_of(name: str, expectations: Sequence[Expectation]) -> str:
    """The suite's file."""
    return (
        json.dumps({"name": f"{name}.{name}", "expectations": list(expectations)}, indent=2, ensure_ascii=False) + "\n"
    )


def _broken(
    name: str, expectations: Sequence[Expectation], rows: Mapping[date, Any], work: Path
) -> dict[date, set[str]]:
    """Newer day to the names of the expectations that it breaks, by the product's own checker."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text_of(name, expectations), encoding="utf-8")
    found = GxChecker(work).check_days(name, name, rows)
    prefix = f"{name}: "
    return {
        day: {finding.name.removeprefix(prefix) for finding in findings if stops(finding)}
        for day, findings in found.items()
    }


def refused(name: str, suite: Suite, history: History, days: Sequence[date], work: Path) -> set[date]:
    """Those of the days that the suite refuses."""
    broken = _broken(name, suite.expectations, {day: history.of(day) for day in days}, work) if days else {}
    return {day for day, names in broken.items() if names}


def stops(finding: Finding) -> bool:
    """Whether it would refuse the day."""
    return finding.required and finding.outcome is not Outcome.PASS


def _expectations(history: History, target: Target, columns: Columns, part: np.ndarray[Any, Any]) -> list[Expectation]:
    """What the rows of that part show, a margin added."""
    rows = history.rows.filter(pa.array(part))
    dates = history.dates[part]
    days, sizes = np.unique(dates, return_counts=True)
    since = f"{days[0]} to {days[-1]}"
    usual = float(np.median(sizes))
    key = [history.day, *history.unit]
    made = [
        _expect(
            "expect_table_row_count_to_be_between",
            {"min_value": int(sizes.min() * 0.5), "max_value": math.ceil(sizes.max() * 2)},
            f"Days of {since} have {sizes.min():,} to {sizes.max():,} rows.",
        ),
        _expect(
            "expect_compound_columns_to_be_unique",
            {"column_list": key},
            "A unit comes once a day; twice means that the file was joined or appended twice.",
        ),
    ]
    places = np.searchsorted(days, dates)
    for field in columns.fields:
        cells = rows[field.name].combine_chunks()
        if field.role in ("day", "time"):
            continue
        if field.role == "target":
            made += _target(target, cells, places, since)
            continue
        # What comes with the label is not there when the day's own file is asked.
        made += [] if field.role == "leak" and target.delay else _present(field, cells, places, since)
        if field.type == "string":
            made += _text(field, cells, since)
        elif field.type in ("integer", "number") and field.role not in ("identifier", "unit"):
            made += _numbers(field, cells, places, usual, since)
    return made


def _expect(what: str, kwargs: Mapping[str, Any], why: str, **meta: Any) -> Expectation:
    return {"type": what, "kwargs": dict(kwargs), "meta": {"why": why, **meta}}


def _by_day(values: np.ndarray[Any, Any], places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The mean of each day, of those that have a value."""
    known = np.isfinite(values)
    n = np.bincount(places[known])
    return np.asarray((np.bincount(places[known], values[known]) / np.maximum(n, 1))[n > 0])


def _target(target: Target, cells: pa.Array, places: np.ndarray[Any, Any], since: str) -> list[Expectation]:
    name = target.column
    # A day whose labels are not there yet has none; that is no fault of its file, and leaves no mean to look at.
    blank = {"may_be_empty": True}
    if target.kind == "regression":
        made = _numbers(Field(name, "number", "target", True), cells, places, len(places) / (places.max() + 1), since)
        return made[:1] if target.delay else made
    words = list(target.classes)
    kwargs: dict[str, Any] = {"column": name, "value_set": words}
    why = "Another value is no outcome that the model was taught."
    made = [_expect("expect_column_values_to_be_in_set", kwargs, why, **blank)]
    if words == [0, 1] and not target.delay:
        shares = _by_day(np.asarray(cells.cast(pa.float64()).to_numpy(zero_copy_only=False)), places)
        low, high = float(shares.min()), float(shares.max())
        room = max(high - low, 0.02)
        kwargs = {
            "column": name,
            "min_value": _down(max(0.0, low - room), room),
            "max_value": _up(min(1.0, high + room), room),
        }
        why = f"The share of yes was {percent(low)} to {percent(high)} a day, {since}."
        made.append(_expect("expect_column_mean_to_be_between", kwargs, why))
    return made


def _present(field: Field, cells: pa.Array, places: np.ndarray[Any, Any], since: str) -> list[Expectation]:
    """How much of it may be missing; what may never be empty is the landing's to refuse."""
    if not field.empty:
        return []
    absent = cells.is_null().to_numpy(zero_copy_only=False).astype(float)
    worst = float(_by_day(absent, places).max())
    mostly = math.floor(100 * (1 - worst - max(0.05, 0.5 * worst))) / 100
    if mostly <= 0:
        return []
    why = f"At most {percent(worst)} were missing on a day of {since}."
    return [_expect("expect_column_values_to_not_be_null", {"column": field.name, "mostly": mostly}, why)]


def _text(field: Field, cells: pa.Array, since: str) -> list[Expectation]:
    there = cells.drop_null()
    counted = {item["values"]: item["counts"] for item in pc.value_counts(there).to_pylist()}
    blank = {"may_be_empty": True} if field.empty else {}
    if field.role == "word" and 1 < len(counted) <= _WORDS:
        kwargs = {"column": field.name, "value_set": sorted(counted), "mostly": 0.95}
        why = f"The words of {since}; a few new ones are let pass, a new spelling of all is not."
        return [_expect("expect_column_values_to_be_in_set", kwargs, why, **blank)]
    shapes = {_shape(word) for word in list(counted)[:5_000]}
    if len(counted) >= 20 and len(shapes) == 1:
        kwargs = {"column": field.name, "regex": f"^{shapes.pop()}$", "mostly": 0.95}
        return [_expect("expect_column_values_to_match_regex", kwargs, f"All were of this form, {since}.", **blank)]
    return []


def _shape(word: str) -> str:
    """A form: runs of digits and of letters, and what stands between them."""
    parts = re.findall(r"[0-9]+|[A-Za-z]+|.", word, re.DOTALL)
    return "".join(
        "[0-9]+" if p.isdigit() else "[A-Za-z]+" if p.isalpha() and p.isascii() else re.escape(p) for p in parts
    )


def _numbers(
    field: Field, cells: pa.Array, places: np.ndarray[Any, Any], usual: float, since: str
) -> list[Expectation]:
    values = np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    there = values[np.isfinite(values)]
    if len(there) < 20 or not there.min() < there.max():
        return []
    blank = {"may_be_empty": True} if field.empty else {}
    low, high = float(there.min()), float(there.max())
    room = 0.25 * (high - low)
    least = 0.0 if low >= 0 else _down(low - room, room)
    # One strange row of a small day is no fault of the day.
    mostly = round(max(0.8, min(0.99, 1 - 3 / usual)), 2)
    kwargs = {"column": field.name, "min_value": least, "max_value": _up(high + room, room), "mostly": mostly}
    made = [_expect("expect_column_values_to_be_between", kwargs, f"It was {_reach(cells)}, {since}.", **blank)]
    middles = _medians(values, places)
    quartiles = np.quantile(there, [0.25, 0.75])
    room = max(float(middles.max() - middles.min()), 0.25 * float(quartiles[1] - quartiles[0]))
    if room > 0:
        least = _down(float(middles.min()) - room, room)
        kwargs = {
            "column": field.name,
            "min_value": max(0.0, least) if low >= 0 else least,
            "max_value": _up(float(middles.max()) + room, room),
        }
        why = f"Its median was {middles.min():g} to {middles.max():g} a day, {since}; another unit would move it."
        made.append(_expect("expect_column_median_to_be_between", kwargs, why, **blank))
    return made


def _reach(cells: pa.Array) -> str:
    """The least and the greatest value, a whole one with all its digits."""
    ends = pc.min_max(cells).as_py()
    low, high = (f"{end:g}" if isinstance(end, float) else str(end) for end in (ends["min"], ends["max"]))
    return f"{low} to {high}"


def _medians(values: np.ndarray[Any, Any], places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    parts = np.split(values, np.flatnonzero(np.diff(places)) + 1)
    return np.array([np.median(known) for part in parts if len(known := part[np.isfinite(part)])])


def _down(value: float, room: float) -> float:
    """Rounded away from the data, to two digits of the room there is."""
    step = 10.0 ** (math.floor(math.log10(room)) - 1)
    return float(f"{math.floor(value / step) * step:.12g}")


def _up(value: float, room: float) -> float:
    return -_down(-value, room)
