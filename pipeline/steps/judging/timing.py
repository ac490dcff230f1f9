"""How long champion and candidate take on the same real rows, timed in turn so that a noisy machine hits both.

One request is timed from plain values, as a service receives them, to the prediction: the frame of one row is built,
the model is asked. Not in it are the transport, and the features, which cost either model the same.

What is read is the processor time of this process, and every estimator runs on one thread: on a quiet machine that is
what a caller waits for, and what other programs take from the machine does not count.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.core.evidence.measurements import Timing
from pipeline.core.gates.latency import TAIL
from pipeline.core.kinds import Floats, Kind
from pipeline.steps.models.frames import frame_of, plain
from pipeline.steps.models.threads import one_thread

#: How often: the fewest requests of which one in a hundred can be spoken of; for batches, enough to tell 20 % from
#: nothing on a quiet machine.
SINGLE, BATCH = TAIL, 20


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
    rows = [plain(inputs, int(row)) for row in drawn]
    one_thread()

    def request(model: Any, row: Any) -> None:
        kind.predict(model, frame_of([row], inputs))

    for model in (champion, candidate):  # the first call pays for what later calls find ready
        request(model, rows[0])
        kind.predict(model, inputs)
    collecting = gc.isenabled()
    gc.disable()
    try:
        single = _in_turn(request, champion, candidate, rows)
        batch = _in_turn(kind.predict, champion, candidate, [inputs] * BATCH)
    finally:
        if collecting:
            gc.enable()
    return Timing(single=single, batch=batch, rows=len(inputs))


def _in_turn(ask_of: Callable[[Any, Any], Any], champion: Any, candidate: Any, asks: list[Any]) -> Floats:
    seconds = np.empty((len(asks), 2))
    for turn, ask in enumerate(asks):
        # A B, then B A: whoever goes second finds the rows warm, so each goes second half of the time.
        sides = [(0, champion), (1, candidate)]
        for column, model in sides if turn % 2 == 0 else reversed(sides):
            began = time.process_time()
            ask_of(model, ask)
            seconds[turn, column] = time.process_time() - began
    return seconds
