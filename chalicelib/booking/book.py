"""P and B: create an OrderProposal or an Order, with all of its items or not at all."""

import hashlib
import json
from collections.abc import Callable

from chalicelib.booking.access import with_all_access
from chalicelib.booking.assessment import Assessment, assess, check_parties
from chalicelib.booking.decisions import Answer, Decision, Moment, Snapshot, outdated_counters, save_order
from chalicelib.booking.existing import check_seller
from chalicelib.booking.holding import holds_before, moves
from chalicelib.booking.leasing import check_proposals
from chalicelib.booking.proposal_ends import (
    NO_SPACE_NOTE,
    WITHDRAWN_NOTE,
    end_proposal,
    why_not_as_proposed,
    why_over,
    with_end,
)
from chalicelib.booking.requests import OrderRequest, ProposalBookingRequest
from chalicelib.booking.sub_events import as_taken
from chalicelib.domain.errors import (
    OpenBookingError,
    OpportunityHasInsufficientCapacityError,
    OrderCreationFailedError,
    OrderProposalVersionOutdatedError,
    TotalPaymentDueMismatchError,
)
from chalicelib.domain.lifecycle import (
    ItemEvent,
    OrderEvent,
    OrderItemStatus,
    OrderState,
    ProposalStatus,
    may_be_repeated,
    next_item_status,
    next_order_state,
)
from chalicelib.domain.offers import FlowRequirement
from chalicelib.domain.orders import (
    Order,
    OrderItem,
    OrderKind,
    Proposal,
    next_version,
    order_state,
    spaces_wanted,
)
from chalicelib.domain.pricing import Totals, check_payment, check_reconciliation, is_due
from chalicelib.values import replace

Render = Callable[[Order], str]

# A fingerprint that begins with this was made from the one before with the key of the installation.
_KEYED = "keyed:"


def book(request: OrderRequest, snapshot: Snapshot, moment: Moment, render: Render) -> Decision[Answer]:
    """B of the simple flow.

    `render` makes the body of the answer; it is stored with the Order, so that a repeated request
    gets the same bytes (B-08). Item errors are answered with the whole Order (T7) and change nothing.

    Raises the order-level errors of B in the order of ERR-09 and PAY-15.
    """
    return _place(request, snapshot, moment, render, OrderKind.Order)


def propose(request: OrderRequest, snapshot: Snapshot, moment: Moment, render: Render) -> Decision[Answer]:
    """P: the same as B, but the Seller must accept first, and no item is booked before B (P-06).

    The spaces are held until the proposal is booked or rejected (P-16). Without leasing they are only recorded:
    then B takes them, if there are any left (B-18).
    Raises the order-level errors of P in the order of ERR-09 and PAY-15, and TooManyRequestsError.
    """
    return _place(request, snapshot, moment, render, OrderKind.OrderProposal)


def book_proposal(
    request: ProposalBookingRequest,
    snapshot: Snapshot,
    moment: Moment,
    render: Render,
    *,
    seller_id: str | None,
) -> Decision[Answer]:
    """B of an accepted OrderProposal: it becomes an Order, at the accepted terms (B-16).

    It commits only if its Opportunities are still at the revision that was proposed. If one has changed since,
    the commit is refused, and the next snapshot contains that one: then it is checked here (P-17).

    Raises UnknownOrderError, OrderAlreadyExistsError, OrderProposalVersionOutdatedError (B-17),
    OrderCreationFailedError if it is not accepted (A-06), TotalPaymentDueMismatchError if it states another total,
    and the payment errors. The decision ends a proposal that cannot be honoured and carries the error:
    OrderCreationFailedError, or OpportunityHasInsufficientCapacityError if no space is left (B-18).
    """
    order, event = snapshot.order, OrderEvent.b_of_proposal
    state = order_state(order, moment.now)
    if order is not None and state not in (OrderState.quote, OrderState.lapsed_quote):
        check_seller(order.seller_id, seller_id)
    is_repeat = isinstance(order, Order) and order.proposal is not None and may_be_repeated(state, event)
    if not is_repeat:
        next_order_state(state, event)
    assert isinstance(order, Order) and order.proposal is not None
    if order.proposal.version != request.version:
        raise OrderProposalVersionOutdatedError("This is not the latest version of the proposal.")
    if is_repeat:
        return Decision(Answer(order, is_repeat=True))
    if order.proposal_has_ended(moment.now):
        return _ended(order, why_over(order, moment.now))
    if order.proposal.status is not ProposalStatus.SellerAccepted:
        raise OrderCreationFailedError(f"The proposal is in the state {order.proposal.status}.")
    if request.states_total:
        check_total(request, order.totals)
    check_payment(request.payment, order.totals)
    check_reconciliation(request.payment, moment.policy.reconciliation)
    if reason := _why_not_honoured(order, snapshot):
        return _ended(order, reason)
    proposed = replace(order, items=_as_taken(order.items, snapshot, moment))
    if short_of := _short_of_spaces(proposed, snapshot):
        error = OpportunityHasInsufficientCapacityError("No space is left.", instance=short_of)
        return _ended(order, NO_SPACE_NOTE, error)

    booked = replace(
        as_booked(proposed, moment),
        payment=request.payment,
        # A repeated P still gets its own answer.
        proposal_answer=order.answer,
        published=False,  # the Order is absent from its feed until it is updated (B-19)
    )
    booked = next_version(replace(booked, answer=render(booked)), order)
    held = (
        replace(
            move,
            revision=_revision(order, move.opportunity_id, snapshot),
            # The Seller may have taken it off sale since: it has promised these spaces.
            may_be_closed=move.opportunity_id in snapshot.opportunities,
        )
        for move in moves(order.key, order.holds(), booked.holds())
    )
    return Decision(Answer(booked), (save_order(booked, order), *held))


