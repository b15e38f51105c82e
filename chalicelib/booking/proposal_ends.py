"""How an OrderProposal ends without a person's decision: by the clock, or because it cannot be honoured (P-17).

A proposal whose time is over counts as rejected by the Seller from that moment on, whatever its row says.
The first request that needs to write does so; for the others, the sweep does.
"""

from collections.abc import Iterable
from datetime import datetime

from chalicelib.booking.decisions import Change, Decision, Moment, Snapshot, save_order
from chalicelib.booking.holding import lease_end, moves
from chalicelib.domain.lifecycle import ProposalEvent, ProposalStatus, next_proposal_status
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, EventStatus, Opportunity
from chalicelib.domain.orders import Order, OrderItem, Proposal
from chalicelib.values import replace

# The notes on proposals that end without a decision.
UNANSWERED_NOTE = "The seller did not answer in time."
UNBOOKED_NOTE = "This was accepted, and not booked in time."
MOVED_NOTE = "The time or place has changed since this was proposed."
CANCELLED_NOTE = "The activity has been cancelled."
POSTPONED_NOTE = "The activity has been postponed."
WITHDRAWN_NOTE = "The activity is no longer offered."
OVER_NOTE = "The activity has started."
NO_SPACE_NOTE = "No space is left."


def with_end(order: Order, moment: Moment) -> Order:
    """The proposal with the moment at which it ends if its current status does not change.

    The time to answer, or to book, starts now. It never lasts beyond the start of the earliest Opportunity.
    """
    proposal = order.proposal
    assert proposal is not None
    policy = moment.policy
    waits_for_seller = proposal.status is ProposalStatus.AwaitingSellerConfirmation
    end = lease_end(moment.now, policy.answer_for if waits_for_seller else policy.book_for)
    starts_at = order.earliest_start()
    if starts_at is not None:
        end = min(end, starts_at)
    return replace(order, proposal=replace(proposal, ends_at=end))


def as_of(order: Order, now: datetime) -> Order:
    """The Order as it counts at `now`: a proposal whose time is over is rejected."""
    if not order.proposal_has_ended(now):
        return order
    return _rejected(order, why_over(order, now))


def why_over(order: Order, now: datetime) -> str:
    """The note for a proposal whose time is over."""
    starts_at = order.earliest_start()
    if starts_at is not None and starts_at <= now:
        return OVER_NOTE
    assert order.proposal is not None
    return UNBOOKED_NOTE if order.proposal.status is ProposalStatus.SellerAccepted else UNANSWERED_NOTE


def end_proposal(order: Order, note: str | None) -> tuple[Change, ...]:
    """The one write that ends an open proposal: rejected, in the feed, and its spaces released at once.

    Without `note`, an earlier one of the Seller stays.
    """
    return (save_order(_rejected(order, note), order), *moves(order.key, order.holds(), {}))


def end_if_over(snapshot: Snapshot, now: datetime) -> Decision[bool]:
    """End the proposal if its time is over; whether it was."""
    order = snapshot.order
    if not isinstance(order, Order) or not order.proposal_has_ended(now):
        return Decision(False)
    return Decision(True, end_proposal(order, why_over(order, now)))


def why_not_as_proposed(items: Iterable[OrderItem], opportunity: Opportunity) -> str | None:
    """The note for a proposal of these items that cannot be honoured with the Opportunity as it is now (P-17)."""
    if opportunity.status in NOT_TAKING_PLACE:
        return CANCELLED_NOTE if opportunity.status is EventStatus.EventCancelled else POSTPONED_NOTE
    for item in items:
        proposed = item.opportunity
        if (
            proposed is not None
            and proposed.id == opportunity.id
            and proposed.revision < opportunity.revision
            and proposed.as_ordered() != opportunity.as_ordered()
            and opportunity.is_elsewhere_than(proposed)
        ):
            return MOVED_NOTE
    return None


def _rejected(order: Order, note: str | None) -> Order:
    proposal = order.proposal
    assert proposal is not None
    status = next_proposal_status(proposal.status, ProposalEvent.seller_rejects)
    rejected: Proposal = replace(proposal, status=status, seller_note=note or proposal.seller_note)
    return replace(order, proposal=rejected, published=True)
