"""Keys that nobody has learnt from are a slice of their own, the same for whoever sits."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pytest

from pipeline.core.evidence.candidate import NO_SLICE
from pipeline.core.ports import World
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days
from pipeline.steps.ingest import ingest
from pipeline.steps.judging.judge import DayJudge
from pipeline.steps.models import champion_model
from pipeline.steps.tables import score_ledger
from pipeline.steps.tables.new_keys import with_new_keys, with_new_keys_daily
from tests import small

DAYS = small.days(12)
#: The longest window is nine days.
KEYED = dataclasses.replace(small.SMALL, keys=("shop",), slices=())


def deliver(landing: Path, day: date, opened: str = "") -> None:
    """A day's files; the first ten visits are to a shop that ``opened``. The table of shops has known it for long."""
    small.deliver(landing, day)
    shops = landing / "shops" / f"{day}.csv"
    shops.write_text(f"{shops.read_text()}airport,4,{day}\n")
    if not opened:
        return
    file = landing / "visits" / f"{day}.csv"
    head, *lines = file.read_text().splitlines()
    for n in range(10):
        cells = lines[n].split(",")
        cells[2] = opened
        lines[n] = ",".join(cells)
    file.write_text("\n".join([head, *lines]) + "\n")


def sat(world: World, usecase: Usecase, day: date) -> Any:
    made: list[Any] = [None]
    for _, step in small.steps_of(usecase, day, world)[:4]:
        made.append(step(made[-1]))
    return made[-2], made[-1]


def kept(world: World, usecase: Usecase, day: date) -> dict[str, set[tuple[str, str]]]:
    """Contestant to the (shop, new) pairs of the day in the ledger."""
    table = f"scores/{usecase.name}"
    rows = world.store.read(table, world.store.version(table) or 0).to_pylist()
    found: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        if row["day"] == day:
            found.setdefault(row["contestant"], set()).add((row["block"], row["slice:new_shop"]))
    return found


@pytest.fixture
def opening(tmp_path: Path) -> World:
    """A shop opens on the seventh day."""
    for n, day in enumerate(DAYS):
        deliver(tmp_path / "landing", day, "airport" if n >= 6 else "")
    return small.world_in(tmp_path)


def test_a_key_that_no_training_day_had_is_new_for_all_contestants_and_only_once(opening: World) -> None:
    sat(opening, KEYED, DAYS[6])
    sat(opening, KEYED, DAYS[7])
    first, second = kept(opening, KEYED, DAYS[6]), kept(opening, KEYED, DAYS[7])
    assert set(first) >= {"linear_short", "linear_long", "constant"}
    for contestant, pairs in first.items():
        assert {new for shop, new in pairs if shop == "airport"} == {"yes"}, contestant
        assert {new for shop, new in pairs if shop != "airport"} == {NO_SLICE}, contestant
    assert {new for _, new in second["linear_short"]} == {NO_SLICE}


def test_what_only_a_short_memory_forgot_is_not_new(tmp_path: Path) -> None:
    """Seen once, seven days ago: outside the window of five days, inside that of nine."""
    for n, day in enumerate(DAYS):
        deliver(tmp_path / "landing", day, "airport" if n in (2, 9) else "")
    world = small.world_in(tmp_path)
    sat(world, KEYED, DAYS[9])
    assert {new for _, new in kept(world, KEYED, DAYS[9])["linear_short"]} == {NO_SLICE}
    sat(world, dataclasses.replace(KEYED, name="shorter", recipes=KEYED.recipes[:1],
                                   baseline=dataclasses.replace(KEYED.baseline, window=5)), DAYS[9])  # fmt: skip
    shorter = dataclasses.replace(KEYED, name="shorter")
    assert ("airport", "yes") in kept(world, shorter, DAYS[9])["linear_short"]


def test_nobody_learnt_from_a_refused_day(opening: World) -> None:
    from pipeline.core.windows import Days
    from pipeline.steps.tables.new_keys import with_new_keys

    fitted, _ = sat(opening, KEYED, DAYS[7])
    versions = fitted.validated["snapshot"]["versions"]
    units = opening.engine.units(KEYED, versions, Days(DAYS[7], DAYS[7]))
    marked = with_new_keys(KEYED, units, DAYS[7], versions, {DAYS[6]}, opening.store)
    assert set(marked.slices["new_shop"][marked.named["shop"] == "airport"]) == {"yes"}


