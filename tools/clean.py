"""Forget everything the product keeps, unless it is running."""

import fcntl
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: A home holds these and nothing else of the user's; a folder without one of them is not ours to delete.
OURS = {"airflow", "mlflow", "store", "landing", "logs"}


def main() -> int:
    """Delete the home's own folders and the caches of the tools; refuse while a stack holds the home."""
    home = Path(sys.argv[1]).resolve()
    lock = home / "stack.lock"
    if lock.exists():
        with lock.open() as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                print(
                    f"{home} is in use by a running stack: stop it first (Ctrl-C where it was started)", file=sys.stderr
                )
                return 2
    if home.exists():
        if home == ROOT or not OURS & {child.name for child in home.iterdir()}:
            print(f"{home} does not look like this product's home, so nothing was deleted", file=sys.stderr)
            return 2
        shutil.rmtree(home)
    for cache in (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"):
        shutil.rmtree(ROOT / cache, ignore_errors=True)
    print(f"forgotten: {home}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
