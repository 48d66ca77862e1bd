import gzip
import json
import logging
import math
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from purchasely_clevertap.clevertap import client as client_module
from purchasely_clevertap.clevertap import http as connection
from purchasely_clevertap.clevertap.account import Credentials
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.response import (
    Accepted,
    NotTaken,
    RecordResult,
    Rejected,
    SetupFault,
    Unknown,
    Upload,
)
from purchasely_clevertap.outcome import RetryReason
from tests.unit.scripted_server import (
    Peer,
    ScriptedServer,
    Step,
    drip,
    hang,
    http,
    raw,
    reply,
    reset,
    scripted,
    success,
    then_close,
)

PASSCODE = "SECRET-PASS-CODE"
OK = b'{"status":"success","processed":1,"unprocessed":[]}'
MALFORMED = b'{"status":"fail","error":"Malformed request","code":400}'


def record(name: str) -> bytes:
    return json.dumps({"type": "event", "evtName": name, "identity": "u"}).encode()


def records(count: int) -> list[bytes]:
    return [record(str(number)) for number in range(count)]


def account(endpoint: str) -> Credentials:
    return Credentials("ACC-OUN-TID", PASSCODE, endpoint)


def client(connect: float = 1.0, read: float = 1.0) -> Client:
    return Client(connect_timeout=connect, read_timeout=read)


def upload(to: ScriptedServer | str, sent: list[bytes], by: Client | None = None) -> Upload:
    """Uploads to a server or to a URL, with all the time in the world."""
    url = to if isinstance(to, str) else to.url
    return (by or client()).upload(account(url), sent, time_left=lambda: math.inf)


@pytest.fixture
def impatient() -> Client:
    return client(0.2, 0.2)


