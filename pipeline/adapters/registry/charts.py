"""Losses through the days as lines that MLflow draws. Part of the registry adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from pipeline.adapters.registry.tags import CHART, KEY

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

_BATCH = 1_000


class Charts:
    """A run per contestant and metric; each call may be repeated as a whole."""

    def __init__(self, client: MlflowClient, home: Callable[[str], str]) -> None:
        """Nothing is written yet.

        Args:
            client: MLflow's own.
            home: Use case to its experiment.
        """
        self._client, self._home = client, home

    def draw(self, usecase: str, metric: str, lines: Mapping[str, Mapping[date, float]]) -> None:
        """Bring each contestant's line to these points.

        MLflow can't take a point back. A line with a point that holds no longer, as after a day was judged anew, is
        drawn again as a new run, and the old one goes.
        """
        experiment = self._home(usecase)
        # MLflow wants a whole number for each point's place: the first day that was judged is 1.
        first = min((day for points in lines.values() for day in points), default=date.min)
        run_by_contestant: dict[str, Run] = {}
        for run in self._client.search_runs([experiment], f"tags.`{CHART}` = '{metric}'", max_results=1000):
            if run_by_contestant.setdefault(run.data.tags["contestant"], run) is not run:
                self._client.delete_run(run.info.run_id)
        for who, points in lines.items():
            if points:
                self._draw(experiment, metric, who, points, first, run_by_contestant.get(who))
        for who, run in run_by_contestant.items():
            if not lines.get(who):
                self._client.delete_run(run.info.run_id)

    def _draw(
        self, experiment: str, metric: str, who: str, points: Mapping[date, float], first: date, run: Run | None
    ) -> None:
        wanted = [_point(f"{metric} by day", day, value, first) for day, value in sorted(points.items())]
        drawn: set[tuple[int, float]] = set()
        if run is not None:
            drawn = {(m.step, m.value) for m in self._client.get_metric_history(run.info.run_id, f"{metric} by day")}
            if not drawn <= {(point.step, point.value) for point in wanted}:
                self._client.delete_run(run.info.run_id)
                run, drawn = None, set()
        missing = [point for point in wanted if (point.step, point.value) not in drawn]
        if run is None:
            tags = {CHART: metric, KEY: f"chart:{metric}:{who}", "contestant": who, "mlflow.user": "retraining"}
            tags["mlflow.note.content"] = f"The mean {metric} of *{who}* on each scored day, as the day lines say."
            # As old as its first day: lists put the newest first, and the days' own runs belong there.
            run = self._client.create_run(experiment, wanted[0].timestamp, tags, f"{who} by day")
        for start in range(0, len(missing), _BATCH):
            self._client.log_batch(run.info.run_id, missing[start : start + _BATCH])
        if missing:
            self._client.set_terminated(run.info.run_id, end_time=wanted[-1].timestamp)


def _point(name: str, day: date, value: float, first: date) -> Metric:
    """A day's value: at the day's own moment, so that the chart's axis of time shows dates."""
    from mlflow.entities import Metric

    moment = datetime.combine(day, time(), UTC)
    return Metric(name, float(value), int(moment.timestamp() * 1000), (day - first).days + 1)
