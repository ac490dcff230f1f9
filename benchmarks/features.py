"""What features cost: of one request, of a day, of a training window, of ten times its flights; and on other engines.

Each in a process of its own, so that its peak memory is its own; processor seconds of the fastest of three (of one for
ten times the flights). Other engines are measured where they are installed (``pip install duckdb``), through narwhals
and without what the product adds to it; ratios are of one run.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.upstream import tables_for
from pipeline.core.windows import Days, training_days
from pipeline.usecases import find

DAY = date(2013, 3, 8)
USECASES = ("flight_delay", "flight_minutes")
#: Name of a size to how often it is computed; the fastest counts.
SIZES = {"a request": 5, "a day": 3, "a window": 3, "a window of ten times the flights": 1}
TENFOLD = 10


def _write(folder: Path) -> None:
    """The typed tables of each size, as the engine reads them from the store."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import feather

    from pipeline.adapters.engine.polars_engine import PolarsEngine
    from tests.fakes import MemoryStore
    from tests.flights import newest, put, typed

    usecase, store = find(USECASES[0]), MemoryStore()
    for day in Days(date(2013, 1, 1), DAY):
        delivered = tables_for(day)
        for table in usecase.tables:
            put(store, table, day, typed(table, delivered[table.name]))
    engine, units = PolarsEngine(store), usecase.feeds[0].name
    for size, days in _days(usecase).items():
        rows = engine._rows(usecase, newest(store), days, frozenset())
        if size == "a request":
            flights, last = rows[units], pc.equal(rows[units]["day"], pa.scalar(DAY, pa.date32()))
            rows[units] = pa.concat_tables([flights.filter(pc.invert(last)), flights.filter(last).slice(0, 1)])
        if "ten" in size:
            number = rows[units].column_names.index("flight")
            parts = [
                rows[units].set_column(number, "flight", pc.add(rows[units]["flight"], 10_000 * n))
                for n in range(TENFOLD)
            ]
            rows[units] = pa.concat_tables(parts)
        for name, table in rows.items():
            feather.write_feather(table, folder / f"{size} {name}.arrow", compression="uncompressed")


def _days(usecase: Any) -> Mapping[str, Days]:
    window = training_days(DAY, usecase.longest_window)
    sizes = (Days(DAY, DAY), Days(DAY, DAY), window, window)
    return dict(zip(SIZES, sizes, strict=True))


def _polars(usecase: Any, rows: Mapping[str, Any], days: Days) -> Any:
    from pipeline.adapters.engine.polars_engine import frames_of, known
    from pipeline.adapters.engine.selecting import chosen

    return chosen(usecase, lambda: known(usecase, frames_of(usecase, rows)), days)


def _duckdb(usecase: Any, rows: Mapping[str, Any], days: Days) -> Any:
    import duckdb
    import narwhals as nw

    from pipeline.adapters.engine.polars_engine import known

    connection = duckdb.default_connection()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'; SET memory_limit = '2GB'")
    frames = {name: nw.from_native(connection.from_arrow(table)) for name, table in rows.items()}
    made = usecase.features(known(usecase, frames)).to_native()
    chosen = made.filter(f"day BETWEEN DATE '{days.first}' AND DATE '{days.last}'").order("day")
    return chosen.to_arrow_table()


ENGINES: dict[str, Callable[[Any, Mapping[str, Any], Days], Any]] = {"polars": _polars, "duckdb": _duckdb}


def _worker(folder: str, size: str, name: str, engine: str) -> None:
    from pyarrow import feather

    usecase = find(name)
    rows = {
        table.name: feather.read_table(Path(folder) / f"{size} {table.name}.arrow", memory_map=False)
        for table in usecase.tables
    }
    importlib.import_module(engine)
    before = _peak()
    seconds, walls, made = [], [], 0
    for _ in range(SIZES[size]):
        began, wall = time.process_time(), time.perf_counter()
        made = len(ENGINES[engine](usecase, rows, _days(usecase)[size]))
        seconds.append(time.process_time() - began)
        walls.append(time.perf_counter() - wall)
    print(json.dumps({"rows": made, "cpu": min(seconds), "wall": min(walls), "before": before, "peak": _peak()}))


def _peak() -> float:
    """This process's peak resident memory, MB; what getrusage says of it begins with its parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Print the table."""
    console = Console(width=120)
    engines = [name for name in ENGINES if importlib.util.find_spec(name)]
    table = Table(title="features: processor seconds, wall seconds, memory beyond the tables that are read")
    for column in ("use case", "size", "units", *engines):
        table.add_column(column, justify="right" if column not in ("use case", "size") else "left")
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        for name in USECASES:
            for size in SIZES:
                found = [_measured(folder, size, name, engine) for engine in engines]
                first = found[0]
                cells = [
                    f"{one['cpu']:.2f} s ({one['cpu'] / first['cpu']:.1f} ×), {one['wall']:.2f} s, "
                    f"{one['peak'] - one['before']:.0f} MB"
                    for one in found
                ]
                table.add_row(name, size, str(first["rows"]), *cells)
    console.print(table)


def _measured(folder: str, size: str, name: str, engine: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.features", folder, size, name, engine]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    if len(sys.argv) == 5:
        _worker(*sys.argv[1:])
    else:
        main()
