"""The team's stack in front of somebody who means harm: a stranger, a person with a role, whoever has taken a worker.

Every check is a function that says what is open, and is shown to find something that is. docs/security.md names each.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from rehearsal.client import Rehearsal
from tests.compose.team import wait_for

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.live

SECRET = re.compile(r"PASSWORD|SECRET|KEY")
ZEROS = "00000000-0000-0000-0000-000000000000"
WORKER = "airflow-worker-1"


class Answer(NamedTuple):
    """What a server said."""

    status: int
    text: str
    where: str = ""


class Client:
    """Speaks HTTP word by word: no redirect is followed, no header is added, no path is put in order."""

    def __init__(self, port: str, user: str = "", password: str = "", token: str = "") -> None:
        self.port = int(port)
        self.headers: dict[str, str] = {"Content-Type": "application/json"}
        if user:
            self.headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, data, {**self.headers, **more})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(errors="replace"), answer.headers.get("Location", ""))
        finally:
            connection.close()


@pytest.fixture(scope="session")
def airflow(known: dict[str, str], stack: Rehearsal) -> dict[str, Client]:
    """Airflow to each of its users, and to nobody."""
    nobody = Client(known["AIRFLOW_PORT"])

    def signed_in(name: str) -> Client:
        asked = {"username": name, "password": known[f"AIRFLOW_{name.upper()}_PASSWORD"]}
        token = json.loads(nobody("POST", "/auth/token", asked).text)["access_token"]
        return Client(known["AIRFLOW_PORT"], token=token)

    return {"nobody": nobody, **{name: signed_in(name) for name in ("admin", "operator", "approver", "viewer")}}


@pytest.fixture(scope="session")
def mlflow(known: dict[str, str], stack: Rehearsal) -> dict[str, Client]:
    """MLflow to each of its users, and to nobody."""
    port = known["MLFLOW_PORT"]
    users = {
        name: Client(port, name, known[f"MLFLOW_{name.upper()}_PASSWORD"]) for name in ("admin", "pipeline", "reviewer")
    }
    return {"nobody": Client(port), **users}


def python(stack: Rehearsal, where: str, script: str, *arguments: str) -> str:
    """What a script says that runs inside an instance, as its user and with its environment."""
    status, said = stack.run(where, "python", "-W", "ignore", "-c", textwrap.dedent(script), *arguments, timeout=120)
    assert status == 0, said[-2000:]
    return said


def told(said: str) -> Any:
    """What a script has printed behind the word TOLD."""
    return json.loads(next(line for line in said.splitlines() if line.startswith("TOLD ")).removeprefix("TOLD "))


# Every route of both servers, from the applications themselves: a later version's new ones are found.

AIRFLOW_ROUTES = """
    import json
    from airflow.api_fastapi.app import create_app
    from airflow.api_fastapi.execution_api.routes import execution_api_router

    def walk(routes, above=""):
        for route in routes:
            path, inner = above + getattr(route, "path", ""), getattr(route, "app", None)
            flask = inner if hasattr(inner, "url_map") else getattr(inner, "app", None)
            if getattr(route, "methods", None):
                yield path, sorted(route.methods)
            elif hasattr(flask, "url_map"):
                yield from ((path + rule.rule, sorted(rule.methods)) for rule in flask.url_map.iter_rules())
            elif getattr(inner, "routes", None):
                yield from walk(inner.routes, path)
            else:
                yield path + "/{file}", ["GET"]

    found = list(walk(create_app().routes)) + list(walk(execution_api_router.routes, "/execution"))
    print("TOLD " + json.dumps(found))
"""
MLFLOW_ROUTES = """
    import json, os
    os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
    from mlflow.server import app as flask
    from mlflow.server.auth import create_app
    found = [(route.path, sorted(getattr(route, "methods", None) or ())) for route in create_app(flask).routes]
    found += [(rule.rule, sorted(rule.methods)) for rule in flask.url_map.iter_rules()]
    print("TOLD " + json.dumps(found))
