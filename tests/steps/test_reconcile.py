"""A version's number is no identity: aliases follow the ledger only where the registry means the same models."""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.ledger import reconcile as cli
from pipeline.core.errors import ConflictError, PipelineError, RefusedError, UnavailableError, UsageError
from pipeline.core.ports import World
from pipeline.steps.models.champion_model import file_of
from pipeline.steps.reconcile import reconcile, restore_files
from pipeline.steps.register import run_key
from pipeline.steps.register_again import register_again
from pipeline.steps.rollback import rollback
from tests import small


def deleted_in_the_registry(world: World) -> None:
    """Somebody deletes the registered model by hand; the next version is number 1 again."""
    world.registry.versions.clear()  # type: ignore[attr-defined]
    world.registry.alias.clear()  # type: ignore[attr-defined]


def another_model(world: World) -> None:
    world.registry.register("small", "other", "run", b"other", "f" * 64, {})


def test_a_number_that_is_another_model_in_the_registry_moves_nothing(promoted: World) -> None:
    deleted_in_the_registry(promoted)
    another_model(promoted)
    another = copy.deepcopy(promoted.registry.versions)  # type: ignore[attr-defined]
    with pytest.raises(
        RefusedError, match=r"version 1 is not the model that was promoted.*in the registry it is f{12}"
    ) as drift:
        reconcile("small", promoted)
    assert drift.value.code == "DRIFT"
    assert promoted.registry.aliases("small") == {}
    assert promoted.registry.versions == another  # type: ignore[attr-defined]


def test_an_alias_that_stands_on_the_right_number_of_another_model_is_drift_too(promoted: World) -> None:
    key, _, data, tags = promoted.registry.versions[1]  # type: ignore[attr-defined]
    promoted.registry.versions[1] = (key, "e" * 64, data, tags)  # type: ignore[attr-defined]
    assert promoted.registry.aliases("small")["champion"] == 2
    with pytest.raises(RefusedError, match="version 2 is not the model that was promoted under that number"):
        reconcile("small", promoted)


def test_a_winner_that_gets_a_number_the_ledger_knows_is_no_champion(world: World) -> None:
    """The worst of it: the next winner is version 1 again, as the champion is, and all would seem well."""
    for day in small.days(7)[2:]:
        small.run_day(small.SMALL, day, world)
    before = list(world.ledger.entries("small"))
    assert [line.version for line in before] == [1]
    deleted_in_the_registry(world)
    with pytest.raises(RefusedError, match="so its registered model was deleted or replaced there") as drift:
        small.run_day(small.SMALL, small.days(8)[-1], world)
    assert drift.value.code == "DRIFT"
    assert world.registry.digests("small", [1]) != {1: before[0].sha256}, "the winner did get the champion's number"
    assert world.registry.aliases("small") == {}
    assert world.ledger.entries("small") == before
    assert world.ledger.outcomes("small")[-1].outcome == "failed", "the day is red"


def test_a_rollback_whose_aliases_can_not_follow_stands_and_says_so(promoted: World) -> None:
    deleted_in_the_registry(promoted)
    another_model(promoted)
    with pytest.raises(
        RefusedError, match="the rollback stands in the promotion ledger, but MLflow's aliases"
    ) as drift:
        rollback(small.SMALL, promoted, "previous", "a bad one", "ada", small.AT)
    assert drift.value.code == "DRIFT"
    assert promoted.ledger.entries("small")[-1].version == 1
    assert promoted.registry.aliases("small") == {}


def test_registering_again_gives_the_promoted_models_their_numbers_back(promoted: World) -> None:
    digests = dict(promoted.registry.digests("small", [1, 2]))
    aliases = dict(promoted.registry.aliases("small"))
    deleted_in_the_registry(promoted)
    again, unused = register_again(small.SMALL, promoted)
    assert (again, unused) == ([1, 2], [])
    reconcile("small", promoted)
    assert promoted.registry.digests("small", [1, 2]) == digests
    assert {alias: promoted.registry.aliases("small")[alias] for alias in ("champion", "previous")} == {
        alias: aliases[alias] for alias in ("champion", "previous")
    }
    assert register_again(small.SMALL, promoted) == ([], []), "a second time there is nothing to do"
    back = rollback(small.SMALL, promoted, "previous", "a bad one", "ada", small.AT)
    assert promoted.registry.aliases("small")["champion"] == back.version == 1


def test_a_number_whose_file_is_gone_is_left_unused(promoted: World) -> None:
    deleted_in_the_registry(promoted)
    first = promoted.ledger.entries("small")[0]
    promoted.files.path(file_of("small", first.sha256)).unlink()  # type: ignore[attr-defined]
    assert register_again(small.SMALL, promoted) == ([2], [1])
    reconcile("small", promoted)
    assert promoted.registry.aliases("small")["champion"] == 2


def without_the_champions_file(world: World) -> None:
    deleted_in_the_registry(world)
    head = world.ledger.entries("small")[-1]
    world.files.path(file_of("small", head.sha256)).unlink()  # type: ignore[attr-defined]


def occupied(world: World) -> None:
    deleted_in_the_registry(world)
    another_model(world)


