"""From stream records to feeds: what each record brings, and what a record that cannot be read holds up."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from chalicelib.booking.quote import quote
from chalicelib.domain.lifecycle import OrderItemStatus, ProposalStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind, Proposal
from chalicelib.feeds.ledger import Ledger
from chalicelib.feeds.streams import publish_inventory, publish_orders
from chalicelib.storage.dynamodb.rows import order_row
from chalicelib.storage.dynamodb.tables import Engine, Tables
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.feeds import FeedEntry
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
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
from tests.support.memory import MemoryFeeds, MemoryStore

Record = dict[str, Any]
Json = dict[str, Any]
FEED = f"orders#{KEY.partner_id}"
PROPOSALS = f"order-proposals#{KEY.partner_id}"
TABLES = Tables(Engine("test", "eu-west-2", "http://127.0.0.1:1", "test", "test"))


class Streams:
    """Feeds in memory, and what failed."""

    def __init__(self, feeds: MemoryFeeds | None = None) -> None:
        self.feeds = feeds or MemoryFeeds()
        self.store = MemoryStore()
        self.failed: list[str] = []
        self.ledger = Ledger(self.feeds, RetryPolicy(lambda seconds: None, lambda: 0.5, attempts=3))

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


def a_proposal(status: ProposalStatus = ProposalStatus.SellerAccepted, **changes: Any) -> Order:
    """An OrderProposal, as it is kept once the Seller has decided."""
    items = tuple(replace(item, status=OrderItemStatus.OrderItemProposed) for item in an_order().items)
    proposal = Proposal("30000000-0000-4000-8000-000000000003", status, seller_note="With pleasure.")
    order = an_order(kind=OrderKind.OrderProposal, items=items, proposal=proposal, version=2)
    return replace(order, **changes)


def record(
    order: Order | DeletedOrder, number: int = 1, *, old: Order | None = None, as_json: bool = False
) -> Record:
    image = order_row(TABLES, order).to_dynamodb_dict()
    if as_json and "document" in image:
        # Lambda hands a batch over as JSON, in which bytes are base64.
        data = image["document"]["B"]
        raw = data if isinstance(data, bytes) else base64.b64decode(data)
        image["document"] = {"B": base64.b64encode(raw).decode()}
    images = {"NewImage": image} | ({"OldImage": order_row(TABLES, old).to_dynamodb_dict()} if old else {})
    return {"dynamodb": {"Keys": {}, **images, "SequenceNumber": str(number)}}


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


def test_a_proposal_that_was_only_made_is_in_no_feed(streams: Streams) -> None:
    """OFEED-02: like an Order, it is shown once something has happened to it."""
    waiting = a_proposal(ProposalStatus.AwaitingSellerConfirmation, published=False, version=1)
    assert streams.orders(record(waiting)) == []
    assert streams.shown(PROPOSALS) == streams.shown() == []


@pytest.mark.parametrize("status", ProposalStatus)
def test_a_proposal_that_was_updated_enters_the_feed_of_proposals_alone(
    streams: Streams, status: ProposalStatus
) -> None:
    """A-01, A-02, A-04, PUPD-07; also where it is rejected, it stays in its feed."""
    before = a_proposal(ProposalStatus.AwaitingSellerConfirmation, published=False, version=1)
    assert streams.orders(record(a_proposal(status), old=before)) == []
    (item,) = streams.shown(PROPOSALS)
    assert (item["id"], item["kind"], item["state"]) == (KEY.uuid, "OrderProposal", "updated")
    assert item["data"]["@type"] == "OrderProposal"
    assert item["data"]["orderProposalStatus"] == f"https://openactive.io/{status}"
    assert item["data"]["orderSellerNote"] == "With pleasure."
    assert "orderItemStatus" not in item["data"]["orderedItem"][0]  # T8
    assert streams.shown() == []


def test_a_proposal_that_changes_again_moves_to_the_end_of_its_feed(streams: Streams) -> None:
    """RPDE-06; and a record that comes late or twice changes nothing."""
    accepted = a_proposal()
    other = a_proposal(key=replace(KEY, uuid="20000000-0000-4000-8000-000000000002"))
    rejected = a_proposal(ProposalStatus.SellerRejected, version=3)
    streams.orders(record(accepted), record(other))
    streams.orders(record(rejected, old=accepted))
    streams.orders(record(accepted), record(rejected, old=accepted))
    assert [item["id"] for item in streams.shown(PROPOSALS)] == [other.key.uuid, KEY.uuid]
    assert streams.shown(PROPOSALS)[1]["data"]["orderProposalStatus"].endswith("SellerRejected")


def booked(proposal: Order, **changes: Any) -> Order:
    return an_order(proposal=proposal.proposal, version=proposal.version + 1, published=False, **changes)


def test_a_proposal_that_is_booked_leaves_its_feed_and_the_order_is_in_none_yet(streams: Streams) -> None:
    """OFEED-14, B-19."""
    accepted = a_proposal()
    streams.orders(record(accepted))
    streams.orders(record(booked(accepted), old=accepted))
    assert [(item["kind"], item["state"]) for item in streams.shown(PROPOSALS)] == [
        ("OrderProposal", "deleted")
    ]
    assert streams.shown() == []


def test_the_order_that_came_of_a_proposal_enters_the_orders_feed_at_its_first_update(
    streams: Streams,
) -> None:
    """OFEED-02; the two feeds keep them apart, though they are one row."""
    accepted = a_proposal()
    order = booked(accepted)
    cancelled = replace(order, published=True, version=order.version + 1)
    streams.orders(record(accepted))
    # All in one batch, as where the stream has waited.
    streams.orders(record(order, 2, old=accepted), record(cancelled, 3, old=order))
    assert [(item["kind"], item["state"]) for item in streams.shown()] == [("Order", "updated")]
    assert [item["state"] for item in streams.shown(PROPOSALS)] == ["deleted"]


def test_a_proposal_that_is_taken_away_is_shown_deleted(streams: Streams) -> None:
    accepted = a_proposal()
    streams.orders(record(accepted))
    streams.orders(record(DeletedOrder(KEY, SELLER_ID, published=True, version=3), old=accepted))
    assert [item["state"] for item in streams.shown(PROPOSALS)] == ["deleted"]
    assert streams.shown() == []


def test_a_proposal_that_was_never_shown_leaves_no_trace_when_it_is_booked(streams: Streams) -> None:
    waiting = a_proposal(published=False)
    streams.orders(record(booked(waiting), old=waiting))
    assert streams.shown(PROPOSALS) == streams.shown() == []


def test_proposals_of_another_partner_are_in_a_feed_of_their_own(streams: Streams) -> None:
    """AUTH-02."""
    streams.orders(record(a_proposal(key=replace(KEY, partner_id="partner-2"))))
    assert streams.shown(PROPOSALS) == []
    assert len(streams.shown("order-proposals#partner-2")) == 1


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
