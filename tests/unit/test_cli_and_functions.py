"""What `bridge` checks and writes is what ingest and the forwarder read, whatever stands in files and secrets."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge_cli.__main__ import bridge
from bridge_cli.account import Account
from bridge_cli.app_setup import Keys, Present, Wanted
from bridge_cli.cli_error import CliError
from bridge_cli.commands.setup import write
from bridge_cli.configuration import Configuration, fitting
from bridge_cli.finding import of_clevertap_secret, of_purchasely_secret
from bridge_cli.secret_document import account_keys, shared_secrets, with_account, with_shared_secret
from purchasely_clevertap.aws.build import Connections, Resources, build_receiver
from purchasely_clevertap.aws.credentials import AppCredentials, CredentialsStore
from purchasely_clevertap.aws.secrets import Secrets
from purchasely_clevertap.aws.settings_store import SettingsStore, SettingsUnavailable
from purchasely_clevertap.clevertap.account import Environment, Region
from purchasely_clevertap.ingest import Request
from purchasely_clevertap.mapping.settings import Settings, parse
from purchasely_sender import signed

NOW: Final = 1_770_000_000.0
STAGE: Final = "test"
PARAMETER: Final = f"/purchasely-clevertap/{STAGE}/default/settings"


class Missing(ClientError):
    """AWS does not have it."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "NotFound", "Message": ""}}, "Get")


class Aws:
    """Parameter Store and Secrets Manager, each of which has one app; a queue and a table that take everything."""

    exceptions = SimpleNamespace(
        ParameterNotFound=Missing, ParameterVersionNotFound=Missing, ResourceNotFoundException=Missing
    )

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.secret: str | None = None

    def get_parameter(self, **asked: str) -> Mapping[str, Any]:
        name, _, version = asked["Name"].partition(":")
        if name != PARAMETER or not self.versions:
            raise Missing
        number = int(version or len(self.versions))
        return {"Parameter": {"Name": name, "Version": number, "Value": self.versions[number - 1]}}

    def put_parameter(self, **given: Any) -> Mapping[str, Any]:
        # Parameter Store, PutParameter: 1 byte to 8 KB.
        assert given["Name"] == PARAMETER
        assert 1 <= len(given["Value"].encode()) <= 8192
        self.versions.append(given["Value"])
        return {"Version": len(self.versions)}

    def get_secret_value(self, **_: str) -> Mapping[str, Any]:
        if self.secret is None:
            raise Missing
        return {"SecretString": self.secret}

    def send_message(self, **_: object) -> Mapping[str, Any]:
        return {"MessageId": "m-1"}

    def update_item(self, **_: object) -> Mapping[str, Any]:
        return {}

    def stored(self) -> tuple[Settings | None, tuple[str, ...]]:
        """The settings that a forwarder has which begins now, and what is wrong with the newest."""
        refused: list[tuple[str, ...]] = []
        store = SettingsStore(
            cast("Any", self), stage=STAGE, clock=lambda: NOW, refused=lambda *told: refused.append(told[2])
        )
        found = store.mapper("default")
        return None if isinstance(found, SettingsUnavailable) else found.settings, refused[0] if refused else ()


@contextmanager
def account_of(aws: Aws) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Account, "client", lambda _self, _service: aws)
        yield Account(STAGE, "stack", None, None)


