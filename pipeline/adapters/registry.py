"""MLflow: runs, versions and aliases, as people see them.

MLflow answers a creation that it has carried out with a 503 now and then, and its client sends the same POST again:
two runs, two versions. So its own retries are off here; each creation is a search by idempotency tag, then a
creation, and it is this pair that is tried again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pipeline.adapters.models import TRUSTED
from pipeline.adapters.registry_errors import attempt, cut
from pipeline.adapters.registry_models import MODEL_FILE, pack
from pipeline.core.errors import ConflictError, RefusedError, UsageError
from pipeline.core.ports import Page

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

KEY = "retrain.key"
"""Tag of a run, a logged model or a version: the same key is the same thing."""

FAMILY = "retrain.family"
"""Tag of a run: the key of the day's parent run, on the parent itself and on all its children."""

CONTENT = "retrain.content"
"""Tag of a run: digest of the page it shows. Written before the artifacts; it counts once the run is closed."""

#: A page's own words for what MLflow has a place of its own for.
_PLACES = {
    "note": "mlflow.note.content",
    "source": "mlflow.source.name",
    "code": "mlflow.source.git.commit",
    "by": "mlflow.user",
}
_TAG_LIMIT, _PARAM_LIMIT, _BATCH = 7_900, 5_900, 100
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class MlflowRegistry:
    """The Registry port on an MLflow server, or on its SQLite file without a server.

    An experiment and a registered model per use case, both named after it. Of a page's and a version's tags, ``note``
    (Markdown) becomes the description, ``source`` and ``code`` fill the columns of those names, ``by`` the user, and
    ``question`` describes the experiment and the registered model when they are made. A page tagged
    ``decision: refused`` is shown as failed; every other one as finished.

    Not one call blocks for more than about half a minute: three attempts within 20 seconds, 10 seconds each at most.
    """

    def __init__(
        self, uri: str, artifacts: str | None = None, trusted: Collection[str] = TRUSTED, pause: float = 1.0
    ) -> None:
        """Connect to nothing yet.

        Args:
            uri: ``http://…`` of the server, or ``sqlite:///…/mlflow.db``.
            artifacts: Where experiments keep their artifacts; None: where the server says. Without a server it must
                be given, and be what the server is started with, so that both see the same files.
            trusted: Types that a model file may hold beyond those skops trusts; the allow-list is code, never the file.
            pause: Seconds before the second attempt; twice as long before the third.
        """
        if uri.startswith("sqlite:") and not artifacts:
            raise UsageError(f"without a server ({uri}) say where artifacts are kept: MlflowRegistry(uri, artifacts=…)")
        self._uri, self._artifacts, self._trusted, self._pause = uri, artifacts or None, tuple(trusted), pause
        self._experiments: dict[str, str] = {}
        os.environ.update(_SETTINGS)

    # The port -------------------------------------------------------------------------------------------------------

    def record(self, usecase: str, page: Page) -> str:
        """Make or find the runs of the page and its children, bring them to this content, close them.

        MLflow can neither change a parameter nor take a metric or a nested run away. Where a repeated page would need
        that, the old runs keep what they say under the title ``… (replaced)``, and new ones take their keys.
        """
        for one in (page, *page.children):
            if not one.key or "'" in one.key or '"' in one.key:
                raise UsageError(f"a run's key is some text without quotes, got {one.key!r}")
        return attempt(self._uri, self._pause, f"record '{page.title}'", lambda: self._record(usecase, page))

    def register(  # noqa: D417 -- the port documents the arguments
        self,
        usecase: str,
        key: str,
        run: str,
        model: Path,
        sha256: str,
        tags: Mapping[str, str],
        example: Any | None = None,
    ) -> int:
        """Make or find the version of ``key`` from a skops file; its bytes are kept exactly as they are.

        Args:
            example: A pandas frame with a few rows of inputs: gives the version a signature and an input example.

        Raises:
            RefusedError: The file's digest is not ``sha256``, or it holds a type that is not on the allow-list.
            ConflictError: The key already names a version made of other bytes.
        """
        data = _read(model)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise RefusedError(
                f"{model.name} is not the file that was trained (SHA-256 differs from {sha256[:12]}…); "
                f"nothing was registered: train the day again",
                "TAMPERED",
            )
        return attempt(
            self._uri,
            self._pause,
            f"register the winner of {usecase}",
            lambda: self._register(usecase, key, run, data, sha256, dict(tags), example),
        )

    def aliases(self, usecase: str) -> Mapping[str, int]:
        """Alias to version; empty where nothing was ever registered."""
        return attempt(self._uri, self._pause, f"read the aliases of {usecase}", lambda: self._aliases(usecase))

    def point(self, usecase: str, alias: str, version: int | None) -> None:
        """Set the alias, or remove it with None."""

        def act() -> None:
            now = self._aliases(usecase)
            if version is None and alias in now:
                self._client.delete_registered_model_alias(usecase, alias)
            elif version is not None and now.get(alias) != version:
                self._client.set_registered_model_alias(usecase, alias, str(version))

        attempt(self._uri, self._pause, f"point {usecase}@{alias} at version {version}", act)

    def artifact(self, usecase: str, version: int) -> tuple[bytes, Mapping[str, str]]:
        """The skops file of a version and the version's tags; the caller checks the bytes against the ledger."""

        def act() -> tuple[bytes, Mapping[str, str]]:
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            found = self._client.get_model_version(usecase, str(version))
            with tempfile.TemporaryDirectory() as folder:
                repository = get_artifact_repository(self._place(found), tracking_uri=self._uri)
                if all(file.path != MODEL_FILE for file in repository.list_artifacts()):
                    raise RefusedError(
                        f"version {version} of {usecase} has no {MODEL_FILE} any more; choose another version",
                        "MISSING",
                    )
                data = Path(repository.download_artifacts(MODEL_FILE, folder)).read_bytes()
            return data, dict(found.tags)

        return attempt(self._uri, self._pause, f"fetch version {version} of {usecase}", act)

    # Runs -----------------------------------------------------------------------------------------------------------

    def _record(self, usecase: str, page: Page) -> str:
        experiment = self._experiment(usecase, page.tags.get("question", ""))
        runs = self._client.search_runs(
            [experiment], f"tags.`{FAMILY}` = '{page.key}'", max_results=1000, order_by=["attributes.start_time ASC"]
        )
        found: dict[str, Run] = {}
        for run in runs:
            if found.setdefault(run.data.tags[KEY], run) is not run:
                # Its creation was given up as lost, but reached the database after all.
                self._client.delete_run(run.info.run_id)
        wanted = {one.key: one for one in (page, *page.children)}
        if any(key not in wanted or not _fits(run, wanted[key]) for key, run in found.items()):
            for run in found.values():
                self._replace(run)
            found = {}
        parent = self._bring(experiment, page, page.key, found.get(page.key), None)
        for child in page.children:
            self._bring(experiment, child, page.key, found.get(child.key), parent)
        return parent

    def _bring(self, experiment: str, page: Page, family: str, run: Run | None, parent: str | None) -> str:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.utils.time import get_current_time_millis

        client = self._client
        content = _digest(page, parent)
        tags = _tags(page.tags) | {KEY: page.key, FAMILY: family, CONTENT: content}
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
        """Let a run keep what it says, but give up its key."""
        self._client.update_run(run.info.run_id, name=f"{run.info.run_name} (replaced)")
        self._client.set_tag(run.info.run_id, "retrain.replaced", run.data.tags[KEY])
        self._client.delete_tag(run.info.run_id, KEY)
        self._client.delete_tag(run.info.run_id, FAMILY)

    def _experiment(self, usecase: str, question: str) -> str:
        if usecase not in self._experiments:
            found = self._client.get_experiment_by_name(usecase)
            if found is not None and found.lifecycle_stage != "active":
                raise UsageError(
                    f"MLflow's experiment '{usecase}' was deleted by hand; "
                    f"restore it: mlflow experiments restore --experiment-id {found.experiment_id}"
                )
            if found is not None:
                self._experiments[usecase] = found.experiment_id
            else:
                place = None if self._artifacts is None else f"{self._artifacts.rstrip('/')}/{usecase}"
                tags = {
                    "mlflow.experimentKind": "custom_model_development",
                    "mlflow.note.content": _about(usecase, question),
                }
                # Of two who create it at once, one gets "already exists"; the next attempt finds it.
                self._experiments[usecase] = self._client.create_experiment(usecase, place, tags)
        return self._experiments[usecase]

    # Versions -------------------------------------------------------------------------------------------------------

    def _register(
        self, usecase: str, key: str, run: str, data: bytes, sha256: str, tags: dict[str, str], example: Any
    ) -> int:
        client = self._client
        note = tags.pop("note", "")
        question = tags.pop("question", "")
        tags = {name: cut(value, _TAG_LIMIT) for name, value in tags.items()} | {KEY: key, "sha256": sha256}
        versions = self._versions(usecase, key)
        if not versions:
            self._registered_model(usecase, question)
            model = self._logged_model(usecase, key, run, data, sha256, tags, example)
            place = client.get_logged_model(model).artifact_location
            client.create_model_version(
                usecase, place, run, tags, description=note or None, await_creation_for=10, model_id=model
            )
            versions = self._versions(usecase, key)
        first, *doubles = versions
        if first.tags.get("sha256") != sha256:
            raise ConflictError(
                f"version {first.version} of {usecase} was registered under the same key from another file "
                f"(SHA-256 {first.tags.get('sha256', 'unknown')[:12]}…, not {sha256[:12]}…): nothing was changed"
            )
        # All who look see the same lowest number, since numbers are given one after the other.
        for double in doubles:
            client.delete_model_version(usecase, double.version)
        if note and first.description != note:
            client.update_model_version(usecase, first.version, note)
        for name, value in tags.items():
            if first.tags.get(name) != value:
                client.set_model_version_tag(usecase, first.version, name, value)
        return int(first.version)

    def _versions(self, usecase: str, key: str) -> list[ModelVersion]:
        found = self._client.search_model_versions(f"name = '{usecase}' AND tags.`{KEY}` = '{key}'", max_results=100)
        return sorted(found, key=lambda one: int(one.version))

    def _registered_model(self, usecase: str, question: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(usecase)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self._client.create_registered_model(usecase, description=_about(usecase, question))

    def _logged_model(
        self, usecase: str, key: str, run: str, data: bytes, sha256: str, tags: Mapping[str, str], example: Any
    ) -> str:
        """A model of MLflow's own kind, so that its pages and ``mlflow.sklearn.load_model`` know it; returns its id."""
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
        from mlflow.models import Model

        client = self._client
        source = client.get_run(run)
        experiment = source.info.experiment_id
        for known in client.search_logged_models([experiment], f"tags.`{KEY}` = '{key}'", max_results=10):
            if known.status == LoggedModelStatus.READY and known.tags.get("sha256") == sha256:
                return str(known.model_id)
            client.delete_logged_model(known.model_id)  # begun by a try that did not live to finish it
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder, "model")
            logged = client.create_logged_model(
                experiment, f"{usecase} {tags.get('recipe', '')}".strip(), run, dict(tags), model_type="retrained"
            )
            described = Model(
                artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run, model_id=logged.model_id
            )
            pack(packed, data, described, example, self._trusted)
            client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
            numbers = [
                Metric(one.key, one.value, one.timestamp, one.step, model_id=logged.model_id, run_id=run)
                for one in source.data._metric_objs
            ]
            if numbers:
                client.log_batch(run, metrics=numbers)
            client.log_model_artifacts(logged.model_id, str(packed))
            client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        return str(logged.model_id)

    def _place(self, found: ModelVersion) -> str:
        """Where the version's files lie."""
        uri = str(self._client.get_model_version_download_uri(found.name, found.version))
        if uri.startswith("models:/m-"):
            return str(self._client.get_logged_model(uri.removeprefix("models:/")).artifact_location)
        return uri

    def _aliases(self, usecase: str) -> dict[str, int]:
        from mlflow.exceptions import MlflowException

        try:
            model = self._client.get_registered_model(usecase)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise
        return {alias: int(number) for alias, number in model.aliases.items()}

    @cached_property
    def _client(self) -> MlflowClient:
        from mlflow.tracking import MlflowClient

        if self._uri.startswith("sqlite:///"):
            # MLflow would try for minutes to open a file in a folder that is not there.
            folder = Path(self._uri.removeprefix("sqlite:///")).parent
            folder.mkdir(parents=True, exist_ok=True)
            _make_database(Path(self._uri.removeprefix("sqlite:///")))
        return MlflowClient(self._uri, self._uri)


