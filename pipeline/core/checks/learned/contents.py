"""What is measured of a reference table's content: by its rows, and by the units that use them.

A row that is never looked up may say what it likes. Airports in daily use are one row in a hundred and 98 % of the
flights, so a column is measured over the rows and once more over the units that find them. A snapshot is also compared,
column by column, with the last accepted one: what one column says of the same key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.measures import BY_ROWS, BY_UNITS, FEW_VALUES, ROWS, SLICE_ROWS, Measured
from pipeline.core.facts import Columns, exact, missing, texts
from pipeline.core.tables import Reference

#: So few keys are still worth comparing with what they said before.
_COMPARED = 5
GONE = f"gone|keys|{BY_ROWS}"
"""The share of keys that the last accepted snapshot had and this one has not."""


def content_measures(
    reference: Reference, columns: Columns, units: Columns, previous: Columns | None
) -> dict[str, tuple[float, int]]:
    """All measures of one day's snapshot.

    Args:
        reference: The declaration.
        columns: The snapshot, by column.
        units: The day of the feed that is joined to it.
        previous: The last accepted snapshot; None if there is none.

    Returns:
        Name to value and number of rows, values or units behind it.
    """
    keys = texts(columns, reference.key)
    place = {key: n for n, key in enumerate(keys.tolist()) if key is not None}
    found: dict[str, tuple[float, int]] = {ROWS: (float(len(keys)), len(keys))}
    if not place:
        return found
    used_keys = texts(units, reference.joined_by[1]).tolist()
    used = np.array([place[key] for key in used_keys if key in place], dtype=np.int64)
    distinct = len(np.unique(used))
    told = [c for c in reference.columns if c.name not in (*reference.key, reference.refreshed)]
    for column in told:
        values, is_number = columns[column.name], column.type in ("number", "integer")
        found.update(_column(column.name, values, is_number, BY_ROWS, len(values)))
        if len(used) >= SLICE_ROWS:
            # Many units say no more than the few rows that they all look up.
            found.update(_column(column.name, values[used], is_number, BY_UNITS, distinct))
    if previous is not None:
        found.update(_changes(reference, told, columns, previous, place, used))
    return found


def _column(name: str, values: NDArray[Any], is_number: bool, over: str, rows: int) -> Measured:
    """One column's measures, which stand on so many rows, less those that are blank."""
    there = ~missing(values)
    n = int(there.sum())
    yield f"filled|{name}|{over}", (float(there.mean()), rows)
    counted = n if over == BY_ROWS else rows
    if n < SLICE_ROWS or not is_number:
        return  # a list's words come and go with its rows; what they say of the same key is compared below
    present = values[there]
    distinct, counts = np.unique(present, return_counts=True)
    yield f"single|{name}|commonest|{over}", (float(counts.max() / n), counted)
    yield f"single|{name}|zero|{over}", (float(np.mean(present == 0)), counted)
    if len(distinct) <= FEW_VALUES:
        return
    low, middle, high = np.quantile(present, (0.1, 0.5, 0.9))
    yield f"level|{name}|median|{over}", (float(middle), counted)
    if over == BY_ROWS:
        yield f"level|{name}|lower tenth|{over}", (float(low), counted)
        yield f"level|{name}|upper tenth|{over}", (float(high), counted)


def _changes(
    reference: Reference,
    told: list[Any],
    columns: Columns,
    previous: Columns,
    place: Mapping[str, int],
    used: NDArray[np.int64],
) -> Measured:
    """The share of rows, and of units, whose row says something else in a column than the last accepted snapshot."""
    before = {key: n for n, key in enumerate(texts(previous, reference.key).tolist()) if key is not None}
    common = [key for key in place if key in before]
    if before:
        yield GONE, (1 - len(common) / len(before), len(before))
    if len(common) < _COMPARED:
        return
    new = np.array([place[key] for key in common])
    old = np.array([before[key] for key in common])
    weight = np.bincount(used, minlength=len(columns[reference.refreshed]))[new]
    for column in told:
        changed = _differ(exact(columns, column.name)[new], exact(previous, column.name)[old])
        yield f"changed|{column.name}|{BY_ROWS}", (float(changed.mean()), len(common))
        if weight.sum() >= SLICE_ROWS:
            yield (
                f"changed|{column.name}|{BY_UNITS}",
                (float((changed * weight).sum() / weight.sum()), int((weight > 0).sum())),
            )


def _differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    blank, was_blank = missing(one), missing(other)
    same = (blank & was_blank) | (~blank & ~was_blank & np.asarray(one == other, dtype=bool))
    return np.asarray(~same, dtype=np.bool_)
