"""From stream records to feeds: what each record brings, and what a record that cannot be read holds up."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from chalicelib.booking.quote import quote
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.feeds.ledger import Ledger
from chalicelib.feeds.streams import publish_inventory, publish_orders
from chalicelib.storage.attempts import Patience
from chalicelib.storage.feed_store import FeedEntry, MemoryFeeds
from chalicelib.storage.memory import MemoryStore
from chalicelib.storage.port import Listing, StoreBusy
from chalicelib.storage.rows import order_row
from chalicelib.storage.tables import Engine, Tables
from tests.support.builders import (
    KEY,
    NOW,
    SELLER_ID,
    SESSION_ID,
    a_moment,
    a_request,
    a_snapshot,
    an_opportunity,
)

Record = dict[str, Any]
Json = dict[str, Any]
FEED = f"orders#{KEY.partner_id}"
TABLES = Tables(Engine("test", "eu-west-2", "http://127.0.0.1:1", "test", "test"))


class Streams:
    """Feeds in memory, and what failed."""

    def __init__(self, feeds: MemoryFeeds | None = None) -> None:
        self.feeds = feeds or MemoryFeeds()
        self.store = MemoryStore()
        self.failed: list[str] = []
        self.ledger = Ledger(self.feeds, Patience(lambda seconds: None, lambda: 0.5, attempts=3))

    def orders(self, *records: Record) -> list[str]:
        return publish_orders(records, self.ledger, NOW, self._note)

    def inventory(self, *records: Record) -> list[str]:
        return publish_inventory(records, self.store, self.ledger, NOW, self._note)

    def shown(self, feed_id: str = FEED) -> list[Json]:
        return [json.loads(text) for text in self.feeds.page(feed_id, 0, 100, NOW).items]

    def _note(self, sequence_number: str, error: BaseException) -> None:
        self.failed.append(sequence_number)


@pytest.fixture
def streams() -> Streams:
    return Streams()


def an_order(**changes: Any) -> Order:
    """A booked Order, as it is kept."""
    quoted = quote(a_request(), a_snapshot(), a_moment(), with_customer=True).answer.order
    items = tuple(
        replace(item, id=f"00000000-0000-4000-8000-00000000000{n}", status=OrderItemStatus.OrderItemConfirmed)
        for n, item in enumerate(quoted.items)
    )
    order = replace(quoted, kind=OrderKind.Order, items=items, lease_expires_at=None, published=True)
    return replace(order, **changes)


def record(order: Order | DeletedOrder, number: int = 1, *, as_json: bool = False) -> Record:
    image = order_row(TABLES, order).to_dynamodb_dict()
    if as_json and "document" in image:
        # Lambda hands a batch over as JSON, in which bytes are base64.
        data = image["document"]["B"]
        raw = data if isinstance(data, bytes) else base64.b64decode(data)
        image["document"] = {"B": base64.b64encode(raw).decode()}
    return {"dynamodb": {"Keys": {}, "NewImage": image, "SequenceNumber": str(number)}}


def poison(number: int) -> Record:
    image = {"order_key": {"S": "p#u"}, "kind": {"S": "Order"}, "version": {"N": "1"}}
    return {"dynamodb": {"Keys": {}, "NewImage": image, "SequenceNumber": str(number)}}


@pytest.mark.parametrize("as_json", [False, True])
def test_an_order_that_was_updated_enters_its_partners_feed(streams: Streams, as_json: bool) -> None:
    """OFEED-02, whether the bytes of the row come as bytes or as base64."""
    assert streams.orders(record(an_order(), as_json=as_json)) == []
    (item,) = streams.shown()
    assert (item["id"], item["kind"], item["state"]) == (KEY.uuid, "Order", "updated")


def test_an_order_that_was_only_booked_does_not(streams: Streams) -> None:
    """OFEED-02."""
    streams.orders(record(an_order(published=False)))
    assert streams.shown() == []


def test_a_quote_that_goes_leaves_no_trace(streams: Streams) -> None:
    removed: Record = {"dynamodb": {"Keys": {}, "OldImage": {}, "SequenceNumber": "1"}}
    assert streams.orders(removed) == []
    assert streams.shown() == []


def test_a_deleted_order_is_shown_deleted_if_it_was_shown(streams: Streams) -> None:
    """DEL-03."""
    streams.orders(record(an_order()))
    streams.orders(record(DeletedOrder(KEY, SELLER_ID, published=True, version=2)))
    assert [item["state"] for item in streams.shown()] == ["deleted"]


def test_a_record_that_cannot_be_read_holds_up_only_what_comes_after_it(streams: Streams) -> None:
    later = an_order(key=replace(KEY, uuid="20000000-0000-4000-8000-000000000002"))
    assert streams.orders(record(an_order(), 1), poison(2), record(later, 3)) == ["2"]
    assert streams.failed == ["2"]
    assert [item["id"] for item in streams.shown()] == [KEY.uuid]


class Full(MemoryFeeds):
    """Takes nothing for one item, as where its row is too large."""

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        if any(entry.item_id.startswith("2") for entry in entries):
            raise ValueError("too large")
        super().append(feed_id, counter, entries, now)


def test_an_item_that_cannot_be_written_is_found_among_those_that_can() -> None:
    streams = Streams(Full())
    other = an_order(key=replace(KEY, uuid="20000000-0000-4000-8000-000000000002"))
    assert streams.orders(record(an_order(), 1), record(other, 2)) == ["2"]
    assert [item["id"] for item in streams.shown()] == [KEY.uuid]


class Busy(MemoryFeeds):
    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        raise StoreBusy("busy")


def test_where_the_feeds_stay_busy_the_whole_batch_comes_again() -> None:
    assert Streams(Busy()).orders(record(an_order(), 7), record(an_order(version=2), 8)) == ["7"]


def change(part: str, opportunity_id: str = SESSION_ID, number: int = 1) -> Record:
    keys = {"opportunity_id": {"S": opportunity_id}, "part": {"S": part}}
    return {"dynamodb": {"Keys": keys, "NewImage": keys, "SequenceNumber": str(number)}}


def test_a_record_of_the_inventory_publishes_how_the_opportunity_stands_now(streams: Streams) -> None:
    streams.store.publish(Listing(an_opportunity()), 7)
    assert streams.inventory(change("details"), change("capacity", number=2)) == []
    (item,) = streams.shown("scheduled-sessions")
    assert item["data"]["remainingAttendeeCapacity"] == 7


def test_a_hold_alone_publishes_nothing(streams: Streams) -> None:
    streams.store.publish(Listing(an_opportunity()), 7)
    streams.inventory(change("hold#partner#uuid"))
    assert streams.shown("scheduled-sessions") == []


def test_a_withdrawn_opportunity_is_shown_deleted(streams: Streams) -> None:
    streams.store.publish(Listing(an_opportunity()), 7)
    streams.inventory(change("details"))
    streams.store.publish(Listing(an_opportunity(), version=2, deleted=True), 7)
    streams.inventory(change("details"))
    assert [item["state"] for item in streams.shown("scheduled-sessions")] == ["deleted"]


def test_a_late_record_of_the_inventory_changes_nothing(streams: Streams) -> None:
    streams.store.publish(Listing(an_opportunity()), 7)
    streams.inventory(change("details"))
    streams.inventory(change("details"))
    assert [item["modified"] for item in streams.shown("scheduled-sessions")] == [1]


def test_a_record_of_the_inventory_that_names_nothing_holds_up_only_what_comes_after_it(
    streams: Streams,
) -> None:
    other = f"{SESSION_ID}2"
    streams.store.publish(Listing(an_opportunity()), 7)
    streams.store.publish(Listing(an_opportunity(other)), 7)
    nameless: Record = {"dynamodb": {"Keys": {}, "SequenceNumber": "2"}}
    assert streams.inventory(change("details"), nameless, change("details", other, 3)) == ["2"]
    assert [item["id"] for item in streams.shown("scheduled-sessions")] == [SESSION_ID]


class Unreadable(MemoryStore):
    def listings(self, opportunity_ids: Sequence[str]) -> Any:
        raise StoreBusy("busy")


def test_where_the_inventory_stays_busy_the_whole_batch_comes_again(streams: Streams) -> None:
    streams.store = Unreadable()
    assert streams.inventory(change("details", number=4), change("details", "other", 5)) == ["4"]
