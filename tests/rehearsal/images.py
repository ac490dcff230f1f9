"""What stands in for each image: this machine's programs, the Dockerfile's folders and settings, the entry point."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.rehearsal.composefile import ComposeError, Service

OURS = "local"
"""The tag of the image that the Dockerfile makes."""


@dataclass(frozen=True, slots=True)
class Image:
    """The parts of an image that a service's command meets."""

    environment: dict[str, str]
    folders: dict[str, Path] = field(default_factory=dict)  # place in the image → place here, read-only
    owned: list[str] = field(default_factory=list)  # folders made for the image's user
    working_dir: str = "/"
    entrypoint: str = ""  # a shell script, given the command as its arguments
    people: list[str] = field(default_factory=list)  # lines of /etc/passwd
    owner: tuple[int, int] | None = None  # of those folders and of new volumes; by default the service's user


def image_of(service: Service, root: Path) -> Image:
    """The stand-in for a service's image.

    Args:
        service: Whose.
        root: The folder with the Dockerfile.

    Raises:
        ComposeError: Nothing here stands in for that image, or a program it needs isn't installed.
    """
    name, _, version = service.image.partition(":")
    if version == OURS:
        return _built(root)
    if name not in ("postgres", "redis"):
        raise ComposeError(
            f"{service.name}: nothing stands in for the image {service.image}; see tests/rehearsal/images.py"
        )
    if not re.match(r"\d+\.\d+", version):
        raise ComposeError(f"{service.name}: the image {service.image} is not pinned to a version")
    return _postgres() if name == "postgres" else _redis()


def _built(root: Path) -> Image:
    """The last stage of the Dockerfile."""
    text = (root / "Dockerfile").read_text().replace("\\\n", " ")
    stage = re.split(r"^FROM .*$", text, flags=re.M)[-1]
    environment = dict(
        pair.split("=", 1) for line in re.findall(r"^ENV (.*)$", stage, re.M) for pair in line.split() if pair
    )
    working_dir = re.findall(r"^WORKDIR (\S+)$", stage, re.M)[-1]
    folders = {
        f"{working_dir}/{target}": root / source
        for source, target in re.findall(r"^COPY ([^-\s]\S*) (\S+)$", stage, re.M)
    }
    # The environment that the tests run in stands in for the one that the image builds from the same requirements.
    folders["/opt/venv"] = folders[sys.prefix] = Path(sys.prefix)
    folders[sys.base_prefix] = Path(sys.base_prefix)
    owned = [path for line in re.findall(r"install -d (.*)$", stage, re.M) for path in re.findall(r"(?<= )/\S+", line)]
    people = [f"pipeline:x:{uid}:0::/tmp:/bin/sh" for uid in re.findall(r"useradd --uid (\d+)", stage)]
    given = re.search(r"install -d -o (\d+) -g (\d+) ", stage)
    owner = (int(given[1]), int(given[2])) if given else None
    return Image(environment, folders, owned, working_dir, people=people, owner=owner)


_ENTRY_POSTGRES = r"""
set -eu
# As the image's own: any other command is just run.
[ "$1" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    umask 077; mkdir -p "$PGDATA"
    printf %s "$POSTGRES_PASSWORD" > /tmp/.password
    initdb --username=postgres --pwfile=/tmp/.password $POSTGRES_INITDB_ARGS >/dev/null
    rm /tmp/.password
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    export PGPASSWORD="$POSTGRES_PASSWORD" PGHOST=/var/run/postgresql
    pg_ctl -w -s -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" start
    for script in /docker-entrypoint-initdb.d/*.sh; do sh "$script"; done
    pg_ctl -w -s -m fast stop
    unset PGPASSWORD PGHOST
    # The image's own default configuration; Debian's listens on loopback only.
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    echo "unix_socket_directories = '/var/run/postgresql'" >> "$PGDATA/postgresql.conf"
fi
exec "$@"
"""


def programs_of_postgres() -> Path | None:
    """The folder of the newest PostgreSQL on this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _postgres() -> Image:
    programs = programs_of_postgres()
    if programs is None:
        raise ComposeError("PostgreSQL is not installed: apt-get install postgresql")
    return Image(
        {"PATH": f"{programs}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp"},
        owned=["/var/lib/postgresql/data"],
        entrypoint=_ENTRY_POSTGRES,
        people=["postgres:x:999:999::/var/lib/postgresql:/bin/sh"],
    )


def _redis() -> Image:
    if shutil.which("redis-server") is None:
        raise ComposeError("Redis is not installed: apt-get install redis-server")
    return Image(
        {"PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        owned=["/data"],
        people=["redis:x:999:999::/data:/bin/sh"],
    )
