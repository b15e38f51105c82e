"""Leases over the wire. No sweep runs here: they end by the clock alone."""

from datetime import timedelta

import pytest

from chalicelib.services.leases import sweep
from chalicelib.values import replace
from tests.support.builders import NOW, Observed
from tests.support.world import Answer, Bookable, Broker, World

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
FIFTEEN_MINUTES = "2026-06-01T12:15:00Z"


def test_anonymous_lease_holds_spaces_against_others(world: World, broker: Broker) -> None:
    """LEASE-01, LEASE-02, LEASE-07, LEASE-08, C1-15."""
    yoga = world.session(spaces=1)
    assert broker.c1(UUID, yoga.item()).json["lease"] == {"@type": "Lease", "leaseExpires": FIFTEEN_MINUTES}
    capacity = world.capacity(yoga)
    assert (capacity.spaces_left, capacity.spaces_leased) == (0, 1)
    answer = broker.c1(OTHER, yoga.item())
    assert answer.status == 409
    assert answer.error_types() == [["OpportunityCapacityIsReservedByLeaseError"]]
    assert answer.json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 0
    assert broker.b(OTHER, yoga.item()).status == 409
    assert broker.b(UUID, yoga.item()).status == 201


def test_own_lease_is_not_counted_against_oneself(world: World, broker: Broker) -> None:
    """C1-09, LEASE-03: repeated, and still five."""
    yoga = world.session(spaces=5)
    items = [yoga.item(n) for n in range(3)]
    for stage in (broker.c1, broker.c1, broker.c2, broker.c2):
        answer = stage(UUID, *items)
        assert answer.status == 200
        assert answer.json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 5
        assert world.capacity(yoga).spaces_left == 2


def test_c2_extends_the_lease(world: World, broker: Broker) -> None:
    """C2-06."""
    yoga = world.session()
    broker.c1(UUID, yoga.item())
    world.clock.advance(minutes=10)
    assert broker.c2(UUID, yoga.item()).json["lease"]["leaseExpires"] == "2026-06-01T12:25:00Z"
    world.clock.advance(minutes=10)
    assert broker.status(UUID).status == 200
    assert world.held(yoga) == 1


@pytest.mark.parametrize(
    ("anonymous", "named", "after_c1", "after_c2"),
    [(True, True, 1, 1), (True, False, 1, 1), (False, True, 0, 1), (False, False, 0, 0)],
)
def test_which_stages_lease_is_a_setting(
    world: World, broker: Broker, anonymous: bool, named: bool, after_c1: int, after_c2: int
) -> None:
    """LEASE-01, GEN-06."""
    world.set(anonymous_leasing=anonymous, named_leasing=named)
    yoga = world.session()
    c1 = broker.c1(UUID, yoga.item())
    assert world.held(yoga) == after_c1
    assert ("lease" in c1.json) is bool(after_c1)
    c2 = broker.c2(UUID, yoga.item())
    assert world.held(yoga) == after_c2
    assert ("lease" in c2.json) is bool(after_c2)
    if not after_c2:
        assert world.order(UUID) is None  # C2-05
    assert broker.b(UUID, yoga.item()).status == 201


def test_amended_quote_releases_what_it_no_longer_asks_for(world: World, broker: Broker) -> None:
    """LEASE-03, LEASE-08, C2-07."""
    yoga, court = world.session(spaces=4), world.slot()
    broker.c1(UUID, yoga.item(0), yoga.item(1), court.item(2))
    assert (world.held(yoga), world.held(court)) == (2, 1)
    broker.c2(UUID, yoga.item(0))
    assert (world.held(yoga), world.held(court)) == (1, 0)
    assert world.capacity(court).spaces_left == 1
    answer = broker.b(UUID, court.item(), due=8)
    assert answer.status == 201
    assert (world.held(yoga), world.held(court)) == (0, 1)
    assert [item["orderedItem"]["@id"] for item in answer.json["orderedItem"]] == [court.outer_id]


