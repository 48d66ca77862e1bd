"""The project's own stack on this machine: the real `template.yaml`, built by `sam build` and deployed by `sam deploy`.

MiniStack stands in for AWS, `clevertap_emulator` for CleverTap. For people `python -m local_stack`, for tests:

    with running(folder, Options(retry_base_seconds=1)) as stack:
        Sender().send(stack.webhook_url(), signed(event, SHARED_SECRET, now))
        stack.client("sqs").receive_message(QueueUrl=stack.outputs["ParkedQueueUrl"])
"""

from .background import LocalStackError
from .stack import (
    PRODUCTION,
    SANDBOX,
    SHARED_SECRET,
    CleverTapAccount,
    LocalStack,
    Options,
    deploy,
    find,
    running,
    start,
    stop,
)

__all__ = [
    "PRODUCTION",
    "SANDBOX",
    "SHARED_SECRET",
    "CleverTapAccount",
    "LocalStack",
    "LocalStackError",
    "Options",
    "deploy",
    "find",
    "running",
    "start",
    "stop",
]
