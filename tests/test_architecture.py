"""The rooms of the house, and which may know which. A violation is planted below, so the law is seen to fail."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pipeline", "dags", "stack", "demo", "tests/rehearsal", "tools")
HEAVY = {"pandas", "sklearn", "mlflow", "great_expectations", "pyarrow", "polars", "deltalake", "matplotlib", "skops"}

CORE = "pipeline.core"
#: Room to all that its files may import beside the standard library and the room itself: rooms of ours, with those
#: below them, and third-party packages. The longest name that fits a file counts. What is not listed is a violation.
ROOMS: dict[str, set[str]] = {
    # The ground floor: pure. A room below imports what stands beside it here, never the other way round.
    "pipeline.core.verdict": set(),
    "pipeline.core.windows": set(),
    "pipeline.core.forms": set(),
    "pipeline.core.records": set(),
    "pipeline.core.kinds": {"numpy", "scipy"},
    "pipeline.core.stats": {"numpy", "scipy", "pipeline.core.kinds"},
    "pipeline.core.errors": {"pipeline.core.verdict"},
    "pipeline.core.golden": {"pipeline.core.verdict"},
    "pipeline.core.tables": {"pipeline.core.forms", "pipeline.core.verdict"},
    "pipeline.core.waivers": {"pipeline.core.verdict"},
    "pipeline.core.words": {"pipeline.core.stats"},
    "pipeline.core.facts": {"numpy"},
    "pipeline.core.headlines": {"pipeline.core.records", "pipeline.core.verdict", "pipeline.core.words"},
    "pipeline.core.evidence": {"numpy", "pipeline.core.golden", "pipeline.core.kinds", "pipeline.core.stats"},
    "pipeline.core.gates": {
        "numpy",
        *("pipeline.core.evidence", "pipeline.core.golden", "pipeline.core.kinds", "pipeline.core.stats"),
        *("pipeline.core.verdict", "pipeline.core.words"),
    },
    "pipeline.core.checks": {
        *("numpy", "scipy"),
        *("pipeline.core.facts", "pipeline.core.tables", "pipeline.core.usecase", "pipeline.core.verdict"),
    },
    "pipeline.core.promotion": {
        *("pipeline.core.errors", "pipeline.core.records", "pipeline.core.verdict", "pipeline.core.words"),
    },
    "pipeline.core.usecase": {
        *("numpy", "pipeline.core.facts", "pipeline.core.gates", "pipeline.core.golden", "pipeline.core.kinds"),
        *("pipeline.core.tables", "pipeline.core.waivers"),
    },
    "pipeline.core.ports": {
        *("numpy", "pipeline.core.kinds", "pipeline.core.records", "pipeline.core.tables", "pipeline.core.usecase"),
        *("pipeline.core.verdict", "pipeline.core.windows"),
    },
    "pipeline.core.replay": {"numpy", CORE},
    # The catalogue: declarations, the features' frames, and estimators where one is built.
    "pipeline.usecases": {"narwhals", "numpy", "sklearn", CORE},
    # The steps: effects go through ports.
    "pipeline.steps": {"numpy", CORE, "pipeline.report"},
    # An audit cuts the frames that features read, in the features' own language.
    "pipeline.steps.judging": {"narwhals", "numpy", CORE, "pipeline.report", "pipeline.steps"},
    # The same bits on any machine: what computes under a fit is held to one thread.
    "pipeline.steps.models": {"numpy", "threadpoolctl", CORE, "pipeline.steps.kept", "pipeline.steps.register"},
    "pipeline.steps.tables": {"numpy", "pyarrow", CORE, "pipeline.steps.models"},
    "pipeline.steps.replaying": {"numpy", "pyarrow", CORE, "pipeline.report", "pipeline.steps"},
    # The doors: each knows its own vendor, and no other door unless it is named.
    "pipeline.adapters.checker": {"great_expectations", "jinja2", "numpy", "pandas", CORE, "pipeline.adapters.frames"},
    "pipeline.adapters.code_digest": set(),
    "pipeline.adapters.engine": {"narwhals", "numpy", "polars", "pyarrow", CORE},
    "pipeline.adapters.frames": {"pandas", "pyarrow", CORE},
    "pipeline.adapters.files": {CORE, "pipeline.adapters.s3"},
    "pipeline.adapters.landing": {"numpy", "pyarrow", CORE, "pipeline.adapters.row_digests"},
    "pipeline.adapters.ledger": {"sqlalchemy", CORE},
    "pipeline.adapters.models": {"numpy", "pyarrow", "sklearn", "skops", CORE},
    "pipeline.adapters.registry": {
        *("alembic", "mlflow", "requests", "skops", "sqlalchemy", CORE, "pipeline.adapters.models"),
    },
    "pipeline.adapters.row_digests": {"pyarrow", CORE},
    "pipeline.adapters.s3": {"botocore", CORE},
    "pipeline.adapters.store": {"deltalake", "pyarrow", CORE, "pipeline.adapters.row_digests", "pipeline.adapters.s3"},
    "pipeline.adapters.world": {CORE, "pipeline.adapters"},
    # What people see.
    "pipeline.report": {"jinja2", "markupsafe", "numpy", "rich", CORE},
    # A history becomes a use case; only the command line begins one.
    "pipeline.onboarding": {
        *("jinja2", "numpy", "pyarrow", "scipy", "sklearn", CORE, "pipeline.adapters.checker"),
        *("pipeline.adapters.engine", "pipeline.adapters.landing", "pipeline.report", "pipeline.steps"),
    },
    # The entrances.
    "pipeline.cli": {
        *("argcomplete", "rich", CORE, "pipeline.adapters.world", "pipeline.onboarding", "pipeline.report"),
        *("pipeline.steps", "pipeline.usecases"),
    },
    "pipeline.__main__": {"pipeline.cli"},
    "dags": {
        *("airflow", "pendulum", CORE, "pipeline.adapters.world", "pipeline.steps", "pipeline.usecases", "loop"),
    },
    # A listener inside Airflow's scheduler, in Airflow's own words.
    "dags.plugins": {"airflow", "sqlalchemy"},
    # The stack does not know what it runs; stack/team runs inside the services and speaks to each in its own words.
    "stack": {"rich", "sqlalchemy"},
    # The process that becomes MLflow's server.
    "stack.child": {"mlflow", "uvicorn", "stack"},
    "stack.team": {
        *("airflow", "celery", "flask", "mlflow", "rich", "sqlalchemy", "werkzeug", "stack"),
        *("pipeline.core.errors", "pipeline.adapters.ledger", "pipeline.adapters.s3"),
    },
    "demo": {
        *("pyarrow", "rich", "stack", CORE, "pipeline.adapters.ledger", "pipeline.report", "pipeline.usecases"),
    },
    "tests.rehearsal": {"yaml", "tools"},
    "tools": set(),
}


def module_of(path: str) -> str:
    """A file's module: ``pipeline/core/gates/__init__.py`` is ``pipeline.core.gates``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def inside(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def imports(path: str, source: str, everywhere: bool = True) -> Iterator[str]:
    """Every module a file imports, relative ones resolved, by a call too; with ``everywhere`` false, only at once."""
    tree = ast.parse(source)
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not everywhere and (lazy or typed):
            hidden |= set(ast.walk(node))
    package = module_of(path) if path.endswith("__init__.py") else module_of(path).rpartition(".")[0]
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            # `from pipeline import steps` imports pipeline.steps, as `import pipeline.steps` does
            whole = [f"{base}.{name.name}" for name in node.names]
            yield from (each if is_module(each) else base for each in whole)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            named = node.args[0] if node.args else None
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield named.value
            elif isinstance(named, ast.JoinedStr) and isinstance(named.values[0], ast.Constant):
                yield str(named.values[0].value).rstrip(".")


