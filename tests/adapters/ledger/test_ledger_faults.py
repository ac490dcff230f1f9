"""A promotion ledger that can't be used: one sentence with the way out, whatever is wrong, and never a password."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect

from pipeline.adapters.ledger.sql import SqlLedger
from pipeline.cli import main as cli
from pipeline.core.errors import PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.records import DayOutcome

OUTCOME = DayOutcome("flight_delay", "2020-01-05", "held", 1, "linear", {"champion": 0.3}, "held")


def at(path: Path) -> SqlLedger:
    return SqlLedger(f"sqlite:///{path}")


def folder(file: Path) -> None:
    file.mkdir()


def text(file: Path) -> None:
    file.write_bytes(b"this is no database at all, only text" * 100)


def no_folder(file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text("a file where a folder should be")


def line(body: str) -> Callable[[Path], None]:
    def act(file: Path) -> None:
        at(file).conclude(OUTCOME)
        with sqlite3.connect(file) as connection:
            connection.execute(
                "INSERT INTO outcomes (usecase, day, body) VALUES (?, ?, ?)", ("flight_delay", "2020-01-05", body)
            )

    return act


def other_tables(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE outcomes (usecase TEXT, day TEXT, line INTEGER)")


HARMS = {
    "a folder": (folder, UsageError, "LEDGER", "Is a directory"),
    "no folder": (no_folder, UsageError, "LEDGER", "can't be read and written"),
    "text": (text, RefusedError, "CORRUPT", "file is not a database"),
    "other tables": (other_tables, RefusedError, "CORRUPT", "no such column"),
    "cut JSON": (line('{"usecase": "flight_de'), RefusedError, "CORRUPT", "flight_delay on 2020-01-05; restore it"),
    "no object": (line("null"), RefusedError, "CORRUPT", "damaged line"),
    "less fields": (line('{"usecase": "flight_delay"}'), RefusedError, "CORRUPT", "damaged line"),
    "another day": (line('{"day": "2020-01-06"}'), RefusedError, "CORRUPT", "damaged line"),
}


@pytest.mark.parametrize(("harm", "kind", "code", "said"), HARMS.values(), ids=HARMS)
def test_a_ledger_that_cannot_be_used_is_one_sentence_with_a_code(
    tmp_path: Path, harm: Callable[[Path], None], kind: type[PipelineError], code: str, said: str
) -> None:
    file = tmp_path / "store" / "ledger.db"
    file.parent.mkdir()
    harm(file)
    with pytest.raises(kind, match=said) as caught:
        at(file).outcomes("flight_delay")
    assert caught.value.code == code
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "sqlalche.me" not in str(caught.value)


@pytest.mark.parametrize(("error", "kind"), [(13, UsageError), (30, UsageError), (28, UnavailableError)])
def test_a_ledger_that_may_not_be_written_says_who_must_be_given_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, kind: type[PipelineError]
) -> None:
    def refuse(*_: Any) -> None:  # tests may run as root, who may write everything
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(kind, match=r"give this user access to that file|make room") as caught:
        at(tmp_path / "ledger.db").entries("small")
    assert os.strerror(error) in str(caught.value)
    assert caught.value.code == "LEDGER"


def test_a_ledger_that_became_read_only_is_not_tried_again(tmp_path: Path) -> None:
    ledger = at(tmp_path / "ledger.db")
    ledger.conclude(OUTCOME)
    from sqlalchemy import event

    event.listen(ledger._engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    with pytest.raises(UsageError, match=r"readonly.*give this user access") as caught:
        ledger.conclude(DayOutcome("flight_delay", "2020-01-06", "held", 1, "linear", {}, "held"))
    assert caught.value.code == "LEDGER"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/data/ledger.db", "is no address of a database"),
        ("sqlite:/data/ledger.db", "is no address of a database"),
        ("postgresql://ada:s3c@ret@host:many/name", "is no address of a database"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///ledger.db?mode=ro&password=s3c", "more than a file"),
        ("nosuch://ada:s3c@host/name", "needs a database driver"),
        ("postgresql+nosuch://ada:s3c@host/name?password=s3c", "needs a database driver"),
        ("postgresql+psycopg://ada:s3c@host/name", "needs a database driver"),
    ],
)
def test_a_wrong_address_is_one_sentence_that_names_the_setting_and_no_password(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "psycopg", None)  # not installed
    with pytest.raises(UsageError, match=said) as caught:
        SqlLedger(url).entries("small")
    assert str(caught.value).startswith("PIPELINE_LEDGER=")
    assert "s3c" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Server(DefaultDialect):
    """A database server that lets nobody in, and repeats what it was told."""

    name, driver, supports_statement_cache = "server", "stub", True
    says = ""

    @classmethod
    def import_dbapi(cls) -> Any:
        class OperationalError(Exception):
            pass

        def connect(**told: Any) -> None:
            raise OperationalError(cls.says.format(**told))

        kinds = ("Error", "OperationalError", "DatabaseError", "InterfaceError", "IntegrityError", "ProgrammingError")
        kinds += ("DataError", "InternalError", "NotSupportedError")
        return SimpleNamespace(connect=connect, paramstyle="named", **dict.fromkeys(kinds, OperationalError))


@pytest.mark.parametrize(
    ("says", "kind", "code"),
    [
        ('FATAL: password authentication failed for user "{username}" (password={password})', UsageError, "DENIED"),
        ("Access denied for user '{username}'", UsageError, "DENIED"),
        ("connection to {host} refused; connection string was PWD={password}", UnavailableError, "LEDGER"),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch, says: str, kind: type[PipelineError], code: str
) -> None:
    registry.register("server.stub", __name__, "Server")
    monkeypatch.setattr(Server, "says", says)
    with pytest.raises(kind, match="PIPELINE_LEDGER") as caught:
        SqlLedger("server+stub://ada:s3c@host/name?password=s3c").entries("small")
    assert caught.value.code == code
    assert "s3c" not in str(caught.value)
    assert "server+stub://ada:***@host/name" in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PIPELINE_LEDGER", "/data/ledger.db"),
        ("PIPELINE_LEDGER", "postgresql+nosuch://ada:s3c@host/name"),
        ("PIPELINE_LEDGER", "sqlite:///{here}"),
        ("MLFLOW_TRACKING_URI", "mlruns"),
    ],
)
def test_the_command_line_says_it_in_one_line_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv(setting, value.format(here=tmp_path))
    assert cli.main(["days", "flight_delay"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert setting in said
    assert "UNEXPECTED" not in said
    assert list(tmp_path.rglob("mlruns")) == []


def test_an_empty_setting_is_one_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.adapters import world as worlds

    monkeypatch.chdir(tmp_path)
    for name in ("PIPELINE_HOME", "PIPELINE_LANDING", "PIPELINE_LEDGER", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")
    assert worlds.home() == tmp_path / "var"
    assert worlds.landing() == tmp_path / "var" / "landing"
    worlds.world().ledger.conclude(OUTCOME)
    assert (tmp_path / "var" / "store" / "ledger.db").is_file()
