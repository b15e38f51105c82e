"""From stream records to feeds: what each record brings, and what becomes of one that cannot be published."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.lifecycle import OrderItemStatus, ProposalStatus
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind, Proposal
from chalicelib.feeds.batches import RELEASES_MEET_FOR, Handled, Outlet
from chalicelib.feeds.ledger import Ledger
from chalicelib.feeds.parked import ParkedRecord, ParkedRecords
from chalicelib.feeds.streams import InventoryStream, OrdersStream
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.dynamodb.records import DynamoRecords
from chalicelib.storage.dynamodb.rows import order_row
from chalicelib.storage.dynamodb.tables import FORMAT, Engine, Tables
from chalicelib.storage.errors import EntryRefused, LaterFormat, StoreBusy
from chalicelib.storage.feeds import FeedEntry
from chalicelib.storage.pending import PendingWork
from chalicelib.storage.records import OrderChange
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from tests.support.builders import (
    KEY,
    NOW,
    SELLER_ID,
    SESSION_ID,
    an_opportunity,
)
from tests.support.memory import MemoryFeeds, MemoryPending, MemoryStore
from tests.support.orders import an_order

Record = dict[str, Any]
Json = dict[str, Any]
FEED = f"orders#{KEY.partner_id}"
PROPOSALS = f"order-proposals#{KEY.partner_id}"
TABLES = Tables(Engine("test", "eu-west-2", "http://127.0.0.1:1", "test", "test"))


class Streams:
    """Feeds in memory, what was parked, and what was reported."""

    def __init__(self, feeds: MemoryFeeds | None = None) -> None:
        self.feeds = feeds or MemoryFeeds()
        self.store = MemoryStore()
        self.pending = MemoryPending()
        self.parked = ParkedRecords(self.pending, timedelta(days=30))
        self.reported: list[str] = []
        self.retried: list[bool] = []
        self.revoked: Callable[[str, str], bool] = lambda partner_id, seller_id: False
        self.now = NOW
        self.seconds = 0.0
        retry = RetryPolicy(self._pause, lambda: 0.5, lambda: self.seconds, attempts=3)
        self.outlet = Outlet(
            Ledger(self.feeds, retry), self.parked, DynamoRecords(), retry, lambda: self.now, self
        )

    def orders(self, *records: Record) -> list[str]:
        return retried(OrdersStream(self.outlet, self.revoked).handle(records))

    def inventory(self, *records: Record) -> list[str]:
        return retried(InventoryStream(self.outlet, self.store).handle(records))

    def shown(self, feed_id: str = FEED) -> list[Json]:
        return [json.loads(text) for text in self.feeds.page(feed_id, 0, 100, NOW).items]

    def parked_ids(self, stream: str = "orders") -> list[str]:
        return [parked.id.split("-")[0] for parked in self.parked.listed(stream)]

    def record_parked(self, parked: ParkedRecord, error: BaseException) -> None:
        self.reported.append(parked.id.split("-")[0])

    def batch_retried(self, stream: str, position: str, error: BaseException, *, busy: bool) -> None:
        self.retried.append(busy)

    def _pause(self, seconds: float) -> None:
        self.seconds += seconds


def retried(handled: Handled) -> list[str]:
    return [] if handled.retry_from is None else [handled.retry_from]


@pytest.fixture
def streams() -> Streams:
    return Streams()


def a_proposal(status: ProposalStatus = ProposalStatus.SellerAccepted, **changes: Any) -> Order:
    """An OrderProposal, as it is kept once the Seller has decided."""
    items = tuple(replace(item, status=OrderItemStatus.OrderItemProposed) for item in an_order().items)
    proposal = Proposal("30000000-0000-4000-8000-000000000003", status, seller_note="With pleasure.")
    order = an_order(kind=OrderKind.OrderProposal, items=items, proposal=proposal, version=2)
    return replace(order, **changes)


def record(
    order: Order | DeletedOrder, number: int = 1, *, old: Order | None = None, as_json: bool = False
) -> Record:
    image = order_row(order)
    if as_json and "document" in image:
        # Lambda hands a batch over as JSON, in which bytes are base64.
        data = image["document"]["B"]
        raw = data if isinstance(data, bytes) else base64.b64decode(data)
        image["document"] = {"B": base64.b64encode(raw).decode()}
    images = {"NewImage": image} | ({"OldImage": order_row(old)} if old else {})
    return {"dynamodb": {"Keys": {}, **images, "SequenceNumber": str(number)}}


def poison(number: int) -> Record:
    keys = {"order_key": {"S": "p#u"}}
    image = {**keys, "kind": {"S": "Order"}, "version": {"N": "1"}}
    return {"dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": str(number)}}


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


OTHER = replace(KEY, uuid="20000000-0000-4000-8000-000000000002")


def test_a_record_that_cannot_be_read_is_parked_at_once_and_its_neighbours_go_on(streams: Streams) -> None:
    assert streams.orders(record(an_order(), 1), poison(2), record(an_order(key=OTHER), 3)) == []
    assert [item["id"] for item in streams.shown()] == [KEY.uuid, OTHER.uuid]
    assert streams.parked_ids() == streams.reported == ["2"]
    [parked] = streams.parked.listed("orders")
    assert streams.parked.content(parked) == poison(2)
    assert (parked.row, parked.parked_at) == ("p#u", NOW)
    assert parked.error.startswith("KeyError at storage/dynamodb/rows.py:")
    assert parked.expires_at == NOW + timedelta(days=30)


def test_a_record_that_comes_again_is_parked_once(streams: Streams) -> None:
    streams.orders(poison(2))
    streams.orders(poison(2))
    assert streams.parked_ids() == ["2"]
    assert streams.reported == ["2", "2"]  # the first report may have been lost with its process


def test_a_later_version_is_published_though_an_earlier_one_is_parked_and_replayed_after_it(
    streams: Streams,
) -> None:
    broken = record(an_order(version=2), 1)
    broken["dynamodb"]["NewImage"]["document"] = {"B": "AAAA"}
    assert streams.orders(broken, record(an_order(version=3), 2)) == []
    assert streams.parked_ids() == ["1"]
    before = streams.shown()
    assert [item["id"] for item in before] == [KEY.uuid]
    assert streams.orders(record(an_order(version=2), 1)) == []
    assert streams.shown() == before


class Full(MemoryFeeds):
    """Takes nothing for one item, as where its row is too large."""

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        if any(entry.item_id.startswith("2") and len(entry.text or "") > 400 for entry in entries):
            raise EntryRefused("too large")
        super().append(feed_id, counter, entries, now)


def test_an_item_that_cannot_be_written_is_found_among_those_that_can() -> None:
    streams = Streams(Full())
    many = [record(an_order(key=replace(KEY, uuid=f"1-{number}")), number) for number in range(60)]
    assert streams.orders(*many[:30], record(an_order(key=OTHER), 99), *many[30:]) == []
    assert len(streams.shown()) == 60
    assert streams.parked_ids() == ["99"]


def test_what_an_item_was_before_is_published_where_its_newest_version_cannot_be_written() -> None:
    streams = Streams(Full())
    deleted = DeletedOrder(OTHER, SELLER_ID, published=True, version=1)
    MemoryFeeds.append(streams.feeds, FEED, 0, [FeedEntry(OTHER.uuid, 1, 0, "{}")], NOW)
    assert streams.orders(record(deleted, 1), record(an_order(key=OTHER, version=2), 2)) == []
    assert streams.parked_ids() == ["2"]
    assert [item["state"] for item in streams.shown()] == ["deleted"]


def test_an_item_that_cannot_be_rendered_is_parked_alone(streams: Streams) -> None:
    half_a_character = an_order(key=OTHER)
    broken = replace(half_a_character.items[0], id="\ud800")
    order = replace(half_a_character, items=(broken, *half_a_character.items[1:]))
    first = record(an_order(), 1)
    unrenderable = record(an_order(key=OTHER), 2)

    class Reader(DynamoRecords):
        def order_change(self, record: Record) -> OrderChange | None:
            return OrderChange(order, False) if record is unrenderable else super().order_change(record)

    streams.outlet = replace(streams.outlet, records=Reader())
    assert streams.orders(first, unrenderable) == []
    assert streams.parked_ids() == ["2"]
    assert [item["id"] for item in streams.shown()] == [KEY.uuid]


class BusyFor(MemoryFeeds):
    """One partner's feeds are throttled."""

    def __init__(self, partner_id: str) -> None:
        super().__init__()
        self.partner_id: str | None = partner_id

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        if self.partner_id and self.partner_id in feed_id:
            raise StoreBusy("busy")
        super().append(feed_id, counter, entries, now)


