"""Shared by all calls to DynamoDB: which faults are temporary, and a read across tables."""

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

# Error codes of a call, and reasons of a cancelled transaction.
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

_NAMED = 5  # busy rows or tables in one line of the log

# No answer, or an incomplete one. It is unknown whether the call took effect.
_UNANSWERED = (HTTPClientError, ConnectionError, IncompleteReadError)


def row_name(table: str, *key: str) -> str:
    """The name of a row in the log, or without a key that of a table.

    A key of the identity table may be a person's username, which the log must not contain.
    """
    return table if table.endswith("identity") else " ".join((table, *key))


@contextmanager
def passing_faults(*busy: str) -> Iterator[None]:
    """Turn temporary errors (throttles, conflicts, timeouts) into StoreBusy.

    `busy` names the tables or rows of the call, as `row_name` does.
    """
    try:
        yield
    except (PynamoDBException, ClientError, *_UNANSWERED) as error:
        cause = error.cause if isinstance(error, PynamoDBException) else error
        code = cause.response["Error"].get("Code") if isinstance(cause, ClientError) else None
        if code in PASSING or isinstance(cause, _UNANSWERED):
            raise StoreBusy(busy_with(code or type(cause).__name__, busy)) from error
        raise


def busy_with(reason: str, names: Sequence[str]) -> str:
    """The message of the error: the reason, and the first few busy rows or tables, each once."""
    named = list(dict.fromkeys(names))
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{reason}: {', '.join(named[:_NAMED])}{more}" if named else reason


def _key_name(table: str, key: Raw) -> str:
    return row_name(table, *(str(value["S"]) for value in key.values()))


def batch_get(connection: Connection, keys: Sequence[tuple[str, Raw]]) -> dict[str, list[Raw]]:
    """The rows of these keys by table, strongly consistent; unprocessed keys are requested again.

    PynamoDB's batch reads support one table at a time; a snapshot needs three in one call.
    """
    found: dict[str, list[Raw]] = {}
    waiting = list(keys)
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        request: dict[str, Any] = {}
        for table, key in batch:
            request.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
        with passing_faults(*(_key_name(table, key) for table, key in batch)):
            answer = connection.dispatch("BatchGetItem", {"RequestItems": request})
        for table, items in answer["Responses"].items():
            found.setdefault(table, []).extend(items)
        left = answer.get("UnprocessedKeys") or {}
        again = [(table, key) for table, part in left.items() for key in part["Keys"]]
        if len(again) == len(batch):
            names = [_key_name(*key) for key in again]
            raise StoreBusy(busy_with("no key of a read was processed", names))
        waiting += again
    return found
