"""Getting the bytes of a delivery, from a folder or over HTTP, within a size limit; and its manifest."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from pipeline.adapters.landing.refusals import Subject
from pipeline.core.errors import SLOW, UsageError

#: What a manifest's name adds to its file's.
MANIFEST = ".manifest.json"
#: The largest manifest that is opened.
MANIFEST_BYTES = 64_000
_CHUNK = 1 << 20
_PATIENCE = 10
_BYTES_PER_SECOND = 1000
_T = TypeVar("_T")


class Absent(Exception):  # noqa: N818 - not an error by itself: it says that nothing is there
    """Nothing was delivered at that place."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What upstream says of its file, written after it."""

    sha256: str
    rows: int
    size: int

    def check_bytes(self, subject: Subject, size: int, sha256: str) -> None:
        """Refuse bytes that are not those upstream wrote: cut anywhere, even at a line's end, or flipped anywhere."""
        if size != self.size:
            what = "was cut short or is still being written" if size < self.size else "was added to"
            raise subject.refused("INTEGRITY", f"has {size:,} bytes, but its manifest says {self.size:,}: it {what}")
        if sha256 != self.sha256:
            raise subject.refused(
                "INTEGRITY",
                f"has the SHA-256 {sha256[:12]}…, but its manifest says {self.sha256[:12]}…: it was changed on its way",
            )

    def check_rows(self, subject: Subject, rows: int) -> None:
        """Refuse a file that upstream itself counted otherwise."""
        if rows != self.rows:
            raise subject.refused("INTEGRITY", f"has {rows:,} rows, but its manifest says {self.rows:,}")


def manifest_of(subject: Subject, data: bytes) -> Manifest:
    """Read a manifest; anything but sha256, rows and bytes in it is upstream's own business."""
    try:
        document: Any = json.loads(data)
        sha256, rows, size = str(document["sha256"]).lower(), document["rows"], document["bytes"]
        if len(sha256) != 64 or not (type(rows) is int and type(size) is int and rows >= 0 and size >= 0):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise subject.refused(
            "MANIFEST",
            f"has a manifest that can't be read: it must be a JSON object with sha256, rows and bytes, got "
            f"{data[:80]!r}",
        ) from None
    return Manifest(sha256, rows, size)


def read_file(root: Path, name: str, limit: int, subject: Subject) -> bytes:
    """The bytes of a file below ``root``; a file larger than ``limit`` is not opened."""
    path = root / name
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root.resolve()):
            raise subject.refused(
                "LINK", "is a link that leaves the landing folder", "deliver the file itself, not a link to it"
            )
        before = real.stat()
        if not stat.S_ISREG(before.st_mode):
            raise subject.refused("NOT_A_FILE", "is not a regular file")
        _check_size(subject, before.st_size, limit)
        with real.open("rb") as source:
            data = source.read(limit + 1)
            after = os.fstat(source.fileno())
    except (FileNotFoundError, NotADirectoryError):
        raise Absent from None
    except RuntimeError:
        raise subject.refused("LINK", "is a link that leads back to itself", "deliver the file itself") from None
    except OSError as error:
        raise subject.unavailable(
            "UNREADABLE",
            f"can't be read ({error.strerror or error})",
            "give the pipeline's user the right to read it",
        ) from None
    same = (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
    if not same or len(data) != after.st_size:
        raise subject.unavailable("GROWING", "is still being written: it changed while it was read")
    return data


def is_there(root: Path, name: str) -> bool:
    """Whether anything lies at that place, a broken link included."""
    return os.path.lexists(root / name)


def _check_size(subject: Subject, size: int, limit: int) -> None:
    if size > limit:
        raise subject.refused(
            "TOO_LARGE",
            f"has {size:,} bytes and at most {limit:,} are opened ({size / limit:.1f} times too large)",
            "ask upstream what happened, or declare a larger 'bytes' for this table",
        )


class _SameManners(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to http(s) only, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new != "https" and not (new == "http" and old == "http"):
            raise urllib.error.URLError(f"redirected from {old} to {new or 'nowhere'}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_address(path: str) -> bool:
    """Whether a declared path is an http(s) address.

    Raises:
        UsageError: If it has another scheme.
    """
    if "://" not in path:
        return False
    scheme = path.split("://", 1)[0].lower()
    if scheme not in ("http", "https"):
        raise UsageError(f"files are fetched from a folder or over http(s), not over '{scheme}'")
    return True


def public(address: str) -> str:
    """The address without user, password and query, which may hold secrets."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))


def read_address(address: str, limit: int, timeout: float, subject: Subject) -> bytes:
    """The bytes behind an address; reading stops at ``limit``.

    Args:
        address: Of the file.
        limit: Bytes that are read at most.
        timeout: Seconds of silence after which it is given up, or with less than 1,000 bytes a second in them; ten
            times as many in all: a worker that waits for one upstream keeps others waiting.
        subject: What the sentences speak of.
    """

    def read(response: http.client.HTTPResponse) -> bytes:
        announced = response.headers.get("Content-Length")
        if announced is not None and announced.isdigit():
            _check_size(subject, int(announced), limit)
        data = bytearray()
        begun = looked = time.monotonic()
        had = 0
        # What is there, not as much as was asked for: that call would not come back to look at the clock.
        while chunk := response.read1(min(_CHUNK, limit + 1 - len(data))):
            data += chunk
            now = time.monotonic()
            late, lately = now - begun > _PATIENCE * timeout, now - looked
            if late or (lately > timeout and len(data) - had < _BYTES_PER_SECOND * lately):
                raise subject.unavailable(SLOW, f"came too slowly: {len(data):,} bytes in {now - begun:.3g} seconds")
            if lately > timeout:
                looked, had = now, len(data)
        _check_size(subject, len(data), limit)
        if announced is not None and announced.isdigit() and len(data) < int(announced):
            raise subject.unavailable("INTERRUPTED", f"came in part only: {len(data):,} of {int(announced):,} bytes")
        return bytes(data)

    return _ask(address, "GET", timeout, subject, read)


def answers(address: str, timeout: float, subject: Subject) -> bool:
    """Whether anything is there, without fetching it."""
    try:
        return _ask(address, "HEAD", timeout, subject, lambda _: True)
    except Absent:
        return False


def _ask(
    address: str, method: str, timeout: float, subject: Subject, read: Callable[[http.client.HTTPResponse], _T]
) -> _T:
    # Only http and https are installed: no file://, no ftp://, however a redirect tries.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _SameManners(),
    ):
        opener.add_handler(handler)
    parts = urlsplit(address)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    request = urllib.request.Request(bare, method=method, headers={"Accept-Encoding": "identity"})  # noqa: S310
    if parts.username is not None:
        # For the declared server only: not sent along with a redirect.
        sign_in = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(sign_in).decode()}")
    try:
        with opener.open(request, timeout=timeout) as response:
            return read(response)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise Absent from None
        raise subject.unavailable(
            "HTTP", f"was not handed out: the server answered {error.code} {error.reason}"
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        if isinstance(reason, TimeoutError):
            raise subject.unavailable(SLOW, f"was not handed out: no answer for {timeout:g} seconds") from None
        raise subject.unavailable("HTTP", f"was not handed out: {reason}") from None


def sha256_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
