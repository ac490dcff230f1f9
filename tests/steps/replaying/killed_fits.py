"""Makes the small use case's fits in a process that a test kills; its arguments: the home, and how many workers."""

from __future__ import annotations

import dataclasses
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.core.usecase import Recipe
from pipeline.core.windows import Days
from tests import small


def slow(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    time.sleep(0.05)  # so that whoever kills has time to
    return LogisticRegression(random_state=seed)


USECASE = dataclasses.replace(small.SMALL, recipes=(Recipe("slow", slow, window=5, at_least=2), *small.SMALL.recipes))
STRETCH = Days(small.FIRST + timedelta(2), small.FIRST + timedelta(27))

if __name__ == "__main__":
    from pipeline.steps.replay import replay

    replay(USECASE, STRETCH, small.world_in(Path(sys.argv[1])), workers=int(sys.argv[2]))
