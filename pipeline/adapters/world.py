"""The environment, read once and turned into ports. The only reader of ``os.environ`` in the package."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.code_digest import installed, libraries, product, source
from pipeline.core.errors import UnavailableError, UsageError
from pipeline.core.ports import Progress, World
from pipeline.core.usecase import Schedule, Usecase

if TYPE_CHECKING:
    from pipeline.adapters.s3.bucket import Bucket


def home() -> Path:
    """The folder of everything the product keeps: ``PIPELINE_HOME``, by default ``var`` in the working folder."""
    return Path(os.environ.get("PIPELINE_HOME") or "var").resolve()


def landing() -> Path:
    """The folder where upstream delivers: ``PIPELINE_LANDING``, by default ``landing`` in the home."""
    return Path(os.environ.get("PIPELINE_LANDING") or home() / "landing").resolve()


def expectations() -> Path:
    """The folder of the suites: ``PIPELINE_EXPECTATIONS``, by default ``expectations`` beside the package."""
    return Path(os.environ.get("PIPELINE_EXPECTATIONS") or Path(__file__).parents[2] / "expectations")


def store() -> Path | Bucket:
    """Where tables and files are kept: ``PIPELINE_STORE``, by default ``store`` in the home.

    A folder, or ``s3://bucket/prefix`` on storage that the standard ``AWS_…`` variables describe. The ledger's SQLite
    file and the locks stay in the home wherever the store is: they need a file system.

    Raises:
        UsageError: It is neither, or keys are missing.
    """
    place = os.environ.get("PIPELINE_STORE") or str(home() / "store")
    if ":" not in place.partition("/")[0]:
        return Path(place).resolve()
    from pipeline.adapters.s3.address import address_of
    from pipeline.adapters.s3.bucket import Bucket

    address = address_of(place, os.environ)
    if not address.token:
        # Composed environments hand on what is not set as an empty text, and the table library would sign with that.
        os.environ.pop("AWS_SESSION_TOKEN", None)
    return Bucket(address)


def nothing_delivered() -> str:
    """That the folder of the deliveries is not there, as a clause; empty where it is."""
    return "" if landing().is_dir() else f"there is no folder of deliveries at {landing()}"


def nothing_kept() -> str:
    """Why there is nothing to read in the home, as a clause; empty where there is, or where it is kept elsewhere.

    Makes nothing: whoever only reads asks this before the ports are built, which would make what is missing.

    Raises:
        UsageError: MLFLOW_TRACKING_URI is no address.
    """
    from pipeline.adapters.registry.address import check_address

    root = home()
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        check_address(uri, root / "mlflow")  # what is wrong with it is said first: it is what was asked for
    if os.environ.get("PIPELINE_LEDGER") or (root / "store").is_dir():
        return ""
    where_from = (
        "named by PIPELINE_HOME" if os.environ.get("PIPELINE_HOME") else "the default: PIPELINE_HOME is not set"
    )
    return (
        f"there is no home at {root} ({where_from})"
        if not root.is_dir()
        else f"nothing was run yet in {root} ({where_from})"
    )


def _day(name: str, default: date | None) -> date | None:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} must be a day such as 2013-03-08, got '{text}'") from None


def calendar(usecase: Usecase) -> Schedule:
    """The use case's schedule, its first and last day as ``PIPELINE_FIRST_DAY`` and ``PIPELINE_LAST_DAY`` say."""
    schedule = usecase.schedule
    return dataclasses.replace(
        schedule,
        first=_day("PIPELINE_FIRST_DAY", schedule.first),
        last=_day("PIPELINE_LAST_DAY", schedule.last),
    )


def training_pool() -> str:
    """Airflow's pool that trainings share: ``PIPELINE_TRAINING_POOL``, by default the one that Airflow comes with."""
    return os.environ.get("PIPELINE_TRAINING_POOL") or "default_pool"


def ingest_place() -> dict[str, str]:
    """Airflow's pool and queue of the tasks that ask upstream, both named ``PIPELINE_INGEST_POOL``.

    By default those of all tasks. Apart from these, a slow upstream keeps nothing waiting but others' ingest, and that
    only when there are as many of them as the pool has slots.
    """
    name = os.environ.get("PIPELINE_INGEST_POOL")
    return {"pool": name, "queue": name} if name else {}


def code() -> str:
    """Digest of the package's source, for whoever asks later what judged a day."""
    root = Path(__file__).parents[1]
    hasher = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        hasher.update(path.relative_to(root).as_posix().encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


@contextmanager
def alone(usecase: str) -> Iterator[None]:
    """Hold the use case for this process: two runs from the command line at once would train everything twice.

    Raises:
        UnavailableError: Another process holds it.
        UsageError: The home can't be made, or not be written to.
    """
    folder = home() / "store"
    with ExitStack() as held:
        # What goes wrong inside the block is none of the lock's.
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((folder / f".{usecase}.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UnavailableError(
                f"another run of {usecase} is at work on {home()}; wait until it has ended", "BUSY"
            ) from None
        except OSError as error:
            where = f" at {error.filename}" if error.filename else ""
            raise UsageError(
                f"the home {home()} can't be made or written to ({error.strerror or error}{where}); give this account "
                f"access and make room, or name another folder in PIPELINE_HOME"
            ) from None
        yield


def world(progress: Progress | None = None, reading: bool = False) -> World:
    """Build the ports. Vendors are imported when a port is first used, not here where it can be helped.

    Args:
        progress: Shows how far long work has come; None: nothing is shown.
        reading: Whether whoever asked will write nothing: then the ledger is opened so that it can't be written.
    """
    from pipeline.adapters.checker.suites import GxChecker
    from pipeline.adapters.engine.polars_engine import PolarsEngine
    from pipeline.adapters.files.bucket import BucketFiles
    from pipeline.adapters.files.local import LocalFiles
    from pipeline.adapters.landing.folder import FolderLanding
    from pipeline.adapters.ledger.sql import SqlLedger
    from pipeline.adapters.models.skops_models import SkopsModels
    from pipeline.adapters.registry.mlflow_registry import MlflowRegistry
    from pipeline.adapters.store.delta import DeltaStore
    from pipeline.core.ports import silent

    # A single row is not slowed by waking threads, and two processes on a busy machine do not wait for one another.
    # (That fits are the same to the last bit is seen to in steps/models/threads.py.)
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    # As many as the features of one use case are given; their bits do not depend on it.
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    root, store_place = home(), store()
    tables = DeltaStore(store_place)
    files = LocalFiles(store_place / "files") if isinstance(store_place, Path) else BucketFiles(store_place)
    return World(
        landing=FolderLanding(landing()),
        store=tables,
        files=files,
        engine=PolarsEngine(tables),
        models=SkopsModels(files),
        registry=MlflowRegistry(
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow' / 'mlflow.db'}",
            artifacts=os.environ.get("PIPELINE_MLFLOW_ARTIFACTS", str(root / "mlflow" / "artifacts")),
            own=root / "mlflow",
            shown=os.environ.get("PIPELINE_MLFLOW_URL", ""),
        ),
        ledger=SqlLedger(os.environ.get("PIPELINE_LEDGER") or f"sqlite:///{root / 'store' / 'ledger.db'}", reading),
        checker=GxChecker(expectations()),
        progress=progress or silent,
        code=code(),
        compute_digest=product(),
        source_digest_of=source,
        library_digest_of=libraries,
        versions=installed(),
    )
