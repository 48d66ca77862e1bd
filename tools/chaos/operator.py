"""The operator's own commands, run on the simulated stack while traffic goes on."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

import click

from bridge_cli import parked_messages
from bridge_cli.account import Account
from bridge_cli.commands import forget

from .aws import DELIVERIES, SUBSCRIBERS, Aws, connections
from .bridge import STAGE
from .simulation import Simulation


class _Account(Account):
    """The account of the simulated stack."""

    def client(self, service: Any) -> Any:
        clients = connections()
        return {"dynamodb": clients.dynamodb, "sqs": clients.sqs}[service]


def run_forget(simulation: Simulation, aws: Aws, user_id: str, *options: str, app: str = "default") -> int:
    """`bridge forget` for one user; its exit code."""
    account = _Account(STAGE, STAGE)
    account.__dict__["outputs"] = {
        "DeliveriesTableName": DELIVERIES,
        "SubscribersTableName": SUBSCRIBERS,
        "ParkedQueueUrl": aws.parked.url,
        "DeadLetterQueueUrl": aws.dead_letters.url,
    }
    return _run(simulation, forget.command, account, [user_id, "--app", app, "--yes", "--json", *options])


def _run(simulation: Simulation, command: click.Command, account: Account, arguments: Sequence[str]) -> int:
    with (
        patch("bridge_cli.account._account", lambda **_: account),
        patch.object(forget, "now_ms", simulation.now_ms),
        # One call at a time: virtual time knows one thread of each task.
        patch.object(parked_messages, "_CALLS_AT_ONCE", 1),
        patch.object(parked_messages, "WAIT_SECONDS", 0),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        try:
            command.main([*arguments], prog_name="bridge", standalone_mode=False)
        except click.exceptions.Exit as ended:
            return ended.exit_code
    return 0
