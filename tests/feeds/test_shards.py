"""A stream of several shards, as no engine on one machine has it: throttled, killed, redelivered.

Real records, of a real table, are dealt to shards as DynamoDB does it: those of one row are all in one,
in their order. Each shard has a poller that acts as Lambda's event source mapping does.
"""

import json
import random
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.booking.decisions import SaveOrder
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.batches import Outlet
from chalicelib.feeds.ledger import Ledger
from chalicelib.feeds.names import orders_feed
from chalicelib.feeds.parked import ParkedRecord, ParkedRecords
from chalicelib.feeds.streams import OrdersStream
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.records import DynamoRecords
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import replace
from chalicelib.wire.orders import feed_document
from openbooking.local.delivery import lambda_record
from openbooking.local.engine import streams_client
from openbooking.local.streams import Positions, StreamReader
from tests.support.builders import NOW
from tests.support.engines import (
    DYNOXIDE,
    WITHOUT_DYNOXIDE,
    client_error,
    dynoxide,
    moto,
    new_tables,
    tables_of,
)
from tests.support.orders import an_order

Record = dict[str, Any]

PARTNERS, ORDERS, VERSIONS = 5, 100, 10
SHARDS, BATCH = 4, 100
THROTTLED_FOR = 300.0
REVOKED = "partner-4"


@dataclass(frozen=True)
class Changes:
    """A thousand changes: the records in their shards, and how the Orders stand in the end."""

    url: str
    shards: list[list[Record]]
    orders: dict[OrderKey, Order]


@pytest.fixture(scope="module", params=["moto", pytest.param("dynoxide", marks=pytest.mark.dynoxide)])
def changes(request: pytest.FixtureRequest) -> Iterator[Changes]:
    if request.param == "dynoxide" and not DYNOXIDE:
        pytest.skip(WITHOUT_DYNOXIDE)
    with dynoxide() if request.param == "dynoxide" else moto() as url:
        tables = new_tables("changed", url)
        orders = write_changes(tables, random.Random(1))
        yield Changes(url, dealt(tables), orders)
        tables.connection.client.close()


class Killed(BaseException):
    """The handler's process has ended here. No `except Exception` sees it."""


