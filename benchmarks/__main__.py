"""``make bench``: every benchmark, one after the other, or one by name: ``python -m benchmarks daily``."""

from __future__ import annotations

import importlib
import sys

ALL = ("daily", "ingest", "replay", "silent_faults", "intervals", "decisions")
#: By name only: they take a quarter of an hour and more, and one of them root.
NAMED = (*ALL, "many", "policies", "sound_days")


def main() -> int:
    """Run the named benchmarks, or all."""
    names = sys.argv[1:] or list(ALL)
    unknown = [name for name in names if name not in NAMED]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(NAMED)}", file=sys.stderr)
        return 2
    for name in names:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
