"""The landing: where upstream delivers, a folder or http(s) addresses with the day in them.

A file is read in full and checked in this order: there at all, not a link out of the folder, not too large (before it
is opened), as its manifest says, no bomb, text in UTF-8 that ends where a line ends, the declared columns, the declared
types (rows that break them go to quarantine, up to the declared share), one row per key, rows of its own day only.
Each fault has its own code and its own sentence. In place of a Parquet file there may be a folder of parts, as Spark
writes one. What is written in another way than the plain one is read as the table's form says, and as nothing else.

What can't be seen: a text file without a manifest that was cut exactly at the end of a line, and a change of a digit
into another. Declare ``manifest=True`` and have upstream write one; without it, the count of rows against recent days
is the only net.

Nothing is looked for but the file of the day that is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pipeline.adapters.landing import fetching
from pipeline.adapters.landing.cells import RawCells
from pipeline.adapters.landing.conforming import Typed, check_days, check_keys, conform
from pipeline.adapters.landing.fetching import Absent, Manifest
from pipeline.adapters.landing.parquet import parse_parquet, parse_parts
from pipeline.adapters.landing.parts import read_parts, sha256_of_parts
from pipeline.adapters.landing.refusals import Subject, several, share
from pipeline.adapters.landing.text import checked_text, parse_csv, parse_jsonl
from pipeline.adapters.landing.unpacking import unpack
from pipeline.adapters.row_digests import content_of, in_key_order, timeless
from pipeline.core.errors import SLOW, PipelineError, UsageError
from pipeline.core.ports import Delivery
from pipeline.core.tables import Table

_TEXTS = {".csv": parse_csv, ".jsonl": parse_jsonl, ".ndjson": parse_jsonl}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the file of a day lies: an address, or a name below the landing folder."""

    name: str
    remote: bool
    subject: Subject

    @property
    def manifest(self) -> str:
        if not self.remote:
            return self.name + fetching.MANIFEST
        parts = urlsplit(self.name)
        return parts._replace(path=parts.path + fetching.MANIFEST).geturl()


class FolderLanding:
    """Deliveries below ``root``; tables whose path is an http(s) address are fetched from there."""

    def __init__(self, root: Path, timeout: float = 30.0) -> None:
        self._root = root
        self._timeout = timeout

    def has(self, table: Table, day: date) -> bool:
        """Whether anything was delivered for that day."""
        place = self._place(table, day)
        if place.remote:
            return fetching.answers(place.name, self._timeout, place.subject)
        return fetching.is_there(self._root, place.name)

    def digest(self, table: Table, day: date) -> str | None:
        """SHA-256 of the delivered bytes, None if there are none, empty if they can't be read as they should be.

        Raises:
            UnavailableError: With the code ``SLOW`` only.
        """
        try:
            return _sha256_of(self._data(self._place(table, day), table.bytes))
        except Absent:
            return None
        except PipelineError as error:
            if error.code == SLOW:
                raise
            return ""

    def fetch(self, table: Table, day: date) -> Delivery:
        """Read and type the file of that day.

        Raises:
            RefusedError: If the file must not be used; the code says which of the laws above it breaks.
            UnavailableError: If it is not there yet (``MISSING``), or can't be read now.
        """
        place = self._place(table, day)
        subject = place.subject
        suffix, inner = _suffixes(subject)
        data = self._delivered(table, place)
        sha256 = _sha256_of(data)
        manifest = self._manifest(table, place)
        if manifest is not None:
            manifest.check_bytes(subject, _size_of(data), sha256)
        if not data:
            raise subject.refused("EMPTY", "is empty (0 bytes)")
        if isinstance(data, bytes):
            raw = _parse(table, unpack(data, suffix, inner, table.bytes, subject), inner, subject, manifest)
        else:
            raw = parse_parts(table, place.name, data, subject, table.bytes)
        if not raw.total:
            raise subject.refused("HEADER_ONLY", "has a header but not one row")
        if manifest is not None:
            manifest.check_rows(subject, raw.total)
        typed = conform(table, raw)
        _check_share(table, typed, raw, subject)
        typed = check_keys(table, typed, raw, subject)
        _check_share(table, typed, raw, subject)
        check_days(table, day, typed, raw, subject)
        by_key = typed.rows.take(in_key_order(typed.rows, table.key))
        rejects = [(*raw.locate(number), reason) for number, reason in sorted(typed.rejects.items())]
        return Delivery(
            rows=typed.rows,
            sha256=sha256,
            content=content_of(timeless(table, day, by_key)),
            rejects=[(line, reason, text) for line, text, reason in rejects],
            file=subject.file,
        )

    def _delivered(self, table: Table, place: _Place) -> bytes | Mapping[str, bytes]:
        try:
            return self._data(place, table.bytes)
        except Absent:
            raise place.subject.unavailable(
                "MISSING", "is not there", "it may come late: try again, or ask upstream for it"
            ) from None

    def _manifest(self, table: Table, place: _Place) -> Manifest | None:
        about = place.subject
        subject = Subject(about.table, about.day, about.file + fetching.MANIFEST)
        try:
            data = self._bytes(_Place(place.manifest, place.remote, subject), fetching.MANIFEST_BYTES)
        except Absent:
            if not table.manifest:
                return None
            raise about.unavailable(
                "MANIFEST_MISSING",
                f"has no manifest ('{subject.file}') beside it, and none of this table is read without",
                "it may still be being written: try again, or ask upstream for the manifest",
            ) from None
        return fetching.manifest_of(about, data)

    def _data(self, place: _Place, limit: int) -> bytes | Mapping[str, bytes]:
        """The bytes of the file; of a folder of Parquet parts those of each part."""
        _, inner = _suffixes(place.subject)
        if inner == ".parquet" and not place.remote and (self._root / place.name).is_dir():
            return read_parts(self._root, place.name, limit, place.subject)
        return self._bytes(place, limit)

    def _bytes(self, place: _Place, limit: int) -> bytes:
        if place.remote:
            return fetching.read_address(place.name, limit, self._timeout, place.subject)
        return fetching.read_file(self._root, place.name, limit, place.subject)

    def _place(self, table: Table, day: date) -> _Place:
        name = table.path.format(day=day)
        if fetching.is_address(name):
            return _Place(name, True, Subject(table.name, day, fetching.public(name)))
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\0" in name or "\\" in name:
            raise UsageError(f"{table.name}: the path {name!r} must lie below the landing folder, without '..'")
        return _Place(name, False, Subject(table.name, day, name))


