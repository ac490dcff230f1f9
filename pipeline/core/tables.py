"""Declarations of the data a use case reads: columns, daily feeds, reference tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.core.forms import PLAIN, Form, Written
from pipeline.core.verdict import Bound

#: A narwhals frame. The core never looks inside one, so it does not import narwhals.
Frame = Any

Type = Literal["string", "integer", "number", "date", "timestamp"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a delivered file.

    Attributes:
        name: Its header.
        type: ``string``, ``integer``, ``number``, ``date`` (ISO) or ``timestamp`` (ISO with an offset, kept as UTC).
        empty: Whether a value may be absent.
        outcome: Whether its value is known only after the fact. Features may use it for past units only; the
            point-in-time audit blanks it wherever it is not yet known.
        known: For outcomes: the timestamp column, added by the feed's ``known_at``, from when on it is known. One row
            may be known in parts, as a departure is known hours before the arrival.
        step: For quantised measures: values are whole multiples of this. A value off the scale betrays a change
            of unit.
        varies: Whether a day on which all rows hold one value is a fault.
        written: How upstream writes its cells, where that is not as the type says: ``digits`` for a string that comes
            as numbers of any length, ``truth`` for an integer that comes as true and false, ``float`` for one that
            comes as whole floating numbers.
        also: Other headers under which it may be delivered, such as the one that upstream has renamed it to: a file has
            one of them. Nothing else changes, neither what is kept nor what was learnt.
    """

    name: str
    type: Type
    empty: bool = False
    outcome: bool = False
    known: str = "known_at"
    step: float | None = None
    varies: bool = False
    written: Written = "plain"
    also: tuple[str, ...] = field(default=(), metadata={"of the delivery": True})

    def __post_init__(self) -> None:
        wanted = {"digits": "string", "truth": "integer", "float": "integer"}.get(self.written, self.type)
        if self.type != wanted:
            raise ValueError(f"column '{self.name}': a {wanted} can be written as {self.written}, a {self.type} can't")


def _check_columns(what: str, columns: Sequence[Column], key: Sequence[str]) -> None:
    names = [column.name for column in columns]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{what} declares {', '.join(doubled)} more than once")
    if words := [column.name for column in columns if isinstance(column.also, str)]:
        raise ValueError(f"{what}: other headers are several words, as in also=('size_cm',): {', '.join(words)}")
    headers = [header for column in columns for header in (column.name, *column.also)]
    twice = sorted({header for header in headers if headers.count(header) > 1})
    if twice:
        raise ValueError(f"{what} declares the header {', '.join(twice)} for more than one column")
    missing = [name for name in key if name not in names]
    if not key or missing:
        raise ValueError(f"{what} needs a key made of its own columns; not among them: {missing or 'any key'}")
    empty = [column.name for column in columns if column.name in key and column.empty]
    if empty:
        raise ValueError(f"{what}: key columns can't be empty, but {', '.join(empty)} may be")
    reserved = [name for name in names if name.startswith("_")]
    if reserved:
        raise ValueError(f"{what}: names that begin with '_' are the store's own: {', '.join(reserved)}")


@dataclass(frozen=True, slots=True)
class Feed:
    """A table that gets new rows each day, delivered as one file a day.

    Attributes:
        name: The table's name in the store.
        path: Where the file of a day lies: a path below the landing folder, or an http(s) address, with
            ``{day}`` (ISO), or ``{day:%Y%m%d}``, in it. The suffix says the format: ``.csv``, ``.jsonl``, ``.parquet``,
            each of the texts also ``.gz`` or ``.zip``.
        columns: The declared schema.
        key: The columns that name a row; unique within the whole table.
        day: The column (a date) that must equal the file's day in every row.
        time: The column (a timestamp) of the event, if there is one; it must lie within a day and a half of the
            file's day, so a shift of the clock or a future row is seen.
        known_at: Adds a timestamp column ``known_at``: from when on the whole row is known, and the columns that its
            outcomes name as ``known``. None: a row is known when its day has closed.
        rows: How the day's row count may compare with the median of the same weekday's recent days, as a ratio. None:
            the limit is learned from the accepted days.
        bytes: The largest file that is opened at all.
        bad_rows: The share of rows that may break the declared types and go to quarantine; more refuses the file.
        extra_columns: ``"refuse"`` or ``"ignore"`` columns that are not declared.
        manifest: Whether the delivery must carry ``<file>.manifest.json`` (sha256, rows, bytes).
        form: How the files are written, where that is not the plain way.
    """

    name: str
    path: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    day: str
    time: str | None = None
    known_at: Callable[[Frame], Frame] | None = None
    rows: Bound | None = None
    bytes: int = 64_000_000
    bad_rows: float = 0.001
    extra_columns: Literal["refuse", "ignore"] = "refuse"
    manifest: bool = False
    form: Form = PLAIN

    def __post_init__(self) -> None:
        what = f"feed '{self.name}'"
        _check_columns(what, self.columns, self.key)
        _check_delivery(what, self.path, self.bytes, self.bad_rows)
        for column in filter(None, (self.day, self.time)):
            if column not in {c.name for c in self.columns}:
                raise ValueError(f"{what} has no column '{column}'")
        _check_dated(what, self.columns, self.day, "date")
        if self.time is not None:
            _check_dated(what, self.columns, self.time, "timestamp")
        _check_partition(what, self.columns, self.day)
        early = [c.name for c in self.columns if c.known != "known_at" and (self.known_at is None or not c.outcome)]
        if early:
            raise ValueError(
                f"{what}: {', '.join(early)} names when it is known, but is no outcome or no known_at adds it"
            )


