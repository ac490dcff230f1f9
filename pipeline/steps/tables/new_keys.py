"""Units whose key nobody has learnt from: a new aircraft, a new carrier, a new customer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence.candidate import NO_SLICE
from pipeline.core.kinds import Bools
from pipeline.core.ports import Rows, Store, Units
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days, training_days


def with_new_keys(
    usecase: Usecase, units: Units, day: date, versions: Mapping[str, int], without: Collection[date], store: Store
) -> Units:
    """The units of the scored day with a slice ``new_<key>=yes`` for each key, and one of those without a value.

    All others are in no slice of it: they are most of the units, and would only take their part of the error allowed.
    New is what no row of the first feed had in the **longest** training window of the use case, whoever is scored: so
    the slice is the same units for all contestants, and what only a short memory has forgotten is not called new.

    Args:
        usecase: Names the keys.
        units: Of the scored day.
        day: The scored day.
        versions: The pinned versions.
        without: Refused days, from which nobody learnt.
        store: Holds the first feed.
    """
    if not usecase.keys:
        return units
    window = training_days(day, usecase.longest_window)
    rows = _rows(usecase, window, versions, without, store)
    slices = dict(units.slices)
    for name in usecase.keys:
        seen = [str(value) for value in rows[name].unique().to_pylist() if value is not None]
        slices[f"new_{name}"] = _slice(units.named[name], np.isin(units.named[name], np.array(seen, dtype=np.str_)))
    return replace(units, slices=slices)


def with_new_keys_daily(
    usecase: Usecase, units: Units, days: Days, versions: Mapping[str, int], without: Collection[date], store: Store
) -> Units:
    """The same for the units of many days, each as of its own day.

    Args:
        usecase: Names the keys.
        units: Of ``days``, in order of the day.
        days: Of the units; of what lies before them nothing is read.
        versions: The pinned versions.
        without: Refused days.
        store: Holds the first feed.
    """
    if not usecase.keys:
        return units
    rows = _rows(usecase, days, versions, without, store)
    feed_day = (rows["day"].to_numpy().astype("datetime64[D]") - np.datetime64(days.first)).astype(np.int64)
    unit_day = (units.days - np.datetime64(days.first)).astype(np.int64)
    slices = dict(units.slices)
    for name in usecase.keys:
        values_on_day: dict[int, set[str]] = {}
        for day, value in zip(feed_day.tolist(), rows[name].to_pylist(), strict=True):
            if value is not None:
                values_on_day.setdefault(day, set()).add(str(value))
        last_seen: dict[str, int] = {}
        known = np.zeros(len(units), dtype=np.bool_)
        values = units.named[name]
        for day, (begin, end) in enumerate(pairwise(np.searchsorted(unit_day, np.arange(len(days) + 1)).tolist())):
            oldest = day - usecase.longest_window
            known[begin:end] = [last_seen.get(value, oldest - 1) >= oldest for value in values[begin:end].tolist()]
            last_seen.update(dict.fromkeys(values_on_day.get(day, ()), day))
        slices[f"new_{name}"] = _slice(values, known)
    return replace(units, slices=slices)


def _rows(usecase: Usecase, days: Days, versions: Mapping[str, int], without: Collection[date], store: Store) -> Rows:
    import pyarrow as pa
    import pyarrow.compute as pc

    feed = usecase.feeds[0]
    rows = store.read(feed.name, versions[feed.name], days, ["day", *usecase.keys])
    return rows.filter(pc.invert(pc.is_in(rows["day"], value_set=pa.array(sorted(without), pa.date32()))))


def _slice(values: NDArray[np.str_], known: Bools) -> NDArray[np.str_]:
    return np.where(values == "", "none", np.where(known, NO_SLICE, "yes"))
