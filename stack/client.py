"""Talking to the running stack: health, sign-in, Airflow's REST API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

from stack import signin
from stack.errors import StackError
from stack.settings import Settings

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on loopback


class RefusedError(StackError):
    """Airflow answered, and said no: `status` is the HTTP status, `detail` its words."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(f"Airflow refused {method} {path} with {status}: {detail[:500]}")
        self.status = status
        self.detail = detail


class Client:
    """Airflow's REST API as one of its users, and both health pages."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._tokens: dict[str, str] = {}

    def password(self, user: str = "admin") -> str:
        """The user's password, from the sign-in file."""
        known = signin.passwords(self.settings.airflow_home, self.settings.users)
        if user not in known:
            raise StackError(f"there is no user {user!r}; the users are {', '.join(known)}")
        return known[user]

    def token(self, user: str = "admin") -> str:
        """A bearer token for the REST API, good for a day."""
        if user not in self._tokens:
            body = {"username": user, "password": self.password(user)}
            self._tokens[user] = self._send("POST", "/auth/token", body, None)["access_token"]
        return self._tokens[user]

    def api(self, method: str, path: str, body: Any = None, *, user: str = "admin") -> Any:
        """Call Airflow's REST API: `path` is below /api/v2, the answer is parsed JSON (None when empty).

        Raises RefusedError with the status and Airflow's words, StackError when nothing answers.
        """
        try:
            return self._send(method, f"/api/v2{path}", body, self.token(user))
        except RefusedError as refusal:
            if refusal.status != 401 or user not in self._tokens:
                raise
            del self._tokens[user]  # out of date: sign in again, once
            return self._send(method, f"/api/v2{path}", body, self.token(user))

    def pool(self, name: str, slots: int = 1, description: str = "") -> None:
        """Make the pool, or give an existing one this many slots."""
        body = {"name": name, "slots": slots, "description": description}
        try:
            self.api("POST", "/pools", body)
        except RefusedError as refusal:
            if refusal.status != 409:
                raise
            self.api(
                "PATCH",
                f"/pools/{name}",
                {"pool": name, "slots": slots, "description": description, "include_deferred": False},
            )

    def wait_for_dags(self, *names: str, timeout: float = 60.0) -> None:
        """Wait until the DAG processor has parsed these DAGs; a StackError names the import errors when it has not."""
        deadline = time.monotonic() + timeout
        patience = 5.0  # for other files, once one is known to be broken
        while missing := set(names) - {dag["dag_id"] for dag in self.api("GET", "/dags?limit=100")["dags"]}:
            broken = self.api("GET", "/importErrors")["import_errors"]
            if broken:
                deadline = min(deadline, time.monotonic() + patience)
                patience = timeout
            if time.monotonic() > deadline:
                reasons = "\n".join(f"{e['filename']}: {e['stack_trace'].strip()}" for e in broken[:5])
                raise StackError(f"no DAG {', '.join(sorted(missing))} in {self.settings.dags}\n{reasons}".strip())
            time.sleep(0.2)

    def beats(self) -> dict[str, float]:
        """Unix time of the last heartbeat of `scheduler` and `dag-processor`; a part that never beat is left out."""
        health = self._send("GET", "/api/v2/monitor/health", None, None, timeout=5.0)
        found = {}
        for name, part, field in (
            ("scheduler", "scheduler", "latest_scheduler_heartbeat"),
            ("dag-processor", "dag_processor", "latest_dag_processor_heartbeat"),
        ):
            if stamp := (health.get(part) or {}).get(field):
                found[name] = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
        return found

    def mlflow_answers(self) -> bool:
        """Whether MLflow's health page says OK."""
        try:
            with _DIRECT.open(f"{self.settings.mlflow_url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def mlflow_pages(self) -> list[str]:
        """Where MLflow shows the runs of each experiment; its list of experiments where there are none, or many.

        Each address says that models are trained: MLflow opens among its tools for language models otherwise, also on
        the way from the list to an experiment.
        """
        asked = f"{self.settings.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=100"
        try:
            with _DIRECT.open(asked, timeout=5) as answer:
                found = json.load(answer).get("experiments", [])
        except (OSError, ValueError):
            found = []  # it answers a little later, or not at all, and its list is where it says so
        known = sorted(one["experiment_id"] for one in found if one["name"] != "Default")
        where = [f"/#/experiments/{number}/runs" for number in known if len(known) <= 4] or ["/#/experiments"]
        return [f"{self.settings.mlflow_url}{path}?workflowType=machine_learning" for path in where]

    def _send(self, method: str, path: str, body: Any, token: str | None, timeout: float = 30.0) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        url = self.settings.airflow_url + path
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - http, ours
        try:
            with _DIRECT.open(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RefusedError(method, path, error.code, error.read().decode(errors="replace")) from None
        except OSError as error:
            raise StackError(f"Airflow does not answer at {self.settings.airflow_url} ({error})") from error
        return json.loads(text) if text else None
