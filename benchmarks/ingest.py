"""What a day costs when a thousand days are stored, against few: to ingest it, and to read the window before it.

A synthetic feed shaped like the flights of the demonstration (19 columns, about 900 rows, gzipped with a manifest) is
delivered and ingested day by day, each day as the daily run does it, with its look at the fourteen days before. Ratios
are of one run: seconds differ by machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.csv as pacsv

from pipeline.adapters.files.local import LocalFiles
from pipeline.adapters.landing.folder import FolderLanding
from pipeline.adapters.store.delta import DeltaStore
from pipeline.core.kinds import Binary
from pipeline.core.ports import World, silent
from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.windows import Days
from pipeline.steps.ingest import ingest

FIRST = date(2010, 1, 1)
ROWS = 900
#: So many days around each depth are timed, as many as lie between two checkpoints; the medians are compared.
AROUND = 20
#: The days that are read, as many as the longest window of the flights.
WINDOW = 60

FLIGHTS = Feed(
    name="flights",
    path="flights/{day}.csv.gz",
    columns=(
        Column("day", "date"),
        Column("carrier", "string"),
        Column("flight", "integer"),
        Column("origin", "string"),
        Column("dest", "string"),
        Column("tailnum", "string", empty=True),
        Column("scheduled", "timestamp"),
        *(Column(f"delay_{n}", "number", empty=True) for n in range(6)),
        *(Column(f"minutes_{n}", "integer", empty=True) for n in range(6)),
    ),
    key=("flight", "scheduled"),
    day="day",
    time="scheduled",
)


def usecase() -> Usecase:
    """The least that ingest asks of a use case."""
    nothing = cast("Any", None)
    return Usecase(
        name="benchmark",
        question="What does a day cost?",
        kind=Binary(target="late"),
        unit=("flight", "scheduled"),
        feeds=(FLIGHTS,),
        references=cast("tuple[Reference, ...]", ()),
        features=nothing,
        inputs=("carrier",),
        history=14,
        recipes=(Recipe("short", nothing, 28),),
        baseline=Recipe("rule", nothing, 28),
        block=("origin",),
        slices=("origin",),
        gates=(nothing,),
    )


def deliver(landing: Path, day: date) -> None:
    """Write one day's file and its manifest."""
    draw = random.Random(day.toordinal())  # noqa: S311 - figures for a benchmark
    start = datetime(day.year, day.month, day.day, 5, tzinfo=UTC)
    columns: dict[str, Any] = {
        "day": [day.isoformat()] * ROWS,
        "carrier": draw.choices(["UA", "AA", "B6", "DL", "EV"], k=ROWS),
        "flight": list(range(ROWS)),
        "origin": draw.choices(["EWR", "JFK", "LGA"], k=ROWS),
        "dest": draw.choices([f"D{n:02}" for n in range(100)], k=ROWS),
        "tailnum": [f"N{draw.randrange(10_000, 14_000)}" for _ in range(ROWS)],
        "scheduled": [(start + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(ROWS)],
    }
    columns |= {f"delay_{n}": [round(draw.gauss(10, 40), 1) for _ in range(ROWS)] for n in range(6)}
    columns |= {f"minutes_{n}": [draw.randrange(30, 400) for _ in range(ROWS)] for n in range(6)}
    text = io.BytesIO()
    pacsv.write_csv(pa.table(columns), text, pacsv.WriteOptions(quoting_style="needed"))
    data = gzip.compress(text.getvalue(), compresslevel=1, mtime=0)
    file = landing / f"flights/{day}.csv.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    told = {"sha256": hashlib.sha256(data).hexdigest(), "rows": ROWS, "bytes": len(data)}
    file.with_name(f"{file.name}.manifest.json").write_text(json.dumps(told))


def _world(root: Path) -> World:
    nothing = cast("Any", None)
    return World(
        landing=FolderLanding(root / "landing"),
        store=DeltaStore(root / "store"),
        files=LocalFiles(root / "files"),
        engine=nothing,
        models=nothing,
        registry=nothing,
        ledger=nothing,
        checker=nothing,
        progress=silent,
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds at one depth.

    Attributes:
        day: To ingest a day: the median of those around.
        least: The same, the fastest of them: what is left when nobody else uses the machine.
        mean: The same, their mean: the one day in twenty that writes a checkpoint has its share.
        marks: To look up what the store holds of a window of days.
        read: To read that window.
    """

    day: float
    least: float
    mean: float
    marks: float
    read: float


def measure(at: Sequence[int] = (10, 100, 1000)) -> dict[int, Cost]:
    """What a day costs when so many days are in the store.

    One store is filled for each depth; then a day goes into each of them in turn and its window is read, so that a busy
    moment of the machine falls on all depths alike. Every task of the daily run is a new process, so everything timed
    begins with a store that was never asked before.
    """
    case = usecase()
    seconds: dict[int, list[tuple[float, float, float]]] = {depth: [] for depth in at}

    def take(root: Path, n: int) -> float:
        day = FIRST + timedelta(n)
        deliver(root / "landing", day)
        world = _world(root)
        return _seconds(lambda: ingest(case, day, world))

    def look(root: Path, n: int) -> tuple[float, float]:
        days = Days(FIRST + timedelta(n - WINDOW + 1), FIRST + timedelta(n))

        def marks(store: DeltaStore) -> None:
            store.marks(FLIGHTS.name, store.version(FLIGHTS.name) or 0, days)

        def read(store: DeltaStore) -> None:
            store.read(FLIGHTS.name, store.version(FLIGHTS.name) or 0, days)

        asked, opened = DeltaStore(root / "store"), DeltaStore(root / "store")
        return _seconds(lambda: marks(asked)), _seconds(lambda: read(opened))

    with tempfile.TemporaryDirectory() as folder:
        roots = {depth: Path(folder) / str(depth) for depth in at}
        for depth, root in roots.items():
            for n in range(depth - AROUND // 2):
                take(root, n)
                if n % 20 == 0 and sys.stderr.isatty():
                    print(f"\ringest: day {n:,} of {depth:,}  ", end="", file=sys.stderr)
        for k in range(AROUND):
            for depth, root in roots.items():
                n = depth - AROUND // 2 + k
                seconds[depth].append((take(root, n), *look(root, n)))
    if sys.stderr.isatty():
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return {depth: _cost(taken) for depth, taken in seconds.items()}


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _cost(taken: Sequence[tuple[float, float, float]]) -> Cost:
    days, marks, reads = zip(*taken, strict=True)
    return Cost(
        day=statistics.median(days),
        least=min(days),
        mean=statistics.mean(days),
        marks=statistics.median(marks),
        read=statistics.median(reads),
    )


def main() -> int:
    """Print the cost of day 10, 100 and 1,000.

    The first days are cheaper by a constant: there is no checkpoint to be read yet, there are fewer than fourteen days
    to look back at, and no full window to read.
    """
    costs = measure()
    print(f"one day of {ROWS} rows and {len(FLIGHTS.columns)} columns, by the number of days in the store")
    _print("ingest, 14 days looked back at", {depth: cost.day for depth, cost in costs.items()})
    _print("ingest, the fastest day", {depth: cost.least for depth, cost in costs.items()})
    _print("ingest, mean with checkpoints", {depth: cost.mean for depth, cost in costs.items()})
    full = {depth: cost for depth, cost in costs.items() if depth >= WINDOW + AROUND // 2}
    _print(f"look up {WINDOW} days", {depth: cost.marks for depth, cost in full.items()})
    _print(f"read {WINDOW} days", {depth: cost.read for depth, cost in full.items()})
    return 0


def _print(what: str, costs: Mapping[int, float]) -> None:
    first = next(iter(costs))
    for day, cost in costs.items():
        print(f"  {what:30}   day {day:5,}   {1000 * cost:7.1f} ms   {cost / costs[first]:.2f} times day {first}")


if __name__ == "__main__":
    sys.exit(main())
