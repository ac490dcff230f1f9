"""A replay is the daily run again: the same predictions, the same promotions, and nothing known before its day."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import UnavailableError, UsageError
from pipeline.core.gates import BeatsBaseline, NotWorse, Sound
from pipeline.core.ports import World
from pipeline.core.replay.history import FitKey
from pipeline.core.replay.player import Replayer, Timeline
from pipeline.core.replay.policy import with_changes
from pipeline.core.replay.result import ReplayResult, days_of_loss
from pipeline.core.usecase import Promotion, Usecase
from pipeline.core.windows import Days
from pipeline.report.replay.page import replay_page
from pipeline.steps.judging import timing
from pipeline.steps.replay import declared_policy, replay
from pipeline.steps.replaying.record import keep, replay_and_keep
from pipeline.steps.tables import score_ledger
from tests import small
from tests.once import once

#: What ships is the fit that was scored: a refit ships only if it is near enough, and that history does not tell.
USECASE = dataclasses.replace(small.SMALL, promotion=Promotion(ship="scored"))
DAYS = 36
#: The baseline starts on this day, the third.
START = small.FIRST + timedelta(2)
#: From this day on the truth is turned around.
FLIPPED = small.FIRST + timedelta(18)
LAST = small.FIRST + timedelta(DAYS - 1)


def delivered(home: Path, count: int = DAYS) -> World:
    for day in small.days(count):
        small.deliver(home / "landing", day, flip=day >= FLIPPED)
    return small.world_in(home)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Thirty-six days run one by one, as the nights would, in the middle of which the truth turns around.

    They have been replayed once.
    """

    def make(folder: Path) -> None:
        world = delivered(folder / "home")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timing, "SINGLE", 2)
            patch.setattr(timing, "BATCH", 2)
            for day in small.days(DAYS)[2:]:
                small.night(USECASE, day, world)
        replay(USECASE, Days(START, LAST), world, workers=1)
        (folder / "registry").write_bytes(pickle.dumps(world.registry))

    kept, home = once(tmp_path_factory, "nights and their replay", make), tmp_path_factory.mktemp("lived")
    shutil.copytree(kept / "home", home, dirs_exist_ok=True)
    return small.world_in(home, pickle.loads((kept / "registry").read_bytes()))


@pytest.fixture(scope="module")
def replayed(lived: World) -> ReplayResult:
    return replay(USECASE, Days(START, LAST), lived, workers=1)


def number(made: ReplayResult, day: date) -> int:
    return int((np.datetime64(day) - made.history.stretch.days[0]).astype(int))


def as_the_nights(made: ReplayResult, usecase: Usecase = USECASE) -> Replayer:
    """Begun as the daily run begins: the baseline, promoted on the first day, is judged from the second on."""
    first = number(made, START)
    return Replayer("small", made.history, FitKey("constant", first), first + 1, "constant", 0, usecase.evidence)


def promotions(made: ReplayResult, timeline: Timeline) -> list[tuple[str, str, str]]:
    return [
        (made.day(change.decided), change.winner.recipe, made.day(change.winner.day - 1)) for change in timeline.changes
    ]


def test_predictions_are_those_of_the_score_ledger_to_the_bit(lived: World, replayed: ReplayResult) -> None:
    history = replayed.history
    version = lived.store.version(score_ledger.table("small"))
    assert version is not None
    rows = lived.store.read(score_ledger.table("small"), version, Days(START, LAST)).to_pylist()
    sat = 0
    promoted = [
        (entry.day, FitKey(entry.recipe, number(replayed, date.fromisoformat(entry.trained_through)) + 1))
        for entry in lived.ledger.entries("small")
    ]
    for today, day in enumerate(history.stretch.days.astype(object)):
        # who was champion when the day was scored had been promoted on a day before it.
        champion = next((fit for when, fit in reversed(promoted) if when < str(day)), None)
        for who, fit in [*((recipe, FitKey(recipe, today)) for recipe in history.recipes), ("champion", champion)]:
            mine = sorted((r for r in rows if (r["day"], r["contestant"]) == (day, who)), key=lambda r: r["unit"])
            if mine and fit is not None:
                said, labels = history.predicted(fit, today), history.stretch.labels[history.stretch.day == today]
                assert said is not None
                assert sorted(zip(said, labels, strict=True)) == sorted((r["prediction"], r["label"]) for r in mine)
                sat += 1
    assert sat > 4 * (DAYS - 3)


