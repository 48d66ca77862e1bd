import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from purchasely_clevertap.clevertap.response import (
    Accepted,
    Malformed,
    NotTaken,
    RecordResult,
    Rejected,
    SetupFault,
    Unknown,
    read,
)
from purchasely_clevertap.outcome import RetryReason

EMAIL = "Profile data is incorrect. Email is not valid."


def entry(position: int | None, *, code: object = 515, text: str = EMAIL, record: object = None) -> dict[str, Any]:
    named = "" if position is None else f" Skipped record number : {position}"
    return {"status": "fail", "code": code, "error": text + named, "record": record or {"type": "profile"}}


def answer(status: str, processed: object, unprocessed: object) -> bytes:
    return json.dumps({"status": status, "processed": processed, "unprocessed": unprocessed}).encode()


# The documented and recorded answers


SUCCESS = b'{"status":"success","processed":2,"unprocessed":[]}'
INVALID = b'{"status":"fail","error":"Account ID is not valid","code":401}'


@pytest.mark.parametrize(
    ("status", "body", "right"),
    [
        (200, SUCCESS, Accepted()),
        (200, b"\xef\xbb\xbf" + SUCCESS, Accepted()),
        (200, b'{"status":"success","processed":2}', Accepted()),
        (200, answer("success", 2, None), Accepted()),
        (202, SUCCESS, Accepted()),
        (204, b"", Unknown(RetryReason.NOT_JSON)),
        *((200, answer("success", count, []), Unknown(RetryReason.COUNT_MISMATCH)) for count in (0, 1, 3)),
        (200, answer("fail", 0, []), NotTaken(RetryReason.NOT_PROCESSED)),
        *((status, INVALID, SetupFault(status, "Account ID is not valid")) for status in range(401, 406)),
        (429, b"", NotTaken(RetryReason.THROTTLED, 429)),
        *((status, SUCCESS, NotTaken(RetryReason.SERVER_ERROR, status)) for status in (500, 503, 599)),
        *((status, b"<html>", Unknown(RetryReason.GATEWAY)) for status in (502, 504)),
        *((status, b"", NotTaken(RetryReason.UNEXPECTED_STATUS, status)) for status in (0, 199, 408, 409, 415, 600)),
    ],
)
def test_an_answer_for_all_records_is_that_of_each(status: int, body: bytes, right: RecordResult) -> None:
    assert read(status, body, 2) == (right, right)


def test_partial_answer_does_not_abort_the_batch() -> None:
    body = (
        b'{"status":"partial","processed":1,"unprocessed":[{"status":"fail","code":515,"error":"Profile data is '
        b'incorrect. Email is not valid.Skipped record number : 2","record":{"type":"profile"}}]}'
    )
    assert read(200, body, 2) == (Accepted(), Rejected(515, EMAIL))


def test_rejected_records_show_behind_http_200() -> None:
    body = (
        b'{"status":"fail","processed":0,"unprocessed":[{"status":"fail","code":525,"error":"Timestamp should be '
        b'present in the Unix Epoch format. Skipped record number : 1","record":{}}]}'
    )
    assert read(200, body, 1) == (Rejected(525, "Timestamp should be present in the Unix Epoch format."),)


@pytest.mark.parametrize(
    "record", [{"ts": "1", "evtData": {"a": 1.0}}, 7, "text", None, [], {"error": "Skipped record number : 1"}]
)
def test_the_echoed_record_is_ignored(record: object) -> None:
    body = answer(
        "partial", 1, [{"status": "fail", "code": 515, "error": "No. Skipped record number: 2", "record": record}]
    )
    assert read(200, body, 2) == (Accepted(), Rejected(515, "No."))


def test_a_permanent_reject_is_refused_and_not_retried() -> None:
    codes = [509, *range(512, 521), 522, 523, 524, 525, 526, 528, 999, -1]
    entries = [entry(position, code=code) for position, code in enumerate(codes, 1)]
    assert read(200, answer("fail", 0, entries), len(codes)) == tuple(Rejected(code, EMAIL) for code in codes)


def test_a_code_that_comes_as_text_counts() -> None:
    assert read(200, answer("partial", 1, [entry(2, code="515")]), 2) == (Accepted(), Rejected(515, EMAIL))
    assert read(200, answer("partial", 1, [entry(1, code=" 555")]), 2) == (
        NotTaken(RetryReason.RECORD_ERROR),
        Accepted(),
    )


