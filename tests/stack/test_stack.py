"""The embedded stack: what it refuses, what it keeps private, what survives it (nothing)."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from stack import Settings, Stack, StackError, databases, preflight, signin
from stack.client import RefusedError
from stack.process import CRASHES, Process, members, sweep
from stack.settings import ROOT
from tests.once import databases_in

DAGS = '''
from airflow.sdk import dag, task


@dag(schedule=None)
def seven():
    """Seven empty tasks in a row."""
    last = None
    for number in range(7):

        @task(task_id=f"step{number}")
        def step():
            return {"ok": True}

        this = step()
        if last is not None:
            last >> this
        last = this


@dag(schedule=None)
def sleeper():
    @task
    def sleep():
        import time

        time.sleep(600)

    sleep()


seven()
sleeper()
'''


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(true: Callable[[], object], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", free_port(), free_port(), dags=tmp_path, preload=())


def start_and_stop(settings: Settings) -> None:
    """For what must be refused: a stack that starts all the same does not stay."""
    with Stack(settings).running():
        pass


def test_settings_come_from_the_environment_and_home_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({"PIPELINE_AIRFLOW_PORT": "18080"})
    assert (settings.home, settings.airflow_port, settings.mlflow_port) == (tmp_path / "var", 18080, 5000)
    assert settings.airflow_url == "http://127.0.0.1:18080"


@pytest.mark.parametrize("port", ["eighty", "0", "70000", "5000"])
def test_a_port_that_cannot_be_is_refused_by_name(port):
    with pytest.raises(StackError, match=r"port; choose|share port 5000"):
        Settings.from_env({"PIPELINE_AIRFLOW_PORT": port})


def test_stray_settings_of_the_shell_do_not_reach_the_stack(settings, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY_CMD", "echo known")
    monkeypatch.setenv("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true")
    environment = replace(settings, extra={"AIRFLOW__CORE__PARALLELISM": "2"}).environment()
    assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    assert "AIRFLOW__API__SECRET_KEY_CMD" not in environment
    assert "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE" not in environment
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "2"


def test_secrets_are_made_once_and_for_their_owner_alone(settings):
    first, again = settings.environment(), settings.environment()
    assert first == again
    for path in settings.airflow_home.glob("*.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o700 for p in (settings.home, settings.airflow_home, settings.logs))
    passwords = signin.passwords(settings.airflow_home)
    assert len(set(passwords.values())) == 3
    assert min(map(len, passwords.values())) >= 20


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keys.json", "{}"),
        ("keys.json", "[1]"),
        ("keys.json", '{"fernet": "", "jwt": "", "api": ""}'),
        ("keys.json", '{"fernet": 1, "jwt": "a", "api": "b"}'),
        ("passwords.json", "[]"),
        ("passwords.json", '{"admin": null}'),
        ("passwords.json", "\x80"),
    ],
)
def test_damaged_secrets_are_refused_with_a_sentence(settings, name, text):
    settings.environment()
    (settings.airflow_home / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(StackError, match=rf"{name} is damaged \(.*\); delete it"):
        settings.environment()


@pytest.mark.parametrize("home", ["/etc/passwd", "/proc/1/x", "{here}/file", "{here}/taken"])
def test_a_home_that_cannot_be_one_is_refused_with_a_sentence(tmp_path, home):
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "airflow").touch()
    settings = Settings(Path(home.format(here=tmp_path)), free_port(), free_port(), tmp_path)
    with pytest.raises(StackError, match=r"can't be the stack's home .*; set PIPELINE_HOME"):
        start_and_stop(settings)


def test_a_home_of_nobody_is_refused_with_a_sentence():
    for read in (Settings.from_env, Settings.of_home):
        with pytest.raises(StackError, match="PIPELINE_HOME=~nobody-at-all leads nowhere"):
            read({"PIPELINE_HOME": "~nobody-at-all"})


@pytest.mark.parametrize(
    "link", ["logs", "airflow", "mlflow", "mlflow/artifacts", "airflow/logs", "airflow/config", "logs/mlflow.log"]
)
def test_a_home_whose_own_parts_are_links_out_of_it_is_refused_before_anything_is_touched(settings, tmp_path, link):
    other = tmp_path / "other"
    other.mkdir()
    (settings.home / link).parent.mkdir(parents=True)
    (settings.home / link).symlink_to(other)
    for folder in (other, settings.home):
        folder.chmod(0o755)
    with pytest.raises(StackError, match=rf"{link} is a link to {other}, outside the stack's home; remove the link"):
        start_and_stop(settings)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (other, settings.home)] == [0o755, 0o755]
    assert list(other.iterdir()) == []


def test_links_within_the_home_and_of_its_data_stay_the_users_affair(settings, tmp_path):
    settings.folders()
    (settings.airflow_home / "logs").mkdir()
    (settings.home / "landing").symlink_to(tmp_path)
    (settings.airflow_home / "latest").symlink_to("logs")
    settings.folders()


@pytest.mark.parametrize("name", ["airflow/airflow.db", "mlflow/mlflow.db"])
def test_a_database_that_is_none_is_refused_with_a_sentence_and_stays(settings, name):
    settings.folders()
    junk = b"not a database" * 400
    (settings.home / name).write_bytes(junk)
    with pytest.raises(StackError, match=rf"{name} can't be read as a database .*; put back a copy .* move it away"):
        start_and_stop(settings)
    assert (settings.home / name).read_bytes() == junk
    assert members(settings.home) == []


def test_mlflow_is_told_none_of_airflows_secrets(settings):
    settings.folders()
    secrets = asdict(signin.keys(settings.airflow_home)).values()
    stack = Stack(replace(settings, extra={"AIRFLOW__CORE__PARALLELISM": "2"}))
    stack._prepare()
    making = next(one for one in databases.due(settings) if one.name == "mlflow")
    migration = making.process(settings.home / "part", settings.environment(), settings.home)
    for process in (stack.processes["mlflow"], migration):
        told = process._environment
        assert [name for name in told if "AIRFLOW__" in name] == []
        assert [name for name, value in told.items() if any(secret in value for secret in secrets)] == []
    assert stack.processes["scheduler"]._environment["AIRFLOW__CORE__PARALLELISM"] == "2"


@pytest.mark.parametrize("name", ["passwords.json", "keys.json"])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_secrets_that_others_may_read_are_refused(settings, name, mode):
    settings.environment()
    (settings.airflow_home / name).chmod(mode)
    with pytest.raises(StackError, match=rf"{name} can be read by others \(mode 0{mode:o}\)"):
        settings.environment()


def test_a_taken_port_is_refused_before_anything_starts(settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.mlflow_port))
        other.listen()
        with pytest.raises(StackError, match=f"port {settings.mlflow_port}, meant for MLflow.*PIPELINE_MLFLOW_PORT="):
            Stack(settings).start()
    assert members(settings.home) == []


def test_a_full_disk_and_a_foreign_python_are_refused(settings, monkeypatch):
    settings.folders()
    monkeypatch.setattr("stack.preflight.shutil.disk_usage", lambda _: type("Usage", (), {"free": 10 * 2**20}))
    with pytest.raises(StackError, match="only 10 MB are free"):
        preflight.check(settings)
    monkeypatch.setattr("stack.preflight.importlib.util.find_spec", lambda _: None)
    with pytest.raises(StackError, match="no airflow and no mlflow"):
        preflight.check(settings)


def test_a_second_launcher_on_the_same_home_is_refused(settings):
    with (
        preflight.only_launcher(settings),
        pytest.raises(StackError, match=f"already runs on .*process {os.getpid()}"),
        preflight.only_launcher(settings),
    ):
        pass
    with preflight.only_launcher(settings):
        pass


@pytest.fixture
def web(settings: Settings) -> Iterator[Process]:
    """A small supervised process: the standard library's web server."""
    settings.folders()
    command = ["http.server", "--bind", "127.0.0.1", str(settings.mlflow_port)]
    process = Process("web", command, dict(os.environ), settings.home)
    process.start()
    yield process
    process.kill()


