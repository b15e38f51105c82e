"""What a Seller does at a desk, on stores in memory, with Brokers beside it. The commands only call these services."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.lifecycle import ItemEvent
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.feeds.contents import listing_item
from chalicelib.runtime.administration import Administration
from chalicelib.services import informing
from chalicelib.services.actors import Actor, Via
from chalicelib.services.desk.rows import name_of
from chalicelib.services.desk.sales import Line
from chalicelib.services.desk.sessions import Move
from chalicelib.services.errors import AlreadyExists, InvalidValue, NotFound, NotPossible, NotUnique
from chalicelib.services.informing import HolderMessage
from chalicelib.services.inventory import Document, Outcome
from chalicelib.storage.pending import SET_ASIDE
from chalicelib.values import replace
from chalicelib.wire.opportunities import Published
from tests.support.builders import CUSTOMER
from tests.support.inventory import BASE_URL, Bookable, seller_id
from tests.support.world import API, PAYMENT, Broker, World

UUID = "30000000-0000-4000-8000-0000000000"
ASKING = {
    "openBookingFlowRequirement": [
        "https://openactive.io/OpenBookingApproval",
        "https://openactive.io/OpenBookingNegotiation",
    ]
}


def booked(world: World, session: Bookable, number: int = 1, places: int = 1, **options: Any) -> str:
    items = [session.item(position) for position in range(places)]
    answer = Broker(world, **options).b(f"{UUID}{number:02}", *items, due=10 * places)
    assert answer.status == 201, answer.body
    return f"{UUID}{number:02}"


def proposed(world: World, session: Bookable, number: int = 50) -> str:
    broker = Broker(world)
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    body = broker.body(
        "OrderProposal", session.item(), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER
    )
    assert broker.send("PUT", f"{API}/order-proposals/{UUID}{number}", body).status == 201
    return f"{UUID}{number}"


def order(world: World, uuid: str, partner: str = "partner-1") -> Order:
    found = world.store.orders([OrderKey(partner, uuid)])[OrderKey(partner, uuid)]
    assert isinstance(found, Order)
    return found


def left(world: World, session: Bookable) -> int:
    capacity = world.store.listings([session.id])[session.id][1]
    assert capacity is not None
    return capacity.spaces_left


# --- off sale -----------------------------------------------------------------------------------


def test_a_closed_session_is_not_sold_and_shows_no_spaces_until_it_is_opened(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session(spaces=5)
    uuid = booked(world, yoga)
    before = order(world, uuid)
    assert desk.seller_sessions.set_on_sale(actor, yoga.id, False).session["state"] == "closed"
    refused = Broker(world).c1(f"{UUID}90", yoga.item())
    assert (refused.status, refused.error_types()) == (409, [["OpportunityOfferPairNotBookableError"]])
    shown = listing_item(*world.store.listings([yoga.id])[yoga.id]).data
    assert shown is not None and shown["remainingAttendeeCapacity"] == 0
    assert not desk.seller_sessions.set_on_sale(actor, yoga.id, False).changed
    assert order(world, uuid) == before
    desk.seller_sessions.set_on_sale(actor, yoga.id, True)
    assert Broker(world).c1(f"{UUID}90", yoga.item()).status == 200
    shown = listing_item(*world.store.listings([yoga.id])[yoga.id]).data
    assert (
        shown is not None and shown["remainingAttendeeCapacity"] == 3
    )  # one is booked, and one leased by C1


def test_an_accepted_proposal_is_booked_although_the_session_was_closed_since(
    world: World, desk: Administration, actor: Actor
) -> None:
    """Its spaces were promised. A cancelled session ends it all the same (P-17)."""
    asking = world.session(offer=ASKING)
    uuid = proposed(world, asking)
    desk.seller_orders.decide(actor, uuid)
    desk.seller_sessions.set_on_sale(actor, asking.id, False)
    assert order(world, uuid).open_proposal is not None
    proposal = order(world, uuid).proposal
    assert proposal is not None
    body = {
        "@context": "https://openactive.io/",
        "@type": "Order",
        "orderProposalVersion": f"{BASE_URL}{API}/order-proposals/{uuid}/versions/{proposal.version}",
        "payment": PAYMENT,
    }
    answer = Broker(world).send("PUT", f"{API}/orders/{uuid}", body)
    assert answer.status == 201, answer.body


def test_an_import_does_not_open_what_its_seller_has_closed(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session()
    listing, _ = world.store.listings([yoga.id])[yoga.id]
    world.store.publish(replace(listing, version=listing.version + 1, source="feed"), 10)
    desk.seller_sessions.set_on_sale(actor, yoga.id, False)
    renamed = replace(listing.opportunity, document={**listing.opportunity.document, "name": "Yin"})
    document = Document(Published(renamed, 10), "feed", (renamed.document,))
    assert world.system.inventory.bring_in([document]) == [Outcome.changed]
    listing, capacity = world.store.listings([yoga.id])[yoga.id]
    assert listing.opportunity.name == "Yin"
    assert listing.closed and capacity is not None and not capacity.open_for_booking


# --- moved and informed -------------------------------------------------------------------------


def test_another_room_keeps_the_address_and_another_address_drops_the_coordinates(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session()
    uuid = booked(world, yoga)
    done = desk.seller_sessions.move(actor, yoga.id, Move(place="Studio 2"))
    assert (done.orders, done.reached) == (1, 1)
    place = order(world, uuid).items[0].opportunity.document["location"]  # type: ignore[union-attr]
    assert place["name"] == "Studio 2" and place["address"]["postalCode"] == "OX1 1AA" and "geo" in place
    desk.seller_sessions.move(actor, yoga.id, Move(address={"postalCode": "BS1 1AA"}))
    place = order(world, uuid).items[0].opportunity.document["location"]  # type: ignore[union-attr]
    assert place["address"]["postalCode"] == "BS1 1AA" and "geo" not in place


def test_a_move_must_make_sense(world: World, desk: Administration, actor: Actor) -> None:
    yoga = world.session()
    starts = world.now() + timedelta(days=3)
    with pytest.raises(InvalidValue, match="in the past"):
        desk.seller_sessions.move(actor, yoga.id, Move(starts_at=world.now() - timedelta(hours=1)))
    with pytest.raises(InvalidValue, match="after the start"):
        desk.seller_sessions.move(actor, yoga.id, Move(starts_at=starts, ends_at=starts))
    desk.seller_sessions.cancel(actor, yoga.id)
    with pytest.raises(NotPossible, match="It is cancelled"):
        desk.seller_sessions.move(actor, yoga.id, Move(starts_at=starts))


def test_everybody_is_informed_of_a_notice_also_after_an_interruption(
    world: World, desk: Administration, actor: Actor
) -> None:
    """NOTIF-01: only the items on this session, each once in the feed."""
    yoga, other = world.session(spaces=9), world.session()
    both = f"{UUID}01"
    assert Broker(world).b(both, yoga.item(0), other.item(1), due=20).status == 201
    uuids = [booked(world, yoga, number) for number in range(2, 6)]
    message = HolderMessage(yoga.id, notice="Bring a mat.")
    entry_id = world.system.seller_actions.inform_holders(message)  # and the process ends here
    assert world.system.sweep()[informing.KIND] == 5
    assert world.pending.entry(informing.KIND, entry_id) is None
    assert [order(world, uuid).items[0].customer_notice for uuid in uuids] == ["Bring a mat."] * 4
    assert [item.customer_notice for item in order(world, both).items] == ["Bring a mat.", None]


def test_one_order_that_cannot_take_the_notice_is_set_aside_and_does_not_delay_the_others(
    world: World, desk: Administration, actor: Actor
) -> None:
    """It has as many different notices as a row holds."""
    yoga, many = world.session(spaces=9), world.session(spaces=99)
    full = f"{UUID}01"
    items = [many.item(position) for position in range(40)]
    assert Broker(world).b(full, *items, yoga.item(40), due=410).status == 201
    for number, item in enumerate(order(world, full).items[:40]):
        key = OrderKey("partner-1", full)
        world.system.seller_actions.notify(key, f"Notice {number}", item_ids=[item.id or ""])
    other = booked(world, yoga, 2)
    desk.seller_sessions.notify(actor, yoga.id, "New")
    assert order(world, other).items[0].customer_notice == "New"
    assert order(world, full).items[40].customer_notice is None
    [aside] = world.pending.entries(SET_ASIDE + informing.KIND, 10)
    assert full in aside.id


# --- bookings -----------------------------------------------------------------------------------


def test_a_booking_is_moved_to_another_session_by_the_name_of_its_offer(
    world: World, desk: Administration, actor: Actor
) -> None:
    """REPL-01: same capacity checks."""
    yoga, other, full = world.session(spaces=5), world.session(spaces=5), world.session(spaces=1)
    booked(world, full, 8)
    uuid = booked(world, yoga)
    with pytest.raises(NotPossible, match="No space is left"):
        desk.seller_orders.replace(actor, uuid, session=full.id)
    with pytest.raises(InvalidValue, match="no offer 'Child'"):
        desk.seller_orders.replace(actor, uuid, session=other.id, offer="Child")
    with pytest.raises(NotFound):
        desk.seller_orders.replace(actor, uuid, session=world.session(seller=2).id)
    desk.seller_orders.replace(actor, uuid, session=other.id, notice="The court is wet.")
    assert (left(world, yoga), left(world, other)) == (5, 4)
    with pytest.raises(NotFound, match="item"):
        desk.seller_orders.cancel(actor, uuid, item_ids=["unknown"])
    desk.seller_orders.cancel(actor, uuid)
    assert left(world, other) == 5
    with pytest.raises(NotPossible, match="is cancelled"):
        desk.seller_orders.cancel(actor, uuid)


def test_a_dry_run_refuses_what_the_action_would_and_writes_nothing(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga, full = world.session(spaces=5), world.session(spaces=1)
    booked(world, full, 8)
    uuid = booked(world, yoga)
    before = order(world, uuid)
    with pytest.raises(NotPossible, match="No space is left"):
        desk.seller_orders.replace(actor, uuid, session=full.id, dry_run=True)
    desk.seller_orders.cancel(actor, uuid, dry_run=True)
    assert order(world, uuid) == before and left(world, yoga) == 4
    assert desk.journal.listed() == []


def test_attendance_is_recorded_and_corrected_and_protects_from_cancellation(
    world: World, desk: Administration, actor: Actor
) -> None:
    """NOTIF-03, CANCEL-08."""
    yoga = world.session(spaces=9, starts_in=timedelta(hours=1))
    first, second = booked(world, yoga, 1), booked(world, yoga, 2)
    assert desk.seller_orders.mark(actor, yoga.id, ItemEvent.attends).orders == 2
    desk.seller_orders.mark(actor, yoga.id, ItemEvent.is_absent, uuids=[second])
    statuses = [str(order(world, uuid).items[0].status) for uuid in (first, second)]
    assert statuses == ["AttendeeAttended", "AttendeeAbsent"]
    with pytest.raises(NotPossible, match="attended cannot be cancelled"):
        desk.seller_orders.cancel(actor, first)
    with pytest.raises(NotFound):
        desk.seller_orders.mark(actor, yoga.id, ItemEvent.attends, uuids=[f"{UUID}77"])


# --- lists --------------------------------------------------------------------------------------


def test_bookings_of_a_day_are_paged_over_sessions_without_a_gap(
    world: World, desk: Administration, actor: Actor
) -> None:
    sessions = [world.session(spaces=9) for _ in range(3)]
    world.session(spaces=9, starts_in=timedelta(days=5))
    for number, session in enumerate(sessions * 3):
        booked(world, session, number + 1)
    Broker(world).c2(f"{UUID}60", sessions[0].item())  # a lease is no booking
    day = world.now() + timedelta(days=2)
    since, until = day - timedelta(hours=1), day + timedelta(hours=1)
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = desk.seller_lists.bookings_of_sessions(actor, since=since, until=until, after=after, limit=2)
        found += [row["uuid"] for row in page.rows]
        after = page.following
    assert sorted(found) == [f"{UUID}{number:02}" for number in range(1, 10)]


def test_who_holds_a_session_is_listed_with_what_they_hold(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session(spaces=9)
    booked(world, yoga, 1, places=2)
    Broker(world).c2(f"{UUID}60", yoga.item())
    rows = desk.seller_lists.register(actor, yoga.id).rows
    assert sorted(row["status"] for row in rows) == ["OrderItemConfirmed", "OrderItemConfirmed", "leased"]
    assert {row["customer"] for row in rows if row["item"]} == {CUSTOMER["email"]}


def test_the_only_seller_need_not_be_named(world: World, desk: Administration) -> None:
    with pytest.raises(NotUnique, match="There are 2 Sellers"):
        desk.actor(None)


# --- the desk -----------------------------------------------------------------------------------


def test_a_sale_at_the_desk_is_an_order_from_the_same_counter_without_a_customer(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session(spaces=3)
    sold = desk.sales.sell(actor, [Line(yoga.id, 2)], paid_by="card", receipt="R-17")
    assert (sold["due"], sold["sold_by"], sold["customer"], sold["partner"]) == (
        Decimal(20),
        "NoBroker",
        "",
        "desk-1",
    )
    assert sold["payment"] == {"@type": "Payment", "identifier": "R-17", "name": "card"}
    assert left(world, yoga) == 1
    made = order(world, sold["uuid"], "desk-1")
    assert made.totals.taxes and not made.totals.tax_excluded  # as for a Person (TAX-10)
    with pytest.raises(NotPossible, match="Too few spaces"):
        desk.sales.sell(actor, [Line(yoga.id, 2)])
    assert desk.seller_lists.bookings(actor).rows[0]["uuid"] == sold["uuid"]


def test_a_sale_that_is_repeated_sells_nothing_again(
    world: World, desk: Administration, actor: Actor
) -> None:
    yoga = world.session(spaces=3)
    for _ in range(2):
        desk.sales.sell(actor, [Line(yoga.id)], uuid=f"{UUID}01")
    assert left(world, yoga) == 2
    desk.sales.sell(actor, [Line(yoga.id)], uuid=f"{UUID}02", dry_run=True)
    assert left(world, yoga) == 2
    with pytest.raises(NotPossible, match=r"total payment due is 10\.00 GBP"):
        desk.sales.sell(actor, [Line(yoga.id)], total=Decimal("9.50"))


def test_what_brokers_must_not_sell_yet_is_sold_at_the_desk(
    world: World, desk: Administration, actor: Actor
) -> None:
    """What is asked of Brokers only: approval, windows, details of attendees."""
    asking = world.session(offer=ASKING)
    early = world.session(offer={"validFromBeforeStartDate": "PT1H"})
    details = world.session(attendee=("https://schema.org/givenName",))
    for session in (asking, early, details):
        assert Broker(world).b(f"{UUID}99", session.item()).status != 201
        assert desk.sales.sell(actor, [Line(session.id)])["due"] == 10
    desk.seller_sessions.set_on_sale(actor, early.id, False)
    with pytest.raises(NotPossible, match="Booking is closed"):
        desk.sales.sell(actor, [Line(early.id)])
    with pytest.raises(NotFound):
        desk.sales.sell(actor, [Line(world.session(seller=2).id)])


def test_only_at_the_desk_a_customer_may_be_missing(world: World) -> None:
    """C2-02."""
    yoga = world.session()
    answer = Broker(world).b(
        f"{UUID}01", yoga.item(), customer=..., brokerRole="https://openactive.io/NoBroker", broker=...
    )
    assert (answer.status, answer.json["@type"]) == (400, "IncompleteCustomerDetailsError")


def test_what_was_sold_is_taken_back_by_its_terms_or_anyway(
    world: World, desk: Administration, actor: Actor
) -> None:
    fixed = world.session(spaces=3, offer={"allowCustomerCancellationFullRefund": False})
    sold = desk.sales.sell(actor, [Line(fixed.id, 2)])
    with pytest.raises(NotPossible, match="cannot be cancelled for a refund"):
        desk.sales.take_back(actor, sold["uuid"])
    one = desk.sales.take_back(actor, sold["uuid"], item_ids=[sold["items"][0]["item"]], anyway=True)
    assert (one["due"], left(world, fixed)) == (Decimal(10), 2)
    desk.sales.take_back(actor, sold["uuid"], anyway=True)
    assert left(world, fixed) == 3
    with pytest.raises(NotFound):
        desk.sales.take_back(actor, booked(world, fixed))


def test_the_ids_of_desks_are_not_given_to_brokers(desk: Administration) -> None:
    with pytest.raises(InvalidValue, match="Sellers' own desks"):
        desk.partners.add("Broker", own_id="desk-1")
    desk.partners.add("Broker", own_id="broker")
    with pytest.raises(AlreadyExists):
        desk.partners.add("Broker", own_id="broker")


def test_an_actor_owns_the_rows_of_its_seller_only(desk: Administration, actor: Actor) -> None:
    assert actor == Actor("sam", Via.command_line, seller_id(1))
    assert actor.owns(seller_id(1)) and not actor.owns(seller_id(2))


def test_a_court_is_named_with_its_facility(world: World) -> None:
    slot = world.slot()
    listing, _ = world.store.listings([slot.id])[slot.id]
    assert name_of(listing.opportunity) == "Badminton, Court 1"
    session = world.session()
    listing, _ = world.store.listings([session.id])[session.id]
    assert name_of(listing.opportunity) == listing.opportunity.name
