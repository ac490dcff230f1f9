"""Families of measures, and the limit that each has learned for its largest surprise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from pipeline.core.checks.learned.surprise import Surprise

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "volume": ("rows", "share", "clock"),
    "blanks": ("filled", "with"),
    "single values": ("single",),
    "outcomes": ("happened", "versus"),
    "levels": ("level", "worth"),
    "slices": ("against",),
    "relations": ("order", "apart", "ratio", "settles"),
    "associations": ("tied", "hints", "explains"),
    "tails": ("tail",),
    "said before": ("resent",),
    "sequences": ("still", "step"),
    "own past": ("came", "own", "astray"),
    "slow shifts": ("slow",),
    "rewritten content": ("changed", "gone"),
}
"""Family to the kinds of measures in it."""

_FAMILY_OF = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
#: The chance that a sound day is beyond the wide limit, and beyond the narrow one, for each family of a table.
_WIDE, _NARROW = 2e-4, 5e-3
#: The least that the limits may be, in surprises.
_LEAST_WIDE, _LEAST_NARROW = 6.0, 4.0
#: From how many days on a day in twenty may be left out.
_SCORES_OF = 14


def family_of(measure: str) -> str:
    """The family that a measure belongs to."""
    return _FAMILY_OF[measure.split("|", 1)[0]]


def by_family(found: Sequence[Surprise]) -> dict[str, list[Surprise]]:
    """Family to its surprises, the largest first."""
    families: dict[str, list[Surprise]] = {family: [] for family in FAMILIES}
    for one in sorted(found, key=lambda s: -abs(s.size)):
        families[family_of(one.measure)].append(one)
    return families


def limits(earlier: Sequence[float]) -> tuple[float, float]:
    """The narrow and the wide limit for a family's largest surprise, from those of the accepted days.

    Their logarithms are taken as normal with unknown mean and spread, so a limit is Student's prediction limit for one
    more day: it is wide while few days are known. (Hahn & Meeker, Statistical Intervals, 1991, section 4.8.)
    """
    n = len(earlier)
    if n < 3:
        return 2 * _LEAST_WIDE, 3 * _LEAST_WIDE
    logs = np.log(np.maximum(np.asarray(earlier, dtype=float), 1.0))
    sd = max(float(logs.std(ddof=1)), 0.15)
    width = sd * math.sqrt(1 + 1 / n)
    narrow, wide = (float(np.exp(logs.mean() + stats.t.ppf(1 - chance, n - 1) * width)) for chance in (_NARROW, _WIDE))
    return max(min(narrow, 1e6), _LEAST_NARROW), max(min(wide, 1e6), _LEAST_WIDE)


def without_lone(earlier: Sequence[float]) -> list[float]:
    """The surprises without the largest ones, one of each score of days: a holiday by itself.

    What a single odd day brings is allowed to a single day; two in a row are held to what ordinary days bring.
    """
    lone = -(-len(earlier) // 20) if len(earlier) >= _SCORES_OF else 0
    return sorted(earlier)[: len(earlier) - lone]
