"""Lines for a ledger's tests. It imports little: the processes that race begin with it."""

from __future__ import annotations

import dataclasses

from pipeline.core.records import DayOutcome, Entry


def entry(epoch: int, by: str = "the gates", **changes: object) -> Entry:
    made = Entry(
        usecase="small",
        epoch=epoch,
        action="promote" if epoch > 1 else "start",
        version=epoch,
        model=f"m{epoch}",
        recipe="linear",
        trained_through="2020-01-04",
        sha256="ab" * 32,
        replaced=epoch - 1 or None,
        day="2020-01-05",
        verdict="cd" * 32,
        why="better",
        by=by,
        at="2020-01-06T00:00:00+00:00",
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def outcome(day: str, reason: str = "held", **changes: object) -> DayOutcome:
    made = DayOutcome("small", day, "held", 1, "linear", {"champion": 0.3, "baseline": None}, reason)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]
