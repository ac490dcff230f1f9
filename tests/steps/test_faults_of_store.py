"""A disk that is full in the middle of a step: one sentence, the store as it was, and room is all it takes to go on.

Two full disks: a real one (a small memory disk, where mounting is allowed), and one that any account can have, where no
file may grow beyond a limit. Each step is tried with a little more room each time until it goes through, so that it is
stopped at every one of its writes.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import PipelineError
from pipeline.core.ports import World
from tests import small

ROOT = Path(__file__).parents[2]
DAYS = small.days(5)
#: Bytes; a Linux page is the least that a disk in memory gives.
PAGE = 4096
INSIDE = ["unshare", "--mount", "--map-root-user"]


@contextmanager
def no_file_beyond(home: Path, tries: int) -> Iterator[None]:
    """The limit grows faster than the tries: models are larger than log entries."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(200 * 1.2**tries), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def disk_with_pages(home: Path, tries: int) -> Iterator[None]:
    """Fill the disk up to a few pages."""
    ballast = home.parent / "ballast"
    free = shutil.disk_usage(home).free - PAGE * tries
    ballast.write_bytes(b"\0" * free)
    try:
        yield
    finally:
        ballast.unlink()


Full = Callable[[Path, int], Any]


def tables(world: World) -> dict[str, Any]:
    """What the store says, and the rows themselves: versions, marks and contents."""
    said: dict[str, Any] = {}
    for name in ("visits", "shops"):
        version = world.store.version(name)
        if version is not None:
            rows = world.store.read(name, version).to_pylist()
            said[name] = (version, dict(world.store.marks(name, version)), rows)
    return said


def stopped(home: Path, full: Full, step: Callable[[World], Any]) -> tuple[Any, list[str]]:
    """Try the step with ever more room; what it made in the end, and what it said each time it could not."""
    said = []
    for tries in range(100):
        before = tables(small.world_in(home))
        # A disk in memory counts the folder's own entries as well, so the world is built while there is room.
        world = small.world_in(home)
        try:
            with full(home, tries):
                made = step(world)
        except PipelineError as error:
            said.append(str(error))
            now = tables(small.world_in(home))
            for name in ("visits", "shops"):
                _, marks, rows = now.get(name, (-1, {}, []))
                _, marks_before, rows_before = before.get(name, (-1, {}, []))
                if step.__name__ == "train":
                    assert now[name] == before[name]
                # What was there is there. Past days may have come, whole; the day that was refused has not.
                assert marks_before.items() <= marks.items()
                assert rows_before == [row for row in rows if row["day"] in marks_before]
                assert len(rows) == sum(mark["rows"] for mark in marks.values())
                if f"{name}: {step.__name__.removeprefix('ingest ')} could not" in said[-1]:
                    assert step.__name__.removeprefix("ingest ") not in map(str, marks)
        else:
            return made, said
    raise AssertionError(f"there was never room enough; the last words: {said[-1]}")


def scenario(home: Path, full: Full) -> None:
    """Run in a process of its own: a limit and a mount are for the whole process."""
    from pipeline.steps.ingest import ingest as ingested
    from pipeline.steps.train import train as trained
    from pipeline.steps.validate import validate

    def run(home: Path, full: Full | None) -> tuple[Any, Any, list[str], list[str]]:
        refused: list[list[str]] = []
        for day in DAYS:
            small.deliver(home / "landing", day)
        for day in DAYS[2:]:

            def ingest(world: World, day: Any = day) -> Any:
                return ingested(small.SMALL, day, world)

            ingest.__name__ = f"ingest {day}"
            if full is None:
                snapshot = ingest(small.world_in(home))
            elif day in (DAYS[2], DAYS[-1]):
                # The first run makes the tables, with the days before; the last adds to them.
                snapshot, said = stopped(home, full, ingest)
                refused.append(said)
            else:
                snapshot = ingest(small.world_in(home))
        validated = validate(small.SMALL, snapshot, small.world_in(home))

        def train(world: World) -> Any:
            return trained(small.SMALL, validated, world)

        made, said = (train(small.world_in(home)), []) if full is None else stopped(home, full, train)
        fits = [{k: v for k, v in fit.items() if k != "seconds"} for fit in made.candidates]
        return (
            (tables(small.world_in(home)), snapshot.note),
            fits,
            [line for lines in refused for line in lines],
            said,
        )

    clean_state, clean_fits, _, _ = run(home / "clean", None)
    state, fits, refused, untrained = run(home / "full", full)
    assert state == clean_state
    assert fits == clean_fits
    kept = {file.name for file in (home / "clean/store/files/models").rglob("*") if file.is_file()}
    assert {file.name for file in (home / "full/store/files/models").rglob("*") if file.is_file()} == kept
    print(json.dumps({"ingest": refused, "train": untrained}))


def run_in_process(home: Path, full: str, wrapped: str = "") -> dict[str, list[str]]:
    imports = "from pathlib import Path; from tests.steps import test_faults_of_store as t"
    body = f"{imports}; t.scenario(Path({str(home)!r}), t.{full})"
    command = [sys.executable, "-c", body]
    if wrapped:
        command = [*INSIDE, "sh", "-c", f'{wrapped} && exec "$@"', "sh", *command]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return said


def check(said: dict[str, list[str]]) -> None:
    for step in ("ingest", "train"):
        assert len(said[step]) >= 3, said
        for sentence in said[step]:
            assert "\n" not in sentence
            assert "try again" in sentence, sentence
            assert "Traceback" not in sentence


def test_a_file_that_may_not_grow_stops_a_step_with_a_sentence_and_room_lets_it_go_on(tmp_path: Path) -> None:
    said = run_in_process(tmp_path, "no_file_beyond")
    check(said)
    assert any("File too large" in sentence for sentence in said["ingest"])


def test_a_disk_that_is_full_stops_a_step_with_a_sentence_and_room_lets_it_go_on(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=4m none {tmp_path}"
    if subprocess.run([*INSIDE, "sh", "-c", mount], check=False, capture_output=True).returncode:
        pytest.skip("this account may not mount a disk in memory")
    said = run_in_process(tmp_path, "disk_with_pages", mount)
    check(said)
    assert any("No space left on device" in sentence for sentence in said["ingest"])
