"""`python -m stack.team.health scheduler`: status 0 if that part of the team's stack does its work, else a sentence.

Asked inside the part's own container: whether it works, not whether a process is there.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

_SECONDS = 8.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unhealthy(Exception):  # noqa: N818 - a finding, not a fault of this program
    """What is wrong, in a sentence."""


class Refused(Unhealthy):
    """It answers, and says no."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answers {status}")
        self.status = status


def api_server() -> None:
    """It answers, and reaches its database."""
    _expect("the metadata database", _airflow("127.0.0.1"), "metadatabase")


def scheduler() -> None:
    """Its loop has turned within the threshold."""
    # An empty page, with status 503 where the heartbeat is too old.
    _answer("http://127.0.0.1:8974/health")


def dag_processor() -> None:
    """Its heartbeat is recent, as the API server sees it."""
    _expect("the DAG processor", _airflow("airflow-apiserver"), "dag_processor")


def triggerer() -> None:
    """Its heartbeat is recent, as the API server sees it."""
    _expect("the triggerer", _airflow("airflow-apiserver"), "triggerer")


def worker() -> None:
    """It takes messages from the broker and answers them."""
    from celery import Celery

    name = f"celery@{socket.gethostname()}"
    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    try:
        answers = app.control.ping(destination=[name], timeout=_SECONDS / 2, limit=1)
    except Exception as error:
        raise Unhealthy(f"the broker does not answer ({type(error).__name__})") from error
    if not any(answer.get(name, {}).get("ok") == "pong" for answer in answers or ()):
        raise Unhealthy(f"the worker {name} does not answer through the broker")


def mlflow() -> None:
    """It looks people up in its database: whom it doesn't find there it refuses.

    Asked by its name, since no other host is allowed for sure, and as nobody it knows: an admin may change passwords.
    """
    stranger = base64.b64encode(b"health:check").decode()
    try:
        _answer("http://mlflow:5000/api/2.0/mlflow/experiments/search?max_results=1", f"Basic {stranger}")
    except Refused as refusal:
        if refusal.status != 401:
            raise
    else:
        raise Unhealthy("MLflow lets a stranger in")


PARTS: dict[str, Callable[[], None]] = {
    part.__name__.replace("_", "-"): part for part in (api_server, scheduler, dag_processor, triggerer, worker, mlflow)
}


def main(arguments: list[str]) -> int:
    """0 healthy, 1 not, 2 no such part."""
    if len(arguments) != 1 or arguments[0] not in PARTS:
        print(f"name one of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    try:
        PARTS[arguments[0]]()
    except Unhealthy as finding:
        print(finding, file=sys.stderr)
        return 1
    return 0


def _airflow(host: str) -> dict[str, Any]:
    return _get(f"http://{host}:8080/api/v2/monitor/health")


def _expect(name: str, page: dict[str, Any], part: str) -> None:
    status = (page.get(part) or {}).get("status")
    if status != "healthy":
        raise Unhealthy(f"{name} is {status or 'not known'}")


def _get(url: str, sign_in: str | None = None) -> dict[str, Any]:
    try:
        page = json.loads(_answer(url, sign_in))
    except ValueError:
        page = None
    if not isinstance(page, dict):
        raise Unhealthy(f"{url.split('?', maxsplit=1)[0]} answers something else")
    return page


def _answer(url: str, sign_in: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": sign_in} if sign_in else {})  # noqa: S310 - ours
    try:
        with _DIRECT.open(request, timeout=_SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise Refused(url.split("?", maxsplit=1)[0], error.code) from None
    except OSError as error:
        raise Unhealthy(f"{url.split('?', maxsplit=1)[0]} does not answer ({error})") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
