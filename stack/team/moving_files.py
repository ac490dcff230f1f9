"""Files of a store and of MLflow, at home and in the stack: a folder, or S3-compatible storage."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.adapters.s3.address import address_of
from pipeline.adapters.s3.bucket import Bucket
from stack.errors import StackError

Tick = Callable[[str], None]
"""Is told the name of each file that is dealt with."""

# What a writer that was killed leaves behind; nothing ever refers to it.
_WORKING = re.compile(r"(?:^|/)(?:\.part-[^/]*|\.conditional-put|\.[^/]*\.lock|_commit_[^/]*\.tmp|[^/]*#\d+)$")
_LOG = re.compile(r"(?P<table>.+)/_delta_log/(?P<version>\d{20})\.json")


class Place(Protocol):
    """Where files lie, by name."""

    def names(self) -> set[str]:
        """All of them, but for what a killed writer left."""

    def sha256(self, name: str) -> str:
        """The digest of one that is there."""

    def write(self, name: str, source: Path, *, replace: bool = False) -> None:
        """Copy a file there, whole or not at all; without `replace` never over another."""


class Folder:
    """A local folder; what is made in it is for its owner alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> set[str]:
        """Found by walking through it, links not followed."""
        found = set()
        for folder, _, files in os.walk(self.root, onerror=_raise):
            for file in files:
                name = Path(folder, file).relative_to(self.root).as_posix()
                if not _WORKING.search(name):
                    found.add(name)
        return found

    def sha256(self, name: str) -> str:
        """Read in pieces: a table's file may be large."""
        with (self.root / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write(self, name: str, source: Path, *, replace: bool = False) -> None:
        """By way of a working file beside it.

        Raises:
            StackError: Somebody else has written a file of that name meanwhile.
        """
        path = self.root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)  # 0600
        try:
            with os.fdopen(handle, "wb") as out, source.open("rb") as file:
                while piece := file.read(1 << 20):
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
            if replace:
                Path(part).replace(path)
            else:
                os.link(part, path)
        except FileExistsError:
            raise StackError(f"{path} was written by somebody else meanwhile; let the stack's runs end first") from None
        finally:
            Path(part).unlink(missing_ok=True)


class _Bucket(Bucket):
    """One in which a file may be written over."""

    def replace(self, name: str, data: bytes) -> None:
        """MLflow's artifacts may change: a day that is run again has a new page."""
        self._client.put_object(Bucket=self.address.bucket, Key=self.address.prefix + name, Body=data)


class Storage:
    """A place on S3-compatible storage."""

    def __init__(self, bucket: _Bucket) -> None:
        self._bucket = bucket

    def names(self) -> set[str]:
        """In as many requests as it takes."""
        return {name for name in self._bucket.names("") if not _WORKING.search(name)}

    def sha256(self, name: str) -> str:
        """Of what is there now."""
        return hashlib.sha256(self._bucket.get(name) or b"").hexdigest()

    def write(self, name: str, source: Path, *, replace: bool = False) -> None:
        """In one request.

        Raises:
            StackError: Somebody else has written an object of that name meanwhile.
        """
        data = source.read_bytes()
        if replace:
            self._bucket.replace(name, data)
        elif not self._bucket.create(name, data):
            raise StackError(f"{name} was written by somebody else meanwhile; let the stack's runs end first")


def place_of(address: str, settings: Mapping[str, str]) -> Place:
    """The place that `/data/store` or `s3://bucket/prefix` means.

    Raises:
        UsageError: It is neither, or the storage's keys are missing.
    """
    if address.startswith("s3://"):
        return Storage(_Bucket(address_of(address, settings)))
    return Folder(Path(address))


@dataclass(slots=True)
class Files:
    """What is to be done with one kind of files.

    Attributes:
        home: Name in the stack to digest at home, of all.
        sources: Name in the stack to the file at home.
        missing: Names to copy, in the order in which they must arrive.
        changed: Names of files that the home has changed since they were moved.
        kept: Names of files that the stack has changed since; they stay as they are.
    """

    place: Place
    home: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Path] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

    def copy(self, tick: Tick) -> None:
        """Copy what is to be copied, in order."""
        for name in self.missing:
            self.place.write(name, self.sources[name])
            tick(name)
        for name in self.changed:
            self.place.write(name, self.sources[name], replace=True)
            tick(name)

    def there(self, tick: Tick) -> dict[str, str]:
        """Name to digest of those that are in the stack now."""
        found = {}
        for name in sorted(self.place.names() & self.home.keys()):
            found[name] = self.place.sha256(name)
            tick(name)
        return found


def compared(
    sources: Mapping[str, Path],
    place: Place,
    base: Mapping[str, str],
    conflict: Callable[[str], StackError],
    tick: Tick,
) -> Files:
    """Set files at home against those in the stack.

    Args:
        sources: Name in the stack to the file at home.
        place: The stack's.
        base: Name to digest of what an earlier move left there; files that never change need none.
        conflict: Makes the refusal for a name that means something else there.
        tick: Is told each name.
    """
    found = Files(place, sources=dict(sources))
    present = place.names()
    for name, path in sources.items():
        with path.open("rb") as file:
            found.home[name] = digest = hashlib.file_digest(file, "sha256").hexdigest()
        tick(name)
        if name not in present:
            found.missing.append(name)
        elif (there := place.sha256(name)) != digest:
            if there == base.get(name):
                found.changed.append(name)
            elif digest == base.get(name):
                found.kept.add(name)
            else:
                raise conflict(name)
    found.missing.sort(key=arrival)
    return found


def store(home: Path, place: Place, tick: Tick) -> Files:
    """The store's tables and immutable files.

    Raises:
        StackError: A table or a file of the same name holds something else in the stack.
    """
    sources = {name: home / name for name in Folder(home).names() if name.startswith(("tables/", "files/"))}
    # A hint where to begin reading, which whoever writes renews: copied where there is none, and never compared.
    hints = {name for name in sources if name.endswith("/_last_checkpoint")}
    found = compared({name: sources[name] for name in sources.keys() - hints}, place, {}, _taken, tick)
    found.sources |= {name: sources[name] for name in hints}
    found.missing = sorted({*found.missing, *(hints - place.names())}, key=arrival)
    return found


def _taken(name: str) -> StackError:
    found = _LOG.fullmatch(name)
    what = f"version {int(found['version'])} of {found['table']}" if found else name
    return StackError(
        f"the stack's store holds something else under the same name: {what}; nothing was written. Move into a stack "
        "that has not run these use cases yet"
    )


def arrival(name: str) -> tuple[int, str]:
    """Sorts a store's files so that whoever reads meanwhile never meets a log entry before the data it names."""
    if "/_delta_log/" not in name:
        return 0, name
    if name.endswith(".json"):
        return 1, name
    return (3 if name.endswith("/_last_checkpoint") else 2), name


def digest_of(lines: Iterable[tuple[str, str]]) -> str:
    """One digest of many names and digests, whatever their order."""
    made = hashlib.sha256()
    for name, digest in sorted(lines):
        made.update(f"{name}\0{digest}\n".encode())
    return made.hexdigest()[:16]


@contextmanager
def shown(what: str, total: int | None = None) -> Iterator[Tick]:
    """A bar that shows how far a long copy is."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(what, total=total)
        yield lambda _: bars.advance(task)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
