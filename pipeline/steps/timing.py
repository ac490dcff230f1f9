"""How long champion and candidate take on the same real rows, timed in turn so that a noisy machine hits both.

What is read is the processor time of this process, and every estimator runs on one thread: on a quiet machine that is
what a caller waits for, and what other programs take from the machine does not count.
"""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np

from pipeline.core.evidence import Timing
from pipeline.core.kinds import Floats, Kind
from pipeline.steps.threads import one_thread

#: How often: enough for the latency gate to tell 20 % from nothing on a quiet machine.
SINGLE, BATCH = 100, 20


def timed(kind: Kind, champion: Any, candidate: Any, inputs: Any, seed: int = 0) -> Timing:
    """Time both models in turn, A B B A: one row at a time, and the whole day at once.

    Args:
        kind: Knows how to ask a model for predictions.
        champion: The fitted champion.
        candidate: The fitted candidate.
        inputs: The scored day's inputs, a pandas frame; single rows are drawn from it.
        seed: Draws the rows.
    """
    drawn = np.random.default_rng(seed).integers(0, len(inputs), SINGLE)
    rows = [inputs.iloc[[row]] for row in drawn]
    one_thread()
    for model in (champion, candidate):  # the first call pays for what later calls find ready
        kind.predict(model, rows[0])
        kind.predict(model, inputs)
    collecting = gc.isenabled()
    gc.disable()
    try:
        single = _in_turn(kind, champion, candidate, rows)
        batch = _in_turn(kind, champion, candidate, [inputs] * BATCH)
    finally:
        if collecting:
            gc.enable()
    return Timing(single=single, batch=batch, rows=len(inputs))


def _in_turn(kind: Kind, champion: Any, candidate: Any, asks: list[Any]) -> Floats:
    seconds = np.empty((len(asks), 2))
    for turn, ask in enumerate(asks):
        # A B, then B A: whoever goes second finds the rows warm, so each goes second half of the time.
        sides = [(0, champion), (1, candidate)]
        for column, model in sides if turn % 2 == 0 else reversed(sides):
            began = time.process_time()
            kind.predict(model, ask)
            seconds[turn, column] = time.process_time() - began
    return seconds
