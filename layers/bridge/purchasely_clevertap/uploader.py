"""Uploads records to the CleverTap project of an app, behind a circuit breaker."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from purchasely_clevertap.aws.credentials import CredentialsStore
from purchasely_clevertap.aws.secrets import Unusable
from purchasely_clevertap.clevertap.account import Credentials, Environment, Region
from purchasely_clevertap.clevertap.client import Client
from purchasely_clevertap.clevertap.response import NotTaken, RecordResult, SetupFault, Upload
from purchasely_clevertap.delivery.batch import is_account_failure
from purchasely_clevertap.delivery.circuit_breaker import CircuitBreaker
from purchasely_clevertap.outcome import GiveUp, RetryReason


class Uploader:
    """Uploads with the credentials of an app. `endpoint` replaces that of the region, if it is not empty."""

    def __init__(
        self, client: Client, credentials: CredentialsStore, breaker: CircuitBreaker, *, endpoint: str
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._breaker = breaker
        self._endpoint = endpoint

    def open_circuits(self, account_ids: Iterable[str]) -> Mapping[str, GiveUp]:
        """The projects that are left alone now, each with the limit of its events' retries."""
        return {
            account_id: GiveUp.OUTAGE if self._breaker.fault(account_id) is None else GiveUp.SETUP
            for account_id in account_ids
            if self._breaker.is_open(account_id)
        }

    def is_failing(self, app: str, environment: Environment) -> bool:
        """Whether the project's last upload failed: the next one may take the 20 seconds of another time-out."""
        credentials = self._credentials.get(app)
        keys = None if isinstance(credentials, Unusable) else credentials.keys.get(environment)
        return keys is not None and self._breaker.is_failing(keys[0])

    def upload(
        self,
        app: str,
        environment: Environment,
        region: Region,
        records: Sequence[bytes],
        *,
        time_left: Callable[[], float],
    ) -> Upload:
        """One result for each record. Never raises.

        The passcode may have been changed since it was read: on a fault of the set-up the secret is read once more, and
        only what it then says is final.
        """
        results: list[RecordResult] = [NotTaken(RetryReason.NOT_SENT)] * len(records)
        pending = list(range(len(records)))
        requests, seconds = 0, 0.0
        for reread in (False, True):
            credentials = self._credentials.get(app, reread=reread)
            if isinstance(credentials, Unusable) or environment not in credentials.keys:
                break
            account_id, passcode = credentials.keys[environment]
            if self._breaker.is_open(account_id) and not reread:
                left_alone = self._breaker.fault(account_id) or NotTaken(RetryReason.CIRCUIT_OPEN)
                results = [left_alone] * len(records)
                break
            target = Credentials(account_id, passcode, self._endpoint or region.endpoint)
            upload = self._client.upload(target, [records[index] for index in pending], time_left=time_left)
            requests += upload.requests
            seconds += upload.seconds
            for index, result in zip(pending, upload.results, strict=True):
                results[index] = result
            self._tell_breaker(account_id, upload)
            pending = [index for index in pending if isinstance(results[index], SetupFault)]
            if not pending or self._credentials.get(app, reread=True) == credentials:
                break
        return Upload(tuple(results), requests, seconds)

    def _tell_breaker(self, account_id: str, upload: Upload) -> None:
        if any(map(is_account_failure, upload.results)):
            fault = next((result for result in upload.results if isinstance(result, SetupFault)), None)
            self._breaker.failed(account_id, fault)
        elif upload.requests:
            self._breaker.answered(account_id)
