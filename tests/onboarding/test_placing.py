"""Putting a use case in its place, killed at each of its steps: the catalogue never names what is not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.errors import UsageError
from pipeline.onboarding.placing import catalogue, placing
from pipeline.onboarding.placing.placing import put_in_place

TEXT = (Path(__file__).parents[2] / "pipeline/usecases/__init__.py").read_text()
NAME = "churn"
PLACES = ("landing", "expectations", "usecases")


def filled(text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for name in ("__init__.py", "REVIEW.md"):
            (folder / name).write_text(text)

    return fill


def begun(home: Path, with_old: bool) -> None:
    for folder in (*PLACES, "replaced"):
        (home / folder).mkdir(parents=True)
    for folder in ("flight_delay", "flight_minutes"):
        (home / "usecases" / folder).mkdir()
        (home / "usecases" / folder / "__init__.py").touch()
    text = TEXT
    if with_old:
        text = catalogue.with_name(TEXT, NAME)
        for folder in PLACES:
            (home / folder / NAME).mkdir()
            filled("old")(home / folder / NAME)
    (home / "usecases" / "__init__.py").write_text(text)


def put(home: Path) -> tuple[Path, ...]:
    held = [home / folder / NAME for folder in reversed(PLACES) if (home / folder / NAME).exists()]
    parts = [(home / folder / NAME, filled("new")) for folder in PLACES]
    return put_in_place(NAME, parts, held, home / "replaced", home / "usecases" / "__init__.py")


def dying(step: int, die: Callable[[], None], patch: pytest.MonkeyPatch) -> list[int]:
    """Before its ``step``-th effect on the disk the process dies; returns the count of them as it grows."""
    done = [0]

    def counted(act: Callable[..., object]) -> Callable[..., object]:
        def acting(*args: object, **kwargs: object) -> object:
            done[0] += 1
            if done[0] == step:
                die()
            return act(*args, **kwargs)

        return acting

    patch.setattr(placing, "write", counted(placing.write))
    patch.setattr(placing, "put_aside", counted(placing.put_aside))
    patch.setattr(Path, "rename", counted(Path.rename))
    patch.setattr(Path, "mkdir", counted(Path.mkdir))
    return done


def whole(home: Path) -> None:
    """Whatever the catalogue names is there with all of its files."""
    text = (home / "usecases" / "__init__.py").read_text()
    compile(text, "usecases", "exec")
    for name in catalogue.listed(text):
        assert (home / "usecases" / name / "__init__.py").exists(), name
    if NAME in catalogue.listed(text):
        words = {file.read_text() for folder in PLACES for file in (home / folder / NAME).iterdir()}
        assert len(words) == 1, words


def kept(home: Path) -> list[str]:
    """Where the old files lie, if anywhere."""
    return sorted(file.read_text() for file in home.rglob("REVIEW.md") if file.read_text() == "old")


@pytest.mark.parametrize("with_old", [False, True], ids=["first", "overwrite"])
def test_one_that_is_killed_at_any_step_leaves_a_catalogue_that_can_be_imported_and_the_next_ends_it(
    tmp_path: Path, with_old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = 0
    for step in range(1, 30):
        home = tmp_path / str(step)
        begun(home, with_old)
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                dying(step, lambda: os._exit(9), patch)
                put(home)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, 9), status
        whole(home)
        assert len(kept(home)) == (3 if with_old else 0), "nothing is lost"
        killed += status == 9
        if status == 0:
            break
        put(home)
        whole(home)
        assert NAME in catalogue.listed((home / "usecases" / "__init__.py").read_text())
        assert {(home / folder / NAME / "REVIEW.md").read_text() for folder in PLACES} == {"new"}
        assert len(kept(home)) == (3 if with_old else 0)
        assert not list(home.rglob(".*.new"))
    assert killed >= (12 if with_old else 6)


@pytest.mark.parametrize("with_old", [False, True], ids=["first", "overwrite"])
def test_where_there_is_no_room_all_is_as_it_was(tmp_path: Path, with_old: bool) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    begun(tmp_path / "whole", with_old)
    with pytest.MonkeyPatch.context() as patch:
        effects = dying(0, full, patch)
        put(tmp_path / "whole")
    assert effects[0] > 6
    for step in range(1, effects[0] + 1):
        home = tmp_path / str(step)
        begun(home, with_old)
        before = {file.relative_to(home): file.read_text() for file in home.rglob("*") if file.is_file()}
        with pytest.MonkeyPatch.context() as patch:
            dying(step, full, patch)
            with pytest.raises(UsageError, match="make room or give access"):
                put(home)
        assert {file.relative_to(home): file.read_text() for file in home.rglob("*") if file.is_file()} == before


def test_a_name_is_taken_out_of_the_catalogue_as_it_was_put_in() -> None:
    made = catalogue.with_name(TEXT, NAME)
    assert made != TEXT
    assert catalogue.without_name(made, NAME) == TEXT
    assert 'NAMES = ("a_case",)\n' in catalogue.without_name('NAMES = ("a_case", "churn")\n', NAME)
