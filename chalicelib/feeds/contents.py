"""The expected content of each feed, from the rows of the store: for checking and rebuilding feeds.

The stream handlers publish changes as they arrive; this module returns the state after all of them.
"""

from collections.abc import Callable, Mapping, Sequence

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.opportunity_types import OPEN_FEEDS
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.feeds.ledger import FeedItem
from chalicelib.feeds.names import orders_feed, proposals_feed
from chalicelib.feeds.order_items import order_data
from chalicelib.storage.store import Listing, Store
from chalicelib.values import dataclass, replace
from chalicelib.wire.opportunities import feed_data

IsRevoked = Callable[[str, str], bool]

# A partner's feed id is one of these followed by the partner's id.
ORDERS, PROPOSALS = orders_feed(""), proposals_feed("")


@dataclass(frozen=True)
class FeedContents:
    """The expected current items of every feed. `is_revoked` takes the ids of a partner and a Seller."""

    store: Store
    is_revoked: IsRevoked

    def current(self, feed_id: str, item_ids: Sequence[str]) -> Mapping[str, FeedItem]:
        """The expected items of these ids; one without `data` may only be shown as deleted. Raises StoreBusy."""
        if feed_id in OPEN_FEEDS:
            return self._open(feed_id, item_ids)
        partner_id = partner_of(feed_id)
        orders = self.store.orders([OrderKey(partner_id, item_id) for item_id in item_ids])
        kind = (OrderKind.OrderProposal if feed_id.startswith(PROPOSALS) else OrderKind.Order).value
        items = {}
        for item_id in item_ids:
            order = orders.get(OrderKey(partner_id, item_id))
            shown = self._shown(order, feed_id, kind) if order else None
            items[item_id] = shown or FeedItem(item_id, kind, order.version if order else 0, None)
        return items

    def _shown(self, order: Order | DeletedOrder, feed_id: str, kind: str) -> FeedItem | None:
        """The item that a feed must show for an Order, if the feed has one.

        The feed may have one even if the store says that it never had: a restore may have undone that
        (OFEED-02).
        """
        if isinstance(order, Order) and order.kind.value == kind and not order.published:
            return self.of_order(replace(order, published=True)).get(feed_id)
        return self.of_order(order).get(feed_id)

    def of_order(self, order: Order | DeletedOrder) -> dict[str, FeedItem]:
        """The items of an Order in its partner's feeds, by feed; without `data` if it may have been shown.

        An Order is in its feed from its first update on (OFEED-02) and a proposal until B (OFEED-14). Neither
        is shown to a partner whom the Seller no longer allows to see it (OFEED-15).
        """
        partner_id, uuid = order.key.partner_id, order.key.uuid
        orders, proposals = orders_feed(partner_id), proposals_feed(partner_id)
        if isinstance(order, DeletedOrder):
            # The stub does not say as which of the two it was shown (DEL-04).
            if not order.published:
                return {}
            return {
                orders: FeedItem(uuid, OrderKind.Order.value, order.version, None),
                proposals: FeedItem(uuid, OrderKind.OrderProposal.value, order.version, None),
            }
        items = {}
        if order.kind is OrderKind.Order and order.proposal is not None:
            items[proposals] = FeedItem(uuid, OrderKind.OrderProposal.value, order.version, None)
        if order.published and order.kind is not OrderKind.OrderQuote:
            data = None if self.is_revoked(partner_id, order.seller_id) else order_data(order)
            feed_id = orders if order.kind is OrderKind.Order else proposals
            items[feed_id] = FeedItem(uuid, order.kind.value, order.version, data)
        return items

    def _open(self, feed_id: str, item_ids: Sequence[str]) -> dict[str, FeedItem]:
        kind = OPEN_FEEDS[feed_id]
        listings = self.store.listings(item_ids)
        return {
            item_id: (
                listing_item(*listings[item_id])
                if item_id in listings and listings[item_id][0].opportunity.type is kind
                else FeedItem(item_id, kind.value, 0, None)
            )
            for item_id in item_ids
        }


def listing_item(listing: Listing, capacity: Capacity | None) -> FeedItem:
    """An Opportunity's item in its open feed. Details and capacity are two rows: its version is their sum."""
    opportunity = listing.opportunity
    # What is off sale has no spaces to sell.
    spaces = 0 if listing.closed else capacity.spaces_shown if capacity else None
    data = None if listing.deleted else feed_data(opportunity, spaces)
    version = listing.version + (capacity.version if capacity else 0)
    return FeedItem(opportunity.id, opportunity.type.value, version, data)


def feed_of(order: Order) -> str | None:
    """The feed that shows an Order after a change; None for a quote."""
    match order.kind:
        case OrderKind.OrderQuote:
            return None
        case OrderKind.OrderProposal:
            return proposals_feed(order.key.partner_id)
        case OrderKind.Order:
            return orders_feed(order.key.partner_id)


def partner_of(feed_id: str) -> str:
    """The booking partner whose feed this is; "" for an open feed and for an unknown feed."""
    for prefix in (ORDERS, PROPOSALS):
        if feed_id.startswith(prefix):
            return feed_id.removeprefix(prefix)
    return ""


def partner_feeds(partner_id: str) -> tuple[str, str]:
    """The two feeds of a booking partner."""
    return orders_feed(partner_id), proposals_feed(partner_id)


def is_known(feed_id: str) -> bool:
    """Whether this is the id of a feed that this release serves."""
    return feed_id in OPEN_FEEDS or bool(partner_of(feed_id))
