"""Fits of a stretch: the same numbers however many processes made them, and nothing made twice when one was killed."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UnavailableError
from pipeline.core.replay.history import FitKey
from pipeline.core.windows import Days
from pipeline.steps.replay import replay
from pipeline.steps.replaying import fits
from pipeline.steps.replaying.fit_maker import FitMaker, _numbers
from pipeline.steps.replaying.fit_store import FitStore
from tests import small
from tests.steps.replaying import killed_fits
from tests.steps.replaying.killed_fits import STRETCH, USECASE

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-eight days in the store; no fit is kept yet."""
    made = tmp_path_factory.mktemp("fits")
    for day in small.days(28):
        small.deliver(made / "landing", day, flip=day.day > 16)
    return made


def kept(home: Path) -> list[Path]:
    return sorted((home / "store").rglob("replays/**/*.npy"))


def begin(home: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.steps.replaying.killed_fits", str(home), str(workers)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(what: str, holds: object, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_two_workers_make_the_same_numbers_as_one_and_a_killed_parent_leaves_no_orphan_and_no_fit_twice(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing"
    landing.symlink_to(home / "landing")
    running = begin(tmp_path, 2)
    try:
        eventually("the workers began to fit", lambda: len(kept(tmp_path)) >= 12)
        workers = children(running.pid)
        assert len(workers) >= 2
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    eventually("no worker outlives who asked it", lambda: all(gone(pid) for pid in workers), 20)
    done = len(kept(tmp_path))
    total = len(STRETCH) * (len(USECASE.recipes) + 1)
    assert 12 <= done < total, "killed in the middle"
    made: list[FitKey] = []
    predict = FitMaker.predict

    def counted(self: FitMaker, fit: FitKey, first: int, end: int) -> object:
        made.append(fit)
        return predict(self, fit, first, end)

    with monkeypatch.context() as patch:
        patch.setattr(FitMaker, "predict", counted)
        resumed = replay(USECASE, STRETCH, small.world_in(tmp_path), workers=1)
    asked_later = len(kept(tmp_path)) - total
    assert len(made) == total - done + asked_later, "only what was missing is fitted"
    whole = replay(USECASE, STRETCH, small.world_in(home), workers=1)
    assert whole.to_dict() == resumed.to_dict()
    for day in range(2, 28):
        for recipe in whole.history.recipes:
            one, two = (of.history.predicted(FitKey(recipe, day), day) for of in (whole, resumed))
            assert (one is None and two is None) or np.array_equal(one, two)  # type: ignore[arg-type]


def test_a_worker_that_is_killed_ends_the_replay_with_a_sentence_and_the_next_goes_on(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "landing").symlink_to(home / "landing")
    world = small.world_in(tmp_path)
    put = FitStore.put

    def fatal(self: FitStore, *what: object) -> None:
        put(self, *what)  # type: ignore[arg-type]
        # After the resource tracker come the workers; the last is one of them.
        os.kill(children(os.getpid())[-1], signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(FitStore, "put", fatal)
        with pytest.raises(UnavailableError, match="ended by somebody, perhaps for want of memory") as told:
            replay(USECASE, STRETCH, world, workers=2)
    assert told.value.code == "KILLED"
    assert kept(tmp_path)
    assert np.isfinite(replay(USECASE, STRETCH, world, workers=1).played[0].figures.loss)


def test_a_damaged_fit_is_made_again_and_one_of_before_digests_is_taken(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "landing").symlink_to(home / "landing")
    usecase, stretch = small.SMALL, Days(STRETCH.first, STRETCH.first + timedelta(9))
    whole = replay(usecase, stretch, small.world_in(tmp_path), workers=1)
    files = kept(tmp_path)[::4]
    flipped = bytearray(files[3].read_bytes())
    flipped[-40] ^= 1  # in the last number, of which the form says nothing
    others = io.BytesIO()
    np.save(others, np.zeros(3))
    damaged = [b"", files[1].read_bytes()[:60], b"garbage" * 40, bytes(flipped), others.getvalue()]
    for file, data in zip(files, damaged, strict=False):
        file.chmod(0o600)
        file.write_bytes(data)
    older = files[len(damaged)]
    older.chmod(0o600)
    older.write_bytes(older.read_bytes()[:-32])
    again = replay(usecase, stretch, small.world_in(tmp_path), workers=1)
    assert again.to_dict() == whole.to_dict()
    told = [record.message for record in caplog.records if "is damaged and is made again" in record.message]
    assert len(told) == len(damaged)
    assert older.name not in " ".join(told)
    assert files[0].read_bytes() == b"", "a file that is there never changes"


def test_recipes_that_no_other_process_can_find_are_fitted_by_this_one() -> None:
    def hidden(seed: int) -> object:
        return killed_fits.slow(seed)

    recipe = dataclasses.replace(USECASE.recipes[0], build=hidden)
    assert fits._portable(FitMaker(USECASE.kind, USECASE.recipes, None, None))  # type: ignore[arg-type]
    assert not fits._portable(FitMaker(USECASE.kind, (recipe,), None, None))  # type: ignore[arg-type]


def test_recipes_that_no_other_process_can_be_handed_are_fitted_by_this_one(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "landing").symlink_to(home / "landing")
    within = dataclasses.replace(
        small.SMALL,
        recipes=tuple(
            dataclasses.replace(recipe, build=lambda seed, build=recipe.build: build(seed))
            for recipe in small.SMALL.recipes
        ),
    )
    one = replay(within, STRETCH, small.world_in(tmp_path), workers=2)
    assert "one process fits, as the recipes can't be handed to another" in caplog.text
    assert np.isfinite(one.played[0].figures.loss)


class Placed:
    """An estimator that holds something without a name of its own."""

    def get_params(self) -> dict[str, object]:
        return {"loss": object(), "depth": 3}


def test_where_an_object_lies_in_memory_makes_no_other_fit(home: Path) -> None:
    recipe = dataclasses.replace(small.SMALL.recipes[0], build=lambda _: Placed())
    one, two = _numbers(recipe), _numbers(recipe)
    assert one == two
    assert "0x" not in one
    assert "('depth', 3)" in one


def test_progress_counts_each_policy_once(home: Path, tmp_path: Path) -> None:
    (tmp_path / "landing").symlink_to(home / "landing")
    counted: dict[str, list[int]] = {}

    @contextmanager
    def progress(name: str, parts: int) -> Iterator[Callable[[], None]]:
        counted[name] = [parts]
        yield lambda: counted[name].append(1)

    world = dataclasses.replace(small.world_in(tmp_path), progress=progress)
    stretch = Days(STRETCH.first, STRETCH.first + timedelta(5))
    replay(small.SMALL, stretch, world, workers=1)
    assert counted.keys() >= {"replay"}
    for name, (parts, *ticks) in counted.items():
        assert len(ticks) == parts, name
