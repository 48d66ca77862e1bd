"""What the emulated CleverTap of a local stack has taken, and what it is to do wrong."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from clevertap_emulator import Profile, Stored
from local_stack import PRODUCTION, SANDBOX

ACCOUNTS = (PRODUCTION.account_id, SANDBOX.account_id)

type Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that CleverTap has, and the id of the account that has it."""

    account: str
    record: Record

    @property
    def name(self) -> str:
        """The event's name; "profile" for a profile."""
        return str(self.record.get("evtName", "profile"))


@dataclass(frozen=True, slots=True)
class CleverTap:
    """The emulated CleverTap at `url`."""

    url: str

    def taken(self) -> Iterator[Taken]:
        """Every record, account by account, each in the order in which they came."""
        for account in ACCOUNTS:
            for stored in self._get(f"records?account={account}")["records"]:
                yield Taken(account, stored["record"])

    def stored(self, event_ids: Collection[str]) -> dict[str, list[Stored]]:
        """Every record of these events with what became of its answer, by account."""
        return {
            account: [
                Stored(**each)
                for each in self._get(f"records?account={account}")["records"]
                if each["record"].get("evtData", {}).get("event_id") in event_ids
            ]
            for account in ACCOUNTS
        }

    def profiles(self) -> dict[str, list[Profile]]:
        """Every person, by account."""
        return {
            account: [Profile(**each) for each in self._get(f"profiles?account={account}")["profiles"]]
            for account in ACCOUNTS
        }

    def of(self, event_id: str) -> list[Taken]:
        """The event records of one event of Purchasely's, Charged among them."""
        return [taken for taken in self.taken() if taken.record.get("evtData", {}).get("event_id") == event_id]

    def profile(self, user_id: str) -> Record | None:
        """The properties of a user of the production project; None when there is no such user."""
        for profile in self._get(f"profiles?account={PRODUCTION.account_id}")["profiles"]:
            if user_id in (*profile["identities"], *profile["object_ids"]):
                properties: Record = profile["properties"]
                return properties
        return None

    def violations(self) -> list[Mapping[str, Any]]:
        """What a taken record should not have held."""
        return list(self._get("violations")["violations"])

    def fail(self, **fault: Any) -> None:
        """Does something wrong with every request, until it is mended."""
        answer = requests.post(f"{self.url}/_emulator/faults", json={"times": None, **fault}, timeout=10)
        assert answer.status_code == 200, answer.text

    def mend(self) -> None:
        requests.delete(f"{self.url}/_emulator/faults", timeout=10).raise_for_status()

    def _get(self, what: str) -> Any:
        answer = requests.get(f"{self.url}/_emulator/{what}", timeout=10)
        answer.raise_for_status()
        return answer.json()
