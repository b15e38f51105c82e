"""Appending to a feed: what comes twice, late or out of order changes nothing, and nobody misses anything."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.feeds.ledger import FeedItem, Ledger
from chalicelib.storage.errors import FeedMoved, StillBusy, StoreBusy, StoreContended
from chalicelib.storage.feeds import FeedEntry, FeedState, FeedStore
from chalicelib.storage.retry import RetryPolicy
from tests.support.builders import NOW
from tests.support.memory import MemoryFeeds

FEED = "slots"
Json = dict[str, Any]


def retry(attempts: int = 200) -> RetryPolicy:
    return RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5, attempts=attempts)


def item(item_id: str, version: int, **changes: Any) -> FeedItem:
    return FeedItem(item_id, "Slot", version, changes.get("data", {"version": version}))


def gone(item_id: str, version: int) -> FeedItem:
    return FeedItem(item_id, "Slot", version, None)


def harvest(store: FeedStore, after: int = 0, limit: int = 500) -> list[Json]:
    """Everything that a reader gets from here to the end."""
    found: list[Json] = []
    while True:
        page = store.page(FEED, after, limit, NOW)
        found += [json.loads(text) for text in page.items]
        if page.last is None:
            return found
        after = page.last


def versions(store: FeedStore) -> dict[str, int | None]:
    """What a reader knows at the end: the version of each item, None where it is deleted."""
    known: dict[str, int | None] = {}
    for each in harvest(store):
        known[each["id"]] = each["data"]["version"] if each["state"] == "updated" else None
    return known


def test_a_batch_is_folded_to_the_newest_version_of_each_item() -> None:
    store = MemoryFeeds()
    assert Ledger(store, retry()).publish(FEED, [item("a", 1), item("b", 1), item("a", 2)], NOW) == 2
    assert versions(store) == {"a": 2, "b": 1}


def test_a_redelivered_batch_changes_nothing() -> None:
    store = MemoryFeeds()
    ledger = Ledger(store, retry())
    batch = [item("a", 1), item("b", 3)]
    ledger.publish(FEED, batch, NOW)
    before = harvest(store)
    assert ledger.publish(FEED, batch, NOW) == 0
    assert harvest(store) == before


def test_a_late_version_changes_nothing() -> None:
    store = MemoryFeeds()
    ledger = Ledger(store, retry())
    ledger.publish(FEED, [item("a", 5)], NOW)
    ledger.publish(FEED, [item("a", 4)], NOW)
    assert versions(store) == {"a": 5}


def test_what_was_never_shown_is_not_taken_back_and_does_not_come_to_life_late() -> None:
    """DEL-03."""
    store = MemoryFeeds()
    ledger = Ledger(store, retry())
    assert ledger.publish(FEED, [gone("a", 2)], NOW) == 0
    assert ledger.publish(FEED, [item("a", 1)], NOW) == 0
    assert harvest(store) == []


def test_what_was_shown_is_shown_deleted_without_data() -> None:
    """RPDE-02."""
    store = MemoryFeeds()
    ledger = Ledger(store, retry())
    ledger.publish(FEED, [item("a", 1)], NOW)
    ledger.publish(FEED, [gone("a", 2)], NOW)
    assert harvest(store) == [{"state": "deleted", "kind": "Slot", "id": "a", "modified": 2}]


def test_each_id_stands_once_and_numbers_only_grow() -> None:
    """RPDE-06: an update moves the item to the end."""
    store = MemoryFeeds()
    ledger = Ledger(store, retry())
    for version in range(1, 6):
        ledger.publish(FEED, [item("a", version), item(f"b{version}", 1)], NOW)
    found = harvest(store)
    numbers = [each["modified"] for each in found]
    assert numbers == sorted(set(numbers))
    assert len({each["id"] for each in found}) == len(found) == 6


def test_a_large_batch_takes_several_transactions() -> None:
    store = MemoryFeeds()
    assert Ledger(store, retry()).publish(FEED, [item(str(n), 1) for n in range(100)], NOW) == 100
    assert len(harvest(store)) == 100


class Measured(MemoryFeeds):
    """Notes how much goes into each transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        self.sizes.append(sum(len(entry.text or "") for entry in entries))
        super().append(feed_id, counter, entries, now)


def test_large_items_share_no_more_than_a_transaction_takes() -> None:
    """DynamoDB takes 4 MB in one."""
    store = Measured()
    large = [item(str(n), 1, data={"version": 1, "text": "x" * 350_000}) for n in range(20)]
    assert Ledger(store, retry()).publish(FEED, large, NOW) == 20
    assert max(store.sizes) < 4_000_000
    assert versions(store) == {str(n): 1 for n in range(20)}


class Contended(MemoryFeeds):
    """Refuses the first appends, as where other writers are faster."""

    def __init__(self, *faults: Exception) -> None:
        super().__init__()
        self.faults = list(faults)

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        if self.faults:
            raise self.faults.pop()
        super().append(feed_id, counter, entries, now)