@pytest.fixture
def unserved() -> str:
    """The URL of a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


# The request


def test_a_request_is_what_the_api_documents() -> None:
    with scripted() as server:
        result = upload(server, [record("a"), record("b")])
    (request,) = server.received
    assert result.results == (Accepted(), Accepted())
    assert result.requests == 1
    assert 0 < result.seconds < 5
    assert request.target == "/1/upload"
    assert request.body == b'{"d":[' + record("a") + b"," + record("b") + b"]}"
    assert request.headers["x-clevertap-account-id"] == "ACC-OUN-TID"
    assert request.headers["x-clevertap-passcode"] == PASSCODE
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["content-length"] == str(len(request.body))
    assert request.headers["user-agent"] == client_module.USER_AGENT
    assert request.headers["user-agent"].startswith("purchasely-clevertap/")


def test_nothing_to_upload_is_no_request() -> None:
    with scripted() as server:
        result = upload(server, [])
    assert (result.results, result.requests, server.received) == ((), 0, [])


@pytest.mark.parametrize(("count", "sizes"), [(1000, [1000]), (1001, [1000, 1]), (2500, [1000, 1000, 500])])
def test_no_request_carries_more_than_1000_records(count: int, sizes: list[int]) -> None:
    with scripted() as server:
        result = upload(server, records(count))
    assert [len(request.records) for request in server.received] == sizes
    assert [name for request in server.received for name in request.records] == [str(n) for n in range(count)]
    assert result.results == (Accepted(),) * count
    assert result.requests == len(sizes)


def test_values_pasted_with_white_space_still_fit() -> None:
    with scripted() as server:
        pasted = Credentials(" ACC-OUN-TID\n", f"{PASSCODE}\n", f"{server.url}/ ")
        result = client().upload(pasted, [record("a")], time_left=lambda: math.inf)
    assert result.results == (Accepted(),)
    (request,) = server.received
    assert request.target == "/1/upload"
    assert request.headers["x-clevertap-account-id"] == "ACC-OUN-TID"
    assert request.headers["x-clevertap-passcode"] == PASSCODE


def test_check_validates_one_record_without_storing_it() -> None:
    with scripted(reply(200, OK)) as server:
        result = client().check(account(server.url))
    (request,) = server.received
    assert result == Accepted()
    assert request.target == "/1/upload?dryRun=1"
    assert [sorted(sent) for sent in json.loads(request.body)["d"]] == [["identity", "profileData", "type"]]


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (401, SetupFault(401, "Malformed request")),
        (400, Rejected(400, "Malformed request")),
        (503, NotTaken(RetryReason.SERVER_ERROR, 503)),
    ],
)
def test_check_tells_what_is_wrong(status: int, result: RecordResult) -> None:
    with scripted(reply(status, MALFORMED)) as server:
        assert client().check(account(server.url)) == result


# Answers, record by record


def test_positions_are_counted_within_each_request() -> None:
    body = b'{"status":"partial","processed":1,"unprocessed":[{"code":513,"error":"No. Skipped record number: 2"}]}'
    with scripted(success(), reply(200, body)) as server:
        result = upload(server, records(1002))
    assert result.results == (*(Accepted(),) * 1001, Rejected(513, "No."))


@pytest.mark.parametrize(
    "answer",
    [
        http(200, gzip.compress(OK), "Content-Encoding: gzip\r\n"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(OK), OK),
        http(200, OK + b" " * 3_000_000),
    ],
    ids=["compressed", "chunked", "3 MB"],
)
def test_an_answer_is_read_in_whatever_form(answer: bytes) -> None:
    with scripted(lambda peer: peer.send(answer)) as server:
        assert upload(server, records(1)).results == (Accepted(),)


# Malformed requests


class Picky:
    """Answers 400 to a request with a poisoned record, refuses the records it must, and keeps count of what it took."""

    def __init__(self, *, poisoned: set[str], refused: set[str], status: int = 400) -> None:
        self.poisoned, self.refused, self.status = poisoned, refused, status
        self.taken: list[str] = []

    def __call__(self, peer: Peer) -> None:
        if "dryRun" in peer.request.target:
            return success()(peer)
        names = peer.request.records
        if self.poisoned & set(names):
            return peer.send(http(self.status, MALFORMED if self.status != 403 else b"<html>Forbidden</html>"))
        taken = [name for name in names if name not in self.refused]
        self.taken += taken
        unprocessed = [
            {"code": 513, "error": f"Restricted. Skipped record number : {position}", "record": {}}
            for position, name in enumerate(names, 1)
            if name in self.refused
        ]
        outcome = "success" if not unprocessed else "partial" if taken else "fail"
        body = json.dumps({"status": outcome, "processed": len(taken), "unprocessed": unprocessed}).encode()
        return peer.send(http(200, body))


@pytest.mark.parametrize("status", [400, 403, 413])
@pytest.mark.parametrize("poisoned", [0, 499, 500, 999])
def test_a_malformed_record_costs_no_other(status: int, poisoned: int) -> None:
    picky = Picky(poisoned={str(poisoned)}, refused=set(), status=status)
    with scripted(otherwise=picky) as server:
        result = upload(server, records(1000))
    expected: list[RecordResult] = [Accepted()] * 1000
    expected[poisoned] = Rejected(status, "Malformed request" if status != 403 else "HTTP 403")
    assert result.results == tuple(expected)
    assert len(picky.taken) == len(set(picky.taken)) == 999
    assert result.requests == len(server.received) <= 2 + 2 * math.ceil(math.log2(1000))


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 1200),
    poisoned=st.sets(st.integers(0, 1199), max_size=4),
    refused=st.sets(st.integers(0, 1199), max_size=20),
)
def test_every_record_has_one_result_and_goes_once(count: int, poisoned: set[int], refused: set[int]) -> None:
    poisoned, refused = ({number for number in numbers if number < count} for numbers in (poisoned, refused))
    picky = Picky(poisoned={str(n) for n in poisoned}, refused={str(n) for n in refused})
    with scripted(otherwise=picky) as server:
        result = upload(server, records(count))
    expected = [
        Rejected(400, "Malformed request")
        if n in poisoned
        else Rejected(513, "Restricted.")
        if n in refused
        else Accepted()
        for n in range(count)
    ]
    assert result.results == tuple(expected)
    assert sorted(picky.taken, key=int) == [str(n) for n in range(count) if n not in poisoned | refused]
    assert result.requests <= 3 + 2 * len(poisoned) * (math.ceil(math.log2(1000)) + 1)


@pytest.mark.parametrize("status", [400, 403, 413])
def test_1999_requests_for_a_batch_that_is_refused_whatever_is_in_it(status: int) -> None:
    with scripted(otherwise=reply(status, b"<html>")) as server:
        result = upload(server, records(2500))
    assert result.results == (NotTaken(RetryReason.REQUEST_REFUSED, status),) * 2500
    assert result.requests == len(server.received) == 4
    assert [received.target for received in server.received] == ["/1/upload"] * 3 + ["/1/upload?dryRun=1"]


def test_a_firewall_that_refuses_everybody_parks_no_record() -> None:
    for count in (1, 2, 3):
        with scripted(otherwise=reply(403, b"<html>")) as server:
            result = upload(server, records(count))
        assert result.results == (NotTaken(RetryReason.REQUEST_REFUSED, 403),) * count
        assert "dryRun" in server.received[-1].target


def test_a_single_record_that_is_refused_needs_no_dry_run() -> None:
    with scripted(otherwise=reply(400, MALFORMED)) as server:
        assert upload(server, records(1)).results == (Rejected(400, "Malformed request"),)
    assert len(server.received) == 1


@pytest.mark.parametrize("interim", [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.1 102 X\r\n\r\n" * 3])
def test_two_parts_got_each_others_verdicts_by_an_interim_answer(interim: bytes) -> None:
    refused = b'{"status":"fail","processed":0,"unprocessed":[{"code":513,"error":"No. Skipped record number: 1"}]}'

    def hinted(peer: Peer) -> None:
        peer.send(interim)
        success()(peer)

    with scripted(hinted, reply(200, refused)) as server:
        result = upload(server, records(1001))
    assert result.results == (*(Accepted(),) * 1000, Rejected(513, "No."))


def test_a_server_error_concerns_only_its_half() -> None:
    with scripted(reply(400, MALFORMED), reply(503), success()) as server:
        result = upload(server, records(4))
    assert result.results == (*(NotTaken(RetryReason.SERVER_ERROR, 503),) * 2, Accepted(), Accepted())


# Nobody is hammered


@pytest.mark.parametrize(
    ("step", "met", "rest"),
    [
        (reply(401, MALFORMED), SetupFault(401, "Malformed request"), SetupFault(401, "Malformed request")),
        (reply(404), SetupFault(404, "HTTP 404"), SetupFault(404, "HTTP 404")),
        (reply(429), NotTaken(RetryReason.THROTTLED, 429), NotTaken(RetryReason.THROTTLED, 429)),
        (hang(), Unknown(RetryReason.TIMEOUT), NotTaken(RetryReason.NOT_SENT)),
        (reset(), Unknown(RetryReason.CONNECTION_LOST), NotTaken(RetryReason.NOT_SENT)),
        (reply(200, b"<html>"), Unknown(RetryReason.NOT_JSON), NotTaken(RetryReason.NOT_SENT)),
        (reply(502), Unknown(RetryReason.GATEWAY), NotTaken(RetryReason.NOT_SENT)),
    ],
)
def test_what_would_only_repeat_ends_the_upload(
    impatient: Client, step: Step, met: RecordResult, rest: RecordResult
) -> None:
    with scripted(success(), step) as server:
        result = upload(server, records(3001), impatient)
    assert result.results == (*(Accepted(),) * 1000, *(met,) * 1000, *(rest,) * 1001)
    assert result.requests == len(server.received) == 2


@pytest.mark.parametrize(
    ("step", "met"),
    [
        (reply(500), NotTaken(RetryReason.SERVER_ERROR, 500)),
        (reply(409), NotTaken(RetryReason.UNEXPECTED_STATUS, 409)),
        (reply(200, b'{"status":"fail","processed":0,"unprocessed":[]}'), NotTaken(RetryReason.NOT_PROCESSED)),
        (reply(200, OK), Unknown(RetryReason.COUNT_MISMATCH)),
    ],
)
def test_what_may_not_repeat_does_not_end_the_upload(step: Step, met: RecordResult) -> None:
    with scripted(step) as server:
        result = upload(server, records(1001))
    assert result.results == (*(met,) * 1000, Accepted())


def test_a_refused_connection_is_tried_once(unserved: str) -> None:
    result = upload(unserved, records(2001))
    assert result.results == (NotTaken(RetryReason.CONNECT),) * 2001
    assert result.requests == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_attempts_are_never_repeated_automatically(status: int) -> None:
    with scripted(reply(status, b"", "NotTaken-After: 0\r\n")) as server:
        upload(server, records(1))
    assert len(server.received) == 1


# The function's own time


def test_http_attempts_never_outlive_the_function() -> None:
    left = iter([30.0, 25.1, 24.9, 3.0])
    with scripted() as server:
        result = client(3, 20).upload(account(server.url), records(3500), time_left=lambda: next(left))
    assert client_module.MARGIN_SECONDS == 2
    assert result.results == (*(Accepted(),) * 2000, *(NotTaken(RetryReason.NO_TIME_LEFT),) * 1500)
    assert result.requests == len(server.received) == 2


def test_halving_never_outlives_the_function() -> None:
    left = iter([100.0, 100.0, 0.0])
    with scripted(reply(400, MALFORMED), success()) as server:
        result = client().upload(account(server.url), records(4), time_left=lambda: next(left))
    assert result.results == (
        Accepted(),
        Accepted(),
        NotTaken(RetryReason.NO_TIME_LEFT),
        NotTaken(RetryReason.NO_TIME_LEFT),
    )


ANSWER = http(200, OK)
HEADERS = ANSWER.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "step",
    [
        hang(),
        hang(HEADERS[:20]),
        hang(ANSWER[:-5]),
        drip(ANSWER + b" " * 1000),
        drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000, seconds=0.001),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 1000, seconds=0.001),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, seconds=0.001),
    ],
    ids=["nothing", "half the headers", "half the body", "all", "a header", "a body", "chunks", "continues"],
)
def test_an_answer_out_of_time_is_unknown(impatient: Client, step: Step) -> None:
    with scripted(step) as server:
        result = upload(server, records(1), impatient)
    assert result.results == (Unknown(RetryReason.TIMEOUT),)
    assert result.seconds < 1


def test_an_unread_request_was_not_taken(impatient: Client) -> None:
    with scripted(hang(), reads=False) as server:
        result = upload(server, [b'{"x":"' + b"x" * 20_000_000 + b'"}'], impatient)
    assert result.results == (NotTaken(RetryReason.CONNECT),)
    assert result.seconds < 1


def test_a_hang_after_a_drip_has_only_the_time_left() -> None:
    def step(peer: Peer) -> None:
        drip(ANSWER[:2], seconds=0.4)(peer)
        hang()(peer)

    with scripted(step) as server:
        result = upload(server, records(1), client(0.2, 1.0))
    assert result.results == (Unknown(RetryReason.TIMEOUT),)
    assert result.seconds < 1.4


@pytest.fixture
def slow_name(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes looking up the host's name take that many seconds, by the clock that is looked at."""
    monotonic, getaddrinfo = time.monotonic, socket.getaddrinfo
    passed = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed)

    def take(seconds: float) -> None:
        def look_up(*args: Any, **kwargs: Any) -> Any:
            nonlocal passed
            passed += seconds
            return getaddrinfo(*args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return take


def test_connecting_may_use_up_all_the_time(slow_name: Callable[[float], None]) -> None:
    with scripted() as server:
        slow_name(23.1)
        result = upload(server, records(1), client(3, 20))
    assert result.results == (NotTaken(RetryReason.CONNECT),)
    assert server.received == []


def test_connecting_leaves_less_for_the_answer(slow_name: Callable[[float], None]) -> None:
    with scripted(hang()) as server:
        slow_name(22.7)
        result = upload(server, records(1), client(3, 20))
    assert result.results == (Unknown(RetryReason.TIMEOUT),)
    assert 22.7 < result.seconds < 24


# Lost connections: what can have been taken and what cannot


def test_a_connect_timeout_is_a_safe_retry(impatient: Client) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # Nobody accepts and the queue is full: further connection requests stay without an answer.
        waiting = [socket.socket() for _ in range(3)]
        for queued in waiting:
            queued.setblocking(False)
            queued.connect_ex(listener.getsockname())
        result = upload(f"http://127.0.0.1:{listener.getsockname()[1]}", records(1), impatient)
        for queued in waiting:
            queued.close()
    assert result.results == (NotTaken(RetryReason.CONNECT),)
    assert 0.2 <= result.seconds < 1


def test_an_unknown_host_is_a_safe_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert upload("https://clevertap.invalid", records(1)).results == (NotTaken(RetryReason.CONNECT),)


@pytest.mark.parametrize("step", [raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), raw(b""), reset(), hang()])
def test_a_failed_tls_handshake_is_a_safe_retry(impatient: Client, step: Step) -> None:
    with scripted(step, reads=False) as server:
        result = upload(server.url.replace("http:", "https:"), records(1), impatient)
    assert result.results == (NotTaken(RetryReason.CONNECT),)


