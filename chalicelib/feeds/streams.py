"""The two streams: which feeds and items a record concerns.

`batches` decides what happens to a record that cannot be published.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.orders import Order, OrderKind
from chalicelib.feeds.batches import BUSY, Batch, FeedChange, Handled, Outlet
from chalicelib.feeds.contents import listing_item
from chalicelib.feeds.ledger import FeedItem
from chalicelib.feeds.names import orders_feed, proposals_feed
from chalicelib.feeds.order_items import order_data
from chalicelib.storage.errors import StoreBusy, UnreadableRow
from chalicelib.storage.records import OrderChange, Record
from chalicelib.storage.store import Listing, Store
from chalicelib.values import dataclass

IsRevoked = Callable[[str, str], bool]

# The errors that an invalid row or record raises.
_UNREADABLE = (UnreadableRow, LookupError, ValueError, TypeError)


class Stream(Protocol):
    """One stream's handler; it also replays parked records."""

    def handle(self, records: Sequence[Record]) -> Handled:
        """Publish the changes of these records to the feeds."""


@dataclass(frozen=True)
class OrdersStream:
    """Publishes the stream of the Orders table to the Orders feeds of booking partners.

    `is_revoked` takes a partner and a Seller: whether the partner may no longer see the Seller's Orders.
    """

    outlet: Outlet
    is_revoked: IsRevoked

    def handle(self, records: Sequence[Record]) -> Handled:
        batch = Batch("orders", records, self.outlet)
        revocations = _Revocations(self.is_revoked, batch.has_time)
        changes: list[FeedChange] = []
        for record in records:
            try:
                found = self.outlet.records.order_change(record)
            except Exception as error:  # this record cannot be read
                batch.park(record, error)
                continue
            if found is None:
                continue  # a quote that was deleted or has expired: it was never in a feed
            try:
                changes += list(_order_changes(record, found, revocations.of))
            except _NotKnown as unknown:  # the store failed; the record is valid
                batch.retry(record, unknown.reason)
            except Exception as error:  # this record cannot be rendered
                batch.park(record, error)
        batch.publish(changes)
        return batch.handled()


@dataclass(frozen=True)
class InventoryStream:
    """Publishes the stream of the Inventory table to the open feeds.

    A record only names the Opportunity; its current state is published. Details and capacity are two rows,
    each with a version that grows, and so does their sum.
    """

    outlet: Outlet
    store: Store

    def handle(self, records: Sequence[Record]) -> Handled:
        batch = Batch("inventory", records, self.outlet)
        named: dict[str, Record] = {}
        for record in records:
            try:
                opportunity_id = self.outlet.records.opportunity_id(record)
            except Exception as error:  # this record cannot be read
                batch.park(record, error)
                continue
            if opportunity_id is not None:
                named.setdefault(opportunity_id, record)
        changes: list[FeedChange] = []
        for opportunity_id, (listing, capacity) in self._listings(named, batch).items():
            record = named[opportunity_id]
            try:
                changes.append(_listing_change(record, listing, capacity))
            except Exception as error:  # this Opportunity cannot be rendered
                batch.park(record, error)
        batch.publish(changes)
        return batch.handled()

    def _listings(self, named: dict[str, Record], batch: Batch) -> dict[str, tuple[Listing, Capacity | None]]:
        """The current Opportunities, without those that cannot be read."""
        if not named:
            return {}
        try:
            return self.store.listings(list(named))
        except BUSY as error:
            batch.retry(next(iter(named.values())), error)
            return {}
        except _UNREADABLE:  # find out which one it was
            pass
        found: dict[str, tuple[Listing, Capacity | None]] = {}
        for opportunity_id, record in named.items():
            try:
                found |= self.store.listings([opportunity_id])
            except BUSY as error:
                batch.retry(record, error)
            except _UNREADABLE as error:
                batch.park(record, error)
        return found


class _NotKnown(Exception):
    """It could not be read whether a partner may see an Order."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Revocations:
    """Whether partners may see Sellers' Orders, read once for each batch."""

    def __init__(self, is_revoked: IsRevoked, has_time: Callable[[], bool]) -> None:
        self._is_revoked = is_revoked
        self._has_time = has_time
        self._known: dict[tuple[str, str], bool | _NotKnown] = {}

    def of(self, order: Order) -> bool:
        """Raises _NotKnown."""
        pair = (order.key.partner_id, order.seller_id)
        if pair not in self._known:
            self._known[pair] = self._read(*pair)
        answer = self._known[pair]
        if isinstance(answer, _NotKnown):
            raise answer
        return answer

    def _read(self, partner_id: str, seller_id: str) -> bool | _NotKnown:
        if not self._has_time():
            return _NotKnown(StoreBusy("no time is left in this invocation"))
        try:
            return self._is_revoked(partner_id, seller_id)
        except Exception as error:  # the same for the whole batch
            return _NotKnown(error)


def _listing_change(record: Record, listing: Listing, capacity: Capacity | None) -> FeedChange:
    return FeedChange(record, listing.opportunity.type.traits.feed, listing_item(listing, capacity))


def _order_changes(
    record: Record, change: OrderChange, is_revoked: Callable[[Order], bool]
) -> Iterator[FeedChange]:
    """The feeds and items that a record affects; often none (OFEED-02, DEL-03, OFEED-15)."""
    order = change.order
    partner_id, uuid = order.key.partner_id, order.key.uuid
    if isinstance(order, Order) and order.kind is OrderKind.OrderProposal:
        if order.published:
            data = None if is_revoked(order) else order_data(order)
            item = FeedItem(uuid, "OrderProposal", order.version, data)
            yield FeedChange(record, proposals_feed(partner_id), item)
        return
    if change.was_proposal:
        # It became an Order at B, or was deleted (OFEED-14); an item that was never shown needs no deletion.
        item = FeedItem(uuid, "OrderProposal", order.version, None)
        yield FeedChange(record, proposals_feed(partner_id), item)
    elif order.published:
        data = order_data(order) if isinstance(order, Order) and not is_revoked(order) else None
        yield FeedChange(record, orders_feed(partner_id), FeedItem(uuid, "Order", order.version, data))
