"""What may come to the ingest function: requests as API Gateway hands them over, genuine, spoiled, or none at all."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.ingest import NOT_READY, NOW, SECRETS, TOLERANCE, signature

type Event = dict[str, Any]

SIGNATURE, TIMESTAMP = "x-purchasely-request-signature", "x-purchasely-timestamp"
SECOND = int(NOW)


def handed_over(body: bytes, headers: Mapping[str, str], *, app: str = "default", as_base64: bool = True) -> Event:
    """A request as an HTTP API hands it to a function (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": "POST /webhooks/{app}",
        "rawPath": f"/webhooks/{app}",
        "rawQueryString": "",
        "headers": dict(headers),
        "requestContext": {"http": {"method": "POST", "path": f"/webhooks/{app}"}, "requestId": "JKJaXmPLvHcESHA="},
        "pathParameters": {"app": app},
        "body": base64.b64encode(body).decode() if as_base64 else body.decode(),
        "isBase64Encoded": as_base64,
    }


def signed(body: bytes, secret: str = SECRETS["default"][0], second: int = SECOND) -> dict[str, str]:
    """The headers of a genuine request."""
    return {SIGNATURE: signature(secret, str(second), body), TIMESTAMP: str(second)}


def is_text(body: bytes) -> bool:
    """Whether the gateway can hand the body over as text."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


ODD_BODIES = [
    *(b"", b" {}\r\n", b"null", b"\xef\xbb\xbf{}", b"\x00", b"\xef\xbf\xbe", b'"\\ud800"', b"\xed\xa0\x80", b"\xff"),
    *(b"data:", b"data:;base64,", b"data:;base64,QQ==", b"data:;base64,Q", b"[" * 100_000, b"9" * 5000),
]
ODD_APPS = [
    *("", "..", "../default", "default/../a-2", "default/purchasely", "%2e%2e", "default%00", "default\x00", "\ud83d"),
    *("default\n", "\ndefault", "default ", "DEFAULT", "ｄefault", "*", "?", "-", "a" * 40, "a" * 41),
]
ODD_TIMESTAMPS = [
    *(f"{zeros}{SECOND}" for zeros in ("0", "00", "000")),
    *(form.format(SECOND) for form in (" {}", "{} ", "+{}", "-{}", "{}.0", "{}e0", "{0},{0}", "{}\n", "{}\x00")),
    *("1_770_000_000", "0x697F7480", "١٧٧٠٠٠٠٠٠٠", "²", "", "\ud83d"),
    *(str(SECOND + sign * TOLERANCE + second) for sign in (-1, 1) for second in (-1, 0, 1)),
]
ODD_SIGNATURES = ["{:.63}", "{}0", "{0},{0}", " {}", "{} ", "{}\n", "sha256={}", "é{}", "\ud83d", ""]


def odd_requests() -> Iterator[Event]:
    """Requests that are genuine but for one thing, or odd and genuine."""
    secret = SECRETS["default"][0]
    for body in ODD_BODIES:
        yield handed_over(body, signed(body))
        if is_text(body):
            yield handed_over(body, signed(body), as_base64=False)
    for text in ("\ud83d", "{not base64}", "QQ", "QQ=", "QQ==QQ==", "=", "e30 ", "e30\n", "e30=", "e31="):
        for is_base64 in (False, True):
            yield handed_over(b"{}", signed(b"{}")) | {"body": text, "isBase64Encoded": is_base64}
    for app in ODD_APPS:
        yield handed_over(b"{}", signed(b"{}"), app=app)
    for timestamp in ODD_TIMESTAMPS:
        yield handed_over(b"{}", {SIGNATURE: signature(secret, timestamp, b"{}"), TIMESTAMP: timestamp})
    for form in ODD_SIGNATURES:
        genuine = signed(b"{}")
        yield handed_over(b"{}", genuine | {SIGNATURE: form.format(genuine[SIGNATURE])})


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
LONG_TEXT = st.builds(str.__mul__, st.text(min_size=1, max_size=4), st.integers(1000, 20_000))
BODIES = st.one_of(
    st.sampled_from(ODD_BODIES),
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    st.dictionaries(st.text(max_size=9), st.none() | st.text(max_size=9), max_size=3).map(json.dumps).map(str.encode),
)
_BASE64 = st.text("QUJDRA=+/-_ \n", max_size=8) | BODIES.map(base64.b64encode).map(bytes.decode)
_APPS = st.one_of(
    st.sampled_from([*SECRETS, *NOT_READY, *ODD_APPS]),
    st.from_regex("[a-z0-9-]{1,40}", fullmatch=True),
    ANY_TEXT,
    LONG_TEXT,
)
_TIMESTAMPS = st.one_of(
    st.sampled_from(ODD_TIMESTAMPS),
    st.integers(SECOND - 2 * TOLERANCE, SECOND + 2 * TOLERANCE).map(str),
    st.integers().map(str),
    ANY_TEXT,
)
_SIGNATURES = st.sampled_from(ODD_SIGNATURES)
_NAMES = st.one_of(
    st.sampled_from([SIGNATURE, TIMESTAMP, SIGNATURE.upper(), TIMESTAMP.title(), f"{TIMESTAMP} ", "content-type"]),
    ANY_TEXT,
    LONG_TEXT,
)
_HEADERS = st.dictionaries(_NAMES, ANY_TEXT | LONG_TEXT, max_size=4)
_BEFORE = ["app", "secret", "timestamp", "signature", "capitals"]
_AFTER = ["text", "flag", "headers", "more headers", "null", "less"]


@st.composite
def requests(draw: st.DrawFn) -> Event:
    """A genuine request with up to three of its parts made otherwise, before it is signed or after."""
    otherwise = draw(st.sets(st.sampled_from(_BEFORE + _AFTER), max_size=3))
    app, body, timestamp = draw(st.sampled_from(sorted(SECRETS))), draw(BODIES), str(SECOND)
    secret = draw(st.sampled_from(SECRETS[app]))
    if "app" in otherwise:
        app = draw(_APPS)
    if "secret" in otherwise:
        secret = draw(st.sampled_from(["REPLACE_ME", "", "guessed", *SECRETS["default"]]))
    if "timestamp" in otherwise:
        timestamp = draw(_TIMESTAMPS)
    genuine = signature(secret, timestamp, body)
    given = draw(_SIGNATURES | st.just(genuine.upper())).format(genuine) if "signature" in otherwise else genuine
    headers = {SIGNATURE: given, TIMESTAMP: timestamp}
    if "capitals" in otherwise:
        headers = {name.upper(): value for name, value in headers.items()}
    event = handed_over(body, headers, app=app)
    if "text" in otherwise:
        event["body"] = draw(ANY_TEXT | _BASE64)
    if "flag" in otherwise:
        event["isBase64Encoded"] = False
    if "headers" in otherwise:
        event["headers"] = draw(_HEADERS)
    if "more headers" in otherwise:
        event["headers"] |= draw(_HEADERS)
    if "null" in otherwise:
        event[draw(st.sampled_from(["pathParameters", "headers", "body"]))] = None
    if "less" in otherwise:
        del event[draw(st.sampled_from(sorted(event)))]
    return event
