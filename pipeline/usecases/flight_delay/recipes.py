"""How candidates of ``flight_delay`` are made: two kinds of estimator, each with a short and a long memory."""

from __future__ import annotations

from typing import Any

from pipeline.core.usecase import Recipe
from pipeline.usecases.nycflights.parts import linear, rule, trees


def _usual(seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return rule(DecisionTreeClassifier(min_samples_leaf=100, random_state=seed))


def _linear(seed: int, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    # Newton's method ends at the optimum after a handful of steps, so two fits differ by their data alone.
    return linear(LogisticRegression(C=strength, solver="newton-cholesky", random_state=seed))


def _linear_short(seed: int) -> Any:
    return _linear(seed, 0.002)


def _linear_long(seed: int) -> Any:
    return _linear(seed, 0.01)


def _boosting(seed: int, rounds: int, leaves: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return trees(
        HistGradientBoostingClassifier(
            max_iter=rounds,
            learning_rate=0.07,
            max_leaf_nodes=leaves,
            min_samples_leaf=100,
            early_stopping=False,
            random_state=seed,
        )
    )


def _boosting_short(seed: int) -> Any:
    return _boosting(seed, 50, 8)


def _boosting_long(seed: int) -> Any:
    return _boosting(seed, 80, 15)


#: The share of late flights by carrier and scheduled hour over four weeks: what a team has before it has a model.
USUAL = Recipe("usual", _usual, window=28)
RECIPES = (
    Recipe("linear_14", _linear_short, window=14),
    Recipe("linear_60", _linear_long, window=60),
    Recipe("boosting_21", _boosting_short, window=21),
    Recipe("boosting_60", _boosting_long, window=60),
)
