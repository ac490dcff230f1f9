"""The catalogue: one folder per model. A new use case is a folder of its own and one name in ``ALL``."""

from __future__ import annotations

from pipeline.core.usecase import Usecase
from pipeline.usecases.flight_delay import FLIGHT_DELAY
from pipeline.usecases.flight_minutes import FLIGHT_MINUTES

ALL: tuple[Usecase, ...] = (FLIGHT_DELAY, FLIGHT_MINUTES)


def find(name: str) -> Usecase:
    """The use case of that name; ``KeyError`` with a sentence if there is none."""
    for usecase in ALL:
        if usecase.name == name:
            return usecase
    raise KeyError(f"there is no use case '{name}'; there are {', '.join(usecase.name for usecase in ALL)}")
