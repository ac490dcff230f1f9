"""All ports in one hand, and the port that shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.ports.protocols import (
    Checker,
    Engine,
    Files,
    Landing,
    Models,
    Progress,
    PromotionLedger,
    Registry,
    Store,
)


@contextmanager
def silent(label: str, total: int) -> Iterator[Callable[[], None]]:
    """The port :class:`Progress` that shows nothing: the default where nobody looks on."""
    del label, total
    yield lambda: None


@dataclass(frozen=True, slots=True)
class World:
    """All ports, in one hand. Built by ``adapters.world`` from the environment, or in memory by tests.

    Attributes:
        landing: Where upstream delivers: the files of a table's day.
        store: Tables with versions: the deliveries that were taken in, the score ledger, the block losses.
        files: Files that never change, by name: models, verdicts and their pages, validation reports, quarantine.
        engine: Computes a use case's features from the store.
        models: Writes fitted estimators as files and loads them.
        registry: Runs, versions and aliases as people see them (MLflow). It only shows; nothing is decided on it.
        ledger: The promotion ledger and the day-by-day table. The truth of who is champion.
        checker: Runs the suites of expectations over a table's day.
        progress: Shows how far long work has come.
        code: Digest of the product's own source, which is kept with what was judged.
        compute_digest: Digest of the part of it that computes features and fits, and of the libraries under it: part
            of every model's identity.
        source_digest_of: A function to the digest of what it is made of: the statements that it needs, wherever they
            stand; tells a recipe that was changed from the one that earned the evidence.
        library_digest_of: A function to the digest of the versions of the libraries that it imports: part of a model's
            identity, but the evidence that a recipe has earned outlives an upgrade.
        versions: Library to the version that is installed here, ``python`` among them: kept with every model that is
            made, so that whoever can't open it later knows what could.
    """

    landing: Landing
    store: Store
    files: Files
    engine: Engine
    models: Models
    registry: Registry
    ledger: PromotionLedger
    checker: Checker
    progress: Progress
    code: str = ""
    compute_digest: str = ""
    source_digest_of: Callable[[Callable[..., Any]], str] = lambda _: ""
    library_digest_of: Callable[[Callable[..., Any]], str] = lambda _: ""
    versions: Mapping[str, str] = field(default_factory=dict)