def test_a_server_error_of_one_record_is_retried() -> None:
    assert read(200, answer("partial", 1, [entry(1, code=555)]), 2) == (NotTaken(RetryReason.RECORD_ERROR), Accepted())


@pytest.mark.parametrize("body", [b"", b"<html>Forbidden</html>", b'{"error":5}', b"[]"])
def test_a_firewalls_403_is_no_verdict_on_credentials(body: bytes) -> None:
    assert read(403, body, 1) == Malformed(403, "HTTP 403")
    assert read(401, body, 1) == (SetupFault(401, "HTTP 401"),)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_a_setup_fault_with_its_target(status: int) -> None:
    target = "https://other.example/1/upload"
    assert read(status, b"", 2, location=target) == (SetupFault(status, f"HTTP {status}, to {target}"),) * 2
    assert read(status, b"", 1) == (SetupFault(status, f"HTTP {status}"),)


@pytest.mark.parametrize("status", [400, 413])
def test_a_malformed_request_blames_no_record(status: int) -> None:
    body = b'{"status":"fail","error":"Malformed request","code":400}'
    assert read(status, body, 3) == Malformed(status, "Malformed request")
    assert read(status, b"", 3) == Malformed(status, f"HTTP {status}")


# Bodies that are no answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html><body>The page is not available.</body></html>",
        b'{"status":"success","processed":2,"unproc',
        b"null",
        b"[]",
        b'"success"',
        b"{}",
        b'{"status":"success"}',
        b'{"status":"success","processed":"2","unprocessed":[]}',
        b'{"status":"success","processed":true,"unprocessed":[]}',
        b'{"status":"success","processed":2.0,"unprocessed":[]}',
        b'{"status":"success","processed":2,"unprocessed":{"0":1}}',
        b'{"status":"accepted","processed":2,"unprocessed":[]}',
        b'{"status":["success"],"processed":2,"unprocessed":[]}',
        b"[" * 100_000,
        b'{"processed":' + b"9" * 5000 + b"}",
    ],
)
def test_an_undocumented_200_proves_nothing(body: bytes) -> None:
    assert read(200, body, 2) == (Unknown(RetryReason.NOT_JSON),) * 2


@pytest.mark.parametrize("echo", [b"\xff\xfe", b'a\x00\x1f\n"', b"\\ud800"])
def test_an_odd_echo_costs_no_other_record(echo: bytes) -> None:
    body = b'{"status":"partial","processed":1,"unprocessed":[{"code":515,"error":"No. Skipped record number : 1",'
    body += b'"record":{"Name":"' + echo.replace(b'"', b"") + b'"}}]}'
    assert read(200, body, 2) == (Rejected(515, "No."), Accepted())


# Positions


@pytest.mark.parametrize(
    "phrase",
    [
        "Skipped record number : 2",
        "Skipped record number: 2",
        "Skipped record number :2",
        "Skipped record number:2.",
        "skipped record number  :  2 ",
    ],
)
def test_a_position_is_read_with_or_without_its_spaces(phrase: str) -> None:
    body = answer("partial", 1, [{"code": 515, "error": EMAIL + phrase}])
    assert read(200, body, 2) == (Accepted(), Rejected(515, EMAIL))


def test_a_quoted_position_is_not_the_position() -> None:
    text = "Event Skipped record number : 1 is incorrect. Skipped record number : 3"
    expected = Rejected(512, "Event Skipped record number : 1 is incorrect.")
    assert read(200, answer("partial", 2, [{"code": 512, "error": text}]), 3) == (Accepted(), Accepted(), expected)


@pytest.mark.parametrize("position", [None, 0, 2, 99, 12345678901])
def test_a_single_record_needs_no_position(position: int | None) -> None:
    (result,) = read_all(answer("fail", 0, [entry(position)]), 1)
    assert isinstance(result, Rejected)
    assert result.code == 515


@pytest.mark.parametrize("position", [None, 0, 4, 99, 12345678901])
def test_an_unplaced_refusal_leaves_the_rest_unknown(position: int | None) -> None:
    body = answer("partial", 1, [entry(2), entry(position)])
    doubt = Unknown(RetryReason.COUNT_MISMATCH)
    assert read(200, body, 3) == (doubt, Rejected(515, EMAIL), doubt)


@pytest.mark.parametrize("bad", ["text", 5, None, [], {}, {"error": 5}])
def test_an_unreadable_entry_leaves_the_rest_unknown(bad: object) -> None:
    doubt = Unknown(RetryReason.COUNT_MISMATCH)
    assert read(200, answer("partial", 1, [entry(2), bad]), 3) == (doubt, Rejected(515, EMAIL), doubt)
    # Even when the numbers add up: one record more was refused than they say.
    assert read(200, answer("partial", 2, [entry(2), bad]), 3) == (doubt, Rejected(515, EMAIL), doubt)


