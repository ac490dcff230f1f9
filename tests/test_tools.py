"""`make clean` deletes what is the product's, and nothing else; `make environment` says what matters."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.main import parser
from tools import environment

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def verbs(text: str) -> list[str]:
    return re.findall(r"^    ([a-z]+)\b", text, re.MULTILINE)


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


# --- the environment -----------------------------------------------------------------------------------------------

PIP_LINK = "https://files.example/packages/07/25/pip-26.3-py3-none-any.whl"


@pytest.mark.parametrize(
    "page",
    [
        '{"files": [{"filename": "pip-26.2-py3-none-any.whl", "url": "x"}, '
        f'{{"filename": "pip-26.3-py3-none-any.whl", "url": "{PIP_LINK}"}}]}}',
        '<html><a href="https://files.example/pip-26.2-py3-none-any.whl#sha256=a">pip-26.2</a><br/>\n'
        f'<a data-requires-python="&gt;=3.10" href="{PIP_LINK}#sha256=ab">pip-26.3-py3-none-any.whl</a></html>',
    ],
    ids=["JSON", "HTML"],
)
def test_the_pinned_pip_is_found_on_either_kind_of_page_that_a_registry_has(page: str) -> None:
    (found,) = environment.addresses(page)
    assert found.partition("#")[0] == PIP_LINK


def said_by(code: str, capfd: pytest.CaptureFixture[str]) -> str:
    environment.install(sys.executable, "-c", code)
    return capfd.readouterr().err


def test_installing_says_how_far_it_is_and_nothing_of_what_pip_says(capfd: pytest.CaptureFixture[str]) -> None:
    said = said_by("for n in range(100): print('Collecting', n); print('WARNING: Location x')", capfd)
    assert [line.split(" of ")[0] for line in said.splitlines()] == ["  fetched 50", "  fetched 100"]


def test_an_installation_that_fails_shows_why_and_not_what_went_well(capfd: pytest.CaptureFixture[str]) -> None:
    code = "print('WARNING: Location x'); print('ERROR: no space left'); print('Collecting a'); raise SystemExit(1)"
    with pytest.raises(SystemExit):
        said_by(code, capfd)
    said = capfd.readouterr().err
    assert said.startswith("ERROR: no space left\nenvironment: ")
    assert "WARNING" not in said.partition("environment: ")[0]


# --- the command ---------------------------------------------------------------------------------------------------


def command_in(folder: Path) -> Path:
    """The command as `make environment` writes it, in a folder of its own, beside a stand-in for its Python."""
    folder.mkdir(parents=True)
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)
    environment.write_commands(str(folder), str(ROOT))
    return folder / "retrain"


@pytest.mark.parametrize("name", ["bin", "a folder with 'words' in its name"])
def test_the_command_has_the_verbs_of_the_command_line_wherever_it_is_called_from(tmp_path: Path, name: str) -> None:
    command = command_in(tmp_path / name)
    shell = ["sh", "-c", 'exec "$0" --help', command]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert verbs(done.stdout) == verbs(parser().format_help()), done.stderr
    assert len(verbs(done.stdout)) >= 10


def test_a_command_that_is_right_stays_and_one_that_is_not_is_written_anew(tmp_path: Path) -> None:
    command = command_in(tmp_path / "bin")
    before = command.stat().st_ino
    environment.write_commands(str(command.parent), str(ROOT))
    assert command.stat().st_ino == before
    right = command.read_text()
    command.write_text("spoilt")
    environment.write_commands(str(command.parent), str(ROOT))
    assert command.read_text() == right
    assert sorted(path.name for path in command.parent.iterdir()) == ["python", "retrain"]


def test_the_image_has_the_same_command() -> None:
    made = re.search(r"RUN printf '%s\\n' (.*?) > /opt/venv/bin/retrain", DOCKERFILE, re.DOTALL)
    assert made, "the Dockerfile writes no command"
    ours = environment.script("pipeline.cli.main", "main", "/opt/venv/bin/python", "/opt/pipeline").splitlines()
    # There PYTHONPATH says where the project lies.
    there = [line for line in ours if line and not line.startswith("sys.path")]
    assert [line for line in re.findall(r"'([^']*)'", made[1]) if line] == there
    assert "PYTHONPATH=/opt/pipeline" in DOCKERFILE
    assert environment.commands() == {"retrain": ("pipeline.cli.main", "main")}
