"""The bridge as it is installed, in this process: ingest answers HTTP, and behind it a forwarder that is never late,
and an emulated CleverTap. `bridge` is run on it by a cli of its own."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, Final, override

import boto3
import pytest
import requests

from bridge_cli.account import Account
from bridge_cli.probe import Stopwatch
from clevertap_emulator import Emulator
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.ingest import Refused, Request, WebhookReceiver
from purchasely_sender import signed
from tests.integration.cli import Cli
from tests.integration.cloud import STAGE, Cloud
from tests.integration.webhook import message

STACK: Final = f"purchasely-clevertap-{STAGE}"
SECRET: Final = "secret-1"
ACCOUNTS: Final = {"PROJECT-1": "passcode-1", "TEST-2": "passcode-2"}
PLACEHOLDERS: Final[Mapping[str, Any]] = {
    "purchasely": {"shared_secrets": ["REPLACE_ME"]},
    "clevertap": {"production": {"account_id": "REPLACE_ME", "passcode": "REPLACE_ME"}},
}


@dataclass
class Deployed:
    """What moto cannot tell: the stack, its alarms, and what takes the queues' messages. Plays CloudFormation and
    Lambda."""

    endpoint: str
    key: str = ""
    log_level: str = "INFO"
    status: str = "UPDATE_COMPLETE"
    alarms: list[str] = field(default_factory=list)
    mappings: list[str] = field(default_factory=lambda: ["Enabled"])
    switched: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    dashboards: tuple[str, ...] = ("events", "resources")
    quota: int = 1000
    kept_for_ingest: int | None = None
    version: str = "7"
    key_state: str = "Enabled"
    is_gone: bool = False
    meta = SimpleNamespace(region_name="eu-west-1")

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        if self.is_gone:
            return {"Stacks": []}
        parameters = {"CleverTapEndpoint": self.endpoint, "KmsKeyArn": self.key, "LogLevel": self.log_level}
        parameters |= self.parameters
        shown = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        return {"Stacks": [{"StackStatus": self.status, "Parameters": shown}]}

    def get_template_summary(self, **_: str) -> dict[str, Any]:
        defaults = {"KmsKeyArn": "", "LogLevel": "INFO", "MaxConcurrency": "5", "AlarmEmail": ""}
        return {"Parameters": [{"ParameterKey": key, "DefaultValue": value} for key, value in defaults.items()]}

    def get_account_settings(self) -> dict[str, Any]:
        left = self.quota - (self.kept_for_ingest or 0)
        return {"AccountLimit": {"ConcurrentExecutions": self.quota, "UnreservedConcurrentExecutions": left}}

    def get_function_concurrency(self, **_: str) -> dict[str, Any]:
        return {} if self.kept_for_ingest is None else {"ReservedConcurrentExecutions": self.kept_for_ingest}

    def get_alias(self, **_: str) -> dict[str, Any]:
        return {"FunctionVersion": self.version}

    def get_function_configuration(self, **_: str) -> dict[str, Any]:
        return {"State": "Active", "LastUpdateStatus": "Successful"}

    def describe_key(self, **_: str) -> dict[str, Any]:
        return {"KeyMetadata": {"KeyState": self.key_state}}

    def get_paginator(self, _operation: str) -> "Deployed":
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        topic = {"ResourceType": "AWS::SNS::Topic", "PhysicalResourceId": "topic"}
        alarms = [{"ResourceType": "AWS::CloudWatch::Alarm", "PhysicalResourceId": name} for name in self.alarms]
        boards = [
            {"ResourceType": "AWS::CloudWatch::Dashboard", "PhysicalResourceId": name} for name in self.dashboards
        ]
        return [{"StackResourceSummaries": [topic, *boards]}, {"StackResourceSummaries": alarms}]

    def list_event_source_mappings(self, EventSourceArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        states = [self.switched.get(EventSourceArn, state) for state in self.mappings]
        return {"EventSourceMappings": [{"UUID": EventSourceArn, "State": state} for state in states]}

    def update_event_source_mapping(self, UUID: str, Enabled: bool) -> dict[str, Any]:  # noqa: N803
        self.switched[UUID] = "Enabled" if Enabled else "Disabled"
        return {"State": "Enabling" if Enabled else "Disabling"}


class Installation(Cli):
    """A stack that was just deployed: the app named default has placeholders. `seconds` is what time it is at ingest
    and for the waits of a command."""

    def __init__(self, cloud: Cloud, clevertap: Emulator, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(cloud, monkeypatch)
        self.cloud = cloud
        self.clevertap = clevertap
        self.url = url
        self.seconds = 1000.0
        self.forwards = True
        self.deployed = Deployed(clevertap.url)
        self.sns, self.cloudwatch = boto3.client("sns"), boto3.client("cloudwatch")
        self._clients: dict[str, object] = {
            "cloudformation": self.deployed,
            "kms": self.deployed,
            "lambda": self.deployed,
            "cloudwatch": cloud.calls.watch(self.cloudwatch),
            "sns": cloud.calls.watch(self.sns),
            "dynamodb": cloud.dynamodb,
            "logs": boto3.client("logs"),
            "secretsmanager": cloud.secretsmanager,
            "sqs": cloud.sqs,
            "ssm": cloud.ssm,
        }
        monkeypatch.setattr(Account, "client", lambda _, service: self._clients[service])
        for name in self.deployed.dashboards:
            self.cloudwatch.put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
        topic = self.sns.create_topic(Name="alarms")["TopicArn"]
        outputs = Account.outputs
        assert isinstance(outputs, dict)
        monkeypatch.setattr(Account, "outputs", outputs | {"WebhookUrl": f"{url}/default", "AlarmTopicArn": topic})
        clock = Stopwatch(lambda: self.seconds, self.wait)
        for module in ("check", "pause", "resume", "setup", "rotate"):
            monkeypatch.setattr(f"bridge_cli.commands.{module}.Stopwatch", lambda: clock)
        cloud.clock.ms = time.time_ns() // 1_000_000
        for name, document in PLACEHOLDERS.items():
            cloud.put_secret(name, document)
        cloud.put_settings({})
        self._ingest: WebhookReceiver = self.ingest()

    def ingest(self) -> WebhookReceiver:
        """Ingest, with nothing read yet."""
        return self.cloud.receiver(tolerance=3600, seconds=lambda: self.seconds)

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.cloud.clock.advance(seconds)

    def set_up(self, app: str = "default", *, sandbox: bool = True, shared_secret: str = SECRET) -> None:
        """Gives an app what it needs."""
        accounts = {"production": {"account_id": "PROJECT-1", "passcode": "passcode-1"}}
        if sandbox:
            accounts["sandbox"] = {"account_id": "TEST-2", "passcode": "passcode-2"}
        self.cloud.put_secret("purchasely", {"shared_secrets": [shared_secret]}, app=app)
        self.cloud.put_secret("clevertap", accounts, app=app)
        self.cloud.put_settings({"region": "eu1"}, app=app)
        self.cloud.calls.made.clear()

    def secret(self, name: str, app: str = "default") -> Any:
        """The document in a secret; None when there is no such secret."""
        found = self.cloud.secrets(name).get(app)
        return found if isinstance(found, dict) else None

    def settings(self, app: str = "default") -> str:
        """The text of an app's settings."""
        return self.cloud.ssm.get_parameter(Name=f"/purchasely-clevertap/{STAGE}/{app}/settings")["Parameter"]["Value"]

    def post(self, body: bytes, *, secret: str, app: str = "default") -> int:
        """Posts a webhook as Purchasely would; the status of the answer."""
        webhook = signed(body, secret, int(time.time()))
        return requests.post(
            f"{self.url}/{app}", data=webhook.body, headers=dict(webhook.headers), timeout=10
        ).status_code

    def take(self, app: str, headers: Mapping[str, str], body: bytes) -> int:
        """The way of a webhook: ingest, and at once the forwarder. The status of the answer."""
        answer = self._ingest.receive(Request(app, headers, body), now=time.time())
        if isinstance(answer, Refused):
            return answer.status
        self.cloud.drain(self.cloud.events_url)
        if self.forwards:
            worker = self.cloud.worker(Client(), endpoint=self.clevertap.url)
            worker.outcome(message(body, id=answer.message_id, app=app, sent_at=self.cloud.clock()))
        return 200

    @property
    def uploaded(self) -> list[str]:
        """The names of the event records that CleverTap's projects have taken."""
        return [
            str(stored.record["evtName"])
            for account in ACCOUNTS
            for stored in self.clevertap.records(account)
            if stored.record["type"] == "event"
        ]


@contextmanager
def installed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation for as long as the block lasts."""
    there: list[Installation] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(there[0].take(self.path.rpartition("/")[2], dict(self.headers.items()), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with Emulator(accounts=ACCOUNTS) as clevertap, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/webhooks"
            there.append(Installation(cloud, clevertap, url, monkeypatch))
            yield there[0]
        finally:
            server.shutdown()