def test_a_process_is_its_own_session_and_logs_for_its_owner_alone(web, settings):
    assert os.getsid(web.pid) == web.pid != os.getsid(0)
    assert stat.S_IMODE(web.log.stat().st_mode) == 0o600
    assert eventually(lambda: members(settings.home) == [web.pid])


def test_the_fifth_crash_within_ten_minutes_stops_the_restarting(web):
    for _ in range(CRASHES - 1):
        os.kill(web.pid, signal.SIGKILL)
        assert eventually(lambda: not web.alive)
        web.restart("ended")
        assert web.alive
    with pytest.raises(StackError, match="web failed 5 times within 10 minutes"):
        web.restart("ended")


def test_leftovers_are_found_by_their_mark_and_ended(web, settings):
    assert eventually(lambda: members(settings.home))
    assert sweep(settings.home) == [web.pid]
    assert eventually(lambda: not web.alive)
    assert sweep(settings.home) == []


def test_a_forked_grandchild_dies_with_its_parent(settings, tmp_path):
    (tmp_path / "forker.py").write_text("import os, time\nos.fork()\ntime.sleep(600)\n")
    settings.folders()
    process = Process("forker", ["forker"], {**os.environ, "PYTHONPATH": str(tmp_path)}, settings.home)
    process.start()
    try:
        assert eventually(lambda: len(members(settings.home)) == 2)
        os.kill(process.pid, signal.SIGKILL)
        assert eventually(lambda: not members(settings.home), 3.0)
    finally:
        process.kill()
        sweep(settings.home)


