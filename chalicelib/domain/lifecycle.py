"""Everything that changes the state of an Order UUID, an OrderItem or an OrderProposal is in this file.

Each table maps a state and an event to the next state. In the tables of items and proposals, a missing
pair is refused, and final states are written as `{}`. The table of Order UUIDs is complete, because
each refusal has its own error.
"""

from enum import StrEnum

from chalicelib.domain.errors import (
    GoneError,
    OpenBookingError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    UnknownOrderError,
)
from chalicelib.values import dataclass


class OrderState(StrEnum):
    """The state of an Order UUID; at any moment it is one of these (GEN-03)."""

    nothing = "nothing"  # not stored: never used, or a quote without a lease
    quote = "quote"  # an OrderQuote whose lease still holds spaces
    lapsed_quote = "lapsed_quote"  # an OrderQuote whose lease has ended; the row may still be stored
    proposal = "proposal"  # an OrderProposal, in any status
    order = "order"
    deleted = "deleted"  # the stub that stays after an Order is deleted (DEL-04)


class OrderEvent(StrEnum):
    """A request that names an Order UUID."""

    c1 = "c1"
    c2 = "c2"
    p = "p"
    b = "b"  # with the whole Order in the body
    b_of_proposal = "b_of_proposal"  # with the version of an OrderProposal in the body (B-16)
    cancel = "cancel"  # Order Cancellation, and a Seller's action on an Order
    delete = "delete"  # Order Deletion
    delete_quote = "delete_quote"  # OrderQuote Deletion
    status = "status"  # Order Status
    update = "update"  # OrderProposal Update, and a Seller's action on an OrderProposal


@dataclass(frozen=True)
class Refused:
    """The request fails with this error, and nothing changes.

    `unless_repeated`: if the same request has succeeded before, it gets its first answer again
    (P-12, B-08). The table cannot decide this; the caller compares the two requests.
    """

    error: type[OpenBookingError]
    description: str | None = None
    unless_repeated: bool = False


_UNKNOWN = Refused(UnknownOrderError)
_GONE = Refused(GoneError)  # DEL-08
_NO_PROPOSAL = Refused(UnknownOrderError, "There is no proposal under this UUID.")
_ORDERED = Refused(OrderAlreadyExistsError, "This UUID already belongs to an order.")
_USED = Refused(OrderAlreadyExistsError, "This UUID has been used for another order.")
_USED_BY_ANOTHER_REQUEST = Refused(_USED.error, _USED.description, unless_repeated=True)

# A UUID that has no Order yet takes a quote, a proposal or an Order (C2-07, P-09, B-06, B-20). A
# quote without a lease is not stored: the UUID then stays at nothing.
_UNUSED: dict[OrderEvent, OrderState | Refused] = {
    OrderEvent.c1: OrderState.quote,
    OrderEvent.c2: OrderState.quote,
    OrderEvent.p: OrderState.proposal,
    OrderEvent.b: OrderState.order,
    OrderEvent.b_of_proposal: _NO_PROPOSAL,
    OrderEvent.cancel: _UNKNOWN,  # CANCEL-10
    OrderEvent.delete: _UNKNOWN,  # DEL-02, T10
    OrderEvent.delete_quote: OrderState.nothing,  # QDEL-01, QDEL-02
    OrderEvent.status: _UNKNOWN,  # STATUS-04
    OrderEvent.update: _UNKNOWN,  # PUPD-06
}

ORDER_TRANSITIONS: dict[OrderState, dict[OrderEvent, OrderState | Refused]] = {
    OrderState.nothing: _UNUSED,
    OrderState.quote: _UNUSED | {OrderEvent.status: OrderState.quote},  # STATUS-02
    OrderState.lapsed_quote: _UNUSED,  # LEASE-09
    OrderState.proposal: {
        OrderEvent.c1: _ORDERED,  # C1-17
        OrderEvent.c2: _ORDERED,  # C2-01
        OrderEvent.p: _USED_BY_ANOTHER_REQUEST,  # P-12
        # Items that need approval are booked by the version of their proposal (B-21).
        OrderEvent.b: Refused(OrderCreationFailedError, "This UUID belongs to an order proposal."),
        OrderEvent.b_of_proposal: OrderState.order,  # B-16; only where it is accepted
        OrderEvent.cancel: _UNKNOWN,
        OrderEvent.delete: _UNKNOWN,
        OrderEvent.delete_quote: OrderState.proposal,  # QDEL-03
        OrderEvent.status: OrderState.proposal,  # STATUS-02
        OrderEvent.update: OrderState.proposal,  # PUPD-01; its own table gives the status
    },
    OrderState.order: {
        OrderEvent.c1: _ORDERED,  # C1-16
        OrderEvent.c2: _ORDERED,
        # P may be repeated after B: it gets its first answer again (P-12).
        OrderEvent.p: _USED_BY_ANOTHER_REQUEST,
        OrderEvent.b: _USED_BY_ANOTHER_REQUEST,  # B-08
        OrderEvent.b_of_proposal: Refused(
            OrderAlreadyExistsError,
            "This UUID belongs to an order that needed no proposal.",
            unless_repeated=True,
        ),
        OrderEvent.cancel: OrderState.order,  # CANCEL-11
        OrderEvent.delete: OrderState.deleted,  # DEL-04
        OrderEvent.delete_quote: OrderState.order,  # QDEL-03
        OrderEvent.status: OrderState.order,  # STATUS-01
        OrderEvent.update: _UNKNOWN,  # PUPD-06
    },
    OrderState.deleted: {
        OrderEvent.c1: _ORDERED,  # GEN-05, DEL-05
        OrderEvent.c2: _ORDERED,
        OrderEvent.p: _USED,
        OrderEvent.b: _USED,
        OrderEvent.b_of_proposal: _USED,
        OrderEvent.cancel: _GONE,
        OrderEvent.delete: OrderState.deleted,  # DEL-06
        OrderEvent.delete_quote: OrderState.deleted,  # QDEL-01
        OrderEvent.status: _GONE,
        OrderEvent.update: _GONE,  # PUPD-06
    },
}


