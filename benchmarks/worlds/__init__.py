"""Sound businesses and silent faults that were invented without a look at the checks, for ``benchmarks.sound_days``.

A business is a module: ``BUSINESS`` (its tables, declared with default limits, and each day's rows, the same for the
same date), ``FAULTS`` and ``TOUCHED``. ``flights`` holds further faults of the demonstration's upstream.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = ("grocer", "web", "energy", "hospital", "parcels", "coldrooms", "calls", "subscriptions")
UPSTREAM = (
    *("bikes", "cards", "hotel", "factory", "shuttle", "ads", "pharmacy", "milk", "loans", "waste"),
    *("claims", "cinema", "water", "baggage"),
)
"""Businesses of three engineers who had not seen the checks, in the folder ``upstream``."""


def of(name: str) -> ModuleType:
    """The business of that name."""
    return import_module(f"benchmarks.worlds.{'upstream.' if name in UPSTREAM else ''}{name}")
