"""What a suite made from a history may say: what the nature of a column shows, and what only another unit would break.

How far sound days stray is learned day by day (``core/checks/learned``), and follows growth and seasons; a number that
is written into a file once does not. So a fixed limit stands where days of the last weeks run against a wall (no count
is below 0, no share above 1) or far beyond all that they show, and not at all on a side to which the column is on its
way. Words are a list that grows: a new one is told and stops nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.words import percent
from pipeline.onboarding.history.columns import Columns, Field
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target

Expectation = dict[str, Any]

#: Limits are made from so many weeks, the last ones.
RECENT_WEEKS = 8
#: A column that would reach a limit within so many days, at the pace of these weeks, has none on that side.
_SOON = 365
#: On what part of the days a column must run against a wall, and on how many, and not once beyond it.
_AT_WALL, _DAYS_AT_WALL = 0.2, 5
#: How many times what a column has spanned in all days its limits lie beyond the last weeks, for a row and for the
#: middle of a day: a history of some months shows a part of what a year does.
_ROW_BEYOND, _MIDDLE_BEYOND = 3.0, 2.0
#: What part of its own size a column may move by, however little it spans: no unit is so near another.
_OF_SIZE = 0.5
#: What part of the fewest rows, and of the fewest filled cells, a day must have at least.
_FEWEST_ROWS, _FEWEST_FILLED = 0.1, 0.5
#: A column of more words than this is no list.
_WORDS = 50

_Array = NDArray[np.float64]


def expectations(history: History, target: Target, columns: Columns, part: NDArray[np.bool_]) -> list[Expectation]:
    """What the last weeks of that part of the rows show.

    Args:
        history: The rows.
        target: What is predicted.
        columns: What each column is.
        part: Which rows may be looked at.
    """
    days = np.unique(history.dates[part])
    first = days[0]
    ever = history.rows.filter(pa.array(part))
    part = part & (history.dates > days[-1] - np.timedelta64(7 * RECENT_WEEKS, "D"))
    rows = history.rows.filter(pa.array(part))
    dates = history.dates[part]
    days, sizes = np.unique(dates, return_counts=True)
    since = f"{days[0]} to {days[-1]}"
    made = _size(sizes.astype(float), days, since)
    made.append(
        _expect(
            "expect_compound_columns_to_be_unique",
            {"column_list": [history.day, *history.unit]},
            "A unit comes once a day; twice means that the file was joined or appended twice.",
        )
    )
    places = np.searchsorted(days, dates)
    for field in columns.fields:
        cells = rows[field.name].combine_chunks()
        if field.role in ("day", "time"):
            continue
        if field.role == "target":
            made += _target(target, cells, ever[field.name].combine_chunks(), places, days, since)
            continue
        # What comes with the label is not there when the day's own file is asked.
        made += [] if field.role == "leak" and target.delay else _present(field, cells, places, since)
        if field.type == "string":
            # A word of last year is none that is new.
            made += _text(field, ever[field.name].combine_chunks(), f"{first} to {days[-1]}")
        elif field.type in ("integer", "number") and field.role not in ("identifier", "unit"):
            made += _numbers(field, cells, ever[field.name].combine_chunks(), places, days, since)
    return made


def _blank(field: Field) -> dict[str, Any]:
    return {"may_be_empty": True} if field.empty else {}


def _expect(what: str, kwargs: Mapping[str, Any], why: str, severity: str = "critical", **meta: Any) -> Expectation:
    told = {} if severity == "critical" else {"severity": severity}
    return {"type": what, "kwargs": dict(kwargs), "meta": {"why": why, **meta}, **told}


def _size(sizes: _Array, days: NDArray[Any], since: str) -> list[Expectation]:
    """A floor that no slow business reaches, and no ceiling: business grows."""
    least = math.floor(_FEWEST_ROWS * float(sizes.min()))
    if least < 1 or _reaches(sizes, days, least):
        return []
    why = f"Days of {since} have {int(sizes.min()):,} to {int(sizes.max()):,} rows; how many are usual is learned."
    return [_expect("expect_table_row_count_to_be_between", {"min_value": least}, why)]


def _target(
    target: Target, cells: pa.Array, ever: pa.Array, places: NDArray[Any], days: NDArray[Any], since: str
) -> list[Expectation]:
    name = target.column
    # A day whose labels are not there yet has none; that is no fault of its file, and leaves no middle to look at.
    if target.kind == "regression":
        made = _numbers(Field(name, "number", "target", True), cells, ever, places, days, since)
        return made[:1] if target.delay else made
    kwargs: dict[str, Any] = {"column": name, "value_set": list(target.classes)}
    why = "Another value is no outcome that the model was taught."
    accept = "name the class in the kind of the declaration, and in this set"
    return [_expect("expect_column_values_to_be_in_set", kwargs, why, may_be_empty=True, accept=accept)]


def _present(field: Field, cells: pa.Array, places: NDArray[Any], since: str) -> list[Expectation]:
    """How much of it must be there; what may never be empty is the landing's to refuse."""
    if not field.empty:
        return []
    absent = cells.is_null().to_numpy(zero_copy_only=False).astype(float)
    worst = float((np.bincount(places, absent) / np.bincount(places)).max())
    mostly = math.floor(100 * _FEWEST_FILLED * (1 - worst)) / 100
    if mostly <= 0:
        return []
    why = f"At most {percent(worst)} were missing on a day of {since}; how much is usual is learned."
    return [_expect("expect_column_values_to_not_be_null", {"column": field.name, "mostly": mostly}, why)]


