"""The command line: the same steps, one sentence when something is wrong, a truthful status."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

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


def test_after_a_registered_model_was_deleted_the_advised_command_gives_the_numbers_back(
    command: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the refusal advises is done as printed."""
    cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-08"])
    key, _, *rest = command.registry.versions[1]
    command.registry.versions[1] = (key, "f" * 64, *rest)
    capsys.readouterr()
    assert cli.main(["reconcile", "small"]) == 1
    advice = re.search(r"'python -m pipeline (reconcile small --register-again)'", capsys.readouterr().err)
    assert advice is not None
    command.registry.versions.clear()
    command.registry.alias.clear()
    assert cli.main(advice[1].split()) == 0
    assert "registered again: 1, 2; left unused: none" in capsys.readouterr().out
    assert command.registry.aliases("small") == {"champion": 2, "previous": 1}


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


def held_and_refused(tmp_path: Path) -> None:
    """Seventeen days, two of them refused."""
    for number, day in enumerate(small.days(19)):
        small.deliver(tmp_path / "landing", day)
        if number == 12:
            shops = tmp_path / "landing" / "shops" / f"{day}.csv"
            shops.write_text(shops.read_text().replace(f",{day}", ",2020-01-04"))
        if number == 15:
            (tmp_path / "landing" / "visits" / f"{day}.csv").unlink()
    assert cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-19"]) == 2


