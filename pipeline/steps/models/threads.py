"""One thread for the linear algebra under fits and predictions: the same bits on any machine."""

from __future__ import annotations

import sys
from functools import lru_cache

from threadpoolctl import ThreadpoolController


def one_thread() -> None:
    """Hold every OpenMP and BLAS pool loaded so far to one thread, for the rest of the process.

    The order in which several threads add up numbers is not fixed, so neither is the last bit of a sum. Call it when
    scikit-learn has been imported: it speaks to the libraries that are loaded, whatever the environment said before.
    """
    _pools(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _pools(modules: int) -> ThreadpoolController:
    """The pools of all libraries; looked for anew only when something was imported: it takes as long as a small fit.

    Args:
        modules: How many modules the process has imported.
    """
    del modules
    return ThreadpoolController()
