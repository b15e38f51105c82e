"""Changes of an OrderProposal between P and B: the Seller accepts, rejects or amends; the Customer rejects."""

from collections.abc import Mapping

from chalicelib.booking.book import may_exchange_messages
from chalicelib.booking.cancel import change_items
from chalicelib.booking.decisions import Decision, Moment, MoveHold, Snapshot, save_order
from chalicelib.booking.existing import existing_order
from chalicelib.booking.holding import lease_end, moves, release_as_lease
from chalicelib.booking.proposal_ends import end_proposal, why_over, with_end
from chalicelib.booking.requests import ProposalUpdateRequest
from chalicelib.booking.seller import check_opportunities, check_spaces, replacement
from chalicelib.domain.details import attendee_errors, intake_form_errors
from chalicelib.domain.errors import PatchNotAllowedOnPropertyError, UnacceptableOfferError
from chalicelib.domain.lifecycle import (
    OrderEvent,
    ProposalEvent,
    ProposalStatus,
    TransitionRefused,
    next_proposal_status,
)
from chalicelib.domain.limits import check_text
from chalicelib.domain.offers import FlowRequirement
from chalicelib.domain.orders import Order, OrderItem, Proposal
from chalicelib.values import replace

_ENDED = "This proposal has ended: it was not decided or booked in time."


def update_proposal(
    request: ProposalUpdateRequest, snapshot: Snapshot, moment: Moment, *, seller_id: str | None
) -> Decision[None]:
    """OrderProposal Update: the Customer's rejection, a note, or both (PUPD-01).

    Repeating the rejection changes nothing; rejecting a proposal that the Seller has rejected is refused
    (PUPD-07). A note alone does not appear in the feed (PUPD-05). It is accepted only if an Offer exchanges
    messages and the Seller has not decided yet; with a rejection, a note that is not accepted is ignored, as
    at P (P-15).

    Raises UnknownOrderError, GoneError, PatchNotAllowedOnPropertyError, InvalidAuthorizationDetailsError. If the
    proposal has ended, the decision ends it and carries PatchNotAllowedOnPropertyError.
    """
    order = existing_order(snapshot, OrderEvent.update, seller_id=seller_id)
    if order.proposal_has_ended(moment.now):
        note = why_over(order, moment.now)
        return Decision(None, end_proposal(order, note), PatchNotAllowedOnPropertyError(_ENDED))
    proposal = _proposal_of(order)
    changed = proposal
    takes_note = request.customer_note is not None and not _why_no_note(order)
    if request.rejects and proposal.status is not ProposalStatus.CustomerRejected:
        try:
            status = next_proposal_status(proposal.status, ProposalEvent.customer_rejects)
        except TransitionRefused:
            raise PatchNotAllowedOnPropertyError("The seller has rejected this proposal already.") from None
        changed = replace(changed, status=status)
    elif not request.rejects and not takes_note:
        raise PatchNotAllowedOnPropertyError(_why_no_note(order))
    if takes_note:
        changed = replace(changed, customer_note=request.customer_note)
    return _changed(order, changed, snapshot, moment, shows=changed.status is not proposal.status)


def decide_proposal(
    snapshot: Snapshot, event: ProposalEvent, moment: Moment, *, note: str | None = None
) -> Decision[None]:
    """The Seller accepts or rejects the whole proposal, never part of it (A-01, A-02, A-03).

    Raises UnknownOrderError, GoneError; TransitionRefused if its status does not allow it. If it has ended, the
    decision ends it and carries TransitionRefused.
    """
    order = _proposal_in(snapshot)
    if order.proposal_has_ended(moment.now):
        return _has_ended(order, moment)
    proposal = _proposal_of(order)
    changed = replace(
        proposal,
        status=next_proposal_status(proposal.status, event),
        # A note belongs to the answer that it was given with.
        seller_note=note,
    )
    return _changed(order, changed, snapshot, moment, shows=True)


