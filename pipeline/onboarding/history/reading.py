"""A history in a file: CSV, JSON lines or Parquet, to typed columns. Nothing is rounded, nothing guessed in silence."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.errors import UsageError
from pipeline.core.words import first_few
from pipeline.onboarding.history.parquet_files import read_folder, read_parquet
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import column
from pipeline.onboarding.history.source import Source
from pipeline.onboarding.history.text_files import read_csv, read_json_lines
from pipeline.onboarding.notes import Note

FORMATS = ".csv, .parquet or .jsonl (the texts also .gz)"


def read(path: Path) -> tuple[pa.Table, list[Note]]:
    """The columns of a file, of which nothing else is known, and what was assumed."""
    source = opened(Request("", path, "", "", ()))
    return source.table, source.notes


def opened(request: Request) -> Source:
    """The columns as text, ``int64``, ``float64``, ``bool``, ``date32`` or ``timestamp[us]`` (with or without a zone).

    Raises:
        UsageError: The file is missing, unreadable, of another format, or holds no row.
    """
    path = request.file
    if not path.exists() or not (path.is_file() or path.is_dir()):
        raise UsageError(f"there is no file '{path}'; name the history with --from", "NO_FILE")
    reader = read_folder if path.is_dir() else _reader(path)
    try:
        source = reader(path, request)
    except (pa.ArrowException, UnicodeDecodeError, gzip.BadGzipFile, EOFError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UsageError(
            f"'{path}' can't be read as {path.suffix.lstrip('.')} in UTF-8 ({first}); write it anew from its source",
            "UNREADABLE",
        ) from None
    except OSError as error:
        raise UsageError(
            f"'{path}' can't be read ({error.strerror or error}); give this account access to it", "UNREADABLE"
        ) from None
    table = source.table
    if not table.num_rows:
        raise UsageError(f"'{path}' holds no row; a history of at least 15 days is needed", "EMPTY")
    doubled = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if doubled:
        raise UsageError(f"'{path}' has the column {first_few(doubled)} more than once; rename one of them", "COLUMNS")
    _leave_out(source, request)
    return source


def _reader(path: Path) -> Callable[[Path, Request], Source]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    inner = (suffixes[-2] if len(suffixes) > 1 else "") if packed else (suffixes[-1] if suffixes else "")
    if inner == ".csv":
        return read_csv
    if inner in (".jsonl", ".ndjson"):
        return read_json_lines
    if inner == ".parquet" and not packed:
        return read_parquet
    raise UsageError(f"the format of '{path.name}' is not known by its name; it must end in {FORMATS}", "FORMAT")


def _leave_out(source: Source, request: Request) -> None:
    """Leave out what was asked for, and the numbers of rows that pandas writes in a column without a name."""
    for name in request.drop:
        column(source.table, name, "drop")
        if name in (request.target, request.time, *request.unit):
            raise UsageError(f"--drop {name}: the target, the time and the unit can't be left out", "COLUMN")
        source.notes.append(Note(name, "left out, as asked for: no part of the use case, and not read of a day's file"))
    dropped = [*request.drop]
    for name in source.table.column_names:
        cells = source.table[name]
        nameless = (not name and source.suffix.startswith(".csv")) or name.startswith("Unnamed: ")
        numbered = nameless and pa.types.is_integer(cells.type)
        if numbered and name not in dropped and not cells.null_count and len(pc.unique(cells)) == len(cells):
            source.notes.append(Note(name or "(no name)", "left out: it is pandas' own index"))
            dropped.append(name)
    source.ignored += dropped
    source.table = source.table.drop_columns(dropped)
