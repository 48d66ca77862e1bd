"""The metrics that AWS's services publish by themselves, as far as the template names any, and by which dimensions.

Sources: AWS's pages "HTTP API metrics", "Available CloudWatch metrics for Amazon SQS", "Types of metrics for Lambda
functions", "DynamoDB Metrics and Dimensions", "Monitoring Amazon SNS topics using CloudWatch" and "Monitoring usage
with CloudWatch metrics" of CloudWatch Logs.
"""

from collections.abc import Mapping
from typing import Final

PUBLISHED: Final[Mapping[str, Mapping[tuple[str, ...], frozenset[str]]]] = {
    "AWS/ApiGateway": {
        ("ApiId",): frozenset({"4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency"}),
    },
    "AWS/DynamoDB": {
        ("TableName",): frozenset(
            {
                "ConsumedReadCapacityUnits",
                "ConsumedWriteCapacityUnits",
                "ReadThrottleEvents",
                "TimeToLiveDeletedItemCount",
                "TransactionConflict",
                "WriteThrottleEvents",
            }
        ),
        ("Operation", "TableName"): frozenset({"SuccessfulRequestLatency", "SystemErrors", "ThrottledRequests"}),
    },
    "AWS/Lambda": {
        ("FunctionName",): frozenset({"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"}),
    },
    "AWS/Logs": {("LogGroupName",): frozenset({"IncomingBytes", "IncomingLogEvents"})},
    "AWS/SNS": {
        ("TopicName",): frozenset(
            {"NumberOfMessagesPublished", "NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"}
        ),
    },
    "AWS/SQS": {
        ("QueueName",): frozenset(
            {
                "ApproximateAgeOfOldestMessage",
                "ApproximateNumberOfMessagesDelayed",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesVisible",
                "NumberOfEmptyReceives",
                "NumberOfMessagesDeleted",
                "NumberOfMessagesReceived",
                "NumberOfMessagesSent",
                "SentMessageSize",
            }
        ),
    },
}
"""By namespace, then by the names of the dimensions in the order of the alphabet."""


def is_published(namespace: str, metric: str, dimensions: Mapping[str, str]) -> bool:
    """Whether AWS publishes such a metric."""
    return metric in PUBLISHED.get(namespace, {}).get(tuple(sorted(dimensions)), ())
