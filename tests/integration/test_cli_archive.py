"""`bridge archive check`, and what `forget` and `export` do with the archive."""

import base64
import gzip
import json
from collections.abc import Iterator
from copy import replace
from typing import Any

import pytest

from bridge_cli.account import Account
from bridge_cli.archive import ArchiveBucket, Tombstone
from bridge_cli.subscribers import Ids
from bridge_cli.times import now_ms
from purchasely_clevertap.aws.received import ReceivedNotes
from purchasely_clevertap.delivery.message import Message, attributes, encode_body
from tests.integration.clevertap import ScriptedClevertap
from tests.integration.cli import Cli, messages_of
from tests.integration.cloud import DELIVERIES, SUPPRESSION_KEY, Clock, Cloud, Worker
from tests.integration.firehose import BUCKET, Firehose
from tests.integration.webhook import Payload, encoded, event, message

HOUR = 3600


@pytest.fixture
def clock() -> Clock:
    return Clock(now_ms() - HOUR * 1000)


@pytest.fixture
def firehose(cloud: Cloud) -> Firehose:
    return cloud.make_archive()


@pytest.fixture
def worker(cloud: Cloud, clevertap: ScriptedClevertap, firehose: Firehose) -> Worker:  # noqa: ARG001 - it must be there
    return cloud.worker(clevertap)


@pytest.fixture
def cli(cloud: Cloud, firehose: Firehose, monkeypatch: pytest.MonkeyPatch) -> Cli:  # noqa: ARG001
    made = Cli(cloud, monkeypatch)
    outputs = Account.outputs
    assert isinstance(outputs, dict)
    monkeypatch.setattr(Account, "outputs", outputs | {"ArchiveBucketName": BUCKET})
    monkeypatch.setattr(Account, "suppression_key", SUPPRESSION_KEY)
    return made


@pytest.fixture
def archive(cloud: Cloud, firehose: Firehose) -> ArchiveBucket:  # noqa: ARG001 - it must be there
    return ArchiveBucket(cloud.s3, BUCKET, secret=SUPPRESSION_KEY)


def receive(cloud: Cloud, payload: Payload | bytes) -> Message:
    """Ingest takes a webhook: onto the queue, then noted. The message as Lambda hands it over."""
    sent = cloud.sqs.send_message(
        QueueUrl=cloud.events_url,
        MessageBody=encode_body(encoded(payload)),
        MessageAttributes=attributes("default", cloud.clock()),
    )
    notes = ReceivedNotes(cloud.dynamodb, table=DELIVERIES, clock=cloud.clock.seconds)
    assert notes.note("default", encoded(payload), sent["MessageId"], now_ms=cloud.clock())
    (found,) = messages_of(cloud, cloud.events_url)
    return replace(found, receives=1)


def objects(cloud: Cloud) -> Iterator[tuple[str, bytes]]:
    """Every object of the bucket, unzipped."""
    for each in cloud.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        body = cloud.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
        yield each["Key"], gzip.decompress(body) if each["Key"].endswith(".gz") else body


def bucket(cloud: Cloud) -> str:
    """All that the bucket holds, keys and content."""
    return "\n".join(f"{key}\n{content.decode(errors='replace')}" for key, content in objects(cloud))


def check(cli: Cli, *arguments: str, exit_code: int = 0) -> dict[str, Any]:
    document = cli.json("archive", "check", *arguments, exit_code=exit_code)
    assert isinstance(document, dict)
    return document


# check


def test_what_ingest_noted_is_archived(cloud: Cloud, cli: Cli, worker: Worker, firehose: Firehose) -> None:
    worker.forward(receive(cloud, event()), receive(cloud, event("ACTIVATE")), receive(cloud, b"\xff"))
    firehose.deliver()
    found = check(cli)
    assert (found["is_whole"], found["noted"], found["missing"]) == (True, 3, [])
    assert "All others are archived." in cli.run("archive", "check", "--since", "2h").stdout


def test_what_is_missing_is_named(cloud: Cloud, cli: Cli, worker: Worker, firehose: Firehose) -> None:
    worker.forward(receive(cloud, event()))
    firehose.deliver()
    worker.calls.always("PutRecordBatch", "AccessDeniedException")
    lost = receive(cloud, event(event_id="e-lost"))
    worker.forward(lost)
    found = check(cli, exit_code=1)
    assert found["missing"] == [{"app": "default", "event_id": "e-lost", "message_id": lost.id}]
    assert "e-lost" in cli.run("archive", "check").stdout

    worker.calls.mend()
    cloud.clock.advance(31)
    worker.forward(*messages_of(cloud, cloud.events_url))
    firehose.deliver()
    assert check(cli)["is_whole"]


def test_a_worker_that_died_is_made_up_for(cloud: Cloud, cli: Cli, worker: Worker, firehose: Firehose) -> None:
    sent = receive(cloud, event(event_id="e-1"))
    stream, cloud.archive = cloud.archive, None
    cloud.worker(ScriptedClevertap(), name="dead").forward(sent)  # it settles, and dies before it hands over
    cloud.archive = stream
    assert [each["event_id"] for each in check(cli, exit_code=1)["missing"]] == ["e-1"]

    worker.forward(replace(sent, receives=2))
    firehose.deliver()
    assert check(cli)["is_whole"]


