"""One thread for the linear algebra under fits and predictions: the same bits on any machine."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def one_thread() -> None:
    """Hold every OpenMP and BLAS pool loaded so far to one thread, for the rest of the process.

    The order in which several threads add up numbers is not fixed, so neither is the last bit of a sum. Call it when
    scikit-learn has been imported: it speaks to the libraries that are loaded, whatever the environment said before.
    """
    threadpool_limits(limits=1)
