"""Undo: at once, without the registry if need be, and it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.core.errors import PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.ports import World
from pipeline.steps.models.champion_model import file_of
from pipeline.steps.reconcile import reconcile
from pipeline.steps.rollback import lift, rollback
from tests import small


def back(world: World, **changes: Any) -> Any:
    asked: dict[str, Any] = {"to": "previous", "why": "complaints from the gate", "by": "ada", "at": small.AT}
    return rollback(small.SMALL, world, **{**asked, **changes})


class Down:
    """A registry that answers nothing."""

    def __getattr__(self, name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise UnavailableError("MLflow does not answer")

        return refuse


def test_a_rollback_makes_the_previous_champion_reign_at_once(promoted: World) -> None:
    entry = back(promoted)
    assert (entry.action, entry.version, entry.replaced, entry.by) == ("rollback", 1, 2, "ada")
    assert promoted.registry.aliases("small")["champion"] == 1


def test_what_was_rolled_back_is_not_promoted_again_while_the_hold_lasts(promoted: World) -> None:
    gone = promoted.ledger.entries("small")[-1]
    back(promoted, hold_days=30)
    outcomes = [small.run_day(small.SMALL, day, promoted, (gone.recipe,)) for day in small.days(16)[8:]]
    promoted = [e for e in promoted.ledger.entries("small") if e.action == "promote"][1:]
    assert all(entry.recipe != gone.recipe and entry.model != gone.model for entry in promoted)
    assert {outcome.outcome for outcome in outcomes} == {"held"}


def test_without_the_hold_it_would_have_been_promoted_again(promoted: World) -> None:
    """The fault planted: the test above can fail."""
    gone = promoted.ledger.entries("small")[-1]
    back(promoted, hold_days=30)
    lift(small.SMALL, promoted, gone.recipe, "it was the data", "ada", small.AT)
    for day in small.days(16)[8:]:
        small.run_day(small.SMALL, day, promoted, (gone.recipe,))
    promoted = [e for e in promoted.ledger.entries("small") if e.action == "promote"][1:]
    assert any(entry.recipe == gone.recipe for entry in promoted)


def test_a_second_try_of_the_same_request_does_not_roll_back_twice(promoted: World) -> None:
    first = back(promoted)
    assert back(promoted) == first
    assert len(promoted.ledger.entries("small")) == 3


def test_it_works_while_the_registry_is_down_and_the_aliases_follow_later(promoted: World) -> None:
    entry = back(dataclasses.replace(promoted, registry=Down()))  # type: ignore[arg-type]
    assert promoted.ledger.entries("small")[-1] == entry
    assert promoted.registry.aliases("small")["champion"] == 2
    moved: Mapping[str, Any] = reconcile("small", promoted)
    assert moved["champion"] == (2, 1)
    assert reconcile("small", promoted) == {}


def test_a_target_whose_file_was_changed_is_refused_and_the_champion_stays(promoted: World) -> None:
    first = promoted.ledger.entries("small")[0]
    damage(promoted, first.sha256)
    key, sha256, data, tags = promoted.registry.versions[0]
    promoted.registry.versions[0] = (key, sha256, data[:-1] + b"x", tags)
    with pytest.raises(RefusedError, match="SHA-256"):
        back(promoted)
    assert len(promoted.ledger.entries("small")) == 2
    promoted.registry.versions[0] = (key, sha256, data, tags)
    assert back(promoted).version == 1, "the registry's good copy serves, and nothing bad was kept under its name"


def damage(world: World, sha256: str) -> None:
    path = world.files.path(file_of("small", sha256))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def test_a_ledger_that_was_lost_or_is_behind_the_registry_moves_nothing(promoted: World) -> None:
    lost = dataclasses.replace(promoted, ledger=Behind(promoted.ledger, 0))  # type: ignore[arg-type]
    behind = dataclasses.replace(promoted, ledger=Behind(promoted.ledger, 1))  # type: ignore[arg-type]
    for world in (lost, behind):
        with pytest.raises(RefusedError, match="never heard of it"):
            reconcile("small", world)
        with pytest.raises(RefusedError, match="restore the newest"):
            small.run_day(small.SMALL, small.days(9)[-1], world)
    assert promoted.registry.aliases("small") == {"champion": 2, "previous": 1}


class Behind:
    """A ledger restored from an old backup: its newest lines are missing."""

    def __init__(self, ledger: Any, lines: int) -> None:
        self._ledger, self._lines = ledger, lines

    def entries(self, usecase: str) -> Any:
        return self._ledger.entries(usecase)[: self._lines]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


def test_a_day_mistyped_and_refused_does_not_hold_anything_until_then(promoted: World) -> None:
    last = promoted.ledger.outcomes("small")[-1]
    promoted.ledger.conclude(dataclasses.replace(last, day="2113-01-30", outcome="refused"))
    assert back(promoted).held_until < "2021"


def test_a_target_that_left_the_file_store_is_fetched_from_the_registry(promoted: World) -> None:
    first = promoted.ledger.entries("small")[0]
    promoted.files.path(file_of("small", first.sha256)).unlink()
    assert back(promoted).version == 1


@pytest.mark.parametrize(("to", "why"), [("7", "x"), ("2", "x"), ("yesterday", "x"), ("previous", "  ")])
def test_a_rollback_that_makes_no_sense_is_a_sentence(promoted: World, to: str, why: str) -> None:
    with pytest.raises(UsageError):
        back(promoted, to=to, why=why)
    assert len(promoted.ledger.entries("small")) == 2


def test_a_version_that_was_rolled_back_says_so_even_where_the_registry_was_down_then(promoted: World) -> None:
    back(dataclasses.replace(promoted, registry=Down()))  # type: ignore[arg-type]
    reconcile("small", promoted)
    told = promoted.registry.artifact("small", 2)[1]["rolled_back"]
    assert "by ada" in told
    assert "complaints from the gate" in told
    assert "rolled_back" not in promoted.registry.artifact("small", 1)[1]


def test_a_registry_that_cannot_say_of_a_version_what_became_of_it_stops_no_rollback(promoted: World, caplog) -> None:
    class Mute:
        def __getattr__(self, name: str) -> object:
            return getattr(promoted.registry, name)

        def annotate_version(self, *_: object) -> None:
            raise PipelineError("could not say of version 2 what became of it: no room", "REGISTRY")

    back(dataclasses.replace(promoted, registry=Mute()))  # type: ignore[arg-type]
    assert promoted.registry.aliases("small")["champion"] == 1
    assert "no room" in caplog.text
