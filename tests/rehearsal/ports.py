"""Published ports: what comes to a port outside goes through a socket file to the same service inside, and back."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path


def free(number: int) -> list[int]:
    """Ports of this machine that nobody listens on, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def accept_for(path: Path, port: int) -> None:
    """Inside: what comes to the socket file goes to this port."""
    _forward(lambda handle: asyncio.start_unix_server(handle, path), lambda: asyncio.open_connection("127.0.0.1", port))


def publish(address: str, port: int, path: Path) -> None:
    """Outside: what comes to this port goes to the socket file."""
    _forward(lambda handle: asyncio.start_server(handle, address, port), lambda: asyncio.open_unix_connection(path))


def listening() -> Iterator[tuple[str, int]]:
    """Addresses and ports that processes of this network listen on."""
    for name, family, size in (("tcp", socket.AF_INET, 4), ("tcp6", socket.AF_INET6, 16)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state == "0A":
                host, port = local.split(":")
                raw = bytes.fromhex(host)
                words = b"".join(raw[n : n + 4][::-1] for n in range(0, size, 4))
                yield socket.inet_ntop(family, words), int(port, 16)


def _forward(listen, connect) -> None:  # type: ignore[no-untyped-def]
    ready = threading.Event()
    # asyncio itself holds a task by a weak reference only; one that is collected drops its connection.
    at_work: set[asyncio.Task[None] | None] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_work.add(asyncio.current_task())
        try:
            inner_reader, inner_writer = await connect()
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
            inner_writer.close()
        except OSError:
            pass  # the service isn't there: whoever asked sees a connection that ends
        finally:
            writer.close()
            at_work.discard(asyncio.current_task())

    async def main() -> None:
        server = await listen(handle)
        ready.set()
        async with server:
            await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
    if not ready.wait(10):
        raise OSError("a published port could not be opened")
