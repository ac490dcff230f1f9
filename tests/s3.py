"""S3-compatible storage in this process, on the loopback only, and what can be wrong with it."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.adapters.s3.address import Address

KEY, SECRET = "key-of-the-tests-1", "secret-of-the-tests-1"
_NUMBERS = itertools.count()


class Storage:
    """moto's S3 behind a door that can refuse, answer nonsense, or drop conditions.

    Real storage looks and writes in one step; moto does not, so one request at a time is let through.

    Attributes:
        url: Where it answers.
        heeds: Whether it heeds If-None-Match; otherwise the header is taken off every request.
        fault: Given method and path: the status and the S3 code to answer instead, None for a true answer.
        lost: Given method and path: whether the request is carried out and the answer replaced by an error.
        calls: Method and path of every request.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, *_: Any) -> None:
                pass

        self._app, self._lock = DomainDispatcherApplication(create_backend_app), threading.Lock()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.port}"
        self.mend()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def mend(self) -> None:
        """No faults from here on."""
        self.heeds = True
        self.fault: Callable[[str, str], tuple[int, str] | None] = lambda *_: None
        self.lost: Callable[[str, str], bool] = lambda *_: False
        self.calls: list[tuple[str, str]] = []

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def address(self, **changes: Any) -> Address:
        """A bucket that nobody used before, there already unless another is named."""
        address = {
            "bucket": f"bucket-{next(_NUMBERS)}",
            "prefix": "a/b/",
            "endpoint": self.url,
            "key": KEY,
            "secret": SECRET,
            "token": "",
            "region": "us-east-1",
        } | changes
        if "bucket" not in changes:
            self.client().create_bucket(Bucket=address["bucket"])
        return Address(**address)

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.calls.append((method, path))
        if not self.heeds:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        wrong = self.fault(method, path)
        if wrong is None and KEY not in environ.get("HTTP_AUTHORIZATION", ""):
            wrong = (403, "InvalidAccessKeyId")
        if wrong is None:
            lost = self.lost(method, path)
            with self._lock:
                answer = list(self._app(environ, (lambda *_: None) if lost else start))
            if not lost:
                return answer
            wrong = (500, "InternalError")
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = wrong
        start(f"{status} {code}", [("Content-Type", "application/xml"), ("Connection", "close")])
        return [f"<Error><Code>{code}</Code><Message>{KEY} {SECRET}</Message></Error>".encode()]


@contextmanager
def storage() -> Iterator[Storage]:
    """Started, and nothing of this machine's own account in sight; no address of a cloud is asked for keys."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    running = Storage()
    try:
        yield running
    finally:
        running.close()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= kept
