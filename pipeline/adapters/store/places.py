"""Where tables lie: in a folder, or on S3-compatible storage. What the store asks of either is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.dataset as pads
from pyarrow import fs

from pipeline.adapters.s3.bucket import Bucket
from pipeline.adapters.store.data_files import DAY, check_file, lost, of_system, short, unreadable
from pipeline.core.errors import PipelineError, RefusedError, UnavailableError

_FORMAT = pads.ParquetFileFormat()
#: Of a file on the storage, the way there and back is what takes time, so several are under way at once.
_AT_ONCE = 8


class Place(Protocol):
    """Where tables lie."""

    def where(self, table: str) -> tuple[str, dict[str, str] | None]:
        """The table's address and the options it is opened with, as the library wants them."""

    def has_log(self, table: str) -> bool:
        """Whether the table has a log."""

    def days(self, table: str) -> int:
        """How many days have files, whatever the log says."""

    def prepare(self, table: str, new: bool) -> None:
        """Whatever a write to the table needs beforehand."""

    def rows(self, table: str, lines: Sequence[Mapping[str, Any]], schema: pa.Schema, wanted: list[str]) -> pa.Table:
        """The rows of these lines of the log, in order, each file found to be the one that its line says."""

    def unreadable(self, what: str, table: str, error: BaseException) -> PipelineError:
        """The sentence for an error of the library's."""

    def unwritten(self, what: str, error: BaseException) -> PipelineError:
        """The sentence for a write that failed."""


class Folder:
    """A local folder, which is made readable by its owner only."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def where(self, table: str) -> tuple[str, dict[str, str] | None]:
        """The folder itself."""
        return str(self._root / table), None

    def has_log(self, table: str) -> bool:
        """Whether there is a folder of that name."""
        return (self._root / table / "_delta_log").is_dir()

    def days(self, table: str) -> int:
        """Counted by their folders: one that holds no file is what a full disk left."""
        return len({file.parent for file in (self._root / table).glob(f"{DAY}=*/*.parquet")})

    def prepare(self, table: str, new: bool) -> None:
        """Make the folders."""
        if new:
            if not self._root.exists():
                self._root.mkdir(parents=True, exist_ok=True)
                self._root.chmod(0o700)
            (self._root / table).mkdir(parents=True, exist_ok=True)

    def rows(self, table: str, lines: Sequence[Mapping[str, Any]], schema: pa.Schema, wanted: list[str]) -> pa.Table:
        """Footers first, then all files as one dataset; a footer is kept by its fragment, which needs it anyway."""
        folder, local = self._root / table, fs.LocalFileSystem()
        fragments = []
        for line in lines:
            what = f"{table} of {line['partition.day']}: the file '{line['path']}'"
            path = folder / line["path"]
            fragment = _FORMAT.make_fragment(str(path), filesystem=local, partition_expression=_of_day(line))
            try:
                check_file(what, line, path.stat().st_size, fragment)
            except (OSError, pa.ArrowException) as error:
                raise unreadable(what, folder, error) from error
            fragments.append(fragment)
        return pads.FileSystemDataset(fragments, schema, _FORMAT, local).to_table(columns=wanted)

    def unreadable(self, what: str, table: str, error: BaseException) -> PipelineError:
        """Asks for access where that is missing, and for a backup otherwise."""
        return unreadable(what, self._root / table, error)

    def unwritten(self, what: str, error: BaseException) -> PipelineError:
        """Names what the system said."""
        why = of_system(error)
        return UnavailableError(
            f"{what} could not be written to the store: {why or short(error)}. Nothing was changed; "
            f"{'make room or give access, and ' if why else ''}try again",
            "STORE",
        )


class OnBucket:
    """S3-compatible storage with conditional writes.

    A commit is one object, put on the condition that no other has its name.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._options = bucket.options()

    def where(self, table: str) -> tuple[str, dict[str, str] | None]:
        """The table's address in the bucket."""
        return f"s3://{self._bucket.address.bucket}/{self._bucket.address.prefix}{_below(table)}", self._options

    def has_log(self, table: str) -> bool:
        """One request: an open table would go on although its log is gone. Storage that is away shows here, too."""
        return bool(self._bucket.names(f"{_below(table)}/_delta_log/", most=1))

    def days(self, table: str) -> int:
        """Counted by what their files' names begin with."""
        start = f"{_below(table)}/{DAY}="
        return len({name[len(start) :].partition("/")[0] for name in self._bucket.names(start)})

    def prepare(self, table: str, new: bool) -> None:
        """Storage that lets one writer overwrite another's commit must not be written to."""
        self._bucket.demand_conditions()

    def rows(self, table: str, lines: Sequence[Mapping[str, Any]], schema: pa.Schema, wanted: list[str]) -> pa.Table:
        """Each file in one request, several at once; of what comes only the columns asked for are kept.

        Asking for the size, the footer and each column apart would be as many ways there and back, for files of a day.
        """

        def one(line: Mapping[str, Any]) -> pa.Table:
            what = f"{table} of {line['partition.day']}: the file '{line['path']}'"
            data = self._bucket.get(f"{_below(table)}/{line['path']}")
            if data is None:
                raise lost(what)
            fragment = _FORMAT.make_fragment(pa.BufferReader(data), partition_expression=_of_day(line))
            try:
                check_file(what, line, len(data), fragment)
                return fragment.to_table(schema=schema, columns=wanted)
            except (OSError, pa.ArrowException) as error:
                raise self.unreadable(what, table, error) from error

        if not lines:
            return schema.empty_table().select(wanted)
        with ThreadPoolExecutor(min(_AT_ONCE, len(lines))) as pool:
            # After a fault what has not begun is not begun.
            return pa.concat_tables(list(pool.map(one, lines)))

    def unreadable(self, what: str, table: str, error: BaseException) -> PipelineError:
        """Of the storage, if that is what is wrong."""
        return self._bucket.fault_in(str(error)) or RefusedError(
            f"{what} can't be read from the store: {self._short(error)}; restore the table '{table}' at "
            f"{self._bucket.address} from a backup",
            "CORRUPT",
        )

    def unwritten(self, what: str, error: BaseException) -> PipelineError:
        """Where an answer was lost it is not known what the storage did, apart from that it did no half of it."""
        return self._bucket.fault_in(str(error)) or UnavailableError(
            f"{what} could not be written to the store: {self._short(error)}; it is there whole or not at all, so try "
            f"again",
            "STORAGE",
        )

    def _short(self, error: BaseException) -> str:
        return short(self._bucket.hide(str(error)))


def _below(table: str) -> str:
    return f"tables/{table}"


def _of_day(line: Mapping[str, Any]) -> pads.Expression:
    return pads.field(DAY) == pa.scalar(line["partition.day"], pa.date32())