def _check_dated(what: str, columns: Sequence[Column], name: str, wanted: Type) -> None:
    column = next(column for column in columns if column.name == name)
    if column.type != wanted or column.empty:
        raise ValueError(f"{what}: column '{name}' must be a {wanted} that is never empty")


def _check_partition(what: str, columns: Sequence[Column], day: str | None) -> None:
    if day != "day" and any(column.name == "day" for column in columns):
        raise ValueError(f"{what}: 'day' names the file's day in the store; the declared column needs another name")


def _check_delivery(what: str, path: str, size: int, bad_rows: float) -> None:
    if "{day" not in path:
        raise ValueError(f"{what}: the path '{path}' has no {{day}} in it, so every day would read the same file")
    if size < 1 or not 0 <= bad_rows < 1:
        raise ValueError(f"{what}: bytes must be positive and bad_rows in [0, 1), got {size} and {bad_rows}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A slowly changing table that units are joined to by key, delivered as a whole snapshot each day.

    A reference that quietly stops being refreshed starves the model of what is new, and nothing else shows it:
    drift monitors grow *quieter*. Hence the limits below.

    Attributes:
        name: The table's name in the store.
        path: Where the snapshot of a day lies; as in :class:`Feed`.
        columns: The declared schema.
        key: The columns that name a row; unique within one snapshot.
        refreshed: The column (a date) that says when upstream last refreshed the content; its newest value gives
            the table's age as of the data day.
        max_age: The highest age in days that is still accepted: the data day less the newest value of ``refreshed``.
            An older table is refused, and so is one that says it was refreshed after the data day.
        max_unchanged: For how many days in a row the content may be the same although the date moves on.
            None: the table rarely changes, so the check does not apply.
        shrinkage: The share of the keys in use that may vanish from one day to the next; of all keys, a
            twentieth may, and five in any case.
        rewritten: The share of rows whose content may change from one accepted day to the next. None: the limit is
            learned from the accepted days, column by column.
        joined_by: The feed that is joined to it and that feed's columns, in the order of ``key``.
        matched: How large a share of the units that have a key must find it here.
        matched_drop: By how much that share may fall below its own recent past; what is mere noise is allowed anyway.
        bytes, bad_rows, extra_columns, manifest, form: As in :class:`Feed`.
    """

    name: str
    path: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    refreshed: str
    max_age: int
    max_unchanged: int | None
    joined_by: tuple[str, tuple[str, ...]]
    matched: Bound
    matched_drop: float = 0.05
    shrinkage: float = 0.01
    rewritten: float | None = None
    bytes: int = 64_000_000
    bad_rows: float = 0.0
    extra_columns: Literal["refuse", "ignore"] = "refuse"
    manifest: bool = False
    form: Form = PLAIN

    def __post_init__(self) -> None:
        what = f"reference table '{self.name}'"
        _check_columns(what, self.columns, self.key)
        _check_delivery(what, self.path, self.bytes, self.bad_rows)
        if self.refreshed not in {column.name for column in self.columns}:
            raise ValueError(f"{what} has no column '{self.refreshed}' to tell its age by")
        _check_dated(what, self.columns, self.refreshed, "date")
        _check_partition(what, self.columns, None)
        if self.max_age < 0 or (self.max_unchanged is not None and self.max_unchanged < 1):
            raise ValueError(f"{what}: max_age must be at least 0 and max_unchanged at least 1 (or None)")
        if len(self.joined_by[1]) != len(self.key):
            raise ValueError(f"{what} is joined by {self.joined_by[1]}, but its key is {self.key}")


Table = Feed | Reference