def amend_proposal(
    snapshot: Snapshot,
    moment: Moment,
    *,
    choices: Mapping[str, tuple[str, str]] | None = None,
    note: str | None = None,
) -> Decision[None]:
    """A new version of the proposal, which the Seller must confirm; older versions become invalid (A-04).

    `choices`, by item id, are other Opportunities of the Seller with their Offers for some of the items, at a higher
    or lower price. This requires an Offer that allows negotiation. Spaces move with them. The feed shows the Broker
    the new Offer, the total and its prepayment; what a Broker cannot add is refused.

    Raises UnknownOrderError, GoneError; TransitionRefused where it is too late; UnacceptableOfferError,
    OpportunityOfferPairNotBookableError, OpportunityIsFullError, OpportunityHasInsufficientCapacityError,
    OpportunityIsInConflictError, RequestTooLargeError.
    """
    order = _proposal_in(snapshot)
    if order.proposal_has_ended(moment.now):
        return _has_ended(order, moment)
    proposal = _proposal_of(order)
    if choices and not any(_may_be_negotiated(item) for item in order.items):
        raise UnacceptableOfferError("None of the offers allows negotiation.")
    check_opportunities(order.items, choices or {}, snapshot)
    items = tuple(
        _amended(item, choices[item.id or ""], snapshot, moment) if choices and item.id in choices else item
        for item in order.items
    )
    check_spaces(items, choices or {}, snapshot)
    changed = replace(
        proposal,
        status=next_proposal_status(proposal.status, ProposalEvent.amend),
        version=moment.new_id(),
        seller_note=note if note is not None else proposal.seller_note,
    )
    if items == order.items:
        return _changed(order, changed, snapshot, moment, shows=True)
    check_text("The note", changed.seller_note)
    amended = with_end(replace(order, proposal=changed, items=items), moment)
    amending = replace(order, proposal=amended.proposal)
    return Decision(None, change_items(amending, items, snapshot, before=order))


def _amended(item: OrderItem, choice: tuple[str, str], snapshot: Snapshot, moment: Moment) -> OrderItem:
    """The item with another Opportunity and Offer. Raises UnacceptableOfferError also for missing details.

    B of a proposal contains nothing but its version and payment (B-16): the Customer could not give them.
    """
    new = replacement(item, choice, snapshot, moment)
    assert new.opportunity is not None
    missing = [
        *attendee_errors(new.opportunity.attendee_details_required, new.attendee),
        *intake_form_errors(new.opportunity.intake_form, new.intake_answers),
    ]
    if missing:
        raise UnacceptableOfferError(
            f"The other session asks for details that this proposal does not have. {missing[0]}",
            instance=new.offer_id,
        )
    return new


def _has_ended(order: Order, moment: Moment) -> Decision[None]:
    return Decision(None, end_proposal(order, why_over(order, moment.now)), TransitionRefused(_ENDED))


def _why_no_note(order: Order) -> str | None:
    """Why a note of the Customer is not accepted, or None (P-15)."""
    if not may_exchange_messages(order.items):
        return "None of the offers exchanges messages."
    if _proposal_of(order).status is not ProposalStatus.AwaitingSellerConfirmation:
        return "This proposal has been decided already."
    return None


def _may_be_negotiated(item: OrderItem) -> bool:
    return item.offer is not None and FlowRequirement.OpenBookingNegotiation in item.offer.requirements


def _proposal_in(snapshot: Snapshot) -> Order:
    owner = snapshot.order.seller_id if snapshot.order else None
    return existing_order(snapshot, OrderEvent.update, seller_id=owner)


def _proposal_of(order: Order) -> Proposal:
    assert order.proposal is not None
    return order.proposal


def _changed(
    order: Order, proposal: Proposal, snapshot: Snapshot, moment: Moment, *, shows: bool
) -> Decision[None]:
    """One write.

    A rejection turns the spaces that are held into a lease, which ends by the clock; without leasing it
    releases them. Any other new status, and a new version, has its own time to be answered or booked.
    """
    if proposal == order.proposal:
        return Decision(None)
    check_text("The note", proposal.seller_note)
    changed = replace(order, proposal=proposal, published=order.published or shows)
    released: tuple[MoveHold, ...] = ()
    if not proposal.is_rejected:
        changed = with_end(changed, moment) if shows else changed
    elif moment.policy.leases and proposal.holds_spaces:
        policy = moment.policy
        released = release_as_lease(order, snapshot, lease_end(moment.now, policy.lease_for), policy.limits)
    else:
        released = moves(order.key, order.holds(), {})
    return Decision(None, (save_order(changed, order), *released))
