"""Measures the delay of changes in feeds: with other writers, large items, busy feeds, or an import.

Run it with `python -m bench.feeds_under_load`, with the path of the engine's binary in DYNOXIDE. The results are in
docs/reliability.md.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median, quantiles
from typing import Any

import app
from bench.crew import Crew, meet
from bench.installation import Installation, new_uuid
from chalicelib.feeds.batches import Batch, FeedChange, Outlet
from chalicelib.feeds.ledger import FeedItem, Ledger
from chalicelib.feeds.parked import ParkedRecords
from chalicelib.runtime.system import install
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.records import DynamoRecords
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.feeds import MAX_ENTRIES
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, replace
from openbooking.local.delivery import DeadLetters
from openbooking.local.engine import dynamodb_client, streams_client
from openbooking.local.pump import StreamPump
from openbooking.local.streams import Positions, StreamReader
from tests.support.engines import running_engine

PREFIX = "load"
WRITERS, BATCHES = 4, 20
ROUNDS = 5
IMPORTED = 1000
_OPEN_FEED = "scheduled-sessions"


class GrowingPauses(RetryPolicy):
    """The policy until release 0.1.0: a writer that loses a race waits longer each time."""

    def turns(self) -> Iterator[int]:
        return self.tries()


@dataclass(frozen=True)
class Waits:
    """The delays of some changes, in seconds."""

    seconds: list[float]

    def __str__(self) -> str:
        *_, last = (
            quantiles(self.seconds, n=100, method="inclusive") if len(self.seconds) > 1 else self.seconds
        )
        return f"median {median(self.seconds):.3f} s, 99 of 100 within {last:.2f} s, longest {max(self.seconds):.2f} s"


# --- writers of one feed ---------------------------------------------------------------------------


def contended(url: str, policy: type[RetryPolicy], writers: int = WRITERS) -> Waits:
    """Several writers of one feed, like the shards of a stream: the time of each batch of 99 changes."""
    with Crew(writers) as crew:
        feed = new_uuid()
        work = [(partial(_write, url, feed, policy),) for _ in range(writers)]
        return Waits([each for found in crew.run(_do, work) for each in found])


def _do(part: Callable[[], Any]) -> Any:
    return part()


def _write(url: str, feed: str, policy: type[RetryPolicy]) -> list[float]:
    installation = Installation(PREFIX, url)
    ledger = Ledger(DynamoFeeds(installation.tables), policy(time.sleep, random.random))
    ledger.publish(new_uuid(), [_item(1000)], datetime.now(UTC))
    meet()
    waits = []
    for _ in range(BATCHES):
        items = [_item(1000) for _ in range(3 * MAX_ENTRIES)]
        began = time.perf_counter()
        while True:
            with suppress(StillBusy):  # the stream delivers the batch again
                ledger.publish(feed, items, datetime.now(UTC))
                break
        waits.append(time.perf_counter() - began)
    installation.tables.connection.client.close()
    return waits


def _item(size: int) -> FeedItem:
    return FeedItem(new_uuid(), "ScheduledSession", 1, {"description": "x" * size})


# --- feeds of one batch ----------------------------------------------------------------------------


class Noting(DynamoFeeds):
    """Records when each feed was last written, and reports that one feed is busy."""

    def __init__(self, installation: Installation, busy: str = "") -> None:
        super().__init__(installation.tables)
        self.busy = busy
        self.written: dict[str, float] = {}

    def append(self, feed_id: str, counter: int, entries: Any, now: datetime) -> None:
        if feed_id == self.busy:
            raise StoreBusy("busy")
        super().append(feed_id, counter, entries, now)
        self.written[feed_id] = time.perf_counter()


def beside(installation: Installation, size: int, *, busy: bool = False) -> Waits:
    """The delays of small changes of four partners, in a batch with 30 changes of `size` bytes of a fifth."""
    waits = []
    for number in range(ROUNDS):
        first = f"orders#{size}-{busy}-{number}-0"
        feeds = Noting(installation, first if busy else "")
        retry = RetryPolicy(time.sleep, random.random)
        ledger = Ledger(feeds, retry)
        parked = ParkedRecords(installation.system().pending, timedelta(days=30))
        outlet = Outlet(
            ledger, parked, DynamoRecords(), retry, lambda: datetime.now(UTC), installation.system().telemetry
        )
        records = [{"dynamodb": {"SequenceNumber": str(each)}} for each in range(46)]
        ids = [first] * 30 + [f"{first[:-1]}{1 + each % 4}" for each in range(16)]
        changes = [
            FeedChange(record, feed, _item(size if feed == first else 1000))
            for record, feed in zip(records, ids, strict=True)
        ]
        batch = Batch("orders", records, outlet)
        began = time.perf_counter()
        batch.publish(changes)
        batch.handled()
        waits += [at - began for feed, at in feeds.written.items() if feed != first]
    return Waits(waits)


# --- an import ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Import:
    """The delays of changes of one session in its open feed while an import published many others.

    `importing` are the seconds that the import takes alone, `following` those that the stream's handler takes
    alone for the same number of records.
    """

    waits: Waits
    importing: float
    following: float

    def __str__(self) -> str:
        return (
            f"{self.waits}; the handler needs {self.following / self.importing:.2f} of the time of the import"
        )


def beside_an_import(installation: Installation) -> Import:
    """An import in another process at the same time as the stream's handler; then each of the two alone."""
    install(installation.system())
    probe, seed = installation.session(10), installation.session(10)
    work = [(installation.url, seed.id)]
    with Crew(1) as crew, _pumping(installation) as pump:
        importer = threading.Thread(target=crew.run, args=(_import, work))
        importer.start()
        waits = []
        while importer.is_alive():
            waits.append(_change(installation, probe.id))
            time.sleep(0.2)
        pump.stop.set()
        pump.news.set()
        while pump.step().handled:
            pass
        began = time.perf_counter()
        crew.run(_import, work)
        importing = time.perf_counter() - began
        began = time.perf_counter()
        while pump.step().handled:
            pass
        following = time.perf_counter() - began
    return Import(Waits(waits), importing, following)


