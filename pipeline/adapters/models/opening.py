"""Opens a skops file: no code of its bytes runs, and no type is made that is not on the list."""

from __future__ import annotations

import warnings
from typing import Any

from pipeline.core.errors import RefusedError

#: Types beyond those that skops trusts by itself. Held in code: a file's own list is whoever wrote the file's.
#: Compiled code follows a tree's numbers as indices without looking whether they lie inside: so a file is opened only
#: after its digest has been found to be the one that was written down when the model was fitted.
TRUSTED = frozenset(
    {
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)


def opened(data: bytes, what: str) -> Any:
    """The estimator of a file's bytes: no code of theirs runs, and no type is made that is not on the list.

    Raises:
        RefusedError: As :meth:`SkopsModels.load`.
    """
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    check_types(data, what)
    with warnings.catch_warnings():
        # scikit-learn only warns of a model fitted under another release; its predictions may differ all the same.
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return skops.io.loads(data, trusted=sorted(TRUSTED))
        except Exception as error:
            raise _unreadable(what, error) from error


def _unreadable(name: str, error: Exception) -> RefusedError:
    return RefusedError(
        f"the model file '{name}' can't be read ({type(error).__name__}: {error}); retrain it, or roll back to another",
        "UNREADABLE",
    )


def check_types(data: bytes, what: str) -> None:
    """Refuse a file with a type that is not on the list.

    Raises:
        RefusedError: ``UNTRUSTED``, or ``UNREADABLE`` if it is no skops file.
    """
    import skops.io

    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=data)) - TRUSTED)
    except Exception as error:
        raise _unreadable(what, error) from error
    if foreign:
        raise RefusedError(
            f"'{what}' holds types that are not on the list of trusted ones: {', '.join(foreign[:5])}; build "
            "the recipe of scikit-learn's own parts, or review the type and add it to TRUSTED in "
            "adapters/models/opening.py",
            "UNTRUSTED",
        )
