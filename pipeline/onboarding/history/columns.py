"""What each column is to the model: an input, a name, a constant, or something that would not be known in time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.facts import MOST_EXACT
from pipeline.core.tables import Type
from pipeline.core.words import percent
from pipeline.onboarding.history.leaks import missing_together, suspicions
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target
from pipeline.onboarding.notes import Note

Role = Literal["day", "time", "unit", "target", "number", "word", "moment", "constant", "identifier", "leak"]

#: A column of text with more words than this in the older days is no input: most of them would be new tomorrow.
MOST_WORDS = 500
#: From which share of different values on a column names things instead of describing them.
_NAMES = 0.9
#: With fewer different values than this a column names nothing.
_FEW = 20
#: From which rank correlation with the day on a number is a counter.
_CLOCK = 0.95
#: How names of numbers that are names end.
_NAMED = re.compile(
    r"(^|_|\s)(id|ids|uuid|guid|key|no|nr|num|number|code|ref|reference|index|row|pk)$|[a-z](Id|ID|No)$"
)


@dataclass(frozen=True, slots=True)
class Field:
    """One column of the history.

    Attributes:
        name: Its name.
        type: As it is declared.
        role: What it is to the model.
        empty: Whether a value may be absent.
        varies: Whether every day holds at least three different values.
        why: For what is no input: the reason.
    """

    name: str
    type: Type
    role: Role
    empty: bool
    varies: bool = False
    why: str = ""


@dataclass(frozen=True)
class Columns:
    """All columns, in the order of the file.

    Attributes:
        fields: Each of them.
        strength: Input to how well it alone ranks the target on the newer days (see
            :mod:`pipeline.onboarding.history.leaks`).
    """

    fields: tuple[Field, ...]
    strength: Mapping[str, float]

    def of(self, *roles: Role) -> tuple[Field, ...]:
        """The columns of these roles."""
        return tuple(field for field in self.fields if field.role in roles)


def columns_of(history: History, target: Target, notes: list[Note]) -> Columns:
    """Give every column its role; whatever is left out is said."""
    special: dict[str, Role] = {history.day: "day", history.target: "target", **dict.fromkeys(history.unit, "unit")}
    if history.time is not None:
        special[history.time] = "time"
    fields: list[Field] = []
    for name in history.rows.column_names:
        role, why = (special[name], "") if name in special else _role(history, name)
        fields.append(_field(history, name, role, why))
    candidates = [field.name for field in fields if field.role in ("number", "word", "moment")]
    found = suspicions(history, target, candidates)
    late = {name: suspicion.why for name, suspicion in found.items()}
    for field in fields:
        if field.role in ("identifier", "constant"):  # the photo of a delivery names it, and comes with it
            late[field.name] = missing_together(history.rows[field.name].combine_chunks(), target)
    fields = [_suspected(field, late.get(field.name, ""), target.delay) for field in fields]
    for field in fields:
        if field.role == "number" and field.type == "integer":
            _too_long(history, field.name, notes)
        if field.why:
            held = "declared as known only after the fact and " if field.role == "leak" else ""
            notes.append(Note(field.name, f"{held}left out: {field.why}", review=field.role != "constant"))
    strength = {name: suspicion.strength for name, suspicion in found.items() if not suspicion.why}
    return Columns(tuple(fields), strength)


def _too_long(history: History, name: str, notes: list[Note]) -> None:
    """Name an input that models take rounded: mostly it is a sign for "no value"."""
    cells = history.rows[name].combine_chunks()
    ends = pc.min_max(cells).as_py()
    if ends["min"] is None or max(-ends["min"], ends["max"]) <= MOST_EXACT:
        return
    worst = ends["max"] if ends["max"] > MOST_EXACT else ends["min"]
    n = int(pc.sum(pc.equal(cells, worst)).as_py())
    text = (
        f"{n:,} of its cells say {worst}, which models take as the nearest floating number: a sign for "
        f'"no value"? Then have these cells left empty, in the history and each day, or say --drop {name}'
    )
    notes.append(Note(name, text, review=True))


def _suspected(field: Field, why: str, delay: int) -> Field:
    """The field, or the same as one that comes with the label: then a day's own file has none of it yet."""
    if not why:
        return field
    return Field(field.name, field.type, "leak", field.empty or delay > 0, field.varies and not delay, why)


