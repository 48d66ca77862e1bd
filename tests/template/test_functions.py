"""The functions, the layer that they share, and what their environment variables point to."""

import pytest

from local_stack.sam import ROOT
from local_stack.template import PSEUDO, Template

FUNCTIONS = {"IngestFunction": "ingest", "ForwarderFunction": "forwarder", "SweepFunction": "sweep"}
SHARED_ENVIRONMENT: dict[str, object] = {
    "STAGE": "dev",
    "LOG_LEVEL": "INFO",
    "EVENTS_QUEUE_URL": "EventsQueue",
    "DELIVERIES_TABLE": "DeliveriesTable",
}
ENVIRONMENTS: dict[str, dict[str, object]] = {
    "IngestFunction": {"SIGNATURE_TOLERANCE_SECONDS": 22 * 24 * 3600},
    "ForwarderFunction": {
        "PARKED_QUEUE_URL": "ParkedQueue",
        "DEAD_LETTER_QUEUE_ARN": "DeadLetterQueue.Arn",
        "SUBSCRIBERS_TABLE": "SubscribersTable",
        "SUBSCRIBER_RETENTION_DAYS": 1100,
        "CLEVERTAP_ENDPOINT": "",
        "RETRY_BASE_SECONDS": 30,
        "RETRY_MAX_SECONDS": 3600,
        "SUPPRESSION_KEY": PSEUDO["AWS::StackId"].rpartition("/")[2],
        "ARCHIVE_STREAM": "ArchiveStream",
        "ARCHIVE_BUCKET": "ArchiveBucket",
    },
    "SweepFunction": {"SUBSCRIBERS_TABLE": "SubscribersTable"},
}


def test_each_function_has_its_folder(template: Template) -> None:
    functions = template.of_type("AWS::Serverless::Function")

    assert {name: each["CodeUri"] for name, each in functions.items()} == {
        name: f"functions/{folder}" for name, folder in FUNCTIONS.items()
    }


@pytest.mark.parametrize(("chosen", "processor"), [({}, "arm64"), ({"Architecture": "x86_64"}, "x86_64")])
def test_runtime_and_processor_of_functions(chosen: dict[str, str], processor: str) -> None:
    template = Template.load(**chosen)
    shared = template.resolve(template.document["Globals"]["Function"])

    assert shared["Runtime"] == "python3.13"
    assert shared["Architectures"] == [processor]
    assert shared["Handler"] == "app.handler"
    assert shared["Layers"] == [template.resolve({"Ref": "BridgeLayer"})]


def test_one_layer_serves_both_processors(template: Template) -> None:
    layer = template.properties("BridgeLayer")

    assert layer["LayerName"] == "purchasely-clevertap-dev"  # each stage has its own
    assert template.resources["BridgeLayer"]["Metadata"] == {"BuildMethod": "makefile"}
    assert layer["CompatibleRuntimes"] == ["python3.13"]
    assert sorted(layer["CompatibleArchitectures"]) == ["arm64", "x86_64"]
    assert (ROOT / layer["ContentUri"] / "purchasely_clevertap" / "__init__.py").is_file()


@pytest.mark.parametrize(
    ("function", "log", "role"),
    [
        ("IngestFunction", "IngestLog", "IngestRole"),
        ("ForwarderFunction", "ForwarderLog", "ForwarderRole"),
        ("SweepFunction", "SweepLog", "SweepRole"),
    ],
)
def test_a_function_has_its_own_log_group_and_role(template: Template, function: str, log: str, role: str) -> None:
    assert template.properties(function)["LoggingConfig"] == {"LogGroup": log}
    assert template.properties(function)["Role"] == f"{role}.Arn"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_environment_is_wired_to_resources(template: Template, function: str) -> None:
    assert template.environment(function) == SHARED_ENVIRONMENT | ENVIRONMENTS[function]


@pytest.mark.parametrize(
    ("parameter", "variable", "value"),
    [
        ("Stage", "STAGE", "prod"),
        ("LogLevel", "LOG_LEVEL", "DEBUG"),
        ("CleverTapEndpoint", "CLEVERTAP_ENDPOINT", "http://127.0.0.1:1"),
        ("RetryBaseSeconds", "RETRY_BASE_SECONDS", 1),
        ("RetryMaxSeconds", "RETRY_MAX_SECONDS", 4),
        ("SubscriberRetentionDays", "SUBSCRIBER_RETENTION_DAYS", 30),
    ],
)
def test_environment_follows_parameters(parameter: str, variable: str, value: object) -> None:
    assert Template.load(**{parameter: value}).environment("ForwarderFunction")[variable] == value


def test_the_sweep_goes_on_every_quarter_of_an_hour(template: Template) -> None:
    sweep = template.properties("SweepFunction")
    (event,) = sweep["Events"].values()

    assert event["Type"] == "Schedule"
    assert event["Properties"]["Schedule"] == "rate(15 minutes)"
    assert sweep["Timeout"] < 15 * 60
