"""Who may sign in, and the keys the processes share: made once, readable by their owner alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stack.errors import StackError

USERS: Mapping[str, str] = MappingProxyType({"admin": "admin", "approver": "user", "viewer": "viewer"})
"""Name to role. `user` is the least role that may trigger a DAG and answer an approval; `op` adds pools, variables."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Three secrets: for stored connections, for tokens, for the API server's sessions."""

    fernet: str
    jwt: str
    api: str


def keys(folder: Path) -> Keys:
    """The keys of this home, generated the first time. Raises StackError when others may read them."""
    path = folder / "keys.json"
    if not path.exists():
        fresh = Keys(
            fernet=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt=secrets.token_urlsafe(64),
            api=secrets.token_urlsafe(48),
        )
        publish(path, asdict(fresh))
    known = _read(path)
    if known.keys() != {field.name for field in fields(Keys)} or not all(known.values()):
        raise StackError(f"{path} is damaged (these are not three keys); delete it to have new secrets made")
    return Keys(**known)


def password_file(folder: Path) -> Path:
    """The sign-in file, in the form Airflow's simple auth manager reads."""
    return folder / "passwords.json"


def passwords(folder: Path, users: Mapping[str, str] = USERS) -> dict[str, str]:
    """The password of each user, generated the first time. Raises StackError when others may read them."""
    path = password_file(folder)
    if not path.exists():
        publish(path, {name: secrets.token_urlsafe(15) for name in users})
    known = _read(path)
    if missing := [name for name in users if name not in known]:
        known |= {name: secrets.token_urlsafe(15) for name in missing}
        publish(path, known, replace=True)
    return known


def publish(path: Path, value: Mapping[str, Any], *, replace: bool = False) -> None:
    """Write whole or not at all; of two who make the file at once, the first one wins."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # 0600 from the start
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(value, file)
        if replace:
            Path(name).replace(path)
        else:
            with suppress(FileExistsError):
                os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, str]:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise StackError(f"{path} can't be read ({error}); give access, or move it away") from error
    if mode & 0o077:
        raise StackError(
            f"{path} can be read by others (mode {mode:04o}), so its secrets are no longer secret; "
            "delete it to have new ones made, or `chmod 600` it if nobody else uses this machine"
        )
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise StackError(f"{path} is damaged ({error}); delete it to have new secrets made") from error
    if not isinstance(value, dict) or not all(isinstance(secret, str) for secret in value.values()):
        raise StackError(f"{path} is damaged (it doesn't give a word for each name); delete it to have new ones made")
    return value
