"""What the file store keeps as JSON, read back: a damaged file is a sentence with the way out, never a traceback."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import date
from typing import Any

from pipeline.core.errors import RefusedError
from pipeline.core.ports import Files


def read_kept(files: Files, name: str, stem: str = "", day: date | None = None) -> Any:
    """The value of a JSON file, packed if its name says so.

    Args:
        files: The file store.
        name: The file's name.
        stem: How the names begin of everything that is to be removed with it; empty: the file alone.
        day: Which day its ``day`` must be; None: it has none.

    Raises:
        RefusedError: With code ``DAMAGED``: it is cut, overwritten or another day's; ``MISSING``: it is gone.
    """
    anew = f"remove {f'every file whose name begins with {stem!r}' if stem else 'it'} from the file store and run again"
    try:
        data = files.get(name)
        found = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)
        if day is not None and found.get("day") != day.isoformat():
            raise ValueError(f"it is of {found.get('day')}")
        return found
    except RefusedError as gone:
        if not stem:
            raise
        raise RefusedError(f"the file '{name}' is not in the file store; {anew}: it is made anew", gone.code) from gone
    except (ValueError, EOFError, OSError, zlib.error) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise RefusedError(
            f"the file '{name}' is damaged ({why}); {anew}: what it holds is made anew", "DAMAGED"
        ) from error
