"""The README, and the page on the app's side, say what is so."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from purchasely_clevertap.aws.ledger import REMEMBERED_SECONDS
from purchasely_clevertap.clevertap.account import Region
from purchasely_clevertap.clevertap.limits import ANDROID_ID_PREFIX, IOS_ID_PREFIX
from purchasely_clevertap.delivery.retry import RetryPolicy
from purchasely_clevertap.ingest import Fault
from purchasely_clevertap.mapping.mapper import Mapped, Mapper
from purchasely_clevertap.mapping.profile import PROFILE_PROPERTIES, Subscriber
from purchasely_clevertap.mapping.settings import DEFAULT, Anonymous, parse
from purchasely_clevertap.outcome import Delivered, Duplicate, Parked, ParkReason, Retried, Skipped, SkipReason
from purchasely_clevertap.purchasely.catalogue import CATALOGUE
from purchasely_clevertap.purchasely.event import Event, read
from purchasely_clevertap.purchasely.signature import Refusal
from purchasely_clevertap.telemetry.metrics import NAMESPACE, Metric

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
APP_SIDE = (ROOT / "docs" / "app-side.md").read_text(encoding="utf-8")
PAGES = {"README.md": README, "docs/app-side.md": APP_SIDE}

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = "\n".join(block for language, block in BLOCKS if language == "sh")
DOCUMENTS = [json.loads(block) for language, block in BLOCKS if language == "json"]
PROSE = re.sub(r"^```\w+\n.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`([^`\n]+)`", PROSE)


class _Template(yaml.SafeLoader):
    """Reads `!Sub text` and the like as the text."""


def _text(_loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> object:
    return node.value if isinstance(node, yaml.ScalarNode) else None


_Template.add_multi_constructor("!", _text)
TEMPLATE: Mapping[str, Any] = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), _Template)  # noqa: S506
RESOURCES: Mapping[str, Any] = TEMPLATE["Resources"]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a header row that begins with `heading`."""
    table = README.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")] for row in table]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from texts(below)
    elif isinstance(value, Sequence):
        for below in value:
            yield from texts(below)


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = "\n".join([*INLINE, SHELL, *re.findall(r"^    (make .+)$", PROSE, re.MULTILINE)])
    named = set(re.findall(r"\bmake ([a-z]+)", commands))
    assert named - targets == set()
    assert {"demo", "test", "up", "down", "setup", "build", "deploy"} <= named


def test_the_parameters_have_these_defaults() -> None:
    stated = {codes(name)[0]: (codes(default) or [""])[0] for name, default, _ in rows("parameter")}
    assert stated == {name: str(TEMPLATE["Parameters"][name]["Default"]) for name in stated}


def test_the_stages_of_samconfig_are_as_told() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    for stage in ("dev", "prod"):
        assert config[stage]["deploy"]["parameters"]["stack_name"] == f"purchasely-clevertap-{stage}"
    assert re.findall(r"--config-env (\w+)", README) == ["prod"]
    prod = config["prod"]["deploy"]["parameters"]
    assert prod["confirm_changeset"] is True
    (retention,) = re.findall(r"`prod` in samconfig\.toml: (\d+)", README)
    assert f"LogRetentionDays={retention}" in prod["parameter_overrides"].split()


def test_every_output_is_there() -> None:
    named = re.findall(r"outputs? `?(\w+)`?", README.replace("\n", " "))
    outputs = [name for name in named if re.fullmatch(r"([A-Z][a-z]+){2,}", name)]
    assert {"WebhookUrl", "DashboardUrl"} == set(outputs)
    assert set(outputs) <= TEMPLATE["Outputs"].keys()


def test_every_name_in_camel_case_is_a_parameter_an_output_or_a_metric() -> None:
    known = TEMPLATE["Parameters"].keys() | TEMPLATE["Outputs"].keys() | set(Metric) | {NAMESPACE}
    known |= {str(parameter["Default"]) for parameter in TEMPLATE["Parameters"].values()}
    assert [name for name in INLINE if re.fullmatch(r"([A-Z][a-z]+){2,}", name) and name not in known] == []