@contextmanager
def _pumping(installation: Installation) -> Iterator[StreamPump]:
    assert installation.url
    clients = dynamodb_client(installation.url), streams_client(installation.url)
    reader = StreamReader(*clients, installation.tables.name("inventory"), Positions())
    pump = StreamPump("inventory_stream", reader, app.inventory_stream, dead_letters=DeadLetters(None))
    while pump.step().handled:
        pass
    thread = threading.Thread(target=pump.run, args=(0.05,))
    thread.start()
    try:
        yield pump
    finally:
        pump.stop.set()
        pump.news.set()
        thread.join()
        for client in clients:
            client.close()


def _import(url: str, seed: str) -> None:
    installation = Installation(PREFIX, url)
    listing, _ = installation.store.listings([seed])[seed]
    for _ in range(IMPORTED // 20):
        copies = [
            replace(listing, version=1, opportunity=replace(listing.opportunity, id=f"{seed}-{new_uuid()}"))
            for _ in range(20)
        ]
        installation.store.publish_together([(copy, 10) for copy in copies])
    installation.tables.connection.client.close()


def _change(installation: Installation, opportunity_id: str) -> float:
    """Publish the session again. Returns the seconds until the feed contains the new version."""
    store, feeds = installation.store, DynamoFeeds(installation.tables)
    listing, capacity = store.listings([opportunity_id])[opportunity_id]
    assert capacity is not None
    store.publish(replace(listing, version=listing.version + 1), 10)
    wanted = listing.version + 1 + capacity.version + 1
    began = time.perf_counter()
    while True:
        pointer = feeds.state(_OPEN_FEED, [opportunity_id]).pointers.get(opportunity_id)
        if pointer is not None and pointer.version >= wanted:
            return time.perf_counter() - began
        time.sleep(0.01)


def main() -> None:
    """Run and print all measurements."""
    with running_engine() as url:
        installation = Installation(PREFIX, url)
        installation.create()
        print(f"one writer of one feed: {contended(url, RetryPolicy, 1)}", flush=True)
        for name, policy in (("short pauses", RetryPolicy), ("growing pauses", GrowingPauses)):
            print(f"{WRITERS} writers of one feed, {name}: {contended(url, policy)}", flush=True)
        for name, size, busy in (("small", 1000, False), ("large", 100_000, False), ("busy", 1000, True)):
            print(f"changes together with {name} ones: {beside(installation, size, busy=busy)}", flush=True)
        print(f"changes during an import of {IMPORTED}: {beside_an_import(installation)}")
        installation.close()


if __name__ == "__main__":
    main()
