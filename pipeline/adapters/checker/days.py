"""Asking expectations of many days at once: most of their cost is in the asking, hardly any in the rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

Expectation = Mapping[str, Any]

#: Of these, a row is judged by other rows, too.
_BY_OTHERS = ("unique", "distinct", "increasing", "decreasing", "z_scores")


def split(expectations: Sequence[Expectation]) -> tuple[list[Expectation], list[Expectation]]:
    """Those that judge each row by itself, and the others, which judge a table."""
    by_row = [expectation for expectation in expectations if _judges_rows(expectation)]
    return by_row, [expectation for expectation in expectations if expectation not in by_row]


def _judges_rows(expectation: Expectation) -> bool:
    kind, kwargs = expectation["type"], expectation["kwargs"]
    if "_values_" not in kind or "row_condition" in kwargs or any(word in kind for word in _BY_OTHERS):
        return False
    # Which rows count of a pair is known here for this one policy only.
    return "column" in kwargs or kwargs.get("ignore_row_if") == "either_value_is_missing"


def days_held(
    parts: Sequence[tuple[Expectation, Any]], frames: Sequence[Any], days: Sequence[date]
) -> dict[date, tuple[int, int]]:
    """Tell the result of all days' rows apart by day.

    Args:
        parts: Each expectation and its complete result over the rows of all days, one day after the other.
        frames: The rows of each day.
        days: The days.

    Returns:
        The days on which every expectation holds: how many do, how many had no value to judge and may have none.
    """
    number = np.repeat(np.arange(len(days)), [len(frame) for frame in frames])
    holding, blank = np.zeros(len(days), dtype=int), np.zeros(len(days), dtype=int)
    for expectation, part in parts:
        counted = _counted(expectation, frames)
        # An exception has no result, and holds on no day.
        bad = np.zeros(len(days), dtype=int) if "unexpected_count" in part.result else counted + 1
        at = np.asarray(part.result.get("unexpected_index_list") or [], dtype=int)
        bad += np.bincount(number[at], minlength=len(days))
        with np.errstate(invalid="ignore", divide="ignore"):
            good = (counted - bad) / counted >= expectation["kwargs"].get("mostly", 1)
        holding += good
        blank += (counted == 0) & (bad == 0) & bool((expectation.get("meta") or {}).get("may_be_empty"))
    fine = holding + blank == len(parts)
    return {day: (int(holding[n]), int(blank[n])) for n, day in enumerate(days) if fine[n]}


def _counted(expectation: Expectation, frames: Sequence[Any]) -> NDArray[np.int64]:
    """How many rows of each day the expectation judges: those that have a value, unless it is about having one."""
    kwargs = expectation["kwargs"]
    names = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    if "null" in expectation["type"]:
        return np.array([len(frame) for frame in frames])
    return np.array(
        [int(frame[names].notna().all(axis=1).sum()) if set(names) <= set(frame.columns) else 0 for frame in frames]
    )


def sameness(expectations: Sequence[Expectation], frame: Any) -> str:
    """A digest of all that these expectations look at: frames that agree in it get the same answers."""
    import pandas as pd

    names = {name for expectation in expectations for name in _columns(expectation["kwargs"])}
    if any("row_condition" in expectation["kwargs"] for expectation in expectations):
        names = set(frame.columns)
    hasher = hashlib.sha256(json.dumps([len(frame), list(frame.columns)]).encode())
    for name in sorted(names & set(frame.columns)):
        hasher.update(json.dumps([name, str(frame[name].dtype)]).encode())
        hasher.update(pd.util.hash_pandas_object(frame[name], index=False).to_numpy().tobytes())
    return hasher.hexdigest()


def _columns(kwargs: Mapping[str, Any]) -> list[str]:
    single = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    return [*single, *kwargs.get("column_list", ())]