@pytest.mark.parametrize(
    "step",
    [
        reset(),
        raw(b""),
        raw(HEADERS),
        raw(ANSWER[:-5]),
        reset(ANSWER[:-5]),
        raw(b"not HTTP at all\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3, 5\r\n\r\nxxx"),
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n"),
        reply(200, b"\x1f\x8bnot gzip", "Content-Encoding: gzip\r\n"),
    ],
)
def test_a_lost_answer_may_mean_taken(step: Step) -> None:
    with scripted(step) as server:
        assert upload(server, records(2)).results == (Unknown(RetryReason.CONNECTION_LOST),) * 2
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (409, NotTaken(RetryReason.UNEXPECTED_STATUS, 409)),
        (503, NotTaken(RetryReason.SERVER_ERROR, 503)),
        (429, NotTaken(RetryReason.THROTTLED, 429)),
        (401, SetupFault(401, "HTTP 401")),
    ],
)
@pytest.mark.parametrize("lose", [raw, reset, hang])
def test_a_status_that_took_nothing_needs_no_body(
    impatient: Client, lose: Any, status: int, result: RecordResult
) -> None:
    with scripted(lose(http(status, b"x" * 100)[:-50])) as server:
        assert upload(server, records(1), impatient).results == (result,)


def test_a_reset_while_sending_is_a_safe_retry() -> None:
    with scripted(reset(), reads=False) as server:
        result = upload(server, [b"x" * 20_000_000])
    assert result.results == (NotTaken(RetryReason.CONNECT),)


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=60)
    | st.builds(
        lambda status, headers, body: b"HTTP/1.1 %d X\r\n%b\r\n\r\n%b" % (status, headers, body),
        st.integers(100, 999),
        st.sampled_from([b"Content-Length: 5", b"Location: http://[", b"Content-Encoding: gzip", b"\xff: \xff", b"A"])
        | st.binary(max_size=20),
        st.binary(max_size=60),
    )
)
def test_no_answer_of_a_host_ever_raises(data: bytes) -> None:
    with scripted(otherwise=raw(data)) as server:
        result = upload(server, records(3), client(0.2, 0.2))
    assert len(result.results) == 3
    assert Accepted() not in result.results


