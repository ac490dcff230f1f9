"""Units whose key nobody has learnt from: a new aircraft, a new carrier, a new customer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date

import numpy as np

from pipeline.core.evidence import NO_SLICE
from pipeline.core.ports import Store, Units
from pipeline.core.usecase import Usecase
from pipeline.core.windows import training_days


def with_new_keys(
    usecase: Usecase, units: Units, day: date, versions: Mapping[str, int], without: Collection[date], store: Store
) -> Units:
    """The units of the scored day with a slice ``new_<key>=yes`` for each key, and one of those without a value.

    All others are in no slice of it: they are most of the units, and would only take their part of the error allowed.
    New is what no row of the first feed had in the **longest** training window of the use case, whoever sits: so the
    slice is the same units for all contestants, and what only a short memory has forgotten is not called new.

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
    import pyarrow as pa
    import pyarrow.compute as pc

    feed = usecase.feeds[0]
    window = training_days(day, usecase.longest_window)
    rows = store.read(feed.name, versions[feed.name], window, ["day", *usecase.keys])
    rows = rows.filter(pc.invert(pc.is_in(rows["day"], value_set=pa.array(sorted(without), pa.date32()))))
    slices = dict(units.slices)
    for name in usecase.keys:
        seen = [str(value) for value in pc.unique(rows[name]).to_pylist() if value is not None]
        values = units.named[name]
        new = np.where(np.isin(values, np.array(seen, dtype=np.str_)), NO_SLICE, "yes")
        slices[f"new_{name}"] = np.where(values == "", "none", new)
    return replace(units, slices=slices)
