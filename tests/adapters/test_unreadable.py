"""What this account may not read or write: one sentence with the path and the way out, and never "not there".

The permissions are real: where the tests run as root, the calls are made by a process without root's privileges.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.adapters.files.local import LocalFiles
from pipeline.adapters.store.delta import DeltaStore
from pipeline.adapters.world import alone
from pipeline.core.errors import UsageError

ROOT = Path(__file__).parents[2]
AS_ANYBODY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []

pytestmark = pytest.mark.skipif(
    bool(AS_ANYBODY) and shutil.which("setpriv") is None, reason="root may read everything, and setpriv is not there"
)


@contextmanager
def closed(path: Path, mode: int = 0) -> Iterator[None]:
    """Nobody may use the path, apart from what the mode allows."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


def told(root: Path, calls: str) -> list[str]:
    """What becomes of each expression, a line each: ``Error CODE sentence``, or the value."""
    script = """
    import sys
    from datetime import date
    from pathlib import Path
    import pyarrow as pa
    from pipeline.adapters.files.local import LocalFiles
    from pipeline.adapters.store.delta import DeltaStore
    from pipeline.adapters.world import alone
    root = Path(sys.argv[1])
    for call in sys.argv[2].strip().splitlines():
        try:
            print(eval(call))
        except Exception as error:
            print(type(error).__name__, getattr(error, "code", "-"), error)
    """
    command = [*AS_ANYBODY, sys.executable, "-c", textwrap.dedent(script), str(root), textwrap.dedent(calls)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("what", ["models/a.skops", "models", "."], ids=["file", "folder", "root"])
def test_a_file_that_may_not_be_read_is_no_file_that_is_missing(tmp_path: Path, what: str) -> None:
    root = tmp_path / "files"
    LocalFiles(root).put("models/a.skops", b"x")
    with closed(root / what):
        got, put, there = told(
            root,
            """
            LocalFiles(root).get('models/a.skops')
            LocalFiles(root).put('models/a.skops', b'x')
            LocalFiles(root).exists('models/a.skops')
            """,
        )
    for said in (got, put, *([] if what == "models/a.skops" else [there])):
        assert said.startswith("UnavailableError STORAGE the file 'models/a.skops' can't be ")
        assert f"below {root} (Permission denied); " in said
        assert "give " in said
        assert "backup" not in said
    assert what != "models/a.skops" or there == "True"


@pytest.mark.parametrize("what", [".", "_delta_log", "_delta_log/*1.json", "day=*8", "day=*8/*.parquet"])
def test_a_table_that_may_not_be_read_wants_access_and_no_backup(tmp_path: Path, what: str) -> None:
    for day in (date(2013, 3, 8), date(2013, 3, 9)):
        DeltaStore(tmp_path).write_day("flights", day, pa.table({"n": [1]}), f"{day}")
    folder = tmp_path / "tables/flights"
    with closed(next(folder.glob(what)) if what != "." else folder):
        now, before, version = told(
            tmp_path,
            """
            DeltaStore(root).read('flights', 1).num_rows
            DeltaStore(root).read('flights', 0).num_rows
            DeltaStore(root).version('flights')
            """,
        )
    for said in (now, before, *([] if "day" in what else [version])):
        assert said.startswith("UnavailableError STORE ")
        assert "can't be read from the store (Permission denied)" in said
        assert f"; give this account access to {folder} and all that lies in it, and try again" in said
        assert "backup" not in said


def test_an_older_version_whose_log_may_not_be_read_is_a_sentence(tmp_path: Path) -> None:
    for n in range(12):
        DeltaStore(tmp_path).write_day("flights", date(2013, 3, 1 + n), pa.table({"n": [1]}), f"{n}")
    with closed(tmp_path / f"tables/flights/_delta_log/{2:020}.json"):
        now, before = told(tmp_path, "DeltaStore(root).version('flights')\nDeltaStore(root).read('flights', 3)")
    assert now == "11"
    assert before.startswith(
        "UnavailableError STORE flights: the log of version 3 can't be read from the store (Permission denied)"
    )


def test_a_home_that_may_not_be_written_to_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    (tmp_path / "store").mkdir()
    for path, mode in ((tmp_path, 0), (tmp_path / "store", 0o500)):
        with closed(path, mode):
            (said,) = told(tmp_path, "alone('small').__enter__()")
        assert said.startswith(
            f"UsageError USAGE the home {tmp_path} can't be made or written to (Permission denied at "
        )
        assert said.endswith("; give this account access and make room, or name another folder in PIPELINE_HOME")


@pytest.mark.parametrize("home", ["/proc/1/x", "file", "file/below", "taken"])
def test_a_home_that_can_not_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/store").write_text("a file")
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / home))
    with pytest.raises(UsageError, match=r"can't be made or written to \(.* at .*\); .* PIPELINE_HOME"), alone("small"):
        pass


def test_what_goes_wrong_while_the_lock_is_held_is_none_of_the_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    with pytest.raises(BlockingIOError), alone("small"):
        raise BlockingIOError
    with alone("small"):
        pass
