"""Both functions, and the layer that they share."""

import pytest

from local_stack.sam import ROOT
from local_stack.template import PSEUDO, Template

FUNCTIONS = {"IngestFunction": "ingest", "ForwarderFunction": "forwarder"}


def test_there_are_two_functions_each_in_its_folder(template: Template) -> None:
    functions = template.of_type("AWS::Serverless::Function")

    assert {name: each["CodeUri"] for name, each in functions.items()} == {
        name: f"functions/{folder}" for name, folder in FUNCTIONS.items()
    }


@pytest.mark.parametrize(("chosen", "processor"), [({}, "arm64"), ({"Architecture": "x86_64"}, "x86_64")])
def test_functions_run_python_3_13_on_the_chosen_processor(chosen: dict[str, str], processor: str) -> None:
    template = Template.load(**chosen)
    shared = template.resolve(template.document["Globals"]["Function"])

    assert shared["Runtime"] == "python3.13"
    assert shared["Architectures"] == [processor]
    assert shared["Handler"] == "app.handler"
    assert shared["Layers"] == ["BridgeLayer"]


def test_one_layer_serves_both_processors(template: Template) -> None:
    layer = template.properties("BridgeLayer")

    assert template.resources["BridgeLayer"]["Metadata"] == {"BuildMethod": "makefile"}
    assert layer["CompatibleRuntimes"] == ["python3.13"]
    assert sorted(layer["CompatibleArchitectures"]) == ["arm64", "x86_64"]
    assert (ROOT / layer["ContentUri"] / "purchasely_clevertap" / "__init__.py").is_file()


@pytest.mark.parametrize(
    ("function", "log", "role"),
    [
        ("IngestFunction", "IngestLog", "IngestRole"),
        ("ForwarderFunction", "ForwarderLog", "ForwarderRole"),
    ],
)
def test_a_function_has_its_own_log_group_and_role(template: Template, function: str, log: str, role: str) -> None:
    assert template.properties(function)["LoggingConfig"] == {"LogGroup": log}
    assert template.properties(function)["Role"] == f"{role}.Arn"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_logs_what_is_chosen(function: str) -> None:
    assert Template.load(LogLevel="DEBUG").environment(function)["LOG_LEVEL"] == "DEBUG"


def test_people_in_the_log_are_keyed_with_the_random_part_of_the_stacks_id(template: Template) -> None:
    key = template.environment("ForwarderFunction")["USER_KEY"]

    assert PSEUDO["AWS::StackId"] == f"arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/{key}"
