"""The sweep ends proposals whose time is over: many in one run, and one that fails delays no other."""

from collections.abc import Iterator

import pytest

from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.orders import Order
from chalicelib.runtime.system import install
from chalicelib.storage.pending import PROPOSAL_END, SET_ASIDE, PendingWork
from tests.support.builders import CUSTOMER
from tests.support.world import API, PAYMENT, Bookable, Broker, World

APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
MANY = 60


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.set(proposal_answer_seconds=60)
    yield world
    install(None)


def uuid(number: int) -> str:
    return f"10000000-0000-4000-8000-{number:012d}"


def propose(world: World, yoga: Bookable, count: int) -> None:
    broker = Broker(world)
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    for number in range(count):
        body = broker.body(
            "OrderProposal", yoga.item(), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER
        )
        assert broker.send("PUT", f"{API}/order-proposals/{uuid(number)}", body).status == 201


def rejected(world: World, number: int) -> bool:
    order = world.order(uuid(number))
    assert isinstance(order, Order) and order.proposal is not None
    return order.proposal.status is ProposalStatus.SellerRejected


def test_one_run_ends_many_and_leaves_those_whose_time_has_not_come(world: World) -> None:
    yoga = world.session(spaces=MANY, offer=APPROVAL)
    propose(world, yoga, MANY - 1)
    world.clock.advance(seconds=59)
    broker = Broker(world, "partner-2")
    due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
    body = broker.body("OrderProposal", yoga.item(), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER)
    assert broker.send("PUT", f"{API}/order-proposals/{uuid(1)}", body).status == 201
    assert world.system.sweep()[PROPOSAL_END] == 0
    assert world.system.worker.waiting()[PROPOSAL_END] == 0
    world.clock.advance(seconds=1)
    assert world.system.worker.waiting()[PROPOSAL_END] == MANY - 1
    assert world.system.sweep()[PROPOSAL_END] == MANY - 1
    assert all(rejected(world, number) for number in range(MANY - 1))
    assert (world.held(yoga), world.capacity(yoga).spaces_left) == (1, MANY - 1)
    assert len(world.pending.entries(PROPOSAL_END, MANY)) == 1


def test_an_entry_that_cannot_be_read_is_set_aside_and_the_others_are_handled(world: World) -> None:
    propose(world, world.session(spaces=2, offer=APPROVAL), 1)
    world.pending.exchange((), [PendingWork(PROPOSAL_END, "000000000000 unreadable", "?")])
    world.clock.advance(seconds=60)
    assert world.system.sweep()[PROPOSAL_END] == 1
    assert rejected(world, 0)
    (aside,) = world.pending.entries(SET_ASIDE + PROPOSAL_END, 9)
    assert aside.document == "?"
    assert world.pending.entries(PROPOSAL_END, 9) == []


def test_an_entry_without_an_open_proposal_is_finished(world: World) -> None:
    """It was left by a transaction whose answer was lost, or by a table that was restored."""
    world.pending.exchange((), [PendingWork(PROPOSAL_END, "000000000000 x", '{"partner_id":"p","uuid":"u"}')])
    assert world.system.sweep()[PROPOSAL_END] == 0
    assert world.pending.entries(PROPOSAL_END, 9) == []
