"""Ingest's API Gateway in this process: an HTTP API on 127.0.0.1 that hands its requests to the ingest function."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.fuzz.ingest import Answer, Ingest

_TEXT_TYPES = ("application/json", "application/xml", "application/javascript")


class Gateway(ThreadingHTTPServer):
    """Answers as the page says that the gateway does; `answers` are those of the function, in order."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, ingest: Ingest) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ingest = ingest
        self.answers: list[Answer] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def listening(ingest: Ingest) -> Iterator[Gateway]:
    """A gateway before `ingest` for as long as the block lasts."""
    with Gateway(ingest) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 10
    server: Gateway

    def __getattr__(self, name: str) -> Any:
        """Every method that HTTP may have is taken, and only POST has a route."""
        if name.startswith("do_"):
            return self._no_route
        raise AttributeError(name)

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        folder, slash, app = path.removeprefix("/").partition("/")
        if folder not in ("webhooks", "identities") or not slash or not app or "/" in app:
            return self._no_route()
        event = self._event(folder, unquote(app), self._body())
        try:
            answer = self.server.ingest.handle(event)
        except Exception:
            self._send(500, b'{"message":"Internal Server Error"}')
            raise
        self.server.answers.append(answer)
        return self._send(answer.status, answer.body.encode())

    def _event(self, folder: str, app: str, body: bytes) -> dict[str, Any]:
        """Payload format 2.0. Which content types go as text is not documented; these were observed."""
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
        event = {
            "version": "2.0",
            "routeKey": f"POST /{folder}/{{app}}",
            "rawPath": self.path,
            "headers": headers,
            "pathParameters": {"app": app},
            "isBase64Encoded": False,
        }
        content_type = self.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if not body:
            return event
        if content_type.startswith("text/") or content_type in _TEXT_TYPES:
            return event | {"body": body.decode("utf-8", "replace")}
        return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _no_route(self) -> None:
        self._body()
        self._send(404, b'{"message":"Not Found"}')

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the tests look at the answers."""
