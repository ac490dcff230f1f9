"""The team's stack for tests: the project's own files in a folder of their own, rehearsed, and its users signed in."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tests.rehearsal.client import missing

HISTORY, FIRST, LAST = date(2013, 1, 1), date(2013, 1, 15), date(2013, 1, 24)
"""From when on upstream has delivered, and the days that the schedule walks: to a promotion of both use cases."""
NAMES = ("flight_delay", "flight_minutes")
ASKED = "flight_minutes"
"""Its winners wait for a person, in the tests' copy of the project."""


def days(first: date = FIRST, last: date = LAST) -> list[date]:
    """All days from one to the other."""
    return [first + timedelta(n) for n in range((last - first).days + 1)]


def needs_rehearsal() -> None:
    """Skip where no rehearsal can be held; where one must be, that is a failure."""
    if reason := missing():
        (pytest.fail if os.environ.get("NEEDS_STACK") else pytest.skip)(reason)


class Refused(Exception):  # noqa: N818 - an answer
    """A server said no."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


class Person:
    """Somebody signed in to Airflow and to MLflow; nobody, if no names are given."""

    def __init__(self, known: dict[str, str], airflow: str = "", mlflow: str = "") -> None:
        self._known, self._airflow_user, self._mlflow_user = known, airflow, mlflow
        self._token = ""

    def airflow(self, method: str, path: str, body: Any = None) -> Any:
        """Airflow's REST API, below /api/v2."""
        base = f"http://127.0.0.1:{self._known['AIRFLOW_PORT']}"
        if self._airflow_user and not self._token:
            name = self._airflow_user
            asked = {"username": name, "password": self._known[f"AIRFLOW_{name.upper()}_PASSWORD"]}
            self._token = _send("POST", f"{base}/auth/token", asked, {})["access_token"]
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return _send(method, f"{base}/api/v2{path}", body, headers)

    def mlflow(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """MLflow's REST API, below /api/2.0/mlflow."""
        if self._mlflow_user:
            password = self._known[f"MLFLOW_{self._mlflow_user.upper()}_PASSWORD"]
            sign_in = base64.b64encode(f"{self._mlflow_user}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {sign_in}"
        return _send(method, f"http://127.0.0.1:{self._known['MLFLOW_PORT']}/api/2.0/mlflow{path}", body, headers)


def _send(method: str, url: str, body: Any, headers: dict[str, str]) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read().decode(errors="replace")[:500]) from None
    return json.loads(text) if text else None


def wait_for(what: str, found: Callable[[], Any], patience: float, pause: float = 1.0) -> Any:
    """The first answer that isn't empty. A limit, not a measure: a machine that is busy gets its time."""
    deadline = time.monotonic() + patience
    while not (answer := found()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {patience:.0f} s")
        time.sleep(pause)
    return answer
