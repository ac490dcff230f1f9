"""A red day: what was decided stands, the run is red, and what is to blame is told apart."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import narwhals as nw
import pytest

from pipeline.core.errors import RedDayError
from pipeline.core.ports import World
from pipeline.core.usecase import Usecase
from pipeline.steps.explain import explain
from pipeline.steps.recompute import recompute
from tests import small

DAYS = small.days(16)
SMALL = small.SMALL


@pytest.fixture
def served(promoted: World) -> World:
    """Five days with the promoted champion, on top of those before it."""
    for day in DAYS[8:13]:
        small.run_day(SMALL, day, promoted)
    line = promoted.ledger.outcomes("small")[-1]
    assert (line.outcome, line.champion) == ("held", 3)
    return promoted


def red(usecase: Usecase, day: date, world: World) -> RedDayError:
    with pytest.raises(RedDayError) as caught:
        small.run_day(usecase, day, world)
    return caught.value


def causes(usecase: Usecase, day: date, world: World) -> str:
    verdict = explain(usecase, day.isoformat(), world).verdict
    assert verdict is not None
    (alarm,) = verdict.alarms
    return alarm.change


def exchanged(tables: Any) -> Any:
    """Size and area by each other's name."""
    return small.features(tables).with_columns(size=nw.col("area"), area=nw.col("size"))


def test_a_day_whose_truth_turned_around_is_red_with_all_its_work_done(served: World, tmp_path: Path) -> None:
    small.deliver(tmp_path / "landing", DAYS[13], flip=True)
    error = red(SMALL, DAYS[13], served)
    line = served.ledger.outcomes("small")[-1]
    assert (line.day, line.outcome, line.champion) == (DAYS[13].isoformat(), "held", 3)
    assert line.verdict
    assert line.alarms[0].startswith("version 3: the champion lost ")
    assert error.code == "RED_DAY"
    assert error.ends_day  # a stretch of days goes on with the next
    assert str(error).startswith(f"small {DAYS[13]} (held): version 3: the champion lost ")
    assert line.headline.startswith("held: the champion lost ")
    found = causes(SMALL, DAYS[13], served)
    assert "its code is not to blame: asked again about " in found
    assert "did not foresee the day either" in found
    assert "unlike the week before" not in found  # thirty visits stray by a fifth by chance
    assert recompute(SMALL, DAYS[13].isoformat(), served).same


def test_inputs_exchanged_in_code_are_found_in_the_code(served: World) -> None:
    usecase = dataclasses.replace(SMALL, features=exchanged)
    red(usecase, DAYS[13], served)
    line = served.ledger.outcomes("small")[-1]
    found = causes(usecase, DAYS[13], served)
    assert found.startswith("the code is to blame: asked again about ")
    assert f"units of {DAYS[12]}" in found
    assert line.headline.endswith("; the code is to blame")
    assert "what the inputs mean, or the world, has changed since it was trained" in found


def scaled(tables: Any) -> Any:
    """The visitor's size by the scale of the shop."""
    joined = small.features(tables)
    return joined.with_columns(size=nw.col("size") * nw.when(nw.col("area") > 0).then(1.0).otherwise(-1.0))


def test_a_reference_table_whose_content_turned_is_named(tmp_path: Path) -> None:
    usecase = dataclasses.replace(SMALL, features=scaled)
    for day in DAYS[:14]:
        small.deliver(tmp_path / "landing", day)
    world = small.world_in(tmp_path)
    for day in DAYS[2:13]:
        small.run_day(usecase, day, world)
    shops = tmp_path / "landing" / "shops" / f"{DAYS[13]}.csv"
    shops.write_text(
        "\n".join(["shop,area,refreshed", *(f"{name},-1,{DAYS[13]}" for name in ("north", "south", "west")), ""])
    )
    red(usecase, DAYS[13], world)
    found = causes(usecase, DAYS[13], world)
    assert f"the table 'shops' is to blame: as it was on {DAYS[12]}, the champion would have lost " in found
    assert "unlike the week before: area (at 100 % of the units)" in found
    assert "the code is to blame" not in found


def test_a_sound_day_has_no_alarm(served: World) -> None:
    line = small.run_day(SMALL, DAYS[13], served)
    assert line.alarms == ()
    verdict = explain(SMALL, DAYS[13].isoformat(), served).verdict
    assert verdict is not None
    assert "alarms" not in verdict.to_dict()


def test_a_red_day_is_told_wherever_a_day_is_told(served: World, tmp_path: Path) -> None:
    from io import StringIO

    from pipeline.report.terminal.explanation import verdict_explained
    from pipeline.report.terminal.tables import days_table, show

    small.deliver(tmp_path / "landing", DAYS[13], flip=True)
    red(SMALL, DAYS[13], served)
    explained = explain(SMALL, DAYS[13].isoformat(), served)
    assert explained.verdict is not None
    text, table = StringIO(), StringIO()
    show(verdict_explained(explained.verdict, explained.line), text)
    show(days_table(served.ledger.outcomes("small")), table)
    said = " ".join(text.getvalue().split())
    assert "✕ version 3: the champion lost " in said
    assert "its code is not to blame" in said
    assert "the champion lost " in table.getvalue().splitlines()[-1]
    page = served.files.get(explained.page).decode()
    assert "The champion itself: version 3" in page
    assert 'class="banner bad"' in page
    assert "Hold: the champion lost " in page
    assert "its code is not to blame" in page
