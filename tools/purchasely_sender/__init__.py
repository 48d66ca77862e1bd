"""An imitation of Purchasely: realistic lifecycles of subscribers, sent as signed webhooks.

It shares no code with the receiver, so that each can prove the other wrong.
"""

from .lifecycles import LIFECYCLES, Lifecycle, Scenario, many
from .payload import Payload, encode
from .sender import Answer, Resent, Sender, resend, retry_delay
from .special import SPECIALS, Special
from .webhook import Webhook, sign, signed

__all__ = [
    "LIFECYCLES",
    "SPECIALS",
    "Answer",
    "Lifecycle",
    "Payload",
    "Resent",
    "Scenario",
    "Sender",
    "Special",
    "Webhook",
    "encode",
    "many",
    "resend",
    "retry_delay",
    "sign",
    "signed",
]
