"""A run that is killed at any of its writes, and tried again, ends as one that was not killed."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.ports import World
from tests import small
from tests.once import once

#: What each port writes with. A new writing method must be named here: the test below sees to it.
WRITES = {
    "store": ("write_day",),
    "files": ("put",),
    "models": ("save",),
    "registry": ("record", "register", "set_alias", "rename", "chart"),
    "ledger": ("append", "conclude"),
}
#: Written only after a rollback, or by hand after a deletion or a swap, not by the loop; test_registry.py repeats it.
AFTER_A_ROLLBACK = {"registry": {"annotate_version", "use_up", "restore"}}
READS = {
    "store": {"version", "read", "marks"},
    "files": {"get", "exists"},
    "models": {"load", "open", "peak_memory"},
    "registry": {"aliases", "artifact", "address", "digests"},
    "ledger": {"entries", "outcomes", "take_turn"},
}


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product may catch it."""


class Port:
    """A port that counts its writes and dies before or after the n-th."""

    def __init__(self, port: Any, writes: tuple[str, ...], count: Callable[[str, bool], None]) -> None:
        self._port, self._writes, self._count = port, writes, count

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._writes:
            return method

        def write(*args: Any, **kwargs: Any) -> Any:
            self._count(name, False)
            made = method(*args, **kwargs)
            self._count(name, True)
            return made

        return write


def deadly(world: World, at: int | None, after: bool) -> tuple[World, list[str]]:
    """A world that dies at its ``at``-th write (counted from 0), before or after it; None: it only counts."""
    done: list[str] = []

    def count(name: str, ended: bool) -> None:
        number = len(done) - 1 if ended else len(done)
        if not ended:
            if number == at and not after:
                raise Killed
            done.append(name)
        elif number == at and after:
            raise Killed

    ports = {name: Port(getattr(world, name), writes, count) for name, writes in WRITES.items()}
    return dataclasses.replace(world, **ports), done


def state(world: World, registry: small.MemoryRegistry) -> dict[str, Any]:
    """What must be the same: the score ledger, its sums, the promotion ledger, versions, aliases, runs, day lines."""
    from pipeline.core.windows import Days
    from pipeline.steps.tables import block_losses, score_ledger

    name = small.SMALL.name
    days = Days(small.FIRST, small.days(40)[-1])

    def rows(table: str) -> list[str]:
        version = world.store.version(table)
        return [] if version is None else sorted(map(repr, world.store.read(table, version, days).to_pylist()))

    return {
        "scores": rows(score_ledger.table(name)),
        "sums": rows(block_losses.table(name)),
        # The verdict's digest holds the measured latency, so it differs between two runs of the same day.
        "promotions": [dataclasses.replace(e, verdict="") for e in world.ledger.entries(name)],
        "versions": [(key, sha256) for key, sha256, *_ in registry.versions],
        "aliases": registry.aliases(name),
        "runs": sorted(page.title for page in registry.runs.values()),
        "days": [dataclasses.replace(o, run="", verdict="") for o in world.ledger.outcomes(name)],
    }


LAST = small.days(8)[-1]


def copied(registry: small.MemoryRegistry) -> small.MemoryRegistry:
    mine = small.MemoryRegistry()
    mine.runs, mine.versions, mine.alias = dict(registry.runs), list(registry.versions), dict(registry.alias)
    return mine


@pytest.fixture(scope="module")
def seven_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight days delivered and five of them run, so that the eighth has evidence enough for a promotion; to copy."""

    def make(folder: Path) -> None:
        registry = small.MemoryRegistry()
        world = small.world_in(folder / "home", registry)
        for day in small.days(8):
            small.deliver(folder / "home" / "landing", day)
            if day >= small.days(3)[-1] and day < LAST:
                small.run_day(small.SMALL, day, world)
        (folder / "registry").write_bytes(pickle.dumps(registry))

    return once(tmp_path_factory, "days before a kill", make)


def prepared(home: Path, kept: Path) -> tuple[World, small.MemoryRegistry]:
    shutil.copytree(kept / "home", home, dirs_exist_ok=True)
    registry = pickle.loads((kept / "registry").read_bytes())
    return small.world_in(home, registry), registry


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, seven_days: Path) -> tuple[dict[str, Any], list[str]]:
    """The end state of a run that nobody kills, and the writes it made."""
    home = tmp_path_factory.mktemp("clean")
    world, registry = prepared(home, seven_days)
    counting, writes = deadly(world, None, False)
    outcome = small.run_day(small.SMALL, LAST, counting)
    assert outcome.outcome == "promoted", outcome
    return state(world, registry), writes


def test_the_day_under_test_writes_through_every_port(clean: tuple[dict[str, Any], list[str]]) -> None:
    assert set(clean[1]) == {name for names in WRITES.values() for name in names}


def test_every_method_of_a_writing_port_is_known_to_read_or_to_write() -> None:
    from pipeline.core import ports

    for name, protocol in (("store", ports.Store), ("files", ports.Files), ("models", ports.Models),
                           ("registry", ports.Registry), ("ledger", ports.PromotionLedger)):  # fmt: skip
        methods = {method for method in vars(protocol) if not method.startswith("_")}
        assert methods == READS[name] | set(WRITES[name]) | AFTER_A_ROLLBACK.get(name, set()), name


@pytest.mark.parametrize(
    ("after", "whole"),
    [(False, False), (True, False), (True, True)],
    ids=["before, from the step", "after, from the step", "after, from the start"],
)
def test_a_run_killed_at_any_write_and_tried_again_ends_as_if_it_had_not_been(
    clean: tuple[dict[str, Any], list[str]], seven_days: Path, tmp_path: Path, after: bool, whole: bool
) -> None:
    """Tried as Airflow would, the step that died with the same input; or as a person would, the day from its start.

    The steps before the one that dies are run once, and what they left is copied: each is a process of its own.
    """
    expected, writes = clean
    home, ahead = tmp_path / "before the step", tmp_path / "behind the step"
    world, registry = prepared(home, seven_days)
    made: Any = None
    reached = 0
    for number in range(len(small.steps_of(small.SMALL, LAST, world))):
        shutil.copytree(home, ahead)
        before, registry = registry, copied(registry)
        counting, written = deadly(small.world_in(ahead, registry), None, False)
        result = small.steps_of(small.SMALL, LAST, counting)[number][1](made)
        for at in range(len(written)):
            trial = tmp_path / "run"
            shutil.copytree(home, trial)
            mine = copied(before)
            dying, _ = deadly(small.world_in(trial, mine), at, after)
            with pytest.raises(Killed):
                small.steps_of(small.SMALL, LAST, dying)[number][1](made)
            fresh = small.world_in(trial, mine)
            if whole:
                small.run_day(small.SMALL, LAST, fresh)
            else:
                again = made
                for _, step in small.steps_of(small.SMALL, LAST, fresh)[number:]:
                    again = step(again)
            found = state(small.world_in(trial, mine), mine)
            assert found == expected, f"killed {after=} at write {reached + at}: {written[at]}"
            shutil.rmtree(trial)
        reached += len(written)
        made = result
        shutil.rmtree(home)
        ahead.rename(home)
    assert reached == len(writes)
