"""Where MLflow is and keeps its files: a wrong address, a database it can't use, a home that was moved or copied."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.adapters.registry.address import check_place
from pipeline.adapters.registry.mlflow_registry import MlflowRegistry
from pipeline.core.errors import PipelineError, UnavailableError, UsageError
from pipeline.core.ports import Page

PAGE = Page("u 2013-03-08", "k", {"decision": "hold"}, {}, {}, {"verdict.html": b"<h1>hold</h1>"})


def in_home(home: Path, artifacts: str = "") -> MlflowRegistry:
    """The registry as the world builds it for a home without a server."""
    kept = home / "mlflow"
    return MlflowRegistry(f"sqlite:///{kept}/mlflow.db", artifacts or str(kept / "artifacts"), pause=0.01, own=kept)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a database; making one takes seconds, copying it none."""
    home = tmp_path_factory.mktemp("made") / "home"
    in_home(home).aliases("u")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A home of the test's own, with a run in it."""
    shutil.copytree(made, tmp_path / "home")
    in_home(tmp_path / "home").record("u", PAGE)
    return tmp_path / "home"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copied_home_does_not_write_into_the_one_it_was_copied_from(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    before = files(home)
    with pytest.raises(UsageError) as moved:
        in_home(copy).record("u", Page("u 2013-03-09", "l", {}, {}, {}, {"verdict.html": b"new"}))
    assert moved.value.code == "MOVED"
    old, new = home / "mlflow" / "artifacts", copy / "mlflow" / "artifacts"
    assert f"keeps its artifacts in {old}/u and not below {new}" in str(moved.value)
    assert f"PIPELINE_MLFLOW_ARTIFACTS={old} " in str(moved.value)
    assert files(home) == before
    in_home(copy, str(old)).record("u", PAGE)  # the way out that the sentence names


def test_a_moved_home_that_is_linked_from_its_old_path_goes_on(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    home.rename(moved)
    with pytest.raises(UsageError, match="moved or copied"):
        in_home(moved).record("u", PAGE)
    home.symlink_to(moved)
    in_home(moved).record("u", Page("u 2013-03-09", "l", {}, {}, {}, {"verdict.html": b"new"}))
    assert b"new" in files(moved).values()


@pytest.mark.parametrize(
    ("location", "uri", "artifacts", "fine"),
    [
        ("/a/mlflow/artifacts/u", "sqlite:////a/mlflow/mlflow.db", "/a/mlflow/artifacts", True),
        ("file:///a%20b/mlflow/artifacts/u", "sqlite:////x.db", "/a b/mlflow/artifacts", True),
        ("/a/mlflow/artifacts/7", "sqlite:////a/mlflow/mlflow.db", "file:///a/mlflow/artifacts", True),
        ("/b/mlflow/artifacts/u", "sqlite:////a/mlflow/mlflow.db", "/a/mlflow/artifacts", False),
        ("file:///b/art/u", "sqlite:////a/mlflow/mlflow.db", "/a/mlflow/artifacts", False),
        ("mlflow-artifacts:/u", "sqlite:////a/mlflow/mlflow.db", "/a/mlflow/artifacts", True),
        ("mlflow-artifacts:/u", "http://127.0.0.1:5000", "/a/mlflow/artifacts", True),
        ("s3://bucket/u", "sqlite:////a/mlflow/mlflow.db", "/a/mlflow/artifacts", True),
        ("/b/mlflow/artifacts/u", "sqlite:////a/mlflow/mlflow.db", "s3://bucket", True),
        ("/b/mlflow/artifacts/u", "http://127.0.0.1:5000", None, True),
        ("/b/mlflow/artifacts/u", "http://127.0.0.1:5000", "/a/mlflow/artifacts", False),
        ("/b/kept/by/the/server", "http://127.0.0.1:5000", "/a/mlflow/artifacts", True),
        ("/b/mlflow/artifacts/u", "https://mlflow.example.org", "/a/mlflow/artifacts", True),
    ],
)
def test_only_artifacts_in_a_folder_of_another_home_are_refused(
    location: str, uri: str, artifacts: str | None, fine: bool
) -> None:
    if fine:
        check_place("u", location, uri, artifacts)
    else:
        with pytest.raises(UsageError, match="moved or copied"):
            check_place("u", location, uri, artifacts)


@pytest.mark.parametrize(
    ("uri", "wrong"),
    [
        ("", "neither"),
        ("htp://127.0.0.1:5000", "neither"),
        ("mlruns", "neither"),
        ("{here}/nowhere/mlruns", "neither"),
        ("file://{here}/nowhere", "neither"),
        ("localhost:5000", "neither"),
        ("databricks", "neither"),
        ("http://", "no host"),
        ("http://127.0.0.1:99999", "Port out of range"),
        ("sqlite:mlflow.db", "neither"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///{here}/nowhere/mlflow.db", "which is no folder"),
        ("sqlite:///{here}", "is a folder and not a file"),
    ],
)
def test_a_wrong_address_is_one_sentence_that_names_the_setting_and_makes_nothing(
    uri: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=wrong) as caught:
        MlflowRegistry(uri.format(here=tmp_path), str(tmp_path / "artifacts"), pause=0.01).aliases("u")
    said = str(caught.value)
    assert said.startswith(f"MLFLOW_TRACKING_URI={uri.format(here=tmp_path)} ")
    assert "http://127.0.0.1:5000" in said
    assert "sqlite:////data/mlflow.db" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["ada:s3c/r@et@host:5000", "postgresql://ada:s3c/r@et@host/x", "htp://ada:s3c/r@et@h"])
def test_a_wrong_address_is_shown_without_its_password(uri: str) -> None:
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI") as caught:
        MlflowRegistry(uri, "/nowhere")
    assert not re.search("ada|s3c|et@", str(caught.value))


@pytest.fixture
def web() -> Iterator[str]:
    """A web server that is no MLflow."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_another_server_than_mlflow_is_not_waited_for(web: str) -> None:
    with pytest.raises(UsageError, match=r"is not MLflow, or an older one.*correct MLFLOW_TRACKING_URI"):
        MlflowRegistry(web, "/nowhere", pause=0.01).aliases("u")


def damage(sql: str) -> Callable[[Path], None]:
    def act(database: Path) -> None:
        with sqlite3.connect(database) as connection:
            connection.executescript(sql)

    return act


def scribble(database: Path) -> None:
    database.write_bytes(b"this is no database at all, only text" * 100)


OLDER, NEWER = "451aebb31d03", "ffffffffffff"


@pytest.mark.parametrize(
    ("harm", "code", "said"),
    [
        (scribble, "CORRUPT", "file is not a database"),
        (damage("DROP TABLE experiment_tags; DROP TABLE experiments"), "CORRUPT", "no such table: experiments"),
        (damage(f"UPDATE alembic_version SET version_num = '{NEWER}'"), "SCHEMA", "made by a newer MLflow"),
        (
            damage(f"UPDATE alembic_version SET version_num = '{NEWER}'; DROP TABLE registered_model_aliases"),
            "SCHEMA",
            "made by a newer MLflow",
        ),
        (damage(f"UPDATE alembic_version SET version_num = '{OLDER}'"), "SCHEMA", "mlflow db upgrade"),
    ],
    ids=["text", "a table less", "newer", "newer with other tables", "older"],
)
def test_a_database_that_cannot_be_used_is_one_sentence_without_sql(
    made: Path, tmp_path: Path, harm: Callable[[Path], None], code: str, said: str
) -> None:
    home = tmp_path / "home"
    shutil.copytree(made, home)
    registry = in_home(home)
    if said.startswith("no such table"):
        registry.aliases("u")  # MLflow makes what is missing when it opens a database, and not afterwards
        registry._client.search_experiments()
    harm(home / "mlflow" / "mlflow.db")
    with pytest.raises(PipelineError, match=said) as caught:
        registry.record("u", PAGE)
    assert caught.value.code == code
    assert not re.search(r"sqlalche|SQL|SELECT|sqlite3\.|alembic|\n", str(caught.value))
    assert "could not record 'u 2013-03-08'" in str(caught.value)


def test_a_database_that_cannot_grow_is_one_sentence_without_sql(home: Path) -> None:
    registry = in_home(home)
    registry.aliases("u")
    full = "CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
    damage(full)(home / "mlflow" / "mlflow.db")
    with pytest.raises(UnavailableError, match=r"\(database or disk is full\); make room") as caught:
        registry.record("u", Page("u 2013-03-09", "l", {}, {}, {}, {}))
    assert caught.value.code == "STORAGE"
    assert not re.search(r"sqlalche|SQL|INSERT|sqlite3\.|\n", str(caught.value))


def test_a_database_that_somebody_else_writes_to_is_tried_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passing, not final: the first attempt meets a writer who is gone at the second."""
    from sqlalchemy.exc import OperationalError

    registry = in_home(home)
    registry.aliases("u")
    record, tries = registry._runs.record, []

    def locked_at_first(*asked: object) -> str:
        tries.append(asked)
        if len(tries) == 1:
            raise OperationalError("UPDATE runs", {}, sqlite3.OperationalError("database is locked"))
        return record(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(registry._runs, "record", locked_at_first)
    assert registry.record("u", Page("u 2013-03-10", "m", {}, {}, {}, {}))
    assert len(tries) == 2

    def locked(*_: object) -> str:
        raise OperationalError("UPDATE runs", {}, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr(registry._runs, "record", locked)
    with pytest.raises(UnavailableError, match="somebody else writes into the database of MLflow") as busy:
        registry.record("u", Page("u 2013-03-11", "n", {}, {}, {}, {}))
    assert busy.value.code == "BUSY"


def test_a_deleted_experiment_is_restored_by_the_command_that_is_advised(home: Path) -> None:
    registry = in_home(home)
    registry.record("gone", Page("gone 2013-03-10", "g", {}, {}, {}, {}))
    registry._client.delete_experiment(registry._client.get_experiment_by_name("gone").experiment_id)
    again = in_home(home)
    page = Page("gone 2013-03-11", "h", {}, {}, {}, {})
    with pytest.raises(UsageError, match="deleted by hand; restore it, in the project's folder: ") as told:
        again.record("gone", page)
    command = str(told.value).partition("folder: ")[2]
    root = Path(__file__).parents[3]
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    subprocess.run(["/bin/sh", "-c", command], cwd=root, env=plain, check=True, capture_output=True, timeout=120)
    assert in_home(home).record("gone", page)


def test_a_database_without_access_is_not_tried_for_minutes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root, who has access to everything
    with pytest.raises(UsageError, match="may not be read and written; give this user access"):
        in_home(home).aliases("u")


def test_a_server_without_an_answer_is_unavailable_and_names_the_setting() -> None:
    with pytest.raises(UnavailableError, match=r"correct MLFLOW_TRACKING_URI.*no such host"):
        MlflowRegistry("http://no.such.host.invalid:5000", "/nowhere", pause=0.01).aliases("u")
