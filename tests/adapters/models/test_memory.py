"""Memory of models: measured in processes of their own, which end with whoever asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from pipeline.adapters.models import memory
from pipeline.adapters.models.skops_models import SkopsModels
from tests.fakes import MemoryFiles

INPUTS = pd.DataFrame(
    {"size": np.linspace(0, 1, 3000), "shop": pd.Series(["north", "south", None] * 1000, dtype="str")}
)


@cache
def file(trees: int = 0) -> bytes:
    """The file of a model on the frame's numbers; its words are left out by the first step."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    last = RandomForestClassifier(trees, random_state=0, n_jobs=1) if trees else LogisticRegression()
    labels = np.random.default_rng(0).random(3000) < INPUTS["size"]
    made = make_pipeline(make_column_transformer(("passthrough", ["size"])), last).fit(INPUTS, labels)
    files = MemoryFiles()
    name, _ = SkopsModels(files).save("models", made)
    return files.kept[name]


def weigh(*models: bytes) -> Any:
    return SkopsModels(MemoryFiles()).peak_memory(models, INPUTS)


def test_a_larger_model_needs_more_memory_and_one_that_can_not_be_opened_is_unknown() -> None:
    small, torn, large = weigh(file(), b"torn", file(150))
    assert np.isnan(torn)
    # Libraries and all, within what such a process can take; the forest's nodes come on top.
    assert 60e6 < small < 600e6
    assert large > small + 2e6


def test_what_takes_too_long_or_can_not_be_started_is_unknown_and_said_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(memory, "PATIENCE", 0.01)
        assert np.isnan(weigh(file())).all()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/nowhere/python")
        assert np.isnan(weigh(file(), file())).all()
    assert [message[:35] for message in caplog.messages] == ["the models' memory can't be measured"[:35]] * 2


def test_nothing_of_our_environment_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run(*_: Any, **how: Any) -> Any:
        seen.update(how["env"])
        raise OSError("seen")

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setattr(subprocess, "run", run)
    weigh(file())
    assert "hush" not in seen.values()
    assert seen["OMP_NUM_THREADS"] == "1"


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def wait_for(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return True


ASK = """
import sys
from pipeline.adapters.models import memory
import pandas as pd
memory.weighed([b"x" * 9] * 100_000, pd.DataFrame({"x": [1.0]}))
"""


def test_the_processes_end_with_the_one_that_asked_however_it_ends() -> None:
    asking = subprocess.Popen([sys.executable, "-c", ASK])
    try:
        child = wait_for(lambda: children(asking.pid))[0]
        wait_for(lambda: children(child))
        os.kill(asking.pid, signal.SIGKILL)
        asking.wait()
        wait_for(lambda: gone(child))
    finally:
        asking.kill()
