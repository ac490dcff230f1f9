"""How the long parts of a profile are written: a day reads 42 of them, so numbers are bytes, exact and read at once."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.core.checks.learned.measures import Measures

_DIGEST = 16
"""The letters of one row's digest in a sketch."""
_VALUES, _WHOLE = "d", "Q"
"""Doubles, and whole numbers below 2**64, as :mod:`struct` calls them."""


def packed_measures(measures: Measures) -> dict[str, Any]:
    """The names, values and counts of measures, side by side; the inverse of :func:`unpacked_measures`."""
    return {
        "name": list(measures),
        "value": _packed(_VALUES, (value for value, _ in measures.values())),
        "n": _packed(_WHOLE, (n for _, n in measures.values())),
    }


def unpacked_measures(saved: Mapping[str, Any]) -> Measures:
    """Read back what :func:`packed_measures` wrote."""
    numbers = zip(_unpacked(_VALUES, saved["value"]), _unpacked(_WHOLE, saved["n"]), strict=True)
    return dict(zip(saved["name"], numbers, strict=True))


def packed_digests(digests: Sequence[int]) -> str:
    """Whole numbers below 2**64 as one string; the inverse of :func:`unpacked_digests`."""
    return _packed(_WHOLE, digests)


def unpacked_digests(saved: str) -> tuple[int, ...]:
    """Read back what :func:`packed_digests` wrote."""
    return _unpacked(_WHOLE, saved)


def unpacked_sketch(saved: str) -> tuple[str, ...]:
    """Row digests of equal length that were written without anything between them."""
    return tuple(saved[start : start + _DIGEST] for start in range(0, len(saved), _DIGEST))


def _packed(kind: str, numbers: Iterable[float]) -> str:
    values = list(numbers)
    return base64.b64encode(struct.pack(f">{len(values)}{kind}", *values)).decode()


def _unpacked(kind: str, saved: str) -> tuple[Any, ...]:
    data = base64.b64decode(saved)
    return struct.unpack(f">{len(data) // 8}{kind}", data)
