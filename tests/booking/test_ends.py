"""What ends by the clock: every cell of the tables, before, at and after each end, with and without the sweep.

An OrderProposal ends when the Seller has not answered in time, when it was accepted and is not booked in time, and
at the latest when its earliest Opportunity starts. A Lease ends at its time. From that moment each request counts
with it, whether or not the sweep has run: what is answered, what the feed shows and where the spaces are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api import streams
from chalicelib.booking.decisions import Decision, Snapshot
from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange, follow
from chalicelib.booking.proposals import amend_proposal, decide_proposal
from chalicelib.booking.seller import notify_customer
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.lifecycle import (
    OrderEvent,
    OrderState,
    ProposalEvent,
    ProposalStatus,
    TransitionRefused,
)
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind, order_state
from chalicelib.runtime.system import install
from chalicelib.storage.pending import PROPOSAL_END
from chalicelib.values import replace
from tests.support.builders import CUSTOMER
from tests.support.world import API, BASE_URL, PAYMENT, Answer, Bookable, Broker, World, order_record

UUID = "10000000-0000-4000-8000-000000000001"
KEY = OrderKey("partner-1", UUID)
MESSAGES = {
    "openBookingFlowRequirement": [
        "https://openactive.io/OpenBookingApproval",
        "https://openactive.io/OpenBookingMessageExchange",
    ]
}
SPACES = 5
LEASE, ANSWER, BOOK = 900, 7200, 3600  # seconds
REJECTED = "https://openactive.io/CustomerRejected"
UNKNOWN_VERSION = "20000000-0000-4000-8000-000000000002"


@dataclass
class Play:
    """An installation with one session that needs approval and one that does not, and one Order UUID."""

    starts_in: timedelta = timedelta(days=2)
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.world.set(lease_seconds=LEASE, proposal_answer_seconds=ANSWER, proposal_booking_seconds=BOOK)
        self.broker = Broker(self.world)
        self.yoga = self.world.session(spaces=SPACES, offer=MESSAGES, starts_in=self.starts_in)
        self.free = self.world.session(spaces=SPACES, starts_in=self.starts_in)

    # --- what is done ---------------------------------------------------------------------

    def p(self, **changes: Any) -> Answer:
        due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
        body = {"totalPaymentDue": due, "payment": PAYMENT, "customer": CUSTOMER} | changes
        body = self.broker.body("OrderProposal", self.yoga.item(), **body)
        return self.broker.send("PUT", f"{API}/order-proposals/{UUID}", body)

    def b_of_proposal(self) -> Answer:
        proposal = self.order.proposal if isinstance(self.order, Order) else None
        version = proposal.version if proposal else UNKNOWN_VERSION
        body = {
            "@type": "Order",
            "orderProposalVersion": f"{BASE_URL}{API}/order-proposals/{UUID}/versions/{version}",
            "payment": PAYMENT,
        }
        return self.broker.send("PUT", f"{API}/orders/{UUID}", body)

    def patch(self, **properties: Any) -> Answer:
        body = {"@type": "OrderProposal", **properties}
        return self.broker.send("PATCH", f"{API}/order-proposals/{UUID}", body)

    def cancel(self) -> Answer:
        order = self.order
        item_id = order.items[0].id if isinstance(order, Order) and order.items[0].id else UNKNOWN_VERSION
        return self.broker.cancel(UUID, f"{BASE_URL}{API}/orders/{UUID}#/orderedItem/{item_id}")

    def decide(self, decide: Callable[[Snapshot], Decision[None]]) -> str | None:
        try:
            self.world.system.attempts.carry_out_on_order(KEY, decide, self.world.clock.now)
        except (OpenBookingError, TransitionRefused) as refusal:
            return type(refusal).__name__
        return None

    def decides(self, event: ProposalEvent) -> str | None:
        moment = self.world.system.moment()
        return self.decide(lambda snapshot: decide_proposal(snapshot, event, moment))

    def follow(self) -> str | None:
        """Apply a change of the session's name."""
        opportunity = self.world.store.listings([self.yoga.id])[self.yoga.id][0].opportunity
        document = {**opportunity.document, "name": "Pilates"}
        changed = replace(opportunity, document=document, revision=opportunity.revision + 1)
        change, moment = OpportunityChange(self.yoga.id, ChangeKind.logistics), self.world.system.moment()
        return self.decide(lambda snapshot: follow(change, changed, snapshot, moment))

    def sweep(self) -> None:
        self.world.system.sweep()

    # --- what can be seen -----------------------------------------------------------------

    @property
    def order(self) -> Order | DeletedOrder | None:
        return self.world.order(UUID)

    @property
    def status(self) -> ProposalStatus:
        assert isinstance(self.order, Order) and self.order.proposal is not None
        return self.order.proposal.status

    def shown(self) -> str:
        """The status that Order Status shows."""
        return str(self.broker.status(UUID).json["orderProposalStatus"]).rpartition("/")[2]

    def in_feed(self) -> list[str]:
        assert self.order is not None
        assert streams.orders_changed([order_record(self.order)]) == {"batchItemFailures": []}
        items = self.broker.send("GET", f"{API}/order-proposals-rpde").json["items"]
        return [item["data"]["orderProposalStatus"].rpartition("/")[2] for item in items]

    def check_spaces(self, state: HoldState | None, session: Bookable | None = None) -> None:
        """The place is held as `state`, or released; in both cases nothing is lost."""
        session = session or self.yoga
        holds = self.world.store.holds(session.id)
        assert [hold.state for hold in holds.values()] == ([] if state is None else [state])
        capacity = self.world.capacity(session)
        taken = sum(hold.taken_spaces for hold in holds.values())
        assert capacity.spaces_total == SPACES == capacity.spaces_left + taken
        assert capacity.spaces_requested == sum(hold.requested_spaces for hold in holds.values())

    def scheduled(self) -> int:
        return self.world.pending.count(PROPOSAL_END, 10)


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    install(None)


