"""`docs/openapi.yaml` is an OpenAPI description, and says what is so."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
import schemathesis
import yaml
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from local_stack.template import Template
from purchasely_clevertap.aws.secrets import PLACEHOLDER, Absent, Secrets, Unusable
from purchasely_clevertap.delivery.association import parse_association
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES, MessageKind
from purchasely_clevertap.ingest import RefusalReason, Refused, Request, WebhookReceiver
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import KEYS, PURCHASE_ACTIVATED, PURCHASE_DEACTIVATED, Event, money_key, read
from purchasely_clevertap.purchasely.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, SignatureProblem, sign
from purchasely_sender.samples import SAMPLE_SECRET, SAMPLE_TIMESTAMP
from tests.unit.samples import body, payload

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "openapi.yaml"
PAGE: Mapping[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
TEMPLATE = Template.load()

WEBHOOK, IDENTITY = (PAGE["paths"][path]["post"] for path in ("/webhooks/{app}", "/identities/{app}"))


def responses(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Each response of an operation, wherever on the page it stands."""
    shared = PAGE["components"]["responses"]
    return {
        status: shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for status, each in operation["responses"].items()
    }


PARAMETERS: Mapping[str, Any] = PAGE["components"]["parameters"]
SCHEMAS: Mapping[str, Any] = PAGE["components"]["schemas"]
EXAMPLES: Mapping[str, Any] = WEBHOOK["requestBody"]["content"]["application/json"]["examples"]
EVENT, ASSOCIATION = (
    jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": PAGE["components"]})
    for name in ("Event", "Association")
)

NOW = 1_770_000_000.0
TOLERANCE = 60.0


def test_it_is_openapi() -> None:
    schemathesis.openapi.from_path(FILE).validate()


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_of_its_schemas_is_a_json_schema(name: str) -> None:
    jsonschema_rs.meta.validate(SCHEMAS[name])


# The way in.


def test_the_path_is_that_of_the_gateway() -> None:
    described = [f"{method.upper()} {path}" for path, methods in PAGE["paths"].items() for method in methods]
    assert described == [TEMPLATE.properties(route)["RouteKey"] for route in ("WebhookRoute", "IdentityRoute")]


def test_the_headers_are_those_that_are_verified() -> None:
    headers = [each["name"].lower() for each in PARAMETERS.values() if each["in"] == "header"]
    assert headers == [SIGNATURE_HEADER, TIMESTAMP_HEADER]
    for operation in (WEBHOOK, IDENTITY):
        assert [each["$ref"].rpartition("/")[2] for each in operation["parameters"]] == list(PARAMETERS)


