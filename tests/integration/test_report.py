"""What people see of the forwarder: a line for each event and each upload, and the metrics; nothing personal."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from purchasely_clevertap.aws.user_hash_key import KeyUnavailable
from purchasely_clevertap.clevertap.account import Environment
from purchasely_clevertap.delivery.message import MessageKind, Redrive
from purchasely_clevertap.delivery.result import (
    ArchiveReport,
    BatchResult,
    MessageResult,
    UploadReport,
    carried_result,
)
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.outcome import (
    BUSY,
    BackfillMode,
    Delivered,
    Duplicate,
    GiveUp,
    Outcome,
    Parked,
    ParkReason,
    Retried,
    RetryReason,
    Skipped,
    SkipReason,
)
from purchasely_clevertap.telemetry.logger import Logger
from purchasely_clevertap.telemetry.report import Report
from purchasely_clevertap.telemetry.user_hash import user_hash
from tests.integration.metric_format import Emitted, emitted
from tests.integration.webhook import NOW_MS, event, message

SECRETS = ("user-1", "monthly", "somebody@example.com", "2000000137582598", "receipt-of-")
KEY = "the-key-of-the-user-hashes"
LATER_MS = 4000
RETRY_POLICY = RetryPolicy(base=30, most=3600)


class Seen:
    """What is printed: the lines of the log and the metrics."""

    def __init__(
        self, capsys: pytest.CaptureFixture[str], least: str = "INFO", key: str | KeyUnavailable = KEY
    ) -> None:
        self._capsys = capsys
        self._logger = Logger(service="forwarder", stage="test", least=least)
        self._logger.start_request("request-1")
        capsys.readouterr()  # the cold start is none of the report's
        self.report = Report(
            self._logger, clock=lambda: NOW_MS + LATER_MS, retry_policy=RETRY_POLICY, user_key=lambda: key
        )

    def told(
        self, *handled: MessageResult, uploads: tuple[UploadReport, ...] = ()
    ) -> tuple[list[dict[str, Any]], Emitted]:
        """What is printed of a batch."""
        self.report.forwarded(BatchResult(handled, uploads))
        return self.printed()

    def printed(self) -> tuple[list[dict[str, Any]], Emitted]:
        output = self._capsys.readouterr().out
        for secret in SECRETS:
            assert secret not in output
        lines = [json.loads(line) for line in output.split("\n")[:-1]]
        return [line for line in lines if "_aws" not in line], emitted(line for line in lines if "_aws" in line)


type Watch = Callable[..., Seen]


@pytest.fixture
def watch(capsys: pytest.CaptureFixture[str]) -> Watch:
    return lambda **options: Seen(capsys, **options)


def of(outcome: Outcome, **more: Any) -> MessageResult:
    return MessageResult(message(event()), outcome, "e-1", **more)


def test_an_event_is_a_line_with_its_outcome(watch: Watch) -> None:
    handled = MessageResult(
        message(event(), id="m-1", receives=3),
        Delivered(),
        "e-1",
        "SUBSCRIPTION_RENEWED",
        user="user-1",
        environment=Environment.PRODUCTION,
        records=2,
        age_ms=1500,
    )
    (line,), _ = watch().told(handled)
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "service": "forwarder",
        "stage": "test",
        "request_id": "request-1",
        "message": "event",
        "app": "default",
        "event_id": "e-1",
        "event_name": "SUBSCRIPTION_RENEWED",
        "user": user_hash("user-1", KEY),
        "outcome": "delivered",
        "account": "production",
        "records": 2,
        "message_id": "m-1",
        "receives": 3,
        "age_ms": 1500,
        "waited_ms": LATER_MS,
    }


def test_a_line_names_no_user_without_the_key(watch: Watch) -> None:
    lines, _ = watch(key=KeyUnavailable("secret …/user-hash-key cannot be read: AccessDeniedException")).told(
        of(Delivered(), user="user-1")
    )
    assert [(line["message"], line.get("user")) for line in lines] == [
        ("user hash key unavailable", None),
        ("event", None),
    ]


def test_names_of_strangers_are_clipped_and_escaped(watch: Watch) -> None:
    keys = ("\u202egpj", "k" * 5000, *(f"key_{number}" for number in range(60_000)))
    (line,), metrics = watch().told(of(Delivered(), event_name="\x1b[2J\u2028" + "N" * 500, left_out=keys))
    assert line["event_name"] == "\\x1b[2J\\u2028" + "N" * 95 + "…"
    assert line["left_out"][:3] == ["\\u202egpj", "k" * 100 + "…", "key_0"]
    assert (len(line["left_out"]), line["left_out_more"]) == (20, 59_982)
    assert metrics.values["LeftOutValues"] == [60_002]


def test_a_line_leaves_out_the_detail_of_a_parking(watch: Watch) -> None:
    parked = Parked(ParkReason.REFUSED_BY_CLEVERTAP, "Email somebody@example.com is not valid", 515)
    (line,), _ = watch().told(of(parked))
    assert (line["level"], line["outcome"]) == ("WARNING", "parked")
    assert (line["reason"], line["code"], "detail" in line) == ("refused_by_clevertap", 515, False)


def test_a_line_says_what_needs_a_look(watch: Watch) -> None:
    (line,), _ = watch().told(
        of(
            Retried(RetryReason.TIMEOUT),
            unconfirmed_sends=2,
            taken_over=True,
            unsettled=True,
            left_out=("presentation",),
        )
    )
    assert (line["level"], line["outcome"], line["reason"]) == ("INFO", "in_flight", "timeout")
    assert (line["unconfirmed_sends"], line["taken_over"], line["unsettled"]) == (2, True, True)
    assert line["left_out"] == ["presentation"]


def test_a_line_says_that_a_name_is_new(watch: Watch) -> None:
    lines, _ = watch().told(of(Delivered()), of(Delivered(), known_name=False))
    assert [line.get("new_name") for line in lines] == [None, True]


def test_a_line_says_where_a_message_comes_from(watch: Watch) -> None:
    redriven = message(event(), redrive=Redrive("m-0", frozenset()))
    lines, _ = watch().told(
        MessageResult(redriven, Delivered(), "e-1"),
        MessageResult(message(event(), dead_letter=True), Delivered(), "e-2"),
    )
    assert [(line.get("redriven"), line.get("dead_letter")) for line in lines] == [(True, None), (None, True)]


def test_a_setup_fault_is_a_warning(watch: Watch) -> None:
    (line,), _ = watch().told(of(Retried(RetryReason.CREDENTIALS_UNUSABLE, give_up=GiveUp.SETUP, detail="no secret")))
    assert (line["level"], line["reason"], line["detail"]) == ("WARNING", "credentials_unusable", "no secret")


def test_counts_do_not_depend_on_the_level(watch: Watch) -> None:
    lines, metrics = watch(least="WARNING").told(of(Delivered()), of(Parked(ParkReason.NO_USER, "x")))
    assert [line["outcome"] for line in lines] == ["parked"]
    assert metrics.values["Settled"] == [2]


@pytest.mark.parametrize(
    ("handled", "counted"),
    [
        (of(Delivered(), age_ms=0), {"Delivered": 1, "Settled": 1}),
        (of(Skipped(SkipReason.LATE)), {"Skipped": 1, "Settled": 1}),
        (of(Duplicate()), {"Duplicate": 1, "Settled": 1}),
        (of(Parked(ParkReason.NO_USER, "x")), {"Parked": 1, "Settled": 1}),
        (of(Retried(RetryReason.THROTTLED)), {"Retried": 1}),
        (of(BUSY), {"Retried": 1}),
        (of(Retried(RetryReason.SETUP_FAULT, GiveUp.SETUP, code=401)), {"Retried": 1, "SetupFaults": 1}),
        (of(Retried(RetryReason.SETUP_FAULT, GiveUp.SETUP, code=0)), {"Retried": 1, "SetupFaults": 1}),
        (of(Retried(RetryReason.CREDENTIALS_UNUSABLE, give_up=GiveUp.SETUP)), {"Retried": 1, "SetupFaults": 1}),
        (of(Retried(RetryReason.SETTINGS_UNAVAILABLE, give_up=GiveUp.SETUP)), {"Retried": 1, "SetupFaults": 1}),
        (
            of(Retried(RetryReason.CIRCUIT_OPEN, give_up=GiveUp.SETUP)),
            {"Retried": 1, "CircuitOpen": 1, "SetupFaults": 1},
        ),
        (of(Retried(RetryReason.CIRCUIT_OPEN)), {"Retried": 1, "CircuitOpen": 1}),
        (of(Retried(RetryReason.LEDGER_UNAVAILABLE, give_up=GiveUp.SETUP)), {"Retried": 1, "StorageFaults": 1}),
        (of(Retried(RetryReason.PARKED_QUEUE_UNAVAILABLE, give_up=GiveUp.SETUP)), {"Retried": 1, "StorageFaults": 1}),
        (of(Delivered(), known_name=False), {"Delivered": 1, "Settled": 1, "UnknownEvents": 1}),
        (of(Delivered(), left_out=("a", "b")), {"Delivered": 1, "Settled": 1, "LeftOutValues": 2}),
        (of(Retried(RetryReason.TIMEOUT), unconfirmed_sends=3), {"Retried": 1, "LostAnswers": 3}),
        (of(Delivered(), taken_over=True, records=2), {"Delivered": 1, "Settled": 1, "LostAnswers": 2}),
        (
            of(Retried(RetryReason.TIMEOUT), taken_over=True, records=2, unconfirmed_sends=2),
            {"Retried": 1, "LostAnswers": 4},
        ),
        (of(Delivered(), unsettled=True), {"Delivered": 1, "Settled": 1, "Unsettled": 1, "StorageFaults": 1}),
        (
            of(Retried(RetryReason.UNSETTLED, give_up=GiveUp.SETUP), unsettled=True),
            {"Retried": 1, "Unsettled": 1, "StorageFaults": 1},
        ),
        (
            MessageResult(message(event(), dead_letter=True), Parked(ParkReason.DEAD_LETTER, "x"), "e-1"),
            {"Parked": 1, "Settled": 1, "DeadLetters": 1},
        ),
        # It was settled when it was parked: the webhooks that have an outcome are compared with those that came.
        (MessageResult(message(event(), redrive=Redrive("m", frozenset())), Delivered(), "e-1"), {"Delivered": 1}),
    ],
)
def test_every_outcome_is_counted(watch: Watch, handled: MessageResult, counted: dict[str, int]) -> None:
    _, metrics = watch().told(handled)
    assert {name: sum(values) for name, values in metrics.values.items() if not name.endswith("Age")} == counted


def test_the_age_is_measured_in_milliseconds(watch: Watch) -> None:
    _, metrics = watch().told(of(Delivered(), age_ms=1500), of(Delivered(), age_ms=0), of(Retried(RetryReason.BUSY)))
    assert metrics.values["EventAge"] == [1500, 0]
    assert metrics.units["EventAge"] == "Milliseconds"


def test_a_retry_tells_its_age_at_the_next_try(watch: Watch) -> None:
    """SQS leaves messages that were received three times out of its age of the oldest."""
    redriven = MessageResult(message(event(), redrive=Redrive("m", frozenset())), Retried(RetryReason.THROTTLED), "e-3")
    _, metrics = watch().told(
        MessageResult(message(event(), receives=1), Retried(RetryReason.THROTTLED), "e-1"),
        MessageResult(message(event(), receives=9), Retried(RetryReason.THROTTLED), "e-2"),
        MessageResult(message(event(), receives=9), BUSY, "e-4"),
        redriven,
        of(Delivered()),
    )
    assert metrics.values["WaitingAge"] == [LATER_MS + wait * 1000 for wait in (30, 3600, 15)]
    assert metrics.units["WaitingAge"] == "Milliseconds"


def test_metrics_have_stage_and_service_alone(watch: Watch) -> None:
    _, metrics = watch().told(of(Delivered()))
    assert metrics.namespaces == {"PurchaselyCleverTap"}
    assert metrics.dimensions == {frozenset({("stage", "test"), ("service", "forwarder")})}


def test_a_hundred_ages_cost_one_line(watch: Watch) -> None:
    seen = watch()
    _, metrics = seen.told(*(of(Delivered(), age_ms=number) for number in range(1000)))
    assert metrics.values["Delivered"] == [1000]
    assert Counter(metrics.values["EventAge"]) == Counter(range(1000))


def test_a_batch_without_messages_tells_nothing(watch: Watch) -> None:
    lines, metrics = watch().told()
    assert (lines, metrics.points) == ([], [])


def test_an_upload_is_a_line_with_its_results(watch: Watch) -> None:
    upload = UploadReport("default", Environment.SANDBOX, 12, 2, 0.3456, {"accepted": 11, "rejected": 1}, profiles=4)
    (line,), metrics = watch().told(uploads=(upload,))
    expected = {
        "message": "upload",
        "app": "default",
        "account": "sandbox",
        "records": 12,
        "requests": 2,
        "ms": 346,
        "results": {"accepted": 11, "rejected": 1},
    }
    assert {key: line.get(key) for key in expected} == expected
    assert (metrics.values["UploadRequests"], metrics.values["UploadTime"]) == ([2], [346])
    assert metrics.values["ProfileUpdates"] == [4]
    by_result = {
        dict(point.dimensions).get("result"): point.value
        for point in metrics.points
        if point.metric == "UploadedRecords" and len(point.dimensions) == 3
    }
    assert by_result == {"accepted": 11, "rejected": 1}


def test_an_upload_that_was_not_made_takes_no_time(watch: Watch) -> None:
    upload = UploadReport("default", Environment.SANDBOX, 12, 0, 0.0, {"not_taken": 12})
    _, metrics = watch().told(uploads=(upload,))
    assert "UploadTime" not in metrics.values


def test_refused_settings_are_an_error(watch: Watch) -> None:
    seen = watch()
    seen.report.settings_refused("default", 7, ('region: found "mars1"', "colour: unknown key"))
    (line,), counted = seen.printed()
    assert (line["level"], line["app"], line["version"]) == ("ERROR", "default", 7)
    assert line["problems"] == ['region: found "mars1"', "colour: unknown key"]
    assert counted.values == {"SettingsRefused": [1]}


def test_a_result_shows_no_person() -> None:
    assert "user-1" not in repr(MessageResult(message({}), Delivered(), "e-1", user="user-1"))


def test_what_only_archives_counts_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    carried = message(b"{}", id="m-1")._replace(kind=MessageKind.ARCHIVE)
    lines, metrics = Seen(capsys).told(
        carried_result(carried, is_taken=True),
        carried_result(carried, is_taken=False),
    )
    assert lines == []
    assert metrics.points == []


def test_what_the_archive_did_not_take_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(capsys)
    seen.report.forwarded(BatchResult((), (), ArchiveReport(7, 2, faults=3, lost=1, error="Throttled")))
    (line,), metrics = seen.printed()
    assert (line["message"], line["level"]) == ("archive", "ERROR")
    assert (line["faults"], line["lost"], line["error"]) == (3, 1, "Throttled")
    assert [(point.metric, point.value) for point in metrics.points] == [("ArchiveFaults", 3)]


def test_what_the_archive_took_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(capsys)
    seen.report.forwarded(BatchResult((), (), ArchiveReport(7, 2)))
    lines, metrics = seen.printed()
    assert (lines, metrics.points) == ([], [])


@pytest.mark.parametrize(
    "outcome",
    [
        Delivered(),
        Duplicate(),
        Skipped(SkipReason.BACKFILLED),
        Parked(ParkReason.REFUSED_BY_CLEVERTAP, "no"),
        Retried(RetryReason.SETUP_FAULT, GiveUp.SETUP, code=401),
        Retried(RetryReason.LEDGER_UNAVAILABLE, GiveUp.SETUP),
    ],
)
def test_a_backfilled_event_is_logged_and_not_counted(watch: Watch, outcome: Outcome) -> None:
    told = message(event())._replace(kind=MessageKind.BACKFILL, backfill=BackfillMode.ALL)
    result = MessageResult(told, outcome, "e-1", "NEW", unconfirmed_sends=1, unsettled=True, left_out=("key",))
    (line,), metrics = watch().told(result)
    assert (line["kind"], line["outcome"]) == ("backfill", outcome.name)
    assert not any(value for values in metrics.values.values() for value in values)
