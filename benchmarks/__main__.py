"""``make bench``: every benchmark, one after the other, or one by name: ``python -m benchmarks daily``."""

from __future__ import annotations

import importlib
import inspect
import sys

ALL = ("daily", "ingest", "replay", "silent_faults", "intervals", "decisions")
#: By name only: they take a quarter of an hour and more, and one of them root.
NAMED = (*ALL, "features", "many", "policies", "promises", "red_days", "sound_days")


def main() -> int:
    """Run the named benchmarks, or all; what begins with a dash goes to the one that is named before it."""
    given = sys.argv[1:]
    first_option = next((place for place, word in enumerate(given) if word.startswith("-")), len(given))
    names, options = given[:first_option] or list(ALL), given[first_option:]
    unknown = [name for name in names if name not in NAMED]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(NAMED)}", file=sys.stderr)
        return 2
    if options:
        if len(names) != 1 or not inspect.signature(importlib.import_module(f"benchmarks.{names[0]}").main).parameters:
            print(
                f"{' '.join(options)}: only 'promises', 'silent_faults' and 'sound_days', alone, take options",
                file=sys.stderr,
            )
            return 2
        return int(importlib.import_module(f"benchmarks.{names[0]}").main(options))
    for name in names:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
