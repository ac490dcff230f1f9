"""The champion's file is bad in every way there is; and an alias whose ledger is gone."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.files.local import LocalFiles
from pipeline.adapters.models.skops_models import SkopsModels
from pipeline.core.errors import RefusedError, UnavailableError
from pipeline.core.ports import World
from pipeline.core.records import Entry
from pipeline.steps.models.champion_model import file_of, load
from pipeline.steps.reconcile import reconcile
from tests import fakes, small


class Ledger:
    def __init__(self, *entries: Entry) -> None:
        self._entries = entries

    def entries(self, usecase: str) -> Any:
        return self._entries


@pytest.fixture
def promoted(tmp_path: Path) -> tuple[World, Entry]:
    """A champion whose file lies in the file store and in the registry."""
    from sklearn.linear_model import LinearRegression

    files = LocalFiles(tmp_path / "files")
    models = SkopsModels(files)
    fitted = LinearRegression().fit(np.arange(6.0).reshape(3, 2), [1.0, 2.0, 4.0])
    name, sha256 = models.save("models/small", fitted)
    registry = small.MemoryRegistry()
    version = registry.register("small", "key", "run", files.get(name), sha256, {})
    registry.set_alias("small", "champion", version)
    first = Entry("small", 1, "start", version, "m", "r", "2020-01-01", sha256, None, "2020-01-02", "v", "w", "b", "a")
    world = fakes.world(files=files, models=models, registry=registry, ledger=Ledger(first))
    return world, first


def names(world: World, entry: Entry) -> list[Path]:
    own = file_of("small", entry.sha256)
    return [world.files.path(own.replace(".skops", f"{more}.skops")) for more in ("", ".again", ".again-2", ".again-3")]


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


class Down:
    """A registry that answers nothing."""

    def artifact(self, usecase: str, version: int) -> Any:
        raise UnavailableError("MLflow does not answer")


def test_a_damaged_repair_copy_is_replaced_by_a_fresh_one(promoted: tuple[World, Entry]) -> None:
    world, entry = promoted
    copies = names(world, entry)
    for bad, fresh in itertools.pairwise(copies):
        spoil(bad)
        load(small.SMALL, entry, world)
        assert fresh.exists()
    down = dataclasses.replace(world, registry=Down())  # type: ignore[arg-type]
    load(small.SMALL, entry, down)


def test_a_repair_copy_that_is_damaged_everywhere_is_not_kept(promoted: tuple[World, Entry]) -> None:
    world, entry = promoted
    own, again, second, _ = names(world, entry)
    spoil(own)
    load(small.SMALL, entry, world)
    spoil(again)
    key, sha256, data, tags = world.registry.versions[0]
    world.registry.versions[0] = (key, sha256, data[:-1] + b"x", tags)
    with pytest.raises(RefusedError) as both:
        load(small.SMALL, entry, world)
    assert both.value.code == "TAMPERED"
    assert not second.exists()


def test_both_copies_damaged_are_told_in_one_sentence_with_its_stops(promoted: tuple[World, Entry]) -> None:
    world, entry = promoted
    spoil(names(world, entry)[0])
    key, sha256, data, tags = world.registry.versions[0]
    world.registry.versions[0] = (key, sha256, data[:-1] + b"x", tags)
    with pytest.raises(RefusedError) as both:
        load(small.SMALL, entry, world)
    assert str(both.value).endswith(
        " is not opened; restore it from a backup, or roll back to another version: the registry's file of version 1 "
        "is not the one that was promoted either"
    )
    assert ". " not in str(both.value)


def refusing(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """As a file of mode 000 is to everybody but root."""
    real = Path.read_bytes

    def read(self: Path) -> bytes:
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read)


def test_a_file_that_may_not_be_read_is_fetched_anew(
    promoted: tuple[World, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, entry = promoted
    own, again, *_ = names(world, entry)
    refusing(monkeypatch, own)
    down = dataclasses.replace(world, registry=Down())  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, match=r"skops' can't be read .*Permission denied.* access") as unread:
        load(small.SMALL, entry, down)
    assert unread.value.code == "STORAGE"
    load(small.SMALL, entry, world)
    assert again.exists()


def test_a_file_that_is_gone_comes_back_under_its_own_name(promoted: tuple[World, Entry]) -> None:
    world, entry = promoted
    own, again, *_ = names(world, entry)
    own.unlink()
    load(small.SMALL, entry, world)
    assert own.exists()
    assert not again.exists()


@pytest.mark.parametrize("alias", ["champion", "previous"])
def test_an_empty_ledger_beside_an_alias_is_to_be_restored_before_anything_else(
    promoted: tuple[World, Entry], alias: str
) -> None:
    world, _ = promoted
    world.registry.alias = {alias: 1}
    with pytest.raises(RefusedError, match=r"restore the newest backup of it first \(ledger\.db") as drift:
        reconcile("small", dataclasses.replace(world, ledger=Ledger()))  # type: ignore[arg-type]
    assert drift.value.code == "DRIFT"
    assert "nothing" not in str(drift.value)
    assert world.registry.aliases("small") == {alias: 1}


def test_an_alias_moved_by_hand_is_to_be_pointed_back(promoted: tuple[World, Entry]) -> None:
    world, _ = promoted
    world.registry.alias = {"champion": 7}
    with pytest.raises(RefusedError, match="point it back at version 1"):
        reconcile("small", world)


def test_a_trouble_that_is_not_the_files_own_fetches_nothing(promoted: tuple[World, Entry]) -> None:
    """A store that does not answer says nothing about the file: no copy is made, and the trouble is told as it is."""
    world, entry = promoted

    class Silent:
        def load(self, name: str, sha256: str) -> Any:
            raise UnavailableError("the file store does not answer", "FILES")

    with pytest.raises(UnavailableError, match="does not answer"):
        load(small.SMALL, entry, dataclasses.replace(world, models=Silent()))  # type: ignore[arg-type]
    assert [copy.exists() for copy in names(world, entry)] == [True, False, False, False]
