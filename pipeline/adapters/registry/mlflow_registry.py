"""MLflow: runs, versions and aliases, as people see them.

MLflow answers a creation that it has carried out with a 503 now and then, and its client sends the same POST again:
two runs, two versions. So its own retries are off here; each creation is a search by idempotency tag, then a
creation, and it is this pair that is tried again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.adapters.models.opening import TRUSTED
from pipeline.adapters.registry.address import check_address, connect, hidden, page_address
from pipeline.adapters.registry.charts import Charts
from pipeline.adapters.registry.errors import attempt
from pipeline.adapters.registry.runs import Runs
from pipeline.adapters.registry.versions import Versions
from pipeline.core.errors import RefusedError, UsageError
from pipeline.core.ports import Page

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

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
        self,
        uri: str,
        artifacts: str | None = None,
        trusted: Collection[str] = TRUSTED,
        pause: float = 1.0,
        own: Path | None = None,
        shown: str = "",
    ) -> None:
        """Connect to nothing yet.

        Args:
            uri: ``http://…`` of the server, or ``sqlite:///…/mlflow.db``.
            artifacts: Where experiments keep their artifacts; None: where the server says. Without a server it must
                be given, and be what the server is started with, so that both see the same files.
            trusted: Types that a model file may hold beyond those skops trusts; the allow-list is code, never the file.
            pause: Seconds before the second attempt; twice as long before the third.
            own: The home's folder of MLflow, made when its database is; any other folder must be there.
            shown: Where people reach the server, if not at ``uri``.
        """
        check_address(uri, own)
        if uri.startswith("sqlite:") and not artifacts:
            raise UsageError(f"without a server ({uri}) say where artifacts are kept: MlflowRegistry(uri, artifacts=…)")
        self._uri, self._artifacts, self._trusted, self._pause = uri, artifacts or None, tuple(trusted), pause
        self._own = own
        self._shown = shown or (hidden(uri) if uri.startswith("http") else "")
        os.environ.update(_SETTINGS)

    def record(self, usecase: str, page: Page) -> str:
        """Make or find the runs of the page and its children, bring them to this content, close them.

        MLflow can neither change a parameter nor take a metric or a nested run away. Where a repeated page would need
        that, the old runs keep what they say under the title ``… (replaced)``, and new ones take their keys.
        """
        for run_page in (page, *page.children):
            if not run_page.key or "'" in run_page.key or '"' in run_page.key:
                raise UsageError(f"a run's key is some text without quotes, got {run_page.key!r}")
        return self._attempt(f"record '{page.title}'", lambda: self._runs.record(usecase, page))

    def rename(self, run: str, title: str) -> None:
        """Give a run another title, unless it has it."""
        self._attempt(f"name a run '{title}'", lambda: self._runs.rename(run, title))

    def chart(self, usecase: str, metric: str, lines: Mapping[str, Mapping[date, float]]) -> None:
        """A run per contestant, whose metric ``<metric> by day`` has a point a day: MLflow draws them in one chart."""
        self._attempt(f"draw {metric} of {usecase} by day", lambda: self._charts.draw(usecase, metric, lines))

    def address(self, usecase: str, run: str, file: str = "") -> str:
        """The run's page on the server, with the file opened where one is named."""
        if not self._shown or not run:
            return ""
        return self._attempt(
            f"say where {usecase} is shown", lambda: page_address(self._shown, self._runs.home(usecase), run, file)
        )

    def annotate_version(self, usecase: str, version: int, name: str, text: str) -> None:
        """Say of a version what became of it."""
        what = f"say of version {version} of {usecase} what became of it"
        self._attempt(what, lambda: self._versions.annotate_version(usecase, version, name, text))

    def register(  # noqa: D417 -- the port documents the arguments
        self,
        usecase: str,
        key: str,
        run: str,
        model: bytes,
        sha256: str,
        tags: Mapping[str, str],
        example: Any | None = None,
    ) -> int:
        """Make or find the version of ``key`` from a skops file's bytes, which are kept exactly as they are.

        Args:
            example: A pandas frame with a few rows of inputs: gives the version a signature and an input example.

        Raises:
            RefusedError: The file's digest is not ``sha256``, or it holds a type that is not on the allow-list.
            ConflictError: The key already names a version made of other bytes.
        """
        if hashlib.sha256(model).hexdigest() != sha256:
            raise RefusedError(
                f"the winner of {usecase} is not the file that was trained (SHA-256 differs from {sha256[:12]}…); "
                f"nothing was registered: train the day again",
                "TAMPERED",
            )
        return self._attempt(
            f"register the winner of {usecase}",
            lambda: self._versions.register(usecase, key, run, model, sha256, dict(tags), example),
        )

    def aliases(self, usecase: str) -> Mapping[str, int]:
        """Alias to version; empty where nothing was ever registered."""
        return self._attempt(f"read the aliases of {usecase}", lambda: self._versions.aliases(usecase))

    def digests(self, usecase: str, versions: Collection[int]) -> Mapping[int, str]:
        """Of these versions those that are there, each with the SHA-256 it was registered with."""
        what = f"read which models the versions of {usecase} are"
        return self._attempt(what, lambda: self._versions.digests(usecase, versions))

    def use_up(self, usecase: str, version: int) -> None:
        """Leave a number unused, so that the next version gets the one after it."""
        self._attempt(f"leave version {version} of {usecase} unused", lambda: self._versions.use_up(usecase, version))

    def set_alias(self, usecase: str, alias: str, version: int | None) -> None:
        """Set the alias, or remove it with None."""
        what = f"point {usecase}@{alias} at version {version}"
        self._attempt(what, lambda: self._versions.set_alias(usecase, alias, version))

    def artifact(self, usecase: str, version: int) -> tuple[bytes, Mapping[str, str]]:
        """The skops file of a version and the version's tags; the caller checks the bytes against the ledger."""
        return self._attempt(f"fetch version {version} of {usecase}", lambda: self._versions.artifact(usecase, version))

    def restore(self, usecase: str, version: int, model: bytes) -> None:
        """Put a version's skops file back in place of what lies there."""
        what = f"put the file of version {version} of {usecase} back"
        self._attempt(what, lambda: self._versions.restore(usecase, version, model))

    def _attempt(self, what: str, action: Callable[[], T]) -> T:
        return attempt(hidden(self._uri), self._pause, what, action)

    # Made inside an attempt, so that what goes wrong with connecting is told in our words, too.
    @cached_property
    def _client(self) -> MlflowClient:
        return connect(self._uri, self._own)

    @cached_property
    def _runs(self) -> Runs:
        return Runs(self._client, self._uri, self._artifacts)

    @cached_property
    def _charts(self) -> Charts:
        return Charts(self._client, self._runs.home)

    @cached_property
    def _versions(self) -> Versions:
        return Versions(self._client, self._trusted)