def test_two_errors_of_one_record_are_one_refusal() -> None:
    body = answer("partial", 1, [entry(2, code=515), entry(2, code=516)])
    assert read(200, body, 2) == (Accepted(), Rejected(515, EMAIL))


@pytest.mark.parametrize(
    ("outcome", "processed"),
    [("partial", 0), ("partial", 1), ("partial", 3), ("partial", -1), ("fail", 2), ("fail", 1)],
)
def test_a_wrong_count_leaves_the_rest_unknown(outcome: str, processed: int) -> None:
    doubt = Unknown(RetryReason.COUNT_MISMATCH)
    assert read(200, answer(outcome, processed, [entry(2)]), 3) == (doubt, Rejected(515, EMAIL), doubt)


def test_a_fail_took_nothing_of_what_it_does_not_name() -> None:
    retry = NotTaken(RetryReason.NOT_PROCESSED)
    assert read(200, answer("fail", 0, [entry(2), entry(None)]), 3) == (retry, Rejected(515, EMAIL), retry)


# Messages


def test_a_message_is_clipped_to_one_printable_line() -> None:
    text = "No\n\t way\x00\ud800 " + "x" * 5000 + " Skipped record number : 1"
    (result,) = read_all(answer("fail", 0, [{"code": 515, "error": text}]), 1)
    assert isinstance(result, Rejected)
    assert result.message == ("No way " + "x" * 300)[:300]


@pytest.mark.parametrize("code", ["five", "", 515.0, True, None, [515]])
def test_a_code_that_is_no_integer_is_none(code: object) -> None:
    assert read(200, answer("fail", 0, [entry(1, code=code)]), 1) == (Rejected(None, EMAIL),)


# Properties


def read_all(body: bytes, count: int) -> tuple[RecordResult, ...]:
    results = read(200, body, count)
    assert not isinstance(results, Malformed)
    return results


@given(status=st.integers(-1, 700), body=st.binary(max_size=200), count=st.integers(0, 1000))
@example(status=200, body=b"[" * 100_000, count=3)
def test_no_bytes_and_no_status_ever_raise(status: int, body: bytes, count: int) -> None:
    results = read(status, body, count)
    if isinstance(results, Malformed):
        assert status in (400, 403, 413)
    else:
        assert len(results) == count


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ENTRY = JSON | st.fixed_dictionaries(
    {},
    optional={
        "code": JSON | st.sampled_from([513, 555]),
        "error": JSON | st.integers(-1, 12).map(lambda position: f"Skipped record number : {position}"),
        "record": JSON,
    },
)


@given(
    outcome=JSON | st.sampled_from(["success", "partial", "fail"]),
    processed=JSON | st.integers(0, 10),
    unprocessed=JSON | st.lists(ENTRY, max_size=6),
    count=st.integers(1, 10),
)
def test_any_json_makes_one_result_a_record(outcome: Any, processed: Any, unprocessed: Any, count: int) -> None:
    results = read_all(answer(outcome, processed, unprocessed), count)
    assert len(results) == count
    accepted = results.count(Accepted())
    assert accepted in (0, processed)


@given(
    outcomes=st.lists(
        st.sampled_from(
            [Accepted(), Rejected(513, "Restricted."), Rejected(525, "Bad ts."), NotTaken(RetryReason.RECORD_ERROR)]
        ),
        min_size=1,
        max_size=60,
    ),
    order=st.randoms(use_true_random=False),
    space=st.sampled_from(["", " "]),
)
def test_a_mix_of_results_is_read_back_exactly(outcomes: list[RecordResult], order: Any, space: str) -> None:
    unprocessed = [
        {
            "status": "fail",
            "code": outcome.code if isinstance(outcome, Rejected) else 555,
            "error": (outcome.message if isinstance(outcome, Rejected) else "Error.")
            + f" Skipped record number{space}: {position}",
            "record": {"ts": str(position)},
        }
        for position, outcome in enumerate(outcomes, 1)
        if not isinstance(outcome, Accepted)
    ]
    order.shuffle(unprocessed)
    processed = outcomes.count(Accepted())
    outcome = "success" if not unprocessed else "partial" if processed else "fail"
    assert read(200, answer(outcome, processed, unprocessed), len(outcomes)) == tuple(outcomes)
