"""Celery's settings: Airflow's own, in workers that have loaded once what every task needs.

And results that nobody unpickles: Celery keeps them in its database as pickles, which workers write and the scheduler
reads, so that whoever has taken over a worker would have the scheduler, with Airflow's database and its keys, as well.
Here they are JSON; what is none reads as no result at all.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.backends.database.models import Task, TaskSet

from stack.settings import PRELOAD

CONFIG: dict[str, Any] = dict(DEFAULT_CELERY_CONFIG)


class JsonResults:
    """Stands where SQLAlchemy's column of pickles has the module `pickle`."""

    @staticmethod
    def dumps(value: Any, protocol: int | None = None) -> bytes:
        """What a task gave back, as bytes; Celery has made plain values of it before."""
        return json.dumps(value, default=str).encode()

    @staticmethod
    def loads(data: bytes) -> Any:
        """The value; None for what is no JSON: a result is for the log, what became of a task Airflow knows itself."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None


for table in (Task, TaskSet):
    # Before the first result is read or written: the executor imports these settings with its own module.
    table.__table__.c.result.type.pickler = JsonResults()

if "worker" in sys.argv:
    # skops, when imported, asks every loaded module for a few hundred names; Airflow's warn of each.
    warnings.filterwarnings("ignore", message=r"The `airflow\.")
    # The pool's processes are forked from this one, and each task from them: nobody pays for these imports again.
    for module in PRELOAD:
        importlib.import_module(module)
