"""The shell's completion, asked as bash asks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.usecases import ALL
from tests.test_tools import verbs

ROOT = Path(__file__).resolve().parents[2]
ASKED = "from pipeline.cli.completion import complete; complete(); print('not asked')"


def proposed(line: str, tmp_path: Path) -> list[str]:
    """What is proposed at the end of a line: argcomplete writes it to the file that it is told."""
    file = tmp_path / "proposed"
    told = {
        **{"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_IFS": "\n", "IFS": "\n"},
        **{"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": str(file)},
    }
    done = subprocess.run(
        [sys.executable, "-c", ASKED], cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, check=True
    )
    assert "not asked" not in done.stdout
    return [word.strip() for word in file.read_text().splitlines()]


def test_the_verbs_are_proposed(tmp_path: Path) -> None:
    from pipeline.cli.main import parser

    assert set(verbs(parser().format_help())) <= set(proposed("retrain ", tmp_path))
    assert proposed("retrain roll", tmp_path) == ["rollback"]


@pytest.mark.parametrize("verb", ["run", "days", "explain", "replay"])
def test_the_use_cases_are_proposed(verb: str, tmp_path: Path) -> None:
    assert {usecase.name for usecase in ALL} <= set(proposed(f"retrain {verb} ", tmp_path))


def test_the_recipes_of_the_use_case_are_proposed(tmp_path: Path) -> None:
    assert proposed("retrain lift flight_delay --recipe boosting_", tmp_path) == ["boosting_21", "boosting_60"]
    assert proposed("retrain lift nobody_knows --recipe boosting_", tmp_path) == []


def test_nobody_who_did_not_ask_is_answered() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "not asked\n"
