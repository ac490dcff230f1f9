"""docs/security.md: its table has each line of the checklist and only tests that exist; and the lines without a stack.

What is looked for is planted, too, so that each check is seen to find it.
"""

from __future__ import annotations

import ast
import base64
import copy
import hashlib
import io
import json
import operator
import pickle
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import yaml
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pipeline.adapters.models.skops_models import SkopsModels
from pipeline.core.errors import RefusedError
from stack.settings import Settings
from tests.fakes import MemoryFiles
from tools import passwords

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("pipeline", "dags", "stack", "demo", "tests/rehearsal", "tools", "benchmarks")
Raw = dict[str, Any]

LINES = {
    *(f"A{n}" for n in range(1, 7)), *(f"C{n}" for n in range(1, 5)), *(f"M{n}" for n in range(1, 8)),
    *(f"L{n}" for n in range(1, 4)), "S1", *(f"G{n}" for n in range(1, 7)),
}  # fmt: skip
"""Every line of the checklist."""


def sources() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


@pytest.fixture
def raw() -> Raw:
    return yaml.safe_load((ROOT / "docker-compose.yaml").read_text())


# The document.


def gaps(text: str, tests: set[str]) -> list[str]:
    """What the table of the checklist lacks, or names and is not there."""
    rows = re.findall(r"^\| ([A-Z]\d+) \|(.*)\|$", text, re.M)
    numbers = [number for number, _ in rows]
    wrong = [f"{number} is missing" for number in sorted(LINES - set(numbers))]
    wrong += [f"{number} is not of the checklist" for number in sorted(set(numbers) - LINES)]
    wrong += [f"{number} stands twice" for number in sorted({n for n in numbers if numbers.count(n) > 1})]
    for number, row in rows:
        reason = row.split("|")[-1]
        if not re.search(r"`test_|not (done|applicable)", reason):
            wrong.append(f"{number} has neither a test nor a reason")
    return wrong + [f"{name} does not exist" for name in sorted(set(re.findall(r"\btest_\w+", text)) - tests)]


def existing() -> set[str]:
    return {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }


def test_the_table_has_every_line_of_the_checklist_and_only_tests_that_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    assert gaps(text, existing()) == []
    for found, spoilt in {
        "A3 is missing": re.sub(r"^\| A3 .*\n", "", text, flags=re.M),
        "test_that_never_was does not exist": text.replace("`test_nothing_unpickles`", "`test_that_never_was`"),
        "Z9 is not of the checklist": text + "\n| Z9 | x | y | `test_nothing_unpickles` |\n",
        "G5 has neither a test nor a reason": re.sub(r"^(\| G5 .*)\|[^|]*\|$", r"\1| of course |", text, flags=re.M),
    }.items():
        assert gaps(spoilt, existing()) == [found]


# The settings of both stacks.

CLOSED = {
    "AIRFLOW__API__ENABLE_SWAGGER_UI": "False",
    "AIRFLOW__API__EXPOSE_CONFIG": "False",
    "AIRFLOW__API__EXPOSE_STACKTRACE": "False",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__TEST_CONNECTION": "Disabled",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
CLIENT = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "MLFLOW_HTTP_REQUEST_TIMEOUT")
SERVER = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def ajar(environment: dict[str, Any], wanted: dict[str, str], named: tuple[str, ...] = ()) -> list[str]:
    """Settings that are not as they must be."""
    wrong = [name for name, value in wanted.items() if environment.get(name) != value]
    wrong += [name for name in named if not re.fullmatch(r"\d+", str(environment.get(name)))]
    # Which types an XCom may hold is Airflow's default, a short list.
    return wrong + [name for name in environment if "DESERIALIZATION" in name or "PIP_ADDITIONAL" in name]


