"""Tables on the engines that a store is tested on, and what goes to them."""

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import boto3
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.storage.dynamodb.tables import Engine, Tables
from openbooking.local.tables import create_tables

REGION = "eu-west-2"
WITHOUT_DYNOXIDE = "DYNOXIDE does not name the binary of a Dynoxide engine"


class TestedTables(Tables):
    """Tables whose client never retries by itself: a test would have to wait for it."""

    RETRIES: ClassVar[int] = 0


def new_tables(prefix: str, endpoint: str | None = None) -> TestedTables:
    """Empty tables under a prefix; without an endpoint inside moto's `mock_aws`."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("dynamodb", region_name=REGION, endpoint_url=endpoint, **keys)
    create_tables(client, prefix)
    client.close()
    return tables_of(prefix, endpoint)


def tables_of(prefix: str, endpoint: str | None = None) -> TestedTables:
    """The tables under a prefix, for a process of its own."""
    return TestedTables(Engine(prefix, REGION, endpoint, access_key="test", secret_key="test"))


def clear(tables: Tables) -> None:
    """Empty tables in place."""
    client = tables.connection.client
    for row in (tables.details, tables.orders, tables.feeds, tables.identity, tables.pending):
        name, keys = row.Meta.table_name, [row._hash_keyname, row._range_keyname]
        for item in client.get_paginator("scan").paginate(TableName=name).search("Items[]"):
            client.delete_item(TableName=name, Key={key: item[key] for key in keys if key})


class Calls:
    """The calls that go to DynamoDB: counted, and made to fail when a test says so."""

    def __init__(self, tables: Tables) -> None:
        self.made: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._before: dict[str, list[Callable[[], None]]] = {}
        self._after: dict[str, list[Callable[[dict[str, Any]], None]]] = {}
        self._events = tables.connection.client.meta.events
        self._hooks = {
            "before-parameter-build.dynamodb": self._asked,
            "before-send.dynamodb": self._sent,
            "after-call.dynamodb": self._answered,
        }
        for event, hook in self._hooks.items():
            self._events.register_first(event, hook)

    def stop(self) -> None:
        for event, hook in self._hooks.items():
            self._events.unregister(event, hook)

    def before(self, operation: str, *faults: Callable[[], None]) -> None:
        """What happens instead of the next calls of an operation; one entry a call."""
        self._before.setdefault(operation, []).extend(faults)

    def after(self, operation: str, *changes: Callable[[dict[str, Any]], None]) -> None:
        """What is done to the answers of the next calls of an operation; one entry a call."""
        self._after.setdefault(operation, []).extend(changes)

    @property
    def total(self) -> int:
        return self.made.total()

    def forget(self) -> None:
        self.made.clear()
        self.requests.clear()

    def _asked(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.requests.append((model.name, params))

    def _sent(self, request: Any, event_name: str, **_: Any) -> None:
        operation = event_name.rsplit(".", 1)[1]
        self.made[operation] += 1
        if self._before.get(operation):
            self._before[operation].pop(0)()

    def _answered(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if self._after.get(model.name):
            self._after[model.name].pop(0)(parsed)


def goes_through() -> None:
    """No fault: this call goes through."""


def throttled() -> None:
    raise client_error("ThrottlingException")


def timed_out(parsed: dict[str, Any] | None = None) -> None:
    """No answer; after a call this is an answer that was lost, though the call took effect."""
    raise ReadTimeoutError(endpoint_url="http://127.0.0.1")


def cancelled(*codes: str) -> Callable[[], None]:
    """A transaction that was cancelled, with the reason of each action."""

    def fail() -> None:
        reasons = [{"Code": code, "Message": code} for code in codes]
        raise client_error("TransactionCanceledException", CancellationReasons=reasons)

    return fail


def client_error(code: str, **more: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}, **more}, "AnyOperation")
