"""The rooms of the house, and which may know which. A violation is planted below, so the law is seen to fail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("core", "usecases", "steps", "adapters", "report", "onboarding", "cli")
HEAVY = {"pandas", "sklearn", "mlflow", "great_expectations", "pyarrow", "duckdb", "deltalake", "matplotlib", "skops"}


def room(module: str) -> str:
    """The room a module of ours lies in: ``pipeline.steps.train`` is in ``steps``."""
    parts = module.split(".")
    if parts[0] != "pipeline":
        return parts[0]
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "pipeline"


def imports(source: str, everywhere: bool = True) -> Iterator[str]:
    """Every module a source imports; with ``everywhere`` false, only what is imported when it is itself imported."""
    tree = ast.parse(source)
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not everywhere and (lazy or typed):
            hidden |= set(ast.walk(node))
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            # `from pipeline import steps` imports pipeline.steps
            yield from (f"{node.module}.{name.name}" for name in node.names if node.module == "pipeline")


def violations(path: str, source: str) -> list[str]:
    """What a file of ours imports and must not, a sentence each."""
    parts = Path(path).with_suffix("").parts
    here = parts[1] if parts[0] == "pipeline" and len(parts) > 2 else parts[0]
    broken = []
    for module in imports(source):
        top, there = module.split(".")[0], room(module)
        vendor = top not in {"pipeline", "stack", "demo", "dags", "loop", "benchmarks"}
        rules = {
            "core imports nothing but numpy and scipy beside the standard library": here == "core"
            and (top in HEAVY | {"narwhals", "airflow", "sqlalchemy", "rich", "jinja2"} if vendor else there != "core"),
            "use cases import core only": here == "usecases" and not vendor and there not in ("core", "usecases"),
            "steps know no adapter": here == "steps" and there == "adapters",
            "adapters know no step": here == "adapters" and there == "steps",
            "a report knows neither steps nor adapters": here == "report" and there in ("steps", "adapters"),
            "only the command line begins a use case": there == "onboarding"
            and here not in ("onboarding", "cli", "pipeline"),
            "what begins a use case leaves vendors to the adapters": here == "onboarding"
            and top in (HEAVY | {"sqlalchemy"}) - {"pyarrow", "sklearn"},
            # stack/team runs inside the services: it is their own setting up, and speaks to each in its own words.
            "airflow is known in dags and stack/team only": top == "airflow"
            and not path.startswith(("dags/", "stack/team/")),
            "mlflow is known in adapters/registry/mlflow_registry.py, report and stack/team only": top == "mlflow"
            and not path.startswith(("pipeline/adapters/registry", "pipeline/report/", "stack/team/")),
            "a stack does not know what it runs": here == "stack"
            and top == "pipeline"
            and not path.startswith("stack/team/"),
            "nothing imports dags": top == "dags",
            "steps know no vendor": here == "steps" and top in (HEAVY | {"sqlalchemy"}) - {"pyarrow"},
            "the product does not know its demonstration": top == "demo" and here not in ("demo", "benchmarks"),
        }
        broken += [f"{path} imports {module}: {rule}" for rule, holds in rules.items() if holds]
    return broken


def sources() -> list[str]:
    return sorted(
        file.relative_to(ROOT).as_posix()
        for folder in ("pipeline", "dags", "stack", "demo", "tests/rehearsal")
        for file in (ROOT / folder).rglob("*.py")
    )


def test_every_room_keeps_to_what_it_may_know() -> None:
    broken = [line for path in sources() for line in violations(path, (ROOT / path).read_text())]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("pipeline/core/gates.py", "import pandas"),
        ("pipeline/core/gates.py", "from pipeline.steps import train"),
        ("pipeline/core/gates.py", "from pipeline import adapters"),
        ("pipeline/usecases/x/features.py", "from pipeline.adapters.store.delta import DeltaStore"),
        ("pipeline/steps/train.py", "from pipeline.adapters import world"),
        ("pipeline/steps/train.py", "def f():\n    import mlflow"),
        ("pipeline/adapters/store/delta.py", "import pipeline.steps.train"),
        ("pipeline/adapters/store/delta.py", "from airflow.sdk import DAG"),
        ("pipeline/report/verdict/page.py", "from pipeline.adapters.world import world"),
        ("pipeline/adapters/models/skops_models.py", "import mlflow"),
        ("pipeline/__main__.py", "import dags.retrain"),
        ("pipeline/steps/ingest.py", "from demo.upstream import deliver"),
        ("pipeline/steps/train.py", "from pipeline.onboarding.new import make"),
        ("pipeline/report/verdict/page.py", "from pipeline.onboarding.notes import Note"),
        ("dags/retrain.py", "import pipeline.onboarding.new"),
        ("pipeline/onboarding/new.py", "def f():\n    import great_expectations"),
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
        for module in imports((ROOT / path).read_text())
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
        for module in imports((ROOT / path).read_text(), everywhere=False):
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
    assert [name for name in live if not name.endswith(("@live", "@team"))] == []
