"""A recipe's digest changes with whatever can change a prediction, and with nothing else."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters import code_digest
from pipeline.usecases import flight_delay
from pipeline.usecases.flight_delay.recipes import RECIPES

LINEAR, BOOSTING = RECIPES[0].build, RECIPES[2].build


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue to write into; the functions are found in it."""
    folder = tmp_path / "usecases"
    shutil.copytree(code_digest._CATALOGUE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    real, was = inspect.getfile, str(code_digest._CATALOGUE)
    monkeypatch.setattr(inspect, "getfile", lambda made: real(made).replace(was, str(folder)))
    monkeypatch.setattr(code_digest, "_CATALOGUE", folder)
    return folder


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file.name} does not hold '{old}'"
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("changed", "old", "new", "linear", "boosting", "features"),
    [
        ("flight_delay/recipes.py", "(C=strength", "(C=2 * strength", True, False, False),
        ("flight_delay/recipes.py", "_linear(seed, 0.002)", "_linear(seed, 0.003)", True, False, False),
        ("flight_delay/recipes.py", "learning_rate=0.07", "learning_rate=0.08", False, True, False),
        ("nycflights/parts.py", "n_quantiles=100", "n_quantiles=200", True, False, False),
        ("nycflights/parts.py", "RARE = 50", "RARE = 60", True, False, False),
        ("nycflights/features.py", "LATE = 15", "LATE = 16", False, False, True),
        ("nycflights/features.py", '"precip", ', "", True, True, True),
    ],
)  # fmt: skip
def test_what_computes_counts_wherever_it_stands(
    copy: Path, changed: str, old: str, new: str, linear: bool, boosting: bool, features: bool
) -> None:
    functions = (LINEAR, BOOSTING, flight_delay.FLIGHT_DELAY.features)
    before = [code_digest.source(function) for function in functions]
    replaced(copy / changed, old, new)
    after = [code_digest.source(function) for function in functions]
    assert [one != other for one, other in zip(before, after, strict=True)] == [linear, boosting, features]


@pytest.mark.parametrize(
    ("changed", "old", "new"),
    [
        ("flight_delay/recipes.py", "def _linear(", "# another remark\n\n\ndef _linear("),
        ("flight_delay/recipes.py", '"""How candidates', '"""In which way candidates'),
        ("nycflights/parts.py", '"""Words one-hot', '"""Each word one-hot'),
        ("flight_delay/__init__.py", "gates=(", "gates=(\n        # a remark\n        "),
        ("flight_minutes/recipes.py", "from __future__", "X = 1\nfrom __future__"),
        ("nycflights/facts.py", "from __future__ import annotations", "from __future__ import annotations\nX = 1"),
    ],
)
def test_what_computes_nothing_of_it_does_not_count(copy: Path, changed: str, old: str, new: str) -> None:
    functions = (LINEAR, BOOSTING, flight_delay.FLIGHT_DELAY.features)
    before = [code_digest.source(function) for function in functions]
    replaced(copy / changed, old, new)
    assert [code_digest.source(function) for function in functions] == before


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Write a module of one file and import it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = iter(f"written_{n}" for n in range(100))
    made: list[str] = []

    def write(text: str) -> Any:
        name = next(names)
        # The digest names files: the same one each time.
        file = tmp_path / name / "use.py"
        file.parent.mkdir()
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        made.append(name)
        file.parent.rename(tmp_path / f"{name}_old")
        shutil.copytree(tmp_path / f"{name}_old", tmp_path / "package", dirs_exist_ok=True)
        monkeypatch.setattr(inspect, "getfile", lambda _: str(tmp_path / "package" / "use.py"))
        return module

    yield write
    for name in made:
        sys.modules.pop(name, None)


BASE = "DEPTH = 3\n\n\ndef helper():\n    return DEPTH\n\n\ndef build(seed):\n    return helper()\n\n\nGATES = (1, 2)\n"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (BASE.replace("GATES = (1, 2)", "GATES = (1, 2, 3)"), True),
        (BASE + "\n\ndef other():\n    return 1\n", True),
        (BASE.replace("DEPTH = 3", "DEPTH = 4"), False),
        (BASE.replace("return DEPTH", "return DEPTH + 1"), False),
        (BASE + "\nDEPTH += 1\n", False),
        (BASE + "\nimport sklearn\nsklearn.set_config(enable_metadata_routing=False)\n", False),
    ],
)
def test_a_use_case_in_one_file_is_its_recipes_and_features_and_not_its_gates(
    written: Any, text: str, same: bool
) -> None:
    before = code_digest.source(written(BASE).build)
    assert (code_digest.source(written(text).build) == before) is same


def test_what_a_function_was_given_counts(written: Any) -> None:
    module = written("def make(depth):\n    def build(seed):\n        return depth\n    return build\n")
    assert code_digest.source(module.make(3)) != code_digest.source(module.make(4))
    part = functools.partial(module.make, 3)
    assert code_digest.source(part) != code_digest.source(functools.partial(module.make, 4))


def test_an_upgrade_changes_the_libraries_and_leaves_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    source, libraries, product = code_digest.source(LINEAR), code_digest.libraries(LINEAR), code_digest.product()
    real = code_digest.metadata.version
    code_digest._versions.cache_clear()
    code_digest.product.cache_clear()
    monkeypatch.setattr(code_digest.metadata, "version", lambda name: "99" if name == "scikit-learn" else real(name))
    try:
        assert code_digest.source(LINEAR) == source
        assert code_digest.libraries(LINEAR) != libraries
        assert code_digest.product() != product
    finally:
        monkeypatch.undo()
        code_digest._versions.cache_clear()
        code_digest.product.cache_clear()


def test_the_products_own_part_is_there() -> None:
    root = Path(code_digest.__file__).parents[1]
    assert all((root / name).is_file() for name in code_digest.OWN)


def test_the_products_digest_covers_the_whole_engine() -> None:
    """A file of the engine that is not among them could compute otherwise, and the fits would pass for the same."""
    folder = Path(code_digest.__file__).parent / "engine"
    # Nothing that is fitted goes through the door for services.
    files = {f"adapters/engine/{file.name}" for file in folder.glob("*.py")} - {
        "adapters/engine/__init__.py",
        "adapters/engine/serving.py",
    }
    assert files <= set(code_digest.OWN)
    assert {"polars", "narwhals"} <= set(code_digest.installed())