# Keep-alive


def test_requests_and_uploads_share_a_connection() -> None:
    by = client()
    with scripted() as server:
        upload(server, records(3000), by)
        upload(server, records(1), by)
    assert server.connections == 1


def test_a_closed_idle_connection_loses_no_request() -> None:
    by = client()
    with scripted(then_close(success())) as server:
        upload(server, records(1), by)
        assert server.hung_up.acquire(timeout=5)
        assert upload(server, records(1), by).results == (Accepted(),)
    assert server.connections == 2


@pytest.mark.parametrize("passed", [5, -5])  # load balancers keep an idle connection for 5 s; a clock may be set back
def test_a_connection_idle_for_5_seconds_is_dropped(monkeypatch: pytest.MonkeyPatch, passed: float) -> None:
    by = client()
    with scripted() as server:
        upload(server, records(1), by)
        later = time.time() + passed
        monkeypatch.setattr(time, "time", lambda: later)
        upload(server, records(1), by)
    assert [request.connection for request in server.received] == [1, 2]


def test_a_late_answer_is_not_that_of_the_next_request(impatient: Client) -> None:
    with scripted(hang(ANSWER[:-5]), reply(503)) as server:
        upload(server, records(1), impatient)
        assert upload(server, records(1), impatient).results == (NotTaken(RetryReason.SERVER_ERROR, 503),)