class Time:
    """Simulated seconds, the same for all threads; each pause advances them."""

    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()

    def pause(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


class Faults:
    """What happens to the calls of the feeds table: throttles for some time, kills now and then."""

    def __init__(self, time: Time, chance: random.Random) -> None:
        self.time, self.chance = time, chance
        self.throttled_from: float | None = None
        self.throttles = self.kills = 0
        self.lock = threading.Lock()

    @property
    def is_throttled(self) -> bool:
        return self.throttled_from is not None and self.time.now - self.throttled_from < THROTTLED_FOR

    def before(self, request: Any, **_: Any) -> None:
        if b"-feeds" not in request.body:
            return
        with self.lock:
            if self.is_throttled:
                self.throttles += 1
                raise client_error("ThrottlingException")
            self._kill(0.05)

    def after(self, parsed: Any, model: Any, **_: Any) -> None:
        """Killed after a transaction took effect: it has published, and nobody knows."""
        if model.name == "TransactWriteItems":
            with self.lock:
                self._kill(0.1)

    def _kill(self, probability: float) -> None:
        if self.kills < 40 and self.chance.random() < probability:
            self.kills += 1
            raise Killed


@dataclass
class Reported:
    """What the handlers have reported."""

    parked: list[str]
    busy: int = 0
    broken: int = 0

    def record_parked(self, parked: ParkedRecord, error: BaseException) -> None:
        self.parked.append(parked.id)

    def batch_retried(self, stream: str, position: str, error: BaseException, *, busy: bool) -> None:
        if busy:
            self.busy += 1
        else:
            self.broken += 1


def write_changes(tables: Tables, chance: random.Random) -> dict[OrderKey, Order]:
    """A thousand changes of a hundred Orders, in any order; how they stand in the end."""
    store = DynamoStore(tables)
    keys = [
        OrderKey(f"partner-{n % PARTNERS}", f"{n:08d}-0000-4000-8000-000000000000") for n in range(ORDERS)
    ]
    versions = dict.fromkeys(keys, 0)
    plain = an_order()
    for key in chance.sample(keys * VERSIONS, ORDERS * VERSIONS):
        versions[key] += 1
        first = replace(plain.items[0], customer_notice=f"change {versions[key]}")
        order = replace(plain, key=key, version=versions[key], items=(first, *plain.items[1:]))
        store.commit([SaveOrder(order, replaces=versions[key] - 1 or None)])
    return {key: order for key, order in store.orders(keys).items() if isinstance(order, Order)}


def dealt(tables: Tables) -> list[list[Record]]:
    """The records of the Orders table, each row's in one of the shards."""
    streams = streams_client(tables.engine.endpoint)
    reader = StreamReader(tables.connection.client, streams, tables.name("orders"), Positions())
    shards: list[list[Record]] = [[] for _ in range(SHARDS)]
    while batch := reader.read(1000):
        for raw in batch.records:
            record = lambda_record(raw, batch.stream_arn)
            row = record["dynamodb"]["Keys"]["order_key"]["S"]
            shards[zlib.crc32(row.encode()) % SHARDS].append(record)
        reader.handled(batch, len(batch.records))
    streams.close()
    return shards


class Follower:
    """A Broker that reads its feeds all the while."""

    def __init__(self, feeds: FeedStore) -> None:
        self.known: dict[OrderKey, Any] = {}
        self.numbers: dict[str, list[int]] = {}
        self._feeds = feeds
        self._after: dict[str, int] = {}
        self._lock = threading.Lock()

    def read(self, seconds: float) -> None:
        """All that is new in all feeds."""
        with self._lock:
            for number in range(PARTNERS):
                self._read_feed(f"partner-{number}", seconds)

    def _read_feed(self, partner_id: str, seconds: float) -> None:
        now = NOW + timedelta(seconds=seconds)
        while True:
            page = self._feeds.page(orders_feed(partner_id), self._after.get(partner_id, 0), 20, now)
            for item in map(json.loads, page.items):
                self.known[OrderKey(partner_id, item["id"])] = item.get("data")
                self.numbers.setdefault(partner_id, []).append(item["modified"])
            if page.last is None:
                return
            self._after[partner_id] = page.last


class Shard:
    """The poller of one shard: retries without end, and delivers some of it twice."""

    def __init__(self, records: list[Record], run: "Run") -> None:
        self.records, self.run = records, run
        self.chance = random.Random(len(records))

    def poll(self) -> None:
        position = failures = 0
        again = 5
        while position < len(self.records):
            batch = self.records[position : position + BATCH]
            done = self._deliver(batch)
            position += done
            self.run.handled(done)
            failures = 0 if done else failures + 1
            if done < len(batch):
                self.run.time.pause(min(0.5 * 2**failures, 30))
            elif again and self.chance.random() < 0.5:
                again -= 1
                position = max(0, position - self.chance.randrange(2 * BATCH))
            self.run.follower.read(self.run.time.now)

    def _deliver(self, batch: list[Record]) -> int:
        """How many of the batch are done with."""
        try:
            handled = self.run.stream.handle(batch)
        except Killed:
            return 0
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        return len(batch) if handled.retry_from is None else numbers.index(handled.retry_from)


class Run:
    """Feeds of their own, and everything that goes wrong with them."""

    def __init__(self, changes: Changes, prefix: str) -> None:
        self.tables = new_tables(prefix, changes.url)
        self.time = Time()
        self.faults = Faults(self.time, random.Random(2))
        self.reported = Reported([])
        self.beside = tables_of(prefix, changes.url)  # no faults on these connections
        self.follower = Follower(DynamoFeeds(self.beside))
        self.parked = ParkedRecords(DynamoPending(self.beside), timedelta(days=30))
        chance = random.Random(3)
        retry = RetryPolicy(self.time.pause, chance.random, lambda: self.time.now)
        outlet = Outlet(
            Ledger(DynamoFeeds(self.tables), retry),
            ParkedRecords(DynamoPending(self.tables), timedelta(days=30)),
            DynamoRecords(),
            retry,
            lambda: NOW + timedelta(seconds=self.time.now),
            self.reported,
        )
        self.stream = OrdersStream(outlet, lambda partner_id, seller_id: partner_id == REVOKED)
        self._done = 0

    def handled(self, count: int) -> None:
        """The throttle begins in the middle."""
        self._done += count
        if self._done >= ORDERS * VERSIONS / 2 and self.faults.throttled_from is None:
            self.faults.throttled_from = self.time.now

    def follow(self, shards: list[list[Record]]) -> None:
        events = self.tables.connection.client.meta.events
        events.register_first("before-send.dynamodb", self.faults.before)
        events.register_first("after-call.dynamodb", self.faults.after)
        with ThreadPoolExecutor(SHARDS) as pool:
            for poller in [pool.submit(Shard(records, self).poll) for records in shards]:
                poller.result()
        self.follower.read(self.time.now + 3600)

    def close(self) -> None:
        for tables in (self.tables, self.beside):
            tables.connection.client.close()


def shown(orders: dict[OrderKey, Order]) -> dict[OrderKey, Any]:
    """What a reader of all feeds has to know."""
    documents = {key: feed_document(order) for key, order in orders.items() if key.partner_id != REVOKED}
    return {key: json.loads(json.dumps(document)) for key, document in documents.items()}


def test_throttled_for_five_minutes_killed_and_redelivered_every_reader_ends_equal_to_the_store(
    changes: Changes,
) -> None:
    run = Run(changes, "healthy")
    run.follow(changes.shards)
    assert min(len(records) for records in changes.shards) > 0
    assert sum(len(records) for records in changes.shards) == ORDERS * VERSIONS
    assert run.follower.known == shown(changes.orders)
    for numbers in run.follower.numbers.values():
        assert numbers == sorted(set(numbers))
    late = Follower(DynamoFeeds(run.beside))
    late.read(run.time.now + 3600)
    assert late.known == run.follower.known
    assert (run.reported.parked, list(run.parked.listed("orders")), run.reported.broken) == ([], [], 0)
    # The faults were there: without retries that never end, changes would be missing.
    assert run.faults.throttles > 20
    assert run.faults.kills > 5
    assert run.reported.busy > 5
    assert run.time.now > THROTTLED_FOR
    run.close()


def test_a_broken_record_among_them_is_parked_once_and_all_others_arrive(changes: Changes) -> None:
    """The change of an Order that is parked is made good by the next one of the same Order."""
    run = Run(changes, "broken")
    shards = [list(records) for records in changes.shards]
    newest = {record["dynamodb"]["Keys"]["order_key"]["S"]: record for record in shards[1]}
    last, early = next(reversed(newest.values())), shards[2][0]
    for records in shards:
        for index, record in enumerate(records):
            if record is last or record is early:
                image = record["dynamodb"]["NewImage"] | {"document": {"B": "AAAA"}}
                records[index] = {**record, "dynamodb": {**record["dynamodb"], "NewImage": image}}
    run.follow(shards)
    parked = list(run.parked.listed("orders"))
    assert {each.id for each in parked} == set(run.reported.parked)
    assert len(parked) == 2
    key = last["dynamodb"]["Keys"]["order_key"]["S"]
    missing = {each for each in shown(changes.orders) if str(each) == key}
    assert len(missing) == 1
    known = run.follower.known
    assert {each for each, data in shown(changes.orders).items() if known.get(each) != data} == missing
    [of_last] = [each for each in parked if each.row == key]
    content = run.parked.content(of_last)
    assert content["dynamodb"]["NewImage"]["document"] == {"B": "AAAA"}
    run.faults.kills, run.faults.throttled_from = 40, None
    content["dynamodb"]["NewImage"] = last["dynamodb"]["NewImage"]
    assert run.stream.handle([content]).parked == ()
    run.follower.read(run.time.now + 7200)
    assert run.follower.known == shown(changes.orders)
    run.close()
