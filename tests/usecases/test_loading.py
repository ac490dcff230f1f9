"""One declaration's slip is its own: the others load, and the broken one is named with its file and line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.usecases import ALL, BROKEN, NAMES
from pipeline.usecases.loading import load

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
import dataclasses
from tests import small
{constant} = dataclasses.replace(small.SMALL, name="{name}")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cases_of_a_test" / "usecases"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("cases_of_a_test")]:
        del sys.modules[name]


def declared(package: Path, **bodies: str) -> tuple[list[str], dict[str, str]]:
    for name, body in bodies.items():
        (package / f"{name}.py").write_text(body)
    loaded, broken = load(bodies, "cases_of_a_test.usecases")
    return [usecase.name for usecase in loaded], dict(broken)


SLIPS = {
    "a slip of Python": ("x = (", "SyntaxError", "line 1"),
    "an import of what is not there": ("\nimport no_such_module_at_all", "ModuleNotFoundError", "line 2"),
    "a value that a declaration refuses": (
        "import dataclasses\nfrom tests import small\n"
        "OTHER = dataclasses.replace(small.SMALL, name='other', evidence=-1)",
        "ValueError",
        "line 3",
    ),
    "no constant of that name": ("THAT = 1", "AttributeError", "catalogue entry"),
    "a constant that is none": ("OTHER = 1", "must be a Usecase with name='other'", "catalogue entry"),
    "another one's name": (GOOD.format(name="sales", constant="OTHER"), "must be a Usecase", "catalogue entry"),
    "an end of the process": ("raise KeyError", "KeyError", "line 1"),
}


def test_a_python_without_the_libraries_is_told_so_and_no_declaration_is_blamed(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "narwhals.selectors", None)
    _, broken = declared(package, other="import narwhals.selectors")
    assert "has no 'narwhals.selectors', which the project needs" in broken["other"]
    assert ".venv/bin/python" in broken["other"]
    assert "mend its declaration" not in broken["other"]


@pytest.mark.parametrize("slip", SLIPS)
def test_a_broken_declaration_is_named_with_its_place_and_the_others_load(package: Path, slip: str) -> None:
    body, what, where = SLIPS[slip]
    good = {name: GOOD.format(name=name, constant=name.upper()) for name in ("sales", "visits")}
    loaded, broken = declared(package, sales=good["sales"], other=body, visits=good["visits"])
    assert loaded == ["sales", "visits"]
    assert list(broken) == ["other"]
    for words in ("use case 'other' can't be loaded", what, where, "the others go on"):
        assert words in broken["other"]


def test_a_name_that_stands_twice_is_told(package: Path) -> None:
    (package / "sales.py").write_text(GOOD.format(name="sales", constant="SALES"))
    loaded, broken = load(("sales", "sales"), "cases_of_a_test.usecases")
    assert len(loaded) == 1
    assert "stands twice in NAMES" in broken["sales"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with one broken use case beside the two sound ones."""
    import shutil

    root = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("pipeline", "dags", "expectations"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    catalogue = root / "pipeline/usecases/__init__.py"
    catalogue.write_text(catalogue.read_text().replace("NAMES = (", 'NAMES = ("churn", '))
    (root / "pipeline/usecases/churn").mkdir()
    (root / "pipeline/usecases/churn/__init__.py").write_text("from pipeline.core.gates import Beter\n")
    return root


def ran(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(copy), "PYTHONPATH": str(copy)}
    environment |= {"PIPELINE_HOME": str(copy / "var"), "AIRFLOW_HOME": str(copy / "airflow")}
    return subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_command_line_serves_the_others_and_names_the_broken_one(copy: Path) -> None:
    (copy / "var").mkdir(exist_ok=True)
    done = ran(copy, "-m", "pipeline", "history", "flight_delay")
    assert "BROKEN: use case 'churn' can't be loaded: ImportError: cannot import name 'Beter'" in done.stderr
    assert "run flight_delay --day" in done.stderr, "the sound one is answered as ever: no day was run here yet"
    done = ran(copy, "-m", "pipeline", "history", "churn")
    assert done.returncode == 2
    assert done.stderr.count("use case 'churn' can't be loaded") == 1
    assert "pipeline/usecases/churn/__init__.py, line 1" in done.stderr


def test_airflow_keeps_the_dags_of_the_others_and_shows_an_error_that_names_the_broken_one(copy: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, 'dags')\n"
        "import airflow.sdk, json\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bag = DagBag('dags')\n"
        "print(sorted(bag.dags)); print(json.dumps(bag.import_errors))"
    )
    done = ran(copy, "-c", code)
    assert done.returncode == 0, done.stderr[-2000:]
    dags, errors = done.stdout.splitlines()[-2:]
    assert dags == repr(sorted([*NAMES, "lift_hold", "replay", "roll_back"])), done.stderr[-2000:]
    assert errors.count("declarations.py") >= 1
    assert "use case 'churn' can't be loaded" in errors
    assert "retrain.py" not in errors.split("Traceback")[0]


def test_airflow_shows_nothing_where_all_is_sound() -> None:
    assert BROKEN == {}
    assert tuple(usecase.name for usecase in ALL) == NAMES
