"""A Purchasely app of the local stack: its set-up, its webhooks, and what becomes of them."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge_cli.balance import Balance, balances
from bridge_cli.deliveries import Delivery, all_deliveries
from local_stack import SHARED_SECRET, LocalStack
from local_stack.stack import STAGE
from purchasely_sender import Payload, Sender, Webhook, signed
from tests.end_to_end.eventually import eventually


@dataclass(slots=True)
class App:
    """`answers` are the statuses that its webhooks were answered with."""

    stack: LocalStack
    sender: Sender
    name: str = "default"
    secret: str = SHARED_SECRET
    answers: list[int | None] = field(default_factory=list)

    def put_secret(self, which: str, value: object) -> None:
        """Puts the secret `purchasely` or `clevertap`, as a person would."""
        secrets, name = self.stack.client("secretsmanager"), f"purchasely-clevertap/{STAGE}/{self.name}/{which}"
        try:
            secrets.put_secret_value(SecretId=name, SecretString=json.dumps(value))
        except secrets.exceptions.ResourceNotFoundException:
            secrets.create_secret(Name=name, SecretString=json.dumps(value))

    def put_settings(self, **settings: object) -> None:
        self.stack.client("ssm").put_parameter(
            Name=f"/purchasely-clevertap/{STAGE}/{self.name}/settings",
            Value=json.dumps(settings),
            Type="String",
            Overwrite=True,
        )

    def send(self, webhook: Webhook) -> int | None:
        """The status that the webhook is answered with."""
        status = self.sender.send(self.stack.webhook_url(self.name), webhook).status
        self.answers.append(status)
        return status

    def tell(self, *events: Payload) -> None:
        """Sends the events, rightly signed; each is answered 200."""
        for event in events:
            assert self.send(signed(event, self.secret, int(time.time()))) == 200

    def deliveries(self) -> dict[str, Delivery]:
        """What is remembered, by event id."""
        found = all_deliveries(self.stack.client("dynamodb"), self.stack.outputs["DeliveriesTableName"], app=self.name)
        return {each.event_id: each for each in found}

    def settled(self, events: Iterable[Payload]) -> dict[str, Delivery]:
        """What became of the events, by their ids, once each has its outcome."""
        ids = {event["event_id"] for event in events}

        def look() -> dict[str, Delivery]:
            return {event_id: each for event_id, each in self.deliveries().items() if event_id in ids}

        return eventually(look, lambda seen: seen.keys() == ids and all(each.outcome for each in seen.values()))

    def becomes(self, outcome: str, event: Payload) -> None:
        """Waits until the event has that outcome."""
        eventually(lambda: self.deliveries()[event["event_id"]].outcome, lambda seen: seen == outcome)

    def only(self) -> Delivery:
        """What became of the app's only event."""
        (delivery,) = eventually(
            self.deliveries, lambda seen: len(seen) == 1 and all(each.outcome for each in seen.values())
        ).values()
        return delivery

    def balance(self) -> Balance:
        """The app's balance, once nothing is under way any more."""

        def look() -> Balance:
            drawn = balances(self.deliveries().values(), queued=0, now_ms=int(time.time() * 1000), settled_after_ms=0)
            return drawn[self.name]

        accepted = self.answers.count(200)
        return eventually(look, lambda seen: seen.received == accepted and not seen.in_flight)
