"""The emulated CleverTap over HTTP."""

import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clevertap_emulator
from clevertap_emulator import (
    Cut,
    Delay,
    Emulator,
    FailEmpty,
    Hang,
    LostAnswer,
    NotJson,
    Ok,
    Refuse,
    Status,
    Step,
    Stored,
    Truncated,
)
from clevertap_emulator.properties import Object
from clevertap_emulator.service import Service

ACCOUNT, PASSCODE = "TEST-ACCOUNT", "passcode"
NOW = 1_700_000_000.0
EVENT: Object = {"type": "event", "identity": "user-1", "evtName": "Renewed", "evtData": {"plan": "yearly"}}
ENVIRONMENT = {"PYTHONPATH": str(Path(clevertap_emulator.__file__).parents[1])}
UPLOAD = json.dumps({"d": [EVENT]}).encode()
SUCCESS = {"status": "success", "processed": 1, "unprocessed": []}


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    with Emulator({ACCOUNT: PASSCODE, "OTHER": "other"}, now=lambda: NOW) as emulator:
        yield emulator


@pytest.fixture
def clevertap(shared: Emulator) -> Emulator:
    shared.reset()
    return shared


class Sender:
    """One kept connection, as a client's session has it."""

    def __init__(self, to: Emulator | int, account: str = ACCOUNT, passcode: str = PASSCODE) -> None:
        port = to if isinstance(to, int) else to.port
        self.connection = HTTPConnection("127.0.0.1", port, timeout=20)
        self._headers = {"X-CleverTap-Account-Id": account, "X-CleverTap-Passcode": passcode}

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def begin(self, body: bytes) -> None:
        """Sends an upload, and waits for no answer."""
        self.connection.request("POST", "/1/upload", body, {"Content-Type": "application/json", **self._headers})

    def post(self, body: bytes, path: str = "/1/upload", content_type: str = "application/json") -> tuple[int, bytes]:
        return self.ask("POST", path, body, {"Content-Type": content_type, **self._headers})

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        self.connection.request(method, path, body, headers or {})
        with self.connection.getresponse() as response:
            return response.status, response.read()

    def upload(self, *records: object, path: str = "/1/upload") -> tuple[int, Any]:
        status, body = self.post(json.dumps({"d": records}).encode(), path)
        return status, json.loads(body)

    def admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        status, text = self.ask(method, f"/_emulator/{path}", json.dumps(body).encode())
        return status, json.loads(text)


@pytest.fixture
def sender(clevertap: Emulator) -> Iterator[Sender]:
    with Sender(clevertap) as sender:
        yield sender


def names(stored: list[Stored]) -> list[object]:
    return [each.record["evtName"] for each in stored]


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# Answers


def test_accepted_records_are_a_success_and_stored(clevertap: Emulator, sender: Sender) -> None:
    profile: Object = {"type": "profile", "identity": "user-1", "profileData": {"plan": "yearly"}}
    assert sender.upload(EVENT, profile) == (200, {"status": "success", "processed": 2, "unprocessed": []})
    assert clevertap.records(ACCOUNT) == [Stored(1, 1, NOW, EVENT, False), Stored(1, 2, NOW, profile, False)]
    assert clevertap.profiles(ACCOUNT)[0].properties == {"plan": "yearly"}
    assert clevertap.violations() == []


def test_one_refusal_is_a_partial_answer(sender: Sender) -> None:
    bad = {"type": "profile", "identity": "1234", "ts": 1_699_999_000, "profileData": {"Email": "x", "ok": True}}
    assert sender.upload(EVENT, bad) == (
        200,
        {
            "status": "partial",
            "processed": 1,
            "unprocessed": [
                {
                    "status": "fail",
                    "code": 515,
                    "error": "Profile data is incorrect. Email is not valid.Skipped record number : 2",
                    "record": {
                        "type": "profile",
                        "identity": 1234,
                        "ts": "1699999000",
                        "profileData": {"Email": "x", "ok": "true"},
                    },
                }
            ],
        },
    )


