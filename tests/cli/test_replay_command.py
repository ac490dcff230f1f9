"""``python -m pipeline replay``: a table, a page in a file, a run in the registry, and one sentence when it can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.adapters import world as worlds
from pipeline.cli import main as cli
from pipeline.core.errors import UnavailableError
from pipeline.core.ports import World
from tests import small


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The command line on the small use case, eighteen days delivered and none run."""
    for day in small.days(18):
        small.deliver(tmp_path / "landing", day)
    ports = small.world_in(tmp_path)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setattr(worlds, "world", lambda progress=None: ports)
    monkeypatch.setattr(cli, "find", lambda name: {"small": small.SMALL}[name])
    return ports


STRETCH = ["--from", "2020-01-04", "--to", "2020-01-18", "--workers", "1"]


def test_a_replay_ends_in_a_table_a_page_and_a_run(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "pages" / "mine.html"
    words = ["--policy", "price=0.3", "--policy", "recipes=forest", "--search", "--page", str(page)]
    assert cli.main(["replay", "small", *STRETCH, *words]) == 0
    said = capsys.readouterr().out
    for text in ("declared", "price=0.3", "recipes=forest", "never", "weekly", "point gate", "not replayed: refitted"):
        assert text in said
    assert "which had no part in the choice" in " ".join(said.split())
    assert f"page: {page}" in said
    registry = command.registry
    assert isinstance(registry, small.MemoryRegistry)
    ((_, kept),) = registry.runs.items()
    assert kept.files["replay.html"] == page.read_bytes()
    assert not command.ledger.entries("small"), "nobody is promoted"


def test_without_a_place_the_page_lies_in_the_home(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["replay", "small", *STRETCH]) == 0
    assert (tmp_path / "replays" / "small_2020-01-04_to_2020-01-18.html").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from", "2020-01-09", "--to", "2020-01-08"], "--to 2020-01-08 lies before --from 2020-01-09"),
        ([*STRETCH, "--workers", "0"], "--workers is at least 1, got 0"),
        ([*STRETCH, "--policy", "cost=1"], "'cost=1' changes nothing that a policy has"),
        ([*STRETCH, "--start", "magic"], "has no recipe 'magic'"),
        ([*STRETCH, "--page", "/proc/page.html"], "the page can't be written to /proc/page.html"),
        (["--from", "2021-01-09", "--to", "2021-01-18"], "nothing was ever delivered of visits, shops"),
    ],
)
def test_a_replay_that_can_not_be_is_a_sentence(
    command: World, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["replay", "small", *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_with_the_registry_down_the_page_is_written_and_the_sentence_says_where(
    command: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(self: object, usecase: str, page: object) -> str:
        raise UnavailableError("MLflow does not answer; start it and try again", "MLFLOW")

    monkeypatch.setattr(small.MemoryRegistry, "record", down)
    assert cli.main(["replay", "small", *STRETCH]) == 2
    told = capsys.readouterr()
    page = tmp_path / "replays" / "small_2020-01-04_to_2020-01-18.html"
    assert page.exists()
    assert f"the page lies in {page}, and the same replay again takes seconds" in told.err
    assert "MLflow does not answer" in told.err
    assert "declared" in told.out
