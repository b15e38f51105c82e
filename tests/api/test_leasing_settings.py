"""Leases and proposals under every setting of leasing, over the wire: what the open feed would show at each stage."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.booking.decisions import Decision, Snapshot
from chalicelib.booking.proposals import amend_proposal, decide_proposal
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.lifecycle import ProposalEvent
from chalicelib.domain.opportunities import EventStatus
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.runtime.system import install
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics, with_logistics
from tests.support.builders import CUSTOMER
from tests.support.engines import Calls, moto, new_tables
from tests.support.world import API, BASE_URL, PAYMENT, Answer, Bookable, Broker, World

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
NEGOTIATION = {
    "openBookingFlowRequirement": [
        "https://openactive.io/OpenBookingApproval",
        "https://openactive.io/OpenBookingNegotiation",
    ]
}
REJECTED = "https://openactive.io/CustomerRejected"


@dataclass(frozen=True)
class Leasing:
    """The two settings, and how many of 5 spaces are left after each stage for one item."""

    anonymous: bool
    named: bool
    after_c1: int
    after_c2: int
    after_p: int
    after_rejection: int

    def __str__(self) -> str:
        on = [name for name, is_on in (("C1", self.anonymous), ("C2", self.named)) if is_on]
        return " and ".join(on) or "off"


SETTINGS = [
    Leasing(True, True, 4, 4, 4, 4),
    Leasing(True, False, 4, 4, 4, 4),
    Leasing(False, True, 5, 4, 4, 4),
    Leasing(False, False, 5, 5, 5, 5),
]
OFF = SETTINGS[3]


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    with moto() as url:
        made = new_tables("leasing", url)
        yield made
        made.connection.client.close()


@pytest.fixture(params=["memory", "tables"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """An installation in memory, and one on DynamoDB: both must do the same."""
    if request.param == "memory":
        yield World()
    else:
        tables: Tables = request.getfixturevalue("tables")
        yield World(store=DynamoStore(tables), feeds=DynamoFeeds(tables), pending=DynamoPending(tables))
    install(None)


_numbers = iter(range(10_000))


@pytest.fixture
def broker(world: World) -> Broker:
    """A booking partner of its own, so that the tables need not be emptied."""
    number = next(_numbers)
    world._numbers = number * 100
    return Broker(world, f"partner-{number}")


def use(world: World, leasing: Leasing) -> None:
    world.set(anonymous_leasing=leasing.anonymous, named_leasing=leasing.named)


def left(world: World, session: Bookable) -> int:
    """What the open feed shows, once the counters add up."""
    capacity, holds = world.capacity(session), world.store.holds(session.id).values()
    assert capacity.spaces_total == capacity.spaces_left + sum(hold.taken_spaces for hold in holds)
    assert capacity.spaces_leased == sum(hold.leased_spaces for hold in holds)
    assert capacity.spaces_requested == sum(hold.requested_spaces for hold in holds)
    return capacity.spaces_left


def p(broker: Broker, *sessions: Bookable, uuid: str = UUID) -> Answer:
    due = {"@type": "PriceSpecification", "price": 10 * len(sessions), "priceCurrency": "GBP"}
    items = [session.item(position) for position, session in enumerate(sessions)]
    body = broker.body("OrderProposal", *items, totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER)
    return broker.send("PUT", f"{API}/order-proposals/{uuid}", body)


def b(broker: Broker, proposed: Answer, uuid: str = UUID) -> Answer:
    version = proposed.json["orderProposalVersion"]
    body = {"@type": "Order", "orderProposalVersion": version, "payment": PAYMENT}
    return broker.send("PUT", f"{API}/orders/{uuid}", body)


def on(world: World, broker: Broker, decide: Any) -> None:
    moment = world.system.moment()

    def decided(snapshot: Snapshot) -> Decision[None]:
        decision: Decision[None] = decide(snapshot, moment)
        return decision

    world.system.attempts.carry_out_on_order(OrderKey(broker.partner, UUID), decided, moment.now)


def accept(world: World, broker: Broker) -> None:
    on(world, broker, lambda snapshot, moment: decide_proposal(snapshot, ProposalEvent.accept, moment))


def status(broker: Broker, uuid: str = UUID) -> str:
    return str(broker.status(uuid).json["orderProposalStatus"]).rpartition("/")[2]


# --- each stage -----------------------------------------------------------------------------


@pytest.mark.parametrize("leasing", SETTINGS, ids=str)
@pytest.mark.parametrize("end", ["B", "the Customer rejects", "the Seller rejects"])
def test_spaces_that_each_stage_takes(world: World, broker: Broker, leasing: Leasing, end: str) -> None:
    """LEASE-01, GEN-06, P-16, B-18: as the official suite expects them."""
    use(world, leasing)
    yoga = world.session(spaces=5, offer=APPROVAL)
    c1 = broker.c1(UUID, yoga.item())
    assert (c1.status, left(world, yoga), "lease" in c1.json) == (200, leasing.after_c1, leasing.anonymous)
    c2 = broker.c2(UUID, yoga.item())
    has_lease = leasing.anonymous or leasing.named
    assert (c2.status, left(world, yoga), "lease" in c2.json) == (200, leasing.after_c2, has_lease)
    proposed = p(broker, yoga)
    assert (proposed.status, left(world, yoga)) == (201, leasing.after_p)
    shown = proposed.json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"]
    assert shown == leasing.after_p
    assert b(broker, proposed).json["@type"] == "OrderCreationFailedError"
    assert left(world, yoga) == leasing.after_p
    if end == "B":
        accept(world, broker)
        assert left(world, yoga) == leasing.after_p
        assert (b(broker, proposed).status, left(world, yoga)) == (201, 4)
        return
    if end == "the Customer rejects":
        body = {"@type": "OrderProposal", "orderProposalStatus": REJECTED}
        assert broker.send("PATCH", f"{API}/order-proposals/{UUID}", body).status == 204
    else:
        on(
            world,
            broker,
            lambda snapshot, now: decide_proposal(snapshot, ProposalEvent.seller_rejects, now),
        )
    assert left(world, yoga) == leasing.after_rejection
    states = {hold.state for hold in world.store.holds(yoga.id).values()}
    assert states == ({HoldState.leased} if has_lease else set())


@pytest.mark.parametrize("leasing", SETTINGS, ids=str)
def test_a_quote_that_is_amended_leaves_nothing_behind(
    world: World, broker: Broker, leasing: Leasing
) -> None:
    """LEASE-03: C1 and C2 with one session, then C1 with another, C2, and B."""
    use(world, leasing)
    first, second = world.session(spaces=5), world.session(spaces=5)
    broker.c1(UUID, first.item())
    broker.c2(UUID, first.item())
    assert left(world, first) == leasing.after_c2
    broker.c1(UUID, second.item())
    assert (left(world, first), left(world, second)) == (5, leasing.after_c1)
    broker.c2(UUID, second.item())
    assert (left(world, first), left(world, second)) == (5, leasing.after_c2)
    assert broker.b(UUID, second.item()).status == 201
    assert (left(world, first), left(world, second)) == (5, 4)


# --- named leasing alone --------------------------------------------------------------------


def test_c1_keeps_what_c2_has_leased_of_the_same_items(world: World, broker: Broker) -> None:
    """LEASE-03: it takes nothing, and does not make the lease last longer."""
    use(world, SETTINGS[2])
    yoga, court = world.session(spaces=5), world.session(spaces=5)
    ends = broker.c2(UUID, yoga.item(), yoga.item(1)).json["lease"]["leaseExpires"]
    world.clock.advance(seconds=60)
    again = broker.c1(UUID, yoga.item(), yoga.item(1))
    assert (again.status, again.json["lease"]["leaseExpires"], left(world, yoga)) == (200, ends, 3)
    # More of the same, and another session: neither is leased, and the answer does not say so.
    more = broker.c1(UUID, yoga.item(), yoga.item(1), yoga.item(2), court.item(3))
    assert (more.status, "lease" in more.json) == (200, False)
    assert (left(world, yoga), left(world, court)) == (3, 5)
    # Fewer: the rest is released.
    fewer = broker.c1(UUID, yoga.item(), court.item(1))
    assert (fewer.status, "lease" in fewer.json) == (200, False)
    assert (left(world, yoga), left(world, court)) == (4, 5)
    assert broker.status(UUID).json["lease"]["leaseExpires"] == ends
    # C2 leases them all again, for the whole time: here it would keep an end that is two minutes earlier at most.
    world.clock.advance(minutes=2)
    assert broker.c2(UUID, yoga.item(), court.item(1)).json["lease"]["leaseExpires"] > ends
    assert (left(world, yoga), left(world, court)) == (4, 4)


def test_what_c1_keeps_ends_with_the_lease_of_c2(world: World, broker: Broker) -> None:
    use(world, SETTINGS[2])
    yoga = world.session(spaces=5)
    broker.c2(UUID, yoga.item())
    world.clock.advance(seconds=899)
    broker.c1(UUID, yoga.item())
    assert left(world, yoga) == 4
    world.clock.advance(seconds=1)
    assert broker.status(UUID).status == 404
    world.system.sweep()
    assert left(world, yoga) == 5


# --- without leasing ------------------------------------------------------------------------


def test_a_proposal_books_what_is_left_and_ends_where_nothing_is(world: World, broker: Broker) -> None:
    """B-18: two proposals for the last space; both are accepted, one can be booked."""
    use(world, OFF)
    yoga = world.session(spaces=1, offer=APPROVAL)
    proposed = p(broker, yoga)
    other = Broker(world, f"{broker.partner}-other")
    theirs = p(other, yoga)
    assert (proposed.status, theirs.status, left(world, yoga)) == (201, 201, 1)
    for each in (broker, other):
        accept(world, each)
    assert (b(other, theirs).status, left(world, yoga)) == (201, 0)
    refused = b(broker, proposed)
    assert (refused.status, refused.json["@type"]) == (409, "OpportunityHasInsufficientCapacityError")
    assert status(broker) == "SellerRejected"
    assert b(broker, proposed).json["@type"] == "OrderCreationFailedError"
    order = world.order(UUID, broker.partner)
    assert isinstance(order, Order) and order.proposal is not None and order.published
    assert order.proposal.seller_note == "No space is left."
    assert len(world.store.holds(yoga.id)) == 1


def test_a_proposal_for_more_than_there_is_is_refused_at_p(world: World, broker: Broker) -> None:
    """P-09."""
    use(world, OFF)
    yoga = world.session(spaces=1, offer=APPROVAL)
    assert p(broker, yoga, yoga).status == 409
    assert (world.order(UUID, broker.partner), left(world, yoga)) == (None, 1)


def test_requested_spaces_follow_a_change_of_the_session(world: World, broker: Broker) -> None:
    """P-17: they are in the register although they take no space."""
    use(world, OFF)
    yoga = world.session(spaces=5, offer=APPROVAL)
    p(broker, yoga)
    assert world.capacity(yoga).has_holds
    world.system.inventory.cancel(yoga.id)
    world.system.sweep()
    assert (status(broker), left(world, yoga), world.store.holds(yoga.id)) == ("SellerRejected", 5, {})


def test_an_amended_proposal_requests_the_other_session(world: World, broker: Broker) -> None:
    """A-04."""
    use(world, OFF)
    yoga, other = world.session(spaces=5, offer=NEGOTIATION), world.session(spaces=1, offer=NEGOTIATION)
    p(broker, yoga)
    order = world.order(UUID, broker.partner)
    assert isinstance(order, Order)
    choices = {str(order.items[0].id): (other.id, other.offer_id)}
    moment = world.system.moment()
    world.system.attempts.carry_out_on_order(
        OrderKey(broker.partner, UUID),
        lambda snapshot: amend_proposal(snapshot, moment, choices=choices),
        moment.now,
        also=(other.id,),
    )
    assert (left(world, yoga), left(world, other)) == (5, 1)
    assert (world.capacity(yoga).spaces_requested, world.capacity(other).spaces_requested) == (0, 1)
    accept(world, broker)
    assert b(broker, broker.status(UUID)).status == 201
    assert (left(world, yoga), left(world, other)) == (5, 0)


@pytest.mark.parametrize("before", [SETTINGS[0], OFF], ids=str)
def test_a_proposal_keeps_the_way_it_was_made_when_the_setting_changes(
    world: World, broker: Broker, before: Leasing
) -> None:
    use(world, before)
    yoga = world.session(spaces=5, offer=APPROVAL)
    proposed = p(broker, yoga)
    use(world, OFF if before is not OFF else SETTINGS[0])
    assert left(world, yoga) == before.after_p
    accept(world, broker)
    assert (b(broker, proposed).status, left(world, yoga)) == (201, 4)


def test_a_lease_from_before_leasing_was_turned_off_is_not_renewed(world: World, broker: Broker) -> None:
    yoga = world.session(spaces=5)
    ends = broker.c2(UUID, yoga.item()).json["lease"]["leaseExpires"]
    use(world, OFF)
    world.clock.advance(seconds=60)
    for stage in (broker.c1, broker.c2):
        assert stage(UUID, yoga.item()).json["lease"]["leaseExpires"] == ends
    assert left(world, yoga) == 4


# --- B of what cannot be honoured -----------------------------------------------------------

CHANGES: dict[str, tuple[Any, str]] = {
    "cancelled": (
        lambda world, yoga: world.system.inventory.cancel(yoga.id),
        "The activity has been cancelled.",
    ),
    "postponed": (
        lambda world, yoga: world.system.inventory.change(
            yoga.id, lambda session: replace(session, status=EventStatus.EventPostponed)
        ),
        "The activity has been postponed.",
    ),
    "moved": (
        lambda world, yoga: world.system.inventory.change(
            yoga.id,
            lambda session: with_logistics(
                session, Logistics(starts_at=session.starts_at + timedelta(hours=1))
            ),
        ),
        "The time or place has changed since this was proposed.",
    ),
    "withdrawn": (
        lambda world, yoga: world.system.inventory.withdraw(yoga.id),
        "The activity is no longer offered.",
    ),
}


@pytest.mark.parametrize("followed", [False, True], ids=["before it is followed", "once it is followed"])
@pytest.mark.parametrize("leasing", [SETTINGS[0], OFF], ids=str)
@pytest.mark.parametrize("change", CHANGES)
def test_b_of_what_is_no_longer_as_it_was_proposed(
    world: World, broker: Broker, change: str, leasing: Leasing, followed: bool
) -> None:
    """P-17: refused, in the feed, and the spaces are released; whether or not the change reached it before B."""
    use(world, leasing)
    yoga, other = world.session(spaces=5, offer=APPROVAL), world.session(spaces=5, offer=APPROVAL)
    proposed = p(broker, yoga, other)
    accept(world, broker)
    make, note = CHANGES[change]
    make(world, yoga)
    if followed:
        world.system.sweep()
        assert status(broker) == "SellerRejected"
    refused = b(broker, proposed)
    assert (refused.status, refused.json["@type"]) == (500, "OrderCreationFailedError")
    assert status(broker) == "SellerRejected"
    order = world.order(UUID, broker.partner)
    assert isinstance(order, Order) and order.proposal is not None
    assert (order.proposal.seller_note, order.published) == (note, True)
    for session in (yoga, other):
        assert (left(world, session), world.store.holds(session.id)) == (5, {})
    world.system.sweep()
    assert world.order(UUID, broker.partner) == order


@pytest.mark.parametrize("leasing", [SETTINGS[0], OFF], ids=str)
def test_b_of_what_has_another_name_or_price(world: World, broker: Broker, leasing: Leasing) -> None:
    """B-16, NOTIF-04: the terms are those that were accepted."""
    use(world, leasing)
    yoga = world.session(spaces=5, offer=APPROVAL)
    proposed = p(broker, yoga)
    accept(world, broker)
    world.system.inventory.change(
        yoga.id,
        lambda session: replace(
            with_logistics(session, Logistics(name="Pilates")),
            offers=tuple(replace(offer, price=offer.price + 5) for offer in session.offers),
        ),
    )
    booked = b(broker, proposed)
    assert (booked.status, booked.json["totalPaymentDue"]["price"]) == (201, 10)
    world.system.sweep()
    assert broker.status(UUID).json["orderedItem"][0]["orderedItem"]["name"] == "Pilates"
    assert left(world, yoga) == 4


# --- round trips ----------------------------------------------------------------------------


@pytest.mark.parametrize("leasing", SETTINGS, ids=str)
def test_p_and_b_of_a_proposal_take_two_round_trips(tables: Tables, leasing: Leasing) -> None:
    """The end is scheduled in the transaction of P, and B checks the Opportunity in its own."""
    world = World(store=DynamoStore(tables), feeds=DynamoFeeds(tables), pending=DynamoPending(tables))
    number = next(_numbers)
    world._numbers = number * 100
    broker, calls = Broker(world, f"partner-{number}"), Calls(tables)
    use(world, leasing)
    yoga = world.session(spaces=5, offer=APPROVAL)
    answers: list[Answer] = []
    two = ["BatchGetItem", "TransactWriteItems"]
    assert [name for name, _ in calls.during(lambda: answers.append(p(broker, yoga)))] == two
    accept(world, broker)
    assert [name for name, _ in calls.during(lambda: answers.append(b(broker, answers[0])))] == two
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[1].json["@id"] == f"{BASE_URL}{API}/orders/{UUID}"
    install(None)
