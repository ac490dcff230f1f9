"""What docker-compose.yaml promises, read from the file itself; each rule is shown to find its violation."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.settings import Settings
from tests.rehearsal.composefile import ComposeError, dotenv, read, seconds
from tests.rehearsal.images import image_of
from tools import passwords

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yaml"
SECRET = re.compile(r"PASSWORD|SECRET|KEY")
Raw = dict[str, Any]


@pytest.fixture
def raw() -> Raw:
    return yaml.safe_load(FILE.read_text())


def variables(tmp_path: Path) -> dict[str, str]:
    passwords.main(tmp_path / ".env")
    return dotenv(tmp_path / ".env")


# Each rule yields what breaks it.


def confined(raw: Raw) -> Iterator[str]:
    for name, service in raw["services"].items():
        if service.get("cap_drop") != ["ALL"] or "no-new-privileges:true" not in service.get("security_opt", ()):
            yield f"{name} keeps privileges"
        if service.get("read_only") is not True:
            yield f"{name} may write to its image"
        user = re.sub(r"\$\{BACKUP_[UG]ID:-(\d+)\}", r"\1", str(service.get("user", "")))
        # What is run by hand begins as root, to become the user whose files it writes, with one right more than that.
        by_hand = "profiles" in service and service.get("command", [""])[0] == "setpriv"
        if not re.fullmatch(r"[1-9]\d*:\d+", user) and not by_hand:
            yield f"{name} runs as root"
        if set(service.get("cap_add", ())) - (BY_HAND if by_hand else set()):
            yield f"{name} is given more than it needs"
        if not service.get("mem_limit") or not service.get("pids_limit"):
            yield f"{name} may take all memory or processes"
        if service.get("privileged") or service.get("network_mode") or service.get("pid"):
            yield f"{name} shares the machine's namespaces"


def watched(raw: Raw) -> Iterator[str]:
    for name, service in raw["services"].items():
        once = service.get("restart") == "no"
        if not once and (service.get("restart") != "unless-stopped" or "healthcheck" not in service):
            yield f"{name} is neither a one-shot nor restarted and asked after its health"


def published(raw: Raw) -> Iterator[str]:
    for name, service in raw["services"].items():
        for port in service.get("ports", ()):
            if not re.match(r"127\.0\.0\.1:", str(port)):
                yield f"{name} publishes {port} beyond this machine"
        if name in ("postgres", "redis") and service.get("ports"):
            yield f"{name} is published"
    for name in ("databases", "broker"):
        if (raw["networks"][name] or {}).get("internal") is not True:
            yield f"the network {name} reaches outside"


def pinned(raw: Raw) -> Iterator[str]:
    for name, service in raw["services"].items():
        ours = service["image"].endswith(":${PIPELINE_IMAGE_TAG:-local}")
        if not ours and not re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z]+", service["image"]):
            yield f"{name}: {service['image']} is not pinned"


def sealed(raw: Raw) -> Iterator[str]:
    """No secret and no fallback for one."""
    for where, key, value in _texts(raw):
        for name, rest in re.findall(r"\$\{(\w+)([^}]*)\}", value):
            # The storage's keys are not this stack's to make: empty where there is no such storage.
            ours = SECRET.search(name) and not name.startswith("AWS_")
            if ours and not re.fullmatch(r":\?run 'make secrets' first", rest):
                yield f"{where} does without {name}"
        if SECRET.search(key) and value and "${" not in value:
            yield f"{where} holds a secret"
        if re.search(r"://[^@/:]*:(?!<filled in>@)[^@/]+@", re.sub(r"\$\{[^}]*\}", "<filled in>", value)):
            yield f"{where} holds a password in an address"


def least(raw: Raw) -> Iterator[str]:
    """Who holds what: a worker runs the models' code, and neither Airflow's database nor its keys are for that."""
    allowed = {
        "JWT_SECRET": {"airflow-apiserver", "airflow-scheduler"},
        "AIRFLOW_DB_PASSWORD": {
            *("postgres", "airflow-init", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor"),
            "airflow-triggerer",
        },
        "FERNET_KEY": {
            *("airflow-init", "airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
        },
        "REDIS_PASSWORD": {"redis", "airflow-scheduler", "airflow-worker", "airflow-ingest"},
        "LEDGER_OWNER_PASSWORD": {"postgres", "airflow-init"},
        "LEDGER_DB_PASSWORD": {"postgres", "airflow-worker", "airflow-ingest"},
        "MLFLOW_ADMIN_PASSWORD": {"mlflow", "airflow-init"},
        "MLFLOW_PIPELINE_PASSWORD": {"airflow-init", "airflow-worker", "airflow-ingest"},
        "AIRFLOW_ADMIN_PASSWORD": {"airflow-init"},
        "POSTGRES_PASSWORD": {"postgres"},
    }
    for name, service in raw["services"].items():
        if "profiles" in service:
            continue  # run by hand, once: tests/test_security_checklist.py looks at those
        text = yaml.safe_dump(service.get("environment", {}))
        for secret, holders in allowed.items():
            if re.search(rf"\${{(\w*_)?{secret}[:}}]", text) and name not in holders:
                yield f"{name} holds {secret}"


BY_HAND = {"DAC_READ_SEARCH", "SETUID", "SETGID"}
RULES: tuple[Callable[[Raw], Iterator[str]], ...] = (confined, watched, published, pinned, sealed, least)


def _texts(value: Any, where: str = "", key: str = "") -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _texts(each, f"{where}/{inner}", str(inner))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{where}/{number}", "")
    elif isinstance(value, str):
        yield where, key, value


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_file_keeps_its_rules(raw: Raw, rule: Callable[[Raw], Iterator[str]]) -> None:
    assert list(rule(raw)) == []


VIOLATIONS: dict[str, tuple[Callable[[Raw], Iterator[str]], Callable[[Raw], Any]]] = {
    "a root user": (confined, lambda raw: raw["services"]["airflow-worker"].update(user="0:0")),
    "root by hand that stays root": (confined, lambda raw: raw["services"]["moving"].update(command=["python"])),
    "a capability": (confined, lambda raw: raw["services"]["redis"].update(cap_add=["SETUID"])),
    "a capability by hand": (confined, lambda raw: raw["services"]["moving"].update(cap_add=["SYS_ADMIN"])),
    "kept capabilities": (confined, lambda raw: raw["services"]["redis"].pop("cap_drop")),
    "a writable image": (confined, lambda raw: raw["services"]["mlflow"].update(read_only=False)),
    "no memory limit": (confined, lambda raw: raw["services"]["postgres"].pop("mem_limit")),
    "the host's network": (confined, lambda raw: raw["services"]["redis"].update(network_mode="host")),
    "no health check": (watched, lambda raw: raw["services"]["airflow-scheduler"].pop("healthcheck")),
    "a page for everybody": (published, lambda raw: raw["services"]["mlflow"].update(ports=["5000:5000"])),
    "a published database": (
        published,
        lambda raw: raw["services"]["postgres"].update(ports=["127.0.0.1:5432:5432"]),
    ),
    "a broker with a way out": (published, lambda raw: raw["networks"].update(broker=None)),
    "the newest image": (pinned, lambda raw: raw["services"]["redis"].update(image="redis:latest")),
    "a fallback password": (
        sealed,
        lambda raw: raw["services"]["redis"]["environment"].update(REDIS_PASSWORD="${REDIS_PASSWORD:-redis}"),
    ),
    "a secret that may be empty": (
        sealed,
        lambda raw: raw["services"]["airflow-apiserver"]["environment"].update(X="${AIRFLOW_FERNET_KEY}"),
    ),
    "a password in the file": (
        sealed,
        lambda raw: raw["services"]["airflow-worker"]["environment"].update(
            PIPELINE_LEDGER="postgresql://ledger:ledger@postgres/ledger"
        ),
    ),
    "a key in the file": (
        sealed,
        lambda raw: raw["services"]["mlflow"]["environment"].update(MLFLOW_FLASK_SERVER_SECRET_KEY="abc"),
    ),
    "a worker that may sign tokens": (
        least,
        lambda raw: raw["services"]["airflow-worker"]["environment"].update(
            AIRFLOW__API_AUTH__JWT_SECRET="${AIRFLOW_JWT_SECRET:?run 'make secrets' first}"
        ),
    ),
    "a worker on Airflow's database": (
        least,
        lambda raw: raw["services"]["airflow-worker"]["environment"].update(
            X="postgresql://airflow:${AIRFLOW_DB_PASSWORD:?run 'make secrets' first}@postgres/airflow"
        ),
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_is_found(raw: Raw, violation: str) -> None:
    rule, break_it = VIOLATIONS[violation]
    broken = copy.deepcopy(raw)
    break_it(broken)
    assert list(rule(broken))


def test_the_file_is_what_the_compose_specification_asks_for(raw: Raw, tmp_path: Path) -> None:
    def status(file: Path) -> int:
        check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
        return subprocess.run(check, capture_output=True, check=False).returncode

    raw["services"]["redis"]["restarts"] = "always"
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(yaml.safe_dump(raw))
    assert status(FILE) == 0
    assert status(wrong) == 1


def test_without_its_secrets_the_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=r"variable \w+ is missing a value: run 'make secrets' first"):
        read(FILE, {})
    known = variables(tmp_path)
    for name in known:
        with pytest.raises(ComposeError, match=f"variable {name} is missing a value: run 'make secrets' first"):
            read(FILE, {**known, name: ""})


def test_make_secrets_writes_what_the_file_asks_for_and_nothing_else(tmp_path: Path) -> None:
    known = variables(tmp_path)
    asked = set(re.findall(r"\$\{(\w+):\?", FILE.read_text()))
    assert set(known) == asked
    assert len(set(known.values())) == len(known)
    assert all(len(value) >= 40 and re.fullmatch(r"[\w=-]+", value) for value in known.values())


def test_secrets_are_for_their_owner_alone_and_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ".env"
    passwords.main(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    passwords.main(path)
    assert path.read_text() == before
    path.write_text("REDIS_PASSWORD=mine\n")
    passwords.main(path)
    after = dotenv(path)
    assert after["REDIS_PASSWORD"] == "mine"
    assert len(after) == len([line for line in before.splitlines() if "=" in line])
    assert not any(value in capsys.readouterr().out for value in after.values())
    path.chmod(0o644)
    with pytest.raises(SystemExit, match="can be read by others"):
        passwords.main(path)


def test_every_service_has_something_that_stands_in_for_its_image(tmp_path: Path) -> None:
    compose = read(FILE, variables(tmp_path))
    names = [service.name for service in compose.order()]
    assert sorted(names) == sorted(compose.services)
    for service in compose.services.values():
        if service.image.endswith(":local"):
            assert image_of(service, ROOT).folders["/opt/pipeline/dags"] == ROOT / "dags"


def test_the_image_takes_in_every_room_that_a_service_needs() -> None:
    rooms = set(re.findall(r"^COPY (\w+) \w+$", (ROOT / "Dockerfile").read_text(), re.M))
    assert rooms == {"pipeline", "dags", "expectations", "stack"}
    kept_out = (ROOT / ".dockerignore").read_text().split()
    assert "*" in kept_out
    assert {line[1:] for line in kept_out if line.startswith("!")} == {*rooms, "requirements.txt", "tools/pip.txt"}


def test_both_stacks_are_hardened_alike(raw: Raw, tmp_path: Path) -> None:
    """What is settled for the embedded stack in stack/settings.py holds for the team's, too."""
    team = raw["x-airflow-settings"]
    embedded = Settings(home=tmp_path).environment()
    differ = {
        *("AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__PARALLELISM"),
        *("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__API__BASE_URL", "AIRFLOW__API_AUTH__JWT_ISSUER"),
        *("AIRFLOW__LOGGING__BASE_LOG_FOLDER", "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY"),
        *("AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK", "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"),
        *("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "AIRFLOW__CORE__PLUGINS_FOLDER"),
        "AIRFLOW_HOME",
    }
    shared = {name: value for name, value in team.items() if name in embedded and name not in differ}
    assert len(shared) > 12
    assert shared == {name: embedded[name] for name in shared}


@pytest.mark.parametrize(
    ("text", "environ", "filled"),
    [
        ("a $$b", {}, "a $b"),
        ("${X}", {"X": "1"}, "1"),
        ("$X", {"X": "1"}, "1"),
        ("${X:-d}", {"X": ""}, "d"),
        ("${X:-a${Y:-b}c}", {}, "abc"),
        ("${X:-a${Y:-b}c}", {"Y": "1"}, "a1c"),
        ("${X-d}", {"X": ""}, ""),
        ("${X-d}", {}, "d"),
        ("${X:?no}", {"X": "1"}, "1"),
    ],
)
def test_variables_are_filled_in_as_compose_does(
    tmp_path: Path, text: str, environ: dict[str, str], filled: str
) -> None:
    file = tmp_path / "docker-compose.yaml"
    file.write_text(yaml.safe_dump({"services": {"a": {"image": "x", "environment": {"E": text}}}}))
    assert read(file, environ).services["a"].environment["E"] == filled


def test_durations_are_read_as_compose_does() -> None:
    assert [seconds(text) for text in ("10s", "1m30s", "500ms", "2m")] == [10, 90, 0.5, 120]
    with pytest.raises(ComposeError):
        seconds("10")


def test_what_the_rehearsal_does_not_know_is_no_silent_success(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yaml"
    file.write_text(yaml.safe_dump({"services": {"a": {"image": "x", "entrypoint": ["/bin/true"]}}}))
    with pytest.raises(ComposeError, match="entrypoint is not rehearsed"):
        read(file, {})
    # Compose itself refuses these where the service is read-only, as all of ours are.
    file.write_text(yaml.safe_dump({"services": {"a": {"image": "x", "configs": ["c"]}}}))
    with pytest.raises(ComposeError, match="configs is not rehearsed"):
        read(file, {})
    file.write_text(yaml.safe_dump({"services": {"a": {"image": "x:1.2", "depends_on": ["a"]}}}))
    with pytest.raises(ComposeError, match="in a circle"):
        read(file, {}).order()
    file.write_text(yaml.safe_dump({"services": {"a": {"image": "elastic:1.2"}}}))
    with pytest.raises(ComposeError, match="nothing stands in for the image"):
        image_of(read(file, {}).services["a"], tmp_path)
