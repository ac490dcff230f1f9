"""Opens a skops file: no code of its bytes runs, and no type is made that is not on the list."""

from __future__ import annotations

import warnings
from typing import Any

from pipeline.core.errors import PipelineError, RefusedError, UnavailableError

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
        UnavailableError: There is no memory, or no file handle, left to open it with: that says nothing of the model.
    """
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    check_types(data, what)
    with warnings.catch_warnings():
        # scikit-learn only warns of a model fitted under another release; its predictions may differ all the same.
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return skops.io.loads(data, trusted=sorted(TRUSTED))
        except InconsistentVersionWarning as other:
            now, then = other.current_sklearn_version, other.original_sklearn_version
            raise RefusedError(
                f"the model file '{what}' can't be opened with scikit-learn {now}, it was made with {then}",
                "UNREADABLE",
            ) from other
        except Exception as error:
            raise _unreadable(what, error) from error


def _unreadable(name: str, error: Exception) -> PipelineError:
    """The error of bytes that are what was promoted, and make no model here; what to do, whoever asked for it says."""
    if isinstance(error, MemoryError | OSError):
        return UnavailableError(
            f"the model file '{name}' can't be opened now ({type(error).__name__}: {' '.join(str(error).split())}); "
            f"make room and try again",
            "MEMORY",
        )
    why = " ".join(str(error).split())
    return RefusedError(f"the model file '{name}' can't be opened here ({type(error).__name__}: {why})", "UNREADABLE")


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
