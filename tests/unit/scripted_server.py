"""A tiny HTTP server on loopback that does to each request what a script says: answer, hang, drip, reset, ..."""

import io
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came, and the number of the connection that it came on (from 1)."""

    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def records(self) -> list[str]:
        """The names of the events in it."""
        return [record["evtName"] for record in json.loads(self.body)["d"]]


@dataclass(slots=True)
class Peer:
    """The client's end of a request: what a step acts on."""

    socket: socket.socket
    request: Received
    stopped: threading.Event
    keep: bool = True

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep = False


Step = Callable[[Peer], None]


def http(status: int, body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def reply(status: int, body: bytes = b"", headers: str = "") -> Step:
    return lambda peer: peer.send(http(status, body, headers))


def success() -> Step:
    """Accepts every record of the request."""

    def step(peer: Peer) -> None:
        count = len(json.loads(peer.request.body)["d"])
        peer.send(http(200, json.dumps({"status": "success", "processed": count, "unprocessed": []}).encode()))

    return step


def then_close(step: Step) -> Step:
    """`step`, after which the server closes the connection without having said that it will."""

    def closing(peer: Peer) -> None:
        step(peer)
        peer.keep = False

    return closing


def raw(data: bytes) -> Step:
    return then_close(lambda peer: peer.send(data))


def hang(after: bytes = b"") -> Step:
    """Sends `after` and then nothing more."""

    def step(peer: Peer) -> None:
        peer.send(after)
        peer.stopped.wait()
        peer.keep = False

    return step


def drip(data: bytes, seconds: float = 0.02) -> Step:
    """Sends `data` a byte at a time."""

    def step(peer: Peer) -> None:
        for byte in data:
            if peer.stopped.wait(seconds):
                break
            peer.send(bytes([byte]))
        peer.keep = False

    return step


def reset(after: bytes = b"") -> Step:
    """Sends `after` and then resets the connection."""

    def step(peer: Peer) -> None:
        peer.send(after)
        peer.reset()

    return step


@dataclass(slots=True)
class ScriptedServer:
    """Plays `script`, one step a request; when it is played, `otherwise` for every further request.

    Without `reads` it plays a step as soon as it is connected, and reads nothing.
    """

    script: list[Step] = field(default_factory=list)
    otherwise: Step = field(default_factory=success)
    reads: bool = True
    received: list[Received] = field(default_factory=list)
    hung_up: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _stopped: threading.Event = field(default_factory=threading.Event)
    _connected: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self._connected)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        self._spawn(self._accept)

    def stop(self) -> None:
        self._stopped.set()
        for opened in (self._listener, *self._connected):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self._connected.append(connected)
            self._spawn(partial(self._serve, connected, self.connections))

    def _serve(self, connected: socket.socket, number: int) -> None:
        connected.settimeout(5)
        with connected, connected.makefile("rb") as stream:
            try:
                while not self._stopped.is_set():
                    request = _read(stream, number) if self.reads else Received("", {}, b"", number)
                    if request is None:
                        return
                    if self.reads:
                        self.received.append(request)
                    peer = Peer(connected, request, self._stopped)
                    (self.script.pop(0) if self.script else self.otherwise)(peer)
                    if not peer.keep:
                        return
            except OSError:
                return
            finally:
                stream.close()
                connected.close()
                self.hung_up.release()


def _read(stream: io.BufferedReader, number: int) -> Received | None:
    first = stream.readline().decode().split()
    if not first:
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().strip().decode():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers["content-length"])
    body = stream.read(length)
    return None if len(body) < length else Received(first[1], headers, body, number)


@contextmanager
def scripted(*script: Step, otherwise: Step | None = None, reads: bool = True) -> Iterator[ScriptedServer]:
    server = ScriptedServer(list(script), otherwise or success(), reads)
    server.start()
    try:
        yield server
    finally:
        server.stop()
