"""Stands before MLflow's server, which asks nobody to sign in: what a stranger on this machine may have it do.

Whoever may choose where an experiment keeps its files, and then upload some, writes wherever this user may: a DAG, say.
Nothing here needs that, because our client writes artifacts to the folder itself. So a request that changes something
must be one of those that tracking, the registry and MLflow's pages need (an allowed list: what a later MLflow adds is
refused until somebody looks at it), must be JSON that can be read in one way only, must name no place outside the
artifact root, and must not come from another site's page, for which any port of localhost is good enough to MLflow.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LARGEST = 32 * 2**20
"""Bytes of a body: MLflow's own client sends one at the most."""

_HARMLESS = {"GET", "HEAD", "OPTIONS"}

CHANGES = re.compile(
    r"/graphql|/(?:ajax-)?api/[23]\.0/mlflow/(?:"
    r"experiments/(?:create|update|delete|restore|search|search-datasets|set-experiment-tag|delete-experiment-tag)"
    r"|runs/(?:create|update|delete|restore|search|set-tag|delete-tag|outputs"
    r"|log-(?:metric|parameter|batch|model|inputs))"
    r"|registered-models/(?:create|rename|update|delete|get-latest-versions|set-tag|delete-tag|alias)"
    r"|model-versions/(?:create|update|delete|set-tag|delete-tag|transition-stage)"
    r"|logged-models(?:/[^/]+(?:/params|/tags(?:/[^/]+)?)?)?"
    r"|traces/(?:search|metrics|batchGetInfos|calculate-filter-correlation)"  # searches, all of them
    r"|(?:datasets|issues)/search)"
)
"""Paths of what changes something, or may, as far as tracking, the registry and MLflow's pages need it."""

CALLS_OUT = ("/gateway-proxy", "/mlflow/gateway/", "/assistant/")
"""In the path of what asks another server, or starts a program, even for a GET."""

_MODEL = re.compile(r"models:/\w[\w .@-]*(?:/\w[\w.-]*)?")


class RefusedRequest(Exception):  # noqa: N818 - an answer, not a fault
    """Why a request goes no further, in a sentence."""

    def __init__(self, why: str, status: int = 403) -> None:
        super().__init__(why)
        self.status = status


class Guard:
    """An ASGI application around MLflow's."""

    def __init__(self, app: App, root: Path, origins: Collection[str]) -> None:
        """Guard `app`.

        Args:
            app: MLflow's.
            root: The artifact root: no request may name a place outside.
            origins: The server's own addresses, as a browser names them; no other site's page may change anything.
        """
        self.app, self.root, self.origins = app, root.resolve(), frozenset(origins)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 403 with a sentence, or let MLflow answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        came_from = [value for name, value in headers if name == b"origin"]
        ours = all(origin in self.origins for origin in came_from)
        try:
            if any(part in scope["path"] for part in CALLS_OUT):
                raise RefusedRequest(
                    "this MLflow asks no other server and starts no program; use that service directly"
                )
            if scope["method"] not in _HARMLESS:
                if not ours:
                    raise RefusedRequest(
                        f"a page of {came_from[0][:200]!r} may not change this MLflow; open {min(self.origins)} itself"
                    )
                receive = await self._checked(scope["path"], headers, receive)
        except RefusedRequest as refusal:
            await _answer(send, refusal)
            return
        await self.app(scope, receive, send if ours and came_from else _without_cors(send))

    async def _checked(self, path: str, headers: list[tuple[bytes, str]], receive: Receive) -> Receive:
        """Read the body, refuse what may not be, and hand out the same body to be read again."""
        if not CHANGES.fullmatch(path):
            raise RefusedRequest(
                "this MLflow takes no files and starts no work for requests, as it asks nobody to sign in; "
                "write artifacts with MLflow's Python client, beside the server"
            )
        body = await _whole(receive)
        if body:
            kinds = [value.partition(";")[0].strip().lower() for name, value in headers if name == b"content-type"]
            if kinds != ["application/json"] or any(name == b"content-encoding" for name, _ in headers):
                raise RefusedRequest("the body is to be plain JSON; send it with Content-Type: application/json", 415)
            self._check_places(read_object(body))
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again

    def _check_places(self, request: dict[str, Any]) -> None:
        for name, value in request.items():
            # A protobuf field goes by two spellings, artifact_location and artifactLocation.
            field = name.replace("_", "").lower()
            if field not in {"artifactlocation", "source"} or value is None or value == "":
                continue
            if field == "source" and isinstance(value, str) and _MODEL.fullmatch(value):
                continue
            if not isinstance(value, str) or not self._inside(value):
                raise RefusedRequest(f"{name} is to lie below {self.root}; leave it out, or name a folder there")

    def _inside(self, place: str) -> bool:
        """Whether `place`, a path or a file: URL, lies in the root however it is read: decoded, resolved or neither."""
        for start in (str(self.root), self.root.as_uri(), f"file:{quote(str(self.root))}"):
            if place == start or place.startswith(f"{start}/"):
                below = place[len(start) :]
                odd = any(sign in "%?#;\\" or not sign.isprintable() for sign in below)
                resolved = Path(os.path.realpath(f"{self.root}{below}")) if not odd else Path("/")
                return ".." not in below.split("/") and resolved.is_relative_to(self.root)
        return False


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedRequest("the request ended before its body did; send it again", 400)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST:
            raise RefusedRequest(f"the body is larger than {LARGEST / 2**20:.0f} MB; send it in parts", 413)
        more = message.get("more_body", False)
    return b"".join(parts)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object, if there is one way only to read it: MLflow also takes UTF-16, text in text, and a key twice.

    Raises:
        RefusedRequest: There is another.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError
        return found

    try:
        value = json.loads(body.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RefusedRequest("the body is to be one JSON object in UTF-8, no key of it twice; correct it", 400)
    return value


def _without_cors(send: Send) -> Send:
    """No other site's page may read an answer either."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", []) if not pair[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return sending


async def _answer(send: Send, refusal: RefusedRequest) -> None:
    # In the form in which MLflow's client finds the sentence and shows it.
    body = json.dumps({"error_code": "PERMISSION_DENIED", "message": str(refusal)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # The body of a refused request may not have been read: the connection is of no more use.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