def test_where_the_feeds_stay_busy_the_whole_batch_comes_again_and_nothing_is_parked() -> None:
    streams = Streams(BusyFor(KEY.partner_id))
    assert streams.orders(record(an_order(), 7), record(an_order(version=2), 8)) == ["7"]
    assert streams.retried == [True]
    assert streams.parked_ids() == []


def test_a_feed_that_is_busy_holds_up_no_other() -> None:
    streams, theirs = Streams(BusyFor("partner-2")), replace(OTHER, partner_id="partner-2")
    batch = [record(an_order(), 1), record(an_order(key=theirs), 2), record(an_order(version=2), 3)]
    assert streams.orders(*batch) == ["2"]
    before = streams.shown()
    assert len(before) == 1
    assert isinstance(streams.feeds, BusyFor)
    streams.feeds.partner_id = None
    assert streams.orders(*batch[1:]) == []
    assert streams.shown() == before
    assert len(streams.shown(f"orders#{theirs.partner_id}")) == 1


def test_feeds_for_which_no_time_is_left_come_again(streams: Streams) -> None:
    def slowly(partner_id: str, seller_id: str) -> bool:
        streams.seconds += 60
        return False

    streams.revoked = slowly
    assert streams.orders(record(an_order(), 1)) == ["1"]
    assert (streams.shown(), streams.retried) == ([], [True])


