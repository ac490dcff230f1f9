"""Forget everything the product keeps, unless it is running; nothing else that lies in the same folder."""

import fcntl
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What the product keeps in its home, deliveries included.
OURS = ("airflow", "mlflow", "store", "landing", "logs", "stack.lock")
#: Where one of these is, the folder is a home of the product's; "logs" or "airflow" alone may be anybody's.
SIGNS = ("stack.lock", "store/ledger.db", "store/tables")


def main() -> int:
    """Delete what is the product's in the home, and the caches of the tools; refuse while a stack holds the home."""
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
        if not any((home / sign).exists() for sign in SIGNS):
            print(f"{home} does not look like this product's home, so nothing was deleted", file=sys.stderr)
            return 2
        for name in OURS:
            path = home / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not any(home.iterdir()):
            home.rmdir()
    for cache in (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"):
        shutil.rmtree(ROOT / cache, ignore_errors=True)
    print(f"forgotten: {home}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