def test_refusals_alone_are_a_fail(sender: Sender) -> None:
    status, answer = sender.upload(EVENT | {"ts": 0})
    assert (status, answer["status"], answer["processed"]) == (200, "fail", 0)
    [refused] = answer["unprocessed"]
    assert refused["code"] == 525
    assert refused["error"] == "Timestamp should be present in the Unix Epoch format. Skipped record number : 1"


def test_the_space_before_the_colon_may_be_missing(sender: Sender) -> None:
    answer = sender.upload(*[{}] * 6)[1]
    endings = [refused["error"].partition("record number")[2] for refused in answer["unprocessed"]]
    assert endings == [" : 1", " : 2", ": 3", " : 4", " : 5", ": 6"]


@pytest.mark.parametrize("record", [7, None, "x", [1], {"type": ["deep", {"er": 1}]}])
def test_the_echoed_record_is_an_object(sender: Sender, record: object) -> None:
    assert isinstance(sender.upload(record)[1]["unprocessed"][0]["record"], dict)


def test_a_dry_run_judges_and_stores_nothing(clevertap: Emulator, sender: Sender) -> None:
    assert sender.upload(EVENT, path="/1/upload?dryRun=1") == (200, SUCCESS)
    assert sender.upload({}, path="/1/upload?dryRun=1")[1]["status"] == "fail"
    assert clevertap.records(ACCOUNT) == []
    assert [(request.dry_run, request.taken) for request in clevertap.requests()] == [(True, 0), (True, 0)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"d":{}}', json.dumps({"d": [EVENT] * 1001}).encode()])
def test_a_malformed_request_is_400(clevertap: Emulator, sender: Sender, body: bytes) -> None:
    status, answer = sender.post(body)
    assert (status, json.loads(answer)) == (400, {"status": "fail", "error": "Malformed request", "code": 400})
    assert clevertap.requests()[0].records is None


def test_another_content_type_is_400(sender: Sender) -> None:
    assert sender.post(UPLOAD, content_type="text/plain")[0] == 400


@pytest.mark.parametrize(
    ("account", "passcode"), [(ACCOUNT, "wrong"), ("NOBODY", PASSCODE), (ACCOUNT, "other"), ("", "")]
)
def test_a_wrong_account_or_passcode_is_401(clevertap: Emulator, account: str, passcode: str) -> None:
    with Sender(clevertap, account, passcode) as sender:
        assert sender.upload(EVENT) == (401, {"status": "fail", "error": "Account ID is not valid", "code": 401})
    assert clevertap.records(ACCOUNT) == []
    assert (clevertap.requests()[0].status, clevertap.requests()[0].taken) == (401, 0)


def test_each_account_has_its_own_store(clevertap: Emulator, sender: Sender) -> None:
    with Sender(clevertap, "OTHER", "other") as other:
        other.upload(EVENT | {"evtName": "Other"})
    sender.upload(EVENT)
    assert (names(clevertap.records(ACCOUNT)), names(clevertap.records("OTHER"))) == (["Renewed"], ["Other"])


def test_the_16th_request_at_once_is_429(clevertap: Emulator, sender: Sender) -> None:
    clevertap.faults.add(Delay(600), times=15)

    def upload(_: int) -> int:
        with Sender(clevertap) as own:
            return own.upload(EVENT)[0]

    with ThreadPoolExecutor(15) as pool:
        slow = pool.map(upload, range(15))
        until(lambda: len(clevertap.requests()) == 15)
        assert clevertap.under_way == 15
        assert sender.upload(EVENT) == (429, {"status": "fail", "error": "Too many requests", "code": 429})
        with Sender(clevertap, "OTHER", "other") as other:
            assert other.upload(EVENT)[0] == 200
        clevertap.faults.clear()
        assert set(slow) == {200}
    assert clevertap.max_concurrency == 16
    assert clevertap.under_way == 0
    assert len(clevertap.records(ACCOUNT)) == 15
    assert sender.upload(EVENT)[0] == 200


# Scripted faults


