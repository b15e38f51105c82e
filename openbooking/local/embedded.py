"""The embedded engine: moto in this process, on a port, so that other processes can use it.

Corrects what would make moto unusable after some hours. Not for measurements or race tests.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

from openbooking.local.engine import REGION, Engine
from openbooking.local.server import HttpServer, bind

# The account that moto derives from our access key.
_ACCOUNT = "123456789012"
_ITERATORS_KEPT = 1000


class EngineRunningError(RuntimeError):
    """An embedded engine was started in a process that has one already."""

    def __init__(self) -> None:
        super().__init__("This process has an embedded engine already, and it can have only one.")


class EmbeddedEngine(Engine):
    """moto, served. Empty at every start.

    moto keeps its data in variables of the process, so there is one at a time: a second one that is
    started meanwhile would empty the first. It raises EngineRunningError.
    """

    keeps_data = False
    _running: ClassVar[bool] = False

    def __init__(self, port: int = 0) -> None:
        """Raises PortTakenError."""
        sockets = bind("127.0.0.1", port)
        # moto does not isolate threads: two concurrent requests would interleave inside one
        # transaction. A single worker queues them.
        self._server = HttpServer(_Moto(), sockets, threads=1)
        super().__init__(f"http://127.0.0.1:{self._server.port}")
        self._started = False

    def start(self) -> None:
        if EmbeddedEngine._running:
            raise EngineRunningError
        EmbeddedEngine._running = self._started = True
        prepare_moto()
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        if self._started:
            EmbeddedEngine._running = self._started = False


class _Moto:
    """moto's WSGI application, imported at the first request."""

    _application: Any = None

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Any:
        if self._application is None:
            from moto.moto_server.werkzeug_app import (
                DomainDispatcherApplication,
                create_backend_app,
            )

            self._application = DomainDispatcherApplication(create_backend_app)
        return self._application(environ, start_response)


def prepare_moto() -> None:
    """Empty moto, and replace what makes it slow. Also for moto inside a process, without a port."""
    from moto.dynamodb.models import dynamodb_backends
    from moto.dynamodbstreams.models import dynamodbstreams_backends

    dynamodb_backends.reset()
    dynamodbstreams_backends.reset()
    dynamodbstreams_backends[_ACCOUNT][REGION].shard_iterators = _RecentIterators()
    backend: Any = dynamodb_backends[_ACCOUNT][REGION]
    backend.transact_write_items = functools.partial(_transact, backend)


class _RecentIterators(dict[str, Any]):
    """The newest shard iterators. moto keeps all of them, and polling never stops."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > _ITERATORS_KEPT:
            del self[next(iter(self))]


def _transact(backend: Any, transact_items: list[dict[str, Any]]) -> None:
    """moto's TransactWriteItems, with our own rollback.

    moto copies each table before a transaction, including its stream, once for every item of the
    transaction: the cost grows with everything that was ever written. After a refusal it replaces the
    table by the copy; iterators continue to read the stream of the discarded table, which contains the
    changes that were rolled back and never gets another record. Here only the rows of the transaction
    are copied and restored.
    """
    rollback = _Rollback(backend, transact_items)
    try:
        type(backend).transact_write_items(backend, transact_items)
    except Exception:
        rollback()
        raise


class _Rollback:
    """The rows of a transaction, and the lengths of the streams, before it."""

    def __init__(self, backend: Any, transact_items: list[dict[str, Any]]) -> None:
        from moto.dynamodb.models.dynamo_type import DynamoType

        self._rows: list[tuple[Any, Any, Any, Any]] = []
        self._streams: dict[int, tuple[list[Any], int]] = {}
        for request in (each for item in transact_items for each in item.values()):
            table = backend.tables.get(request.get("TableName"))
            if table is None:
                continue
            # moto's own copy is then the table itself, and restoring it changes nothing.
            table.__deepcopy__ = functools.partial(_itself, table)
            if table.stream_shard is not None:
                records = table.stream_shard.items
                self._streams.setdefault(id(table), (records, len(records)))
            attributes = request.get("Item") or request.get("Key") or {}
            names = [name for name in (table.hash_key_attr, table.range_key_attr) if name]
            if all(name in attributes for name in names):
                hash_key, *rest = (DynamoType(attributes[name]) for name in names)
                range_key = rest[0] if rest else None
                row = copy.deepcopy(table.get_item(hash_key, range_key))
                self._rows.append((table, hash_key, range_key, row))

    def __call__(self) -> None:
        for table, hash_key, range_key, row in self._rows:
            rows, key = (table.items, hash_key)
            if range_key is not None:
                rows, key = (table.items[hash_key], range_key)
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        for records, length in self._streams.values():
            del records[length:]


def _itself(table: Any, memo: dict[int, Any]) -> Any:
    return table
