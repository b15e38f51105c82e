"""Every cell of the two lifecycle tables, by what brings it about: all that a Broker and a Seller can do.

What is expected is read from the tables: an allowed cell happens, in one write; any other is refused,
or granted where it is so already, and changes nothing at all.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import pytest

from chalicelib.api import streams
from chalicelib.booking.decisions import Decision, Snapshot
from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange, follow
from chalicelib.booking.proposals import amend_proposal, decide_proposal
from chalicelib.booking.seller import cancel_by_seller, notify_customer, record_attendance, renew_access
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.lifecycle import (
    CANCELLED,
    ITEM_TRANSITIONS,
    PROPOSAL_TRANSITIONS,
    REJECTED,
    ItemEvent,
    OrderItemStatus,
    ProposalEvent,
    ProposalStatus,
    TransitionRefused,
)
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.runtime.system import install
from chalicelib.values import replace
from tests.support.builders import CUSTOMER
from tests.support.world import API, BASE_URL, PAYMENT, Answer, Broker, World, capacity_record, order_record

UUID = "10000000-0000-4000-8000-000000000001"
KEY = OrderKey("partner-1", UUID)
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
SPACES = 5


class Play:
    """A place for one person, proposed by a Broker to a Seller, and what they do from then on.

    What they do returns the name of the error it was refused with, None where it was granted.
    """

    def __init__(self, world: World) -> None:
        self.world, self.broker = world, Broker(world)
        self.yoga = world.session(spaces=SPACES, offer=APPROVAL)
        due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
        body = self.broker.body(
            "OrderProposal", self.yoga.item(), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER
        )
        assert self.broker.send("PUT", f"{API}/order-proposals/{UUID}", body).status == 201
        self._published = self.order

    @property
    def order(self) -> Order:
        order = self.world.order(UUID)
        assert isinstance(order, Order)
        return order

    @property
    def item_status(self) -> OrderItemStatus | None:
        return self.order.items[0].status

    @property
    def proposal_status(self) -> ProposalStatus:
        assert self.order.proposal is not None
        return self.order.proposal.status

    def publish(self) -> None:
        """Bring the feeds up to the last change, as the streams do after each."""
        record = order_record(self.order)
        record["dynamodb"]["OldImage"] = order_record(self._published)["dynamodb"]["NewImage"]
        self._published = self.order
        assert streams.orders_changed([record]) == {"batchItemFailures": []}
        assert streams.inventory_changed([capacity_record(self.yoga.id)]) == {"batchItemFailures": []}

    def everything(self) -> dict[str, Any]:
        """All that is stored: inventory, orders and feeds."""
        self.publish()
        stored = [*vars(self.world.store).items(), *vars(self.world.feeds).items()]
        return {name: deepcopy(value) for name, value in stored if name not in ("_lock", "pending")}

    def check_spaces(self, state: HoldState | None) -> None:
        """The place is held as `state`, or released; in both cases nothing is lost."""
        holds = self.world.store.holds(self.yoga.id)
        assert [hold.state for hold in holds.values()] == ([] if state is None else [state])
        capacity = self.world.capacity(self.yoga)
        assert capacity.spaces_total == SPACES == capacity.spaces_left + self.world.held(self.yoga)

    def in_feed(self, feed: str) -> list[Any]:
        """The items of the Broker's feed that are not deleted."""
        self.publish()
        items = self.broker.send("GET", f"{API}/{feed}").json["items"]
        return [item["data"] for item in items if item["state"] == "updated"]

    # --- the Broker -----------------------------------------------------------------------

    def b(self) -> str | None:
        assert self.order.proposal is not None
        version = f"{BASE_URL}{API}/order-proposals/{UUID}/versions/{self.order.proposal.version}"
        body = {"@type": "Order", "orderProposalVersion": version, "payment": PAYMENT}
        return _error_of(self.broker.send("PUT", f"{API}/orders/{UUID}", body))

    def cancel(self) -> str | None:
        return _error_of(
            self.broker.cancel(UUID, f"{BASE_URL}{API}/orders/{UUID}#/orderedItem/{self.order.items[0].id}")
        )

    def reject(self) -> str | None:
        body = {"@type": "OrderProposal", "orderProposalStatus": "https://openactive.io/CustomerRejected"}
        return _error_of(self.broker.send("PATCH", f"{API}/order-proposals/{UUID}", body))

    # --- the Seller -----------------------------------------------------------------------

    def decide(self, decide: Callable[[Snapshot], Decision[None]]) -> str | None:
        try:
            self.world.system.attempts.carry_out_on_order(KEY, decide, self.world.clock.now)
        except (OpenBookingError, TransitionRefused) as refusal:
            return type(refusal).__name__
        return None

    def follow(self, kind: ChangeKind) -> str | None:
        """Bring a change of the whole Opportunity to this Order."""
        opportunity = self.world.store.listings([self.yoga.id])[self.yoga.id][0].opportunity
        changed = replace(opportunity, revision=opportunity.revision + 1)
        change = OpportunityChange(self.yoga.id, kind)
        return self.decide(lambda snapshot: follow(change, changed, snapshot, self.world.system.moment()))