def test_who_is_overtaken_tries_again() -> None:
    store = Contended(FeedMoved(FEED), StoreBusy("busy"))
    assert Ledger(store, retry()).publish(FEED, [item("a", 1)], NOW) == 1


def test_who_is_overtaken_for_ever_gives_up() -> None:
    store = Contended(*[FeedMoved(FEED)] * 1000)
    with pytest.raises(StillBusy):
        Ledger(store, retry(attempts=3)).publish(FEED, [item("a", 1)], NOW)


class Waits(Exception):
    """A writer would wait here."""


class Rivalled(MemoryFeeds):
    """Each time one writer has read the feed, another one publishes at once, unless it has to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.is_rival = False
        self.version = 0

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        state = super().state(feed_id, item_ids)
        if not self.is_rival:
            self.is_rival = True
            self.version += 1
            with suppress(Waits):
                rival = RetryPolicy(waits, lambda: 0.1, lambda: 0.0)
                Ledger(self, rival).publish(FEED, [item("rival", self.version)], NOW)
            self.is_rival = False
        return state


def waits(seconds: float) -> None:
    raise Waits


class WithoutTurns(Rivalled):
    def take_turn(self, feed_id: str, writer: str, now: datetime, until: datetime) -> None:
        pass


def test_no_writer_of_a_feed_starves_beside_a_faster_one() -> None:
    """After some lost races it is left a turn."""
    store = Rivalled()
    assert Ledger(store, retry()).publish(FEED, [item("a", 1)], NOW) == 1
    assert store.version <= 2
    assert versions(store)["a"] == 1


def test_without_turns_it_would_starve() -> None:
    with pytest.raises(StillBusy):
        Ledger(WithoutTurns(), retry(3)).publish(FEED, [item("a", 1)], NOW)


def test_a_turn_whose_writer_has_gone_ends_by_itself() -> None:
    store, seconds = MemoryFeeds(), [0.0]
    Ledger(store, retry()).publish(FEED, [item("a", 1)], NOW)
    store.take_turn(FEED, "gone", NOW, NOW + timedelta(seconds=2))

    def pause(some: float) -> None:
        seconds[0] += some

    waiting = RetryPolicy(pause, lambda: 0.5, lambda: seconds[0])
    assert Ledger(store, waiting).publish(FEED, [item("a", 2)], NOW) == 1
    assert 2 <= seconds[0] < 2.2


def test_pauses_grow_for_a_busy_store_and_not_for_a_lost_race() -> None:
    for fault, grows in ((StoreBusy("busy"), True), (FeedMoved(FEED), False), (StoreContended("x"), False)):
        pauses: list[float] = []
        policy = RetryPolicy(pauses.append, lambda: 1.0, lambda: 0.0, attempts=6)
        Ledger(Contended(*[fault] * 5), policy).publish(FEED, [item("a", 1)], NOW)
        assert (pauses[-1] > 10 * pauses[0]) is grows


def test_several_writers_and_a_reader_beside_them_end_equal_to_the_store() -> None:
    """No reader can miss an item, wherever it stands while others write (RPDE-06)."""
    store = MemoryFeeds()

    def write(writer: int) -> None:
        ledger = Ledger(store, retry(10_000))
        for version in range(1, 30):
            ledger.publish(FEED, [item(f"{writer}-{n}", version) for n in range(3)], NOW)

    known: dict[str, int] = {}

    def read_on(after: int) -> int:
        page = store.page(FEED, after, 7, NOW)
        for text in page.items:
            each = json.loads(text)
            known[each["id"]] = each["data"]["version"]
        return after if page.last is None else page.last

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, number) for number in range(4)]
        position = 0
        while not all(writer.done() for writer in writers):
            position = read_on(position)
    for writer in writers:
        writer.result()
    while (further := read_on(position)) != position:
        position = further
    assert known == {f"{writer}-{n}": 29 for writer in range(4) for n in range(3)}


CHANGES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), min_size=1, max_size=30
)


@given(CHANGES, st.integers(1, 5))
def test_the_newest_version_wins_in_whatever_order_and_batches_they_come(
    changes: list[tuple[str, int, bool]], size: int
) -> None:
    newest: dict[str, int] = {}
    is_gone = {(name, version): flag for name, version, flag in changes}
    for name, version, _ in changes:
        newest[name] = max(newest.get(name, 0), version)
    items = [gone(n, v) if is_gone[n, v] else item(n, v) for n, v, _ in changes]
    store = MemoryFeeds()
    ledger = Ledger(store, retry())
    for start in range(0, len(items), size):
        ledger.publish(FEED, items[start : start + size], NOW)
    known = versions(store)
    for name, version in newest.items():
        assert known.get(name) == (None if is_gone[name, version] else version)