def error_of(answer: Answer) -> str | None:
    return answer.json["@type"] if answer.status >= 400 else None


# --- proposals ------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """An end of a proposal: its status until then, and the seconds from P until it ends."""

    name: str
    status: ProposalStatus
    after: int
    starts_in: timedelta = timedelta(days=2)

    def __str__(self) -> str:
        return self.name


WAITING, ACCEPTED = ProposalStatus.AwaitingSellerConfirmation, ProposalStatus.SellerAccepted
ENDS = [
    End("not answered", WAITING, ANSWER),
    End("not answered before the start", WAITING, 1800, timedelta(seconds=1800)),
    End("not booked", ACCEPTED, BOOK),
    End("not booked before the start", ACCEPTED, 1800, timedelta(seconds=1800)),
]


def proposed(end: End) -> Play:
    play = Play(end.starts_in)
    assert play.p().status == 201
    if end.status is ACCEPTED:
        assert play.decides(ProposalEvent.accept) is None
    assert (play.status, play.scheduled()) == (end.status, 1)
    play.in_feed()
    return play


# What is done, and what it answers while the proposal is open, and once it has ended.
Outcome = dict[ProposalStatus, str | None]
OPERATIONS: dict[str, tuple[Callable[[Play], str | None], Outcome, str | None]] = {
    "P again": (lambda play: error_of(play.p()), {WAITING: None, ACCEPTED: None}, None),
    "B": (
        lambda play: error_of(play.b_of_proposal()),
        {WAITING: "OrderCreationFailedError", ACCEPTED: None},
        "OrderCreationFailedError",
    ),
    "the Customer rejects": (
        lambda play: error_of(play.patch(orderProposalStatus=REJECTED)),
        {WAITING: None, ACCEPTED: None},
        "PatchNotAllowedOnPropertyError",
    ),
    "a note": (
        lambda play: error_of(play.patch(orderCustomerNote="We come by bus.")),
        {WAITING: None, ACCEPTED: "PatchNotAllowedOnPropertyError"},
        "PatchNotAllowedOnPropertyError",
    ),
    "the Seller accepts": (
        lambda play: play.decides(ProposalEvent.accept),
        {WAITING: None, ACCEPTED: "TransitionRefused"},
        "TransitionRefused",
    ),
    "the Seller rejects": (
        lambda play: play.decides(ProposalEvent.seller_rejects),
        {WAITING: None, ACCEPTED: None},
        "TransitionRefused",
    ),
    "the Seller amends": (
        lambda play: play.decide(lambda snapshot: amend_proposal(snapshot, play.world.system.moment())),
        {WAITING: None, ACCEPTED: None},
        "TransitionRefused",
    ),
    "the session is renamed": (Play.follow, {WAITING: None, ACCEPTED: None}, None),
    "Order Status": (lambda play: error_of(play.broker.status(UUID)), {WAITING: None, ACCEPTED: None}, None),
}
# Requests that read and do not write, so that the end is written by the sweep or by another request.
READS = ("P again", "Order Status")


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after the sweep"])
@pytest.mark.parametrize("seconds", [-1, 0, 1])
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("end", ENDS, ids=str)
def test_each_request_on_each_side_of_each_end(end: End, name: str, seconds: int, swept: bool) -> None:
    """P-12, P-15, P-17, A-06, STATUS-02, PUPD-07."""
    play = proposed(end)
    do, while_open, once_ended = OPERATIONS[name]
    play.world.clock.advance(seconds=end.after + seconds)
    if swept:
        play.sweep()
    if seconds < 0:
        assert do(play) == while_open[end.status]
        assert not (isinstance(play.order, Order) and play.order.proposal_has_ended(play.world.clock.now))
        return
    assert do(play) == once_ended
    assert play.shown() == "SellerRejected"
    if not swept and name in READS:
        assert (play.status, play.scheduled()) == (end.status, 1)
        play.check_spaces(HoldState.proposed)
        play.sweep()
    assert (play.status, play.scheduled()) == (ProposalStatus.SellerRejected, 0)
    assert play.in_feed() == ["SellerRejected"]
    play.check_spaces(None)


