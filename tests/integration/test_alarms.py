"""Every alarm rings when what it is for happens, by its own expression, on the metrics that are really emitted.

Metrics of ours are read from what the functions print; those that AWS publishes are made from what a queue holds, how
an invocation ended and what the gateway answered.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pytest

from local_stack.template import Template
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.response import NotTaken, Rejected, SetupFault
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES, attributes, encode_body
from purchasely_clevertap.ingest import IDENTITIES_ROUTE
from purchasely_clevertap.outcome import RetryReason
from tests.integration.alarm import Alarm, Series
from tests.integration.clevertap import ScriptedClevertap, answer
from tests.integration.cloud import DELIVERIES, STAGE, Cloud
from tests.integration.function import DEAD_LETTERS_ARN, Function, queue_event, received
from tests.integration.log_filter import access_line, filtered
from tests.integration.metric_format import Point
from tests.integration.webhook import SECRET, Payload, encoded, event, gateway_event, signed

TEMPLATE = Template.load(Stage=STAGE)
ALARMS: Final[Mapping[str, Alarm]] = {
    properties["AlarmName"].removeprefix(f"purchasely-clevertap-{STAGE}-"): Alarm.of(properties)
    for properties in TEMPLATE.of_type("AWS::CloudWatch::Alarm").values()
}
ACCESS_FORMAT: Final[str] = TEMPLATE.properties("WebhookStage")["AccessLogSettings"]["Format"]
FILTERS: Final = [
    each for each in TEMPLATE.of_type("AWS::Logs::MetricFilter").values() if each["LogGroupName"] == "AccessLog"
]
# When everything happens, whatever the clock says: in the midst of a minute, an hour and a day.
NOW: Final = 1_770_033_630.0
MINUTE: Final = 60.0
DAY: Final = 86_400.0


class World:
    """Both functions, their AWS, and every metric of it. `points` are those so far."""

    def __init__(
        self,
        cloud: Cloud,
        clevertap: ScriptedClevertap,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.cloud = cloud
        self.clevertap = clevertap
        self.points: list[Point] = []
        self._queues = {
            "EventsQueue": cloud.events_url,
            "ParkedQueue": cloud.parked_url,
            "DeadLetterQueue": cloud.dead_letters_url,
        }
        monkeypatch.setattr("purchasely_clevertap.clevertap.client.Client", lambda: clevertap)
        self.archive_stream = ""
        self._start = {
            "IngestFunction": lambda: Function("ingest", cloud, monkeypatch, capsys),
            "ForwarderFunction": lambda: Function(
                "forwarder", cloud, monkeypatch, capsys, RETRY_BASE_SECONDS="30", ARCHIVE_STREAM=self.archive_stream
            ),
        }
        self._functions: dict[str, Function] = {}
        self.asks_for_events()

    def asks_for_events(self) -> None:
        """Lambda asks the queue, and SQS publishes that, whether there are any events or not."""
        self._publish(
            "AWS/SQS",
            {"QueueName": "EventsQueue.QueueName"},
            {"NumberOfEmptyReceives": 15, "NumberOfMessagesReceived": 0},
        )

    def rings(self, name: str) -> bool:
        return ALARMS[name].rings(self.points, NOW)

    def ringing(self) -> set[str]:
        return {name for name in ALARMS if self.rings(name)}

    def emits(self, series: Series) -> bool:
        return any(map(series.has, self.points))

    def ago(self, seconds: float) -> None:
        """What was measured so far was measured so long ago."""
        self.points = [point._replace(time=point.time - seconds) for point in self.points]

    def webhook(self, payload: Payload | bytes, *, app: str = "default", secret: str = SECRET) -> int:
        """One comes to the gateway; its answer."""
        body = encoded(payload)
        return self.request(gateway_event(body, signed(body, secret=secret, timestamp=str(int(time.time()))), app=app))

    def association(self, *, secret: str = SECRET) -> int:
        """The app's backend says which CleverTap id a person has; its answer."""
        body = json.dumps({"clevertap_id": "device-1", "user_id": "user-1"}).encode()
        request = gateway_event(body, signed(body, secret=secret, timestamp=str(int(time.time()))))
        return self.request(request | {"routeKey": IDENTITIES_ROUTE})

    def request(self, request: Mapping[str, Any]) -> int:
        """One that the gateway hands to ingest; its answer."""
        answered = self._invoke("IngestFunction", request)
        status: int = 500 if answered is None else answered["statusCode"]
        self.gateway(status)
        return status

    def gateway(self, status: int) -> None:
        """What the gateway publishes and logs of an answer."""
        api = {"ApiId": "WebhookApi"}
        for metric, value in (("Count", 1), ("4xx", 400 <= status < 500), ("5xx", status >= 500)):
            self._publish("AWS/ApiGateway", api, {metric: int(value)})
        self.points += filtered(FILTERS, access_line(ACCESS_FORMAT, status=str(status)), NOW)

    def forward(self, *payloads: Payload | bytes, age: float = 0, receives: int = 1) -> dict[str, Any] | None:
        """Forwards what stands on the events queue, and these events, which came `age` seconds ago."""
        for payload in payloads:
            self.put(payload, age=age)
        batch = queue_event(received(self.cloud, self.cloud.events_url))
        for record in batch["Records"]:
            record["attributes"]["ApproximateReceiveCount"] = str(receives)
        return self._invoke("ForwarderFunction", batch)

    def put(self, payload: Payload | bytes, *, age: float = 0, url: str | None = None) -> None:
        """Puts an event on the events queue, or on that of `url`."""
        self.cloud.sqs.send_message(
            QueueUrl=url or self.cloud.events_url,
            MessageBody=encode_body(encoded(payload)),
            MessageAttributes=attributes("default", int((time.time() - age) * 1000)),
        )

    def forward_dead_letters(self) -> None:
        """Lambda hands over what stands on the dead-letter queue."""
        batch = queue_event(received(self.cloud, self.cloud.dead_letters_url), arn=DEAD_LETTERS_ARN)
        self._invoke("ForwarderFunction", batch)

    def fail(self, function: str) -> None:
        """An invocation that the function does not survive."""
        assert self._invoke(function, {"Records": [{}], "isBase64Encoded": 1, "body": 1}) is None

    def invocation(
        self, function: str, *, failed: bool = False, throttled: bool = False, milliseconds: float = 5
    ) -> None:
        """What Lambda publishes of an invocation; a throttled one is none."""
        measured: dict[str, float] = {"Throttles": int(throttled)}
        if not throttled:
            measured |= {"Invocations": 1, "Errors": int(failed), "Duration": milliseconds}
        self._publish("AWS/Lambda", {"FunctionName": function}, measured)

    def stream(self, *, seconds: float) -> None:
        """What Firehose publishes when the oldest line that it has yet to write is so old."""
        age = {"DeliveryToS3.DataFreshness": seconds}
        self._publish("AWS/Firehose", {"DeliveryStreamName": "ArchiveStream"}, age)

    def hide(self, messages: int) -> None:
        """What SQS publishes when so many messages of the events queue are hidden."""
        hidden = {"ApproximateNumberOfMessagesNotVisible": messages}
        self._publish("AWS/SQS", {"QueueName": "EventsQueue.QueueName"}, hidden)

    def look_at_queues(self, *, in_seconds: float = 0) -> None:
        """What SQS publishes each minute of each queue, by then if nothing more happens."""
        for name, url in self._queues.items():
            found = self.cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            visible = self.cloud.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, AttributeNames=["SentTimestamp"]
            ).get("Messages", [])
            sent = [int(message["Attributes"]["SentTimestamp"]) / 1000 for message in visible]
            self._publish(
                "AWS/SQS",
                {"QueueName": f"{name}.QueueName"},
                {
                    "ApproximateNumberOfMessagesVisible": int(found["ApproximateNumberOfMessages"]),
                    "ApproximateNumberOfMessagesNotVisible": int(found["ApproximateNumberOfMessagesNotVisible"]),
                    "ApproximateAgeOfOldestMessage": time.time() + in_seconds - min(sent) if sent else 0,
                },
            )

    def _invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Its answer; None when it fails."""
        if function not in self._functions:
            self._functions[function] = self._start[function]()
        try:
            answered: dict[str, Any] | None = self._functions[function](event)
        except Exception:  # noqa: BLE001 - as Lambda does
            answered = None
        for point in self._functions[function].told()[1].points:
            assert abs(point.time - time.time()) < MINUTE
            self.points.append(point._replace(time=NOW))
        self.invocation(function, failed=answered is None)
        return answered

    def _publish(self, namespace: str, dimensions: Mapping[str, str], measured: Mapping[str, float]) -> None:
        filed = frozenset(dimensions.items())
        self.points += [Point(namespace, metric, filed, NOW, value) for metric, value in measured.items()]


@pytest.fixture
def world(
    cloud: Cloud, clevertap: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> World:
    assert isinstance(clevertap, ScriptedClevertap)
    return World(cloud, clevertap, monkeypatch, capsys)


def recent(name: str = "SUBSCRIPTION_RENEWED", **more: Any) -> Payload:
    return event(name, at=int(time.time() * 1000) - 5000, **more)


def healthy(world: World) -> None:
    """Webhooks come, are accepted and delivered, and no queue is left with anything."""
    for number in range(3):
        assert world.webhook(recent(user=f"user-{number}")) == 200
    assert world.forward() == {"batchItemFailures": []}
    world.look_at_queues()


def parked(world: World) -> None:
    world.forward(b"unreadable")
    world.look_at_queues()


def parked_and_looked_at(world: World) -> None:
    parked(world)
    world.ago(2 * MINUTE)
    world.cloud.sqs.receive_message(QueueUrl=world.cloud.parked_url, VisibilityTimeout=900)
    world.look_at_queues()


def dead_letter_parked(world: World) -> None:
    world.put(recent(), url=world.cloud.dead_letters_url)
    world.forward_dead_letters()
    world.look_at_queues()


def dead_letter_waiting(world: World) -> None:
    dead_letter_parked(world)
    world.ago(2 * MINUTE)
    world.put(recent(), url=world.cloud.dead_letters_url)
    world.look_at_queues()


def nobody_forwards(world: World) -> None:
    world.webhook(recent())
    world.look_at_queues(in_seconds=91 * MINUTE)


def clevertap_throttles_for_long(world: World) -> None:
    world.clevertap.otherwise = answer(NotTaken(RetryReason.THROTTLED, 429))
    world.forward(recent(), age=40 * MINUTE, receives=8)


def clevertap_refuses_the_credentials(world: World) -> None:
    world.clevertap.otherwise = answer(SetupFault(401, "no"))
    world.forward(recent())


def there_are_no_credentials(world: World) -> None:
    world.cloud.put_secret("clevertap", {"production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}})
    world.forward(recent())


def settings_that_are_not_valid(world: World) -> None:
    world.cloud.put_settings({})
    world.cloud.put_settings({"region": "mars1"})
    world.forward(recent())


def dynamodb_fails(world: World) -> None:
    world.cloud.dynamodb.delete_table(TableName=DELIVERIES)
    world.forward(recent())
    world.ago(MINUTE)
    world.forward(recent())


def the_queue_was_purged(world: World) -> None:
    for number in range(30):
        world.webhook(recent(user=f"user-{number}"))
        if number == 9:
            world.forward()
    world.cloud.sqs.purge_queue(QueueUrl=world.cloud.events_url)
    world.look_at_queues()


def placeholders(world: World) -> None:
    world.cloud.put_secret("purchasely", {"shared_secrets": ["REPLACE_ME"]})
    assert world.webhook(recent()) == 404
    world.ago(2 * MINUTE)
    assert world.webhook(recent()) == 404


def nobody_asks_for_events(world: World) -> None:
    world.ago(15 * MINUTE)


def nearly_all_that_sqs_hides_is_hidden(world: World) -> None:
    world.hide(100_000)


def a_secret_of_another_form(world: World) -> None:
    world.cloud.put_secret("purchasely", {"shared_secrets": "a text"})
    assert world.webhook(recent()) == 503
    world.ago(2 * MINUTE)
    assert world.webhook(recent()) == 503


def the_queue_is_gone(world: World) -> None:
    world.cloud.sqs.delete_queue(QueueUrl=world.cloud.events_url)
    assert world.webhook(recent()) == 503
    world.ago(2 * MINUTE)
    assert world.webhook(recent()) == 503


def ingest_is_out_of_reach(world: World) -> None:
    world.webhook(recent())
    world.ago(16 * MINUTE)
    for _ in range(2):
        world.gateway(500)


def an_app_without_a_secret(world: World) -> None:
    assert world.webhook(recent(), app="unknown") == 404
    world.ago(2 * MINUTE)
    assert world.webhook(recent(), app="unknown") == 404


def one_webhook_of_a_quiet_app_is_refused(world: World) -> None:
    assert world.webhook(recent()) == 200
    world.ago(20 * MINUTE)
    assert world.webhook(recent(), secret="rotated") == 401


def a_secret_is_rotated_in_the_console_alone(world: World) -> None:
    for _ in range(20):
        assert world.webhook(recent()) == 200
        world.ago(MINUTE)
    for _ in range(15):
        world.ago(MINUTE)
        assert world.webhook(recent(), secret="rotated") == 401


def one_app_of_two_is_refused(world: World) -> None:
    world.cloud.put_secret("purchasely", {"shared_secrets": ["other"]}, app="other")
    for _ in range(9):
        assert world.webhook(recent()) == 200
    assert world.webhook(recent(), app="other") == 401


def associations_are_refused(world: World) -> None:
    assert world.webhook(recent()) == 200
    assert world.association(secret="wrong") == 401


def a_second_app_sends_to_the_url(world: World) -> None:
    for secret in (SECRET, "of the second app", "of the second app"):
        world.ago(4 * MINUTE)
        world.webhook(recent(), secret=secret)


def a_webhook_is_too_large(world: World) -> None:
    assert world.webhook(b"x" * (MAX_BODY_BYTES + 1)) == 413


def the_gateway_throttles(world: World) -> None:
    for _ in range(2):
        world.ago(5 * MINUTE)
        assert world.webhook(recent()) == 200
        world.gateway(429)


def a_day_without_webhooks(world: World) -> None:
    healthy(world)
    world.ago(DAY + 3600)


def a_name_nobody_has_heard_of(world: World) -> None:
    world.forward(recent("LOYALTY_TIER_REACHED"))


def failing(function: str) -> Callable[[World], None]:
    return lambda world: world.fail(function)


def throttled(function: str) -> Callable[[World], None]:
    def throttle(world: World) -> None:
        for _ in range(3):
            world.invocation(function, throttled=True)
            world.ago(MINUTE)
        world.invocation(function, throttled=True)

    return throttle


def nearly_too_slow(function: str) -> Callable[[World], None]:
    timeout = TEMPLATE.properties(function)["Timeout"]
    return lambda world: world.invocation(function, milliseconds=timeout * 950)


def the_sweep_fails_each_time(world: World) -> None:
    for _ in range(3):
        world.invocation("SweepFunction", failed=True)


def there_is_no_stream_any_more(world: World) -> None:
    world.archive_stream = "gone"
    world.stream(seconds=60)
    for _ in range(2):
        world.ago(6 * MINUTE)
        world.forward(event())


def firehose_writes_nothing(world: World) -> None:
    world.archive_stream = "gone"
    world.forward(event())  # for the other metric of the alarm, before anybody would care
    world.ago(DAY)
    for seconds in (3700, 4000):
        world.ago(6 * MINUTE)
        world.stream(seconds=seconds)


type Scenario = Callable[[World], None]

RINGS: Final[Iterable[tuple[str, Scenario]]] = (
    ("parked", parked),
    ("parked", parked_and_looked_at),
    ("dead-letters", dead_letter_parked),
    ("dead-letters", dead_letter_waiting),
    ("oldest", nobody_forwards),
    ("paused", nobody_asks_for_events),
    ("retrying", clevertap_throttles_for_long),
    ("hidden", nearly_all_that_sqs_hides_is_hidden),
    ("setup", clevertap_refuses_the_credentials),
    ("setup", there_are_no_credentials),
    ("settings", settings_that_are_not_valid),
    ("storage", dynamodb_fails),
    ("archive", there_is_no_stream_any_more),
    ("archive", firehose_writes_nothing),
    ("balance", the_queue_was_purged),
    ("webhook-5xx", a_secret_of_another_form),
    ("webhook-5xx", the_queue_is_gone),
    ("webhook-unanswered", ingest_is_out_of_reach),
    ("webhook-4xx", one_webhook_of_a_quiet_app_is_refused),
    ("webhook-4xx", a_secret_is_rotated_in_the_console_alone),
    ("webhook-4xx", one_app_of_two_is_refused),
    ("webhook-4xx", associations_are_refused),
    ("webhook-too-large", a_webhook_is_too_large),
    ("webhook-throttled", the_gateway_throttles),
    ("signatures", a_second_app_sends_to_the_url),
    ("silence", a_day_without_webhooks),
    ("new-event", a_name_nobody_has_heard_of),
    ("ingest-errors", failing("IngestFunction")),
    ("ingest-throttles", throttled("IngestFunction")),
    ("ingest-duration", nearly_too_slow("IngestFunction")),
    ("forwarder-errors", failing("ForwarderFunction")),
    ("forwarder-throttles", throttled("ForwarderFunction")),
    ("forwarder-duration", nearly_too_slow("ForwarderFunction")),
    ("sweep-errors", the_sweep_fails_each_time),
)


def test_every_alarm_is_tried() -> None:
    assert {name for name, _ in RINGS} == set(ALARMS)


@pytest.mark.parametrize(
    ("name", "happens"), RINGS, ids=[f"{name}-{getattr(each, '__name__', '')}" for name, each in RINGS]
)
def test_an_alarm_rings_for_its_cause(world: World, name: str, happens: Scenario) -> None:
    happens(world)

    assert world.rings(name)
    assert [series for series in ALARMS[name].watched(world.points) if not world.emits(series)] == []


def test_nothing_rings_while_all_is_well(world: World) -> None:
    healthy(world)

    assert world.ringing() == set()


def test_only_silence_rings_before_the_first_webhook(world: World) -> None:
    assert world.ringing() == {"silence"}


@pytest.mark.parametrize(
    ("happens", "name"),
    [
        (clevertap_throttles_for_long, "setup"),
        (clevertap_throttles_for_long, "storage"),
        (dynamodb_fails, "setup"),
        (dynamodb_fails, "parked"),
        (clevertap_refuses_the_credentials, "parked"),
        (settings_that_are_not_valid, "setup"),
        (nobody_forwards, "balance"),
        (one_webhook_of_a_quiet_app_is_refused, "webhook-5xx"),
        (a_second_app_sends_to_the_url, "webhook-4xx"),
        (a_webhook_is_too_large, "webhook-4xx"),
        (the_gateway_throttles, "webhook-4xx"),
        (the_queue_is_gone, "webhook-4xx"),
        (placeholders, "webhook-5xx"),
        (placeholders, "ingest-errors"),
        (a_name_nobody_has_heard_of, "parked"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_alarm_does_not_ring_for_what_is_anothers(world: World, happens: Scenario, name: str) -> None:
    happens(world)

    assert not world.rings(name)


def junk(world: World) -> None:
    """What scanners send: no signature, one of another form, one for a made-up app, unknown paths, huge bodies."""
    body = encoded(recent())
    well_formed = signed(body, secret="guess", timestamp=str(int(time.time())))
    for headers in ({}, well_formed | {"x-purchasely-request-signature": "z" * 64}):
        assert world.request(gateway_event(body, headers)) == 401
    assert world.request(gateway_event(body, well_formed, app="made-up")) == 404
    assert world.request(gateway_event(body, well_formed, app="No App")) == 404
    world.gateway(404)
    world.gateway(413)


def test_junk_alone_rings_nothing(world: World) -> None:
    for _ in range(10):
        junk(world)
        world.ago(MINUTE)

    assert world.ringing() == {"silence"}  # no webhook ever came


def test_junk_beside_webhooks_rings_nothing(world: World) -> None:
    for _ in range(20):
        world.ago(MINUTE)
        world.asks_for_events()
        junk(world)
        world.gateway(500)  # by a body that Lambda does not take
        world.webhook(recent(), secret="guess")
        for _ in range(3):
            assert world.webhook(recent()) == 200
        world.forward()

    assert world.ringing() == set()


def test_one_right_signature_quiets_a_thousand_wrong(world: World) -> None:
    world.webhook(recent())
    (value,) = (point for point in world.points if point.metric == "Unverified" and len(point.dimensions) > 2)
    world.ago(14 * MINUTE)
    world.points += [value._replace(value=1.0, time=NOW)] * 1000
    assert not world.rings("webhook-4xx")

    world.ago(2 * MINUTE)
    assert world.rings("webhook-4xx")


def test_a_flood_without_webhooks_harms_nobody(world: World) -> None:
    world.webhook(recent())
    for _ in range(6):
        world.ago(5 * MINUTE)
        world.gateway(429)

    assert not world.ringing() & {"webhook-throttled", "webhook-4xx"}


def test_a_burst_beyond_the_throttle_is_forgiven(world: World) -> None:
    world.webhook(recent())
    for _ in range(50):
        world.gateway(429)

    assert not world.rings("webhook-throttled")


@pytest.mark.parametrize("happens", [placeholders, an_app_without_a_secret], ids=lambda each: each.__name__)
def test_an_app_that_is_not_set_up_rings_nothing(world: World, happens: Scenario) -> None:
    """Anybody can ask for it."""
    happens(world)

    assert world.ringing() == {"silence"}


def test_a_single_answer_other_than_200_is_forgiven(world: World) -> None:
    world.gateway(503)
    world.gateway(404)

    assert not world.ringing() & {"webhook-5xx", "webhook-4xx", "webhook-unanswered"}


def test_the_balance_counts_in_and_out(world: World) -> None:
    for number in range(30):
        world.webhook(recent(user=f"user-{number}"))
    world.look_at_queues()
    assert not world.rings("balance")  # they wait

    world.points = [point for point in world.points if point.namespace != "AWS/SQS"]
    assert world.rings("balance")  # on no queue

    while world.forward() and len(received(world.cloud, world.cloud.events_url)):
        pass
    assert not world.rings("balance")  # every one has an outcome


def test_a_redriven_event_counts_once_in_the_balance(world: World) -> None:
    world.clevertap.script.append(answer(Rejected(512, "bad")))
    world.webhook(recent())
    world.forward()
    settled = [point for point in world.points if point.metric == "Settled"]
    (parked_message,) = received(world.cloud, world.cloud.parked_url)
    world.cloud.sqs.send_message(
        QueueUrl=world.cloud.events_url,
        MessageBody=parked_message["Body"],
        MessageAttributes={
            name: {"DataType": value["DataType"], "StringValue": value["StringValue"]}
            for name, value in parked_message["MessageAttributes"].items()
        },
    )
    world.forward()

    assert sum(point.value for point in world.points if point.metric == "Delivered") == 1
    assert [point for point in world.points if point.metric == "Settled"] == settled
    assert sum(point.value for point in settled) == 1


def test_a_name_with_settings_of_its_own_is_no_news(world: World) -> None:
    world.cloud.put_settings({"events": {"LOYALTY_TIER_REACHED": {"send": True}}})
    a_name_nobody_has_heard_of(world)

    assert not world.rings("new-event")


def test_a_usual_backlog_is_not_too_much_to_hide(world: World) -> None:
    world.hide(99_999)

    assert not world.rings("hidden")


def test_what_is_retried_soon_does_not_ring(world: World) -> None:
    world.clevertap.otherwise = answer(NotTaken(RetryReason.THROTTLED, 429))
    world.forward(recent(), age=20 * MINUTE, receives=6)

    assert not world.rings("retrying")
    assert any(point.metric == "WaitingAge" for point in world.points)
