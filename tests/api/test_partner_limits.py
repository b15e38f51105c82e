"""What one booking partner can hold without a booking, over the wire (decision 21). No sweep runs here."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.booking.cancel import erase
from chalicelib.booking.decisions import Wanted
from chalicelib.booking.proposals import amend_proposal, decide_proposal
from chalicelib.domain.capacity import Share
from chalicelib.domain.lifecycle import ProposalEvent
from chalicelib.domain.orders import OrderKey
from chalicelib.domain.partner_limits import Usage
from chalicelib.storage.store import Store
from tests.support.builders import CUSTOMER
from tests.support.world import API, PAYMENT, Answer, Bookable, Broker, World

APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
NO_LIMITS = {
    "anonymous_lease_spaces": 0,
    "lease_spaces": 0,
    "partner_leases": 0,
    "partner_proposals": 0,
    "partner_spaces": 0,
}


def uuid(number: int) -> str:
    return f"10000000-0000-4000-8000-{number:012d}"


def leased(answer: Answer) -> bool:
    """Whether the quote has a lease; it has no error in any case."""
    assert answer.status == 200, answer.json
    return "lease" in answer.json


def items(session: Bookable, number: int) -> list[Any]:
    return [session.item(position) for position in range(number)]


def p(broker: Broker, session: Bookable, number: int, places: int = 1) -> Answer:
    body = broker.body(
        "OrderProposal",
        *items(session, places),
        customer=CUSTOMER,
        totalPaymentDue={"@type": "PriceSpecification", "price": 10 * places, "priceCurrency": "GBP"},
        payment=PAYMENT,
    )
    return broker.send("PUT", f"{API}/order-proposals/{uuid(number)}", body)


def decide(world: World, number: int, event: ProposalEvent) -> None:
    moment = world.system.moment()
    world.system.attempts.carry_out_on_order(
        OrderKey("partner-1", uuid(number)),
        lambda snapshot: decide_proposal(snapshot, event, moment),
        moment.now,
    )


class Interleaved:
    """A store whose commit is another function."""

    def __init__(self, store: Store, commit: Callable[[Any], None]) -> None:
        self._store, self.commit = store, commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def limited(world: World) -> Callable[..., None]:
    """Sets limits; all others are off."""
    return lambda **limits: world.set(**(NO_LIMITS | limits))


@pytest.fixture
def other(world: World) -> Broker:
    return Broker(world, "partner-2")


# --- the leases of one Opportunity -------------------------------------------------------------


@pytest.mark.parametrize(("places", "expected"), [(2, True), (3, True), (4, False)])
def test_anonymous_leases_of_an_opportunity_are_limited(
    world: World, broker: Broker, limited: Callable[..., None], places: int, expected: bool
) -> None:
    """LEASE-01: below, at and above the limit; the quote is right in each case (C1-09)."""
    limited(anonymous_lease_spaces=3)
    yoga = world.session(spaces=10)
    answer = broker.c1(uuid(1), *items(yoga, places))
    assert leased(answer) is expected
    assert answer.json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 10
    assert world.held(yoga) == (places if expected else 0)
    assert (world.order(uuid(1)) is not None) is expected


def test_the_limit_counts_all_order_uuids_of_a_partner(
    world: World, broker: Broker, other: Broker, limited: Callable[..., None]
) -> None:
    limited(anonymous_lease_spaces=3)
    yoga = world.session(spaces=10)
    assert leased(broker.c1(uuid(1), *items(yoga, 2)))
    assert not leased(broker.c1(uuid(2), *items(yoga, 2)))
    assert leased(broker.c1(uuid(3), yoga.item()))
    assert not leased(broker.c1(uuid(4), yoga.item()))
    # Another partner has its own limit, and another Opportunity too.
    assert leased(other.c1(uuid(1), *items(yoga, 3)))
    assert leased(broker.c1(uuid(5), *items(world.session(spaces=10), 3)))
    assert world.held(yoga) == 6


def test_leases_with_a_customer_count_towards_the_limit_of_all_leases(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    limited(anonymous_lease_spaces=2, lease_spaces=4)
    yoga = world.session(spaces=10)
    assert leased(broker.c2(uuid(1), *items(yoga, 3)))
    assert not leased(broker.c1(uuid(2), *items(yoga, 2)))
    assert leased(broker.c1(uuid(3), yoga.item()))
    assert not leased(broker.c2(uuid(4), yoga.item()))


def test_c2_makes_room_for_another_anonymous_lease(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    """C2-06: the lease is named from then on, also after another C1."""
    limited(anonymous_lease_spaces=2)
    yoga = world.session(spaces=10)
    assert leased(broker.c1(uuid(1), *items(yoga, 2)))
    assert not leased(broker.c1(uuid(2), yoga.item()))
    assert leased(broker.c2(uuid(1), *items(yoga, 2)))
    assert leased(broker.c1(uuid(2), *items(yoga, 2)))
    assert leased(broker.c1(uuid(1), *items(yoga, 2)))
    assert world.share(yoga) == Share(4, 2)


def test_a_quote_is_leased_completely_or_not_at_all(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    limited(lease_spaces=2)
    yoga, cycling = world.session(spaces=10), world.session(spaces=10)
    assert not leased(broker.c2(uuid(1), *[yoga.item(n) for n in range(3)], cycling.item(3)))
    assert (world.held(yoga), world.held(cycling)) == (0, 0)


def test_a_lease_is_released_if_its_quote_exceeds_the_limit(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    """LEASE-03: the answer shows no lease, so there is none."""
    limited(lease_spaces=2)
    yoga = world.session(spaces=10)
    assert leased(broker.c2(uuid(1), *items(yoga, 2)))
    assert leased(broker.c2(uuid(1), *items(yoga, 2)))
    assert not leased(broker.c2(uuid(1), *items(yoga, 3)))
    assert (world.held(yoga), world.order(uuid(1))) == (0, None)
    assert leased(broker.c2(uuid(2), *items(yoga, 2)))


@pytest.mark.parametrize("how", ["b", "p", "deletion", "end", "amendment"])
def test_what_is_no_longer_leased_can_be_leased_again(
    world: World, broker: Broker, limited: Callable[..., None], how: str
) -> None:
    """LEASE-08, B-15, QDEL-02: each way in which a lease can end."""
    limited(anonymous_lease_spaces=2, lease_spaces=2, partner_leases=1, partner_spaces=4)
    yoga = world.session(spaces=10, offer=APPROVAL if how == "p" else {})
    cycling = world.session(spaces=10)
    assert leased(broker.c2(uuid(1), *items(yoga, 2)))
    assert not leased(broker.c2(uuid(2), yoga.item()))
    match how:
        case "b":
            assert broker.b(uuid(1), *items(yoga, 2), due=20).status == 201
        case "p":
            assert p(broker, yoga, 1, places=2).status == 201
        case "deletion":
            assert broker.delete_quote(uuid(1)).status == 204
        case "end":
            world.clock.advance(minutes=15)
        case "amendment":
            assert leased(broker.c2(uuid(1), cycling.item()))
            world.set(partner_leases=2)
    assert leased(broker.c1(uuid(2), *items(yoga, 2)))
    assert world.share(yoga) == Share(2, 2)


def test_b_is_never_limited(world: World, broker: Broker, limited: Callable[..., None]) -> None:
    """B-06: without a lease it books if there are spaces."""
    limited(lease_spaces=1, partner_spaces=1, partner_leases=1)
    yoga = world.session(spaces=10)
    assert not leased(broker.c2(uuid(1), *items(yoga, 5)))
    assert broker.b(uuid(1), *items(yoga, 5), due=50).status == 201


def test_a_rejected_proposal_becomes_a_lease_only_within_the_limit(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    limited(lease_spaces=3)
    yoga = world.session(spaces=10, offer=APPROVAL)
    assert [p(broker, yoga, n, places=2).status for n in (1, 2)] == [201, 201]
    for n in (1, 2):
        decide(world, n, ProposalEvent.seller_rejects)
    assert (world.held(yoga), world.share(yoga)) == (2, Share(2, 0))
    world.clock.advance(minutes=15)
    assert leased(broker.c2(uuid(3), *items(yoga, 3)))


# --- the longest life of a lease ---------------------------------------------------------------


def test_a_lease_cannot_be_renewed_for_ever(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    """C2-06: twice its length, if no setting says otherwise, counted from its first C1."""
    limited()
    yoga, began = world.session(spaces=1), world.clock.now
    for minutes in (0, 10, 20, 29):
        world.clock.now = began + timedelta(minutes=minutes)
        answer = (broker.c1 if minutes < 20 else broker.c2)(uuid(1), yoga.item())
        ends_at = min(began + timedelta(minutes=30), world.clock.now + timedelta(minutes=15))
        assert answer.json["lease"]["leaseExpires"] == f"{ends_at:%Y-%m-%dT%H:%M:%SZ}"
    world.clock.now = began + timedelta(minutes=30)
    assert not leased(broker.c1(uuid(1), yoga.item()))
    assert world.held(yoga) == 0
    assert broker.b(uuid(2), yoga.item()).status == 201


def test_the_first_moment_of_a_lease_survives_its_end(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    limited(lease_longest_seconds=1200)
    yoga = world.session()
    assert leased(broker.c1(uuid(1), yoga.item()))
    world.clock.advance(minutes=16)
    assert broker.c1(uuid(1), yoga.item()).json["lease"]["leaseExpires"] == "2026-06-01T12:20:00Z"
    world.clock.advance(minutes=4)
    assert not leased(broker.c2(uuid(1), yoga.item()))
    assert leased(broker.c2(uuid(2), yoga.item()))


@pytest.mark.parametrize(("longest", "expected"), [(0, 30), (60, 15), (900, 15), (3600, 60)])
def test_the_longest_life_is_a_setting_and_never_shorter_than_a_lease(
    world: World, broker: Broker, limited: Callable[..., None], longest: int, expected: int
) -> None:
    limited(lease_longest_seconds=longest)
    yoga, began = world.session(), world.clock.now
    last = None
    while leased(answer := broker.c1(uuid(1), yoga.item())):
        last = answer.json["lease"]["leaseExpires"]
        world.clock.advance(minutes=5)
    assert last == f"{began + timedelta(minutes=expected):%Y-%m-%dT%H:%M:%SZ}"


# --- the totals of a partner -------------------------------------------------------------------


def test_order_uuids_with_a_lease_are_limited(
    world: World, broker: Broker, other: Broker, limited: Callable[..., None]
) -> None:
    limited(partner_leases=3)
    sessions = [world.session() for _ in range(4)]
    assert [leased(broker.c1(uuid(n), each.item())) for n, each in enumerate(sessions)] == [
        *(True, True, True),
        False,
    ]
    # Those that exist can be renewed and booked; another partner has its own.
    assert leased(broker.c2(uuid(0), sessions[0].item()))
    assert leased(other.c1(uuid(3), sessions[3].item()))
    assert broker.b(uuid(0), sessions[0].item()).status == 201
    assert leased(broker.c1(uuid(3), sessions[3].item()))


def test_requests_at_the_same_moment_may_exceed_a_total_by_one_each(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    """Decision 21: a total has no condition. The next request sees what all of them have added."""
    limited(partner_leases=2)
    sessions = [world.session() for _ in range(4)]
    assert leased(broker.c1(uuid(0), sessions[0].item()))

    store, waiting = world.store, [uuid(2)]
    commit = store.commit

    def commit_after_another(changes: Any) -> None:
        if waiting:
            assert leased(broker.c1(waiting.pop(), sessions[2].item()))
        commit(changes)

    world.system.store = Interleaved(store, commit_after_another)
    assert leased(broker.c1(uuid(1), sessions[1].item()))
    assert not leased(broker.c1(uuid(3), sessions[3].item()))
    held = store.snapshot(Wanted(OrderKey("partner-1", uuid(0)), counters=True)).counters.held(
        world.clock.now
    )
    assert held.leases == 3


def test_a_lease_that_has_ended_counts_until_its_minute_is_over(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    limited(partner_leases=1)
    yoga = world.session()
    world.clock.advance(seconds=10)
    assert leased(broker.c1(uuid(1), yoga.item()))
    world.clock.advance(minutes=15)
    assert not leased(broker.c1(uuid(2), yoga.item()))
    world.clock.advance(seconds=50)
    assert leased(broker.c1(uuid(2), yoga.item()))


def test_spaces_of_leases_and_proposals_are_limited_together(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    limited(partner_spaces=5)
    yoga, approved = world.session(), world.session(offer=APPROVAL)
    assert leased(broker.c1(uuid(1), *items(yoga, 2)))
    assert p(broker, approved, 2, places=2).status == 201
    assert not leased(broker.c1(uuid(3), *items(yoga, 2)))
    refused = p(broker, approved, 4, places=2)
    assert (refused.status, refused.json["@type"]) == (429, "TooManyRequestsError")
    assert leased(broker.c1(uuid(3), yoga.item()))
    assert p(broker, approved, 4).status == 429
    assert world.held(approved) == 2


@pytest.mark.parametrize(
    "answer", ["accepted", "rejected by the Seller", "rejected by the Customer", "erased"]
)
def test_unanswered_proposals_are_limited(
    world: World, broker: Broker, other: Broker, limited: Callable[..., None], answer: str
) -> None:
    """P-12 stays: a repeated P has the first answer."""
    limited(partner_proposals=2)
    yoga = world.session(offer=APPROVAL)
    assert [p(broker, yoga, n).status for n in (1, 2)] == [201, 201]
    refused = p(broker, yoga, 3)
    assert (refused.status, refused.json["@type"]) == (429, "TooManyRequestsError")
    assert refused.headers["Retry-After"] == "60"
    assert "2 proposals" in refused.json["description"]
    assert (world.held(yoga), world.order(uuid(3))) == (2, None)
    assert p(broker, yoga, 1).status == 201
    assert p(other, yoga, 3).status == 201
    match answer:
        case "accepted":
            decide(world, 1, ProposalEvent.accept)
        case "rejected by the Seller":
            decide(world, 1, ProposalEvent.seller_rejects)
        case "rejected by the Customer":
            rejection = {
                "@type": "OrderProposal",
                "orderProposalStatus": "https://openactive.io/CustomerRejected",
            }
            path = f"{API}/order-proposals/{uuid(1)}"
            assert broker.send("PATCH", path, rejection).status == 204
        case "erased":
            now, key = world.clock.now, OrderKey("partner-1", uuid(1))
            world.system.attempts.carry_out(Wanted(key), lambda snapshot: erase(snapshot, now), now)
    assert p(broker, yoga, 3).status == 201
    assert p(broker, yoga, 4).status == 429


def test_an_accepted_proposal_that_is_amended_waits_for_an_answer_again(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    limited(partner_proposals=1)
    yoga = world.session(offer=APPROVAL)
    assert p(broker, yoga, 1).status == 201
    decide(world, 1, ProposalEvent.accept)
    moment = world.system.moment()
    world.system.attempts.carry_out_on_order(
        OrderKey("partner-1", uuid(1)), lambda snapshot: amend_proposal(snapshot, moment), moment.now
    )
    assert p(broker, yoga, 2).status == 429


def test_a_proposal_that_ends_without_an_answer_no_longer_counts(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    """By the clock, also if nothing ends it in the store: the day on which it ends is over."""
    limited(partner_proposals=1)
    yoga = world.session(offer=APPROVAL, starts_in=timedelta(days=60))
    assert p(broker, yoga, 1).status == 201
    world.clock.advance(days=2)
    assert p(broker, yoga, 2).status == 429
    world.clock.advance(hours=12)
    assert p(broker, yoga, 2).status == 201


def test_proposals_that_take_no_space_count_as_proposals_only(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    """B-18: without leasing."""
    limited(partner_proposals=2, partner_spaces=1)
    world.set(anonymous_leasing=False, named_leasing=False)
    yoga = world.session(offer=APPROVAL)
    assert [p(broker, yoga, n, places=5).status for n in range(3)] == [201, 201, 429]


def test_a_proposal_from_a_quote_gives_back_the_lease(
    world: World, broker: Broker, limited: Callable[..., None]
) -> None:
    """P-16: its spaces count once."""
    limited(partner_leases=1, partner_spaces=2)
    yoga = world.session(offer=APPROVAL)
    assert leased(broker.c2(uuid(1), *items(yoga, 2)))
    assert p(broker, yoga, 1, places=2).status == 201
    decide(world, 1, ProposalEvent.accept)
    assert leased(broker.c2(uuid(2), *items(yoga, 2)))


# --- who is near a limit -----------------------------------------------------------------------


@pytest.fixture
def usage(world: World) -> Iterator[list[tuple[str, Usage]]]:
    seen: list[tuple[str, Usage]] = []

    class Seen(type(world.system.telemetry)):  # type: ignore[misc]
        def partner_usage(self, partner_id: str, usage: Usage) -> None:
            seen.append((partner_id, usage))

    world.system.telemetry = Seen(level="CRITICAL", metrics=False)
    yield seen


def test_a_partner_near_a_limit_is_reported(
    world: World, broker: Broker, limited: Callable[..., None], usage: list[tuple[str, Usage]]
) -> None:
    limited(partner_leases=5)
    yoga = world.session()
    for n in range(6):
        broker.c1(uuid(n), yoga.item())
    assert [(who, each.limit.value, each.used, each.is_exceeded) for who, each in usage] == [
        ("partner-1", "PARTNER_LEASES", 4, False),
        ("partner-1", "PARTNER_LEASES", 5, False),
        ("partner-1", "PARTNER_LEASES", 6, True),
    ]


def test_a_refused_proposal_is_reported(
    world: World, broker: Broker, limited: Callable[..., None], usage: list[tuple[str, Usage]]
) -> None:
    limited(partner_proposals=1)
    yoga = world.session(offer=APPROVAL)
    p(broker, yoga, 1)
    p(broker, yoga, 2)
    assert [(each.limit.value, each.used, each.is_exceeded) for _, each in usage] == [
        ("PARTNER_PROPOSALS", 1, False),
        ("PARTNER_PROPOSALS", 2, True),
    ]


# --- one partner against all others ------------------------------------------------------------


def test_a_partner_that_holds_all_it_can_leaves_spaces_for_others(
    world: World, broker: Broker, other: Broker
) -> None:
    """With the default limits: at every session with more spaces than one partner may lease."""
    sessions = [world.session(spaces=20) for _ in range(12)]
    number = 100
    for _ in range(2):
        for session in sessions:
            for stage in (broker.c1, broker.c2):
                for places in (8, 4, 2, 1):
                    stage(uuid(number), *items(session, places))
                    number += 1
        world.clock.advance(minutes=5)
    held = [world.held(session) for session in sessions]
    assert max(held) == 12
    assert all(other.b(uuid(n), *items(each, 8), due=80).status == 201 for n, each in enumerate(sessions))


def test_a_partner_that_renews_its_lease_again_and_again_loses_it(
    world: World, broker: Broker, other: Broker
) -> None:
    """With the default settings, at a session that one lease fills."""
    court = world.session(spaces=5)
    booked_after = None
    for minute in range(60):
        broker.c1(uuid(1), *items(court, 5))
        if other.b(uuid(2), court.item()).status == 201:
            booked_after = minute
            break
        world.clock.advance(minutes=1)
    assert booked_after == 30
