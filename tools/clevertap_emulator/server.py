"""The HTTP ingest of the emulated CleverTap, on 127.0.0.1 only, and the `Emulator` that tests use."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from clevertap_emulator import admin, answer
from clevertap_emulator.account import Profile, Stored, Violation
from clevertap_emulator.faults import Faults
from clevertap_emulator.service import Deletion, Reply, Service, UploadRequest


class Emulator:
    """An emulated CleverTap for as long as the `with` block lasts.

        with Emulator(accounts={"ACCOUNT": "passcode"}) as clevertap:
            clevertap.faults.add(Status(503), times=2)
            ...  # upload to clevertap.url
            assert not clevertap.violations()

    `port` 0 lets the system choose; `now` is the clock in epoch seconds.
    """

    def __init__(self, accounts: Mapping[str, str], *, port: int = 0, now: Callable[[], float] = time.time) -> None:
        self._service = Service(accounts, now=now)
        self._server = _Server(port, self._service)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self.faults.clear()
        self._server.server_close()
        self._server.disconnect()

    @property
    def faults(self) -> Faults:
        return self._service.faults

    @property
    def max_concurrency(self) -> int:
        """The most requests of one account that were under way at the same time."""
        return self._service.max_concurrency

    @property
    def under_way(self) -> int:
        """How many requests have arrived and are not done with."""
        return self._service.under_way

    def records(self, account: str) -> list[Stored]:
        """What the account has taken, in order. KeyError for an unknown account."""
        return self._service.records(account)

    def profiles(self, account: str) -> list[Profile]:
        """The account's users, in the order in which they came to be. KeyError for an unknown account."""
        return self._service.profiles(account)

    def requests(self) -> list[UploadRequest]:
        """Every upload request, in the order of arrival."""
        return self._service.requests()

    def deletions(self) -> list[Deletion]:
        """Every request of the delete API, in the order of arrival."""
        return self._service.deletions()

    def violations(self) -> list[Violation]:
        """What taken records of any account should not have held."""
        return self._service.violations()

    def reset(self) -> None:
        """Forgets everything but the accounts."""
        self._service.reset()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def close_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that hangs up is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def disconnect(self) -> None:
        """Ends the connections that are kept alive: a closed emulator answers nobody."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_DELETE(self) -> None:
        self._route()

    def _route(self) -> None:
        body = self._body()
        try:
            url = urlsplit(self.path)
        except ValueError:
            return self.send_error(400)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if self.command == "POST" and url.path == "/1/upload":
            return self._upload(query, body)
        if self.command == "POST" and url.path == "/1/delete/profiles.json":
            return self._delete(body)
        return self._send(Reply.of(*admin.answer(self.server.service, self.command, url.path, query, body)))

    def _upload(self, query: Mapping[str, str], body: bytes | None) -> None:
        request, reply = self.server.service.upload(
            self.headers.get("X-CleverTap-Account-Id", ""),
            self.headers.get("X-CleverTap-Passcode", ""),
            body if self.headers.get_content_type() == "application/json" else None,
            dry_run=query.get("dryRun") == "1",
        )
        if self._sender_gone():
            self.server.service.lose_answer(request)
        if reply:
            self._send(reply)
        else:
            self.close_connection = True

    def _delete(self, body: bytes | None) -> None:
        reply = self.server.service.delete(
            self.headers.get("X-CleverTap-Account-Id", ""),
            self.headers.get("X-CleverTap-Passcode", ""),
            body if self.headers.get_content_type() == "application/json" else None,
        )
        if reply:
            self._send(reply)
        else:
            self.close_connection = True

    def _body(self) -> bytes | None:
        """The body; None where there is none, or no length by which to read it."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" not in self.headers and length.isdecimal() and len(length) < 10:
            return self.rfile.read(int(length))
        self.close_connection = bool(length) or "Transfer-Encoding" in self.headers
        return None

    def _sender_gone(self) -> bool:
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _send(self, reply: Reply) -> None:
        self.close_connection |= reply.announced > len(reply.body)
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * reply.interim)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(reply.announced))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What is no HTTP, or a method nobody knows: never a 5xx, which is for a script to give."""
        self.close_connection = True
        status = 405 if code == 501 else 400
        self._send(Reply.of(status, answer.failure(status)))

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the log of requests is asked for at `/_emulator/requests`."""