def next_order_state(state: OrderState, event: OrderEvent) -> OrderState:
    """The state after `event`. Raises the error in the table."""
    outcome = ORDER_TRANSITIONS[state][event]
    if isinstance(outcome, Refused):
        raise outcome.error(outcome.description)
    return outcome


def may_be_repeated(state: OrderState, event: OrderEvent) -> bool:
    """Whether the event is refused unless it repeats a request that has succeeded before."""
    outcome = ORDER_TRANSITIONS[state][event]
    return isinstance(outcome, Refused) and outcome.unless_repeated


class OrderItemStatus(StrEnum):
    """The state of one OrderItem (`orderItemStatus`)."""

    OrderItemProposed = "OrderItemProposed"  # part of an OrderProposal, not booked
    OrderItemConfirmed = "OrderItemConfirmed"  # booked
    CustomerCancelled = "CustomerCancelled"  # refunded at the Customer's request
    SellerCancelled = "SellerCancelled"  # refunded by the Seller's decision
    AttendeeAttended = "AttendeeAttended"  # the attendee came
    AttendeeAbsent = "AttendeeAbsent"  # the attendee did not come


class ItemEvent(StrEnum):
    """What can happen to an OrderItem."""

    confirm = "confirm"  # B
    customer_cancels = "customer_cancels"  # PATCH of the Order
    seller_cancels = "seller_cancels"
    attends = "attends"
    is_absent = "is_absent"


ITEM_TRANSITIONS: dict[OrderItemStatus, dict[ItemEvent, OrderItemStatus]] = {
    OrderItemStatus.OrderItemProposed: {
        ItemEvent.confirm: OrderItemStatus.OrderItemConfirmed,
    },
    OrderItemStatus.OrderItemConfirmed: {
        ItemEvent.customer_cancels: OrderItemStatus.CustomerCancelled,
        ItemEvent.seller_cancels: OrderItemStatus.SellerCancelled,
        ItemEvent.attends: OrderItemStatus.AttendeeAttended,
        ItemEvent.is_absent: OrderItemStatus.AttendeeAbsent,
    },
    # A cancellation of either kind is never reversed (CANCEL-12). A repeated request succeeds
    # and changes nothing (CANCEL-03); it is not a transition.
    OrderItemStatus.CustomerCancelled: {},
    OrderItemStatus.SellerCancelled: {},
    # Attendance may be corrected; an attended item cannot be cancelled any more (CANCEL-08).
    OrderItemStatus.AttendeeAttended: {ItemEvent.is_absent: OrderItemStatus.AttendeeAbsent},
    OrderItemStatus.AttendeeAbsent: {ItemEvent.attends: OrderItemStatus.AttendeeAttended},
}

CANCELLED = frozenset({OrderItemStatus.CustomerCancelled, OrderItemStatus.SellerCancelled})


class TransitionRefused(Exception):
    """The event is not possible in this state."""


def next_item_status(status: OrderItemStatus, event: ItemEvent) -> OrderItemStatus:
    """The status after `event`. Raises TransitionRefused if the table has none."""
    try:
        return ITEM_TRANSITIONS[status][event]
    except KeyError:
        raise TransitionRefused(f"{event} is not possible in {status}") from None


class ProposalStatus(StrEnum):
    """The state of an OrderProposal (`orderProposalStatus`)."""

    AwaitingSellerConfirmation = "AwaitingSellerConfirmation"  # the Seller has to decide
    SellerAccepted = "SellerAccepted"  # may be booked with B
    SellerRejected = "SellerRejected"  # the Seller has declined, or could not provide it
    CustomerRejected = "CustomerRejected"  # the Customer has withdrawn


class ProposalEvent(StrEnum):
    """What can happen to an OrderProposal; B turns it into an Order."""

    accept = "accept"
    seller_rejects = "seller_rejects"
    customer_rejects = "customer_rejects"
    amend = "amend"  # a new version, which the Seller must confirm


PROPOSAL_TRANSITIONS: dict[ProposalStatus, dict[ProposalEvent, ProposalStatus]] = {
    ProposalStatus.AwaitingSellerConfirmation: {
        ProposalEvent.accept: ProposalStatus.SellerAccepted,
        ProposalEvent.seller_rejects: ProposalStatus.SellerRejected,
        ProposalEvent.customer_rejects: ProposalStatus.CustomerRejected,
        ProposalEvent.amend: ProposalStatus.AwaitingSellerConfirmation,
    },
    # An accepted proposal that the Seller cannot provide after all is rejected (P-17).
    ProposalStatus.SellerAccepted: {
        ProposalEvent.seller_rejects: ProposalStatus.SellerRejected,
        ProposalEvent.customer_rejects: ProposalStatus.CustomerRejected,
        ProposalEvent.amend: ProposalStatus.AwaitingSellerConfirmation,
    },
    ProposalStatus.SellerRejected: {},
    ProposalStatus.CustomerRejected: {},
}

REJECTED = frozenset({ProposalStatus.SellerRejected, ProposalStatus.CustomerRejected})


def next_proposal_status(status: ProposalStatus, event: ProposalEvent) -> ProposalStatus:
    """The status after `event`. Raises TransitionRefused if the table has none."""
    try:
        return PROPOSAL_TRANSITIONS[status][event]
    except KeyError:
        raise TransitionRefused(f"{event} is not possible in {status}") from None
