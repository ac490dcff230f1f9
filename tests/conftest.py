"""What all tests share."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With two workers, what starts servers runs in one of them, one after the other: two stacks starve each other."""
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.xdist_group("live"))
