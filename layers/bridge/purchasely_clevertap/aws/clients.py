"""The AWS clients of the functions, from botocore alone: boto3's resources and transfers would only cost start-up."""

from typing import TYPE_CHECKING, cast

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient


class Clients:
    """Makes clients that share one session; timeouts in seconds, `attempts` in all."""

    def __init__(self, *, connect_timeout: float, read_timeout: float, attempts: int) -> None:
        self._session = botocore.session.Session()
        self._config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # AWS checks what it is asked: to check every value here too took some 30 % of a full batch's time. And
            # `dynamodb_json` leaves nothing that would pass.
            parameter_validation=False,
            # Else it is put together anew for every call, from a dozen parts that never change.
            user_agent="purchasely-clevertap",
        )

    def sqs(self) -> "SQSClient":
        """Simple Queue Service."""
        return cast("SQSClient", self._session.create_client("sqs", config=self._config))

    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB."""
        return cast("DynamoDBClient", self._session.create_client("dynamodb", config=self._config))

    def dynamodb_for_notes(self, *, seconds: float) -> "DynamoDBClient":
        """DynamoDB for what may fail: one try, and no longer than this for the connection and for the answer."""
        return cast("DynamoDBClient", self._session.create_client("dynamodb", config=self._hurried(seconds)))

    def dynamodb_for_batches(self) -> "DynamoDBClient":
        """DynamoDB, with calls of a hundred items that take little processor time."""
        from purchasely_clevertap.aws import dynamodb_json  # ingest has no batches

        client = self._session.create_client("dynamodb", config=self._config)
        dynamodb_json.pass_on(client)
        return cast("DynamoDBClient", client)

    def secretsmanager(self) -> "SecretsManagerClient":
        """Secrets Manager."""
        return cast("SecretsManagerClient", self._session.create_client("secretsmanager", config=self._config))

    def secretsmanager_for_log(self, *, seconds: float) -> "SecretsManagerClient":
        """Secrets Manager for what may fail, as `dynamodb_for_notes` is."""
        client = self._session.create_client("secretsmanager", config=self._hurried(seconds))
        return cast("SecretsManagerClient", client)

    def ssm(self) -> "SSMClient":
        """Systems Manager, for its Parameter Store."""
        return cast("SSMClient", self._session.create_client("ssm", config=self._config))

    def _hurried(self, seconds: float) -> Config:
        return self._config.merge(
            Config(connect_timeout=seconds, read_timeout=seconds, retries={"mode": "standard", "total_max_attempts": 1})
        )