# Bounds and isolation


def test_an_error_while_sending_is_no_setup_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    send = socket.socket.sendall

    def fail(self: socket.socket, data: Any, *flags: int) -> None:
        if b"xxx" in bytes(data):
            raise ValueError("read of closed file")
        send(self, data, *flags)

    with scripted() as server:
        monkeypatch.setattr(socket.socket, "sendall", fail)
        assert upload(server, [b"x" * 100_000]).results == (NotTaken(RetryReason.CONNECT),)


def test_an_error_of_urllib3_itself_is_a_safe_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise urllib3.exceptions.HTTPError("of a kind that requests lets through")

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", fail)
    assert upload("http://127.0.0.1:1", records(1)).results == (NotTaken(RetryReason.CONNECT),)


def test_an_endless_answer_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER_BYTES", 200_000)
    padded = OK + b" " * 300_000
    with scripted(reply(200, padded[:200_000])) as server:
        assert upload(server, records(1)).results == (Accepted(),)
    with scripted(reply(200, padded)) as server:
        assert upload(server, records(1)).results == (Unknown(RetryReason.NOT_JSON),)
    with scripted(reply(200, gzip.compress(OK + b" " * 50_000_000), "Content-Encoding: gzip\r\n")) as server:
        assert upload(server, records(1)).results == (Unknown(RetryReason.NOT_JSON),)
    with scripted(reply(503, padded)) as server:
        assert upload(server, records(1)).results == (NotTaken(RetryReason.SERVER_ERROR, 503),)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["", "http://[", "/\udcff"])