def is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return place.with_suffix(".py").is_file() or place.is_dir()


def violations(path: str, source: str) -> list[str]:
    """What a file of ours imports and is not allowed to, a sentence each."""
    here = module_of(path)
    room = max((room for room in ROOMS if inside(here, room)), key=len, default="")
    if not room:
        if path.endswith("__init__.py") and not list(imports(path, source)):
            return []  # a folder of rooms says what they are, no more
        return [f"{path} stands in no room that is listed"]
    # Below a room of ours, a folder is its own: files beside it don't belong to it unless they are named.
    allowed = {room, *ROOMS[room]}
    return [
        f"{path} imports {module}, which {room} may not"
        for module in imports(path, source)
        if module.split(".")[0] not in {*sys.stdlib_module_names, "__future__"}
        and not any(inside(module, each) for each in allowed)
    ]


def sources() -> list[str]:
    files = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def test_every_room_keeps_to_what_it_may_know() -> None:
    broken = [line for path in sources() for line in violations(path, (ROOT / path).read_text())]
    assert not broken, "\n".join(broken)


def test_no_permission_is_left_over() -> None:
    """What a room may import and doesn't would let a mistake pass: the list says what is, not what could be."""
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in sources():
        room = max((room for room in ROOMS if inside(module_of(path), room)), key=len, default="")
        if not room:
            continue
        for module in imports(path, (ROOT / path).read_text()):
            used[room] |= {each for each in ROOMS[room] if inside(module, each)}
    spare = {room: sorted(ROOMS[room] - used[room]) for room in ROOMS if ROOMS[room] - used[room]}
    assert not spare


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("pipeline/core/gates/loss.py", "import pandas"),
        ("pipeline/core/gates/loss.py", "from pipeline.steps import train"),
        ("pipeline/core/gates/loss.py", "from pipeline import adapters"),
        ("pipeline/core/gates/loss.py", "from ...steps import train"),
        ("pipeline/core/gates/loss.py", "from ... import adapters"),
        ("pipeline/core/gates/loss.py", "from pipeline.core.replay.player import Replayer"),
        ("pipeline/core/stats/means.py", "from pipeline.core.gates import Better"),
        ("pipeline/core/verdict.py", "from pipeline.core.usecase import Usecase"),
        ("pipeline/core/gates/new_gate.py", "import polars"),
        ("pipeline/core/gates/loss.py", "import statsmodels.api as sm"),
        ("pipeline/core/new.py", "x = 1"),
        ("pipeline/usecases/x/features.py", "from pipeline.adapters.store.delta import DeltaStore"),
        ("pipeline/usecases/x/features.py", "import polars"),
        ("pipeline/steps/train.py", "from pipeline.adapters import world"),
        ("pipeline/steps/train.py", "def f():\n    import mlflow"),
        ("pipeline/steps/train.py", "import narwhals as nw"),
        ("pipeline/steps/train.py", "from threadpoolctl import threadpool_limits"),
        ("pipeline/steps/train.py", "import importlib\nimportlib.import_module('pipeline.adapters.world')"),
        ("pipeline/steps/train.py", "import requests"),
        ("pipeline/steps/train.py", "from pipeline.onboarding.new import make"),
        ("pipeline/steps/ingest.py", "from demo.upstream import deliver"),
        ("pipeline/steps/ingest.py", "from tests import small"),
        ("pipeline/adapters/store/delta.py", "import pipeline.steps.train"),
        ("pipeline/adapters/store/delta.py", "from airflow.sdk import DAG"),
        ("pipeline/adapters/store/delta.py", "from pipeline.adapters.ledger.sql import SqlLedger"),
        ("pipeline/adapters/models/skops_models.py", "import mlflow"),
        ("pipeline/adapters/world.py", "from pipeline.report.progress import bars"),
        ("pipeline/report/verdict/page.py", "from pipeline.adapters.world import world"),
        ("pipeline/report/verdict/page.py", "from pipeline.onboarding.notes import Note"),
        ("pipeline/onboarding/new.py", "def f():\n    import great_expectations"),
        ("pipeline/__main__.py", "import dags.retrain"),
        ("dags/retrain.py", "import pipeline.onboarding.new"),
        ("dags/retrain.py", "from pipeline.adapters.store.delta import DeltaStore"),
        ("stack/embedded.py", "from pipeline.adapters.ledger.sql import SqlLedger"),
        ("stack/embedded.py", "import airflow"),
        ("demo/story.py", "import mlflow"),
    ],
)
def test_a_planted_violation_is_found(path: str, line: str) -> None:
    assert violations(path, line)