def test_every_secret_parameter_and_log_group_has_its_name_from_the_template() -> None:
    named = re.findall(r"(?<![\w/])(/?(?:[\w/]+/)?purchasely-clevertap/[\w/${}-]+)", PROSE + SHELL)
    general = {
        re.sub(r"\$?\{?\b(stage|STAGE)\b\}?", "*", name).replace("{app}", "*").replace("$APP", "*") for name in named
    }
    made = {
        text.replace("${Stage}", "*").replace("/default/", "/*/")
        for resource in RESOURCES.values()
        if resource["Type"] != "AWS::Logs::QueryDefinition"
        for key, text in resource["Properties"].items()
        if key in ("Name", "LogGroupName") and "/" in str(text)
    }
    assert general == made


def test_the_secrets_have_the_form_of_the_placeholders() -> None:
    purchasely = json.loads(RESOURCES["DefaultPurchaselySecret"]["Properties"]["SecretString"])
    clevertap = json.loads(RESOURCES["DefaultCleverTapSecret"]["Properties"]["SecretString"])
    assert DOCUMENTS[0].keys() == purchasely.keys()
    assert all(isinstance(secret, str) for secret in DOCUMENTS[0]["shared_secrets"])
    assert DOCUMENTS[1].keys() == {"production", "sandbox"}
    assert {keys for account in DOCUMENTS[1].values() for keys in account} == clevertap["production"].keys()


def test_the_secrets_can_be_read_by_no_other_function_than_told() -> None:
    for role, own, other in (("IngestRole", "purchasely", "clevertap"), ("ForwarderRole", "clevertap", "purchasely")):
        secrets = [text for text in texts(RESOURCES[role]["Properties"]) if ":secret:" in text]
        assert [f"/{own}-?" in text and f"/{other}-?" not in text for text in secrets] == [True]


def test_the_table_of_regions_is_that_of_the_code() -> None:
    stated = [[codes(cell)[0] for cell in row[:3]] for row in rows("region")]
    assert stated == [
        [region, f"{region}.dashboard.clevertap.com", region.endpoint.removeprefix("https://")] for region in Region
    ]


def test_the_settings_in_the_text_are_valid() -> None:
    for text in INLINE:
        if text.startswith('"'):
            assert parse(f"{{{text}}}") != DEFAULT


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!https://)([^)]+)\)", PAGES[page]):
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_folder_and_file_is_where_it_is_said_to_be() -> None:
    places = [path for name, _ in rows("folder or file") for path in codes(name)]
    assert [path for path in places if not (ROOT / path).exists()] == []
    assert {f"{folder}/" for folder in ("functions", "layers/bridge", "events", "tests", "docs")} <= set(places)
    tools = {f"tools/{path.parent.name}/" for path in (ROOT / "tools").glob("*/__init__.py")}
    assert tools == {path for path in places if path.startswith("tools/")}
    for path in re.findall(r"\b(?:events|docs|layers|tools)/[\w/.-]+\.\w+", SHELL):
        assert (ROOT / path).is_file(), path


def test_every_answer_of_the_ingest_is_explained() -> None:
    reasons = [(status, reason) for status, cell, _ in rows("answer") for reason in codes(cell)]
    assert {reason for _, reason in reasons} == {*Fault, *Refusal}
    assert {status for status, reason in reasons if reason in set(Refusal)} == {"401"}
    ingest = (ROOT / "layers/bridge/purchasely_clevertap/ingest.py").read_text(encoding="utf-8")
    for status, reason in reasons:
        if reason in set(Fault):
            assert f"Fault.{reason.upper()}, {status}" in ingest