def test_the_declared_policy_promotes_whom_the_nights_promoted_and_when(lived: World, replayed: ReplayResult) -> None:
    theirs = [(e.day, e.recipe, e.trained_through) for e in lived.ledger.entries("small")[1:]]
    assert len(theirs) >= 2, "the nights promoted too little to compare"
    assert any(day > FLIPPED.isoformat() for day, *_ in theirs)
    declared, left_out = declared_policy(USECASE)
    assert left_out == ("refitted",)
    assert promotions(replayed, as_the_nights(replayed).run(declared)) == theirs


def test_the_reel_grows_by_what_is_new_and_keeps_the_rest(
    lived: World, replayed: ReplayResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FitKey] = []
    count_fits(monkeypatch, made)
    again = replay(USECASE, Days(START, LAST), lived, workers=1)
    assert made == []
    assert again.to_dict() == replayed.to_dict()
    shorter = replay(USECASE, Days(START + timedelta(4), LAST), lived, ["window.forest=4"], workers=1)
    assert {fit.recipe for fit in made} == {"forest_on_4"}, "other first days, and one recipe more"
    assert shorter.played[1].timeline.policy.recipes == ("linear_short", "linear_long", "forest_on_4")


def count_fits(monkeypatch: pytest.MonkeyPatch, made: list[FitKey]) -> None:
    from pipeline.steps.replaying.fit_maker import FitMaker

    fit = FitMaker.fit

    def counted(self: FitMaker, one: FitKey) -> object:
        made.append(one)
        return fit(self, one)

    monkeypatch.setattr(FitMaker, "fit", counted)