def test_where_nobody_can_say_who_may_see_an_order_it_comes_again(streams: Streams) -> None:
    """A broken deployment, such as a permission that is missing, parks nothing either."""
    for error, is_busy in ((StoreBusy("busy"), True), (RuntimeError("denied"), False)):

        def fail(partner_id: str, seller_id: str, error: Exception = error) -> bool:
            raise error

        streams.revoked = fail
        assert streams.orders(record(an_order(published=False), 1), record(an_order(), 2)) == ["2"]
        assert streams.retried.pop() is is_busy
    assert streams.parked_ids() == []


class Denied(MemoryFeeds):
    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        raise RuntimeError("no such table")


def test_a_handler_that_fails_as_a_whole_parks_nothing() -> None:
    streams = Streams(Denied())
    assert streams.orders(record(an_order(), 7)) == ["7"]
    assert (streams.retried, streams.parked_ids()) == ([False], [])


class FullStore(MemoryPending):
    def exchange(self, finished: Sequence[PendingWork], added: Sequence[PendingWork]) -> None:
        raise StoreBusy("busy")


def test_a_record_that_cannot_be_parked_now_comes_again(streams: Streams) -> None:
    parked = ParkedRecords(FullStore(), timedelta(days=30))
    streams.outlet = replace(streams.outlet, parked=parked)
    assert streams.orders(poison(1), record(an_order(), 2)) == ["1"]
    assert len(streams.shown()) == 1
    assert streams.reported == []


def of_a_later_release(number: int, **changes: Any) -> Record:
    made = record(an_order(**changes), number)
    made["dynamodb"]["NewImage"]["row_format"] = {"N": str(FORMAT + 1)}
    made["dynamodb"]["ApproximateCreationDateTime"] = NOW.timestamp()
    return made


def test_a_row_of_a_later_release_is_left_to_it_while_it_is_deployed(streams: Streams) -> None:
    """Functions of both releases run then; and what else is in the batch goes on."""
    batch = of_a_later_release(1), record(an_order(key=OTHER), 2)
    streams.now = NOW + RELEASES_MEET_FOR - timedelta(seconds=1)
    assert streams.orders(*batch) == ["1"]
    assert (streams.retried, streams.parked_ids()) == ([False], [])
    assert [item["id"] for item in streams.shown()] == [OTHER.uuid]


def test_a_row_of_a_later_release_is_parked_where_that_was_rolled_back(streams: Streams) -> None:
    """Else it would hold up its shard for a day, and be lost then."""
    streams.now = NOW + RELEASES_MEET_FOR
    assert streams.orders(of_a_later_release(1), record(an_order(key=OTHER), 2)) == []
    assert streams.parked_ids() == ["1"]


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


def test_a_record_of_the_inventory_that_names_nothing_is_parked(streams: Streams) -> None:
    other = f"{SESSION_ID}2"
    streams.store.publish(Listing(an_opportunity()), 7)
    streams.store.publish(Listing(an_opportunity(other)), 7)
    nameless: Record = {"dynamodb": {"Keys": {}, "SequenceNumber": "2"}}
    assert streams.inventory(change("details"), nameless, change("details", other, 3)) == []
    assert [item["id"] for item in streams.shown("scheduled-sessions")] == [SESSION_ID, other]
    assert streams.parked_ids("inventory") == ["2"]


class Unreadable(MemoryStore):
    """Some rows cannot be read, and for others the table is busy."""

    def __init__(self, **faults: Exception) -> None:
        super().__init__()
        self.faults = faults

    def listings(self, opportunity_ids: Sequence[str]) -> Any:
        for opportunity_id in opportunity_ids:
            if fault := self.faults.get(opportunity_id.removeprefix(SESSION_ID)):
                raise fault
        return super().listings(opportunity_ids)


def test_where_the_inventory_stays_busy_the_whole_batch_comes_again(streams: Streams) -> None:
    streams.store = Unreadable(other=StoreBusy("busy"))
    assert streams.inventory(change("details", number=4), change("details", "other", 5)) == ["4"]
    assert streams.parked_ids("inventory") == []


def test_an_opportunity_that_cannot_be_read_is_parked_and_its_neighbours_go_on(streams: Streams) -> None:
    streams.store = Unreadable(b=Undecodable("it"), c=LaterFormat("9"), d=StoreBusy("busy"))
    streams.store.publish(Listing(an_opportunity()), 7)
    streams.store.publish(Listing(an_opportunity(f"{SESSION_ID}e")), 7)
    batch = [change("details", f"{SESSION_ID}{name}", n) for n, name in enumerate(["", *"bcde"])]
    assert streams.inventory(*batch) == ["3"]
    assert streams.parked_ids("inventory") == ["1", "2"]
    assert [item["id"] for item in streams.shown("scheduled-sessions")] == [SESSION_ID, f"{SESSION_ID}e"]


def test_the_inventory_as_a_whole_parks_nothing_for_what_is_wrong_with_the_deployment(
    streams: Streams,
) -> None:
    streams.store = Unreadable(x=RuntimeError("denied"))
    with pytest.raises(RuntimeError):
        streams.inventory(change("details", f"{SESSION_ID}x"))
    assert streams.parked_ids("inventory") == []
