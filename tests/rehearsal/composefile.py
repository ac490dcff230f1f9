"""docker-compose.yaml as values: read, interpolated, in the order in which services start."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class ComposeError(Exception):
    """The file can't be used, in a sentence."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume by name, or a file or folder by path, at a place of the service's own."""

    source: str
    target: str
    read_only: bool

    @property
    def named(self) -> bool:
        """Whether it is a volume, and not a path."""
        return not self.source.startswith((".", "/", "~"))


@dataclass(frozen=True, slots=True)
class Health:
    """How a service is asked whether it works."""

    test: list[str]
    interval: float
    timeout: float
    retries: int
    start_period: float


@dataclass(frozen=True, slots=True)
class Service:
    """One service, as far as a run of its command needs it."""

    name: str
    image: str
    command: list[str]
    environment: dict[str, str]
    user: str
    working_dir: str
    read_only: bool
    cap_drop: list[str]
    cap_add: list[str]
    profiles: list[str]
    restart: str
    mounts: list[Mount]
    tmpfs: list[str]
    networks: list[str]
    ports: list[tuple[str, int, int]]
    depends_on: dict[str, str]
    health: Health | None
    stop_seconds: float
    scale: int


@dataclass(frozen=True, slots=True)
class Compose:
    """The whole file."""

    folder: Path
    services: dict[str, Service]

    def order(self, wanted: Sequence[str] = ()) -> list[Service]:
        """Services, each after those it depends on.

        Args:
            wanted: Only these and what they need; by default all, also those that only a profile starts.
        """
        done: list[str] = []

        def add(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise ComposeError(f"services depend on one another in a circle: {' → '.join((*above, name))}")
            if name not in self.services:
                raise ComposeError(f"{above[-1]} depends on {name}, which is no service")
            for needed in self.services[name].depends_on:
                add(needed, (*above, name))
            if name not in done:
                done.append(name)

        for name in wanted or self.services:
            if name not in self.services:
                raise ComposeError(f"there is no service {name}")
            add(name, ())
        return [self.services[name] for name in done]

    def seen_by(self, service: Service) -> list[str]:
        """The services whose names this one can resolve: those that share a network with it, itself included."""
        return [each.name for each in self.services.values() if set(each.networks) & set(service.networks)]


def read(path: Path, environ: Mapping[str, str]) -> Compose:
    """The file with its variables filled in.

    Raises:
        ComposeError: A variable that must be set isn't, or the file says something that isn't understood here.
    """
    text = yaml.safe_load(path.read_text())
    filled = {key: _filled(value, environ) for key, value in text.items() if not key.startswith("x-")}
    services = {name: _service(name, body) for name, body in filled["services"].items()}
    return Compose(path.parent, services)


def dotenv(path: Path) -> dict[str, str]:
    """The variables of an `.env` file without quotes."""
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<operator>:?[-?])(?P<word>(?:[^{}]|\$\{[^{}]*\})*))?\})"
)


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, environ) for inner in value]
    if not isinstance(value, str):
        return value

    def one(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        name, operator, word = found["plain"] or found["name"], found["operator"] or "", found["word"] or ""
        present = environ.get(name)
        missing = not present if operator.startswith(":") else present is None
        if operator.endswith("?") and missing:
            raise ComposeError(f"required variable {name} is missing a value: {word}")
        if operator.endswith("-") and missing:
            return str(_filled(word, environ))
        return present or ""

    return _VARIABLE.sub(one, value)


_KNOWN = {
    *("image", "build", "user", "command", "environment", "restart", "init", "read_only", "cap_drop", "security_opt"),
    *("pids_limit", "mem_limit", "logging", "tmpfs", "volumes", "networks", "ports", "depends_on", "healthcheck"),
    *("working_dir", "scale", "shm_size", "stop_grace_period", "cap_add", "profiles"),
}


def _service(name: str, body: Mapping[str, Any]) -> Service:
    if unknown := sorted(set(body) - _KNOWN):
        raise ComposeError(
            f"{name}: {', '.join(unknown)} is not rehearsed; teach tests/rehearsal/composefile.py what it does"
        )
    command = body.get("command", [])
    needed = body.get("depends_on", {})
    environment = body.get("environment", {})
    health = body.get("healthcheck")
    return Service(
        name=name,
        image=body.get("image", ""),
        command=shlex.split(command) if isinstance(command, str) else [str(word) for word in command],
        environment={key: _text(value) for key, value in environment.items()},
        user=str(body.get("user", "")),
        working_dir=body.get("working_dir", ""),
        read_only=bool(body.get("read_only", False)),
        cap_drop=list(body.get("cap_drop", ())),
        cap_add=list(body.get("cap_add", ())),
        profiles=list(body.get("profiles", ())),
        restart=str(body.get("restart", "no")),
        mounts=[_mount(text) for text in body.get("volumes", ())],
        tmpfs=list(body.get("tmpfs", ())),
        networks=list(body.get("networks", ["default"])),
        ports=list(_ports(name, body.get("ports", ()))),
        depends_on=(
            dict.fromkeys(needed, "service_started")
            if isinstance(needed, list)
            else {each: how["condition"] for each, how in needed.items()}
        ),
        health=None if health is None else _health(health),
        stop_seconds=seconds(body.get("stop_grace_period", "10s")),
        scale=int(body.get("scale", 1)),
    )


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        raise ComposeError(f"an environment's value must be text, and {value!r} is none: quote it")
    return str(value)


def _mount(text: str) -> Mount:
    source, target, *options = text.split(":")
    return Mount(source, target, "ro" in options)


def _ports(name: str, lines: list[str]) -> Iterator[tuple[str, int, int]]:
    for line in lines:
        parts = str(line).split(":")
        if len(parts) != 3:
            raise ComposeError(f"{name} publishes {line} on every interface: write 127.0.0.1:{line}")
        yield parts[0], int(parts[1]), int(parts[2])


def _health(body: Mapping[str, Any]) -> Health:
    test = body["test"]
    words = ["/bin/sh", "-c", test[1]] if test[0] == "CMD-SHELL" else list(test[1:])
    return Health(
        words,
        seconds(body.get("interval", "30s")),
        seconds(body.get("timeout", "30s")),
        int(body.get("retries", 3)),
        seconds(body.get("start_period", "0s")),
    )


def seconds(text: str) -> float:
    """A duration as in `1m30s`, in seconds."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ComposeError(f"'{text}' is no duration such as 1m30s")
    return sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
