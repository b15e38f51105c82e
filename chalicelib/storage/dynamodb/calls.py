"""Shared by all calls to DynamoDB: which faults are temporary, and a read across tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
)
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

# A throttled table may process a few keys of each call. After so many calls that left some, the read is busy.
_INCOMPLETE_READS = 4

_NAMED = 5  # busy rows or tables in one line of the log

# No answer, or an incomplete or damaged one. It is unknown whether the call took effect.
_UNANSWERED = (HTTPClientError, ConnectionError, IncompleteReadError, ChecksumError)


def row_name(table: str, *key: str) -> str:
    """The name of a row in the log, or without a key that of a table.

    A key of the identity table may be a person's username, which the log must not contain.
    """
    return table if table.endswith("identity") else " ".join((table, *key))


@contextmanager
def passing_faults(*busy: str, rows: Callable[[], Sequence[str]] = tuple) -> Iterator[None]:
    """Turn temporary errors (throttles, conflicts, timeouts) into StoreBusy.

    `busy` names the tables or rows of the call, as `row_name` does. Where there are many, `rows` returns
    them, and is only called after an error.
    """
    try:
        yield
    except (PynamoDBException, ClientError, *_UNANSWERED) as error:
        cause = error.cause if isinstance(error, PynamoDBException) else error
        code = cause.response["Error"].get("Code") if isinstance(cause, ClientError) else None
        if code in PASSING or isinstance(cause, _UNANSWERED):
            raise StoreBusy(busy_with(code or type(cause).__name__, (*busy, *rows()))) from error
        raise


def busy_with(reason: str, names: Sequence[str]) -> str:
    """The message of the error: the reason, and the first few busy rows or tables, each once."""
    named = list(dict.fromkeys(names))
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{reason}: {', '.join(named[:_NAMED])}{more}" if named else reason


def _key_names(keys: Sequence[tuple[str, Raw]]) -> list[str]:
    return [row_name(table, *(str(value["S"]) for value in key.values())) for table, key in keys]


def batch_get(connection: Connection, keys: Sequence[tuple[str, Raw]]) -> dict[str, list[Raw]]:
    """The rows of these keys by table, strongly consistent; unprocessed keys are requested again.

    PynamoDB's batch reads support one table at a time; a snapshot needs three in one call.
    """
    found: dict[str, list[Raw]] = {}
    waiting, incomplete = list(keys), 0
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        request: dict[str, Any] = {}
        for table, key in batch:
            request.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
        with passing_faults(rows=partial(_key_names, batch)):
            answer = connection.dispatch("BatchGetItem", {"RequestItems": request})
        for table, items in answer["Responses"].items():
            found.setdefault(table, []).extend(items)
        left = answer.get("UnprocessedKeys") or {}
        again = [(table, key) for table, part in left.items() for key in part["Keys"]]
        incomplete += bool(again)
        if len(again) == len(batch) or incomplete == _INCOMPLETE_READS:
            raise StoreBusy(busy_with("not all keys of a read were processed", _key_names(again)))
        waiting += again
    return found