def _text(field: Field, cells: pa.Array, since: str) -> list[Expectation]:
    there = cells.drop_null()
    counted = {item["values"]: item["counts"] for item in pc.value_counts(there).to_pylist()}
    blank = _blank(field)
    if field.role == "word" and 1 < len(counted) <= _WORDS:
        kwargs: dict[str, Any] = {"column": field.name, "value_set": sorted(counted)}
        why = f"The words of {since}. A new one is told and stops nothing; what the others lack by it is asked besides."
        return [_expect("expect_column_values_to_be_in_set", kwargs, why, "warning", **blank)]
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
    field: Field, cells: pa.Array, ever: pa.Array, places: NDArray[Any], days: NDArray[Any], since: str
) -> list[Expectation]:
    values = _floats(cells)
    there = values[np.isfinite(values)]
    if len(there) < 20 or not there.min() < there.max():
        return []
    blank = _blank(field)
    all_days = _floats(ever)
    low, high = (float(end) for end in np.quantile(all_days[np.isfinite(all_days)], (0.01, 0.99)))
    span = max(high - low, _OF_SIZE * max(abs(low), abs(high))) or float(there.max() - there.min())
    ends: Mapping[str, Callable[[_Array], Any]] = {"least": np.min, "middle": np.median, "greatest": np.max}
    by_day = {what: (_each_day(values, places, how), days) for what, how in ends.items()}
    least, greatest = _walls(by_day["least"][0], by_day["greatest"][0])
    lowest = _open(*by_day["least"], _down(float(there.min()) - _ROW_BEYOND * span, span))
    highest = _open(*by_day["greatest"], _up(float(there.max()) + _ROW_BEYOND * span, span))
    bounds = {
        "min_value": lowest if least is None else least,
        "max_value": highest if greatest is None else greatest,
    }
    made: list[Expectation] = []
    # One strange row of a small day is no fault of the day.
    mostly = round(max(0.8, min(0.99, 1 - 3 / (len(values) / len(days)))), 2)
    if (known := _known(bounds)) is not None:
        kwargs = {"column": field.name, **known, "mostly": mostly}
        made.append(_expect("expect_column_values_to_be_between", kwargs, f"It was {_reach(cells)}, {since}.", **blank))
    middles = by_day["middle"][0]
    at = middles[np.isfinite(middles)]
    bounds = {
        "min_value": _open(*by_day["middle"], _down(float(at.min()) - _MIDDLE_BEYOND * span, span)),
        "max_value": _open(*by_day["middle"], _up(float(at.max()) + _MIDDLE_BEYOND * span, span)),
    }
    bounds["min_value"] = _within(bounds["min_value"], least, max)
    bounds["max_value"] = _within(bounds["max_value"], greatest, min)
    if (known := _known(bounds)) is not None:
        why = f"Its median was {at.min():g} to {at.max():g} a day, {since}; another unit would move it far."
        made.append(_expect("expect_column_median_to_be_between", {"column": field.name, **known}, why, **blank))
    return made