# --- commands beside the stack -------------------------------------------------------------------------------------


def beside(home: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`python -m stack run …`, as somebody's shell would that knows of the home alone."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIPELINE", "AIRFLOW"))}
    return subprocess.run(
        [sys.executable, "-m", "stack", "run", *command],
        env={**environment, "PIPELINE_HOME": str(home), **more},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_beside_the_stack_gets_the_environment_with_which_it_was_started(settings):
    started = replace(settings, parallelism=3, extra={"PIPELINE_FIRST_DAY": "2013-01-15"})
    started.note()
    assert Settings.of_home({"PIPELINE_HOME": str(settings.home)}) == started
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    stray = {"AIRFLOW_HOME": "/elsewhere", "PIPELINE_MLFLOW_PORT": "1"}
    done = beside(settings.home, "python", "-c", show, "--dag-id", "a word of the command's own", **stray)
    found = json.loads(done.stdout)
    wanted = started.environment()
    assert {key: found.get(key) for key in wanted if key.startswith(("AIRFLOW", "MLFLOW", "PIPELINE"))} == {
        key: value for key, value in wanted.items() if key.startswith(("AIRFLOW", "MLFLOW", "PIPELINE"))
    }
    assert found["PATH"].startswith(str(Path(sys.executable).parent))


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"dags": 1}', "["])
def test_a_damaged_note_of_the_last_start_gets_a_sentence(settings, text):
    settings.note()
    (settings.airflow_home / "stack.json").write_text(text)
    done = beside(settings.home, "airflow", "version")
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (1, 1, "")
    assert "stack.json" in done.stdout
    assert "start the stack again to have it written" in done.stdout


@pytest.mark.parametrize("status", [0, 7])
def test_a_command_beside_the_stack_ends_with_its_own_status(settings, status):
    settings.note()
    assert beside(settings.home, "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize(
    ("command", "sentence"), [(["airfow", "dags"], "there is no command 'airfow'"), ([], "say which command")]
)
def test_a_command_that_is_not_there_gets_a_sentence(settings, command, sentence):
    settings.note()
    done = beside(settings.home, *command)
    assert (done.returncode, done.stdout.startswith(sentence), done.stdout.count("\n")) == (1, True, 1), done.stderr


def test_a_home_on_which_no_stack_was_started_gets_a_sentence_and_is_not_made(tmp_path):
    done = beside(tmp_path / "none", "airflow", "version")
    assert done.returncode == 1
    assert done.stdout == (
        f"no stack was ever started on {tmp_path / 'none'}; start one (`make demo`, `make start`), "
        "or set PIPELINE_HOME to the folder of one\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_a_person_copies_is_whole_at_80_columns(settings):
    from rich.console import Console

    from stack.__main__ import show_addresses

    settings.environment()
    out = io.StringIO()
    stack = Stack(settings)
    show_addresses(Console(file=out, width=80), stack)
    for wanted in (
        f"{stack.mlflow_url}/#/experiments?workflowType=machine_learning",
        settings.mlflow_store,
        str(signin.password_file(settings.airflow_home)),
        str(settings.logs),
    ):
        assert wanted in out.getvalue()


# --- databases in one piece ----------------------------------------------------------------------------------------


def table(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")]


def write(database: Path, number: int, journal: str = "WAL") -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
        connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", [number])
        connection.commit()


def killed_while_it_writes(database: Path, number: int) -> None:
    """What it has written stays in the journal beside the file."""
    code = (
        f"import pathlib, os, sqlite3, tests.stack.test_stack as t; c = sqlite3.connect({str(database)!r});"
        f"t.write(pathlib.Path({str(database)!r}), {number}); os.kill(os.getpid(), 9)"
    )
    keep = "c.execute('PRAGMA journal_mode=WAL'); c.execute('SELECT * FROM sqlite_master').fetchall();"
    code = code.replace("t.write", keep + "t.write", 1)
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -9


def test_an_error_while_a_database_is_brought_up_to_date_leaves_the_old_one(tmp_path):
    database = tmp_path / "a.db"
    write(database, 1)
    with pytest.raises(KeyError), databases.in_one_piece(database, renew=True) as part:  # noqa: PT012
        write(part, 2)
        assert table(part) == [1, 2]
        raise KeyError
    assert table(database) == [1]
    with databases.in_one_piece(database, renew=True) as part:
        assert table(part) == [1], "what the first one left is gone"
        write(part, 3)
    assert table(database) == [1, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.db.lock", "a.db"]


def test_what_a_killed_process_left_in_its_journal_is_neither_lost_nor_read_into_the_new_file(tmp_path):
    database = tmp_path / "a.db"
    killed_while_it_writes(database, 1)
    assert (tmp_path / "a.db-wal").stat().st_size > 0
    with databases.in_one_piece(database, renew=True) as part:
        killed_while_it_writes(part, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.db.lock", "a.db"]
    assert table(database) == [1, 2]


def test_a_file_that_was_never_finished_is_made_anew_and_one_that_another_made_meanwhile_stays(tmp_path):
    database = tmp_path / "a.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE half (n INTEGER)")
    with databases.in_one_piece(database, renew=True) as part:
        assert not part.exists()
        write(part, 1)
    with databases.in_one_piece(database, renew=False) as part:
        write(part, 2)
    assert table(database) == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.db.lock", "a.db"]


def test_a_database_that_another_program_has_open_is_not_replaced_under_its_feet(tmp_path):
    database = tmp_path / "a.db"
    write(database, 1)
    with (  # noqa: PT012
        closing(sqlite3.connect(database)) as other,
        pytest.raises(StackError, match=r"another program has .*a\.db open"),
        databases.in_one_piece(database, renew=True) as part,
    ):
        other.execute("BEGIN IMMEDIATE")
        write(part, 2)
    assert table(database) == [1]


def test_a_savepoint_that_reads_and_then_writes_waits_for_others_in_place_of_failing(tmp_path):
    import sqlalchemy as sa

    import stack.locks

    assert stack.locks.__doc__
    write(tmp_path / "a.db", 1)
    one, two = (sa.create_engine(f"sqlite:///{tmp_path / 'a.db'}", connect_args={"timeout": 5}) for _ in range(2))

    def beside_it() -> None:
        with two.begin() as other:
            other.execute(sa.text("INSERT INTO t VALUES (2)"))

    with one.connect() as connection:
        with connection.begin_nested():
            connection.execute(sa.text("SELECT n FROM t")).fetchall()
            thread = threading.Thread(target=beside_it)
            thread.start()
            thread.join(0.5)
            connection.execute(sa.text("INSERT INTO t VALUES (3)"))
        connection.commit()
    thread.join()
    assert table(tmp_path / "a.db") == [1, 2, 3]


@pytest.mark.live
@pytest.mark.parametrize("tables", [1, 20])
def test_a_start_that_was_killed_while_it_made_the_databases_is_made_good_by_the_next(tmp_path, free_ports, tables):
    """Killed once this many tables are there, in whichever file of either program."""
    home, ports = (
        tmp_path / "home",
        dict(zip(("PIPELINE_AIRFLOW_PORT", "PIPELINE_MLFLOW_PORT"), free_ports, strict=True)),
    )
    (tmp_path / "dags").mkdir()
    mine = {"PIPELINE_HOME": str(home), "PIPELINE_DAGS": str(tmp_path / "dags"), "PIPELINE_PRELOAD": ""}
    environment = {**os.environ, **{name: str(port) for name, port in ports.items()}, **mine}

    def begun(folder: str, name: str) -> bool:
        for path in (home / folder / name, home / folder / f".{name}.part"):
            if path.exists():
                try:
                    with closing(sqlite3.connect(path, timeout=0.01)) as connection:
                        found = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
                        return bool(found.fetchone()[0] >= tables)
                except sqlite3.OperationalError:
                    continue  # being written
        return False

    for folder, name in (("mlflow", "mlflow.db"), ("airflow", "airflow.db")):
        launcher = subprocess.Popen(
            [sys.executable, "-m", "stack"], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL
        )
        assert eventually(lambda folder=folder, name=name: begun(folder, name), 60)
        launcher.kill()
        launcher.wait()
        assert eventually(lambda: not members(home), 5)
        assert not (home / folder / name).exists(), "half a database must not lie where a whole one belongs"
    with Stack(Settings.from_env(environment)).running() as stack:
        assert stack.mlflow_answers()
        page = f"{stack.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
        assert json.loads(urllib.request.urlopen(page).read())["experiments"][0]["name"] == "Default"
        assert stack.api("GET", "/pools")["pools"]
    for folder in ("airflow", "mlflow"):
        assert not list((home / folder).glob("*.part*"))


# --- with real servers ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "dags").mkdir()
    (folder / "dags" / "dags.py").write_text(DAGS)
    home = databases_in(tmp_path_factory, folder / "home")
    settings = Settings(home, free_port(), free_port(), folder / "dags", preload=())
    with Stack(settings).running(on_progress=print) as stack:
        stack.wait_for_dags("seven", "sleeper")
        yield stack
    assert members(settings.home) == []


def trigger(stack: Stack, dag: str, user: str = "admin") -> str:
    stack.api("PATCH", f"/dags/{dag}?update_mask=is_paused", {"is_paused": False}, user=user)
    run = stack.api("POST", f"/dags/{dag}/dagRuns", {"logical_date": None}, user=user)
    return f"/dags/{dag}/dagRuns/{run['dag_run_id']}"


def state(stack: Stack, path: str) -> str:
    return str(stack.api("GET", path)["state"])


def busy(stack: Stack) -> bool:
    """Four parts, four workers of the executor, and a task."""
    return len(members(stack.settings.home)) >= 9


def listeners(pids: list[int]) -> list[str]:
    """The addresses, in the kernel's hexadecimal, at which these processes listen."""
    inodes = set()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(fd.readlink()).removeprefix("socket:[").removesuffix("]"))
            except OSError:
                continue
    rows = [
        line.split()
        for table in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[9] in inodes and row[3] in {"0A", "07"}]


@pytest.mark.live
def test_nothing_listens_beyond_loopback(live):
    path = trigger(live, "seven", "approver")
    assert eventually(lambda: state(live, path) == "success")
    found = listeners(members(live.settings.home))
    ports = {f"{port:04X}" for port in (live.settings.airflow_port, live.settings.mlflow_port)}
    assert {address.split(":")[1] for address in found} == ports
    assert all(address.startswith("0100007F:") for address in found), found


@pytest.mark.live
def test_every_file_is_its_owners_alone(live):
    assert [p for p in live.settings.home.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o077] == []


@pytest.mark.live
def test_roles_hold_and_strangers_get_nothing(live):
    with pytest.raises(RefusedError) as refusal:
        trigger(live, "seven", "viewer")
    assert refusal.value.status == 403
    for path in ("/api/v2/dags", "/api/v2/pools", "/api/v2/config", "/api/v2/connections"):
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(live.airflow_url + path)
        assert answer.value.code == 401, path
    assert b"swagger" not in urllib.request.urlopen(f"{live.airflow_url}/docs").read()
    with pytest.raises(RefusedError) as refusal:
        live.api("GET", "/config")
    assert refusal.value.status == 403
    page = f"{live.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
    assert urllib.request.urlopen(page).status == 200
    request = urllib.request.Request(page, headers={"Host": "10.evil.example"})
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(request)
    assert answer.value.code == 403


@pytest.mark.live
def test_a_pool_can_be_made_twice(live):
    live.pool("promotion", 2)
    live.pool("promotion", 1)
    assert live.api("GET", "/pools/promotion")["slots"] == 1


@pytest.mark.live
def test_a_dag_that_is_not_there_is_named(live):
    with pytest.raises(StackError, match="no DAG absent in"):
        live.wait_for_dags("absent", timeout=1.0)


ROUND_TRIP = """
import sys
import mlflow, numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

http, direct, root = sys.argv[1:]
x = np.linspace(0, 1, 20).reshape(-1, 1)
for number, (writer, reader) in enumerate(((http, direct), (direct, http), (http, direct))):
    mlflow.set_tracking_uri(writer), mlflow.set_registry_uri(writer)
    if number < 2:
        where = None if writer == http else f"{root}/e{number}"
        MlflowClient().create_experiment(f"e{number}", artifact_location=where)
    mlflow.set_experiment(f"e{number % 2}")
    with mlflow.start_run() as run:
        mlflow.log_text("why", "verdict.html")
        model = mlflow.sklearn.log_model(LogisticRegression().fit(x, x[:, 0] > 0.5), name="model", pip_requirements=[],
                                         serialization_format="skops", registered_model_name="m")
    version = model.registered_model_version
    MlflowClient().set_registered_model_alias("m", "champion", version)
    mlflow.set_tracking_uri(reader), mlflow.set_registry_uri(reader)
    assert mlflow.sklearn.load_model("models:/m@champion").predict([[0.9]])
    assert mlflow.artifacts.load_text(run.info.artifact_uri + "/verdict.html") == "why"
    print("LOOK", f"/get-artifact?path=verdict.html&run_uuid={run.info.run_id}")
    print("LOOK", f"/model-versions/get-artifact?path=MLmodel&name=m&version={version}")
    print("LOOK", f"/ajax-api/2.0/mlflow/logged-models/{model.model_id}/artifacts/files?artifact_file_path=MLmodel")
"""


@pytest.mark.live
def test_models_and_artifacts_are_the_same_with_and_without_the_server(live, tmp_path):
    settings = live.settings
    command = [sys.executable, "-W", "ignore", "-c", ROUND_TRIP, settings.mlflow_url, settings.mlflow_store]
    environment = settings.environment()
    done = subprocess.run(
        [*command, str(settings.artifacts)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    looks = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("LOOK")]
    assert len(looks) == 9
    assert all(urllib.request.urlopen(settings.mlflow_url + look).status == 200 for look in looks)
    assert list(tmp_path.iterdir()) == []


def ask(stack: Stack, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """What a client that has not signed in gets from MLflow."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        stack.mlflow_url + path, data, {"Content-Type": "application/json"} | more, method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


@pytest.mark.live
def test_whoever_has_not_signed_in_writes_no_dag_through_mlflow(live):
    create = "/api/2.0/mlflow/experiments/create"
    dags, inside = live.settings.dags, live.settings.artifacts / "inside"
    assert ask(live, "POST", create, {"name": "evil", "artifact_location": str(dags)})[0] == 403
    status, body, _ = ask(live, "POST", create, {"name": "inside", "artifactLocation": str(inside)})
    assert status == 200
    run = {"experiment_id": json.loads(body)["experiment_id"], "start_time": 1}
    number = json.loads(ask(live, "POST", "/api/2.0/mlflow/runs/create", run)[1])["run"]["info"]["run_id"]
    upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={number}&path=evil.py"
    status, body, _ = ask(live, "POST", upload, b"print('evil')")
    assert (status, json.loads(body)["error_code"]) == (403, "PERMISSION_DENIED")
    assert not list(dags.glob("evil*"))
    assert not list(live.settings.home.rglob("evil*"))


@pytest.mark.live
def test_a_page_of_another_port_neither_changes_nor_reads_mlflow(live):
    create, search = "/api/2.0/mlflow/experiments/create", "/ajax-api/2.0/mlflow/experiments/search?max_results=1"
    foreign = "http://localhost:1"
    assert ask(live, "POST", create, {"name": "foreign"}, Origin=foreign)[0] == 403
    assert ask(live, "POST", create, {"name": "plain"}, Content_Type="text/plain")[0] == 415
    for method in ("GET", "OPTIONS"):
        *_, headers = ask(live, method, search, Origin=foreign, Access_Control_Request_Method="POST")
        assert not [name for name in headers if name.lower().startswith("access-control-")]
    assert ask(live, "POST", create, {"name": "own page"}, Origin=live.mlflow_url)[0] == 200


@pytest.mark.live
def test_mlflows_own_pages_find_what_they_ask_for(live):
    page = ask(live, "GET", "/")[1].decode()
    scripts = [part.partition('"')[0] for part in page.split('src="')[1:]]
    assert scripts
    for path in (
        *(f"/{script.lstrip('./')}" for script in scripts),
        "/ajax-api/2.0/mlflow/experiments/search?max_results=5",
        "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0",
        "/ajax-api/2.0/mlflow/registered-models/search",
        "/ajax-api/2.0/mlflow/model-versions/search",
        "/ajax-api/3.0/mlflow/server-info",
        "/ajax-api/3.0/mlflow/ui-telemetry",
        "/version",
    ):
        assert ask(live, "GET", path)[0] == 200, path
    query = {"query": 'query { mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }'}
    for path, body in (
        ("/graphql", query),
        ("/ajax-api/2.0/mlflow/runs/search", {"experiment_ids": ["0"]}),
        ("/ajax-api/2.0/mlflow/logged-models/search", {"experiment_ids": ["0"]}),
        ("/ajax-api/3.0/mlflow/traces/search", {"locations": []}),
    ):
        assert ask(live, "POST", path, body, Origin=live.mlflow_url)[0] == 200, path


@pytest.mark.live
@pytest.mark.parametrize("name", ["api-server", "dag-processor", "mlflow", "scheduler"])
def test_a_killed_part_comes_back_and_leaves_no_orphan(live, name):
    process = live.processes[name]
    dead = process.pid
    if name == "scheduler":
        path = trigger(live, "sleeper")
        assert eventually(lambda: state(live, path) == "running" and busy(live))
    os.kill(dead, signal.SIGKILL)
    assert eventually(lambda: not process.alive, 3)
    assert eventually(lambda: not [p for p in members(live.settings.home) if os.getsid(p) == dead], 3)
    assert live.watch_once() == [f"{name} ended with code -9: restarted"]
    live._answered.clear()
    assert eventually(lambda: live._note_beats() or live._answered.get(name, 0) >= process.started, 60)
    path = trigger(live, "seven")
    assert eventually(lambda: state(live, path) == "success", 60)


@pytest.mark.live
def test_a_scheduler_that_is_alive_but_stuck_is_restarted(live):
    live.processes["scheduler"].started -= 60  # its grace at start is over
    os.kill(live.processes["scheduler"].pid, signal.SIGSTOP)
    began = time.monotonic()
    assert eventually(lambda: any("scheduler was stuck" in line for line in live.watch_once()), 60)
    assert time.monotonic() - began < 45
    path = trigger(live, "seven")
    assert eventually(lambda: state(live, path) == "success", 60)


@pytest.mark.live
@pytest.mark.parametrize(("number", "within"), [(signal.SIGINT, 12.0), (signal.SIGTERM, 12.0), (signal.SIGKILL, 3.0)])
def test_nothing_survives_the_launcher(tmp_path, tmp_path_factory, number, within):
    databases_in(tmp_path_factory, tmp_path / "home")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "dags.py").write_text(DAGS)
    ports = {"PIPELINE_AIRFLOW_PORT": str(free_port()), "PIPELINE_MLFLOW_PORT": str(free_port())}
    mine = {"PIPELINE_HOME": str(tmp_path / "home"), "PIPELINE_DAGS": str(tmp_path / "dags"), "PIPELINE_PRELOAD": ""}
    environment = {**os.environ, **ports, **mine}
    launcher = subprocess.Popen(
        [sys.executable, "-m", "stack"], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    stack = Stack(Settings.from_env(environment))
    try:
        assert launcher.stdout is not None
        assert any("Ready" in line for line in launcher.stdout)
        stack.wait_for_dags("sleeper")
        path = trigger(stack, "sleeper")
        assert eventually(lambda: state(stack, path) == "running" and busy(stack))
        began = time.monotonic()
        launcher.send_signal(number)
        assert eventually(lambda: not members(stack.settings.home), within)
        assert launcher.wait(3) == (-9 if number == signal.SIGKILL else 0)
        print(f"{number.name}: gone after {time.monotonic() - began:.1f} s")
    finally:
        launcher.kill()
        launcher.wait()


def test_a_home_keeps_its_calendar_when_a_plain_stack_is_started_on_it(settings):
    days = {"PIPELINE_FIRST_DAY": "2013-01-15", "PIPELINE_LAST_DAY": "2013-01-29"}
    plain = replace(settings, extra={})
    assert plain.with_calendar({}).extra == {}  # nothing was ever started here
    replace(settings, extra={**days, "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}).note()
    assert plain.with_calendar({}).extra == days
    assert plain.with_calendar({"PIPELINE_LAST_DAY": ""}).extra == {"PIPELINE_FIRST_DAY": "2013-01-15"}
    plain.with_calendar({}).note()
    assert plain.with_calendar({}).extra == days  # and the time after
