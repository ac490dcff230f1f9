"""The name in ``NAMES``: added as a person would, once, and nowhere else is anything moved."""

from __future__ import annotations

import difflib
import keyword
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.onboarding.placing.catalogue import check_name, listed, with_name

TEXT = (Path(__file__).parents[2] / "pipeline/usecases/__init__.py").read_text()
NAMES = st.from_regex(r"[a-z][a-z0-9_]{1,20}", fullmatch=True).filter(
    lambda name: name not in listed(TEXT) and not keyword.iskeyword(name)
)


@given(st.lists(NAMES, min_size=1, max_size=12, unique=True))
@settings(max_examples=60, deadline=None)
def test_names_are_added_once_and_nothing_is_taken_away(names: list[str]) -> None:
    made = TEXT
    for name in names:
        made = with_name(made, name)
        assert with_name(made, name) == made
    assert listed(made) == (*listed(TEXT), *names)
    compile(made, "usecases", "exec")
    gone = [line for line in difflib.ndiff(TEXT.splitlines(), made.splitlines()) if line.startswith("- ")]
    assert [line for line in gone if not line.startswith("- NAMES")] == []


def test_the_result_is_laid_out_as_the_formatter_would(tmp_path: Path) -> None:
    made = TEXT
    for name in (
        "churn",
        "a_use_case_with_a_name_as_long_as_it_can",
        "zebra10",
        "zebra9",
        "another_one_that_is_long_too",
    ):
        made = with_name(made, name)
    path = tmp_path / "usecases.py"
    path.write_text(made)
    config = ["--config", str(Path(__file__).parents[2] / "pyproject.toml")]
    # A copy elsewhere can't see by the folders that these are ours.
    ours = ["--select", "I,E,W", "--config", 'lint.isort.known-first-party=["pipeline"]']
    for words in (["format", "--check"], ["check", *ours]):
        command = [sys.executable, "-m", "ruff", *words, *config, str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace('NAMES = ("flight_delay", "flight_minutes")', "NAMES = every_folder()"),
        TEXT.replace('("flight_delay", "flight_minutes")', '("flight_delay", *OTHERS)'),
        "NAMES = (1, 2)\n",
    ],
)
def test_a_catalogue_of_another_shape_is_left_alone_and_said(text: str) -> None:
    with pytest.raises(UsageError, match="so nothing was added to it"):
        with_name(text, "churn")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Churn", "can't name a use case"),
        ("c", "can't name a use case"),
        ("2fast", "can't name a use case"),
        ("my-case", "can't name a use case"),
        ("class", "means something else"),
        ("find", "means something else"),
        ("scores", "means something else"),
        ("weather", "is taken"),
    ],
)
def test_a_name_that_can_not_be_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_name(name, TEXT, {"weather"})