def test_the_example_headers_sign_the_first_example() -> None:
    example = json.dumps(next(iter(EXAMPLES.values()))["value"], ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = PARAMETERS["Timestamp"]["example"]
    assert timestamp == str(SAMPLE_TIMESTAMP)
    assert PARAMETERS["Signature"]["example"] == sign(SAMPLE_SECRET, timestamp, example)


@pytest.mark.parametrize(
    "app", ["default", "a", "a" * 40, "-", "9", "", "a" * 41, "A", "a_b", "a/b", "é", "a\n", "a b"]
)
def test_the_apps_are_those_that_have_a_name(app: str) -> None:
    is_name = Request(app, {}, b"").named_app is not None
    assert jsonschema_rs.is_valid(PARAMETERS["App"]["schema"], app) is is_name


# The answers.


class Kept:
    """Holds one secret, for every app."""

    def __init__(self, secret: Mapping[str, Any] | Absent | Unusable) -> None:
        self._secret = secret

    def get(self, app: str, *, reread: bool = False) -> Mapping[str, Any] | Absent | Unusable:  # noqa: ARG002
        return self._secret


class Queue:
    """Takes nothing."""

    def send_message(self, **_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs.invalid")


def refused(
    secret: Mapping[str, Any] | Absent | Unusable | None = None,
    *,
    at: str = str(int(NOW)),
    sent: bytes = b"{}",
    without: Sequence[str] = (),
    signed_with: str = "a-secret",
    kind: MessageKind = MessageKind.WEBHOOK,
) -> Refused:
    """What ingest refuses of a request that is genuine but for what is given."""
    secrets = Kept({"shared_secrets": ["a-secret"]} if secret is None else secret)
    notes = cast("Any", None)  # nothing that is refused is noted
    ingest = WebhookReceiver(
        cast("Secrets", secrets), cast("Any", Queue()), notes, queue_url="a queue", tolerance=TOLERANCE
    )
    headers = {SIGNATURE_HEADER: sign(signed_with, at, sent), TIMESTAMP_HEADER: at}
    kept = {name: value for name, value in headers.items() if name not in without}
    request = Request("default", kept, sent, kind)
    answer = ingest.receive(request, now=NOW)
    assert isinstance(answer, Refused)
    return answer


ASSOCIATED = b'{"clevertap_id":"__h1","user_id":"u"}'
GATEWAY = {"404", "413", "429", "500", "503"}  # developer guide: HTTP APIs, routes, throttling, troubleshooting


def every_refusal(kind: MessageKind) -> list[Refused]:
    """What ingest may refuse of a webhook, or of an association."""
    is_webhook = kind is MessageKind.WEBHOOK
    good, tolerance = (b"{}", TOLERANCE) if is_webhook else (ASSOCIATED, 300)
    refusals = [
        refused(without=[SIGNATURE_HEADER], kind=kind),
        refused(without=[TIMESTAMP_HEADER], kind=kind),
        refused(at="yesterday", kind=kind),
        refused(at=str(int(NOW - tolerance - 1)), sent=good, kind=kind),
        refused(signed_with="another", kind=kind),
        refused(Absent(), kind=kind),
        refused(sent=good + b" " * MAX_BODY_BYTES, kind=kind),
        refused(Unusable("why"), kind=kind),
        refused({"shared_secrets": [PLACEHOLDER]}, kind=kind),
        refused(sent=good, kind=kind),
    ]
    return refusals if is_webhook else [*refusals, refused(sent=b"{}", kind=kind)]


OPERATIONS = pytest.mark.parametrize(
    ("operation", "kind"),
    [(WEBHOOK, MessageKind.WEBHOOK), (IDENTITY, MessageKind.IDENTITY)],
    ids=["webhook", "identity"],
)


@OPERATIONS
def test_every_reason_stands_under_its_status(operation: Mapping[str, Any], kind: MessageKind) -> None:
    listed = [
        (reason, int(status)) for status, each in responses(operation).items() for reason in each.get("x-reasons", [])
    ]
    described = dict(listed)
    assert {answer.reason: answer.status for answer in every_refusal(kind)} == described
    assert len(listed) == len(described)
    everything = {*RefusalReason, *SignatureProblem}
    assert set(described) == (everything if kind is MessageKind.IDENTITY else everything - {"not_an_association"})


@OPERATIONS
def test_every_status_is_the_functions_or_the_gateways(operation: Mapping[str, Any], kind: MessageKind) -> None:
    function = {"200", *(str(answer.status) for answer in every_refusal(kind))}
    described = responses(operation)
    assert set(described) == function | GATEWAY
    assert {status for status, each in described.items() if "content" in each} == GATEWAY


def test_the_gateways_messages_are_of_their_schema() -> None:
    for response in responses(WEBHOOK).values():
        for content in response.get("content", {}).values():
            assert content["schema"] == {"$ref": "#/components/schemas/GatewayMessage"}
            assert jsonschema_rs.is_valid(SCHEMAS["GatewayMessage"], content["example"])


# The association.


@pytest.mark.parametrize("example", IDENTITY["requestBody"]["content"]["application/json"]["examples"].values())
def test_an_example_of_an_association_is_one(example: Mapping[str, Any]) -> None:
    ASSOCIATION.validate(example["value"])
    assert parse_association(json.dumps(example["value"]).encode()) is not None


@given(
    st.dictionaries(
        st.sampled_from(["clevertap_id", "user_id", "anonymous_user_id", "event_name"]),
        st.none() | st.text(max_size=3) | st.sampled_from(["__h1", "-h2", "_", "a" * 64, "a" * 65, "a" * 513, " "]),
    )
)
def test_an_association_is_what_the_page_says_it_is(given: dict[str, str | None]) -> None:
    assert ASSOCIATION.is_valid(given) is (parse_association(json.dumps(given).encode()) is not None)


# The event.


def test_its_keys_are_those_that_the_bridge_knows() -> None:
    assert set(SCHEMAS["Event"]["properties"]) == KEYS
    assert SCHEMAS["Event"]["additionalProperties"] is True


@pytest.mark.parametrize(
    "key",
    [
        *(f"{kind}_in_usd" for kind in ("amount", "plan_price", "cumulated_revenues")),
        *(
            "amount_in_us",
            "amount_in_usdt",
            "amount_in_USD",
            "amount_in_customer_currency",
            "price_in_usd",
            "x_amount_in_usd",
        ),
    ],
)
def test_money_keys_are_those_of_the_code(key: str) -> None:
    (pattern,) = SCHEMAS["Event"]["patternProperties"]
    assert bool(re.search(pattern, key)) is (money_key(key) is not None)


def test_its_names_are_those_of_the_catalogue() -> None:
    """But for the two that ACTIVATE and DEACTIVATE of one-time purchases have here."""
    sent = [name for name in CATALOGUE if name not in (PURCHASE_ACTIVATED, PURCHASE_DEACTIVATED)]
    assert SCHEMAS["Event"]["properties"]["event_name"]["examples"] == sent


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_the_sample_of_its_name(name: str) -> None:
    assert name in CATALOGUE
    assert EXAMPLES[name]["value"] == json.loads((ROOT / f"events/purchasely/{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted((ROOT / "events/purchasely").glob("*.json")), ids=lambda file: file.stem)
def test_every_sample_event_is_of_its_schema(file: Path) -> None:
    EVENT.validate(json.loads(file.read_text(encoding="utf-8")))


def test_the_examples_of_a_key_are_of_its_schema() -> None:
    for key, schema in SCHEMAS["Event"]["properties"].items():
        for example in schema.get("examples", []):
            EVENT.validate(json.loads(body(payload(**{"store_country": None, key: example}))))


@pytest.mark.parametrize(
    ("change", "is_event"),
    [
        ({"event_name": "N"}, True),
        ({"event_name": "N" * 512}, True),
        ({"event_name": ""}, False),
        ({"event_name": "N" * 513}, False),
        ({"environment": "SANDBOX"}, True),
        ({"environment": "STAGING"}, False),
        ({"event_created_at_ms": 1_199_145_600_000}, True),
        ({"event_created_at_ms": 4_102_444_800_000}, True),
        ({"event_created_at_ms": 1_199_145_599_999}, False),
        ({"event_created_at_ms": 4_102_444_800_001}, False),
    ],
)
def test_bounds_are_those_of_the_code(change: Mapping[str, Any], is_event: bool) -> None:
    """An event on whose other date nothing rests."""
    given = payload(**change)
    assert EVENT.is_valid(given) is is_event
    assert (
        isinstance(read(body({key: each for key, each in given.items() if key != "event_created_at"})), Event)
        is is_event
    )