"""
Routes = list[tuple[str, str]]


@pytest.fixture(scope="session")
def routes(stack: Rehearsal) -> dict[str, Routes]:
    """Method and path, filled in, of everything that each server answers."""

    def of(where: str, script: str) -> Routes:
        found = told(python(stack, where, script))
        each = {(method, filled(path)) for path, methods in found for method in methods if path}
        return sorted(pair for pair in each if pair[0] not in ("HEAD", "OPTIONS"))

    with ThreadPoolExecutor(2) as pool:
        asked = {"airflow": ("airflow-apiserver", AIRFLOW_ROUTES), "mlflow": ("mlflow", MLFLOW_ROUTES)}
        futures = {name: pool.submit(of, *how) for name, how in asked.items()}
        return {name: future.result() for name, future in futures.items()}


def filled(path: str) -> str:
    """A path with something in its holes that has the right form."""
    number = ZEROS if path.startswith("/execution") else "1"
    return re.sub(r"\{[^}]*\}|<[^>]*>", number, path)


def open_routes(routes: Routes, ask: Callable[..., Answer]) -> dict[str, int]:
    """Routes that do anything but send the asker away."""

    def one(route: tuple[str, str]) -> Answer:
        method, path = route
        return ask(method, path, None if method == "GET" else {})

    with ThreadPoolExecutor(4) as pool:
        answers = zip(routes, pool.map(one, routes), strict=True)
        return {
            f"{method} {path}": answer.status
            for (method, path), answer in answers
            if answer.status not in (401, 403) and not _to_sign_in(answer)
        }


def _to_sign_in(answer: Answer) -> bool:
    return answer.status in (302, 307) and "/login" in answer.where


def browser(ask: Client) -> Callable[..., Answer]:
    """Somebody with the sign-in page before him: his forms have the mark that says they come from there."""
    connection = http.client.HTTPConnection("127.0.0.1", ask.port, timeout=60)
    connection.request("GET", "/auth/login/")
    page = connection.getresponse()
    mark = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.read().decode())
    cookie = (page.headers.get("Set-Cookie") or "").split(";")[0]
    assert mark, "the sign-in page has no mark against forged forms"

    def send(method: str, path: str, body: Any = None) -> Answer:
        return ask(method, path, body, Cookie=cookie, X_CSRFToken=mark[1], Referer=f"http://127.0.0.1:{ask.port}/")

    return send


# The frame of the pages, which shows nothing without a sign-in, and its files.
FRAME = {"GET /1", "GET /static/1", "GET /auth/static/1", "GET /auth/static/appbuilder/1"}
# What every Airflow of this version says of itself: its interfaces, as anybody can read in its documentation.
DESCRIPTIONS = {
    *("GET /openapi.json", "GET /auth/openapi.json", "GET /auth/docs", "GET /auth/docs/oauth2-redirect"),
    *("GET /auth/redoc", "GET /execution/docs", "GET /execution/docs/oauth2-redirect", "GET /execution/redoc"),
    *("GET /execution/openapi.json", "GET /execution/changelog"),
}
HEALTH = {"GET /api/v2/monitor/health", "GET /api/v2/version", "GET /execution/health", "GET /execution/health/ping"}
GONE = {"GET /health", "GET /api/1", "GET /api/v1/1"}
SIGN_IN = {
    *("POST /auth/token", "POST /auth/token/cli", "GET /auth/login/", "POST /auth/login/"),
    *("POST /auth/api/v1/security/login", "GET /auth/logout/", "GET /api/v2/auth/logout", "GET /auth/back"),
    "GET /auth/",
}
# A list's buttons ask for the permission of the button, of which there is none by that name; see below.
BUTTON = re.compile(r"(GET|POST) /auth/\w+/(action/1/1|action_post)")
MLFLOW_OPEN = {
    *("GET /health", "GET /static-files/1"),
    *("GET /api/3.0/mlflow/server-info", "GET /ajax-api/3.0/mlflow/server-info"),
}


def test_airflow_shows_a_stranger_its_health_its_version_and_the_way_in(
    routes: dict[str, Routes], airflow: dict[str, Client]
) -> None:
    assert len(routes["airflow"]) > 250
    found = open_routes(routes["airflow"], browser(airflow["nobody"]))
    expected = FRAME | DESCRIPTIONS | HEALTH | GONE | SIGN_IN
    assert {route for route in set(found) - expected if not BUTTON.fullmatch(route)} == set()
    assert not [route for route, status in found.items() if BUTTON.fullmatch(route) and status == 200]
    assert all(found.get(route) in (404, 410) for route in GONE)
    users = json.loads(airflow["admin"]("GET", "/auth/fab/v1/users").text)["total_entries"]
    press = browser(airflow["nobody"])
    for number in range(1, users + 1):
        press("POST", f"/auth/users/action/muldelete/{number}", {})
        press("POST", f"/auth/users/delete/{number}", {})
    assert json.loads(airflow["admin"]("GET", "/auth/fab/v1/users").text)["total_entries"] == users
    # None of the descriptions says anything of this stack.
    said = "".join(airflow["nobody"](*route.split(" ", 1)).text for route in DESCRIPTIONS | HEALTH)
    assert not [name for name in ("roll_back", "flight_delay", "postgres:", "/opt/pipeline") if name in said]


def test_mlflow_shows_a_stranger_its_health_and_what_it_is(
    routes: dict[str, Routes], mlflow: dict[str, Client]
) -> None:
    assert len(routes["mlflow"]) > 400
    assert set(open_routes(routes["mlflow"], mlflow["nobody"])) <= MLFLOW_OPEN
    kinds = re.sub(r'"\w+":', "", mlflow["nobody"]("GET", "/api/3.0/mlflow/server-info").text)
    assert set(re.findall(r"[\w:/.-]+", kinds)) <= {"SqlStore", "true", "false"}, kinds


def test_the_sweep_finds_what_is_open(
    routes: dict[str, Routes], airflow: dict[str, Client], mlflow: dict[str, Client]
) -> None:
    """To whom the doors are open, it says so."""
    lists = [route for route in routes["airflow"] if re.fullmatch(r"/api/v2/\w+", route[1]) and route[0] == "GET"]
    assert len(open_routes(lists, airflow["admin"])) > len(open_routes(lists, airflow["viewer"])) > 5
    assert "POST /api/2.0/mlflow/experiments/create" in open_routes(
        [("POST", "/api/2.0/mlflow/experiments/create")], mlflow["pipeline"]
    )


# Who may what.

ADMIN, OPERATE, LOOK = {"admin"}, {"admin", "operator"}, {"admin", "operator", "approver", "viewer"}
MAY: list[tuple[str, str, Any, set[str]]] = [
    ("GET", "/api/v2/dags", None, LOOK),
    ("GET", "/api/v2/pools", None, LOOK),
    ("GET", "/api/v2/importErrors", None, LOOK),
    ("PATCH", "/api/v2/dags/lift_hold", {"is_paused": False}, LOOK - {"viewer"}),
    ("POST", "/api/v2/dags/lift_hold/dagRuns", {"nonsense": 1}, OPERATE),
    ("POST", "/api/v2/dags/lift_hold/clearTaskInstances", {"nonsense": 1}, OPERATE),
    ("PATCH", "/api/v2/dags/lift_hold/dagRuns/x/taskInstances/y", {}, OPERATE),
    ("POST", "/api/v2/backfills", {}, OPERATE),
    ("DELETE", "/api/v2/dags/absent", None, ADMIN),
    ("DELETE", "/api/v2/dags/lift_hold/dagRuns/absent", None, ADMIN),
    ("POST", "/api/v2/dags/lift_hold/dagRuns/x/taskInstances/y/xcomEntries", {}, ADMIN),
    ("POST", "/api/v2/pools", {}, ADMIN),
    ("PATCH", "/api/v2/pools/training", {"nonsense": 1}, ADMIN),
    ("GET", "/api/v2/connections", None, ADMIN),
    ("POST", "/api/v2/connections", {}, ADMIN),
    ("GET", "/api/v2/variables", None, ADMIN),
    ("POST", "/api/v2/variables", {}, ADMIN),
    ("GET", "/api/v2/eventLogs", None, ADMIN),
    ("GET", "/api/v2/plugins", None, ADMIN),
    ("POST", "/api/v2/assets/events", {}, ADMIN),
    ("GET", "/auth/fab/v1/users", None, ADMIN),
    ("POST", "/auth/fab/v1/users", {}, ADMIN),
    ("PATCH", "/auth/fab/v1/users/viewer", {}, ADMIN),
    ("DELETE", "/auth/fab/v1/users/absent", None, ADMIN),
    ("GET", "/auth/fab/v1/roles", None, ADMIN),
    ("POST", "/auth/fab/v1/roles", {}, ADMIN),
    # What Airflow's settings take from everybody.
    ("GET", "/api/v2/config", None, set()),
    ("POST", "/api/v2/connections/test", {"connection_id": "x", "conn_type": "http"}, set()),
]


def let_in(people: Mapping[str, Client], method: str, path: str, body: Any) -> set[str]:
    """Whom the server does not send away."""
    return {name for name, ask in people.items() if ask(method, path, body).status not in (401, 403)}


def test_each_role_may_in_airflow_what_it_says_and_nothing_else(airflow: dict[str, Client]) -> None:
    found = {f"{method} {path}": let_in(airflow, method, path, body) for method, path, body, _ in MAY}
    assert found == {f"{method} {path}": who for method, path, _, who in MAY}


SEARCH = re.compile(
    r"POST (/graphql|/(ajax-)?api/[23]\.0/mlflow/.*(search|search-datasets|get-latest-versions|batchGetInfos|metrics"
    r"|calculate-filter-correlation))|PATCH /(ajax-)?api/2\.0/mlflow/users/update-password"
)


def test_a_reviewer_changes_nothing_in_mlflow(routes: dict[str, Routes], mlflow: dict[str, Client]) -> None:
    changing = [route for route in routes["mlflow"] if route[0] != "GET"]
    found = open_routes(changing, mlflow["reviewer"])
    assert {route for route in found if not SEARCH.fullmatch(route)} == set()
    assert any(SEARCH.fullmatch(route) for route in found)
    # What MLflow itself lets whoever is signed in do: make things of his own.
    api = "/api/2.0/mlflow"
    for path, body in (
        (f"{api}/experiments/create", {"name": "a reviewer's"}),
        (f"{api}/registered-models/create", {"name": "a reviewer's"}),
        (f"{api}//registered-models/create", {"name": "a reviewer's"}),
        ("/api/3.0/mlflow/gateway/secrets/create", {"secret_name": "s", "secret_value": {"key": "v"}}),
        (f"{api}/users/update-password", {"username": "pipeline", "password": "a reviewer's own"}),
    ):
        assert mlflow["reviewer"]("POST" if "users" not in path else "PATCH", path, body).status in (403, 404), path
    assert "a reviewer's" not in mlflow["admin"]("GET", f"{api}/experiments/search?max_results=1000").text


def test_the_pipelines_user_in_mlflow_has_no_say_over_users_servers_and_places(mlflow: dict[str, Client]) -> None:
    api, ask = "/api/2.0/mlflow", mlflow["pipeline"]
    for method, path, body in (
        ("POST", f"{api}/users/create", {"username": "mine", "password": "long enough 123"}),
        ("PATCH", f"{api}/users/update-admin", {"username": "pipeline", "is_admin": True}),
        ("PATCH", f"{api}/users/update-password", {"username": "reviewer", "password": "long enough 123"}),
        ("DELETE", f"{api}/users/delete", {"username": "reviewer"}),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create", {"secret_name": "s", "secret_value": {"key": "v"}}),
        ("GET", "/ajax-api/3.0/mlflow/gateway/supported-models", None),
        ("POST", f"{api}/webhooks", {"name": "w", "url": "http://airflow-apiserver:8080/", "events": []}),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message", {"message": "m"}),
        ("POST", "/ajax-api/3.0/jobs/", {}),
    ):
        assert ask(method, path, body).status == 403, path
    # An experiment's place may be any folder that the server can write.
    name = f"place {secrets.token_hex(4)}"
    for place in ("/tmp", "file:///tmp", "mlflow-artifacts:/../../tmp", "mlflow-artifacts:/0", "s3://elsewhere/x"):
        for field in ("artifact_location", "artifactLocation"):
            assert ask("POST", f"{api}/experiments/create", {"name": name, field: place}).status == 403, place
    for twice in (
        b'{"name": "x", "artifact_location": "", "artifact_location": "/tmp"}',
        b'"{}"',
        '{"name": "x"}'.encode("utf-16"),
    ):
        assert ask("POST", f"{api}/experiments/create", twice).status == 403
    # An admin may, so the request itself is sound.
    made = mlflow["admin"]("POST", f"{api}/experiments/create", {"name": name, "artifact_location": "/tmp"})
    assert made.status == 200
    mlflow["admin"]("POST", f"{api}/experiments/delete", json.loads(made.text))


@pytest.fixture(scope="session")
def run_of_pipeline(mlflow: dict[str, Client]) -> tuple[str, str]:
    """An experiment and a run of the pipeline's in MLflow."""
    api, ask = "/api/2.0/mlflow", mlflow["pipeline"]
    made = ask("POST", f"{api}/experiments/create", {"name": f"probe {secrets.token_hex(4)}"})
    experiment = json.loads(made.text)["experiment_id"]
    run = ask("POST", f"{api}/runs/create", {"experiment_id": experiment, "start_time": 1})
    return experiment, json.loads(run.text)["run"]["info"]["run_id"]


