"""Columns that may know the future. Nothing proves a leak; these are left out until a person says they are none.

A column is suspected if it alone ranks the target nearly perfectly: a tree of a few leaves on that one column, grown on
the older days, is asked about the newer ones. Or if it is missing exactly where the target is, lies after the moment
of its row, or is called like the target.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.words import percent
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target

#: From which share of rightly ordered pairs (AUC), or which rank correlation, on a column alone is too good to be true.
TOO_GOOD = 0.975
#: The share of a column's moments that may lie after their row's own.
_AFTER = 0.01
#: Rows that are enough to tell; more cost time only.
_ENOUGH = 50_000
_LEAVES = 16

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What is known of a column.

    Attributes:
        strength: How well it alone ranks the target on the newer days: the share of pairs that it orders rightly for
            classes (0.5 is chance), the rank correlation for numbers (0 is chance).
        why: Why it may be a leak; empty if nothing speaks for it.
    """

    strength: float
    why: str = ""


def suspicions(history: History, target: Target, names: Sequence[str]) -> Mapping[str, Suspicion]:
    """Look at each column by itself."""
    older, newer = (_some(np.flatnonzero(part & target.labelled)) for part in (~history.newer, history.newer))
    telling = _telling(target.column, names, history.unit)
    found: dict[str, Suspicion] = {}
    for name in names:
        cells = history.rows[name].combine_chunks()
        coded = coded_by(cells, history, target.values, older)
        strength = alone(coded, target, older, newer)
        why = (
            _too_late(cells, history)
            or missing_together(cells, target)
            or _too_good(strength, target)
            or _named_like(name, target.column, telling)
        )
        found[name] = Suspicion(strength, why)
    return found


def _some(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return rows[:: max(1, -(-len(rows) // _ENOUGH))]


def coded_by(cells: pa.Array, history: History, values: Floats, learn: NDArray[np.intp]) -> Floats:
    """The column as numbers: a word by the mean of the target over the rows to ``learn`` from, a time by its age."""
    if pa.types.is_temporal(cells.type):
        return age(cells, history)
    if not pa.types.is_string(cells.type):
        return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    places = cells.dictionary_encode()
    codes = np.asarray(pc.fill_null(places.indices, len(places.dictionary)).to_numpy(zero_copy_only=False), np.int64)
    size = len(places.dictionary) + 1
    n = np.bincount(codes[learn], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(codes[learn], values[learn], minlength=size) / n
    return np.asarray(means[codes], dtype=np.float64)


def age(cells: pa.Array, history: History) -> Floats:
    """Days from the column's moment to the row's; NaN where there is none."""
    own = history.rows[history.time or history.day].combine_chunks()
    micro = [part.cast(pa.timestamp("us")).cast(pa.int64()) for part in (own, cells)]
    there, then = (np.asarray(part.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64) for part in micro)
    return np.asarray((there - then) / 86_400e6, dtype=np.float64)


def alone(coded: Floats, target: Target, older: NDArray[np.intp], newer: NDArray[np.intp]) -> float:
    """How well a tree of a few leaves on this one column, grown on the older rows, ranks the newer ones."""
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    x, y = coded.reshape(-1, 1), target.values
    shape: dict[str, Any] = {
        "max_leaf_nodes": _LEAVES,
        "min_samples_leaf": max(5, len(older) // 500),
        "random_state": 0,
    }
    if target.kind == "regression":
        # Ranks as the target: an outlier decides nothing.
        ranks = np.argsort(np.argsort(y[older], kind="stable"), kind="stable")
        predicted = DecisionTreeRegressor(**{**shape, "max_leaf_nodes": 64}).fit(x[older], ranks).predict(x[newer])
        if len(set(predicted.tolist())) < 2:
            return 0.0
        return float(abs(spearmanr(predicted, y[newer]).statistic))
    tree = DecisionTreeClassifier(**shape).fit(x[older], y[older])
    shares = tree.predict_proba(x[newer])
    areas, weights = [], []
    for place, label in enumerate(tree.classes_):
        hit = y[newer] == label
        if 0 < hit.sum() < len(hit):
            areas.append(float(roc_auc_score(hit, shares[:, place])))
            weights.append(int(hit.sum()))
    return float(np.average(areas, weights=weights)) if areas else 0.5


def _too_good(strength: float, target: Target) -> str:
    if strength < TOO_GOOD:
        return ""
    if target.kind == "regression":
        return f"alone it ranks '{target.column}' nearly perfectly on newer days (rank correlation {strength:.3f})"
    return f"alone it tells '{target.column}' nearly perfectly on newer days (orders {percent(strength)} of the pairs)"


def missing_together(cells: pa.Array, target: Target) -> str:
    """Why a column seems to be written down with the target; empty if nothing speaks for it."""
    absent = cells.is_null().to_numpy(zero_copy_only=False)
    without = ~target.labelled
    if without.sum() < 5 or absent[without].mean() < 0.99 or absent[~without].mean() > 0.01:
        return ""
    return f"it is missing exactly where '{target.column}' is, so it seems to be written down with it"


def _too_late(cells: pa.Array, history: History) -> str:
    if not pa.types.is_temporal(cells.type):
        return ""
    # A row that has a date only is of the whole day.
    late = age(cells, history) < (0.0 if history.time else -1.0 if pa.types.is_timestamp(cells.type) else 0.0)
    there = len(cells) - cells.null_count
    share = float(late.sum()) / max(there, 1)
    if share <= _AFTER:
        return ""
    return f"{percent(share)} of its times lie after '{history.time or history.day}' of their own row"


def _telling(target: str, names: Sequence[str], unit: Sequence[str]) -> set[str]:
    """The stems of the target's name that are no general ones, such as the "customer" of many columns."""
    usual = {_stem(word) for name in unit for word in _words(name)}
    held = Counter(stem for name in names for stem in {_stem(word) for word in _words(name)})
    stems = {_stem(word) for word in _words(target)}
    return {stem for stem in stems if len(stem) >= 4 and stem not in usual and held[stem] < 3}


def _named_like(name: str, target: str, telling: set[str]) -> str:
    shared = telling & {_stem(word) for word in _words(name)}
    return f"it is called like the target '{target}'" if shared else ""


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).casefold())


def _stem(word: str) -> str:
    for end in ("ations", "ation", "ments", "ment", "ings", "ing", "ers", "er", "ed", "es", "s", "d", "e"):
        if word.endswith(end) and len(word) - len(end) >= 4:
            return word.removesuffix(end)
    return word
