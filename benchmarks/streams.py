"""The field's standard drift streams, as days of units: what policies are tried on beside the flights.

River's generators (Montiel et al., JMLR 22, 2021): SEA (Street & Kim, KDD 2001) and Agrawal (Agrawal et al., IEEE TKDE
5, 1993) change their concept of a sudden, the rotating hyperplane (Hulten et al., KDD 2001) day by day. ``still`` never
changes: whatever is promoted there is promoted by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.kinds import Binary
from pipeline.core.ports import Units
from pipeline.core.usecase import Recipe
from pipeline.core.windows import Days
from pipeline.steps.replaying.fit_maker import FitMaker

#: Days of a stream, and units a day; the first ``LEARN`` days are learnt from only.
DAYS, A_DAY, LEARN = 360, 300, 60
FIRST = date(2020, 1, 1)


def sea() -> Iterator[tuple[dict[str, float], float]]:
    """Four concepts, each for a quarter of the days; one label in ten is wrong."""
    from river.datasets import synth

    part = DAYS * A_DAY // 4
    for seed, variant in enumerate((0, 1, 2, 3)):
        yield from islice(synth.SEA(variant=variant, noise=0.1, seed=seed), part)


def hyperplane() -> Iterator[tuple[dict[str, float], float]]:
    """A plane that turns a little with every unit, in half of its ten directions."""
    from river.datasets import synth

    return iter(synth.Hyperplane(seed=1, n_features=10, n_drift_features=5, mag_change=0.0005, noise_percentage=0.1))


def agrawal() -> Iterator[tuple[dict[str, float], float]]:
    """Who gets a loan: three rules after each other, with five percent of noise on what is known of them."""
    from river.datasets import synth

    part = DAYS * A_DAY // 3
    for seed, rule in enumerate((0, 3, 5)):
        yield from islice(synth.Agrawal(classification_function=rule, seed=seed, perturbation=0.05), part)


def still() -> Iterator[tuple[dict[str, float], float]]:
    """One concept for ever."""
    from river.datasets import synth

    return iter(synth.SEA(variant=0, noise=0.1, seed=7))


STREAMS: dict[str, Callable[[], Iterator[tuple[dict[str, float], float]]]] = {
    "sea": sea,
    "hyperplane": hyperplane,
    "agrawal": agrawal,
    "still": still,
}


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, solver="newton-cholesky", random_state=seed))


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=8,
        learning_rate=0.15,
        min_samples_leaf=50,
        early_stopping=False,
        random_state=seed,
    )


def _prior(seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior", random_state=seed)


RECIPES = (
    Recipe("logistic_14", _logistic, window=14),
    Recipe("logistic_60", _logistic, window=60),
    Recipe("boosting_60", _boosting, window=60),
)
BASELINE = Recipe("prior", _prior, window=28)


def source(name: str, days: int = DAYS) -> tuple[FitMaker, Days]:
    """A stream's first ``days`` days, ready to be fitted; units come in forty blocks a day."""
    taken = list(islice(STREAMS[name](), DAYS * A_DAY))[: days * A_DAY]
    inputs = pd.DataFrame([row for row, _ in taken]).astype(np.float64).rename(columns=str)
    labels = np.array([float(label) for _, label in taken])
    number = np.repeat(np.arange(days), A_DAY)
    place = np.arange(len(labels))
    units = Units(
        inputs=inputs,
        labels=labels,
        unlabelled=np.full(len(labels), "", dtype=np.str_),
        days=np.datetime64(FIRST) + number,
        keys=place.astype(np.str_),
        blocks=(place % 40).astype(np.str_),
        slices={},
        named={},
        predicted_at=(np.datetime64(FIRST) + number).astype("datetime64[us]"),
    )
    return FitMaker(Binary("label"), (*RECIPES, BASELINE), units, number), Days(FIRST, FIRST + timedelta(days - 1))