def test_only_the_world_reads_the_environment() -> None:
    readers = [
        path
        for path in sources()
        if path.startswith("pipeline/") and "os.environ" in (ROOT / path).read_text().replace("``os.environ``", "")
    ]
    allowed = {
        "pipeline/adapters/world.py",
        "pipeline/adapters/registry/mlflow_registry.py",
        "pipeline/adapters/checker/suites.py",
    }
    assert set(readers) <= allowed, readers


def test_no_clock_is_read_below_the_entrances() -> None:
    clocks = {"datetime.now", "date.today", "datetime.utcnow", "datetime.today", "time.time"}
    readers = [
        f"{path}:{node.lineno}"
        for path in sources()
        if path.startswith(("pipeline/core", "pipeline/steps", "pipeline/usecases"))
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in clocks
    ]
    assert not readers


def test_no_module_unpickles() -> None:
    bad = {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}
    found = [
        f"{path}: {module}"
        for path in sources()
        for module in imports(path, (ROOT / path).read_text())
        if module.split(".")[0] in bad
    ]
    assert not found


def test_what_a_dag_file_imports_at_once_is_light() -> None:
    """Follows the imports from the DAG files through our own modules; nothing heavy may be reached."""
    todo, seen, found = [path for path in sources() if path.startswith("dags/")], set(), []
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imports(path, (ROOT / path).read_text(), everywhere=False):
            if module.split(".")[0] in HEAVY:
                found.append(f"{path} imports {module}")
            for name in (module, module.rpartition(".")[0]):
                stem = name.replace(".", "/")
                # Airflow puts the DAG folder itself on the path, so `loop.tasks` is dags/loop/tasks.py
                places = (f"{folder}{stem}{end}" for folder in ("", "dags/") for end in (".py", "/__init__.py"))
                todo += [place for place in places if (ROOT / place).exists() and place not in seen]
    assert not found, found
    assert any(path.startswith("pipeline/usecases/") for path in seen), "the walk never reached the use cases"


def test_tests_that_start_servers_are_kept_together(request: pytest.FixtureRequest) -> None:
    """Two stacks starve each other; that pytest and xdist agree about groups is not to be taken for granted."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("there are groups only where there are several workers")
    live = [item.nodeid for item in request.session.items if item.get_closest_marker("live")]
    assert [name for name in live if not name.endswith(("@live", "@team", "@moved", "@storage"))] == []
