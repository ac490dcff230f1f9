"""A folder of Parquet parts, as Spark and others write one: which files are data, and what their folders say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from pipeline.adapters.landing.fetching import read_file, sha256_of
from pipeline.adapters.landing.refusals import Subject


def parts_of(folder: Path) -> list[Path]:
    """The files of data, by name; what begins with '_' or '.' (``_SUCCESS``, ``_metadata``) is about them."""
    return sorted(
        path
        for path in folder.rglob("*.parquet")
        if path.is_file() and not any(part[0] in "_." for part in path.relative_to(folder).parts)
    )


def partitions_of(folder: Path, part: Path) -> dict[str, str]:
    """Column to value, out of the names of the folders between: ``day=2012-01-01/part-0.parquet``."""
    names = [name for name in (folder.name, *part.relative_to(folder).parts[:-1]) if "=" in name]
    return {unquote(key): unquote(value) for key, _, value in (name.partition("=") for name in names)}


def read_parts(root: Path, name: str, limit: int, subject: Subject) -> dict[str, bytes]:
    """Part's path below the folder to its bytes; all of them together are no more than ``limit``.

    Raises:
        RefusedError: There is no part, or they are too large.
        UnavailableError: Somebody is still writing the folder: Spark keeps ``_temporary`` until all parts are there.
    """
    folder = root / name
    if (folder / "_temporary").exists() and not (folder / "_SUCCESS").exists():
        raise subject.unavailable("GROWING", "is a folder that is still being written: it holds '_temporary'")
    paths = parts_of(folder)
    if not paths:
        raise subject.refused("EMPTY", "is a folder without a single file that ends in .parquet")
    parts: dict[str, bytes] = {}
    for path in paths:
        inside = path.relative_to(folder).as_posix()
        parts[inside] = read_file(root, f"{name}/{inside}", limit - sum(map(len, parts.values())), subject)
    return parts


def sha256_of_parts(parts: Mapping[str, bytes]) -> str:
    """SHA-256 of the parts' names and bytes."""
    return sha256_of("".join(f"{name}\0{sha256_of(data)}\n" for name, data in parts.items()).encode())
