"""The page of what is promised names every fault of the chaos kit, files that exist, and numbers that are so."""

import re
from collections.abc import Iterator
from dataclasses import fields
from random import Random

from click import Command

from bridge_cli.__main__ import bridge
from chaos import deployed, faults, rig
from chaos.aws import Die
from chaos.faults import FAULTS, Fault
from chaos.report import Row
from chaos.uploading import Kill, Moment, NoConnection, TakenLate, UploadFault
from clevertap_emulator import LostAnswer, Status
from local_stack.sam import ROOT
from local_stack.template import Template
from purchasely_clevertap.aws.ledger import LEASE_MS, REMEMBERED_SECONDS
from purchasely_clevertap.clevertap.client import READ_TIMEOUT_SECONDS
from purchasely_clevertap.clevertap.limits import MAX_RECORDS
from purchasely_clevertap.clevertap.response import MESSAGE_CHARACTERS
from purchasely_clevertap.delivery.message import MAX_BODY_BYTES
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.telemetry.metrics import Metric

FILE = ROOT / "docs" / "guarantees.md"
PAGE = FILE.read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())
PACKAGE = ROOT / "layers" / "bridge" / "purchasely_clevertap"
TEMPLATE = Template.load()
DAY = 86_400


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a header row that begins with `heading`."""
    table = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")] for row in table]


def source_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def lost_answers(heading: str) -> dict[str, bool]:
    """Of each row whether an answer may be lost in it."""
    said = {"0": False, "may be": True}
    return {name: said[lost] for cell, _, lost in rows(heading) for name in codes(cell)}


def test_every_fault_of_the_kit_has_its_row_and_nothing_else_has_one() -> None:
    assert list(lost_answers("in process")) == list(FAULTS)
    assert sorted(lost_answers("deployed")) == sorted(fault.name for fault in deployed.FAULTS)


def test_an_answer_may_be_lost_in_those_rows_whose_faults_lose_one() -> None:
    """Between an upload that CleverTap has taken and the settling of it."""
    assert lost_answers("in process") == {name: loses_answers(fault) for name, fault in FAULTS.items()}
    told = lost_answers("deployed")
    assert {fault.name for fault in deployed.FAULTS if fault.kills} <= {name for name, lost in told.items() if lost}


def loses_answers(fault: Fault) -> bool:
    return "settle" in fault.calls or any(map(is_taken_untold, uploads_of(fault)))


def uploads_of(fault: Fault) -> Iterator[UploadFault]:
    random = Random(1)  # noqa: S311 - a test
    return (fault.uploads(random, number, 10) for number in range(200)) if fault.uploads else iter(())


def is_taken_untold(fault: UploadFault) -> bool:
    match fault:
        case Kill(moment):
            return moment is not Moment.BEFORE
        case TakenLate():
            return True
        case NoConnection():
            return False
        case _:
            return fault.taken and not fault.told


def test_what_is_asked_of_the_faults_tells_one_that_loses_an_answer_from_one_that_does_not() -> None:
    losing = (LostAnswer(), Status(504, taken=True), Kill(Moment.DURING), TakenLate(1))
    assert [is_taken_untold(each) for each in (*losing, Status(503), Kill(Moment.BEFORE))] == [True] * 4 + [False] * 2
    assert loses_answers(Fault("x", calls={"settle": lambda _: Die(after=False)}))
    assert not loses_answers(Fault("x", calls={"UpdateItem": lambda _: Die(after=False)}))


def test_every_key_of_the_report_is_explained() -> None:
    assert [key for cell, _ in rows("column, and key in `build/chaos.json`") for key in codes(cell)] == [
        field.name for field in fields(Row)
    ]


def test_the_options_are_those_of_the_command() -> None:
    source = source_of("tools/chaos/__main__.py")
    told = section("Under which faults")
    assert set(re.findall(r"`(--[a-z-]+)", told)) == set(re.findall(r'add_argument\("(--[a-z-]+)"', source))
    seed, runs, events = re.findall(r"type=int, default=(\d+)", source)
    for said in (f"the first one, {seed})", f"seeds for each row, {runs})", f"in a run, {events})"):
        assert said in " ".join(told.split())
    assert (rig.TRAFFIC_SECONDS, faults.ACTIVE_SECONDS) == (10 * 60, 40 * 60)
    assert re.search(r"^chaos:", source_of("Makefile"), re.MULTILINE)


def test_every_file_that_is_named_is_there() -> None:
    named = [path for path in codes(PAGE) if re.fullmatch(r"[\w/]+\.py|(?:tests|tools)/[\w/]+", path)]
    assert len(named) > 50
    assert [path for path in named if not (ROOT / path).exists() and not (PACKAGE / path).is_file()] == []


def test_every_promise_has_a_sentence_its_modules_and_its_tests() -> None:
    promises = re.findall(r"^(\d+)\. (\*\*.+?)(?=^\d+\. |\Z)", section("What is promised"), re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _ in promises] == list(range(1, len(promises) + 1))
    for number, text in promises:
        assert any((PACKAGE / path).is_file() for path in codes(text)), number
    tested = rows("promise")
    assert [row[0] for row in tested] == [number for number, _ in promises]
    for number, *cells in tested:
        assert sum(map(len, map(codes, cells))) >= 2, number


def test_what_is_called_property_based_is() -> None:
    for _, property_based, *_ in rows("promise"):
        for path in codes(property_based):
            assert "@given(" in source_of(path), path


def test_the_numbers_are_those_of_the_code() -> None:
    retry_policy = RetryPolicy()
    parameters = TEMPLATE.document["Parameters"]
    retention = TEMPLATE.of_type("AWS::SQS::Queue").values()
    assert (parameters["RetryBaseSeconds"]["Default"], parameters["RetryMaxSeconds"]["Default"]) == (30, 3600)
    assert {queue["MessageRetentionPeriod"] for queue in retention} == {14 * DAY}
    assert {queue["VisibilityTimeout"] for queue in retention if "VisibilityTimeout" in queue} == {7 * 60}
    assert TEMPLATE.resources["ForwarderFunction"]["Properties"]["Timeout"] == 60
    assert "CircuitBreaker(base=_retry_policy.base, most=min(_retry_policy.most, 300)" in source_of(
        "functions/forwarder/app.py"
    )
    assert "_QUIET_MS: Final = 45_000\n" in source_of("layers/bridge/purchasely_clevertap/forwarder.py")
    assert (1024 * 1024 - MAX_BODY_BYTES, RetryPolicy().most) == (16 * 1024, 3600)
    for said in (
        f"doubles from {retry_policy.base:g} seconds to an hour",
        f"parked after {retry_policy.fault_ms // 3_600_000} hours",
        f"after {retry_policy.setup_ms // (1000 * DAY)} days of the 14",
        f"for {retry_policy.base:g} seconds, doubling to 300;",
        f"`MaxConcurrency` ({parameters['MaxConcurrency']['Default']})",
        f"at most {parameters['SignatureToleranceSeconds']['Default'] // DAY} days from now",
        f"({MESSAGE_CHARACTERS} characters of them)",
        f"within {READ_TIMEOUT_SECONDS:g} seconds",
        f"a lease of {LEASE_MS // 1000} seconds",
        "after 7 minutes",
        "for 45 seconds after the lost answer",
        f"that is {MAX_RECORDS} records",
        f"**Memory is {REMEMBERED_SECONDS // DAY} days**",
        f"instead of {TEMPLATE.resources['EventsQueue']['Properties']['RedrivePolicy']['maxReceiveCount']}",
    ):
        assert said in WORDS


def test_two_days_without_an_answer_are_as_many_tries_as_is_told() -> None:
    retry_policy, tries, waited = RetryPolicy(), 0, 0
    while not retry_policy.is_over(1000 * waited, setup=False):
        tries += 1
        waited += retry_policy.wait(tries, lambda: 0.5)
    assert f"some {round(tries, -1)}." in WORDS


def test_metrics_parameters_and_commands_are_there() -> None:
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", PAGE))
    assert named - set(Metric) - TEMPLATE.document["Parameters"].keys() == set()
    assert Metric.LOST_ANSWERS in named
    commands = {words.split()[1] for words in codes(PAGE) if words.startswith("bridge ")}
    assert commands == {"balance", "trace"}
    assert all(isinstance(bridge.commands[name], Command) for name in commands)


def test_every_link_leads_somewhere() -> None:
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert link[1:] in anchors if link.startswith("#") else (FILE.parent / link).exists(), link
    assert "](docs/guarantees.md)" in source_of("README.md")
