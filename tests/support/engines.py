"""The engines that tests and measurements run on, tables on them, and what goes to them."""

import json
import os
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import boto3
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.storage.dynamodb.tables import Engine, Tables
from openbooking.local.embedded import EmbeddedEngine, prepare_moto
from openbooking.local.tables import create_tables

REGION = "eu-west-2"
DYNOXIDE = os.environ.get("DYNOXIDE", "")
ENGINE_NAME = "Dynoxide" if DYNOXIDE else "moto"
WITHOUT_DYNOXIDE = "DYNOXIDE does not name the binary of a Dynoxide engine"


@contextmanager
def running_engine() -> Iterator[str]:
    """An empty engine that forgets everything when it ends; its URL."""
    with dynoxide() if DYNOXIDE else moto() as url:
        yield url


@contextmanager
def dynoxide(folder: Path | None = None) -> Iterator[str]:
    """A Dynoxide engine on a free port, with its data in memory or in `folder`; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = ["--db-path", str(folder / "dynoxide.db")] if folder else []
    process = subprocess.Popen(
        [DYNOXIDE, "--port", str(port), *kept], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        # It says so when it listens; reading waits for that.
        if not any("listening" in line for line in process.stdout):
            raise RuntimeError("Dynoxide ended before it listened.")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def moto() -> Iterator[str]:
    """moto in this process, behind a port of its own as `make run` has it; its URL."""
    with EmbeddedEngine() as engine:
        yield engine.url


@contextmanager
def simulated_aws() -> Iterator[None]:
    """moto in this process, without a port: calls are answered before they are sent."""
    from moto import mock_aws

    with mock_aws():
        prepare_moto()
        yield


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
        name, keys = row.Meta.table_name, _key_names(row)
        for item in client.get_paginator("scan").paginate(TableName=name).search("Items[]"):
            client.delete_item(TableName=name, Key={key: item[key] for key in keys})


# The rows of all tables, as DynamoDB writes them, by table and key.
Rows = dict[str, dict[str, dict[str, Any]]]


def rows_of(tables: Tables) -> Rows:
    """Everything that is in these tables."""
    client, found = tables.connection.client, Rows()
    for row in (tables.details, tables.orders, tables.feeds, tables.identity, tables.pending):
        name, keys = row.Meta.table_name, _key_names(row)
        items = client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True).search("Items[]")
        found[name] = {json.dumps([item[key] for key in keys]): item for item in items}
    return found


def put_back(tables: Tables, rows: Rows) -> None:
    """Make everything in these tables as it was."""
    client, present = tables.connection.client, rows_of(tables)
    for row in (tables.details, tables.orders, tables.feeds, tables.identity, tables.pending):
        name, keys = row.Meta.table_name, _key_names(row)
        now = present[name]
        for key in now.keys() - rows[name].keys():
            client.delete_item(TableName=name, Key={part: now[key][part] for part in keys})
        for key, item in rows[name].items():
            if now.get(key) != item:
                client.put_item(TableName=name, Item=item)


def _key_names(row: Any) -> list[str]:
    return [key for key in (row._hash_keyname, row._range_keyname) if key]


class Calls:
    """The calls that go to DynamoDB: counted, and made to fail when a test says so."""

    def __init__(self, tables: Tables) -> None:
        self.made: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._before: dict[str, list[Callable[[], None]]] = {}
        self._after: dict[str, list[Callable[[dict[str, Any]], None]]] = {}
        self._events = tables.connection.client.meta.events
        self._hooks: dict[str, Callable[..., None]] = {
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

    def during(self, act: Callable[[], object]) -> list[tuple[str, dict[str, Any]]]:
        """The operations that `act` asks for, in order, with their parameters."""
        self.forget()
        act()
        return list(self.requests)

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