def test_a_scripted_status_takes_nothing(clevertap: Emulator, sender: Sender) -> None:
    clevertap.faults.add(Status(503), Status(500, body=""), Status(429), Status(401, body="no"))
    assert sender.upload(EVENT) == (503, {"status": "fail", "error": "Request failed", "code": 503})
    assert sender.post(b"{}") == (500, b"")
    assert sender.upload(EVENT) == (429, {"status": "fail", "error": "Too many requests", "code": 429})
    assert sender.post(b"{}") == (401, b"no")
    assert clevertap.records(ACCOUNT) == []
    assert sender.upload(EVENT) == (200, SUCCESS)
    assert [request.fault for request in clevertap.requests()] == ["status"] * 4 + [None]


@pytest.mark.parametrize(
    ("step", "body"),
    [
        (FailEmpty(), b'{"status": "fail", "processed": 0, "unprocessed": []}'),
        (NotJson(), b"<html><body>Bad gateway</body></html>"),
        (Truncated(), json.dumps(SUCCESS).encode()[:28]),
    ],
    ids=["fail", "not JSON", "truncated"],
)
def test_a_scripted_body_takes_nothing(clevertap: Emulator, sender: Sender, step: Step, body: bytes) -> None:
    clevertap.faults.add(step)
    assert sender.post(UPLOAD) == (200, body)
    assert clevertap.records(ACCOUNT) == []


@pytest.mark.parametrize("step", [Cut(), Cut(taken=True)])
def test_a_cut_ends_in_the_middle_of_the_answer(clevertap: Emulator, sender: Sender, step: Step) -> None:
    clevertap.faults.add(step)
    with pytest.raises(HTTPException, match=r"IncompleteRead\(28 bytes read, 28 more expected\)"):
        sender.upload(EVENT)


@pytest.mark.parametrize("step", [LostAnswer(), Hang(0), Hang(0, taken=True)])
def test_the_connection_ends_without_an_answer(clevertap: Emulator, sender: Sender, step: Step) -> None:
    clevertap.faults.add(step)
    with pytest.raises(RemoteDisconnected):
        sender.upload(EVENT)
    assert clevertap.requests()[0].status is None
    assert sender.upload(EVENT) == (200, SUCCESS)


@pytest.mark.parametrize(
    ("step", "taken", "lost"),
    [
        (Ok(), 1, False),
        (Delay(0), 1, False),
        (Refuse(512, positions=[2]), 1, False),
        (FailEmpty(), 0, False),
        (Status(503), 0, False),
        (Status(503, taken=True), 1, True),
        (NotJson(), 0, False),
        (NotJson(taken=True), 1, True),
        (Truncated(), 0, False),
        (Truncated(taken=True), 1, True),
        (Cut(), 0, False),
        (Cut(taken=True), 1, True),
        (Hang(0), 0, False),
        (Hang(0, taken=True), 1, True),
        (LostAnswer(), 1, True),
    ],
)
def test_records_of_lost_answers_are_marked(
    clevertap: Emulator, sender: Sender, step: Step, taken: int, lost: bool
) -> None:
    clevertap.faults.add(step)
    try:
        sender.post(UPLOAD)
    except HTTPException:
        sender.connection.close()
    assert [each.answer_lost for each in clevertap.records(ACCOUNT)] == [lost] * taken
    assert clevertap.requests()[0].taken == taken


def test_a_hang_lasts_until_it_is_over_or_cleared(clevertap: Emulator, sender: Sender) -> None:
    clevertap.faults.add(Hang(600, taken=True))
    sender.begin(b"")
    until(lambda: bool(clevertap.requests()))
    assert select.select([sender.connection.sock], [], [], 0.1)[0] == []
    clevertap.faults.clear()
    with pytest.raises(RemoteDisconnected):
        sender.connection.getresponse()


def test_a_late_answer_missed_its_sender(clevertap: Emulator) -> None:
    clevertap.faults.add(Delay(600))
    with Sender(clevertap) as impatient:
        impatient.begin(UPLOAD)
        until(lambda: bool(clevertap.requests()))
    clevertap.faults.clear()
    until(lambda: any(each.answer_lost for each in clevertap.records(ACCOUNT)))
    assert clevertap.requests()[0].status is None


