"""A recipe's digest changes with whatever it is made of."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pytest

from pipeline.adapters import code_digest
from pipeline.usecases.flight_delay.recipes import RECIPES


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue to write into; the functions are found in it."""
    folder = tmp_path / "usecases"
    shutil.copytree(code_digest._CATALOGUE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    real, was = inspect.getfile, str(code_digest._CATALOGUE)
    monkeypatch.setattr(inspect, "getfile", lambda made: real(made).replace(was, str(folder)))
    monkeypatch.setattr(code_digest, "_CATALOGUE", folder)
    return folder


@pytest.mark.parametrize("changed", ["flight_delay/recipes.py", "nycflights/parts.py"])
def test_a_part_that_is_shared_counts_as_well_as_its_own(copy: Path, changed: str) -> None:
    before = code_digest.source(RECIPES[0].build)
    file = copy / changed
    file.write_text(file.read_text() + "\n# another\n")
    assert code_digest.source(RECIPES[0].build) != before


def test_what_is_not_imported_does_not_count(copy: Path) -> None:
    before = code_digest.source(RECIPES[0].build)
    file = copy / "flight_minutes/recipes.py"
    file.write_text(file.read_text() + "\n# another\n")
    assert code_digest.source(RECIPES[0].build) == before
