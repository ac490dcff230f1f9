"""A proxy that carries a request out and then loses the reply."""

import http.client
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Faults:
    """What to lose: the first reply to each path that ends with one of these; ``lost`` says what was."""

    def __init__(self):
        self.endings, self.lost, self.calls, self.hang_up = [], [], [], False

    def loses(self, method, path):
        for ending in self.endings:
            if method == "POST" and path.endswith(ending):
                self.endings.remove(ending)
                self.lost.append(ending)
                return True
        return False


@contextmanager
def fault_proxy(target):
    """Yields the proxy's address and its faults."""
    to, faults = urlsplit(target), Faults()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self):
            path = urlsplit(self.path).path
            faults.calls.append((self.command, path))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            upstream = http.client.HTTPConnection(to.hostname, to.port, timeout=30)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "accept-encoding")}
            upstream.request(self.command, self.path, body, headers | {"Host": to.netloc})
            reply = upstream.getresponse()
            data, status = reply.read(), reply.status
            upstream.close()
            if faults.loses(self.command, path):
                if faults.hang_up:
                    self.close_connection = True
                    self.connection.close()
                    return
                data, status = b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "lost"}', 503
            self.send_response(status)
            self.send_header("Content-Type", reply.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

        def handle(self):
            with suppress(OSError, ValueError):
                super().handle()

    for verb in ("GET", "POST", "PATCH", "DELETE", "PUT"):
        setattr(Handler, f"do_{verb}", Handler._pass)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", faults
    finally:
        server.shutdown()
        server.server_close()