TRAVERSALS = (
    "../../../tmp/x",
    "..%2f..%2f..%2ftmp%2fx",
    "%2e%2e/%2e%2e/tmp/x",
    "/etc/passwd",
    "%252e%252e/x",
)


def test_artifacts_stay_where_they_belong(
    stack: Rehearsal, mlflow: dict[str, Client], run_of_pipeline: tuple[str, str]
) -> None:
    experiment, run = run_of_pipeline
    files, ask = "/api/2.0/mlflow-artifacts/artifacts", mlflow["pipeline"]
    own = f"{files}/{experiment}/{run}/artifacts/note.txt"
    assert ask("PUT", own, b"mine").status == 200
    assert ask("GET", own).text == "mine"
    for path in TRAVERSALS:
        for prefix in (files, f"{files}/{experiment}"):
            assert ask("PUT", f"{prefix}/{path}", b"evil").status >= 400, path
            assert ask("GET", f"{prefix}/{path}").status >= 400, path
        assert ask("GET", f"/get-artifact?run_uuid={run}&path={path}").status >= 400, path
    # Not an experiment's, so nobody's; and a reviewer's least of all.
    assert ask("PUT", f"{files}/somewhere/x", b"evil").status == 403
    for name in ("reviewer", "nobody"):
        assert mlflow[name]("PUT", own, b"evil").status in (401, 403)
        assert mlflow[name]("DELETE", own).status in (401, 403)
    assert mlflow["reviewer"]("GET", own).text == "mine"
    for source in ("file:///etc", "/etc", "mlflow-artifacts:/../x", f"runs:/{run}/../../x", "http://postgres:5432/"):
        body = {"name": "probe", "source": source, "run_id": run}
        assert 400 <= ask("POST", "/api/2.0/mlflow/model-versions/create", body).status < 500, source
    kept = [path for path in (stack.folder / "volumes").rglob("*") if path.is_file() and path.stat().st_size == 4]
    assert [path for path in kept if path.read_bytes() == b"mine"]
    assert not [path for path in kept if path.read_bytes() == b"evil"]


