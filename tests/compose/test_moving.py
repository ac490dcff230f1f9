"""An embedded installation moved into a team's stack: nothing lost, again without harm, refused where it would mix."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.adapters.ledger.schema import prepare
from stack.team import moving
from tests.compose.moved import Homes, Moved, in_worker
from tests.places import store_at
from tests.postgres import Postgres, running
from tests.rehearsal.client import ROOT
from tests.s3 import Storage

pytest_plugins = ["tests.compose.moved_once"]
pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """PostgreSQL with MLflow's tables in a database to copy."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with running() as one:
        for role in ("mlflow", "ledger_owner", "ledger"):
            one.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        one.sql("CREATE DATABASE empty OWNER mlflow")
        SqlAlchemyStore(one.url("empty", "mlflow", "secret"), "mlflow-artifacts:/").engine.dispose()
        yield one


@dataclasses.dataclass
class Target:
    """What the move sees of a stack."""

    server: Postgres
    folder: Path
    settings: dict[str, str]

    def move(self, home: Path) -> int:
        mask = os.umask(0o022)  # a process of its own has one for itself
        try:
            return moving.main({**self.settings, "MOVING_HOME": str(home), "MOVING_SHOWN": "var"})
        finally:
            os.umask(mask)

    def sql(self, statement: str) -> list[Any]:
        return self.server.sql(statement, "stack_mlflow", "mlflow", "secret")

    def ledger(self, statement: str) -> list[Any]:
        return self.server.sql(statement, "stack_ledger", "ledger_owner", "secret")

    def state(self) -> dict[str, Any]:
        """Everything that it holds."""
        counted = {}
        for database, user in (("stack_mlflow", "mlflow"), ("stack_ledger", "ledger_owner")):
            tables = self.server.sql(
                "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'moved')",
                *(database, user, "secret"),
            )
            for (name,) in tables:
                rows = self.server.sql(f"SELECT t::text FROM {name} t ORDER BY 1", database, user, "secret")
                counted[name] = [row for (row,) in rows]
        files = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        return {"files": files, **{name: rows for name, rows in counted.items() if rows}}


@pytest.fixture
def target(server: Postgres, tmp_path: Path) -> Iterator[Target]:
    server.sql("CREATE DATABASE stack_mlflow TEMPLATE empty OWNER mlflow")
    server.sql("CREATE DATABASE stack_ledger OWNER ledger_owner")
    server.sql("GRANT CONNECT ON DATABASE stack_ledger TO ledger")
    for name in ("store", "artifacts"):
        (tmp_path / "stack" / name).mkdir(parents=True)
    yield Target(
        server,
        tmp_path / "stack",
        {
            "PIPELINE_STORE": str(tmp_path / "stack" / "store"),
            "MLFLOW_ARTIFACTS": str(tmp_path / "stack" / "artifacts"),
            "MLFLOW_DATABASE": server.url("stack_mlflow", "mlflow", "secret"),
            "LEDGER_OWNER_URL": server.url("stack_ledger", "ledger_owner", "secret"),
            "LEDGER_WRITER": "ledger",
        },
    )
    for name in ("stack_mlflow", "stack_ledger"):
        server.sql(f"DROP DATABASE {name} WITH (FORCE)")


