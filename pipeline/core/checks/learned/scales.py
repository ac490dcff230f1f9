"""On which scale a kind of measure is compared, and how far chance alone would move it there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHARES = (
    "share",
    "filled",
    "with",
    "single",
    "changed",
    "gone",
    "happened",
    "settles",
    "explains",
    "hints",
    "worth",
    "resent",
    "still",
    "came",
    "astray",
)
"""The kinds that are shares, from 0 to 1."""

OF_THINGS = ("came", "astray")
"""Those of them that are shares of things, not of rows."""

ORDERED = ("order", "tied", "own")
"""The kinds that are rank correlations, from -1 to 1."""

Kinds = NDArray[np.str_]


def scaled(kinds: Kinds, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scale on which equal distances are equally odd: logarithm, arcsine of the root, Fisher's z, or as it is."""
    share = np.isin(kinds, SHARES)
    result = values.copy()
    result[:, share] = np.arcsin(np.sqrt(np.clip(values[:, share], 0, 1)))
    result[:, kinds == "rows"] = np.log(np.maximum(values[:, kinds == "rows"], 0.5))
    ordered = np.isin(kinds, ORDERED)
    result[:, ordered] = np.arctanh(np.clip(values[:, ordered], -0.9995, 0.9995))
    return result


def plain(kinds: Kinds, on_scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Back from the scale to what people read."""
    share = np.isin(kinds, SHARES)
    result = on_scale.copy()
    result[share] = np.sin(np.clip(on_scale[share], 0, np.pi / 2)) ** 2
    result[kinds == "rows"] = np.exp(on_scale[kinds == "rows"])
    ordered = np.isin(kinds, ORDERED)
    result[ordered] = np.tanh(on_scale[ordered])
    return result


def noise_of(kinds: Kinds, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviation that chance alone would give, on the scale; 0 where only the past can tell."""
    root = 1 / np.sqrt(np.maximum(counts, 1))
    noise = np.where(np.isin(kinds, SHARES), 0.5 * root, 0.0)
    noise = np.where(kinds == "rows", root, noise)
    noise = np.where(kinds == "versus", 0.5 * root, noise)
    # The logarithm of two medians of distances, one over the other.
    noise = np.where(kinds == "step", 1.2 * root, noise)
    # The mean of ranks from -0.5 to 0.5, were they dealt by chance.
    noise = np.where(kinds == "against", 0.29 * root, noise)
    return np.where(np.isin(kinds, ORDERED), 1 / np.sqrt(np.maximum(counts - 3, 1)), noise)
