"""What every call to DynamoDB shares: which faults pass by themselves, and a read across tables."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException

from chalicelib.storage.errors import StoreBusy

# A row as DynamoDB itself writes it: {"spaces_left": {"N": "5"}}.
Raw: TypeAlias = Mapping[str, Mapping[str, Any]]

_BATCH = 100  # keys in one BatchGetItem

# As errors of a call, and as reasons of a cancelled transaction.
PASSING = {
    "DependencyTimeoutException",
    "InternalFailure",
    "InternalServerError",
    "KMSInternalException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottledException",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}

# No answer, or half of one. Whether the call took effect is not known.
_UNANSWERED = (HTTPClientError, ConnectionError, IncompleteReadError)


@contextmanager
def passing_faults() -> Iterator[None]:
    """Turn what will pass by itself (throttles, conflicts, timeouts) into StoreBusy."""
    try:
        yield
    except (PynamoDBException, ClientError, *_UNANSWERED) as error:
        cause = error.cause if isinstance(error, PynamoDBException) else error
        code = cause.response["Error"].get("Code") if isinstance(cause, ClientError) else None
        if code in PASSING or isinstance(cause, _UNANSWERED):
            raise StoreBusy(str(error)) from error
        raise


def batch_get(connection: Connection, keys: Sequence[tuple[str, Raw]]) -> dict[str, list[Raw]]:
    """The rows of these keys by table, strongly consistent; what was left unprocessed is asked for again.

    PynamoDB's own batch reads know one table at a time; a snapshot needs three in one call.
    """
    found: dict[str, list[Raw]] = {}
    waiting = list(keys)
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        request: dict[str, Any] = {}
        for table, key in batch:
            request.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
        with passing_faults():
            answer = connection.dispatch("BatchGetItem", {"RequestItems": request})
        for table, items in answer["Responses"].items():
            found.setdefault(table, []).extend(items)
        left = answer.get("UnprocessedKeys") or {}
        again = [(table, key) for table, part in left.items() for key in part["Keys"]]
        if len(again) == len(batch):
            raise StoreBusy("no key of a read was processed")
        waiting += again
    return found