def rows(home: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def copy(homes: Homes, tmp_path: Path) -> Path:
    """A home to spoil."""
    return Path(shutil.copytree(homes.early, tmp_path / "home", symlinks=True))


def change(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_runs_versions_times_and_aliases_keep_what_they_are(homes: Homes, target: Target) -> None:
    assert target.move(homes.early) == 0
    for asked in (
        "SELECT run_uuid, name, status, start_time, end_time FROM runs ORDER BY 1",
        "SELECT name, version, creation_time, run_id FROM model_versions ORDER BY 1, 2",
        "SELECT name, alias, version FROM registered_model_aliases ORDER BY 1, 2",
        "SELECT experiment_id, name, creation_time FROM experiments WHERE experiment_id <> 0",
        "SELECT key, value, run_uuid FROM tags ORDER BY 3, 1",
    ):
        assert rows(homes.early, asked) == target.sql(asked)
    # The next experiment gets the next number.
    assert target.sql("SELECT nextval(pg_get_serial_sequence('experiments', 'experiment_id'))") >= [(2,)]


def test_every_location_is_one_that_the_server_hands_out(homes: Homes, target: Target) -> None:
    assert target.move(homes.early) == 0
    held = {name: rows for name, rows in target.state().items() if name != "files"}
    assert "/mlflow/artifacts" not in json.dumps(held)
    columns = (("artifact_uri", "runs"), ("source", "model_versions"), ("artifact_location", "logged_models"))
    for (place,) in target.sql(" UNION ".join(f"SELECT {column} FROM {table}" for column, table in columns)):
        assert place.startswith("mlflow-artifacts:/1/")
    (place,) = target.sql("SELECT storage_location FROM model_versions")[0]
    assert (target.folder / "artifacts" / place.removeprefix("mlflow-artifacts:/") / "model.skops").is_file()


def test_what_is_written_is_for_the_pipeline_alone(homes: Homes, target: Target) -> None:
    assert target.move(homes.early) == 0
    made = [path for name in ("store", "artifacts") for path in (target.folder / name).rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600, 0o700}


def test_a_second_move_writes_nothing(homes: Homes, target: Target) -> None:
    assert target.move(homes.early) == 0
    before = target.state()
    assert target.move(homes.early) == 0
    assert target.state() == before


def test_a_home_that_went_on_brings_what_is_new(homes: Homes, later: Path, target: Target) -> None:
    assert target.move(homes.early) == 0
    assert target.move(later) == 0
    once = target.state()
    assert len(target.ledger("SELECT 1 FROM outcomes")) == 2
    before = target.state()
    # An older copy would take back what came since.
    assert target.move(homes.early) == 2
    assert target.state() == before == once


def test_a_move_that_was_killed_is_done_by_the_next(
    homes: Homes, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    for where in ("stack.team.moving_mlflow.Mlflow.write", "stack.team.moving_ledger.Ledger.write"):
        with monkeypatch.context() as planted:
            planted.setattr(where, die)
            with pytest.raises(Killed):
                target.move(homes.early)
        assert not target.ledger("SELECT 1 FROM promotions")
    assert target.move(homes.early) == 0


def test_what_people_changed_in_the_stack_stays(
    homes: Homes, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert target.move(homes.early) == 0
    target.sql("UPDATE registered_models SET description = 'ours'")
    target.sql("DELETE FROM experiment_tags WHERE key = 'mlflow.experimentKind'")
    capsys.readouterr()
    assert target.move(homes.early) == 0
    assert target.sql("SELECT description FROM registered_models") == [("ours",)]
    assert capsys.readouterr().out.count("1 changed there since") == 2


def test_an_experiment_whose_number_is_taken_gets_another(homes: Homes, target: Target) -> None:
    target.sql(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, workspace) "
        "VALUES (1, 'another', 'mlflow-artifacts:/1', 'active', 'default')"
    )
    assert target.move(homes.early) == 0
    assert target.sql("SELECT experiment_id, name FROM experiments ORDER BY 1") == [
        (0, "Default"),
        (1, "another"),
        (2, "flight_delay"),
    ]
    assert {number for (number,) in target.sql("SELECT experiment_id FROM runs")} == {2}
    assert {path.name for path in (target.folder / "artifacts").iterdir()} == {"2"}
    assert target.move(homes.early) == 0


def test_files_are_moved_onto_storage(homes: Homes, target: Target, storage: Storage) -> None:
    address = storage.address()
    target.settings |= {
        "PIPELINE_STORE": f"s3://{address.bucket}/a/b",
        "MLFLOW_ARTIFACTS": f"s3://{address.bucket}/artifacts",
        "AWS_ENDPOINT_URL": address.endpoint,
        "AWS_ACCESS_KEY_ID": address.key,
        "AWS_SECRET_ACCESS_KEY": address.secret,
    }
    assert target.move(homes.early) == 0
    assert not list(target.folder.rglob("*.*"))
    there, home = store_at(address), store_at(homes.early / "store")
    version = home.version("flights")
    assert version is not None
    assert there.version("flights") == version
    assert there.read("flights", version).equals(home.read("flights", version))
    asked = {"Bucket": address.bucket, "Prefix": "artifacts/1/"}
    pages = [one["Key"] for one in storage.client().list_objects_v2(**asked)["Contents"]]
    assert any(page.endswith("model.skops") for page in pages)
    written = [call for call in storage.calls if call[0] == "PUT"]
    data, log = (
        [n for n, (_, path) in enumerate(written) if "/tables/" in path and ("_delta_log" in path) == logged]
        for logged in (False, True)
    )
    assert max(data) < min(log)
    storage.calls.clear()
    assert target.move(homes.early) == 0
    assert not [call for call in storage.calls if call[0] == "PUT"]


OTHERS = {
    "an experiment of that name": "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, "
    "workspace) VALUES (7, 'flight_delay', 'mlflow-artifacts:/7', 'active', 'default')",
    "a model of that name": "INSERT INTO registered_models (name, creation_time, workspace) "
    "VALUES ('flight_delay', 1, 'default')",
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_life_of_the_same_use_case_is_refused(
    homes: Homes, target: Target, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target.sql(OTHERS[other])
    before = target.state()
    assert target.move(homes.early) == 2
    said = capsys.readouterr().err
    assert "the stack holds something else about flight_delay" in said
    assert said.count("\n") == 1
    assert target.state() == before


def test_another_ledger_another_table_another_file_and_another_artifact_are_refused(
    homes: Homes, target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(target.settings["LEDGER_OWNER_URL"], "ledger")
    log = "tables/flights/_delta_log/00000000000000000003.json"
    file = next((homes.early / "store" / "files").rglob("*.json")).relative_to(homes.early / "store").as_posix()
    page = next((homes.early / "mlflow" / "artifacts" / "flight_delay").rglob("verdict.html"))
    artifact = page.relative_to(homes.early / "mlflow" / "artifacts" / "flight_delay").as_posix()
    for name, told in (
        (f"store/{log}", "version 3 of tables/flights"),
        (f"store/{file}", file),
        (f"artifacts/1/{artifact}", f"another artifact under the name 1/{artifact}"),
    ):
        planted = target.folder / name
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text("other")
        before = target.state()
        assert target.move(homes.early) == 2
        assert told in capsys.readouterr().err
        assert target.state() == before
        planted.unlink()
    target.ledger("INSERT INTO outcomes (usecase, day, body) VALUES ('flight_delay', '2013-01-09', '{}')")
    assert target.move(homes.early) == 2
    assert "line 1 of its outcomes says something about 2013-01-09" in capsys.readouterr().err


def test_both_sides_gone_on_is_refused(homes: Homes, later: Path, target: Target) -> None:
    assert target.move(homes.early) == 0
    target.ledger("INSERT INTO outcomes (usecase, day, body) VALUES ('flight_delay', '2013-01-11', '{}')")
    before = target.state()
    assert target.move(later) == 2
    assert target.state() == before


def truncate(home: Path) -> None:
    path = home / "mlflow" / "mlflow.db"
    path.write_bytes(path.read_bytes()[:50_000])


BROKEN = {
    "it is damaged": (truncate, "mlflow.db of the home is damaged"),
    "it has no ledger": (lambda home: (home / "store" / "ledger.db").unlink(), "it has no promotion ledger"),
    "it is another folder": (lambda home: [shutil.rmtree(home / n) for n in ("store", "mlflow")], "not there or empty"),
    "it is a project": (
        lambda home: [shutil.rmtree(home / "store"), shutil.rmtree(home / "mlflow"), (home / "setup.py").touch()],
        "var is no home of an installation",
    ),
    "it is not there": (shutil.rmtree, "var is not there or empty"),
    "it is of another MLflow": (
        lambda home: change(home, "UPDATE alembic_version SET version_num = 'older'"),
        "at home is at revision older",
    ),
    "artifacts lie elsewhere": (
        lambda home: change(home, "UPDATE runs SET artifact_uri = '/elsewhere/artifacts'"),
        "keeps its artifacts at /elsewhere/artifacts, which is not below",
    ),
    "it is of two homes": (
        lambda home: change(
            home, "UPDATE experiments SET artifact_location = '/b/mlflow/artifacts/0' WHERE experiment_id = 0"
        ),
        "keeps artifacts in 2 places",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_home_that_can_not_be_moved_is_refused_in_a_sentence(
    copy: Path, target: Target, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    break_it, told = BROKEN[how]
    break_it(copy)
    before = target.state()
    assert target.move(copy) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert target.state() == before


@pytest.mark.parametrize("lock", ["stack.lock", "store/.flight_delay.lock"])
def test_a_home_at_work_is_refused(copy: Path, target: Target, lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    with (copy / lock).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert target.move(copy) == 2
    assert "is in use" in capsys.readouterr().err
    assert target.move(copy) == 0


def test_something_lost_on_the_way_is_told_and_is_no_success(
    homes: Homes, target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = moving.files.Folder.write

    def forgetful(self: Any, name: str, source: Path, *, replace: bool = False) -> None:
        if not name.endswith("verdict.html"):
            write(self, name, source, replace=replace)

    monkeypatch.setattr(moving.files.Folder, "write", forgetful)
    assert target.move(homes.early) == 1
    told = capsys.readouterr()
    assert told.out.count("DIFFERS") == 1
    assert "see the lines that differ" in told.err


def test_the_services_run_once_keep_one_right_and_become_somebody() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    once = {
        name: service
        for name, service in services.items()
        if "profiles" in service and "postgres" not in service["image"]
    }
    assert {"moving", "backup-files", "restore-check", "restore-files"} <= set(once)
    for name, service in once.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["cap_add"] == ["DAC_READ_SEARCH", "SETUID", "SETGID"], name
        first, *words = service["command"]
        assert first == "setpriv"
        kept = {word for word in words if word.startswith(("--inh-caps", "--ambient-caps"))}
        assert kept == {"--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"}
        assert any(word.startswith("--reuid=") and word != "--reuid=0" for word in words)
    assert services["moving"]["volumes"][0].endswith(":/from:ro")


def test_the_moved_champion_goes_on_in_the_stack(moved: Moved, homes: Homes) -> None:
    assert moved.status == 0, moved.said
    assert "the stack holds all that the home holds" in moved.said
    status, said = moved.stack.once("moving", FROM=str(homes.early))
    assert status == 0, said
    assert "copied 0 files" in said
    # Written by the pipeline's user, though the home is another's.
    volumes = moved.stack.folder / "volumes"
    assert {path.stat().st_uid for path in (volumes / "data").rglob("*")} == {50000}

    status, said = in_worker(moved.stack, "run", "flight_delay", "--day", "2013-01-10")
    assert status == 0, said
    assert "version 1 usual" in said
    status, said = in_worker(moved.stack, "days", "flight_delay")
    assert "2013-01-09" in said
    assert "2013-01-10" in said
    # The stack has gone on; the home's part is still all there.
    status, said = moved.stack.once("moving", FROM=str(homes.early))
    assert status == 0, said
    assert "1 more there since" in said
