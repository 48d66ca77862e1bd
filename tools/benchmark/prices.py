"""AWS's list prices, and what can't be measured on this machine: how long AWS and CleverTap take to answer.

Prices are those of us-east-1 in November 2026, in USD, on arm64, without any free tier, as the pages named stated them.
"""

from typing import Final

GATEWAY_MILLION: Final = 1.00  # Amazon API Gateway pricing, HTTP APIs, up to 300 million requests a month
LAMBDA_MILLION: Final = 0.20  # AWS Lambda pricing, requests
LAMBDA_GB_SECOND: Final = 0.0000133334  # AWS Lambda pricing, arm64, duration
SQS_MILLION: Final = 0.40  # Amazon SQS pricing, standard queues; 64 KB of payload are a request
SQS_FAIR_MILLION: Final = 0.10  # the same, on top, for messages with a group on a standard queue
DYNAMODB_WRITTEN_MILLION: Final = 0.625  # Amazon DynamoDB pricing, on demand, write request units of 1 KB
DYNAMODB_READ_MILLION: Final = 0.125  # the same, read request units of 4 KB
DYNAMODB_GB_MONTH: Final = 0.45  # the same, storage 0.25 and point-in-time recovery 0.20
FIREHOSE_GB: Final = (
    0.029  # Amazon Data Firehose pricing, direct put, the first 500 TB a month; records in steps of 5 KB
)
FIREHOSE_FILED_GB: Final = 0.020  # the same, dynamic partitioning; the hours of reading keys are not in it
LOGS_GB: Final = 0.50  # Amazon CloudWatch pricing, logs, collected; metrics in them are priced for a stack, not by line
DATA_OUT_GB: Final = 0.09  # Amazon EC2 pricing, data transfer out to the internet, up to 10 TB a month
SECRETS_MILLION: Final = 5.00  # AWS Secrets Manager pricing: 0.05 for 10 000 calls
PARAMETERS_MILLION: Final = 0.00  # AWS Systems Manager pricing, Parameter Store, standard throughput

# AWS Lambda, configure function memory: at 1769 MB a function has one processor.
PROCESSOR_MB: Final = 1769.0

# Assumed, in milliseconds: neither AWS nor CleverTap promises any. Items and records go on top of the call.
SQS_MS: Final = 8.0
UPDATE_MS: Final = 5.0
READ_MS: Final = 10.0  # BatchGetItem
STATEMENTS_MS: Final = 10.0  # BatchExecuteStatement
STATEMENT_MS: Final = 0.5
UPLOAD_MS: Final = 150.0
UPLOAD_RECORD_MS: Final = 0.3
