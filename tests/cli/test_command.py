"""The command `retrain`: the verbs of ``python -m pipeline`` from any folder, and what a shell may complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def retrain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command as `make environment` writes it, in an environment whose path has a space."""
    folder = tmp_path_factory.mktemp("a place") / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    (folder / "lib").symlink_to(Path(sys.prefix) / "lib")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(environment, "VENV", str(folder))
        environment.command()
    return folder / "bin" / "retrain"


def said(command: list[str], **more: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd="/", env={**os.environ, "COLUMNS": "100", **more}
    )
    return done.stdout


def test_it_has_the_same_verbs_and_says_its_own_name(retrain: Path) -> None:
    mine = said([str(retrain), "--help"])
    theirs = said([sys.executable, "-m", "pipeline", "--help"], PYTHONPATH=str(ROOT))
    assert mine.split("options:")[0].split("COMMAND")[-1] == theirs.split("options:")[0].split("COMMAND")[-1]
    assert "usage: retrain" in mine
    assert "usage: python -m pipeline" in theirs


def completed(retrain: Path, line: str, out: Path) -> set[str]:
    """What a shell would be told to offer after a line."""
    asked = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    subprocess.run([str(retrain)], env=asked, check=False, capture_output=True, cwd="/")
    return {word.strip() for word in out.read_text().replace("\v", "\n").split("\n") if word.strip()}


def test_a_shell_completes_verbs_use_cases_and_options(retrain: Path, tmp_path: Path) -> None:
    assert {"run", "days", "history", "rollback", "explain"} <= completed(retrain, "retrain ", tmp_path / "verbs")
    assert completed(retrain, "retrain days flight_", tmp_path / "names") == {"flight_delay", "flight_minutes"}
    assert "--judge-only" in completed(retrain, "retrain run flight_delay --", tmp_path / "options")
