"""HTTP exchanges with CleverTap: bounded in time and ledger, and with a verdict on whether a request that got no
answer can have been taken.

CleverTap has no idempotency, so that verdict decides between a safe retry and a record that may be counted twice.
"""

import http.client
import http.cookiejar
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, override

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout

from purchasely_clevertap.clevertap.response import NotTaken, SetupFault, Unknown
from purchasely_clevertap.outcome import RetryReason

# The answer echoes refused records: 1000 of them come to about 3 MB.
MAX_ANSWER_BYTES = 8 * 1024 * 1024

# Load balancers keep an idle connection for 5 s and more. Longer idle, as between two invocations, it may be gone
# without a word (a frozen function, a NAT that forgot it), and a request written into it would count as unanswered.
KEEP_ALIVE_SECONDS = 4.0

_PIECE_BYTES = 64 * 1024

# requests' own exceptions are OSErrors; it lets some of urllib3's and of the standard library through.
_FAILURES = (OSError, ValueError, urllib3.exceptions.HTTPError)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP status and its body; the body is empty when it could not be used. `location`: where a redirect leads."""

    status: int
    body: bytes
    location: str = ""


class HttpConnector:
    """One kept-alive connection for each host, for one request at a time: no redirects, cookies, proxies, .netrc or
    automatic retries.

    An exchange takes at most `connect_timeout` + `read_timeout` seconds, however slowly the other side reads or
    answers. Only the look-up of the host's name is not bounded, and each of its addresses may take `connect_timeout`.
    """

    def __init__(self, *, connect_timeout: float, read_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._used_at = 0.0
        self._session = _Session()

    @property
    def seconds(self) -> float:
        """The most that one exchange takes."""
        return self._connect_timeout + self._read_timeout

    def post(
        self, url: str, headers: Mapping[str, str | bytes], payload: bytes
    ) -> HttpResponse | NotTaken | Unknown | SetupFault:
        """Posts `payload`. NotTaken(RetryReason.CONNECT): it cannot have been taken. Unknown: it may have been.
        SetupFault(0): the URL or the headers make no request. Never raises for what the network or the host does.
        """
        self._drop_idle()
        body = _Body(payload, time.monotonic() + self.seconds)
        try:
            return self._exchange(url, headers, body)
        except _FAILURES as error:
            return _verdict(error, body)
        finally:
            self._used_at = time.time()

    def _exchange(self, url: str, headers: Mapping[str, str | bytes], body: "_Body") -> HttpResponse:
        timeout: Any = Timeout(connect=self._connect_timeout, read=self._read_timeout, total=self.seconds)
        with self._session.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True
        ) as response:
            try:
                return HttpResponse(response.status_code, _content(response), response.headers.get("Location", ""))
            except _FAILURES:
                if 200 <= response.status_code < 300:
                    raise
                # Only a success needs its body: any other status has already said that nothing was taken.
                return HttpResponse(response.status_code, b"")

    def _drop_idle(self) -> None:
        # Wall-clock time, as it goes on while a function is frozen.
        #
        # What is left: urllib3 looks before it reuses a connection whether the host has closed it, and then opens a new
        # one. Only a close that is under way in the very moment of the request goes unseen; that request counts as
        # unanswered, since a host that closes after it took a request looks the same.
        if abs(time.time() - self._used_at) > KEEP_ALIVE_SECONDS:
            self._session.close()


def _verdict(error: Exception, body: "_Body") -> NotTaken | Unknown | SetupFault:
    if not body.handed_over:
        if isinstance(error, ValueError) and not body.tell():
            # Its text is left out: it quotes the header, and so maybe the passcode.
            return SetupFault(0, f"the endpoint or the credentials make no request ({type(error).__name__})")
        return NotTaken(RetryReason.CONNECT)
    return Unknown(RetryReason.TIMEOUT if _timed_out(error) else RetryReason.CONNECTION_LOST)


def _timed_out(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, TimeoutError | requests.Timeout):
            return True
        error = error.__cause__ or error.__context__
    return False


def _content(response: requests.Response) -> bytes:
    """The decoded body. Empty when it is over the limit: that is no answer of CleverTap's, and not worth parsing."""
    content = bytearray()
    for piece in response.iter_content(_PIECE_BYTES):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            return b""
    return bytes(content)


class _Body(io.BytesIO):
    """A request body that knows whether all of it went to the socket.

    Its length is announced before it, so a host that has not got all of it cannot have taken any record. That holds for
    every way to fail (name, connect, TLS, a lost connection), which the exceptions do not tell apart: a TLS error, for
    one, comes before the request or after it.
    """

    def __init__(self, payload: bytes, deadline: float) -> None:
        super().__init__(payload)
        self._bytes = len(payload)
        self._deadline = deadline

    @property
    def handed_over(self) -> bool:
        return self.tell() == self._bytes

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self._deadline:
            raise TimeoutError("the host reads the request too slowly")
        return super().read(size)


class _UntilDeadline(io.RawIOBase):
    """What a socket receives. Its timeout is meant for each wait, so a host that sends a byte now and then would never
    reach it; here it is the time for the whole answer."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._socket = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the host answers too slowly")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        """The first line of the final answer. http.client passes over 100 alone, and would take any other interim
        answer (RFC 9110, 15.2) for the final one, and the final one for that of the next request."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        while 100 <= status < 200:
            http.client.parse_headers(self.fp)
            version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, status, reason


class _HttpConnection(HTTPConnection):
    response_class = _Response


class _HttpsConnection(HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(max_retries=0))

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        # Told not to follow a redirect, requests still reads the whole body, parses the target and rewinds the request.
        return None