def _error_of(answer: Answer) -> str | None:
    return answer.json["@type"] if answer.status >= 400 else None


@dataclass(frozen=True)
class Operation:
    """Something that can be done, and the event that it is. `quiet`: it passes over what is too late."""

    name: str
    event: StrEnum
    do: Callable[[Play], str | None]
    quiet: bool = False

    def __str__(self) -> str:
        return self.name


ITEM_OPERATIONS = [
    Operation("B", ItemEvent.confirm, Play.b),
    Operation("PATCH", ItemEvent.customer_cancels, Play.cancel),
    Operation("the Seller cancels", ItemEvent.seller_cancels, lambda play: play.decide(cancel_by_seller)),
    Operation(
        "the Opportunity is cancelled",
        ItemEvent.seller_cancels,
        lambda play: play.follow(ChangeKind.cancelled),
        quiet=True,
    ),
    Operation(
        "attended",
        ItemEvent.attends,
        lambda play: play.decide(lambda snapshot: record_attendance(snapshot, ItemEvent.attends)),
    ),
    Operation(
        "absent",
        ItemEvent.is_absent,
        lambda play: play.decide(lambda snapshot: record_attendance(snapshot, ItemEvent.is_absent)),
    ),
]


def _decides(event: ProposalEvent) -> Callable[[Play], str | None]:
    return lambda play: play.decide(
        lambda snapshot: decide_proposal(snapshot, event, play.world.system.moment())
    )


PROPOSAL_OPERATIONS = [
    Operation("accept", ProposalEvent.accept, _decides(ProposalEvent.accept)),
    Operation("reject", ProposalEvent.seller_rejects, _decides(ProposalEvent.seller_rejects)),
    Operation(
        "the Opportunity is cancelled",
        ProposalEvent.seller_rejects,
        lambda play: play.follow(ChangeKind.cancelled),
        quiet=True,
    ),
    Operation("PATCH", ProposalEvent.customer_rejects, Play.reject),
    Operation(
        "amend",
        ProposalEvent.amend,
        lambda play: play.decide(lambda snapshot: amend_proposal(snapshot, play.world.system.moment())),
    ),
]

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def way(table: Mapping[S, Mapping[E, S]], start: S, end: S) -> list[E]:
    """The events that lead from one state to another, as few as can be."""
    ways: dict[S, list[E]] = {start: []}
    for state in (reached := [start]):
        for event, following in table[state].items():
            if following not in ways:
                ways[following] = [*ways[state], event]
                reached.append(following)
    return ways[end]


def go(play: Play, operations: list[Operation], way: list[Any]) -> None:
    for event in way:
        first = next(operation for operation in operations if operation.event is event)
        assert first.do(play) is None
        play.publish()


@pytest.fixture
def play() -> Iterator[Play]:
    yield Play(World())
    install(None)