def _make_database(path: Path) -> None:
    """Make MLflow's SQLite file in one piece: a process killed while it makes its tables would leave it unusable."""
    if path.exists():
        return
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        part = path.with_name(f".{path.name}.part")
        part.unlink(missing_ok=True)
        engine = create_sqlalchemy_engine(f"sqlite:///{part}")
        _initialize_tables(engine)
        engine.dispose()
        part.rename(path)


def _read(model: Path) -> bytes:
    try:
        return model.read_bytes()
    except OSError as error:
        raise RefusedError(f"there is no model file to register: {error}; train the day again", "MISSING") from error


def _about(usecase: str, question: str) -> str:
    return (
        f"**{question or usecase}**\n\n"
        "Retrained every day and judged on data that no contestant had seen. One run per data day (open "
        "`verdict.html` among its artifacts for what happened and why), one nested run per recipe; a version only for "
        "a winner. The aliases mirror the promotion ledger: `champion` serves, `previous` is what a rollback "
        "returns to."
    )


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    """A page's tags under MLflow's own names, where it has some."""
    named = {_PLACES.get(name, name): cut(value, _TAG_LIMIT) for name, value in tags.items() if name != "question"}
    return {"mlflow.user": "retraining"} | named


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
    kept = all(params.get(name) == value for name, value in run.data.params.items())
    return kept and run.data.metrics.keys() <= _metrics(page).keys()


def _digest(page: Page, parent: str | None) -> str:
    """Names everything the run shows, without its children."""
    texts = [page.title, parent, sorted(page.tags.items()), sorted(page.params.items())]
    numbers = sorted((name, repr(float(value))) for name, value in page.metrics.items())
    files = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in page.files.items())
    return hashlib.sha256(json.dumps([texts, numbers, files]).encode()).hexdigest()
