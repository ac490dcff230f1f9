"""Servers asked word by word, and commands run inside services: what the security tests share."""

from __future__ import annotations

import base64
import http.client
import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.rehearsal.client import Rehearsal

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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, data, {**self.headers, **more})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(errors="replace"), answer.headers.get("Location", ""))
        finally:
            connection.close()


def python(stack: Rehearsal, where: str, script: str, *arguments: str) -> str:
    """What a script says that runs inside an instance, as its user and with its environment."""
    status, said = stack.run(where, "python", "-W", "ignore", "-c", textwrap.dedent(script), *arguments, timeout=120)
    assert status == 0, said[-2000:]
    return said


def told(said: str) -> Any:
    """What a script has printed behind the word TOLD."""
    return json.loads(next(line for line in said.splitlines() if line.startswith("TOLD ")).removeprefix("TOLD "))


def instances(stack: Rehearsal) -> dict[str, str]:
    """Every running instance, and its service."""
    running = stack.ask("processes")["processes"]
    return {name: re.sub(r"-\d+$", "", name) for name, pid in running.items() if pid is not None}


def holds(text: str, values: Mapping[str, str]) -> set[str]:
    """The names of the values that a text holds."""
    return {name for name, value in values.items() if value in text}


def secrets_of(known: Mapping[str, str]) -> dict[str, str]:
    """What must be known to nobody who doesn't need it."""
    return {name: value for name, value in known.items() if SECRET.search(name) and len(value) >= 20}
