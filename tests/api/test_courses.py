"""Courses whose sessions are also sold singly, wherever spaces are counted (decision 26)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import OpportunityIsInConflictError
from chalicelib.domain.limits import MAX_OPPORTUNITIES
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.services import following
from chalicelib.services.checking.inventory import InventoryLook
from chalicelib.values import replace
from tests.api.test_proposals import b, p
from tests.support.world import API, BASE_URL, Bookable, Broker, World

APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
FULL = "OpportunityIsFullError"


@pytest.fixture(autouse=True)
def consistent(world: World) -> Any:
    """After each test, what `openbooking check` finds in the whole inventory: nothing."""
    yield
    ids = list(world.store.scan_opportunities().rows)
    assert list(InventoryLook(world.store, world.now()).opportunities(ids)) == []


def fill(world: World, broker: Broker, new_uuid: Callable[[], str], session: Bookable) -> str:
    """Sell all places of a session singly; the UUID of the Order."""
    uuid = new_uuid()
    items = [session.item(n) for n in range(world.capacity(session).spaces_left)]
    assert broker.b(uuid, *items, due=10 * len(items)).status == 201
    return uuid


def short_of(answer: Any) -> list[tuple[str, str]]:
    """The errors of the first item, each with the Opportunity that is short."""
    return [(error["@type"], error["instance"]) for error in answer.json["orderedItem"][0].get("error", [])]


def accept(world: World, uuid: str) -> str:
    """Accept the proposal; its version, as a Broker names it."""
    key = OrderKey("partner-1", uuid)
    world.system.seller_actions.accept(key)
    order = world.order(uuid)
    assert isinstance(order, Order) and order.proposal is not None
    return f"{BASE_URL}{API}/order-proposals/{uuid}/versions/{order.proposal.version}"


def held(world: World, *bookables: Bookable) -> list[int]:
    return [world.held(each) for each in bookables]


# --- P without leasing ----------------------------------------------------------------------


@pytest.fixture
def no_leasing(world: World) -> None:
    world.set(anonymous_leasing=False, named_leasing=False)


@pytest.mark.usefixtures("no_leasing")
def test_p_without_leasing_names_the_session_that_is_full(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """ERR-07: it takes no space, and no proposal is made that could not be booked now."""
    course, *_ = world.course(10, [1, 1], offer=APPROVAL)
    monday = world.course(10, [1], price=10)[1]
    world.system.inventory.change(course.id, lambda known: replace(known, sub_events=(monday.id,)))
    fill(world, broker, new_uuid, monday)
    answer = p(broker, course.item(), uuid=new_uuid())
    assert (answer.status, short_of(answer)) == (409, [(FULL, monday.outer_id)])
    assert held(world, course, monday) == [0, 1]


@pytest.mark.usefixtures("no_leasing")
def test_p_without_leasing_takes_no_space_of_a_session_and_b_takes_it(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """B-18."""
    course, monday, tuesday = world.course(2, [1, 1], offer=APPROVAL)
    first, second = new_uuid(), new_uuid()
    assert [p(broker, course.item(), uuid=uuid).status for uuid in (first, second)] == [201, 201]
    assert [world.capacity(each).spaces_left for each in (course, monday, tuesday)] == [2, 1, 1]
    assert b(broker, accept(world, first), uuid=first).status == 201
    assert [world.capacity(each).spaces_left for each in (course, monday, tuesday)] == [1, 0, 0]
    refused = b(broker, accept(world, second), uuid=second)
    assert (refused.status, refused.json["@type"]) == (409, "OpportunityHasInsufficientCapacityError")
    assert world.order(second).proposal.is_rejected  # type: ignore[union-attr]
    assert [world.capacity(each).spaces_requested for each in (course, monday, tuesday)] == [0, 0, 0]


@pytest.mark.usefixtures("no_leasing")
def test_a_proposal_does_not_end_with_a_session_that_takes_no_place(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """The session has no space any more, and is cancelled: B books the course without it."""
    course, monday, tuesday = world.course(2, [1, 1], offer=APPROVAL)
    uuid = new_uuid()
    p(broker, course.item(), uuid=uuid)
    version = accept(world, uuid)
    world.system.inventory.resize(monday.id, 0)
    world.system.seller_actions.cancel_opportunity(monday.id)
    booked = b(broker, version, uuid=uuid)
    assert booked.status == 201, booked.json
    assert held(world, course, monday, tuesday) == [1, 0, 1]


@pytest.mark.usefixtures("no_leasing")
def test_a_proposal_without_leasing_takes_sessions_that_are_sold_singly_later(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """Also one that is full at that moment: whether there is a space is asked at B (B-18)."""
    course, monday, tuesday = world.course(2, [1, 1], offer=APPROVAL)
    uuid = new_uuid()
    p(broker, course.item(), uuid=uuid)
    other = world.course(5, [1])[1]
    sold = fill(world, broker, new_uuid, other)
    inventory = world.system.inventory
    inventory.change(course.id, lambda known: replace(known, sub_events=(*known.sub_events, other.id)))
    world.system.worker.finish(following.KIND, course.id)
    assert broker.delete(sold).status == 204
    assert b(broker, accept(world, uuid), uuid=uuid).status == 201
    assert held(world, course, monday, tuesday, other) == [1, 1, 1, 1]


# --- quotes that get no lease ---------------------------------------------------------------


def test_a_quote_without_a_lease_for_a_limit_names_the_session_that_is_full(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """LEASE-01: a partner at its limit gets no lease, so no commit checks the sessions."""
    course, monday, _ = world.course(10, [1, 10])
    fill(world, broker, new_uuid, monday)
    world.set(partner_leases=1)
    leased = new_uuid()
    assert "lease" in broker.c2(leased, world.session().item()).json
    uuid = new_uuid()
    for answer in (broker.c1(uuid, course.item()), broker.c2(uuid, course.item())):
        assert (answer.status, short_of(answer)) == (409, [(FULL, monday.outer_id)])
        assert "lease" not in answer.json


def test_c1_beside_a_named_lease_names_the_session_that_is_full(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """LEASE-03: what C2 leased is kept, and what is asked for besides is checked."""
    world.set(anonymous_leasing=False)
    yoga, (course, monday, _) = world.session(), world.course(10, [1, 10])
    fill(world, broker, new_uuid, monday)
    uuid = new_uuid()
    assert "lease" in broker.c2(uuid, yoga.item()).json
    answer = broker.c1(uuid, course.item(), yoga.item(1))
    assert (answer.status, short_of(answer)) == (409, [(FULL, monday.outer_id)])
    assert held(world, yoga) == [1]


# --- sessions that leave sale ---------------------------------------------------------------


def test_a_session_that_is_only_closed_takes_place_and_counts(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """Closed and full, it would be sold twice without its space."""
    course, monday, tuesday = world.course(10, [2, 10])
    world.system.inventory.set_closed(monday.id, True)
    assert broker.b(new_uuid(), course.item()).status == 201
    assert held(world, course, monday, tuesday) == [1, 1, 1]
    assert broker.b(new_uuid(), course.item()).status == 201
    answer = broker.b(new_uuid(), course.item())
    assert (answer.status, short_of(answer)) == (409, [(FULL, monday.outer_id)])


@pytest.mark.parametrize("ends", ["cancelled", "withdrawn", "over"])
def test_a_full_session_that_takes_no_place_prevents_nothing(
    world: World, broker: Broker, new_uuid: Callable[[], str], ends: str
) -> None:
    course, monday, tuesday = world.course(10, [1, 10])
    fill(world, broker, new_uuid, monday)
    if ends == "cancelled":
        world.system.inventory.change(monday.id, _cancelled)
    elif ends == "withdrawn":
        world.system.inventory.withdraw(monday.id)
    else:
        world.clock.advance(seconds=timedelta(days=2, hours=1, minutes=30).total_seconds())
        course_now = world.store.listings([course.id])[course.id][0].opportunity
        assert course_now.ends_at is not None and course_now.ends_at > world.now()
    booked = broker.b(new_uuid(), course.item())
    assert booked.status == 201, booked.json
    assert held(world, course, tuesday) == [1, 1]


def _cancelled(known: Any) -> Any:
    return replace(known, status="EventCancelled")


# --- sub-events that change -----------------------------------------------------------------


def test_an_order_that_has_the_last_place_of_a_session_keeps_one(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """It holds the session singly, and the course now takes a space of it, too: there is none, and nothing waits."""
    course, monday, _ = world.course(10, [1, 1])
    inventory = world.system.inventory
    inventory.change(course.id, lambda known: replace(known, sub_events=()))
    assert broker.b(new_uuid(), course.item(), monday.item(1), due=20).status == 201
    inventory.change(course.id, lambda known: replace(known, sub_events=(monday.id,)))
    world.system.worker.finish(following.KIND, course.id)
    assert held(world, course, monday) == [1, 1]


def test_cancelled_places_need_no_space_of_a_session_that_is_sold_singly_later(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    course, monday, _ = world.course(10, [1, 1])
    inventory = world.system.inventory
    inventory.change(course.id, lambda known: replace(known, sub_events=()))
    uuid = new_uuid()
    booked = broker.b(uuid, course.item(), course.item(1), due=20)
    broker.cancel(uuid, booked.json["orderedItem"][0]["@id"])
    inventory.change(course.id, lambda known: replace(known, sub_events=(monday.id,)))
    world.system.worker.finish(following.KIND, course.id)
    assert held(world, course, monday) == [1, 1]


def test_new_ids_for_all_sessions_of_the_longest_course_are_followed(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """A source that gives its sessions new ids: those on the course have a space of each new one."""
    course, *old = world.course(10, [3] * 23)
    _, *new = world.course(10, [3] * 23)
    assert broker.b(new_uuid(), course.item()).status == 201
    inventory = world.system.inventory
    inventory.change(course.id, lambda known: replace(known, sub_events=tuple(each.id for each in new)))
    world.system.worker.finish(following.KIND, course.id)
    assert held(world, course, *old, *new) == [1] + [0] * 23 + [1] * 23


# --- how many Opportunities -----------------------------------------------------------------


def test_a_course_with_more_sessions_than_one_order_takes_is_not_bookable_however_it_came_in(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    course, *_ = world.course(10, [1] * (MAX_OPPORTUNITIES - 1))
    assert broker.c1(new_uuid(), course.item()).status == 200
    more = world.session()
    world.system.inventory.change(
        course.id, lambda known: replace(known, sub_events=(*known.sub_events, more.id))
    )
    for answer in (
        broker.c1(new_uuid(), course.item()),
        broker.c2(new_uuid(), course.item()),
        broker.b(new_uuid(), course.item()),
    ):
        [error] = answer.json["orderedItem"][0]["error"]
        assert (answer.status, error["@type"]) == (409, "OpportunityOfferPairNotBookableError")
        assert "24 sessions" in error["description"]


def test_several_courses_beyond_one_transaction_are_a_conflict_of_the_further_ones(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """B-11, ERR: never a fault, and the first courses can still be booked."""
    courses = [world.course(10, [10] * 11)[0] for _ in range(4)]
    items = [course.item(n) for n, course in enumerate(courses)]
    uuid = new_uuid()
    for answer in (
        broker.c1(uuid, *items),
        broker.c2(uuid, *items),
        broker.b(uuid, *items, due=40),
        p(broker, *items, uuid=uuid, due=40),
    ):
        conflict = ["OpportunityIsInConflictError"]
        assert (answer.status, answer.error_types()) == (409, [[], [], conflict, conflict])
        description = answer.json["orderedItem"][2]["error"][0]["description"]
        assert description == "An order may have at most 24 different opportunities."
    assert broker.b(uuid, *items[:2], due=20).status == 201


def test_a_quote_of_the_longest_course_can_become_one_of_another(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """LEASE-03: the longest transaction that a Broker can cause."""
    one, other = world.course(10, [10] * 23), world.course(10, [10] * 23)
    uuid = new_uuid()
    for course in (one, other):
        assert broker.c2(uuid, course[0].item()).status == 200
    assert held(world, *one, *other) == [0] * 24 + [1] * 24
    assert broker.b(uuid, one[0].item()).status == 201


def test_a_replacement_moves_as_many_spaces_as_one_transaction_takes(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """REPL-01: the longest course for another one."""
    one, other = (world.course(10, [10] * 23) for _ in range(2))
    uuid = new_uuid()
    broker.b(uuid, one[0].item())
    [item_id] = item_ids(world, uuid)
    key, choice = OrderKey("partner-1", uuid), (other[0].id, other[0].offer_id)
    world.system.seller_actions.replace(key, {item_id: choice})
    assert held(world, *one, *other) == [0] * 24 + [1] * 24


def test_a_replacement_beyond_one_transaction_is_refused_with_its_reason(
    world: World, broker: Broker, new_uuid: Callable[[], str]
) -> None:
    """An Order may keep 32 Opportunities, and one transaction releases and takes spaces of 48 together."""
    one, other = (world.course(10, [10] * 23)[0] for _ in range(2))
    singles, others = ([world.session() for _ in range(8)] for _ in range(2))
    uuid = new_uuid()
    broker.b(uuid, *(one.item(n) for n in range(9)), due=90)
    first, *further = item_ids(world, uuid)
    key, replace_all = OrderKey("partner-1", uuid), world.system.seller_actions.replace

    def choices(bookables: list[Bookable]) -> dict[str, tuple[str, str]]:
        return {item: (each.id, each.offer_id) for item, each in zip(further, bookables, strict=True)}

    replace_all(key, choices(singles))
    assert held(world, one, *singles) == [1] * 9
    with pytest.raises(OpportunityIsInConflictError, match="replace fewer items"):
        replace_all(key, {first: (other.id, other.offer_id), **choices(others)})
    assert held(world, one, other, *singles) == [1, 0, *[1] * 8]
    replace_all(key, choices(others))
    replace_all(key, {first: (other.id, other.offer_id)})
    assert held(world, one, other, *others) == [0, 1, *[1] * 8]


def item_ids(world: World, uuid: str) -> list[str]:
    order = world.order(uuid)
    assert isinstance(order, Order)
    return [str(item.id) for item in order.items]