def _floats(cells: pa.Array) -> _Array:
    return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _known(bounds: Mapping[str, float | None]) -> dict[str, float] | None:
    """The bounds there are; None where there is none."""
    return {name: bound for name, bound in bounds.items() if bound is not None} or None


def _within(bound: float | None, wall: float | None, nearer: Callable[..., float]) -> float | None:
    return bound if wall is None else wall if bound is None else nearer(bound, wall)


def _walls(least: _Array, greatest: _Array) -> tuple[float | None, float | None]:
    """0, and with it 1 or 100, where days run against it time and again and none is beyond: a count, a share."""

    def wall(ends: _Array, at: float, beyond: bool) -> bool:
        known = ends[np.isfinite(ends)]
        enough = max(_DAYS_AT_WALL, _AT_WALL * len(known))
        return not beyond and int(np.sum(known == at)) >= enough

    lowest, highest = float(np.nanmin(least)), float(np.nanmax(greatest))
    if not wall(least, 0.0, lowest < 0):
        return None, None
    return 0.0, next((top for top in (1.0, 100.0) if wall(greatest, top, highest > top)), None)


def _each_day(values: _Array, places: NDArray[Any], how: Callable[[_Array], Any]) -> _Array:
    """That of each day, in order; not a number where a day has no value."""
    parts = np.split(values, np.flatnonzero(np.diff(places)) + 1)
    return np.array([how(known) if len(known := part[np.isfinite(part)]) else np.nan for part in parts])


def _open(ends: _Array, days: NDArray[Any], limit: float) -> float | None:
    """The limit, or None where the column is on its way to it."""
    return None if _reaches(ends, days, limit) else limit


def _reaches(ends: _Array, days: NDArray[Any], limit: float) -> bool:
    """Whether what was seen day by day reaches the limit soon, at the pace that the middle of all pairs of days has.

    Pairs a week or more apart, so that a weekly pattern is no pace (Sen, J. Am. Stat. Assoc. 63, 1968).
    """
    known = np.isfinite(ends)
    at, values = days[known].astype("datetime64[D]").astype(float), ends[known]
    apart = at[None, :] - at[:, None]
    some = (apart >= 7) & (apart % 7 == 0)
    if not some.any():
        return False
    pace = float(np.median((values[None, :] - values[:, None])[some] / apart[some]))
    now = float(np.median(values[-7:]))
    return (limit - now) * pace > 0 and abs(pace) * _SOON >= abs(limit - now)


def _reach(cells: pa.Array) -> str:
    """The least and the greatest value, a whole one with all its digits."""
    ends = pc.min_max(cells).as_py()
    low, high = (f"{end:g}" if isinstance(end, float) else str(end) for end in (ends["min"], ends["max"]))
    return f"{low} to {high}"


def _down(value: float, room: float) -> float:
    """Rounded away from the data, to two digits of the room there is."""
    step = 10.0 ** (math.floor(math.log10(room)) - 1)
    return float(f"{math.floor(value / step) * step:.12g}")


def _up(value: float, room: float) -> float:
    return -_down(-value, room)
