"""The archive: what the stream makes of lines, how the bucket is kept, and that 0 days mean none of it."""

import pytest

from local_stack.template import Template
from purchasely_clevertap.delivery.archive import LARGE, LineKind


@pytest.fixture(scope="module")
def without() -> Template:
    return Template.load(ArchiveDays=0)


def test_nobody_reads_it_from_outside(template: Template) -> None:
    bucket = template.properties("ArchiveBucket")
    (statement,) = template.properties("ArchiveBucketPolicy")["PolicyDocument"]["Statement"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert set(statement["Resource"]) == {"ArchiveBucket.Arn", "ArchiveBucket.Arn/*"}


def test_it_outlives_the_stack_and_ends_by_its_days() -> None:
    template = Template.load(ArchiveDays=30)
    resource = template.resources["ArchiveBucket"]
    (rule,) = template.properties("ArchiveBucket")["LifecycleConfiguration"]["Rules"]

    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert (rule["Status"], rule["ExpirationInDays"], "Prefix" in rule) == ("Enabled", 30, False)
    assert "VersioningConfiguration" not in template.properties("ArchiveBucket")


def test_lines_are_put_together_by_kind_and_hour(template: Template) -> None:
    destination = template.properties("ArchiveStream")["ExtendedS3DestinationConfiguration"]
    processors = {
        each["Type"]: {one["ParameterName"]: one["ParameterValue"] for one in each["Parameters"]}
        for each in destination["ProcessingConfiguration"]["Processors"]
    }

    assert destination["Prefix"] == (
        "v1/!{partitionKeyFromQuery:kind}/!{timestamp:yyyy}/!{timestamp:MM}/!{timestamp:dd}/!{timestamp:HH}/"
    )
    assert (destination["CompressionFormat"], destination["FileExtension"]) == ("GZIP", ".gz")
    assert destination["DynamicPartitioningConfiguration"]["Enabled"]
    assert processors == {
        "RecordDeAggregation": {"SubRecordType": "JSON"},
        "MetadataExtraction": {"MetadataExtractionQuery": "{kind: .kind}", "JsonParsingEngine": "JQ-1.6"},
        "AppendDelimiterToRecord": {"Delimiter": "\\n"},
    }
    # No kind is taken for what else is in the bucket.
    assert not {LARGE.split("/")[1], "failed", "forgotten"} & set(LineKind)


def test_without_days_there_is_no_archive(template: Template, without: Template) -> None:
    gone = template.resources.keys() - without.resources.keys()

    assert gone == {
        "ArchiveAlarm",
        "ArchiveBucket",
        "ArchiveBucketPolicy",
        "ArchiveRole",
        "ArchiveStream",
    }
    assert not {"HandOverToTheArchive", "ArchiveLargeBodies"} & without.statements("ForwarderRole").keys()
    assert "s3" not in str(without.properties("ForwarderRole"))
    environment = without.environment("ForwarderFunction")
    assert (environment["ARCHIVE_STREAM"], environment["ARCHIVE_BUCKET"]) == ("", "")
    assert not [
        name
        for name, output in without.document["Outputs"].items()
        if "Archive" in name and without.holds(output["Condition"])
    ]