def test_settings_that_close_doors_are_set_in_both_stacks(raw: Raw, tmp_path: Path) -> None:
    embedded = Settings(tmp_path / "home", 18080, 15000).environment()
    loopback = {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__BASE_URL": "http://127.0.0.1:18080",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://127.0.0.1:18080/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
    }
    assert ajar(embedded, CLOSED | SERVER | loopback, CLIENT) == []
    users = dict(user.split(":") for user in embedded["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(","))
    assert sorted(users.values()) == ["admin", "user", "viewer"]
    services = raw["services"]
    for name, service in services.items():
        if name.startswith("airflow-"):
            assert ajar(service["environment"], CLOSED) == [], name
            assert "127.0.0.1" in service["environment"]["AIRFLOW__API__BASE_URL"]
    assert ajar(services["mlflow"]["environment"], SERVER | {"MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true"}) == []
    assert ajar(services["airflow-worker"]["environment"], {"MLFLOW_DISABLE_TELEMETRY": "true"}, CLIENT) == []
    for name in CLOSED:
        assert ajar(embedded | {name: "True"}, CLOSED) == [name]
        assert ajar({key: value for key, value in embedded.items() if key != name}, CLOSED) == [name]


# The compose file: what tests/compose/test_composefile.py does not look at.


def kept(raw: Raw) -> Iterator[str]:
    for name, service in raw["services"].items():
        words = json.dumps([service.get("command", ""), service.get("healthcheck", {})])
        # `$$NAME` is filled in by the service's own shell, from its environment.
        for secret in re.findall(r"(?<!\$)\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)", words):
            yield f"{name} has {secret} on a command line"
        text = yaml.safe_dump(service)
        for word in ("flower", "SimpleAuthManager", "PIP_ADDITIONAL", "FERNET_KEY: ''", "/var/run/docker.sock"):
            if word in text:
                yield f"{name} has {word}"
        if name.startswith("airflow-") and not re.search(r"AUTH_MANAGER: stack\.team\.auth\.TeamAuthManager", text):
            yield f"{name} signs people in by something else"
    broker = yaml.safe_dump(raw["services"]["redis"]["command"])
    if "requirepass" not in broker or "--requirepass" in broker:
        yield "redis has no password, or shows it"
    options = raw["services"]["mlflow"]["command"]
    if not any(re.match(r"--allowed-hosts=mlflow:5000,127\.0\.0\.1:", option) for option in options):
        yield "mlflow answers to any name"
    if "--app-name=basic-auth" not in options:
        yield "mlflow asks nobody to sign in"
    if "default_permission = NO_PERMISSIONS" not in raw["services"]["mlflow"]["environment"]["MLFLOW_SIGN_IN"]:
        yield "mlflow permits something by default"


BROKEN: dict[str, Callable[[Raw], Any]] = {
    "airflow-worker has REDIS_PASSWORD on a command line": lambda raw: raw["services"]["airflow-worker"][
        "command"
    ].append("--broker=redis://:${REDIS_PASSWORD:?run 'make secrets' first}@redis"),
    "airflow-worker has flower": lambda raw: raw["services"]["airflow-worker"].update(hostname="flower"),
    "airflow-scheduler signs people in by something else": lambda raw: raw["services"]["airflow-scheduler"][
        "environment"
    ].update(AIRFLOW__CORE__AUTH_MANAGER="airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"),
    "redis has no password, or shows it": lambda raw: raw["services"]["redis"].update(command=["redis-server"]),
    "mlflow answers to any name": lambda raw: (
        raw["services"]["mlflow"]["command"].append("")
        or raw["services"]["mlflow"].update(command=["mlflow", "server", "--app-name=basic-auth", "--allowed-hosts=*"])
    ),
    "mlflow asks nobody to sign in": lambda raw: raw["services"]["mlflow"]["command"].remove("--app-name=basic-auth"),
    "mlflow permits something by default": lambda raw: raw["services"]["mlflow"]["environment"].update(
        MLFLOW_SIGN_IN="[mlflow]\ndefault_permission = READ\n"
    ),
}


def test_the_compose_file_keeps_the_checklist(raw: Raw) -> None:
    assert list(kept(raw)) == []
    for found, breaking in BROKEN.items():
        spoilt = copy.deepcopy(raw)
        breaking(spoilt)
        assert found in list(kept(spoilt))


OWNERS = {"AIRFLOW_DB_PASSWORD", "CELERY_DB_PASSWORD", "MLFLOW_DB_PASSWORD", "LEDGER_OWNER_PASSWORD"}
PEOPLE = {
    *(f"AIRFLOW_{name}_PASSWORD" for name in ("ADMIN", "OPERATOR", "APPROVER", "VIEWER")),
    *(f"MLFLOW_{name}_PASSWORD" for name in ("ADMIN", "PIPELINE", "REVIEWER")),
}
BY_HAND = {
    "moving": {"MLFLOW_DB_PASSWORD", "LEDGER_OWNER_PASSWORD"},
    "backup": {*OWNERS, "AIRFLOW_FERNET_KEY"},
    # Whoever restores a stack makes its users what this `.env` says.
    "restore": {*OWNERS, *PEOPLE, "AIRFLOW_FERNET_KEY"},
}


def handy(raw: Raw) -> Iterator[str]:
    """What is wrong with services that a person runs once."""
    for name, service in raw["services"].items():
        for profile in service.get("profiles", ()):
            text = json.dumps(service)
            held = {each for each in re.findall(r"\$\{(\w+)", text) if re.search("PASSWORD|SECRET|KEY", each)}
            held -= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
            if excess := held - BY_HAND.get(profile, set()):
                yield f"{name} holds {', '.join(sorted(excess))}"
            if service.get("ports") or service.get("restart") != "no":
                yield f"{name} stays, or listens"
            if set(service.get("cap_add", ())) - {"DAC_READ_SEARCH", "SETUID", "SETGID"}:
                yield f"{name} keeps more than it reads with"
            if service.get("cap_drop") != ["ALL"] or "no-new-privileges:true" not in service.get("security_opt", ()):
                yield f"{name} is not confined"
            root = str(service.get("user", "")).startswith("0")
            if root and service["command"][:2] != [
                "setpriv",
                next((w for w in service["command"] if "reuid" in w), ""),
            ]:
                yield f"{name} stays root"


def test_what_is_run_by_hand_holds_what_its_work_needs(raw: Raw) -> None:
    assert list(handy(raw)) == []
    spoilt = copy.deepcopy(raw)
    moving = spoilt["services"]["moving"]
    moving["environment"]["X"] = "${AIRFLOW_JWT_SECRET:?run 'make secrets' first}"
    moving.update(ports=["127.0.0.1:1:1"], cap_add=["SYS_ADMIN"], cap_drop=[], command=["python"])
    assert len(list(handy(spoilt))) == 5


def test_keys_are_as_long_as_they_must_be(tmp_path: Path) -> None:
    passwords.main(tmp_path / ".env")
    lines = (tmp_path / ".env").read_text().splitlines()
    known = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    for name in ("AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET_KEY", "MLFLOW_SECRET_KEY"):
        assert len(bytes.fromhex(known[name])) >= 64, name
    assert len(base64.urlsafe_b64decode(known["AIRFLOW_FERNET_KEY"])) == 32


# The code.

UNPICKLES = {"pickle", "_pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve", "jsonpickle"}
OPENS = {"read_pickle", "to_pickle", "allow_pickle"}


def unpickling(source: str) -> list[str]:
    """Where a source imports what runs a file's own code, or asks another to."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{name.name}" for name in node.names)]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            first = node.args[0] if node.args else None
            if called.endswith(("import_module", "__import__")) and isinstance(first, ast.Constant):
                names = [str(first.value)]
            if called.rpartition(".")[2] in OPENS:
                found.append(called)
            found += [word.arg for word in node.keywords if word.arg in OPENS and ast.unparse(word.value) != "False"]
        found += [name for name in names if UNPICKLES & set(name.split("."))]
    return found


def test_nothing_unpickles() -> None:
    assert {path: found for path, source in sources() if (found := unpickling(source))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import cloudpickle as c",
        "from joblib import load",
        "from sklearn.externals import joblib",
        "def f():\n    import dill",
        "import importlib; importlib.import_module('pickle')",
        "__import__('marshal')",
        "pd.read_pickle(path)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_a_planted_unpickling_is_found(line: str) -> None:
    assert unpickling(line)
    assert not unpickling("import json\nnp.load(path, allow_pickle=False)")


EXECUTES = {"execute", "executemany", "executescript", "exec_driver_sql", "sql", "scalar", "scalars"}
# Names of tables and settings, which can be no parameters: each of them stands in the code, or is quoted by the server.
OUR_OWN = {
    "pipeline/adapters/ledger/schema.py": {"schema", "name", "event", "table_name", "each", "function", "body"},
}


def composed_sql(source: str) -> set[str]:
    """The names that a source writes into statements, in place of giving them as parameters."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called, first = ast.unparse(node.func), node.args[0]
        if called.rpartition(".")[2] not in EXECUTES and called not in ("sa.text", "text", "sqlalchemy.text"):
            continue
        pieces: list[ast.expr] = []
        if isinstance(first, ast.JoinedStr):
            pieces = [each.value for each in first.values if isinstance(each, ast.FormattedValue)]
        elif isinstance(first, ast.BinOp):
            pieces = [first.right]
        elif isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute) and first.func.attr == "format":
            pieces = [*first.args, *(word.value for word in first.keywords)]
        found |= {ast.unparse(piece) for piece in pieces}
    return found


def test_sql_is_put_together_from_our_own_words_only() -> None:
    found = {path: names for path, source in sources() if (names := composed_sql(source))}
    assert {path: names - OUR_OWN.get(path, set()) for path, names in found.items()} == {path: set() for path in found}
    for line in (
        "c.execute(f'SELECT {x}')",
        "c.execute('SELECT ' + x)",
        "c.execute('SELECT %s' % x)",
        "c.exec_driver_sql('SELECT {}'.format(x))",
        "c.execute(sa.text(f'SELECT {x}'))",
    ):
        assert composed_sql(line) == {"x"}, line
    assert composed_sql("c.execute('SELECT ?', [x])") == set()


def careless_folders(source: str) -> list[str]:
    """Temporary files with a name that somebody can guess, or open to others."""
    called = [ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in called if re.match(r"(tempfile\.)?mktemp\(|os\.umask\((0|18|0o0*22)\)", call)]


def test_temporary_folders_are_their_owners(tmp_path: Path) -> None:
    """`mkdtemp` makes them 0700; in containers /tmp is a service's own, and one user's."""
    assert {path: found for path, source in sources() if (found := careless_folders(source))} == {}
    for line in ("tempfile.mktemp()", "os.umask(0)", "os.umask(0o022)"):
        assert careless_folders(line)


# What is installed.


def unlocked(text: str) -> list[str]:
    """Packages of a requirements file without an exact version and a digest."""
    blocks = re.findall(r"^(?!#)(\S.*(?:\n\s+.*)*)", text, re.M)
    return [
        block.split()[0] for block in blocks if not re.match(r"[\w.-]+==\S+.*--hash=sha256:[0-9a-f]{64}", block, re.S)
    ]


def test_every_package_is_locked_by_digest() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert unlocked(text) == []
    assert len(re.findall(r"^[\w.-]+==", text, re.M)) > 200
    digest = "--hash=sha256:" + "0" * 64
    assert unlocked(f"a==1 \\\n    {digest}\nb>=1 \\\n    {digest}\nc==1\nd @ https://example.org/d.whl\n") == [
        "b>=1", "c==1", "d",
    ]  # fmt: skip
    assert re.search(r"pip install [^&]*--require-hashes", (ROOT / "Dockerfile").read_text().replace("\\\n", " "))
    assert "--require-hashes" in (ROOT / "tools" / "environment.py").read_text()


#: Behind what is known of them: MLflow's file traversals, open job API and webhooks; skops's fallback to joblib.
LEAST = {"mlflow": (3, 17), "skops": (0, 13)}


def behind(text: str) -> list[str]:
    found = dict(re.findall(r"^([\w.-]+)==([\d.]+)", text, re.M))
    return [name for name, least in LEAST.items() if tuple(map(int, found[name].split(".")[:2])) < least]


def test_packages_with_known_holes_are_pinned_behind_them() -> None:
    text = (ROOT / "requirements.txt").read_text()
    assert behind(text) == []
    assert behind(re.sub(r"^mlflow==\S+", "mlflow==3.10.1", text, flags=re.M)) == ["mlflow"]


# Twelve model files that want to run something.


def mark(word: str) -> None:
    Runs.marks.append(word)


class Runs:
    """Runs code when its state is set, which skops does on loading, for types that it is told to trust."""

    marks: list[str] = []  # noqa: RUF012 - what was run

    def __getstate__(self) -> dict[str, str]:
        return {"said": "state"}

    def __setstate__(self, state: dict[str, str]) -> None:
        Runs.marks.append(state["said"])

    def __reduce__(self) -> Any:
        return (mark, ("reduce",))


class Listed(dict):  # type: ignore[type-arg]
    """A dictionary that runs code when it is filled."""

    def __setitem__(self, key: Any, value: Any) -> None:
        Runs.marks.append("item")
        super().__setitem__(key, value)


def line() -> LinearRegression:
    return LinearRegression().fit(np.arange(6.0).reshape(3, 2), [1.0, 2.0, 4.0])


def calls(function: Any, **arguments: Any) -> bytes:
    return skops.io.dumps(make_pipeline(FunctionTransformer(function, kw_args=arguments or None), line()))


def claims(module: str, name: str, loader: str | None = None) -> bytes:
    """A sound file whose outermost object says it is of another type."""
    return repacked(
        skops.io.dumps(line()), {"__module__": module, "__class__": name, **({"__loader__": loader} if loader else {})}
    )


def repacked(data: bytes, schema: dict[str, Any], **files: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    parts["schema.json"] = json.dumps(json.loads(parts["schema.json"]) | schema).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry, content in {**parts, **files}.items():
            archive.writestr(entry, files.get("arrays", content) if entry.endswith(".npy") else content)
    return out.getvalue()


MALICIOUS: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: pickle.dumps(Runs()),
    "a pickle in place of an array": lambda: repacked(skops.io.dumps(line()), {}, arrays=pickle.dumps(Runs())),
    "an array of objects": lambda: repacked(skops.io.dumps(line()), {}, arrays=array_of_objects()),
    "a type that sets its own state": lambda: skops.io.dumps(make_pipeline(Runs())),
    "a dictionary of its own kind": lambda: skops.io.dumps(
        make_pipeline(FunctionTransformer(None, kw_args=Listed(a=1)))
    ),
    "a shell as a step": lambda: calls(subprocess.check_output, shell=True),
    "eval as a step": lambda: calls(eval),
    "half a call of a shell": lambda: calls(partial(subprocess.check_output, ["id"])),
    "a call of a method": lambda: calls(operator.methodcaller("__reduce__")),
    "the type of a process": lambda: claims("subprocess", "Popen"),
    "a shell's function as an object": lambda: claims("os", "system", "FunctionNode"),
    "a constructor by way of builtins": lambda: claims("builtins", "__import__", "ObjectNode"),
}


def array_of_objects() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([Runs()], dtype=object), allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize("kind", MALICIOUS)
def test_a_malicious_model_file_is_refused_before_anything_runs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where its digest is the ledger's, so that it is opened at all."""
    data, files = MALICIOUS[kind](), MemoryFiles()
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Runs.marks.append("process"))
    monkeypatch.setattr("os.system", lambda *_: Runs.marks.append("shell"))
    Runs.marks.clear()
    files.kept["m/evil.skops"] = data
    with pytest.raises(RefusedError) as refused:
        SkopsModels(files).load("m/evil.skops", hashlib.sha256(data).hexdigest())
    assert refused.value.code in ("UNTRUSTED", "UNREADABLE")
    assert Runs.marks == []


def test_the_malicious_files_do_run_where_they_are_let() -> None:
    Runs.marks.clear()
    state = MALICIOUS["a type that sets its own state"]()
    skops.io.loads(state, trusted=skops.io.get_untrusted_types(data=state))
    pickle.loads(MALICIOUS["a pickle"]())
    np.load(io.BytesIO(array_of_objects()), allow_pickle=True)
    assert Runs.marks == ["state", "reduce", "reduce"]
    assert len(MALICIOUS) == 12
