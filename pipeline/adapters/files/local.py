"""Immutable files below one local folder, for their owner's eyes only."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from pipeline.core.errors import ConflictError, RefusedError, UnavailableError, UsageError

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]{0,149}")


def parts_of(name: str) -> list[str]:
    """The parts of a file's name.

    Raises:
        UsageError: If the name could lead out of the store, or to one of its own working files.
    """
    parts = name.split("/")
    if not all(_PART.fullmatch(part) for part in parts):
        raise UsageError(
            f"{name!r} can't name a file: use parts of letters, digits and '_.=+-' divided by '/', none of them "
            f"beginning with '.'"
        )
    return parts


def verified(name: str, data: bytes, sha256: str | None) -> bytes:
    """The same bytes, if they have that digest or none is asked for; ``RefusedError`` otherwise."""
    if sha256 is None or (found := hashlib.sha256(data).hexdigest()) == sha256:
        return data
    raise RefusedError(
        f"the file '{name}' was changed after it was written (its SHA-256 is {found[:12]}…, recorded was "
        f"{sha256[:12]}…) and is not opened; restore it from a backup",
        "TAMPERED",
    )


def taken(name: str) -> ConflictError:
    """Of a name that other bytes have."""
    return ConflictError(
        f"the file '{name}' is there already with other content, and a file never changes; use another name", "EXISTS"
    )


def missing(name: str) -> RefusedError:
    """Of a file that should be there."""
    return RefusedError(
        f"the file '{name}' is not in the file store; restore it from a backup, or run the day again", "MISSING"
    )


class LocalFiles:
    """Files by name. A file appears whole or not at all, and never changes after."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> str:
        """Write once, atomically; returns the SHA-256.

        Raises:
            ConflictError: If the name is taken by other bytes.
        """
        path = self.path(name)
        try:
            self._make_folders(path.parent)
            if not path.exists():
                self._write(path, data)
        except OSError as error:
            raise UnavailableError(
                f"the file '{name}' can't be written below {self._root} ({error.strerror or error}); make room or give "
                f"access, and try again: nothing is half written",
                "STORAGE",
            ) from error
        digest = hashlib.sha256(data).hexdigest()
        if hashlib.sha256(self._read(name)).hexdigest() != digest:
            raise taken(name)
        return digest

    def get(self, name: str, sha256: str | None = None) -> bytes:
        """The bytes; with ``sha256`` only if they have that digest.

        Raises:
            RefusedError: With code ``TAMPERED`` if they have another, ``MISSING`` if there is no such file.
            UnavailableError: With code ``STORAGE`` if it is there, and this account may not read it.
        """
        return verified(name, self._read(name), sha256)

    def path(self, name: str) -> Path:
        """Where the file lies, or would lie.

        Raises:
            UsageError: If the name could lead out of the folder, or to one of the folder's own working files.
        """
        path = self._root.joinpath(*parts_of(name))
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise UsageError(f"{name!r} leads out of the file store through a link; remove the link")
        return path

    def exists(self, name: str) -> bool:
        """Whether the file is there.

        Raises:
            UnavailableError: If this account may not look: what can't be seen must not pass for what is not there.
        """
        try:
            return stat.S_ISREG(self.path(name).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _read(self, name: str) -> bytes:
        try:
            return self.path(name).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise missing(name) from None
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: OSError) -> UnavailableError:
        return UnavailableError(
            f"the file '{name}' can't be read below {self._root} ({error.strerror or error}); give this account access "
            f"to it and to the folders it lies in, and try again",
            "STORAGE",
        )

    def _make_folders(self, folder: Path) -> None:
        missing = [folder, *folder.parents]
        missing = missing[: next(n for n, path in enumerate(missing) if path.exists())]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)

    def _write(self, path: Path, data: bytes) -> None:
        # mkstemp makes the file 0600. A working file left by a kill begins with '.', so no name can reach it.
        handle, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            try:
                # A link, not a rename: of two writers the first wins, and the second sees it.
                os.link(part, path)
            except FileExistsError:
                return
        finally:
            Path(part).unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
