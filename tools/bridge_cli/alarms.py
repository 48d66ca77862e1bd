"""The alarms of the stack, as CloudWatch has them now, and whom SNS tells of them."""

from typing import Final

from bridge_cli.account import Account
from bridge_cli.deployment import resources
from bridge_cli.finding import Alarm

_KINDS: Final = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
_MOST: Final = 100  # CloudWatch, DescribeAlarms


def alarms(account: Account) -> list[Alarm]:
    """The stack's alarms, a hundred a call. Raises ClientError."""
    names = [name for kind in _KINDS for name in resources(account, kind)]
    found: list[Alarm] = []
    for start in range(0, len(names), _MOST):
        described = account.client("cloudwatch").describe_alarms(
            AlarmNames=names[start : start + _MOST], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found += (
            Alarm(alarm["AlarmName"], alarm["StateValue"], alarm.get("AlarmDescription", ""))
            for alarm in (*described.get("MetricAlarms", ()), *described.get("CompositeAlarms", ()))
        )
    return found


def subscriptions(account: Account) -> list[str]:
    """The ARN of each subscription to the alarms; another word stands for one that is not confirmed. Raises
    ClientError."""
    pages = account.client("sns").get_paginator("list_subscriptions_by_topic")
    return [
        subscription["SubscriptionArn"]
        for page in pages.paginate(TopicArn=account.output("AlarmTopicArn"))
        for subscription in page["Subscriptions"]
    ]