@pytest.mark.parametrize("end", ENDS, ids=str)
def test_the_feed_gets_one_update_when_a_proposal_ends(end: End) -> None:
    """One update of the feed, however often the sweep runs."""
    play = proposed(end)
    play.world.clock.advance(seconds=end.after - 1)
    play.sweep()
    before = play.order
    assert isinstance(before, Order) and play.status is end.status
    play.world.clock.advance(seconds=1)
    for _ in range(3):
        play.sweep()
    after = play.order
    assert isinstance(after, Order) and after.version == before.version + 1


@pytest.mark.parametrize("status", ProposalStatus)
def test_only_an_open_proposal_is_scheduled_to_end(status: ProposalStatus) -> None:
    """Each way out of it takes its entry away, and what was decided does not change when its time comes."""
    play = proposed(ENDS[0])
    match status:
        case ProposalStatus.SellerAccepted:
            assert play.decides(ProposalEvent.accept) is None
            assert play.scheduled() == 1
            assert error_of(play.b_of_proposal()) is None
        case ProposalStatus.SellerRejected:
            assert play.decides(ProposalEvent.seller_rejects) is None
        case ProposalStatus.CustomerRejected:
            assert error_of(play.patch(orderProposalStatus=REJECTED)) is None
        case ProposalStatus.AwaitingSellerConfirmation:
            assert play.scheduled() == 1
            return
    assert play.scheduled() == 0
    before = play.order
    play.world.clock.advance(days=9)
    play.sweep()
    assert play.order == before


