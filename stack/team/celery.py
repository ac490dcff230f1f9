"""Celery's settings: Airflow's own, in workers that have loaded once what every task needs."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

from stack.settings import PRELOAD

CONFIG: dict[str, Any] = {
    **DEFAULT_CELERY_CONFIG,
    # Nothing reads them a day later; Airflow itself keeps what became of each task.
    "result_expires": 86400,
}

if "worker" in sys.argv:
    # The pool's processes are forked from this one, and each task from them: nobody pays for these imports again.
    for module in PRELOAD:
        importlib.import_module(module)