def with_item(play: Play, status: OrderItemStatus) -> Play:
    """The same once the item has come to this state; the Seller has agreed to it."""
    go(play, PROPOSAL_OPERATIONS, [ProposalEvent.accept])
    go(play, ITEM_OPERATIONS, way(ITEM_TRANSITIONS, OrderItemStatus.OrderItemProposed, status))
    assert play.item_status is status
    return play


def with_proposal(play: Play, status: ProposalStatus) -> Play:
    go(
        play,
        PROPOSAL_OPERATIONS,
        way(PROPOSAL_TRANSITIONS, ProposalStatus.AwaitingSellerConfirmation, status),
    )
    assert play.proposal_status is status
    return play


def changes_nothing(play: Play, do: Callable[[Play], str | None]) -> str | None:
    before = play.everything()
    error = do(play)
    assert play.everything() == before
    return error


# --- items ----------------------------------------------------------------------------------


def item_refusal(status: OrderItemStatus, operation: Operation) -> str | None:
    """What is answered to an event that the table does not have; None: it is granted, and nothing done."""
    event = operation.event
    assert isinstance(event, ItemEvent)
    if event is ItemEvent.confirm or status in {row.get(event) for row in ITEM_TRANSITIONS.values()}:
        return None  # it is so already (B-08, CANCEL-03)
    if status is OrderItemStatus.OrderItemProposed:
        return "UnknownOrderError"  # there is no Order before B (P-06)
    if status in CANCELLED or operation.quiet:
        return None  # cancelled items are not concerned
    return {ItemEvent.customer_cancels: "CancellationNotPermittedError"}.get(event, "TransitionRefused")


ITEM_CELLS = [
    pytest.param(status, operation, id=f"{status}: {operation}")
    for status in OrderItemStatus
    for operation in ITEM_OPERATIONS
    # A cancelled Opportunity rejects what is only proposed: that cell is in the other table.
    if not (operation.quiet and status is OrderItemStatus.OrderItemProposed)
]


@pytest.mark.parametrize(("status", "operation"), ITEM_CELLS)
def test_each_cell_of_the_items_table(play: Play, status: OrderItemStatus, operation: Operation) -> None:
    """Section 5, CANCEL-03, CANCEL-08, CANCEL-12, NOTIF-03."""
    with_item(play, status)
    following = ITEM_TRANSITIONS[status].get(operation.event)  # type: ignore[call-overload]
    if following is None:
        assert changes_nothing(play, operation.do) == item_refusal(status, operation)
        return
    before = play.order
    assert operation.do(play) is None
    assert (play.item_status, play.order.version) == (following, before.version + 1)
    play.check_spaces(None if following in CANCELLED else HoldState.booked)
    # What happens to an Order is in its feed, B itself is not (OFEED-02, B-19).
    shown = [order["orderedItem"][0]["orderItemStatus"] for order in play.in_feed("orders-rpde")]
    assert shown == ([] if operation.event is ItemEvent.confirm else [f"https://openactive.io/{following}"])


@pytest.mark.parametrize("status", OrderItemStatus)
@pytest.mark.parametrize(
    "do",
    [
        lambda play: play.decide(lambda snapshot: notify_customer(snapshot, "Bring a mat.")),
        lambda play: play.decide(
            lambda snapshot: renew_access(snapshot, play.world.system.moment(), codes=True)
        ),
        lambda play: play.follow(ChangeKind.logistics),
    ],
    ids=["notice", "access", "logistics"],
)
def test_what_is_no_event_moves_no_item(
    play: Play, status: OrderItemStatus, do: Callable[[Play], str | None]
) -> None:
    """NOTIF-01, NOTIF-02, NOTIF-04: and those who are cancelled hear nothing of it."""
    with_item(play, status)
    if status in CANCELLED:
        assert changes_nothing(play, do) is None
        return
    error = do(play)
    assert error == ("UnknownOrderError" if error and status is OrderItemStatus.OrderItemProposed else None)
    assert play.item_status is status
    play.check_spaces(HoldState.proposed if play.order.kind is OrderKind.OrderProposal else HoldState.booked)