def test_lease_that_has_ended_neither_blocks_nor_shows(world: World, broker: Broker) -> None:
    """LEASE-04, LEASE-09: with nothing that sweeps."""
    yoga = world.session(spaces=1)
    broker.c1(UUID, yoga.item())
    world.clock.advance(minutes=15, seconds=-1)
    assert broker.c1(OTHER, yoga.item()).status == 409
    world.clock.advance(seconds=1)
    answer = broker.c1(OTHER, yoga.item())
    assert answer.status == 200
    assert answer.json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 1
    assert broker.status(UUID).json["@type"] == "UnknownOrderError"
    assert world.held(yoga) == 1


def test_booking_after_the_lease_has_ended_works_while_there_is_space(world: World, broker: Broker) -> None:
    """LEASE-04, B-06."""
    yoga = world.session(spaces=1)
    broker.c2(UUID, yoga.item())
    world.clock.advance(hours=1)
    assert broker.b(UUID, yoga.item()).status == 201
    capacity = world.capacity(yoga)
    assert (capacity.spaces_left, capacity.spaces_leased, world.held(yoga)) == (0, 0, 1)


def test_booking_after_the_lease_has_ended_and_others_came_is_refused(world: World, broker: Broker) -> None:
    """B-06, LEASE-04."""
    yoga = world.session(spaces=1)
    broker.c2(UUID, yoga.item())
    world.clock.advance(minutes=15)
    assert broker.b(OTHER, yoga.item()).status == 201
    answer = broker.b(UUID, yoga.item())
    assert (answer.status, answer.error_types()) == (409, [["OpportunityIsFullError"]])


def test_lease_survives_a_wrong_total(world: World, broker: Broker) -> None:
    """LEASE-06, B-05."""
    yoga = world.session(spaces=1)
    broker.c2(UUID, yoga.item())
    assert broker.b(UUID, yoga.item(), due=9).json["@type"] == "TotalPaymentDueMismatchError"
    capacity = world.capacity(yoga)
    assert (capacity.spaces_left, capacity.spaces_leased) == (0, 1)
    assert broker.b(UUID, yoga.item()).status == 201


def test_lease_is_consumed_by_the_booking(world: World, broker: Broker) -> None:
    """B-15."""
    yoga = world.session(spaces=3)
    broker.c2(UUID, yoga.item())
    assert broker.b(UUID, yoga.item()).status == 201
    capacity = world.capacity(yoga)
    assert (capacity.spaces_left, capacity.spaces_leased) == (2, 0)
    world.clock.advance(hours=1)
    sweep(world.store, world.clock(), Observed())
    assert (
        broker.c1(OTHER, yoga.item()).json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 2
    )


def test_stored_quote_can_be_asked_for_and_holds_no_personal_data(world: World, broker: Broker) -> None:
    """STATUS-02, STATUS-03, C2-05."""
    yoga = world.session(attendee=("https://schema.org/givenName",))
    broker.c2(UUID, yoga.item(attendee={"@type": "Person", "givenName": "Geoff"}))
    answer = broker.status(UUID)
    assert answer.status == 200
    assert answer.json["@type"] == "OrderQuote"
    assert answer.json["@id"].endswith(f"/order-quotes/{UUID}")
    assert answer.json["lease"]["leaseExpires"] == FIFTEEN_MINUTES
    assert "position" not in answer.json["orderedItem"][0]
    assert b"eoff" not in answer.body
    assert "eoff" not in repr(world.order(UUID))


def change_price(world: World, yoga: Bookable, price: float) -> None:
    """The Seller publishes the session with another price."""
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    document, parent = listing.opportunity.document, listing.opportunity.parent
    assert parent is not None
    offer = {"@type": "Offer", "@id": yoga.offer_id, "price": price, "priceCurrency": "GBP"}
    seller = world.store.seller(listing.opportunity.seller_id)
    assert seller is not None
    world.publish(document | {"offers": [offer], "organizer": seller.document}, parent)