def _sha256_of(data: bytes | Mapping[str, bytes]) -> str:
    return fetching.sha256_of(data) if isinstance(data, bytes) else sha256_of_parts(data)


def _size_of(data: bytes | Mapping[str, bytes]) -> int:
    return len(data) if isinstance(data, bytes) else sum(map(len, data.values()))


def _suffixes(subject: Subject) -> tuple[str, str]:
    suffixes = PurePosixPath(subject.file).suffixes
    last = suffixes[-1].lower() if suffixes else ""
    inner = suffixes[-2].lower() if last in (".gz", ".zip") and len(suffixes) > 1 else last
    if inner in _TEXTS or (inner == last == ".parquet"):
        return last, inner
    if "=" in PurePosixPath(subject.file).name:
        return ".parquet", ".parquet"  # a folder that is named by a column's value, as Spark writes it
    raise UsageError(
        f"{subject.table}: the suffix of '{subject.file}' must say the format: .csv, .jsonl (each also .gz or .zip) "
        f"or .parquet"
    )


def _parse(table: Table, data: bytes, inner: str, subject: Subject, manifest: Manifest | None) -> RawCells:
    if inner == ".parquet":
        return parse_parquet(table, data, subject, table.bytes)
    text = checked_text(data, subject, whole=manifest is not None)
    return _TEXTS[inner](table, text, subject, manifest is not None)


def _check_share(table: Table, typed: Typed, raw: RawCells, subject: Subject) -> None:
    bad = len(typed.rejects)
    if bad <= table.bad_rows * raw.total and typed.rows.num_rows:
        return
    first = sorted(typed.rejects.items())[:_SHOWN]
    counted = Counter(reason.partition(": ")[0] for reason in typed.rejects.values() if ": " in reason)
    every = f"; by column: {several([f'{name} {n:,}' for name, n in counted.items()], 40)}" if len(counted) > 1 else ""
    reasons = "; ".join(f"line {raw.locate(number)[0]:,}: {reason}" for number, reason in first)
    more = f"; and {bad - _SHOWN:,} more" if bad > _SHOWN else ""
    raise subject.refused(
        "TYPES",
        f"has {share(bad, raw.total)} that break the declared types, and at most {table.bad_rows:.2%} may: "
        f"{reasons}{more}{every}",
        "ask upstream what changed, or declare what is now right",
    )
