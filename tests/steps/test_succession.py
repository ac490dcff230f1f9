"""A champion that can't answer any more is named for what it is, and succeeded in a documented way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import narwhals as nw
import numpy as np
import pytest

from pipeline.core.errors import RefusedError, UnavailableError
from pipeline.core.gates import EverySlice
from pipeline.core.ports import World
from pipeline.core.usecase import Promotion, Usecase
from pipeline.steps import loop
from pipeline.steps.models.champion_model import file_of
from pipeline.steps.promote import approval_form
from pipeline.steps.recompute import recompute
from pipeline.steps.rollback import rollback
from tests import small

DAYS = small.days(12)
NINTH, TENTH = DAYS[8], DAYS[9]
SMALL = small.SMALL
WANTS = "champion version 2 wants the input 'area', which the declaration no longer has"


def declared(**changes: Any) -> Usecase:
    return dataclasses.replace(SMALL, **changes)


WITHOUT_AREA = declared(inputs=("size",))


def bulky(tables: Any) -> Any:
    """The input 'size' under another name."""
    return small.features(tables).rename({"size": "bulk"})


def doubled(tables: Any) -> Any:
    """One input more."""
    return small.features(tables).with_columns(double=nw.col("size") * 2)


class Unopened:
    """Models of another scikit-learn: a file that was made before can't be opened any more, a new one can."""

    def __init__(self, models: Any, *gone: str) -> None:
        self._models, self._gone = models, gone

    def load(self, name: str, sha256: str) -> Any:
        self._look(name)
        return self._models.load(name, sha256)

    def open(self, data: bytes, what: str) -> Any:
        self._look(what)
        return self._models.open(data, what)

    def _look(self, name: str) -> None:
        if any(sha256 in name for sha256 in self._gone):
            raise RefusedError(
                f"the model file '{name}' can't be opened with scikit-learn 9.1, it was made with 9.0", "UNREADABLE"
            )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._models, name)


def upgraded(world: World, *versions: int, **changes: Any) -> World:
    """The same home after an upgrade: the files of these versions open no more, and fresh fits are other models."""
    gone = [entry.sha256 for entry in world.ledger.entries("small") if entry.version in versions]
    models: Any = Unopened(world.models, *gone)
    return dataclasses.replace(world, models=models, compute_digest="upgraded", **changes)


def night(usecase: Usecase, day: Any, world: World) -> tuple[Any, Any]:
    """The day's line and the ledger's newest; the day's verdict is reached again."""
    line = small.run_day(usecase, day, world)
    assert recompute(usecase, day.isoformat(), world).same
    return line, world.ledger.entries("small")[-1]


def test_after_an_upgrade_its_own_recipe_fitted_anew_takes_its_place_the_same_night(promoted: World) -> None:
    line, entry = night(SMALL, NINTH, upgraded(promoted, 1, 2))
    why = "champion version 2 can't be opened with scikit-learn 9.1, it was made with 9.0; its own recipe, linear_long"
    assert (line.outcome, line.champion, line.recipe) == ("promoted", 3, "linear_long")
    assert line.reason == entry.why == f"{why}, fitted anew, takes its place"
    assert (entry.action, entry.version, entry.replaced) == ("promote", 3, 2)
    assert line.headline == (
        "promoted: version 2 can't be opened with scikit-learn 9.1; a fresh linear_long takes its place"
    )
    assert promoted.registry.aliases("small")["champion"] == 3


def test_the_evidence_that_recipes_earned_stays_after_an_upgrade(promoted: World) -> None:
    """The recipe is the same: what its fits lost on the days before counts for the gates that ask about it."""
    from pipeline.core.verdict import Outcome
    from pipeline.steps.recompute import newest_verdict
    from pipeline.steps.register import read_verdict

    world = upgraded(promoted, 1, 2)
    night(SMALL, NINTH, world)
    verdict = read_verdict("small", NINTH.isoformat(), newest_verdict(SMALL, NINTH.isoformat(), world)[0], world)
    (plain,) = [one for one in verdict.findings["linear_long"] if one.name == "beats the baseline"]
    assert (plain.outcome, plain.counts["days"]) == (Outcome.PASS, 7)
    line, _ = night(SMALL, TENTH, world)
    assert (line.outcome, line.champion) == ("held", 3)


