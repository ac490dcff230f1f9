"""The number of threads that the environment allows changes no bit of a fit or a prediction."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.core.usecase import Recipe
from tests import small

ROOT = Path(__file__).parents[3]
DAY = small.days(8)[-1]


def _wide(seed: int) -> Any:
    """Linear algebra large enough for OpenBLAS to share it out among threads, on small data."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Nystroem(gamma=5.0, n_components=150, random_state=seed), LogisticRegression(max_iter=30))


def _boosted(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=20, random_state=seed)


WIDE = dataclasses.replace(
    small.SMALL,
    recipes=(Recipe("wide", _wide, window=9, at_least=2), Recipe("boosted", _boosted, window=9, at_least=2)),
)


def train_and_predict(home: Path) -> None:
    """Print, for each contestant of the day, the digest of its model and its predictions to the last bit."""
    from pipeline.steps.tables.score_ledger import table

    world = small.world_in(home)
    made: Any = None
    for _, step in small.steps_of(WIDE, DAY, world)[:4]:
        made = step(made)
    rows = world.store.read(table(WIDE.name), made.ledger).to_pylist()
    fits = {candidate["recipe"]: candidate["sha256"] for candidate in made.trained["candidates"]}
    print(json.dumps([fits, [(row["contestant"], row["unit"], row["prediction"].hex()) for row in rows]]))


def _with_threads(home: Path, threads: int) -> Any:
    for day in small.days(8):
        small.deliver(home / "landing", day)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from tests.steps.models.test_threads import train_and_predict; "
            f"train_and_predict(Path({str(home)!r}))",
        ],
        cwd=ROOT,
        env=os.environ | dict.fromkeys(names, str(threads)),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return json.loads(said.stdout)


def test_a_day_is_trained_and_predicted_to_the_same_bits_whatever_number_of_threads_is_allowed(tmp_path: Path) -> None:
    fits, predictions = _with_threads(tmp_path / "one", 1)
    assert set(fits) == {"wide", "boosted", "constant"}
    assert len({bits for who, _, bits in predictions if who == "wide"}) > 20
    for threads in (2, 5):
        assert _with_threads(tmp_path / str(threads), threads) == [fits, predictions]
