"""What the stack archives, by the emulated Firehose and S3."""

import json

from bridge_cli.archive import ArchiveBucket
from bridge_cli.times import now_ms
from local_stack import LocalStack
from tests.end_to_end.app import App
from tests.end_to_end.conftest import Story
from tests.end_to_end.eventually import eventually


def archive_of(stack: LocalStack) -> ArchiveBucket:
    return ArchiveBucket(stack.client("s3"), stack.outputs["ArchiveBucketName"], secret="of no use here")


def test_what_came_is_in_its_place_of_the_bucket(stack: LocalStack, app: App, story: Story) -> None:
    events = story("renewals")
    large = {**events[-1], "event_id": f"{events[-1]['event_id']}-large", "note": "x" * 900_000}
    app.tell(*events, large)
    wanted = {event["event_id"]: event for event in (*events, large)}

    def archived() -> dict[str, object]:
        lines = archive_of(stack).webhooks(since=now_ms() - 3_600_000)
        return {line["event_id"]: json.loads(line["body"]) for line in lines if line["app"] == app.name}

    assert eventually(archived, lambda found: found.keys() == wanted.keys()) == wanted
    bucket = stack.outputs["ArchiveBucketName"]
    listed = stack.client("s3").list_objects_v2(Bucket=bucket, Prefix="v1/")["Contents"]
    assert {each["Key"].split("/")[1] for each in listed} == {"webhook", "outcome", "large"}
    assert {each["Key"][-3:] for each in listed} == {".gz"}
