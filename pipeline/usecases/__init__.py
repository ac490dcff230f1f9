"""The catalogue: one folder per model.

A new use case is a folder of its own, its name in ``NAMES``, and a suite for each of its tables in
``expectations/<name>/<table>.json``. ``nycflights`` is none: it holds what both use cases of flights share.
"""

from __future__ import annotations

from pipeline.core.usecase import Usecase
from pipeline.usecases.loading import load

NAMES = ("flight_delay", "flight_minutes")

#: Those whose declaration holds, and for each other name the sentence that says why not.
ALL, BROKEN = load(NAMES)


def find(name: str) -> Usecase:
    """The use case of that name; ``KeyError`` with a sentence if there is none, or its declaration is broken."""
    for usecase in ALL:
        if usecase.name == name:
            return usecase
    if name in BROKEN:
        raise KeyError(BROKEN[name])
    raise KeyError(f"there is no use case '{name}'; there are {', '.join(usecase.name for usecase in ALL) or 'none'}")