def test_what_a_later_day_brings_changes_nothing_before_it(
    lived: World, replayed: ReplayResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last ten days turn around once more, and everything that was decided before them stays as it was."""
    turned = LAST - timedelta(9)
    for day in small.days(DAYS):
        small.deliver(tmp_path / "landing", day, flip=FLIPPED <= day < turned)
    other = replay(USECASE, Days(START, LAST), small.world_in(tmp_path), workers=1)
    # Which recipe of a habit is told is known afterwards only; all others stand in both.
    before, split = {one.name: one for one in replayed.played}, number(replayed, turned)
    both = [(before[two.name], two) for two in other.played if two.name in before]
    assert {one.name for one, _ in both} >= {
        "declared",
        "never",
        "point gate",
        *(f"daily {one.name}" for one in USECASE.recipes),
    }
    ends = 0
    for one, two in both:
        first = one.timeline.first
        assert one.timeline.served[: split - first] == two.timeline.served[: split - first], one.name
        old, new = ([change for change in p.timeline.changes if change.decided < split] for p in (one, two))
        assert old == new, one.name
        assert np.array_equal(one.figures.daily[: split - first], two.figures.daily[: split - first])
        ends += not np.array_equal(one.figures.daily[split - first :], two.figures.daily[split - first :])
    assert ends == len(both), "the turn was to be felt"


def test_a_fit_is_never_asked_about_a_day_that_it_has_learnt_from(replayed: ReplayResult) -> None:
    for ask in (replayed.history.predicted, replayed.history.losses):
        with pytest.raises(ValueError, match="forest of day 20 has learnt from day 19"):
            ask(FitKey("forest", 20), 19)


def test_a_corrected_day_is_fitted_anew_and_so_is_who_learnt_from_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = delivered(tmp_path, 24)
    days = Days(START, small.FIRST + timedelta(23))
    replay(USECASE, days, world, workers=1)
    small.deliver(tmp_path / "landing", small.FIRST + timedelta(20), flip=False)
    made: list[FitKey] = []
    count_fits(monkeypatch, made)
    replay(USECASE, days, world, workers=1)
    # The last fit before the corrected day is asked about it and has to say what it says anew.
    assert {fit.recipe for fit in made} == {"linear_short", "linear_long", "forest", "constant"}
    small.deliver(tmp_path / "landing", small.FIRST, flip=True)
    made.clear()
    replay(USECASE, days, world, workers=1)
    learnt = {"linear_short": 5, "linear_long": 9, "forest": 9, "constant": 9}
    assert made
    assert all(fit.day <= learnt[fit.recipe] for fit in made), "of the first day only they have learnt"


def test_a_changed_recipe_is_fitted_anew_and_no_other(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FitKey] = []
    count_fits(monkeypatch, made)
    recipes = tuple(dataclasses.replace(r, seed=7) if r.name == "forest" else r for r in USECASE.recipes)
    replay(dataclasses.replace(USECASE, recipes=recipes), Days(START, LAST), lived, workers=1)
    assert {fit.recipe for fit in made} == {"forest"}


def test_a_search_chooses_on_the_first_part_and_is_judged_on_the_rest(lived: World, replayed: ReplayResult) -> None:
    made = replay(USECASE, Days(START, LAST), lived, search=True, workers=1)
    found = made.proposal
    assert found is not None
    assert found.tried == len(made.searched) == (1 + 3) * 12 + 5
    first = made.played[0].timeline.first
    assert first < found.split < len(made.history)
    assert len(found.chosen.daily) == found.split - first
    assert len(found.judged.daily) == len(made.history) - found.split
    text = made.proposed()
    for part in (found.chosen, found.judged):
        assert f"{days_of_loss(part.cost)} with {part.promotions}" in text
    assert found.chosen.cost <= found.declared_chosen.cost
    assert made.day(found.split) in text
    named = with_changes(declared_policy(USECASE)[0], found.name)
    assert named.name == found.name
    again = replay(USECASE, Days(START, LAST), lived, [found.name], workers=1).played[1]
    daily = again.figures.daily
    assert np.array_equal(daily, np.concatenate([found.chosen.daily, found.judged.daily])), "it is what it is called"


def test_what_a_search_proposes_does_not_depend_on_the_days_it_is_judged_on(lived: World, tmp_path: Path) -> None:
    one = replay(USECASE, Days(START, LAST), lived, search=True, workers=1).proposal
    assert one is not None
    split = START + timedelta(int(DAYS * 0.6) - 1)
    for day in small.days(DAYS):
        small.deliver(tmp_path / "landing", day, flip=FLIPPED <= day <= split)
    two = replay(USECASE, Days(START, LAST), small.world_in(tmp_path), search=True, workers=1).proposal
    assert two is not None
    assert (one.name, one.split, one.chosen.loss) == (two.name, two.split, two.chosen.loss)
    assert one.judged.loss != two.judged.loss


def test_the_run_in_the_registry_has_the_figures_and_the_page_and_is_one_run_however_often(
    lived: World, replayed: ReplayResult
) -> None:
    page = replay_page(replayed)
    run = keep(replayed, page, lived)
    registry = lived.registry
    assert isinstance(registry, small.MemoryRegistry)
    before = len(registry.runs)
    again = replay(USECASE, Days(START, LAST), lived, workers=1)
    assert replay_page(again) == page
    assert keep(again, page, lived) == run
    assert len(registry.runs) == before
    kept = next(page for key, page in registry.runs.items() if key.startswith(run))
    assert kept.title == f"replay {START} to {LAST} small"
    assert kept.files["replay.html"] == page
    told = json.loads(kept.files["replay.json"])
    assert [policy["name"] for policy in told["policies"]] == [one.name for one in replayed.played]
    assert kept.metrics["promotions.declared"] == replayed.played[0].figures.promotions
    assert told["policies"][0]["promotions"] == len(told["policies"][0]["changes"])
    assert kept.params["not_replayed"] == "refitted"


def test_a_policy_of_many_letters_is_recorded_under_names_that_registries_take(lived: World) -> None:
    long = ["price=0." + "0" * 300 + last for last in "12"]
    made = replay(USECASE, Days(START, LAST), lived, long, workers=1)
    run = keep(made, b"", lived)
    registry = lived.registry
    assert isinstance(registry, small.MemoryRegistry)
    metrics = next(page for key, page in registry.runs.items() if key.startswith(run)).metrics
    assert max(map(len, metrics)) <= 200
    assert len([name for name in metrics if name.startswith("promotions.price")]) == 2


@pytest.mark.parametrize(("first", "last"), [("", ""), ("2020-02-30", "2020-03-01"), ("0001-01-01", "0001-01-02")])
def test_the_form_s_nonsense_is_a_sentence(lived: World, first: str, last: str) -> None:
    with pytest.raises(UsageError, match="days"):
        replay_and_keep(USECASE, first, last, lived)


def test_a_refused_day_is_named_and_nobody_sat_it(tmp_path: Path) -> None:
    world = delivered(tmp_path, 20)
    bad = small.FIRST + timedelta(12)
    (tmp_path / "landing" / "shops" / f"{bad}.csv").write_text(f"shop,area,refreshed\nelsewhere,1,{bad}\n")
    made = replay(USECASE, Days(START, small.FIRST + timedelta(19)), world, workers=1)
    assert made.without == (bad,)
    assert made.history.units(number(made, bad)) == 0
    assert np.isfinite(made.played[0].figures.loss)


@pytest.mark.parametrize(
    ("first", "last", "asked", "code", "says"),
    [
        (80, 90, {}, "MISSING", "neither the store nor upstream has a day from 2020-03-21 to 2020-03-31"),
        (0, 1, {}, "EARLY", "no recipe can be fitted on 2020-01-01: too few labelled days lie before it; begin later"),
        (4, 9, {"start": "magic"}, "RECIPE", "has no recipe 'magic'; it has linear_short, linear_long, forest"),
        (4, 9, {"policies": ["price=cheap"]}, "POLICY", "price is a number, got 'cheap'"),
        (4, 9, {"policies": ["window.magic=4"]}, "POLICY", "there is no recipe 'magic' to replay"),
        (4, 9, {"policies": ["gates=refitted+better"]}, "POLICY", "there is no gate 'refitted' to replay"),
        (4, 4, {"search": True}, "EARLY", "labelled days to choose on and others to judge on"),
    ],
)
def test_what_can_not_be_replayed_is_a_sentence(
    lived: World, first: int, last: int, asked: dict[str, object], code: str, says: str
) -> None:
    days = Days(small.FIRST + timedelta(first), small.FIRST + timedelta(last))
    with pytest.raises(UsageError, match=says) as refused:
        replay(USECASE, days, lived, workers=1, **asked)  # type: ignore[arg-type]
    assert refused.value.code == code


def test_a_use_case_whose_gates_do_not_decide_has_no_policy_to_replay() -> None:
    usecase = dataclasses.replace(USECASE, gates=(Sound(), BeatsBaseline(), NotWorse(margin=0.01)))
    with pytest.raises(UsageError, match="does not declare the gate Better"):
        declared_policy(usecase)


def test_the_form_in_airflow_has_the_table_in_its_log_and_the_run_in_the_registry(
    lived: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        told = replay_and_keep(USECASE, str(START), str(LAST), lived, ["", " price=0.3 "], workers=1)
    assert "declared" in caplog.text
    assert "price=0.3" in caplog.text
    assert f"MLflow: experiment small, run {told['run']}" in caplog.text
    assert "the declared policy served a loss" in told["said"]
    with pytest.raises(UsageError, match="the last day 2020-01-01 lies before the first, 2020-01-02"):
        replay_and_keep(USECASE, "2020-01-02", "2020-01-01", lived)


def test_a_store_that_can_not_be_written_is_no_day_that_was_not_delivered(tmp_path: Path) -> None:
    world = delivered(tmp_path, 12)

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

        def write_day(self, table: str, day: date, *rest: Any, **more: Any) -> Any:
            if day > small.FIRST + timedelta(5):
                raise UnavailableError(f"{table}: {day} could not be written to the store: make room", "STORE")
            return world.store.write_day(table, day, *rest, **more)

    full = dataclasses.replace(world, store=Full())
    with pytest.raises(UnavailableError, match="could not be written to the store"):
        replay(USECASE, Days(START, small.FIRST + timedelta(11)), full, workers=1)
