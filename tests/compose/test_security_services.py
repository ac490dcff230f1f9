"""What each service holds and may, and what somebody who has taken a worker can do with it.

Every check is a function that says what is open, and is shown to find something that is. docs/security.md names each.
"""

from __future__ import annotations

import json
import re
import secrets
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.compose.signed_in import WORKER, holds, instances, python, secrets_of, told
from tests.compose.team import wait_for
from tests.rehearsal.client import Rehearsal

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.live


def documented(heading: str) -> dict[str, list[str]]:
    """A table of docs/security.md: the first column's word in backticks to the words in backticks of each other."""
    text = (ROOT / "docs" / "security.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("| `")]
    assert rows, heading
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in rows}


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


#: Of every process that descends from the service's own; a command from outside, as this is, has another parent.
LISTING = """cd /proc; for p in [0-9]*; do
  [ -r $p/status ] || continue; printf '\\036%s\\n' $p
  grep -E '^(PPid|Uid|CapEff|CapPrm|CapBnd|CapAmb|NoNewPrivs):' $p/status 2>/dev/null
  printf 'Command: %s\\n' "$(tr '\\0\\n' '  ' < $p/cmdline 2>/dev/null)"
  printf 'Environment: %s\\n' "$(tr '\\0\\n' '  ' < $p/environ 2>/dev/null)"
done; true"""


def processes(stack: Rehearsal, where: str, *more: str) -> list[dict[str, str]]:
    """What the kernel says of each process of an instance."""
    status, said = stack.run(where, "sh", "-c", LISTING, "listing", *more)
    assert status == 0, said[-500:]
    found = {}
    for part in said.split("\036")[1:]:
        pid, *lines = part.splitlines()
        found[pid] = {"Pid": pid, **{k: v.strip() for k, _, v in (line.partition(":") for line in lines)}}

    def ours(pid: str) -> bool:
        return pid == "1" or (pid in found and ours(found[pid].get("PPid", "0")))

    return [each for pid, each in found.items() if more or ours(pid)]


def privileges(each: Mapping[str, str]) -> list[str]:
    """What a process may beyond an ordinary user."""
    wrong = [name for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb") if int(each.get(name, "1"), 16)]
    wrong += ["Uid"] if "0" in each.get("Uid", "0").split() else []
    return wrong + (["NoNewPrivs"] if each.get("NoNewPrivs") != "1" else [])


def test_no_process_is_root_has_a_capability_or_can_gain_one(stack: Rehearsal) -> None:
    for name in instances(stack):
        listed = processes(stack, name)
        assert listed, name
        assert [(name, each.get("Command", "")[:60], wrong) for each in listed if (wrong := privileges(each))] == []
        status, said = stack.run(name, "sh", "-c", "touch /usr/planted || touch /opt/planted || touch /planted")
        assert status != 0, name
        assert "Read-only file system" in said
    # A command that comes from outside keeps what it has: seen as such.
    assert any("NoNewPrivs" in privileges(each) for each in processes(stack, "redis", "from outside"))


def test_each_service_holds_the_secrets_it_needs_and_no_other(stack: Rehearsal, known: dict[str, str]) -> None:
    values, table = secrets_of(known), documented("What each service listens for and holds")
    assert len(values) > 15
    for name, service in instances(stack).items():
        held = set()
        for each in processes(stack, name):
            held |= holds(each.get("Environment", ""), values)
            assert holds(each.get("Command", ""), values) == set(), f"{name}: on a command line"
        if service == "mlflow":
            held |= holds(stack.run(name, "cat", "/tmp/sign-in.ini")[1], values)
        assert held == words(table[service][2]), name
    planted = next(iter(values.values()))
    assert any(holds(each.get("Command", ""), values) for each in processes(stack, WORKER, planted)), (
        "the search finds nothing"
    )


def test_a_worker_can_reach_neither_airflows_database_nor_its_keys(stack: Rehearsal, known: dict[str, str]) -> None:
    held = {name for each in processes(stack, WORKER) for name in holds(each.get("Environment", ""), secrets_of(known))}
    assert held == {"REDIS_PASSWORD", "CELERY_DB_PASSWORD", "LEDGER_DB_PASSWORD", "MLFLOW_PIPELINE_PASSWORD"}
    names = {word.split("=")[0] for each in processes(stack, WORKER) for word in each.get("Environment", "").split()}
    assert "AIRFLOW__CELERY__BROKER_URL" in names
    assert not {name for name in names if re.search(r"SQL_ALCHEMY|JWT_SECRET|JWT_PRIVATE|FERNET|API__SECRET", name)}


def test_what_listens_and_what_is_published_is_what_the_document_says(stack: Rehearsal) -> None:
    table = documented("What each service listens for and holds")
    assert set(table) == {service.name for service in stack.compose.services.values() if not service.profiles}
    said = {address for row in table.values() for address in words(row[0])}
    found = {f"{'[::]' if address == '::' else address}:{port}" for address, port in stack.listening()}
    assert found == said
    published = {
        f"{address}:{inner}" for service in stack.compose.services.values() for address, _, inner in service.ports
    }
    assert published == {address for row in table.values() for address in words(row[1])}
    assert all(address.startswith("127.0.0.1:") for address in published)
    networks = documented("Networks")
    for name, row in networks.items():
        there = {service.name for service in stack.compose.services.values() if name in service.networks}
        assert {each for each in there if not stack.compose.services[each].profiles} == words(row[1]), name


# The databases and the broker.

CONNECTS = """
    import json, sys, psycopg
    users, found = json.load(sys.stdin), []
    for user, password in users.items():
        for database in ("airflow", "celery", "mlflow", "ledger", "postgres", "template1"):
            try:
                psycopg.connect(host="postgres", user=user, password=password, dbname=database).close()
            except psycopg.OperationalError:
                continue
            found.append(f"{user} to {database}")
    print("TOLD " + json.dumps(found))
"""


def test_each_database_is_open_to_its_own_user_alone(stack: Rehearsal, known: dict[str, str]) -> None:
    users = {
        "airflow": known["AIRFLOW_DB_PASSWORD"], "celery": known["CELERY_DB_PASSWORD"],
        "mlflow": known["MLFLOW_DB_PASSWORD"], "ledger": known["LEDGER_DB_PASSWORD"],
        "ledger_owner": known["LEDGER_OWNER_PASSWORD"], "postgres": "postgres",
    }  # fmt: skip
    own = {"airflow to airflow", "celery to celery", "mlflow to mlflow", "ledger to ledger", "ledger_owner to ledger"}

    def connects(given: Mapping[str, str]) -> set[str]:
        command = ("python", "-W", "ignore", "-c", textwrap.dedent(CONNECTS))
        return set(told(stack.run(WORKER, *command, stdin=json.dumps(given).encode())[1]))

    assert connects(users) == own
    # Who may everywhere is seen to.
    assert len(connects({"postgres": known["POSTGRES_PASSWORD"]})) == 6


REWRITES = """
    import json, os, psycopg
    url = os.environ["PIPELINE_LEDGER"].replace("postgresql+psycopg", "postgresql")
    found = []
    for statement in (
        "UPDATE promotions SET why = 'x'", "UPDATE promotions SET epoch = epoch", "UPDATE outcomes SET body = body",
        "DELETE FROM promotions", "DELETE FROM outcomes", "TRUNCATE promotions", "TRUNCATE outcomes CASCADE",
        "DROP TABLE promotions", "DROP TABLE outcomes", "ALTER TABLE promotions ADD x int",
        "ALTER TABLE promotions DISABLE TRIGGER ALL", "DROP TRIGGER promotions_update ON promotions",
        "CREATE TABLE mine (x int)", "CREATE SCHEMA mine", "CREATE ROLE mine", "SET ROLE ledger_owner",
        "ALTER ROLE ledger SUPERUSER", "SET session_replication_role = 'replica'", "COPY promotions TO PROGRAM 'id'",
        "CREATE RULE r AS ON INSERT TO promotions DO INSTEAD NOTHING", "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_authid",
        "ALTER ROLE ledger CONNECTION LIMIT 1000", "LOCK TABLE outcomes IN SHARE MODE",
        "LOCK TABLE promotions IN ACCESS EXCLUSIVE MODE",
        "SELECT * FROM promotions", "UPDATE turns SET usecase = usecase",
    ):
        with psycopg.connect(url) as connection:
            try:
                connection.execute(statement)
            except psycopg.Error as error:
                assert error.sqlstate in ("42501", "23001"), (statement, error)
            else:
                found.append(statement)
            connection.rollback()
    print("TOLD " + json.dumps(found))
"""


def test_a_worker_adds_to_the_ledger_and_rewrites_nothing(stack: Rehearsal) -> None:
    """The last two are what it may, so that this is seen to tell one from the other."""
    assert told(python(stack, WORKER, REWRITES)) == ["SELECT * FROM promotions", "UPDATE turns SET usecase = usecase"]


HOARDS = """
    import json, os, sys, psycopg
    held, found = [], []
    for name in ("PIPELINE_LEDGER", "AIRFLOW__CELERY__RESULT_BACKEND"):
        url = "postgresql://" + os.environ[name].split("://", 1)[1]
        for _ in range(400):
            try:
                held.append(psycopg.connect(url))
            except psycopg.OperationalError as error:
                assert "too many connections for role" in str(error), error
                break
    for user, password in json.load(sys.stdin).items():
        with psycopg.connect(host="postgres", user=user, password=password, dbname=user) as connection:
            found.append(connection.execute("SELECT current_user").fetchone()[0])
    print("TOLD " + json.dumps([len(held), found]))
"""


def test_a_worker_that_takes_all_the_connections_it_can_get_leaves_enough(
    stack: Rehearsal, known: dict[str, str]
) -> None:
    others = {"airflow": known["AIRFLOW_DB_PASSWORD"], "mlflow": known["MLFLOW_DB_PASSWORD"]}
    command = ("python", "-W", "ignore", "-c", textwrap.dedent(HOARDS))
    held, found = told(stack.run(WORKER, *command, stdin=json.dumps(others).encode())[1])
    assert held > 90  # both of its users were used up
    assert found == ["airflow", "mlflow"]


BROKER = """
    import json, os, redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
    from urllib.parse import urlsplit
    right, found = urlsplit(os.environ["AIRFLOW__CELERY__BROKER_URL"]).password, []
    for name, password in {"none": None, "redis": "redis", "airflow": "airflow", "right": right}.items():
        try:
            redis.Redis("redis", password=password, retry=Retry(NoBackoff(), 0)).ping()
        except redis.exceptions.RedisError:
            continue
        found.append(name)
    print("TOLD " + json.dumps(found))
"""


def test_the_broker_answers_nobody_without_its_password(stack: Rehearsal) -> None:
    assert told(python(stack, WORKER, BROKER)) == ["right"]


# A worker that somebody has taken over.

FORGED = """
    import os, sys
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    from airflow.executors.workloads import ExecuteCallback
    from airflow.providers.celery.executors.celery_executor_utils import app
    message = {
        "type": "ExecuteCallback", "token": "", "dag_rel_path": "operate.py", "bundle_info": {"name": "dags-folder"},
        "log_path": None,
        "callback": {"id": "00000000-0000-0000-0000-000000000000", "fetch_method": "import_path", "data": {
            "path": "subprocess.check_output",
            "kwargs": {"args": ["sh", "-c", f"hostname > /logs/{sys.argv[1]}"]},
        }},
    }
    app.send_task("execute_workload", args=[ExecuteCallback.model_validate(message).model_dump_json()], queue="default")
"""


def test_a_forged_message_runs_in_a_worker_and_nowhere_else(stack: Rehearsal) -> None:
    """The document says so, plainly: whoever has one worker has them all. It is no way to anything beyond."""
    name = f"forged-{secrets.token_hex(4)}"
    python(stack, WORKER, FORGED, name)
    left = stack.folder / "volumes" / "logs" / name
    said = wait_for("the forged message", lambda: left.exists() and left.read_text().strip(), 180, pause=0.2)
    assert said.startswith("airflow-worker")
    left.unlink()


RESULT = """
    import json, os, pickle, subprocess, sys, uuid
    import sqlalchemy as sa
    from airflow.providers.celery.executors.celery_executor_utils import app

    class Bomb:
        def __reduce__(self):
            return (subprocess.check_output, (["sh", "-c", "id > /logs/" + sys.argv[1]],))

    honest, forged = str(uuid.uuid4()), str(uuid.uuid4())
    app.backend.store_result(honest, {"made": [1, "two"]}, "SUCCESS")
    app.backend.store_result(forged, None, "SUCCESS")
    engine = sa.create_engine(os.environ["AIRFLOW__CELERY__RESULT_BACKEND"].removeprefix("db+"))
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE celery_taskmeta SET result = :result WHERE task_id = :id"),
            {"result": pickle.dumps(Bomb()), "id": forged},
        )
    print("TOLD " + json.dumps([honest, forged]))
"""
READING = """
    import json, sys
    from airflow.providers.celery.executors.celery_executor_utils import BulkStateFetcher, app
    results = [app.AsyncResult(each) for each in sys.argv[1:]]
    states = BulkStateFetcher(1, app).get_many(results)
    print("TOLD " + json.dumps([[states[each][0] for each in sys.argv[1:]], results[0].result]))
"""


def test_a_forged_result_runs_nothing_in_the_scheduler(stack: Rehearsal) -> None:
    """Celery keeps results as pickles, which the scheduler would open, with all of Airflow's keys in its hands."""
    name = f"unpickled-{secrets.token_hex(4)}"
    left = stack.folder / "volumes" / "logs" / name
    forged = told(python(stack, WORKER, RESULT, name))
    assert told(python(stack, "airflow-scheduler", READING, *forged)) == [["SUCCESS", "SUCCESS"], {"made": [1, "two"]}]
    assert not left.exists()
    # With Celery's own way the same row does run: this test can see it.
    own = textwrap.dedent(READING).replace(
        "import json, sys", "import json, os, sys; del os.environ['AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS']", 1
    )
    stack.run("airflow-scheduler", "python", "-W", "ignore", "-c", own, forged[1])
    assert left.exists()
    left.unlink()


# Nothing secret is written down.
