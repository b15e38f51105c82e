"""Each bookable type goes once through C1, C2, B, cancellation, the Seller's cancellation, and its feeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.capacity import UNLIMITED, Capacity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.sandbox.opportunities import build_opportunity
from chalicelib.sandbox.requests import BookingFlow, TestOpportunityRequest
from chalicelib.services import following
from chalicelib.services.checking.inventory import InventoryLook
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from chalicelib.wire.opportunities import Published
from chalicelib.wire.reading import read_opportunity
from tests.api.test_feeds import inventory_changed, orders_changed, walk
from tests.support.world import API, BASE_URL, Bookable, Broker, World, seller_id

TYPES = tuple((kind, parent) for kind in OpportunityType for parent in kind.traits.test_names.values())


def published(
    world: World, kind: OpportunityType, parent: str | None, criteria: str = "TestOpportunityBookableNonFree"
) -> tuple[Bookable, ...]:
    """An Opportunity of the Test Interface, and its parent before it."""
    seller = world.store.seller(seller_id(1))
    assert seller is not None
    flow = BookingFlow.OpenBookingSimpleFlow
    request = TestOpportunityRequest(kind, parent, seller.id, criteria, flow)
    made = build_opportunity(request, number=world.next_number(), now=world.now(), seller=seller.document)
    for each in made.published():
        world.store.publish(Listing(each.opportunity), each.spaces)
    return tuple(map(_bookable, made.published()))


def _bookable(each: Published) -> Bookable:
    offer_id = each.opportunity.offers[0].id if each.opportunity.offers else ""
    return Bookable(each.opportunity.id, offer_id, each.opportunity.type.value)


def shown_in_feed(world: World, broker: Broker, bookable: Bookable) -> dict[str, Any]:
    inventory_changed(world, bookable)
    feed = OpportunityType(bookable.type).traits.feed
    items = [item for item in walk(broker, f"/feeds/{feed}") if item["id"] == bookable.outer_id]
    data: dict[str, Any] = items[-1]["data"]
    return data


def check(world: World, *bookables: Bookable) -> None:
    """What `openbooking check` finds of these."""
    look = InventoryLook(world.store, world.now())
    assert list(look.opportunities([each.id for each in bookables])) == []


@pytest.mark.parametrize(("kind", "parent"), TYPES, ids=str)
def test_each_type_is_quoted_booked_cancelled_and_shown(
    world: World, broker: Broker, new_uuid: Callable[[], str], kind: OpportunityType, parent: str | None
) -> None:
    """BOOKABLE-01."""
    *parents, bookable = published(world, kind, parent)
    sold = [each for each in (*parents, bookable) if OpportunityType(each.type).is_bookable]
    term = kind.traits.family.spaces_term
    before = world.capacity(bookable)
    uuid, other = new_uuid(), new_uuid()

    def left() -> int | None:
        shown = shown_in_feed(world, broker, bookable)
        assert shown["@type"] == kind.value
        return shown.get(term)

    all_of_them = left()
    assert (all_of_them is None) is before.is_unlimited
    for answer in (broker.c1(uuid, bookable.item()), broker.c2(uuid, bookable.item())):
        assert (answer.status, answer.error_types()) == (200, [[]])
        ordered = answer.json["orderedItem"][0]["orderedItem"]
        assert ordered["@id"] == bookable.outer_id
        assert ordered.get(term) == all_of_them  # C1-09
    check(world, *sold)
    booked = broker.b(uuid, bookable.item(), due=14.95)
    assert booked.status == 201, booked.json
    assert left() == (None if all_of_them is None else all_of_them - 1)
    assert world.held(bookable) == 1
    check(world, *sold)
    item_id = booked.json["orderedItem"][0]["@id"]
    assert broker.cancel(uuid, item_id).status == 204
    assert left() == all_of_them
    orders_changed(world, uuid)

    assert broker.b(other, bookable.item(), due=14.95).status == 201
    assert world.system.seller_actions.cancel_opportunity(bookable.id, message="Ill.") == 1
    orders_changed(world, other)
    items = {item["id"]: item["data"] for item in walk(broker, f"{API}/orders-rpde")}
    statuses = [items[each]["orderedItem"][0]["orderItemStatus"].rsplit("/", 1)[1] for each in (uuid, other)]
    assert statuses == ["CustomerCancelled", "SellerCancelled"]
    assert world.held(bookable) == 0
    refused = broker.c1(new_uuid(), bookable.item())
    assert refused.error_types() == [["OpportunityOfferPairNotBookableError"]]
    check(world, *sold)


@pytest.mark.parametrize("whole", ["HeadlineEvent", "CourseInstance"])
def test_a_place_in_the_whole_is_a_place_in_each_sub_event(
    world: World, broker: Broker, new_uuid: Callable[[], str], whole: str
) -> None:
    course, session = published(world, OpportunityType.Event, whole)
    uuid = new_uuid()
    booked = broker.b(uuid, course.item(), due=14.95)
    assert booked.status == 201, booked.json
    assert (world.held(course), world.held(session)) == (1, 1)
    check(world, course, session)
    shown = shown_in_feed(world, broker, session)
    assert shown["remainingAttendeeCapacity"] == 9
    assert shown["superEvent"]["@id"] == course.outer_id
    broker.cancel(uuid, booked.json["orderedItem"][0]["@id"])
    assert (world.held(course), world.held(session)) == (0, 0)
    check(world, course, session)


@pytest.mark.parametrize("leases", [True, False])
def test_a_full_session_is_named_as_the_reason(
    world: World, broker: Broker, new_uuid: Callable[[], str], leases: bool
) -> None:
    """ERR-07: at C1, also where it commits nothing; at B, where the commit is refused."""
    world.set(anonymous_leasing=leases, named_leasing=leases)
    course, session = published(
        world, OpportunityType.Event, "CourseInstance", "TestOpportunityBookableOneSpace"
    )
    assert world.capacity(course).spaces_left == 1
    due = 14.95 if broker.b(new_uuid(), session.item(), due=14.95).status == 201 else 0
    if not due:
        assert broker.b(new_uuid(), session.item(), due=0).status == 201
    for answer in (
        broker.c1(new_uuid(), course.item()),
        broker.c2(new_uuid(), course.item()),
        broker.b(new_uuid(), course.item(), due=due),
    ):
        assert answer.status == 409
        [error] = answer.json["orderedItem"][0]["error"]
        assert error["@type"] == "OpportunityIsFullError"
        assert error["instance"] == session.outer_id
        assert answer.json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 0
    check(world, course, session)


def test_people_on_a_course_are_told_that_a_session_is_cancelled(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """NOTIF-01: the place in the course stays, and so does that in the session, which may be restored."""
    course, session = published(world, OpportunityType.Event, "CourseInstance")
    uuid, single = new_uuid(), new_uuid()
    broker.b(uuid, course.item(), due=14.95)
    broker.b(single, session.item(), due=14.95)
    world.system.seller_actions.cancel_opportunity(session.id, message="The teacher is ill.")
    orders_changed(world, uuid)
    orders_changed(world, single)
    items = {item["id"]: item["data"]["orderedItem"][0] for item in walk(broker, f"{API}/orders-rpde")}
    assert items[single]["orderItemStatus"].endswith("SellerCancelled")
    assert items[uuid]["orderItemStatus"].endswith("OrderItemConfirmed")
    assert items[uuid]["customerNotice"].endswith("is cancelled. The teacher is ill.")
    assert (world.held(course), world.held(session)) == (1, 1)
    check(world, course, session)


def test_a_course_that_is_cancelled_releases_its_sessions(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    course, session = published(world, OpportunityType.Event, "CourseInstance")
    broker.b(new_uuid(), course.item(), due=14.95)
    world.system.seller_actions.cancel_opportunity(course.id)
    assert (world.held(course), world.held(session)) == (0, 0)
    check(world, course, session)


def test_a_session_that_is_sold_singly_later_is_taken_by_those_on_the_course(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    course, session = published(world, OpportunityType.Event, "CourseInstance")
    inventory = world.system.inventory
    inventory.change(course.id, lambda known: replace(known, sub_events=()))
    broker.b(new_uuid(), course.item(), due=14.95)
    assert (world.held(course), world.held(session)) == (1, 0)
    inventory.change(course.id, lambda known: replace(known, sub_events=(session.id,)))
    world.system.worker.finish(following.KIND, course.id)
    assert (world.held(course), world.held(session)) == (1, 1)
    check(world, course, session)
    assert walk(broker, f"{API}/orders-rpde") == []  # the Customer sees no difference


def test_a_course_with_more_sessions_than_one_order_takes_is_not_bookable_and_says_why(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    course, _ = published(world, OpportunityType.Event, "CourseInstance")
    listing, _ = world.store.listings([course.id])[course.id]
    for number, is_sold in ((23, True), (24, False)):
        ids = [f"{BASE_URL}/events/{n}" for n in range(number)]
        read = read_opportunity(
            {**listing.opportunity.document, "@id": f"{course.id}0{number}"}, sub_events=ids
        )
        offer = read.opportunity.offers[0]
        reason = read.opportunity.why_not_bookable(offer, world.now())
        assert (reason is None) is is_sold
        if reason:
            assert "24 sessions" in reason
            world.store.publish(Listing(read.opportunity), read.spaces)
            item = Bookable(read.opportunity.id, offer.id, "CourseInstance").item()
            [error] = broker.c1(new_uuid(), item).json["orderedItem"][0]["error"]
            assert (error["@type"], error["description"]) == ("OpportunityOfferPairNotBookableError", reason)


def test_without_a_limit_any_number_can_book_and_the_counters_add_up(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    (video,) = published(world, OpportunityType.OnDemandEvent, None)
    booked = broker.b(new_uuid(), *(video.item(n) for n in range(200)), due=2990)
    assert booked.status == 201, booked.json
    assert world.capacity(video) == replace(
        Capacity(UNLIMITED, UNLIMITED - 200), version=world.capacity(video).version
    )
    assert world.capacity(video).spaces_shown is None
    check(world, video)
