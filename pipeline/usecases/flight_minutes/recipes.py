"""How candidates of ``flight_minutes`` are made. All minimise the absolute error: a storm's delays do not drag them."""

from __future__ import annotations

from typing import Any

from pipeline.core.usecase import Recipe
from pipeline.usecases.nycflights.parts import linear, rule, trees


def _usual(seed: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    return rule(DecisionTreeRegressor(criterion="absolute_error", min_samples_leaf=100, random_state=seed))


def _linear(seed: int) -> Any:
    """Least absolute deviations by averaged stochastic gradient descent: the median, not the mean."""
    from sklearn.linear_model import SGDRegressor

    return linear(
        SGDRegressor(
            loss="epsilon_insensitive",
            epsilon=0.0,
            alpha=1e-4,
            max_iter=15,
            tol=None,
            learning_rate="adaptive",
            eta0=0.02,
            average=True,
            random_state=seed,
        )
    )


def _boosting(seed: int, rounds: int, leaves: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return trees(
        HistGradientBoostingRegressor(
            loss="absolute_error",
            max_iter=rounds,
            learning_rate=0.07,
            max_leaf_nodes=leaves,
            min_samples_leaf=50,
            early_stopping=False,
            random_state=seed,
        )
    )


def _boosting_short(seed: int) -> Any:
    return _boosting(seed, 60, 8)


def _boosting_long(seed: int) -> Any:
    return _boosting(seed, 100, 15)


#: The median delay by carrier and scheduled hour over four weeks: what a team has before it has a model.
USUAL = Recipe("usual", _usual, window=28)
RECIPES = (
    Recipe("linear_14", _linear, window=14),
    Recipe("linear_60", _linear, window=60),
    Recipe("boosting_21", _boosting_short, window=21),
    Recipe("boosting_60", _boosting_long, window=60),
)