def test_seventeen_days_fit_a_screen_of_80_columns_each_in_one_line_and_no_word_is_cut(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    held_and_refused(tmp_path)
    capsys.readouterr()
    assert cli.main(["days", "small"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 17
    assert max(map(len, lines)) <= 80
    shown = {line[:10]: line for line in lines[2:]}
    for day in command.ledger.outcomes("small"):
        told = shown[day.day][lines[0].index("what happened") :].split()
        assert [
            word for word in told if word.strip(",;:") not in re.split(r"[,;:]? ", day.headline) and word != "…"
        ] == []
    assert shown["2020-01-13"].strip().endswith("shops is 9 days old, at most 2 allowed")
    assert shown["2020-01-16"].strip().endswith("visits: '2020-01-16.csv' is not there")


def test_a_pipe_is_as_wide_as_columns_says(
    command: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.main(["run", "small", "--day", "2020-01-03"])
    capsys.readouterr()
    for said, width in (("100", 100), ("", 150)):
        monkeypatch.setenv("COLUMNS", said)
        cli.main(["days", "small"])
        assert {len(line) for line in capsys.readouterr().out.splitlines()[1:2]} == {width}


def test_json_is_one_document_with_the_headline_and_the_exact_words(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_and_refused(tmp_path)
    capsys.readouterr()

    def document(*words: str) -> Any:
        assert cli.main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    days = document("days", "small")
    lines = {line.day: line for line in command.ledger.outcomes("small")}
    assert [one["day"] for one in days["days"]] == list(lines)
    for one in days["days"]:
        assert one == lines[one["day"]].to_dict()
        assert one["headline"].startswith(f"{one['outcome']}: ")
        assert one["reason"]
    history = document("history", "small")
    entries = command.ledger.entries("small")
    assert [one["why"] for one in history["entries"]] == [entry.why for entry in entries]
    assert (history["champion"], history["previous"]) == (entries[-1].version, entries[-2].version)
    assert history["entries"][0]["headline"] == "started: constant is the first champion"
    held = document("explain", "small", "2020-01-19")
    assert held["verdict"]["reason"] == held["reason"] == lines["2020-01-19"].reason
    assert held["headline"] == lines["2020-01-19"].headline
    assert held["why"].startswith("'better' asks:")
    refused = document("explain", "small", "2020-01-13")
    assert refused["verdict"] is None
    assert refused["headline"] == "refused: shops is 9 days old, at most 2 allowed"
    assert refused["reason"] == lines["2020-01-13"].reason
    assert any(one["name"] == "shops: age" and one["outcome"] == "FAIL" for one in refused["findings"])
    assert refused["where"]["validation report"].endswith(".json")
    page = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
    fields = set(re.findall(r"^\| `(\w+)`", page.read_text(), re.MULTILINE))
    for made in (days, days["days"][0], history, history["entries"][0], held, refused):
        assert set(made) <= fields, set(made) - fields


def test_one_count_of_checks_in_one_word(command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held_and_refused(tmp_path)
    capsys.readouterr()
    cli.main(["explain", "small", "2020-01-13"])
    said = " ".join(capsys.readouterr().out.split())
    counts = set(re.findall(r"\d+ of \d+ checks", said))
    assert len(counts) == 1
    assert "question" not in said
    registry = command.registry
    assert isinstance(registry, small.MemoryRegistry)
    (page,) = [run for run in registry.runs.values() if run.title.startswith("2020-01-13")]
    text = page.files["refusal.html"].decode()
    assert set(re.findall(r"\d+ of \d+ checks", text)) == counts
    assert not re.findall(r"\b\d+ checks\b", re.sub(r"\d+ of \d+ checks", "", text))


def test_a_refused_day_has_nothing_to_recompute_and_says_so(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_and_refused(tmp_path)
    capsys.readouterr()
    assert cli.main(["recompute", "small", "2020-01-13"]) == 2
    said = capsys.readouterr().err
    assert "2020-01-13 was refused and has no verdict" in said
    assert "older installation" not in said
    assert cli.main(["recompute", "small", "2020-03-01"]) == 2
    assert "was never run" in capsys.readouterr().err


READING = [
    ["days", "small"],
    ["history", "small"],
    ["explain", "small", "2020-01-03"],
    ["recompute", "small", "2020-01-03"],
    ["rollback", "small", "--to", "previous", "--why", "x"],
    ["lift", "small", "--recipe", "forest", "--why", "x"],
    ["reconcile", "small"],
    ["run", "small", "--day", "2020-01-03"],
]


@pytest.mark.parametrize("words", READING, ids=[words[0] for words in READING])
@pytest.mark.parametrize("there", [False, True])
def test_a_mistyped_home_is_a_sentence_and_is_not_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    there: bool,
) -> None:
    home = tmp_path / "mistyped"
    if there:
        home.mkdir()
    monkeypatch.setenv("PIPELINE_HOME", str(home))
    use(monkeypatch, small.SMALL)
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"HOME: {'nothing was run yet in' if there else 'there is no home at'} {home}")
    assert "name the right home in PIPELINE_HOME" in said.err
    assert home.exists() == there
    assert not there or not list(home.iterdir())


def test_a_ledger_elsewhere_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("PIPELINE_LEDGER", "postgresql://somewhere/else")
    assert worlds.nothing_kept() == ""


def test_lift_before_the_first_champion_speaks_of_no_day(command: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lift", "small", "--recipe", "forest", "--why", "x"]) == 2
    said = capsys.readouterr().err
    assert "there is no champion yet" in said
    assert "0001" not in said


def test_after_a_rollback_it_is_said_whom_previous_names(command: World, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["run", "small", "--from", "2020-01-03", "--to", "2020-01-08"])
    capsys.readouterr()
    cli.main(["history", "small"])
    assert "previous is version 1 (constant)" in capsys.readouterr().out
    assert cli.main(["rollback", "small", "--to", "previous", "--why", "late"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "version 1 (constant) serves again" in said
    assert "previous names nobody" in said
    assert "--to 2" in said
    cli.main(["history", "small"])
    assert "previous names nobody" in capsys.readouterr().out
    assert cli.main(["rollback", "small", "--to", "previous", "--why", "again"]) == 2
    assert "--to 2" in capsys.readouterr().err


def test_the_modules_of_the_command_line_stay_small() -> None:
    sizes = {file.name: len(file.read_text().splitlines()) for file in Path(cli.__file__).parent.glob("*.py")}
    assert max(sizes.values()) < 200, sizes


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["reconcile", "flight_delay"], "has no champion yet"),
        (["lift", "flight_delay", "--recipe", "linear_60", "--why", "x"], "there is no champion yet"),
        (["rollback", "flight_delay", "--to", "previous", "--why", "x"], "there is no champion yet"),
        (["explain", "flight_delay", "2013-01-01"], "was never run"),
        (["explain", "flight_delay", "2013-01-01", "--digest", "abc"], "has no verdict 'abc'"),
        (["recompute", "flight_delay", "2013-01-01"], "was never run"),
        (["recompute", "flight_delay", "2013-01-01", "--digest", "abc"], "has no verdict 'abc'"),
        (["run", "flight_delay", "--day", "2013-01-28", "--recipes", "nobody"], "has no recipe 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_that_matches_nothing_claims_no_success(
    words: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert cli.main(words) == 2
    assert why in capsys.readouterr().err


def test_a_list_of_no_recipes_is_not_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "flight_delay", "--day", "2013-01-28", "--recipes", ","])
    assert ended.value.code == 2
    assert "names nobody" in capsys.readouterr().err
