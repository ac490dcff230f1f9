"""The store's data files: is each the one that the log says, and what to say of one that can't be read."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError, RefusedError, UnavailableError

#: The store's column that holds the digest of the delivery's bytes, constant within a day.
SHA256 = "_sha256"
DAY = "day"
_RESTORE = (
    "restore it from a backup of the store (the same delivery again would write nothing, since the log has its digest "
    "already)"
)


def check_file(what: str, line: Mapping[str, Any], size: int, fragment: Any) -> None:
    """Compare a file with its line of the log: another valid one in its place would be read without a word.

    Raises:
        RefusedError: With code ``CORRUPT`` if it is another file.
        OSError, pyarrow.ArrowException: If its footer can't be read.
    """
    if size == line["size_bytes"]:
        file_digests, logged_digests = _digests(fragment.metadata), {line[f"min.{SHA256}"], line[f"max.{SHA256}"]}
        if file_digests == logged_digests:
            return
        fault = f"holds the delivery {_listed(file_digests)}, and the log says {_listed(logged_digests)}"
    else:
        fault = f"has {size:,} bytes, and the log says {line['size_bytes']:,}"
    raise RefusedError(
        f"{what} {fault}: it was exchanged or changed after it was written; {_RESTORE}",
        "CORRUPT",
    )


def lost(what: str) -> RefusedError:
    """Of a file that the log names and that is not there."""
    return RefusedError(f"{what} is not there any more; {_RESTORE}", "CORRUPT")


def _digests(footer: Any) -> set[Any]:
    """The least and the greatest digest that the file's statistics name; None where they name none."""
    digests: set[Any] = set()
    at = footer.schema.names.index(SHA256) if SHA256 in footer.schema.names else -1
    for group in range(footer.num_row_groups):
        statistics = footer.row_group(group).column(at).statistics if at >= 0 else None
        digests |= {statistics.min, statistics.max} if statistics is not None and statistics.has_min_max else {None}
    return digests


def _listed(digests: set[Any]) -> str:
    return " and ".join(sorted(f"{str(digest)[:12]}…" if digest else "unknown" for digest in digests)) or "unknown"


def unreadable(what: str, folder: Path, error: BaseException) -> PipelineError:
    """Where access is missing a backup helps nobody, and nothing is said about the data."""
    if _number_of(error) in (errno.EACCES, errno.EPERM):
        return UnavailableError(
            f"{what} can't be read from the store ({of_system(error)}); give this account access to {folder} and all "
            f"that lies in it, and try again",
            "STORE",
        )
    return RefusedError(
        f"{what} can't be read from the store: {short(error)}; restore the folder '{folder.name}' of the store from a "
        f"backup",
        "CORRUPT",
    )


def of_system(error: BaseException) -> str:
    """What the operating system said, as in "No space left on device"; empty if it was not asked."""
    number = _number_of(error)
    return os.strerror(number) if number else ""


def _number_of(error: BaseException) -> int | None:
    # The library names the number in its words only.
    match = re.search(r"\(os error (\d+)\)", str(error))
    return int(match[1]) if match else error.errno if isinstance(error, OSError) else None


def short(error: BaseException | str) -> str:
    """An error's words on one line, without the colours that the library gives them."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    return text if len(text) <= 200 else f"{text[:200]} …"