def test_redirects_are_not_followed(status: int, target: str) -> None:
    with scripted() as other:
        location = f"Location: {target or other.url}\r\n".encode(errors="surrogateescape")
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%b\r\n" % (status, location)
        with scripted(lambda peer: peer.send(answer)) as server:
            (result,) = upload(server, records(1)).results
            assert isinstance(result, SetupFault)
            assert result.status == status
    assert len(server.received) == 1
    assert other.received == []


def test_the_environment_diverts_no_credentials(monkeypatch: pytest.MonkeyPatch, unserved: str) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, unserved)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with scripted() as server:
        assert upload(server, records(1)).results == (Accepted(),)


def test_cookies_are_not_carried_over() -> None:
    by = client()
    with scripted(reply(200, OK, "Set-Cookie: a=b; Path=/\r\n")) as server:
        upload(server, records(1), by)
        upload(server, records(1), by)
    assert "cookie" not in server.received[1].headers


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "api.clevertap.com",
        "ftp://api.clevertap.com",
        "https://",
        "http://[",
        "http://a..b",
        "http://a\0b",
        "ftp:// ]_:9",
    ],
)
def test_an_impossible_endpoint_is_a_setup_fault(endpoint: str) -> None:
    (result,) = upload(endpoint, records(1)).results
    assert isinstance(result, SetupFault)
    assert result.status == 0


@pytest.mark.parametrize("passcode", ["SECRET\r\nX-Other: 1", "SECRET\nPASS", "SECRET-\u20ac", "SECRET-\ud800"])
def test_the_passcode_shows_nowhere(
    passcode: str, caplog: pytest.LogCaptureFixture, unserved: str, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(success(), reply(401, MALFORMED), raw(b"HTTP/1.1 200 OK\r\n: bad\r\n\r\n")) as server:
        shown = []
        for endpoint in (server.url, server.url, server.url, unserved, "nonsense"):
            of = Credentials("ACC-OUN-TID", passcode, endpoint)
            shown.append(repr(of) + str(of) + repr(client().upload(of, records(1), time_left=lambda: math.inf)))
    output = capfd.readouterr()
    assert "SECRET" not in "".join(shown) + caplog.text + output.out + output.err
    assert all("x-other" not in request.headers for request in server.received)
