"""An Airflow of these tests' own: its folder, settings and database, before anything imports it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
_HOME = tempfile.TemporaryDirectory(prefix="dag-tests-")

for name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": _HOME.name,
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__API__BASE_URL": "http://airflow.test:8080",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
sys.path[:0] = [path for path in (str(ROOT / "dags"), str(HERE)) if path not in sys.path]


@pytest.fixture(scope="session")
def airflow():
    """Airflow's database, once."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    """The stub steps in the place of the real ones, with a home of their own."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    import loop_stubs

    from pipeline.adapters import world as adapters

    for name, module in loop_stubs.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(adapters, "world", loop_stubs.world)
    from loop import run

    run.world.cache_clear()
    yield loop_stubs
    run.world.cache_clear()
    for name in ("retrain", "operate"):
        sys.modules.pop(name, None)