def test_an_amended_proposal_has_its_whole_time_to_be_answered_again() -> None:
    """A-04."""
    play = proposed(ENDS[0])
    play.world.clock.advance(seconds=ANSWER - 1)
    assert OPERATIONS["the Seller amends"][0](play) is None
    assert play.scheduled() == 1
    play.world.clock.advance(seconds=ANSWER - 1)
    play.sweep()
    assert play.status is WAITING
    play.world.clock.advance(seconds=1)
    play.sweep()
    assert play.status is ProposalStatus.SellerRejected


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_what_has_started_cannot_be_proposed(seconds: int) -> None:
    """P-17: the Seller could not answer in time. C1 and C2 say so, too."""
    play = Play(timedelta(hours=1))
    play.world.clock.advance(seconds=3600 + seconds)
    answers = [play.broker.c1(UUID, play.yoga.item()), play.broker.c2(UUID, play.yoga.item()), play.p()]
    assert [answer.status for answer in answers] == ([200, 200, 201] if seconds < 0 else [409, 409, 409])
    if seconds >= 0:
        for answer in answers:
            (error,) = answer.json["orderedItem"][0]["error"]
            assert error["@type"] == "OpportunityOfferPairNotBookableError"
        play.check_spaces(None)


def test_a_proposal_of_an_earlier_release_ends_when_it_starts() -> None:
    """Its row has no end and there is no entry for it: requests judge it by the start."""
    play = proposed(ENDS[3])
    order = play.order
    assert isinstance(order, Order) and order.proposal is not None
    as_written = replace(order, proposal=replace(order.proposal, ends_at=None))
    play.world.clock.advance(seconds=1799)
    assert not as_written.proposal_has_ended(play.world.clock.now)
    play.world.clock.advance(seconds=1)
    assert as_written.proposal_has_ended(play.world.clock.now)
    assert as_written.ends_at is None


# --- notes ----------------------------------------------------------------------------------


