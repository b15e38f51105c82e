"""A sandbox stays filled: topped up, replaced, moved to later dates, answered, cleared; never in production."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.api.sweep import sweep
from chalicelib.domain.identifiers import outward
from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import Order
from chalicelib.runtime.settings import SettingsError
from chalicelib.runtime.upkeep import Upkeep
from chalicelib.sandbox.keeping import (
    ANSWERED_AFTER,
    ANSWERING,
    CHECKED_EVERY,
    KIND,
    RENEWED_AFTER,
    WITHDRAWN_AFTER,
    Kept,
)
from chalicelib.sandbox.opportunities import ids
from chalicelib.sandbox.plan import Answer, Place, Size
from chalicelib.sandbox.requests import BookingFlow
from chalicelib.services.checking.findings import Damage
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from tests.support.inventory import BASE_URL
from tests.support.world import API, PAYMENT, Broker, Json, World

UUID = "10000000-0000-4000-8000-00000000000"
SESSIONS = Size(each=1, types=frozenset({"ScheduledSession"}))


def fill(world: World, size: Size = SESSIONS) -> Kept:
    world.system.sandbox.plan(world.store.sellers(), size)
    return world.system.sandbox.fill()


def found(
    world: World,
    criteria: str,
    flow: BookingFlow = BookingFlow.OpenBookingSimpleFlow,
    answer: Answer | None = None,
    kind: OpportunityType = OpportunityType.ScheduledSession,
) -> tuple[Place, Listing]:
    """The first place of this criterion and flow, with its Opportunity."""
    for place, listing, _ in world.system.sandbox.contents():
        request = place.request
        if (request.criteria, request.flow, place.answer, request.type) == (criteria, flow, answer, kind):
            assert listing is not None
            return place, listing
    raise AssertionError("The sandbox has no such place.")


def item(listing: Listing, position: int = 0) -> Json:
    return {
        "@type": "OrderItem",
        "position": position,
        "orderedItem": outward(listing.opportunity.id, BASE_URL),
        "acceptedOffer": outward(listing.opportunity.offers[0].id, BASE_URL),
    }


def due(listing: Listing, number: int = 1) -> float:
    return float(listing.opportunity.offers[0].price) * number


def propose(broker: Broker, listing: Listing, uuid: str) -> int:
    total = due(listing)
    body = broker.body("OrderProposal", item(listing), customer={"@type": "Person", "email": "a@b.example"})
    body["totalPaymentDue"] = {"@type": "PriceSpecification", "price": total, "priceCurrency": "GBP"}
    if total:
        body["payment"] = PAYMENT
    return broker.send("PUT", f"{API}/order-proposals/{uuid}", body).status


def book(broker: Broker, listing: Listing, uuid: str, number: int = 1) -> None:
    items = [item(listing, position) for position in range(number)]
    total = due(listing, number)
    answer = broker.b(uuid, *items, due=total) if total else broker.b(uuid, *items, due=0, payment=None)
    assert answer.status == 201, answer.json


def test_running_again_changes_nothing(world: World) -> None:
    assert fill(world).made > 50
    before = world.system.sandbox.contents()
    assert fill(world) == Kept()
    assert world.system.sandbox.contents() == before


def test_a_larger_size_tops_up(world: World) -> None:
    first = fill(world).made
    answered = sum(place.answer is not None for place, _, _ in world.system.sandbox.contents())
    assert fill(world, replace(SESSIONS, each=3)).made == 2 * (first - answered)


def test_what_is_used_up_is_replaced_and_its_orders_stay(world: World, broker: Broker) -> None:
    fill(world)
    place, listing = found(world, "TestOpportunityBookableOneSpace")
    book(broker, listing, UUID + "1")
    assert world.system.sandbox.fill() == Kept(replaced=1)
    after, another = found(world, "TestOpportunityBookableOneSpace")
    assert (after.key, after.number) == (place.key, after.number)
    assert another.opportunity.id != listing.opportunity.id
    assert broker.status(UUID + "1").json["orderedItem"][0]["orderItemStatus"].endswith("OrderItemConfirmed")


def test_what_is_replaced_is_withdrawn_later(world: World, broker: Broker) -> None:
    """A Broker who has booked the last space waits for it in the feed."""
    fill(world)
    place, listing = found(world, "TestOpportunityBookableOneSpace")
    book(broker, listing, UUID + "1")
    made = [each for each in ids(place.request, place.number) if each]
    assert len(made) == 2

    def are_withdrawn() -> set[bool]:
        return {known.deleted for known, _ in world.store.listings(made).values()}

    world.system.sandbox.fill()
    assert are_withdrawn() == {False}
    world.clock.advance(seconds=WITHDRAWN_AFTER.total_seconds() - 60)
    world.system.sandbox.fill()
    assert are_withdrawn() == {False}
    world.clock.advance(seconds=60)
    assert world.system.sandbox.fill() == Kept()
    assert are_withdrawn() == {True}


def test_clearing_withdraws_what_was_replaced_too(world: World, broker: Broker) -> None:
    fill(world)
    _, listing = found(world, "TestOpportunityBookableOneSpace")
    book(broker, listing, UUID + "1")
    world.system.sandbox.fill()
    world.system.sandbox.clear()
    assert not [each for each in world.store.imported_from("sandbox") if not each.deleted]


def test_what_has_enough_spaces_left_stays(world: World, broker: Broker) -> None:
    fill(world)
    _, listing = found(world, "TestOpportunityBookable")
    book(broker, listing, UUID + "1", 8)
    assert world.system.sandbox.fill() == Kept()
    book(broker, listing, UUID + "2")
    assert world.system.sandbox.fill() == Kept(replaced=1)


def test_spaces_that_are_only_leased_come_back(world: World, broker: Broker) -> None:
    fill(world)
    _, listing = found(world, "TestOpportunityBookableOneSpace")
    assert broker.c1(UUID + "1", item(listing)).status == 200
    assert world.system.sandbox.fill() == Kept()


def test_what_the_seller_cancelled_is_replaced(world: World) -> None:
    fill(world)
    _, listing = found(world, "TestOpportunityBookable")
    world.system.inventory.cancel(listing.opportunity.id)
    assert world.system.sandbox.fill() == Kept(replaced=1)


def test_dates_move_on_under_the_same_id(world: World) -> None:
    fill(world)
    place, listing = found(world, "TestOpportunityBookable")
    world.clock.advance(seconds=RENEWED_AFTER.total_seconds() + 60)
    kept = world.system.sandbox.fill()
    after, later = found(world, "TestOpportunityBookable")
    past = sum(place.request.criteria.endswith("InPast") for place, _, _ in world.system.sandbox.contents())
    assert kept == Kept(moved=len(world.system.sandbox.contents()) - past)
    assert (after, later.version) == (place, listing.version + 1)
    assert later.opportunity.starts_at is not None and listing.opportunity.starts_at is not None
    assert later.opportunity.starts_at - listing.opportunity.starts_at > RENEWED_AFTER


def test_what_someone_has_booked_keeps_its_date(world: World, broker: Broker) -> None:
    fill(world)
    _, listing = found(world, "TestOpportunityBookable")
    book(broker, listing, UUID + "1")
    world.clock.advance(seconds=RENEWED_AFTER.total_seconds() + 60)
    assert world.system.sandbox.fill().replaced == 1
    ordered = broker.status(UUID + "1").json["orderedItem"][0]["orderedItem"]
    assert ordered["startDate"] == listing.opportunity.document["startDate"]


def test_the_schedule_fills_it_and_looks_at_each_place_every_ten_minutes(
    world: World, broker: Broker
) -> None:
    planned = world.system.sandbox.plan(world.store.sellers(), SESSIONS)
    assert sweep()[KIND] == planned
    _, listing = found(world, "TestOpportunityBookableOneSpace")
    book(broker, listing, UUID + "1")
    assert sweep()[KIND] == 0
    world.clock.advance(seconds=CHECKED_EVERY.total_seconds())
    assert sweep()[KIND] == 1


def test_a_run_of_the_schedule_ends_with_its_time_and_the_next_continues(world: World) -> None:
    planned = world.system.sandbox.plan(world.store.sellers(), Size(each=1))
    seconds = iter(float(n) for n in range(10_000))
    system = world.system
    system.retry = replace(system.retry, clock=lambda: next(seconds))
    runs = []
    while (handled := system.sandbox.run(2.5)) > 0:
        runs.append(handled)
    assert len(runs) > 2
    assert sum(runs) == planned


@pytest.mark.parametrize(
    ("answer", "status"),
    [(Answer.accepted, ProposalStatus.SellerAccepted), (Answer.rejected, ProposalStatus.SellerRejected)],
)
def test_proposals_are_answered_after_some_seconds(
    world: World, broker: Broker, answer: Answer, status: ProposalStatus
) -> None:
    fill(world)
    _, listing = found(world, "TestOpportunityBookable", BookingFlow.OpenBookingApprovalFlow, answer)
    assert f"proposals are {answer} automatically" in str(listing.opportunity.parent)
    assert propose(broker, listing, UUID + "1") == 201
    assert sweep()[KIND] == 0
    world.clock.advance(seconds=ANSWERED_AFTER.total_seconds())
    assert sweep()[KIND] == 1
    order = world.order(UUID + "1")
    assert isinstance(order, Order) and order.proposal is not None
    assert order.proposal.status is status
    assert sweep()[KIND] == 0


def test_other_proposals_wait_for_the_seller(world: World, broker: Broker) -> None:
    fill(world)
    _, listing = found(world, "TestOpportunityBookable", BookingFlow.OpenBookingApprovalFlow)
    assert propose(broker, listing, UUID + "1") == 201
    world.clock.advance(minutes=20)
    sweep()
    order = world.order(UUID + "1")
    assert isinstance(order, Order) and order.proposal is not None
    assert order.proposal.status is ProposalStatus.AwaitingSellerConfirmation


def test_it_can_be_cleared_and_filled_again(world: World, broker: Broker) -> None:
    first = fill(world)
    _, listing = found(world, "TestOpportunityBookable")
    book(broker, listing, UUID + "1")
    numbers = [place.number for place, _, _ in world.system.sandbox.contents()]
    assert world.system.sandbox.clear() == first.made
    assert world.system.sandbox.contents() == []
    assert {KIND, ANSWERING} & set(world.pending.kinds()) == set()
    assert broker.status(UUID + "1").status == 200
    assert broker.c1(UUID + "2", item(listing)).error_types() == [["UnknownOpportunityError"]]
    assert fill(world) == first
    assert not set(numbers) & {place.number for place, _, _ in world.system.sandbox.contents()}


def test_parents_go_with_their_opportunities(world: World) -> None:
    fill(world)
    world.system.sandbox.clear()
    listed = world.store.imported_from("sandbox")
    assert not [listing for listing in listed if not listing.deleted]


def test_a_check_finds_no_stuck_work_in_it(world: World) -> None:
    """Its entries are never finished."""
    fill(world)
    found = Upkeep(world.system, lambda _: None).check(parts=1).run().findings
    assert {finding.damage for finding in found} == {Damage.ITEM_MISSING}  # there are no streams here


def test_in_production_there_is_none(world: World) -> None:
    fill(world)
    world.set(production=True)
    with pytest.raises(SettingsError, match="never in production"):
        _ = world.system.sandbox
    assert KIND not in sweep()


def test_an_entry_that_cannot_be_read_is_set_aside_and_the_others_are_kept(world: World) -> None:
    world.pending.exchange((), [PendingWork(KIND, "0", "not places")])
    assert fill(world).made > 50
    (aside,) = world.pending.entries(SET_ASIDE + KIND, 10)
    assert (aside.document, aside.error) == ("not places", "Undecodable")


def test_a_seller_that_is_gone_or_closed_does_not_stop_the_others(world: World) -> None:
    closed = [replace(each, open_booking_allowed=False) for each in world.store.sellers()]
    assert world.system.sandbox.plan(closed, SESSIONS) == 0
    unknown = [replace(each, id=f"{each.id}0") for each in world.store.sellers()]
    world.system.sandbox.plan(unknown, SESSIONS)
    assert fill(world).made > 50


def test_the_past_stays_past(world: World) -> None:
    fill(world)
    world.clock.advance(days=30)
    world.system.sandbox.fill()
    _, listing = found(world, "TestOpportunityBookableInPast")
    assert listing.version == 1
    assert listing.opportunity.ends_at is not None
    assert listing.opportunity.ends_at < world.now() - timedelta(days=30)


def test_each_has_the_flow_it_was_made_for_and_says_what_it_is(world: World) -> None:
    fill(world)
    for place, listing, _ in world.system.sandbox.contents():
        assert listing is not None
        is_approval = place.request.flow is BookingFlow.OpenBookingApprovalFlow
        assert listing.opportunity.offers[0].needs_approval is is_approval
        assert "(sandbox: " in str(listing.opportunity.parent)