def test_a_reset_ends_the_marks_of_lost_answers() -> None:
    service = Service({ACCOUNT: PASSCODE})
    before, _ = service.upload(ACCOUNT, PASSCODE, UPLOAD, dry_run=False)
    service.reset()
    service.upload(ACCOUNT, PASSCODE, UPLOAD, dry_run=False)
    service.lose_answer(before)
    assert [each.answer_lost for each in service.records(ACCOUNT)] == [False]


def test_a_sender_without_an_account_may_hang_up_too() -> None:
    service = Service({ACCOUNT: PASSCODE})
    request, _ = service.upload("NOBODY", PASSCODE, b"{}", dry_run=False)
    service.lose_answer(request)
    assert service.requests()[0].status is None


def test_a_closed_emulator_answers_nobody() -> None:
    with Emulator({ACCOUNT: PASSCODE}) as clevertap:
        sender = Sender(clevertap)
        sender.upload(EVENT)
    with sender, pytest.raises((HTTPException, ConnectionError)):
        sender.upload(EVENT)


# The admin API


def test_faults_are_scripted_over_http(clevertap: Emulator, sender: Sender) -> None:
    steps = [{"fault": "status", "status": 503, "times": 2}, {"fault": "fail_empty", "times": None}]
    assert sender.admin("POST", "faults", steps) == (200, {"added": 2})
    assert [sender.upload(EVENT)[0] for _ in range(3)] == [503, 503, 200]
    assert clevertap.records(ACCOUNT) == []
    assert sender.admin("DELETE", "faults") == (200, {})
    assert sender.upload(EVENT) == (200, SUCCESS)


def test_the_store_is_told_over_http(sender: Sender) -> None:
    data = {"identity": "user-1", "plan": "yearly", "bad": None}
    sender.upload({"type": "profile", "objectId": "__h1", "profileData": data})
    kept = {"type": "profile", "objectId": "__h1", "profileData": {"identity": "user-1", "plan": "yearly"}}
    assert sender.admin("GET", f"records?account={ACCOUNT}") == (
        200,
        {"records": [{"request": 1, "position": 1, "at": NOW, "record": kept, "answer_lost": False}]},
    )
    assert sender.admin("GET", f"profiles?account={ACCOUNT}") == (
        200,
        {"profiles": [{"identities": ["user-1"], "object_ids": ["__h1"], "properties": {"plan": "yearly"}}]},
    )
    assert sender.admin("GET", "violations") == (
        200,
        {"violations": [{"account": ACCOUNT, "request": 1, "position": 1, "reason": "profileData.bad: null"}]},
    )
    assert sender.admin("GET", "requests") == (
        200,
        {
            "max_concurrency": 1,
            "requests": [
                {
                    "number": 1,
                    "account": ACCOUNT,
                    "at": NOW,
                    "concurrency": 1,
                    "dry_run": False,
                    "fault": None,
                    "records": 1,
                    "taken": 1,
                    "status": 200,
                }
            ],
        },
    )


def test_reset_forgets_everything_but_the_accounts(clevertap: Emulator, sender: Sender) -> None:
    sender.upload(EVENT | {"evtData": {"bad": None}})
    clevertap.faults.add(Status(503), times=None)
    assert sender.admin("POST", "reset") == (200, {})
    assert (clevertap.records(ACCOUNT), clevertap.profiles(ACCOUNT)) == ([], [])
    assert (clevertap.violations(), clevertap.requests()) == ([], [])
    assert sender.upload(EVENT) == (200, SUCCESS)


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "faults", {"fault": "explode"}, "fault must be one of ok"),
        ("POST", "faults", [{"fault": "ok"}, 7], "a step is an object"),
        ("GET", "records?account=NOBODY", None, f"account is 'NOBODY', must be one of {ACCOUNT}, OTHER"),
        ("GET", "profiles", None, f"account is '', must be one of {ACCOUNT}, OTHER"),
    ],
)
def test_bad_admin_input_is_400_and_says_why(
    sender: Sender, method: str, path: str, body: object, message: str
) -> None:
    status, answer = sender.admin(method, path, body)
    assert (status, answer["code"]) == (400, 400)
    assert message in answer["error"]
    assert sender.upload(EVENT)[0] == 200


