"""Runs inside the rehearsal's own network: starts services in order, asks after their health, obeys the client.

`python -m tests.rehearsal.engine FOLDER` is started by tests/rehearsal/client.py, as root, in fresh namespaces;
FOLDER/plan.json says what to run. Requests come as JSON lines over FOLDER/control.
"""

from __future__ import annotations

import base64
import dataclasses
import fcntl
import json
import os
import shutil
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.rehearsal import memory, ports
from tests.rehearsal.composefile import ComposeError, Service, read
from tests.rehearsal.container import Container, Spec
from tests.rehearsal.images import image_of


class Engine:
    """All instances of all services."""

    def __init__(self, folder: Path, plan: Mapping[str, Any]) -> None:
        self.folder, self.scale, self.binds = folder, dict(plan["scale"]), dict(plan["binds"])
        self.file, self.variables = Path(plan["file"]), dict(plan["variables"])
        self.compose = read(self.file, self.variables)
        self.running: dict[str, Container] = {}
        self.lock = threading.RLock()
        self.restarts: dict[str, int] = {}
        self.ended = False
        self._runs = 0

    def up(self, say: Callable[[str], None], wanted: Sequence[str] = ()) -> None:
        """Start what isn't running, each service once what it depends on is as the file says."""
        wanted = wanted or [name for name, service in self.compose.services.items() if not service.profiles]
        for service in self.compose.order(wanted):
            for needed, condition in service.depends_on.items():
                self._wait(self.compose.services[needed], condition)
            for name in self._names(service):
                if name not in self.running or not self.running[name].alive():
                    self._start(service, name)
            say(f"{service.name} started")
        for service in self.compose.order(wanted):
            if service.health is not None:
                self._wait(service, "service_healthy")
                say(f"{service.name} is healthy")
            elif service.restart == "no":
                self._wait(service, "service_completed_successfully")

    def once(self, asked: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
        """Run a service to its end beside the others, as `docker compose run --rm` does; status and output."""
        # Variables of the one command, over those of `.env`.
        compose, name = read(self.file, {**self.variables, **asked["variables"]}), asked["name"]
        if name not in compose.services:
            raise ComposeError(f"there is no service {name}")
        service = compose.services[name]
        if asked["command"]:
            service = dataclasses.replace(service, command=list(asked["command"]))
        with self.lock:
            if service.depends_on and asked["needed"]:
                self.up(say, list(service.depends_on))
                for needed, condition in service.depends_on.items():
                    self._wait(self.compose.services[needed], condition)
            self._runs += 1
            alias = f"{name}-run-{self._runs}"
            self._start(service, alias)
            container = self.running.pop(alias)
        try:
            status = container.process.wait(timeout=asked["timeout"])
        except Exception as error:
            container.kill()
            raise ComposeError(f"{name} has not ended within {asked['timeout']:.0f} s\n{self.log(alias)}") from error
        return {"status": status, "said": self.log(alias, 10_000)}

    def _names(self, service: Service) -> list[str]:
        number = self.scale.get(service.name, service.scale)
        return [f"{service.name}-{n}" for n in range(1, number + 1)] if number > 1 else [service.name]

    def _instances(self, service: str) -> Iterator[Container]:
        for name in self._names(self.compose.services[service]):
            if name in self.running:
                yield self.running[name]

    def _start(self, service: Service, name: str) -> None:
        image = image_of(service, self.compose.folder)
        place = self.folder / "roots" / name
        place.mkdir(parents=True, exist_ok=True)
        hosts, people = self.folder / f"hosts-{name}", self.folder / f"passwd-{name}"
        # Only the names that the file's networks let it see, all of them on loopback.
        seen = "".join(
            f"127.0.0.1 {each}\n" for each in dict.fromkeys(("localhost", name, *self.compose.seen_by(service)))
        )
        hosts.write_text(seen)
        people.write_text(Path("/etc/passwd").read_text() + "".join(line + "\n" for line in image.people))
        for path in (hosts, people):
            path.chmod(0o644)  # whatever the caller's umask
        spec = Spec(name, service, image, place, hosts, people, {}, self._interpreter())
        spec.volumes.update(self._volumes(service, name, spec.ids))
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as out:
            self.running[name] = Container(spec, out)

    def _interpreter(self) -> str:
        return str(Path(sys.executable).resolve())

    def _volumes(self, service: Service, name: str, ids: tuple[int, int]) -> dict[str, Path]:
        found: dict[str, Path] = {}
        owner = image_of(service, self.compose.folder).owner or ids
        for mount in service.mounts:
            if mount.named:
                source = self.folder / "volumes" / mount.source
                if not source.exists():
                    # As an engine does with an empty volume: it gets the owner of the image's folder.
                    source.mkdir(parents=True)
                    source.chmod(0o770)
                    os.chown(source, *owner)
            else:
                source = Path(self.binds.get(mount.source) or self.compose.folder / mount.source)
                if not source.exists():
                    raise ComposeError(f"{service.name}: {source} is mounted and not there; make it: mkdir {source}")
            found[mount.target] = source
        return found

    def _wait(self, service: Service, condition: str) -> None:
        for container in list(self._instances(service.name)):
            if condition == "service_completed_successfully":
                self._wait_for_end(service, container)
            elif condition == "service_healthy":
                self._wait_for_health(service, container)

    def _wait_for_end(self, service: Service, container: Container, patience: float = 300) -> None:
        try:
            status = container.process.wait(timeout=patience)
        except Exception as error:
            raise ComposeError(
                f"{service.name} has not ended within {patience:.0f} s\n{self.log(service.name)}"
            ) from error
        if status:
            raise ComposeError(f"{service.name} ended with status {status}\n{self.log(service.name)}")

    def _wait_for_health(self, service: Service, container: Container) -> None:
        health = service.health
        if health is None:
            raise ComposeError(f"{service.name} is waited for to be healthy and has no health check")
        began, failures = time.monotonic(), 0
        while True:
            status, said = container.run(health.test, health.timeout)
            if status == 0:
                return
            if time.monotonic() - began > health.start_period:
                failures += 1
            if failures >= health.retries or (not container.alive() and service.restart == "no"):
                name = container.spec.name
                raise ComposeError(f"{name} is unhealthy: {said.strip()[-500:]}\n{self.log(name)}")
            # More often than the file says, as an engine does with start_interval: nobody else is waiting.
            time.sleep(min(health.interval, 1.0))

    def watch(self) -> None:
        """Start again what ended and must not have, as `restart: unless-stopped` says."""
        while not self.ended:
            time.sleep(0.5)
            with self.lock:
                for name, container in list(self.running.items()):
                    service = container.spec.service
                    if container.alive() or container.stopped or service.restart == "no":
                        continue
                    self.restarts[name] = self.restarts.get(name, 0) + 1
                    self._start(service, name)

    def log(self, name: str, lines: int = 40) -> str:
        """The end of an instance's output."""
        path = self.folder / "logs" / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def down(self) -> None:
        """Stop everything, in the opposite order."""
        with self.lock:
            self.ended = True
            for service in reversed(self.compose.order()):
                stopping = [threading.Thread(target=each.stop) for each in self._instances(service.name)]
                for thread in stopping:
                    thread.start()
                for thread in stopping:
                    thread.join()

    def obey(self, asked: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
        """Carry out one request of the client."""
        what, name = asked["do"], asked.get("name", "")
        if what == "up":
            with self.lock:
                self.scale.update(asked.get("scale") or {})
                self.up(say, asked.get("services") or ())
        elif what == "down":
            self.down()
        elif what == "once":
            return self.once(asked, say)
        elif what == "run":
            status, said = self.running[name].run(
                asked["argv"], asked["timeout"], base64.b64decode(asked.get("stdin", ""))
            )
            return {"status": status, "said": said}
        elif what == "kill":
            with self.lock:
                self.running[name].kill()
        elif what == "stop":
            with self.lock:
                self.running[name].stop()
        elif what == "start":
            with self.lock:
                self._start(self.running[name].spec.service, name)
        elif what == "processes":
            return {"processes": {each: c.pid() for each, c in self.running.items()}, "restarts": self.restarts}
        elif what == "memory":
            return {"taken": memory.taken({each: container.pid() for each, container in self.running.items()})}
        elif what == "listening":
            return {"addresses": sorted(ports.listening())}
        else:
            raise ComposeError(f"no such request: {what}")
        return {}


def loopback_up() -> None:
    """A fresh network has a loopback that is down."""
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def serve(engine: Engine, folder: Path) -> None:
    """Answer the client until it says `down`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "control"))
        listener.listen()
        listener.settimeout(0.5)
        while not engine.ended:
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(None)
                threading.Thread(target=_answer, args=(engine, connection), daemon=True).start()


def _answer(engine: Engine, connection: socket.socket) -> None:
    with connection, connection.makefile("rw") as line:

        def tell(**said: Any) -> None:
            line.write(json.dumps(said) + "\n")
            line.flush()

        asked = json.loads(line.readline())
        try:
            answer = engine.obey(asked, lambda words: tell(progress=words))
        except Exception as error:  # noqa: BLE001 - the client tells it
            tell(error=f"{'' if isinstance(error, ComposeError) else type(error).__name__ + ': '}{error}")
        else:
            tell(answer=answer)


def main(folder: Path) -> None:
    """Read the plan, make the network, serve."""
    plan = json.loads((folder / "plan.json").read_text())
    loopback_up()
    engine = Engine(folder, plan)
    for service in engine.compose.services.values():
        for _, published, port in service.ports:
            ports.accept_for(folder / f"port-{published}", port)
    threading.Thread(target=engine.watch, daemon=True).start()
    try:
        serve(engine, folder)
    finally:
        engine.down()
        shutil.rmtree(folder / "roots", ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
