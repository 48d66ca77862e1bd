"""The settings of one app, as far as they decide what CleverTap is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ENTITLEMENTS = frozenset({"ACTIVATE", "DEACTIVATE"})

type Anonymous = Literal["hold", "skip", "identity", "custom_id"]
type Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """`production` and `sandbox` are the CleverTap accounts; None for a sandbox whose events go nowhere.

    `only_sent` names the events that are sent when all others are switched off; None switches off `switched_off`
    alone. `where` holds, for each event, the allowed values by webhook key. `lapse_after_hours` has the keys
    `cancelled` and `renewing`, each None for never. `suppressed` are the ids of people who must be forgotten.
    """

    production: str
    sandbox: str | None
    switched_off: frozenset[str] = ENTITLEMENTS
    only_sent: frozenset[str] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    anonymous: Anonymous = "hold"
    hold_days: int = 30
    clevertap_id_keys: tuple[str, ...] = ("clevertap_id",)
    refuse: frozenset[str] = frozenset()
    charged: bool = True
    currency: Literal["integration", "customer"] = "integration"
    refunds: str | None = "Refunded"
    proceeds: Mapping[str, float] | None = None
    profile: bool = True
    prefix: str = ""
    profile_names: Mapping[str, str] = field(default_factory=dict)
    profile_omits: frozenset[str] = frozenset()
    lapse_after_hours: Mapping[str, int | None] = field(default_factory=lambda: {"cancelled": 48, "renewing": 336})
    no_sandbox: str = "no_sandbox_account"
    suppressed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings, production: str, sandbox: str | None) -> "Policy":
        """The policy that a settings document means for an app with these accounts."""
        events: Mapping[str, Any] = settings.get("events", {})
        everything = events.get("*", {}).get("send", True)
        sent = frozenset(name for name, entry in events.items() if name != "*" and entry.get("send", everything))
        unsent = frozenset(name for name, entry in events.items() if not entry.get("send", everything))
        identity, revenue = settings.get("identity", {}), settings.get("revenue", {})
        refunds: Mapping[str, Any] = {"send": True, "name": "Refunded"} | dict(revenue.get("refunds", {}))
        profile = settings.get("profile", {})
        mode = settings.get("sandbox", "separate")
        # An entry that does not say `send` leaves ACTIVATE and DEACTIVATE off.
        entitlements = frozenset(name for name in ENTITLEMENTS if not events.get(name, {}).get("send", False))
        return cls(
            production=production,
            sandbox={"separate": sandbox, "mix": production, "skip": None}[mode],
            switched_off=unsent | entitlements,
            only_sent=None if everything else sent - entitlements,
            names={name: entry["name"] for name, entry in events.items() if "name" in entry},
            where={
                name: {key: frozenset(allowed) for key, allowed in entry["where"].items()}
                for name, entry in events.items()
                if "where" in entry
            },
            anonymous=identity.get("anonymous", "hold"),
            hold_days=identity.get("hold_days", 30),
            clevertap_id_keys=tuple(identity.get("clevertap_id_keys", ("clevertap_id",))),
            refuse=frozenset(identity.get("refuse", ())),
            charged=revenue.get("charged", True),
            currency=revenue.get("currency", "integration"),
            refunds=refunds["name"] if refunds["send"] else None,
            proceeds=revenue.get("proceeds"),
            profile=profile.get("send", True),
            prefix=profile.get("prefix", ""),
            profile_names=profile.get("rename", {}),
            profile_omits=frozenset(profile.get("omit", ())),
            lapse_after_hours={"cancelled": 48, "renewing": 336} | dict(profile.get("lapse_after_hours", {})),
            no_sandbox="sandbox_switched_off" if mode == "skip" else "no_sandbox_account",
        )

    def sends(self, name: str) -> bool:
        """Whether events of that name are sent at all."""
        return name not in self.switched_off and (self.only_sent is None or name in self.only_sent)