def test_what_no_forwarder_had_is_not_missing(cloud: Cloud, cli: Cli) -> None:
    receive(cloud, event())
    found = check(cli)
    assert (found["is_whole"], found["waiting"]) == (True, 1)


def test_what_is_new_or_old_is_not_looked_at(cloud: Cloud, cli: Cli, clevertap: ScriptedClevertap) -> None:
    cloud.archive = None
    without = cloud.worker(clevertap)
    without.forward(receive(cloud, event()))
    cloud.clock.ms = now_ms() - 60_000
    without.forward(receive(cloud, event()))
    assert check(cli, "--since", "30m")["noted"] == 0
    assert len(check(cli, "--since", "2h", exit_code=1)["missing"]) == 1


def test_what_firehose_could_not_file_is_told(cloud: Cloud, cli: Cli) -> None:
    cloud.s3.put_object(Bucket=BUCKET, Key="v1/failed/processing-failed/1", Body=b"{}")
    assert check(cli, exit_code=1)["failed_objects"] == ["v1/failed/processing-failed/1"]


def test_a_stack_without_an_archive_says_so(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    result = Cli(cloud, monkeypatch).run("archive", "check")
    assert (result.exit_code, "has no archive" in result.stderr) == (1, True)


# forget


def test_a_forgotten_person_is_in_no_byte(cloud: Cloud, cli: Cli, worker: Worker, firehose: Firehose) -> None:
    worker.forward(
        receive(cloud, event(user="user-gone", clevertap_id="__hgone", event_id="e-1")),
        receive(cloud, event(user="user-kept", event_id="e-2", transferred_from_user_id="user-gone")),
        receive(cloud, event(user="user-gone", event_id="e-3", note="x" * 900_000)),
        receive(cloud, event(user="user-gone-not", event_id="e-4")),
    )
    firehose.deliver()
    assert "user-gone" in bucket(cloud)

    document = cli.json("forget", "user-gone", "--yes")

    assert document["archive"] == {"lines": 2, "redacted": 1, "objects": 1}
    left = bucket(cloud).replace("user-gone-not", "").replace("subs_", "")
    assert "gone" not in left
    assert "user-kept" in left
    assert check(cli)["is_whole"]


def test_what_comes_after_is_hidden(
    cloud: Cloud, cli: Cli, worker: Worker, firehose: Firehose, archive: ArchiveBucket
) -> None:
    worker.forward(receive(cloud, event(user="ada", event_id="e-1")), receive(cloud, event(user="ben", event_id="e-2")))
    cli.json("forget", "ada", "--yes")  # while Firehose still has the lines
    firehose.deliver()
    assert [line["event_id"] for line in archive.webhooks()] == ["e-2"]
    assert "ada" not in json.dumps([stone.text for stone in archive.tombstones])

    assert cli.json("forget", "ada", "--yes")["archive"]["lines"] == 1
    assert '"ada' not in bucket(cloud)


def test_forgetting_that_broke_off_hides_at_once(cloud: Cloud, firehose: Firehose, worker: Worker) -> None:
    worker.forward(receive(cloud, event(user="ada")))
    firehose.deliver()
    stone = Tombstone.of("default", Ids(users=frozenset({"ada"})), SUPPRESSION_KEY, now_ms=0)
    cloud.s3.put_object(Bucket=BUCKET, Key=stone.key, Body=stone.text.encode())
    assert list(ArchiveBucket(cloud.s3, BUCKET, secret=SUPPRESSION_KEY).webhooks()) == []


def test_a_tombstone_goes_when_nothing_can_come(cloud: Cloud, archive: ArchiveBucket) -> None:
    archive.forget("default", Ids(users=frozenset({"ada"})), now_ms=0)
    archive.forget("default", Ids(users=frozenset({"ben"})), now_ms=20 * 24 * HOUR * 1000)
    assert len([key for key, _ in objects(cloud) if "forgotten" in key]) == 1


def test_another_apps_user_stays(firehose: Firehose, worker: Worker, archive: ArchiveBucket) -> None:
    worker.forward(replace(message(event(user="ada")), app="second"))
    firehose.deliver()
    assert archive.forget("default", Ids(users=frozenset({"ada"})), now_ms=0).lines == 0
    assert len(list(archive.webhooks())) == 1


def test_what_could_not_be_filed_is_forgotten_too(cloud: Cloud, archive: ArchiveBucket) -> None:
    line = json.dumps({"kind": "webhook", "app": "default", "body": encoded(event(user="ada")).decode()})
    failed = json.dumps({"rawData": base64.b64encode(line.encode()).decode()})
    cloud.s3.put_object(Bucket=BUCKET, Key="v1/failed/processing-failed/1", Body=failed.encode())
    archive.forget("default", Ids(users=frozenset({"ada"})), now_ms=0)
    assert archive.failed() == []


# export


def test_export_has_what_is_archived(cloud: Cloud, cli: Cli, worker: Worker, firehose: Firehose) -> None:
    sent = receive(cloud, event(user="ada", event_id="e-1", note="said"))
    worker.forward(sent, receive(cloud, event(user="ben")))
    worker.forward(replace(sent, receives=2))  # a copy of its line
    firehose.deliver()
    (found,) = cli.json("export", "ada")["archive"]
    assert (found["event_id"], found["message_id"], found["body"]["note"]) == ("e-1", sent.id, "said")