def run(aws: Aws, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    """The exit code of a command and what it says, as JSON if asked for."""
    with account_of(aws):
        result = CliRunner().invoke(bridge, ["--stage", STAGE, *arguments], input=stdin, prog_name="bridge")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


# What people, editors and programs write

PADDING = st.sampled_from(["", "\n", "\r\n\t ", "\ufeff", "\ufeff\n", "\x0b", "\u00a0", "\x00"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 500),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["eu1", "IN1", "hold", "skip", "mix", "send", "REPLACE_ME", "\ud83d", "x" * 600]),
)
VALUES = st.recursive(
    LEAVES,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=6), each, max_size=3),
    max_leaves=6,
)
NAMES = st.one_of(st.text(max_size=8), st.sampled_from(["TRIAL_STARTED", "*", "price", "plan"]))
VALID = st.fixed_dictionaries(
    {},
    optional={
        "region": st.sampled_from(["eu1", "SG1"]),
        "events": st.dictionaries(NAMES, st.fixed_dictionaries({"send": st.booleans()}), max_size=3),
        "event_properties": st.fixed_dictionaries({"omit": st.lists(NAMES, max_size=3)}),
        "profile": st.fixed_dictionaries({"prefix": st.text(max_size=4)}),
        "identity": st.fixed_dictionaries({"hold_days": st.integers(0, 40), "refuse": st.lists(NAMES, max_size=2)}),
        "late_events": st.fixed_dictionaries({"after_minutes": st.integers(0, 300)}),
    },
)
# Beyond 4 KB, beyond 8 KB, and beyond 4 KB only for its spaces.
LARGE = st.tuples(st.sampled_from([100, 200, 500]), st.sampled_from([0, 20])).map(
    lambda size: json.dumps({"event_properties": {"omit": [f"property_{n}" for n in range(size[0])]}}, indent=size[1])
)
ODD = st.sampled_from(
    [
        "",
        "{}",
        "[]",
        '{"region": "eu1", "region": "in1"}',
        '{"late_events": {"after_minutes": NaN}}',
        '{"late_events": {"after_minutes": 1e400}}',
        f'{{"late_events": {{"after_minutes": {"9" * 5000}}}}}',
        '{"region": "eu1"} // ours',
        '{"region": "eu1",}',
        '{"identity": {"refuse": ["\\ud800"]}}',
        '{"identity": {"refuse": ["\\u0000"]}}',
        f'{{"events": {"[" * 3000}{"]" * 3000}}}',
        f"{'[' * 100_000}{']' * 100_000}",
    ]
)
WRITTEN = st.one_of(
    ODD,
    LARGE,
    st.text(max_size=20),
    st.tuples(VALID | VALUES, st.booleans()).map(lambda made: json.dumps(made[0], ensure_ascii=made[1])),
)
TEXTS = st.builds("{}{}{}".format, PADDING, WRITTEN, PADDING)


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, errors="surrogatepass" if encoding.startswith("utf") else "replace")


FILES = st.builds(_encoded, TEXTS, st.sampled_from(["utf-8"] * 6 + ["utf-16", "latin-1"])) | st.binary(max_size=30)

thorough = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


# Settings


@given(content=FILES)
@thorough
def test_what_check_accepts_the_forwarder_reads(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(content)
    checked, told = run(Aws(), "settings", "check", str(file), "--json")
    aws = Aws()
    put, _ = run(aws, "settings", "put", str(file), "--yes")
    if checked == 0:
        wanted = parse(content.decode())
        if put == 0:
            assert aws.stored() == (wanted, ())
            assert run(aws, "settings", "show")[0] == 0
        else:
            with pytest.raises(CliError):
                fitting(content.decode())
            assert aws.versions == []
        return
    assert (checked, put) == (1, 1)
    assert aws.versions == []
    if "problems" in (document := json.loads(told)):
        # Somebody may still have put it there without `bridge`.
        aws.versions.append(content.decode())
        assert aws.stored() == (None, tuple(document["problems"]))
        assert run(aws, "settings", "show")[0] == 1


@given(content=FILES)
@thorough
def test_stdin_is_read_as_a_file_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(content)
    code, told = run(Aws(), "settings", "check", str(file), "--json")
    code_of_stdin, told_of_stdin = run(Aws(), "settings", "check", "-", "--json", stdin=content)
    assert code == code_of_stdin
    assert code in (0, 1)
    one, other = json.loads(told), json.loads(told_of_stdin)
    assert (one.get("problems"), one.get("warnings")) == (other.get("problems"), other.get("warnings"))


WANTED = st.builds(
    Wanted,
    st.sampled_from(Region),
    st.just(Keys("P-1", "passcode")),
    st.just("new-secret"),
    st.none() | st.just(Keys("P-2", "other")),
    st.none() | st.sampled_from(Region),
)


@given(text=TEXTS | VALID.map(json.dumps), wanted=WANTED)
@thorough
def test_setup_leaves_settings_that_are_read(text: str, wanted: Wanted) -> None:
    with account_of(aws := Aws()) as account:
        aws.versions.append(text)
        before = Configuration(account, "default").settings()
        assert (before.held, before.problems) == aws.stored()
        if before.problems:
            return
        stored = json.loads(text.strip("\ufeff \t\r\n"))
        after = wanted.applied(Present({}, {}, stored))
        try:
            Configuration(account, "default").put_settings(json.dumps(after.settings, ensure_ascii=False))
        except CliError:
            assert aws.versions == [text]
            return
    held, problems = aws.stored()
    assert problems == ()
    assert held is not None
    assert held.region is wanted.region
    assert held.model_dump(exclude={"region", "sandbox_region"}) == parse(text).model_dump(
        exclude={"region", "sandbox_region"}
    )


def test_settings_too_large_left_new_credentials_behind() -> None:
    aws = Aws()
    too_large = {"event_properties": {"omit": [f"property_{number}" for number in range(600)]}}
    after = Present({"shared_secrets": ["new"]}, {"production": {}}, too_large)
    with account_of(aws) as account, pytest.raises(CliError):
        # Nothing here takes a secret: to write one is an error of its own.
        write(Configuration(account, "default"), Present(), after, lambda _: None)
    assert aws.versions == []


# Secrets

PROJECT = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {}, optional={"account_id": LEAVES | st.just("P-1"), "passcode": LEAVES | st.just("passcode"), "note": VALUES}
    ),
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "shared_secrets": VALUES | st.lists(st.text(max_size=6) | LEAVES.map(str), max_size=3),
        "production": PROJECT | st.just({"account_id": "P-1", "passcode": "passcode"}),
        "sandbox": PROJECT,
        "note": VALUES,
    },
)
SECRETS = st.builds("{}{}{}".format, PADDING, DOCUMENTS.map(json.dumps) | WRITTEN, PADDING) | st.none()