def test_a_page_of_another_site_and_another_name_for_this_host_are_refused(mlflow: dict[str, Client]) -> None:
    ask, search = mlflow["pipeline"], "/api/2.0/mlflow/experiments/search"
    own = f"127.0.0.1:{ask.port}"
    assert ask("GET", f"{search}?max_results=1", Host=own).status == 200
    for host in ("evil.example", "10.evil.example", f"127.0.0.1.evil.example:{ask.port}", "mlflow", "postgres:5000"):
        assert ask("GET", f"{search}?max_results=1", Host=host).status == 403, host
    for origin in ("http://evil.example", "null", "http://localhost:1", f"https://{own}.evil.example"):
        assert ask("POST", search, {"max_results": 1}, Origin=origin).status == 403, origin
    assert ask("POST", search, {"max_results": 1}, Origin=f"http://{own}").status == 200


WELL_KNOWN = ("airflow", "admin", "password1234", "")


def test_nobody_gets_in_with_a_well_known_password(known: dict[str, str], airflow: dict[str, Client]) -> None:
    def signs_in(name: str, password: str) -> bool:
        return airflow["nobody"]("POST", "/auth/token", {"username": name, "password": password}).status == 201

    def enters(name: str, password: str) -> bool:
        ask = Client(known["MLFLOW_PORT"], name, password)
        return ask("GET", "/api/2.0/mlflow/experiments/search?max_results=1").status == 200

    for password in WELL_KNOWN:
        assert not [name for name in ("admin", "airflow") if signs_in(name, password)]
        assert not [name for name in ("admin", "pipeline") if enters(name, password)]
    assert signs_in("viewer", known["AIRFLOW_VIEWER_PASSWORD"])
    assert enters("admin", known["MLFLOW_ADMIN_PASSWORD"])