@pytest.mark.parametrize("status", OrderItemStatus)
def test_an_order_is_deleted_in_whatever_state_its_item_is(play: Play, status: OrderItemStatus) -> None:
    """DEL-04, DEL-07: with its place; a proposal is no Order yet."""
    with_item(play, status)
    if status is OrderItemStatus.OrderItemProposed:
        assert changes_nothing(play, lambda play: _error_of(play.broker.delete(UUID))) == "UnknownOrderError"
        return
    assert play.broker.delete(UUID).status == 204
    assert _error_of(play.broker.status(UUID)) == "GoneError"
    play.check_spaces(None)


# --- proposals ------------------------------------------------------------------------------


def proposal_refusal(status: ProposalStatus, operation: Operation) -> str | None:
    """What is answered to an event that the table does not have; None: it is granted, and nothing done."""
    event = operation.event
    if event is not ProposalEvent.customer_rejects:
        return None if operation.quiet else "TransitionRefused"
    is_so_already = status in {row.get(event) for row in PROPOSAL_TRANSITIONS.values()}
    return None if is_so_already else "PatchNotAllowedOnPropertyError"  # PUPD-07


PROPOSAL_CELLS = [
    pytest.param(status, operation, id=f"{status}: {operation}")
    for status in ProposalStatus
    for operation in PROPOSAL_OPERATIONS
]


@pytest.mark.parametrize(("status", "operation"), PROPOSAL_CELLS)
def test_each_cell_of_the_proposals_table(play: Play, status: ProposalStatus, operation: Operation) -> None:
    """A-01, A-04, P-17, PUPD-07."""
    with_proposal(play, status)
    following = PROPOSAL_TRANSITIONS[status].get(operation.event)  # type: ignore[call-overload]
    if following is None:
        assert changes_nothing(play, operation.do) == proposal_refusal(status, operation)
        return
    before = play.order
    assert operation.do(play) is None
    assert (play.proposal_status, play.order.version) == (following, before.version + 1)
    # What a person has rejected stays held for as long as a lease lasts.
    rejected = None if operation.quiet else HoldState.leased
    play.check_spaces(rejected if following in REJECTED else HoldState.proposed)
    shown = [proposal["orderProposalStatus"] for proposal in play.in_feed("order-proposals-rpde")]
    assert shown == [f"https://openactive.io/{following}"]
    assert play.in_feed("orders-rpde") == []


@pytest.mark.parametrize("status", ProposalStatus)
def test_b_ends_a_proposal_that_is_accepted_and_no_other(play: Play, status: ProposalStatus) -> None:
    """A-06, B-16, OFEED-14."""
    with_proposal(play, status)
    if status is not ProposalStatus.SellerAccepted:
        assert changes_nothing(play, Play.b) == "OrderCreationFailedError"
        return
    assert len(play.in_feed("order-proposals-rpde")) == 1
    assert play.b() is None
    assert (play.order.kind, play.item_status) == (OrderKind.Order, OrderItemStatus.OrderItemConfirmed)
    play.check_spaces(HoldState.booked)
    assert play.in_feed("order-proposals-rpde") == play.in_feed("orders-rpde") == []


@pytest.mark.parametrize("operation", [each for each in PROPOSAL_OPERATIONS if not each.quiet], ids=str)
def test_what_is_booked_is_no_proposal_any_more(play: Play, operation: Operation) -> None:
    with_item(play, OrderItemStatus.OrderItemConfirmed)
    assert changes_nothing(play, operation.do) == "UnknownOrderError"


# --- that nothing was left out --------------------------------------------------------------


def test_every_event_is_brought_about_by_an_operation() -> None:
    assert {operation.event for operation in ITEM_OPERATIONS} == set(ItemEvent)
    assert {operation.event for operation in PROPOSAL_OPERATIONS} == set(ProposalEvent)
