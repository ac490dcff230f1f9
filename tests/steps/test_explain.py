"""A day explained at the command line: what was asked, found, wanted, what would change it; and the proof of it."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import ClassVar

import pytest

from pipeline.adapters import world as worlds
from pipeline.cli import main as cli
from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.ports import World
from pipeline.core.usecase import Promotion
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.waivers import Waiver
from pipeline.steps.promote import approval_form
from pipeline.steps.recompute import newest_verdict, recompute
from pipeline.steps.register import read_verdict
from tests import small


@dataclasses.dataclass(frozen=True)
class Slow:
    """Is it fast? Nobody is."""

    name: ClassVar[str] = "latency"
    stage: ClassVar[Stage] = Stage.TIMING

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        return (Finding(self.name, Outcome.FAIL, "twice as slow", 2.0, Bound(high=1.5), 1.9, 2.1, {"pairs": 7}),)


#: Somebody answers for it through the eighth day.
WAIVER = Waiver("latency", "ada", "new servers come soon", date(2020, 1, 8))
SLOW = dataclasses.replace(small.SMALL, gates=(*small.SMALL.gates, Slow()), waivers=(WAIVER,))


@pytest.fixture
def command(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The command line on the small use case."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setattr(worlds, "world", lambda progress=None: world)
    monkeypatch.setattr(cli, "find", lambda _: small.SMALL)
    return world


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_held_day_says_what_was_asked_found_and_wanted_and_what_would_change_it(
    command: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in small.days(6)[2:]:
        small.run_day(small.SMALL, day, command)
    assert cli.main(["explain", "small", "2020-01-06"]) == 0
    told = said(capsys)
    digest, line = newest_verdict(small.SMALL, "2020-01-06", command)
    verdict = read_verdict("small", "2020-01-06", digest, command)
    assert line is not None
    for text in (
        verdict.reason,
        "Has the champion cost more than its replacement would",
        "would change it:",
        "champion: version 1 (constant)",
        "nobody may waive it",
        digest,
        f"recompute small 2020-01-06 --digest {digest}",
        line.run,
    ):
        assert " ".join(text.split()) in told, text
    assert f"{digest}.html" in told.replace(" ", "")
    challenger = verdict.challenger
    assert challenger is not None
    for finding in verdict.findings[challenger.recipe]:
        if finding.required:
            assert finding.change == "" or finding.change in told


def test_one_recipe_can_be_asked_about_and_one_that_was_not_judged_is_named(
    command: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in small.days(5)[2:]:
        small.run_day(small.SMALL, day, command)
    assert cli.main(["explain", "small", "2020-01-05", "--recipe", "forest"]) == 0
    told = capsys.readouterr().out
    assert "\nforest\n" in told.replace(" \n", "\n").replace("  ", "") or "forest" in told
    assert cli.main(["explain", "small", "2020-01-05", "--recipe", "constant"]) == 2
    assert "was not judged that day" in capsys.readouterr().err


def test_a_refused_day_is_explained_from_its_report(command: World, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.core.errors import RefusedError
    from pipeline.steps.refuse import refuse

    landing = Path(command.landing._root) if hasattr(command.landing, "_root") else None
    small.run_day(small.SMALL, small.days(3)[-1], command)
    day = small.days(4)[-1]
    assert landing is not None
    shops = landing / "shops" / f"{day}.csv"
    shops.write_text(shops.read_text().replace(str(day), "2019-12-01"))  # not refreshed for a month
    try:
        small.run_day(small.SMALL, day, command)
    except RefusedError as error:
        refuse(small.SMALL, day, error, command)
    else:
        pytest.fail("the day was not refused")
    capsys.readouterr()
    assert cli.main(["explain", "small", day.isoformat()]) == 0
    told = said(capsys)
    assert "refused" in told
    assert "What stopped it" in told
    assert "what to do:" in told
    assert "validation report:" in told
    assert cli.main(["recompute", "small", day.isoformat()]) == 2


def test_a_day_that_was_never_run_is_a_sentence(command: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "small", "2020-01-09"]) == 2
    told = capsys.readouterr().err
    assert "was never run" in told
    assert told.count("\n") == 1


def test_the_proof_by_command_ends_with_the_status_that_it_says(
    command: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for day in small.days(4)[2:]:
        small.run_day(small.SMALL, day, command)
    assert cli.main(["recompute", "small", "2020-01-04"]) == 0
    assert "the same bytes" in capsys.readouterr().out
    eased = dataclasses.replace(small.SMALL, gates=small.SMALL.gates[1:])
    monkeypatch.setattr(cli, "find", lambda _: eased)
    assert cli.main(["recompute", "small", "2020-01-04"]) == 1
    assert "findings." in capsys.readouterr().out
    for file in (tmp_path / "store" / "files" / "verdicts" / "small" / "2020-01-04").glob("*.measured.json"):
        file.unlink()
    assert cli.main(["recompute", "small", "2020-01-04"]) == 2
    assert "can't be reached again" in capsys.readouterr().out


def test_a_waived_answer_stops_nothing_until_its_day_and_the_verdict_page_and_form_tell(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [small.run_day(SLOW, day, world).outcome for day in small.days(8)[2:]]
    assert outcomes[-1] == "promoted"
    day = small.days(8)[-1].isoformat()
    digest = newest_verdict(SLOW, day, world)[0]
    verdict = read_verdict("small", day, digest, world)
    assert verdict.challenger is not None
    told = [one for one in verdict.findings[verdict.challenger.recipe] if one.waived]
    assert told
    assert all(one.outcome is not Outcome.PASS and not one.required for one in told)
    page = world.files.get(f"verdicts/small/{day}/{digest}.html").decode()
    assert "waived until 2020-01-08 by ada" in page
    assert recompute(SLOW, day, world).same


def test_a_waiver_that_has_expired_stops_again(world: World) -> None:
    ended = dataclasses.replace(SLOW, waivers=(dataclasses.replace(WAIVER, until=date(2020, 1, 7)),))
    outcomes = [small.run_day(ended, day, world).outcome for day in small.days(8)[2:]]
    assert outcomes[-1] == "held"
    digest = newest_verdict(ended, "2020-01-08", world)[0]
    verdict = read_verdict("small", "2020-01-08", digest, world)
    late = [f.change for found in verdict.findings.values() for f in found if f.gate == "latency" and f.required]
    assert late
    assert all("expired on 2020-01-07" in change for change in late)


def test_the_approval_form_tells_what_is_waived(world: World) -> None:
    usecase = dataclasses.replace(SLOW, promotion=Promotion(approval="person"))
    for day in small.days(7)[2:]:
        small.run_day(usecase, day, world)
    made = None
    for _, step in small.steps_of(usecase, small.days(8)[-1], world)[:-1]:
        made = step(made)
    _, body = approval_form(made, world)
    assert "waived until 2020-01-08 by ada: new servers come soon" in body
    assert "better: PASS" in body
