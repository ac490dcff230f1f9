"""What takes long and is made once for all workers of a session: a folder to copy, never to write into."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name, filled by ``make`` if no worker has done so yet; whoever comes meanwhile waits.

    Args:
        factory: The session's.
        name: One for each thing that is made.
        make: Is given the empty folder. What it returns is not kept, for other workers could not have it.
    """
    base = factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "once"
    shared.mkdir(exist_ok=True)
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made, begun = shared / name, shared / f"{name}.begun"
        if not made.exists():
            shutil.rmtree(begun, ignore_errors=True)  # somebody's who failed at it
            begun.mkdir()
            make(begun)
            begun.rename(made)
    return made
