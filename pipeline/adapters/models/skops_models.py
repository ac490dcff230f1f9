"""Fitted estimators as skops files: no code runs when one is loaded, and the same fit is the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from pipeline.adapters.models.opening import check_types, opened
from pipeline.adapters.models.same_bytes import same_bytes
from pipeline.core.ports import Files


class SkopsModels:
    """The models behind the file store."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def save(self, folder: str, estimator: Any) -> tuple[str, str]:
        """Write ``<folder>/<sha256>.skops``; returns that name and the SHA-256.

        Raises:
            RefusedError: With code ``UNTRUSTED`` if the estimator has a type that would be refused when it is loaded.
        """
        import skops.io

        data = same_bytes(skops.io.dumps(estimator))
        check_types(data, type(estimator).__name__)
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{folder}/{sha256}.skops"
        self._files.put(name, data)
        return name, sha256

    def load(self, name: str, sha256: str) -> Any:
        """The estimator of that file.

        Raises:
            RefusedError: ``TAMPERED`` if the file does not have that digest (it is not opened then), ``MISSING`` if it
                is not there, ``UNTRUSTED`` if it holds a type that is not on the list, ``UNREADABLE`` if it is none.
            UnavailableError: ``STORAGE`` if this account may not read it.
        """
        return self.open(self._files.get(name, sha256), name)

    def open(self, data: bytes, what: str) -> Any:
        """The estimator of these bytes, whose digest was found right; refuses as :meth:`load` does."""
        return opened(data, what)

    def peak_memory(self, models: Sequence[bytes], inputs: Any) -> Sequence[float]:
        """Peak resident bytes of a process that loads the model and answers ``inputs``; NaN where it could not."""
        from pipeline.adapters.models.memory import weighed

        return weighed(models, inputs)