def test_faults_that_are_not_json_are_400(sender: Sender) -> None:
    status, answer = sender.ask("POST", "/_emulator/faults", b"{")
    assert status == 400
    assert "the body must be JSON" in json.loads(answer)["error"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/1/upload"), ("POST", "/2/upload"), ("GET", "/_emulator/nothing")]
)
def test_other_paths_are_404(sender: Sender, method: str, path: str) -> None:
    assert sender.ask(method, path)[0] == 404


# Whatever comes


@given(st.binary(max_size=200) | st.sampled_from([b'{"d":[', b'{"d":[{}]}', b'{"d":[{"type":"event"}],"d":7}']))
def test_any_bytes_get_a_documented_answer(shared: Emulator, body: bytes) -> None:
    with Sender(shared) as sender:
        check(*sender.post(body))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["\ud800", "$D_1"]),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("$add"), some, max_size=3),
    max_leaves=5,
)
ANY_RECORD = ANY | st.fixed_dictionaries(
    {"type": st.sampled_from(["event", "profile"]), "identity": st.sampled_from(["a", "b"])},
    optional={
        "ts": ANY,
        "evtName": st.sampled_from(["Charged", "Renewed"]) | ANY,
        "evtData": ANY | st.fixed_dictionaries({"Amount": ANY, "Items": ANY}),
        "profileData": ANY | st.dictionaries(st.sampled_from(["k", "l"]), ANY, max_size=2),
    },
)


@given(st.lists(ANY_RECORD, max_size=4))
def test_any_records_get_a_documented_answer(shared: Emulator, records: list[object]) -> None:
    with Sender(shared) as sender:
        status, body = sender.post(json.dumps({"d": records}).encode())
        answer = check(status, body)
        for path in ("records", "profiles"):
            assert sender.admin("GET", f"{path}?account={ACCOUNT}")[0] == 200
    if status == 200:
        assert answer["processed"] + len(answer["unprocessed"]) == len(records)


def check(status: int, body: bytes) -> Any:
    answer = json.loads(body)
    if status == 200:
        assert set(answer) == {"status", "processed", "unprocessed"}
        refused = answer["unprocessed"]
        assert answer["status"] == ("success" if not refused else "partial" if answer["processed"] else "fail")
        for each in refused:
            assert set(each) == {"status", "code", "error", "record"}
            assert isinstance(each["record"], dict)
    else:
        assert status in (400, 401, 429)
        assert (set(answer), answer["code"]) == ({"status", "error", "code"}, status)
    return answer