def due_of(answer: Answer) -> object:
    return answer.json["totalPaymentDue"]["price"]


def test_price_of_a_quote_stands_while_its_lease_lives(world: World, broker: Broker) -> None:
    """LEASE-05."""
    yoga = world.session(spaces=3)
    broker.c2(UUID, yoga.item())
    change_price(world, yoga, 11)
    assert broker.b(UUID, yoga.item(), due=11).json["@type"] == "TotalPaymentDueMismatchError"
    answer = broker.b(UUID, yoga.item(), due=10)
    assert (answer.status, due_of(answer)) == (201, 10)
    assert answer.json["orderedItem"][0]["acceptedOffer"]["price"] == 10  # B-13
    assert due_of(broker.status(UUID)) == 10
    assert broker.b(OTHER, yoga.item(), due=10).status == 400  # nobody promised it to this one


def test_price_that_has_changed_is_shown_to_who_asks_again(world: World, broker: Broker) -> None:
    """LEASE-05: a new quote replaces the old one, and its price stands from then on."""
    yoga = world.session(spaces=3)
    broker.c1(UUID, yoga.item())
    change_price(world, yoga, 11)
    assert due_of(broker.c2(UUID, yoga.item())) == 11
    change_price(world, yoga, 12)
    assert broker.b(UUID, yoga.item(), due=10).json["@type"] == "TotalPaymentDueMismatchError"
    assert broker.b(UUID, yoga.item(), due=11).status == 201


@pytest.mark.parametrize(("after", "due"), [(899, 10), (900, 11), (901, 11)])
def test_price_of_a_quote_stands_until_the_lease_ends(
    world: World, broker: Broker, after: float, due: float
) -> None:
    """LEASE-05, LEASE-09: before, at and after its end."""
    yoga = world.session(spaces=3)
    broker.c2(UUID, yoga.item())
    change_price(world, yoga, 11)
    world.clock.advance(seconds=after)
    assert broker.b(UUID, yoga.item(), due=due).status == 201


def test_price_stands_only_for_what_is_leased(world: World, broker: Broker) -> None:
    """LEASE-05: not for what was added to the quote, and not where nothing is leased."""
    yoga, pilates = world.session(spaces=3), world.session(spaces=3)
    broker.c2(UUID, yoga.item())
    for session in (yoga, pilates):
        change_price(world, session, 11)
    assert broker.b(UUID, yoga.item(0), pilates.item(1), due=21).status == 201
    world.set(anonymous_leasing=False, named_leasing=False)
    broker.c2(OTHER, yoga.item())
    change_price(world, yoga, 12)
    assert broker.b(OTHER, yoga.item(), due=11).json["@type"] == "TotalPaymentDueMismatchError"


def test_offer_with_a_promised_price_may_still_be_withdrawn(world: World, broker: Broker) -> None:
    """LEASE-05 is about the price; whether it is for sale is judged as it is now (BOOKABLE-04)."""
    yoga = world.session(spaces=3)
    broker.c2(UUID, yoga.item())
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    offers = tuple(replace(offer, bookable_in_advance=False) for offer in listing.opportunity.offers)
    opportunity = replace(listing.opportunity, offers=offers, revision=2)
    world.store.publish(replace(listing, opportunity=opportunity, version=2), 3)
    answer = broker.b(UUID, yoga.item())
    assert answer.error_types() == [["OpportunityOfferPairNotBookableError"]]


def test_lease_lasts_as_long_as_set(world: World, broker: Broker) -> None:
    world.set(lease_seconds=60)
    assert broker.c1(UUID, world.session().item()).json["lease"]["leaseExpires"] == "2026-06-01T12:01:00Z"
    assert world.clock() - NOW == timedelta(0)