@pytest.mark.parametrize(
    ("changed", "wants"),
    [(WITHOUT_AREA, "area"), (declared(features=bulky, inputs=("bulk", "area")), "size")],
    ids=["removed", "renamed"],
)
def test_an_input_that_left_the_declaration_is_named(promoted: World, changed: Usecase, wants: str) -> None:
    line, entry = night(changed, NINTH, promoted)
    assert (line.outcome, line.champion, line.recipe) == ("promoted", 3, "linear_long")
    assert entry.why.startswith(f"champion version 2 wants the input '{wants}', which the declaration no longer has; ")
    assert "not known of it yet: beats the baseline" in entry.why
    assert [night(changed, day, promoted)[0].champion for day in DAYS[9:11]] == [3, 3]


def test_an_input_that_was_added_or_moved_leaves_the_champion_as_it_is(promoted: World) -> None:
    model_before = promoted.ledger.entries("small")[-1].model
    for changed in (declared(features=doubled, inputs=("double", "area", "size")), declared(inputs=("area", "size"))):
        line, entry = night(changed, NINTH, promoted)
        assert (line.outcome, entry.model) == ("held", model_before)
        assert line.losses["champion"] is not None
        assert line.losses["champion"] < line.losses["constant"]


def test_the_champion_is_asked_with_its_own_columns_in_their_own_order(promoted: World) -> None:
    """It answers as under the declaration that it was fitted under."""
    from pipeline.steps.models import able

    head = promoted.ledger.entries("small")[-1]
    as_before = small_inputs(SMALL, promoted)
    changed = declared(features=doubled, inputs=("double", "area", "size"))
    asked = [
        able.ask(SMALL, head, promoted, as_before),
        able.ask(changed, head, promoted, small_inputs(changed, promoted)),
    ]
    assert np.allclose(*asked, rtol=1e-12)
    assert len(np.unique(asked[0])) > 10


def small_inputs(usecase: Usecase, world: World) -> Any:
    from pipeline.core.windows import Days

    versions = {table.name: world.store.version(table.name) for table in usecase.tables}
    return world.engine.units(usecase, versions, Days(DAYS[7], DAYS[7])).inputs


def test_where_its_recipe_is_gone_too_the_baseline_begins_anew(promoted: World) -> None:
    others = tuple(recipe for recipe in SMALL.recipes if recipe.name != "linear_long")
    line, entry = night(declared(recipes=others, inputs=("size",)), NINTH, promoted)
    assert (line.outcome, line.recipe) == ("promoted", "constant")
    assert entry.why == (
        f"{WANTS}; its recipe, linear_long, is not declared or not fitted any more, so the baseline 'constant' begins "
        f"anew, and candidates must beat it"
    )


def test_a_recipe_that_is_removed_or_renamed_leaves_its_champion_in_service(promoted: World) -> None:
    others = tuple(recipe for recipe in SMALL.recipes if recipe.name != "linear_long")
    line, entry = night(declared(recipes=others), NINTH, promoted)
    assert (line.outcome, line.champion, entry.version) == ("held", 2, 2)


def test_a_person_is_asked_where_a_person_approves(promoted: World) -> None:
    changed = declared(inputs=("size",), promotion=Promotion("person"))
    line, entry = night(changed, NINTH, promoted)
    assert (line.outcome, line.champion, entry.version) == ("waiting", 2, 2)
    assert line.reason.startswith(f"a person decides: {WANTS}; ")
    assert line.headline.startswith("waiting for approval: version 2 wants the input 'area'")
    seen = []

    def ask(registered: Any) -> loop.Answer:
        seen.append(approval_form(registered, promoted))
        return loop.Answer(True, "ada")

    line = loop.run_day(dataclasses.replace(small.run_of(changed, TENTH, promoted), ask=ask))
    assert (line.outcome, line.champion) == ("promoted", 4)
    assert promoted.ledger.entries("small")[-1].by == "ada"
    subject, body = seen[0]
    assert subject == "small 2020-01-10: shall linear_long 4 replace linear_long 2?"
    assert WANTS in body


