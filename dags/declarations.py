"""Says in Airflow which use case's declaration is broken: its DAG is missing, and nothing else would tell.

Airflow shows a file that fails above its list of DAGs. This one fails in the place of the files that hold the DAGs of
all, so the others run on. It declares no DAG itself.
"""

from __future__ import annotations

from pipeline.usecases import BROKEN

if BROKEN:
    raise ImportError("; ".join(BROKEN.values()))
