"""What all tests share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.s3 import Storage


# pytest loads readline, which tells the workers of a window of 80 columns that nobody has.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)


@pytest.fixture(scope="session")
def one_storage() -> Iterator[Storage]:
    """One for all tests of this process; starting it takes longer than most of them."""
    from tests.s3 import storage

    with storage() as running:
        yield running


@pytest.fixture
def storage(one_storage: Storage) -> Iterator[Storage]:
    """S3-compatible storage without faults; a test may plant some."""
    one_storage.mend()
    yield one_storage
    one_storage.mend()


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(autouse=True)
def _no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is piped follows COLUMNS, which is whoever's shell it is that runs the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


#: Who shares servers, by the modules' names; every other live test is one of the embedded stack's.
_SHARED = {
    "team": ("test_live_stack", "test_security_pages", "test_security_secrets", "test_security_services"),
    "moved": ("test_moving", "test_backup"),
    "storage": ("test_live_storage",),
}
#: In this order tests begin, the longest first, so that no worker is left alone with a long one.
_ORDER = ("team", "live", "moved", "storage", "onboarding", "replaying", "steps", "usecases", "cli", "adapters")


def _group(item: pytest.Item) -> str:
    name = item.path.stem
    return next((group for group, modules in _SHARED.items() if name in modules), "live")


def _rank(item: pytest.Item) -> int:
    names = {marker.args[0] for marker in item.iter_markers("xdist_group")} or {*item.path.parent.parts}
    return next((rank for rank, name in enumerate(_ORDER) if name in names), len(_ORDER))


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares servers runs one after the other, in one worker."""
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.xdist_group(_group(item)))
            # The days of the team's stack are walked by whichever test asks for them first: a quarter of an hour.
            item.add_marker(pytest.mark.timeout(1800 if _group(item) == "team" else 900))
    items.sort(key=_rank)
