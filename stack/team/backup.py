"""`python -m stack.team.backup files|check|restore`: the files' part of a backup, its manifest, and the way back.

A backup may be taken while the stack works, because of the order. The pipeline writes what is referred to before what
refers to it: data, then the log entry that names them; a model's file, then its version; both, then the ledger's line.
Nothing of it is deleted, and what was written stays as it is. A backup goes the opposite way: first Airflow's database
(which days are done), then the promotion ledger, then MLflow's database, then its artifacts, then each table's log,
then the data and the immutable files. So whatever a part of the backup names was there before that part was taken, and
is taken later. What is there beyond that is what a run leaves that was killed in that moment, and every step may be run
again after that: the state of a restore is one that the pipeline goes on from.

Three things do change: a day's page, when the day is run again (copied anew if it changed meanwhile, and either page is
whole); a table's `_last_checkpoint`, a hint, which is copied before the log that it points into; and tags and aliases,
which follow the ledger by themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError
from stack.errors import StackError
from stack.team import backup_databases as databases
from stack.team.moving_files import Folder, Tick, shown

TO, FROM = Path("/to"), Path("/from")
MANIFEST = "manifest.json"
DUMPS = tuple(f"databases/{name}.dump" for name in databases.OWNERS)
_PARTS = {"store": "PIPELINE_STORE", "artifacts": "MLFLOW_ARTIFACTS"}
_FORMAT = 1


def files(folder: Path, settings: Mapping[str, str]) -> None:
    """Copy artifacts and store beside the dumps that are there, and write the manifest last.

    Raises:
        StackError: There are no dumps, there is a whole backup already, or a file can't be copied.
    """
    if (folder / MANIFEST).exists():
        raise StackError("a backup is there already; name another folder: make backup TO=backups/another")
    if absent := [name for name in DUMPS if not (folder / name).exists()]:
        raise StackError(f"there is no {absent[0]} yet: files come after the databases that name them; run make backup")
    places = {part: settings[variable] for part, variable in _PARTS.items()}
    with shown("copying files") as tick:
        if not _on_storage(places["artifacts"]):
            root = Path(places["artifacts"])
            _copy(root, folder / "artifacts", sorted(Folder(root).names()), tick)
        if not _on_storage(places["store"]):
            _copy_store(Path(places["store"]), folder / "store", tick)
    with shown("digesting") as tick:
        digests = {name: _digest(folder / name, tick) for name in sorted(Folder(folder).names())}
    manifest = {
        "format": _FORMAT,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "places": {part: place if _on_storage(place) else "folder" for part, place in places.items()},
        "fernet": _fingerprint(settings),
        "files": digests,
    }
    part = folder / ".part-manifest"
    part.write_text(json.dumps(manifest, indent=1))
    part.replace(folder / MANIFEST)
    size = sum(one["bytes"] for one in digests.values())
    print(f"backed up 4 databases and {len(digests) - len(DUMPS):,} files, {size / 2**20:,.1f} MB")
    for part_name, place in places.items():
        if _on_storage(place):
            print(f"the {part_name} stays on {place}, which keeps its own versions: it is not part of this backup")


def check(folder: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """The manifest of a sound backup, if this stack is empty.

    Raises:
        StackError: The backup is damaged or unfinished, or this stack holds something.
    """
    manifest = _manifest(folder)
    with shown("verifying", len(manifest["files"])) as tick:
        wrong = [name for name, told in manifest["files"].items() if _digest(folder / name, tick) != told]
    if wrong:
        more = f" and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise StackError(
            f"the backup is damaged: {wrong[0]}{more} is not as its manifest says; take another backup; nothing was "
            "restored"
        )
    for part, variable in _PARTS.items():
        then, now = manifest["places"][part], settings[variable]
        if then != (now if _on_storage(now) else "folder"):
            raise StackError(
                f"the backup was taken with the {part} in {'a folder' if then == 'folder' else then}, and this stack's "
                f"is {now}; set {variable} in .env as it was; nothing was restored"
            )
        if not _on_storage(now) and Path(now).exists() and (there := sorted(Folder(Path(now)).names())):
            raise not_empty(f"the {part} holds {len(there):,} files")
    if held := databases.tables(settings):
        raise not_empty(f"the database {' and '.join(sorted(held))} holds tables")
    print(f"the backup of {manifest['taken']} is whole: {len(manifest['files']):,} files as its manifest says")
    return manifest


def restore(folder: Path, settings: Mapping[str, str]) -> None:
    """Copy the files into an empty stack whose databases were restored, and give the first users this .env's passwords.

    Raises:
        StackError: A file is not what the manifest says, or can't be written.
    """
    manifest = _manifest(folder)
    with shown("restoring files", len(manifest["files"])) as tick:
        for part, variable in _PARTS.items():
            place = Folder(Path(settings[variable]))
            for name, told in manifest["files"].items():
                if not name.startswith(f"{part}/"):
                    continue
                place.write(name.removeprefix(f"{part}/"), folder / name)
                if place.sha256(name.removeprefix(f"{part}/")) != told["sha256"]:
                    raise StackError(f"{name} came out other than it was backed up: the disk is full or failing")
                tick(name)
    changed = databases.passwords(settings)
    print(f"restored {len(manifest['files']) - len(DUMPS):,} files, each as its manifest says")
    print(f"these users sign in with this .env's passwords: {', '.join(changed)}; all others with those they had")
    for part, place in manifest["places"].items():
        if place != "folder":
            print(f"the {part} is on {place}: see that it holds what it held on {manifest['taken']}")
    if manifest["fernet"] != _fingerprint(settings):
        print(
            "AIRFLOW_FERNET_KEY is not the one of the stack that was backed up: connections and variables that people "
            "stored in Airflow can't be read until the old .env's key stands in this one"
        )
    print("now: make up")


def not_empty(what: str) -> StackError:
    """Of a stack that is no target."""
    return StackError(
        f"this stack is not empty ({what}), and a restore never mixes two; restore before the first `make up`: in "
        "another folder with another COMPOSE_PROJECT_NAME in its .env, or after `docker compose down --volumes`, which "
        "deletes all that this one holds"
    )


def main(arguments: list[str], settings: Mapping[str, str] = os.environ) -> int:
    """0 done, 2 refused."""
    os.umask(0o077)
    try:
        if arguments == ["files"]:
            files(TO, settings)
        elif arguments == ["check"]:
            check(FROM, settings)
        elif arguments == ["restore"]:
            restore(FROM, settings)
        else:
            raise StackError("say files, check or restore")
    except (StackError, PipelineError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror or error}; make room or give access", file=sys.stderr)
        return 2
    return 0


def _copy_store(source: Path, target: Path, tick: Tick) -> None:
    """Each table's hint, then its log, then what the logs name."""
    place = Folder(source)
    hints = [name for name in place.names() if name.endswith("/_last_checkpoint")]
    _copy(source, target, sorted(hints), tick)
    for _ in range(5):
        log = sorted(name for name in place.names() if "/_delta_log/" in name and name not in hints)
        # A folder that is read while files are added may show a later one and not an earlier one.
        if not (torn := _torn(log)):
            break
    else:
        raise StackError(f"the log of {torn} lacks an entry; the store is damaged: restore it from an earlier backup")
    _copy(source, target, log, tick)
    rest = [name for name in place.names() if "/_delta_log/" not in name and name.startswith(("tables/", "files/"))]
    _copy(source, target, sorted(rest), tick)


