"""A Seller puts another Opportunity in the place of a booked one: never at the Customer's cost."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import (
    OpenBookingError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
    OpportunityOfferPairNotBookableError,
    UnacceptableOfferError,
)
from chalicelib.domain.opportunities import EventStatus
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.parties import AccessMethod, TaxRate
from chalicelib.values import replace
from chalicelib.wire.orders import feed_document
from tests.api.test_access import CHANNEL, ONLINE, give, give_codes
from tests.api.test_proposals import p as propose
from tests.support.world import Bookable, Broker, World

Json = dict[str, Any]
UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
KEY = OrderKey("partner-1", UUID)


def order_of(world: World) -> Order:
    order = world.order(UUID)
    assert isinstance(order, Order)
    return order


def replace_all(world: World, *by: Bookable, notice: str | None = None) -> None:
    """Each item by one of these, the last for all that are left."""
    items = order_of(world).items
    chosen = [by[min(n, len(by) - 1)] for n in range(len(items))]
    choices = {
        item.id or "": (bookable.id, bookable.offer_id) for item, bookable in zip(items, chosen, strict=True)
    }
    world.system.seller_actions.replace(KEY, choices, notice=notice)


def booked(world: World, broker: Broker, places: int = 1, **session: Any) -> Bookable:
    yoga = world.session(**{"spaces": 5, **session})
    due = 10 * places
    answer = broker.b(UUID, *(yoga.item(n) for n in range(places)), due=due)
    assert answer.status == 201
    return yoga


def unchanged(world: World, before: Order, *sessions: Bookable) -> bool:
    held = Counter(item.opportunity.id for item in before.items if item.opportunity)
    return world.order(UUID) == before and all(
        world.held(session) == held.get(session.id, 0) for session in sessions
    )


def test_replacement_becomes_the_new_snapshot(world: World, broker: Broker) -> None:
    """REPL-01, REPL-02, REPL-03, REPL-04: the item keeps its id, totals fall, and the notice explains it."""
    yoga = booked(world, broker)
    pilates = world.session(spaces=3, price=8)
    before = order_of(world)
    replace_all(world, pilates, notice="The hall is closed.")
    after = order_of(world)
    document = feed_document(after)
    [item] = document["orderedItem"]
    assert [each.id for each in after.items] == [each.id for each in before.items]
    assert item["orderedItem"]["@id"] == pilates.id
    assert (item["acceptedOffer"]["@id"], item["acceptedOffer"]["price"]) == (pilates.offer_id, 8)
    assert item["unitTaxSpecification"][0]["price"] == 1.33
    assert item["customerNotice"] == "The hall is closed."
    assert document["totalPaymentDue"]["price"] == 8
    assert after.published
    assert (world.held(yoga), world.held(pilates)) == (0, 1)


@pytest.mark.parametrize(
    ("price", "offer"),
    [
        (10.01, {}),
        (9, {"openBookingPrepayment": "https://openactive.io/Optional"}),
        (9, {"openBookingPrepayment": "https://openactive.io/Unavailable"}),
        (0, {}),  # PAY-03: what is free is not paid for
        (9, {"priceCurrency": "EUR"}),
    ],
)
def test_replacement_keeps_the_terms(world: World, broker: Broker, price: float, offer: Json) -> None:
    """REPL-01: not dearer, the same prepayment, the same currency."""
    yoga = booked(world, broker)
    other, before = world.session(price=price, offer=offer), order_of(world)
    with pytest.raises(UnacceptableOfferError):
        replace_all(world, other)
    assert unchanged(world, before, yoga, other)


def test_replacement_may_be_free_where_the_booked_one_is(world: World, broker: Broker) -> None:
    """REPL-01."""
    yoga = world.session(price=0)
    broker.b(UUID, yoga.item(), due=0)
    replace_all(world, world.session(price=0))
    assert world.held(yoga) == 0


def test_prepayment_is_no_matter_where_it_is_not_supported(world: World, broker: Broker) -> None:
    """REPL-01, PAY-02."""
    world.set(prepayment=False)
    yoga = booked(world, broker)
    replace_all(world, world.session(offer={"openBookingPrepayment": "https://openactive.io/Optional"}))
    assert world.held(yoga) == 0


def test_replacement_with_more_tax_is_dearer(world: World, broker: Broker) -> None:
    """REPL-02: totals only fall, and they hold the tax."""
    yoga = world.session(seller=2)
    broker = replace(broker, seller=2)
    assert broker.b(UUID, yoga.item(), due=12).status == 201
    other = world.session(seller=2, price=9.9)
    listing, _ = world.store.listings([other.id])[other.id]
    taxed = tuple(
        replace(offer, tax_rate=TaxRate("VAT at 50%", Decimal("0.5"))) for offer in listing.opportunity.offers
    )
    opportunity = replace(listing.opportunity, offers=taxed, revision=2)
    world.store.publish(replace(listing, opportunity=opportunity, version=2), 10)
    with pytest.raises(UnacceptableOfferError, match="more expensive"):
        replace_all(world, other)


@pytest.mark.parametrize(
    ("spaces", "error"),
    [(0, OpportunityIsFullError), (2, OpportunityHasInsufficientCapacityError), (3, None)],
)
def test_spaces_are_counted_for_all_items_together(
    world: World, broker: Broker, spaces: int, error: type[OpenBookingError] | None
) -> None:
    """REPL-01: three items need three spaces, and it is said at once."""
    yoga = booked(world, broker, places=3)
    other, before = world.session(spaces=spaces), order_of(world)
    if error is None:
        replace_all(world, other)
        assert (world.held(yoga), world.held(other)) == (0, 3)
        return
    with pytest.raises(error):
        replace_all(world, other)
    assert unchanged(world, before, yoga, other)


def test_spaces_the_order_has_already_count_as_its_own(world: World, broker: Broker) -> None:
    """Of two items one is moved to where the other is."""
    yoga, other = world.session(spaces=1), world.session(spaces=2)
    broker.b(UUID, yoga.item(0), other.item(1), due=20)
    replace_all(world, other)
    assert (world.held(yoga), world.held(other)) == (0, 2)
    broker.b(OTHER, yoga.item())
    with pytest.raises(OpportunityIsFullError):
        replace_all(world, yoga)


def test_part_of_an_order_is_moved_off_what_is_cancelled(world: World, broker: Broker) -> None:
    """REPL-01: spaces are given back, whatever has become of where they were."""
    yoga, other = booked(world, broker, places=2), world.session()
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    cancelled = replace(listing.opportunity, status=EventStatus.EventCancelled, revision=2)
    world.store.publish(replace(listing, opportunity=cancelled, version=2), 5)
    _replace_first(world, other)
    assert (world.held(yoga), world.held(other)) == (1, 1)


def _replace_first(world: World, by: Bookable) -> None:
    item = order_of(world).items[0]
    world.system.seller_actions.replace(KEY, {item.id or "": (by.id, by.offer_id)})


def test_replacement_must_be_open_for_booking(world: World, broker: Broker) -> None:
    """REPL-01, BOOKABLE-08."""
    booked(world, broker)
    other = world.session()
    listing, _ = world.store.listings([other.id])[other.id]
    cancelled = replace(listing.opportunity, status=EventStatus.EventCancelled, revision=2)
    world.store.publish(replace(listing, opportunity=cancelled, version=2), 5)
    with pytest.raises(OpportunityOfferPairNotBookableError):
        replace_all(world, other)


def test_access_follows_the_replacement(world: World, broker: Broker) -> None:
    """ACCESS-01, ACCESS-06: online there is a channel, and at a place a code."""
    give_codes(world, AccessMethod.code)
    booked(world, broker)
    [at_a_place] = order_of(world).items
    online = world.session(session=ONLINE)
    give(world, online, CHANNEL)
    replace_all(world, online)
    [item] = order_of(world).items
    assert (item.access_codes, item.access_channel) == ((), {**CHANNEL, "@type": "VirtualLocation"})
    replace_all(world, world.session())
    [item] = order_of(world).items
    assert item.access_channel is None
    assert item.access_codes and item.access_codes != at_a_place.access_codes
    replace_all(world, world.session())
    assert order_of(world).items[0].access_codes == item.access_codes


def test_amendment_counts_spaces_of_all_items_together_too(world: World, broker: Broker) -> None:
    """A-04: it may be dearer, and needs as many spaces as items."""
    terms = [
        "https://openactive.io/OpenBookingApproval",
        "https://openactive.io/OpenBookingNegotiation",
    ]
    yoga = world.session(offer={"openBookingFlowRequirement": terms})
    propose(broker, yoga.item(0), yoga.item(1), due=20)
    before, dearer = order_of(world), world.session(spaces=1, price=15)
    choices = {item.id or "": (dearer.id, dearer.offer_id) for item in before.items}
    with pytest.raises(OpportunityHasInsufficientCapacityError):
        world.system.seller_actions.amend(KEY, choices=choices)
    assert unchanged(world, before, yoga, dearer)
