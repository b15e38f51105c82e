"""Changes of an OrderProposal between P and B: the Seller accepts, rejects or amends; the Customer rejects."""

from collections.abc import Mapping
from dataclasses import replace

from chalicelib.booking.cancel import change_items
from chalicelib.booking.decisions import Decision, Moment, MoveHold, Snapshot, save_order
from chalicelib.booking.existing import existing_order
from chalicelib.booking.holding import release_as_lease
from chalicelib.booking.quote import lease_end
from chalicelib.booking.requests import ProposalUpdateRequest
from chalicelib.booking.seller import check_opportunities, check_spaces, replacement
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


def update_proposal(
    request: ProposalUpdateRequest, snapshot: Snapshot, moment: Moment, *, seller_id: str | None
) -> Decision[None]:
    """OrderProposal Update: the Customer's rejection, a note, or both (PUPD-01).

    Repeating the rejection changes nothing; rejecting a proposal that the Seller has rejected is refused
    (PUPD-07). A note alone does not appear in the feed (PUPD-05).

    Raises UnknownOrderError, GoneError, PatchNotAllowedOnPropertyError, InvalidAuthorizationDetailsError.
    """
    order = existing_order(snapshot, OrderEvent.update, seller_id=seller_id)
    proposal = _proposal_of(order)
    changed = proposal
    if request.rejects and proposal.status is not ProposalStatus.CustomerRejected:
        try:
            status = next_proposal_status(proposal.status, ProposalEvent.customer_rejects)
        except TransitionRefused:
            raise PatchNotAllowedOnPropertyError("The seller has rejected this proposal already.") from None
        changed = replace(changed, status=status)
    if request.customer_note is not None:
        changed = replace(changed, customer_note=request.customer_note)
    return _changed(order, changed, snapshot, moment, shows=changed.status is not proposal.status)


def decide_proposal(
    snapshot: Snapshot, event: ProposalEvent, moment: Moment, *, note: str | None = None
) -> Decision[None]:
    """The Seller accepts or rejects the whole proposal, never part of it (A-01, A-02, A-03).

    Raises UnknownOrderError, GoneError; TransitionRefused if its status does not allow it.
    """
    order = _proposal_in(snapshot)
    proposal = _proposal_of(order)
    changed = replace(
        proposal,
        status=next_proposal_status(proposal.status, event),
        seller_note=note if note is not None else proposal.seller_note,
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

    `choices`, by item id, are other Opportunities with their Offers for some of the items, at a higher or
    lower price. This requires an Offer that allows negotiation. Spaces move with them.

    Raises UnknownOrderError, GoneError; TransitionRefused where it is too late; UnacceptableOfferError,
    OpportunityOfferPairNotBookableError, OpportunityIsFullError, OpportunityHasInsufficientCapacityError,
    OpportunityIsInConflictError, RequestTooLargeError.
    """
    order = _proposal_in(snapshot)
    proposal = _proposal_of(order)
    if choices and not any(_may_be_negotiated(item) for item in order.items):
        raise UnacceptableOfferError("None of the offers allows negotiation.")
    check_opportunities(order.items, choices or {})
    items = tuple(
        replacement(item, choices[item.id or ""], snapshot, moment)
        if choices and item.id in choices
        else item
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
    return Decision(None, change_items(replace(order, proposal=changed), items, snapshot))


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
    """One write; a rejection also turns the spaces that are held into a lease, which ends by the clock."""
    if proposal == order.proposal:
        return Decision(None)
    check_text("The note", proposal.seller_note)
    changed = replace(order, proposal=proposal, published=order.published or shows)
    released: tuple[MoveHold, ...] = ()
    if proposal.is_rejected:
        released = release_as_lease(order, snapshot, lease_end(moment.now, moment.policy.lease_for))
    return Decision(None, (save_order(changed, order), *released))
