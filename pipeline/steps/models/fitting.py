"""One fit: the recipe's estimator on the units of its window.

Part of every model's identity: see ``adapters/code_digest.py``.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.ports import Units
from pipeline.core.usecase import Recipe
from pipeline.core.windows import Days
from pipeline.steps.models.threads import one_thread

log = logging.getLogger(__name__)


class BrokenError(Exception):
    """A recipe's own code failed: it has no candidate, the others have theirs."""


def learnt_from(units: Units, days: Days) -> Units:
    """The labelled units of those days, the rows of a fit."""
    within = (units.days >= np.datetime64(days.first)) & (units.days <= np.datetime64(days.last))
    return units.where(within & np.isfinite(units.labels))


def fitted(recipe: Recipe, seed: int, units: Units, rows: NDArray[np.int64] | None = None) -> Any:
    """The recipe's estimator, fitted on the units, or on some of their rows.

    Raises:
        BrokenError: The recipe's own code failed.
    """
    inputs, labels = units.inputs, units.labels
    if rows is not None:
        inputs, labels = inputs.iloc[rows], labels[rows]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator = recipe.build(seed)
            one_thread()
            estimator.fit(inputs, labels)
        except MemoryError:  # says nothing about the recipe
            raise
        except Exception as error:
            log.exception("%s can't be fitted", recipe.name)
            reason = " ".join(str(error).split())[:200]
            raise BrokenError(f"its fit failed: {type(error).__name__}: {reason}") from error
    # scikit-learn may say the same of forty columns; a log that nobody can read warns nobody.
    for warning_text in sorted({f"{warning.category.__name__}: {warning.message}" for warning in caught})[:1]:
        log.info("%s: %d warnings while fitting, the first: %s", recipe.name, len(caught), warning_text)
    return estimator
