"""Winners as versions of MLflow's registered models, and the aliases on them. Part of the registry adapter."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.adapters.registry.errors import cut, cut_at_a_line
from pipeline.adapters.registry.models import MODEL_FILE, pack
from pipeline.adapters.registry.tags import (
    DESCRIPTION_LIMIT,
    HEADING_LIMIT,
    KEY,
    NOTE_LIMIT,
    TAG_LIMIT,
    about,
)
from pipeline.core.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient


#: Where the files of a version lie that is made only to use its number up.
_NOTHING = "mlflow-artifacts:/nothing"


class Versions:
    """Registers, fetches and points at versions through one client; each call may be repeated as a whole."""

    def __init__(self, client: MlflowClient, trusted: Collection[str]) -> None:
        """Nothing is written yet.

        Args:
            client: MLflow's own.
            trusted: Types that a model file may hold beyond those skops trusts.
        """
        self._client, self._trusted = client, trusted

    def register(
        self, usecase: str, key: str, run: str, data: bytes, sha256: str, tags: dict[str, str], example: Any
    ) -> int:
        """Make or find the version of ``key``; of two that were made, the first stays."""
        client = self._client
        note = cut_at_a_line(tags.pop("note", ""), NOTE_LIMIT)
        question = tags.pop("question", "")
        tags = {name: cut(value, TAG_LIMIT) for name, value in tags.items()} | {KEY: key, "sha256": sha256}
        versions = self._versions_of(usecase, key)
        if not versions:
            self._registered_model(usecase, question)
            model = self._logged_model(usecase, key, run, data, sha256, tags, example)
            place = client.get_logged_model(model).artifact_location
            client.create_model_version(
                usecase, place, run, tags, description=note or None, await_creation_for=10, model_id=model
            )
            versions = self._versions_of(usecase, key)
        first, *doubles = versions
        if first.tags.get("sha256") != sha256:
            raise ConflictError(
                f"version {first.version} of {usecase} was registered under the same key from another file "
                f"(SHA-256 {first.tags.get('sha256', 'unknown')[:12]}…, not {sha256[:12]}…): nothing was changed"
            )
        # All who look see the same lowest number, since numbers are given one after the other.
        for double in doubles:
            client.delete_model_version(usecase, double.version)
        if note not in (first.description or ""):  # above it may stand what became of the version
            client.update_model_version(usecase, first.version, note)
        for name, value in tags.items():
            if first.tags.get(name) != value:
                client.set_model_version_tag(usecase, first.version, name, value)
        return int(first.version)

    def aliases(self, usecase: str) -> dict[str, int]:
        """Alias to version; empty where nothing was ever registered."""
        from mlflow.exceptions import MlflowException

        try:
            model = self._client.get_registered_model(usecase)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise
        return {alias: int(number) for alias, number in model.aliases.items()}

    def digests(self, usecase: str, versions: Collection[int]) -> dict[int, str]:
        """Those of these versions that are there, each with the digest in its tag."""
        from mlflow.exceptions import MlflowException

        digests: dict[int, str] = {}
        for version in sorted(set(versions)):
            try:
                digests[version] = self._client.get_model_version(usecase, str(version)).tags.get("sha256", "")
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        return digests

    def use_up(self, usecase: str, version: int) -> None:
        """Make that version of nothing and delete it: MLflow never gives the number of a deleted one again."""
        self._registered_model(usecase, "")
        empty = self._client.create_model_version(usecase, _NOTHING, tags={KEY: "unused"}, await_creation_for=0)
        self._client.delete_model_version(usecase, empty.version)
        if int(empty.version) != version:
            raise ConflictError(
                f"MLflow's next version of {usecase} was {empty.version}, and {version} was to be left unused: "
                f"somebody else registers there; delete the registered model in MLflow and try again"
            )

    def set_alias(self, usecase: str, alias: str, version: int | None) -> None:
        """Set the alias, or remove it with None, unless it stands there already."""
        now = self.aliases(usecase)
        if version is None and alias in now:
            self._client.delete_registered_model_alias(usecase, alias)
        elif version is not None and now.get(alias) != version:
            self._client.set_registered_model_alias(usecase, alias, str(version))

    def annotate_version(self, usecase: str, version: int, name: str, text: str) -> None:
        """Say of a version what became of it, as a tag and atop its description."""
        model_version = self._client.get_model_version(usecase, str(version))
        text = cut(text, TAG_LIMIT)
        before, description = model_version.tags.get(name), model_version.description or ""
        if before != text:
            for known in (before or "", text):  # the latter where a try died before its tag
                description = description.removeprefix(_headed(name, known))
            # The tag last: it says that all of this was done.
            described = cut_at_a_line(_headed(name, text) + description, DESCRIPTION_LIMIT)
            self._client.update_model_version(usecase, str(version), described)
            self._client.set_model_version_tag(usecase, str(version), name, text)

    def artifact(self, usecase: str, version: int) -> tuple[bytes, Mapping[str, str]]:
        """The skops file of a version and the version's tags."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        model_version = self._client.get_model_version(usecase, str(version))
        with tempfile.TemporaryDirectory() as folder:
            repository = get_artifact_repository(self.place(model_version), tracking_uri=self._client.tracking_uri)
            if all(file.path != MODEL_FILE for file in repository.list_artifacts()):
                raise RefusedError(
                    f"version {version} of {usecase} has no {MODEL_FILE} any more; choose another version",
                    "MISSING",
                )
            data = Path(repository.download_artifacts(MODEL_FILE, folder)).read_bytes()
        return data, dict(model_version.tags)

    def restore(self, usecase: str, version: int, data: bytes) -> None:
        """Write the skops file over what lies in its place."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        model_version = self._client.get_model_version(usecase, str(version))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, MODEL_FILE)
            file.write_bytes(data)
            place = self.place(model_version)
            get_artifact_repository(place, tracking_uri=self._client.tracking_uri).log_artifact(str(file))

    def place(self, found: ModelVersion) -> str:
        """Where the version's files lie."""
        uri = str(self._client.get_model_version_download_uri(found.name, found.version))
        if uri.startswith("models:/m-"):
            return str(self._client.get_logged_model(uri.removeprefix("models:/")).artifact_location)
        return uri

    def _versions_of(self, usecase: str, key: str) -> list[ModelVersion]:
        versions = self._client.search_model_versions(f"name = '{usecase}' AND tags.`{KEY}` = '{key}'", max_results=100)
        return sorted(versions, key=lambda one: int(one.version))

    def _registered_model(self, usecase: str, question: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(usecase)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self._client.create_registered_model(usecase, description=about(usecase, question))

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
                Metric(metric.key, metric.value, metric.timestamp, metric.step, model_id=logged.model_id, run_id=run)
                for metric in source.data._metric_objs
            ]
            if numbers:
                client.log_batch(run, metrics=numbers)
            client.log_model_artifacts(logged.model_id, str(packed))
            client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        return str(logged.model_id)


def _headed(name: str, text: str) -> str:
    return cut(f"**{name.replace('_', ' ').capitalize()}** {text}", HEADING_LIMIT) + "\n\n"