# What each process holds, and what it may.


def documented(heading: str) -> dict[str, list[str]]:
    """A table of docs/security.md: the first column's word in backticks to the words in backticks of each other."""
    text = (ROOT / "docs" / "security.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("| `")]
    assert rows, heading
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in rows}


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def instances(stack: Rehearsal) -> dict[str, str]:
    """Every running instance, and its service."""
    running = stack.ask("processes")["processes"]
    return {name: re.sub(r"-\d+$", "", name) for name, pid in running.items() if pid is not None}


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


def holds(text: str, values: Mapping[str, str]) -> set[str]:
    """The names of the values that a text holds."""
    return {name for name, value in values.items() if value in text}


def secrets_of(known: Mapping[str, str]) -> dict[str, str]:
    """What must be known to nobody who doesn't need it."""
    return {name: value for name, value in known.items() if SECRET.search(name) and len(value) >= 20}


def test_each_service_holds_the_secrets_it_needs_and_no_other(stack: Rehearsal, known: dict[str, str]) -> None:
    values, table = secrets_of(known), documented("What each service listens for and holds")
    assert len(values) > 15
    for name, service in instances(stack).items():
        held = set()
        for each in processes(stack, name):
            held |= holds(each.get("Environment", ""), values)
            assert holds(each.get("Command", ""), values) == set(), f"{name}: on a command line"
        if service == "mlflow":
            held |= holds(stack.run(name, "cat", "/run/mlflow/auth.ini")[1], values)
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
        "UPDATE promotions SET reason = 'x'", "UPDATE promotions SET epoch = epoch", "UPDATE outcomes SET line = line",
        "DELETE FROM promotions", "DELETE FROM outcomes", "TRUNCATE promotions", "TRUNCATE outcomes CASCADE",
        "DROP TABLE promotions", "DROP TABLE outcomes", "ALTER TABLE promotions ADD x int",
        "ALTER TABLE promotions DISABLE TRIGGER ALL", "DROP TRIGGER promotions_update ON promotions",
        "CREATE TABLE mine (x int)", "CREATE SCHEMA mine", "CREATE ROLE mine", "SET ROLE ledger_owner",
        "ALTER ROLE ledger SUPERUSER", "SET session_replication_role = 'replica'", "COPY promotions TO PROGRAM 'id'",
        "CREATE RULE r AS ON INSERT TO promotions DO INSTEAD NOTHING", "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_authid", "LOCK TABLE promotions IN ACCESS EXCLUSIVE MODE",
        "SELECT * FROM promotions", "UPDATE turns SET usecase = usecase",
    ):
        with psycopg.connect(url) as connection:
            try:
                connection.execute(statement)
            except psycopg.Error as error:
                assert error.sqlstate[:2] in ("42", "23"), (statement, error)
            else:
                found.append(statement)
            connection.rollback()
    print("TOLD " + json.dumps(found))
"""


def test_a_worker_adds_to_the_ledger_and_rewrites_nothing(stack: Rehearsal) -> None:
    """The last two are what it may, so that this is seen to tell one from the other."""
    assert told(python(stack, WORKER, REWRITES)) == ["SELECT * FROM promotions", "UPDATE turns SET usecase = usecase"]


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
    said = wait_for("the forged message", lambda: left.exists() and left.read_text().strip(), 60, pause=0.2)
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


def found_in_files(folders: Iterable[Path], values: Mapping[str, str]) -> set[str]:
    """The names of values that some file holds, packed files unpacked."""
    found = set()
    for folder in folders:
        for path in (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
            for data in _contents(path):
                found |= {name for name, value in values.items() if value.encode() in data}
    return found


def _contents(path: Path) -> Iterator[bytes]:
    try:
        yield path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from (archive.read(name) for name in archive.namelist())
    except FileNotFoundError:
        return  # removed meanwhile: PostgreSQL's own


def pages_of_airflow(ask: Client) -> str:
    """All that Airflow keeps of what ran, as an admin reads it: runs, tasks, XComs, rendered fields, logs, settings."""
    said = []

    def get(path: str) -> Any:
        answer = ask("GET", f"/api/v2{path}")
        said.append(answer.text)
        return json.loads(answer.text) if answer.status == 200 and answer.text.startswith(("{", "[")) else {}

    for path in ("/variables", "/connections", "/pools", "/eventLogs", "/importErrors", "/plugins", "/assets/events"):
        get(f"{path}?limit=100")
    for dag in get("/dags?limit=100")["dags"]:
        name = dag["dag_id"]
        get(f"/dagSources/{name}")
        # The newest, which hold the planted one.
        for run in get(f"/dags/{name}/dagRuns?limit=3&order_by=-run_after").get("dag_runs", []):
            base = f"/dags/{name}/dagRuns/{quote(run['dag_run_id'])}"
            get(f"{base}/hitlDetails")
            for task in get(f"{base}/taskInstances?limit=100").get("task_instances", []):
                here = f"{base}/taskInstances/{task['task_id']}"
                get(f"{here}/logs/{max(task['try_number'], 1)}?map_index={task['map_index']}&full_content=true")
                for entry in get(f"{here}/xcomEntries?map_index={task['map_index']}").get("xcom_entries", []):
                    get(f"{here}/xcomEntries/{entry['key']}?map_index={task['map_index']}&stringify=true")
    return "\n".join(said)


def pages_of_mlflow(ask: Client) -> str:
    """Every experiment, run, registered model and version, with their parameters and tags."""
    api, said = "/api/2.0/mlflow", []
    experiments = ask("GET", f"{api}/experiments/search?max_results=1000").text
    said.append(experiments)
    numbers = [each["experiment_id"] for each in json.loads(experiments).get("experiments", [])]
    said.append(ask("POST", f"{api}/runs/search", {"experiment_ids": numbers, "max_results": 1000}).text)
    said += [
        ask("GET", f"{api}/{kind}/search?max_results=1000").text for kind in ("registered-models", "model-versions")
    ]
    said.append(ask("POST", f"{api}/logged-models/search", {"experiment_ids": numbers, "max_results": 50}).text)
    return "\n".join(said)


def test_no_secret_is_written_to_a_log_a_page_or_a_file(
    stack: Rehearsal,
    known: dict[str, str],
    airflow: dict[str, Client],
    mlflow: dict[str, Client],
    run_of_pipeline: tuple[str, str],
    tmp_path: Path,
) -> None:
    """Every value of .env is looked for everywhere; one that is planted in each place is found there."""
    experiment, run = run_of_pipeline
    planted, wanted = secrets.token_hex(24), secrets_of(known)
    everything = {**wanted, "PLANTED": planted}
    asked = {"usecase": "flight_delay", "recipe": "boosting_21", "why": f"for {planted}"}
    begun = json.loads(
        airflow["operator"]("POST", "/api/v2/dags/lift_hold/dagRuns", {"logical_date": None, "conf": asked}).text
    )
    where = f"/api/v2/dags/lift_hold/dagRuns/{quote(begun['dag_run_id'])}"

    def over() -> bool:
        return json.loads(airflow["viewer"]("GET", where).text)["state"] in ("success", "failed")

    wait_for("the run by hand", over, 240)
    api = "/api/2.0/mlflow"
    for verb, body in (("log-parameter", {"key": "p", "value": planted}), ("set-tag", {"key": "t", "value": planted})):
        assert mlflow["pipeline"]("POST", f"{api}/runs/{verb}", {"run_id": run, **body}).status == 200
    file = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/planted.txt"
    assert mlflow["pipeline"]("PUT", file, planted.encode()).status == 200

    assert holds(pages_of_airflow(airflow["admin"]), everything) == {"PLANTED"}
    assert holds(pages_of_mlflow(mlflow["admin"]), everything) == {"PLANTED"}
    volumes = stack.folder / "volumes"
    assert found_in_files([volumes / "artifacts"], everything) == {"PLANTED"}
    # The database keeps passwords as digests only; what is planted is in it by way of MLflow's tables.
    assert found_in_files([volumes / "postgres"], everything) == {"PLANTED"}
    assert found_in_files([volumes / "data", volumes / "logs", stack.folder / "logs"], everything) <= {"PLANTED"}
    (tmp_path / "deep").mkdir()
    with zipfile.ZipFile(tmp_path / "deep" / "log.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", f"password={known['REDIS_PASSWORD']}\n" * 9)
    assert found_in_files([tmp_path], everything) == {"REDIS_PASSWORD"}
