"""Pages as MLflow's runs, below one experiment per use case. Part of the registry adapter."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import tempfile
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipeline.adapters.registry.address import check_place, hidden
from pipeline.adapters.registry.errors import cut
from pipeline.adapters.registry.tags import CONTENT, FAMILY, KEY, about, named
from pipeline.core.errors import UsageError
from pipeline.core.ports import Data, Page

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run
    from mlflow.tracking import MlflowClient

_PARAM_LIMIT, _BATCH = 5_900, 100


class Runs:
    """Writes pages through one client; each call may be repeated as a whole."""

    def __init__(self, client: MlflowClient, uri: str, artifacts: str | None) -> None:
        """Nothing is written yet.

        Args:
            client: MLflow's own.
            uri: Where MLflow is.
            artifacts: Where new experiments keep their artifacts; None: where the server says.
        """
        self._client, self._uri, self._artifacts = client, uri, artifacts
        self._experiments: dict[str, str] = {}

    def record(self, usecase: str, page: Page) -> str:
        """Make or find the runs of the page and its children, bring them to this content, close them."""
        experiment = self._experiment(usecase, page.tags.get("question", ""))
        runs = self._client.search_runs(
            [experiment], f"tags.`{FAMILY}` = '{page.key}'", max_results=1000, order_by=["attributes.start_time ASC"]
        )
        run_by_key: dict[str, Run] = {}
        for run in runs:
            if run_by_key.setdefault(run.data.tags[KEY], run) is not run:
                # Its creation was given up as lost, but reached the database after all.
                self._client.delete_run(run.info.run_id)
        wanted = {one.key: one for one in (page, *page.children)}
        if any(key not in wanted or not _fits(run, wanted[key]) for key, run in run_by_key.items()):
            for run in run_by_key.values():
                self._replace(run)
            run_by_key = {}
        parent = self._bring(experiment, page, page.key, run_by_key.get(page.key), None)
        for child in page.children:
            self._bring(experiment, child, page.key, run_by_key.get(child.key), parent)
        return parent

    def rename(self, run: str, title: str) -> None:
        """Give a run another title, unless it has it."""
        if self._client.get_run(run).info.run_name != title:
            self._client.update_run(run, name=title)

    def home(self, usecase: str) -> str:
        """The experiment of a use case; made where there is none."""
        return self._experiment(usecase, "")

    def _bring(self, experiment: str, page: Page, family: str, run: Run | None, parent: str | None) -> str:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.utils.time import get_current_time_millis

        client = self._client
        content = _digest(page, parent)
        tags = named(page.tags) | {KEY: page.key, FAMILY: family, CONTENT: content}
        tags |= {"mlflow.source.type": "JOB"} if "source" in page.tags else {}
        tags |= {"mlflow.parentRunId": parent} if parent else {}
        metrics, params = _metrics(page), _params(page)
        if run is not None and run.info.status != "RUNNING" and run.data.tags.get(CONTENT) == content:
            return str(run.info.run_id)
        if run is None:
            run = client.create_run(experiment, tags=tags, run_name=page.title)
        else:
            client.update_run(run.info.run_id, status="RUNNING", name=page.title)
            for stale in [name for name in run.data.tags if name not in tags and not name.startswith("mlflow.")]:
                client.delete_tag(run.info.run_id, stale)
        run_id, had = str(run.info.run_id), run.data
        stamp = get_current_time_millis()
        new = [Metric(name, value, stamp, 0) for name, value in metrics.items() if had.metrics.get(name) != value]
        rest = [Param(name, value) for name, value in params.items() if name not in had.params]
        words = [RunTag(name, value) for name, value in tags.items() if had.tags.get(name) != value]
        for start in range(0, max(len(rest), len(words), 1), _BATCH):
            part = slice(start, start + _BATCH)
            client.log_batch(run_id, new if start == 0 else [], rest[part], words[part])
        if page.data:
            client.log_inputs(run_id, datasets=[_input(one) for one in page.data])
        if page.files:
            with tempfile.TemporaryDirectory() as folder:
                for name, data in page.files.items():
                    file = Path(folder, *_parts(name))
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(data)
                get_artifact_repository(run.info.artifact_uri, tracking_uri=self._uri).log_artifacts(folder)
        client.set_terminated(run_id, "FAILED" if page.tags.get("decision") == "refused" else "FINISHED")
        return run_id

    def _replace(self, run: Run) -> None:
        """Let a run keep what it says, but give up its key; its moment tells it from others of the day."""
        started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        self._client.update_run(
            run.info.run_id, name=f"{run.info.run_name} · of {started:%Y-%m-%d %H:%M:%S} (replaced)"
        )
        self._client.set_tag(run.info.run_id, "retrain.replaced", run.data.tags[KEY])
        self._client.delete_tag(run.info.run_id, KEY)
        self._client.delete_tag(run.info.run_id, FAMILY)

    def _experiment(self, usecase: str, question: str) -> str:
        if usecase not in self._experiments:
            experiment = self._client.get_experiment_by_name(usecase)
            if experiment is not None and experiment.lifecycle_stage != "active":
                raise UsageError(
                    f"MLflow's experiment '{usecase}' was deleted by hand; restore it, in the project's folder: "
                    f"MLFLOW_TRACKING_URI={shlex.quote(hidden(self._uri))} .venv/bin/mlflow experiments restore "
                    f"--experiment-id {experiment.experiment_id}",
                    "DELETED",
                )
            if experiment is not None:
                check_place(usecase, experiment.artifact_location, self._uri, self._artifacts)
                self._experiments[usecase] = experiment.experiment_id
            else:
                place = None if self._artifacts is None else f"{self._artifacts.rstrip('/')}/{usecase}"
                tags = {
                    "mlflow.experimentKind": "custom_model_development",
                    "mlflow.note.content": about(usecase, question),
                }
                # Of two who create it at once, one gets "already exists"; the next attempt finds it.
                self._experiments[usecase] = self._client.create_experiment(usecase, place, tags)
        return self._experiments[usecase]


def _input(data: Data) -> DatasetInput:
    """A dataset of MLflow's own kind, which names the table's version: nothing of it is copied."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    # The names that MLflow's own source of a Delta table reads back.
    source = {"delta_table_name": data.table, "delta_table_version": data.version}
    return DatasetInput(
        Dataset(
            name=data.name,
            digest=data.digest,
            source_type="delta_table",
            source=json.dumps(source),
            profile=json.dumps(dict(data.profile)),
        ),
        tags=[InputTag("mlflow.data.context", data.role)],
    )


def _parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UsageError(f"an artifact is named by a relative path without '..', got '{name}'")
    return path.parts


def _metrics(page: Page) -> dict[str, float]:
    return {name: float(value) for name, value in page.metrics.items() if math.isfinite(value)}


def _params(page: Page) -> dict[str, str]:
    return {name: cut(str(value), _PARAM_LIMIT) for name, value in page.params.items()}


def _fits(run: Run, page: Page) -> bool:
    """Whether a run can be brought to the page: no parameter changes, no parameter or metric goes."""
    params = _params(page)
    same_params = all(params.get(name) == value for name, value in run.data.params.items())
    return same_params and run.data.metrics.keys() <= _metrics(page).keys()


def _digest(page: Page, parent: str | None) -> str:
    """Names everything the run shows, without its children."""
    texts = [page.title, parent, sorted(page.tags.items()), sorted(page.params.items())]
    numbers = sorted((name, repr(float(value))) for name, value in page.metrics.items())
    files = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in page.files.items())
    data_rows = sorted([one.name, one.digest, one.role, one.table, one.version] for one in page.data)
    shown = [texts, numbers, files, *([data_rows] if data_rows else [])]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()