def test_who_says_no_keeps_the_champion_and_is_asked_again_the_next_night(promoted: World) -> None:
    changed = declared(inputs=("size",), promotion=Promotion("person"))
    for day in (NINTH, TENTH):
        run = dataclasses.replace(small.run_of(changed, day, promoted), ask=lambda _: loop.Answer(False, "ada", "wait"))
        assert loop.run_day(run).outcome == "declined"
    assert len(promoted.ledger.entries("small")) == 2


def test_a_day_that_is_tried_again_after_it_promoted_finds_its_own_work(promoted: World) -> None:
    world = upgraded(promoted, 1, 2)
    first = small.run_day(SMALL, NINTH, world)
    assert small.run_day(SMALL, NINTH, world) == first
    assert len(world.ledger.entries("small")) == 3


def test_judged_only_changes_nobody(promoted: World) -> None:
    run = dataclasses.replace(small.run_of(WITHOUT_AREA, NINTH, promoted), may_promote=False)
    line = loop.run_day(run)
    assert (line.outcome, line.champion) == ("held", 2)
    assert line.headline.startswith("judged only: version 2 wants the input 'area'")
    assert len(promoted.ledger.entries("small")) == 2


def test_past_days_that_are_run_again_under_the_new_declaration_are_evidence_for_it(promoted: World) -> None:
    """The documented way to prove a changed declaration at once; the last day of them decides."""
    for day in DAYS[3:7]:
        line = small.run_day(WITHOUT_AREA, day, promoted)
        assert (line.outcome, line.champion) == ("held", 2)
    line, entry = night(WITHOUT_AREA, DAYS[7], promoted)
    assert line.outcome == "promoted"
    assert entry.why == f"{WANTS}; its own recipe, linear_long, fitted anew, takes its place"