def test_every_outcome_and_reason_is_explained() -> None:
    told: dict[str, set[str]] = {}
    outcome = ""
    for first, reason, _ in rows("outcome"):
        outcome = first or outcome
        told.setdefault(outcome, set()).update(codes(reason))
    assert told[Skipped.outcome] == set(SkipReason)
    assert told[Parked.outcome] == set(ParkReason)
    assert told.keys() == {kind.outcome for kind in (Delivered, Duplicate, Skipped, Parked, Retried)}
    forwarding = (ROOT / "layers/bridge/purchasely_clevertap/forwarder.py").read_text(encoding="utf-8")
    for reason in told[Retried.outcome]:
        assert re.sub(r"\d+$", "", reason) in forwarding


def test_the_values_of_the_anonymous_setting_are_those_of_the_code() -> None:
    values = [row[0] for row in rows("`identity.anonymous`")]
    assert [codes(value)[0] for value in values] == list(Anonymous)
    assert [value for value in values if "default" in value] == [f"`{DEFAULT.identity.anonymous}`, the default"]


def test_the_numbers_are_those_of_the_code() -> None:
    retry_policy = RetryPolicy()
    assert set(re.findall(r"(\d+) hours", README)) == {str(retry_policy.fault_ms // 3_600_000)}
    assert f"fault of the set-up, {retry_policy.setup_ms // 86_400_000} days" in README
    assert f"event ids are remembered for {REMEMBERED_SECONDS // 86_400} days" in README
    assert f"of {len(PROFILE_PROPERTIES)} user properties" in README
    assert f"All {len(CATALOGUE)} events" in README
    queues = ("EventsQueue", "ParkedQueue")
    assert {RESOURCES[name]["Properties"]["MessageRetentionPeriod"] for name in queues} == {14 * 86_400}
    assert TEMPLATE["Parameters"]["SignatureToleranceSeconds"]["Default"] == 22 * 86_400


def test_the_example_is_what_the_mapping_makes_of_the_sample_event() -> None:
    event = read((ROOT / "events/purchasely/TRANSACTION_PROCESSED.json").read_bytes())
    assert isinstance(event, Event)
    mapper = Mapper(DEFAULT)
    mapped = mapper.map(event, now_ms=event.created_ms, has_sandbox_account=False)
    assert isinstance(mapped, Mapped)
    profile = mapper.profile_update(mapped.identity, Subscriber().after([event]))
    assert profile is not None
    assert mapped.event is not None
    assert mapped.charged is not None
    assert DOCUMENTS[2] == [json.loads(record) for record in (profile.record, mapped.event, mapped.charged)]


def test_the_page_on_the_apps_side_has_the_prefixes_of_the_code() -> None:
    def prefix(store: str, anonymous_user_id: str) -> str | None:
        settings = parse('{"identity": {"anonymous": "custom_id"}}')
        given = {"store": store, "anonymous_user_id": anonymous_user_id}
        base = {"event_name": "X", "event_created_at_ms": 10**12, "environment": "PRODUCTION", "api_version": 3}
        event = read(json.dumps(base | given).encode())
        assert isinstance(event, Event)
        mapped = Mapper(settings).map(event, now_ms=10**12, has_sandbox_account=False)
        assert isinstance(mapped, Mapped)
        return (mapped.identity.object_id or "").removesuffix(anonymous_user_id)

    table = re.findall(r"^\| (`[A-Z].+?) \| `(.+?)` and the anonymous id \|$", APP_SIDE, re.MULTILINE)
    stated = {store: said for stores, said in table for store in codes(stores)}
    assert len(stated) == 4
    assert {store: prefix(store, "0A-b") for store in stated} == stated
    assert f"`{IOS_ID_PREFIX}` if the anonymous id is in upper case" in APP_SIDE
    assert (prefix("STRIPE", "0A"), prefix("STRIPE", "0a")) == (IOS_ID_PREFIX, ANDROID_ID_PREFIX)
