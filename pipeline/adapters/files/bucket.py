"""Immutable files on S3-compatible storage."""

from __future__ import annotations

import hashlib

from pipeline.adapters.files.local import missing, parts_of, taken, verified
from pipeline.adapters.s3.bucket import Bucket


class BucketFiles:
    """Files by name. A file appears whole or not at all, and never changes after."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, name: str, data: bytes) -> str:
        """Write once, atomically; returns the SHA-256.

        Raises:
            ConflictError: If the name is taken by other bytes.
            UnavailableError: With code ``STORAGE`` if the storage does not do it now.
        """
        key, digest = _key(name), hashlib.sha256(data).hexdigest()
        # The signature holds the content's digest, so what was accepted need not be read back.
        if not self._bucket.create(key, data) and hashlib.sha256(self.get(name)).hexdigest() != digest:
            raise taken(name)
        return digest

    def get(self, name: str, sha256: str | None = None) -> bytes:
        """The bytes; with ``sha256`` only if they have that digest.

        Raises:
            RefusedError: With code ``TAMPERED`` if they have another, ``MISSING`` if there is no such file.
            UnavailableError: With code ``STORAGE`` if the storage does not answer.
        """
        data = self._bucket.get(_key(name))
        if data is None:
            raise missing(name)
        return verified(name, data, sha256)

    def exists(self, name: str) -> bool:
        """Whether the file is there.

        Raises:
            UnavailableError: If the storage does not answer: what can't be seen must not pass for what is not there.
        """
        key = _key(name)
        # Of all names that begin with it, the name itself comes first.
        return self._bucket.names(key, most=1) == [key]


def _key(name: str) -> str:
    return "/".join(["files", *parts_of(name)])
