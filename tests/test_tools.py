"""`make clean` deletes what is the product's, and nothing else."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def clean(home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "clean.py"), str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def home_in(folder: Path) -> Path:
    for name in ("airflow", "mlflow", "store/tables", "landing", "logs"):
        (folder / name).mkdir(parents=True)
    (folder / "stack.lock").touch()
    return folder


def test_a_home_is_forgotten_whole(tmp_path: Path) -> None:
    assert clean(home_in(tmp_path / "home")).returncode == 0
    assert not (tmp_path / "home").exists()


def test_what_is_somebody_elses_stays(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    (home / "precious").write_text("mine")
    assert clean(home).returncode == 0
    assert [path.name for path in home.iterdir()] == ["precious"]


def test_a_folder_that_only_resembles_a_home_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "logs").mkdir()
    assert clean(tmp_path).returncode == 2
    assert (tmp_path / "airflow").exists()


def test_a_home_in_use_is_refused(tmp_path: Path) -> None:
    home = home_in(tmp_path / "home")
    with (home / "stack.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = clean(home)
    assert refused.returncode == 2
    assert "in use" in refused.stderr
    assert (home / "store").exists()