def test_a_file_that_is_lost_or_changed_is_no_champion_that_cannot_answer(promoted: World) -> None:
    """It is restored, not succeeded: nobody may end a reign by changing a byte."""
    head = promoted.ledger.entries("small")[-1]
    path = promoted.files.path(file_of("small", head.sha256))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    key, sha256, data, tags = promoted.registry.versions[1]
    promoted.registry.versions[1] = (key, sha256, data[:-1] + b"x", tags)
    with pytest.raises(RefusedError) as refused:
        small.run_day(SMALL, NINTH, promoted)
    assert refused.value.code == "TAMPERED"
    assert len(promoted.ledger.entries("small")) == 2


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(24, "Too many open files")])
def test_a_passing_want_of_memory_or_handles_ends_no_reign(
    promoted: World, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    import skops.io

    def fails(*_: Any, **__: Any) -> Any:
        raise trouble

    monkeypatch.setattr(skops.io, "loads", fails)
    with pytest.raises(UnavailableError, match="try again"):
        small.run_day(SMALL, NINTH, promoted)
    assert len(promoted.ledger.entries("small")) == 2


def fails_as(who: str) -> Callable[..., Any]:
    from pipeline.steps.models.predictions import predictions

    def moody(kind: Any, model: Any, inputs: Any, name: str) -> Any:
        found = predictions(kind, model, inputs, name)
        return np.full_like(found, np.nan) if name.startswith(who) else found

    return moody


def test_a_champion_that_fails_at_every_unit_is_succeeded_only_where_its_fresh_fit_does_not(
    promoted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.steps.score.predictions", fails_as("version 2"))
    line, entry = night(SMALL, NINTH, dataclasses.replace(promoted, compute_digest="upgraded"))
    assert (line.outcome, line.champion) == ("promoted", 3)
    assert entry.why.startswith("champion version 2 answers 30 of 30 units with something that is no prediction; ")


def test_where_the_fresh_fit_fails_too_the_day_is_refused_and_nobody_succeeds(
    promoted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.steps.score.predictions", fails_as(""))
    with pytest.raises(RefusedError, match="the champion, version 2, answers 30 of 30 units") as refused:
        small.run_day(SMALL, NINTH, promoted)
    assert refused.value.code == "UNSOUND"
    assert len(promoted.ledger.entries("small")) == 2


# Rollbacks.


def back(usecase: Usecase, world: World, to: str = "previous", **more: Any) -> Any:
    return rollback(usecase, world, to, "complaints", "ada", small.AT, **more)


def test_a_rollback_to_what_cannot_be_opened_is_refused_and_what_it_advises_works(promoted: World) -> None:
    small.run_day(SMALL, NINTH, upgraded(promoted, 2))
    world = upgraded(promoted, 2)
    with pytest.raises(RefusedError) as refused:
        back(SMALL, world)
    said = str(refused.value)
    assert refused.value.code == "UNABLE"
    assert said.startswith(
        "version 2 can't be opened with scikit-learn 9.1, it was made with 9.0, so nothing was changed: of the "
        "versions that were champion these can answer here: 1 (constant); "
    )
    assert "'python -m pipeline rollback small --to 1 --why \"version 2 can't answer\"'" in said
    assert len(world.ledger.entries("small")) == 3
    assert back(SMALL, world, "1").version == 1


def test_where_none_can_be_opened_the_champion_serves_on_and_doctor_is_named(promoted: World) -> None:
    small.run_day(SMALL, NINTH, upgraded(promoted, 1, 2))
    with pytest.raises(RefusedError, match="the champion, version 3, serves on; 'python -m pipeline doctor small'"):
        back(SMALL, upgraded(promoted, 1, 2))


def test_a_rollback_to_what_wants_an_input_that_is_gone_is_refused(promoted: World) -> None:
    small.run_day(WITHOUT_AREA, NINTH, promoted)
    with pytest.raises(RefusedError, match="version 2 wants the input 'area', which the declaration no longer has"):
        back(WITHOUT_AREA, promoted)


def test_a_rollback_from_a_champion_that_cannot_answer_bars_no_recipe(promoted: World) -> None:
    """Its recipe is not to blame; who says how long it is held is obeyed."""
    entry = back(SMALL, upgraded(promoted, 2))
    assert (entry.version, entry.held, entry.held_until) == (1, "", "")


def test_a_rollback_from_a_champion_that_answers_holds_its_recipe_as_ever(promoted: World) -> None:
    entry = back(SMALL, promoted)
    assert (entry.held, entry.held_until) == ("linear_long", "2020-01-15")


def test_a_hold_that_is_asked_for_is_put_on_all_the_same(promoted: World) -> None:
    assert back(SMALL, upgraded(promoted, 2), hold_days=3).held_until == "2020-01-11"


# What a model carries.


def test_a_model_carries_what_it_was_made_with_into_its_note_and_its_version(promoted: World) -> None:
    from pipeline.steps.models.run_training import candidate_by_identity

    versions = {"python": "3.11.7", "scikit-learn": "9.1", "skops": "0.16"}
    small.run_day(SMALL, NINTH, upgraded(promoted, 1, 2, versions=versions))
    head = promoted.ledger.entries("small")[-1]
    note = candidate_by_identity("small", head.model, promoted)
    assert note is not None
    assert note.made_with == versions
    assert note.inputs == ("size", "area")
    assert note.predicts == ("Binary", "late")
    assert promoted.registry.artifact("small", 3)[1]["made_with"] == "python 3.11.7, scikit-learn 9.1, skops 0.16"


def test_a_note_from_before_is_read_on(promoted: World) -> None:
    from pipeline.core.records import Candidate

    whole = Candidate("m", "r", "2020-01-01", "2020-01-02", 3, "f", "s", 0.1, {"python": "3.11"}, ("a",), ("Binary",))
    assert Candidate.from_dict(whole.to_dict()) == whole
    old = {name: value for name, value in whole.to_dict().items() if name not in ("made_with", "inputs", "predicts")}
    assert Candidate.from_dict(old) == dataclasses.replace(whole, made_with={}, inputs=(), predicts=())


def test_a_slice_that_is_no_longer_declared_stops_nobody(promoted: World) -> None:
    gates = (*SMALL.gates, EverySlice(0.01, at_least=2))
    line, _ = night(declared(slices=(), gates=gates), NINTH, promoted)
    assert "shop=" not in line.reason