@pytest.mark.parametrize(
    "request_head",
    [
        b"\x00\xff\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST /1/upload HTTP/9.9\r\n\r\n",
        b"POST http://[ HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST /1/upload HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /1/upload HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /1/upload HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n",
        b"POST /1/upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /1/upload HTTP/1.1\r\n\r\n",
        b"BREW /1/upload HTTP/1.1\r\n\r\n",
        b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /1/upload HTTP/1.1\r\n" + b"".join(b"H%d: 1\r\n" % number for number in range(200)) + b"\r\n",
    ],
)
def test_broken_http_is_never_answered_with_a_5xx(clevertap: Emulator, request_head: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", clevertap.port), timeout=20)) as connection:
        connection.sendall(request_head)
        answer = connection.recv(65_536)
    assert answer.split()[1] in (b"400", b"401", b"405")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: many",
        b"Content-Length: 99999999999999",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_body_of_unknown_length_ends_the_connection(clevertap: Emulator, head: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", clevertap.port), timeout=20)) as connection:
        connection.sendall(b"POST /1/upload HTTP/1.1\r\n" + head + b"\r\n\r\n0\r\n\r\n")
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answers.count(b"HTTP/1.1 ") == 1


def test_it_is_reached_from_this_machine_alone(clevertap: Emulator) -> None:
    assert clevertap.url == f"http://127.0.0.1:{clevertap.port}"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", clevertap.port), timeout=5):
        pass


# The command


def test_the_command_serves_until_terminated() -> None:
    command = [sys.executable, "-m", "clevertap_emulator", "--account", "A:p:1", "--account", "B:q", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        with Sender(int(line.rpartition(":")[2]), "A", "p:1") as sender:
            assert sender.upload(EVENT) == (200, SUCCESS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("arguments", [[], ["--account", "A"], ["--account", ":p"], ["--account", "A:"]])
def test_the_command_wants_accounts_with_passcodes(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "clevertap_emulator", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=20, check=False)
    assert done.returncode == 2
    assert "--account" in done.stderr


# Deleting users


def delete(sender: Sender, body: object, **more: str) -> tuple[int, Any]:
    status, text = sender.post(json.dumps(body).encode(), "/1/delete/profiles.json", **more)
    return status, json.loads(text)


@pytest.mark.parametrize(
    "body", [{"identity": ["user-1"]}, {"identity": "user-1"}, {"guid": ["__h1"]}, {"guid": "__h1"}]
)
def test_a_user_is_deleted_under_every_id(clevertap: Emulator, sender: Sender, body: Object) -> None:
    sender.upload({"type": "profile", "objectId": "__h1", "profileData": {"identity": "user-1"}})
    sender.upload({"type": "profile", "identity": "user-2", "profileData": {"plan": "yearly"}})
    assert delete(sender, body) == (200, {"status": "success"})
    assert [each.identities for each in clevertap.profiles(ACCOUNT)] == [("user-2",)]
    assert [each.deleted for each in clevertap.deletions()] == [1]


def test_an_id_of_nobody_is_no_fault(clevertap: Emulator, sender: Sender) -> None:
    assert delete(sender, {"identity": ["nobody"]}) == (200, {"status": "success"})
    assert [(each.ids, each.deleted) for each in clevertap.deletions()] == [(("nobody",), 0)]


def test_what_comes_after_a_deletion_makes_a_new_user(clevertap: Emulator, sender: Sender) -> None:
    sender.upload({"type": "profile", "identity": "user-1", "profileData": {"plan": "yearly"}})
    delete(sender, {"identity": ["user-1"]})
    sender.upload({"type": "profile", "identity": "user-1", "profileData": {"store": "APPLE"}})
    assert [each.properties for each in clevertap.profiles(ACCOUNT)] == [{"store": "APPLE"}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"identity": ["user-1"], "guid": ["__h1"]},
        {"identity": ["user-1"], "more": 1},
        {"objectId": ["__h1"]},
        {"identity": []},
        {"identity": " "},
        {"identity": 1},
        {"identity": ["user-1", 1]},
        {"identity": [f"user-{number}" for number in range(101)]},
        {"guid": ["no such id"]},
    ],
)
def test_a_malformed_deletion_deletes_nobody(clevertap: Emulator, sender: Sender, body: Object) -> None:
    sender.upload({"type": "profile", "objectId": "__h1", "profileData": {"identity": "user-1"}})
    assert delete(sender, body) == (400, {"status": "fail", "error": "Malformed request", "code": 400})
    assert len(clevertap.profiles(ACCOUNT)) == 1


def test_a_deletion_needs_json_and_credentials(clevertap: Emulator, sender: Sender) -> None:
    assert delete(sender, {"identity": ["user-1"]}, content_type="text/plain")[0] == 400
    with Sender(clevertap, passcode="another") as stranger:
        assert delete(stranger, {"identity": ["user-1"]})[0] == 401


def test_a_deletion_takes_a_scripted_fault(clevertap: Emulator, sender: Sender) -> None:
    sender.upload({"type": "profile", "identity": "user-1", "profileData": {"plan": "yearly"}})
    clevertap.faults.add(Status(503))
    assert delete(sender, {"identity": ["user-1"]})[0] == 503
    assert len(clevertap.profiles(ACCOUNT)) == 1
    assert sender.admin("GET", "deletions")[1]["deletions"] == [
        {
            "account": ACCOUNT,
            "at": NOW,
            "kind": "identity",
            "ids": ["user-1"],
            "deleted": 0,
            "fault": "status",
            "status": 503,
        }
    ]