def _torn(log: Iterable[str]) -> str:
    """A table whose log has a gap."""
    versions: dict[str, list[int]] = {}
    for name in log:
        table, _, file = name.partition("/_delta_log/")
        if file.endswith(".json") and file[:20].isdecimal():
            versions.setdefault(table, []).append(int(file[:20]))
    return next((table for table, found in versions.items() if sorted(found) != list(range(len(found)))), "")


def _copy(source: Path, target: Path, names: Iterable[str], tick: Tick) -> None:
    for name in names:
        path, made = source / name, target / name
        made.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(5):
            before = path.stat()
            shutil.copyfile(path, made)
            made.chmod(0o600)
            after = path.stat()
            if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
                break
        else:
            raise StackError(f"{name} changes faster than it can be copied; let the run that writes it end")
        tick(name)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_text())
        sound = found["format"] == _FORMAT and all({"sha256", "bytes"} == set(one) for one in found["files"].values())
        sound = sound and set(found["places"]) == set(_PARTS) and set(DUMPS) <= set(found["files"])
    except FileNotFoundError:
        raise StackError(
            "there is no manifest.json: this is no backup, or one that was not finished; name another: FROM=backups/…"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound or any(".." in Path(name).parts or Path(name).is_absolute() for name in found["files"]):
        raise StackError("the backup's manifest.json is damaged; take another backup; nothing was restored")
    return dict(found)


def _digest(path: Path, tick: Tick) -> dict[str, Any]:
    tick(path.name)
    try:
        with path.open("rb") as file:
            return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
    except FileNotFoundError:
        return {}


def _on_storage(place: str) -> bool:
    return place.startswith("s3://")


def _fingerprint(settings: Mapping[str, str]) -> str:
    return hashlib.sha256(f"fernet {settings['AIRFLOW_FERNET_KEY']}".encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
