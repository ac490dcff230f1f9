"""What the pages of Airflow and MLflow let a stranger do, and a person with a role.

Every check is a function that says what is open, and is shown to find something that is. docs/security.md names each.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.compose.signed_in import ZEROS, Answer, Client, python, told
from tests.rehearsal.client import Rehearsal

pytestmark = pytest.mark.live


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
