"""How much memory each instance takes: its processes' proportional share, so that shared pages count once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path


def taken(instances: Mapping[str, int | None]) -> dict[str, int]:
    """Instance to bytes.

    Args:
        instances: Its name to its main process.
    """
    spaces = {}
    for name, pid in instances.items():
        if pid is not None and (space := _space(Path("/proc", str(pid)))):
            spaces[space] = name
    sizes: dict[str, int] = defaultdict(int)
    for process in Path("/proc").glob("[0-9]*"):
        owner = spaces.get(_space(process))
        if owner is not None:
            sizes[owner] += _share(process)
    return dict(sizes)


def _space(process: Path) -> str:
    try:
        return str((process / "ns" / "pid").readlink())
    except OSError:
        return ""


def _share(process: Path) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", (process / "smaps_rollup").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
