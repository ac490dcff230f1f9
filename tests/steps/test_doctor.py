"""What an upgrade or a changed declaration would end is told beforehand, and nothing is written."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import narwhals as nw
import pytest

from pipeline import usecases
from pipeline.cli.main import main
from pipeline.core.errors import UsageError
from pipeline.core.ports import World
from pipeline.steps.doctor import doctor
from pipeline.steps.models.champion_model import file_of
from tests import small
from tests.steps.test_succession import NINTH, SMALL, WITHOUT_AREA, declared, upgraded


def everything(home: Path) -> dict[str, tuple[int, int]]:
    """Each file and folder below a home, with when it was changed and how large it is."""
    found = {path: path.stat() for path in home.rglob("*")}
    return {str(path): (stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}


def test_models_that_open_and_say_the_same_are_sound(promoted: World, tmp_path: Path) -> None:
    before = everything(tmp_path)
    found = doctor(SMALL, promoted)
    assert everything(tmp_path) == before
    assert found.sound
    assert [(one.version, one.role) for one in found.models] == [(2, "champion"), (1, "previous")]
    assert {one.found for one in found.models} == {"opens, and says the same of 30 units of 2020-01-08 (to the bit)"}
    assert found.ahead == "the champion, version 2, serves on, and every rollback stays open"


def test_what_cannot_be_opened_is_told_with_the_night_that_follows(promoted: World, tmp_path: Path) -> None:
    before = everything(tmp_path)
    found = doctor(SMALL, upgraded(promoted, 2))
    assert everything(tmp_path) == before
    champion, other = found.models
    assert (champion.sound, other.sound, found.sound) == (False, True, False)
    assert champion.found == "can't be opened with scikit-learn 9.1, it was made with 9.0"
    assert found.ahead == (
        "the champion, version 2, can't serve here: in the first night its recipe, linear_long, is fitted anew and "
        "takes its place, and the promotion ledger says why"
    )
    assert small.run_day(SMALL, NINTH, upgraded(promoted, 2)).recipe == "linear_long"


def test_a_rollback_that_would_be_lost_is_told(promoted: World) -> None:
    found = doctor(SMALL, upgraded(promoted, 1))
    assert [one.sound for one in found.models] == [True, False]
    assert found.ahead == "the champion, version 2, serves on; no rollback goes to version 1 from here"


def test_an_input_that_will_be_missing_is_told(promoted: World) -> None:
    found = doctor(WITHOUT_AREA, promoted)
    assert found.models[0].found == "wants the input 'area', which the declaration no longer has"
    assert not found.sound


def otherwise(tables: Any) -> Any:
    """Features that a new library computes otherwise."""
    return small.features(tables).with_columns(size=nw.col("size") * 1.001)


def test_who_opens_and_predicts_otherwise_is_told_by_how_much(promoted: World) -> None:
    champion, constant = doctor(declared(features=otherwise), promoted).models
    found = re.fullmatch(r"predicts otherwise: (\d+) of 30 units of 2020-01-08, by up to (\S+)", champion.found)
    assert found is not None, champion.found
    assert int(found[1]) > 20
    assert 1e-5 < float(found[2]) < 1e-2
    assert not champion.sound
    assert constant.sound, "it reads no input"


def test_a_last_bit_is_no_other_prediction(promoted: World) -> None:
    def nearly(tables: Any) -> Any:
        return small.features(tables).with_columns(size=nw.col("size") * (1 + 1e-12))

    champion, _ = doctor(declared(features=nearly), promoted).models
    assert champion.sound
    assert "(within " in champion.found


def test_a_model_that_is_lost_is_no_sound_one_and_is_not_fetched(promoted: World, tmp_path: Path) -> None:
    head = promoted.ledger.entries("small")[-1]
    promoted.files.path(file_of("small", head.sha256)).unlink()
    before = everything(tmp_path)
    found = doctor(SMALL, promoted)
    assert everything(tmp_path) == before
    assert "not in the file store" in found.models[0].found
    assert not found.sound


def test_a_use_case_without_a_champion_has_nothing_to_lose(world: World) -> None:
    found = doctor(SMALL, world)
    assert (found.models, found.sound) == ((), True)


def test_the_libraries_that_differ_from_what_a_model_was_made_with_are_told(promoted: World) -> None:
    then, now = {"python": "3.11", "numpy": "2.4"}, {"python": "3.12", "numpy": "2.4"}
    small.run_day(SMALL, NINTH, upgraded(promoted, 1, 2, versions=then))
    assert doctor(SMALL, dataclasses.replace(promoted, versions=now)).models[0].made_with == "python 3.11"
    assert doctor(SMALL, dataclasses.replace(promoted, versions=then)).models[0].made_with == "the same"


# The command.


@pytest.fixture
def at_home(promoted: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setattr(usecases, "ALL", (SMALL,))
    return tmp_path


def test_the_command_reads_only_and_its_status_tells(
    at_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(at_home)
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "every rollback stays open" in shown
    assert "scikit-learn" in shown
    monkeypatch.setattr(usecases, "ALL", (WITHOUT_AREA,))
    assert main(["doctor", "small"]) == 1
    assert "can't serve here" in capsys.readouterr().out
    assert main(["doctor", "small", "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)["usecases"]
    assert (told["sound"], told["models"][0]["version"]) == (False, 2)
    assert everything(at_home) == before


def test_a_name_that_is_none_and_a_home_that_is_none_are_no_success(
    at_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", "smal"]) == 2
    assert "there is no use case 'smal'" in capsys.readouterr().err
    monkeypatch.setenv("PIPELINE_HOME", str(at_home / "none"))
    assert main(["doctor"]) == 2
    assert not (at_home / "none").exists()


def test_a_declaration_that_is_broken_is_no_success(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.usecases.BROKEN", {"other": "use case 'other' can't be loaded"})
    assert main(["doctor"]) == 1
    assert main(["doctor", "small"]) == 0


def test_a_ledger_that_is_only_read_can_not_be_written(at_home: Path) -> None:
    from pipeline.adapters.ledger.sql import SqlLedger

    ledger = SqlLedger(f"sqlite:///{at_home / 'store' / 'ledger.db'}", reading=True)
    entries = ledger.entries("small")
    assert [entry.version for entry in entries] == [1, 2]
    with pytest.raises(UsageError, match="can't be written"):
        ledger.append(dataclasses.replace(entries[-1], epoch=3))
    with pytest.raises(UsageError):
        SqlLedger(f"sqlite:///{at_home / 'none.db'}", reading=True).entries("small")
    assert not (at_home / "none.db").exists()


def test_the_advice_of_a_refused_rollback_works_as_printed(
    at_home: Path, promoted: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = upgraded(promoted, 2)
    small.run_day(SMALL, NINTH, world)
    monkeypatch.setattr("pipeline.adapters.world.world", lambda *_, **__: world)
    assert main(["rollback", "small", "--to", "previous", "--why", "complaints"]) == 1
    said = capsys.readouterr().err
    (command,) = re.findall(r"'python -m (pipeline rollback .*?\")'", said)
    assert main(shlex.split(command)[1:]) == 0
    assert promoted.ledger.entries("small")[-1].version == 1
    world = upgraded(promoted, 2, 3)
    assert main(["rollback", "small", "--to", "3", "--why", "x"]) == 1
    (command,) = re.findall(r"'python -m (pipeline doctor \w+)'", capsys.readouterr().err)
    assert main(shlex.split(command)[1:]) == 1
    assert capsys.readouterr().out.count("does not") == 2


def test_a_rollback_that_bars_nobody_says_so(
    at_home: Path, promoted: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.adapters.world.world", lambda *_, **__: upgraded(promoted, 2))
    assert main(["rollback", "small", "--to", "1", "--why", "it can't be opened"]) == 0
    assert "version 2 can't answer any more, which is not its recipe's fault" in capsys.readouterr().out
