"""What takes long and is made once for all tests that want it: an embedded installation, a stack it was moved into."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from demo.upstream import deliver
from tests.compose.moved import LAST, Homes, Moved, rehearsed
from tests.compose.team import days


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    folder = tmp_path_factory.mktemp("homes")
    homes = Homes(folder / "var", folder / "early", folder / "landing")
    for day in days(date(2013, 1, 1), LAST):
        deliver(homes.landing, day, ())
    homes.run("2013-01-09")
    shutil.copytree(homes.home, homes.early, symlinks=True)
    return homes


@pytest.fixture(scope="session")
def later(homes: Homes) -> Path:
    """The same installation after two days."""
    homes.run("2013-01-10")
    return homes.home


@pytest.fixture(scope="session")
def moved(tmp_path_factory: pytest.TempPathFactory, homes: Homes) -> Iterator[Moved]:
    """The installation after one day, moved into a stack of which only what is needed runs."""
    stack, known = rehearsed(tmp_path_factory, homes)
    with stack:
        stack.up(services=["airflow-init"])
        yield Moved(stack, known, *stack.once("moving", FROM=str(homes.early)))
