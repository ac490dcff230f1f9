"""Timing: the processor's time, in turn."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.kinds import Regression
from pipeline.steps.judging import timing


class Worker:
    """Waits, or works, for a while."""

    def __init__(self, name: str, calls: list[str], waits: float = 0, works: float = 0) -> None:
        self.name, self.calls, self.waits, self.works = name, calls, waits, works

    def predict(self, inputs: Any) -> Any:
        self.calls.append(self.name)
        time.sleep(self.waits)
        until = time.process_time() + self.works
        while time.process_time() < until:
            pass
        return np.zeros(len(inputs))


def test_what_a_model_works_counts_and_what_it_waits_for_the_machine_does_not() -> None:
    calls: list[str] = []
    champion, candidate = Worker("A", calls, waits=0.004, works=0.001), Worker("B", calls, works=0.003)
    found = timing.timed(Regression("minutes", 15, 10), champion, candidate, pd.DataFrame({"x": range(5)}))
    for seconds in (found.single, found.batch):
        assert (seconds[:, 0] >= 0.001).all()
        assert (seconds[:, 1] >= 0.003).all()
        assert np.median(seconds[:, 0]) < 0.003
    assert "".join(calls[4:]) == "ABBA" * ((timing.SINGLE + timing.BATCH) // 2)  # after two calls of each to warm up
