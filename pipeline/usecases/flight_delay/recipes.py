"""How candidates of ``flight_delay`` are made: two kinds of estimator, each with a short and a long memory."""

from __future__ import annotations

from typing import Any

from pipeline.core.usecase import Recipe
from pipeline.usecases.nycflights.parts import linear, rule, trees


def _usual(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return rule(LogisticRegression(random_state=seed))


def _linear(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return linear(LogisticRegression(C=0.05, max_iter=300, random_state=seed))


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return trees(
        HistGradientBoostingClassifier(
            max_iter=80,
            learning_rate=0.07,
            max_leaf_nodes=15,
            min_samples_leaf=50,
            early_stopping=False,
            random_state=seed,
        )
    )


#: The share of late flights by carrier and scheduled hour over four weeks: what a team has before it has a model.
USUAL = Recipe("usual", _usual, window=28)
RECIPES = (
    Recipe("linear_14", _linear, window=14),
    Recipe("linear_60", _linear, window=60),
    Recipe("boosting_21", _boosting, window=21),
    Recipe("boosting_60", _boosting, window=60),
)
