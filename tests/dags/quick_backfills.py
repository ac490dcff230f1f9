"""Imported by the scheduler of the live tests: backfills that have ended are found every other second.

Airflow looks every thirty, a number of its source that no setting changes, and one backfill of a DAG waits for the end
of the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.utils.event_scheduler import EventScheduler

_every = EventScheduler.call_regular_interval


def sooner(self: EventScheduler, delay: float, action: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """As Airflow has it, but for that one look."""
    _every(self, 2.0 if action.__name__ == "_mark_backfills_complete" else delay, action, *args, **kwargs)


EventScheduler.call_regular_interval = sooner  # type: ignore[method-assign]