def _field(history: History, name: str, role: Role, why: str) -> Field:
    cells = history.rows[name].combine_chunks()
    never_empty = role in ("day", "time", "unit")
    empty = not never_empty and (cells.null_count > 0 or role == "target")
    counts = history.rows.group_by([history.day]).aggregate([(name, "count_distinct")]) if name != history.day else None
    varies = counts is not None and role != "target" and min(counts[f"{name}_count_distinct"].to_pylist()) >= 3
    return Field(name, type_of(cells.type), role, empty, varies, why)


def type_of(kind: pa.DataType) -> Type:
    """A declared type's word."""
    if pa.types.is_string(kind):
        return "string"
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_date(kind):
        return "date"
    return "timestamp" if pa.types.is_timestamp(kind) else "number"


def _role(history: History, name: str) -> tuple[Role, str]:
    cells = history.rows[name].combine_chunks()
    older = cells.filter(pa.array(~history.newer))
    there = older.drop_null()
    different = len(pc.unique(there))
    # One value or none is told apart from no value at all: such a flag may even know the future.
    if different + (older.null_count > 0) < 2 or not different:
        what = f"it says {_shown(there[0].as_py())} in every row" if different else "it holds no value"
        return "constant", f"{what} of the older days"
    kind = type_of(cells.type)
    if kind in ("date", "timestamp"):
        return "moment", ""
    why = "" if kind == "number" else _numbers_rows(history, name, cells) or _renames_units(history, name, cells)
    if not why and kind == "string" and different > MOST_WORDS:
        why = f"{different:,} different words, most of which would be new tomorrow"
    if why:
        return "identifier", why
    return ("word" if kind == "string" else "number"), ""


def _numbers_rows(history: History, name: str, cells: pa.Array) -> str:
    """Why a column names rows; empty if it describes them."""
    there = cells.drop_null()
    different = len(pc.unique(there))
    share = different / len(there)
    if different < _FEW or share < _NAMES:
        return ""
    if pa.types.is_string(cells.type):
        return f"{percent(share)} of its values are different, so it names rows and does not describe them"
    values = there.to_numpy(zero_copy_only=False)
    dense = int(values.max()) - int(values.min()) < 3 * len(values)
    if _NAMED.search(name) or dense or _counts_on(values, history.places[cells.is_valid().to_numpy(False)]):
        return f"{percent(share)} of its whole numbers are different, so it numbers rows and does not measure them"
    return ""


def _counts_on(values: np.ndarray[Any, Any], days: np.ndarray[Any, Any]) -> bool:
    """Whether the numbers grow with the days, as a counter does."""
    from scipy.stats import spearmanr

    return bool(abs(spearmanr(values, days).statistic) > _CLOCK)


def _renames_units(history: History, name: str, cells: pa.Array) -> str:
    """Why a column is another name of the unit; empty if it is none."""
    if len(pc.unique(cells)) < _FEW:
        return ""
    units = history.rows.group_by(list(history.unit)).aggregate([(name, "count_distinct"), (name, "max")])
    held = units[f"{name}_max"].drop_null()
    if not (units.num_rows < 0.5 * history.rows.num_rows and len(held)):
        return ""
    constant = pc.all(pc.less_equal(units[f"{name}_count_distinct"], 1)).as_py()
    if (
        constant
        and len(pc.unique(held)) >= _NAMES * len(held)
        and (pa.types.is_string(cells.type) or _NAMED.search(name))
    ):
        return f"it is another name of {', '.join(history.unit)}: one value for each, and nearly no two alike"
    return ""


def _shown(value: object) -> str:
    return repr(value if not isinstance(value, str) or len(value) < 40 else f"{value[:39]}…")