def _ended(order: Order, note: str, error: OpenBookingError | None = None) -> Decision[Answer]:
    """The accepted proposal ends, and B is refused as it is for any rejected proposal (A-06)."""
    refusal = error or OrderCreationFailedError(f"The proposal is in the state SellerRejected. {note}")
    return Decision(Answer(order), end_proposal(order, note), refusal)


def _why_not_honoured(order: Order, snapshot: Snapshot) -> str | None:
    """Why the proposal cannot be booked as it was proposed, as far as its Opportunities were read (P-17)."""
    for opportunity_id in order.sold():
        if opportunity_id in snapshot.absent:
            return WITHDRAWN_NOTE
        known = snapshot.opportunities.get(opportunity_id)
        if known is not None and (reason := why_not_as_proposed(order.items, known.opportunity)):
            return reason
    return None


def _short_of_spaces(order: Order, snapshot: Snapshot) -> str | None:
    """The first Opportunity without enough spaces for the proposal, as far as they were read."""
    for opportunity_id, hold in order.holds().items():
        known = snapshot.stored(opportunity_id)
        if known is not None and known.capacity.spaces_free_to(known.hold) < hold.spaces:
            return opportunity_id
    return None


def _as_taken(items: tuple[OrderItem, ...], snapshot: Snapshot, moment: Moment) -> tuple[OrderItem, ...]:
    """The items without the sub-events that take no place any more, as far as no space of these is left."""
    wanted = spaces_wanted(items)
    return tuple(
        replace(item, opportunity=as_taken(item.opportunity, snapshot, wanted, moment.now))
        if item.opportunity is not None and item.opportunity.sub_events
        else item
        for item in items
    )


def _revision(order: Order, opportunity_id: str, snapshot: Snapshot) -> int | None:
    """The revision at which the proposal may be booked: the one that was checked, or else the one proposed.

    Any of a sub-event that is not sold itself.
    """
    if opportunity_id not in order.sold():
        return None
    if known := snapshot.opportunities.get(opportunity_id):
        return known.opportunity.revision
    return min(
        item.opportunity.revision
        for item in order.items
        if item.opportunity is not None and item.opportunity.id == opportunity_id
    )


def as_booked(order: Order, moment: Moment) -> Order:
    """The Order that a proposal becomes: its items confirmed, with what their Customers get in with."""
    items = tuple(_confirmed(item, order, moment) for item in order.items)
    return replace(order, kind=OrderKind.Order, items=items, booked_at=moment.now)


def check_total(request: OrderRequest | ProposalBookingRequest, totals: Totals) -> None:
    """Refuse a total that differs from the one calculated here (B-05, P-07).

    Raises TotalPaymentDueMismatchError.
    """
    if not is_due(request.total_payment_due, request.total_currency, totals):
        shown = f"{totals.due} {totals.currency or ''}".rstrip()
        raise TotalPaymentDueMismatchError(f"The total payment due is {shown}.")


