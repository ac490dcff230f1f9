"""One instance of a service: its own root folder, mounts, processes and host name; the network is the rehearsal's."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.rehearsal.composefile import Service
from tests.rehearsal.images import Image

INIT = Path(__file__).with_name("pid1.py")
_HOST = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything that an instance is started from."""

    name: str
    service: Service
    image: Image
    root: Path  # an empty folder, where its file system is put together
    hosts: Path  # its /etc/hosts
    people: Path  # its /etc/passwd
    volumes: dict[str, Path]  # target → folder or file here
    interpreter: str  # runs pid1.py

    @property
    def ids(self) -> tuple[int, int]:
        """User and group."""
        user, _, group = (self.service.user or "0:0").partition(":")
        return int(user), int(group or 0)

    def environment(self) -> dict[str, str]:
        """The image's, then the service's own; nothing of this machine's."""
        return {**self.image.environment, **self.service.environment, "HOSTNAME": self.name}

    def argv(self) -> list[str]:
        """The command, behind the image's entry point if it has one."""
        entry = self.image.entrypoint
        return ["/bin/sh", "-c", entry, "entrypoint", *self.service.command] if entry else self.service.command


class Container:
    """A running instance."""

    def __init__(self, spec: Spec, log: IO[bytes]) -> None:
        self.spec = spec
        self.stopped = False
        uid, gid = spec.ids
        keep = [f"+{name.lower().removeprefix('cap_')}" for name in spec.service.cap_add]
        drop = ["--no-new-privs", f"--bounding-set={','.join(['-all', *keep])}", "--inh-caps=-all"]
        drop = drop if "ALL" in spec.service.cap_drop else []
        become = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *drop]
        where = spec.service.working_dir or spec.image.working_dir
        inner = [*become, "/usr/bin/env", "-C", where, spec.interpreter, "-ISE", "/rehearsal-pid1.py", *spec.argv()]
        script = _script(spec) + f"exec /usr/sbin/chroot {spec.root} {shlex.join(inner)}\n"
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL", "--propagation=private")
        self.process = subprocess.Popen(
            ["/usr/bin/unshare", *namespaces, "/bin/sh", "-c", script],
            env=spec.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def alive(self) -> bool:
        """Whether its main process is there."""
        return self.process.poll() is None

    def pid(self) -> int | None:
        """Its main process, as seen from outside."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            found = children.read_text().split()
        except OSError:
            return None
        return int(found[0]) if found else None

    def run(self, argv: list[str], timeout: float, stdin: bytes | None = None) -> tuple[int, str]:
        """Run a command inside, as its user and with its environment; status and output (-1: no answer in time)."""
        pid = self.pid()
        if pid is None:
            return -1, "not running"
        uid, gid = self.spec.ids
        where = self.spec.service.working_dir or self.spec.image.working_dir
        enter = ["/usr/bin/nsenter", f"--target={pid}", "--mount", "--pid", "--uts", "--ipc", "--root"]
        become = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "/usr/bin/env", "-C", where]
        try:
            done = subprocess.run(
                [*enter, *become, *argv], env=self.spec.environment(), input=stdin if stdin is not None else b"",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return -1, f"no answer within {timeout:g} s"
        return done.returncode, done.stdout.decode(errors="replace")

    def kill(self) -> None:
        """End all its processes at once, as when the machine's memory runs out."""
        if (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and end it when it has not in its time."""
        self.stopped = True
        if (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + self.spec.service.stop_seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.alive():
            self.kill()


def _script(spec: Spec) -> str:
    """Shell lines that put the file system together; every path is ours and quoted."""
    root, (uid, gid) = spec.root, spec.image.owner or spec.ids
    q = shlex.quote
    lines = [
        "set -e; umask 022",
        f"/bin/hostname {q(spec.name)}",
        f"/usr/bin/mount -t tmpfs -o mode=0755 rehearsal {root}",
    ]

    def inside(target: str) -> str:
        return q(f"{root}/{target.lstrip('/')}")

    def bind(source: Path, target: str, read_only: bool) -> None:
        if source.is_dir():
            lines.append(f"mkdir -p {inside(target)}")
        else:
            lines.append(
                f"mkdir -p {inside(str(Path(target).parent))}; [ -e {inside(target)} ] || : > {inside(target)}"
            )
        lines.append(f"/usr/bin/mount --bind {q(str(source))} {inside(target)}")
        if read_only:
            lines.append(f"/usr/bin/mount -o remount,bind,ro {inside(target)}")

    for name in _HOST:
        here = Path("/", name)
        if here.is_symlink():
            lines.append(f"ln -s {q(str(here.readlink()))} {inside(name)}")
        elif here.is_dir():
            bind(here, name, read_only=True)
    bind(Path("/etc"), "etc", read_only=False)
    bind(spec.hosts, "etc/hosts", read_only=True)
    bind(spec.people, "etc/passwd", read_only=True)
    lines.append(f"/usr/bin/mount -o remount,bind,ro {inside('etc')}")
    lines.append(f"mkdir -p {inside('dev')} {inside('proc')}; /usr/bin/mount --rbind /dev {inside('dev')}")
    lines.append(f"/usr/bin/mount -t proc proc {inside('proc')}")
    bind(INIT, "rehearsal-pid1.py", read_only=True)
    # The interpreter of pid1.py; an image that is built from the Dockerfile has it anyway.
    base = Path(spec.interpreter).resolve().parents[1]
    if not str(base).startswith("/usr") and str(base) not in spec.image.folders:
        bind(base, str(base), read_only=True)
    # First what would hide the rest: the environment may lie below /tmp on this machine.
    for text in spec.service.tmpfs:
        target, _, options = text.partition(":")
        lines.append(
            f"mkdir -p {inside(target)}; /usr/bin/mount -t tmpfs -o {q(options or 'mode=1777')} tmp {inside(target)}"
        )
    for target, source in sorted(spec.image.folders.items()):
        bind(source, target, read_only=True)
    for target in spec.image.owned:
        lines.append(f"mkdir -p {inside(target)}; chown {uid}:{gid} {inside(target)}")
    for target, source in spec.volumes.items():
        mount = next((each for each in spec.service.mounts if each.target == target), None)
        bind(source, target, read_only=mount.read_only if mount else True)
    if spec.service.read_only:
        lines.append(f"/usr/bin/mount -o remount,ro {root}")
    return "\n".join(lines) + "\n"
