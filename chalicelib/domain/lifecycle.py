"""Everything that changes the status of an OrderItem or an OrderProposal lives in this file.

Each table maps a status and an event to the next status. A pair that is not in the table is
refused. Ends are written out as `{}`.
"""

from enum import StrEnum


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
    # A cancellation of either kind is never reversed (CANCEL-12). Asking once more is granted
    # and changes nothing (CANCEL-03); it is not a transition.
    OrderItemStatus.CustomerCancelled: {},
    OrderItemStatus.SellerCancelled: {},
    # The register may be put right; what was attended cannot be cancelled any more (CANCEL-08).
    OrderItemStatus.AttendeeAttended: {ItemEvent.is_absent: OrderItemStatus.AttendeeAbsent},
    OrderItemStatus.AttendeeAbsent: {ItemEvent.attends: OrderItemStatus.AttendeeAttended},
}

CANCELLED = frozenset({OrderItemStatus.CustomerCancelled, OrderItemStatus.SellerCancelled})


class TransitionRefused(Exception):
    """That cannot happen in this state."""


def next_item_status(status: OrderItemStatus, event: ItemEvent) -> OrderItemStatus:
    """The status after `event`. Raises TransitionRefused where the table has none."""
    try:
        return ITEM_TRANSITIONS[status][event]
    except KeyError:
        raise TransitionRefused(f"{event} is not possible in {status}") from None


class ProposalStatus(StrEnum):
    """The state of an OrderProposal (`orderProposalStatus`)."""

    AwaitingSellerConfirmation = "AwaitingSellerConfirmation"  # the Seller has to decide
    SellerAccepted = "SellerAccepted"  # may be booked with B
    SellerRejected = "SellerRejected"  # the Seller has declined, or could not honour it
    CustomerRejected = "CustomerRejected"  # the Customer has withdrawn


class ProposalEvent(StrEnum):
    """What can happen to an OrderProposal; B makes an Order of it and so ends it."""

    accept = "accept"
    seller_rejects = "seller_rejects"
    customer_rejects = "customer_rejects"
    amend = "amend"  # a new version, which the Seller has yet to confirm


PROPOSAL_TRANSITIONS: dict[ProposalStatus, dict[ProposalEvent, ProposalStatus]] = {
    ProposalStatus.AwaitingSellerConfirmation: {
        ProposalEvent.accept: ProposalStatus.SellerAccepted,
        ProposalEvent.seller_rejects: ProposalStatus.SellerRejected,
        ProposalEvent.customer_rejects: ProposalStatus.CustomerRejected,
        ProposalEvent.amend: ProposalStatus.AwaitingSellerConfirmation,
    },
    # An accepted proposal that cannot be honoured after all is rejected (P-17).
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
    """The status after `event`. Raises TransitionRefused where the table has none."""
    try:
        return PROPOSAL_TRANSITIONS[status][event]
    except KeyError:
        raise TransitionRefused(f"{event} is not possible in {status}") from None