def test_a_note_is_accepted_only_where_messages_are_exchanged() -> None:
    """P-15; a note that comes with a rejection does not prevent it."""
    play = Play()
    play.yoga = play.world.session(
        offer={"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
    )
    assert play.p(orderCustomerNote="By bus.").status == 201
    refused = play.patch(orderCustomerNote="By bus.")
    assert (refused.status, error_of(refused)) == (400, "PatchNotAllowedOnPropertyError")
    assert play.patch(orderProposalStatus=REJECTED, orderCustomerNote="We stay at home.").status == 204
    assert isinstance(play.order, Order) and play.order.proposal is not None
    assert (play.status, play.order.proposal.customer_note) == (ProposalStatus.CustomerRejected, None)


# --- Order UUIDs and leases -----------------------------------------------------------------

REQUESTS: dict[OrderEvent, Callable[[Play], str | None]] = {
    OrderEvent.c1: lambda play: error_of(play.broker.c1(UUID, play.free.item())),
    OrderEvent.c2: lambda play: error_of(play.broker.c2(UUID, play.free.item())),
    OrderEvent.p: lambda play: error_of(play.p()),
    OrderEvent.b: lambda play: error_of(play.broker.b(UUID, play.free.item())),
    OrderEvent.b_of_proposal: lambda play: error_of(play.b_of_proposal()),
    OrderEvent.cancel: lambda play: error_of(play.cancel()),
    OrderEvent.delete: lambda play: error_of(play.broker.delete(UUID)),
    OrderEvent.delete_quote: lambda play: error_of(play.broker.send("DELETE", f"{API}/order-quotes/{UUID}")),
    OrderEvent.status: lambda play: error_of(play.broker.status(UUID)),
    OrderEvent.update: lambda play: error_of(play.patch(orderProposalStatus=REJECTED)),
}
HELD: dict[OrderState, HoldState | None] = {
    OrderState.nothing: None,
    OrderState.quote: HoldState.leased,
    OrderState.order: HoldState.booked,
    OrderState.deleted: None,
}


def leased(seconds: int, *, swept: bool) -> Play:
    """C2 was sent so long before that its lease ends in `seconds`, or has ended."""
    play = Play()
    assert play.broker.c2(UUID, play.free.item()).status == 200
    play.world.clock.advance(seconds=LEASE + seconds)
    if swept:
        play.sweep()
    return play


# The error of each request for a UUID without an Order, and the state in which it leaves the UUID.
UNUSED: dict[OrderEvent, tuple[str | None, OrderState]] = {
    OrderEvent.c1: (None, OrderState.quote),
    OrderEvent.c2: (None, OrderState.quote),
    OrderEvent.p: (None, OrderState.proposal),
    OrderEvent.b: (None, OrderState.order),
    OrderEvent.b_of_proposal: ("UnknownOrderError", OrderState.nothing),
    OrderEvent.cancel: ("UnknownOrderError", OrderState.nothing),
    OrderEvent.delete: ("UnknownOrderError", OrderState.nothing),
    OrderEvent.delete_quote: (None, OrderState.nothing),
    OrderEvent.status: ("UnknownOrderError", OrderState.nothing),
    OrderEvent.update: ("UnknownOrderError", OrderState.nothing),
}


@pytest.mark.parametrize("swept", [False, True], ids=["before the sweep", "after the sweep"])
@pytest.mark.parametrize("seconds", [-1, 0, 1])
@pytest.mark.parametrize("event", OrderEvent)
def test_each_request_on_each_side_of_the_end_of_a_lease(
    event: OrderEvent, seconds: int, swept: bool
) -> None:
    """GEN-03, LEASE-04, LEASE-09, STATUS-02."""
    play = leased(seconds, swept=swept)
    error, following = UNUSED[event]
    alive = seconds < 0
    if alive and event is OrderEvent.status:
        error = None
    assert REQUESTS[event](play) == error
    state = order_state(play.order, play.world.clock.now)
    if following is OrderState.nothing and event is not OrderEvent.delete_quote:
        # Nothing has changed: the quote is as it was, and its spaces are released once it is over.
        assert state is (OrderState.quote if alive else OrderState.lapsed_quote)
        play.sweep()
        play.check_spaces(HoldState.leased if alive else None, play.free)
        return
    assert state in ((following, OrderState.lapsed_quote) if not alive else (following,))
    play.sweep()
    if following is OrderState.proposal:
        play.check_spaces(HoldState.proposed)
        play.check_spaces(None, play.free)
    else:
        play.check_spaces(HELD[following], play.free)


STARTED: dict[OrderEvent, str | None] = {
    OrderEvent.cancel: "CancellationNotPermittedError",  # CANCEL-08
    OrderEvent.delete: None,
    OrderEvent.status: None,
}


@pytest.mark.parametrize("seconds", [-1, 0, 1])
@pytest.mark.parametrize("event", STARTED)
def test_what_is_booked_on_each_side_of_the_start(event: OrderEvent, seconds: int) -> None:
    """CANCEL-06, CANCEL-08: the clock ends no Order, and the sweep changes none."""
    play = Play(timedelta(hours=1))
    assert play.broker.b(UUID, play.free.item()).status == 201
    play.world.clock.advance(seconds=3600 + seconds)
    before = play.order
    play.sweep()
    assert play.order == before
    play.check_spaces(HoldState.booked, play.free)
    error = REQUESTS[event](play)
    assert error == (None if seconds < 0 else STARTED[event])
    released = error is None and event is not OrderEvent.status
    play.check_spaces(None if released else HoldState.booked, play.free)


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_a_rejected_proposal_releases_its_lease_at_its_end(seconds: int) -> None:
    """P-17, LEASE-09: the lease that a rejection leaves ends as any other, and the rejection stays."""
    play = proposed(ENDS[0])
    assert play.decides(ProposalEvent.seller_rejects) is None
    play.check_spaces(HoldState.leased)
    play.world.clock.advance(seconds=LEASE + seconds)
    play.sweep()
    play.check_spaces(HoldState.leased if seconds < 0 else None)
    assert play.status is ProposalStatus.SellerRejected


def test_what_is_no_event_ends_nothing() -> None:
    """NOTIF-01 is for Orders."""
    play = proposed(ENDS[0])
    assert play.decide(lambda snapshot: notify_customer(snapshot, "Bring a mat.")) == "UnknownOrderError"
    assert isinstance(play.order, Order) and play.order.kind is OrderKind.OrderProposal
