"""Our keys among MLflow's tags, and our words under MLflow's names. Part of the registry adapter."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.adapters.registry.errors import cut

KEY = "retrain.key"
"""Tag of a run, a logged model or a version: the same key is the same thing."""

FAMILY = "retrain.family"
"""Tag of a run: the key of the day's parent run, on the parent itself and on all its children."""

CHART = "retrain.chart"
"""Tag of a run that is a contestant's line through the days: ``<metric>``."""

CONTENT = "retrain.content"
"""Tag of a run: digest of the page it shows. Written before the artifacts; it counts once the run is closed."""

#: A page's own words for what MLflow has a place of its own for.
_PLACES = {
    "note": "mlflow.note.content",
    "source": "mlflow.source.name",
    "code": "mlflow.source.git.commit",
    "by": "mlflow.user",
}
TAG_LIMIT = 7_900
"""Characters of a tag that every store of MLflow takes."""
DESCRIPTION_LIMIT = 5_000
"""Characters of a description that MLflow's tables have room for. SQLite doesn't mind more, PostgreSQL refuses it."""
NOTE_LIMIT, HEADING_LIMIT = 3_500, 700
"""Of these, what a version's own note takes at most, and what each heading above it that is told later."""


def about(usecase: str, question: str) -> str:
    """What an experiment and a registered model are for, in Markdown."""
    return (
        f"{cut(question or usecase, NOTE_LIMIT)}\n\n"  # the list shows the first line as it is, so it has no markup
        "Retrained every day and judged on data that no contestant had seen. One run per data day (open "
        "`verdict.html` among its artifacts for what happened and why), one nested run per recipe; a version only for "
        "a winner. The aliases mirror the promotion ledger: `champion` serves, `previous` is what a rollback "
        "returns to."
    )


def named(tags: Mapping[str, str]) -> dict[str, str]:
    """A page's tags under MLflow's own names, where it has some."""
    given = {_PLACES.get(name, name): cut(value, TAG_LIMIT) for name, value in tags.items() if name != "question"}
    return {"mlflow.user": "retraining"} | given