def status(aws: Aws, secret: str) -> int:
    """What ingest answers to a webhook that was signed with `secret`."""
    client = cast("Any", aws)
    receiver = build_receiver(
        Connections(client, client, client),
        Resources(STAGE, "https://queue", "deliveries"),
        tolerance=60,
        seconds=lambda: NOW,
    )
    webhook = signed(b"{}", secret, int(NOW))
    return receiver.receive(Request("default", webhook.headers, webhook.body), now=NOW).status


def credentials(aws: Aws) -> AppCredentials | None:
    """What a forwarder that begins now uploads with."""
    secrets = Secrets(cast("Any", aws), stage=STAGE, name="clevertap", clock=lambda: NOW)
    found = CredentialsStore(secrets).get("default")
    return found if isinstance(found, AppCredentials) else None


@given(text=SECRETS)
@thorough
def test_check_judges_secrets_as_the_functions_do(text: str | None) -> None:
    aws = Aws()
    aws.secret = text
    with account_of(aws) as account:
        secret = Configuration(account, "default").secret("purchasely")
    found = of_purchasely_secret("default", secret).found
    answer = next((code for code in (404, 503) if f"answered {code}" in found), 401)
    assert status(aws, "nobody's secret") == answer
    for each in shared_secrets(secret) if isinstance(secret, Mapping) else ():
        assert status(aws, each) == 200
    used, judged = credentials(aws), of_clevertap_secret("default", secret)
    assert (used is None) is ("events wait" in judged.found)
    if used is not None and isinstance(secret, Mapping):
        assert used.keys == {each: keys for each in Environment if (keys := account_keys(secret, each)) is not None}


@given(document=DOCUMENTS, sandbox=st.booleans())
@thorough
def test_what_is_written_to_a_secret_is_read(document: Mapping[str, Any], *, sandbox: bool) -> None:
    project, aws = Environment.SANDBOX if sandbox else Environment.PRODUCTION, Aws()
    changed = with_account(with_shared_secret(document, "new-secret"), project, "P-9", "new-passcode")
    aws.secret = json.dumps(changed)
    accepted = ("new-secret", *(each for each in shared_secrets(document) if each != "new-secret"))
    assert shared_secrets(changed) == accepted
    assert {status(aws, each) for each in accepted} == {200}
    assert changed.get("note") is document.get("note")
    other = Environment.PRODUCTION if sandbox else Environment.SANDBOX
    assert account_keys(changed, other) == account_keys(document, other)
    used = credentials(aws)
    if project is Environment.PRODUCTION or account_keys(document, other) is not None:
        assert used is not None
        assert used.keys[project] == ("P-9", "new-passcode")