def somebody_else(world: World) -> None:
    deleted_in_the_registry(world)
    register = world.registry.register

    def late(*args: object, **words: object) -> int:
        if not world.registry.versions:  # type: ignore[attr-defined]
            another_model_first()
        return register(*args, **words)  # type: ignore[arg-type]

    def another_model_first() -> None:
        register("small", "other", "run", b"other", "f" * 64, {})

    world.registry.register = late  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (occupied, UsageError, "delete the registered model 'small' there first"),
        (without_the_champions_file, RefusedError, "is gone from the file store"),
        (somebody_else, ConflictError, "somebody else registers there"),
    ],
)
def test_registering_again_refuses_what_would_make_a_number_another_model(
    promoted: World, spoil: Callable[[World], None], error: type[Exception], words: str
) -> None:
    spoil(promoted)
    with pytest.raises(error, match=words):
        register_again(small.SMALL, promoted)
    assert promoted.registry.aliases("small") == {}


class Refusing:
    """A registry that can't write on a version's page."""

    def __init__(self, registry: Any, error: PipelineError) -> None:
        self._registry, self._error = registry, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def annotate_version(self, usecase: str, version: int, name: str, text: str) -> None:
        raise self._error


def test_a_version_that_cant_say_it_was_rolled_back_stops_no_rollback(promoted: World) -> None:
    rollback(small.SMALL, promoted, "previous", "worse", "ann", datetime(2020, 1, 10, tzinfo=UTC))
    promoted.registry.set_alias("small", "champion", None)
    gone = dataclasses.replace(promoted, registry=Refusing(promoted.registry, UsageError("no version 2", "MISSING")))
    reconcile("small", gone)
    assert promoted.registry.aliases("small")["champion"] == 1
    silent = Refusing(promoted.registry, UnavailableError("MLflow does not answer"))
    with pytest.raises(UnavailableError, match="does not answer"):
        reconcile("small", dataclasses.replace(promoted, registry=silent))


def test_an_alias_moved_by_hand_is_moved_back_and_people_see_it(promoted: World) -> None:
    from io import StringIO

    from pipeline.report.terminal.explanation import verdict_explained
    from pipeline.report.terminal.tables import show
    from pipeline.steps.explain import explain

    day = small.days(9)[8]
    promoted.registry.set_alias("small", "champion", 1)
    line = small.run_day(small.SMALL, day, promoted)
    (repair,) = line.repairs
    assert repair.startswith("the alias champion of small stood on version 1 in MLflow and was moved back to version 2")
    assert promoted.ledger.outcomes("small")[-1].repairs == (repair,)
    page = promoted.registry.runs[run_key("small", day.isoformat())]  # type: ignore[attr-defined]
    assert page.tags["repairs"] == repair
    explained, text = explain(small.SMALL, day.isoformat(), promoted), StringIO()
    assert explained.verdict is not None
    show(verdict_explained(explained.verdict, explained.line), text)
    assert "mended by itself: the alias champion of small" in " ".join(text.getvalue().split())
    assert small.run_day(small.SMALL, small.days(10)[9], promoted).repairs == ()


def test_a_file_that_was_lost_is_fetched_anew_and_people_see_it(promoted: World, tmp_path: Path) -> None:
    (head,) = promoted.ledger.entries("small")[-1:]
    file = tmp_path / "store" / "files" / file_of("small", head.sha256)
    file.unlink()
    (repair,) = small.run_day(small.SMALL, small.days(9)[8], promoted).repairs
    assert (
        repair == f"the file of version 2 ({file_of('small', head.sha256)}) was gone, and was fetched anew from MLflow"
    )
    file.chmod(0o600)
    file.write_bytes(b"something else")
    (repair,) = small.run_day(small.SMALL, small.days(10)[9], promoted).repairs
    assert "was not what was promoted, and was fetched anew from MLflow" in repair


def test_a_swapped_file_of_the_champion_in_the_registry_is_red_and_put_back_by_hand(
    promoted: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size, under the same number, with the same tags: whoever loads ``@champion`` gets it."""
    right, _ = promoted.registry.artifact("small", 2)
    wrong = bytes([right[0] ^ 1]) + right[1:]
    promoted.registry.restore("small", 2, wrong)
    before = (copy.deepcopy(promoted.registry.versions), list(promoted.ledger.entries("small")))  # type: ignore[attr-defined]
    with pytest.raises(RefusedError, match="the file of version 2, the champion, in MLflow is not the one") as drift:
        small.run_day(small.SMALL, small.days(9)[8], promoted)
    assert drift.value.code == "DRIFT"
    assert not drift.value.ends_day
    assert (promoted.registry.versions, list(promoted.ledger.entries("small"))) == before  # type: ignore[attr-defined]
    line = promoted.ledger.outcomes("small")[-1]
    assert (line.day, line.outcome) == (small.days(9)[8].isoformat(), "failed")
    # The advice of the sentence.
    assert "'python -m pipeline reconcile small' puts the promoted file back" in str(drift.value)
    monkeypatch.setattr("pipeline.adapters.world.world", lambda *_: promoted)
    assert cli(argparse.Namespace(register_again=False), small.SMALL) == 0
    assert capsys.readouterr().out == "version 2: the promoted file is in MLflow again\n"
    assert promoted.registry.artifact("small", 2)[0] == right
    assert small.run_day(small.SMALL, small.days(9)[8], promoted).outcome != "failed"


def test_a_file_that_is_lost_everywhere_can_not_be_put_back(promoted: World, tmp_path: Path) -> None:
    (head,) = promoted.ledger.entries("small")[-1:]
    promoted.registry.restore("small", 2, b"other")
    (tmp_path / "store" / "files" / file_of("small", head.sha256)).unlink()
    with pytest.raises(RefusedError, match="the file of version 2 of small is gone from the file store, too"):
        restore_files(small.SMALL, promoted)
