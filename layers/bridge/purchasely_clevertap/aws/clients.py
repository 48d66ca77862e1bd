"""The AWS clients of the functions, from botocore alone: boto3's resources and transfers would only cost start-up."""

from typing import TYPE_CHECKING, Final, Self, cast

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_firehose import FirehoseClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

_NOTE_SECONDS: Final = 0.3
_ARCHIVE_SECONDS: Final = 1.0


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

    @classmethod
    def of_ingest(cls) -> Self:
        """Purchasely waits 10 s for an answer: whatever does not answer by then must have failed before."""
        return cls(connect_timeout=1, read_timeout=2, attempts=2)

    @classmethod
    def of_forwarder(cls) -> Self:
        """A call that hangs costs seconds, not all the time of the function."""
        return cls(connect_timeout=2, read_timeout=5, attempts=4)

    def sqs(self) -> "SQSClient":
        """Simple Queue Service."""
        return cast("SQSClient", self._session.create_client("sqs", config=self._config))

    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB."""
        return cast("DynamoDBClient", self._session.create_client("dynamodb", config=self._config))

    def dynamodb_for_notes(self) -> "DynamoDBClient":
        """DynamoDB for the notes of ingest: the forwarder makes the same ones, so they must not cost the answer."""
        return cast("DynamoDBClient", self._session.create_client("dynamodb", config=self._hurried(_NOTE_SECONDS)))

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

    def firehose_for_archive(self) -> "FirehoseClient":
        """Firehose, which no event may wait for: what it does not take in a second goes another way."""
        from purchasely_clevertap.aws import firehose_json  # ingest has no archive

        client = self._session.create_client("firehose", config=self._hurried(_ARCHIVE_SECONDS))
        firehose_json.pass_on(client)
        return cast("FirehoseClient", client)

    def s3_for_archive(self) -> "S3Client":
        """S3, as `firehose_for_archive` is."""
        return cast("S3Client", self._session.create_client("s3", config=self._hurried(_ARCHIVE_SECONDS)))

    def _hurried(self, seconds: float) -> Config:
        return self._config.merge(
            Config(connect_timeout=seconds, read_timeout=seconds, retries={"mode": "standard", "total_max_attempts": 1})
        )
