"""What names a row: the unit, one row a day for each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.facts import MOST_EXACT
from pipeline.core.words import count, percent
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.notes import Note

#: The share of the rows that may lack the time or the unit, and are left out.
LOST = 0.01


def rows_with_a_unit(table: pa.Table, unit: Sequence[str], notes: list[Note]) -> pa.Table:
    """The rows that have one; a few that lack it are left out with a note, many are refused."""
    for name in unit:
        cells = table[name]
        there = pc.is_valid(cells)
        if pa.types.is_string(cells.type):
            there = pc.and_(there, pc.not_equal(pc.fill_null(cells, ""), ""))
        lost = table.num_rows - (pc.sum(there).as_py() or 0)
        if lost > LOST * table.num_rows:
            raise UsageError(
                f"{percent(lost / table.num_rows)} of the rows have no '{name}', which names the unit; fill it in, or "
                f"name other columns with --unit",
                "UNIT",
            )
        if lost:
            notes.append(Note(name, f"{count(lost, 'row')} without it left out", review=True))
            table = table.filter(there)
    return table


def whole_number_units(table: pa.Table, unit: tuple[str, ...]) -> tuple[pa.Table, tuple[str, ...]]:
    """A number names a unit only if it is whole."""
    for name in unit:
        if pa.types.is_floating(table[name].type):
            beyond = table[name].filter(pc.fill_null(pc.greater(pc.abs(table[name]), float(MOST_EXACT)), False))
            if len(beyond):
                raise UsageError(
                    f"'{name}' names the unit and is written as a floating number, which can't tell "
                    f"{beyond[0].as_py():.0f} from its neighbours; write it as whole numbers or as text",
                    "UNIT",
                )
            try:
                table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.int64()))
            except pa.ArrowInvalid:
                raise UsageError(
                    f"'{name}' holds fractions and so names no unit; name a column of words or whole numbers", "UNIT"
                ) from None
    return table, unit


def sorted_by_key(table: pa.Table, key: tuple[str, ...], target: str, request: Request, notes: list[Note]) -> pa.Table:
    """Sorted by key; rows that repeat another in every cell are left out, two that differ are refused."""
    table = table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in key]))
    twice = _same_as_before(table, key)
    if twice.any():
        again = twice & _same_as_before(table, tuple(table.column_names))
        if again.any():
            notes.append(Note("rows", f"{count(int(again.sum()), 'row')} that repeat another left out", review=True))
            table = table.filter(pa.array(~again))
            twice = _same_as_before(table, key)
    if twice.any():
        at = int(np.flatnonzero(twice)[0])
        told = ", ".join(f"{name} {table[name][at].as_py()}" for name in key[1:])
        way = unique_with(table, key, target)
        names = shlex.quote(",".join((*request.unit, way or "order_id")))
        hint = (
            f"name the unit by more columns, as in --unit {names}"
            if way
            else f"add a column to it, as in --unit {names}"
        )
        raise UsageError(
            f"{count(int(twice.sum()), 'row')} are about a unit that the day already has, such as {told} on "
            f"{table[key[0]][at].as_py()}; {hint}, or keep one row a day for each",
            "TWICE",
        )
    return table


def _same_as_before(table: pa.Table, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """For each row: whether it equals the one before it in these columns."""
    same = np.ones(table.num_rows, dtype=bool)
    same[:1] = False
    for name in names:
        cells = table[name].combine_chunks()
        here, before = cells.slice(1), cells.slice(0, max(len(cells) - 1, 0))
        equal = pc.fill_null(pc.equal(here, before), False)
        both = pc.and_(pc.is_null(here), pc.is_null(before))
        same[1:] &= pc.or_(equal, both).to_numpy(zero_copy_only=False)
    return same


def unique_with(table: pa.Table, key: tuple[str, ...], target: str) -> str | None:
    """One more column, or two, that would make the key unique."""
    others = [
        name
        for name in table.column_names
        if name not in (*key, target) and not table[name].null_count and not _measures(table[name].type)
    ]
    others.sort(key=lambda name: not name.casefold().endswith(("id", "no", "number", "key")))
    for some_ in (*((name,) for name in others), *combinations(others[:12], 2)):
        if table.group_by([*key, *some_]).aggregate([]).num_rows == table.num_rows:
            return ",".join(some_)
    return None


def _measures(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_temporal(kind))
