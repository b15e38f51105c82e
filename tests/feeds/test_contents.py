"""What each feed has to show, from the rows of the store."""

from __future__ import annotations

import pytest

from chalicelib.booking.decisions import SaveOrder
from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.feeds.contents import FeedContents, is_known, partner_of
from chalicelib.feeds.names import orders_feed, proposals_feed
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from chalicelib.wire.orders import feed_document
from tests.feeds.test_streams import a_proposal, an_order
from tests.support.builders import KEY, SESSION_ID, an_opportunity
from tests.support.memory import MemoryStore

ORDERS, PROPOSALS = orders_feed(KEY.partner_id), proposals_feed(KEY.partner_id)


def contents(*, revoked: bool = False, store: MemoryStore | None = None) -> FeedContents:
    return FeedContents(store or MemoryStore(), lambda partner_id, seller_id: revoked)


def live(order: Order | DeletedOrder, *, revoked: bool = False) -> dict[str, bool]:
    """Each feed that knows the Order, and whether it shows it."""
    items = contents(revoked=revoked).of_order(order)
    return {feed_id: item.data is not None for feed_id, item in items.items()}


@pytest.mark.parametrize(
    ("order", "shown"),
    [
        (an_order(), {ORDERS: True}),
        (an_order(published=False), {}),  # OFEED-02
        (an_order(kind=OrderKind.OrderQuote), {}),
        (a_proposal(), {PROPOSALS: True}),
        (a_proposal(published=False), {}),
        (replace(a_proposal(ProposalStatus.SellerAccepted), kind=OrderKind.Order, published=False), {PROPOSALS: False}),
        (replace(a_proposal(), kind=OrderKind.Order), {PROPOSALS: False, ORDERS: True}),  # OFEED-14
        (DeletedOrder(KEY, "s", published=True), {ORDERS: False, PROPOSALS: False}),  # DEL-04
        (DeletedOrder(KEY, "s"), {}),  # DEL-03
    ],
)  # fmt: skip
def test_an_order_is_in_its_feeds_as_it_stands(order: Order | DeletedOrder, shown: dict[str, bool]) -> None:
    assert live(order) == shown


def test_a_seller_that_has_revoked_is_seen_no_more() -> None:
    """OFEED-15."""
    assert live(an_order(), revoked=True) == {ORDERS: False}
    assert live(a_proposal(), revoked=True) == {PROPOSALS: False}


def test_items_of_an_orders_feed_are_the_stores() -> None:
    store, order = MemoryStore(), an_order(version=3)
    store.commit([SaveOrder(order, None)])
    items = contents(store=store).current(ORDERS, [KEY.uuid, "unknown"])
    assert (items[KEY.uuid].version, items[KEY.uuid].data) == (3, feed_document(order))
    assert (items["unknown"].version, items["unknown"].data) == (0, None)


def test_items_of_an_open_feed_are_of_its_type_and_not_deleted() -> None:
    store = MemoryStore()
    opportunities: list[Opportunity] = [an_opportunity(), an_opportunity(f"{SESSION_ID}2")]
    opportunities.append(an_opportunity(f"{SESSION_ID}3", type=OpportunityType.Slot))
    for opportunity in opportunities:
        store.publish(Listing(opportunity), 4)
    store.publish(Listing(opportunities[1], version=2, deleted=True), 4)
    ids = [opportunity.id for opportunity in opportunities]
    items = contents(store=store).current("scheduled-sessions", ids)
    assert [(items[each].version, items[each].data is not None) for each in ids] == [
        (2, True),
        (4, False),
        (0, False),
    ]
    data = items[SESSION_ID].data
    assert data is not None and data["remainingAttendeeCapacity"] == 4


def test_feeds_are_told_by_their_ids() -> None:
    assert (partner_of(ORDERS), partner_of(PROPOSALS), partner_of("slots")) == (
        KEY.partner_id,
        KEY.partner_id,
        "",
    )
    assert [is_known(feed_id) for feed_id in (ORDERS, "slots", "orders#", "else")] == [
        True,
        True,
        False,
        False,
    ]
