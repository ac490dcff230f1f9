"""The command line: the same steps, one sentence when something is wrong, a truthful status."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pipeline.adapters import world as worlds
from pipeline.cli import main as cli
from pipeline.core.errors import UnavailableError
from pipeline.core.ports import World
from pipeline.core.usecase import Promotion, Usecase
from pipeline.steps.judging import timing
from tests import small


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The command line on the small use case, ten days delivered."""
    for day in small.days(10):
        small.deliver(tmp_path / "landing", day)
    ports = small.world_in(tmp_path)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setattr(timing, "SINGLE", 2)
    monkeypatch.setattr(timing, "BATCH", 2)
    monkeypatch.setattr(worlds, "world", lambda progress=None: ports)
    use(monkeypatch, small.SMALL)
    return ports


def use(monkeypatch: pytest.MonkeyPatch, usecase: Usecase) -> None:
    def find(name: str) -> Usecase:
        if name != usecase.name:
            raise KeyError(f"there is no use case '{name}'; there are {usecase.name}")
        return usecase

    monkeypatch.setattr(cli, "find", find)


def test_days_run_oldest_first_and_end_in_a_table(command: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-08"]) == 0
    said = capsys.readouterr().out
    assert said.index("2020-01-03") < said.index("2020-01-08")
    assert "started" in said
    assert "promoted" in said
    assert cli.main(["history", "small"]) == 0
    assert "constant" in capsys.readouterr().out


def test_a_rollback_by_command_is_in_the_history_with_its_reason(
    command: World, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-08"])
    assert cli.main(["rollback", "small", "--to", "previous", "--why", "gate agents complain", "--by", "ada"]) == 0
    capsys.readouterr()
    cli.main(["history", "small"])
    said = capsys.readouterr().out
    assert "gate agents complain" in said
    assert "ada" in said
    assert command.registry.aliases("small")["champion"] == 1
    recipe = command.ledger.entries("small")[-1].held
    assert cli.main(["lift", "small", "--recipe", recipe, "--why", "it was the data", "--by", "ada"]) == 0
    assert cli.main(["reconcile", "small"]) == 0


def test_a_day_without_files_is_one_sentence_and_no_traceback(
    command: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "small", "--day", "2020-03-01"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("MISSING")
    assert "2020-03-01" in said
    assert "Traceback" not in said


def test_a_day_whose_file_never_came_stands_in_the_table_as_refused_and_the_next_day_is_run(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = tmp_path / "landing" / "visits" / "2020-01-05.csv"
    late.rename(late.with_suffix(".late"))
    assert cli.main(["run", "small", "--from", "2020-01-04", "--to", "2020-01-06"]) == 2
    said = capsys.readouterr()
    assert "2020-01-05.csv' is not there" in said.err
    assert "2020-01-06" in said.out
    cli.main(["days", "small"])
    assert "is not there" in " ".join(capsys.readouterr().out.split())
    missed = {line.day: line for line in command.ledger.outcomes("small")}["2020-01-05"]
    assert (missed.outcome, "is not there" in missed.reason) == ("refused", True)
    late.with_suffix(".late").rename(late)
    assert cli.main(["run", "small", "--day", "2020-01-05"]) == 0
    assert {line.day: line.outcome for line in command.ledger.outcomes("small")}["2020-01-05"] != "refused"


def test_a_day_that_lies_ahead_leaves_no_line_for_want_of_files(command: World) -> None:
    assert cli.main(["run", "small", "--day", "2199-01-01"]) == 2
    assert list(command.ledger.outcomes("small")) == []


def test_a_store_that_does_not_answer_is_not_the_days_fault(
    command: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(*_: object) -> None:
        raise UnavailableError("other writers were first; try again")

    monkeypatch.setattr("pipeline.steps.ingest.ingest", busy)
    assert cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-04"]) == 2
    assert capsys.readouterr().err == "UNAVAILABLE: other writers were first; try again\n"
    assert list(command.ledger.outcomes("small")) == []


def test_refused_data_ends_with_status_1_and_stands_in_the_table(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "landing" / "visits" / "2020-01-05.csv").write_text("day,visit,shop,size,bought\n")
    assert cli.main(["run", "small", "--from", "2020-01-04", "--to", "2020-01-06"]) == 1
    said = capsys.readouterr().out
    assert "refused" in said
    assert "2020-01-06" in said, "the next day is run all the same"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "small"],
        ["run", "small", "--day", "2020-01-05", "--from", "2020-01-04"],
        ["run", "small", "--from", "2020-01-05", "--to", "2020-01-04"],
        ["run", "large", "--day", "2020-01-05"],
        ["run", "small", "--day", "2020-01-05", "--recipes", "magic"],
        ["rollback", "small", "--to", "previous", "--why", "x"],
        ["lift", "small", "--recipe", "forest", "--why", "x"],
    ],
)
def test_a_request_that_cannot_be_met_is_a_sentence(
    command: World, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said.strip()
    assert "Traceback" not in said


def test_a_winner_waits_for_a_person_where_one_is_wanted(command: World, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, dataclasses.replace(small.SMALL, promotion=Promotion(approval="person")))
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-08"]) == 0
    assert command.ledger.outcomes("small")[-1].outcome == "waiting"
    assert command.registry.aliases("small") == {"champion": 1, "candidate": 2}
    assert cli.main(["run", "small", "--day", "2020-01-08", "--approve-as", "grace"]) == 0
    assert command.ledger.entries("small")[-1].by == "grace"
    assert command.registry.aliases("small") == {"champion": 2, "previous": 1}


def test_two_runs_of_one_use_case_at_once_are_refused_in_a_sentence(
    command: World, capsys: pytest.CaptureFixture[str]
) -> None:
    with worlds.alone("small"):
        assert cli.main(["run", "small", "--day", "2020-01-03"]) == 2
    assert "another run of small is at work" in capsys.readouterr().err


def test_a_fault_of_the_product_is_one_sentence_and_its_traceback_lies_in_a_file(
    command: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.steps.ingest.ingest", lambda *_: 1 / 0)
    assert cli.main(["run", "small", "--day", "2020-01-03"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("UNEXPECTED: ZeroDivisionError")
    log = Path(said.rsplit(" ", 1)[-1].strip())
    assert "Traceback" in log.read_text()
    log.unlink()


def test_days_and_history_are_json_for_scripts(command: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-04"]) == 0
    capsys.readouterr()
    assert cli.main(["days", "small", "--json"]) == 0
    days = json.loads(capsys.readouterr().out)
    assert days == [line.to_dict() for line in command.ledger.outcomes("small")]
    assert all(line["headline"] and line["reason"] for line in days)
    assert cli.main(["history", "small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [entry.to_dict() for entry in command.ledger.entries("small")]


def test_a_refused_day_has_no_verdict_to_reach_again(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "landing" / "visits" / "2020-01-04.csv").write_text("day,visit,shop,size,bought\n")
    assert cli.main(["run", "small", "--day", "2020-01-04"]) == 1
    assert cli.main(["recompute", "small", "2020-01-04"]) == 2
    said = capsys.readouterr().err
    assert "small 2020-01-04 was refused, so it has no verdict to reach again" in said
    assert cli.main(["explain", "small", "2020-01-04", "--json"]) == 0
    explained = json.loads(capsys.readouterr().out)
    assert explained["line"]["outcome"] == "refused"
    assert explained["verdict"] is None