def fingerprint_of(request: OrderRequest) -> str:
    """Equal for two requests with the same items, in any order, and the same Customer (T22)."""
    items = sorted([item.opportunity_id or "", item.offer_id or ""] for item in request.items)
    basis = json.dumps([items, request.customer], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(basis.encode()).hexdigest()


def keyed_fingerprint(order: Order, moment: Moment) -> str | None:
    """The fingerprint that is kept when the Customer is erased: guesses of the details cannot be tested against it."""
    stored = order.fingerprint
    return stored if stored is None or stored.startswith(_KEYED) else _KEYED + moment.keyed(stored)


def _is_fingerprint(stored: str | None, fingerprint: str, moment: Moment) -> bool:
    """Whether a request has the fingerprint that is stored, also after the Customer was erased (B-08)."""
    if stored is not None and stored.startswith(_KEYED):
        return stored == _KEYED + moment.keyed(fingerprint)
    return stored == fingerprint


def _place(
    request: OrderRequest, snapshot: Snapshot, moment: Moment, render: Render, kind: OrderKind
) -> Decision[Answer]:
    existing, fingerprint = snapshot.order, fingerprint_of(request)
    event = OrderEvent.b if kind is OrderKind.Order else OrderEvent.p
    state = order_state(existing, moment.now)
    if isinstance(existing, Order) and may_be_repeated(state, event):
        # P may also be repeated after the proposal has become an Order.
        is_same = event is OrderEvent.b or existing.proposal is not None
        is_same = is_same and existing.seller_id == request.seller_id
        if is_same and _is_fingerprint(existing.fingerprint, fingerprint, moment):
            return Decision(Answer(existing, is_repeat=True))
    check_parties(request, snapshot, with_customer=True)
    next_order_state(state, event)

    assessment = assess(request, snapshot, moment, with_customer=True, as_quoted=True)
    order = _made(request, assessment, moment, fingerprint, kind)
    if assessment.errors:
        return Decision(Answer(_answered(order, assessment, takes_spaces=False), assessment.errors))
    if assessment.requires_approval is (kind is OrderKind.Order):
        raise OrderCreationFailedError(  # B-21
            "This order needs the seller's approval first."
            if kind is OrderKind.Order
            else "This order needs no approval: book it."
        )
    check_total(request, assessment.totals)
    if not request.at_desk:
        check_payment(request.payment, assessment.totals)
        check_reconciliation(request.payment, moment.policy.reconciliation)
    usage = check_proposals(order, snapshot, moment) if kind is OrderKind.OrderProposal else ()

    takes_spaces = order.proposal is None or order.proposal.holds_spaces
    order = next_version(order, existing)
    order = replace(order, answer=render(_answered(order, assessment, takes_spaces=takes_spaces)))
    held = (
        # A proposal that takes no space is made only if there is one, also of the sub-events, which are not read.
        replace(move, if_available=not takes_spaces)
        for move in moves(
            order.key, holds_before(snapshot, moment.now), order.holds(), snapshot, order.sold()
        )
    )
    saved = save_order(order, existing, outdated=outdated_counters(order.key, snapshot, moment.now))
    return Decision(Answer(order, usage=usage), (saved, *held))


def _answered(order: Order, assessment: Assessment, *, takes_spaces: bool) -> Order:
    """The Order as its answer shows it: with the spaces that remain after it (C1-09 excludes leases, not bookings)."""
    taken = spaces_wanted(order.items) if takes_spaces else {}
    remaining: dict[str, int | None] = {}
    for each in assessment.items:
        if each.opportunity is not None and each.opportunity.id not in remaining:
            left = each.spaces_remaining
            most = max((taken.get(key, 0) for key in each.takes), default=0)
            remaining[each.opportunity.id] = None if left is None else left - most
    return replace(
        order,
        items=tuple(
            item
            if item.opportunity is None
            else replace(item, spaces_remaining=remaining[item.opportunity.id])
            for item in order.items
        ),
    )


def _made(
    request: OrderRequest, assessment: Assessment, moment: Moment, fingerprint: str, kind: OrderKind
) -> Order:
    is_order = kind is OrderKind.Order
    status = OrderItemStatus.OrderItemConfirmed if is_order else OrderItemStatus.OrderItemProposed
    items = tuple(
        # The spaces that remain are only true at this moment, so they are not stored.
        replace(item, id=moment.new_id(), status=status, spaces_remaining=None)
        for item in assessment.items
    )
    if is_order and not assessment.errors:
        methods = assessment.seller.access_methods
        items = tuple(with_all_access(item, methods, moment) for item in items)
    made = Order(
        key=request.key,
        kind=kind,
        seller_id=assessment.seller.id,
        seller=assessment.seller.document,
        broker_role=assessment.broker_role,
        broker=request.broker if isinstance(request.broker, dict) else None,
        customer=request.customer if isinstance(request.customer, dict) else None,
        payment=request.payment,
        items=items,
        totals=assessment.totals,
        requires_approval=assessment.requires_approval,
        access_methods=assessment.seller.access_methods,
        proposal=None
        if is_order
        else Proposal(
            version=moment.new_id(),
            status=ProposalStatus.AwaitingSellerConfirmation,
            customer_note=request.customer_note if may_exchange_messages(items) else None,
            holds_spaces=moment.policy.leases,
        ),
        created_at=moment.now,
        fingerprint=fingerprint,
    )
    return made if is_order else with_end(made, moment)


def may_exchange_messages(items: tuple[OrderItem, ...]) -> bool:
    """Whether a note of the Customer is accepted (P-15)."""
    return any(
        item.offer is not None and FlowRequirement.OpenBookingMessageExchange in item.offer.requirements
        for item in items
    )


def _confirmed(item: OrderItem, order: Order, moment: Moment) -> OrderItem:
    assert item.status is not None
    item = replace(item, status=next_item_status(item.status, ItemEvent.confirm))
    return with_all_access(item, order.access_methods, moment)
