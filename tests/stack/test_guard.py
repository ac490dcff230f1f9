"""What stands before MLflow: whoever has not signed in writes no file, names no place, and comes from no other site."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stack.guard import LARGEST, Guard

OURS = ("http://127.0.0.1:5000", "http://localhost:5000")
CREATE = "/api/2.0/mlflow/experiments/create"
VERSION = "/ajax-api/2.0/mlflow/model-versions/create"
JSON = ("Content-Type", "application/json")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "home" / "mlflow" / "artifacts"
    root.mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    return root


class Server:
    """MLflow's place behind the guard: it says yes to everything, and to every site."""

    def __init__(self, root: Path) -> None:
        self.guard = Guard(self, root, OURS)
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        headers = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-allow-credentials", b"true"), (b"x", b"y")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def ask(
        self, method: str, path: str, *headers: tuple[str, str], parts: tuple[bytes, ...] = (b"",)
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        chunks = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        chunks[-1]["more_body"] = False
        sent: list[Any] = []

        async def receive() -> Any:
            return chunks.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        asyncio.run(self.guard({"type": "http", "method": method, "path": path, "headers": raw}, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    def post(self, path: str, body: bytes | dict[str, Any], *headers: tuple[str, str]) -> int:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, *(headers or (JSON,)), parts=(data,))[0]


@pytest.fixture
def server(root: Path) -> Server:
    return Server(root)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/evil.py"),
        ("DELETE", "/ajax-api/2.0/mlflow-artifacts/artifacts/0/model"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/0/evil.py"),
        ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url"),
        ("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run"),
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/2.0/mlflow/traces"),
        ("POST", "/api/3.0/mlflow/traces"),
        ("PATCH", "/api/2.0/mlflow/traces/t/tags"),
        ("POST", "/v1/traces"),
        ("POST", "/gateway/proxy/e/x"),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
        ("POST", "/api/3.0/mlflow/scorers/register"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/providers/claude_code/health"),
        ("GET", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("GET", "/ajax-api/3.0/mlflow/gateway/supported-models"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("POST", "/ajax-api/2.0/mlflow/demo/../upload-artifact"),
        ("POST", "//ajax-api/2.0/mlflow/upload-artifact"),
        ("post", "/ajax-api/2.0/mlflow/upload-artifact"),
        ("BREW", "/"),
    ],
)
def test_what_writes_files_or_calls_out_is_refused_with_a_sentence(server, method, path):
    status, _, body = server.ask(method, path, JSON, parts=(b"{}",))
    said = json.loads(body)
    assert (status, said["error_code"], "; " in said["message"]) == (403, "PERMISSION_DENIED", True)
    assert server.bodies == []


@pytest.mark.parametrize(
    "place",
    [
        "/etc",
        "dags",
        "{root}/../../dags",
        "{root}/..",
        "{root}x",
        "{root}/out/dags",
        "{root}/%2e%2e/%2e%2e/dags",
        "{root}/a?b",
        "{root}/a#b",
        "{root}/a\x00b",
        "{root}/..\\..",
        "file:///etc",
        "file:/etc",
        "FILE:///etc",
        "file://localhost/etc",
        "file://{root}/%2e%2e/x",
        "file://elsewhere{root}",
        "//elsewhere{root}",
        "s3://bucket/x",
        "mlflow-artifacts:/x",
        "http://127.0.0.1:8080/",
        " {root}",
        ["{root}"],
        7,
    ],
)
@pytest.mark.parametrize("field", ["artifact_location", "artifactLocation", "source", "artifact__Location"])
def test_a_place_outside_the_artifact_root_is_refused_however_it_is_spelt(server, root, place, field):
    where = place.format(root=root) if isinstance(place, str) else place
    for path in (CREATE, VERSION):
        assert server.post(path, {"name": "e", field: where}) == 403
    assert server.bodies == []


@pytest.mark.parametrize("place", [None, "", "{root}", "{root}/flight_delay", "file://{root}/a b", "file:{root}/7"])
def test_a_place_below_the_artifact_root_or_none_gets_through_as_it_came(server, root, place):
    body = {"name": "e", "artifact_location": place and place.format(root=root)}
    assert server.post(CREATE, body) == 200
    assert [json.loads(one) for one in server.bodies] == [body]


def test_a_version_may_name_a_logged_model_but_nothing_that_only_looks_like_one(server):
    for source in ("models:/m-0123abcd", "models:/m/1", "models:/m@champion"):
        assert server.post(VERSION, {"name": "m", "source": source}) == 200
        assert server.post(CREATE, {"name": "m", "artifact_location": source}) == 403
    for source in ("models:/../etc", "models:/m/../../etc", "models:///etc", "runs:/x/../../etc"):
        assert server.post(VERSION, {"name": "m", "source": source}) == 403


@pytest.mark.parametrize(
    "body",
    [
        b'{"artifact_location": "/etc", "artifact_location": ""}',
        b'{"artifact_location": "", "artifact_location": "/etc"}',
        json.dumps(json.dumps({"artifact_location": "/etc"})).encode(),
        json.dumps({"artifact_location": "/etc"}).encode("utf-16"),
        json.dumps({"artifact_location": "/etc"}).encode("utf-32-le"),
        b'\xef\xbb\xbf{"artifact_location": "/etc"}',
        b'[{"artifact_location": "/etc"}]',
        b"[" * 100_000,
        b"name=e&artifact_location=/etc",
    ],
)
def test_a_body_that_may_be_read_in_two_ways_is_refused(server, body):
    assert server.post(CREATE, body) == 400
    assert server.bodies == []


@pytest.mark.parametrize(
    "headers",
    [
        [("Content-Type", "text/plain")],
        [("Content-Type", "text/plain; application/json")],
        [("Content-Type", "application/x-www-form-urlencoded")],
        [("Content-Type", "multipart/form-data; boundary=x")],
        [JSON, ("Content-Type", "text/plain")],
        [JSON, ("Content-Encoding", "gzip")],
        [("Accept", "application/json")],
    ],
)
def test_a_body_that_does_not_say_it_is_json_is_refused(server, headers):
    assert server.post(CREATE, {"name": "e"}, *headers) == 415
    assert server.bodies == []


def test_a_body_in_pieces_is_judged_whole_and_an_endless_one_is_cut(server):
    pieces = tuple(bytes([byte]) for byte in b'{"artifact_location": "/etc"}')
    assert server.ask("POST", CREATE, JSON, parts=pieces)[0] == 403
    pieces = tuple(bytes([byte]) for byte in b'{"name": "e"}')
    assert server.ask("POST", CREATE, JSON, parts=pieces)[0] == 200
    assert server.ask("POST", CREATE, JSON, parts=(b" " * LARGEST, b" "))[0] == 413
    assert server.bodies == [b'{"name": "e"}']


@pytest.mark.parametrize(
    "origin", ["http://localhost:1234", "http://127.0.0.1:5001", "https://localhost:5000", "null", "", "http://evil"]
)
def test_a_page_of_another_site_changes_nothing_and_reads_nothing(server, origin):
    there = ("Origin", origin)
    assert server.post(CREATE, {"name": "e"}, JSON, there) == 403
    assert server.post(CREATE, {"name": "e"}, JSON, ("Origin", OURS[0]), there) == 403
    assert server.bodies == []
    for method in ("GET", "OPTIONS"):
        status, headers, _ = server.ask(method, "/api/2.0/mlflow/experiments/search", there)
        assert (status, headers) == (200, {b"x": b"y"})


@pytest.mark.parametrize("origin", OURS)
def test_the_servers_own_pages_change_what_they_show(server, origin):
    assert (
        server.post(CREATE, {"name": "e"}, ("Content-Type", "application/json; charset=utf-8"), ("Origin", origin))
        == 200
    )


@pytest.mark.parametrize(
    "path",
    ["/graphql", "/ajax-api/2.0/mlflow/runs/search", "/api/2.0/mlflow/logged-models/m-1/tags/k", CREATE, VERSION],
)
def test_what_tracking_needs_gets_through_with_a_body_and_without(server, path):
    assert server.post(path, {"key": "a"}) == 200
    assert server.ask("DELETE", path)[0] == 200
