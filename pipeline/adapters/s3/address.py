"""Where a place on S3-compatible storage is, from the settings that name it. Part of the storage's adapter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.core.errors import UsageError

_PLACE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_.=+-]+)*)/?")


@dataclass(frozen=True, slots=True)
class Address:
    """A folder in a bucket, and how to get there.

    Attributes:
        bucket: Its name.
        prefix: The folder in it; empty, or it ends with ``/``.
        endpoint: ``http(s)://host[:port]`` of the storage.
        key, secret, token: Who asks; the token is empty where there is none.
        region: As the storage calls it.
    """

    bucket: str
    prefix: str
    endpoint: str
    key: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    region: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def address_of(place: str, settings: Mapping[str, str]) -> Address:
    """What ``PIPELINE_STORE`` and the standard ``AWS_…`` settings say; nothing is asked of the storage yet.

    Roles and files of the account are not looked for: what the settings do not say is not used.

    Raises:
        UsageError: Something is missing or is no address.
    """
    # What is wrong may well hold a password, so it is not repeated.
    match = _PLACE.fullmatch(place)
    if not match or ".." in place or "/./" in f"{place}/":
        raise UsageError(
            "PIPELINE_STORE must be a folder, or s3://bucket/prefix of letters, digits and '_.=+-' without user and "
            "password"
        )
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not settings.get(name)]
    if missing:
        raise UsageError(
            f"PIPELINE_STORE={place} needs keys; set {' and '.join(missing)}, or name a folder in PIPELINE_STORE"
        )
    region = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = settings.get("AWS_ENDPOINT_URL_S3") or settings.get("AWS_ENDPOINT_URL")
    return Address(
        bucket=match[1],
        prefix=f"{match[2].strip('/')}/".lstrip("/"),
        endpoint=_endpoint(endpoint or f"https://s3.{region}.amazonaws.com"),
        key=settings["AWS_ACCESS_KEY_ID"],
        secret=settings["AWS_SECRET_ACCESS_KEY"],
        token=settings.get("AWS_SESSION_TOKEN", ""),
        region=region,
    )


def _endpoint(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        sound = False
    if not sound or parts.username or parts.password or parts.query or parts.path.strip("/"):
        raise UsageError(
            "AWS_ENDPOINT_URL must be the address of the storage and no more, such as http://127.0.0.1:9000 or "
            "https://s3.example.org, without user and password"
        )
    return url.rstrip("/")
