"""What a change of a whole Opportunity means for one Order or OrderProposal that holds it."""

from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.booking.decisions import Decision, Moment, Snapshot, save_order
from chalicelib.booking.proposals import decide_proposal
from chalicelib.booking.seller import cancel_by_seller, follow_opportunity
from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.lifecycle import ProposalEvent, TransitionRefused
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderKind


class ChangeKind(StrEnum):
    """What has happened to an Opportunity that people hold places of."""

    cancelled = "cancelled"  # it does not take place
    logistics = "logistics"  # its name, time or place has changed


@dataclass(frozen=True)
class OpportunityChange:
    """A change that every Order holding the Opportunity has yet to follow.

    `message` goes with a cancellation. `revision` is the one of the Opportunity that it came with, and
    tells it from a later change.
    """

    opportunity_id: str
    kind: ChangeKind
    message: str | None = None
    revision: int = 0


def follow(
    change: OpportunityChange, opportunity: Opportunity, snapshot: Snapshot, moment: Moment
) -> Decision[None]:
    """The one write that brings an Order or OrderProposal up to the change; none if it is so already."""
    order = snapshot.order
    if not isinstance(order, Order) or order.kind is OrderKind.OrderQuote:
        return Decision(None)  # gone meanwhile, or a lease, which ends by itself
    if order.kind is OrderKind.OrderProposal:
        if change.kind is ChangeKind.logistics:
            return _in_proposal(order, opportunity)
        try:
            return decide_proposal(snapshot, ProposalEvent.seller_rejects, moment, note=change.message)
        except TransitionRefused:
            return Decision(None)  # rejected already
    if change.kind is ChangeKind.logistics:
        return follow_opportunity(snapshot, opportunity)

    def cancelled(message: str | None) -> Decision[None]:
        return cancel_by_seller(
            snapshot, message=message, opportunity_id=change.opportunity_id, attended_stays=True
        )

    try:
        return cancelled(change.message)
    except RequestTooLargeError:
        # The Order has as many different messages as its row holds: the cancellation matters more than its text.
        return cancelled(None)


def _in_proposal(order: Order, opportunity: Opportunity) -> Decision[None]:
    items = tuple(
        replace(item, opportunity=replace(opportunity, offers=()))
        if item.opportunity is not None
        and item.opportunity.id == opportunity.id
        and item.opportunity.revision < opportunity.revision
        else item
        for item in order.items
    )
    if items == order.items:
        return Decision(None)
    changed = replace(order, items=items, published=True)
    return Decision(None, (save_order(changed, order),))
