"""What a measure is.

A measure is one number with a name of parts, ``filled|arr_delay|carrier=UA``: its kind, then of what, then in which
slice. Measures are structural: how much is there, how much is blank, how much lies on one value, what one slice says
against the others, what two columns say to each other. What the weather or the market does to all of a column's values
at once is left to the models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

#: A measure's value, and on how many rows or values it stands.
Measures = Mapping[str, tuple[float, int]]
#: Measures one by one, as they are made.
Measured = Iterator[tuple[str, tuple[float, int]]]

ROWS = "rows|all"
"""The measure of how many rows there are."""

BY_ROWS, BY_UNITS = "@rows", "@units"
"""The last part of a measure of a list: over its rows, or over the units that look them up. No column is called so."""

SLICE_ROWS = 20
"""Slices of fewer rows on a day say too little."""

SELDOM = 0.005
"""The share of a word is measured from so large a part of the day on."""

FEW_VALUES = 20
"""A column of no more values than these has no quantiles to speak of; how much lies on each is measured."""

MANY_WORDS = 30
"""A column of more words than these names things that come and go; their own numbers are their own affair."""

MOST_IN_SLICES = 40
"""At most so many numbers are measured in each slice, the first ones declared: a table may have hundreds."""

MOST_COMPARED = 12
"""At most so many columns are compared with each other."""


def ranks_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 on, ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: NDArray[np.float64] = ends - (counts - 1) / 2
    return means[place]