def test_no_value_is_neither_new_nor_known(opening: World) -> None:
    from pipeline.core.windows import Days

    def forgetful(tables: Any) -> Any:
        made = small.features(tables)
        return made.with_columns(shop=nw.when(nw.col("visit") > 4).then(nw.col("shop")), corner=nw.col("shop"))

    from pipeline.steps.tables.new_keys import with_new_keys

    usecase = dataclasses.replace(KEYED, features=forgetful, block=("corner",))
    fitted, _ = sat(opening, usecase, DAYS[7])
    versions = fitted.validated["snapshot"]["versions"]
    units = opening.engine.units(usecase, versions, Days(DAYS[7], DAYS[7]))
    marked = with_new_keys(usecase, units, DAYS[7], versions, set(), opening.store)
    assert np.array_equal(marked.slices["new_shop"] == "none", marked.named["shop"] == "")
    assert (marked.slices["new_shop"] == "none").sum() == 5


def test_the_gates_see_the_slice_in_the_evidence_and_on_the_scored_day(opening: World) -> None:
    small.run_day(KEYED, DAYS[4], opening)
    for day in DAYS[5:7]:
        fitted, made = sat(opening, KEYED, day)
    day_judge = DayJudge(KEYED, fitted, made, opening, champion_model.judged_against(KEYED, fitted, opening))
    day_judge.findings()
    evidence = day_judge.evidence["linear_short"]
    assert {"yes", NO_SLICE} == set(evidence.paired.slices["new_shop"]) == set(evidence.holdout.slices["new_shop"])


def test_rows_from_before_a_slice_was_declared_are_in_no_slice_of_it(opening: World) -> None:
    before = dataclasses.replace(KEYED, keys=())
    sat(opening, before, DAYS[5])
    _, made = sat(opening, KEYED, DAYS[6])
    from pipeline.core.windows import Days

    ledger = score_ledger.ScoreLedger.read(opening.store, KEYED.name, made.ledger, Days(DAYS[5], DAYS[6]))
    old = ledger.days == np.datetime64(DAYS[5])
    assert set(ledger.slices["new_shop"][old]) == {NO_SLICE}
    assert set(ledger.slices["new_shop"][~old]) == {"yes", NO_SLICE}
    # A run of one recipe only keeps what the others scored before the slice was declared.
    for name, step in small.steps_of(KEYED, DAYS[5], opening, ["forest"])[:4]:
        made = step(None if name == "ingest" else made)
    again = score_ledger.ScoreLedger.read(opening.store, KEYED.name, made.ledger, Days(DAYS[5], DAYS[5]))
    of = {who: set(again.slices["new_shop"][again.contestants == who]) for who in np.unique(again.contestants)}
    assert of["linear_short"] == {NO_SLICE}
    assert of["forest"] == {NO_SLICE}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keys": ("size",)}, "keys that are no words or whole numbers of feed 'visits': size"),
        ({"keys": ("area",)}, "keys that are no words or whole numbers of feed 'visits': area"),
        ({"keys": ("shop",), "slices": ("new_shop",)}, "declares the slice new_shop, which its keys make"),
    ],
)
def test_a_key_that_can_not_be_one_is_refused_at_the_declaration(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(small.SMALL, **changes)


def test_many_days_at_once_have_the_new_keys_of_each_day_by_itself(tmp_path: Path) -> None:
    world, count = small.world_in(tmp_path), 24
    usecase = dataclasses.replace(small.SMALL, keys=("shop", "visit"))
    versions = {}
    for n, day in enumerate(small.days(count)):
        small.deliver(tmp_path / "landing", day)
        file = tmp_path / "landing" / "visits" / f"{day}.csv"
        # A shop that comes for a day every fortnight, one that comes once, and visits of which each is another.
        if n in (3, 17, 20):
            file.write_text(file.read_text().replace(",west,", ",east,"))
        versions = dict(ingest(usecase, day, world).versions)
    days, without = Days(small.FIRST, small.FIRST + timedelta(count - 1)), {small.FIRST + timedelta(3)}
    units = world.engine.units(usecase, versions, days, without)
    whole = with_new_keys_daily(usecase, units, days, versions, without, world.store)
    seen = set()
    for day in days:
        chosen = units.days == np.datetime64(day)
        one = with_new_keys(usecase, units.where(chosen), day, versions, without, world.store)
        for name in ("new_shop", "new_visit"):
            assert one.slices[name].tolist() == whole.slices[name][chosen].tolist(), (day, name)
            seen |= set(one.slices[name].tolist())
    assert {"yes", NO_SLICE} <= seen
